//! Those who wait for a key, in the order in which they came. Who has to go on waiting keeps the place.

use std::collections::{HashSet, VecDeque};

use crate::base::id::SessionId;
use crate::value::Kind;

/// One place in the queue of a key.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Who waits.
    pub session: SessionId,
    /// Type that the key must have to be of interest.
    pub kind: Kind,
    /// It also wants to know when the key goes or changes its type.
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
        debug_assert!(self.on_missing <= self.waiters.len());
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

    /// Whether the key has changed and was not looked at since.
    pub(super) fn is_noted(&self) -> bool {
        self.noted
    }

    /// Whether a session stands here.
    pub fn holds(&self, session: SessionId) -> bool {
        self.waiters.iter().any(|waiter| waiter.session == session)
    }

    /// Tests that somebody waits, nobody twice, and that those are counted who want to know when the key goes.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check(&self) -> Result<(), String> {
        let different: HashSet<_> = self.waiters.iter().map(|w| w.session).collect();
        let missing = self.waiters.iter().filter(|w| w.on_missing).count();
        match !self.is_empty() && different.len() == self.len() && missing == self.on_missing {
            true => Ok(()),
            false => Err(format!("{self:?}")),
        }
    }

    /// The change is being looked at: the next one is news again.
    pub fn unnote(&mut self) {
        self.noted = false;
    }
}
