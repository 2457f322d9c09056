//! What is counted and measured, for INFO.

use cairn_engine::base::time::Now;

use crate::host::AllocatorStats;

/// Counters; CONFIG RESETSTAT begins them anew.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections turned away because of `maxclients`.
    pub rejected: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Times that a connection was read from.
    pub reads: u64,
    /// Times that a connection was written to.
    pub writes: u64,
    /// Looks at which a client's room for replies was larger than before.
    pub reply_expands: u64,
    /// Looks at which a client's room for replies became smaller.
    pub reply_shrinks: u64,
    /// Clients closed because their output grew beyond its limit.
    pub output_limit_closed: u64,
    /// Clients closed because all together took too much memory.
    pub evicted_clients: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Microseconds spent in turns.
    pub turn_us: u64,
    /// Longest turn, microseconds.
    pub turn_us_max: u64,
    /// Microseconds spent in timed work.
    pub cron_us: u64,
    /// Most commands of one turn.
    pub turn_commands_max: u64,
    /// Commands that had run at the end of the last turn.
    pub commands_then: u64,
    /// Most processor time of a turn, microseconds. Without it nobody looks, because each look is a system call.
    pub turn_cpu_us_max: Option<u64>,
}

/// What rates are computed of: commands, bytes received, bytes sent, turns, microseconds of turns.
pub type Rated = [u64; 5];

/// Rates over the last 16 samples of timed work, as Redis computes its instantaneous figures.
#[derive(Debug, Default)]
pub struct Rates {
    last: Option<(u64, Rated)>,
    samples: [Rated; 16],
    next: usize,
}

impl Rates {
    /// Takes the counters at a moment, monotonic microseconds.
    pub fn sample(&mut self, now_us: u64, counters: Rated) {
        if let Some((then, before)) = self.last.replace((now_us, counters)) {
            debug_assert!(then <= now_us, "sampled in the future");
            let took = now_us.saturating_sub(then).max(1);
            let rate = |i: usize| counters[i].saturating_sub(before[i]) * 1_000_000 / took;
            self.samples[self.next] = std::array::from_fn(rate);
            self.next = (self.next + 1) % self.samples.len();
        }
    }

    fn mean(&self, of: usize) -> u64 {
        self.samples.iter().map(|s| s[of]).sum::<u64>() / self.samples.len() as u64
    }

    /// Commands per second.
    pub fn commands(&self) -> u64 {
        self.mean(0)
    }

    /// Bytes received per second.
    pub fn bytes_in(&self) -> u64 {
        self.mean(1)
    }

    /// Bytes sent per second.
    pub fn bytes_out(&self) -> u64 {
        self.mean(2)
    }

    /// Turns per second.
    pub fn turns(&self) -> u64 {
        self.mean(3)
    }

    /// Mean microseconds of a turn.
    pub fn turn_us(&self) -> u64 {
        self.mean(4) / self.turns().max(1)
    }
}

/// What answering at the metrics port costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrapes {
    /// Answers with metrics.
    pub count: u64,
    /// Microseconds that the loop spent on them.
    pub us: u64,
    /// Microseconds of the last.
    pub last_us: u64,
}

impl Scrapes {
    /// Notes one that took so long, microseconds.
    pub fn note(&mut self, us: u64) {
        self.count += 1;
        self.us += us;
        self.last_us = us;
    }
}

/// Memory in use at moments that others are compared with, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryMarks {
    /// The most that was noted.
    pub peak: u64,
    /// Before there was data.
    pub at_start: u64,
    /// What is slow to ask for, as it was a little while ago.
    sampled: Option<MemorySample>,
}

/// What the system and the allocator say of the memory. To ask them takes ten times as long as the rest of INFO: a file of the system
/// is read, and the figures of all arenas are added up.
#[derive(Clone, Copy, Debug)]
pub struct MemorySample {
    /// When they were asked, monotonic microseconds.
    taken_us: u64,
    /// Bytes that the system has given to the process.
    pub resident: u64,
    /// The allocator's own view, where it has one.
    pub allocator: Option<AllocatorStats>,
}

impl MemoryMarks {
    /// Notes the memory in use if it is more than ever: called by timed work, and before it is shown.
    pub fn note(&mut self, used: u64) {
        self.peak = self.peak.max(used);
    }

    /// What was asked no more than so many microseconds ago; asked now where it is older.
    pub fn sample(
        &mut self,
        now_us: u64,
        oldest_us: u64,
        ask: impl FnOnce() -> (u64, Option<AllocatorStats>),
    ) -> MemorySample {
        let recent = self
            .sampled
            .filter(|sample| now_us.saturating_sub(sample.taken_us) < oldest_us);
        *self.sampled.insert(recent.unwrap_or_else(|| {
            let (resident, allocator) = ask();
            MemorySample {
                taken_us: now_us,
                resident,
                allocator,
            }
        }))
    }

    /// Memory was just given back: who looks next is to see it.
    pub fn forget_sample(&mut self) {
        self.sampled = None;
    }
}

/// How active defragmentation stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefragFigures {
    /// Percent of the time that the pass under way may take; 0: there is none.
    pub running: u64,
    /// Since when there is one without a break, monotonic microseconds.
    pub since_us: Option<u64>,
    /// How long there was one before, microseconds.
    pub before_us: u64,
}

impl DefragFigures {
    /// A pass goes on with so many percent.
    pub fn begin(&mut self, running: u64, now_us: u64) {
        self.running = running;
        self.since_us.get_or_insert(now_us);
    }

    /// There is none any more.
    pub fn end(&mut self, now_us: u64) {
        self.running = 0;
        let since = self.since_us.take();
        self.before_us += since.map_or(0, |since| now_us.saturating_sub(since));
    }

    /// For how long there has been one without a break, microseconds.
    pub fn current_us(&self, now_us: u64) -> u64 {
        self.since_us
            .map_or(0, |since| now_us.saturating_sub(since))
    }

    /// Counts time from 0 again.
    pub fn reset(&mut self, now_us: u64) {
        self.before_us = 0;
        self.since_us = self.since_us.map(|_| now_us);
    }
}

/// All of it.
#[derive(Debug)]
pub struct Figures {
    /// See [`Counters`].
    pub counters: Counters,
    /// See [`Rates`].
    pub rates: Rates,
    /// See [`MemoryMarks`].
    pub memory: MemoryMarks,
    /// See [`Scrapes`].
    pub scrapes: Scrapes,
    /// See [`DefragFigures`].
    pub defrag: DefragFigures,
    /// 40 hex digits that name this run.
    pub run_id: String,
    /// Start of the process.
    pub started: Now,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_for_once_in_a_while_and_after_it_was_given_back() {
        let mut marks = MemoryMarks::default();
        let mut resident = 0;
        let mut at = |marks: &mut MemoryMarks, now_us| {
            let mut ask = || {
                resident += 1;
                (resident, None)
            };
            marks.sample(now_us, 100, &mut ask).resident
        };
        assert_eq!(at(&mut marks, 5), 1, "the first");
        assert_eq!(at(&mut marks, 104), 1, "not yet old");
        assert_eq!(at(&mut marks, 105), 2, "old");
        marks.forget_sample();
        assert_eq!(at(&mut marks, 106), 3, "forgotten");
    }
}
