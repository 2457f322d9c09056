//! The child that writes a snapshot or a new base, and how it ends.

use std::path::PathBuf;
use std::time::Duration;

use cairn_engine::call::watch::latency::event;
use cairn_engine::keyspace::Keyspace;

use super::Saving;
use crate::config::guise::OomClass;
use crate::config::{Config, table};
use crate::files::snapshot;
use crate::host::{Child, ChildExit, ChildGuise, ChildJob, Host};

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// BGSAVE.
    Snapshot,
    /// BGREWRITEAOF.
    Rewrite,
}

impl Job {
    /// How such a child looks to the system.
    fn guise(self, config: &Config) -> ChildGuise {
        // The names of Redis, by which people look for them.
        let (title, cpus) = match self {
            Job::Snapshot => ("redis-rdb-bgsave", table::BGSAVE_CPULIST),
            Job::Rewrite => ("redis-aof-rewrite", table::AOF_REWRITE_CPULIST),
        };
        ChildGuise {
            title: config.proc_title(title),
            oom_score: config.oom_score(OomClass::Child),
            cpus: config.text(cpus).into_owned(),
        }
    }
}

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The file that a start loads.
    Dump,
    /// The sockets of replicas, by way of a pipe.
    Replicas,
}

/// How a snapshot that was begun for replicas ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEnd {
    /// It is this file.
    File(PathBuf),
    /// All of it was written into the pipe.
    Piped,
    /// There is none.
    Failed,
}

/// A child at work.
pub struct Work {
    /// What it does.
    pub job: Job,
    /// The process.
    pub child: Box<dyn Child>,
    /// Unix seconds of the fork.
    pub started_s: i64,
    /// Changes that its data contain.
    pub dirty: u64,
    /// Keys at the fork.
    pub keys: u64,
    /// The base is a snapshot, not commands.
    pub rdb_base: bool,
    /// Where a snapshot goes.
    pub target: Target,
    /// Replicas wait for it.
    pub for_sync: bool,
    /// We ended it ourselves.
    pub killed: bool,
}

impl Work {
    /// A child that was just forked. Its `started_s` is set when it is noted.
    pub fn new(job: Job, child: Box<dyn Child>, keys: u64, dirty: u64) -> Work {
        Work {
            job,
            child,
            started_s: 0,
            dirty,
            keys,
            rdb_base: false,
            target: Target::Dump,
            for_sync: false,
            killed: false,
        }
    }
}

impl Saving<'_> {
    /// Forks and measures it.
    pub(super) fn fork(&mut self, job: Job, run: ChildJob<'_>) -> std::io::Result<Box<dyn Child>> {
        debug_assert!(
            self.keeper.work.is_none() && !self.keeper.loading,
            "a child has the data whole and to itself"
        );
        let before = self.host.clock().monotonic_us();
        let child = self.host.fork(&job.guise(self.config), run)?;
        let took_us = self.host.clock().monotonic_us() - before;
        self.keeper.last_fork_us = took_us;
        self.keeper.note_span(event::FORK, took_us);
        self.keeper.forks += 1;
        Ok(child)
    }

    /// Remembers the child at work.
    pub(super) fn note_child(&mut self, ks: &mut Keyspace, mut work: Work) {
        debug_assert!(self.keeper.work.is_none(), "one child at a time");
        work.started_s = self.now().wall_ms() / 1000;
        self.keeper.work = Some(work);
        // A page that is written now costs a copy.
        ks.set_resize_allowed(false);
    }

    /// Looks whether the child has ended and draws the conclusions.
    pub fn reap_child(&mut self, ks: &mut Keyspace) {
        let Some(work) = &mut self.keeper.work else {
            return;
        };
        let Some(exit) = work.child.poll() else {
            return;
        };
        self.child_ended(ks, exit);
    }

    /// Ends the child and waits for it.
    pub fn kill_child(&mut self, ks: &mut Keyspace) {
        if let Some(work) = &mut self.keeper.work {
            work.killed = true;
            work.child.kill();
            let exit = work.child.wait();
            self.child_ended(ks, exit);
        }
    }

    fn child_ended(&mut self, ks: &mut Keyspace, exit: ChildExit) {
        let Some(work) = self.keeper.work.take() else {
            return;
        };
        assert!(!self.keeper.loading, "a child of the data before");
        ks.set_resize_allowed(true);
        debug_assert!(self.keeper.work.is_none(), "what follows may start another");
        match work.job {
            Job::Snapshot => self.save_ended(ks, &work, exit),
            Job::Rewrite => {
                let before = self.host.clock().monotonic_us();
                self.rewrite_ended(ks, &work, exit);
                let took_us = self.host.clock().monotonic_us() - before;
                self.keeper.note_span(event::AOF_RENAME, took_us);
            }
        }
    }

    fn save_ended(&mut self, ks: &mut Keyspace, work: &Work, exit: ChildExit) {
        assert_eq!(work.job, Job::Snapshot);
        let is_well = exit == ChildExit::Code(0);
        if work.for_sync {
            self.keeper.ended_snapshot = Some(match work.target {
                _ if !is_well => SyncEnd::Failed,
                Target::Dump => SyncEnd::File(self.snapshot_path()),
                Target::Replicas => SyncEnd::Piped,
            });
        }
        if work.target != Target::Dump {
            return self.transfer_ended(exit);
        }
        let now_s = self.now().wall_ms() / 1000;
        let keeper = &mut self.keeper;
        keeper.last_save_took_s = now_s - work.started_s;
        keeper.last_save_cow = work.child.report().cow_peak;
        match exit {
            ChildExit::Code(0) => {
                self.log
                    .notice(format_args!("Background saving terminated with success"));
                ks.dirty = ks.dirty.saturating_sub(work.dirty);
                keeper.last_save_s = now_s;
                keeper.last_save_ok = true;
                keeper.saves += 1;
            }
            ChildExit::Code(_) => {
                self.log.warning(format_args!("Background saving error"));
                keeper.last_save_ok = false;
            }
            ChildExit::Signal(signal) => {
                self.log.warning(format_args!(
                    "Background saving terminated by signal {signal}"
                ));
                let before = self.host.clock().monotonic_us();
                snapshot::remove_temporary(&*self.host.disk(), work.child.pid());
                let took_us = self.host.clock().monotonic_us() - before;
                keeper.note_span(event::RDB_UNLINK, took_us);
                // Ended on purpose is no failure of the disk.
                if !work.killed {
                    keeper.last_save_ok = false;
                }
            }
        }
    }
}

impl Saving<'_> {
    /// A snapshot for replicas says nothing of how this server saves its own data.
    fn transfer_ended(&mut self, exit: ChildExit) {
        match exit {
            ChildExit::Code(0) => self.log.notice(format_args!(
                "Background RDB transfer terminated with success"
            )),
            ChildExit::Code(_) => self.log.warning(format_args!("Background transfer error")),
            ChildExit::Signal(signal) => {
                self.log.warning(format_args!(
                    "Background transfer terminated by signal {signal}"
                ));
            }
        }
    }
}

/// `rdb-key-save-delay` or `key-load-delay`, which slow a save or a load down so that it can be watched: microseconds for
/// each key, or a microsecond for so many keys if negative.
#[derive(Clone, Copy)]
pub(super) struct KeyDelay<'a>(i64, &'a dyn Host);

impl<'a> KeyDelay<'a> {
    pub(super) fn of_save(config: &Config, host: &'a dyn Host) -> KeyDelay<'a> {
        KeyDelay(config.get(table::RDB_KEY_SAVE_DELAY), host)
    }

    pub(super) fn of_load(config: &Config, host: &'a dyn Host) -> KeyDelay<'a> {
        KeyDelay(config.get(table::KEY_LOAD_DELAY), host)
    }

    pub(super) fn is_on(self) -> bool {
        self.0 != 0
    }

    /// Waits behind the key of this number.
    pub(super) fn wait(self, keys: u64) {
        if let Some(time) = pause(self.0, keys) {
            self.1.sleep(time);
        }
    }
}

/// How long a delay stops behind the key of this number.
fn pause(delay: i64, keys: u64) -> Option<Duration> {
    let micros = match delay {
        0 => 0,
        1.. => delay as u64,
        _ => u64::from(keys.is_multiple_of(delay.unsigned_abs())),
    };
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_for_each_key_or_for_so_many() {
        let stops = |delay| {
            (1..=9)
                .filter_map(|keys| pause(delay, keys))
                .collect::<Vec<_>>()
        };
        let micros = |count, micros| vec![Duration::from_micros(micros); count];
        assert_eq!(stops(0), []);
        assert_eq!(stops(5), micros(9, 5));
        assert_eq!(stops(-1), micros(9, 1));
        assert_eq!(stops(-4), micros(2, 1));
        assert_eq!(stops(-10), []);
    }
}
