//! What the directives of a cluster do.

use std::time::{Duration, Instant};

use cairn_format::crc16::key_slot;

use crate::support::process::Program;
use crate::support::told;
use crate::support::{Folder, Setup, wait_until};
use crate::{Node, join};

fn nodes(count: usize, options: &str) -> Vec<Node> {
    (0..count)
        .map(|_| Node::start_with(Program::Cairn, options))
        .collect()
}

/// The line of CLUSTER NODES about a node.
fn line_about(asked: &Node, about: &Node) -> String {
    let lines = asked.ask("CLUSTER NODES");
    let found = lines.split("\\n").find(|line| line.starts_with(&about.id));
    found.unwrap_or_default().to_owned()
}

#[test]
fn nodes_are_remembered_in_the_file_that_is_configured() {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder)
        .with("--cluster-enabled yes --cluster-port 0 --cluster-config-file others.conf");
    let server = setup.start();
    let id = server.connect().text("CLUSTER MYID");
    let text = std::fs::read_to_string(folder.data().join("others.conf")).unwrap();
    assert!(text.contains(&id), "{text}");
}

#[test]
fn silence_is_a_failure_after_the_time_that_is_configured() {
    let mut nodes = nodes(2, "");
    join(&nodes, 2);
    let ask = |node: &Node, line: &str| node.connect().good(line);
    ask(&nodes[0], "CONFIG SET cluster-node-timeout 60000");
    nodes[1].kill();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!line_about(&nodes[0], &nodes[1]).contains("fail"));
    ask(&nodes[0], "CONFIG SET cluster-node-timeout 300");
    wait_until("it is taken for failed", || {
        line_about(&nodes[0], &nodes[1]).contains("fail")
    });
}

#[test]
fn nodes_are_pinged_as_often_as_is_configured() {
    let nodes = nodes(2, "--cluster-node-timeout 30000");
    join(&nodes, 2);
    let pings = || -> u64 {
        nodes[0]
            .info("cluster_stats_messages_ping_sent")
            .parse()
            .unwrap()
    };
    nodes[0]
        .connect()
        .good("CONFIG SET cluster-ping-interval 100");
    let before = pings();
    wait_until("there are many pings", || pings() > before + 15);
}

#[test]
fn a_replica_stands_only_where_it_may() {
    for option in [
        "cluster-replica-no-failover yes",
        "cluster-replica-validity-factor 1",
    ] {
        // Three primaries, so that two of them can decide.
        let mut nodes = nodes(4, "");
        join(&nodes, 3);
        let mut replica = nodes[3].connect();
        replica.good(&format!("CONFIG SET {option}"));
        replica.good("CONFIG SET repl-ping-replica-period 1");
        if option.contains("factor") {
            // Its data is older than one timeout and a ping.
            nodes[0].connect().good("CLIENT KILL TYPE replica");
            nodes[0]
                .connect()
                .good("CONFIG SET requirepass nobody-knows");
            std::thread::sleep(Duration::from_millis(4500));
        }
        nodes[0].kill();
        wait_until("the primary has failed", || {
            line_about(&nodes[3], &nodes[0]).contains(",fail ")
        });
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!nodes[3].is_primary(), "{option}");
        let undone = match option.contains("factor") {
            true => "CONFIG SET cluster-replica-validity-factor 0",
            false => "CONFIG SET cluster-replica-no-failover no",
        };
        replica.good(undone);
        wait_until("it takes over", || nodes[3].is_primary());
    }
}

#[test]
fn a_replica_moves_to_a_primary_without_one_if_enough_are_left() {
    for (options, moves) in [
        ("--cluster-migration-barrier 1", true),
        ("--cluster-migration-barrier 2", false),
        (
            "--cluster-migration-barrier 1 --cluster-allow-replica-migration no",
            false,
        ),
    ] {
        // Three primaries; the first has two replicas, the second one, the third one.
        let mut nodes = nodes(7, options);
        join(&nodes, 3);
        // The third's replica goes for good.
        nodes[5].kill();
        let orphan = nodes[2].id.clone();
        let has_moved = |nodes: &[Node]| {
            [3, 6]
                .iter()
                .any(|at| line_about(&nodes[0], &nodes[*at]).contains(&orphan))
        };
        match moves {
            true => wait_until("a replica moves", || has_moved(&nodes)),
            false => {
                std::thread::sleep(Duration::from_millis(9000));
                assert!(!has_moved(&nodes), "{options}");
            }
        }
    }
}

#[test]
fn a_part_of_the_slots_is_served_if_that_is_enough() {
    let node = Node::start(Program::Cairn);
    let mut client = node.connect();
    let key = (0..)
        .map(|i| format!("k{i}"))
        .find(|k| key_slot(k.as_bytes()) < 1000)
        .unwrap();
    client.good("CLUSTER ADDSLOTSRANGE 0 999");
    std::thread::sleep(Duration::from_millis(2500));
    let down = client.error(&format!("SET {key} v"));
    assert!(
        down.starts_with("CLUSTERDOWN The cluster is down"),
        "{down}"
    );
    // Channels of the shard are heard nevertheless, unless that is not wanted.
    assert!(told(&client.line(&format!("SPUBLISH {key} m"))).contains("Int"));
    client.good("CONFIG SET cluster-allow-pubsubshard-when-down no");
    assert!(
        client
            .error(&format!("SPUBLISH {key} m"))
            .starts_with("CLUSTERDOWN")
    );
    client.good("CONFIG SET cluster-require-full-coverage no");
    wait_until("it serves", || {
        client.text("CLUSTER INFO").contains("cluster_state:ok")
    });
    client.good(&format!("SET {key} v"));
}

#[test]
fn a_connection_on_which_too_much_waits_ends() {
    let nodes = nodes(2, "");
    join(&nodes, 2);
    let mut client = nodes[0].connect();
    client.good("CONFIG SET cluster-link-sendbuf-limit 1000000");
    // The other one does not read.
    let pid = nodes[1].server.as_ref().unwrap().pid();
    crate::support::process::send_signal(pid, 19);
    let message = "m".repeat(500_000);
    let until = Instant::now() + Duration::from_secs(20);
    let ended = |node: &Node| node.info("total_cluster_links_buffer_limit_exceeded") != "0";
    while !ended(&nodes[0]) && Instant::now() < until {
        client.call(&["PUBLISH", "c", &message]);
    }
    crate::support::process::send_signal(pid, 18);
    assert!(ended(&nodes[0]));
    wait_until("they are connected again", || {
        line_about(&nodes[0], &nodes[1]).contains(" connected")
    });
}

#[test]
fn others_and_clients_are_told_what_is_announced() {
    let nodes = nodes(2, "");
    join(&nodes, 2);
    let mut client = nodes[0].connect();
    let here = (0..)
        .map(|i| format!("k{i}"))
        .find(|k| key_slot(k.as_bytes()) < 8000)
        .unwrap();
    client.good("CONFIG SET cluster-announce-hostname host.example");
    client.good("CONFIG SET cluster-announce-human-nodename first");
    wait_until("the other knows the name", || {
        line_about(&nodes[1], &nodes[0]).contains(",host.example")
    });
    let mut other = nodes[1].connect();
    for (kind, host) in [
        ("ip", "127.0.0.1"),
        ("hostname", "host.example"),
        ("unknown-endpoint", ""),
    ] {
        other.good(&format!(
            "CONFIG SET cluster-preferred-endpoint-type {kind}"
        ));
        let moved = other.error(&format!("GET {here}"));
        assert!(
            moved.ends_with(&format!(" {host}:{}", nodes[0].port)),
            "{moved}"
        );
    }
    other.good("CONFIG SET cluster-preferred-endpoint-type ip");
    client.good("CONFIG SET cluster-announce-port 7");
    client.good("CONFIG SET cluster-announce-ip 127.0.0.9");
    let bus = nodes[0].bus;
    client.good(&format!("CONFIG SET cluster-announce-bus-port {bus}"));
    wait_until("the other knows the address", || {
        line_about(&nodes[1], &nodes[0]).contains(&format!(" 127.0.0.9:7@{bus},"))
    });
    assert!(
        other
            .error(&format!("GET {here}"))
            .ends_with(" 127.0.0.9:7")
    );
}
