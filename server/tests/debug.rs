//! DEBUG over a socket: what its subcommands do to the server and to values.

mod support;

use support::process::{children_of, send_signal};
use support::{Connection, Folder, Setup, wait_until};

fn field(connection: &mut Connection, key: &str, name: &str) -> String {
    let text = connection.text(&format!("DEBUG OBJECT {key}"));
    let words = text.split(' ');
    let mut values = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
    values
        .next()
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .to_string()
}

#[test]
fn large_elements_have_nodes_of_their_own_as_in_the_reference() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let ours = Setup::cairn(&ours).start();
    let theirs = Setup::reference(&theirs).start();
    let mut nodes = Vec::new();
    for server in [&ours, &theirs] {
        let mut connection = server.connect();
        connection.good("CONFIG SET list-max-listpack-size 2");
        connection.good("DEBUG QUICKLIST-PACKED-THRESHOLD 3b");
        // What CONFIG SET does to other limits leaves the threshold alone.
        connection.good("CONFIG SET list-max-listpack-size 3");
        connection.good("RPUSH k aaaa b cccc d e f gggg");
        connection.good("LINSERT k BEFORE e hhhh");
        connection.good("LSET k 1 iiii");
        connection.good("LPUSH k j");
        let seen = field(&mut connection, "k", "ql_nodes");
        connection.good("DEBUG RELOAD");
        let reloaded = field(&mut connection, "k", "ql_nodes");
        assert_eq!(
            connection.text("DEBUG QUICKLIST k"),
            "Quicklist structure printed on stdout"
        );
        connection.good("DEBUG QUICKLIST-PACKED-THRESHOLD 0");
        connection.good("RPUSH k llll");
        let default = field(&mut connection, "k", "ql_nodes");
        let elements = connection.good("LRANGE k 0 -1");
        nodes.push((seen, reloaded, default, elements));
        for wrong in ["x", "5gb", "-1"] {
            let error = connection.error(&format!("DEBUG QUICKLIST-PACKED-THRESHOLD {wrong}"));
            assert_eq!(
                error,
                "ERR argument must be a memory value bigger than 1 and smaller than 4gb"
            );
        }
    }
    assert_eq!(nodes[0], nodes[1]);
}

#[test]
fn loadaof_brings_back_what_is_in_the_log() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    let mut connection = server.connect();
    connection.good("SELECT 3");
    connection.good("SET k v PX 10000000");
    connection.good("RPUSH l a b c");
    let sum = connection.text("DEBUG DIGEST");
    // Not in the log: DEBUG POPULATE propagates nothing.
    connection.good("DEBUG POPULATE 5");
    assert_eq!(connection.int("DBSIZE"), 7);
    assert_eq!(connection.text("DEBUG LOADAOF"), "OK");
    assert_eq!(connection.int("DBSIZE"), 2);
    assert_eq!(connection.text("DEBUG DIGEST"), sum);
    // The log goes on from there, and the next load finds all of it.
    connection.good("SET after 1");
    connection.good("DEBUG LOADAOF");
    assert_eq!(connection.text("GET after"), "1");
    assert!(
        server
            .log()
            .contains("Append Only File loaded by DEBUG LOADAOF")
    );
}

#[test]
fn a_log_that_is_off_is_made_by_bgrewriteaof_and_loaded_by_loadaof() {
    for preamble in ["yes", "no"] {
        let folder = Folder::new();
        let options = format!("--aof-use-rdb-preamble {preamble} --aof-timestamp-enabled yes");
        let server = Setup::cairn(&folder).with(&options).start();
        let mut connection = server.connect();
        let none = connection.error("DEBUG LOADAOF");
        assert!(none.contains("no append only file"), "{none}");
        for round in 1..=2 {
            connection.good("FLUSHALL");
            connection.good(&format!("SET round {round} PX 10000000"));
            connection.good("RPUSH l a b c");
            let sum = connection.text("DEBUG DIGEST");
            connection.good("BGREWRITEAOF");
            connection.wait_for_children();
            connection.good("SET later 1");
            assert_eq!(connection.text("DEBUG LOADAOF"), "OK");
            assert_eq!(connection.text("DEBUG DIGEST"), sum, "round {round}");
            // One base, no increment, and nothing left of the round before.
            let ending = if preamble == "yes" { "rdb" } else { "aof" };
            let base = format!("appendonlydir/appendonly.aof.{round}.base.{ending}");
            let manifest = "appendonlydir/appendonly.aof.manifest".to_string();
            assert_eq!(folder.names(), [base.clone(), manifest]);
            let bytes = std::fs::read(folder.data().join(base)).unwrap();
            assert_eq!(bytes.starts_with(b"#TS:"), preamble == "no");
        }
        // Nothing is fed to the log that is still off, and switching it on begins a new one.
        connection.good("SET last 1");
        connection.good("CONFIG SET appendonly yes");
        connection.wait_for_children();
        server.kill();
        let server = Setup::cairn(&folder).with("--appendonly yes").start();
        assert_eq!(server.connect().text("GET last"), "1");
    }
}

/// What changes before the fork of the first rewrite is in its base, and must not be in the increment as well.
#[test]
fn what_changes_before_the_first_base_is_in_the_log_once() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("DEBUG POPULATE 1000");
    connection.good("CONFIG SET rdb-key-save-delay 10000000");
    // Another child is at work, so the first rewrite has to wait.
    connection.good("BGSAVE");
    connection.good("CONFIG SET appendonly yes");
    assert_eq!(connection.info("persistence")["aof_enabled"], "1");
    connection.good("INCR n");
    let begun = |count: usize| {
        wait_until("another rewrite", || {
            let started = "Background append only file rewriting started";
            server.log().matches(started).count() == count
        });
        children_of(server.pid())[0]
    };
    send_signal(children_of(server.pid())[0], libc::SIGKILL);
    let first = begun(1);
    connection.good("INCR n");
    // It fails, and the second one begins again.
    connection.good("CONFIG SET rdb-key-save-delay 0");
    send_signal(first, libc::SIGKILL);
    wait_until("the first base", || {
        server
            .log()
            .contains("Background AOF rewrite finished successfully")
    });
    assert!(
        server
            .log()
            .contains("Removing the temp incr aof file temp-appendonly.aof.incr")
    );
    connection.good("INCR n");
    server.kill();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    assert_eq!(server.connect().text("GET n"), "3");
}

/// A rewrite that began before the log was switched on lacks what changed in between.
#[test]
fn a_log_switched_on_during_a_rewrite_begins_with_a_base_of_its_own() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("DEBUG POPULATE 1000");
    connection.good("CONFIG SET rdb-key-save-delay 10000000");
    connection.good("BGREWRITEAOF");
    connection.good("SET between 1");
    connection.good("CONFIG SET rdb-key-save-delay 0");
    connection.good("CONFIG SET appendonly yes");
    connection.wait_for_children();
    assert!(
        server.log().contains("Killing AOF child"),
        "{}",
        server.log()
    );
    server.kill();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    let mut connection = server.connect();
    assert_eq!(connection.int("DBSIZE"), 1001);
    assert_eq!(connection.text("GET between"), "1");
}

#[test]
fn checksums_can_be_skipped() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("SET k hello");
    let dumped = connection.good("DUMP k");
    let mut payload = dumped.as_bytes().unwrap().to_vec();
    *payload.last_mut().unwrap() ^= 1;
    let restore = |connection: &mut Connection| {
        connection.call(&[b"RESTORE".as_slice(), b"new", b"0", &payload, b"REPLACE"])
    };
    assert!(restore(&mut connection).is_error());
    connection.good("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    assert!(!restore(&mut connection).is_error());
    assert_eq!(connection.text("GET new"), "hello");
    connection.good("DEBUG SET-SKIP-CHECKSUM-VALIDATION 0");
    assert!(restore(&mut connection).is_error());
}

#[test]
fn tables_and_allocator_tell_their_figures() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    assert!(
        connection
            .text("DEBUG HTSTATS 0")
            .contains("No stats available for empty dictionaries")
    );
    connection.good("DEBUG POPULATE 1000");
    connection.good("EXPIRE key:1 1000");
    let full = connection.text("DEBUG HTSTATS 0 full");
    assert!(full.contains(" number of elements: 1000\n"), "{full}");
    assert!(
        full.contains("[Expires HT]\n") && full.contains(" number of elements: 1\n"),
        "{full}"
    );
    for (key, fill) in [("h", "HSET h"), ("s", "SADD s"), ("z", "ZADD z")] {
        for i in 0..600 {
            let value = if key == "h" { "v" } else { "" };
            let line = match key {
                "z" => format!("{fill} {i} m{i}"),
                _ => format!("{fill} m{i} {value}"),
            };
            connection.good(line.trim_end());
        }
        let figures = connection.text(&format!("DEBUG HTSTATS-KEY {key}"));
        assert!(
            figures.contains(" number of elements: 600\n"),
            "{key}: {figures}"
        );
    }
    assert_eq!(
        connection.error("DEBUG HTSTATS-KEY key:1"),
        "ERR The value stored at the specified key is not represented using an hash table"
    );
    assert_eq!(
        connection.error("DEBUG HTSTATS 99"),
        "ERR Out of range database"
    );
    assert!(connection.int("DEBUG MALLCTL stats.allocated") > 1000);
    assert_eq!(connection.int("DEBUG MALLCTL arenas.page"), 4096);
    assert!(
        connection
            .text("DEBUG MALLCTL-STR version")
            .starts_with("5.")
    );
    assert_eq!(
        connection.error("DEBUG MALLCTL no.such"),
        "ERR No such file or directory"
    );
    assert_eq!(
        connection.error("DEBUG MALLCTL arena.0.extent_hooks 1"),
        "ERR Operation not permitted"
    );
    assert_eq!(
        connection.error("DEBUG MALLCTL-STR stats.allocated"),
        "ERR No such file or directory"
    );
    // Asked of 7.0.15.
    connection.good("DEBUG MALLCTL-STR thread.tcache.flush VOID");
    assert!(
        connection
            .error("DEBUG MALLCTL-STR no.such VOID")
            .starts_with("ERR No such file")
    );
    assert!(
        connection
            .text("DEBUG MALLCTL-STR version VOID")
            .starts_with("5.")
    );
    assert_eq!(
        connection.text("DEBUG STRINGMATCH-TEST"),
        "Apparently Redis did not crash: test passed"
    );
}

#[test]
fn reply_buffers_are_kept_or_given_back_as_asked() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    for line in [
        "DEBUG REPLYBUFFER PEAK-RESET-TIME 100",
        "DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER",
        "DEBUG REPLYBUFFER PEAK-RESET-TIME RESET",
        "DEBUG REPLYBUFFER RESIZING 0",
        "DEBUG REPLYBUFFER RESIZING 1",
    ] {
        connection.good(line);
    }
    assert_eq!(
        connection.error("DEBUG REPLYBUFFER PEAK-RESET-TIME a"),
        "ERR value is not an integer or out of range"
    );
    assert_eq!(
        connection.error("DEBUG REPLYBUFFER FOO 1"),
        "ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP."
    );
    // A client with a large reply behind it keeps its buffer for as long as nothing is given back.
    connection.good("DEBUG REPLYBUFFER RESIZING 0");
    connection.good("RPUSH l a");
    for _ in 0..200 {
        connection.good("RPUSH l aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    let mut idle = server.connect();
    let id = idle.int("CLIENT ID");
    idle.good("LRANGE l 0 -1");
    let figure = |connection: &mut Connection, name: &str| -> usize {
        let line = connection.text(&format!("CLIENT LIST ID {id}"));
        let mut words = line.split(' ').filter_map(|word| word.strip_prefix(name));
        words.next().expect(name).parse().expect("a number")
    };
    let resized = |connection: &mut Connection| {
        let told = connection.text("INFO stats");
        ["reply_buffer_expands:", "reply_buffer_shrinks:"].map(|name| {
            let mut lines = told.lines().filter_map(|line| line.strip_prefix(name));
            lines.next().expect(name).parse::<u64>().expect("a number")
        })
    };
    std::thread::sleep(std::time::Duration::from_millis(3500));
    assert!(figure(&mut connection, "rbs=") > 8000);
    assert!(figure(&mut connection, "rbp=") > 8000);
    assert_eq!(resized(&mut connection), [0, 0], "nobody looked");
    connection.good("DEBUG REPLYBUFFER RESIZING 1");
    support::wait_until("the buffer is given back", || {
        figure(&mut connection, "rbs=") == 0
    });
    assert_eq!(figure(&mut connection, "rbp="), 0);
    let [expands, shrinks] = resized(&mut connection);
    assert!(expands >= 1 && shrinks >= 1, "{expands} and {shrinks}");
    // One of many replies has room for them, until these are forgotten.
    connection.good("DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER");
    idle.good("LRANGE l 0 -1");
    assert!(figure(&mut connection, "rbp=") > 8000);
    connection.good("DEBUG REPLYBUFFER PEAK-RESET-TIME 100");
    support::wait_until("it is forgotten", || {
        figure(&mut connection, "rbs=") == 0 && resized(&mut connection)[1] > shrinks
    });
    connection.good("DEBUG REPLYBUFFER RESIZING 0");
    connection.good("CONFIG RESETSTAT");
    assert_eq!(resized(&mut connection), [0, 0]);
}
