//! Whole nodes of a cluster: slots move between them, as one or one by one, while clients write and all may break.
//!
//! | file | what |
//! |---|---|
//! | `stage` | what all who act see, and what kind of a run it is |
//! | `writer` | clients: what they were answered is what they find |
//! | `director` | who builds the cluster and moves slots, and what befalls it |
//! | `judge` | what may never be, and what has to be in the end |
//!
//! The nodes are those of `cairn-server`, with their bus, replication, log and data; [`crate::mesh`] has more nodes, and only what is said on the bus.

mod director;
mod judge;
mod stage;
mod writer;

use std::collections::BTreeMap;

use cairn_engine::base::random::Random;

use crate::cable::{Cables, address};
use crate::machine::Machine;
use crate::net::HostId;
use crate::seed::guarded;
use director::Director;
use judge::{Judge, agreement};
use stage::{Figures, Kind, SECOND_US, Stage, TAGS, USUAL, slot_of};
use writer::Writer;

/// How long a new cluster may take until all know all.
const BUILDING_US: u64 = 60 * SECOND_US;
/// How long things happen, at most.
const TROUBLE_US: u64 = 12 * SECOND_US;
/// How many timeouts all may take to agree and every move to end once nothing is broken, and how much longer in any case.
const HEALING_TIMEOUTS: u64 = 30;
const HEALING_US: u64 = 30 * SECOND_US;
/// After so long a failover that somebody asked for is over, one way or another.
const FAILOVER_US: u64 = 6 * SECOND_US;
/// How long clients may take to read everything then, and each of the last moves to be done.
const READING_US: u64 = 30 * SECOND_US;
/// Moves in the end, while clients write.
const LAST_MOVES: usize = 4;
/// Agreement is looked for so often.
const LOOK_US: u64 = SECOND_US / 5;
/// Somebody who never waits has more turns than this; runs that end have a tenth of it.
const TURNS_MAX: u64 = 2_000_000;
/// Turns between two looks at all that a server holds: each has 16,384 tables.
const CHECKED_EVERY: u64 = 1000;
/// After one in so many turns the processor of a machine is with others for a while, and so long at most: what comes meanwhile from clients and other
/// servers is heard in one turn, in any order.
const AWAY_ONE_IN: u64 = 8;
const AWAY_US: u64 = 8_000;
/// A clock gains or loses so much a second at most, microseconds.
const DRIFT_US: u64 = 1000;

/// Runs a seed. `with_logs`: a failure is told with all that happened and was logged.
///
/// # Errors
/// What happened that may not, with the seed.
pub fn run(seed: u64, with_logs: bool) -> Result<BTreeMap<&'static str, u64>, String> {
    guarded(seed, || {
        let mut world = World::new(seed, with_logs);
        let outcome = world.whole();
        outcome.map_err(|error| world.tell(error))?;
        Ok(world.stage.figures.0)
    })
}

struct World {
    stage: Stage,
    director: Director,
    judge: Judge,
    writers: Vec<Writer>,
    primaries: usize,
    next_look_us: u64,
}

/// Who does something next.
#[derive(Clone, Copy)]
enum Next {
    Bytes,
    Server(HostId),
    Writer(usize),
    Director,
}

/// How the server of a machine is started.
fn words_of(random: &mut Random, host: HostId, timeout_ms: u64) -> Vec<String> {
    let (ip, timeout) = (address(host).to_string(), timeout_ms.to_string());
    let migrates = ["yes", "no"][random.index(2)];
    let words = [
        "--protected-mode",
        "no",
        "--cluster-enabled",
        "yes",
        "--cluster-announce-ip",
        &ip,
        "--cluster-node-timeout",
        &timeout,
        "--cluster-allow-replica-migration",
        migrates,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        "--shutdown-timeout",
        "0",
        "--repl-timeout",
        "5",
        "--repl-diskless-sync-delay",
        "0",
        "--repl-ping-replica-period",
        "1",
    ];
    words.map(str::to_owned).to_vec()
}

impl World {
    fn new(seed: u64, with_logs: bool) -> World {
        let mut random = Random::new(seed ^ 0x6d6f_7665);
        let kind = [Kind::Gentle, Kind::Alone, Kind::Alone, Kind::Rough][random.index(4)];
        let (primaries, replicas) = match kind {
            Kind::Gentle => (2 + random.index(2), 1 + random.index(2)),
            Kind::Alone => (2 + random.index(3), 0),
            Kind::Rough => (3, 1 + random.index(3)),
        };
        let usual = USUAL[random.index(USUAL.len())];
        let cables = Cables::new(random.next_u64(), usual);
        let timeout_ms = [1000, 2000, 8000][random.index(3)];
        let count = primaries + replicas;
        let machines = (0..count).map(|host| {
            let words = words_of(&mut random, host, timeout_ms);
            let machine = Machine::new(&cables, random.next_u64(), words, CHECKED_EVERY, with_logs);
            let drift = random.below(2 * DRIFT_US) as i64 - DRIFT_US as i64;
            machine.world.clock.set_drift(drift);
            machine
        });
        let machines = machines.collect();
        let mut stage = Stage {
            random,
            now_us: 0,
            cables,
            machines,
            kind,
            timeout_ms,
            usual,
            is_calm: false,
            is_reading: false,
            gave_us: vec![None; count],
            loss: None,
            figures: Figures::default(),
            diary: with_logs.then(Vec::new),
        };
        let writers = 1 + stage.random.index(5);
        let writers = (0..writers).map(|number| Writer::new(number, &mut stage));
        World {
            writers: writers.collect(),
            judge: Judge::new(count),
            stage,
            director: Director::default(),
            primaries,
            next_look_us: 0,
        }
    }

    fn whole(&mut self) -> Result<(), String> {
        self.director.build(&mut self.stage, self.primaries)?;
        self.director.next_us = u64::MAX;
        self.writers
            .iter_mut()
            .for_each(|writer| writer.next_us = u64::MAX);
        self.agree(BUILDING_US, "a new cluster does not come together")?;
        self.director.furnish(&mut self.stage, self.primaries);
        let begins_us = self.stage.now_us + SECOND_US / 10;
        self.director.next_us = begins_us;
        self.writers
            .iter_mut()
            .for_each(|writer| writer.next_us = begins_us);
        let until = self.stage.now_us + SECOND_US + self.stage.random.below(TROUBLE_US);
        while self.stage.now_us < until {
            self.go_on()?;
        }
        self.director.heal(&mut self.stage)?;
        let patience_us = HEALING_TIMEOUTS * self.stage.timeout_ms * 1000 + HEALING_US;
        self.agree(patience_us, "they do not agree")?;
        let until = self.stage.now_us + FAILOVER_US;
        while self.stage.now_us < until {
            self.go_on()?;
        }
        self.agree(patience_us, "they do not agree behind the last failover")?;
        let figure = match self.stage.loss {
            None => "runs without loss",
            Some(_) => "runs with loss",
        };
        self.stage.figures.count(figure);
        self.read_all()?;
        // What is gone was seen, and from here on nothing is lost any more.
        self.stage.loss = None;
        for _ in 0..LAST_MOVES {
            self.move_at_last()?;
            // Who did not hear of it would refuse the next one.
            self.agree(READING_US, "they do not agree on slots that have moved")?;
        }
        self.read_all()
    }

    /// Clients read all that they have written, and write no more meanwhile.
    fn read_all(&mut self) -> Result<(), String> {
        self.stage.is_reading = true;
        self.writers.iter_mut().for_each(Writer::begin_to_read);
        let until = self.stage.now_us + READING_US;
        while !self.writers.iter().all(Writer::is_done) {
            self.go_on()?;
            if self.stage.now_us > until {
                return Err("clients do not find their keys".to_owned());
            }
        }
        self.stage.is_reading = false;
        Ok(())
    }

    /// Nothing that happened stands in the way of one more move, of all slots that somebody has, and what is written meanwhile is not lost.
    fn move_at_last(&mut self) -> Result<(), String> {
        let stage = &mut self.stage;
        let slot = slot_of(TAGS[stage.random.index(TAGS.len())]);
        let primaries = stage.primaries();
        let owner = stage.writable_at(slot).first().copied();
        let target = primaries.into_iter().find(|host| Some(*host) != owner);
        let (Some(owner), Some(target)) = (owner, target) else {
            return Err(format!(
                "nobody to move slot {slot} between: {owner:?}, {target:?}"
            ));
        };
        let Some(id) = stage.id(target) else {
            return Err(format!("server {target} is no node"));
        };
        let (id, slots) = (id.to_string(), stage.served_by(owner));
        let numbers: Vec<String> = slots.iter().map(u16::to_string).collect();
        let mut words = vec!["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"];
        words.extend(numbers.iter().flat_map(|number| [number.as_str(); 2]));
        words.extend(["NODE", &id]);
        self.director.order(stage, owner, &words);
        let until = stage.now_us + READING_US;
        while self.stage.writable_at(slot) != [target] {
            self.go_on()?;
            if self.stage.now_us > until {
                return Err(format!(
                    "slot {slot} does not move from {owner} to {target}"
                ));
            }
        }
        Ok(())
    }

    fn agree(&mut self, patience_us: u64, what: &str) -> Result<(), String> {
        let until = self.stage.now_us + patience_us;
        loop {
            self.go_on()?;
            if self.stage.now_us < self.next_look_us {
                continue;
            }
            self.next_look_us = self.stage.now_us + LOOK_US;
            if self.stage.is_calm {
                self.director.insist(&mut self.stage);
            }
            let Err(why) = agreement(&self.stage) else {
                return Ok(());
            };
            if self.stage.now_us > until {
                return Err(format!("{what}: {why}"));
            }
        }
    }

    fn next(&self) -> (u64, Next) {
        let stage = &self.stage;
        let bytes = stage.cables.next_us().map(|at| (at, Next::Bytes));
        let servers = stage.machines.iter().enumerate();
        let servers = servers.filter_map(|(id, m)| Some((m.next_us()?, Next::Server(id))));
        let writers = self.writers.iter().enumerate();
        let writers = writers.map(|(id, writer)| (writer.next_us, Next::Writer(id)));
        let director = (self.director.next_us, Next::Director);
        let others = bytes.into_iter().chain(servers).chain(writers);
        others.fold(director, |a, b| if b.0 < a.0 { b } else { a })
    }

    fn go_on(&mut self) -> Result<(), String> {
        let (at, next) = self.next();
        let stage = &mut self.stage;
        stage.now_us = stage.now_us.max(at);
        match next {
            Next::Bytes => {
                stage.cables.pump(stage.now_us);
                Ok(())
            }
            Next::Server(host) => self.turn(host),
            Next::Writer(id) => self.writers[id].act(stage),
            Next::Director => {
                self.director.act(stage)?;
                self.note_lives();
                Ok(())
            }
        }
    }

    fn turn(&mut self, host: HostId) -> Result<(), String> {
        let stage = &mut self.stage;
        let turns = stage.figures.0.entry("turns").or_default();
        *turns += 1;
        if *turns > TURNS_MAX {
            return Err(format!("turns without an end, now of server {host}"));
        }
        let status = stage.machines[host].step(stage.now_us, &mut stage.random);
        let status = status.map_err(|error| format!("server {host}: {error}"))?;
        if status.is_none() {
            let looked = self.judge.look(host, stage);
            looked.map_err(|error| format!("server {host}: {error}"))?;
            self.be_away(host);
        }
        let stage = &mut self.stage;
        stage.cables.pump(stage.now_us);
        match status {
            None => Ok(()),
            Some(status) if status == 0 || stage.machines[host].troubled => {
                stage.note(|| format!("server {host} has ended: {status}"));
                stage.machines[host].ended();
                // What it has sent is on its way, and then its end.
                stage.cables.pump(stage.now_us);
                self.director.ended(stage, host);
                self.note_lives();
                Ok(())
            }
            Some(status) => Err(format!("server {host}: exit {status}")),
        }
    }

    /// Now and then the processor of a machine is with others after a turn. So it is where a move waits for the word on which its source stands still, and
    /// clients are busy then: what changes in the turn that hears it is the last that may be forgotten.
    fn be_away(&mut self, host: HostId) {
        let stage = &mut self.stage;
        let is_asking = stage.asks_target(host);
        if is_asking || stage.random.below(AWAY_ONE_IN) == 0 {
            let away_us = stage.random.below(AWAY_US);
            stage.machines[host].is_away_until(stage.now_us + away_us);
        }
        if is_asking && !stage.is_reading {
            for writer in &mut self.writers {
                writer.hurry(host, stage.now_us + stage.random.below(AWAY_US / 2));
            }
        }
    }

    /// Who was started or has died is another one now.
    fn note_lives(&mut self) {
        for host in self.director.died.drain(..) {
            self.judge.died(host, &mut self.stage);
            self.writers
                .iter_mut()
                .for_each(|writer| writer.leave_machine(host));
        }
        for host in self.director.started.drain(..) {
            self.judge.started(host);
        }
    }

    fn tell(&self, error: String) -> String {
        let stage = &self.stage;
        let mut text = format!(
            "{:.3} s, {:?}: {error}",
            stage.now_us as f64 / 1e6,
            stage.kind
        );
        for (host, machine) in stage.machines.iter().enumerate() {
            let Some(member) = stage.member(host) else {
                text += &format!("\n  server {host}: none");
                continue;
            };
            let slots = stage.served_by(host);
            text += &format!(
                "\n  server {host}: {}, primary {}, epoch {} of {}, ok {}, has {slots:?}",
                member.id(),
                member.is_primary(),
                member.config_epoch(),
                member.current_epoch(),
                member.is_ok(),
            );
            if let Some(log) = machine.log() {
                text += &format!("\n{log}");
            }
        }
        let diary = stage.diary.iter().flatten();
        diary.fold(text, |text, line| text + "\n" + line)
    }
}
