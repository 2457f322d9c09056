//! Slots that move as one.

use std::sync::atomic::{AtomicBool, Ordering};

use cairn_format::crc16::key_slot;

use crate::support::process::Program;
use crate::support::told;
use crate::support::{Connection, wait_until};
use crate::{Client, Node, join};

fn cluster(count: usize) -> Vec<Node> {
    cluster_with(count, "")
}

fn cluster_with(count: usize, options: &str) -> Vec<Node> {
    let start = |_| Node::start_with(Program::Cairn, options);
    let nodes: Vec<Node> = (0..count).map(start).collect();
    join(&nodes, count.min(2));
    nodes
}

/// A field of the newest move that a node tells of.
fn newest(node: &Node, field: &str) -> String {
    let reply = node.connect().line("CLUSTER GETSLOTMIGRATIONS");
    let moves = reply.as_array().expect("moves");
    let Some(first) = moves.first().and_then(|first| first.as_array()) else {
        return String::new();
    };
    let names = first.iter().map(told);
    let at = names
        .clone()
        .position(|name| name == field)
        .expect("a field");
    told(&first[at + 1])
}

fn begin(nodes: &[Node], range: &str) {
    let target = &nodes[1].id;
    let line = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {range} NODE {target}");
    nodes[0].connect().good(&line);
}

fn wait_for(nodes: &[Node], state: &str) {
    wait_until("the move is over at both ends", || {
        nodes[..2].iter().all(|node| newest(node, "state") == state)
    });
}

fn fill(nodes: &[Node], keys: usize) {
    let mut client = Client::new(nodes);
    for i in 0..keys {
        client.call(&["SET", &format!("key:{i}"), &i.to_string()]);
        client.call(&["RPUSH", &format!("list:{}", i % 50), &i.to_string()]);
    }
}

fn keys_of(nodes: &[Node]) -> i64 {
    nodes.iter().map(|node| node.connect().int("DBSIZE")).sum()
}

/// Clients write all the time; what they were answered is what they find, wherever it is.
#[test]
fn slots_change_hands_under_load() {
    let nodes = cluster_with(3, "--appendonly yes");
    fill(&nodes[..2], 400);
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (nodes, stop) = (&nodes[..2], &stop);
                scope.spawn(move || {
                    let (mut client, mut counts) = (Client::new(nodes), vec![0_u64; 200]);
                    let mut step = 0;
                    while !stop.load(Ordering::Relaxed) {
                        step = (step * 7 + 3 + writer) % 200;
                        let key = format!("counter:{writer}:{step}");
                        assert_eq!(
                            client.call(&["INCR", &key]),
                            format!("Int({})", counts[step] + 1)
                        );
                        counts[step] += 1;
                    }
                    counts
                })
            })
            .collect();
        begin(&nodes, "0 4000 5000 8000");
        wait_for(&nodes, "success");
        std::thread::sleep(std::time::Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no error"))
            .collect::<Vec<_>>()
    });
    let mut client = Client::new(&nodes[..2]);
    let mut keys = 400 + 50;
    for (writer, counts) in written.iter().enumerate() {
        assert!(counts.iter().sum::<u64>() > 50, "writers were let in");
        for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            assert_eq!(
                client.call(&["GET", &format!("counter:{writer}:{at}")]),
                count.to_string()
            );
            keys += 1;
        }
    }
    for i in 0..400 {
        assert_eq!(client.call(&["GET", &format!("key:{i}")]), i.to_string());
    }
    wait_until("nothing is there twice", || keys_of(&nodes[..2]) == keys);
    assert_eq!(newest(&nodes[0], "operation"), "EXPORT");
    assert_eq!(newest(&nodes[1], "operation"), "IMPORT");
    assert_eq!(newest(&nodes[0], "slot_ranges"), "0-4000 5000-8000");
    for node in &nodes {
        wait_until("all know", || {
            node.ask("CLUSTER SLOTS").contains("Int(8000)")
        });
    }
    // The replica of the source lost what left.
    wait_until("the replica has what its primary has", || {
        nodes[2].connect().int("DBSIZE") == nodes[0].connect().int("DBSIZE")
    });
    drop(client);
    let mut nodes = nodes;
    nodes[1].kill();
    nodes[1].start_again();
    wait_until("what came is in the log", || {
        nodes[1].info("cluster_state") == "ok" && keys_of(&nodes[..2]) == keys
    });
}

#[test]
fn a_move_that_ends_early_leaves_everything_where_it_was() {
    let mut nodes = cluster(2);
    fill(&nodes, 2000);
    let keys = keys_of(&nodes);
    let own = nodes[0].connect().int("DBSIZE");
    // A target that stands still keeps the move open.
    let stop = |node: &Node, signal| node.server.as_ref().expect("it runs").signal(signal);
    stop(&nodes[1], libc::SIGSTOP);
    begin(&nodes, "0 8000");
    wait_until("it is under way", || {
        newest(&nodes[0], "state") == "reading-establish-response"
    });
    assert_eq!(
        nodes[0].connect().error(&format!(
            "CLUSTER MIGRATESLOTS SLOTSRANGE 7000 7001 NODE {}",
            nodes[1].id
        )),
        "ERR Slot ranges in migrations overlap"
    );
    nodes[0].connect().good("CLUSTER CANCELSLOTMIGRATIONS");
    assert_eq!(newest(&nodes[0], "state"), "cancelled");
    stop(&nodes[1], libc::SIGCONT);
    wait_until("the target has let go", || {
        nodes[1].connect().int("DBSIZE") == keys - own
    });
    assert_eq!(nodes[0].connect().int("DBSIZE"), own);
    assert_eq!(
        nodes[0].connect().error("CLUSTER CANCELSLOTMIGRATIONS"),
        "ERR No migrations ongoing"
    );
    // And one that dies ends it.
    stop(&nodes[1], libc::SIGSTOP);
    begin(&nodes, "0 8000");
    nodes[1].kill();
    wait_until("it has failed", || newest(&nodes[0], "state") == "failed");
    assert!(
        newest(&nodes[0], "message").contains("target"),
        "{}",
        newest(&nodes[0], "message")
    );
    nodes[1].start_again();
    let mut client = Client::new(&nodes);
    client.call(&["SET", "key:0", "again"]);
    wait_until("all serve", || nodes[1].info("cluster_state") == "ok");
    begin(&nodes, "0 8000");
    wait_for(&nodes, "success");
    // What the other node had is lost with it, but for the key that was set again.
    wait_until("only what was there", || {
        (own..=own + 1).contains(&keys_of(&nodes))
    });
}

/// A source by hand: what comes through this connection is of the slot of `foo`.
fn source_of_foo(nodes: &[Node]) -> Connection {
    let mut client = nodes[0].connect();
    let name = "b".repeat(40);
    let line = format!(
        "CLUSTER SYNCSLOTS ESTABLISH {name} {} 12182 12182",
        nodes[1].id
    );
    assert_eq!(told(&client.line(&line)), "ESTABLISHED");
    client.send(b"SET foo bar\r\n");
    let keys = || nodes[0].connect().int("CLUSTER COUNTKEYSINSLOT 12182");
    wait_until("the key is there", || keys() == 1);
    client
}

#[test]
fn what_removes_all_data_ends_a_move() {
    let nodes = cluster(2);
    let mut source = source_of_foo(&nodes);
    nodes[0].connect().good("FLUSHALL");
    assert!(source.try_read().is_err(), "it hangs up");
    wait_until("it is told", || newest(&nodes[0], "state") == "failed");
    assert_eq!(newest(&nodes[0], "message"), "All data was removed");
}

/// A source that stands still for longer than its lease has lost it, whatever it says then.
#[test]
fn a_lease_runs_out() {
    let nodes = cluster(2);
    let mut source = source_of_foo(&nodes);
    assert_eq!(told(&source.line("CLUSTER SYNCSLOTS PREPARE")), "PREPARED");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        source.error("CLUSTER SYNCSLOTS COMMIT 200 0"),
        "ERR The lease is over"
    );
    assert_eq!(nodes[0].connect().int("DBSIZE"), 0);
    // Within it the slot is taken: this node has it, and says so to the other.
    let answer = told(&source.line("CLUSTER SYNCSLOTS COMMIT 60000 0"));
    assert!(answer.starts_with("COMMITTED "), "{answer}");
    assert_eq!(nodes[0].connect().text("GET foo"), "bar");
    wait_until("the other knows", || {
        nodes[1].ask("GET foo") == format!("-MOVED 12182 127.0.0.1:{}", nodes[0].port)
    });
}

/// Who has just got slots may pass them on before all have heard that they are its own.
#[test]
fn a_target_that_has_not_heard_of_the_owner_is_asked_again() {
    let start = |_| Node::start(Program::Cairn);
    let mut nodes: Vec<Node> = (0..3).map(start).collect();
    join(&nodes, 3);
    // The second has the greater epoch of the first two: the third believes it when it hears it.
    nodes.rotate_left(1);
    for slot in [6000, 6001, 6002] {
        let mistaken = format!("CLUSTER SETSLOT {slot} NODE {}", nodes[2].id);
        nodes[1].connect().good(&mistaken);
        begin(&nodes, &format!("{slot} {slot}"));
        wait_until("the move is over", || {
            ["success", "failed"].contains(&newest(&nodes[0], "state").as_str())
        });
        assert_eq!(newest(&nodes[0], "message"), "");
        wait_for(&nodes, "success");
    }
}

/// Beside what Valkey 9.1 answers (recorded by hand).
#[test]
fn refusals_have_the_words_of_valkey() {
    let nodes = cluster(2);
    let (own, other) = (&nodes[0].id, &nodes[1].id);
    let unknown = "a".repeat(40);
    let cases = [
        (
            format!("slotsrange 9000 9001 node {other}"),
            "ERR Slots are not served by this node.",
        ),
        (
            format!("slotsrange 200 100 node {other}"),
            "ERR Start slot number 200 is greater than end slot number 100.",
        ),
        (
            format!("slotsrange 200 abc node {other}"),
            "ERR Invalid or out of range slot",
        ),
        (
            format!("slotsrange 20000 20001 node {other}"),
            "ERR Invalid or out of range slot",
        ),
        (
            "slotsrange 200 300 node abc".to_owned(),
            "ERR Invalid node name: abc",
        ),
        (
            format!("slotsrange 200 300 node {unknown}"),
            &*format!("ERR Unknown node name: {unknown}"),
        ),
        (
            format!("slotsrange 200 300 node {own}"),
            "ERR Target node can not be this node.",
        ),
        (
            format!("slotsrange 200 300 250 260 node {other}"),
            "ERR Slot range 250-260 overlaps with previous range 200-300.",
        ),
        (
            format!("slotsrange 200 300 node {other} slotsrange 200 201 node {other}"),
            "ERR Slot ranges in migrations overlap",
        ),
        (format!("foo 200 300 node {other}"), "ERR syntax error"),
        ("slotsrange 200 300".to_owned(), "ERR syntax error"),
        (format!("slotsrange node {other}"), "ERR syntax error"),
    ];
    let mut client = nodes[0].connect();
    for (words, answer) in &cases {
        assert_eq!(
            client.error(&format!("CLUSTER MIGRATESLOTS {words}")),
            *answer,
            "{words}"
        );
    }
    // Words between nodes, from somebody who is none.
    for (words, answer) in [
        ("PREPARE", "ERR No slots come through this connection"),
        ("COMMIT 5000 0", "ERR No slots come through this connection"),
        ("COMMIT -1 0", "ERR syntax error"),
        ("COMMIT 5000", "ERR syntax error"),
        ("COMMIT 5000 -1", "ERR syntax error"),
        ("ESTABLISH x y 1 2", "ERR syntax error"),
        ("NONSENSE", "ERR syntax error"),
    ] {
        assert_eq!(
            client.error(&format!("CLUSTER SYNCSLOTS {words}")),
            answer,
            "{words}"
        );
    }
    let establish = |slots: &str| format!("CLUSTER SYNCSLOTS ESTABLISH {unknown} {other} {slots}");
    assert_eq!(
        client.error(&establish("0 1")),
        "TRYAGAIN Slots are not served by the source, as far as the target knows."
    );
    assert_eq!(key_slot(b"foo"), 12182);
    // What comes through it is done, and hidden; it goes when the connection does.
    let mut client = source_of_foo(&nodes);
    client.send(b"SET\r\n");
    assert!(
        told(&client.read()).starts_with("-ERR wrong number"),
        "errors only"
    );
    assert_eq!(nodes[0].connect().int("DBSIZE"), 0);
    assert_eq!(nodes[0].connect().int("CLUSTER COUNTKEYSINSLOT 12182"), 1);
    drop(client);
    wait_until("it is gone", || {
        nodes[0].connect().int("CLUSTER COUNTKEYSINSLOT 12182") == 0
    });
    assert_eq!(newest(&nodes[0], "state"), "failed");
}

/// The figures of a slot, as SLOT-STATS gives them.
fn figures(node: &Node, slot: u16) -> Vec<i64> {
    let mut client = node.connect();
    let reply = client.line(&format!("CLUSTER SLOT-STATS SLOTSRANGE {slot} {slot}"));
    let slots = reply.as_array().expect("slots");
    let fields = slots[0].as_array().expect("a slot")[1]
        .as_array()
        .expect("fields");
    let numbers = fields.chunks(2).map(|pair| told(&pair[1]));
    let number = |text: String| {
        text.trim_start_matches("Int(")
            .trim_end_matches(')')
            .parse()
    };
    numbers
        .map(|text| number(text).expect("a number"))
        .collect()
}

/// Valkey 9.1 with `cluster-slot-stats-enabled` answered the same to the same calls, but for the time.
#[test]
fn slots_tell_what_they_hold_and_cost() {
    let nodes = cluster(1);
    let node = &nodes[0];
    let mut client = node.connect();
    client.good("SET foo bar");
    assert_eq!(figures(node, 12182), [1], "nothing else is counted unasked");
    assert_eq!(
        client.error("CLUSTER SLOT-STATS ORDERBY cpu-usec"),
        "ERR Unrecognized sort metric for ORDERBY."
    );
    client.good("CONFIG SET cluster-slot-stats-enabled yes");
    client.line("SET foo bar");
    client.line("GET foo");
    let counted = figures(node, 12182);
    assert_eq!((counted[0], counted[2], counted[3]), (1, 31 + 22, 5 + 9));
    client.good("CONFIG RESETSTAT");
    assert_eq!(figures(node, 12182), [1, 0, 0, 0]);
    client.line("GET foo");
    let first = client.line("CLUSTER SLOT-STATS ORDERBY network-bytes-in LIMIT 1");
    assert!(
        told(&first).starts_with("[\"[\\\"Int(12182)"),
        "{}",
        told(&first)
    );
    let limit = "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).";
    let twice = "ERR Multiple filters of the same type are disallowed.";
    for (words, answer) in [
        (
            "orderby foo limit 2 asc",
            "ERR Unrecognized sort metric for ORDERBY.",
        ),
        (
            "slotsrange 5 1",
            "ERR Start slot number 5 is greater than end slot number 1",
        ),
        (
            "slotsrange 5",
            "ERR unknown subcommand or wrong number of arguments for 'slot-stats'. Try CLUSTER HELP.",
        ),
        ("slotsrange 5 20000", "ERR Invalid or out of range slot"),
        ("orderby key-count limit 0", limit),
        ("orderby key-count limit x", limit),
        ("orderby key-count limit 99999", limit),
        ("orderby key-count limit", "ERR syntax error"),
        ("orderby key-count asc asc", twice),
        ("orderby key-count limit 1 asc desc", twice),
        ("orderby key-count limit 2 asc limit 3", twice),
    ] {
        assert_eq!(
            client.error(&format!("cluster slot-stats {words}")),
            answer,
            "{words}"
        );
    }
}

/// As at a node of Valkey 9.1: the keys are gone there, and so are the copies.
#[test]
fn who_keeps_copies_of_keys_that_move_away_hears_it() {
    let nodes = cluster_with(2, "");
    let mut keeper = nodes[0].connect();
    keeper.good("SET {b}1 1");
    keeper.good("HELLO 3");
    keeper.good("CLIENT TRACKING ON");
    keeper.good("GET {b}1");
    let slot = key_slot(b"{b}1");
    begin(&nodes, &format!("{slot} {slot}"));
    assert_eq!(
        keeper.try_read_raw().unwrap(),
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\n{b}1\r\n"
    );
    wait_for(&nodes, "success");
    assert!(keeper.error("GET {b}1").starts_with("MOVED"));
}
