//! Other certificates while clients are connected.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::authority::{Authority, Wish};
use super::talk::{Place, config_of};

const REFUSED: &str = "Unable to update TLS configuration. Check server logs.";

#[test]
fn new_certificates_are_shown_to_those_who_come_and_nobody_goes() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut control = encrypted.server.connect();
    let mut old = encrypted.talk(&place.config(None));
    let other = Authority::new("another authority");
    let data = place.folder.data();
    let (cert, key) = other.sign("server", Wish::default());
    fs::write(data.join("new.crt"), cert).unwrap();
    fs::write(data.join("new.key"), key).unwrap();
    control.good("CONFIG SET tls-cert-file new.crt tls-key-file new.key");
    assert_eq!(old.ask("PING"), "PONG");
    assert!(
        encrypted.try_talk(&place.config(None)).is_err(),
        "it is another's now"
    );
    let mut new = encrypted.talk(&config_of(&other.cert, None));
    assert_eq!(
        (new.ask("PING"), old.ask("PING")),
        ("PONG".into(), "PONG".into())
    );
    // The same names, and other files behind them.
    fs::copy(data.join("server.crt"), data.join("new.crt")).unwrap();
    fs::copy(data.join("server.key"), data.join("new.key")).unwrap();
    control.good("CONFIG SET tls-cert-file new.crt");
    encrypted.talk(&place.config(None));
}

#[test]
fn a_bad_file_is_refused_and_the_old_stays() {
    let place = Place::new();
    let encrypted = place.start("");
    let data = place.folder.data();
    fs::write(
        data.join("bad.crt"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(data.join("empty.crt"), "").unwrap();
    let mut control = encrypted.server.connect();
    for (name, value) in [
        ("tls-cert-file", "missing.crt"),
        ("tls-cert-file", "bad.crt"),
        ("tls-cert-file", "empty.crt"),
        ("tls-cert-file", "client.crt"),
        ("tls-cert-file", ""),
        ("tls-key-file", "client.key"),
        ("tls-key-file", "server.crt"),
        ("tls-key-file", ""),
        ("tls-ca-cert-file", "missing.crt"),
        ("tls-ca-cert-file", "empty.crt"),
        ("tls-ca-cert-file", ""),
        ("tls-protocols", "TLSv1.1"),
        ("tls-protocols", "nonsense"),
        ("tls-ciphers", "RC4-MD5"),
        ("tls-ciphersuites", "nonsense"),
    ] {
        let before = control.good_call(&["CONFIG", "GET", name]);
        let answer = control.call(&["CONFIG", "SET", name, value]);
        let wanted =
            format!("CONFIG SET failed (possibly related to argument '{name}') - {REFUSED}");
        assert!(
            format!("{answer:?}").contains(&wanted)
                || super::talk::told(&answer).ends_with(&wanted),
            "{name} {value}: {answer:?}"
        );
        assert_eq!(control.good_call(&["CONFIG", "GET", name]), before);
        encrypted.talk(&place.config(Some("client")));
    }
    // What was good is overwritten: those who come are shown what was read before.
    fs::write(data.join("server.crt"), "gone").unwrap();
    let answer = control.call(&["CONFIG", "SET", "tls-cert-file", "server.crt"]);
    assert!(answer.is_error(), "{answer:?}");
    encrypted.talk(&place.config(Some("client")));
}

#[test]
fn under_load_no_command_is_lost() {
    let place = Place::new();
    let encrypted = Arc::new(place.start("--tls-auth-clients no"));
    let ends = Arc::new(AtomicBool::new(false));
    let config = place.config(None);
    let clients: Vec<_> = (0..4)
        .map(|at| {
            let (encrypted, ends, config) = (encrypted.clone(), ends.clone(), config.clone());
            std::thread::spawn(move || {
                let mut talk = encrypted.talk(&config);
                let mut count = 0;
                while !ends.load(Ordering::Relaxed) {
                    count += 1;
                    assert_eq!(
                        talk.ask(&format!("INCR count-{at}")),
                        format!("Int({count})")
                    );
                    if count % 50 == 0 {
                        encrypted.talk(&config);
                    }
                }
                count
            })
        })
        .collect();
    let mut control = encrypted.server.connect();
    for round in 0..30 {
        let name = ["server", "client"][round % 2];
        control.good(&format!(
            "CONFIG SET tls-cert-file {name}.crt tls-key-file {name}.key"
        ));
        std::thread::sleep(Duration::from_millis(20));
    }
    ends.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
}

#[test]
fn a_port_comes_and_goes() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut control = encrypted.server.connect();
    let mut talk = encrypted.talk(&place.config(None));
    control.good("CONFIG SET tls-port 0");
    assert!(std::net::TcpStream::connect(("127.0.0.1", encrypted.port)).is_err());
    assert_eq!(talk.ask("PING"), "PONG");
    let taken = encrypted.server.port.to_string();
    let answer = control.call(&["CONFIG", "SET", "tls-port", &taken]);
    assert!(
        super::talk::told(&answer).ends_with("Unable to listen on this port. Check server logs.")
    );
    control.good(&format!("CONFIG SET tls-port {}", encrypted.port));
    encrypted.talk(&place.config(None));
}

#[test]
fn a_killed_server_comes_back_with_what_was_acknowledged() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no --appendonly yes --appendfsync always");
    let mut talk = encrypted.talk(&place.config(None));
    for at in 0..50 {
        assert_eq!(talk.ask("INCR count"), format!("Int({})", at + 1));
    }
    let setup = encrypted.setup.clone();
    encrypted.server.kill();
    assert!(talk.try_call(&["PING"]).is_err());
    let server = setup.start();
    assert_eq!(server.connect().text("GET count"), "50");
}
