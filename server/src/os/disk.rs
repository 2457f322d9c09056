//! The real disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::affinity::Processors;
use crate::host::{Disk, DiskFile, Held, SyncHandle, Worker};

/// Files of the operating system; relative names start at the working directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk {
    /// Where its threads run; none leaves it to the system.
    pub(super) worker_cpus: Option<Processors>,
}

struct SystemFile {
    file: File,
    appends: bool,
}

impl Read for SystemFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

impl Write for SystemFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SystemFile {
    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        debug_assert!(
            self.size().is_ok_and(|now| size <= now),
            "a cut makes longer"
        );
        self.file.set_len(size)?;
        if !self.appends {
            self.file.seek(SeekFrom::Start(size))?;
        }
        Ok(())
    }

    fn seek(&mut self, at: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at)).map(|_| ())
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        Ok(Box::new(SystemSync(self.file.try_clone()?)))
    }
}

struct SystemSync(File);

impl SyncHandle for SystemSync {
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn boxed(file: io::Result<File>, appends: bool) -> io::Result<Box<dyn DiskFile>> {
    Ok(Box::new(SystemFile {
        file: file?,
        appends,
    }))
}

impl Held for File {}

impl Disk for SystemDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(File::open(path), false)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(File::create(path), false)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(
            OpenOptions::new().append(true).create(true).open(path),
            true,
        )
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        match std::fs::metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn truncate(&self, path: &Path, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        debug_assert!(
            file.metadata().is_ok_and(|now| size <= now.len()),
            "a cut makes longer"
        );
        file.set_len(size)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some file systems cannot sync a folder and say so; there is nothing more to be done there.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            synced => synced,
        }
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        let options = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = options?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn worker(&self, name: &'static str) -> Box<dyn Worker> {
        super::worker(name, self.worker_cpus)
    }
}
