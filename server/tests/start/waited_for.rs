//! Lines of the log that programs which drive a server wait for: each of them is brought about.

use std::path::Path;

use crate::support::process::{children_of, send_signal};
use crate::support::{Folder, Setup, wait_until};

const MANIFEST: &str = "appendonlydir/appendonly.aof.manifest";
const INCR: &str = "appendonlydir/appendonly.aof.1.incr.aof";
const LISTED: &[u8] = b"file appendonly.aof.1.incr.aof seq 1 type i\n";

/// What a start says of these files in the data folder; it must end by itself.
fn refusal(files: &[(&str, &[u8])], options: &str) -> String {
    let folder = Folder::new();
    for (name, bytes) in files {
        let path = folder.data().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let log = folder.path("the.log");
    let ended = Setup::cairn(&folder)
        .with(&format!("{options} --logfile {}", log.display()))
        .run();
    assert_eq!(ended.status.code(), Some(1), "{files:?}: {}", ended.log);
    std::fs::read_to_string(log).unwrap()
}

fn last_line_has(log: &str, text: &str) {
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.contains(text),
        "`{text}` is not in the last line of\n{log}"
    );
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bad");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_log_that_cannot_be_read_says_so_in_the_last_line() {
    let set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
    for (bytes, options, text) in [
        (
            format!("{set}!!!!"),
            "",
            "Bad file format reading the append only file",
        ),
        (
            format!("{set}*3\r\n$3\r\nSE"),
            "--aof-load-truncated no",
            "Unexpected end of file reading the append only file",
        ),
        (
            format!("{set}*1\r\n$6\r\nMINGLE\r\n"),
            "",
            "Unknown command 'MINGLE' reading the append only file",
        ),
        (
            "*2\r\n$6\r\nSELECT\r\n$3\r\n999\r\n".into(),
            "",
            "Bad file format reading the append only file",
        ),
    ] {
        let files = [(MANIFEST, LISTED), (INCR, bytes.as_bytes())];
        let log = refusal(&files, &format!("--appendonly yes {options}"));
        last_line_has(&log, text);
        assert!(log.contains("Server initialized"), "{log}");
        assert!(log.contains("offset"), "our own line is there too: {log}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_says_why() {
    let long = [b"file ".as_slice(), &[b'a'; 1100], b" seq 1 type b\n"].concat();
    for (text, words) in [
        (&b""[..], "Found an empty AOF manifest"),
        (b"nonsense\n", "Invalid AOF manifest file format"),
        (
            b"file a.1.base.rdb seq 1 type b\nfile a.2.base.rdb seq 2 type b\n",
            "Found duplicate base file information",
        ),
        (b"file a.1.incr.aof seq 1 type x\n", "Unknown AOF file type"),
        (
            b"file a.2.incr.aof seq 2 type i\nfile a.1.incr.aof seq 1 type i\n",
            "Found a non-monotonic sequence number",
        ),
        (&long, "The AOF manifest file contains too long line"),
    ] {
        let log = refusal(&[(MANIFEST, text)], "--appendonly yes");
        assert!(log.contains(words), "`{words}` is missing in\n{log}");
    }
    // A listed file that is not there ends the start before anything is loaded.
    let log = refusal(&[(MANIFEST, LISTED)], "--appendonly yes");
    let line = log
        .lines()
        .find(|line| line.contains("appendonly.aof.1.incr.aof length"));
    assert!(
        line.is_some_and(|line| line.contains("No such file or directory")),
        "{log}"
    );
}

/// A stream without entries whose group `g` has two consumers `a`, each with the time it was seen.
const TWO_CONSUMERS: &[u8] =
    b"\0\0\0\0\x01\x01g\0\0\0\x02\x01a\x01\0\0\0\0\0\0\0\0\x01a\x01\0\0\0\0\0\0\0\0";

#[test]
fn a_snapshot_that_cannot_be_read_says_why() {
    let wrong_sum = b"REDIS0009\xfe\x00\x00\x01k\x01v\xff\x01\x02\x03\x04\x05\x06\x07\x08";
    for (name, bytes, words) in [
        ("checksum", wrong_sum.to_vec(), "CRC error"),
        (
            "listpack",
            golden("lp-bad-backlen.rdb"),
            "integrity check failed",
        ),
        ("type", golden("type-099.rdb"), "Internal error in RDB"),
        (
            "consumer",
            [
                b"REDIS0009\x0f\x01k",
                TWO_CONSUMERS,
                &[0xff, 0, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat(),
            "Duplicate stream consumer detected",
        ),
    ] {
        // Damage is found by the look through a value, or when the value is built.
        let looked = refusal(&[("dump.rdb", &bytes)], "--sanitize-dump-payload yes");
        assert!(
            looked.contains(words),
            "{name}: `{words}` is missing in\n{looked}"
        );
        let log = refusal(&[("dump.rdb", &bytes)], "");
        for text in [
            words,
            "Terminating server after rdb file reading failure.",
            "Fatal error loading",
            "dump.rdb: ",
        ] {
            assert!(log.contains(text), "{name}: `{text}` is missing in\n{log}");
        }
    }
}

#[test]
fn a_snapshot_that_loads_tells_its_keys() {
    let folder = Folder::new();
    // A list without elements, a string, and one whose time has come.
    let bytes = b"REDIS0009\xfe\x00\x01\x05empty\x00\x00\x01a\x01v\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01b\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00";
    std::fs::write(folder.data().join("dump.rdb"), bytes).unwrap();
    let server = Setup::cairn(&folder).start();
    let log = server.log();
    for text in [
        "Loading DB in memory",
        "skipping empty key: empty",
        "Done loading RDB, keys loaded: 1, keys expired: 1, empty keys skipped: 1.",
        "DB loaded from disk",
        "Ready to accept connections",
    ] {
        assert!(log.contains(text), "`{text}` is missing in\n{log}");
    }
    // DEBUG RELOAD reads a snapshot too.
    let before = log.matches("Done loading RDB").count();
    server.connect().good("DEBUG RELOAD");
    assert_eq!(server.log().matches("Done loading RDB").count(), before + 1);
}

#[test]
fn a_payload_that_is_refused_is_told_with_its_type() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    for (make, words) in [
        ("HSET k a 1 b 2", "Hash listpack integrity check failed."),
        ("ZADD k 1 a 2 b", "Zset listpack integrity check failed."),
        ("SADD k a b", "Set listpack integrity check failed."),
    ] {
        connection.good("FLUSHALL");
        connection.good(make);
        let dumped = connection.good("DUMP k");
        let mut payload = dumped.as_bytes().unwrap().to_vec();
        // The count in the listpack's head.
        let at = payload.len() - 10 - 9;
        payload[at] ^= 0x55;
        let call = [b"RESTORE".as_slice(), b"new", b"0", &payload];
        assert!(connection.call(&call).is_error(), "{make}");
        let line = format!("{words} RESTORE: ");
        assert!(
            server.log().contains(&line),
            "`{line}` is missing in\n{}",
            server.log()
        );
    }
}

#[test]
fn a_payload_that_is_refused_is_told_in_the_words_of_redis() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    for (value, words) in [
        (
            b"\x09\x02\0\xff".as_slice(),
            "Zipmap integrity check failed.",
        ),
        (b"\x09\x05\x01\x09a\0\xff", "Zipmap integrity check failed."),
        (
            b"\x0b\x08\x02\0\0\0\0\0\0\0",
            "Intset integrity check failed.",
        ),
        (
            b"\x10\x11\x11\0\0\0\x04\0\x81a\x02\x01\x01\x81a\x02\x01\x01\xff",
            "Hash listpack integrity check failed. Hash listpack with dup elements.",
        ),
        (
            &[b"\x0f".as_slice(), TWO_CONSUMERS].concat(),
            "Duplicate stream consumer detected",
        ),
    ] {
        let payload = [value, b"\x0a\0", b"no check"].concat();
        let reply = connection.call(&[b"RESTORE".as_slice(), b"new", b"0", &payload]);
        assert!(reply.is_error(), "{words}: {reply:?}");
        let line = format!("{words} RESTORE: ");
        assert!(
            server.log().contains(&line),
            "`{line}` is missing in\n{}",
            server.log()
        );
    }
}

#[test]
fn a_rewrite_is_followed_from_its_start_to_its_end() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    let mut connection = server.connect();
    connection.good("DEBUG POPULATE 1000");
    connection.good("CONFIG SET rdb-key-save-delay 10000000");
    connection.good("BGREWRITEAOF");
    let children = children_of(server.pid());
    assert_eq!(children.len(), 1);
    assert_eq!(
        connection.info("persistence")["aof_rewrite_in_progress"],
        "1"
    );
    let part = format!("temp-rewriteaof-{}.aof", children[0]);
    wait_until("the child's file", || folder.names().contains(&part));
    send_signal(children[0], libc::SIGKILL);
    server.wait_for_log("Background AOF rewrite terminated by signal 9");
    wait_until("its file goes", || !folder.names().contains(&part));
    assert_eq!(
        connection.info("persistence")["aof_last_bgrewrite_status"],
        "err"
    );
    assert_eq!(connection.info("stats")["total_forks"], "1");
    // Switched off while one runs.
    connection.good("BGREWRITEAOF");
    connection.good("CONFIG SET appendonly no");
    server.wait_for_log("Killing AOF child");
    let log = server.log();
    let ends: Vec<&str> = log.lines().rev().take(5).collect();
    assert!(
        ends.iter().any(|line| line.contains("Killing AOF child")),
        "{ends:?}"
    );
    // Switched on while a snapshot is written: the rewrite waits.
    connection.good("BGSAVE");
    connection.good("CONFIG SET appendonly yes");
    server.wait_for_log("AOF background was scheduled");
    send_signal(children_of(server.pid())[0], libc::SIGKILL);
    // The first base is not there yet: the server must not go.
    wait_until("the third rewrite", || {
        let started = "Background append only file rewriting started";
        server.log().matches(started).count() == 3
    });
    let refused = connection.line("SHUTDOWN");
    assert!(refused.is_error(), "{refused:?}");
    server.wait_for_log("Writing initial AOF, can't exit");
    connection.good("CONFIG SET appendonly no");
    server.wait_for_log("Removing the temp incr aof file");
}

#[test]
fn rewrites_that_fail_again_and_again_are_put_off() {
    let folder = Folder::new();
    let options = "--appendonly yes --auto-aof-rewrite-min-size 1 --auto-aof-rewrite-percentage 1 --rdb-key-save-delay 10000000";
    let server = Setup::cairn(&folder).with(options).start();
    let mut connection = server.connect();
    connection.good("SET k v");
    let mut killed = Vec::new();
    wait_until("the limit", || {
        for child in children_of(server.pid()) {
            if !killed.contains(&child) {
                send_signal(child, libc::SIGKILL);
                killed.push(child);
            }
        }
        server.log().contains("triggered the limit")
    });
    assert_eq!(killed.len(), 3);
}

#[test]
fn a_save_that_is_killed_is_cleaned_up() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--rdb-key-save-delay 10000000")
        .start();
    let mut connection = server.connect();
    connection.good("DEBUG POPULATE 1000");
    connection.good("BGSAVE");
    let child = children_of(server.pid())[0];
    let part = format!("temp-{child}.rdb");
    wait_until("the child's file", || folder.names().contains(&part));
    send_signal(child, libc::SIGKILL);
    wait_until("the end of the save", || {
        connection.info("persistence")["rdb_bgsave_in_progress"] == "0"
    });
    assert_eq!(
        connection.info("persistence")["rdb_last_bgsave_status"],
        "err"
    );
    assert!(!folder.names().contains(&part));
    assert!(
        server
            .log()
            .contains("Background saving terminated by signal 9")
    );
}
