//! Files of a node: nodes.conf, and what is its own in a snapshot.

use std::collections::BTreeMap;
use std::fs;

use cairn_format::crc16::key_slot;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Reader};

use crate::support::process::{Program, free_port};
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
    let reference = reference.start();
    let mut client = reference.connect();
    assert_eq!(client.text("CLUSTER MYID"), id);
    let told = client.text("CLUSTER NODES");
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains("0-8191"), "{told}");
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
        .on_port(free_port())
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

/// Keys and those that expire, by slot, as a snapshot tells them before the keys of the slot; each key stands in its own.
fn slots_told(snapshot: &[u8]) -> BTreeMap<u16, (u64, u64)> {
    let mut reader = Reader::from_slice(snapshot, Options::deep()).unwrap();
    let (mut told, mut counted) = (BTreeMap::new(), BTreeMap::<u16, (u64, u64)>::new());
    let mut here = None;
    while let Some(found) = reader.next().unwrap() {
        match found.event {
            Event::SlotInfo {
                slot,
                keys,
                expires,
            } => {
                here = Some(slot as u16);
                told.insert(slot as u16, (keys, expires));
            }
            Event::Record(record) => {
                let slot = key_slot(record.head.key);
                assert_eq!(here, Some(slot));
                let count = counted.entry(slot).or_default();
                count.0 += 1;
                count.1 += u64::from(record.head.expire_ms.is_some());
            }
            _ => {}
        }
    }
    assert_eq!(told, counted);
    told
}

#[test]
fn a_snapshot_tells_the_keys_of_each_slot_and_redis_8_takes_it() {
    let options = "--rdb-save-version redis-7.4 --cluster-port 0";
    let mut node = Node::start_with(Program::Cairn, options);
    let mut client = node.connect();
    client.good("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until("it serves", || node.info("cluster_state") == "ok");
    for number in 0..300 {
        client.good(&format!("SET key:{number} {number}"));
        client.good(&format!("HSET {{tag}}:{number} field {number}"));
    }
    client.good("EXPIRE key:7 1000");
    client.good("SAVE");
    let digest = client.text("DEBUG DIGEST");
    let snapshot = fs::read(node.setup.data_path("dump.rdb")).unwrap();
    let told = slots_told(&snapshot);
    assert_eq!(told[&key_slot(b"{tag}")].0, 300);
    assert_eq!(told.values().map(|(keys, _)| keys).sum::<u64>(), 600);
    assert_eq!(told.values().map(|(_, expires)| expires).sum::<u64>(), 1);
    node.kill();
    node.start_again();
    assert_eq!(node.connect().text("DEBUG DIGEST"), digest);
    node.kill();

    let folder = Folder::new();
    for name in ["dump.rdb", "nodes.conf"] {
        folder.copy_in(&node.setup.data_path(name), name);
    }
    let options = "--cluster-enabled yes --enable-debug-command yes --save ''";
    let other = Setup::new(Program::Redis8, &folder).only(options);
    let server = other.start();
    let mut other = server.connect();
    let tagged = key_slot(b"{tag}");
    assert_eq!(other.int(&format!("CLUSTER COUNTKEYSINSLOT {tagged}")), 300);
    assert_eq!(other.int("DBSIZE"), 600);
    assert_eq!(other.text("DEBUG DIGEST"), digest);
}
