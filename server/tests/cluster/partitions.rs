//! A cluster that falls apart, in network namespaces: each node has a network of its own, and a switch between them that is taken in two.
//!
//! ```text
//!   node 0 [10.77.0.1]--v0--+                             +--v1, v2, v3, v5-- the others
//!   node 4 [10.77.0.5]--v4--+-- br1   the test   br0 --+
//! ```
//! The test itself stands at both switches, as clients do that reach either side. It runs once more in namespaces of its own, so that nobody else's network is touched.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cairn_format::crc16::key_slot;

use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, PATIENCE, Setup, left_out, told, wait_until};
use crate::version_for_all;

/// `cluster-node-timeout`, milliseconds.
const TIMEOUT_MS: u64 = 1500;
/// Until a primary that is cut off is known to have stopped: half a timeout may pass until a node that answers no more is asked, a whole one until it counts as failed;
/// the rest is for a machine that others use, too.
const STOPS_MS: u64 = TIMEOUT_MS + TIMEOUT_MS / 2 + 2000;
/// Set in the second run of this program.
const INSIDE: &str = "CAIRN_TEST_INSIDE_NAMESPACES";
const PORT: u16 = 6379;
/// Where the test stands.
const HERE: &str = "10.77.0.254";
/// The hardware address of either switch, where the test stands: a node that changes sides still sends its answers to the one it knew, as long as nobody asks it for its own.
const SWITCH: &str = "02:00:00:00:00:fe";
/// The smaller side: the primary of the first third, and the replica of the second.
const MINORITY: [usize; 2] = [0, 4];
const MAJORITY: [usize; 4] = [1, 2, 3, 5];

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {words}");
}

/// A process that keeps a network alive.
struct Network(Child);

impl Network {
    fn new() -> Network {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn();
        let network = Network(holder.expect("unshare worked before"));
        let own = std::fs::read_link("/proc/self/ns/net").expect("a network");
        wait_until("there is a network more", || {
            std::fs::read_link(network.path()).is_ok_and(|other| other != own)
        });
        network
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn ip(&self, words: &str) {
        let status = Command::new("nsenter")
            .arg(format!("--net={}", self.path()))
            .arg("ip")
            .args(words.split(' '))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "ip {words}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may be gone, and then nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Node {
    number: usize,
    id: String,
    // The process ends before its data and its network go.
    _server: Server,
    _folder: Folder,
    _network: Network,
}

fn address(number: usize) -> String {
    format!("10.77.0.{}", number + 1)
}

impl Node {
    fn start(number: usize, program: Program) -> Node {
        let network = Network::new();
        let (address, holder) = (address(number), network.0.id());
        ip(&format!(
            "link add v{number} type veth peer name eth0 netns {holder}"
        ));
        ip(&format!("link set v{number} master br0 up"));
        ip(&format!("route add {address}/32 dev br0 src {HERE}"));
        network.ip("link set lo up");
        network.ip(&format!("addr add {address}/24 dev eth0"));
        network.ip("link set eth0 up");
        let folder = Folder::new();
        let version = version_for_all(program);
        let server = Setup::new(program, &folder)
            .with(&format!(
                "--cluster-enabled yes --cluster-node-timeout {TIMEOUT_MS} --protected-mode no --repl-diskless-sync-delay 0 {version}"
            ))
            .under(&["nsenter", &format!("--net={}", network.path())])
            .on_port(PORT)
            .launch();
        let mut node = Node {
            number,
            id: String::new(),
            _server: server,
            _folder: folder,
            _network: network,
        };
        wait_until("the node answers", || node.try_ask("PING").is_some());
        node.id = node.ask("CLUSTER MYID");
        node
    }

    /// Puts it on a side of the switch.
    fn join(&self, bridge: &str) {
        ip(&format!("link set v{} master {bridge}", self.number));
        let to = address(self.number);
        ip(&format!("route replace {to}/32 dev {bridge} src {HERE}"));
    }

    fn connect(&self) -> Option<Connection> {
        let to: SocketAddr = format!("{}:{PORT}", address(self.number))
            .parse()
            .expect("an address");
        let stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
        Some(Connection::new(stream))
    }

    fn try_ask(&self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        self.connect()?
            .try_call(&words)
            .ok()
            .map(|reply| told(&reply))
    }

    fn ask(&self, line: &str) -> String {
        let answer = self.try_ask(line);
        answer.unwrap_or_else(|| panic!("node {} answers {line}", self.number))
    }

    fn is_ok(&self) -> bool {
        self.ask("CLUSTER INFO").contains("cluster_state:ok")
    }

    fn is_primary(&self) -> bool {
        self.ask("ROLE").contains("master")
    }
}

/// Three primaries with a third of the slots each, and a replica for each.
fn cluster(kinds: [Program; 6]) -> Vec<Node> {
    for bridge in ["br0", "br1"] {
        ip(&format!("link add {bridge} address {SWITCH} type bridge"));
        ip(&format!("link set {bridge} up"));
    }
    ip("link set lo up");
    ip(&format!("addr add {HERE}/32 dev br0"));
    let nodes: Vec<Node> = kinds
        .into_iter()
        .enumerate()
        .map(|(number, program)| Node::start(number, program))
        .collect();
    for (node, range) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
        assert_eq!(node.ask(&format!("CLUSTER ADDSLOTSRANGE {range}")), "OK");
    }
    for node in &nodes {
        let epoch = format!("CLUSTER SET-CONFIG-EPOCH {}", node.number + 1);
        assert_eq!(node.ask(&epoch), "OK");
    }
    for node in &nodes[1..] {
        assert_eq!(
            node.ask(&format!("CLUSTER MEET {} {PORT}", address(0))),
            "OK"
        );
    }
    wait_until("all know all", || {
        nodes
            .iter()
            .all(|node| node.ask("CLUSTER INFO").contains("cluster_known_nodes:6"))
    });
    for (node, primary) in nodes[3..].iter().zip(&nodes) {
        let follow = format!("CLUSTER REPLICATE {}", primary.id);
        wait_until("the primary is known", || node.ask(&follow) == "OK");
    }
    wait_until("the cluster serves and all replicas are in step", || {
        nodes.iter().all(Node::is_ok)
            && nodes[3..]
                .iter()
                .all(|node| node.ask("ROLE").contains("connected"))
    });
    nodes
}

/// A client that knows some of the nodes and goes where it is sent, as long as it is to one of these.
struct Client<'n> {
    nodes: Vec<&'n Node>,
    connections: BTreeMap<usize, Connection>,
}

impl<'n> Client<'n> {
    fn new(nodes: &'n [Node], known: &[usize]) -> Client<'n> {
        Client {
            nodes: known.iter().map(|number| &nodes[*number]).collect(),
            connections: BTreeMap::new(),
        }
    }

    fn call(&mut self, words: &[&str]) -> String {
        let mut at = self.nodes[0].number;
        // Each primary is asked at most, and one that has changed meanwhile.
        for _ in 0..8 {
            let node = self.nodes.iter().find(|node| node.number == at);
            let Some(node) = node else {
                return format!("sent to node {at}, on the other side");
            };
            let connection = self.connections.entry(at);
            let connection =
                connection.or_insert_with(|| node.connect().expect("a node that runs"));
            let answer = told(&connection.call(words));
            let Some(to) = answer.strip_prefix("-MOVED ") else {
                return answer;
            };
            let ip = to.split([' ', ':']).nth(1).expect("an address");
            let last = ip
                .rsplit('.')
                .next()
                .and_then(|last| last.parse::<usize>().ok());
            at = last.expect("a number") - 1;
        }
        "-MOVED again and again".to_owned()
    }
}

/// A key for each number, all over the slots.
fn key(number: usize) -> String {
    format!("key:{number}")
}

/// What happens, told step by step.
fn fall_apart_and_heal(kinds: [Program; 6]) {
    let nodes = cluster(kinds);
    let mut written = BTreeMap::new();
    let everybody: Vec<usize> = (0..nodes.len()).collect();
    let mut client = Client::new(&nodes, &everybody);
    for number in 0..300 {
        assert_eq!(client.call(&["SET", &key(number), "before"]), "OK");
        written.insert(number, "before".to_owned());
    }
    for primary in &nodes[..3] {
        wait_until("the replica has everything", || {
            primary.ask("WAIT 1 500") == "Int(1)"
        });
    }
    MINORITY.iter().for_each(|node| nodes[*node].join("br1"));
    let parted = Instant::now();
    stops(&nodes[0], parted);
    wait_until("the majority elects", || nodes[3].is_primary());
    wait_until("the majority serves", || {
        MAJORITY.iter().all(|node| nodes[*node].is_ok())
    });
    let mut client = Client::new(&nodes, &MAJORITY);
    for number in 100..400 {
        assert_eq!(client.call(&["SET", &key(number), "during"]), "OK");
        written.insert(number, "during".to_owned());
    }
    let refused = Client::new(&nodes, &MINORITY).call(&["SET", &key(0), "late"]);
    assert!(refused.starts_with("-CLUSTERDOWN"), "{refused}");
    assert!(!nodes[4].is_primary(), "a replica was elected by nobody");
    MINORITY.iter().for_each(|node| nodes[*node].join("br0"));
    wait_until("who was replaced follows", || !nodes[0].is_primary());
    wait_until("all serve and tell the same", || {
        let first = slots_of(&nodes[0]);
        nodes
            .iter()
            .all(|node| node.is_ok() && slots_of(node) == first)
    });
    let mut client = Client::new(&nodes, &everybody);
    for (number, value) in &written {
        assert_eq!(client.call(&["GET", &key(*number)]), *value, "key {number}");
    }
    wait_until("the new replica has everything", || {
        nodes[3].ask("WAIT 1 500") == "Int(1)"
    });
}

/// Ranges of slots with their owners.
fn slots_of(node: &Node) -> Vec<String> {
    let reply = node
        .connect()
        .expect("a node that runs")
        .call(&["CLUSTER", "SLOTS"]);
    let ranges = reply.as_array().expect("ranges").iter();
    let each = ranges.map(|range| {
        let parts = range.as_array().expect("a range");
        format!("{:?} {:?} {}", parts[0], parts[1], told(&parts[2]))
    });
    each.collect()
}

/// A primary that reaches no majority takes writes for a while, and then none.
fn stops(node: &Node, since: Instant) {
    let word = (0..)
        .map(|n| format!("own:{n}"))
        .find(|key| key_slot(key.as_bytes()) < 5461);
    let word = word.expect("one of three has it");
    let mut connection = node.connect().expect("the test stands on either side");
    let limit = Duration::from_millis(STOPS_MS);
    loop {
        let answer = told(&connection.call(&["SET", &word, "lost"]));
        if answer.starts_with("-CLUSTERDOWN") {
            println!("stopped after {:?}", since.elapsed());
            return;
        }
        assert_eq!(answer, "OK");
        assert!(
            since.elapsed() < limit,
            "it still takes writes after {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a test of this file once more in namespaces of its own, or says that there are none.
fn inside(name: &str, kinds: [Program; 6]) {
    if std::env::var_os(INSIDE).is_some() {
        return fall_apart_and_heal(kinds);
    }
    let namespaces = ["--map-root-user", "--net", "--mount"];
    let tried = Command::new("unshare")
        .args(namespaces)
        .args(["ip", "link", "add", "br0", "type", "bridge"])
        .output();
    let said = match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(said) = said {
        return left_out(
            name,
            &format!("no namespaces with networks here: {}", said.trim()),
        );
    }
    let program = std::env::current_exe().expect("this program has a name");
    let output = Command::new("unshare")
        .args(namespaces)
        .arg(program)
        .args(["--exact", "--nocapture", name])
        .env(INSIDE, "yes")
        .output()
        .expect("unshare worked before");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("1 passed"),
        "no test is called {name}: {text}"
    );
    println!("{text}");
}

#[test]
fn a_minority_of_ours_stops_and_a_majority_goes_on() {
    let name = "partitions::a_minority_of_ours_stops_and_a_majority_goes_on";
    inside(name, [Program::Cairn; 6]);
}

/// Ours is cut off with theirs, and a replica of theirs is elected by both.
#[test]
fn so_it_is_among_nodes_of_both_kinds() {
    let (ours, theirs) = (Program::Cairn, Program::Reference);
    let name = "partitions::so_it_is_among_nodes_of_both_kinds";
    inside(name, [ours, theirs, ours, theirs, theirs, ours]);
}
