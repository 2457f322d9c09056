//! A client that writes: what it did can be found in the stream, and what it was promised is looked into.

use std::collections::VecDeque;

use cairn_format::resp::value::Value;

use super::archive::{Place, Token, text_of};
use super::scene::Scene;
use crate::net::HostId;
use crate::talk::Talk;

/// Counters of a database.
pub const COUNTERS: usize = 3;
/// Databases with what nobody takes away.
const KEPT_DBS: u64 = 3;
/// All databases that are used.
const DBS: u64 = 6;
/// Key of what is put in and never taken out.
pub const LOG: &[u8] = b"log:";
/// Why a request may be refused.
const REFUSALS: &[&[u8]] = &[
    b"READONLY",
    b"LOADING",
    b"MASTERDOWN",
    b"NOREPLICAS",
    b"MISCONF",
    b"UNBLOCKED",
    b"EXECABORT",
];
/// Answers that WAIT is given where there is a primary.
const WAIT_REFUSED: &[&[u8]] = &[
    b"ERR WAIT cannot be used with replica instances",
    b"ERR WAITAOF cannot be used",
];

/// How long an answer may be on its way, microseconds.
const RECENT_US: u64 = 3_000_000;

enum Expect {
    Anything,
    /// Writes with these numbers, in order.
    Written(Vec<Token>),
    /// WAIT: of the last write of this connection.
    Promised,
    /// WAITAOF: the same, on disks.
    PromisedOnDisk,
}

/// A client. When its connection ends it makes another.
pub struct Worker {
    number: usize,
    talk: Option<Talk>,
    host: HostId,
    db: u64,
    expected: VecDeque<Expect>,
    /// What was written last on this connection.
    last: Option<Token>,
    /// It sends long values.
    is_heavy: bool,
    /// When it does something next.
    pub next_us: u64,
}

impl Worker {
    /// Not connected yet.
    pub fn new(number: usize, is_heavy: bool) -> Worker {
        Worker {
            number,
            talk: None,
            host: 0,
            db: 0,
            expected: VecDeque::new(),
            last: None,
            is_heavy,
            next_us: 0,
        }
    }

    /// Nothing is to be answered.
    pub fn is_idle(&self) -> bool {
        self.expected.is_empty()
    }

    /// Does the next thing.
    ///
    /// # Errors
    /// An answer that may not be.
    pub fn act(&mut self, scene: &mut Scene) -> Result<(), String> {
        let pause = match scene.random.below(20) {
            0 => 2_000_000,
            1..5 => 100_000,
            _ => 8_000,
        };
        self.next_us = scene.now_us + scene.random.below(pause);
        if self.talk.is_none() && !scene.calm {
            self.connect(scene);
        }
        let Some(talk) = &mut self.talk else {
            return Ok(());
        };
        let (answers, is_over) = (talk.answers()?, talk.is_over());
        for answer in answers {
            if self.talk.is_none() {
                return Ok(());
            }
            scene.figures.replies += 1;
            self.judge(scene, answer)
                .map_err(|error| format!("a client of server {}: {error}", self.host))?;
        }
        if is_over {
            self.leave();
        }
        if self.talk.is_some() && self.expected.is_empty() && !scene.calm {
            for _ in 0..1 + scene.random.below(4) {
                self.request(scene);
            }
        }
        Ok(())
    }

    fn connect(&mut self, scene: &mut Scene) {
        self.host = match scene.random.below(12) {
            0 => scene.any(),
            _ => scene.primary,
        };
        if scene.machines[self.host].node().is_some() {
            self.talk = Talk::new(&scene.machines[self.host].world.net);
        }
        self.db = 0;
        self.last = None;
    }

    /// Hangs up.
    pub fn leave(&mut self) {
        self.talk = None;
        self.expected.clear();
    }

    /// Hangs up on a machine.
    pub fn leave_machine(&mut self, host: HostId) {
        if self.host == host {
            self.leave();
        }
    }

    fn ask(&mut self, words: &[&str], expect: Expect) {
        if let Some(talk) = &self.talk {
            talk.ask(words);
            self.expected.push_back(expect);
        }
    }

    fn request(&mut self, scene: &mut Scene) {
        let kept = self.db < KEPT_DBS;
        match scene.random.below(100) {
            0..12 if kept => self.count(scene),
            0..35 if kept => self.note(scene),
            35..45 if kept => self.note_many(scene),
            45..58 => self.wait(scene),
            58..65 => self.select(scene),
            65..70 => self.sweep(scene),
            _ => self.set(scene),
        }
    }

    fn count(&mut self, scene: &mut Scene) {
        let counter = scene.random.index(COUNTERS);
        if self.db == 0 {
            *scene.counted.entry(counter).or_default() += 1;
        }
        self.ask(&["INCR", &format!("c:{counter}")], Expect::Anything);
    }

    fn log(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(LOG), self.number)
    }

    fn note(&mut self, scene: &mut Scene) {
        let token = scene.new_token();
        let log = self.log();
        self.ask(
            &["RPUSH", &log, &text_of(token)],
            Expect::Written(vec![token]),
        );
    }

    fn note_many(&mut self, scene: &mut Scene) {
        let log = self.log();
        self.ask(&["MULTI"], Expect::Anything);
        let mut tokens = Vec::new();
        for _ in 0..1 + scene.random.below(5) {
            let token = scene.new_token();
            tokens.push(token);
            self.ask(&["RPUSH", &log, &text_of(token)], Expect::Anything);
            self.set(scene);
        }
        self.ask(&["EXEC"], Expect::Written(tokens));
    }

    fn wait(&mut self, scene: &mut Scene) {
        let count = scene.random.below(scene.machines.len() as u64).to_string();
        let wait_ms = (1 + scene.random.below(400)).to_string();
        match scene.random.below(3) {
            0 => {
                let local = ["0", "1"][scene.random.index(2)];
                let words = ["WAITAOF", local, &count, &wait_ms];
                self.ask(&words, Expect::PromisedOnDisk);
            }
            _ => self.ask(&["WAIT", &count, &wait_ms], Expect::Promised),
        }
    }

    fn select(&mut self, scene: &mut Scene) {
        self.db = scene.random.below(DBS);
        self.ask(&["SELECT", &self.db.to_string()], Expect::Anything);
    }

    /// Much goes at once, where that is allowed.
    fn sweep(&mut self, scene: &mut Scene) {
        match scene.random.below(3) {
            0 if self.db >= KEPT_DBS => self.ask(&["FLUSHDB"], Expect::Anything),
            1 => self.ask(&["SWAPDB", "4", "5"], Expect::Anything),
            _ => self.ask(&["DEL", "k:0", "k:1", "h:0"], Expect::Anything),
        }
    }

    fn set(&mut self, scene: &mut Scene) {
        let number = scene.random.below(6);
        let (key, hash, queue) = (
            format!("k:{number}"),
            format!("h:{number}"),
            format!("q:{number}"),
        );
        let text = format!("v{}", scene.random.below(1000));
        match scene.random.below(14) {
            0..3 => {
                let ms = [30, 700, 5000, 60_000][scene.random.index(4)];
                let ms = (1 + scene.random.below(ms)).to_string();
                self.ask(&["SET", &key, &text, "PX", &ms], Expect::Anything);
            }
            3 => self.ask(&["HSET", &hash, &text, "1"], Expect::Anything),
            4 => self.ask(&["SPOP", &format!("s:{number}")], Expect::Anything),
            5 => self.ask(&["SADD", &format!("s:{number}"), &text], Expect::Anything),
            6 => self.ask(&["LPUSH", &queue, &text], Expect::Anything),
            7 => self.ask(&["BLPOP", &queue, "0.05"], Expect::Anything),
            9 => {
                let member = scene.random.below(9).to_string();
                self.ask(
                    &["ZINCRBY", &format!("z:{number}"), "1.5", &member],
                    Expect::Anything,
                );
            }
            10 => self.ask(
                &[
                    "XADD",
                    &format!("x:{number}"),
                    "MAXLEN",
                    "5",
                    "*",
                    "f",
                    &text,
                ],
                Expect::Anything,
            ),
            11 => {
                let ms = (1 + scene.random.below(5000)).to_string();
                let words = ["HPEXPIRE", &hash, &ms, "FIELDS", "1", &text];
                self.ask(&["HSET", &hash, &text, "2"], Expect::Anything);
                self.ask(&words, Expect::Anything);
            }
            12 => self.ask(&["GETDEL", &key], Expect::Anything),
            8 if self.is_heavy => {
                let long = text.repeat(1 + scene.random.index(700));
                self.ask(&["SET", &key, &long], Expect::Anything);
            }
            _ => self.ask(&["SET", &key, &text], Expect::Anything),
        }
    }

    fn judge(&mut self, scene: &mut Scene, answer: Value) -> Result<(), String> {
        let Some(expect) = self.expected.pop_front() else {
            return Err(format!("an answer to nothing: {answer:?}"));
        };
        if let Value::Error(text) = &answer {
            let is_known = REFUSALS.iter().any(|word| text.starts_with(word));
            if text.starts_with(b"READONLY") {
                // It has found the wrong server.
                self.leave();
            }
            let is_refusal = WAIT_REFUSED.iter().any(|word| text.starts_with(word));
            return match is_known || is_refusal {
                true => Ok(()),
                false => Err(format!("{answer:?}")),
            };
        }
        match (expect, answer) {
            (Expect::Anything, _) | (Expect::Written(_), Value::Null) => {}
            (Expect::Written(tokens), Value::Int(1..) | Value::Array(_)) => {
                self.last = tokens.last().copied();
            }
            (Expect::Promised, Value::Int(count)) => self.look_into(scene, count)?,
            (Expect::PromisedOnDisk, Value::Array(counts)) => {
                let [Value::Int(local), Value::Int(replicas)] = counts[..] else {
                    return Err(format!("{counts:?}"));
                };
                self.look_on_disks(scene, local, replicas)?;
            }
            (_, answer) => return Err(format!("{answer:?}")),
        }
        Ok(())
    }

    /// What was written last, and where it is, if its server has not become a copy of another since.
    fn last_write(&self, scene: &Scene) -> Option<(Token, Place)> {
        let token = self.last?;
        let place = scene.archive.token(token)?;
        let here = scene.watches[self.host].place(&scene.archive)?;
        let is_here = scene.archive.holds(here, place);
        is_here.then_some((token, place))
    }

    /// So many replicas are said to have what was written last.
    fn look_into(&self, scene: &mut Scene, count: i64) -> Result<(), String> {
        let Some((_, place)) = self.last_write(scene) else {
            return Ok(());
        };
        scene.figures.waits += u64::from(count > 0);
        let others = (0..scene.watches.len()).filter(|host| *host != self.host);
        let have = others.filter(|host| scene.watches[*host].had(&scene.archive, place));
        let have = have.count() as i64;
        match have >= count {
            true => Ok(()),
            false => Err(format!(
                "WAIT says that {count} replicas have {place:?}, {have} do"
            )),
        }
    }

    /// So many disks are said to have what was written last.
    fn look_on_disks(&self, scene: &mut Scene, local: i64, replicas: i64) -> Result<(), String> {
        let Some((token, place)) = self.last_write(scene) else {
            return Ok(());
        };
        scene.figures.waits += u64::from(local + replicas > 0);
        let text = text_of(token);
        let has = |host: usize| scene.machines[host].world.disk.survives(text.as_bytes());
        // Who was given other data since is not blamed.
        let had = |host: usize| scene.now_us < scene.watches[host].renewed_us + RECENT_US;
        let others = (0..scene.machines.len()).filter(|host| *host != self.host);
        let have = others.filter(|host| has(*host) || had(*host)).count() as i64;
        match have >= replicas && (local == 0 || has(self.host)) {
            true => Ok(()),
            false => Err(format!(
                "WAITAOF says that it is on {local} disk here and {replicas} of replicas; {place:?} is on {have} there"
            )),
        }
    }
}
