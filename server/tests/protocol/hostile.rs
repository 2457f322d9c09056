//! Malformed requests: the client is told and cut off, everybody else goes on.

use cairn_format::resp::value::Value;

use crate::support::process::Program;
use crate::support::{Dice, Folder, Setup};

#[test]
fn malformed_requests_are_told_and_end_the_connection() {
    tells_and_hangs_up(Program::Cairn);
}

/// Shows that what is asked of ours is what the reference does.
#[test]
fn the_reference_tells_the_same() {
    tells_and_hangs_up(Program::Reference);
}

fn tells_and_hangs_up(program: Program) {
    let folder = Folder::new();
    let server = Setup::new(program, &folder).start();
    let mut other = server.connect();
    other.good("SET a 1");
    let long_line = vec![b'x'; 70_000];
    let long_count = [b"*".as_slice(), &vec![b'1'; 70_000]].concat();
    let long_length = [b"*1\r\n$".as_slice(), &vec![b'1'; 70_000]].concat();
    let cases: [(&[u8], &str); 12] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*2\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"SET \"open\r\n", "unbalanced quotes in request"),
        (&long_line, "too big inline request"),
        (&long_count, "too big mbulk count string"),
        (&long_length, "too big bulk count string"),
    ];
    for (request, reason) in cases {
        let mut connection = server.connect();
        connection.send(request);
        let expected = format!("-ERR Protocol error: {reason}\r\n");
        assert_eq!(String::from_utf8_lossy(&connection.read_to_end()), expected);
        assert_eq!(other.text("GET a"), "1");
    }
    // What came before the broken part of a pipeline counts.
    let mut connection = server.connect();
    connection.send(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r\nPING\r\n");
    let expected = "+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n";
    assert_eq!(String::from_utf8_lossy(&connection.read_to_end()), expected);
    assert_eq!(other.int("DBSIZE"), 1);
    server.stop();
}

#[test]
fn any_bytes_at_all_leave_the_server_well() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut other = server.connect();
    let mut dice = Dice::new(7);
    let pieces: [&[u8]; 12] = [
        b"*",
        b"$",
        b"\r\n",
        b"3",
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n",
        b"PING\r\n",
        b"\0",
        b"\"",
        b"-1",
        b"1048576",
        b"GET a\r\n",
        b"\n",
    ];
    for round in 0..400 {
        let mut connection = server.connect();
        let mut bytes = Vec::new();
        for _ in 0..dice.below(30) {
            if dice.below(4) == 0 {
                bytes.extend((0..dice.below(20)).map(|_| dice.next() as u8));
            } else {
                bytes.extend(pieces[dice.below(pieces.len() as u64) as usize]);
            }
        }
        // The server may hang up in the middle.
        let _ = connection.try_send(&bytes);
        if round % 20 == 0 {
            assert_eq!(
                other.line("PING"),
                Value::Simple(b"PONG".into()),
                "round {round}"
            );
        }
    }
    assert_eq!(other.text("ECHO well"), "well");
    crate::support::wait_until("the guests are gone", || {
        other.info("clients")["connected_clients"] == "1"
    });
    server.stop();
}

#[test]
fn half_a_command_is_not_run() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut other = server.connect();
    let request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n";
    for cut in 0..request.len() {
        let mut connection = server.connect();
        connection.send(&request[..cut]);
    }
    crate::support::wait_until("the guests are gone", || {
        other.info("clients")["connected_clients"] == "1"
    });
    assert_eq!(other.int("EXISTS k"), 0);
    // In pieces with pauses it is.
    let mut connection = server.connect();
    for byte in request {
        connection.send(&[*byte]);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(connection.read(), Value::Simple(b"OK".into()));
    assert_eq!(other.text("GET k"), "value");
}
