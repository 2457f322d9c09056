//! What is noted of commands that ran, for those who watch an instance: times, remarkable commands, latency events, and the
//! clients that look on.
//!
//! ```text
//!   run::run --monitor::show--> MONITOR
//!   a command ends --note--> usec, Histogram       INFO commandstats, latencystats; LATENCY HISTOGRAM
//!                      |---> CommandLog            SLOWLOG, COMMANDLOG   (rare)
//!                      \---> Latency               LATENCY               (rare)
//! ```
//! A command is noted once, when it ends: one that waited counts the time of its runs, not of its wait. What was refused before it
//! ran is not noted.

pub mod command_log;
pub mod ended;
pub mod histogram;
pub mod latency;
pub mod monitor;
pub mod slot_uses;

use crate::base::id::SessionId;
use command_log::{CommandLog, LogLimits, Remark};
use latency::Latency;
use slot_uses::SlotUses;

/// What is configured about it.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// A histogram of each command's time is kept (`latency-tracking`).
    pub histograms: bool,
    /// What calls cost is counted by slot (`cluster-slot-stats-enabled`).
    pub slots: bool,
    /// By [`Remark`]: slow, large request, large reply.
    pub logs: [LogLimits; 3],
    /// From so many milliseconds on an event is noted; none: never.
    pub latency_from_ms: Option<u64>,
}

impl WatchLimits {
    /// Nothing is noted.
    const OFF: WatchLimits = WatchLimits {
        histograms: false,
        slots: false,
        logs: [LogLimits {
            from: None,
            entries_max: 0,
        }; 3],
        latency_from_ms: None,
    };
}

/// All that is noted, but for the figures of each command, which are in [`super::ctx::Stats`].
#[derive(Debug)]
pub struct Watch {
    /// See [`WatchLimits::histograms`].
    pub histograms: bool,
    /// From these values on a command is remarked: microseconds, bytes of the request, bytes of the reply.
    from: [u64; 3],
    /// The least of them: below it nothing is, whatever its unit. 0 while slots are counted, as each call is then looked at.
    least: u64,
    limits: [LogLimits; 3],
    logs: [CommandLog; 3],
    /// The latency monitor.
    pub latency: Latency,
    /// Slots are counted now.
    pub counts_slots: bool,
    /// What calls cost by slot, if that was ever counted.
    pub slots: Option<SlotUses>,
    /// Who looks on (MONITOR).
    pub monitors: Vec<SessionId>,
}

impl Default for Watch {
    fn default() -> Watch {
        let mut watch = Watch {
            histograms: false,
            from: [u64::MAX; 3],
            least: u64::MAX,
            limits: WatchLimits::OFF.logs,
            logs: WatchLimits::OFF.logs.map(CommandLog::new),
            latency: Latency::default(),
            counts_slots: false,
            slots: None,
            monitors: Vec::new(),
        };
        watch.configure(WatchLimits::OFF);
        watch
    }
}

impl Watch {
    /// Takes what is configured. What was noted stays, as far as there is room for it.
    pub fn configure(&mut self, limits: WatchLimits) {
        self.histograms = limits.histograms;
        self.latency.from_ms = limits.latency_from_ms;
        self.limits = limits.logs;
        self.from = limits.logs.map(|log| log.from.unwrap_or(u64::MAX));
        if let Some(ms) = limits.latency_from_ms {
            self.from[0] = self.from[0].min(ms.saturating_mul(1000));
        }
        self.least = self.from.into_iter().min().unwrap_or(u64::MAX);
        // What was counted stays while nothing is.
        if limits.slots {
            self.slots.get_or_insert_default();
        }
        self.counts_slots = limits.slots;
        if limits.slots {
            self.least = 0;
        }
        for (log, limits) in self.logs.iter_mut().zip(limits.logs) {
            log.keep(limits.entries_max);
        }
    }

    /// The commands of one kind of remark.
    pub fn log(&self, remark: Remark) -> &CommandLog {
        &self.logs[remark as usize]
    }

    /// As [`Self::log`], to change it.
    pub fn log_mut(&mut self, remark: Remark) -> &mut CommandLog {
        &mut self.logs[remark as usize]
    }

    /// A session looks on no more.
    pub fn dismiss(&mut self, session: SessionId) {
        self.monitors.retain(|monitor| *monitor != session);
    }

    /// Whether one of the values may ask for a closer look: together they are not below the greatest of them.
    #[inline]
    fn may_be_remarkable(&self, values: &[u64; 3]) -> bool {
        (values[0] | values[1] | values[2]) >= self.least
    }

    fn is_remarkable(&self, values: &[u64; 3]) -> bool {
        values
            .iter()
            .zip(&self.from)
            .any(|(value, from)| value >= from)
    }
}
