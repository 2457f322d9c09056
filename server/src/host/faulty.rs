//! A disk in memory that behaves like the worst one a file system may be, for tests of durability.
//!
//! Two states of everything, the one programs see and the one that survives a power cut:
//!
//! ```text
//!            seen now          after crash()
//!   bytes    write             what sync_data had made durable, plus a torn piece of what came after it
//!   names    create, rename    what sync_dir had made durable
//! ```
//!
//! Invariant: `crash` never shows a byte that was not written, nor takes one away that was synced under a synced name.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::worker::JobQueues;
use super::{Disk, DiskFile, Held, SyncHandle, ThreadWorker, Worker, folder_of};

/// One step that a program asked of the disk, in order; tests look for a sync before a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bytes written to the file of this name (the one it was opened with).
    Write(PathBuf, usize),
    /// File synced.
    Sync(PathBuf),
    /// A sync that failed as planned.
    SyncFailed(PathBuf),
    /// Folder synced.
    SyncDir(PathBuf),
    /// File cut to so many bytes.
    Truncate(PathBuf, u64),
    /// First name replaced the second.
    Rename(PathBuf, PathBuf),
    /// Name taken away.
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    names_durable: Names,
    folders: Vec<PathBuf>,
    steps: Vec<Step>,
    /// Bytes that still fit; `None` is no limit.
    space: Option<usize>,
    /// How many of the next syncs fail.
    syncs_to_fail: usize,
    /// Largest single write; larger ones are cut short, as the system call may.
    write_max: Option<usize>,
    /// How many more steps are taken before the disk stops; `None` is no limit.
    steps_left: Option<usize>,
    /// Syncs through a second handle wait.
    held: bool,
    /// Counts crashes: handles from before one are dead.
    life: u64,
}

/// The disk; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
    /// Where the jobs of workers wait; without it they have threads.
    jobs: Option<JobQueues>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub fn new() -> FaultyDisk {
        FaultyDisk::default()
    }

    /// As [`FaultyDisk::new`]; jobs of its workers are done when the queues are told to, and no thread is made.
    pub fn with_jobs(jobs: JobQueues) -> FaultyDisk {
        FaultyDisk {
            jobs: Some(jobs),
            ..FaultyDisk::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets only `bytes` more bytes be written, then answers ENOSPC; `None` lifts the limit.
    pub fn set_space(&self, bytes: Option<usize>) {
        self.lock().space = bytes;
    }

    /// Lets the next `count` syncs fail with EIO.
    pub fn fail_syncs(&self, count: usize) {
        self.lock().syncs_to_fail = count;
    }

    /// Cuts every write to at most `bytes` bytes; `None` lifts the limit.
    pub fn set_write_max(&self, bytes: Option<usize>) {
        self.lock().write_max = bytes;
    }

    /// Lets `count` more steps happen, then fails every one with EIO: the moment before a power cut.
    pub fn stop_after(&self, count: usize) {
        self.lock().steps_left = Some(count);
    }

    /// Lets syncs through a second handle wait until this is taken back: a busy disk.
    pub fn hold_syncs(&self, hold: bool) {
        self.lock().held = hold;
    }

    /// What was asked so far; the record starts anew.
    pub fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.lock().steps)
    }

    /// The bytes a program sees in `path` now.
    pub fn seen(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = *state.names.get(path.as_ref())?;
        Some(state.inodes[inode].seen.clone())
    }

    /// Whether a file that would be there after a power cut has these bytes.
    pub fn survives(&self, bytes: &[u8]) -> bool {
        let state = self.lock();
        let mut files = state.names_durable.values();
        files.any(|inode| {
            let durable = &state.inodes[*inode].durable;
            // What is asked for was written lately, in most cases.
            let mut parts = durable.windows(bytes.len()).rev();
            parts.any(|part| part[0] == bytes[0] && part == bytes)
        })
    }

    /// Power cut: names and bytes go back to what was synced. Of the bytes appended to a file after its last sync, at
    /// most `torn` survive. Handles opened before answer with an error from now on.
    pub fn crash(&self, torn: usize) {
        let mut state = self.lock();
        state.life += 1;
        state.names = state.names_durable.clone();
        state.space = None;
        state.syncs_to_fail = 0;
        state.steps_left = None;
        for inode in &mut state.inodes {
            let synced = inode.durable.len();
            let appended = inode.seen.len() > synced && inode.seen[..synced] == inode.durable[..];
            if appended {
                let kept = inode.seen.len().min(synced + torn);
                inode.seen.truncate(kept);
                assert!(
                    inode.seen.starts_with(&inode.durable),
                    "a power cut takes what was synced"
                );
            } else {
                inode.seen = inode.durable.clone();
            }
            inode.durable = inode.seen.clone();
        }
    }

    fn handle(&self, path: &Path, inode: usize, position: Option<usize>) -> Box<dyn DiskFile> {
        let life = self.lock().life;
        Box::new(FaultyFile {
            disk: self.clone(),
            path: path.to_path_buf(),
            inode,
            position,
            life,
        })
    }

    fn sync(&self, path: &Path, inode: usize, life: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.alive(life)?;
        state.step()?;
        if state.syncs_to_fail > 0 {
            state.syncs_to_fail -= 1;
            state.steps.push(Step::SyncFailed(path.to_path_buf()));
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        state.steps.push(Step::Sync(path.to_path_buf()));
        let inode = &mut state.inodes[inode];
        inode.durable = inode.seen.clone();
        Ok(())
    }
}

impl State {
    fn alive(&self, life: u64) -> io::Result<()> {
        if self.life == life {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
    }

    /// Counts a step that changes something.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps_left {
            Some(0) => Err(io::Error::from_raw_os_error(libc::EIO)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    fn folder_must_exist(&self, path: &Path) -> io::Result<()> {
        let folder = folder_of(path);
        let known = folder == Path::new(".") || self.folders.iter().any(|name| name == folder);
        if known {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOENT))
        }
    }

    fn find_or_make(&mut self, path: &Path) -> io::Result<usize> {
        self.folder_must_exist(path)?;
        if let Some(inode) = self.names.get(path) {
            return Ok(*inode);
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(path.to_path_buf(), inode);
        Ok(inode)
    }
}

/// Nobody else is there.
#[derive(Debug)]
struct Alone;

impl Held for Alone {}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.lock().find(path)?;
        Ok(self.handle(path, inode, Some(0)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = {
            let mut state = self.lock();
            state.step()?;
            let inode = state.find_or_make(path)?;
            state.inodes[inode].seen.clear();
            inode
        };
        Ok(self.handle(path, inode, Some(0)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.lock().find_or_make(path)?;
        Ok(self.handle(path, inode, None))
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.lock();
        Ok(state
            .names
            .get(path)
            .map(|inode| state.inodes[*inode].seen.len() as u64))
    }

    fn truncate(&self, path: &Path, size: u64) -> io::Result<()> {
        let mut file = self.append(path)?;
        file.truncate(size)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        let inode = state.find(from)?;
        state.folder_must_exist(to)?;
        assert_ne!(from, to, "the name would be gone");
        state.names.remove(from);
        state.names.insert(to.to_path_buf(), inode);
        state
            .steps
            .push(Step::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.find(path)?;
        state.names.remove(path);
        state.steps.push(Step::Remove(path.to_path_buf()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.folders.iter().any(|name| name == path) {
            state.folders.push(path.to_path_buf());
        }
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new(".") || self.lock().folders.iter().any(|name| name == path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let inside = state.names.keys().filter(|name| folder_of(name) == path);
        Ok(inside
            .filter_map(|name| Some(name.file_name()?.to_str()?.to_string()))
            .collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.steps.push(Step::SyncDir(path.to_path_buf()));
        let inside = |name: &Path| folder_of(name) == path;
        let State {
            names,
            names_durable,
            ..
        } = &mut *state;
        names_durable.retain(|name, _| !inside(name));
        names_durable.extend(
            names
                .iter()
                .filter(|(name, _)| inside(name))
                .map(|(name, inode)| (name.clone(), *inode)),
        );
        Ok(())
    }

    /// One process at a time has this disk.
    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        self.lock().find_or_make(path)?;
        Ok(Some(Box::new(Alone)))
    }

    fn worker(&self, name: &'static str) -> Box<dyn Worker> {
        match &self.jobs {
            Some(jobs) => jobs.worker(),
            None => Box::new(ThreadWorker::new(name, || Box::new(()))),
        }
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    inode: usize,
    /// `None`: always at the end.
    position: Option<usize>,
    life: u64,
}

impl io::Read for FaultyFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.lock();
        state.alive(self.life)?;
        let bytes = &state.inodes[self.inode].seen;
        let at = self.position.unwrap_or(0).min(bytes.len());
        let count = into.len().min(bytes.len() - at);
        into[..count].copy_from_slice(&bytes[at..at + count]);
        drop(state);
        self.position = Some(at + count);
        Ok(count)
    }
}

impl io::Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.alive(self.life)?;
        state.step()?;
        let mut count = bytes.len().min(state.write_max.unwrap_or(usize::MAX));
        if let Some(space) = &mut state.space {
            count = count.min(*space);
            if count == 0 && !bytes.is_empty() {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            *space -= count;
        }
        let seen = &mut state.inodes[self.inode].seen;
        let at = self.position.unwrap_or(seen.len());
        if seen.len() < at + count {
            seen.resize(at + count, 0);
        }
        seen[at..at + count].copy_from_slice(&bytes[..count]);
        state.steps.push(Step::Write(self.path.clone(), count));
        if let Some(position) = &mut self.position {
            *position += count;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn sync_data(&mut self) -> io::Result<()> {
        self.disk.sync(&self.path, self.inode, self.life)
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.alive(self.life)?;
        Ok(state.inodes[self.inode].seen.len() as u64)
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.alive(self.life)?;
        state.step()?;
        assert!(
            size as usize <= state.inodes[self.inode].seen.len(),
            "a cut makes longer"
        );
        state.steps.push(Step::Truncate(self.path.clone(), size));
        state.inodes[self.inode].seen.resize(size as usize, 0);
        if let Some(position) = &mut self.position {
            *position = size as usize;
        }
        Ok(())
    }

    fn seek(&mut self, at: u64) -> io::Result<()> {
        if let Some(position) = &mut self.position {
            *position = at as usize;
        }
        Ok(())
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        let FaultyFile {
            disk,
            path,
            inode,
            life,
            ..
        } = self;
        Ok(Box::new(FaultySync {
            disk: disk.clone(),
            path: path.clone(),
            inode: *inode,
            life: *life,
        }))
    }
}

struct FaultySync {
    disk: FaultyDisk,
    path: PathBuf,
    inode: usize,
    life: u64,
}

impl SyncHandle for FaultySync {
    fn sync_data(&self) -> io::Result<()> {
        while self.disk.lock().held {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.disk.sync(&self.path, self.inode, self.life)
    }
}
