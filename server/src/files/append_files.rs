//! The files of the append log: one base, the increments after it, and the manifest that lists them.
//!
//! ```text
//!   appendonlydir/appendonly.aof.manifest      the truth: what is not listed does not exist
//!   appendonlydir/appendonly.aof.2.base.rdb    the data when the log was last rewritten
//!   appendonlydir/appendonly.aof.2.incr.aof    what changed since
//! ```
//!
//! A rewrite in order, each step safe to lose power after:
//! 1. a new, empty increment is made and listed; the server appends there from now on
//! 2. a child writes the data to `temp-rewriteaof-bg-<pid>.aof`
//! 3. that file becomes the next base; folder synced; a manifest with it alone and the last increment replaces the old
//! 4. the files that are history now are removed, then dropped from the manifest
//!
//! The manifest is always replaced whole (temporary file, sync, rename, sync of the folder), so it never lists a file
//! that is not there. The first one is written before the base that it lists, and renamed after it: a start that is cut
//! off in between is finished by the next one (`strays`). Words of the log lines and limits of retries are those of Redis 7.2 (`aof.c`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_format::aof::manifest::{
    Manifest, Part, PartType, base_name, incr_name, manifest_temp_name,
};

use super::append_names::{AppendNames, MANIFEST_MAX};
use super::snapshot::{self, SnapshotError};
use super::strays::{self, Stray};
use crate::host::{self, Disk, Level, Logger, Worker};
use crate::os::error_text;

/// Failures in a row after which rewrites are delayed.
const FAILURES_FREE: u32 = 3;
/// Longest delay in minutes.
const DELAY_MAX_MINUTES: u64 = 60;

/// Which increment follows a base that a rewrite made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// The last one listed, begun when the rewrite began.
    Current,
    /// The temporary one of a log that was just switched on.
    First,
    /// None: the log is off.
    None,
}

/// The files of the log.
pub struct AppendFiles {
    disk: Arc<dyn Disk>,
    names: AppendNames,
    manifest: Manifest,
    cleanup: Box<dyn Worker>,
    keep_history: bool,
    failures: u32,
    delay_minutes: u64,
    retry_at_ms: Option<u64>,
}

impl AppendFiles {
    /// For a start: reads the manifest, and moves a single-file log of the time before 7.0 into the folder. A folder or
    /// manifest that does not exist is an empty log, unless there are parts that a manifest should list. The error holds
    /// the lines to end with.
    pub fn load(
        disk: Arc<dyn Disk>,
        names: AppendNames,
        logger: &dyn Logger,
    ) -> Result<AppendFiles, String> {
        let mut files = AppendFiles::open(disk, names)?;
        files.account_for_parts(logger)?;
        files.upgrade(logger).map_err(|error| {
            format!(
                "Failed to migrate {} into the AOF directory: {}",
                files.names.prefix,
                error_text(&error)
            )
        })?;
        Ok(files)
    }

    /// For a server that runs and has its data: reads the manifest and changes nothing. The error is a line for the log.
    pub fn open(disk: Arc<dyn Disk>, names: AppendNames) -> Result<AppendFiles, String> {
        let cleanup = disk.worker("aof-cleanup");
        let mut files = AppendFiles {
            disk,
            names,
            manifest: Manifest::default(),
            cleanup,
            keep_history: false,
            failures: 0,
            delay_minutes: 0,
            retry_at_ms: None,
        };
        files.read_manifest()?;
        Ok(files)
    }

    fn read_manifest(&mut self) -> Result<(), String> {
        let path = self.names.manifest();
        let told = |text: &dyn std::fmt::Display| format!("{}: {text}", path.display());
        match self.disk.size(&path) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            // No folder: no log.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(told(&error_text(&error))),
        }
        let text = host::read_all(&*self.disk, &path, MANIFEST_MAX)
            .map_err(|error| told(&error_text(&error)))?;
        self.manifest = Manifest::parse(&text).map_err(|error| told(&error))?;
        Ok(())
    }

    /// Whether the manifest lists nothing that could be loaded.
    fn has_nothing_to_load(&self) -> bool {
        self.manifest.base.is_none() && self.manifest.incr.is_empty()
    }

    /// Parts that the manifest does not list are left alone beside those that it lists. Where it lists none, they are
    /// what a start without them would lose.
    fn account_for_parts(&mut self, logger: &dyn Logger) -> Result<(), String> {
        let folder = self.names.folder.clone();
        let told = |error: io::Error| format!("{}: {}", folder.display(), error_text(&error));
        let found = strays::unlisted(&*self.disk, &self.names, &self.manifest).map_err(told)?;
        if found.is_empty() {
            return Ok(());
        }
        if !self.has_nothing_to_load() {
            for stray in &found {
                let line = format!(
                    "{stray} is not listed in the manifest: it is not loaded, and left as it is"
                );
                logger.log(Level::Warning, &line);
            }
            return Ok(());
        }
        let manifest = match strays::prepared(&*self.disk, &self.names).map_err(told)? {
            Some(manifest) => manifest,
            None => return Err(self.unaccounted(&found)),
        };
        self.install_manifest(manifest).map_err(told)?;
        let line = format!(
            "Finished what a start that was cut off began: {} lists all parts",
            self.names.manifest().display()
        );
        logger.log(Level::Notice, &line);
        Ok(())
    }

    fn unaccounted(&self, found: &[Stray]) -> String {
        let parts: Vec<String> = found.iter().map(Stray::to_string).collect();
        let state = match self.disk.size(&self.names.manifest()) {
            Ok(Some(_)) => "lists no part",
            _ => "is missing",
        };
        format!(
            "Fatal error: the AOF manifest {} {state}, but there are parts of a log: {}.\nNothing was changed. Put the manifest back (aof-tool check proposes one from these parts), or move the parts away to start without their data.",
            self.names.manifest().display(),
            parts.join(", ")
        )
    }

    /// Moves `appendonly.aof` of the data folder in as the base, when there is one and no multi-part log yet. A power
    /// cut between manifest and rename leaves a manifest whose base is still outside: then only the rename is left.
    fn upgrade(&mut self, logger: &dyn Logger) -> io::Result<()> {
        let old = PathBuf::from(&self.names.prefix);
        if self.disk.size(&old)?.is_none() {
            return Ok(());
        }
        let inside = self.names.inside(&self.names.prefix);
        if self.manifest.is_empty() {
            self.disk.create_dir(&self.names.folder)?;
            self.disk.sync_dir(host::folder_of(&self.names.folder))?;
            let base = Part::new(self.names.prefix.as_bytes(), 1, PartType::Base);
            let manifest = Manifest {
                base: Some(base),
                ..Manifest::default()
            };
            self.replace_manifest(manifest)?;
        } else if !self.upgrade_was_interrupted(&inside)? {
            return Ok(());
        }
        self.disk.rename(&old, &inside)?;
        self.disk.sync_dir(&self.names.folder)?;
        self.disk.sync_dir(host::folder_of(&old))?;
        let line = format!(
            "Successfully migrated an old-style AOF configuration ({}) into the AOF directory ({}).",
            self.names.prefix,
            self.names.folder.display()
        );
        logger.log(Level::Notice, &line);
        Ok(())
    }

    fn upgrade_was_interrupted(&self, inside: &Path) -> io::Result<bool> {
        let Manifest {
            base: Some(base),
            incr,
            history,
        } = &self.manifest
        else {
            return Ok(false);
        };
        let alone =
            incr.is_empty() && history.is_empty() && base.name == self.names.prefix.as_bytes();
        Ok(alone && self.disk.size(inside)?.is_none())
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The files to load in order; the last one may be cut when its tail is torn. Empty: there is no log.
    pub fn to_load(&self) -> Vec<PathBuf> {
        self.manifest
            .to_load()
            .map(|part| self.names.part(part))
            .collect()
    }

    /// Bytes of the base and of everything to load (`aof_base_size`, `aof_current_size` at start).
    pub fn sizes(&self) -> io::Result<(u64, u64)> {
        let size = |part: &Part| {
            Ok::<u64, io::Error>(self.disk.size(&self.names.part(part))?.unwrap_or(0))
        };
        let base = self.manifest.base.as_ref().map_or(Ok(0), size)?;
        let incr = self
            .manifest
            .incr
            .iter()
            .map(size)
            .sum::<io::Result<u64>>()?;
        Ok((base, base + incr))
    }

    /// Keeps files of the past instead of removing them (`aof-disable-auto-gc`).
    pub fn set_keep_history(&mut self, keep: bool) {
        self.keep_history = keep;
    }

    /// Makes the log ready to be appended to after the load: a log without any file gets a base with the data as it is
    /// (`save` writes it, in the form that `rdb` names), and there is an increment. Returns the increment's path.
    pub fn open_at_start<E: std::fmt::Display>(
        &mut self,
        pid: u32,
        rdb: bool,
        save: impl FnOnce(&mut dyn Write) -> Result<(), E>,
        logger: &dyn Logger,
    ) -> io::Result<PathBuf> {
        self.disk.create_dir(&self.names.folder)?;
        self.disk.sync_dir(host::folder_of(&self.names.folder))?;
        if self.has_nothing_to_load() {
            self.begin_log(pid, rdb, save, logger)?;
        } else if self.manifest.incr.is_empty() {
            let mut manifest = self.manifest.clone();
            self.add_incr(&mut manifest, logger)?;
            self.replace_manifest(manifest)?;
        }
        self.remove_history(logger)?;
        self.last_incr()
            .ok_or_else(|| io::Error::other("the manifest lists no increment"))
    }

    /// Makes the first base and increment of a log.
    fn begin_log<E: std::fmt::Display>(
        &mut self,
        pid: u32,
        rdb: bool,
        save: impl FnOnce(&mut dyn Write) -> Result<(), E>,
        logger: &dyn Logger,
    ) -> io::Result<()> {
        let mut manifest = self.manifest.clone();
        let seq = strays::free_base(&*self.disk, &self.names, 0)?;
        let name = base_name(&self.names.prefix, seq, rdb);
        let path = self.names.inside(&name);
        logger.log(
            Level::Notice,
            &format!("Creating AOF base file {name} on server start"),
        );
        debug_assert!(manifest.base.is_none(), "it begins here");
        manifest.base = Some(Part::new(name, seq, PartType::Base));
        self.add_incr(&mut manifest, logger)?;
        debug_assert!(!manifest.incr.is_empty());
        host::write_synced(&*self.disk, &self.temporary_manifest(), &manifest.to_text())?;
        self.disk.sync_dir(&self.names.folder)?;
        let partial = rewrite_partial_name(pid);
        snapshot::write(&*self.disk, &path, &partial, true, save).map_err(flatten)?;
        self.install_manifest(manifest)
    }

    /// Step 1 of a rewrite: makes and lists the next increment, to which the log switches before the fork.
    pub fn begin_rewrite(&mut self, logger: &dyn Logger) -> io::Result<PathBuf> {
        let mut manifest = self.manifest.clone();
        let part = self.new_incr(&mut manifest)?;
        let path = self.names.part(&part);
        debug_assert_ne!(
            self.last_incr().as_ref(),
            Some(&path),
            "it would be emptied"
        );
        if let Err(error) = self.replace_manifest(manifest) {
            // Not listed, so of no use.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        let name = String::from_utf8_lossy(&part.name).into_owned();
        logger.log(
            Level::Notice,
            &format!("Creating AOF incr file {name} on background rewrite"),
        );
        Ok(path)
    }

    /// Step 1 when appending is switched on while the server runs: the first base is yet to be written, so the
    /// increment is a temporary file that [`AppendFiles::finish_rewrite`] lists together with the base.
    pub fn begin_first_rewrite(&mut self, logger: &dyn Logger) -> io::Result<PathBuf> {
        self.disk.create_dir(&self.names.folder)?;
        self.disk.sync_dir(host::folder_of(&self.names.folder))?;
        let path = self.names.temporary_incr();
        // A file of its own: one that is there from before and emptied might have its old content after a power cut.
        let _ = self.disk.remove(&path);
        self.disk.create(&path)?;
        let line = format!(
            "Creating AOF incr file {} on background rewrite",
            file_name(&path)
        );
        logger.log(Level::Notice, &line);
        Ok(path)
    }

    /// Steps 3 and 4: what the child `pid` wrote becomes the base. `first`: the rewrite began with
    /// [`AppendFiles::begin_first_rewrite`]. Returns the path of the increment in use. After an error the old
    /// files are still the log.
    pub fn finish_rewrite(
        &mut self,
        pid: u32,
        rdb: bool,
        first: bool,
        logger: &dyn Logger,
    ) -> io::Result<PathBuf> {
        assert!(
            first || !self.manifest.incr.is_empty(),
            "the increment of the rewrite is not listed"
        );
        let tail = if first { Tail::First } else { Tail::Current };
        self.install_rewrite(pid, rdb, tail, logger)?;
        self.last_incr()
            .ok_or_else(|| io::Error::other("the manifest lists no increment"))
    }

    /// Steps 3 and 4 while the log is off: what the child `pid` wrote is the whole log, and what was there before is
    /// history.
    pub fn finish_lone_rewrite(
        &mut self,
        pid: u32,
        rdb: bool,
        logger: &dyn Logger,
    ) -> io::Result<()> {
        self.disk.create_dir(&self.names.folder)?;
        self.disk.sync_dir(host::folder_of(&self.names.folder))?;
        self.install_rewrite(pid, rdb, Tail::None, logger)
    }

    fn install_rewrite(
        &mut self,
        pid: u32,
        rdb: bool,
        tail: Tail,
        logger: &dyn Logger,
    ) -> io::Result<()> {
        let mut manifest = self.manifest.clone();
        let seq = strays::free_base(&*self.disk, &self.names, manifest.base_seq())?;
        let name = base_name(&self.names.prefix, seq, rdb);
        let path = self.names.inside(&name);
        let temporary = rewrite_name(pid);
        self.disk.rename(&temporary, &path)?;
        let line = format!(
            "Successfully renamed the temporary AOF base file {} into {name}",
            temporary.display()
        );
        logger.log(Level::Notice, &line);
        let base = Part::new(name, seq, PartType::Base);
        let installed = self
            .install(&mut manifest, base, tail, logger)
            .and_then(|()| self.replace_manifest(manifest.clone()));
        if let Err(error) = installed {
            self.take_back(&path, &manifest, tail);
            return Err(error);
        }
        assert_eq!(self.manifest.base_seq(), seq, "the new base is listed");
        debug_assert!(
            tail == Tail::None || !self.manifest.incr.is_empty(),
            "a log that is on has an increment"
        );
        self.failures = 0;
        self.delay_minutes = 0;
        self.retry_at_ms = None;
        self.remove_history(logger)
    }

    /// Removes what a rewrite put in place without getting it listed. If the manifest got its name but the folder could
    /// not be synced, it is listed after all.
    fn take_back(&mut self, base: &Path, manifest: &Manifest, tail: Tail) {
        let text = host::read_all(&*self.disk, &self.names.manifest(), MANIFEST_MAX);
        if text.is_ok_and(|text| text == manifest.to_text()) {
            self.manifest = manifest.clone();
            return;
        }
        debug_assert_ne!(
            self.manifest.base, manifest.base,
            "the base in use would be removed"
        );
        let first = manifest.incr.last().filter(|_| tail == Tail::First);
        let first = first.map(|part| self.names.part(part));
        for path in first.as_deref().into_iter().chain([base]) {
            // Not listed, so of no use; that it cannot be removed either is no news.
            let _ = self.disk.remove(path);
        }
    }

    /// Puts the new base into `manifest`; everything before it becomes history, the latest first, as Redis lists it.
    fn install(
        &self,
        manifest: &mut Manifest,
        base: Part,
        tail: Tail,
        logger: &dyn Logger,
    ) -> io::Result<()> {
        let last = manifest.last_incr_seq();
        let kept = usize::from(tail == Tail::Current);
        let gone = manifest.incr.len().saturating_sub(kept);
        let mut past: Vec<Part> = manifest.incr.drain(..gone).collect();
        past.extend(manifest.base.replace(base));
        if tail == Tail::First {
            let seq = strays::free_incr(&*self.disk, &self.names, last)?;
            let name = incr_name(&self.names.prefix, seq);
            let temporary = self.names.temporary_incr();
            self.disk.rename(&temporary, &self.names.inside(&name))?;
            let line = format!(
                "Successfully renamed the temporary AOF incr file {} into {name}",
                file_name(&temporary)
            );
            logger.log(Level::Notice, &line);
            debug_assert!(seq > last, "numbers are not used again");
            manifest.incr.push(Part::new(name, seq, PartType::Incr));
        }
        debug_assert!(manifest.incr.len() <= 1, "all but the last are in the base");
        let past = past.into_iter().map(|part| Part {
            part_type: PartType::History,
            ..part
        });
        manifest.history.splice(..0, past);
        // The names must be on the disk before the manifest that speaks of them.
        self.disk.sync_dir(&self.names.folder)
    }

    /// Notes that a rewrite failed or was killed and removes what the child `pid` left.
    pub fn fail_rewrite(&mut self, pid: u32, killed_on_purpose: bool) {
        for name in [rewrite_name(pid), rewrite_partial_name(pid)] {
            // Either may not exist.
            let _ = self.disk.remove(&name);
        }
        if !killed_on_purpose {
            self.failures += 1;
        }
    }

    /// The first rewrite failed, or the log is switched off before it ended: removes the temporary increment.
    pub fn abandon_first_rewrite(&mut self, logger: &dyn Logger) {
        let path = self.names.temporary_incr();
        let line = format!(
            "Removing the temp incr aof file {} in the background",
            file_name(&path)
        );
        logger.log(Level::Notice, &line);
        // Under its own name the next attempt's would be removed.
        let discarded = self.names.discarded_incr();
        if self.disk.rename(&path, &discarded).is_ok() {
            self.remove_in_background(discarded);
        }
    }

    /// Rewrites that failed in a row (`aof_rewrites_consecutive_failures`).
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether an automatic rewrite may start. After three failures in a row it has to wait: one minute, then twice
    /// as long each time, up to an hour. `now_ms` is monotonic.
    pub fn rewrite_allowed(&mut self, now_ms: u64, logger: &dyn Logger) -> bool {
        if self.failures < FAILURES_FREE {
            self.delay_minutes = 0;
            self.retry_at_ms = None;
            return true;
        }
        if let Some(at) = self.retry_at_ms {
            if now_ms >= at {
                self.retry_at_ms = None;
            }
            return now_ms >= at;
        }
        self.delay_minutes = if self.delay_minutes == 0 {
            1
        } else {
            self.delay_minutes * 2
        }
        .min(DELAY_MAX_MINUTES);
        debug_assert!(
            (1..=DELAY_MAX_MINUTES).contains(&self.delay_minutes),
            "{} minutes",
            self.delay_minutes
        );
        self.retry_at_ms = Some(now_ms + self.delay_minutes * 60_000);
        let line = format!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            self.delay_minutes
        );
        logger.log(Level::Warning, &line);
        false
    }

    /// Waits for removals that are running; for tests and for the end.
    pub fn wait_for_cleanup(&mut self) {
        self.cleanup.drain();
    }

    /// Makes an empty increment under a number that no file has, and adds it to `manifest`.
    fn new_incr(&self, manifest: &mut Manifest) -> io::Result<Part> {
        let seq = strays::free_incr(&*self.disk, &self.names, manifest.last_incr_seq())?;
        assert!(seq > manifest.last_incr_seq(), "numbers are not used again");
        let part = Part::new(incr_name(&self.names.prefix, seq), seq, PartType::Incr);
        self.disk.create(&self.names.part(&part))?;
        manifest.incr.push(part.clone());
        Ok(part)
    }

    fn add_incr(&self, manifest: &mut Manifest, logger: &dyn Logger) -> io::Result<()> {
        let part = self.new_incr(manifest)?;
        let name = String::from_utf8_lossy(&part.name);
        let line = format!("Creating AOF incr file {name} on server start");
        logger.log(Level::Notice, &line);
        Ok(())
    }

    fn last_incr(&self) -> Option<PathBuf> {
        self.manifest.incr.last().map(|part| self.names.part(part))
    }

    fn temporary_manifest(&self) -> PathBuf {
        self.names.inside(&manifest_temp_name(&self.names.prefix))
    }

    fn replace_manifest(&mut self, manifest: Manifest) -> io::Result<()> {
        assert!(!manifest.is_empty(), "the files would be nobody's");
        host::replace_file(
            &*self.disk,
            &self.names.manifest(),
            &self.temporary_manifest(),
            &manifest.to_text(),
        )?;
        self.manifest = manifest;
        Ok(())
    }

    /// Gives the manifest that lies under its temporary name its own.
    fn install_manifest(&mut self, manifest: Manifest) -> io::Result<()> {
        self.disk
            .rename(&self.temporary_manifest(), &self.names.manifest())?;
        self.disk.sync_dir(&self.names.folder)?;
        self.manifest = manifest;
        Ok(())
    }

    /// Removes files of the past in the background, unless they are kept, and drops them from the manifest.
    pub fn remove_history(&mut self, logger: &dyn Logger) -> io::Result<()> {
        if self.keep_history || self.manifest.history.is_empty() {
            return Ok(());
        }
        for part in self.manifest.history.clone() {
            let path = self.names.part(&part);
            if self.manifest.to_load().any(|used| used.name == part.name) {
                let line = format!(
                    "{} is listed as history and as a part in use: it stays",
                    file_name(&path)
                );
                logger.log(Level::Warning, &line);
                continue;
            }
            let line = format!(
                "Removing the history file {} in the background",
                file_name(&path)
            );
            logger.log(Level::Notice, &line);
            self.remove_in_background(path);
        }
        let manifest = Manifest {
            history: Vec::new(),
            ..self.manifest.clone()
        };
        self.replace_manifest(manifest)
    }

    /// The last name of a large file is freed on another thread: that can take the file system long.
    fn remove_in_background(&mut self, path: PathBuf) {
        debug_assert!(
            self.manifest
                .to_load()
                .all(|part| self.names.part(part) != path),
            "{} is in use",
            path.display()
        );
        let disk = Arc::clone(&self.disk);
        self.cleanup.send(Box::new(move || {
            // It may be gone already; what stays is a file that nothing lists.
            let _ = disk.remove(&path);
        }));
    }
}

/// The name of a finished base that a child wrote, in the data folder.
pub fn rewrite_name(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-bg-{pid}.aof"))
}

/// The name of a base while it is being written, in the data folder.
pub fn rewrite_partial_name(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-rewriteaof-{pid}.aof"))
}

/// Step 2, in the child: writes the new base. Returns its size in bytes.
pub fn write_rewrite<E>(
    disk: &dyn Disk,
    pid: u32,
    incremental_sync: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<u64, SnapshotError<E>> {
    snapshot::write(
        disk,
        &rewrite_name(pid),
        &rewrite_partial_name(pid),
        incremental_sync,
        fill,
    )
}

fn flatten<E: std::fmt::Display>(error: SnapshotError<E>) -> io::Error {
    match error {
        SnapshotError::Disk(error) => error,
        SnapshotError::Content(error) => io::Error::other(error.to_string()),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
