//! A session that waits: for a key to have something, or for its time to run out.
//!
//! The waiting command is kept and simply run again when one of its keys has changed (as Redis 7.2 does), so that it
//! answers what it would answer then, errors included.

use super::transaction::Queued;
use crate::value::Kind;

/// What a waiting session waits for.
#[derive(Debug)]
pub struct Blocked {
    /// The command to run again.
    pub command: Queued,
    /// Database of its keys.
    pub db: usize,
    /// The keys.
    pub keys: Vec<Box<[u8]>>,
    /// Type that a key must have to be of interest.
    pub kind: Kind,
    /// The command also wants to know when a key goes or changes its type (XREADGROUP).
    pub on_missing: bool,
    /// Wall milliseconds at which the wait ends; none: never.
    pub deadline_ms: Option<i64>,
    /// Wall milliseconds at which it is looked at though no key has changed: its deadline, or before that when it is to be run again.
    pub wake_ms: Option<i64>,
    /// Time of its runs so far, microseconds.
    pub spent_us: u64,
    /// It waits for the log or for replicas instead of keys, and is answered without being run again.
    pub held: Option<HeldWait>,
}

/// What WAIT and WAITAOF wait for.
#[derive(Clone, Copy, Debug)]
pub struct HeldWait {
    /// Position of the journal behind the session's last change.
    pub mark: u64,
    /// So many replicas have to have it.
    pub replicas: u64,
    /// Where it has to be.
    pub place: Place,
}

/// Where what was written has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of replicas (WAIT).
    Memory,
    /// On disks (WAITAOF): those of replicas, and if so, this server's own.
    Disk {
        /// This server's log has to be on the disk, too.
        local: bool,
    },
}
