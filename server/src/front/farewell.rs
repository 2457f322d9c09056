//! A shutdown that waits for replicas.

use cairn_engine::base::id::SessionId;

use crate::config::ShutdownFlags;

/// What it was asked for with, and who waits for it.
#[derive(Debug)]
pub struct Farewell {
    /// How to end.
    pub flags: ShutdownFlags,
    /// When it ends, replicas or not, monotonic milliseconds.
    pub until_ms: u64,
    /// Sessions whose SHUTDOWN it is; none of a signal.
    pub sessions: Vec<SessionId>,
}
