//! `maxmemory-clients`: the largest clients go, and only as many as have to.

use std::io::Read;

use crate::support::{Connection, Folder, Setup, wait_until};

fn clients(c: &mut Connection, name: &str) -> usize {
    let list = c.text("CLIENT LIST");
    let wanted = format!(" name={name} ");
    list.lines().filter(|line| line.contains(&wanted)).count()
}

fn named(server: &crate::support::process::Server, name: &str) -> Connection {
    let mut connection = server.connect();
    connection.good(&format!("CLIENT SETNAME {name}"));
    connection
}

/// Begins a command of so many bytes and does not end it.
fn begin(c: &mut Connection, bytes: usize) {
    c.send(format!("*2\r\n$3\r\nGET\r\n${bytes}\r\n").as_bytes());
    c.send(&vec![b'x'; bytes]);
}

#[test]
fn the_largest_go_until_the_rest_fits() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = named(&server, "control");
    c.good("CLIENT NO-EVICT on");
    let sizes = [
        ("small", 100_000),
        ("middle", 800_000),
        ("large", 3_000_000),
    ];
    let mut others = Vec::new();
    for (name, bytes) in sizes {
        for _ in 0..3 {
            let mut other = named(&server, name);
            begin(&mut other, bytes);
            others.push(other);
        }
    }
    let counts = |c: &mut Connection| sizes.map(|(name, _)| clients(c, name));
    wait_until("all has come", || {
        let list = c.text("CLIENT LIST");
        list.lines()
            .filter(|line| line.contains(" qbuf=3000000 "))
            .count()
            == 3
    });
    assert_eq!(counts(&mut c), [3, 3, 3]);
    for (limit, left) in [
        ("10500000", [3, 3, 2]),
        ("4000000", [3, 3, 0]),
        ("1700000", [3, 1, 0]),
        ("0", [3, 1, 0]),
    ] {
        c.good(&format!("CONFIG SET maxmemory-clients {limit}"));
        assert_eq!(counts(&mut c), left, "{limit}");
    }
    assert_eq!(c.info("stats")["evicted_clients"], "5");
    // It is at least 128 KB, in which one has room at most; who may not be evicted stays.
    c.good("CONFIG SET maxmemory-clients 1");
    let [small, ..] = counts(&mut c);
    assert!(small <= 1, "{small}");
    let evicted = 9 - small;
    assert_eq!(c.info("stats")["evicted_clients"], evicted.to_string());
    assert_eq!(
        server.log().matches("Evicting client: id=").count(),
        evicted
    );
    let mut byte = [0];
    assert_eq!(
        others
            .last_mut()
            .unwrap()
            .stream()
            .read(&mut byte)
            .unwrap_or(0),
        0
    );
}

#[test]
fn a_percentage_is_one_of_maxmemory() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--maxmemory-clients 10%")
        .start();
    let mut c = server.connect();
    let mut other = named(&server, "other");
    begin(&mut other, 2_000_000);
    wait_until("all has come", || {
        c.text("CLIENT LIST").contains(" qbuf=2000000 ")
    });
    c.good("CONFIG SET maxmemory 30mb");
    assert_eq!(clients(&mut c, "other"), 1);
    c.good("CONFIG SET maxmemory 10mb");
    assert_eq!(clients(&mut c, "other"), 0);
}

/// A command whose client is too large by then is not run.
#[test]
fn who_is_too_large_runs_nothing_more() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--maxmemory-clients 1mb")
        .start();
    let (mut c, mut other) = (server.connect(), server.connect());
    let large = vec![b'x'; 2_000_000];
    // It may be cut off while it still sends.
    let _ = other.try_send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n");
    let _ = other.try_send(&[&large[..], b"\r\n"].concat());
    assert!(other.try_read().is_err());
    assert_eq!(c.int("EXISTS k"), 0);
    // What waits to be read counts as well.
    c.good_call(&[&b"SETRANGE"[..], b"k", b"500000", b"x"]);
    let mut slow = named(&server, "slow");
    slow.send(b"GET k\r\n".repeat(40).as_slice());
    wait_until("it is cut off", || clients(&mut c, "slow") == 0);
}
