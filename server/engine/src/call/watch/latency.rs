//! The latency monitor: events that took longer than a threshold, each with its last 160 seconds that had one.
//!
//! Names and what each means are those of Redis 7.2 (`LATENCY HELP`, and the suite's latency-monitor unit).

use std::collections::{BTreeMap, VecDeque};

/// Samples kept of an event: one a second.
const SAMPLES_MAX: usize = 160;

/// What can take long. The words are Redis's; `aof-fstat`, `while-blocked-cron` and those of modules are
/// missing, because there is no such thing here.
pub mod event {
    /// A command that is not marked as fast.
    pub const COMMAND: &str = "command";
    /// One that is.
    pub const FAST_COMMAND: &str = "fast-command";
    /// A command that had waited was run again.
    pub const UNBLOCKING: &str = "command-unblocking";
    /// The call that makes a child.
    pub const FORK: &str = "fork";
    /// Keys and fields that have expired are looked for.
    pub const EXPIRE_CYCLE: &str = "expire-cycle";
    /// Keys are evicted.
    pub const EVICTION_CYCLE: &str = "eviction-cycle";
    /// Blocks of values are moved together.
    pub const ACTIVE_DEFRAG_CYCLE: &str = "active-defrag-cycle";
    /// The log is written while nothing disturbs it.
    pub const AOF_WRITE_ALONE: &str = "aof-write-alone";
    /// The log is written while a child runs.
    pub const AOF_WRITE_CHILD: &str = "aof-write-active-child";
    /// The log is written while it is being synced.
    pub const AOF_WRITE_FSYNC: &str = "aof-write-pending-fsync";
    /// Any of the three.
    pub const AOF_WRITE: &str = "aof-write";
    /// The log is synced before replies leave.
    pub const AOF_FSYNC_ALWAYS: &str = "aof-fsync-always";
    /// A new log takes its place.
    pub const AOF_RENAME: &str = "aof-rename";
    /// The file of a snapshot that came to nothing is removed.
    pub const RDB_UNLINK: &str = "rdb-unlink-temp-file";

    /// All of them.
    pub const ALL: [&str; 14] = [
        COMMAND,
        FAST_COMMAND,
        UNBLOCKING,
        FORK,
        EXPIRE_CYCLE,
        EVICTION_CYCLE,
        ACTIVE_DEFRAG_CYCLE,
        AOF_WRITE_ALONE,
        AOF_WRITE_CHILD,
        AOF_WRITE_FSYNC,
        AOF_WRITE,
        AOF_FSYNC_ALWAYS,
        AOF_RENAME,
        RDB_UNLINK,
    ];
}

/// One second of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Unix seconds.
    pub at_s: i64,
    /// The longest in that second, milliseconds.
    pub ms: u64,
}

/// What is known of one event.
#[derive(Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// The longest ever, milliseconds.
    pub max_ms: u64,
}

impl Series {
    /// Its samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> + DoubleEndedIterator {
        self.samples.iter()
    }

    fn add(&mut self, at_s: i64, ms: u64) {
        self.max_ms = self.max_ms.max(ms);
        match self.samples.back_mut() {
            Some(last) if last.at_s == at_s => last.ms = last.ms.max(ms),
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { at_s, ms });
            }
        }
        assert!(self.samples.len() <= SAMPLES_MAX, "the oldest went");
    }
}

/// All events that were noted.
#[derive(Debug, Default)]
pub struct Latency {
    /// From so many milliseconds on an event is noted; none: never.
    pub from_ms: Option<u64>,
    events: BTreeMap<&'static str, Series>,
}

impl Latency {
    /// Notes that an event took so long, if that is long enough. `at_s`: Unix seconds.
    pub fn note(&mut self, event: &'static str, took_us: u64, at_s: i64) {
        debug_assert!(event::ALL.contains(&event));
        let ms = took_us / 1000;
        if self.from_ms.is_some_and(|from| ms >= from) {
            self.events.entry(event).or_default().add(at_s, ms);
        }
    }

    /// The events by name.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.events.iter().map(|(name, series)| (*name, series))
    }

    /// One event; names are told apart by case.
    pub fn event(&self, name: &[u8]) -> Option<(&'static str, &Series)> {
        self.events().find(|(known, _)| known.as_bytes() == name)
    }

    /// Forgets the events that `is_meant` says; answers how many.
    pub fn reset(&mut self, mut is_meant: impl FnMut(&str) -> bool) -> usize {
        let before = self.events.len();
        self.events.retain(|name, _| !is_meant(name));
        before - self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_longest_and_the_oldest_second_goes() {
        let mut latency = Latency::default();
        latency.note(event::FORK, 5_000_000, 1);
        assert_eq!(latency.events().len(), 0, "it is off");
        latency.from_ms = Some(2);
        latency.note(event::FORK, 1_999, 1);
        assert_eq!(latency.events().len(), 0, "not long enough");
        latency.note(event::FORK, 2_000, 1);
        latency.note(event::FORK, 9_999, 1);
        latency.note(event::FORK, 3_000, 1);
        for at_s in 2..300 {
            latency.note(event::FORK, 4_000, at_s);
        }
        let (name, series) = latency.event(b"fork").unwrap();
        assert_eq!((name, series.max_ms), ("fork", 9));
        let samples: Vec<Sample> = series.samples().copied().collect();
        assert_eq!(samples.len(), SAMPLES_MAX);
        assert_eq!(samples[0], Sample { at_s: 140, ms: 4 });
        assert!(latency.event(b"FORK").is_none());
        assert_eq!(latency.reset(|name| name == "fork"), 1);
        assert_eq!(latency.reset(|_| true), 0);
    }
}
