//! Clients and scripts that wait for replicas, and a shutdown that does.

use std::time::Duration;

use crate::fleet::{Member, in_step, said};
use crate::support::process::Program::{Cairn, Reference};
use crate::support::wait_until;

/// A replica that stands still for so many seconds.
fn still(replica: &Member, seconds: f64) {
    replica
        .connect()
        .send(format!("DEBUG SLEEP {seconds}\r\n").as_bytes());
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn wait_counts_who_has_it() {
    let primary = Member::start(Cairn, "");
    let replicas = [
        Member::following(Cairn, &primary, ""),
        Member::following(Reference, &primary, ""),
    ];
    replicas
        .iter()
        .for_each(|replica| in_step(&primary, replica));
    let mut client = primary.connect();
    client.good("SET key 1");
    assert_eq!(client.int("WAIT 2 10000"), 2);
    still(&replicas[0], 4.0);
    client.good("SET key 2");
    assert_eq!(client.int("WAIT 2 200"), 1);
    assert_eq!(client.int("WAIT 1 0"), 1);
    assert_eq!(client.int("WAIT 2 10000"), 2);
    client.good("MULTI");
    client.line("WAIT 9 0");
    assert!(said(&client.line("EXEC")) == "2");
    let error = replicas[0].connect().error("WAIT 1 0");
    assert!(
        error.starts_with("ERR WAIT cannot be used with replica instances."),
        "{error}"
    );
}

#[test]
fn waitaof_asks_for_the_logs_of_replicas() {
    let primary = Member::start(Cairn, "--appendonly yes");
    let with = Member::following(Cairn, &primary, "--appendonly yes");
    let without = Member::following(Cairn, &primary, "");
    in_step(&primary, &with);
    in_step(&primary, &without);
    wait_until("the log of the replica is whole", || {
        with.field("persistence", "aof_rewrite_in_progress") == "0"
            && with.field("persistence", "aof_enabled") == "1"
    });
    let mut client = primary.connect();
    client.good("SET key 1");
    assert_eq!(said(&client.line("WAITAOF 1 1 20000")), "1 1");
    client.good("SET key 2");
    assert_eq!(said(&client.line("WAITAOF 1 2 1500")), "1 1");
}

#[test]
fn writes_need_replicas_that_are_in_time() {
    let primary = Member::start(Cairn, "--min-replicas-to-write 1 --min-replicas-max-lag 2");
    let mut client = primary.connect();
    assert_eq!(
        client.error("SET key 1"),
        "NOREPLICAS Not enough good replicas to write."
    );
    client.line("GET key");
    let replica = Member::following(Cairn, &primary, "");
    wait_until("writes are taken", || {
        said(&client.line("SET key 1")) == "OK"
    });
    still(&replica, 10.0);
    wait_until("they are not", || {
        said(&client.line("SET key 2")).contains("NOREPLICAS")
    });
    wait_until("they are again", || said(&client.line("SET key 3")) == "OK");
}

#[test]
fn who_waits_when_the_role_changes_is_sent_away() {
    let primary = Member::start(Cairn, "");
    let other = Member::start(Cairn, "");
    let mut waits = primary.connect();
    waits.send(b"BLPOP list 0\r\n");
    wait_until("it waits", || {
        primary.field("clients", "blocked_clients") == "1"
    });
    primary
        .connect()
        .good(&format!("REPLICAOF 127.0.0.1 {}", other.server.port));
    let answer = waits.read_to_end();
    let expected = b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
    assert_eq!(answer, expected);
}

#[test]
fn a_shutdown_waits_for_replicas() {
    let mut primary = Member::start(Cairn, "--shutdown-timeout 20");
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    let mut client = primary.connect();
    still(&replica, 4.0);
    client.good("SET last 1");
    client.send(b"SHUTDOWN NOSAVE\r\n");
    let mut writer = primary.connect();
    writer.send(b"SET held 1\r\n");
    assert!(primary.server.wait_end().success());
    let log = primary.server.log();
    assert!(
        log.contains("1 of 1 replicas are in sync when shutting down."),
        "{log}"
    );
    assert_eq!(replica.connect().text("GET last"), "1");
    assert_eq!(writer.read_to_end(), b"", "it was not acknowledged");
}

#[test]
fn a_shutdown_that_waits_is_taken_back() {
    let primary = Member::start(Cairn, "--shutdown-timeout 20");
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    still(&replica, 5.0);
    let mut client = primary.connect();
    client.good("SET last 1");
    client.send(b"SHUTDOWN NOSAVE\r\n");
    let mut writer = primary.connect();
    writer.send(b"SET held 1\r\n");
    std::thread::sleep(Duration::from_millis(200));
    primary.connect().good("SHUTDOWN ABORT");
    assert_eq!(
        said(&client.read()),
        "ERR Errors trying to SHUTDOWN. Check logs."
    );
    assert_eq!(said(&writer.read()), "OK");
    client.good("PING");
    in_step(&primary, &replica);
}

/// A script that runs for long sees that its only replica goes, and what it has begun it may end: `min-replicas-to-write` is asked of its first change.
#[test]
fn a_slow_script_sees_its_replica_go() {
    let options = "--min-replicas-to-write 1 --busy-reply-threshold 10";
    let primary = Member::start(Cairn, options);
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    let (mut runs, mut other) = (primary.connect(), primary.connect());
    wait_until("a replica is good", || {
        primary.field("replication", "min_slaves_good_slaves") == "1"
    });
    let code = "redis.call('SET', 'key', 'begun') \
        repeat local told = redis.call('INFO', 'replication') until told:find('connected_slaves:0', 1, true) \
        redis.call('SET', 'key', 'ended') return 1";
    runs.send(format!("EVAL \"{code}\" 0\r\n").as_bytes());
    wait_until("the script is slow", || {
        said(&other.line("PING")).starts_with("BUSY")
    });
    replica.connect().good("REPLICAOF NO ONE");
    assert_eq!(said(&runs.read()), "1");
    assert_eq!(other.text("GET key"), "ended");
    assert!(other.error("SET key 1").starts_with("NOREPLICAS"));
}
