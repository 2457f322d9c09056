//! What is asked of a disk.

use std::io;
use std::path::Path;

use super::Worker;

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
    /// The next read begins so many bytes from the start.
    fn seek(&mut self, at: u64) -> io::Result<()>;
    /// A handle that another thread can sync this file through.
    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>>;
}

/// A name that this process has alone ([`Disk::hold`]).
pub trait Held: std::fmt::Debug + Send {}

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
    /// Keeps this name, of a file that is made if it is missing, for this process until what it answers is dropped; none: another process has it.
    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>>;
    /// Does slow calls of this disk one after the other, so that the event loop need not wait for them. `name` is for those
    /// who look at the threads of the process.
    fn worker(&self, name: &'static str) -> Box<dyn Worker>;
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
    assert_ne!(path, temporary, "the old file would be gone at once");
    debug_assert_eq!(
        folder_of(path),
        folder_of(temporary),
        "the name leaves a folder that is not synced"
    );
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
