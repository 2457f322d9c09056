//! Who is let in; large and slow ones; what all of them have in common with others.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::authority::{Authority, Wish};
use super::support::wait_until;
use super::talk::{Place, config_of};

#[test]
fn commands_are_answered_as_on_the_other_port() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut talk = encrypted.talk(&place.config(None));
    assert_eq!(talk.ask("SET key value"), "OK");
    assert_eq!(encrypted.server.connect().text("GET key"), "value");
    let list = talk.ask("CLIENT LIST");
    let own = format!("laddr=127.0.0.1:{}", encrypted.port);
    let line = list.lines().find(|line| line.contains(&own)).unwrap();
    assert!(line.contains(" fd=") && line.contains(" omem=0 "), "{line}");
    let weight = |line: &str| -> u64 {
        let text = line.split(" tot-mem=").nth(1).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(weight(line) > 1000, "{line}");
    assert!(talk.ask("INFO server").contains("listener2:name=tls,"));
    // A client that waits, one that is ended, one that ends itself.
    let mut waits = encrypted.talk(&place.config(None));
    waits.send(b"BLPOP list 0\r\n");
    wait_until("it waits", || {
        talk.ask("INFO clients").contains("blocked_clients:1")
    });
    assert_eq!(talk.ask("RPUSH list one"), "Int(1)");
    let popped = waits.read().unwrap();
    assert_eq!(popped.as_array().unwrap()[1].as_bytes(), Some(&b"one"[..]));
    let id = waits
        .ask("CLIENT ID")
        .replace(|c: char| !c.is_ascii_digit(), "");
    assert_eq!(talk.ask(&format!("CLIENT KILL ID {id}")), "Int(1)");
    assert!(waits.try_call(&["PING"]).is_err());
    assert_eq!(talk.ask("QUIT"), "OK");
    assert!(talk.read().is_err(), "it is closed, and said so");
}

#[test]
fn a_certificate_is_asked_for_as_configured() {
    let place = Place::new();
    let strange = Authority::new("a stranger");
    strange.write(&place.folder.path(""), "strange", Wish::default());
    let late = Wish {
        from: -2000,
        until: -1000,
        ..Wish::default()
    };
    place.authority.write(&place.folder.data(), "late", late);
    let early = Wish {
        from: 5000,
        ..Wish::default()
    };
    place.authority.write(&place.folder.data(), "early", early);
    let old = Wish {
        version: 1,
        ..Wish::default()
    };
    place.authority.write(&place.folder.data(), "old", old);
    let path = |end: &str| place.folder.path(&format!("strange.{end}"));
    let of_stranger = config_of(&place.authority.cert, Some((&path("crt"), &path("key"))));
    let encrypted = place.start("");
    let mut control = encrypted.server.connect();
    for (mode, without, with_bad) in [
        ("yes", false, false),
        ("optional", true, false),
        ("no", true, true),
    ] {
        control.good(&format!("CONFIG SET tls-auth-clients {mode}"));
        let lets_in = |config: Arc<ClientConfig>| encrypted.try_talk(&config).is_ok();
        assert_eq!(lets_in(place.config(None)), without, "{mode}: none");
        assert!(lets_in(place.config(Some("client"))), "{mode}: a good one");
        assert!(
            lets_in(place.config(Some("old"))),
            "{mode}: one of version 1"
        );
        assert_eq!(
            lets_in(of_stranger.clone()),
            with_bad,
            "{mode}: a stranger's"
        );
        assert_eq!(
            lets_in(place.config(Some("late"))),
            with_bad,
            "{mode}: expired"
        );
        assert_eq!(
            lets_in(place.config(Some("early"))),
            with_bad,
            "{mode}: not yet good"
        );
    }
    let log = encrypted.server.stop();
    for reason in [
        "UnknownIssuer",
        "certificate expired",
        "certificate not valid yet",
        "peer sent no certificates",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
}

#[test]
fn whoever_else_is_believed_need_not_believe_us() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let stranger = config_of(&Authority::new("another").cert, None);
    assert!(encrypted.try_talk(&stranger).is_err());
}

#[test]
fn long_pipelines_and_large_values_pass_whole() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut talk = encrypted.talk(&place.config(None));
    let large: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(
        talk.try_call(&[b"SET", &b"large"[..], &large])
            .unwrap()
            .as_bytes(),
        Some(&b"OK"[..])
    );
    assert_eq!(
        talk.try_call(&["GET", "large"]).unwrap().as_bytes(),
        Some(&large[..])
    );
    // What is sent and what is answered are more than sockets hold, so that both sides go on in turn.
    let config = place.config(None);
    let mut other = encrypted.talk(&config);
    other.stream.sock.set_nonblocking(true).unwrap();
    let request = b"ECHO 0123456789abcdef\r\n".repeat(200_000);
    let (mut sent, mut answered, mut chunk) = (0, 0, vec![0; 1 << 16]);
    let wanted = 200_000 * "$16\r\n0123456789abcdef\r\n".len();
    wait_until("all is answered", || {
        while sent < request.len() {
            match other.stream.write(&request[sent..]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        while let Ok(count) = std::io::Read::read(&mut other.stream, &mut chunk) {
            answered += count;
        }
        answered == wanted
    });
}

#[test]
fn a_slow_reader_is_cut_off_at_its_limit_and_the_others_are_not() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut control = encrypted.server.connect();
    control.good_call(&[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "normal 4mb 0 0",
    ]);
    let mut talk = encrypted.talk(&place.config(None));
    let value = "x".repeat(1 << 20);
    assert_eq!(talk.ask(&format!("SET big {value}")), "OK");
    let mut slow = encrypted.talk(&place.config(None));
    slow.send(&b"GET big\r\n".repeat(40));
    let limit = "scheduled to be closed ASAP for overcoming of output buffer limits";
    encrypted.server.wait_for_log(limit);
    assert_eq!(talk.ask("PING"), "PONG");
}

#[test]
fn limits_of_all_clients_hold() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no --maxclients 4");
    let config = place.config(None);
    let mut talks: Vec<_> = (0..4).map(|_| encrypted.talk(&config)).collect();
    assert!(encrypted.try_talk(&config).is_err(), "one too many");
    assert!(
        talks[0]
            .ask("INFO stats")
            .contains("rejected_connections:1")
    );
    talks.truncate(1);
    let mut talk = talks.pop().unwrap();
    wait_until("they are gone", || {
        talk.ask("INFO clients").contains("connected_clients:1")
    });
    talk.ask("CONFIG SET client-query-buffer-limit 1mb");
    let mut wordy = encrypted.talk(&config);
    let mut long = b"*2\r\n$3\r\nGET\r\n$4000000\r\n".to_vec();
    long.resize(3_000_000, b'x');
    // It may be cut off while it still sends.
    let _ = wordy.stream.write_all(&long);
    assert!(wordy.read().is_err());
    talk.ask("CONFIG SET timeout 1");
    let mut idle = encrypted.talk(&config);
    std::thread::sleep(Duration::from_millis(1500));
    wait_until("who is idle goes", || idle.try_call(&["PING"]).is_err());
    // PAUSE holds them as it holds others.
    let mut talk = encrypted.talk(&config);
    assert_eq!(talk.ask("CLIENT PAUSE 300 ALL"), "OK");
    let mut paused = encrypted.socket();
    paused.write_all(b"\x16").unwrap();
    let start = std::time::Instant::now();
    assert_eq!(talk.ask("PING"), "PONG");
    assert!(start.elapsed() > Duration::from_millis(150));
}

#[test]
fn versions_and_ciphers_are_those_configured() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no --tls-protocols TLSv1.2");
    let config = place.config(None);
    let mut talk = encrypted.talk(&config);
    let version = talk.stream.conn.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    talk.ask("CONFIG SET tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305");
    let other = encrypted.talk(&config);
    let suite = other.stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(
        suite,
        rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    );
    talk.try_call(&[
        "CONFIG",
        "SET",
        "tls-protocols",
        "TLSv1.3",
        "tls-ciphersuites",
        "TLS_AES_128_GCM_SHA256",
    ])
    .unwrap();
    let other = encrypted.talk(&config);
    let suite = other.stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn the_order_of_ciphers_is_the_clients_or_the_servers() {
    use rustls::CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    };
    let place = Place::new();
    let encrypted = place.start(
        "--tls-auth-clients no --tls-protocols TLSv1.2 --tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
    );
    let config = place.config(None);
    let suite = || {
        let talk = encrypted.talk(&config);
        talk.stream.conn.negotiated_cipher_suite().unwrap().suite()
    };
    // This client would rather have AES.
    assert_eq!(suite(), TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    let mut client = encrypted.server.connect();
    client.good("CONFIG SET tls-prefer-server-ciphers yes");
    assert_eq!(suite(), TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
}

#[test]
fn sessions_are_taken_up_again_while_they_are_kept() {
    use rustls::HandshakeKind::{Full, Resumed};
    let place = Place::new();
    let encrypted = place.start("--tls-session-cache-size 100");
    for protocols in ["TLSv1.3", "TLSv1.2"] {
        let config = place.config(Some("client"));
        let mut control = encrypted.server.connect();
        control.good(&format!("CONFIG SET tls-protocols {protocols}"));
        let kind = || {
            let talk = encrypted.talk(&config);
            talk.stream.conn.handshake_kind().unwrap()
        };
        assert_eq!((kind(), kind()), (Full, Resumed), "{protocols}");
        control.good("CONFIG SET tls-session-caching no");
        assert_eq!((kind(), kind()), (Full, Full), "{protocols}");
        control.good("CONFIG SET tls-session-caching yes tls-session-cache-timeout 1");
        assert_eq!(kind(), Full, "{protocols}");
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(kind(), Full, "{protocols}");
        control.good("CONFIG SET tls-session-cache-timeout 300");
    }
}
