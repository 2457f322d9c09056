//! Primaries that say nonsense: the old data stays, the log says what was wrong, and nobody is asked again and again.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::fleet::Member;
use crate::support::process::Program::Cairn;
use crate::support::{Folder, Setup, wait_until};

/// A primary that answers by a script: a line for each command, or as many bytes as it likes.
struct Fake {
    port: u16,
    connections: Arc<AtomicUsize>,
}

/// What it says to PSYNC.
type Answer = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

impl Fake {
    fn start(greeting: &'static [u8], answer: Answer) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || converse(stream, greeting, &answer));
            }
        });
        Fake { port, connections }
    }
}

/// Reads commands word by word; hangs up when the other end does.
fn converse(mut stream: TcpStream, greeting: &[u8], answer: &Answer) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|count| count > 0) {
        let word = std::mem::take(&mut line);
        let sent = match word.trim() {
            "PING" => stream.write_all(greeting),
            "REPLCONF" => stream.write_all(b"+OK\r\n"),
            "PSYNC" => {
                answer(&mut stream);
                Ok(())
            }
            _ => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A replica with data of its own tries this primary for a while; its data stays. Answers its log, and how often it tried.
fn tried(greeting: &'static [u8], answer: Answer, until: &str) -> (String, usize) {
    let fake = Fake::start(greeting, answer);
    let replica = Member::start(Cairn, "");
    let mut client = replica.connect();
    client.good("SET mine 1");
    client.good(&format!("REPLICAOF 127.0.0.1 {}", fake.port));
    wait_until("the log has it", || replica.server.log().contains(until));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(client.text("GET mine"), "1");
    assert_eq!(replica.field("replication", "master_link_status"), "down");
    // Who it was stands before what was wrong.
    let log = replica.server.log();
    let named = log.find(&format!("Connecting to MASTER 127.0.0.1:{}", fake.port));
    assert!(named < log.find(until), "{log}");
    assert!(named.is_some());
    client.good("REPLICAOF NO ONE");
    client.good("SET mine 2");
    let left = replica.folder.names();
    assert!(
        !left.iter().any(|name| name.starts_with("temp")),
        "{left:?}"
    );
    (
        replica.server.log(),
        fake.connections.load(Ordering::SeqCst),
    )
}

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn full(snapshot: Vec<u8>) -> Answer {
    Arc::new(move |stream| {
        // The other end may have hung up.
        let _ =
            stream.write_all(format!("+FULLRESYNC {ID} 7\r\n${}\r\n", snapshot.len()).as_bytes());
        let _ = stream.write_all(&snapshot);
    })
}

#[test]
fn a_stranger_is_left_alone() {
    for (greeting, until) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            "Error reply to PING from master",
        ),
        (
            b"-MISCONF no\r\n",
            "Error reply to PING from master: '-MISCONF no'",
        ),
    ] {
        let (_, tries) = tried(greeting, Arc::new(|_| {}), until);
        assert!(tries <= 4, "{tries}");
    }
}

/// The old data stays, and the other end is not asked more than once a second.
#[test]
fn a_wrong_password_is_told() {
    let primary = Member::start(Cairn, "--requirepass secret");
    let replica = Member::start(Cairn, "--masterauth wrong");
    let mut client = replica.connect();
    client.good("SET mine 1");
    let port = primary.server.port;
    client.good(&format!("REPLICAOF 127.0.0.1 {port}"));
    let reason = "Unable to AUTH to MASTER: -WRONGPASS";
    replica.server.wait_for_log(reason);
    replica
        .server
        .wait_for_log(&format!("Connecting to MASTER 127.0.0.1:{port}"));
    std::thread::sleep(Duration::from_millis(1500));
    let log = replica.server.log();
    assert!(log.matches("Connecting to MASTER").count() <= 4, "{log}");
    assert_eq!(client.text("GET mine"), "1");
    client.good("CONFIG SET masterauth secret");
    wait_until("it is let in", || {
        replica.field("replication", "master_link_status") == "up"
    });
}

#[test]
fn refusals_of_psync_are_told_and_not_stormed_against() {
    for (line, until) in [
        (
            &b"-NOPERM no\r\n"[..],
            "Unexpected reply to PSYNC from master: -NOPERM no",
        ),
        (
            b"-NOMASTERLINK later\r\n",
            "Master is currently unable to PSYNC",
        ),
        (b"+FULLRESYNC nonsense\r\n", "wrong +FULLRESYNC syntax"),
        (b"+CONTINUE 0123456789\r\n", "MASTER"),
    ] {
        let answer: Answer = Arc::new(move |stream| {
            let _ = stream.write_all(line);
        });
        let (log, tries) = tried(b"+PONG\r\n", answer, until);
        assert!(tries <= 4, "{tries}: {log}");
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_does_not_touch_the_data() {
    let dump = {
        let member = Member::start(Cairn, "");
        let mut client = member.connect();
        for n in 0..100 {
            client.good(&format!("SET key:{n} {n}"));
        }
        client.good("SAVE");
        std::fs::read(member.folder.data().join("dump.rdb")).unwrap()
    };
    let mut newer = dump.clone();
    newer[5..9].copy_from_slice(b"0099");
    let mut damaged = dump.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let cut = dump[..middle].to_vec();
    for (snapshot, until) in [
        (newer, "not readable"),
        (damaged, "not readable"),
        (cut, "not readable"),
        (b"not a snapshot at all".to_vec(), "not readable"),
    ] {
        let (log, tries) = tried(b"+PONG\r\n", full(snapshot), until);
        assert!(tries <= 3, "{tries}: {log}");
    }
}

/// Three times with what to change, and then no more, though it is tried on and on.
#[test]
fn the_same_reason_is_not_told_for_ever() {
    let mut snapshot = snapshot_with(&[]);
    // A key of a type that nobody knows.
    let end = snapshot.len() - 9;
    snapshot.splice(end..end, *b"\x75\x03key\x03val");
    let fake = Fake::start(b"+PONG\r\n", full(snapshot));
    let replica = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {}", fake.port));
    wait_until("it has failed four times", || {
        let come = replica.server.log().matches("receiving").count();
        come >= 4 && replica.field("replication", "master_sync_in_progress") == "0"
    });
    let log = replica.server.log();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("type 117"))
        .collect();
    assert_eq!(told.len(), 3, "{log}");
    for line in told {
        assert!(
            line.contains("Failed trying to load the MASTER synchronization DB")
                && line.contains("offset 9 (0x9)"),
            "{line}"
        );
    }
    assert_eq!(
        log.matches("failed three times for the same reason")
            .count(),
        1
    );
}

#[test]
fn a_connection_that_ends_within_the_snapshot_leaves_the_data() {
    let answer: Answer = Arc::new(|stream| {
        let _ = stream.write_all(format!("+FULLRESYNC {ID} 7\r\n$100000\r\nREDIS0010").as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let (_, tries) = tried(b"+PONG\r\n", answer, "I/O error trying to sync with MASTER");
    assert!(tries <= 3, "{tries}");
}

#[test]
fn a_stream_that_breaks_the_protocol_is_asked_for_anew() {
    for stream in [
        &b"SET inline 1\r\n"[..],
        b"*1\r\n!\r\n",
        b"*99999999999999999999\r\n",
        b"*2\r\n$-7\r\n",
        b"*1\r\n$99999999999999999999\r\n",
    ] {
        let answer: Answer = Arc::new(move |socket| {
            full(snapshot_with(&[]))(socket);
            let _ = socket.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n");
            let _ = socket.write_all(stream);
        });
        let fake = Fake::start(b"+PONG\r\n", answer);
        let replica = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {}", fake.port));
        wait_until("the log has it", || {
            replica
                .server
                .log()
                .contains("discarding the cached master")
        });
        assert_eq!(replica.connect().text("GET a"), "b");
        wait_until("it asks for all", || {
            let asked = "Partial resynchronization not possible (no cached master)";
            replica.server.log().matches(asked).count() >= 2
        });
    }
}

#[test]
fn empty_lines_between_commands_are_no_part_of_the_stream() {
    let answer: Answer = Arc::new(move |socket| {
        full(snapshot_with(&[]))(socket);
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let multi = b"*1\r\n$5\r\nMULTI\r\n";
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
        let exec = b"*1\r\n$4\r\nEXEC\r\n";
        let stream: [&[u8]; 8] = [b"\n", ping, b"\n\n\n", multi, b"\n", set, exec, b"\n"];
        for part in stream {
            let _ = socket.write_all(part);
        }
        // This primary would answer an acknowledgement.
        std::thread::sleep(Duration::from_secs(20));
    });
    let fake = Fake::start(b"+PONG\r\n", answer);
    let replica = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {}", fake.port));
    wait_until("it is applied", || replica.connect().int("EXISTS a") == 1);
    // The offset of the snapshot, and the four commands.
    assert_eq!(replica.offset(), (7 + 14 + 15 + 27 + 14).to_string());
    assert_eq!(replica.field("replication", "master_link_status"), "up");
}

/// What is only claimed takes no memory, and the end of the connection is the end of it.
#[test]
fn a_command_of_a_length_that_never_comes_is_no_harm() {
    for claim in [
        &b"*2\r\n$4\r\nECHO\r\n$4611686018427387904\r\nabc"[..],
        b"*2000000000\r\n$1\r\na\r\n",
    ] {
        let answer: Answer = Arc::new(move |socket| {
            full(snapshot_with(&[]))(socket);
            let _ = socket.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n");
            let _ = socket.write_all(claim);
            std::thread::sleep(Duration::from_millis(300));
            let _ = socket.shutdown(std::net::Shutdown::Both);
        });
        let fake = Fake::start(b"+PONG\r\n", answer);
        let replica = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {}", fake.port));
        wait_until("it is applied", || replica.connect().int("EXISTS a") == 1);
        replica.server.wait_for_log("Connection with master lost.");
        let memory: u64 = replica.field("memory", "used_memory_peak").parse().unwrap();
        assert!(memory < 20 << 20, "{memory}");
        // What it had is what it still has.
        assert_eq!(replica.connect().text("GET a"), "b");
    }
}

/// An empty snapshot with such fields in front; its checksum is not to be looked at.
fn snapshot_with(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = b"REDIS0011".to_vec();
    for (name, value) in fields {
        bytes.push(0xfa);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes.push(0xff);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// A stream is at no offset that the other end could not name, and selects no database that is not here.
#[test]
fn numbers_beyond_all_measure_are_no_end() {
    let (log, tries) = tried(
        b"+PONG\r\n",
        Arc::new(|stream| {
            let line = format!("+FULLRESYNC {ID} 18446744073709551615\r\n$19\r\n");
            let _ = stream.write_all(line.as_bytes());
            let _ = stream.write_all(&snapshot_with(&[]));
        }),
        "wrong +FULLRESYNC syntax",
    );
    assert!(tries <= 3, "{tries}: {log}");
    for place in [
        ("repl-stream-db", "99999"),
        ("repl-offset", "18446744073709551615"),
    ] {
        let answer: Answer = Arc::new(move |socket| {
            full(snapshot_with(&[place, ("repl-id", ID)]))(socket);
            let _ = socket.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n");
        });
        let fake = Fake::start(b"+PONG\r\n", answer);
        let replica = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {}", fake.port));
        wait_until("it is applied", || replica.connect().int("EXISTS a") == 1);
    }
}

/// The same in a file that a start finds.
#[test]
fn a_start_with_such_numbers_is_one() {
    let folder = Folder::new();
    let fields = [
        ("repl-stream-db", "99999"),
        ("repl-id", ID),
        ("repl-offset", "18446744073709551615"),
    ];
    std::fs::write(folder.data().join("dump.rdb"), snapshot_with(&fields)).unwrap();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    client.good("SET a b");
    assert_eq!(client.info("replication")["master_repl_offset"], "0");
}
