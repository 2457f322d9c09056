//! Ages and frequencies of keys outlive a restart, and a load tells what it left out.

mod support;

use support::{Connection, Folder, Setup};

fn server(folder: &Folder, options: &str) -> (support::process::Server, Connection) {
    let server = Setup::cairn(folder).with(options).start();
    let connection = server.connect();
    (server, connection)
}

#[test]
fn what_is_loaded_at_start_is_not_older_than_it_was() {
    for (policy, look, given, old, new) in [
        ("allkeys-lru", "IDLETIME", "IDLETIME", 5000, 0),
        ("allkeys-lfu", "FREQ", "FREQ", 77, 5),
        ("noeviction", "IDLETIME", "IDLETIME", 0, 0),
    ] {
        for log in ["--appendonly no", "--appendonly yes"] {
            let folder = Folder::new();
            let options = format!("--maxmemory 1gb --maxmemory-policy {policy} {log}");
            let (first, mut c) = server(&folder, &options);
            c.good("SET new v");
            c.good("SET source v");
            let given_number = old.to_string();
            let dumped = c.call(&["DUMP", "source"]);
            let payload = dumped.as_bytes().expect("a payload");
            c.good_call(&[
                b"RESTORE".as_slice(),
                b"old",
                b"0",
                payload,
                given.as_bytes(),
                given_number.as_bytes(),
            ]);
            if log.ends_with("yes") {
                c.good("BGREWRITEAOF");
                c.wait_for_children();
            } else {
                c.good("SAVE");
            }
            first.stop();
            let (_second, mut c) = server(&folder, &options);
            for (key, expected) in [("old", old), ("new", new)] {
                let found = c.int(&format!("OBJECT {look} {key}"));
                // A slow start takes some seconds, and a frequency falls by one a minute.
                let close = match look {
                    "FREQ" => (expected - 2..=expected).contains(&found),
                    _ => (expected..expected + 60).contains(&found),
                };
                assert!(close, "{policy} {log}: {look} of {key} is {found}");
            }
        }
    }
}

#[test]
fn a_policy_that_counts_begins_with_the_keys_that_are_there() {
    let folder = Folder::new();
    let (_server, mut c) = server(&folder, "--maxmemory 1gb");
    c.good("SET foo v");
    c.good("CONFIG SET maxmemory-policy allkeys-lfu");
    assert_eq!(c.int("OBJECT FREQ foo"), 5);
}

#[test]
fn info_tells_what_a_load_brought_and_left_out() {
    let folder = Folder::new();
    let (first, mut c) = server(&folder, "--enable-debug-command yes");
    c.good("DEBUG SET-ACTIVE-EXPIRE 0");
    for line in [
        "SET a 1",
        "SET b 1",
        "SET c 1 PX 1",
        "SET d 1 PX 1",
        "SET e 1 PX 1",
    ] {
        c.good(line);
    }
    std::thread::sleep(std::time::Duration::from_millis(5));
    c.good("SAVE");
    first.stop();
    let (_second, mut c) = server(&folder, "--enable-debug-command yes");
    let loaded = |c: &mut Connection| {
        let info = c.info("persistence");
        ["rdb_last_load_keys_loaded", "rdb_last_load_keys_expired"].map(|name| info[name].clone())
    };
    assert_eq!(loaded(&mut c), ["2", "3"]);
    assert_eq!(c.int("DBSIZE"), 2);
    c.good("DEBUG RELOAD");
    assert_eq!(loaded(&mut c), ["2", "0"]);
}
