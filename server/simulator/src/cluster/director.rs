//! Whoever runs the cluster, and what befalls it: who follows whom, restarts, hand-overs; cuts, power, disks, clocks.

use super::scene::Scene;
use crate::cable::{Quality, address, host_of};
use crate::net::{HostId, PORT};
use crate::talk::Talk;

/// A second.
pub const SECOND_US: u64 = 1_000_000;
/// Links without trouble.
pub const GOOD: Quality = Quality {
    delay_us: 400,
    per_kb_us: 2,
};
/// Times between two events at most, for a busy run and a quiet one.
const PAUSES_US: [u64; 2] = [SECOND_US, 4 * SECOND_US];
/// How long something lasts at most.
const LASTS_US: u64 = 6 * SECOND_US;

/// What ends, or comes, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    Join(HostId, HostId),
    GoodLinks,
    GoodDisk(HostId),
    Start(HostId),
    Point(HostId),
}

/// What a server was told, and has not answered yet.
struct Order {
    host: HostId,
    talk: Talk,
}

/// The director.
pub struct Director {
    /// Who is to follow whom.
    pub follows: Vec<Option<HostId>>,
    later: Vec<(u64, Later)>,
    orders: Vec<Order>,
    /// A hand-over was asked for.
    hands_over: bool,
    pause_us: u64,
    /// When it does something next.
    pub next_us: u64,
}

impl Director {
    /// Of a cluster whose servers follow so.
    pub fn new(scene: &mut Scene, follows: Vec<Option<HostId>>) -> Director {
        let pause_us = PAUSES_US[scene.random.index(2)];
        Director {
            follows,
            later: Vec::new(),
            orders: Vec::new(),
            hands_over: false,
            pause_us,
            next_us: scene.random.below(pause_us),
        }
    }

    /// Does what is due, and lets something happen unless all is to be calm.
    ///
    /// # Errors
    /// A server that does not start; an answer that is none.
    pub fn act(&mut self, scene: &mut Scene) -> Result<(), String> {
        let mut waiting = Vec::new();
        for mut order in std::mem::take(&mut self.orders) {
            if order.talk.answers()?.is_empty() && !order.talk.is_over() {
                waiting.push(order);
            }
        }
        self.orders = waiting;
        let (due, later) = self.later.iter().partition(|(at, _)| *at <= scene.now_us);
        self.later = later;
        for (_, what) in due {
            self.end(scene, what)?;
        }
        self.learn(scene);
        let pause = scene.random.below(self.pause_us);
        let next = self.later.iter().map(|(at, _)| *at).min();
        self.next_us = next.unwrap_or(u64::MAX).min(scene.now_us + 1 + pause);
        if !scene.calm {
            self.happen(scene);
        }
        Ok(())
    }

    fn later(&mut self, scene: &mut Scene, what: Later) {
        let at = scene.now_us + scene.random.below(LASTS_US);
        self.later.push((at, what));
    }

    /// A server has ended by itself: it is started again.
    pub fn ended(&mut self, scene: &mut Scene, host: HostId) {
        self.later(scene, Later::Start(host));
    }

    fn end(&mut self, scene: &mut Scene, what: Later) -> Result<(), String> {
        scene.note(|| format!("{what:?}"));
        let now_us = scene.now_us;
        match what {
            Later::Join(a, b) => scene.cables.part(a, b, false, now_us),
            Later::GoodLinks => scene.cables.set_quality(GOOD),
            Later::GoodDisk(host) => {
                scene.machines[host].world.disk.set_space(None);
                scene.machines[host].world.disk.fail_syncs(0);
            }
            Later::Start(host) => self.start(scene, host)?,
            Later::Point(host) => self.point(scene, host, self.follows[host]),
        }
        Ok(())
    }

    /// Starts the server of a machine, if it does not run.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, scene: &mut Scene, host: HostId) -> Result<(), String> {
        let machine = &mut scene.machines[host];
        if machine.node().is_some() {
            return Ok(());
        }
        scene.cables.set_power(host, true);
        machine.world.disk.set_space(None);
        machine.world.disk.fail_syncs(0);
        let started = machine.start(self.follows[host], scene.now_us);
        scene.watches[host].restart();
        match started {
            Ok(()) => {
                scene.figures.starts += 1;
                Ok(())
            }
            Err(error) if error.status == 0 => {
                scene.note(|| format!("server {host} was shut down while it loaded"));
                self.ended(scene, host);
                Ok(())
            }
            Err(error) => Err(format!("server {host} does not start:\n{}", error.text)),
        }
    }

    fn order(&mut self, scene: &mut Scene, host: HostId, words: &[&str]) {
        if scene.machines[host].node().is_none() {
            return;
        }
        if let Some(talk) = Talk::new(&scene.machines[host].world.net) {
            talk.ask(words);
            self.orders.push(Order { host, talk });
            scene.note(|| format!("to server {host}: {}", words.join(" ")));
        }
    }

    fn point(&mut self, scene: &mut Scene, host: HostId, to: Option<HostId>) {
        self.follows[host] = to;
        if self.orders.iter().any(|order| order.host == host) {
            // It may load for long, and two orders within one turn would leave nothing to look at between.
            self.later(scene, Later::Point(host));
            return;
        }
        match to {
            None => self.order(scene, host, &["REPLICAOF", "NO", "ONE"]),
            Some(to) => {
                let words = ["REPLICAOF", &address(to).to_string(), &PORT.to_string()];
                self.order(scene, host, &words);
            }
        }
    }

    fn is_above(&self, upper: HostId, lower: HostId) -> bool {
        let mut at = Some(lower);
        // Longer than a way up can be.
        for _ in 0..=self.follows.len() {
            match at {
                Some(host) if host == upper => return true,
                Some(host) => at = self.follows[host],
                None => return false,
            }
        }
        true
    }

    /// A hand-over between servers has changed who the primary is.
    fn learn(&mut self, scene: &mut Scene) {
        let Some(node) = scene.machines[scene.primary]
            .node()
            .filter(|_| self.hands_over)
        else {
            return;
        };
        let replication = &node.front.replication;
        let Some(upstream) = &replication.upstream else {
            return;
        };
        if replication.failover.is_some() || !upstream.link.is_up() {
            return;
        }
        let Some(new) = host_of(upstream.link.host()) else {
            return;
        };
        if scene.follows(new) {
            return;
        }
        self.hands_over = false;
        self.follows[scene.primary] = Some(new);
        self.follows[new] = None;
        scene.primary = new;
        scene.figures.failovers += 1;
    }

    // ---- what happens ----

    fn happen(&mut self, scene: &mut Scene) {
        let host = scene.any();
        match scene.random.below(100) {
            0..14 => self.cut(scene),
            14..22 => self.part(scene),
            22..27 => self.slow_down(scene),
            27..32 => self.set_clock(scene, host),
            32..42 => self.shut_down(scene, host),
            42..49 => self.lose_power(scene, host),
            49..54 => self.fail_disk(scene, host),
            54..62 => self.move_replica(scene, host),
            62..69 => self.replace_primary(scene),
            69..75 => self.hand_over(scene),
            75..86 => self.configure(scene, host),
            86..93 => self.save(scene, host),
            93..97 => self.kill_links(scene, host),
            _ => {
                let wait_ms = (1 + scene.random.below(300)).to_string();
                self.order(scene, host, &["CLIENT", "PAUSE", &wait_ms, "WRITE"]);
            }
        }
    }

    fn cut(&mut self, scene: &mut Scene) {
        let count = scene.cables.count();
        if count == 0 {
            return;
        }
        let wire = scene.random.index(count);
        let kind = scene.random.below(7);
        scene.note(|| format!("connection {wire} breaks, {kind}"));
        match kind {
            0 => scene.cables.silence(wire, Some(0)),
            1 => scene.cables.silence(wire, Some(1)),
            2 => scene.cables.silence(wire, None),
            3..5 => scene.cables.doom(wire),
            _ => scene.cables.cut(wire),
        }
    }

    fn part(&mut self, scene: &mut Scene) {
        let (a, b) = (scene.any(), scene.any());
        if a != b {
            scene.note(|| format!("servers {a} and {b} are parted"));
            scene.cables.part(a, b, true, scene.now_us);
            self.later(scene, Later::Join(a, b));
        }
    }

    fn slow_down(&mut self, scene: &mut Scene) {
        let delay_us = [20_000, 300_000][scene.random.index(2)];
        let per_kb_us = [100, 20_000][scene.random.index(2)];
        let quality = Quality {
            delay_us,
            per_kb_us,
        };
        scene.note(|| format!("{quality:?}"));
        scene.cables.set_quality(quality);
        self.later(scene, Later::GoodLinks);
    }

    fn set_clock(&mut self, scene: &mut Scene, host: HostId) {
        let most = [SECOND_US, 3600 * SECOND_US][scene.random.index(2)];
        let by = scene.random.below(2 * most) as i64 - most as i64;
        scene.note(|| format!("the clock of server {host} is set by {by} us"));
        scene.machines[host].world.clock.jump(by);
    }

    fn shut_down(&mut self, scene: &mut Scene, host: HostId) {
        let words: &[&str] = match scene.random.below(5) {
            0 => &["SHUTDOWN", "NOSAVE"],
            1 => &["SHUTDOWN", "SAVE"],
            2 => &["SHUTDOWN", "NOW"],
            _ => &["SHUTDOWN"],
        };
        self.order(scene, host, words);
    }

    fn lose_power(&mut self, scene: &mut Scene, host: HostId) {
        if scene.machines[host].node().is_none() {
            return;
        }
        scene.note(|| format!("server {host} loses its power"));
        scene.cables.set_power(host, false);
        let torn = scene.random.index(100);
        scene.machines[host].lose_power(torn);
        scene.watches[host].restart();
        self.later(scene, Later::Start(host));
    }

    fn fail_disk(&mut self, scene: &mut Scene, host: HostId) {
        if host == scene.primary {
            return;
        }
        scene.note(|| format!("the disk of server {host} fails"));
        let machine = &mut scene.machines[host];
        machine.troubled = true;
        match scene.random.below(2) {
            0 => machine.world.disk.fail_syncs(1 + scene.random.index(3)),
            _ => machine.world.disk.set_space(Some(scene.random.index(2000))),
        }
        self.later(scene, Later::GoodDisk(host));
    }

    fn move_replica(&mut self, scene: &mut Scene, host: HostId) {
        let to = scene.any();
        if host != scene.primary && !self.is_above(host, to) {
            self.point(scene, host, Some(to));
        }
    }

    /// Somebody decides that another server is the primary: the one that has most of the same stream, in most cases.
    fn replace_primary(&mut self, scene: &mut Scene) {
        let old = scene.primary;
        let runs = |host: &HostId| *host != old && scene.machines[*host].node().is_some();
        let candidates: Vec<HostId> = (0..scene.machines.len()).filter(runs).collect();
        if candidates.is_empty() {
            return;
        }
        let any = candidates[scene.random.index(candidates.len())];
        let place = |host: &HostId| scene.watches[*host].place(&scene.archive);
        let best = candidates.iter().copied().max_by_key(|host| place(host));
        let new = match scene.random.below(4) {
            0 => any,
            _ => best.unwrap_or(any),
        };
        scene.primary = new;
        scene.figures.failovers += 1;
        self.hands_over = false;
        self.point(scene, new, None);
        for host in 0..scene.machines.len() {
            if host != new && (host == old || scene.random.below(3) > 0 || self.is_above(host, new))
            {
                self.point(scene, host, Some(new));
            }
        }
    }

    fn hand_over(&mut self, scene: &mut Scene) {
        let target = scene.any();
        let (host, port) = (address(target).to_string(), PORT.to_string());
        let timeout = (1 + scene.random.below(3000)).to_string();
        let to: &[&str] = &["FAILOVER", "TO", &host, &port];
        let words: Vec<&str> = match scene.random.below(6) {
            0 => vec!["FAILOVER", "ABORT"],
            1 => vec!["FAILOVER", "TIMEOUT", &timeout],
            2 => [to, &["TIMEOUT", &timeout]].concat(),
            3 => [to, &["TIMEOUT", &timeout, "FORCE"]].concat(),
            4 => to.to_vec(),
            _ => vec!["FAILOVER"],
        };
        self.hands_over = true;
        self.order(scene, scene.primary, &words);
    }

    fn configure(&mut self, scene: &mut Scene, host: HostId) {
        let (name, values): (&str, &[&str]) = match scene.random.below(6) {
            0 => ("repl-backlog-size", &["16kb", "40kb", "1mb"]),
            1 => ("repl-timeout", &["2", "3", "6"]),
            2 => ("repl-diskless-sync", &["yes", "no"]),
            3 => ("repl-diskless-sync-delay", &["0", "1"]),
            4 => ("min-replicas-to-write", &["0", "0", "1"]),
            _ => ("appendonly", &["yes", "no"]),
        };
        let value = values[scene.random.index(values.len())];
        self.order(scene, host, &["CONFIG", "SET", name, value]);
    }

    fn save(&mut self, scene: &mut Scene, host: HostId) {
        let words: &[&str] = match scene.random.below(3) {
            0 => &["BGSAVE", "SCHEDULE"],
            1 => &["BGREWRITEAOF"],
            _ => &["SAVE"],
        };
        self.order(scene, host, words);
    }

    fn kill_links(&mut self, scene: &mut Scene, host: HostId) {
        let kind = ["master", "replica"][scene.random.index(2)];
        self.order(scene, host, &["CLIENT", "KILL", "TYPE", kind]);
    }

    // ---- in the end ----

    /// Nothing is broken any more.
    ///
    /// # Errors
    /// A server that does not start.
    pub fn heal(&mut self, scene: &mut Scene) -> Result<(), String> {
        scene.calm = true;
        self.later.clear();
        self.orders.clear();
        scene.cables.heal(scene.now_us);
        scene.cables.set_quality(GOOD);
        for host in 0..scene.machines.len() {
            self.end(scene, Later::GoodDisk(host))?;
            self.start(scene, host)?;
            self.order(scene, host, &["FAILOVER", "ABORT"]);
            // It ends by the wall clock, as in Redis, and stops the stream of a replica.
            self.order(scene, host, &["CLIENT", "UNPAUSE"]);
            self.order(
                scene,
                host,
                &["CONFIG", "SET", "min-replicas-to-write", "0"],
            );
            self.order(scene, host, &["CONFIG", "SET", "repl-timeout", "6"]);
        }
        self.hands_over = false;
        self.pause_us = SECOND_US / 2;
        self.next_us = scene.now_us + SECOND_US;
        Ok(())
    }

    /// Whoever does not follow whom it is to follow is told again.
    pub fn insist(&mut self, scene: &mut Scene) {
        for host in 0..scene.machines.len() {
            let Some(node) = scene.machines[host].node() else {
                continue;
            };
            let replication = &node.front.replication;
            let upstream = replication.upstream.as_ref();
            let now = upstream.and_then(|upstream| host_of(upstream.link.host()));
            if now != self.follows[host] {
                self.point(scene, host, self.follows[host]);
            }
        }
    }
}
