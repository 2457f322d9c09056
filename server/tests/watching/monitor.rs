//! MONITOR shows what runs, as 7.0.15 shows it.

use crate::both;
use crate::support::process::Server;
use crate::support::told;
use crate::support::{Connection, wait_until};

/// Requests of one client; `@` are those of a second one.
const REQUESTS: &[&str] = &[
    "SET k v",
    "set K2 \"quo\\\"ted\"",
    "GET k",
    "INCR k",
    "LPUSH k x",
    "NOSUCH command",
    "GET",
    "SELECT 3",
    "SET k v",
    "MULTI",
    "SET a 1",
    "INCR a",
    "GET",
    "EXEC",
    "MULTI",
    "SET a 1",
    "LPUSH a 1",
    "GET a",
    "EXEC",
    "MULTI",
    "SET a 2",
    "DISCARD",
    "WATCH a",
    "@SET a 3",
    "MULTI",
    "GET a",
    "EXEC",
    "AUTH secret",
    "AUTH user secret",
    "HELLO 2 SETNAME me",
    "HELLO 2 AUTH default secret SETNAME me",
    "CONFIG GET port",
    "CONFIG SET maxmemory 0",
    "CLIENT ID",
    "CLIENT LIST",
    "CLIENT SETNAME x",
    "DEBUG JMAP",
    "OBJECT ENCODING a",
    "PUBLISH channel message",
    "BLPOP nothing 0.01",
    "MIGRATE 127.0.0.1 1 key 0 10 AUTH secret",
    "MIGRATE 127.0.0.1 1 key 0 10 COPY AUTH2 user secret KEYS",
    "EVAL return(redis.call('PING')) 0",
    "EVAL return(1 0",
    "EVAL return(1) 5 k",
    "EVAL return(1) x",
    "EVAL one",
    "EVALSHA none 0",
    "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
    "EVAL_RO return(redis.call('GET','k')) 0",
    "EVAL_RO return(redis.call('SET','k','v')) 0",
    "EVALSHA_RO none 0",
    "FCALL none 0",
    "FCALL_RO none 0",
    "MULTI",
    "EVALSHA none 0",
    "EXEC",
    "PING",
    "RESET",
    "SET last one",
    "QUIT",
];

fn lines_of(server: &Server) -> Vec<String> {
    let mut monitor = server.connect();
    monitor.good("MONITOR");
    let (mut client, mut other) = (server.connect(), server.connect());
    for request in REQUESTS {
        match request.strip_prefix('@') {
            Some(request) => other.line(request),
            None => client.line(request),
        };
    }
    other.good("ECHO the-end");
    let mut lines = Vec::new();
    loop {
        let line = monitor.read();
        let line = String::from_utf8_lossy(line.as_bytes().unwrap()).into_owned();
        let (time, rest) = line.split_once(' ').unwrap();
        let (seconds, micros) = time.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000 && micros.len() == 6);
        if rest.contains("the-end") {
            return lines;
        }
        let (client, command) = rest.split_once("] ").unwrap();
        let (db, address) = client[1..].split_once(' ').unwrap();
        let is_script = address == "lua";
        assert!(is_script || address.starts_with("127.0.0.1:"), "{line}");
        lines.push(format!("[{db}, by a script: {is_script}] {command}"));
    }
}

#[test]
fn lines_are_those_of_the_reference() {
    let (_folders, servers) = both("--enable-debug-command yes");
    let [ours, expected] = servers.each_ref().map(lines_of);
    assert_eq!(ours, expected);
    let secrets = ours.iter().filter(|line| line.contains("secret"));
    assert_eq!(secrets.count(), 0, "{ours:?}");
    assert!(ours.len() > 30);
}

#[test]
fn bytes_are_escaped_as_the_reference_does() {
    let (_folders, servers) = both("");
    let all: Vec<u8> = (0..=255).collect();
    let [ours, expected] = servers.each_ref().map(|server| {
        let mut monitor = server.connect();
        monitor.good("MONITOR");
        server.connect().good_call(&[b"echo".as_slice(), &all]);
        let line = monitor.read();
        let line = String::from_utf8_lossy(line.as_bytes().unwrap()).into_owned();
        line.split_once("] ").unwrap().1.to_owned()
    });
    assert_eq!(ours, expected);
}

fn replies(server: &Server, requests: &[&str]) -> Vec<String> {
    let mut client = server.connect();
    let mut replies = Vec::new();
    for request in requests {
        let reply = client.line(request);
        replies.push(match request.starts_with("MULTI") {
            true => "open".to_owned(),
            false => told(&reply),
        });
    }
    replies
}

#[test]
fn who_looks_on_uses_no_keys_until_a_reset() {
    let (_folders, servers) = both("");
    for requests in [
        &["MONITOR", "GET k", "SET k v", "PUBLISH a b", "PFCOUNT k"][..],
        &["MONITOR", "RESET", "GET k", "MONITOR"],
        &["MULTI", "MONITOR", "SET k v", "EXEC", "GET k"],
        &["MONITOR x"],
    ] {
        let [ours, expected] = servers.each_ref().map(|server| replies(server, requests));
        assert_eq!(ours, expected, "{requests:?}");
    }
}

fn monitors(c: &mut Connection) -> usize {
    let list = c.text("CLIENT LIST");
    list.lines()
        .filter(|line| line.contains(" flags=O "))
        .count()
}

#[test]
fn lines_come_to_all_who_look_on_and_end_with_them() {
    let (_folders, [ours, _reference]) = both("");
    let mut c = ours.connect();
    let mut watching: Vec<Connection> = (0..5).map(|_| ours.connect()).collect();
    watching.iter_mut().for_each(|m| drop(m.good("MONITOR")));
    assert_eq!(monitors(&mut c), 5);
    drop(watching.pop());
    watching[0].good("RESET");
    wait_until("two are gone", || monitors(&mut c) == 3);
    c.good("SET k v");
    for monitor in &mut watching[1..] {
        let line = loop {
            let line = monitor.read();
            let text = String::from_utf8_lossy(line.as_bytes().unwrap()).into_owned();
            if text.contains("\"SET\"") {
                break text;
            }
        };
        assert!(line.ends_with("\"SET\" \"k\" \"v\""), "{line}");
    }
    // It gets nothing more: the next that comes is the answer.
    assert_eq!(watching[0].text("PING"), "PONG");
}

#[test]
fn a_monitor_that_does_not_read_is_cut_off() {
    let folder = crate::support::Folder::new();
    let limit = "--client-output-buffer-limit pubsub 1mb 0 0";
    let server = crate::support::Setup::cairn(&folder).with(limit).start();
    let (mut c, mut monitor) = (server.connect(), server.connect());
    monitor.good("MONITOR");
    let large = "x".repeat(1 << 16);
    // What the sockets hold comes on top of the limit.
    for _ in 0..2000 {
        c.good_call(&["SET", "k", &large]);
        if monitors(&mut c) == 0 {
            break;
        }
    }
    assert_eq!(monitors(&mut c), 0);
    let memory: u64 = c.info("memory")["used_memory"].parse().unwrap();
    assert!(memory < 50 << 20, "{memory}");
}
