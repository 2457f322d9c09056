//! Groups and consumers of streams on every way from ours into 7.0.15 and back into ours: also consumers that were given
//! nothing, and pending entries whose message was deleted or trimmed.

use crate::support::{Connection, Folder, Setup};
use cairn_format::resp::value::Value;

const LINES: &[&str] = &[
    "XADD s 1-0 f v",
    "XADD s 2-0 f v",
    "XADD s 3-0 f v",
    "XADD s 4-0 f v",
    "XADD s 5-0 f v",
    "XGROUP CREATE s g 0",
    "XGROUP CREATE s behind 0",
    "XREADGROUP GROUP g a COUNT 2 STREAMS s >",
    "XREADGROUP GROUP g b COUNT 2 STREAMS s >",
    "XREADGROUP GROUP g idle STREAMS s 0",
    "XAUTOCLAIM s g late 100000000 0",
    "XCLAIM s g c 0 2-0 JUSTID",
    "XTRIM s MINID 2-0",
    "XDEL s 3-0",
    "XADD emptied 1-0 f v",
    "XADD emptied 7-0 f v",
    "XGROUP CREATE emptied g 0",
    "XREADGROUP GROUP g a STREAMS emptied >",
    "XDEL emptied 1-0",
    "XTRIM emptied MAXLEN 0",
    "XGROUP CREATE made g $ MKSTREAM",
    "XREADGROUP GROUP g a STREAMS made >",
];

/// What the commands that both servers have say, times left out. `counted`: with entries read and lag, which 7.0.15 forgets
/// when it replays deliveries.
fn told(c: &mut Connection, counted: bool) -> Vec<String> {
    let mut all = Vec::new();
    for key in ["s", "emptied", "made"] {
        let groups = c.line(&format!("XINFO GROUPS {key}"));
        let groups = groups.as_array().expect("groups").to_vec();
        let mut lines = vec![
            format!("XRANGE {key} - +"),
            format!("XINFO STREAM {key}"),
            format!("XPENDING {key} g"),
        ];
        lines.extend((0..groups.len()).map(|i| {
            let fields = groups[i].as_array().expect("a group");
            let name = fields[1].as_bytes().expect("a name");
            format!("XINFO CONSUMERS {key} {}", String::from_utf8_lossy(name))
        }));
        for line in lines {
            all.push(format!("{line}: {:?}", plain(&c.line(&line), counted)));
        }
        for group in groups {
            all.push(format!("{key}: {:?}", plain(&group, counted)));
        }
        for entry in c
            .line(&format!("XPENDING {key} g - + 100"))
            .as_array()
            .expect("a list")
        {
            let fields = entry.as_array().expect("four fields");
            // The third is how long ago.
            all.push(format!("{key}: {:?}", [&fields[0], &fields[1], &fields[3]]));
        }
    }
    all
}

/// Names and values without those that are left out.
fn plain(value: &Value, counted: bool) -> Vec<Value> {
    let left_out = |name: &Value| {
        let out: &[&[u8]] = match counted {
            true => &[b"idle", b"inactive"],
            false => &[b"idle", b"inactive", b"entries-read", b"lag"],
        };
        name.as_bytes().is_some_and(|name| out.contains(&name))
    };
    let items = value.as_array().unwrap_or_default();
    let mut kept = Vec::new();
    let mut skip = false;
    for item in items {
        let nested = item.as_array().is_some();
        match (skip, left_out(item)) {
            (true, _) => skip = false,
            (false, true) => skip = true,
            _ if nested => kept.push(Value::Array(plain(item, counted))),
            _ => kept.push(item.clone()),
        }
    }
    kept
}

fn way(options: &str, rewrite: bool, counted: bool) {
    let folder = Folder::new();
    let options = format!("--rdb-save-version 10 {options}");
    let server = Setup::cairn(&folder).with(&options).start();
    let mut c = server.connect();
    for line in LINES {
        c.line(line);
    }
    let (expected, shared) = (told(&mut c, true), told(&mut c, counted));
    let consumers = c.line("XINFO CONSUMERS s g");
    assert_eq!(consumers.as_array().map(<[Value]>::len), Some(5));
    if rewrite {
        c.good("BGREWRITEAOF");
        c.wait_for_children();
    }
    if options.contains("--appendonly no") {
        c.good("SAVE");
    }
    server.kill();
    let ours = Setup::cairn(&folder).with(&options).start();
    assert_eq!(told(&mut ours.connect(), true), expected, "ours, {options}");
    ours.kill();
    let log = options.replace("--rdb-save-version 10 ", "");
    let theirs = Setup::reference(&folder).with(&log).start();
    assert_eq!(
        told(&mut theirs.connect(), counted),
        shared,
        "7.0.15, {options}"
    );
    theirs.kill();
}

#[test]
fn a_snapshot_keeps_them() {
    way("--appendonly no", false, true);
}

#[test]
fn a_log_keeps_them() {
    way("--appendonly yes", false, false);
}

#[test]
fn a_rewrite_as_commands_keeps_them() {
    way("--appendonly yes --aof-use-rdb-preamble no", true, true);
}

#[test]
fn a_rewrite_as_snapshot_keeps_them() {
    way("--appendonly yes --aof-use-rdb-preamble yes", true, true);
}
