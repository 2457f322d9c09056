use std::fs;

use crate::support::process::Program;
use crate::support::{Folder, Setup, wait_until};
use crate::{Node, join};

#[test]
fn a_node_is_who_it_was_after_a_restart_and_the_reference_reads_its_file() {
    let mut nodes: Vec<Node> = [Program::Cairn, Program::Reference, Program::Cairn]
        .into_iter()
        .map(Node::start)
        .collect();
    join(&nodes, 2);
    let (id, epoch) = (nodes[0].id.clone(), nodes[0].info("cluster_my_epoch"));
    nodes[0].kill();
    nodes[0].start_again();
    assert_eq!(nodes[0].ask("CLUSTER MYID"), id);
    wait_until("it serves again", || nodes[0].info("cluster_state") == "ok");
    assert_eq!(nodes[0].info("cluster_my_epoch"), epoch);
    nodes.iter_mut().for_each(Node::kill);
    // 7.0.15 goes on from the file.
    let text = fs::read_to_string(nodes[0].setup.data_path("nodes.conf")).unwrap();
    let folder = Folder::new();
    fs::create_dir_all(folder.data()).unwrap();
    fs::write(folder.data().join("nodes.conf"), &text).unwrap();
    let reference = Setup::reference(&folder).with("--cluster-enabled yes --cluster-port 0");
    let reference = reference.on_port(low_port()).start();
    let mut client = reference.connect();
    assert_eq!(client.text("CLUSTER MYID"), id);
    let told = client.text("CLUSTER NODES");
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains("0-8191"), "{told}");
}

/// A free port with another ten thousand above it.
pub fn low_port() -> u16 {
    (20_000..30_000)
        .find(|port| {
            [*port, port + 10_000]
                .iter()
                .all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        })
        .expect("one is free")
}

#[test]
fn the_configuration_names_no_primary() {
    let folder = Folder::new();
    let both = Setup::cairn(&folder).with("--cluster-enabled yes --replicaof 127.0.0.1 1");
    let ended = both.run();
    assert!(!ended.status.success());
    let words = "replicaof directive not allowed in cluster mode";
    assert!(ended.log.contains(words), "{}", ended.log);
}

#[test]
fn a_file_belongs_to_one_node_and_a_damaged_one_ends_the_start() {
    let node = Node::start(Program::Cairn);
    // The lock outlives the first replacement of the file.
    node.connect().good("CLUSTER ADDSLOTS 1");
    let second = node
        .setup
        .clone()
        .on_port(low_port())
        .with("--cluster-port 0")
        .run();
    assert!(!second.status.success());
    assert!(
        second.log.contains("is already used by a different"),
        "{}",
        second.log
    );
    let path = node.setup.data_path("nodes.conf");
    let mut node = node;
    node.kill();
    let text = fs::read_to_string(&path).unwrap();
    for (damaged, line) in [
        (text.replace("myself", "mysolf"), "line 1"),
        (format!("{text}garbage\n"), "line 3"),
        (text.replace(" 1\n", " 16384\n"), "line 1"),
    ] {
        fs::write(&path, &damaged).unwrap();
        let ended = node.setup.run();
        assert!(!ended.status.success(), "{damaged}");
        let told = format!("corrupted cluster config file {}", "");
        assert!(ended.log.contains(told.trim_end()), "{}", ended.log);
        assert!(ended.log.contains(line), "{line}: {}", ended.log);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            damaged,
            "nothing is overwritten"
        );
    }
}
