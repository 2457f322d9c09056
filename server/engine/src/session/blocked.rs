//! A session that waits: for a key to have something, or for its time to run out.
//!
//! The waiting command is kept and simply run again when one of its keys has changed (as Redis 7.2 does), so that it
//! answers what it would answer then, errors included. Sessions wait in the order in which they came; one that has to go
//! on waiting keeps its place.

use std::collections::VecDeque;

use super::SessionId;
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
    /// It waits for the log instead of keys, and is answered without being run again.
    pub log: Option<LogWait>,
}

/// What WAITAOF waits for.
#[derive(Clone, Copy, Debug)]
pub struct LogWait {
    /// Position of the log behind the session's last change.
    pub mark: u64,
    /// The log of this server has to be on the disk up to there.
    pub local: bool,
    /// So many replicas have to say the same of theirs.
    pub replicas: u64,
}

/// One place in the queue of a key.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Who waits.
    pub session: SessionId,
    /// See [`Blocked::kind`].
    pub kind: Kind,
    /// See [`Blocked::on_missing`].
    pub on_missing: bool,
}

/// Those who wait for one key, in the order in which they came.
#[derive(Debug, Default)]
pub struct Queue {
    waiters: VecDeque<Waiter>,
    /// How many of them also want to know when the key goes.
    on_missing: usize,
    /// The key stands among those to look at already.
    noted: bool,
}

impl Queue {
    /// Adds somebody behind all others.
    pub fn push(&mut self, waiter: Waiter) {
        self.on_missing += usize::from(waiter.on_missing);
        self.waiters.push_back(waiter);
    }

    /// Somebody waits no longer. Who came first usually goes first, and is found at once.
    pub fn remove(&mut self, session: SessionId) {
        let place = self.waiters.iter().position(|w| w.session == session);
        if let Some(waiter) = place.and_then(|place| self.waiters.remove(place)) {
            self.on_missing -= usize::from(waiter.on_missing);
        }
    }

    /// Who stands at a place.
    pub fn get(&self, place: usize) -> Option<Waiter> {
        self.waiters.get(place).copied()
    }

    /// Number of those who wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Whether anybody cares about a key that is gone.
    pub fn wants_missing(&self) -> bool {
        self.on_missing > 0
    }

    /// Notes that the key has changed; false if that was known.
    pub fn note(&mut self) -> bool {
        !std::mem::replace(&mut self.noted, true)
    }

    /// The change is being looked at: the next one is news again.
    pub fn unnote(&mut self) {
        self.noted = false;
    }
}
