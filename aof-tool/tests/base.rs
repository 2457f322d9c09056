//! `aof-tool fix` of logs whose snapshot is damaged, as base or in front of the commands: a living server judges what is left.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::RealServer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tool::run;

/// Keys of the base, of each of three types.
const KEYS: usize = 2000;
const PARTS: &str = "appendonlydir";
const BASE: &str = "appendonlydir/appendonly.aof.2.base.rdb";

/// A server over `folder` with a log.
fn server(folder: &Path) -> RealServer {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    RealServer::start(folder, &options)
}

/// The data folder of a server that has rewritten its log and gone on.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let mut commands = String::new();
    for i in 0..KEYS {
        commands += &tool::command(&format!("SET user:{i} value-of-user-{i}"));
        commands += &tool::command(&format!("HSET item:{i} name item-{i} price {i}"));
        commands += &tool::command(&format!("RPUSH list:{i} a b {i}"));
    }
    server.send(commands.as_bytes());
    server.ask("BGREWRITEAOF");
    let is_done = || {
        server
            .ask("INFO persistence")
            .contains("aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
    };
    while !is_done() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.ask("SET behind yes");
    drop(server);
    assert!(folder.path().join(BASE).is_file());
    folder
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join(PARTS)).unwrap();
    for file in fs::read_dir(from.join(PARTS)).unwrap().flatten() {
        fs::copy(file.path(), to.path().join(PARTS).join(file.file_name())).unwrap();
    }
    to
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Keys that a server has which starts over this folder, each with the value that was written.
fn keys_loaded(folder: &Path) -> usize {
    let server = server(folder);
    assert!(server.ask("GET behind").contains("yes"));
    let is_whole = "local n = 0 for _, key in ipairs(redis.call('keys', '*')) do \
        local kind, i = key:match('^(%a+):(%d+)$') \
        local is = { user = function() return redis.call('get', key) == 'value-of-user-' .. i end, \
          item = function() return table.concat(redis.call('hgetall', key), ' ') == 'name item-' .. i .. ' price ' .. i end, \
          list = function() return table.concat(redis.call('lrange', key, 0, -1), ' ') == 'a b ' .. i end } \
        if kind then assert(is[kind](), key) n = n + 1 end end return n";
    let reply = server.ask(&format!("EVAL \"{is_whole}\" 0"));
    let count = reply.lines().next().and_then(|line| line.strip_prefix(':'));
    count.unwrap_or_else(|| panic!("{reply}")).parse().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Mends the log after this damage; gives how many keys a server then has.
fn mended(written: &Path, damage: impl Fn(&mut Vec<u8>)) -> usize {
    let folder = copy(written);
    let (base, parts) = (folder.path().join(BASE), folder.path().join(PARTS));
    let mut bytes = fs::read(&base).unwrap();
    damage(&mut bytes);
    fs::write(&base, &bytes).unwrap();
    let before = files(&parts);
    let dry = run(&["fix", "--dry-run", text(&parts)]);
    assert_eq!(dry.code, 1, "{dry:?}");
    assert_eq!(files(&parts), before, "a dry run changes nothing");
    let fixed = run(&["fix", "--json", text(&parts)]);
    assert_eq!(fixed.code, 1, "{fixed:?}");
    let first: Value = serde_json::from_str(fixed.stdout.lines().next().unwrap()).unwrap();
    let kept = first["snapshot"]["keys"].as_u64().unwrap();
    assert!(dry.stdout.contains("snapshot: "), "{dry:?}");
    let mut backup = base.clone().into_os_string();
    backup.push(".bak");
    assert_eq!(fs::read(backup).unwrap(), bytes, "the base as it was");
    let again = run(&["fix", text(&parts)]);
    assert_eq!(again.code, 0, "{again:?}");
    let loaded = keys_loaded(folder.path());
    assert_eq!(loaded as u64, kept, "as many as the report says");
    loaded
}

#[test]
fn a_damaged_base_keeps_what_can_be_read_and_a_server_loads_it() {
    let written = written();
    let path = written.path();
    let all = 3 * KEYS;
    assert_eq!(
        mended(path, |bytes| bytes[20_000] ^= 0x40),
        all,
        "put right"
    );
    let zeroed = mended(path, |bytes| bytes[20_000..24_096].fill(0));
    assert!(zeroed > all - 300 && zeroed < all, "{zeroed}");
    let cut = mended(path, |bytes| bytes.truncate(bytes.len() * 3 / 4));
    assert!(cut > all / 2 && cut < all, "{cut}");
    let tail = mended(path, |bytes| {
        let len = bytes.len();
        bytes[len - 2000..].fill(0);
    });
    assert!(tail > all - 200 && tail < all, "{tail}");
    for lost in [5, 9, 100] {
        let head = mended(path, |bytes| bytes[..lost].fill(b'?'));
        assert!(head > all - 100, "{head}");
    }
    let spliced = mended(path, |bytes| drop(bytes.drain(30_000..31_000)));
    assert!(spliced > all - 200 && spliced < all, "{spliced}");
}

/// One file, a snapshot with commands behind it: those are kept, also where the end of the snapshot is lost.
#[test]
fn a_damaged_snapshot_in_front_keeps_the_commands_behind_it() {
    let written = written();
    let base = fs::read(written.path().join(BASE)).unwrap();
    let end = base.len();
    let commands = tool::log(&[
        "SELECT 0",
        "SET behind yes",
        "SET user:0 value-of-user-0",
        "INCR n",
    ]);
    let whole = [&base[..], commands.as_bytes()].concat();
    for (name, range, least) in [
        ("middle", 20_000..24_096, 3 * KEYS - 300),
        ("end", end - 500..end, 3 * KEYS - 100),
        ("end and more", end - 500..end + 10, 3 * KEYS - 100),
    ] {
        let mut bytes = whole.clone();
        bytes[range].fill(0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appendonly.aof");
        fs::write(&path, &bytes).unwrap();
        let fixed = run(&["fix", text(&path)]);
        assert_eq!(fixed.code, 1, "{name}: {fixed:?}");
        assert!(
            fixed.stdout.contains("commands follow as they were") || name == "end and more",
            "{fixed:?}"
        );
        assert_eq!(run(&["check", text(&path)]).code, 0, "{name}");
        if name == "end and more" {
            // The SELECT is lost, so nobody knows the database of what follows.
            assert!(!fixed.stdout.contains("commands follow"), "{fixed:?}");
            continue;
        }
        assert!(fixed.stdout.contains("4 commands kept"), "{fixed:?}");
        let keys = keys_loaded(folder.path());
        assert!(keys >= least && keys < 3 * KEYS, "{name}: {keys}");
    }
}

/// Nothing of it can be read: the log stays as it is, and so do its other files.
#[test]
fn a_base_of_which_nothing_is_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str| folder.path().join(name);
    fs::write(
        part("a.manifest"),
        "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n",
    )
    .unwrap();
    fs::write(part("a.1.base.rdb"), vec![0; 5000]).unwrap();
    fs::write(part("a.1.incr.aof"), "*2\r\n$3\r\nDEL").unwrap();
    let before = files(folder.path());
    let refused = run(&["fix", text(folder.path())]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("nothing in it can be read as a record"),
        "{refused:?}"
    );
    assert!(
        refused
            .stderr
            .contains("nothing was changed in any file of the log"),
        "{refused:?}"
    );
    assert_eq!(files(folder.path()), before);
}
