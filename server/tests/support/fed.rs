//! A log with the journal that it reads, for tests that feed it themselves.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use cairn_engine::base::effect::Feed;
use cairn_server::files::append::{AppendLog, SyncPolicy};
use cairn_server::host::Disk;
use cairn_server::journal::Journal;

/// A log, and the journal before it.
pub struct FedLog {
    journal: Journal,
    log: AppendLog,
}

impl FedLog {
    /// Opens the file at `path` as the first reader of a new journal.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, policy: SyncPolicy) -> io::Result<FedLog> {
        let journal = Journal::default();
        let log = AppendLog::open(disk, path, policy, journal.subscribe())?;
        Ok(FedLog { journal, log })
    }

    /// A command enters as a unit of its own. Answers its position.
    pub fn feed(&mut self, db: usize, command: &[u8], second: Option<i64>) -> u64 {
        let mut changes = Feed::default();
        changes.push_encoded(db, command);
        let unit = self.journal.enter(&changes, false);
        self.log.append(&unit, second);
        unit.end()
    }
}

impl Deref for FedLog {
    type Target = AppendLog;

    fn deref(&self) -> &AppendLog {
        &self.log
    }
}

impl DerefMut for FedLog {
    fn deref_mut(&mut self) -> &mut AppendLog {
        &mut self.log
    }
}
