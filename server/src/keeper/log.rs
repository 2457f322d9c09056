//! The append log of the running server: what is fed to it, when it is flushed, how it is rewritten, and switching it
//! on and off.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use cairn_engine::call::watch::latency::event;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::rewrite::{RewriteError, rewrite};
use cairn_engine::persist::save::{automatic_dialect, save};
use cairn_format::aof::release::Release;
use cairn_format::aof::writer::write_timestamp;
use cairn_format::rdb::Dialect;

use super::OpenLog;
use super::Saving;
use super::child::{Job, KeyDelay, Work};
use crate::config::choice::AppendFsync;
use crate::config::table;
use crate::files::append::{AppendLog, FlushMode, Flushed, SyncPolicy};
use crate::files::append_files::{self, AppendFiles};
use crate::files::append_names::AppendNames;
use crate::host::ChildExit;
use crate::journal::Unit;
use crate::os::error_text;

/// How the log stands after a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// Written, or waiting for a sync that runs.
    Fine,
    /// The disk failed: from the next command on writes are refused, and the log is tried again in each tick.
    Failed,
    /// The disk failed under `appendfsync always`: nothing may be acknowledged and the process must end.
    Fatal,
}

impl Saving<'_> {
    /// Appends what a unit changed; in the file when [`Saving::flush_log`] returns.
    pub(crate) fn append(&mut self, unit: &Unit) {
        let Some(open) = &mut self.keeper.append else {
            return;
        };
        let second = self
            .config
            .get(table::AOF_TIMESTAMP_ENABLED)
            .then(|| self.host.clock().wall_us() / 1_000_000);
        open.log.append(unit, second);
    }

    /// Writes what waits, before replies leave.
    pub(crate) fn flush_log(&mut self) -> LogState {
        let Some(open) = &mut self.keeper.append else {
            return LogState::Fine;
        };
        let started_us = self.host.clock().monotonic_us();
        let anything = open.log.buffered() > 0;
        if self.keeper.flush_sleep_us > 0 && anything {
            self.host
                .sleep(Duration::from_micros(self.keeper.flush_sleep_us));
        }
        let hold_syncs =
            self.keeper.work.is_some() && self.config.get(table::NO_APPENDFSYNC_ON_REWRITE);
        let flushed = open.log.flush(
            started_us / 1000,
            FlushMode {
                force: false,
                hold_syncs,
            },
            self.log,
        );
        if anything {
            let took_us = self.host.clock().monotonic_us() - started_us;
            self.keeper.flush_us += took_us;
            self.note_flush(took_us);
        }
        match flushed {
            Flushed::Fatal(line) => {
                self.log.warning(format_args!("{line}"));
                LogState::Fatal
            }
            Flushed::Failed => LogState::Failed,
            Flushed::Done | Flushed::Postponed => LogState::Fine,
        }
    }

    /// The log was written, and with `appendfsync always` synced, which is what takes the time then.
    fn note_flush(&mut self, took_us: u64) {
        if self.sync_policy() == SyncPolicy::Always {
            return self.keeper.note_span(event::AOF_FSYNC_ALWAYS, took_us);
        }
        let is_syncing = self
            .keeper
            .append
            .as_ref()
            .is_some_and(|o| o.log.pending_syncs() > 0);
        let kind = match (is_syncing, &self.keeper.work) {
            (true, _) => event::AOF_WRITE_FSYNC,
            (_, Some(_)) => event::AOF_WRITE_CHILD,
            _ => event::AOF_WRITE_ALONE,
        };
        self.keeper.note_span(kind, took_us);
        self.keeper.note_span(event::AOF_WRITE, took_us);
    }

    /// Unix time in seconds, if a base is to begin with it: a snapshot has its own place for that.
    fn base_second(&self, rdb: bool) -> Option<i64> {
        let wanted = !rdb && self.config.get(table::AOF_TIMESTAMP_ENABLED);
        wanted.then(|| self.host.clock().wall_us() / 1_000_000)
    }

    /// How the files of the log are named.
    pub(super) fn append_names(&self) -> AppendNames {
        AppendNames {
            folder: self.config.path(table::APPENDDIRNAME),
            prefix: self
                .config
                .path(table::APPENDFILENAME)
                .to_string_lossy()
                .into_owned(),
        }
    }

    fn sync_policy(&self) -> SyncPolicy {
        match self.config.get(table::APPENDFSYNC) {
            AppendFsync::Always => SyncPolicy::Always,
            AppendFsync::Everysec => SyncPolicy::EverySecond,
            AppendFsync::No => SyncPolicy::Never,
        }
    }

    /// `appendfsync` was changed.
    pub fn refresh_sync_policy(&mut self) {
        let policy = self.sync_policy();
        if let Some(open) = &mut self.keeper.append {
            open.log.set_policy(policy);
        }
    }

    /// `aof-disable-auto-gc` was changed: files of the past that were kept go when they need not be.
    ///
    /// # Errors
    /// The disk's words.
    pub fn refresh_keep_history(&mut self) -> Result<(), String> {
        let keep = self.config.get(table::AOF_DISABLE_AUTO_GC);
        let Some(open) = &mut self.keeper.append else {
            return Ok(());
        };
        open.files.set_keep_history(keep);
        open.files
            .remove_history(self.log)
            .map_err(|error| error_text(&error))
    }

    /// The version of a base that is a snapshot: the automatic one, unless `rdb-save-version` asks for one that knows
    /// logs in parts (7.0 and later) and the data fits into it. A base must never fail for its version: the log would
    /// grow without end.
    fn base_dialect(&self, ks: &Keyspace) -> Dialect {
        let dialect = match self.config.rdb_save_version() {
            Some(asked) if asked.version() >= 10 && ks.ttl_hashes == 0 => asked,
            _ => automatic_dialect(ks),
        };
        debug_assert!(dialect.version() >= 10, "{dialect:?} knows no log in parts");
        dialect
    }

    /// Opens the log for appending after the load; an empty one gets a base with the data as it is.
    ///
    /// # Errors
    /// The line to end with.
    pub(super) fn open_log(
        &mut self,
        ks: &mut Keyspace,
        mut files: AppendFiles,
    ) -> Result<(), String> {
        assert!(!self.keeper.log_is_on(), "one log at a time");
        let rdb = self.config.get(table::AOF_USE_RDB_PREAMBLE);
        let options = self.save_options(ks, self.base_dialect(ks), true);
        let second = self.base_second(rdb);
        let fill = |out: &mut dyn Write| {
            write_stamp(out, second)?;
            write_base(
                ks,
                out,
                rdb,
                &options,
                KeyDelay::of_save(self.config, self.host),
                &mut |_| {},
            )
        };
        let failed = |error: std::io::Error| {
            format!("Can't open the append-only file: {}", error_text(&error))
        };
        files.set_keep_history(self.config.get(table::AOF_DISABLE_AUTO_GC));
        let path = files
            .open_at_start(self.host.pid(), rdb, fill, self.log)
            .map_err(failed)?;
        self.use_log(ks, files, path, false).map_err(failed)
    }

    fn use_log(
        &mut self,
        ks: &mut Keyspace,
        files: AppendFiles,
        path: PathBuf,
        first_pending: bool,
    ) -> std::io::Result<()> {
        debug_assert!(self.keeper.append.is_none(), "one log at a time");
        let total = if first_pending { 0 } else { files.sizes()?.1 };
        let opened = AppendLog::open(
            self.host.disk(),
            &path,
            self.sync_policy(),
            self.journal.subscribe(),
        );
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                self.keeper.waiting = Some(files).filter(|_| first_pending);
                return Err(error);
            }
        };
        debug_assert!(
            first_pending || log.size() <= total,
            "the increment is one of the files"
        );
        let earlier_size = total.saturating_sub(log.size());
        self.keeper.append = Some(OpenLog {
            files,
            log,
            base_size: total,
            earlier_size,
            first_pending,
            trail: super::Trail::default(),
        });
        ks.fx.feed_on = self.journal.is_read();
        self.note_place(true);
        Ok(())
    }

    // ---- rewriting ----

    /// Starts a rewrite if the log has grown enough.
    pub(super) fn rewrite_if_grown(&mut self, ks: &mut Keyspace) {
        let percent = self.config.get(table::AUTO_AOF_REWRITE_PERCENTAGE).max(0) as u64;
        let minimum = self.config.get(table::AUTO_AOF_REWRITE_MIN_SIZE);
        let now_ms = self.host.clock().monotonic_us() / 1000;
        let log = self.log.clone();
        if let Some(files) = &mut self.keeper.waiting {
            debug_assert!(self.keeper.append.is_none(), "two logs");
            if files.rewrite_allowed(now_ms, &log) {
                self.begin_rewrite(ks);
            }
            return;
        }
        let Some(open) = &mut self.keeper.append else {
            return;
        };
        let (size, base) = (open.size(), open.base_size.max(1));
        let growth = (size * 100 / base).saturating_sub(100);
        if percent > 0
            && size > minimum as u64
            && growth >= percent
            && (open.log.is_preparing() || open.files.rewrite_allowed(now_ms, &log))
            && open.log.prepare_switch()
        {
            self.log.notice(format_args!(
                "Starting automatic rewriting of AOF on {growth}% growth"
            ));
            self.begin_rewrite(ks);
        }
    }

    /// Starts a rewrite in a child. No other child may be at work. What goes wrong is in the log.
    pub fn begin_rewrite(&mut self, ks: &mut Keyspace) -> bool {
        // Before the fork would see it: the log would have another increment by then.
        assert!(self.keeper.work.is_none(), "one child at a time");
        if let Err(error) = self.switch_increment(ks) {
            self.log.warning(format_args!(
                "Can't rewrite append only file in background: {}",
                error_text(&error)
            ));
            return false;
        }
        let open = self.keeper.append.as_ref();
        assert!(
            open.is_none_or(|open| open.log.has_all()),
            "a change would be in the base and behind it"
        );
        let rdb = self.config.get(table::AOF_USE_RDB_PREAMBLE);
        let options = self.save_options(ks, self.base_dialect(ks), true);
        let (disk, log) = (self.host.disk(), self.log.clone());
        let sync = self.config.get(table::AOF_REWRITE_INCREMENTAL_FSYNC);
        let delay = KeyDelay::of_save(self.config, self.host);
        let second = self.base_second(rdb);
        let (keys, dirty) = (ks.total_keys() as u64, ks.dirty);
        let data = &*ks;
        let forked = self.fork(
            Job::Rewrite,
            Box::new(move |link| {
                let written = append_files::write_rewrite(&*disk, link.pid(), sync, |out| {
                    write_stamp(out, second)?;
                    write_base(data, out, rdb, &options, delay, &mut |keys| {
                        link.progress(keys)
                    })
                });
                match written {
                    Ok(bytes) => {
                        link.finished(bytes);
                        0
                    }
                    Err(error) => {
                        log.warning(format_args!(
                            "Write error writing append only file on disk: {error}"
                        ));
                        1
                    }
                }
            }),
        );
        match forked {
            Ok(child) => {
                self.log.notice(format_args!(
                    "Background append only file rewriting started by pid {}",
                    child.pid()
                ));
                let work = Work {
                    rdb_base: rdb,
                    ..Work::new(Job::Rewrite, child, keys, dirty)
                };
                self.note_child(ks, work);
                true
            }
            Err(error) => {
                self.keeper.last_rewrite_ok = false;
                self.keeper.rewrite_failures += 1;
                self.log.warning(format_args!(
                    "Can't rewrite append only file in background: fork: {}",
                    error_text(&error)
                ));
                self.put_off_first_rewrite(ks);
                false
            }
        }
    }

    /// The server appends to a new increment from now on: what came before will be in the base, what comes after must not
    /// be. Without a log that is on there is nothing to switch: the rewrite then only makes a base.
    fn switch_increment(&mut self, ks: &mut Keyspace) -> std::io::Result<()> {
        if let Some(mut files) = self.keeper.waiting.take() {
            return match files.begin_first_rewrite(self.log) {
                Ok(path) => self.use_log(ks, files, path, true),
                Err(error) => {
                    self.keeper.waiting = Some(files);
                    Err(error)
                }
            };
        }
        let now_ms = self.host.clock().monotonic_us() / 1000;
        let Some(open) = &mut self.keeper.append else {
            return Ok(());
        };
        // On the disk before the next increment is listed: a power cut may take the end of the log, but nothing before what is kept.
        open.log.finish(now_ms, self.log)?;
        let path = open.files.begin_rewrite(self.log)?;
        open.earlier_size = open.size();
        open.log.switch_to(&path)?;
        self.note_place(true);
        Ok(())
    }

    pub(super) fn rewrite_ended(&mut self, ks: &mut Keyspace, work: &Work, exit: ChildExit) {
        assert_eq!(work.job, Job::Rewrite);
        let now_s = self.now().wall_ms() / 1000;
        let pid = work.child.pid();
        self.keeper.last_rewrite_took_s = now_s - work.started_s;
        self.keeper.last_rewrite_cow = work.child.report().cow_peak;
        self.keeper.last_rewrite_ok = match exit {
            ChildExit::Code(0) => {
                self.log.notice(format_args!(
                    "Background AOF rewrite terminated with success"
                ));
                self.install_base(work)
            }
            ChildExit::Code(_) => {
                self.log
                    .warning(format_args!("Background AOF rewrite terminated with error"));
                self.forget_base(pid, work.killed);
                false
            }
            ChildExit::Signal(signal) => {
                self.log.warning(format_args!(
                    "Background AOF rewrite terminated by signal {signal}"
                ));
                self.forget_base(pid, work.killed);
                work.killed
            }
        };
        self.keeper.rewrite_failures = match self.keeper.last_rewrite_ok {
            true => 0,
            false => self.keeper.rewrite_failures + 1,
        };
        self.put_off_first_rewrite(ks);
        assert!(!self.first_is_pending(), "a log goes on without its base");
    }

    /// If the first rewrite of a log ended without a base, the log has to begin again: the next base will hold what was
    /// appended so far, and replaying that on top of it would change the data twice.
    fn put_off_first_rewrite(&mut self, ks: &mut Keyspace) {
        if self.first_is_pending() {
            self.keeper.waiting = self.abandon_first_rewrite(ks);
            debug_assert!(self.keeper.waiting.is_some() && self.keeper.append.is_none());
        }
    }

    fn first_is_pending(&self) -> bool {
        let open = self.keeper.append.as_ref();
        open.is_some_and(|open| open.first_pending)
    }

    fn install_base(&mut self, work: &Work) -> bool {
        let pid = work.child.pid();
        let Some(open) = &mut self.keeper.append else {
            return self.install_lone_base(work);
        };
        open.files
            .set_keep_history(self.config.get(table::AOF_DISABLE_AUTO_GC));
        match open
            .files
            .finish_rewrite(pid, work.rdb_base, open.first_pending, self.log)
        {
            Ok(path) => {
                assert!(
                    open.first_pending || open.log.path() == path,
                    "appended to {}, {} is listed",
                    open.log.path().display(),
                    path.display()
                );
                open.trail.renamed(open.log.path(), &path);
                open.log.renamed(&path);
                let parts = open.files.to_load();
                open.trail
                    .keep_files(|part| parts.iter().any(|listed| listed == part));
                open.log.base_installed();
                open.first_pending = false;
                open.earlier_size = work.child.report().bytes;
                open.base_size = open.size();
                self.keeper.rewrites += 1;
                self.log
                    .notice(format_args!("Background AOF rewrite finished successfully"));
                true
            }
            Err(error) => {
                self.log.warning(format_args!(
                    "Error installing the rewritten AOF base: {}",
                    error_text(&error)
                ));
                open.files.fail_rewrite(pid, false);
                false
            }
        }
    }

    /// The log is off: the base is all of it, for whoever switches it on and for DEBUG LOADAOF.
    fn install_lone_base(&mut self, work: &Work) -> bool {
        let pid = work.child.pid();
        let installed =
            AppendFiles::open(self.host.disk(), self.append_names()).and_then(|mut files| {
                files.set_keep_history(self.config.get(table::AOF_DISABLE_AUTO_GC));
                let done = files.finish_lone_rewrite(pid, work.rdb_base, self.log);
                files.wait_for_cleanup();
                done.map_err(|error| error_text(&error))
            });
        match installed {
            Ok(()) => {
                self.keeper.rewrites += 1;
                self.log
                    .notice(format_args!("Background AOF rewrite finished successfully"));
                true
            }
            Err(reason) => {
                self.log.warning(format_args!(
                    "Error installing the rewritten AOF base: {reason}"
                ));
                self.remove_rewrite(pid);
                false
            }
        }
    }

    fn forget_base(&mut self, pid: u32, killed: bool) {
        match &mut self.keeper.append {
            Some(open) => open.files.fail_rewrite(pid, killed),
            None => self.remove_rewrite(pid),
        }
    }

    /// Removes what a rewrite left when no log is on (any more).
    fn remove_rewrite(&self, pid: u32) {
        let disk = self.host.disk();
        for name in [
            append_files::rewrite_name(pid),
            append_files::rewrite_partial_name(pid),
        ] {
            // Either may not exist.
            let _ = disk.remove(&name);
        }
    }

    // ---- on and off ----

    /// CONFIG SET appendonly yes: a rewrite makes the first base, and from its fork on everything is appended to a
    /// temporary increment; only when both are listed there is a log. With `put_off` it begins in a later turn of the loop.
    ///
    /// # Errors
    /// Why it stays off.
    pub fn switch_log_on(&mut self, ks: &mut Keyspace, put_off: bool) -> Result<(), String> {
        if self.keeper.log_is_on() {
            return Ok(());
        }
        if self.keeper.is_rewriting() {
            // Its base lacks what changes between its fork and now, and the log begins now.
            self.log.warning(format_args!("AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now."));
            self.log.warning(format_args!("Killing AOF child"));
            self.kill_child(ks);
        }
        let mut files = AppendFiles::open(self.host.disk(), self.append_names())?;
        files.set_keep_history(self.config.get(table::AOF_DISABLE_AUTO_GC));
        self.keeper.waiting = Some(files);
        if put_off || self.keeper.work.is_some() {
            self.keeper.rewrite_scheduled = true;
            self.log.notice(format_args!("AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible."));
        } else if !self.begin_rewrite(ks) {
            self.keeper.waiting = None;
            return Err("Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error.".into());
        }
        debug_assert!(self.keeper.log_is_on());
        Ok(())
    }

    fn abandon_first_rewrite(&mut self, ks: &mut Keyspace) -> Option<AppendFiles> {
        let mut files = self.close_log(ks)?;
        files.abandon_first_rewrite(self.log);
        Some(files)
    }

    /// CONFIG SET appendonly no: everything so far is made safe, then nothing is appended any more.
    ///
    /// # Errors
    /// The log could not be written to its end; it is off all the same.
    pub fn switch_log_off(&mut self, ks: &mut Keyspace) -> Result<(), String> {
        if self.keeper.is_rewriting() {
            self.log.warning(format_args!("Killing AOF child"));
            self.kill_child(ks);
        }
        self.keeper.rewrite_scheduled = false;
        self.keeper.waiting = None;
        let finished = self.finish_log();
        self.close_log(ks);
        debug_assert!(!self.keeper.log_is_on());
        finished
    }

    /// The log reads no longer, and if nobody else does, nothing is fed any more.
    fn close_log(&mut self, ks: &mut Keyspace) -> Option<AppendFiles> {
        let files = self.keeper.append.take().map(|open| open.files);
        ks.fx.feed_on = self.journal.is_read();
        files
    }

    /// Writes and syncs all of the log and waits for it.
    ///
    /// # Errors
    /// The disk's words.
    pub fn finish_log(&mut self) -> Result<(), String> {
        let now_ms = self.host.clock().monotonic_us() / 1000;
        match &mut self.keeper.append {
            Some(open) => open
                .log
                .finish(now_ms, self.log)
                .map_err(|error| error_text(&error)),
            None => Ok(()),
        }
    }
}

/// Begins a base of commands with the time of the data that it holds.
fn write_stamp(out: &mut dyn Write, second: Option<i64>) -> Result<(), String> {
    let mut line = Vec::new();
    if let Some(second) = second {
        write_timestamp(&mut line, second);
    }
    out.write_all(&line).map_err(|error| error_text(&error))
}

/// Writes the base of a log: a snapshot or commands.
fn write_base(
    ks: &Keyspace,
    out: &mut dyn Write,
    rdb: bool,
    options: &cairn_engine::persist::save::SaveOptions,
    delay: KeyDelay<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), String> {
    let mut slow = |keys| {
        progress(keys);
        delay.wait(keys);
    };
    if rdb {
        save(ks, out, options, delay.is_on(), &mut slow)
            .map(|_| ())
            .map_err(|error| error.to_string())
    } else {
        // Its own next start reads it, or a newer server: no older one is meant.
        rewrite(ks, out, Release::NEWEST, &mut slow).map_err(|error| match error {
            RewriteError::Io(error) => error_text(&error),
            other => other.to_string(),
        })
    }
}
