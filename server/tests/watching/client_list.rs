//! The fields of CLIENT LIST, in states that clients can be in, as 7.0.15 shows them. Those that tell the size of a buffer are
//! left out: ours have other sizes.

use std::collections::BTreeMap;

use crate::both;
use crate::support::process::Server;
use crate::support::{Connection, wait_until};

const FIELDS: [&str; 13] = [
    "flags",
    "db",
    "sub",
    "psub",
    "ssub",
    "multi",
    "qbuf",
    "argv-mem",
    "multi-mem",
    "oll",
    "events",
    "cmd",
    "resp",
];

/// What each client has sent, the last of it without waiting for an answer.
const STATES: &[(&str, &[&str], &[u8])] = &[
    ("plain", &[], b""),
    ("queued", &["MULTI", "SET k vvvvvvvvvv", "GET k"], b""),
    ("watching", &["WATCH a b"], b""),
    ("dirty", &["WATCH dirty", "MULTI"], b""),
    ("listening", &["SUBSCRIBE x", "PSUBSCRIBE p*"], b""),
    ("sharded", &["SSUBSCRIBE x"], b""),
    ("monitoring", &["MONITOR"], b""),
    ("waiting", &[], b"BLPOP nothing 0\r\n"),
    ("elsewhere", &["SELECT 5", "CLIENT NO-EVICT on"], b""),
    ("newer", &["HELLO 3 SETNAME newer"], b""),
    ("torn", &[], b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$10\r\nabc"),
    (
        "begun",
        &[],
        b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$100000\r\nabcdefgh",
    ),
    ("counting", &[], b"*3"),
    ("typing", &[], b"PING he"),
];

fn listed(c: &mut Connection) -> BTreeMap<String, BTreeMap<String, String>> {
    let list = c.text("CLIENT LIST");
    let fields = |line: &str| -> BTreeMap<String, String> {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let lines = list.lines().map(fields);
    lines.map(|line| (line["name"].clone(), line)).collect()
}

fn shown(server: &Server) -> Vec<String> {
    let mut control = server.connect();
    control.good("CLIENT SETNAME control");
    let mut others = Vec::new();
    for (name, requests, rest) in STATES {
        let mut client = server.connect();
        client.good(&format!("CLIENT SETNAME {name}"));
        requests
            .iter()
            .for_each(|request| drop(client.good(request)));
        client.send(rest);
        others.push(client);
    }
    control.good("SET dirty 1");
    let unread: BTreeMap<&str, &str> = [
        ("torn", "3"),
        ("begun", "8"),
        ("counting", "2"),
        ("typing", "7"),
    ]
    .into();
    wait_until("all has come", || {
        let clients = listed(&mut control);
        let is_there = |(name, bytes): (&&str, &&str)| clients[*name]["qbuf"] == **bytes;
        clients["waiting"]["flags"] == "b" && unread.iter().all(is_there)
    });
    let clients = listed(&mut control);
    let line = |name: &str| {
        let fields = FIELDS.map(|field| format!("{field}={}", clients[name][field]));
        format!("{name}: {}", fields.join(" "))
    };
    STATES.iter().map(|(name, ..)| line(name)).collect()
}

#[test]
fn fields_are_those_of_the_reference() {
    let (_folders, servers) = both("");
    let [ours, expected] = servers.each_ref().map(shown);
    assert_eq!(ours, expected);
}
