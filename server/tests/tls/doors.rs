//! Who connects and does not shake hands as he should.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::support::wait_until;
use super::talk::{Encrypted, Place};

/// What the server says before it hangs up.
fn last_words(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // Reset, as bytes were left unread, is an end, too.
    let _ = socket.read_to_end(&mut rest);
    rest
}

fn assert_serves(place: &Place, encrypted: &Encrypted) {
    assert_eq!(encrypted.talk(&place.config(None)).ask("PING"), "PONG");
}

#[test]
fn what_is_no_handshake_ends_the_connection_and_nothing_else() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let hello_of_tls11: &[u8] = &[
        0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 2, 0, 0x2f, 1, 0,
    ];
    let mut dice = super::support::Dice::new(7);
    let noise: Vec<u8> = (0..5000).map(|_| dice.next() as u8).collect();
    let long_message = [
        &[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..],
        &[0; 0x4000 - 4],
    ]
    .concat();
    for bytes in [
        &b"PING\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        hello_of_tls11,
        &noise,
        &[0x16, 3, 1, 0xff, 0xff, 0],
        &long_message,
        &[0x15, 3, 1, 0, 2, 2, 40],
        &[0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5],
    ] {
        let mut socket = encrypted.socket();
        socket.write_all(bytes).unwrap();
        let rest = last_words(&mut socket);
        assert!(!rest.windows(2).any(|two| two == b"+P"), "{bytes:?}");
        // An alert is for who began a handshake; others would take it for a reply.
        assert!(bytes[0] == 0x16 || rest.is_empty(), "{bytes:?}: {rest:?}");
    }
    // And without a word.
    drop(encrypted.socket());
    assert_serves(&place, &encrypted);
    assert!(
        encrypted
            .server
            .log()
            .contains("Error accepting a client connection: ")
    );
}

#[test]
fn a_handshake_at_the_other_port_gets_none() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut socket = TcpStream::connect(("127.0.0.1", encrypted.server.port)).unwrap();
    let hello = include_bytes!("../../../testdata/tls/hello-1.3.bin");
    socket.write_all(hello).unwrap();
    // It may be the beginning of a line: as with the reference there is no answer before its end.
    let pause = Duration::from_millis(300);
    socket.set_read_timeout(Some(pause)).unwrap();
    let error = socket.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_serves(&place, &encrypted);
}

#[test]
fn a_thousand_half_handshakes_take_little_and_end() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no --maxclients 1200");
    let mut control = encrypted.server.connect();
    control.good("DEBUG LOOP-TURN");
    let before = control.info("memory")["used_memory"]
        .parse::<u64>()
        .unwrap();
    let start = Instant::now();
    let mut sockets: Vec<TcpStream> = Vec::new();
    for at in 0..1000 {
        let mut socket = encrypted.socket();
        // Half of them say the beginning of something.
        if at % 2 == 0 {
            socket.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
        }
        sockets.push(socket);
    }
    assert_serves(&place, &encrypted);
    let held = control.info("memory")["used_memory"]
        .parse::<u64>()
        .unwrap()
        - before;
    assert!(held < 16 << 20, "{held} bytes");
    assert_eq!(control.info("clients")["connected_clients"], "1");
    // They may take ten seconds, and no more.
    wait_until("they are sent away", || {
        sockets.iter_mut().all(|socket| {
            socket.set_nonblocking(true).unwrap();
            !matches!(socket.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        })
    });
    assert!(
        start.elapsed() > Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
    assert_serves(&place, &encrypted);
}

#[test]
fn who_is_let_in_under_a_long_script_hears_that_it_is_busy() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no --busy-reply-threshold 50");
    let mut runs = encrypted.talk(&place.config(None));
    runs.send(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n");
    let config = place.config(None);
    wait_until("it is busy", || {
        encrypted.talk(&config).ask("GET a").starts_with("-BUSY")
    });
    assert_eq!(encrypted.talk(&config).ask("SCRIPT KILL"), "OK");
    assert!(runs.read().unwrap().is_error());
    assert_eq!(runs.ask("PING"), "PONG");
}
