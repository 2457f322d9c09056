//! What a primary makes of replicas: what they say of themselves, tools that pose as them, and those that are slow.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use cairn_format::resp::value::{Value, write_command};

use crate::fleet::Member;
use crate::support::process::Program::{Cairn, Reference};
use crate::support::{Dice, wait_until};

#[test]
fn what_is_said_wrong_is_answered_as_by_the_reference() {
    let lines = [
        "REPLCONF",
        "REPLCONF listening-port",
        "REPLCONF listening-port x",
        "REPLCONF listening-port 70000",
        "REPLCONF ip-address 10.1.2.3",
        &format!("REPLCONF ip-address {}", "a".repeat(300)),
        "REPLCONF capa eof capa psync2 capa nonsense",
        "REPLCONF rdb-only 2",
        "REPLCONF rdb-only x",
        "REPLCONF rdb-only 0",
        "REPLCONF rdb-filter-only keys",
        "REPLCONF rdb-filter-only functions",
        "REPLCONF rdb-filter-only \"\"",
        "REPLCONF nonsense 1",
        "PSYNC ? x",
        "PSYNC ?",
        "SYNC now",
        "MULTI",
        "PSYNC ? -1",
        "DISCARD",
        "PSYNC 0123456789012345678901234567890123456789 1 FAILOVER",
        "REPLICAOF 127.0.0.1 x",
        "REPLICAOF 127.0.0.1 70000",
        "REPLICAOF NO ONE",
        "FAILOVER",
        "FAILOVER ABORT",
        "FAILOVER TO",
        "FAILOVER nonsense",
        "FAILOVER TIMEOUT x",
        "ROLE",
        "WAIT 1 x",
        "WAIT 0 0",
        "WAIT -1 0",
        "WAITAOF 2 0 0",
    ];
    let (ours, theirs) = (Member::start(Cairn, ""), Member::start(Reference, ""));
    let (mut a, mut b) = (ours.connect(), theirs.connect());
    for line in lines {
        // WAITAOF came with 7.2.
        if !line.starts_with("WAITAOF") {
            assert_eq!(a.line(line), b.line(line), "{line}");
        }
    }
}

/// Pairs of REPLCONF in any order and number: the same replies, and none where the reference gives none.
#[test]
fn words_at_random_are_answered_as_by_the_reference() {
    const OPTIONS: &[&str] = &[
        "listening-port",
        "IP-Address",
        "capa",
        "rdb-only",
        "rdb-filter-only",
        "ack",
        "fack",
        "getack",
        "",
        "\r\n",
    ];
    const VALUES: &[&str] = &[
        "",
        "0",
        "1",
        "-1",
        "7000",
        "9223372036854775807",
        "99999999999999999999",
        "eof",
        "PSYNC2",
        "functions",
        "functions functions",
        "keys",
        "\"functions",
        "*",
        "10.1.2.3",
        "fack",
        "\0\r\n",
    ];
    let (ours, theirs) = (Member::start(Cairn, ""), Member::start(Reference, ""));
    let mut clients = [ours.connect(), theirs.connect()];
    let mut dice = Dice::new(3);
    let mut pick = |of: &'static [&'static str]| of[dice.below(of.len() as u64) as usize];
    for round in 0..3000 {
        let mut words = vec!["REPLCONF"];
        for _ in 0..round % 4 {
            words.extend([pick(OPTIONS), pick(VALUES)]);
        }
        if round % 7 == 0 {
            words.push(pick(OPTIONS));
        }
        let [a, b] = clients.each_mut().map(|client| {
            let mut bytes = Vec::new();
            write_command(&mut bytes, &words);
            write_command(&mut bytes, &["ECHO", "the end"]);
            client.send(&bytes);
            let mut replies = vec![client.read()];
            while replies.last().and_then(Value::as_bytes) != Some(b"the end") {
                replies.push(client.read());
            }
            replies
        });
        assert_eq!(a, b, "round {round}: {words:?}");
    }
}

/// What PSYNC is answered: the stream goes on, or all is sent, or it is refused.
#[test]
fn an_id_or_offset_that_never_was_is_answered_as_by_the_reference() {
    let answers = [Cairn, Reference].map(|program| {
        let primary = Member::start(program, "--repl-diskless-sync no");
        let mut first = primary.connect();
        first.send(b"SYNC\r\n");
        wait_until("it is online", || {
            primary.field("replication", "slave0").contains("online")
        });
        let mut client = primary.connect();
        client.good("SET key value");
        let id = primary.field("replication", "master_replid");
        let end: i64 = primary.offset().parse().unwrap();
        let other = "0123456789abcdef0123456789abcdef01234567";
        let mut asked: Vec<(String, String)> =
            [-1, 0, 1, 2, end, end + 1, end + 2, i64::MAX, i64::MIN]
                .iter()
                .map(|from| (id.clone(), from.to_string()))
                .collect();
        for (id, from) in [
            (other, "1"),
            ("?", "1"),
            ("", "1"),
            (&id[..39], "1"),
            (&id, "x"),
            (&id, "99999999999999999999"),
        ] {
            asked.push((id.to_owned(), from.to_owned()));
        }
        asked
            .iter()
            .map(|(id, from)| {
                let mut replica = primary.connect();
                replica.send(&{
                    let mut bytes = Vec::new();
                    write_command(&mut bytes, &["PSYNC", id, from]);
                    bytes
                });
                let mut line = vec![0];
                while !line.ends_with(b"\n") || line.len() < 4 {
                    // Newlines may come before the answer.
                    let mut byte = [0];
                    replica.stream().read_exact(&mut byte).unwrap();
                    line.push(byte[0]);
                }
                let line = String::from_utf8_lossy(&line).into_owned();
                let kind = line.trim_matches(['\0', '\r', '\n']).to_owned();
                match kind.starts_with('+') {
                    true => kind.split(' ').next().unwrap().to_owned(),
                    false => kind,
                }
            })
            .collect::<Vec<String>>()
    });
    assert_eq!(answers[0], answers[1]);
    let kinds = |kind: &str| answers[0].iter().filter(|answer| **answer == kind).count();
    assert_eq!(
        (kinds("+CONTINUE"), kinds("+FULLRESYNC")),
        (4, 9),
        "{answers:?}"
    );
}

/// A replica that says what is no command is hung up on, and the primary goes on.
#[test]
fn garbage_from_a_replica_ends_its_connection() {
    for garbage in [
        &b"*1\r\n!\r\n"[..],
        b"*-9\r\n$3\r\nxyz\r\n*1\r\n$4\r\nnope\r\n",
        b"*99999999999999999999\r\n",
        b"\x01\x02\r\n",
    ] {
        let primary = Member::start(Cairn, "");
        let mut replica = primary.connect();
        replica.send(b"SYNC\r\n");
        wait_until("it is online", || {
            primary.field("replication", "slave0").contains("online")
        });
        replica.send(garbage);
        replica.read_to_end();
        wait_until("it is gone", || {
            primary.field("replication", "connected_slaves") == "0"
        });
        let log = primary.server.log();
        assert!(log.contains("Connection with replica 127.0.0.1"), "{log}");
    }
}

fn redis_cli(primary: &Member, args: &[&str]) -> std::process::Output {
    Command::new("redis-cli")
        .args(["-p", &primary.server.port.to_string()])
        .args(args)
        .output()
        .expect("redis-cli is installed by scripts/setup")
}

#[test]
fn redis_cli_takes_a_snapshot() {
    let primary = Member::start(Cairn, "");
    primary.connect().good("SET key value");
    let path = primary.folder.path("taken.rdb");
    let name = path.to_str().unwrap();
    let taken = redis_cli(&primary, &["--rdb", name]);
    assert!(taken.status.success(), "{taken:?}");
    let bytes = std::fs::read(&path).unwrap();
    assert!(
        bytes
            .windows(8)
            .any(|at| at == b"\x03key\x05val"[..8].as_ref())
    );
    let functions = primary.folder.path("functions.rdb");
    let taken = redis_cli(&primary, &["--functions-rdb", functions.to_str().unwrap()]);
    assert!(taken.status.success(), "{taken:?}");
    let bytes = std::fs::read(&functions).unwrap();
    assert!(bytes.starts_with(b"REDIS") && !bytes.windows(3).any(|at| at == b"key"));
    wait_until("both are gone", || {
        primary.field("replication", "connected_slaves") == "0"
    });
    assert!(
        !primary
            .folder
            .names()
            .iter()
            .any(|name| name.starts_with("temp"))
    );
}

#[test]
fn a_replica_that_asks_for_data_is_sent_away() {
    let primary = Member::start(Cairn, "");
    let mut replica = primary.connect();
    replica.send(b"SYNC\r\n");
    wait_until("it is online", || {
        primary
            .connect()
            .text("INFO replication")
            .contains("state=online")
    });
    replica.send(b"GET key\r\n");
    replica.read_to_end();
    assert!(
        primary
            .server
            .log()
            .contains("Replica generated a reply to command")
    );
}

#[test]
fn one_that_does_not_read_is_cut_off_and_its_memory_given_back() {
    let primary = Member::start(
        Cairn,
        "--client-output-buffer-limit replica 4mb 4mb 60 --repl-backlog-size 1mb",
    );
    let mut slow = primary.connect();
    slow.send(b"SYNC\r\n");
    wait_until("it is online", || {
        primary
            .connect()
            .text("INFO replication")
            .contains("state=online")
    });
    let mut client = primary.connect();
    let value = "x".repeat(100_000);
    wait_until("it is cut off", || {
        for n in 0..20 {
            client.good_call(&["SET", &format!("key:{n}"), &value]);
        }
        primary.field("replication", "connected_slaves") == "0"
    });
    assert!(
        primary
            .server
            .log()
            .contains("overcoming of output buffer limits")
    );
    let fields = client.info("memory");
    let buffers: u64 = fields["mem_total_replication_buffers"].parse().unwrap();
    assert!(buffers < 2 << 20, "{buffers}");
}

#[test]
fn who_waits_for_a_snapshot_hears_newlines_and_those_who_come_late_join() {
    let primary = Member::start(Cairn, "--rdb-key-save-delay 40000");
    let mut client = primary.connect();
    client.good("DEBUG POPULATE 100");
    let mut first = primary.connect();
    first.send(b"PSYNC ? -1\r\n");
    wait_until("the snapshot has begun", || {
        primary.field("persistence", "rdb_bgsave_in_progress") == "1"
    });
    client.good("SET meanwhile 1");
    let mut second = primary.connect();
    second.send(b"PSYNC ? -1\r\n");
    for replica in [&mut first, &mut second] {
        let stream = replica.stream();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"*3\r\n$3\r\nSET\r\n$9\r\nmeanwhile\r\n$1\r\n1\r\n") {
            stream.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        assert!(text.starts_with(b"+FULLRESYNC "), "{}", text.escape_ascii());
        let size = text.windows(2).position(|at| at == b"\n$").unwrap();
        let before = &text[..size + 1];
        assert!(
            before.ends_with(b"\r\n\n") || before.ends_with(b"\n\n"),
            "{}",
            before.escape_ascii()
        );
    }
    assert_eq!(primary.field("persistence", "total_forks"), "");
    assert_eq!(primary.field("stats", "total_forks"), "1");
    assert_eq!(primary.field("stats", "sync_full"), "2");
}

#[test]
fn limits_of_clients_are_none_of_replicas() {
    let primary = Member::start(Cairn, "--timeout 1 --maxmemory-clients 200kb");
    // It never acknowledges anything.
    let mut silent = primary.connect();
    silent.send(b"SYNC\r\n");
    wait_until("it is online", || {
        primary
            .connect()
            .text("INFO replication")
            .contains("state=online")
    });
    std::thread::sleep(Duration::from_millis(3500));
    let mut client = primary.connect();
    for n in 0..40 {
        client.good_call(&["SET", &format!("key:{n}"), &"x".repeat(10_000)]);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(primary.field("replication", "connected_slaves"), "1");
}
