//! Replicas, clusters and MIGRATE, with 7.0.15 on either side.

use cairn_format::crc16::SLOTS;

use super::authority::{Authority, Wish};
use super::support::process::{Program, free_port};
use super::support::{Connection, Folder, dataset, wait_until};
use super::talk::{Encrypted, told};

const PAIRS: [(Program, Program); 3] = [
    (Program::Cairn, Program::Cairn),
    (Program::Cairn, Program::Reference),
    (Program::Reference, Program::Cairn),
];

/// Folders whose certificates one authority has signed.
fn folders(authority: &Authority, count: usize) -> Vec<Folder> {
    let folder = |_| {
        let folder = Folder::new();
        for name in ["server", "client"] {
            authority.write(&folder.data(), name, Wish::default());
        }
        folder
    };
    (0..count).map(folder).collect()
}

/// Options that a server of this kind needs beside.
fn own(program: Program) -> &'static str {
    match program {
        Program::Cairn => "--rdb-save-version redis-7.0",
        _ => "",
    }
}

#[test]
fn a_replica_follows_over_tls_and_takes_up_where_it_was() {
    let authority = Authority::new("the authority");
    for (first, second) in PAIRS {
        let folders = folders(&authority, 2);
        let options = |program| {
            format!(
                "--tls-replication yes --repl-diskless-sync-delay 0 {}",
                own(program)
            )
        };
        let primary = Encrypted::start(first, &folders[0], &options(first));
        let replica = Encrypted::start(second, &folders[1], &options(second));
        let (mut to_primary, mut to_replica) = (primary.server.connect(), replica.server.connect());
        dataset::fill(&mut to_primary);
        let large = "x".repeat(3_000_000);
        to_primary.good_call(&["SET", "large", &large]);
        to_replica.good(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
        wait_until("the link is up", || {
            to_replica.info("replication")["master_link_status"] == "up"
        });
        to_primary.good_call(&["APPEND", "large", &large]);
        assert_eq!(to_primary.int("WAIT 1 20000"), 1, "{first:?} {second:?}");
        assert_eq!(to_replica.int("STRLEN large"), 6_000_000);
        let listed = to_primary.info("replication")["slave0"].clone();
        assert!(
            listed.contains(&format!("port={}", replica.port)),
            "the port for TLS: {listed}"
        );
        // The link is cut, and made again where it was.
        to_primary.good("CLIENT KILL TYPE replica");
        to_primary.good("INCR after");
        wait_until("it has come back", || {
            told(&to_replica.line("GET after")) == "1"
        });
        assert_eq!(
            to_primary.info("stats")["sync_full"],
            "1",
            "{first:?} {second:?}"
        );
        assert_eq!(to_primary.info("stats")["sync_partial_ok"], "1");
    }
}

#[test]
fn a_replica_of_a_plain_port_or_of_a_stranger_says_why_it_has_none() {
    let (ours, strange) = (Authority::new("one"), Authority::new("another"));
    let (mut left, mut right) = (folders(&ours, 1), folders(&strange, 1));
    let primary = Encrypted::start(Program::Cairn, &left.remove(0), "");
    let folder = right.remove(0);
    let replica = Encrypted::start(Program::Cairn, &folder, "--tls-replication yes");
    let mut to_replica = replica.server.connect();
    to_replica.good(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    replica.server.wait_for_log(
        "Error condition on socket for SYNC: invalid peer certificate: UnknownIssuer",
    );
    to_replica.good(&format!("REPLICAOF 127.0.0.1 {}", primary.server.port));
    wait_until("it is told", || {
        let log = replica.server.log();
        log.matches("Error condition on socket for SYNC").count() > 1
    });
    assert_eq!(to_replica.info("replication")["master_link_status"], "down");
}

#[test]
fn keys_are_moved_over_tls_where_the_cluster_speaks_it() {
    let authority = Authority::new("the authority");
    for (first, second) in PAIRS {
        let folders = folders(&authority, 2);
        let from = Encrypted::start(
            first,
            &folders[0],
            &format!("--tls-cluster yes {}", own(first)),
        );
        let to = Encrypted::start(second, &folders[1], own(second));
        let (mut source, mut target) = (from.server.connect(), to.server.connect());
        source.good_call(&["SET", "key", &"v".repeat(200_000)]);
        assert_eq!(
            source.text(&format!("MIGRATE 127.0.0.1 {} key 0 5000", to.port)),
            "OK"
        );
        assert_eq!(target.int("STRLEN key"), 200_000);
        source.good("SET other 1");
        let answer = source.error(&format!(
            "MIGRATE 127.0.0.1 {} other 0 1000",
            to.server.port
        ));
        assert!(
            answer.starts_with("IOERR"),
            "a port that does not encrypt: {answer}"
        );
        source.good("CONFIG SET tls-cluster no");
        assert_eq!(
            source.text(&format!(
                "MIGRATE 127.0.0.1 {} other 0 5000",
                to.server.port
            )),
            "OK"
        );
        let answer = source.error(&format!(
            "MIGRATE 127.0.0.1 {} other2 0 1000 KEYS none",
            to.port
        ));
        assert!(
            answer.starts_with("ERR") || answer.starts_with("IOERR"),
            "{answer}"
        );
    }
}

#[test]
fn another_port_may_be_announced() {
    let folders = folders(&Authority::new("the authority"), 1);
    let options = format!(
        "--cluster-enabled yes --cluster-port {} --tls-cluster yes --cluster-announce-tls-port 7777",
        free_port()
    );
    let node = Encrypted::start(Program::Cairn, &folders[0], &options);
    let port = node.server.port;
    wait_until("it says so", || {
        let shards = node.server.connect().line("CLUSTER SHARDS");
        format!("{shards:?}").contains("7777")
    });
    let listed = node.server.connect().text("CLUSTER NODES");
    assert!(
        listed.contains(&format!(":{port}@")),
        "to who does not encrypt: {listed}"
    );
}

/// Nodes whose bus and links are encrypted; the first two have half of the slots each. And a client of each.
fn cluster_of(programs: &[Program], folders: &[Folder]) -> (Vec<Encrypted>, Vec<Connection>) {
    let buses: Vec<u16> = programs.iter().map(|_| free_port()).collect();
    let nodes: Vec<Encrypted> = programs
        .iter()
        .enumerate()
        .map(|(at, program)| {
            let options = format!(
                "--cluster-enabled yes --cluster-port {} --cluster-node-timeout 2000 --tls-cluster yes --tls-replication yes --tls-auth-clients no --repl-diskless-sync-delay 0 {}",
                buses[at],
                own(*program)
            );
            Encrypted::start(*program, &folders[at], &options)
        })
        .collect();
    let mut clients: Vec<_> = nodes.iter().map(|node| node.server.connect()).collect();
    let half = SLOTS / 2;
    for (at, client) in clients.iter_mut().enumerate() {
        client.good(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1));
        match at {
            0 => client.good(&format!("CLUSTER ADDSLOTSRANGE 0 {}", half - 1)),
            1 => client.good(&format!("CLUSTER ADDSLOTSRANGE {half} {}", SLOTS - 1)),
            _ => client.good("PING"),
        };
        client.good(&format!(
            "CLUSTER MEET 127.0.0.1 {} {}",
            nodes[0].port, buses[0]
        ));
    }
    let known = format!("cluster_known_nodes:{}", programs.len());
    wait_until("all know all", || {
        clients.iter_mut().all(|client| {
            let told = client.text("CLUSTER INFO");
            told.contains("cluster_state:ok\r\ncluster_slots_assigned:16384")
                && told.contains(&known)
        })
    });
    (nodes, clients)
}

#[test]
fn slots_move_between_nodes_that_speak_tls() {
    let authority = Authority::new("the authority");
    let programs = [Program::Cairn; 2];
    let folders = folders(&authority, programs.len());
    let (_nodes, mut clients) = cluster_of(&programs, &folders);
    for number in 0..200 {
        clients[1].good(&format!("SET {{foo}}:{number} {number}"));
    }
    let target = clients[0].text("CLUSTER MYID");
    clients[1].good(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE 12182 12182 NODE {target}"
    ));
    wait_until("the slot is the first node's", || {
        clients[0].int("CLUSTER COUNTKEYSINSLOT 12182") == 200
    });
    assert_eq!(clients[0].text("GET {foo}:7"), "7");
    wait_until("the second node knows", || {
        clients[1].line("GET {foo}:7").is_error()
    });
    assert_eq!(clients[1].int("DBSIZE"), 0);
}

#[test]
fn nodes_of_both_kinds_speak_tls_on_their_bus() {
    let authority = Authority::new("the authority");
    let programs = [
        Program::Cairn,
        Program::Reference,
        Program::Cairn,
        Program::Reference,
    ];
    let folders = folders(&authority, programs.len());
    let (nodes, mut clients) = cluster_of(&programs, &folders);
    // Replicas of the other kind.
    let ids: Vec<String> = clients
        .iter_mut()
        .map(|client| client.text("CLUSTER MYID"))
        .collect();
    clients[2].good(&format!("CLUSTER REPLICATE {}", ids[1]));
    clients[3].good(&format!("CLUSTER REPLICATE {}", ids[0]));
    wait_until("replicas are up", || {
        [2, 3].iter().all(|at: &usize| {
            clients[*at]
                .info("replication")
                .get("master_link_status")
                .is_some_and(|status| status == "up")
        })
    });
    // Slot 12182 (foo) is the second node's: plain clients hear of its plain port, the others of the one for TLS.
    let plain = clients[0].error("GET foo");
    assert_eq!(
        plain,
        format!("MOVED 12182 127.0.0.1:{}", nodes[1].server.port)
    );
    let config = super::talk::config_of(&authority.cert, None);
    let mut talk = nodes[0].talk(&config);
    assert_eq!(
        talk.ask("GET foo"),
        format!("-MOVED 12182 127.0.0.1:{}", nodes[1].port)
    );
    let listed = talk.ask("CLUSTER NODES");
    assert!(
        nodes
            .iter()
            .all(|node| listed.contains(&format!(":{}@", node.port))),
        "{listed}"
    );
    let slots = format!("{:?}", talk.try_call(&["CLUSTER", "SLOTS"]).unwrap());
    assert!(
        slots.contains(&nodes[1].port.to_string())
            && !slots.contains(&nodes[1].server.port.to_string()),
        "{slots}"
    );
    // Either replica takes over from a primary of the other kind.
    for at in [2, 3] {
        let mut asked = std::time::Instant::now() - std::time::Duration::from_secs(60);
        wait_until("it leads", || {
            // A primary that has not heard yet whom it is to hand over to does not answer: it is asked again when that is given up.
            if asked.elapsed() > std::time::Duration::from_secs(6) {
                clients[at].good("CLUSTER FAILOVER");
                asked = std::time::Instant::now();
            }
            clients[at].info("replication")["role"] == "master"
        });
    }
    let conf = std::fs::read_to_string(folders[0].data().join("nodes.conf")).unwrap();
    assert!(conf.contains(",tcp-port="), "{conf}");
}
