//! `nodes.conf` on the disk.
//!
//! A lock file beside it keeps a second node away: the file itself is replaced with each change, and a lock on it would be one on a
//! file that is gone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::{Disk, Held, read_all, replace_file};
use crate::os::error_text;

/// No table of nodes is longer.
const BYTES_MAX: usize = 64 << 20;

/// The file, held by this node alone.
#[derive(Debug)]
pub struct NodesFile {
    path: PathBuf,
    /// As long as this lives.
    _held: Box<dyn Held>,
}

impl NodesFile {
    /// Takes the file of this name.
    ///
    /// # Errors
    /// The line to end with: another node has it, or it cannot be locked.
    pub fn hold(disk: &dyn Disk, path: &Path) -> Result<NodesFile, String> {
        let name = path.display();
        let held = disk.hold(&beside(path, ".lock"));
        let held = held.map_err(|error| {
            format!(
                "Can't open {name} in order to acquire a lock: {}",
                error_text(&error)
            )
        })?;
        match held {
            Some(held) => Ok(NodesFile {
                path: path.to_path_buf(),
                _held: held,
            }),
            None => Err(format!(
                "Sorry, the cluster configuration file {name} is already used by a different Redis Cluster node. Please make sure that different nodes use different cluster configuration files."
            )),
        }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text; none if it is not there, or empty.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, disk: &Arc<dyn Disk>) -> io::Result<Option<Vec<u8>>> {
        match read_all(&**disk, &self.path, BYTES_MAX) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces it in one step; it is on the disk afterwards.
    ///
    /// # Errors
    /// The system's; the file is as it was.
    pub fn write(&self, disk: &Arc<dyn Disk>, text: &str) -> io::Result<()> {
        replace_file(
            &**disk,
            &self.path,
            &beside(&self.path, ".tmp"),
            text.as_bytes(),
        )
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(end);
    PathBuf::from(name)
}
