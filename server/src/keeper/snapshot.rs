//! Snapshots: SAVE, BGSAVE, save points.

use std::path::PathBuf;
use std::sync::Arc;

use cairn_engine::base::error::Error;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use cairn_format::rdb::Dialect;

use super::Saving;
use super::child::{Job, KeyDelay, Work};
use crate::config::table;
use crate::files::snapshot;
use crate::host::Disk;
use crate::os::error_text;

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

    fn order(&self, ks: &Keyspace) -> Order<'a> {
        Order {
            disk: self.host.disk(),
            path: self.snapshot_path(),
            sync: self.config.get(table::RDB_SAVE_INCREMENTAL_FSYNC),
            options: self.save_options(ks, self.snapshot_dialect(ks), false),
            delay: KeyDelay::of_save(self.config, self.host),
        }
    }

    /// Saves in the foreground (SAVE, SHUTDOWN).
    ///
    /// # Errors
    /// Why there is no new snapshot; the old one is untouched.
    pub fn save_now(&mut self, ks: &mut Keyspace) -> Result<(), String> {
        assert!(!self.keeper.loading, "a part of the data would be saved");
        let order = self.order(ks);
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
        let (order, log) = (self.order(ks), self.log.clone());
        let (keys, dirty) = (ks.total_keys() as u64, ks.dirty);
        let data = &*ks;
        let forked = self.fork(
            Job::Snapshot,
            Box::new(move |link| {
                match order.write(data, link.pid(), &mut |keys| link.progress(keys)) {
                    Ok(bytes) => {
                        log.notice(format_args!("DB saved on disk"));
                        link.finished(bytes);
                        0
                    }
                    Err(reason) => {
                        log.warning(format_args!("Write error saving DB on disk: {reason}"));
                        1
                    }
                }
            }),
        );
        match forked {
            Ok(child) => {
                self.log.notice(format_args!(
                    "Background saving started by pid {}",
                    child.pid()
                ));
                self.note_child(ks, Work::new(Job::Snapshot, child, keys, dirty));
                Ok(())
            }
            Err(error) => {
                self.keeper.last_save_ok = false;
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

impl Order<'_> {
    /// Writes the file; answers its size.
    fn write(&self, ks: &Keyspace, pid: u32, progress: &mut dyn FnMut(u64)) -> Result<u64, String> {
        let temporary = snapshot::temporary_name(pid);
        let mut slow = |keys| {
            progress(keys);
            self.delay.wait(keys);
        };
        snapshot::write(&*self.disk, &self.path, &temporary, self.sync, |out| {
            save(ks, out, &self.options, self.delay.is_on(), &mut slow).map(|_| ())
        })
        .map_err(|error| error.to_string())
    }
}
