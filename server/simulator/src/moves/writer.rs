//! A client that counts: what it was answered last is what it finds next, wherever the slot is by then.

use cairn_format::resp::value::Value;

use super::stage::{SECOND_US, Stage, TAGS};
use crate::cable::host_of;
use crate::net::HostId;
use crate::talk::Talk;

/// An answer is waited for so long.
const PATIENCE_US: u64 = 8 * SECOND_US;
/// Pauses between two requests at most.
const PAUSE_US: u64 = 20_000;
/// Pauses after a refusal at most.
const REFUSED_US: u64 = 200_000;
/// An answer is on its way so long at most.
const RECENT_US: u64 = SECOND_US / 2;
/// Keys of a client.
const KEYS: usize = 4;
/// Why a request may be refused.
const REFUSALS: &[&[u8]] = &[
    b"CLUSTERDOWN",
    b"TRYAGAIN",
    b"LOADING",
    b"MASTERDOWN",
    b"READONLY",
    b"MISCONF",
    b"UNBLOCKED",
];

/// How a number is kept.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Length,
    Field,
}

/// A key, which only one client changes.
struct Counter {
    key: String,
    form: Form,
    /// So much was acknowledged, or seen.
    known: i64,
    /// So much was ever asked for.
    asked: i64,
    /// It was read since all is to be read.
    is_read: bool,
}

impl Counter {
    fn words(&self, is_write: bool) -> Vec<&str> {
        match (self.form, is_write) {
            (Form::Text, true) => vec!["INCR", &self.key],
            (Form::Text, false) => vec!["GET", &self.key],
            (Form::Length, true) => vec!["RPUSH", &self.key, "x"],
            (Form::Length, false) => vec!["LLEN", &self.key],
            (Form::Field, true) => vec!["HINCRBY", &self.key, "n", "1"],
            (Form::Field, false) => vec!["HGET", &self.key, "n"],
        }
    }
}

/// What was asked last.
struct Asked {
    counter: usize,
    is_write: bool,
    since_us: u64,
    /// The answer to ASKING comes first.
    greetings: usize,
}

/// See the head of this file.
pub struct Writer {
    counters: Vec<Counter>,
    talk: Option<Talk>,
    host: HostId,
    /// It was told to ask there once.
    is_asking: bool,
    asked: Option<Asked>,
    /// When it does something next.
    pub next_us: u64,
}

impl Writer {
    pub fn new(number: usize, stage: &mut Stage) -> Writer {
        let counters = (0..KEYS).map(|at| {
            let tag = TAGS[stage.random.index(TAGS.len())];
            Counter {
                key: format!("{{{tag}}}:{number}:{at}"),
                form: [Form::Text, Form::Length, Form::Field][stage.random.index(3)],
                known: 0,
                asked: 0,
                is_read: false,
            }
        });
        Writer {
            counters: counters.collect(),
            talk: None,
            host: stage.any(),
            is_asking: false,
            asked: None,
            next_us: 0,
        }
    }

    /// From here on it reads all that it has.
    pub fn begin_to_read(&mut self) {
        self.counters
            .iter_mut()
            .for_each(|counter| counter.is_read = false);
    }

    /// All was read since it began to.
    pub fn is_done(&self) -> bool {
        self.counters.iter().all(|counter| counter.is_read)
    }

    /// Hangs up on a machine.
    pub fn leave_machine(&mut self, host: HostId) {
        if self.host == host {
            (self.talk, self.asked) = (None, None);
        }
    }

    /// Does its next thing earlier, if it is with this machine.
    pub fn hurry(&mut self, host: HostId, at_us: u64) {
        if self.host == host {
            self.next_us = self.next_us.min(at_us);
        }
    }

    /// Does the next thing.
    ///
    /// # Errors
    /// An answer that may not be.
    pub fn act(&mut self, stage: &mut Stage) -> Result<(), String> {
        self.next_us = stage.now_us + 1 + stage.random.below(PAUSE_US);
        if self.talk.is_none() {
            self.talk = match stage.machines[self.host].node() {
                Some(_) => Talk::new(&stage.machines[self.host].world.net),
                None => None,
            };
        }
        let Some(talk) = &mut self.talk else {
            self.go_elsewhere(stage);
            return Ok(());
        };
        let (answers, is_over) = (talk.answers()?, talk.is_over());
        for answer in answers {
            self.hear(stage, &answer)
                .map_err(|error| format!("a client of server {}: {error}", self.host))?;
        }
        let late = |asked: &Asked| stage.now_us > asked.since_us + PATIENCE_US;
        if is_over || self.asked.as_ref().is_some_and(late) {
            self.go_elsewhere(stage);
        } else if self.asked.is_none() {
            self.ask(stage);
        }
        Ok(())
    }

    fn go_elsewhere(&mut self, stage: &mut Stage) {
        (self.talk, self.asked, self.is_asking) = (None, None, false);
        self.host = stage.any();
    }

    fn ask(&mut self, stage: &mut Stage) {
        let Some(talk) = &self.talk else { return };
        let counter = match stage.is_reading {
            false => stage.random.index(self.counters.len()),
            true => match self.counters.iter().position(|counter| !counter.is_read) {
                Some(counter) => counter,
                None => return,
            },
        };
        let is_write = !stage.is_reading && stage.random.below(8) > 0;
        if self.is_asking {
            talk.ask(&["ASKING"]);
        }
        let of = &mut self.counters[counter];
        of.asked += i64::from(is_write);
        talk.ask(&of.words(is_write));
        self.asked = Some(Asked {
            counter,
            is_write,
            since_us: stage.now_us,
            greetings: usize::from(self.is_asking),
        });
        self.is_asking = false;
    }

    fn hear(&mut self, stage: &mut Stage, answer: &Value) -> Result<(), String> {
        let Some(asked) = &mut self.asked else {
            return Err(format!("an answer to nothing: {answer:?}"));
        };
        if asked.greetings > 0 {
            asked.greetings -= 1;
            return Ok(());
        }
        let (counter, is_write) = (asked.counter, asked.is_write);
        self.asked = None;
        if let Value::Error(text) = answer {
            return self.refused(stage, counter, is_write, text);
        }
        let number = match answer {
            Value::Null => 0,
            Value::Int(number) => *number,
            Value::Bulk(text) => std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("{answer:?}"))?,
            _ => return Err(format!("{answer:?}")),
        };
        stage.figures.count("answers judged");
        let of = &mut self.counters[counter];
        let least = of.known + i64::from(is_write);
        // Who holds its writes as slots leave it still answers reads, until it hears that they have left.
        let gave_us = stage.gave_us[self.host].filter(|_| !is_write);
        let may_be_old = gave_us.is_some_and(|at| stage.now_us < at + RECENT_US);
        if may_be_old && number < least {
            stage.figures.count("old answers");
            return Ok(());
        }
        if number > of.asked || (number < least && stage.loss.is_none()) {
            return Err(format!(
                "{} is {number}, after {} were acknowledged and {} asked for",
                of.key, of.known, of.asked
            ));
        }
        of.known = number;
        of.is_read |= stage.is_reading && !is_write;
        Ok(())
    }

    fn refused(
        &mut self,
        stage: &mut Stage,
        counter: usize,
        is_write: bool,
        text: &[u8],
    ) -> Result<(), String> {
        // It was not done.
        self.counters[counter].asked -= i64::from(is_write);
        let text = String::from_utf8_lossy(text).into_owned();
        let mut words = text.split(' ');
        let word = words.next().unwrap_or_default();
        if word == "MOVED" || word == "ASK" {
            let address = words.nth(1).unwrap_or_default();
            let host = address.rsplit_once(':').and_then(|(ip, _)| host_of(ip));
            let Some(host) = host else {
                return Err(text);
            };
            self.talk = None;
            self.host = host;
            self.is_asking = word == "ASK";
            return Ok(());
        }
        if !REFUSALS.contains(&word.as_bytes()) {
            return Err(text);
        }
        self.next_us = stage.now_us + stage.random.below(REFUSED_US);
        self.go_elsewhere(stage);
        Ok(())
    }
}
