//! CLIENT PAUSE: who waits, what stands still, and how it goes on.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use cairn_format::resp::value::Value;

use crate::both;
use crate::support::process::Server;
use crate::support::told;
use crate::support::{Connection, Folder, Setup, wait_until};

fn server(folder: &Folder) -> Server {
    Setup::cairn(folder)
        .with("--enable-debug-command yes")
        .start()
}

fn paused(c: &mut Connection) -> u64 {
    c.info("clients")["blocked_clients"].parse().unwrap()
}

/// Each with what is sent before the pause; whether it waits is asked of the reference.
const COMMANDS: &[(&[&str], &str)] = &[
    (&[], "SET k v"),
    (&[], "GET k"),
    (&[], "GETEX k"),
    (&[], "SORT l"),
    (&[], "SORT l STORE m"),
    (&[], "BLPOP l 0.01"),
    (&[], "PUBLISH a b"),
    (&[], "SPUBLISH a b"),
    (&[], "PFCOUNT h"),
    (&[], "SWAPDB 0 1"),
    (&[], "EXPIRE k 100"),
    (&[], "OBJECT ENCODING k"),
    (&[], "CONFIG GET port"),
    (&[], "SUBSCRIBE a"),
    (&[], "PING"),
    (&[], "SELECT 1"),
    (&[], "WATCH k"),
    (&[], "MULTI"),
    (&[], "SET k"),
    (&[], "NOSUCH"),
    (&[], "BITFIELD b GET u8 0"),
    (&[], "BITFIELD_RO b GET u8 0"),
    (&[], "XREADGROUP GROUP g c STREAMS s >"),
    (&[], "CLIENT ID"),
    (&[], "DEL k"),
    (&["MULTI"], "SET k v"),
    (&["MULTI"], "GET k"),
    (&["MULTI", "GET k"], "EXEC"),
    (&["MULTI", "PUBLISH a b"], "EXEC"),
    (&["MULTI", "SET k v"], "EXEC"),
    (&["MULTI", "SET k v"], "DISCARD"),
];

/// Which of the commands get no answer while clients are paused.
fn held_back(server: &Server, extent: &str) -> Vec<&'static str> {
    let mut control = server.connect();
    let mut held = Vec::new();
    for (before, command) in COMMANDS {
        let mut client = server.connect();
        before.iter().for_each(|request| drop(client.line(request)));
        control.good(&format!("CLIENT PAUSE 300 {extent}"));
        client.send(format!("{command}\r\n").as_bytes());
        let began = Instant::now();
        client.read();
        if began.elapsed() > Duration::from_millis(150) {
            held.push(*command);
        }
        std::thread::sleep(Duration::from_millis(300).saturating_sub(began.elapsed()));
    }
    held
}

#[test]
fn those_wait_that_wait_in_the_reference() {
    let (_folders, servers) = both("");
    let [ours, expected] = std::thread::scope(|scope| {
        let threads = servers
            .each_ref()
            .map(|server| scope.spawn(|| held_back(server, "WRITE")));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(ours, expected);
    assert!(ours.len() > 10 && ours.len() < COMMANDS.len());
}

#[test]
fn commands_go_on_in_their_order_when_the_pause_ends() {
    let folder = Folder::new();
    let server = server(&folder);
    let (mut c, mut other) = (server.connect(), server.connect());
    c.good("CLIENT PAUSE 100000 WRITE");
    other.send(b"GET k\r\nSET k 1\r\nGET k\r\nINCR k\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nQUIT\r\n");
    assert_eq!(other.read(), Value::Null);
    wait_until("it waits", || paused(&mut c) == 1);
    let line = c
        .text("CLIENT LIST")
        .lines()
        .find(|line| line.contains(" flags=b "))
        .map(str::to_owned);
    let id = line.expect("a client that waits");
    let id = id
        .strip_prefix("id=")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        c.int(&format!("CLIENT UNBLOCK {id}")),
        0,
        "it is not blocked by a command"
    );
    assert_eq!(c.line("GET k"), Value::Null, "nothing ran");
    c.good("CLIENT UNPAUSE");
    let rest = other.read_to_end();
    assert_eq!(rest, b"+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n+OK\r\n");
    assert_eq!(paused(&mut c), 0);
}

#[test]
fn a_pause_of_all_ends_by_itself_and_is_never_made_shorter() {
    let folder = Folder::new();
    let server = server(&folder);
    let mut c = server.connect();
    let began = Instant::now();
    c.send(b"CLIENT PAUSE 400\r\n");
    c.read();
    let mut other = server.connect();
    other.send(b"PING\r\nCLIENT PAUSE 1 WRITE\r\nCLIENT UNPAUSE\r\nPING\r\n");
    c.send(b"PING\r\n");
    assert_eq!(c.read().as_bytes(), Some(&b"PONG"[..]));
    assert!(began.elapsed() >= Duration::from_millis(390));
    (0..4).for_each(|_| drop(other.read()));
    // Longer and of more counts, whatever comes later.
    let began = Instant::now();
    c.send(b"CLIENT PAUSE 300 WRITE\r\nCLIENT PAUSE 10 ALL\r\nPING\r\n");
    (0..2).for_each(|_| drop(c.read()));
    c.read();
    assert!(began.elapsed() >= Duration::from_millis(290));
}

#[test]
fn nothing_expires_meanwhile_and_nobody_sees_what_has() {
    let folder = Folder::new();
    let server = server(&folder);
    let mut c = server.connect();
    for request in [
        "MULTI",
        "SET a 1 PX 10",
        "SET b 1 PX 10",
        "HSET h f 1 g 2",
        "HPEXPIRE h 10 FIELDS 1 f",
        "HSET all f 1",
        "HPEXPIRE all 10 FIELDS 1 f",
        "SET c 1",
        "CLIENT PAUSE 100000 WRITE",
        "SET d 1",
        "EXEC",
    ] {
        c.good(request);
    }
    std::thread::sleep(Duration::from_millis(50));
    for (request, expected) in [
        ("EXISTS a", 0),
        ("EXISTS d", 1),
        ("HLEN h", 1),
        ("HEXISTS h f", 0),
        ("EXISTS all", 0),
        ("HLEN all", 0),
    ] {
        assert_eq!(c.int(request), expected, "{request}");
    }
    for _ in 0..20 {
        let key = c.text("RANDOMKEY");
        assert!(["c", "d", "h", "all"].contains(&key.as_str()), "{key}");
    }
    let keys = c.good("KEYS *").as_array().unwrap().len();
    assert!(keys <= 4, "{keys}");
    let expired = |c: &mut Connection| c.info("stats")["expired_keys"].clone();
    assert_eq!((expired(&mut c).as_str(), c.int("DBSIZE")), ("0", 6));
    c.good("CLIENT UNPAUSE");
    assert_eq!(c.int("EXISTS a b all"), 0);
    wait_until("they go", || c.int("DBSIZE") == 3);
    assert_eq!(expired(&mut c), "2");
    assert_eq!(c.int("HLEN h"), 1);
}

#[test]
fn a_watched_key_that_expires_in_a_pause_fails_the_transaction() {
    let folder = Folder::new();
    let server = server(&folder);
    let (mut c, mut control) = (server.connect(), server.connect());
    c.good("SET k v PX 500");
    c.good("WATCH k");
    control.good("CLIENT PAUSE 100000 WRITE");
    std::thread::sleep(Duration::from_millis(550));
    c.good("MULTI");
    c.good("PING");
    assert_eq!(c.line("EXEC"), Value::Null);
    // It is the same key after the pause, too.
    control.good("CLIENT UNPAUSE");
    assert_eq!(c.int("EXISTS k"), 0);
}

#[test]
fn who_ends_or_is_killed_while_it_waits_leaves_nothing_behind() {
    let folder = Folder::new();
    let server = server(&folder);
    let mut c = server.connect();
    c.good("CLIENT PAUSE 100000 WRITE");
    // Half-closed: it is answered when the pause ends.
    let mut half = server.connect();
    half.send(b"SET half 1\r\n");
    half.stream().shutdown(Shutdown::Write).unwrap();
    // Killed: nothing of it runs.
    let mut killed = server.connect();
    let id = killed.int("CLIENT ID");
    killed.send(b"SET killed 1\r\n");
    let mut gone = server.connect();
    gone.send(b"SET gone 1\r\n");
    wait_until("three wait", || paused(&mut c) == 3);
    assert_eq!(c.int(&format!("CLIENT KILL ID {id}")), 1);
    assert_eq!(killed.read_to_end(), b"");
    // Another client takes the place of the one that was killed, and does not wait.
    let mut next = server.connect();
    assert_eq!(next.int("EXISTS killed"), 0);
    c.good("CLIENT UNPAUSE");
    assert_eq!(half.read_to_end(), b"+OK\r\n");
    assert_eq!(gone.read().as_bytes(), Some(&b"OK"[..]));
    assert_eq!(c.int("EXISTS half killed gone"), 2);
}

#[test]
fn wrong_words_get_the_answers_of_the_reference() {
    let (_folders, servers) = both("");
    let requests = [
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 1 SOME",
        "CLIENT PAUSE 1 ALL x",
        "CLIENT PAUSE 9223372036854775808",
        "CLIENT PAUSE 0",
        "CLIENT UNPAUSE x",
        "CLIENT UNPAUSE",
    ];
    let [ours, expected] = servers.each_ref().map(|server| {
        let mut c = server.connect();
        requests.map(|request| told(&c.line(request)))
    });
    assert_eq!(ours, expected);
}
