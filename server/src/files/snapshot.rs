//! A snapshot file that is either whole or not there.
//!
//! ```text
//!   temp-<pid>.rdb  <- written, synced every 4 MB, synced at the end
//!        | rename
//!   dump.rdb        <- the folder is synced: now it survives a power cut
//! ```
//!
//! Until the rename the old snapshot is untouched; after any failure the temporary file is removed. A process that is
//! killed cannot do that itself: its parent calls [`remove_temporary`].

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::host::{Disk, DiskFile, folder_of};

/// Bytes between two syncs of a file that grows (`rdb-save-incremental-fsync`), so that the last one is short.
const SYNC_EVERY: u64 = 4 << 20;
/// Bytes collected before the disk is asked.
const BUFFER: usize = 64 * 1024;

/// Why no snapshot came about.
#[derive(Debug)]
pub enum SnapshotError<E> {
    /// The disk failed.
    Disk(io::Error),
    /// What was to be written could not be made.
    Content(E),
}

impl<E: fmt::Display> fmt::Display for SnapshotError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Disk(error) => f.write_str(&crate::os::error_text(error)),
            SnapshotError::Content(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for SnapshotError<E> {}

/// The name under which the process `pid` writes a snapshot: `temp-<pid>.rdb`.
pub fn temporary_name(pid: u32) -> PathBuf {
    PathBuf::from(format!("temp-{pid}.rdb"))
}

/// Removes the file that a process which was killed left, if there is one.
pub fn remove_temporary(disk: &dyn Disk, pid: u32) {
    // Usually there is nothing: it ended before it began, or after the rename.
    let _ = disk.remove(&temporary_name(pid));
}

/// Writes a file at `path` by way of `temporary` (same folder); `fill` produces the bytes. Returns their number.
pub fn write<E>(
    disk: &dyn Disk,
    path: &Path,
    temporary: &Path,
    incremental_sync: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<u64, SnapshotError<E>> {
    assert_ne!(path, temporary, "the old file would be gone at once");
    let written = write_temporary(disk, temporary, incremental_sync, fill).and_then(|bytes| {
        disk.rename(temporary, path)
            .map(|()| bytes)
            .map_err(SnapshotError::Disk)
    });
    match written {
        Ok(bytes) => {
            disk.sync_dir(folder_of(path))
                .map_err(SnapshotError::Disk)?;
            Ok(bytes)
        }
        Err(error) => {
            // What counts is why it failed; the file may not even exist.
            let _ = disk.remove(temporary);
            Err(error)
        }
    }
}

fn write_temporary<E>(
    disk: &dyn Disk,
    temporary: &Path,
    incremental_sync: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<u64, SnapshotError<E>> {
    let file = disk.create(temporary).map_err(SnapshotError::Disk)?;
    let mut writer = SyncingWriter::new(file, incremental_sync.then_some(SYNC_EVERY));
    let filled = fill(&mut writer);
    // A failure of the disk is the cause, whatever the content's error makes of it.
    if let Some(error) = writer.failure.take() {
        return Err(SnapshotError::Disk(error));
    }
    filled.map_err(SnapshotError::Content)?;
    writer.finish().map_err(SnapshotError::Disk)
}

/// A buffer in front of a file that is synced as it grows, so that the last sync is short.
pub struct SyncingWriter {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    sync_every: Option<u64>,
    written: u64,
    synced: u64,
    /// The first error, also when the caller swallowed it.
    failure: Option<io::Error>,
}

impl SyncingWriter {
    /// Syncs each time that so many bytes were written, if at all.
    pub fn new(file: Box<dyn DiskFile>, sync_every: Option<u64>) -> SyncingWriter {
        let buffer = Vec::with_capacity(BUFFER);
        SyncingWriter {
            file,
            buffer,
            sync_every,
            written: 0,
            synced: 0,
            failure: None,
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        debug_assert!(self.synced <= self.written);
        if self
            .sync_every
            .is_some_and(|every| self.written - self.synced >= every)
        {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn empty_buffer(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let passed = self.pass_on(&buffer);
        buffer.clear();
        self.buffer = buffer;
        passed
    }

    fn noted(&mut self, done: io::Result<()>) -> io::Result<()> {
        done.inspect_err(|error| {
            let copy = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            self.failure.get_or_insert(copy);
        })
    }

    /// Everything is in the file and on the disk. Answers the bytes.
    ///
    /// # Errors
    /// The disk reports.
    pub fn finish(mut self) -> io::Result<u64> {
        debug_assert!(self.failure.is_none(), "a file that lacks something");
        self.empty_buffer()?;
        self.file.sync_data()?;
        Ok(self.written)
    }
}

impl Write for SyncingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            let emptied = self.empty_buffer();
            self.noted(emptied)?;
        }
        if bytes.len() >= BUFFER {
            // In pieces, so that syncs come in time within one large value too.
            for piece in bytes.chunks(SYNC_EVERY as usize) {
                let passed = self.pass_on(piece);
                self.noted(passed)?;
            }
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        debug_assert!(self.buffer.len() <= BUFFER, "it grows");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let emptied = self.empty_buffer();
        self.noted(emptied)
    }
}
