//! The primary that this server follows.

use cairn_engine::base::id::SessionId;
use cairn_replication::link::Link;

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
    /// This server has followed it before: it is no other one that somebody has named just now.
    pub is_known: bool,
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
            is_known: false,
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
