//! A disk that takes nothing more. A limit on the size of files (`ulimit -f`, with its signal ignored) stands for it: it
//! needs no rights, and can be lifted while the server runs. The errors differ in their words only (EFBIG, not ENOSPC).

use cairn_format::resp::value::Value;

use crate::support::dataset::noise;
use crate::support::process::{check_with, run_program};
use crate::support::{Folder, Setup, wait_until};

/// A shell that limits files to 2 MB (in units of 512 bytes) and becomes the server.
const LIMITED: [&str; 3] = [
    "sh",
    "-c",
    "trap '' XFSZ; ulimit -S -f 4096; exec \"$0\" \"$@\"",
];

fn lift_the_limit(pid: u32) {
    let (status, text) = run_program("prlimit", &["--pid", &pid.to_string(), "--fsize=unlimited"]);
    assert!(status.success(), "prlimit: {text}");
}

fn error_of(reply: Value) -> String {
    match reply {
        Value::Error(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("an error was expected, not {other:?}"),
    }
}

#[test]
fn a_snapshot_that_fails_leaves_the_old_one_and_stops_writes() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--save 3600 1000000")
        .under(&LIMITED)
        .start();
    let mut connection = server.connect();
    connection.good("SET small 1");
    connection.good("SAVE");
    let file = folder.data().join("dump.rdb");
    let before = std::fs::read(&file).unwrap();
    connection.good_call(&[b"SET".as_slice(), b"large", &noise(1, 3 << 20)]);
    connection.good("BGSAVE");
    connection.wait_for_children();
    let info = connection.info("persistence");
    assert_eq!(info["rdb_last_bgsave_status"], "err");
    server.wait_for_log("Write error saving DB on disk");
    server.wait_for_log("Background saving error");
    assert_eq!(
        std::fs::read(&file).unwrap(),
        before,
        "the old snapshot stays"
    );
    assert_eq!(folder.names(), ["dump.rdb"], "nothing half-written stays");
    // Writes are refused, also in transactions; reads are not.
    for write in ["SET small 2", "DEL large", "LPUSH l 1", "FLUSHALL"] {
        let text = connection.error(write);
        assert!(
            text.starts_with("MISCONF Redis is configured to save RDB snapshots"),
            "{write}: {text}"
        );
    }
    connection.good("MULTI");
    assert!(connection.error("SET small 2").starts_with("MISCONF"));
    assert!(connection.error("EXEC").starts_with("EXECABORT"));
    assert_eq!(connection.text("GET small"), "1");
    assert_eq!(connection.text("PING"), "PONG", "a ping of a healthy loop");
    let save = error_of(connection.line("SAVE"));
    assert!(save.starts_with("ERR"), "{save}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // The option decides.
    connection.good("CONFIG SET stop-writes-on-bgsave-error no");
    connection.good("SET small 3");
    connection.good("CONFIG SET stop-writes-on-bgsave-error yes");
    assert!(connection.error("SET small 4").starts_with("MISCONF"));
    // With room again the next save succeeds and writes are taken.
    lift_the_limit(server.pid());
    connection.good("BGSAVE");
    connection.wait_for_children();
    assert_eq!(
        connection.info("persistence")["rdb_last_bgsave_status"],
        "ok"
    );
    connection.good("SET small 5");
    server.kill();
    assert_ne!(std::fs::read(&file).unwrap(), before);
    let server = Setup::cairn(&folder).start();
    assert_eq!(server.connect().int("STRLEN large"), 3 << 20);
}

#[test]
fn under_everysec_a_full_disk_stops_writes_until_there_is_room() {
    let folder = Folder::new();
    let options = "--appendonly yes --appendfsync everysec --auto-aof-rewrite-percentage 0";
    let server = Setup::cairn(&folder).with(options).under(&LIMITED).start();
    let mut connection = server.connect();
    let mut refused = None;
    let mut acknowledged = 0;
    for i in 0..100 {
        let key = format!("key:{i}");
        match connection.call(&[b"SET".as_slice(), key.as_bytes(), &noise(i, 100_000)]) {
            Value::Simple(_) => acknowledged = i + 1,
            reply => {
                refused = Some(error_of(reply));
                break;
            }
        }
    }
    let refused = refused.expect("10 MB do not fit into 2 MB");
    assert!(
        refused.starts_with("MISCONF Errors writing to the AOF file: "),
        "{refused}"
    );
    assert!(connection.error("SET more 1").starts_with("MISCONF"));
    assert_eq!(connection.int("STRLEN key:0"), 100_000);
    assert_eq!(
        connection.info("persistence")["aof_last_write_status"],
        "err"
    );
    let file = folder.log_file(".incr.");
    // The file ends with a whole record, so that a start would not even have to cut it.
    check_with("redis-check-aof", &file);
    lift_the_limit(server.pid());
    wait_until("writes are taken again", || {
        !connection.line("SET more 2").is_error()
    });
    assert_eq!(
        connection.info("persistence")["aof_last_write_status"],
        "ok"
    );
    server.kill();
    let server = Setup::cairn(&folder).with(options).start();
    let mut connection = server.connect();
    assert_eq!(connection.text("GET more"), "2");
    for i in 0..acknowledged {
        assert_eq!(
            connection.int(&format!("STRLEN key:{i}")),
            100_000,
            "key:{i} was acknowledged"
        );
    }
}

#[test]
fn under_always_a_full_disk_ends_the_server_before_it_acknowledges() {
    let folder = Folder::new();
    let options = "--appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0";
    let mut server = Setup::cairn(&folder).with(options).under(&LIMITED).start();
    let mut connection = server.connect();
    let mut acknowledged = 0;
    for i in 0..100 {
        let key = format!("key:{i}");
        match connection.try_call(&[b"SET".as_slice(), key.as_bytes(), &noise(i, 100_000)]) {
            Ok(Value::Simple(_)) => acknowledged = i + 1,
            Ok(reply) => panic!("key:{i}: {reply:?}"),
            Err(_) => break,
        }
    }
    assert!(
        acknowledged > 10 && acknowledged < 25,
        "{acknowledged} values of 100 kB in 2 MB"
    );
    assert_eq!(server.wait_end().code(), Some(1), "{}", server.log());
    let server = Setup::cairn(&folder).with(options).start();
    let mut connection = server.connect();
    for i in 0..acknowledged {
        assert_eq!(
            connection.int(&format!("STRLEN key:{i}")),
            100_000,
            "key:{i} was acknowledged"
        );
    }
}

#[test]
fn a_rewrite_that_fails_leaves_the_log_as_it_was() {
    let folder = Folder::new();
    let options = "--appendonly yes --auto-aof-rewrite-percentage 0";
    let server = Setup::cairn(&folder).with(options).under(&LIMITED).start();
    let mut connection = server.connect();
    for round in 0..3 {
        // Each increment has room; the base of all of them together has not.
        for i in 0..10 {
            let key = format!("key:{round}:{i}");
            connection.good_call(&[b"SET".as_slice(), key.as_bytes(), &noise(i, 100_000)]);
        }
        connection.good("BGREWRITEAOF");
        connection.wait_for_children();
    }
    assert_eq!(
        connection.info("persistence")["aof_last_bgrewrite_status"],
        "err"
    );
    server.wait_for_log("Background AOF rewrite terminated with error");
    connection.good("SET last 1");
    assert!(
        !folder.names().iter().any(|name| name.contains("temp-")),
        "{:?}",
        folder.names()
    );
    server.kill();
    let server = Setup::cairn(&folder).with(options).start();
    let mut connection = server.connect();
    assert_eq!(connection.int("DBSIZE"), 31);
    assert_eq!(connection.text("GET last"), "1");
}
