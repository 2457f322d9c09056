//! Where replies go: they are looked at as far as their operation asks for it, and counted.
//!
//! All replies of one read came at one moment. In a closed loop those of one client were sent at one moment, too, so that many are
//! counted at once: `run` holds how many of the same.

use super::budget::Marks;
use super::link::{Waiting, error_line};
use super::skim::Skimmed;
use super::tally::Tally;
use super::timeline::{Current, Timeline};
use crate::workload::data::Pools;
use crate::workload::reading::{Reading, is_miss};
use cairn_format::resp::value::{Value, is_error};
use cairn_toolkit::quoted;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a sink has around it, the same for all threads.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where slices go.
    pub timeline: &'a Timeline,
    /// When the measuring begins.
    pub marks: &'a Marks,
    /// What values are compared with.
    pub pools: &'a Pools,
    /// What the live line and the test of steadiness look at.
    pub gauge: &'a Gauge,
    /// What replies tell, by operation.
    pub readings: &'a [Reading],
    /// Values are compared with what was written.
    pub verify: bool,
}

/// Counts that are looked at while a run lasts, the warm-up's too.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// The sum of their response times in the warm-up, nanoseconds.
    pub warm_ns: AtomicU64,
}

/// Counts the replies of one thread.
#[derive(Debug)]
pub struct Sink<'a> {
    tally: &'a mut Tally,
    current: Current,
    place: Place<'a>,
    now: u64,
    run: Run,
    warm_ns: u64,
    answered: u64,
}

/// Requests of the same operation, due and sent at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Run {
    operation: u32,
    due: u64,
    sent: u64,
    count: u64,
}

impl<'a> Sink<'a> {
    /// A sink over what a thread counts.
    pub fn new(tally: &'a mut Tally, place: Place<'a>) -> Sink<'a> {
        Sink {
            tally,
            current: Current::new(),
            place,
            now: 0,
            run: Run::default(),
            warm_ns: 0,
            answered: 0,
        }
    }

    /// What was counted.
    pub fn tally(&mut self) -> &mut Tally {
        self.tally
    }

    /// When the clock was looked at last, in nanoseconds from the start of the run.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What comes from now on came now.
    pub fn look_at_the_clock(&mut self) {
        self.now = self.place.marks.now();
    }

    /// A reply to a request, one of several perhaps.
    #[inline]
    pub fn reply(&mut self, waiting: &Waiting, reply: &[u8]) {
        if !waiting.counts {
            return;
        }
        let operation = waiting.operation as usize;
        if is_error(reply[0]) {
            if let Some(line) = error_line(reply) {
                self.tally.error(operation, &line);
                self.current.error();
            }
            return;
        }
        let reading = self.place.readings[operation];
        if reading.has_hits {
            let series = &mut self.tally.series[operation];
            // A request that reads and writes has replies of both kinds; a status tells of the write.
            match is_miss(reply) {
                true => series.misses += 1,
                false if reading.is_mixed && matches!(reply[0], b'+' | b':') => {}
                false => series.hits += 1,
            }
        }
        if self.verifies(waiting) {
            self.verify(waiting, reply);
        }
    }

    /// Whether the replies to these requests are compared with what was written.
    pub fn verifies(&self, waiting: &Waiting) -> bool {
        self.place.verify && self.place.readings[waiting.operation as usize].has_values
    }

    /// Replies to requests that have one each, none of them an error.
    #[inline]
    pub fn skimmed(&mut self, waiting: &Waiting, skimmed: Skimmed) {
        let operation = waiting.operation as usize;
        if waiting.counts && self.place.readings[operation].has_hits {
            let series = &mut self.tally.series[operation];
            series.hits += skimmed.replies - skimmed.misses;
            series.misses += skimmed.misses;
        }
        self.answered(waiting, skimmed.replies);
    }

    /// So many requests have all their replies.
    #[inline]
    pub fn answered(&mut self, waiting: &Waiting, count: u64) {
        self.answered += count;
        if !waiting.counts {
            self.warm_ns += self.now.saturating_sub(waiting.due) * count;
            return;
        }
        let same = Run {
            operation: waiting.operation,
            due: waiting.due,
            sent: waiting.sent,
            count: self.run.count,
        };
        if same != self.run {
            self.flush_run();
            self.run = Run { count: 0, ..same };
        }
        self.run.count += count;
    }

    /// Counts what was gathered since the clock was looked at.
    pub fn flush(&mut self) {
        if self.answered > 0 {
            self.place.gauge.answered.fetch_add(self.answered, Relaxed);
            self.answered = 0;
        }
        if self.warm_ns > 0 {
            self.place.gauge.warm_ns.fetch_add(self.warm_ns, Relaxed);
            self.warm_ns = 0;
        }
        self.flush_run();
    }

    fn flush_run(&mut self) {
        let Run {
            operation,
            due,
            sent,
            count,
        } = self.run;
        if count == 0 {
            return;
        }
        let response = self.now.saturating_sub(due);
        self.tally.replies_of(
            operation as usize,
            response,
            self.now.saturating_sub(sent),
            count,
        );
        self.tally.last_reply = self.now;
        let since_start = self.now.saturating_sub(self.place.marks.measure_from());
        self.current
            .replies(since_start, response, count, self.place.timeline);
        self.run.count = 0;
    }

    /// Hands the last slice to all.
    pub fn finish(&mut self) {
        self.flush();
        self.current.hand_over(self.place.timeline);
    }

    #[cold]
    fn verify(&mut self, waiting: &Waiting, reply: &[u8]) {
        let Ok((value, _)) = Value::decode(reply) else {
            return;
        };
        if let Err((what, example)) = self.check(waiting.about.seed, &value) {
            self.tally.wrong(what, &example);
        }
    }

    fn check(&self, seed: u64, value: &Value) -> Result<(), (&'static str, String)> {
        match value {
            Value::Null => Ok(()),
            Value::Bulk(bytes) => match self.place.pools.is_value_of(seed, bytes) {
                true => Ok(()),
                false => Err(("not the value of its key", quoted(bytes))),
            },
            Value::Array(values) => values.iter().try_for_each(|value| self.check(seed, value)),
            // Commands that write and read answer to the write, too.
            Value::Simple(status) if status == b"OK" => Ok(()),
            other => Err(("a reply of another type", format!("{other:?}"))),
        }
    }
}
