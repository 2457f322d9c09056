//! What is noted of commands that ran, for those who watch an instance: times, remarkable commands, latency events, and the
//! clients that look on.
//!
//! ```text
//!   dispatch::run --monitor::show--> MONITOR
//!   a command ends --note--> usec, Histogram       INFO commandstats, latencystats; LATENCY HISTOGRAM
//!                      |---> CommandLog            SLOWLOG, COMMANDLOG   (rare)
//!                      \---> Latency               LATENCY               (rare)
//! ```
//! A command is noted once, when it ends: one that waited counts the time of its runs, not of its wait. What was refused before it
//! ran is not noted.

pub mod command_log;
pub mod histogram;
pub mod latency;
pub mod monitor;

use super::ctx::{Instance, Shared};
use super::spec::Flags;
use super::table::Entry;
use crate::base::args::Args;
use crate::base::id::SessionId;
use crate::session::Session;
use command_log::{CommandLog, LogEntry, LogLimits, Remark, arguments};
use latency::{Latency, event};

/// What is configured about it.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// A histogram of each command's time is kept (`latency-tracking`).
    pub histograms: bool,
    /// By [`Remark`]: slow, large request, large reply.
    pub logs: [LogLimits; 3],
    /// From so many milliseconds on an event is noted; none: never.
    pub latency_from_ms: Option<u64>,
}

impl WatchLimits {
    /// Nothing is noted.
    const OFF: WatchLimits = WatchLimits {
        histograms: false,
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
    /// From these values on a command is looked at closely: microseconds, bytes of the request, bytes of the reply.
    from: [u64; 3],
    limits: [LogLimits; 3],
    logs: [CommandLog; 3],
    /// The latency monitor.
    pub latency: Latency,
    /// Who looks on (MONITOR).
    pub monitors: Vec<SessionId>,
}

impl Default for Watch {
    fn default() -> Watch {
        let mut watch = Watch {
            histograms: false,
            from: [u64::MAX; 3],
            limits: WatchLimits::OFF.logs,
            logs: WatchLimits::OFF.logs.map(CommandLog::new),
            latency: Latency::default(),
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

    /// Whether one of the values asks for a closer look.
    #[inline]
    fn is_remarkable(&self, values: &[u64; 3]) -> bool {
        values[0] >= self.from[0] || values[1] >= self.from[1] || values[2] >= self.from[2]
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Time of its runs, microseconds.
    pub took_us: u64,
    /// Bytes of its reply.
    pub reply_bytes: usize,
    /// It had waited.
    pub waited: bool,
}

/// Notes a command that ran to its end.
#[inline]
pub fn note(
    shared: &mut Shared,
    session: &Session,
    command: Entry,
    args: &Args,
    ended: Ended,
    inst: &mut dyn Instance,
) {
    let stats = &mut shared.stats.commands[command.id.index()];
    stats.usec += ended.took_us;
    if shared.watch.histograms {
        stats
            .histogram
            .get_or_insert_default()
            .record(ended.took_us);
    }
    let values = [ended.took_us, args.size() as u64, ended.reply_bytes as u64];
    if shared.watch.is_remarkable(&values) {
        remark(shared, session, command, args, (values, ended.waited), inst);
    }
}

#[cold]
fn remark(
    shared: &mut Shared,
    session: &Session,
    command: Entry,
    args: &Args,
    (values, waited): ([u64; 3], bool),
    inst: &mut dyn Instance,
) {
    if session.replay {
        return;
    }
    let at_s = inst.now().wall_us.div_euclid(1_000_000);
    let spec = command.spec;
    let name = match (waited, spec.flags.has(Flags::FAST)) {
        (true, _) => event::UNBLOCKING,
        (_, true) => event::FAST_COMMAND,
        _ => event::COMMAND,
    };
    shared.watch.latency.note(name, values[0], at_s);
    if spec.flags.has(Flags::SKIP_SLOWLOG) {
        return;
    }
    for ((remark, _), value) in Remark::ALL.into_iter().zip(values) {
        let from = shared.watch.limits[remark as usize].from;
        if from.is_none_or(|from| value < from) {
            continue;
        }
        shared.watch.log_mut(remark).push(LogEntry {
            id: 0,
            at_s,
            value,
            args: arguments(spec, args),
            address: inst.address_of(session.slot),
            name: session.name.clone(),
        });
    }
}
