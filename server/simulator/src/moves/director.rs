//! Whoever runs the cluster, and what befalls it.

use super::stage::{GOOD, Kind, SECOND_US, Stage, TAGS, slot_of};
use crate::cable::{Quality, address};
use crate::net::{HostId, PORT};
use crate::talk::Talk;

/// Time between two events at most.
const PAUSE_US: u64 = SECOND_US;
/// How long something lasts at most.
const LASTS_US: u64 = 4 * SECOND_US;
/// A disk stops within so many steps before the power of its machine fails.
const STEPS_LEFT: usize = 12;
/// A machine whose disk has stopped runs on so long at most.
const STOPPED_US: u64 = SECOND_US / 2;
/// A clock is set by so much at most.
const CLOCK_US: u64 = 3600 * SECOND_US;
/// While slots move something happens to who moves them, within so long at most.
const HITS_US: [u64; 4] = [2_000, 20_000, 200_000, 2 * SECOND_US];
/// Keys that a slot has from the beginning, where it is to take several steps.
const FILLED: usize = 700;
/// Their values, bytes at most.
const VALUE_MAX: usize = 600;

/// What ends, or comes, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    Join(HostId, HostId),
    GoodWays,
    PowerFails(HostId),
    Start(HostId),
    /// A step of a move as `redis-cli` does it: who is told, of which slot, and the step.
    Step(u16, HostId, HostId, usize),
    /// Something befalls who moves slots, its source or target.
    Hit(HostId, HostId),
}

/// See the head of this file.
#[derive(Default)]
pub struct Director {
    later: Vec<(u64, Later)>,
    orders: Vec<Talk>,
    /// Who was started since this was asked last.
    pub started: Vec<HostId>,
    /// Who died since this was asked last.
    pub died: Vec<HostId>,
    /// When it does something next.
    pub next_us: u64,
}

impl Director {
    /// Does what is due, and lets something happen unless all is to be calm.
    ///
    /// # Errors
    /// A server that does not start; an answer that is none.
    pub fn act(&mut self, stage: &mut Stage) -> Result<(), String> {
        let mut waiting = Vec::new();
        for mut talk in std::mem::take(&mut self.orders) {
            let answers = talk.answers()?;
            if answers.is_empty() && !talk.is_over() {
                waiting.push(talk);
            }
            answers
                .iter()
                .for_each(|answer| stage.note(|| format!("answered {answer:?}")));
        }
        self.orders = waiting;
        let (due, later) = self.later.iter().partition(|(at, _)| *at <= stage.now_us);
        self.later = later;
        for (_, what) in due {
            self.end(stage, what)?;
        }
        if stage.is_calm {
            self.next_us = stage.now_us + SECOND_US / 5;
            return Ok(());
        }
        self.happen(stage);
        let next = self.later.iter().map(|(at, _)| *at).min();
        let pause = 1 + stage.random.below(PAUSE_US);
        self.next_us = next.unwrap_or(u64::MAX).min(stage.now_us + pause);
        Ok(())
    }

    fn later(&mut self, stage: &mut Stage, most_us: u64, what: Later) {
        let at = stage.now_us + stage.random.below(most_us);
        self.later.push((at, what));
    }

    fn end(&mut self, stage: &mut Stage, what: Later) -> Result<(), String> {
        stage.note(|| format!("{what:?}"));
        match what {
            Later::Join(a, b) => stage.cables.part(a, b, false, stage.now_us),
            Later::GoodWays => stage.cables.set_quality(stage.usual),
            Later::PowerFails(host) => self.lose_power(stage, host),
            Later::Start(host) => self.start(stage, host)?,
            Later::Step(slot, source, target, step) => self.step(stage, slot, source, target, step),
            Later::Hit(source, target) => self.hit(stage, source, target),
        }
        Ok(())
    }

    /// Starts the server of a machine, if it does not run.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, stage: &mut Stage, host: HostId) -> Result<(), String> {
        if stage.machines[host].node().is_some() {
            return Ok(());
        }
        stage.cables.set_power(host, true);
        let started = stage.machines[host].start(None, stage.now_us);
        self.started.push(host);
        stage.figures.count("starts");
        started.map_err(|error| format!("server {host} does not start:\n{}", error.text))
    }

    /// Tells a server something, if it runs.
    pub fn order(&mut self, stage: &mut Stage, host: HostId, words: &[&str]) {
        if stage.machines[host].node().is_none() {
            return;
        }
        if let Some(talk) = Talk::new(&stage.machines[host].world.net) {
            talk.ask(words);
            self.orders.push(talk);
            stage.note(|| {
                format!(
                    "to server {host}: {}",
                    words[..words.len().min(12)].join(" ")
                )
            });
        }
    }

    // ---- the beginning ----

    /// All run, have their slots and are introduced to the first.
    ///
    /// # Errors
    /// A server that does not start.
    pub fn build(&mut self, stage: &mut Stage, primaries: usize) -> Result<(), String> {
        let end = |part: usize| part * 16_384 / primaries;
        for host in 0..stage.machines.len() {
            self.start(stage, host)?;
            let epoch = (host + 1).to_string();
            self.order(stage, host, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            if host < primaries {
                let (first, last) = (end(host).to_string(), (end(host + 1) - 1).to_string());
                self.order(stage, host, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            }
            if host > 0 {
                let (ip, port) = (address(0).to_string(), PORT.to_string());
                self.order(stage, host, &["CLUSTER", "MEET", &ip, &port]);
            }
        }
        Ok(())
    }

    /// Who has no slots follows somebody who has; one slot is filled in some runs.
    pub fn furnish(&mut self, stage: &mut Stage, primaries: usize) {
        for host in primaries..stage.machines.len() {
            let of = stage.random.index(primaries);
            if let Some(id) = stage.id(of) {
                self.order(stage, host, &["CLUSTER", "REPLICATE", &id.to_string()]);
            }
        }
        if stage.random.below(8) == 0 {
            let tag = TAGS[stage.random.index(TAGS.len())];
            let names = (0..FILLED).map(|number| format!("{{{tag}}}:filled:{number}"));
            let names: Vec<String> = names.collect();
            let value = "v".repeat(1 + stage.random.index(VALUE_MAX));
            let pairs = names.iter().flat_map(|name| [name.as_str(), &value]);
            let words: Vec<&str> = std::iter::once("MSET").chain(pairs).collect();
            for host in stage.writable_at(slot_of(tag)) {
                self.order(stage, host, &words);
            }
        }
    }

    // ---- what happens ----

    fn happen(&mut self, stage: &mut Stage) {
        let host = stage.any();
        let is_gentle = stage.kind == Kind::Gentle;
        match stage.random.below(100) {
            0..40 => self.move_as_one(stage),
            40..45 => self.order(stage, host, &["CLUSTER", "CANCELSLOTMIGRATIONS"]),
            45..54 => self.move_as_before(stage),
            54..64 => self.cut(stage),
            64..68 => self.order(stage, host, &["BGREWRITEAOF"]),
            68..71 => self.set_clock(stage, host),
            71..74 => {
                let wait_ms = (1 + stage.random.below(300)).to_string();
                self.order(stage, host, &["CLIENT", "PAUSE", &wait_ms, "WRITE"]);
            }
            74..80 if stage.kind != Kind::Alone => self.fail_over(stage, host),
            80..84 if !is_gentle => self.part(stage, host),
            84..87 if !is_gentle => self.split(stage),
            87..91 if !is_gentle => self.slow_down(stage),
            91..97 if !is_gentle => self.die(stage, host),
            97..100 if !is_gentle => self.order(stage, host, &["SHUTDOWN", "NOW"]),
            _ => {}
        }
    }

    /// Some of the slots that a server has go to another, each with the empty one behind it or without.
    fn move_as_one(&mut self, stage: &mut Stage) {
        // In most cases somebody who has some.
        let slot = slot_of(TAGS[stage.random.index(TAGS.len())]);
        let source = match stage.writable_at(slot).first() {
            Some(owner) if stage.random.below(8) > 0 => *owner,
            _ => stage.any(),
        };
        let target = stage.any();
        let Some(id) = stage.id(target) else {
            return;
        };
        let mine = stage.served_by(source);
        let mut words = vec![
            "CLUSTER".into(),
            "MIGRATESLOTS".into(),
            "SLOTSRANGE".to_owned(),
        ];
        for slot in mine {
            if stage.random.below(3) > 0 {
                let last = slot + stage.random.below(2) as u16;
                words.extend([slot.to_string(), last.to_string()]);
            }
        }
        words.extend(["NODE".to_owned(), id.to_string()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.order(stage, source, &words);
        if stage.random.below(2) == 0 {
            let most_us = HITS_US[stage.random.index(HITS_US.len())];
            self.later(stage, most_us, Later::Hit(source, target));
        }
    }

    /// While they move slots, or just after, something happens to one or both.
    fn hit(&mut self, stage: &mut Stage, source: HostId, target: HostId) {
        let one = [source, target][stage.random.index(2)];
        let is_gentle = stage.kind == Kind::Gentle;
        match stage.random.below(10) {
            0 | 1 => self.order(stage, one, &["CLUSTER", "CANCELSLOTMIGRATIONS"]),
            2 if stage.kind != Kind::Alone => {
                let host = stage.any();
                self.fail_over(stage, host);
            }
            3..6 if !is_gentle => self.die(stage, one),
            6 | 7 if !is_gentle && source != target => self.disjoin(stage, source, target),
            8 if !is_gentle => self.split(stage),
            _ => self.cut(stage),
        }
    }

    /// An empty slot moves as `redis-cli` moves it, or half of the way.
    fn move_as_before(&mut self, stage: &mut Stage) {
        let slot = 1 + slot_of(TAGS[stage.random.index(TAGS.len())]);
        let target = stage.any();
        let source = (0..stage.machines.len()).find(|host| {
            stage
                .member(*host)
                .is_some_and(|member| member.slots().contains(slot))
        });
        let Some(source) = source.filter(|source| *source != target) else {
            return;
        };
        for step in 0..1 + stage.random.index(4) {
            self.later.push((
                stage.now_us + step as u64 * 2000,
                Later::Step(slot, source, target, step),
            ));
        }
    }

    fn step(&mut self, stage: &mut Stage, slot: u16, source: HostId, target: HostId, step: usize) {
        let (Some(from), Some(to)) = (stage.id(source), stage.id(target)) else {
            return;
        };
        // Each as the one before was done: who goes on all the same gives slots to nobody.
        let is_open = |host| {
            stage
                .member(host)
                .is_some_and(|member| member.open_slots().any(|open| open == slot))
        };
        let has = |host| {
            stage
                .member(host)
                .is_some_and(|member| member.slots().contains(slot))
        };
        let (is_next, host, word, id) = match step {
            0 => (true, target, "IMPORTING", from),
            1 => (is_open(target), source, "MIGRATING", to),
            2 => (is_open(source), target, "NODE", to),
            _ => (has(target), source, "NODE", to),
        };
        if !is_next {
            return;
        }
        let words = [
            "CLUSTER",
            "SETSLOT",
            &slot.to_string(),
            word,
            &id.to_string(),
        ];
        self.order(stage, host, &words);
    }

    fn cut(&mut self, stage: &mut Stage) {
        let count = stage.cables.count();
        if count == 0 {
            return;
        }
        let wire = stage.random.index(count);
        let kind = stage
            .random
            .below(if stage.kind == Kind::Gentle { 4 } else { 7 });
        stage.note(|| format!("connection {wire} breaks, {kind}"));
        match kind {
            0 | 1 => stage.cables.doom(wire),
            2 | 3 => stage.cables.cut(wire),
            4 => stage.cables.silence(wire, Some(0)),
            5 => stage.cables.silence(wire, Some(1)),
            _ => stage.cables.silence(wire, None),
        }
    }

    fn part(&mut self, stage: &mut Stage, host: HostId) {
        let other = stage.any();
        if host != other {
            self.disjoin(stage, host, other);
        }
    }

    fn disjoin(&mut self, stage: &mut Stage, a: HostId, b: HostId) {
        stage.note(|| format!("servers {a} and {b} are parted"));
        stage.cables.part(a, b, true, stage.now_us);
        self.later(stage, LASTS_US, Later::Join(a, b));
    }

    /// Two parts that do not reach each other.
    fn split(&mut self, stage: &mut Stage) {
        let sides: Vec<u64> = (0..stage.machines.len())
            .map(|_| stage.random.below(2))
            .collect();
        for a in 0..sides.len() {
            for b in a + 1..sides.len() {
                if sides[a] != sides[b] {
                    self.disjoin(stage, a, b);
                }
            }
        }
    }

    fn slow_down(&mut self, stage: &mut Stage) {
        let quality = Quality {
            delay_us: [20_000, 300_000][stage.random.index(2)],
            per_kb_us: [100, 20_000][stage.random.index(2)],
        };
        stage.note(|| format!("{quality:?}"));
        stage.cables.set_quality(quality);
        self.later(stage, LASTS_US, Later::GoodWays);
    }

    fn set_clock(&mut self, stage: &mut Stage, host: HostId) {
        let by = stage.random.below(2 * CLOCK_US) as i64 - CLOCK_US as i64;
        stage.machines[host].world.clock.jump(by);
    }

    fn fail_over(&mut self, stage: &mut Stage, host: HostId) {
        let forms: &[&[&str]] = &[&[], &[], &["FORCE"], &["TAKEOVER"]];
        let forms = if stage.kind == Kind::Gentle {
            &forms[..1]
        } else {
            forms
        };
        let form = forms[stage.random.index(forms.len())];
        self.order(stage, host, &[&["CLUSTER", "FAILOVER"], form].concat());
    }

    /// The disk stops in the middle of something, or between two turns, and the power fails.
    fn die(&mut self, stage: &mut Stage, host: HostId) {
        if stage.machines[host].node().is_none() {
            return;
        }
        if stage.random.below(3) == 0 {
            return self.lose_power(stage, host);
        }
        let left = stage.random.index(STEPS_LEFT);
        stage.note(|| format!("the disk of server {host} stops after {left} steps"));
        stage.machines[host].troubled = true;
        stage.machines[host].world.disk.stop_after(left);
        self.later(stage, STOPPED_US, Later::PowerFails(host));
    }

    fn lose_power(&mut self, stage: &mut Stage, host: HostId) {
        if stage.machines[host].node().is_some() {
            stage.note(|| format!("server {host} loses its power"));
            stage.cables.set_power(host, false);
        }
        let torn = stage.random.index(100);
        // Also where the server has ended before: the disk has to work again.
        stage.machines[host].lose_power(torn);
        self.died.push(host);
        self.later(stage, LASTS_US, Later::Start(host));
    }

    /// A server has ended by itself.
    pub fn ended(&mut self, stage: &mut Stage, host: HostId) {
        self.died.push(host);
        // The disk of one that ended as it failed is made good by the power cut that is due.
        let is_due = |(_, what): &(u64, Later)| *what == Later::PowerFails(host);
        if !self.later.iter().any(is_due) {
            self.later(stage, LASTS_US, Later::Start(host));
        }
    }

    // ---- in the end ----

    /// Nothing is broken any more.
    ///
    /// # Errors
    /// A server that does not start.
    pub fn heal(&mut self, stage: &mut Stage) -> Result<(), String> {
        stage.is_calm = true;
        for (_, what) in std::mem::take(&mut self.later) {
            if let Later::PowerFails(host) = what {
                self.lose_power(stage, host);
            }
        }
        self.later.clear();
        self.orders.clear();
        stage.cables.heal(stage.now_us);
        stage.cables.set_quality(GOOD);
        for host in 0..stage.machines.len() {
            self.start(stage, host)?;
            self.order(stage, host, &["CLIENT", "UNPAUSE"]);
        }
        self.next_us = stage.now_us;
        Ok(())
    }

    /// What does not heal by itself: moves as before that were left half of the way, and slots without keys that nobody claims after one of them.
    pub fn insist(&mut self, stage: &mut Stage) {
        self.close_moves(stage);
        for slot in TAGS.map(|tag| slot_of(tag) + 1) {
            self.cover(stage, slot);
        }
    }

    /// An owner that does not claim a slot is forgotten everywhere, and then somebody gets it.
    fn cover(&mut self, stage: &mut Stage, slot: u16) {
        let hosts = 0..stage.machines.len();
        let claims = |host: HostId| {
            stage
                .member(host)
                .is_some_and(|member| member.slots().contains(slot))
        };
        if hosts.clone().any(claims) {
            return;
        }
        let remembers = |host: &HostId| {
            stage
                .member(*host)
                .is_some_and(|member| member.owner(slot).is_some())
        };
        let remember: Vec<HostId> = hosts.filter(remembers).collect();
        let slot = slot.to_string();
        for host in &remember {
            self.order(stage, *host, &["CLUSTER", "DELSLOTS", &slot]);
        }
        let taker = stage.primaries().first().copied();
        if let Some(taker) = taker.filter(|_| remember.is_empty()) {
            self.order(stage, taker, &["CLUSTER", "ADDSLOTS", &slot]);
        }
    }

    fn close_moves(&mut self, stage: &mut Stage) {
        for host in 0..stage.machines.len() {
            let Some(member) = stage.member(host) else {
                continue;
            };
            let open: Vec<u16> = member.open_slots().collect();
            for slot in open {
                self.order(
                    stage,
                    host,
                    &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"],
                );
            }
        }
    }
}
