//! What each directive of replication does.

use std::time::{Duration, Instant};

use crate::fleet::{Member, in_step, said};
use crate::support::process::Program::{Cairn, Reference};
use crate::support::wait_until;

/// A pair of ours in step.
fn pair(primary: &str, replica: &str) -> (Member, Member) {
    let primary = Member::start(Cairn, primary);
    let replica = Member::following(Cairn, &primary, replica);
    in_step(&primary, &replica);
    (primary, replica)
}

#[test]
fn a_replica_names_itself_with_a_password() {
    for program in [Cairn, Reference] {
        let primary = Member::start(program, "--requirepass secret");
        let port = primary.server.port;
        let with =
            |more: &str| Member::start(Cairn, &format!("--replicaof 127.0.0.1 {port} {more}"));
        let replica = with("--masterauth secret");
        wait_until("it is let in", || {
            replica.field("replication", "master_link_status") == "up"
        });
        let named = with("--masteruser default --masterauth secret");
        wait_until("it is let in by name", || {
            named.field("replication", "master_link_status") == "up"
        });
        let wrong = with("--masterauth wrong");
        wait_until("the log has it", || {
            wrong.server.log().contains("Unable to AUTH to MASTER")
        });
        let without = with("");
        wait_until("the log has it", || {
            without
                .server
                .log()
                .contains("Unexpected reply to PSYNC from master: -NOAUTH")
        });
        assert_eq!(without.field("replication", "master_link_status"), "down");
    }
}

#[test]
fn a_writable_replica_takes_writes_of_its_own() {
    let (primary, replica) = pair("", "--replica-read-only no");
    let mut client = replica.connect();
    client.good("SET own 1 PX 100");
    wait_until("what it wrote expires", || client.int("DBSIZE") == 0);
    client.good("SET own 2");
    assert_eq!(primary.connect().int("EXISTS own"), 0);
    client.good("CONFIG SET replica-read-only yes");
    assert!(client.error("SET own 3").starts_with("READONLY"));
    assert_eq!(replica.field("replication", "slave_read_only"), "1");
}

#[test]
fn old_data_is_shown_if_that_is_wanted() {
    let nobody = "--replicaof 127.0.0.1 1";
    for (serves, answer) in [("yes", "OK"), ("no", "MASTERDOWN")] {
        let replica = Member::start(
            Cairn,
            &format!("{nobody} --replica-serve-stale-data {serves}"),
        );
        let mut client = replica.connect();
        let shown = said(&client.line("GET key"));
        assert!(serves == "yes" || shown.starts_with(answer), "{shown}");
        assert_eq!(
            said(&client.line("PING")).starts_with("MASTERDOWN"),
            serves == "no"
        );
        // A script says so itself where its text does not tell what it does; asked of 7.0.15.
        for (command, script, is_for_some) in [
            ("EVAL", "return 1", true),
            ("EVAL_RO", "return 1", true),
            ("EVAL", "#!lua\nreturn 1", false),
            ("EVAL", "#!lua flags=no-writes\nreturn 1", true),
            ("EVAL", "#!lua flags=no-writes,allow-stale\nreturn 1", false),
        ] {
            let shown = said(&client.call(&[command, script, "0"]));
            assert_eq!(
                shown.starts_with("MASTERDOWN Link"),
                is_for_some && serves == "no",
                "{command} {script}: {shown}"
            );
        }
        client.good("INFO replication");
        client.good("REPLICAOF NO ONE");
        assert_eq!(said(&client.line("SET key 1")), "OK");
    }
}

#[test]
fn a_replica_evicts_only_if_it_is_told_to() {
    for (ignores, keeps_all) in [("yes", true), ("no", false)] {
        let options = format!(
            "--replica-ignore-maxmemory {ignores} --maxmemory 3mb --maxmemory-policy allkeys-random"
        );
        let (primary, replica) = pair("", &options);
        let mut client = primary.connect();
        let value = "x".repeat(10_000);
        for n in 0..500 {
            client.good_call(&["SET", &format!("key:{n}"), &value]);
        }
        in_step(&primary, &replica);
        match keeps_all {
            true => assert_eq!(replica.connect().int("DBSIZE"), 500),
            false => wait_until("some are evicted", || replica.connect().int("DBSIZE") < 500),
        }
    }
}

#[test]
fn what_it_announces_is_shown() {
    let (primary, replica) = pair(
        "",
        "--replica-announce-ip 10.1.2.3 --replica-announce-port 7777 --replica-priority 17 --replica-announced no",
    );
    let line = primary.field("replication", "slave0");
    assert!(
        line.starts_with("ip=10.1.2.3,port=7777,state=online"),
        "{line}"
    );
    assert_eq!(replica.field("replication", "slave_priority"), "17");
    assert_eq!(replica.field("replication", "replica_announced"), "0");
    let lag = primary.field("replication", "slave0_lag");
    assert!(lag.starts_with("bytes="), "{lag}");
}

#[test]
fn a_backlog_that_nobody_reads_goes() {
    let (primary, replica) = pair("--repl-backlog-ttl 1", "");
    let before = primary.field("replication", "master_replid");
    replica.connect().good("REPLICAOF NO ONE");
    wait_until("it is freed", || {
        primary.field("replication", "repl_backlog_active") == "0"
    });
    assert_ne!(primary.field("replication", "master_replid"), before);
}

#[test]
fn a_snapshot_waits_for_more_replicas() {
    let primary = Member::start(
        Cairn,
        "--repl-diskless-sync-delay 100 --repl-diskless-sync-max-replicas 2",
    );
    let first = Member::following(Cairn, &primary, "");
    wait_until("it waits", || {
        primary
            .field("replication", "slave0")
            .contains("wait_bgsave")
    });
    assert_eq!(primary.field("stats", "total_forks"), "0");
    let second = Member::following(Cairn, &primary, "");
    in_step(&primary, &first);
    in_step(&primary, &second);
    assert_eq!(primary.field("stats", "total_forks"), "1");
}

#[test]
fn pings_come_as_often_as_they_are_to() {
    let (primary, replica) = pair("--repl-ping-replica-period 1", "");
    let before: u64 = primary.offset().parse().unwrap();
    wait_until("pings came", || {
        let now: u64 = primary.offset().parse().unwrap();
        assert_eq!((now - before) % 14, 0, "nothing but pings");
        now >= before + 28
    });
    in_step(&primary, &replica);
}

#[test]
fn silence_ends_a_link() {
    let (primary, replica) = pair("--repl-timeout 2", "--repl-timeout 2");
    let stopped = Instant::now();
    replica.connect().send(b"DEBUG SLEEP 6\r\n");
    wait_until("the primary has had enough", || {
        primary
            .server
            .log()
            .contains("Disconnecting timedout replica (streaming sync)")
    });
    assert!(stopped.elapsed() >= Duration::from_secs(2));
    in_step(&primary, &replica);
    primary.connect().send(b"DEBUG SLEEP 6\r\n");
    wait_until("the replica has had enough", || {
        replica
            .server
            .log()
            .contains("MASTER timeout: no data nor PING received")
    });
    in_step(&primary, &replica);
}

#[test]
fn an_error_in_the_stream_ends_a_replica_if_that_is_wanted() {
    for (behaviour, lives) in [
        ("ignore", true),
        ("panic", false),
        // Its own clients may have made the difference.
        ("panic --replica-read-only no", true),
    ] {
        let (primary, mut replica) = pair("", &format!("--propagation-error-behavior {behaviour}"));
        primary.connect().good("DEBUG REPLICATE no-such-command");
        wait_until("the log has it", || {
            replica
                .server
                .log()
                .contains("== CRITICAL == This replica is sending an error")
        });
        match lives {
            true => {
                assert_eq!(replica.field("stats", "unexpected_error_replies"), "1");
                in_step(&primary, &replica);
            }
            false => assert!(!replica.server.wait_end().success()),
        }
    }
}

#[test]
fn snapshots_that_were_only_there_for_replicas_do_not_stay() {
    for (deletes, left) in [("yes", false), ("no", true)] {
        let options = format!("--rdb-del-sync-files {deletes} --save ''");
        let (primary, replica) = pair(&format!("{options} --repl-diskless-sync no"), &options);
        for member in [&primary, &replica] {
            let names = member.folder.names();
            assert_eq!(names.contains(&"dump.rdb".to_owned()), left, "{names:?}");
        }
        // One that somebody asked for does.
        let mut client = primary.connect();
        client.good("BGSAVE");
        client.wait_for_children();
        std::thread::sleep(Duration::from_millis(200));
        let names = primary.folder.names();
        assert!(names.contains(&"dump.rdb".to_owned()), "{names:?}");
    }
}
