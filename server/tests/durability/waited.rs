//! WAITAOF answers 1 for the local log only when what the client wrote is on the disk.

use std::time::{Duration, Instant};

use cairn_format::resp::value::Value;

use crate::support::{Connection, Folder, Setup, wait_until};

fn pair(local: i64) -> Value {
    Value::Array(vec![Value::Int(local), Value::Int(0)])
}

/// A write and what WAITAOF says right behind it, in one go.
fn write_and_wait(connection: &mut Connection, wait: &str) -> Value {
    connection.send(b"SET k v\r\n");
    connection.send(format!("{wait}\r\n").as_bytes());
    assert_eq!(connection.read(), Value::Simple(b"OK".to_vec()));
    connection.read()
}

#[test]
fn each_policy_says_what_it_knows() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --appendfsync always")
        .start();
    let mut connection = server.connect();
    // Nothing was written: nothing has to be waited for.
    assert_eq!(connection.line("WAITAOF 1 0 0"), pair(1));
    assert_eq!(write_and_wait(&mut connection, "WAITAOF 1 0 0"), pair(1));
    connection.good("CONFIG SET appendfsync everysec");
    let begun = Instant::now();
    assert_eq!(write_and_wait(&mut connection, "WAITAOF 1 0 0"), pair(1));
    assert!(begun.elapsed() < Duration::from_secs(20));
    // Once it is there, it is there at once for those who wrote before.
    assert_eq!(connection.line("WAITAOF 1 0 0"), pair(1));
    connection.good("CONFIG SET appendfsync no");
    assert_eq!(write_and_wait(&mut connection, "WAITAOF 1 0 100"), pair(0));
    // Whoever wrote nothing has lost nothing.
    assert_eq!(server.connect().line("WAITAOF 1 0 100"), pair(1));
    // Inside a transaction nobody waits.
    connection.good("MULTI");
    connection.good("SET k w");
    connection.good("WAITAOF 1 0 0");
    let replies = connection.good("EXEC");
    assert_eq!(replies.as_array().unwrap()[1], pair(0));
    // There are no replicas to wait for, only the time.
    let begun = Instant::now();
    assert_eq!(connection.line("WAITAOF 0 1 50"), pair(0));
    // Deadlines are whole milliseconds of a clock that was read a little before.
    assert!(begun.elapsed() >= Duration::from_millis(49));
}

#[test]
fn a_log_without_its_base_is_no_log_yet() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("SET early v");
    assert_eq!(
        connection.error("WAITAOF 1 0 0"),
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
    );
    // The first base takes a while.
    connection.good("CONFIG SET rdb-key-save-delay 500000");
    connection.good("CONFIG SET appendonly yes");
    assert_eq!(connection.line("WAITAOF 1 0 20"), pair(0));
    assert_eq!(connection.line("WAITAOF 1 0 0"), pair(1));
    assert_eq!(
        connection.info("persistence")["aof_rewrite_in_progress"],
        "0"
    );
}

#[test]
fn a_wait_ends_with_the_log_and_by_client_unblock() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --appendfsync no")
        .start();
    let (mut waiting, mut other) = (server.connect(), server.connect());
    let id = waiting.int("CLIENT ID");
    let begin = |other: &mut Connection, waiting: &mut Connection| {
        waiting.good("SET k v");
        waiting.send(b"WAITAOF 1 0 0\r\n");
        wait_until("the client waits", || {
            other.info("clients")["blocked_clients"] == "1"
        });
    };
    begin(&mut other, &mut waiting);
    assert_eq!(other.int(&format!("CLIENT UNBLOCK {id}")), 1);
    assert_eq!(waiting.read(), pair(0));
    begin(&mut other, &mut waiting);
    assert_eq!(other.int(&format!("CLIENT UNBLOCK {id} ERROR")), 1);
    assert!(waiting.read().is_error());
    begin(&mut other, &mut waiting);
    other.good("CONFIG SET appendonly no");
    let off = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    assert_eq!(waiting.read(), Value::Error(off.into()));
    // A rewrite puts on the disk what the policy leaves to the system.
    other.good("CONFIG SET appendonly yes");
    assert_eq!(waiting.line("WAITAOF 1 0 0"), pair(1));
    begin(&mut other, &mut waiting);
    other.good("BGREWRITEAOF");
    assert_eq!(waiting.read(), pair(1));
}

#[test]
fn a_mark_holds_through_a_log_that_goes_off_and_on_and_is_loaded() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --appendfsync no")
        .start();
    let (mut before, mut between, mut other) =
        (server.connect(), server.connect(), server.connect());
    before.good("SET a v");
    other.good("CONFIG SET appendonly no");
    between.good("SET b v");
    other.good("CONFIG SET appendonly yes");
    for connection in [&mut before, &mut between] {
        assert_eq!(connection.line("WAITAOF 1 0 0"), pair(1));
    }
    // What comes now is behind all that, and nobody syncs it.
    assert_eq!(write_and_wait(&mut before, "WAITAOF 1 0 100"), pair(0));
    assert_eq!(between.line("WAITAOF 1 0 0"), pair(1));
    // The log is synced before it is read.
    other.good("DEBUG LOADAOF");
    assert_eq!(before.line("WAITAOF 1 0 100"), pair(1));
    assert_eq!(write_and_wait(&mut before, "WAITAOF 1 0 100"), pair(0));
}
