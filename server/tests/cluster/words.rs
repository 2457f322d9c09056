use crate::support::process::Program;
use crate::support::told;
use crate::support::wait_until;
use crate::{Node, join};

/// One of ours and one of theirs, which have half of the slots each.
fn two() -> Vec<Node> {
    let nodes: Vec<Node> = [Program::Cairn, Program::Reference]
        .into_iter()
        .map(Node::start)
        .collect();
    join(&nodes, 2);
    nodes
}

/// What a node answers, with both nodes' ports and ids by their order: own, other.
fn anonymous(nodes: &[Node], own: usize, line: &str) -> String {
    let other = 1 - own;
    let line = line
        .replace("OWN", &nodes[own].id)
        .replace("OTHER", &nodes[other].id);
    nodes[own]
        .ask(&line)
        .replace(&nodes[own].id, "OWN")
        .replace(&nodes[other].id, "OTHER")
        .replace(&nodes[own].port.to_string(), "PORT")
        .replace(&nodes[other].port.to_string(), "PORT")
        // 7.2 has lost a word that 7.0 has.
        .replace("Invalid TCP ", "Invalid ")
}

#[test]
fn refusals_have_the_words_of_the_reference() {
    let nodes = two();
    let mut differ = Vec::new();
    for line in [
        "CLUSTER",
        "CLUSTER NOSUCH",
        "CLUSTER ADDSLOTS",
        "CLUSTER ADDSLOTS x",
        "CLUSTER ADDSLOTS 16384",
        "CLUSTER ADDSLOTS -1",
        "CLUSTER ADDSLOTS 5",
        "CLUSTER ADDSLOTSRANGE 1",
        "CLUSTER ADDSLOTSRANGE 1 2 3",
        "CLUSTER ADDSLOTSRANGE 5 1",
        "CLUSTER DELSLOTS x",
        "CLUSTER DELSLOTSRANGE 9 3",
        "CLUSTER SETSLOT x STABLE",
        "CLUSTER SETSLOT 5 NOSUCH",
        "CLUSTER SETSLOT 5 MIGRATING",
        "CLUSTER SETSLOT 5 NODE nosuch",
        "CLUSTER SETSLOT 5 NODE 0123456789012345678901234567890123456789",
        "CLUSTER MEET 127.0.0.1 nosuch",
        "CLUSTER MEET 127.0.0.1 7000 nosuch",
        "CLUSTER MEET host.name 7000",
        "CLUSTER FORGET OWN",
        "CLUSTER FORGET 0123456789012345678901234567890123456789",
        "CLUSTER REPLICATE OWN",
        "CLUSTER REPLICATE OTHER",
        "CLUSTER REPLICATE nosuch",
        "CLUSTER REPLICAS OTHER",
        "CLUSTER REPLICAS nosuch",
        "CLUSTER SLAVES OWN",
        "CLUSTER COUNT-FAILURE-REPORTS OTHER",
        "CLUSTER COUNT-FAILURE-REPORTS nosuch",
        "CLUSTER FAILOVER",
        "CLUSTER FAILOVER NOSUCH",
        "CLUSTER SET-CONFIG-EPOCH x",
        "CLUSTER SET-CONFIG-EPOCH -3",
        "CLUSTER SET-CONFIG-EPOCH 9",
        "CLUSTER RESET NOSUCH",
        "CLUSTER KEYSLOT foo{bar}",
        "CLUSTER COUNTKEYSINSLOT x",
        "CLUSTER COUNTKEYSINSLOT 16384",
        "CLUSTER COUNTKEYSINSLOT 7",
        "CLUSTER GETKEYSINSLOT 7 -1",
        "CLUSTER GETKEYSINSLOT 16384 1",
        "CLUSTER GETKEYSINSLOT 7 10",
        "CLUSTER SAVECONFIG",
        "SELECT 1",
        "SWAPDB 0 1",
        "REPLICAOF NO ONE",
        "FAILOVER",
        "READONLY",
        "READWRITE",
        "ASKING",
        "MSET a 1 b 2",
        "SUNIONSTORE {a}x {a}y b",
    ] {
        let [ours, theirs] = [0, 1].map(|own| anonymous(&nodes, own, line));
        if ours != theirs {
            differ.push(format!("{line}: {ours:?}, by the reference {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A key of a slot that the node at `owner` has.
fn key_of(owner: usize, n: usize) -> String {
    let is_his = |key: &String| {
        let slot = usize::from(cairn_format::crc16::key_slot(key.as_bytes()));
        (slot < 8192) == (owner == 0)
    };
    (0..)
        .map(|i| format!("k{i}"))
        .filter(is_his)
        .nth(n)
        .expect("there are enough")
}

#[test]
fn calls_are_sent_where_the_reference_sends_them() {
    let nodes = two();
    let shapes = [
        "GET KEY",
        "SET KEY v",
        "DEL KEY",
        "EVAL 'return 1' 1 KEY",
        "SSUBSCRIBE KEY",
        "SPUBLISH KEY m",
        "XREAD COUNT 1 STREAMS KEY 0",
        "SORT KEY",
        "OBJECT ENCODING KEY",
        "MEMORY USAGE KEY",
        "MIGRATE 127.0.0.1 1 KEY 0 10",
        "WATCH KEY",
        "BLPOP KEY 1",
        "ZUNIONSTORE {KEY}1 1 {KEY}2",
        "RESTORE KEY 0 x",
        "PUBLISH KEY m",
    ];
    for shape in shapes {
        let shape = shape.replace("'return 1'", "return");
        let answers = [0, 1].map(|own| {
            let key = key_of(1 - own, 3);
            let tagged = shape.replace("KEY", &key);
            let answer = anonymous(&nodes, own, &tagged);
            let slot = cairn_format::crc16::key_slot(key.as_bytes()).to_string();
            answer.replace(&slot, "SLOT")
        });
        assert_eq!(answers[0], answers[1], "{shape}");
    }
    // In a transaction: at once when it is queued, and the whole ends.
    for own in [0, 1] {
        let (here, there) = (key_of(own, 1), key_of(1 - own, 1));
        let mut client = nodes[own].connect();
        client.good("MULTI");
        let mut said = Vec::new();
        for line in [
            format!("SET {here} 1"),
            format!("SET {there} 1"),
            "EXEC".to_owned(),
        ] {
            let reply = told(&client.line(&line));
            said.push(reply.split(' ').next().unwrap_or_default().to_owned());
        }
        assert_eq!(said, ["QUEUED", "-MOVED", "-EXECABORT"], "node {own}");
    }
}

#[test]
fn a_slot_that_moves_is_asked_for_as_the_reference_says() {
    let nodes = two();
    for own in [0, 1] {
        let other = 1 - own;
        let key = key_of(own, 7);
        let slot = cairn_format::crc16::key_slot(key.as_bytes());
        let (source, target) = (nodes[own].connect(), nodes[other].connect());
        let (mut source, mut target) = (source, target);
        source.good(&format!("SET {{{key}}}here v"));
        target.good(&format!(
            "CLUSTER SETSLOT {slot} IMPORTING {}",
            nodes[own].id
        ));
        source.good(&format!(
            "CLUSTER SETSLOT {slot} MIGRATING {}",
            nodes[other].id
        ));
        let ask = format!("-ASK {slot} 127.0.0.1:{}", nodes[other].port);
        let moved = format!("-MOVED {slot} 127.0.0.1:{}", nodes[own].port);
        let again = "-TRYAGAIN Multiple keys request during rehashing of slot";
        for (line, expected) in [
            (format!("GET {{{key}}}here"), "v"),
            (format!("GET {{{key}}}gone"), &ask),
            (format!("SET {{{key}}}new v"), &ask),
            (format!("MGET {{{key}}}here {{{key}}}gone"), again),
            (format!("MGET {{{key}}}gone {{{key}}}new"), &ask),
        ] {
            assert_eq!(told(&source.line(&line)), expected, "node {own}: {line}");
        }
        assert_eq!(told(&target.line(&format!("GET {{{key}}}new"))), moved);
        for (line, expected) in [
            (format!("SET {{{key}}}new v"), "OK"),
            (format!("GET {{{key}}}new"), "v"),
            (format!("MGET {{{key}}}here {{{key}}}new"), again),
        ] {
            target.good("ASKING");
            assert_eq!(told(&target.line(&line)), expected, "node {other}: {line}");
        }
        // Asking is for one command.
        assert_eq!(told(&target.line(&format!("GET {{{key}}}new"))), moved);
        for client in [&mut source, &mut target] {
            client.good(&format!("CLUSTER SETSLOT {slot} STABLE"));
        }
    }
}

#[test]
fn a_cluster_that_is_down_says_so_as_it_is_configured() {
    let mut nodes = two();
    let (here, there) = (key_of(0, 2), key_of(1, 2));
    nodes[1].kill();
    wait_until("the cluster is down", || {
        nodes[0].info("cluster_state") == "fail"
    });
    let mut client = nodes[0].connect();
    let ask = |client: &mut crate::support::Connection, line: &str| told(&client.line(line));
    let down = "-CLUSTERDOWN The cluster is down";
    assert_eq!(ask(&mut client, &format!("GET {here}")), down);
    assert_eq!(ask(&mut client, "PING"), "PONG");
    client.good("CONFIG SET cluster-allow-reads-when-down yes");
    assert_eq!(ask(&mut client, &format!("GET {here}")), "Null");
    assert_eq!(
        ask(&mut client, &format!("SET {here} v")),
        "-CLUSTERDOWN The cluster is down and only accepts read commands"
    );
    client.good("CLUSTER DELSLOTS 8200");
    assert_eq!(
        ask(&mut client, &format!("GET {there}")).split(' ').next(),
        Some("-MOVED")
    );
}
