//! Several servers as real nodes in one world: a primary, replicas, chains; and all that may befall them, from one seed.
//!
//! | file | what |
//! |---|---|
//! | `scene` | what all who act see: machines, time, what is known |
//! | `data` | what a server holds, as a number |
//! | `archive` | every byte that any stream ever held, and the data that it led to |
//! | `watch` | what one server may be after its turn |
//! | `worker`, `reader` | clients |
//! | `director` | whoever runs the cluster, and what happens to it |
//!
//! Whoever has the next thing to do has the next turn: a server whose wait is over or whose socket is ready, a piece of bytes that
//! arrives, a client, the director. Once all is healed the servers have to become the same.

mod archive;
mod data;
mod director;

mod reader;
mod scene;

mod watch;
mod worker;

use std::collections::{BTreeMap, BTreeSet};

use cairn_engine::base::random::Random;
use cairn_server::node::Node;

use crate::cable::{Cables, host_of};
use crate::machine::Machine;
use crate::net::HostId;
use crate::seed::guarded;
use archive::{Archive, Token};
use director::{Director, GOOD, SECOND_US};
use reader::Reader;
use scene::{Figures, Scene};
use watch::Watch;
use worker::Worker;

/// Machines at most.
const MACHINES_MAX: usize = 5;
/// How long things happen, at most. Most worlds are short, a few are long: a seed costs what its time costs, and more kinds of
/// beginnings are seen than by as many seeds of one length.
const TROUBLE_US: u64 = 10 * SECOND_US;
/// How long the servers may take to become the same once nothing is broken.
const HEALING_US: u64 = 200 * SECOND_US;
/// How long answers are waited for meanwhile. A wait for a key ends by the wall clock, as in Redis: where that was set back it is long.
const ANSWERED_US: u64 = 10 * SECOND_US;
/// Turns between two looks at all that a server holds. They are compared with each other besides, and have few clients.
const CHECKED_EVERY: u64 = 64;
/// A clock gains or loses so much a second at most, microseconds.
const DRIFT_US: u64 = 20_000;

/// Runs a seed. `with_logs`: a failure is told with all that happened and was logged.
///
/// # Errors
/// What happened that may not, with the seed.
pub fn run(seed: u64, with_logs: bool) -> Result<Figures, String> {
    guarded(seed, || {
        let mut cluster = Cluster::new(seed, with_logs)?;
        let outcome = cluster.whole();
        outcome.map_err(|error| cluster.tell(error))?;
        Ok(cluster.scene.figures)
    })
}

struct Cluster {
    scene: Scene,
    director: Director,
    workers: Vec<Worker>,
    readers: Vec<Reader>,
}

/// How the server of a machine is started.
fn words_of(random: &mut Random) -> Vec<String> {
    // A primary that starts with nothing is followed, so that all are equal in the end.
    let fixed = "--protected-mode no --replica-accept-empty-primary yes";
    let mut words: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    for (name, values) in [
        ("--repl-ping-replica-period", &["1", "2"][..]),
        ("--repl-timeout", &["3", "5"]),
        ("--repl-diskless-sync", &["yes", "no"]),
        ("--repl-diskless-sync-delay", &["0", "1"]),
        (
            "--repl-diskless-load",
            &["disabled", "on-empty-db", "swapdb"],
        ),
        ("--repl-backlog-size", &["16kb", "16kb", "32kb", "1mb"]),
        ("--shutdown-timeout", &["0", "1"]),
        ("--key-load-delay", &["0", "0", "3000"]),
        ("--save", &["", "3600 1", "1 1"]),
        ("--appendonly", &["no", "yes"]),
        ("--appendfsync", &["everysec", "always"]),
        // So that writes can be looked for on disks.
        ("--rdbcompression", &["no"]),
    ] {
        let value = values[random.index(values.len())];
        words.extend([name.to_owned(), value.to_owned()]);
    }
    words
}

/// Who does something next.
#[derive(Clone, Copy)]
enum Next {
    Bytes,
    Server(HostId),
    Worker(usize),
    Reader(usize),
    Director,
}

impl Cluster {
    fn new(seed: u64, with_logs: bool) -> Result<Cluster, String> {
        let mut random = Random::new(seed ^ 0x636c_7573);
        let cables = Cables::new(random.next_u64(), GOOD);
        let count = 2 + random.index(MACHINES_MAX - 1);
        let machines = (0..count).map(|_| {
            let words = words_of(&mut random);
            let machine = Machine::new(&cables, random.next_u64(), words, CHECKED_EVERY, with_logs);
            let drift = random.below(2 * DRIFT_US) as i64 - DRIFT_US as i64;
            machine.world.clock.set_drift(drift);
            machine
        });
        let machines: Vec<Machine> = machines.collect();
        let is_chain = random.below(3) == 0;
        let is_heavy = random.below(3) == 0;
        let workers = 1 + random.index(4);
        let readers = random.index(3);
        let mut scene = Scene {
            random,
            now_us: 0,
            cables,
            watches: machines.iter().map(|_| Watch::default()).collect(),
            machines,
            archive: Archive::default(),
            primary: 0,
            calm: false,
            tokens: 0,
            counted: BTreeMap::new(),
            bases: BTreeMap::new(),
            figures: Figures::default(),
            diary: with_logs.then(Vec::new),
        };
        let follows = (0..count).map(|id| match id {
            0 => None,
            _ if is_chain => Some(id - 1),
            _ => Some(0),
        });
        let mut director = Director::new(&mut scene, follows.collect());
        for host in 0..count {
            director.start(&mut scene, host)?;
        }
        Ok(Cluster {
            scene,
            director,
            workers: (0..workers).map(|n| Worker::new(n, is_heavy)).collect(),
            readers: (0..readers).map(|_| Reader::default()).collect(),
        })
    }

    fn whole(&mut self) -> Result<(), String> {
        let random = &mut self.scene.random;
        let most_us = 1 + random.below(TROUBLE_US);
        let trouble_us = SECOND_US + random.below(most_us);
        while self.scene.now_us < trouble_us {
            self.go_on()?;
        }
        self.director.heal(&mut self.scene)?;
        let patient_us = self.scene.now_us + ANSWERED_US;
        let until = self.scene.now_us + HEALING_US;
        while !self.are_same()? {
            if self.scene.now_us > patient_us {
                self.workers.iter_mut().for_each(Worker::leave);
            }
            if self.scene.now_us > until {
                return Err("the servers do not become the same".to_owned());
            }
            self.go_on()?;
        }
        self.compare_writes()
    }

    fn next(&self) -> Option<(u64, Next)> {
        let scene = &self.scene;
        let bytes = scene.cables.next_us().map(|at| (at, Next::Bytes));
        let servers = scene.machines.iter().enumerate();
        let servers = servers.filter_map(|(id, m)| Some((m.next_us()?, Next::Server(id))));
        let workers = self.workers.iter().enumerate();
        let workers = workers.map(|(id, worker)| (worker.next_us, Next::Worker(id)));
        let readers = self.readers.iter().enumerate();
        let readers = readers.map(|(id, reader)| (reader.next_us, Next::Reader(id)));
        let director = std::iter::once((self.director.next_us, Next::Director));
        let all = bytes.into_iter().chain(servers).chain(workers);
        all.chain(readers).chain(director).min_by_key(|(at, _)| *at)
    }

    fn go_on(&mut self) -> Result<(), String> {
        let Some((at, next)) = self.next() else {
            return Err("nobody does anything any more".to_owned());
        };
        let scene = &mut self.scene;
        scene.now_us = scene.now_us.max(at);
        match next {
            Next::Bytes => {
                scene.cables.pump(scene.now_us);
                Ok(())
            }
            Next::Server(host) => self.turn(host),
            Next::Worker(id) => self.workers[id].act(scene),
            Next::Reader(id) => self.readers[id].act(scene),
            Next::Director => {
                self.director.act(scene)?;
                if scene.calm {
                    self.director.insist(scene);
                }
                for host in 0..scene.machines.len() {
                    if scene.machines[host].node().is_none() {
                        self.workers.iter_mut().for_each(|w| w.leave_machine(host));
                        self.readers.iter_mut().for_each(|r| r.leave_machine(host));
                    }
                }
                Ok(())
            }
        }
    }

    fn turn(&mut self, host: HostId) -> Result<(), String> {
        let scene = &mut self.scene;
        scene.figures.turns += 1;
        let status = scene.machines[host].step(scene.now_us, &mut scene.random);
        let status = status.map_err(|error| format!("server {host}: {error}"))?;
        if let Some(node) = scene.machines[host].node() {
            let looked = scene.watches[host].look(host, node, &mut scene.archive, scene.now_us);
            looked.map_err(|error| format!("server {host}: {error}"))?;
            let primary = &node.front.replication.primary;
            Watch::check_acknowledged(host, primary, &scene.watches, &scene.archive)
                .map_err(|error| format!("server {host}: {error}"))?;
            scene.note_base(host);
        }
        scene.cables.pump(scene.now_us);
        scene.judge_syncs()?;
        match status {
            None => Ok(()),
            Some(0) => self.ended(host),
            // Under `appendfsync always` nothing can be acknowledged any more.
            Some(1) if scene.machines[host].troubled => self.ended(host),
            Some(status) => Err(format!("server {host}: exit {status}")),
        }
    }

    fn ended(&mut self, host: HostId) -> Result<(), String> {
        let scene = &mut self.scene;
        scene.machines[host].ended();
        scene.watches[host].restart();
        scene.note(|| format!("server {host} has ended"));
        // What it has sent is on its way, and then its end.
        scene.cables.pump(scene.now_us);
        self.workers.iter_mut().for_each(|w| w.leave_machine(host));
        self.readers.iter_mut().for_each(|r| r.leave_machine(host));
        self.director.ended(scene, host);
        Ok(())
    }

    /// Whether all have what the primary has, and know it.
    fn are_same(&self) -> Result<bool, String> {
        let scene = &self.scene;
        let nodes = scene.machines.iter().map(Machine::node);
        let Some(nodes) = nodes.collect::<Option<Vec<&Node>>>() else {
            return Ok(false);
        };
        let history = |node: &Node| {
            let history = node.front.replication.primary.history();
            (history.id(), history.offset())
        };
        let primary = nodes[scene.primary];
        let equal = nodes.iter().all(|node| history(node) == history(primary));
        if !equal || !self.workers.iter().all(Worker::is_idle) {
            return Ok(false);
        }
        for (node, follows) in nodes.iter().zip(&self.director.follows) {
            let upstream = node.front.replication.upstream.as_ref();
            let host = upstream.and_then(|upstream| host_of(upstream.link.host()));
            if host != *follows || upstream.is_some_and(|upstream| !upstream.link.is_up()) {
                return Ok(false);
            }
        }
        let differences = |node: &&Node| data::differences(&primary.engine.ks, &node.engine.ks);
        let differences: Vec<String> = nodes.iter().flat_map(differences).collect();
        match differences.is_empty() {
            true => Ok(true),
            false => Err(format!(
                "equal offsets, and different data: {differences:?}"
            )),
        }
    }

    /// What the primary has is what its stream led to: all of it, and no more.
    fn compare_writes(&self) -> Result<(), String> {
        let scene = &self.scene;
        let Some(place) = scene.watches[scene.primary].place(&scene.archive) else {
            return Ok(());
        };
        let mut wanted: BTreeSet<Token> = scene.archive.tokens_of(place).collect();
        let root = scene.archive.root(place.0);
        wanted.extend(scene.bases.get(&root).into_iter().flatten());
        let node = scene.machines[scene.primary].node();
        let have = node.map(|node| data::tokens(&node.engine.ks));
        let have = have.unwrap_or_default();
        let (lost, new) = (wanted.difference(&have), have.difference(&wanted));
        let (lost, new): (Vec<&Token>, Vec<&Token>) = (lost.collect(), new.collect());
        match lost.is_empty() && new.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "writes {lost:?} are lost, {new:?} came from nowhere"
            )),
        }
    }

    fn tell(&self, error: String) -> String {
        let scene = &self.scene;
        let mut text = format!("{:.3} s: {error}", scene.now_us as f64 / 1e6);
        for (host, machine) in scene.machines.iter().enumerate() {
            let Some(node) = machine.node() else {
                text += &format!(
                    "\n  server {host}: none\n{}",
                    machine.log().unwrap_or_default()
                );
                continue;
            };
            let replication = &node.front.replication;
            let history = replication.primary.history();
            let upstream = replication.upstream.as_ref();
            let link = upstream.map(|up| (up.link.host(), up.link.state_word()));
            text += &format!(
                "\n  server {host}: {history:?}, {link:?}, wanted {:?}",
                self.director.follows[host]
            );
            if let Some(log) = machine.log() {
                text += &format!("\n{log}");
            }
        }
        text + "\n"
            + &scene
                .diary
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
    }
}
