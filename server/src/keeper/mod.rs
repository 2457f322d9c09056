//! What keeps the data: snapshots, the append log, the child that writes them, and the load at start.
//!
//! | file | what |
//! |---|---|
//! | `snapshot` | SAVE, BGSAVE, save points |
//! | `log` | the append log: feed, flush before replies, rewrites, switching it on and off |
//! | `child` | how a child that writes ends |
//! | `trail` | where the stream of replication is in the log |
//! | `load` | the load at start, in steps, so that clients get LOADING meanwhile |
//!
//! The methods hang on [`Saving`]: the keeper with what it is handed of the instance around it.

mod child;
pub mod load;
mod log;
mod snapshot;
mod trail;

pub(crate) use log::LogState;

use std::path::PathBuf;

use cairn_engine::base::error::Error;
use cairn_engine::base::limits::EvictionRule;
use cairn_engine::base::time::Now;
use cairn_engine::call::ctx::{Durable, Gate};
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::save::{Part, SaveOptions};
use cairn_format::rdb::Dialect;

use crate::config::{Config, table};
use crate::files::append::AppendLog;
use crate::files::append_files::AppendFiles;
use crate::host::Host;
use crate::journal::Journal;
use crate::log::Log;
use crate::replication::Replication;

pub use child::{Job, SyncEnd, Target, Work};
use trail::{Trail, TrailReader};

/// The log with its files, while it is on.
pub struct OpenLog {
    /// Manifest, base and increments.
    pub files: AppendFiles,
    /// The increment in use.
    pub log: AppendLog,
    /// Bytes of all files right after the last rewrite or the start.
    pub base_size: u64,
    /// Bytes of the files before the increment in use.
    pub earlier_size: u64,
    /// No base exists yet: it was switched on while the server runs, and the first rewrite is under way.
    pub first_pending: bool,
    /// What of it is the stream of replication.
    pub trail: Trail,
}

impl OpenLog {
    /// Bytes of the whole log.
    pub fn size(&self) -> u64 {
        self.earlier_size + self.log.size()
    }
}

/// State of saving.
pub struct Keeper {
    /// The append log, if it is on.
    pub append: Option<OpenLog>,
    /// The log was switched on while the server runs, but its first rewrite has yet to begin: another child is at work, or
    /// the last try failed. Nothing is appended meanwhile, as the base will hold it.
    pub waiting: Option<AppendFiles>,
    /// The child that is writing, if there is one.
    pub work: Option<Work>,
    /// A snapshot that was begun for replicas has ended: where it is, or that there is none.
    pub ended_snapshot: Option<SyncEnd>,
    /// BGSAVE SCHEDULE, or a BGSAVE that had to wait for a rewrite.
    pub save_scheduled: bool,
    /// BGREWRITEAOF that had to wait for a save.
    pub rewrite_scheduled: bool,
    /// Last snapshot that succeeded, Unix seconds.
    pub last_save_s: i64,
    /// Last attempt, Unix seconds.
    pub last_save_try_s: i64,
    /// The last background save succeeded.
    pub last_save_ok: bool,
    /// Seconds the last background save took; -1: none yet.
    pub last_save_took_s: i64,
    /// Copy-on-write bytes of the last background save.
    pub last_save_cow: u64,
    /// Background saves and rewrites begun.
    pub forks: u64,
    /// Snapshots written.
    pub saves: u64,
    /// Microseconds of the last fork.
    pub last_fork_us: u64,
    /// The last rewrite succeeded.
    pub last_rewrite_ok: bool,
    /// Rewrites that failed since one succeeded.
    pub rewrite_failures: u64,
    /// Seconds the last rewrite took; -1: none yet.
    pub last_rewrite_took_s: i64,
    /// Copy-on-write bytes of the last rewrite.
    pub last_rewrite_cow: u64,
    /// Rewrites that succeeded.
    pub rewrites: u64,
    /// The data is being loaded: nothing may be saved.
    pub loading: bool,
    /// Keys that the last load brought and dropped as expired.
    pub last_load: (u64, u64),
    /// Bytes of the load under way: done, all.
    pub load_progress: (u64, u64),
    /// Microseconds spent in writing the log.
    pub flush_us: u64,
    /// What took long since somebody looked: events of the latency monitor, microseconds.
    pub spans: Vec<(&'static str, u64)>,
    /// DEBUG AOF-FLUSH-SLEEP, microseconds.
    pub flush_sleep_us: u64,
}

/// Less is never an event of the latency monitor, microseconds.
const SPAN_MIN_US: u64 = 1000;
/// More events are not kept between two looks.
const SPANS_MAX: usize = 1000;

impl Keeper {
    /// Notes that something took so long, for the latency monitor.
    fn note_span(&mut self, event: &'static str, took_us: u64) {
        if took_us >= SPAN_MIN_US && self.spans.len() < SPANS_MAX {
            self.spans.push((event, took_us));
        }
    }

    /// Nothing is saved or loaded yet; `now` counts as the last save, as Redis has it.
    pub fn new(now: Now) -> Keeper {
        let now_s = now.wall_ms() / 1000;
        Keeper {
            append: None,
            waiting: None,
            work: None,
            ended_snapshot: None,
            save_scheduled: false,
            rewrite_scheduled: false,
            last_save_s: now_s,
            last_save_try_s: 0,
            last_save_ok: true,
            last_save_took_s: -1,
            last_save_cow: 0,
            forks: 0,
            saves: 0,
            last_fork_us: 0,
            last_rewrite_ok: true,
            rewrite_failures: 0,
            last_rewrite_took_s: -1,
            last_rewrite_cow: 0,
            rewrites: 0,
            loading: false,
            last_load: (0, 0),
            load_progress: (0, 0),
            flush_us: 0,
            spans: Vec::new(),
            flush_sleep_us: 0,
        }
    }

    /// How far the log is on the disk. Until its first base is there it does not hold the data set.
    pub fn log_durable(&self) -> Durable {
        match &self.append {
            None if self.waiting.is_some() => Durable::Nothing,
            None => Durable::NoLog,
            Some(open) if open.first_pending => Durable::Nothing,
            Some(open) => open.log.durable().map_or(Durable::Nothing, Durable::UpTo),
        }
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if self.append.is_some() && self.waiting.is_some() {
            return Err("the log is open and waits to be".to_owned());
        }
        if let Some(open) = &self.append {
            open.log.check()?;
            if open.first_pending && !self.is_rewriting() {
                return Err("nobody writes the first base".to_owned());
            }
        }
        match self.loading && self.work.is_some() {
            true => Err("a child saves what is not loaded".to_owned()),
            false => Ok(()),
        }
    }

    /// The log is on, though its first base may be missing.
    pub fn log_is_on(&self) -> bool {
        self.append.is_some() || self.waiting.is_some()
    }

    /// A background save is under way.
    pub fn is_saving(&self) -> bool {
        self.work.as_ref().is_some_and(|w| w.job == Job::Snapshot)
    }

    /// A background rewrite is under way.
    pub fn is_rewriting(&self) -> bool {
        self.work.as_ref().is_some_and(|w| w.job == Job::Rewrite)
    }
}

/// The keeper at work: its state, and what it is handed for it.
pub struct Saving<'a> {
    /// The state.
    pub keeper: &'a mut Keeper,
    /// What the log subscribes to.
    pub journal: &'a Journal,
    /// What a snapshot tells of the stream.
    pub replication: &'a mut Replication,
    /// What `redis.conf` says.
    pub config: &'a Config,
    /// Where lines go.
    pub log: &'a Log,
    /// Clock, disk, fork.
    pub host: &'a dyn Host,
}

/// The reply to writes while the last background save has failed (`stop-writes-on-bgsave-error`).
const MISCONF_SAVE: Error = Error::new(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
);

impl Saving<'_> {
    /// Both clocks.
    pub(crate) fn now(&self) -> Now {
        self.host.clock().now()
    }

    /// Timed work: ends children, starts what is due, refreshes the reasons to refuse writes.
    pub fn cron(&mut self, ks: &mut Keyspace, gate: &mut Gate) {
        assert!(!self.keeper.loading, "a part of the data would be saved");
        self.reap_child(ks);
        self.start_scheduled(ks);
        gate.refuse_writes = self.write_refusal();
    }

    /// Why commands that write are refused right now.
    pub fn write_refusal(&self) -> Option<Error> {
        let keeper = &self.keeper;
        if !keeper.last_save_ok
            && self.config.get(table::STOP_WRITES_ON_BGSAVE_ERROR)
            && !self.config.get(table::SAVE).is_empty()
        {
            return Some(MISCONF_SAVE);
        }
        keeper
            .append
            .as_ref()
            .and_then(|open| open.log.refusal())
            .map(Error::text)
    }

    fn start_scheduled(&mut self, ks: &mut Keyspace) {
        if self.keeper.work.is_some() {
            return;
        }
        if self.keeper.rewrite_scheduled {
            self.keeper.rewrite_scheduled = false;
            self.begin_rewrite(ks);
        } else if self.keeper.save_scheduled || self.save_point_reached(ks) {
            self.keeper.save_scheduled = false;
            // The reason of a failure is in the log; the next attempt waits a little.
            let _ = self.begin_save(ks);
        } else {
            self.rewrite_if_grown(ks);
        }
    }

    /// What a snapshot of this server says about itself.
    fn save_options(&mut self, ks: &Keyspace, dialect: Dialect, aof_base: bool) -> SaveOptions {
        assert!(dialect.is_saved(), "a snapshot that nobody can write");
        let now = self.now();
        let used = self.host.used_memory();
        // A log goes on behind its base: the place in the stream would be wrong.
        let stream = match aof_base {
            true => Vec::new(),
            false => self.replication.aux(),
        };
        SaveOptions {
            dialect,
            compress: self.config.get(table::RDBCOMPRESSION),
            checksum: self.config.get(table::RDBCHECKSUM),
            aux: [
                vec![
                    (
                        "redis-ver",
                        cairn_engine::commands::connection::REDIS_VERSION.to_owned(),
                    ),
                    ("redis-bits", "64".to_owned()),
                    ("ctime", (now.wall_ms() / 1000).to_string()),
                    ("used-mem", used.to_string()),
                ],
                stream,
                vec![("aof-base", u8::from(aof_base).to_string())],
            ]
            .concat(),
            part: Part::Everything,
            idle: ks.limits.eviction == EvictionRule::Lru,
            freq: ks.limits.lfu,
        }
    }

    /// The snapshot's path, within the working folder.
    pub fn snapshot_path(&self) -> PathBuf {
        self.config.path(table::DBFILENAME)
    }
}
