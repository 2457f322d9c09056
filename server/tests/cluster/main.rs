//! Clusters over sockets, of this server alone and mixed with 7.0.15.
//!
//! - `mixed`: both kinds of nodes in one cluster: data, moves of slots, failovers both ways, restarts.
//! - `moves`: slots that move as one.
//! - `words`: what a node answers, beside what the reference answers.
//! - `files`: nodes.conf.
//! - `options`: what each directive does.
//! - `partitions`: a cluster that falls apart, in network namespaces.
//! - `tool`: `redis-cli --cluster`.

mod ahead;
mod files;
mod mixed;
mod moves;
mod options;
mod partitions;
#[path = "../support/mod.rs"]
mod support;
mod tool;
mod words;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use cairn_format::crc16::{SLOTS, key_slot};
use cairn_format::resp::value::Value;
use support::process::{Program, Server, free_port};
use support::{Connection, Folder, Setup, told, wait_until};

/// `cluster-node-timeout` of these tests, milliseconds.
const TIMEOUT_MS: u32 = 1500;

/// One node of a test, and how to start it again.
struct Node {
    setup: Setup,
    bus: u16,
    server: Option<Server>,
    port: u16,
    id: String,
    /// Keeps its data, until its process is gone.
    _folder: Folder,
}

impl Node {
    fn start(program: Program) -> Node {
        Node::start_with(program, version_for_all(program))
    }

    fn start_with(program: Program, options: &str) -> Node {
        let folder = Folder::new();
        let bus = free_port();
        let setup = Setup::new(program, &folder).with(&format!(
            "--cluster-enabled yes --cluster-node-timeout {TIMEOUT_MS} --cluster-port {bus} --repl-diskless-sync-delay 0 {options}"
        ));
        Node::launch(setup, bus, folder)
    }

    /// Starts it, and again on the same port later.
    fn launch(setup: Setup, bus: u16, folder: Folder) -> Node {
        let server = setup.start();
        let port = server.port;
        let mut node = Node {
            setup: setup.on_port(port),
            bus,
            server: Some(server),
            port,
            id: String::new(),
            _folder: folder,
        };
        node.id = node.ask("CLUSTER MYID");
        node
    }

    fn connect(&self) -> Connection {
        self.server.as_ref().expect("it runs").connect()
    }

    fn ask(&self, line: &str) -> String {
        told(&self.connect().line(line))
    }

    fn info(&self, field: &str) -> String {
        let info = self.ask("CLUSTER INFO");
        let found = info
            .split("\\r\\n")
            .find_map(|line| line.strip_prefix(&format!("{field}:")));
        found.unwrap_or_default().to_owned()
    }

    fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    fn start_again(&mut self) {
        self.server = Some(self.setup.start());
    }

    fn is_primary(&self) -> bool {
        self.ask("ROLE").contains("master")
    }
}

/// 7.0.15 gets what is restored here as a replica, word for word.
fn version_for_all(program: Program) -> &'static str {
    match program {
        Program::Cairn => "--rdb-save-version redis-7.0",
        _ => "",
    }
}

/// Joins nodes to a cluster: the first `primaries` share the slots, the others follow them in turn.
fn join(nodes: &[Node], primaries: usize) {
    let share = usize::from(SLOTS) / primaries;
    for (at, node) in nodes.iter().enumerate() {
        let mut client = node.connect();
        client.good(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1));
        if at < primaries {
            let last = if at + 1 == primaries {
                usize::from(SLOTS)
            } else {
                (at + 1) * share
            };
            client.good(&format!(
                "CLUSTER ADDSLOTSRANGE {} {}",
                at * share,
                last - 1
            ));
        }
        if at > 0 {
            client.good(&format!(
                "CLUSTER MEET 127.0.0.1 {} {}",
                nodes[0].port, nodes[0].bus
            ));
        }
    }
    wait_until("all are connected with all", || {
        nodes.iter().all(|node| {
            let lines = node.ask("CLUSTER NODES");
            let is_up = |line: &&str| line.contains(" connected") && !line.contains("handshake");
            lines.split("\\n").filter(is_up).count() == nodes.len()
        })
    });
    for (at, node) in nodes.iter().enumerate().skip(primaries) {
        let primary = &nodes[(at - primaries) % primaries];
        wait_until("the primary is known", || {
            node.ask(&format!("CLUSTER REPLICATE {}", primary.id)) == "OK"
        });
    }
    // Who goes before all have heard of its role is not missed as what it was.
    wait_until("all know who follows whom", || {
        nodes.iter().all(|node| {
            let lines = node.ask("CLUSTER NODES");
            let knows = |at: usize| {
                let (id, primary) = (&nodes[at].id, &nodes[(at - primaries) % primaries].id);
                let mut lines = lines.split("\\n");
                lines.any(|line| line.starts_with(id) && line.contains(primary))
            };
            (primaries..nodes.len()).all(knows)
        })
    });
    wait_until("the cluster serves", || {
        nodes.iter().all(|node| node.info("cluster_state") == "ok")
    });
    wait_until("the replicas are in step", || {
        nodes[primaries..]
            .iter()
            .all(|node| node.ask("ROLE").contains("connected"))
    });
}

/// A client that goes where it is sent.
struct Client<'n> {
    nodes: &'n [Node],
    connections: BTreeMap<u16, Connection>,
    /// Where each slot was last found.
    known: BTreeMap<u16, u16>,
}

impl<'n> Client<'n> {
    fn new(nodes: &'n [Node]) -> Client<'n> {
        Client {
            nodes,
            connections: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Runs a command whose first argument is its key; tries again as clients do while the cluster heals.
    fn call(&mut self, words: &[&str]) -> String {
        let slot = key_slot(words[1].as_bytes());
        let mut answer = String::new();
        let mut asking = false;
        for attempt in 0..400 {
            let any = || {
                let up: Vec<&Node> = self.nodes.iter().filter(|n| n.server.is_some()).collect();
                up[attempt % up.len()].port
            };
            let port = *self.known.entry(slot).or_insert_with(any);
            let Some(reply) = self.call_at(port, words, asking) else {
                self.known.remove(&slot);
                self.connections.remove(&port);
                continue;
            };
            answer = told(&reply);
            let to = answer.rsplit(':').next().and_then(|port| port.parse().ok());
            asking = answer.starts_with("-ASK");
            match (answer.split(' ').next(), to) {
                (Some("-MOVED" | "-ASK"), Some(port)) => {
                    self.known.insert(slot, port);
                    continue;
                }
                (Some("-CLUSTERDOWN" | "-TRYAGAIN" | "-LOADING" | "-MASTERDOWN"), _) => {
                    self.known.remove(&slot);
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    continue;
                }
                _ => return answer,
            }
        }
        panic!("{words:?} finds no node: {answer}");
    }

    fn call_at(&mut self, port: u16, words: &[&str], asking: bool) -> Option<Value> {
        let node = self.nodes.iter().find(|node| node.port == port)?;
        let connection = match self.connections.entry(port) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(node.server.as_ref()?.try_connect().ok()?),
        };
        if asking {
            connection.try_call(&["ASKING"]).ok()?;
        }
        let reply = connection.try_call(words);
        if reply.is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        reply.ok()
    }
}
