//! The primary that this server follows.

use std::path::PathBuf;

use cairn_engine::base::id::SessionId;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::load::Loader;
use cairn_replication::link::Link;

use crate::files::snapshot::SyncingWriter;

/// Where a snapshot is read from.
pub type Reading = Box<dyn std::io::Read>;

/// A snapshot that comes from the primary.
pub struct Arriving {
    /// Where it is written.
    pub path: PathBuf,
    /// The file.
    pub file: SyncingWriter,
}

/// A snapshot of the primary that is read.
pub struct Load {
    /// Where it is.
    pub path: PathBuf,
    /// How far it is read.
    pub loader: Loader<Reading>,
    /// Where it goes while it is only proven to be readable.
    pub scratch: Option<Box<Keyspace>>,
    /// Keys asked of it.
    pub keys: u64,
    /// The log was on before the old data went.
    pub log_was_on: bool,
    /// Nobody wants it any more.
    pub given_up: bool,
}

/// The way to it.
pub struct Upstream {
    /// Step by step.
    pub link: Link,
    /// The connection, while there is one.
    pub slot: Option<usize>,
    /// The session that its commands run on.
    pub session: Option<SessionId>,
    /// The database that its stream is at.
    pub db: usize,
    /// What this server holds is at the history's offset: the stream may go on from there.
    pub may_resume: bool,
    /// The snapshot that comes.
    pub arriving: Option<Arriving>,
    /// Commands that ran but whose transaction is open: not in the stream yet.
    pub pending: Vec<u8>,
    /// Offset behind what was received.
    pub read_offset: u64,
}

impl Upstream {
    /// On its way.
    pub fn new(link: Link, may_resume: bool, db: usize) -> Upstream {
        Upstream {
            link,
            slot: None,
            session: None,
            db,
            may_resume,
            arriving: None,
            pending: Vec::new(),
            read_offset: 0,
        }
    }

    /// Whether a connection is that of the primary.
    #[inline]
    pub fn is_on(&self, slot: usize) -> bool {
        self.slot == Some(slot)
    }
}
