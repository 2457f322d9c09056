//! Hosts, connections, time.
//!
//! A connection keeps the order of what is sent on it. What is sent where the way is cut is lost, and so is the connection from then on: nobody is told before
//! somebody sends on it after the cut.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use cairn_cluster::Machine;
use cairn_cluster::machine::{Addresses, length_of_frame};
use cairn_cluster::seam::{Action, LinkId, Moment, Options, PeerId, Save};
use cairn_engine::base::random::Random;

use super::host::Host;
use super::judge::Judge;

pub const SECOND_MS: u64 = 1000;
/// Ticks of a machine.
const TICK_MS: u64 = 100;
/// Whether all holds is looked at each so many steps of a machine, and whenever its file changes.
const CHECK_STEPS: u64 = 32;
/// Lines of the log that are kept of a host.
const LOG_LINES: usize = 4000;

/// The number of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conn(u64);

/// Who made it and who accepted it.
struct Pair {
    from: (usize, u32, PeerId),
    to: (usize, u32, LinkId),
    /// What is sent each way arrives not before this.
    ready_ms: [u64; 2],
    is_broken: bool,
    is_open: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Tick(usize, u32),
    Made(Conn),
    Refused(usize, u32, PeerId),
    /// The bytes go to who accepted (true), or back.
    Frame(Conn, bool, Arc<[u8]>),
    Ended(Conn, bool),
}

/// All of it.
pub struct World {
    pub random: Random,
    pub now_ms: u64,
    pub hosts: Vec<Host>,
    pub options: Options,
    pub timeout_ms: u64,
    pub judge: Judge,
    /// Ways that are cut, and until when.
    pub cuts: BTreeMap<(usize, usize), u64>,
    /// How long a way takes at most, milliseconds.
    pub slow_ms: u64,
    /// One message in so many breaks its connection; 0: none.
    pub loss: u64,
    pub is_calm: bool,
    /// Replicas are told to take over without votes, now and then.
    pub has_takeovers: bool,
    pub next_trouble_ms: u64,
    pub with_logs: bool,
    /// `nodes.conf` is written when it is asked for; else nobody starts again.
    pub keeps_files: bool,
    /// Bytes and messages sent.
    pub bytes: u64,
    pub messages: u64,
    steps: u64,
    events: BinaryHeap<Reverse<(u64, u64, What)>>,
    sequence: u64,
    pairs: BTreeMap<Conn, Pair>,
    next_conn: u64,
}

/// Hosts of a run: mostly few.
fn count(random: &mut Random) -> usize {
    match random.below(100) {
        0 => 20 + random.index(31),
        1..=6 => 9 + random.index(11),
        _ => 3 + random.index(6),
    }
}

impl World {
    pub fn new(seed: u64, with_logs: bool) -> World {
        let mut random = Random::new(seed ^ 0x6d65_7368);
        let count = count(&mut random);
        let timeout_ms = [500, 1000, 1000, 2000][random.index(4)] * if count > 12 { 4 } else { 1 };
        let options = Options {
            node_timeout_ms: timeout_ms,
            validity_factor: [0, 10, 10][random.index(3)],
            replica_migration: random.below(4) > 0,
            full_coverage: random.below(3) > 0,
            ..Options::default()
        };
        World::with(random, count, options, with_logs)
    }

    pub fn with(mut random: Random, count: usize, options: Options, with_logs: bool) -> World {
        let hosts = (0..count)
            .map(|number| Host::new(number, random.next_u64()))
            .collect();
        let loss = [0, 0, 300, 2000][random.index(4)];
        World {
            now_ms: 0,
            hosts,
            timeout_ms: options.node_timeout_ms,
            options,
            judge: Judge::default(),
            cuts: BTreeMap::new(),
            slow_ms: 1 + random.below(20),
            loss,
            is_calm: false,
            has_takeovers: random.below(3) == 0,
            next_trouble_ms: 0,
            with_logs,
            keeps_files: true,
            bytes: 0,
            messages: 0,
            steps: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            pairs: BTreeMap::new(),
            next_conn: 0,
            random,
        }
    }

    pub fn figures(&self) -> BTreeMap<&'static str, u64> {
        let judge = &self.judge;
        [
            ("steps", self.steps),
            ("messages", self.messages),
            ("elections won", judge.won.len() as u64),
            ("votes", judge.votes.len() as u64),
            ("epochs of two", judge.races),
        ]
        .into()
    }

    fn at(&mut self, at_ms: u64, what: What) {
        self.sequence += 1;
        self.events.push(Reverse((at_ms, self.sequence, what)));
    }

    /// Starts the node of a host.
    ///
    /// # Errors
    /// Its file is damaged.
    pub fn start(&mut self, host: usize) -> Result<(), String> {
        let now_ms = self.now_ms;
        self.hosts[host]
            .start(now_ms, &self.options)
            .map_err(|error| format!("host {host}: {error}"))?;
        let life = self.hosts[host].life;
        let first = now_ms + 1 + self.random.below(TICK_MS);
        self.at(first, What::Tick(host, life));
        self.judge.started(host);
        self.apply(host)
    }

    /// The node of a host is gone at once; its connections end, or nobody is told.
    pub fn kill(&mut self, host: usize, is_silent: bool) {
        self.hosts[host].machine = None;
        let involved = |pair: &Pair| pair.is_open && (pair.from.0 == host || pair.to.0 == host);
        let conns: Vec<Conn> = self
            .pairs
            .iter()
            .filter(|(_, pair)| involved(pair))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            if is_silent {
                self.break_conn(conn);
            } else {
                self.close(conn);
            }
        }
    }

    fn break_conn(&mut self, conn: Conn) {
        if let Some(pair) = self.pairs.get_mut(&conn) {
            pair.is_broken = true;
        }
    }

    /// Both ends are told; who has ended it himself does not listen any more.
    fn close(&mut self, conn: Conn) {
        let Some(pair) = self.pairs.get_mut(&conn).filter(|pair| pair.is_open) else {
            return;
        };
        pair.is_open = false;
        let late = self.now_ms + 1;
        self.at(late, What::Ended(conn, true));
        self.at(late, What::Ended(conn, false));
    }

    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts
            .get(&(a.min(b), a.max(b)))
            .is_some_and(|until| *until > self.now_ms)
    }

    /// Nothing is broken any more, and all run.
    pub fn heal(&mut self) {
        self.is_calm = true;
        self.cuts.clear();
        self.loss = 0;
        self.slow_ms = 5;
    }

    /// Whoever is next does what it does.
    ///
    /// # Errors
    /// Something happened that may not.
    pub fn step(&mut self) -> Result<(), String> {
        let Some(Reverse((at_ms, _, what))) = self.events.pop() else {
            self.now_ms += TICK_MS;
            return Ok(());
        };
        self.now_ms = self.now_ms.max(at_ms);
        self.steps += 1;
        match what {
            What::Tick(host, life)
                if self.hosts[host].life == life && self.hosts[host].machine.is_some() =>
            {
                self.data_goes_on(host);
                let next = self.now_ms + TICK_MS;
                self.at(next, What::Tick(host, life));
                self.act(host, Machine::tick)
            }
            What::Tick(..) => Ok(()),
            What::Made(conn) => self.made(conn),
            What::Refused(host, life, peer) => match self.hosts[host].life == life {
                true => self.act(host, |machine, _| machine.disconnected(peer)),
                false => Ok(()),
            },
            What::Frame(conn, is_to, bytes) => self.frame(conn, is_to, &bytes),
            What::Ended(conn, is_to) => self.ended(conn, is_to),
        }
    }

    /// Lets a machine do something, and does what follows.
    ///
    /// # Errors
    /// Something happened that may not.
    pub fn act<T>(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut Machine, &mut Moment<'_>) -> T,
    ) -> Result<(), String> {
        let now_ms = self.now_ms;
        self.hosts[host].with(now_ms, act);
        self.apply(host)
    }

    fn made(&mut self, conn: Conn) -> Result<(), String> {
        let Some(pair) = self.pairs.get(&conn) else {
            return Ok(());
        };
        let ((from, from_life, peer), (to, to_life, link)) = (pair.from, pair.to);
        let stands = |host: &Host, life: u32| host.life == life && host.machine.is_some();
        if !stands(&self.hosts[from], from_life) || !stands(&self.hosts[to], to_life) {
            self.close(conn);
            return Ok(());
        }
        // Who has changed his mind meanwhile hangs up.
        if self.hosts[from].own.get(&peer) != Some(&conn) {
            return Ok(());
        }
        let addresses = Addresses {
            remote: self.hosts[from].ip.clone(),
            local: self.hosts[to].ip.clone(),
        };
        self.hosts[to].links.insert(link, conn);
        self.act(to, |machine, _| machine.accepted(link, addresses))?;
        self.act(from, |machine, moment| machine.connected(peer, moment))
    }

    fn frame(&mut self, conn: Conn, is_to: bool, bytes: &Arc<[u8]>) -> Result<(), String> {
        let Some(pair) = self
            .pairs
            .get(&conn)
            .filter(|pair| pair.is_open && !pair.is_broken)
        else {
            return Ok(());
        };
        let ((from, from_life, peer), (to, to_life, link)) = (pair.from, pair.to);
        let (host, life) = if is_to {
            (to, to_life)
        } else {
            (from, from_life)
        };
        if self.hosts[host].life != life || self.hosts[host].machine.is_none() {
            return Ok(());
        }
        debug_assert_eq!(length_of_frame(bytes), Ok(Some(bytes.len())));
        self.act(host, |machine, moment| match is_to {
            true => machine.frame_from_link(link, bytes, moment),
            false => machine.frame_from_peer(peer, bytes, moment),
        })
    }

    fn ended(&mut self, conn: Conn, is_to: bool) -> Result<(), String> {
        let Some(pair) = self.pairs.get(&conn) else {
            return Ok(());
        };
        let ((from, from_life, peer), (to, to_life, link)) = (pair.from, pair.to);
        if !is_to {
            self.pairs.remove(&conn);
        }
        let (host, life) = if is_to {
            (to, to_life)
        } else {
            (from, from_life)
        };
        if self.hosts[host].life != life {
            return Ok(());
        }
        let listens = match is_to {
            true => self.hosts[host].links.remove(&link).is_some(),
            false => self.hosts[host].own.remove(&peer).is_some(),
        };
        match (listens, is_to) {
            (false, _) => Ok(()),
            (true, true) => self.act(host, |machine, _| machine.hung_up(link)),
            (true, false) => self.act(host, |machine, _| machine.disconnected(peer)),
        }
    }

    fn apply(&mut self, host: usize) -> Result<(), String> {
        let now_ms = self.now_ms;
        let Some(machine) = self.hosts[host].machine.as_mut() else {
            return Ok(());
        };
        let output = machine.take();
        if let Some(save) = output.save.filter(|_| self.keeps_files) {
            let text =
                self.hosts[host].with(now_ms, |machine, moment| machine.nodes_conf(moment, false));
            let of = &mut self.hosts[host];
            of.written.clone_from(&text);
            if save == Save::Synced {
                of.synced = text;
            }
        }
        for action in output.actions {
            self.do_action(host, action)?;
        }
        let is_due = self.steps.is_multiple_of(CHECK_STEPS) || output.save.is_some();
        self.judge
            .look(host, &self.hosts[host], now_ms, is_due)
            .map_err(|error| format!("host {host}: {error}"))
    }

    fn do_action(&mut self, host: usize, action: Action) -> Result<(), String> {
        match action {
            Action::Connect { peer, ip, port } => self.connect(host, peer, &ip, port),
            Action::Disconnect(peer) => {
                if let Some(conn) = self.hosts[host].own.remove(&peer) {
                    self.close(conn);
                }
            }
            Action::HangUp(link) => {
                if let Some(conn) = self.hosts[host].links.remove(&link) {
                    self.close(conn);
                }
            }
            Action::SendPeer(peer, bytes) => {
                self.judge.sent(host, &self.hosts, &bytes)?;
                if let Some(conn) = self.hosts[host].own.get(&peer).copied() {
                    self.send(conn, true, bytes);
                }
            }
            Action::SendLink(link, bytes) => {
                if let Some(conn) = self.hosts[host].links.get(&link).copied() {
                    self.send(conn, false, bytes);
                }
            }
            Action::Replicate { ip, port, .. } => {
                let of = &mut self.hosts[host];
                (of.follows, of.in_step_ms) = (Some((ip, port)), None);
            }
            Action::Promote => {
                self.hosts[host].follows = None;
                self.judge.promoted(host, &self.hosts)?;
            }
            Action::PauseWrites(_) => self.hosts[host].paused_until = self.now_ms + 2 * 5000,
            Action::ResumeWrites => self.hosts[host].paused_until = 0,
            Action::Log(_, text) => {
                if text.starts_with("Failover election won") {
                    self.judge.wins(host);
                }
                let is_taken =
                    text.starts_with("New configEpoch") || text.contains("configEpoch collision");
                let epoch = text.rsplit(' ').next().and_then(|word| word.parse().ok());
                if let (true, Some(id), Some(epoch)) = (is_taken, self.hosts[host].id(), epoch) {
                    self.judge.takes(id, epoch);
                }
                let of = &mut self.hosts[host];
                if self.with_logs && of.log.len() < LOG_LINES {
                    let line = format!("{:9.3} {host} {text}", self.now_ms as f64 / 1e3);
                    of.log.push(line);
                }
            }
            Action::SlotsLost { .. }
            | Action::State(_)
            | Action::Publish { .. }
            | Action::EmptyData => {}
        }
        Ok(())
    }

    /// The host at an address.
    pub fn host_at(&self, ip: &str) -> Option<usize> {
        let mut parts = ip
            .strip_prefix("10.0.")?
            .split('.')
            .filter_map(|part| part.parse::<usize>().ok());
        let host = parts.next()? * 250 + parts.next()?.checked_sub(1)?;
        (host < self.hosts.len()).then_some(host)
    }

    fn connect(&mut self, host: usize, peer: PeerId, ip: &str, port: u16) {
        let late = self.now_ms + 1 + self.random.below(self.slow_ms);
        let life = self.hosts[host].life;
        let to = self
            .host_at(ip)
            .filter(|to| self.hosts[*to].cport() == port && self.hosts[*to].machine.is_some());
        let Some(to) = to else {
            self.at(late, What::Refused(host, life, peer));
            return;
        };
        if self.is_cut(host, to) {
            return;
        }
        self.next_conn += 1;
        let conn = Conn(self.next_conn);
        self.hosts[to].next_link += 1;
        let link = LinkId(self.hosts[to].next_link);
        let pair = Pair {
            from: (host, life, peer),
            to: (to, self.hosts[to].life, link),
            ready_ms: [late; 2],
            is_broken: false,
            is_open: true,
        };
        self.pairs.insert(conn, pair);
        self.hosts[host].own.insert(peer, conn);
        self.at(late, What::Made(conn));
    }

    fn send(&mut self, conn: Conn, is_to: bool, bytes: Arc<[u8]>) {
        self.bytes += bytes.len() as u64;
        self.messages += 1;
        let Some(pair) = self.pairs.get(&conn).filter(|pair| pair.is_open) else {
            return;
        };
        let (from, to) = (pair.from.0, pair.to.0);
        if self.is_cut(from, to) {
            self.break_conn(conn);
            return;
        }
        if pair.is_broken || (self.loss > 0 && self.random.below(self.loss) == 0) {
            self.close(conn);
            return;
        }
        let late = self.now_ms + self.random.below(self.slow_ms);
        let Some(pair) = self.pairs.get_mut(&conn) else {
            return;
        };
        let ready_ms = &mut pair.ready_ms[usize::from(is_to)];
        *ready_ms = late.max(*ready_ms);
        let at = *ready_ms;
        self.at(at, What::Frame(conn, is_to, bytes));
    }

    /// A primary that serves writes, a replica follows.
    fn data_goes_on(&mut self, host: usize) {
        if self.hosts[host].is_primary() {
            let of = &mut self.hosts[host];
            if self.now_ms >= of.paused_until {
                of.offset += 1 + self.random.below(3);
            }
            return;
        }
        let Some(upper) = self.hosts[host]
            .follows
            .clone()
            .and_then(|(ip, _)| self.host_at(&ip))
        else {
            return;
        };
        if !self.is_cut(host, upper) && self.hosts[upper].is_primary() && self.random.below(8) > 0 {
            let offset = self.hosts[upper].offset;
            let of = &mut self.hosts[host];
            (of.offset, of.in_step_ms) = (offset, Some(self.now_ms));
        }
    }

    /// What went wrong, with all that is known.
    pub fn tell(&self, error: String) -> String {
        let mut text = format!("{:.3} s: {error}", self.now_ms as f64 / 1e3);
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(machine) = &host.machine else {
                text += &format!("\n  host {number}: none");
                continue;
            };
            let role = machine
                .primary()
                .map_or("primary".to_owned(), |id| format!("follows {id}"));
            text += &format!(
                "\n  host {number}: {} {role}, epoch {} of {}, ok {}, {:?}",
                machine.id(),
                machine.config_epoch(),
                machine.current_epoch(),
                machine.is_ok(),
                machine.slots()
            );
        }
        let mut logs: Vec<&String> = self.hosts.iter().flat_map(|host| &host.log).collect();
        logs.sort_by(|a, b| {
            a[..9]
                .trim()
                .parse::<f64>()
                .unwrap_or(0.0)
                .total_cmp(&b[..9].trim().parse().unwrap_or(0.0))
        });
        logs.iter().fold(text, |text, line| text + "\n" + line)
    }
}
