//! Snapshots that go from the child to sockets, and from the socket into the data set: `repl-diskless-sync`, `repl-diskless-load`.

use std::time::Duration;

use crate::fleet::{Member, all_equal, in_step, said};
use crate::support::process::Program::{Cairn, Reference};
use crate::support::process::{children_of, send_signal};
use crate::support::wait_until;

const DEBUG: &str = "--enable-debug-command yes";

/// A primary with 30 MB of data that is written in some seconds, whose next snapshot begins late.
fn slow_primary() -> Member {
    let primary = Member::start(Cairn, &format!("{DEBUG} --rdbcompression no"));
    let mut client = primary.connect();
    client.good("DEBUG POPULATE 300 big 100000");
    client.good("CONFIG SET rdb-key-save-delay 20000");
    primary
}

fn is(member: &Member, section: &str, name: &str, value: &str) -> bool {
    member.field(section, name) == value
}

#[test]
fn each_way_of_loading_brings_the_same_data() {
    for (first, second) in [(Cairn, Cairn), (Cairn, Reference), (Reference, Cairn)] {
        for load in ["disabled", "on-empty-db", "swapdb"] {
            for old in [false, true] {
                let primary = Member::start(first, DEBUG);
                let mut client = primary.connect();
                client.good("DEBUG POPULATE 5000 key 100");
                client.good("SELECT 3");
                client.good("RPUSH list a b c");
                let options = format!("{DEBUG} --repl-diskless-load {load}");
                let replica = Member::start(second, &options);
                if old {
                    replica.connect().good("SET old 1");
                }
                let port = primary.server.port;
                replica
                    .connect()
                    .good(&format!("REPLICAOF 127.0.0.1 {port}"));
                in_step(&primary, &replica);
                client.good("SET then 2");
                all_equal(&[&primary, &replica]);
            }
        }
    }
}

#[test]
fn a_snapshot_without_a_disk_leaves_no_file() {
    let primary = Member::start(Cairn, DEBUG);
    primary.connect().good("SET key 1");
    let replica = Member::following(Cairn, &primary, "--repl-diskless-load on-empty-db");
    in_step(&primary, &replica);
    for member in [&primary, &replica] {
        let names = member.folder.names();
        let is_snapshot = |name: &String| name.ends_with(".rdb");
        assert!(!names.iter().any(is_snapshot), "{names:?}");
    }
    let log = primary.server.log();
    assert!(log.contains("with target: replicas sockets"), "{log}");
    assert!(log.contains("done reading from pipe, 1 replicas still up."));
    assert!(log.contains("Waiting for REPLCONF ACK from replica to enable streaming"));
    // With data there is something to lose: it goes over the disk, whatever the directive says.
    let with_data = Member::start(Cairn, "--repl-diskless-load on-empty-db");
    with_data.connect().good("SET old 1");
    let port = primary.server.port;
    with_data
        .connect()
        .good(&format!("REPLICAOF 127.0.0.1 {port}"));
    in_step(&primary, &with_data);
    assert!(with_data.folder.names().contains(&"dump.rdb".to_owned()));
}

#[test]
fn of_another_history_nothing_is_served_and_a_failure_brings_the_old_data_back() {
    let primary = slow_primary();
    let replica = Member::start(Cairn, "--repl-diskless-load swapdb");
    let mut client = replica.connect();
    client.good("SET old 1");
    client.good("SET other 1");
    let port = primary.server.port;
    client.good(&format!("REPLICAOF 127.0.0.1 {port}"));
    wait_until("it loads", || is(&replica, "persistence", "loading", "1"));
    assert!(client.error("GET old").starts_with("LOADING"));
    assert!(
        client
            .error("CONFIG SET appendonly yes")
            .starts_with("LOADING")
    );
    assert!(is(&replica, "persistence", "async_loading", "0"));
    let mut admin = primary.connect();
    admin.good("CONFIG SET repl-diskless-sync-delay 100");
    assert_eq!(admin.int("CLIENT KILL TYPE replica"), 1);
    wait_until("it does not", || {
        is(&replica, "persistence", "loading", "0")
    });
    assert_eq!(said(&client.line("GET old")), "1");
    assert_eq!(client.int("DBSIZE"), 2);
    wait_until("the child is gone", || {
        is(&primary, "persistence", "rdb_bgsave_in_progress", "0")
    });
    assert!(
        primary
            .server
            .log()
            .contains("last replica dropped, killing fork child")
    );
    // And now it works.
    admin.good("CONFIG SET rdb-key-save-delay 0");
    admin.good("CONFIG SET repl-diskless-sync-delay 0");
    in_step(&primary, &replica);
    assert_eq!(client.int("DBSIZE"), 300);
    assert_eq!(said(&client.line("EXISTS old other")), "0");
}

#[test]
fn of_the_same_history_the_old_data_is_served_until_the_new_takes_its_place() {
    let primary = Member::start(Cairn, &format!("{DEBUG} --rdbcompression no"));
    let replica = Member::following(
        Cairn,
        &primary,
        "--repl-diskless-load swapdb --replica-read-only no",
    );
    in_step(&primary, &replica);
    let (mut admin, mut client) = (primary.connect(), replica.connect());
    // It loses its place: what it lacks is more than the backlog holds.
    admin.good("CONFIG SET repl-diskless-sync-delay 100");
    client.good("SET own 1");
    let mut watching = replica.connect();
    watching.good("WATCH own");
    let mut waiting = replica.connect();
    waiting.send(b"XREAD BLOCK 0 STREAMS stream 0\r\n");
    admin.good("CONFIG SET repl-backlog-size 16384");
    admin.good("MULTI");
    admin.line("CLIENT KILL TYPE replica");
    admin.line("DEBUG POPULATE 300 big 100000");
    for part in 0..8 {
        admin.line(&format!("SET part{part} {}", "x".repeat(8000)));
    }
    admin.line("XADD stream 1-1 field value");
    admin.line("EXEC");
    admin.good("CONFIG SET rdb-key-save-delay 20000");
    admin.good("CONFIG SET repl-diskless-sync-delay 0");
    wait_until("it loads beside", || {
        is(&replica, "persistence", "async_loading", "1")
    });
    assert!(is(&replica, "persistence", "loading", "0"));
    assert_eq!(said(&client.line("GET own")), "1");
    for refused in [
        "SAVE",
        "BGSAVE",
        "BGREWRITEAOF",
        "CONFIG SET appendonly yes",
    ] {
        let answer = client.error(refused);
        assert!(answer.starts_with("LOADING"), "{refused}: {answer}");
    }
    admin.good("CONFIG SET rdb-key-save-delay 0");
    in_step(&primary, &replica);
    assert_eq!(said(&client.line("EXISTS own")), "0");
    all_equal(&[&primary, &replica]);
    watching.good("MULTI");
    assert_eq!(said(&watching.line("GET own")), "QUEUED");
    assert_eq!(
        said(&watching.line("EXEC")),
        "Null",
        "what it watched is gone"
    );
    let came = said(&waiting.read());
    assert!(came.contains("field value"), "{came}");
}

#[test]
fn a_load_beside_can_be_given_up() {
    let primary = slow_primary();
    let replica = Member::start(Cairn, "--repl-diskless-load swapdb");
    let mut client = replica.connect();
    client.good("SET old 1");
    let port = primary.server.port;
    client.good(&format!("REPLICAOF 127.0.0.1 {port}"));
    wait_until("it loads", || is(&replica, "persistence", "loading", "1"));
    client.good("REPLICAOF NO ONE");
    wait_until("it does not", || {
        is(&replica, "persistence", "loading", "0")
    });
    assert_eq!(said(&client.line("GET old")), "1");
    client.good("SET new 1");
}

#[test]
fn a_slow_replica_holds_the_others_and_bounds_the_memory() {
    let primary = Member::start(
        Cairn,
        &format!("{DEBUG} --rdbcompression no --repl-timeout 2"),
    );
    primary.connect().good("DEBUG POPULATE 3000 big 10000");
    let idle: u64 = primary.field("memory", "used_memory").parse().unwrap();
    primary
        .connect()
        .good("CONFIG SET repl-diskless-sync-delay 100");
    primary
        .connect()
        .good("CONFIG SET repl-diskless-sync-max-replicas 2");
    let fast = Member::following(Cairn, &primary, "");
    let mut stuck = primary.connect();
    stuck.good("REPLCONF capa eof capa psync2");
    stuck.send(b"PSYNC ? -1\r\n");
    wait_until("the pipe is full", || {
        is(&primary, "persistence", "rdb_bgsave_in_progress", "1")
    });
    std::thread::sleep(Duration::from_millis(300));
    let held: u64 = primary.field("memory", "used_memory").parse().unwrap();
    assert!(held < idle + (6 << 20), "{idle} before, {held} now");
    assert_eq!(fast.field("replication", "master_link_status"), "down");
    wait_until("the stuck one is cut off", || {
        primary
            .server
            .log()
            .contains("Disconnecting timedout replica (full sync)")
    });
    in_step(&primary, &fast);
    assert!(
        primary
            .server
            .log()
            .contains("done reading from pipe, 1 replicas still up.")
    );
    all_equal(&[&primary, &fast]);
}

#[test]
fn who_takes_nothing_of_a_snapshot_from_a_file_goes_too() {
    let primary = Member::start(
        Cairn,
        &format!("{DEBUG} --rdbcompression no --repl-timeout 2 --repl-diskless-sync no"),
    );
    primary.connect().good("DEBUG POPULATE 3000 big 10000");
    let mut stuck = primary.connect();
    stuck.good("REPLCONF capa eof capa psync2");
    stuck.send(b"PSYNC ? -1\r\n");
    wait_until("the stuck one is cut off", || {
        primary
            .server
            .log()
            .contains("Disconnecting timedout replica (full sync)")
    });
    wait_until("nobody follows", || {
        is(&primary, "replication", "connected_slaves", "0")
    });
}

#[test]
fn a_child_that_is_killed_takes_its_replicas_along_and_they_come_again() {
    let primary = slow_primary();
    let replica = Member::following(Cairn, &primary, "");
    wait_until("it is being written", || {
        is(&primary, "persistence", "rdb_bgsave_in_progress", "1")
            && is(&replica, "replication", "master_sync_in_progress", "1")
    });
    let children = children_of(primary.server.pid());
    assert_eq!(children.len(), 1, "{children:?}");
    send_signal(children[0], libc::SIGKILL);
    wait_until("that is told", || {
        primary
            .server
            .log()
            .contains("SYNC failed. BGSAVE child returned an error")
    });
    primary.connect().good("CONFIG SET rdb-key-save-delay 0");
    in_step(&primary, &replica);
    all_equal(&[&primary, &replica]);
}
