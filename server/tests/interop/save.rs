//! What ours saves loads in 7.0.15, with equal values, expiry times and digest, and its checkers find it good.

use crate::support::dataset::{Holdings, assert_same, digest, fill_and_check, holdings};
use crate::support::process::{check_with, send_signal};
use crate::support::{Connection, Folder, Setup, wait_until};
use cairn_format::resp::value::Value;

/// Kills ours, starts the reference in the same folder with `options`, and compares.
fn reference_holds(folder: &Folder, options: &str, expected: &Holdings, sum: &str) {
    let server = Setup::reference(folder).with(options).start();
    let mut connection = server.connect();
    assert_same(expected, &holdings(&mut connection));
    assert_eq!(digest(&mut connection), sum);
    server.stop();
}

fn snapshot_loads(options: &str, command: &str) {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--rdb-save-version 10")
        .with(options)
        .start();
    let mut connection = server.connect();
    fill_and_check(&mut connection);
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    connection.good(command);
    connection.wait_for_children();
    assert_eq!(
        connection.info("persistence")["rdb_last_bgsave_status"],
        "ok"
    );
    server.kill();
    assert_eq!(folder.names(), ["dump.rdb"]);
    let file = folder.data().join("dump.rdb");
    assert_eq!(&std::fs::read(&file).unwrap()[..9], b"REDIS0010");
    check_with("redis-check-rdb", &file);
    reference_holds(&folder, "", &expected, &sum);
    // Ours reads its own file just the same.
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    assert_same(&expected, &holdings(&mut connection));
    assert_eq!(digest(&mut connection), sum);
    server.stop();
}

#[test]
fn a_snapshot_of_every_encoding_loads_in_the_reference() {
    snapshot_loads("", "BGSAVE");
}

#[test]
fn a_snapshot_without_compression_and_checksum_loads_in_the_reference() {
    snapshot_loads("--rdbcompression no --rdbchecksum no", "SAVE");
}

#[test]
fn the_snapshot_of_a_shutdown_loads_in_the_reference() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .only("--enable-debug-command yes --rdb-save-version redis-7.0")
        .start();
    let mut connection = server.connect();
    fill_and_check(&mut connection);
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    server.stop();
    check_with("redis-check-rdb", &folder.data().join("dump.rdb"));
    reference_holds(&folder, "", &expected, &sum);
}

/// More commands after the data set, on their own and in transactions, in several databases.
fn go_on(connection: &mut Connection, round: usize) {
    connection.good("SELECT 0");
    connection.good(&format!("SET plain:{round} {round}"));
    connection.good("MULTI");
    connection.good(&format!("RPUSH queue:{round} a b c"));
    connection.good("SELECT 7");
    connection.good(&format!("HSET h:{round} f v g 1"));
    connection.good(&format!("SET soon:{round} v PXAT 4102444800123"));
    connection.good("SELECT 0");
    connection.good("LPOP list:mixed");
    connection.good("EXEC");
    connection.good("MULTI");
    connection.good("INCR counter");
    connection.good("EXEC");
    connection.good(&format!("ZADD zset:listpack {round} member:{round}"));
    connection.good("SPOP set:table 2");
    connection.good("DEL int:0");
    connection.good("EXPIRE raw:45 100000000");
    connection.good("GETEX embstr PERSIST");
}

/// Makes a log folder with the given form of base and several increments, and lets the reference load it.
fn log_loads(options: &str, base: &str) {
    let folder = Folder::new();
    let log = format!("--appendonly yes --rdb-save-version 10 {options}");
    let server = Setup::cairn(&folder).with(&log).start();
    let mut connection = server.connect();
    fill_and_check(&mut connection);
    go_on(&mut connection, 0);
    connection.good("BGREWRITEAOF");
    connection.wait_for_children();
    assert_eq!(
        connection.info("persistence")["aof_last_bgrewrite_status"],
        "ok"
    );
    go_on(&mut connection, 1);
    // A rewrite that is killed leaves its increment in the list: now there are two.
    connection.good("CONFIG SET rdb-key-save-delay 10000");
    connection.good("BGREWRITEAOF");
    let child = crate::support::process::children_of(server.pid());
    assert_eq!(child.len(), 1, "the child of the rewrite");
    go_on(&mut connection, 2);
    send_signal(child[0], libc::SIGKILL);
    connection.wait_for_children();
    connection.good("CONFIG SET rdb-key-save-delay 0");
    go_on(&mut connection, 3);
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    server.kill();
    assert!(
        folder.log_file(".base.").to_str().unwrap().ends_with(base),
        "{:?}",
        folder.names()
    );
    wait_until("two increments", || {
        folder
            .names()
            .iter()
            .filter(|name| name.contains(".incr."))
            .count()
            == 2
    });
    check_with(
        "redis-check-aof",
        &folder.data().join("appendonlydir/appendonly.aof.manifest"),
    );
    // Ours first: it only reads, since nothing is torn.
    let server = Setup::cairn(&folder).with(&log).start();
    let mut connection = server.connect();
    assert_same(&expected, &holdings(&mut connection));
    assert_eq!(digest(&mut connection), sum);
    server.kill();
    reference_holds(&folder, "--appendonly yes", &expected, &sum);
}

#[test]
fn a_log_with_a_snapshot_as_base_loads_in_the_reference() {
    log_loads("", ".base.rdb");
}

#[test]
fn a_log_with_commands_as_base_loads_in_the_reference() {
    log_loads("--aof-use-rdb-preamble no", ".base.aof");
}

#[test]
fn a_log_with_timestamps_loads_in_the_reference() {
    log_loads(
        "--aof-timestamp-enabled yes --aof-use-rdb-preamble no",
        ".base.aof",
    );
}

#[test]
fn a_log_of_one_life_without_rewrite_loads_in_the_reference() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --rdb-save-version 10")
        .start();
    let mut connection = server.connect();
    fill_and_check(&mut connection);
    go_on(&mut connection, 0);
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    server.stop();
    check_with(
        "redis-check-aof",
        &folder.data().join("appendonlydir/appendonly.aof.manifest"),
    );
    reference_holds(&folder, "--appendonly yes", &expected, &sum);
}

#[test]
fn a_log_that_was_switched_on_later_loads_in_the_reference() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--rdb-save-version 10").start();
    let mut connection = server.connect();
    fill_and_check(&mut connection);
    connection.good("CONFIG SET appendonly yes");
    go_on(&mut connection, 0);
    connection.wait_for_children();
    go_on(&mut connection, 1);
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    server.kill();
    check_with(
        "redis-check-aof",
        &folder.data().join("appendonlydir/appendonly.aof.manifest"),
    );
    reference_holds(&folder, "--appendonly yes", &expected, &sum);
}

/// A child that began between the commands of a transaction would hold half of it, and the log the other half twice.
#[test]
fn a_child_that_a_transaction_asks_for_begins_behind_it() {
    let on = "--appendonly yes --appendfsync always";
    for (options, command, told) in [
        (on, "BGSAVE", "Background saving scheduled"),
        (
            on,
            "BGREWRITEAOF",
            "Background append only file rewriting scheduled",
        ),
        ("--appendfsync always", "CONFIG SET appendonly yes", "OK"),
    ] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder).with(options).start();
        let mut connection = server.connect();
        for line in ["MULTI", "INCR n", command, "INCR n"] {
            connection.good(line);
        }
        let Value::Array(replies) = connection.good("EXEC") else {
            panic!("EXEC answers with a list");
        };
        assert_eq!(replies[1], Value::Simple(told.as_bytes().into()));
        wait_until("the child began and ended", || {
            connection.info("stats")["total_forks"] == "1"
        });
        connection.wait_for_children();
        server.kill();
        let server = Setup::cairn(&folder).with(on).start();
        assert_eq!(server.connect().text("GET n"), "2", "{command}");
        server.stop();
    }
}
