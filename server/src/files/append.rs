//! The append log: the commands that changed the data, on their way to the end of one file.
//!
//! ```text
//!   feed --> buffer --flush: write--> file --sync--> disk
//!                                      ^size: always the end of a whole record
//! ```
//!
//! When it is safe, by `appendfsync`:
//!
//! | policy | flush does | a reply may leave |
//! |---|---|---|
//! | always | write, then sync, both here | after flush |
//! | everysec | write; once a second a sync on another thread | after flush; two seconds may be lost |
//! | no | write | after flush; the system decides |
//!
//! Under everysec a write into a file that is being synced would block, so it waits for the sync to end, at most two
//! seconds.
//!
//! Invariants: `size` never lies inside a record, nor does the file's end, unless cutting failed, in which case the
//! rest of the torn record is still at the front of the buffer; nothing leaves the buffer before it is in the file. A position
//! counts as written when all of its unit is.
//!
//! A failed write or sync under `always` is the end of the process ([`Flushed::Fatal`]): the change is in memory and
//! cannot be taken back, so nothing may be acknowledged. Otherwise the file is cut back to the last whole record, the
//! buffer stays, commands that write are refused ([`AppendLog::refusal`]), and every flush tries again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cairn_format::aof::place::{write_bytes, write_gap};

use crate::host::{Disk, DiskFile, Level, Logger, SyncHandle, Worker};
use crate::journal::{Subscriber, Unit};
use crate::os::error_text;

/// Milliseconds between two syncs under everysec.
const SYNC_EVERY_MS: u64 = 1000;
/// Milliseconds that a write waits for a running sync.
const POSTPONE_MAX_MS: u64 = 2000;
/// Bytes that a change of files may sync while the server waits.
const SWITCH_UNSYNCED_MAX: u64 = 1 << 20;
/// Milliseconds between two log lines about the same trouble.
const COMPLAIN_EVERY_MS: u64 = 30_000;

/// `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before any reply.
    Always,
    /// Once a second, in the background.
    EverySecond,
    /// When the system likes.
    Never,
}

/// What a flush came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "under `always` replies may leave only after a flush that did not fail"]
pub enum Flushed {
    /// All of the buffer is in the file, and synced if the policy says so.
    Done,
    /// A sync is running; the buffer waits for it.
    Postponed,
    /// The disk failed; commands that write are refused until a flush succeeds.
    Failed,
    /// The disk failed under `always`: log this line, send nothing, exit with 1.
    Fatal(String),
}

/// How a flush is to be done.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlushMode {
    /// Do not wait for a running sync: the server is about to end, or to change files.
    pub force: bool,
    /// No syncs now: a child writes, and `no-appendfsync-on-rewrite` is set.
    pub hold_syncs: bool,
}

/// The log with its one open file.
pub struct AppendLog {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    policy: SyncPolicy,
    /// The buffer, and what the file says of databases and times.
    feed: Subscriber,
    /// Bytes in the file.
    size: u64,
    /// Bytes in the file that a finished or running sync covers.
    sync_asked: u64,
    last_sync_ms: u64,
    /// A sync was begun so that a change of files will have less to wait for.
    prepared: bool,
    postponed_since_ms: Option<u64>,
    delayed: u64,
    write_failure: Option<String>,
    complained_ms: Option<u64>,
    syncs: Box<dyn Worker>,
    sync_failure: Arc<Mutex<Option<String>>>,
    /// The journal's position up to which all is in files, or was before the log began.
    written: u64,
    /// `written` when the open file began: what a base made since then holds.
    file_began: u64,
    durable: Arc<Durable>,
}

/// The journal's positions that the threads which sync tell.
#[derive(Debug)]
struct Durable {
    /// Everything up to here is on the disk, unless it is within `lost`.
    synced: AtomicU64,
    /// Something before this position may never reach the disk: a sync failed (the system then forgets what it did not
    /// write), or a file was left unsynced. 0: nothing is. Only a new base makes up for it.
    lost: AtomicU64,
}

impl AppendLog {
    /// Opens the file at `path` for appending what `feed` will take; what is in it already must end with a whole record.
    /// All that entered the journal before counts as safe.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        policy: SyncPolicy,
        feed: Subscriber,
    ) -> io::Result<AppendLog> {
        let file = disk.append(path)?;
        let size = file.size()?;
        let syncs = disk.worker("aof-sync");
        let began = feed.position();
        debug_assert!(
            feed.bytes().is_empty(),
            "nothing waits for a file that was not open"
        );
        Ok(AppendLog {
            disk,
            path: path.to_path_buf(),
            file,
            policy,
            feed,
            size,
            sync_asked: size,
            last_sync_ms: 0,
            prepared: false,
            postponed_since_ms: None,
            delayed: 0,
            write_failure: None,
            complained_ms: None,
            syncs,
            sync_failure: Arc::default(),
            written: began,
            file_began: began,
            durable: Arc::new(Durable {
                synced: AtomicU64::new(began),
                lost: AtomicU64::new(0),
            }),
        })
    }

    /// What must hold between any two calls.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let (synced, lost) = (&self.durable.synced, &self.durable.lost);
        // Read before what they are compared with, which only rises.
        let (synced, lost) = (synced.load(Ordering::Acquire), lost.load(Ordering::Acquire));
        let position = self.feed.position();
        if synced.max(lost).max(self.file_began) > self.written || self.written > position {
            return Err(format!(
                "file from {}, synced to {synced}, lost before {lost}, written to {}, fed to {position}",
                self.file_began, self.written
            ));
        }
        if self.sync_asked > self.size {
            return Err(format!("{} bytes of {} synced", self.sync_asked, self.size));
        }
        match self.feed.bytes().is_empty() && self.written != position {
            true => Err(format!(
                "nothing waits between {} and {position}",
                self.written
            )),
            false => Ok(()),
        }
    }

    /// The position up to which everything is on the disk for certain; `None` if something before may be lost.
    pub fn durable(&self) -> Option<u64> {
        let lost = self.durable.lost.load(Ordering::Acquire) > 0;
        let synced = self.durable.synced.load(Ordering::Acquire);
        debug_assert!(synced <= self.written, "on the disk, and not written");
        (!lost).then_some(synced)
    }

    /// A base that holds everything from before the open file is in place, and on the disk.
    pub fn base_installed(&mut self) {
        self.durable
            .synced
            .fetch_max(self.file_began, Ordering::AcqRel);
        if self.durable.lost.load(Ordering::Acquire) <= self.file_began {
            self.durable.lost.store(0, Ordering::Release);
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Whether [`AppendLog::prepare_switch`] is at it.
    pub fn is_preparing(&self) -> bool {
        self.prepared
    }

    /// Whether a change of files would wait for a short sync at most. If not, one begins in the background: ask again.
    pub fn prepare_switch(&mut self) -> bool {
        if self.syncs.waiting() > 0 {
            return false;
        }
        let unsynced = self.size() - self.sync_asked;
        if std::mem::take(&mut self.prepared) || unsynced < SWITCH_UNSYNCED_MAX {
            return true;
        }
        // Where it cannot begin, the switch tells why.
        self.prepared = self.sync_in_background().is_ok();
        !self.prepared
    }

    /// Goes on in another file (a rewrite begins), once everything is in the old one and on the disk: [`AppendLog::finish`] must
    /// have been called before the other file was listed. A power cut could take the end of the old file otherwise, and leave
    /// what came after it in the new one. After an error the old file stays in use.
    pub fn switch_to(&mut self, path: &Path) -> io::Result<()> {
        debug_assert_ne!(path, self.path, "the file that is in use");
        assert!(
            self.is_settled(),
            "another file may not begin before this one is on the disk"
        );
        let file = self.disk.append(path)?;
        let size = file.size()?;
        self.file_began = self.written;
        self.file = file;
        self.path = path.to_path_buf();
        self.size = size;
        self.sync_asked = size;
        self.feed.begin_anew();
        debug_assert_eq!(self.check(), Ok(()));
        Ok(())
    }

    /// Whether everything is in the file, and synced as far as is known.
    fn is_settled(&self) -> bool {
        self.feed.bytes().is_empty()
            && self.written == self.feed.position()
            && self.sync_asked == self.size
            && self.syncs.waiting() == 0
            && self.sync_failure().is_none()
    }

    /// Says that the open file has another name now.
    pub fn renamed(&mut self, path: &Path) {
        self.path = path.to_path_buf();
    }

    /// Sets `appendfsync`. What was written before is synced by the next flush if the new policy wants it.
    pub fn set_policy(&mut self, policy: SyncPolicy) {
        self.policy = policy;
    }

    /// The policy.
    pub fn policy(&self) -> SyncPolicy {
        self.policy
    }

    /// The file appended to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one unit. `second`: Unix time for the annotation when `aof-timestamp-enabled`.
    #[inline]
    pub fn append(&mut self, unit: &Unit, second: Option<i64>) {
        self.feed.take(unit, second);
    }

    /// Appends a line that is no command, between two units.
    pub fn annotate(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.feed.insert(None, write);
    }

    /// Notes a command that is no change but part of the stream of replication: as it is, or only how long.
    pub fn insert(&mut self, db: Option<usize>, command: &[u8], is_kept: bool) {
        self.feed.insert(db, |out| match is_kept {
            true => write_bytes(out, command),
            false => write_gap(out, command.len() as u64),
        });
    }

    /// The next change says its database, whatever was said before.
    pub fn say_db_again(&mut self) {
        self.feed.say_db_again();
    }

    /// The journal's position behind the last unit appended.
    pub fn position(&self) -> u64 {
        self.feed.position()
    }

    /// Whether all changes are in files.
    pub fn has_all(&self) -> bool {
        self.written == self.feed.position()
    }

    /// Bytes that wait to be written (`aof_buffer_length`).
    pub fn buffered(&self) -> usize {
        self.feed.bytes().len()
    }

    /// Memory that is kept for what waits.
    pub fn buffer_memory(&self) -> usize {
        self.feed.memory()
    }

    /// Bytes in the file and before it.
    pub fn size(&self) -> u64 {
        self.size + self.buffered() as u64
    }

    /// Syncs not finished (`aof_pending_bio_fsync`).
    pub fn pending_syncs(&self) -> usize {
        self.syncs.waiting()
    }

    /// Writes that did not wait any longer for a sync (`aof_delayed_fsync`).
    pub fn delayed(&self) -> u64 {
        self.delayed
    }

    /// Why commands that write must be refused: the reply's words after the `-`. `None` while all is well.
    pub fn refusal(&self) -> Option<String> {
        let failure = self.write_failure.clone().or_else(|| self.sync_failure());
        Some(format!(
            "MISCONF Errors writing to the AOF file: {}",
            failure?
        ))
    }

    /// Writes what waits and syncs as the policy says. Call it at the end of each turn before replies leave, and in
    /// each tick. `now_ms` is monotonic.
    pub fn flush(&mut self, now_ms: u64, mode: FlushMode, logger: &dyn Logger) -> Flushed {
        if self.feed.bytes().is_empty()
            && self.sync_asked == self.size
            && self.sync_failure().is_none()
        {
            return Flushed::Done;
        }
        if !self.feed.bytes().is_empty() {
            if self.must_wait(now_ms, mode, logger) {
                return Flushed::Postponed;
            }
            if let Err(failed) = self.write_buffer(now_ms, logger) {
                return failed;
            }
        }
        assert_eq!(
            self.buffered(),
            0,
            "something waits behind what was written"
        );
        debug_assert_eq!(self.check(), Ok(()));
        if mode.hold_syncs {
            Flushed::Done
        } else {
            self.sync(now_ms, logger)
        }
    }

    /// Whether a write has to wait for the sync that runs. Starts and ends the waiting time.
    fn must_wait(&mut self, now_ms: u64, mode: FlushMode, logger: &dyn Logger) -> bool {
        if self.policy != SyncPolicy::EverySecond || self.syncs.waiting() == 0 || mode.force {
            self.postponed_since_ms = None;
            return false;
        }
        let since = *self.postponed_since_ms.get_or_insert(now_ms);
        debug_assert!(since <= now_ms, "it waits since a time to come");
        if now_ms.saturating_sub(since) < POSTPONE_MAX_MS {
            return true;
        }
        self.postponed_since_ms = None;
        self.delayed += 1;
        logger.log(
            Level::Notice,
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis.",
        );
        false
    }

    fn write_buffer(&mut self, now_ms: u64, logger: &dyn Logger) -> Result<(), Flushed> {
        let (written, error) = write_fully(&mut *self.file, self.feed.bytes());
        debug_assert_eq!(
            error.is_none(),
            written == self.feed.bytes().len(),
            "all or an error"
        );
        let Some(error) = error else {
            self.size += written as u64;
            assert!(self.feed.position() >= self.written, "positions rise");
            self.written = self.feed.position();
            self.feed.passed_on(written);
            if self.write_failure.take().is_some() {
                self.complained_ms = None;
                logger.log(
                    Level::Warning,
                    "AOF write error looks solved. The server can write again.",
                );
            }
            return Ok(());
        };
        let text = error_text(&error);
        let complain = self.may_complain(now_ms);
        if complain {
            logger.log(
                Level::Warning,
                &format!("Error writing to the AOF file: {text}"),
            );
        }
        self.cut_back(written, complain, logger);
        debug_assert_eq!(self.check(), Ok(()));
        if self.policy == SyncPolicy::Always {
            return Err(Flushed::Fatal(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...".to_string(),
            ));
        }
        self.write_failure = Some(text);
        Err(Flushed::Failed)
    }

    /// Takes the torn piece of a failed write away again.
    fn cut_back(&mut self, written: usize, complain: bool, logger: &dyn Logger) {
        assert!(written < self.buffered(), "nothing is torn");
        if written == 0 {
            return;
        }
        if let Err(error) = self.file.truncate(self.size) {
            if complain {
                let line = format!(
                    "Could not remove short write from the append-only file. Redis may refuse to load the AOF the next time it starts. ftruncate: {}",
                    error_text(&error)
                );
                logger.log(Level::Warning, &line);
            }
            // It stays, so the next write must go on right behind it.
            self.feed.passed_on(written);
            self.size += written as u64;
            assert!(self.buffered() > 0, "the rest of a torn record waits");
        }
    }

    fn sync(&mut self, now_ms: u64, logger: &dyn Logger) -> Flushed {
        match self.policy {
            SyncPolicy::Never => Flushed::Done,
            SyncPolicy::Always => self.sync_here(now_ms),
            SyncPolicy::EverySecond => self.sync_by_second(now_ms, logger),
        }
    }

    fn sync_here(&mut self, now_ms: u64) -> Flushed {
        if let Err(error) = self.sync_written() {
            return Flushed::Fatal(format!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting...",
                error_text(&error)
            ));
        }
        self.last_sync_ms = now_ms;
        Flushed::Done
    }

    /// Syncs all that is written, on this thread.
    fn sync_written(&mut self) -> io::Result<()> {
        debug_assert!(self.written >= self.file_began, "positions rise");
        if let Err(error) = self.file.sync_data() {
            // The system forgets what it could not write.
            self.durable.lost.fetch_max(self.written, Ordering::AcqRel);
            self.note_sync_failure(&error);
            return Err(error);
        }
        // Bytes that a failed background sync of this file left are on the disk now, or were reported as lost.
        *self
            .sync_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        self.sync_asked = self.size;
        if self.syncs.waiting() > 0 {
            // The policy was another a moment ago: an older file may still be at it.
            self.syncs.drain();
        }
        self.durable
            .synced
            .fetch_max(self.written, Ordering::AcqRel);
        debug_assert_eq!(
            self.durable.synced.load(Ordering::Acquire),
            self.written,
            "all that is written is on the disk"
        );
        Ok(())
    }

    fn sync_by_second(&mut self, now_ms: u64, logger: &dyn Logger) -> Flushed {
        let failure = self.sync_failure();
        debug_assert!(self.last_sync_ms <= now_ms, "synced at a time to come");
        let due = now_ms.saturating_sub(self.last_sync_ms) >= SYNC_EVERY_MS;
        let wanted = self.sync_asked < self.size || failure.is_some();
        if wanted && due && self.syncs.waiting() == 0 {
            self.last_sync_ms = now_ms;
            if let Err(error) = self.sync_in_background() {
                self.note_sync_failure(&error);
            }
        }
        match self.sync_failure() {
            None => Flushed::Done,
            Some(text) => {
                if self.may_complain(now_ms) {
                    logger.log(
                        Level::Warning,
                        &format!("Fail to fsync the AOF file: {text}"),
                    );
                }
                Flushed::Failed
            }
        }
    }

    fn sync_in_background(&mut self) -> io::Result<()> {
        debug_assert!(
            self.sync_asked <= self.size,
            "no more than there is was synced"
        );
        let handle: Box<dyn SyncHandle> = self.file.sync_handle()?;
        let failure = Arc::clone(&self.sync_failure);
        let (durable, upto) = (Arc::clone(&self.durable), self.written);
        self.sync_asked = self.size;
        self.syncs.send(Box::new(move || {
            let outcome = handle.sync_data().err().map(|error| error_text(&error));
            match outcome {
                None => durable.synced.fetch_max(upto, Ordering::AcqRel),
                Some(_) => durable.lost.fetch_max(upto, Ordering::AcqRel),
            };
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
        }));
        Ok(())
    }

    fn note_sync_failure(&self, error: &io::Error) {
        *self
            .sync_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error_text(error));
    }

    fn sync_failure(&self) -> Option<String> {
        self.sync_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether trouble may be logged again; every tick meets it anew.
    fn may_complain(&mut self, now_ms: u64) -> bool {
        let may = self
            .complained_ms
            .is_none_or(|last| now_ms.saturating_sub(last) >= COMPLAIN_EVERY_MS);
        if may {
            self.complained_ms = Some(now_ms);
        }
        may
    }

    /// Writes and syncs everything and waits for it: for an orderly end, for SHUTDOWN, for `CONFIG SET appendonly no`, before
    /// another file is listed.
    pub fn finish(&mut self, now_ms: u64, logger: &dyn Logger) -> io::Result<()> {
        let written = self.flush(
            now_ms,
            FlushMode {
                force: true,
                hold_syncs: true,
            },
            logger,
        );
        self.syncs.drain();
        assert_eq!(self.syncs.waiting(), 0, "a sync goes on after the end");
        match written {
            Flushed::Done => {
                assert_eq!(self.buffered(), 0, "something waits after the end");
                self.sync_written()
            }
            Flushed::Fatal(line) => Err(io::Error::other(line)),
            Flushed::Postponed | Flushed::Failed => {
                Err(io::Error::other(self.refusal().unwrap_or_default()))
            }
        }
    }

    /// Waits for the syncs that are running; for tests and for the end.
    pub fn wait_for_syncs(&mut self) {
        self.syncs.drain();
    }
}

/// Writes all of `bytes`, or as much as the disk takes; returns how much and why not more.
fn write_fully(file: &mut dyn DiskFile, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                assert!(
                    written <= bytes.len(),
                    "the disk took what it was not given"
                );
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}
