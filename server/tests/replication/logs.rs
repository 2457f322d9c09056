//! The place in the stream that the append log keeps: restarts that go on, and replicas that are sent what they lack from the log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::fleet::{Member, all_equal, in_step, said, syncs};
use crate::support::Connection;
use crate::support::process::Program::{Cairn, Reference};
use crate::support::process::check_with;
use crate::support::wait_until;

const LOG: &str = "--appendonly yes --enable-debug-command yes";

/// Changes of several kinds in two databases, and what is in the stream without being a change.
fn write(client: &mut Connection, from: usize, count: usize) {
    for i in from..from + count {
        client.good(&format!("SELECT {}", i % 2));
        client.good(&format!("SET key{i} v{}", "x".repeat(i % 300)));
        client.good("INCR counter");
        client.good("MULTI");
        client.good(&format!("RPUSH list {i}"));
        client.good("INCR other");
        client.good("EXEC");
        if i % 16 == 0 {
            client.good(&format!("PUBLISH channel message-{i}"));
            client.good("WAIT 1 1");
        }
    }
}

/// A file of the log's folder whose name has `part`.
fn log_file(member: &Member, part: &str) -> std::path::PathBuf {
    member.folder.log_file(part)
}

fn stop(member: &mut Member) {
    member.server.kill_here();
}

#[test]
fn a_primary_that_starts_from_its_log_goes_on_with_its_stream() {
    for program in [Cairn, Reference] {
        let mut primary = Member::start(Cairn, LOG);
        let replica = Member::following(program, &primary, "");
        in_step(&primary, &replica);
        write(&mut primary.connect(), 0, 100);
        in_step(&primary, &replica);
        let offset = primary.offset();
        stop(&mut primary);
        check_with("redis-check-aof", &log_file(&primary, ".incr.aof"));
        primary.restart();
        wait_until("it is back", || {
            replica.field("replication", "master_link_status") == "up"
        });
        assert_eq!(primary.offset(), offset, "{program:?}");
        assert_eq!(
            syncs(&primary),
            ("0".to_owned(), "1".to_owned()),
            "{program:?}"
        );
        write(&mut primary.connect(), 100, 20);
        all_equal(&[&primary, &replica]);
    }
}

#[test]
fn a_replica_that_starts_from_its_log_goes_on() {
    for program in [Cairn, Reference] {
        let primary = Member::start(program, "--enable-debug-command yes");
        let mut replica = Member::following(Cairn, &primary, LOG);
        in_step(&primary, &replica);
        // Its log is on when its first base is there.
        wait_until("it has a log", || {
            let names = replica.folder.names();
            let parts = names.iter().filter(|name| name.ends_with(".incr.aof"));
            replica.field("persistence", "aof_rewrite_in_progress") == "0" && parts.count() == 1
        });
        write(&mut primary.connect(), 0, 60);
        in_step(&primary, &replica);
        let before = syncs(&primary);
        stop(&mut replica);
        check_with("redis-check-aof", &log_file(&replica, ".incr.aof"));
        write(&mut primary.connect(), 60, 20);
        replica.restart();
        in_step(&primary, &replica);
        assert_eq!(
            syncs(&primary).0,
            before.0,
            "no full synchronization: {program:?}"
        );
        all_equal(&[&primary, &replica]);
    }
}

#[test]
fn a_log_that_was_changed_by_hand_is_not_gone_on_from() {
    let mut primary = Member::start(Cairn, LOG);
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    let mut client = primary.connect();
    write(&mut client, 0, 20);
    client.good("SET gone value");
    // Until a mark stands behind it.
    std::thread::sleep(Duration::from_millis(1200));
    client.good("SET last 1");
    in_step(&primary, &replica);
    stop(&mut primary);
    let file = log_file(&primary, ".incr.aof");
    let bytes = std::fs::read(&file).unwrap();
    let command = b"*3\r\n$3\r\nSET\r\n$4\r\ngone\r\n$5\r\nvalue\r\n";
    let at = bytes
        .windows(command.len())
        .position(|part| part == command);
    let at = at.expect("the command is in the log");
    std::fs::write(&file, [&bytes[..at], &bytes[at + command.len()..]].concat()).unwrap();
    primary.restart();
    in_step(&primary, &replica);
    assert_eq!(syncs(&primary).0, "1", "a full synchronization");
    assert_eq!(replica.connect().int("EXISTS gone"), 0);
    all_equal(&[&primary, &replica]);
}

/// What a primary sends to a replica that goes on from an offset, and what it answers.
fn stream_from(primary: &Member, id: &str, from: u64, until: u64) -> (String, Vec<u8>) {
    let replica = TcpStream::connect(("127.0.0.1", primary.server.port)).unwrap();
    let wait = Some(Duration::from_secs(20));
    replica.set_read_timeout(wait).unwrap();
    let asked = format!("REPLCONF capa eof capa psync2\r\nPSYNC {id} {from}\r\n");
    // One after the other: a client that has replies to come may not ask for the stream.
    let (first, second) = asked.split_at(asked.find('\n').unwrap() + 1);
    let mut replica = BufReader::new(replica);
    let mut answer = String::new();
    for request in [first, second] {
        replica.get_mut().write_all(request.as_bytes()).unwrap();
        answer.clear();
        replica.read_line(&mut answer).unwrap();
    }
    let mut bytes = vec![0; (until + 1 - from) as usize];
    replica
        .read_exact(&mut bytes)
        .expect("as many as there are");
    (answer.trim_end().to_owned(), bytes)
}

#[test]
fn what_the_log_holds_of_the_stream_is_what_the_backlog_had() {
    let mut primary = Member::start(Cairn, &format!("{LOG} --repl-backlog-size 10mb"));
    let replica = Member::following(Cairn, &primary, "--repl-ping-replica-period 1");
    in_step(&primary, &replica);
    let mut client = primary.connect();
    client.good("CONFIG SET repl-ping-replica-period 1");
    write(&mut client, 0, 300);
    client.good("BGREWRITEAOF");
    client.wait_for_children();
    let rewritten: u64 = primary.offset().parse().unwrap();
    write(&mut client, 300, 300);
    // Some pings, and marks between.
    std::thread::sleep(Duration::from_millis(2100));
    write(&mut client, 600, 100);
    client.good("CONFIG SET repl-ping-replica-period 3600");
    let end: u64 = primary.offset().parse().unwrap();
    let id = primary.field("replication", "master_replid");
    let places = [
        rewritten + 1,
        rewritten + 2,
        rewritten + 1000,
        end - 20_000,
        end - 1,
        end,
    ];
    let wanted: Vec<Vec<u8>> = places
        .iter()
        .map(|from| stream_from(&primary, &id, *from, end).1)
        .collect();
    // The backlog forgets all of it.
    client.good("CONFIG SET repl-backlog-size 16384");
    write(&mut client, 1000, 50);
    // Whole blocks go, and they are as large as the backlog was.
    for _ in 0..2 {
        client.good(&format!("SET big {}", "x".repeat(700_000)));
    }
    in_step(&primary, &replica);
    assert!(
        primary
            .field("replication", "repl_backlog_first_byte_offset")
            .parse::<u64>()
            .unwrap()
            > end
    );
    for (from, wanted) in places.iter().zip(&wanted) {
        let (answer, bytes) = stream_from(&primary, &id, *from, end);
        assert_eq!(answer, format!("+CONTINUE {id}"), "{from}");
        assert!(bytes == *wanted, "{from}: {} bytes differ", bytes.len());
    }
    assert!(
        primary
            .server
            .log()
            .contains("come from the append only file")
    );
    // Not what was before the rewrite.
    let before = said(&{
        let mut late = primary.connect();
        late.good("REPLCONF capa eof capa psync2");
        late.send(format!("PSYNC {id} {}\r\n", rewritten - 1).as_bytes());
        late.read()
    });
    assert!(before.starts_with("FULLRESYNC"), "{before}");
    // And after a restart it is the same.
    drop(replica);
    stop(&mut primary);
    primary.restart();
    for (from, wanted) in places.iter().zip(&wanted) {
        let (_, bytes) = stream_from(&primary, &id, *from, end);
        assert!(bytes == *wanted, "{from} after a restart");
    }
}

#[test]
fn a_replica_that_was_away_for_long_is_sent_what_it_lacks_from_the_log() {
    for (program, from_log) in [(Cairn, true), (Reference, true), (Cairn, false)] {
        let setting = if from_log { "yes" } else { "no" };
        let options = format!("{LOG} --repl-backlog-size 16384 --repl-backlog-from-aof {setting}");
        let primary = Member::start(Cairn, &options);
        let mut replica = Member::following(program, &primary, "--repl-timeout 60");
        in_step(&primary, &replica);
        write(&mut primary.connect(), 0, 50);
        in_step(&primary, &replica);
        let before = syncs(&primary);
        replica.connect().send(b"SHUTDOWN SAVE\r\n");
        replica.server.wait_end();
        write(&mut primary.connect(), 50, 1500);
        replica.restart();
        in_step(&primary, &replica);
        let full = syncs(&primary).0 != before.0;
        assert_eq!(full, !from_log, "{program:?} {setting}");
        write(&mut primary.connect(), 5000, 20);
        all_equal(&[&primary, &replica]);
    }
}
