//! What an operator does with `redis-cli --cluster` from the first node to the last, with nodes of ours alone and with nodes of both kinds.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::process::{Program, Server, free_port};
use crate::support::{Folder, Setup, wait_until};
use crate::{Client, Node, version_for_all};

/// Nodes of the first cluster, half of them replicas; one more joins later.
const FIRST: usize = 6;

/// Runs it, as somebody who says yes to all that it asks.
fn tool(words: &str) -> (bool, String) {
    let output = Command::new("redis-cli")
        .arg("--cluster")
        .args(words.split(' '))
        .arg("--cluster-yes")
        .stdin(Stdio::null())
        .output()
        .expect("redis-cli is installed with redis-server");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.success(), text)
}

fn good(words: &str) -> String {
    let (is_good, text) = tool(words);
    assert!(is_good, "{words}: {text}");
    text
}

/// It looks at all of it, until nodes have told each other what was done last.
fn is_sound(at: &str) {
    wait_until("all agree and all slots are covered", || {
        let (is_good, text) = tool(&format!("check {at}"));
        is_good && text.contains("[OK] All 16384 slots covered") && !text.contains("[WARNING]")
    });
}

fn start(program: Program) -> Node {
    let folder = Folder::new();
    // The tool takes the usual port of the bus for granted.
    let port = free_port();
    let version = version_for_all(program);
    let options = "--cluster-enabled yes --cluster-node-timeout 5000 --repl-diskless-sync-delay 0";
    let setup = Setup::new(program, &folder).with(&format!("{options} {version}"));
    Node::launch(setup.on_port(port), port + 10_000, folder)
}

fn place(node: &Node) -> String {
    format!("127.0.0.1:{}", node.port)
}

fn write(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let key = format!("key:{number}");
        assert_eq!(client.call(&["SET", &key, &key]), "OK");
    }
}

fn finds(nodes: &[Node], prefix: &str, count: usize) {
    let mut client = Client::new(nodes);
    for number in 0..count {
        let key = format!("{prefix}:{number}");
        assert_eq!(client.call(&["GET", &key]), key);
    }
}

fn live(programs: [Program; FIRST + 1]) {
    let nodes = programs.map(start);
    let (at, newest) = (place(&nodes[0]), &nodes[FIRST]);
    let places: Vec<String> = nodes[..FIRST].iter().map(place).collect();
    let created = good(&format!("create {} --cluster-replicas 1", places.join(" ")));
    assert!(
        created.contains("[OK] All 16384 slots covered"),
        "{created}"
    );
    is_sound(&at);
    write(&mut Client::new(&nodes[..FIRST]), 0..300);

    good(&format!("add-node {} {at}", place(newest)));
    wait_until("all know the new node", || {
        let is_known = |node: &Node| node.ask("CLUSTER NODES").contains(&newest.id);
        nodes[..FIRST].iter().all(is_known)
    });
    // A node that has just found all slots covered waits a moment before it serves any.
    wait_until("it serves", || newest.info("cluster_state") == "ok");
    is_sound(&at);
    let from = nodes[..FIRST].iter().find(|node| node.is_primary());
    let from = &from.expect("half of them are").id;
    let to = &newest.id;
    good(&format!(
        "reshard {at} --cluster-from {from} --cluster-to {to} --cluster-slots 300"
    ));
    is_sound(&at);
    // Each slot takes some ten milliseconds, so that the newest gets few more.
    good(&format!(
        "rebalance {at} --cluster-weight {to}=0.1 --cluster-threshold 1"
    ));
    is_sound(&at);
    let count = |node: &Node| node.info("cluster_size");
    assert!(nodes.iter().all(|node| count(node) == "4"));
    finds(&nodes, "key", 300);

    let answers = good(&format!("call {at} PING"));
    assert_eq!(answers.matches("PONG").count(), FIRST + 1, "{answers}");
    good(&format!("set-timeout {at} 4000"));
    for node in &nodes {
        let answer = node.ask("CONFIG GET cluster-node-timeout");
        assert!(answer.contains("4000"), "{answer}");
    }
    backup(&at);
    import(&nodes, &at);
    fix(&nodes, &at);

    // The newest gives back what it has, and goes.
    good(&format!("rebalance {at} --cluster-weight {to}=0"));
    wait_until("it has nothing left", || {
        nodes[0].info("cluster_size") == "3"
    });
    good(&format!("del-node {at} {to}"));
    wait_until("it is forgotten", || {
        let knows = |node: &Node| node.ask("CLUSTER NODES").contains(to.as_str());
        !nodes[..FIRST].iter().any(knows)
    });
    is_sound(&at);
    finds(&nodes[..FIRST], "key", 300);
    finds(&nodes[..FIRST], "old", 100);
}

/// A snapshot of each primary, and the map of the cluster.
fn backup(at: &str) {
    let folder = Folder::new();
    let to = folder.path("backup");
    std::fs::create_dir(&to).expect("a new folder");
    good(&format!("backup {at} {}", to.display()));
    let names: Vec<_> = std::fs::read_dir(&to)
        .expect("it is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let is_snapshot = |path: &&std::path::PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        path.extension() == Some("rdb".as_ref()) && bytes.starts_with(b"REDIS")
    };
    assert_eq!(names.iter().filter(is_snapshot).count(), 4, "{names:?}");
    assert!(Path::new(&to).join("nodes.json").exists(), "{names:?}");
}

/// Keys of a server without slots come over.
fn import(nodes: &[Node], at: &str) {
    let folder = Folder::new();
    let single: Server = Setup::cairn(&folder)
        .with("--rdb-save-version redis-7.0")
        .start();
    let mut client = single.connect();
    for number in 0..100 {
        client.good(&format!("SET old:{number} old:{number}"));
    }
    good(&format!(
        "import {at} --cluster-from 127.0.0.1:{}",
        single.port
    ));
    assert_eq!(client.int("DBSIZE"), 0);
    finds(nodes, "old", 100);
    single.stop();
}

/// A slot that was left half of the way is closed, with the keys at one of both.
fn fix(nodes: &[Node], at: &str) {
    let slot = cairn_format::crc16::key_slot(b"key:1");
    let has = |node: &&Node| node.is_primary() && node.ask("GET key:1") == "key:1";
    let source = nodes.iter().find(has).expect("somebody has it");
    let is_other = |node: &&Node| node.is_primary() && node.id != source.id;
    let target = nodes.iter().find(is_other).expect("there are four");
    assert_eq!(
        target.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", source.id)),
        "OK"
    );
    assert_eq!(
        source.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", target.id)),
        "OK"
    );
    let (_, text) = tool(&format!("check {at}"));
    assert!(text.contains("open slots"), "{text}");
    good(&format!("fix {at}"));
    is_sound(at);
    finds(nodes, "key", 300);
}

#[test]
fn the_tool_of_the_reference_works_with_our_nodes() {
    live([Program::Cairn; FIRST + 1]);
}

#[test]
fn and_with_nodes_of_both_kinds() {
    let (ours, theirs) = (Program::Cairn, Program::Reference);
    live([ours, theirs, ours, theirs, ours, theirs, ours]);
}
