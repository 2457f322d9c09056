//! Valkey 8.1 and 9.1 and Redis 8.2 as partners of ours, in both places.

use crate::everything::{chain, follows};
use crate::fleet::{Member, all_in_step, in_step};
use crate::support::process::Program::{self, Cairn, Redis8, Reference, Valkey8, Valkey9};

#[test]
fn valkey_8_follows_ours() {
    follows(Cairn, Valkey8);
}

#[test]
fn valkey_9_follows_ours() {
    follows(Cairn, Valkey9);
}

#[test]
fn redis_8_follows_ours() {
    follows(Cairn, Redis8);
}

#[test]
fn ours_follows_valkey_8() {
    follows(Valkey8, Cairn);
}

#[test]
fn ours_follows_valkey_9() {
    follows(Valkey9, Cairn);
}

#[test]
fn ours_follows_redis_8() {
    follows(Redis8, Cairn);
}

#[test]
fn ours_is_between_redis_8_and_valkey_9() {
    chain([Redis8, Cairn, Valkey9]);
}

#[test]
fn ours_is_between_valkey_8_and_7_0() {
    chain([Valkey8, Cairn, Reference]);
}

#[test]
fn valkey_9_is_between_ours() {
    chain([Cairn, Valkey9, Cairn]);
}

/// A second connection for the snapshot is offered, and done without.
#[test]
fn who_would_take_two_channels_takes_one() {
    for (peer, option) in [
        (Valkey8, "--dual-channel-replication-enabled yes"),
        (Valkey9, "--dual-channel-replication-enabled yes"),
        (Redis8, "--repl-rdb-channel yes"),
    ] {
        let ours = Member::start(Cairn, "");
        ours.connect().good("SET key 1");
        let theirs = Member::following(peer, &ours, option);
        in_step(&ours, &theirs);
        let last = Member::following(Cairn, &theirs, "");
        in_step(&theirs, &last);
        assert_eq!(last.connect().text("GET key"), "1");
    }
}

/// Valkey says which version it is, and 8.1 knows no fields that expire: it is told so before anything is sent, and keeps what
/// it had.
#[test]
fn who_cannot_hold_fields_that_expire_is_refused_by_name() {
    let ours = Member::start(Cairn, "");
    let mut client = ours.connect();
    client.good("HSET timed a 1");
    client.good("HEXPIRE timed 1000 FIELDS 1 a");
    let theirs = Member::start(Valkey8, "");
    let mut other = theirs.connect();
    other.good("SET mine 1");
    other.good(&format!("REPLICAOF 127.0.0.1 {}", ours.server.port));
    let reason =
        "Hash fields with an expiry need a snapshot of version 12, and the replica reads up to 11";
    for member in [&ours, &theirs] {
        member.server.wait_for_log(reason);
    }
    assert_eq!(other.text("GET mine"), "1");
    assert_eq!(theirs.field("replication", "master_link_status"), "down");
    client.good("HPERSIST timed FIELDS 1 a");
    all_in_step(&[&ours, &theirs]);
    assert_eq!(other.text("HGET timed a"), "1");
}

/// What ours cannot hold is named, the old data stays, and when it is gone, all is well by itself.
fn is_not_taken(peer: Program, make: &[&str], undo: &str, reason: &str) {
    let theirs = Member::start(peer, "");
    let mut client = theirs.connect();
    client.good("SET key 1");
    client.good_call(make);
    let ours = Member::start(Cairn, "");
    let mut mine = ours.connect();
    mine.good("SET mine 1");
    mine.good(&format!("REPLICAOF 127.0.0.1 {}", theirs.server.port));
    ours.server.wait_for_log(reason);
    ours.server
        .wait_for_log("it is not readable, and the data set stays as it is");
    assert_eq!(mine.text("GET mine"), "1");
    assert_eq!(ours.field("replication", "master_link_status"), "down");
    client.good(undo);
    in_step(&theirs, &ours);
    assert_eq!(mine.text("GET key"), "1");
    assert_eq!(mine.int("EXISTS mine"), 0);
}

/// In the words of those who call it a server, and of those who call it Redis.
fn library(name: &str, function: &str) -> String {
    format!(
        "#!lua name=lib_{function}\n{name}.register_function('{function}', function(keys) return {name}.call('INCR', keys[1]) end)"
    )
}

/// A library comes with the snapshot, another with the stream, and both ways.
#[test]
fn functions_go_both_ways() {
    for (peer, name) in [(Valkey8, "server"), (Valkey9, "server"), (Redis8, "redis")] {
        for (first, second) in [(peer, Cairn), (Cairn, peer)] {
            let theirs = Member::start(first, "");
            let mut client = theirs.connect();
            client.good_call(&["FUNCTION", "LOAD", &library(name, "before")]);
            let ours = Member::following(second, &theirs, "");
            client.good_call(&["FUNCTION", "LOAD", &library(name, "after")]);
            assert_eq!(client.int("FCALL before 1 counter"), 1);
            in_step(&theirs, &ours);
            let mut other = ours.connect();
            assert_eq!(other.text("GET counter"), "1");
            other.good("REPLICAOF NO ONE");
            assert_eq!(other.int("FCALL after 1 counter"), 2);
        }
    }
}

#[test]
fn vector_sets_are_not_taken() {
    let make = ["VADD", "vectors", "VALUES", "2", "1", "2", "element"];
    let reason = "db 0, key \"vectors\": a module's value cannot be held yet";
    is_not_taken(Redis8, &make, "DEL vectors", reason);
}
