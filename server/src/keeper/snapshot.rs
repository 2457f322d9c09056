//! Snapshots: SAVE, BGSAVE, save points.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use cairn_engine::base::error::Error;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::save::{Part, SaveOptions, automatic_dialect, save};
use cairn_format::rdb::Dialect;

use super::Saving;
use super::child::{Job, KeyDelay, Target, Work};
use crate::config::table;
use crate::files::snapshot;
use crate::host::{Disk, Pipe};
use crate::os::error_text;

/// The version of snapshots for replicas that do not say what they read.
const SYNC_DIALECT: Dialect = Dialect::redis(10);

/// Seconds between two attempts after a failure.
const RETRY_AFTER_S: i64 = 5;

impl<'a> Saving<'a> {
    /// Whether a save point is reached and an attempt is not too recent.
    pub(super) fn save_point_reached(&self, ks: &Keyspace) -> bool {
        let now_s = self.now().wall_ms() / 1000;
        let keeper = &self.keeper;
        if !keeper.last_save_ok && now_s - keeper.last_save_try_s <= RETRY_AFTER_S {
            return false;
        }
        let since_s = now_s - keeper.last_save_s;
        let reached = self
            .config
            .get(table::SAVE)
            .iter()
            .find(|point| ks.dirty >= point.changes.max(0) as u64 && since_s > point.seconds);
        if let Some(point) = reached {
            self.log.notice(format_args!(
                "{} changes in {} seconds. Saving...",
                point.changes, point.seconds
            ));
        }
        reached.is_some()
    }

    /// The dialect that snapshots are written in.
    fn snapshot_dialect(&self, ks: &Keyspace) -> Dialect {
        self.config
            .rdb_save_version()
            .unwrap_or_else(|| automatic_dialect(ks))
    }

    fn order(&mut self, ks: &Keyspace, dialect: Dialect) -> Order<'a> {
        Order {
            disk: self.host.disk(),
            path: self.snapshot_path(),
            sync: self.config.get(table::RDB_SAVE_INCREMENTAL_FSYNC),
            options: self.save_options(ks, dialect, false),
            delay: KeyDelay::of_save(self.config, self.host),
        }
    }

    /// Saves in the foreground (SAVE, SHUTDOWN).
    ///
    /// # Errors
    /// Why there is no new snapshot; the old one is untouched.
    pub fn save_now(&mut self, ks: &mut Keyspace) -> Result<(), String> {
        assert!(!self.keeper.loading, "a part of the data would be saved");
        let order = self.order(ks, self.snapshot_dialect(ks));
        let pid = self.host.pid();
        crate::os::signals::set_emergency_file(Some(&snapshot::temporary_name(pid)));
        let saved = order.write(ks, pid, &mut |_| {});
        crate::os::signals::set_emergency_file(None);
        let now_s = self.now().wall_ms() / 1000;
        self.keeper.last_save_try_s = now_s;
        match saved {
            Ok(_) => {
                self.log.notice(format_args!("DB saved on disk"));
                ks.dirty = 0;
                self.keeper.last_save_s = now_s;
                self.keeper.last_save_ok = true;
                self.keeper.saves += 1;
                Ok(())
            }
            Err(reason) => {
                self.log
                    .warning(format_args!("Error saving DB on disk: {reason}"));
                Err(reason)
            }
        }
    }

    /// After FLUSHALL: a background save under way ends, for it would bring back what is gone, and with save points the empty
    /// data set is saved at once. If that fails the log says why, and the data is gone all the same.
    pub fn save_emptied(&mut self, ks: &mut Keyspace) {
        if self.keeper.is_saving() {
            self.kill_child(ks);
        }
        if !self.config.get(table::SAVE).is_empty() {
            let _ = self.save_now(ks);
        }
        debug_assert!(!self.keeper.is_saving(), "it would bring back what is gone");
    }

    /// Starts a background save. No other child may be at work.
    ///
    /// # Errors
    /// The reply when the fork fails.
    pub fn begin_save(&mut self, ks: &mut Keyspace) -> Result<(), Error> {
        self.keeper.last_save_try_s = self.now().wall_ms() / 1000;
        let dialect = self.snapshot_dialect(ks);
        self.begin_snapshot(ks, Target::Dump, dialect, Part::Everything, None)
            .inspect_err(|_| self.keeper.last_save_ok = false)
    }

    /// Starts a snapshot that replicas will be sent, in a version that they read. `reads`: the latest one that all of them do, if
    /// they say; `part`: what they want. No other child may be at work. Answers where the bytes come from that go to
    /// sockets.
    ///
    /// # Errors
    /// Why there will be none.
    pub fn begin_sync(
        &mut self,
        ks: &mut Keyspace,
        target: Target,
        reads: Option<u32>,
        part: Part,
    ) -> Result<Option<Box<dyn Pipe>>, Error> {
        let dialect = self.sync_dialect(ks, reads)?;
        let ends =
            match target {
                Target::Dump => None,
                Target::Replicas => Some(self.host.pipe().map_err(|error| {
                    Error::text(format!("ERR No pipe: {}", error_text(&error)))
                })?),
            };
        let (ours, theirs) = ends.unzip();
        self.begin_snapshot(ks, target, dialect, part, theirs)?;
        if let Some(work) = &mut self.keeper.work {
            work.for_sync = true;
        }
        Ok(ours)
    }

    /// Who does not say what it reads is a Redis: version 10 is read from 7.0 on and holds everything but field expiry.
    fn sync_dialect(&self, ks: &Keyspace, reads: Option<u32>) -> Result<Dialect, Error> {
        if let Some(dialect) = self.config.rdb_save_version() {
            return Ok(dialect);
        }
        let needed = automatic_dialect(ks);
        let has_field_expiry = needed != Dialect::REDIS_7_2;
        match reads {
            None if has_field_expiry => Ok(needed),
            None => Ok(SYNC_DIALECT),
            Some(reads) if reads >= u32::from(needed.version()) => Ok(needed),
            Some(reads) if has_field_expiry => Err(Error::text(format!(
                "ERR Hash fields with an expiry need a snapshot of version {}, and the replica reads up to {reads}",
                needed.version()
            ))),
            Some(reads) => u16::try_from(reads)
                .ok()
                .and_then(Dialect::from_number)
                .filter(|dialect| dialect.is_saved())
                .ok_or(Error::text(format!(
                    "ERR No snapshot of version {reads}, which the replica reads, can be written"
                ))),
        }
    }

    fn begin_snapshot(
        &mut self,
        ks: &mut Keyspace,
        target: Target,
        dialect: Dialect,
        part: Part,
        pipe: Option<Box<dyn Write>>,
    ) -> Result<(), Error> {
        let mut order = self.order(ks, dialect);
        order.options.part = part;
        let log = self.log.clone();
        let (keys, dirty) = (ks.total_keys() as u64, ks.dirty);
        let data = &*ks;
        let forked = self.fork(
            Job::Snapshot,
            Box::new(move |link| {
                let pid = link.pid();
                let mut progress = |keys| link.progress(keys);
                let (written, whereto) = match pipe {
                    None => (order.write(data, pid, &mut progress), "on disk"),
                    // There is no file whose size could be told.
                    Some(pipe) => (
                        order.pour(data, pipe, &mut progress).map(|()| 0),
                        "to replicas",
                    ),
                };
                match written {
                    Ok(bytes) => {
                        log.notice(format_args!("DB saved {whereto}"));
                        link.finished(bytes);
                        0
                    }
                    Err(reason) => {
                        log.warning(format_args!("Write error saving DB {whereto}: {reason}"));
                        1
                    }
                }
            }),
        );
        match forked {
            Ok(child) => {
                let work = match target {
                    Target::Dump => "saving",
                    Target::Replicas => "RDB transfer",
                };
                self.log.notice(format_args!(
                    "Background {work} started by pid {}",
                    child.pid()
                ));
                let work = Work {
                    target,
                    ..Work::new(Job::Snapshot, child, keys, dirty)
                };
                self.note_child(ks, work);
                Ok(())
            }
            Err(error) => {
                self.log.warning(format_args!(
                    "Can't save in background: fork: {}",
                    error_text(&error)
                ));
                Err(Error::new(
                    "ERR Background saving error, please check the server logs",
                ))
            }
        }
    }
}

/// Everything that writing a snapshot needs, apart from the data.
struct Order<'a> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    sync: bool,
    options: SaveOptions,
    delay: KeyDelay<'a>,
}

/// Bytes that are collected before they go into a pipe.
const PIPE_BUFFER: usize = 64 * 1024;

impl Order<'_> {
    /// Writes it into a pipe.
    fn pour(
        &self,
        ks: &Keyspace,
        pipe: Box<dyn Write>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), String> {
        let out = BufWriter::with_capacity(PIPE_BUFFER, pipe);
        let mut slow = self.slowed(progress);
        let saved = save(ks, out, &self.options, self.delay.is_on(), &mut slow);
        let mut out = saved.map_err(|error| error.to_string())?;
        out.flush().map_err(|error| error_text(&error))
    }

    fn slowed<'p>(&'p self, progress: &'p mut dyn FnMut(u64)) -> impl FnMut(u64) + 'p {
        move |keys| {
            progress(keys);
            self.delay.wait(keys);
        }
    }

    /// Writes the file; answers its size.
    fn write(&self, ks: &Keyspace, pid: u32, progress: &mut dyn FnMut(u64)) -> Result<u64, String> {
        let temporary = snapshot::temporary_name(pid);
        let mut slow = self.slowed(progress);
        snapshot::write(&*self.disk, &self.path, &temporary, self.sync, |out| {
            save(ks, out, &self.options, self.delay.is_on(), &mut slow).map(|_| ())
        })
        .map_err(|error| error.to_string())
    }
}
