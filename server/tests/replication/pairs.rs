//! Everything that a primary does arrives, whoever is the primary and whoever the replica.

use crate::changes::change;
use crate::fleet::{Member, all_equal, in_step, said, syncs};
use crate::support::dataset::fill;
use crate::support::process::Program::{self, Cairn, Reference};
use crate::support::wait_until;

fn pair(primary: Program, replica: Program, options: &str) {
    let first = Member::start(primary, "--databases 16");
    let mut connection = first.connect();
    fill(&mut connection);
    let second = Member::following(replica, &first, options);
    in_step(&first, &second);
    change(&mut connection);
    all_equal(&[&first, &second]);
    assert_eq!(syncs(&first), ("1".into(), "0".into()));
    assert_eq!(connection.int("SCARD plain-set"), 4);
}

#[test]
fn the_reference_follows_ours() {
    pair(Cairn, Reference, "");
}

#[test]
fn ours_follows_the_reference() {
    pair(Reference, Cairn, "");
}

#[test]
fn ours_follows_ours_with_its_own_log() {
    pair(Cairn, Cairn, "--appendonly yes");
}

#[test]
fn a_snapshot_in_the_dump_file_does_as_well() {
    let first = Member::start(Cairn, "--repl-diskless-sync no");
    fill(&mut first.connect());
    let second = Member::following(Reference, &first, "");
    all_equal(&[&first, &second]);
    assert!(first.folder.names().contains(&"dump.rdb".to_owned()));
    first.connect().good("CONFIG SET repl-diskless-sync yes");
    let third = Member::following(Cairn, &first, "");
    all_equal(&[&first, &third]);
    let left = first.folder.names();
    assert!(
        !left.iter().any(|name| name.starts_with("temp")),
        "{left:?}"
    );
}

/// The middle of a chain is promoted; the first follows it then, and the last stays where it is.
fn promote_the_middle(programs: [Program; 3]) {
    let first = Member::start(programs[0], "");
    let mut connection = first.connect();
    let middle = Member::following(programs[1], &first, "");
    let last = Member::following(programs[2], &middle, "");
    in_step(&first, &middle);
    in_step(&middle, &last);
    change(&mut connection);
    all_equal(&[&first, &middle, &last]);
    assert_eq!(
        first.offset(),
        last.offset(),
        "the same bytes at the same places"
    );
    middle.connect().good("REPLICAOF NO ONE");
    middle.connect().good("SET promoted 1");
    connection.good(&format!("REPLICAOF 127.0.0.1 {}", middle.server.port));
    all_equal(&[&middle, &first]);
    all_equal(&[&middle, &last]);
    assert_eq!(
        syncs(&middle),
        ("1".into(), "2".into()),
        "nobody needed a snapshot"
    );
    assert!(connection.error("SET refused 1").starts_with("READONLY"));
}

#[test]
fn a_chain_of_ours_is_promoted() {
    promote_the_middle([Cairn, Cairn, Cairn]);
}

#[test]
fn ours_in_the_middle_is_promoted() {
    promote_the_middle([Reference, Cairn, Reference]);
}

#[test]
fn ours_on_both_ends_follow_the_promoted() {
    promote_the_middle([Cairn, Reference, Cairn]);
}

fn restarts(primary: Program, replica: Program) {
    let mut first = Member::start(primary, "--save 3600 1");
    let mut second = Member::following(replica, &first, "--save 3600 1");
    let mut connection = first.connect();
    change(&mut connection);
    all_equal(&[&first, &second]);
    second.connect().send(b"SHUTDOWN\r\n");
    second.server.wait_end();
    connection.good("SET meanwhile 1");
    // It has expired when the primary is back: the replica hears of it all the same.
    connection.good("SET dying 1 PX 1500");
    second.restart();
    all_equal(&[&first, &second]);
    assert_eq!(syncs(&first), ("1".into(), "1".into()));
    connection.send(b"SHUTDOWN\r\n");
    first.server.wait_end();
    std::thread::sleep(std::time::Duration::from_millis(1600));
    first.restart();
    in_step(&first, &second);
    assert_eq!(syncs(&first), ("0".into(), "1".into()));
    for member in [&first, &second] {
        wait_until("the key is gone", || {
            member.connect().int("DBSIZE") == {
                let size = first.connect().int("DBSIZE");
                assert!(size > 0);
                size
            }
        });
        assert_eq!(member.connect().int("EXISTS dying"), 0);
    }
    all_equal(&[&first, &second]);
}

#[test]
fn ours_go_on_after_a_restart() {
    restarts(Cairn, Cairn);
}

#[test]
fn the_reference_goes_on_with_ours_after_a_restart() {
    restarts(Cairn, Reference);
}

#[test]
fn ours_goes_on_with_the_reference_after_a_restart() {
    restarts(Reference, Cairn);
}

fn hand_over(primary: Program, replica: Program) {
    let first = Member::start(primary, "");
    let second = Member::following(replica, &first, "");
    let mut connection = first.connect();
    change(&mut connection);
    in_step(&first, &second);
    let port = second.server.port;
    connection.good(&format!("FAILOVER TO 127.0.0.1 {port} TIMEOUT 10000"));
    wait_until("the roles have changed", || {
        first.field("replication", "role") == "slave"
            && first.field("replication", "master_link_status") == "up"
    });
    assert_eq!(second.field("replication", "role"), "master");
    assert_eq!(
        first.field("replication", "master_failover_state"),
        "no-failover"
    );
    second.connect().good("SET after 1");
    all_equal(&[&second, &first]);
    assert_eq!(syncs(&second), ("0".into(), "1".into()));
}

#[test]
fn ours_hands_over_to_the_reference_and_the_other_way() {
    hand_over(Cairn, Reference);
    hand_over(Reference, Cairn);
    hand_over(Cairn, Cairn);
}

#[test]
fn a_hand_over_that_nobody_takes_is_taken_back() {
    let first = Member::start(Cairn, "");
    let second = Member::following(Cairn, &first, "");
    in_step(&first, &second);
    let mut connection = first.connect();
    assert_eq!(
        connection.error("FAILOVER ABORT"),
        "ERR No failover in progress."
    );
    assert!(
        connection
            .error("FAILOVER TO 127.0.0.1 1")
            .contains("is not a replica")
    );
    assert!(
        connection
            .error("FAILOVER TIMEOUT 0")
            .contains("greater than 0")
    );
    // A replica that stands still never has everything.
    second.connect().send(b"DEBUG SLEEP 5\r\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    connection.good("SET behind 1");
    connection.good("FAILOVER TIMEOUT 300");
    let mut writer = first.connect();
    writer.send(b"SET held 1\r\n");
    assert_eq!(
        first.field("replication", "master_failover_state"),
        "waiting-for-sync"
    );
    assert_eq!(said(&writer.read()), "OK");
    assert_eq!(first.field("replication", "role"), "master");
    assert!(
        first
            .server
            .log()
            .contains("never caught up before timeout")
    );
    all_equal(&[&first, &second]);
}

/// A load that is given up leaves nothing that could be gone on with.
#[test]
fn another_primary_is_named_while_a_snapshot_is_loaded() {
    let first = Member::start(Cairn, "");
    let second = Member::start(Cairn, "");
    for (member, name) in [(&first, "of-first"), (&second, "of-second")] {
        let mut client = member.connect();
        for n in 0..500 {
            client.good(&format!("SET {name}:{n} {n}"));
        }
    }
    let replica = Member::following(Cairn, &first, "");
    in_step(&first, &replica);
    let mut client = replica.connect();
    client.good("CONFIG SET key-load-delay 5000");
    client.good(&format!("REPLICAOF 127.0.0.1 {}", second.server.port));
    wait_until("it loads", || {
        replica.field("persistence", "loading") == "1"
    });
    client.good(&format!("REPLICAOF 127.0.0.1 {}", first.server.port));
    client.good("CONFIG SET key-load-delay 0");
    all_equal(&[&first, &replica]);
    assert_eq!(client.int("DBSIZE"), 500);
    // The same with nobody to follow: what was loaded in part is not shown.
    client.good("CONFIG SET key-load-delay 5000");
    client.good(&format!("REPLICAOF 127.0.0.1 {}", second.server.port));
    wait_until("it loads", || {
        replica.field("persistence", "loading") == "1"
    });
    client.good("REPLICAOF NO ONE");
    wait_until("it has ended", || {
        replica.field("persistence", "loading") == "0"
    });
    assert_eq!(client.int("DBSIZE"), 0);
    client.good("SET own 1");
}

#[test]
fn a_primary_that_lost_its_data_does_not_empty_its_replica() {
    for load in ["disabled", "swapdb"] {
        let mut primary = Member::start(Cairn, "");
        let options = format!("--repl-diskless-load {load}");
        let replica = Member::following(Cairn, &primary, &options);
        in_step(&primary, &replica);
        primary.connect().good("SET key 1");
        in_step(&primary, &replica);
        // What is flushed is no loss: the history is the same.
        primary.connect().good("FLUSHALL");
        in_step(&primary, &replica);
        assert_eq!(replica.connect().int("DBSIZE"), 0);
        primary.connect().good("SET key 2");
        in_step(&primary, &replica);
        primary.server.kill_here();
        let dump = primary.folder.path("dump.rdb");
        let _ = std::fs::remove_file(dump);
        primary.restart();
        assert_eq!(primary.connect().int("DBSIZE"), 0);
        replica
            .server
            .wait_for_log("The MASTER has begun anew without any data");
        let mut client = replica.connect();
        assert_eq!(client.int("DBSIZE"), 1, "{load}");
        assert_eq!(replica.field("replication", "master_link_status"), "down");
        client.good("CONFIG SET replica-accept-empty-primary yes");
        in_step(&primary, &replica);
        assert_eq!(client.int("DBSIZE"), 0);
        // One that was named just now is wanted as it is.
        client.good("CONFIG SET replica-accept-empty-primary no");
        client.good("REPLICAOF NO ONE");
        client.good("SET own 1");
        let other = Member::start(Cairn, "");
        client.good(&format!("REPLICAOF 127.0.0.1 {}", other.server.port));
        in_step(&other, &replica);
        assert_eq!(client.int("DBSIZE"), 0);
    }
}

#[test]
fn the_lower_end_of_a_broken_chain_stays_connected() {
    let mut first = Member::start(Cairn, "");
    let second = Member::following(Cairn, &first, "");
    let third = Member::following(Cairn, &second, "--repl-timeout 2");
    in_step(&first, &second);
    in_step(&second, &third);
    first.connect().good("SET key 1");
    in_step(&second, &third);
    first.server.kill_here();
    wait_until("the link is down", || {
        second.field("replication", "master_link_status") == "down"
    });
    std::thread::sleep(std::time::Duration::from_millis(4500));
    assert_eq!(third.field("replication", "master_link_status"), "up");
    assert!(
        !third.server.log().contains("MASTER timeout"),
        "{}",
        third.server.log()
    );
    assert_eq!(second.offset(), third.offset());
}

/// Both the end of the link and the question wait for the replica's next turn.
#[test]
fn who_asks_when_the_link_has_ended_hears_it() {
    let first = Member::start(Cairn, "");
    let second = Member::following(Cairn, &first, "--enable-debug-command yes");
    in_step(&first, &second);
    let [mut sleeper, mut asker] = [(); 2].map(|()| second.connect());
    asker.good("PING");
    sleeper.send(b"DEBUG LOG asleep\r\nDEBUG SLEEP 0.5\r\n");
    second.server.wait_for_log("DEBUG LOG: asleep");
    assert_eq!(first.connect().int("CLIENT KILL TYPE replica"), 1);
    let link = &asker.info("replication")["master_link_status"];
    assert_eq!(link, "down");
}
