//! What the server asks of the world: a clock, a disk, children, a journal.
//!
//! The rooms above talk to these traits only. `os` has the real ones; [`faulty`] has a disk that loses what was
//! not synced, so that durability is tested where it can fail. A simulator enters here too.

pub mod faulty;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_engine::base::time::Now;

/// How loud a line of the log is, in Redis's four levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `.` in the log.
    Debug,
    /// `-` in the log.
    Verbose,
    /// `*` in the log.
    Notice,
    /// `#` in the log.
    Warning,
}

/// Where the lower floors say what happened; the log of the server is one, a vector in tests another.
pub trait Journal {
    /// Takes one line without its line end.
    fn log(&self, level: Level, line: &str);
}

/// Two clocks, one that never goes back and one that people set, and what the calling thread has used.
pub trait Clock {
    /// Microseconds since an arbitrary start; never goes back.
    fn monotonic_us(&self) -> u64;
    /// Microseconds since 1970 of the wall clock.
    fn wall_us(&self) -> i64;
    /// Microseconds of processor time that the calling thread has had, those in the system included. A system call.
    fn thread_cpu_us(&self) -> u64;
    /// Both clocks at once.
    fn now(&self) -> Now {
        Now {
            wall_us: self.wall_us(),
            mono_us: self.monotonic_us(),
        }
    }
    /// Milliseconds since 1970 of the wall clock.
    fn wall_ms(&self) -> i64 {
        self.wall_us().div_euclid(1000)
    }
}

/// A second way to an open file, which another thread may use to sync it.
pub trait SyncHandle: Send {
    /// Makes everything written so far survive a power cut (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
}

/// An open file. `write` may take fewer bytes than offered, as the system call may.
pub trait DiskFile: io::Read + io::Write + Send {
    /// Makes everything written so far survive a power cut (fdatasync).
    fn sync_data(&mut self) -> io::Result<()>;
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Cuts the file to `size` bytes; the next write goes there.
    fn truncate(&mut self, size: u64) -> io::Result<()>;
    /// A handle that another thread can sync this file through.
    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>>;
}

/// Files and folders. A file's name survives a power cut only after [`Disk::sync_dir`] of its folder.
pub trait Disk: Send + Sync {
    /// Opens for reading from the start.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Makes an empty file, or empties the one there, for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens for writing at the end; makes the file when it is missing.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Length in bytes, or `None` when there is no such file.
    fn size(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Cuts the file to `size` bytes and syncs it.
    fn truncate(&self, path: &Path, size: u64) -> io::Result<()>;
    /// Gives a file another name, replacing what had it, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder; fine when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a folder of this name.
    fn is_dir(&self, path: &Path) -> bool;
    /// The names in a folder, without order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the names in a folder survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// Reads a whole file that must not be longer than `limit` bytes; for manifests and the like.
pub fn read_all(disk: &dyn Disk, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = disk.open(path)?;
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 8192];
    loop {
        match io::Read::read(&mut file, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) if bytes.len() + count > limit => {
                let text = format!("{}: longer than {limit} bytes", path.display());
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
            }
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Replaces `path` by `bytes` in one step that survives a power cut: temporary file, sync, rename, sync of the folder.
pub fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    let written = write_synced(disk, temporary, bytes).and_then(|()| disk.rename(temporary, path));
    if let Err(error) = written {
        // The error that counts is the first one; the temporary file may not even exist.
        let _ = disk.remove(temporary);
        return Err(error);
    }
    disk.sync_dir(folder_of(path))
}

/// Makes a file of these bytes and waits until the disk has them; its name is not safe yet.
pub fn write_synced(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk.create(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_data()
}

/// The folder that holds `path`: `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What a child tells its parent while it works and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildReport {
    /// Keys written so far.
    pub keys: u64,
    /// Bytes of the finished file; 0 until it is finished.
    pub bytes: u64,
    /// Bytes of memory that the child no longer shares with the parent; 0 where the system cannot tell.
    pub cow: u64,
    /// The highest `cow` reported so far.
    pub cow_peak: u64,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExit {
    /// It left with this code; 0 is success.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// The child's way to its parent.
pub trait ChildLink {
    /// Says how many keys are written; cheap, and passed on about once a second.
    fn progress(&mut self, keys: u64);
    /// Says that the work is finished and how large the file is, in bytes.
    fn finished(&mut self, bytes: u64);
}

/// Work for a child: gets the link, answers with the exit code.
pub type ChildJob<'a> = Box<dyn FnOnce(&mut dyn ChildLink) -> u8 + 'a>;

/// A child as the parent sees it.
pub trait Child {
    /// Process id.
    fn pid(&self) -> u32;
    /// Takes in the reports that have come, then says whether it has ended; never waits.
    fn poll(&mut self) -> Option<ChildExit>;
    /// The last report.
    fn report(&self) -> ChildReport;
    /// Asks it to end at once; [`Child::poll`] tells when it has.
    fn kill(&mut self);
    /// Waits for its end.
    fn wait(&mut self) -> ChildExit;
    /// Microseconds that starting it took (`latest_fork_usec`).
    fn fork_us(&self) -> u64;
    /// A descriptor that becomes readable when a report came or the child has ended, where there is one.
    fn news_fd(&self) -> Option<i32> {
        None
    }
}

/// The world of one running instance.
pub trait Host {
    /// The clocks.
    fn clock(&self) -> &dyn Clock;
    /// The disk.
    fn disk(&self) -> Arc<dyn Disk>;
    /// Starts a child that shares the memory as it is now and runs `job`.
    fn fork(&self, job: ChildJob<'_>) -> io::Result<Box<dyn Child>>;
    /// Fills `bytes` with unpredictable ones, for seeds and ids.
    fn random(&self, bytes: &mut [u8]);
    /// Process id of the server.
    fn pid(&self) -> u32;
    /// Joins a name to the folder that data is kept in, as `CONFIG SET dir` sets it.
    fn data_path(&self, name: &Path) -> PathBuf {
        name.to_path_buf()
    }
}
