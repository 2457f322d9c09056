use std::time::{Duration, Instant};

use cairn_format::crc16::key_slot;

use crate::support::process::Program;
use crate::support::told;
use crate::support::wait_until;
use crate::{Client, Node, join};

/// Who has which slots, as a node tells it, without the order of replicas.
fn slots_of(node: &Node) -> Vec<String> {
    let mut client = node.connect();
    let reply = client.call(&["CLUSTER", "SLOTS"]);
    let ranges = reply.as_array().expect("ranges").iter();
    ranges
        .map(|range| {
            let parts = range.as_array().expect("a range");
            let mut nodes: Vec<String> = parts[3..].iter().map(told).collect();
            nodes.sort();
            format!(
                "{:?} {:?} {} {nodes:?}",
                parts[0],
                parts[1],
                told(&parts[2])
            )
        })
        .collect()
}

fn agree(nodes: &[Node]) -> bool {
    let mut told = nodes
        .iter()
        .filter(|node| node.server.is_some())
        .map(slots_of);
    let first = told.next();
    told.all(|other| Some(other) == first)
}

fn keys() -> impl Iterator<Item = String> {
    (0..300).map(|i| format!("key:{i}"))
}

/// Moves a slot with its keys, as redis-cli does.
fn move_slot(nodes: &[Node], slot: u16, from: usize, to: usize) {
    let (source, target) = (&nodes[from], &nodes[to]);
    target
        .connect()
        .good(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", source.id));
    let mut client = source.connect();
    client.good(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", target.id));
    let keys = client.call(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"]);
    let keys: Vec<String> = keys.as_array().expect("keys").iter().map(told).collect();
    let port = target.port.to_string();
    let mut words = vec![
        "MIGRATE",
        "127.0.0.1",
        &port,
        "",
        "0",
        "5000",
        "REPLACE",
        "KEYS",
    ];
    words.extend(keys.iter().map(String::as_str));
    assert_eq!(told(&client.call(&words)), "OK", "{keys:?}");
    for node in [target, source] {
        node.connect()
            .good(&format!("CLUSTER SETSLOT {slot} NODE {}", target.id));
    }
}

#[test]
fn nodes_of_both_kinds_serve_move_slots_and_take_over_from_each_other() {
    let (ours, theirs) = (Program::Cairn, Program::Reference);
    let kinds = [ours, theirs, ours, theirs, ours, theirs];
    let mut nodes: Vec<Node> = kinds.into_iter().map(Node::start).collect();
    join(&nodes, 3);
    wait_until("all tell the same", || agree(&nodes));
    let mut client = Client::new(&nodes);
    for key in keys() {
        assert_eq!(client.call(&["SET", &key, &format!("of {key}")]), "OK");
    }
    // One slot from ours to theirs, one back, each with a key.
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let owner = |key: &String| client_finds(&nodes, key) == nodes[from].port;
        let key = keys().find(owner).expect("it has keys");
        move_slot(&nodes, key_slot(key.as_bytes()), from, to);
        assert_eq!(
            Client::new(&nodes).call(&["GET", &key]),
            format!("of {key}")
        );
    }
    wait_until("all tell the same", || agree(&nodes));
    // Replicas have everything: then no key may be lost with their primary.
    wait_until("the replicas have everything", || {
        (0..3).all(|at| {
            let mut client = nodes[at].connect();
            told(&client.call(&["WAIT", "1", "500"])) == "Int(1)"
        })
    });
    for victim in [1, 0] {
        nodes[victim].kill();
        let heir = &nodes[3 + victim];
        wait_until("the replica takes over", || heir.is_primary());
        wait_until("the cluster serves", || {
            let up = nodes.iter().filter(|node| node.server.is_some());
            up.clone().all(|node| node.info("cluster_state") == "ok")
        });
        let mut client = Client::new(&nodes);
        for key in keys() {
            assert_eq!(client.call(&["GET", &key]), format!("of {key}"), "{key}");
        }
        assert_eq!(client.call(&["SET", "after", "v"]), "OK");
        nodes[victim].start_again();
        wait_until("the former primary follows", || !nodes[victim].is_primary());
    }
    wait_until("all tell the same", || agree(&nodes));
    let mut client = Client::new(&nodes);
    for key in keys() {
        assert_eq!(client.call(&["GET", &key]), format!("of {key}"));
    }
    for node in nodes {
        node.server.expect("it runs").stop();
    }
}

/// The port of the node that serves a key.
fn client_finds(nodes: &[Node], key: &str) -> u16 {
    let mut client = Client::new(nodes);
    client.call(&["EXISTS", key]);
    client.known[&key_slot(key.as_bytes())]
}

/// Asks until it is done: who votes may hear of the last change later than the limit of one attempt.
fn take_over(heir: &Node, form: &str) {
    for _ in 0..6 {
        let asked = heir.ask(&format!("CLUSTER FAILOVER{form}"));
        let until = Instant::now() + Duration::from_secs(7);
        while asked == "OK" && Instant::now() < until {
            if heir.is_primary() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("it does not take over");
}

#[test]
fn a_replica_takes_over_when_it_is_asked_to() {
    for kinds in [
        [Program::Cairn, Program::Reference, Program::Cairn],
        [Program::Reference, Program::Cairn, Program::Cairn],
    ] {
        let mut nodes: Vec<Node> = kinds.into_iter().map(Node::start).collect();
        // Two primaries, so that somebody votes; the third follows the first.
        join(&nodes, 2);
        let mut client = Client::new(&nodes);
        for key in keys() {
            client.call(&["SET", &key, "v"]);
        }
        for form in ["", " FORCE", " TAKEOVER"] {
            let at = if nodes[2].is_primary() { 0 } else { 2 };
            let heir = &nodes[at];
            wait_until("the replica is in step", || {
                heir.ask("ROLE").contains("connected")
            });
            // Who votes must know whose replica it is.
            wait_until("all tell the same", || agree(&nodes));
            take_over(heir, form);
            wait_until("the other follows", || !nodes[2 - at].is_primary());
        }
        wait_until("all tell the same", || agree(&nodes));
        let mut client = Client::new(&nodes);
        for key in keys() {
            assert_eq!(client.call(&["GET", &key]), "v", "{key}");
        }
        nodes.iter_mut().for_each(Node::kill);
    }
}

#[test]
fn messages_reach_listeners_on_all_nodes_and_shards_keep_to_theirs() {
    let kinds = [
        Program::Cairn,
        Program::Reference,
        Program::Cairn,
        Program::Cairn,
    ];
    let nodes: Vec<Node> = kinds.into_iter().map(Node::start).collect();
    join(&nodes, 2);
    let mut listeners: Vec<_> = nodes.iter().map(Node::connect).collect();
    for listener in &mut listeners {
        listener.line("SUBSCRIBE news");
    }
    for (at, node) in nodes.iter().enumerate() {
        node.connect().line(&format!("PUBLISH news from{at}"));
        for listener in &mut listeners {
            assert!(told(&listener.read()).contains(&format!("from{at}")));
        }
    }
    // A channel of the first node's slots: its replica hears it, too, and nobody else.
    let channel = (0..)
        .map(|i| format!("c{i}"))
        .find(|c| key_slot(c.as_bytes()) < 8000);
    let channel = channel.expect("there is one");
    let mut shard: Vec<_> = [&nodes[0], &nodes[2]].map(Node::connect).into();
    for listener in &mut shard {
        let reply = told(&listener.line(&format!("SSUBSCRIBE {channel}")));
        assert!(reply.contains("ssubscribe"), "{reply}");
    }
    let elsewhere = nodes[1].ask(&format!("SSUBSCRIBE {channel}"));
    assert!(elsewhere.starts_with("-MOVED"), "{elsewhere}");
    nodes[0]
        .connect()
        .line(&format!("SPUBLISH {channel} hello"));
    for listener in &mut shard {
        assert!(told(&listener.read()).contains("hello"));
    }
    // The slot leaves: who listens is told that it does not any more.
    let slot = key_slot(channel.as_bytes());
    for node in [1, 0, 2] {
        nodes[node].ask(&format!("CLUSTER SETSLOT {slot} NODE {}", nodes[1].id));
    }
    for listener in &mut shard {
        assert!(told(&listener.read()).contains("sunsubscribe"));
    }
}

#[test]
fn who_waits_for_a_key_is_sent_after_its_slot() {
    let nodes: Vec<Node> = [Program::Cairn, Program::Cairn]
        .into_iter()
        .map(Node::start)
        .collect();
    join(&nodes, 2);
    let key = (0..)
        .map(|i| format!("list{i}"))
        .find(|k| key_slot(k.as_bytes()) < 8000)
        .unwrap();
    let slot = key_slot(key.as_bytes());
    let mut waiting = nodes[0].connect();
    waiting.send(format!("BLPOP {key} 0\r\n").as_bytes());
    wait_until("it waits", || {
        nodes[0].ask("INFO clients").contains("blocked_clients:1")
    });
    for node in [1, 0] {
        nodes[node]
            .connect()
            .good(&format!("CLUSTER SETSLOT {slot} NODE {}", nodes[1].id));
    }
    let told_it = told(&waiting.read());
    assert_eq!(
        told_it,
        format!("-MOVED {slot} 127.0.0.1:{}", nodes[1].port)
    );
}

/// A replica that starts again is one before it loads: it keeps what has expired, as its primary deletes, and goes on with the stream from where its snapshot is.
#[test]
fn a_replica_that_starts_again_loads_as_a_replica() {
    let mut nodes = [Node::start(Program::Cairn), Node::start(Program::Cairn)];
    join(&nodes, 1);
    let mut primary = nodes[0].connect();
    primary.good("SET stays value");
    primary.good("DEBUG SET-ACTIVE-EXPIRE 0");
    primary.good("SET goes value PX 300");
    assert_eq!(primary.int("WAIT 1 5000"), 1);
    nodes[1].connect().good("SAVE");
    nodes[1].kill();
    std::thread::sleep(Duration::from_millis(400));
    let full = |primary: &mut crate::Connection| primary.info("stats")["sync_full"].clone();
    let before = full(&mut primary);
    nodes[1].start_again();
    let mut replica = nodes[1].connect();
    assert_eq!(replica.int("DBSIZE"), 2, "an expired key was dropped");
    wait_until("it follows again", || {
        nodes[1].ask("ROLE").contains("connected")
    });
    assert_eq!(full(&mut primary), before, "it was sent everything");
    assert_eq!(told(&primary.line("GET goes")), "Null");
    assert_eq!(primary.int("WAIT 1 5000"), 1);
    assert_eq!(replica.int("DBSIZE"), 1);
}
