//! How the files of the append log are named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cairn_format::aof::manifest::{Part, manifest_name};

/// Largest manifest that is read: thousands of failed rewrites.
pub(super) const MANIFEST_MAX: usize = 16 << 20;

/// Where the log is and how its files are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendNames {
    /// `appenddirname`, relative to the data folder.
    pub folder: PathBuf,
    /// `appendfilename`: what all names begin with, and the name of a log of the time before 7.0.
    pub prefix: String,
}

impl AppendNames {
    pub(super) fn inside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn part(&self, part: &Part) -> PathBuf {
        self.folder.join(OsStr::from_bytes(&part.name))
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.inside(&manifest_name(&self.prefix))
    }

    /// The increment used while appending is switched on and no base exists yet; not listed anywhere.
    pub(super) fn temporary_incr(&self) -> PathBuf {
        self.inside(&format!("temp-{}.incr", self.prefix))
    }

    /// One that is not needed, on its way to be removed.
    pub(super) fn discarded_incr(&self) -> PathBuf {
        self.inside(&format!("temp-{}.incr.discarded", self.prefix))
    }
}
