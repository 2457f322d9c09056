//! MEMORY beside the reference; MODULE and LOLWUT.

mod support;

use cairn_format::resp::value::Value;
use support::{Connection, Folder, Setup};

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// Names of a reply of names and values, those of inner ones behind their own.
fn names(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for pair in value.as_array().unwrap().chunks(2) {
        found.push(text(&pair[0]));
        if pair[1].as_array().is_some() {
            found.extend(names(&pair[1]));
        }
    }
    found
}

fn stat(c: &mut Connection, name: &str) -> f64 {
    let stats = c.call(&["MEMORY", "STATS"]);
    let pairs = stats.as_array().unwrap();
    let at = pairs.iter().position(|part| text(part) == name);
    match &pairs[at.unwrap_or_else(|| panic!("no {name}")) + 1] {
        Value::Int(number) => *number as f64,
        other => text(other).parse().unwrap(),
    }
}

#[test]
fn stats_have_the_names_and_order_of_the_reference() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let servers = [
        Setup::cairn(&ours).start(),
        Setup::reference(&theirs).start(),
    ];
    let [ours, theirs] = servers.each_ref().map(|server| {
        let mut c = server.connect();
        c.call(&["SET", "a", "1"]);
        c.call(&["SELECT", "3"]);
        c.call(&["SET", "b", "1", "EX", "1000"]);
        names(&c.call(&["MEMORY", "STATS"]))
    });
    assert_eq!(ours, theirs);
}

#[test]
fn stats_agree_with_each_other_and_with_info() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    c.call(&["DEBUG", "POPULATE", "10000", "k", "100"]);
    assert_eq!(stat(&mut c, "keys.count"), 10_000.0);
    assert!(stat(&mut c, "peak.allocated") >= stat(&mut c, "startup.allocated"));
    assert!(stat(&mut c, "peak.percentage") <= 100.0);
    let mean = stat(&mut c, "keys.bytes-per-key");
    assert!((100.0..400.0).contains(&mean), "{mean} bytes a key");
    let info = c.info("memory");
    let started = stat(&mut c, "startup.allocated");
    assert_eq!(info["used_memory_startup"], (started as u64).to_string());
    let (active, allocated) = (
        stat(&mut c, "allocator.active"),
        stat(&mut c, "allocator.allocated"),
    );
    assert!(active >= allocated);
    // 100,000 bytes of a client that reads nothing are memory of clients.
    let before = stat(&mut c, "clients.normal");
    let mut slow = server.connect();
    slow.send(b"*2\r\n$4\r\nPING\r\n$200000\r\n");
    slow.send(&vec![b'x'; 100_000]);
    support::wait_until("what came is counted", || {
        stat(&mut c, "clients.normal") >= before + 100_000.0
    });
}

#[test]
fn the_doctor_says_what_is_wrong_and_nothing_else() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    let said = |c: &mut Connection| text(&c.call(&["MEMORY", "DOCTOR"]));
    assert!(said(&mut c).contains("too little to tell"));
    c.call(&["DEBUG", "POPULATE", "100000", "k", "400"]);
    // Whoever asks has the peak noted, which timed work may not have come to.
    c.info("memory");
    c.call(&["FLUSHALL"]);
    c.call(&["DEBUG", "POPULATE", "20000", "k", "400"]);
    // The old values may still be with the thread that frees them.
    support::wait_until("the peak is noticed", || said(&mut c).contains(" * Peak: "));
    support::wait_until("the limit is noticed", || {
        let used = c.info("memory")["used_memory"].clone();
        c.call(&["CONFIG", "SET", "maxmemory", &used]);
        said(&mut c).contains(" * Limit: ")
    });
    c.call(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert!(!said(&mut c).contains(" * Limit: "));
    let report = text(&c.call(&["MEMORY", "MALLOC-STATS"]));
    assert!(
        report.contains("Begin jemalloc statistics") && report.contains("End jemalloc statistics")
    );
    assert_eq!(text(&c.call(&["MEMORY", "PURGE"])), "OK");
}

/// Pages of the allocator to what is stored in them.
fn fragmentation(c: &mut Connection) -> f64 {
    c.info("memory")["allocator_frag_ratio"].parse().unwrap()
}

#[test]
fn what_is_left_of_many_keys_moves_together() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    for size in ["100", "200", "300", "400"] {
        c.good_call(&["DEBUG", "POPULATE", "50000", size, size]);
    }
    // One key of eight stays, as the names come.
    let removed: Vec<String> = (0..50_000)
        .filter(|number| number % 8 > 0)
        .flat_map(|number| ["100", "200", "300", "400"].map(|size| format!("{size}:{number}")))
        .collect();
    for part in removed.chunks(1000) {
        let words = ["DEL"].into_iter().chain(part.iter().map(String::as_str));
        c.good_call(&words.collect::<Vec<_>>());
    }
    assert_eq!(c.int("DBSIZE"), 25_000);
    // What the allocator says is sampled by timed work.
    support::wait_until("there is something to move together", || {
        fragmentation(&mut c) > 3.0
    });
    let digest = c.text("DEBUG DIGEST");
    for setting in [
        "ignore-bytes 1mb",
        "threshold-lower 5",
        "cycle-min 50",
        "cycle-max 75",
    ] {
        c.good(&format!("CONFIG SET active-defrag-{setting}"));
    }
    c.good("CONFIG SET activedefrag yes");
    // What all else takes is in the figure, too: 3 MB or so beside 6.
    support::wait_until("the keys have moved together", || {
        fragmentation(&mut c) < 1.7
    });
    assert_eq!(c.text("DEBUG DIGEST"), digest);
    c.good("CONFIG SET activedefrag no");
    assert!(
        c.info("stats")["active_defrag_hits"]
            .parse::<u64>()
            .unwrap()
            > 10_000
    );
}

#[test]
fn under_a_small_limit_of_address_space_there_are_no_slabs() {
    let folder = Folder::new();
    let limited = ["sh", "-c", "ulimit -v 2000000; exec \"$@\"", "sh"];
    for (wrapper, expected) in [(&limited[..], false), (&[][..], true)] {
        let server = Setup::cairn(&folder).under(wrapper).start();
        let mut c = server.connect();
        c.good_call(&["DEBUG", "POPULATE", "100000", "k", "100"]);
        let report = text(&c.call(&["MEMORY", "MALLOC-STATS"]));
        assert_eq!(report.contains("Slabs of "), expected);
        let switched = c.call(&["CONFIG", "SET", "activedefrag", "yes"]);
        assert_eq!(text(&switched) == "OK", expected, "{switched:?}");
    }
}

/// What is asked of a module has the answer that the reference gives where the file is not there.
#[test]
fn modules_are_refused_as_in_the_reference() {
    let asked: &[&[&str]] = &[
        &["MODULE", "LIST"],
        &["MODULE", "LOAD", "/nothing.so", "a"],
        &["MODULE", "LOADEX", "/nothing.so", "CONFIG", "a", "b"],
        &["MODULE", "UNLOAD", "nothing"],
        &["MODULE", "UNLOAD"],
        &["MODULE", "NOTHING"],
    ];
    for allowed in ["yes", "local"] {
        let (ours, theirs) = (Folder::new(), Folder::new());
        let options = format!("--enable-module-command {allowed}");
        let servers = [
            Setup::cairn(&ours).with(&options).start(),
            Setup::reference(&theirs).with(&options).start(),
        ];
        let [mut ours, mut theirs] = servers.each_ref().map(|server| server.connect());
        for words in asked {
            assert_eq!(ours.call(words), theirs.call(words), "{words:?}");
        }
        assert!(
            servers[0]
                .log()
                .contains("Module /nothing.so failed to load")
        );
    }
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    for words in &asked[1..4] {
        let Value::Error(refused) = c.call(words) else {
            panic!("{words:?} is allowed");
        };
        assert!(refused.starts_with(b"ERR MODULE command not allowed."));
    }
}

#[test]
fn lolwut_draws_and_tells_the_version() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    for words in [
        &["LOLWUT"][..],
        &["LOLWUT", "VERSION", "5"],
        &["LOLWUT", "VERSION", "6", "3", "20"],
        &["LOLWUT", "x", "-9"],
    ] {
        let drawn = text(&c.call(words));
        assert!(
            drawn.ends_with("\n\nRedis ver. 7.2.4\n") && drawn.contains('('),
            "{words:?}: {drawn}"
        );
    }
    let few = text(&c.call(&["LOLWUT", "VERSION", "6", "3", "20"]));
    assert_eq!(few.matches('(').count(), 3, "{few}");
    let huge = text(&c.call(&["LOLWUT", "VERSION", "6", "999999", "9223372036854775807"]));
    assert!(huge.len() < 20_000, "{} bytes", huge.len());
}
