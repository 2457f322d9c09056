//! All replicas of this server, and the stream that they follow.
//!
//! ```text
//!   Named --sync--> Waits --snapshot_began--> Snapshot --snapshot_ended--> Transfer --transferred--> Online
//!      |                      \-> Streamed --snapshot_ended--> Marked --acked----------------------------^
//!      \---------------------- sync, where the backlog holds what is missing ----------------------------^
//! ```
//! | file | what |
//! |---|---|
//! | `replica` | one replica |
//! | `greeting` | what it says of itself: REPLCONF |
//! | `sync` | from its request to the stream |
//! | `clock` | what time brings: pings, lost replicas, a backlog that nobody reads |
//!
//! What is to be done is gathered in [`Primary::take_actions`]. Invariants ([`Primary::check`]): whoever is at `Snapshot` or
//! behind has a position that the backlog reaches; the backlog ends where the history does.

mod clock;
mod greeting;
mod replica;
mod sync;
mod written;

use std::collections::{BTreeMap, BTreeSet};

pub use clock::Timing;
pub use greeting::Greeting;
pub use replica::{Capabilities, Filter, PeerId, Replica, State};
pub use sync::{Answer, Asked, Wanted};

use written::Written;

use crate::backlog::Backlog;
use crate::history::{History, ReplId};

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Usual.
    Notice,
    /// Needs attention.
    Warning,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bytes to a replica, beside the stream.
    Send(PeerId, Vec<u8>),
    /// The snapshot that has just ended is to be sent to a replica; [`Primary::transferred`] tells that it was.
    Transfer(PeerId),
    /// A replica that goes on is sent what is from here up to there, which has left the backlog and is kept elsewhere;
    /// [`Primary::transferred`] tells that it was.
    Replay {
        /// The replica.
        peer: PeerId,
        /// Offset of the first byte.
        from: u64,
        /// Offset of the first byte that the backlog has.
        until: u64,
    },
    /// A command enters the stream, behind what changed so far.
    Enter(Vec<u8>),
    /// Hang up.
    Close(PeerId),
    /// Hang up when what was said is sent.
    Dismiss(PeerId),
    /// A line for the log.
    Log(Level, String),
}

/// What INFO counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Requests that were answered with a snapshot.
    pub sync_full: u64,
    /// Requests that went on where they had been.
    pub partial_ok: u64,
    /// Requests to go on that could not be met.
    pub partial_err: u64,
}

/// How many servers these are: one that has come back while its old connection is not known to be dead is one, not two.
fn distinct<'a>(replicas: impl Iterator<Item = &'a Replica>) -> usize {
    let mut seen = BTreeSet::new();
    // Without a port nobody knows who it is.
    replicas
        .filter(|replica| replica.port == 0 || seen.insert((replica.address(), replica.port)))
        .count()
}

/// The machine.
#[derive(Debug)]
pub struct Primary {
    history: History,
    backlog: Option<Backlog>,
    backlog_size: u64,
    replicas: BTreeMap<PeerId, Replica>,
    actions: Vec<Action>,
    /// Since when nobody follows, monotonic milliseconds.
    alone_since_ms: Option<u64>,
    /// What ends the snapshot that is sent while it is written.
    marker: String,
    pinged_at_ms: u64,
    /// When the stream reached which offset.
    written: Written,
    /// Figures.
    pub counters: Counters,
}

impl Primary {
    /// Nobody follows, nothing was written.
    pub fn new(id: ReplId, backlog_size: u64) -> Primary {
        Primary {
            history: History::new(id),
            backlog: None,
            backlog_size,
            replicas: BTreeMap::new(),
            actions: Vec::new(),
            alone_since_ms: None,
            marker: String::new(),
            pinged_at_ms: 0,
            written: Written::default(),
            counters: Counters::default(),
        }
    }

    /// Names and length of the stream.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What of it is kept, if anybody ever asked for it.
    pub fn backlog(&self) -> Option<&Backlog> {
        self.backlog.as_ref()
    }

    /// `repl-backlog-size`.
    pub fn backlog_size(&self) -> u64 {
        self.backlog_size
    }

    /// Sets `repl-backlog-size`.
    pub fn set_backlog_size(&mut self, bytes: u64) {
        self.backlog_size = bytes;
        if let Some(backlog) = &mut self.backlog {
            backlog.set_size(bytes);
        }
    }

    /// All that named themselves, by age.
    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values()
    }

    /// The replica on a connection, if one is.
    pub fn replica(&self, peer: PeerId) -> Option<&Replica> {
        self.replicas.get(&peer)
    }

    /// How many have asked to be replicas.
    pub fn followers(&self) -> usize {
        let asked = |replica: &&Replica| replica.state != State::Named;
        self.replicas.values().filter(asked).count()
    }

    /// Whether the stream has to be written: somebody follows it, or may come back.
    pub fn streams(&self) -> bool {
        self.backlog.is_some()
    }

    /// Whether anybody is there, anything is kept, or anything is to be done.
    #[inline]
    pub fn is_at_work(&self) -> bool {
        self.backlog.is_some() || !self.replicas.is_empty() || !self.actions.is_empty()
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The stream goes on with these bytes. Without a backlog nobody could ever ask for them.
    pub fn stream(&mut self, bytes: &[u8]) {
        let Some(backlog) = &mut self.backlog else {
            return;
        };
        backlog.append(bytes);
        self.history.advance(bytes.len() as u64);
        debug_assert_eq!(backlog.next(), self.history.offset() + 1);
        if backlog.has_surplus() {
            self.trim();
        }
    }

    /// What nobody needs goes.
    fn trim(&mut self) {
        let needed = self.replicas.values().filter_map(Replica::next).min();
        if let Some(backlog) = &mut self.backlog {
            backlog.trim(needed);
        }
    }

    /// For whom the stream is kept while a snapshot is written or sent.
    pub fn syncing(&self) -> impl Iterator<Item = PeerId> {
        let syncing = |replica: &&Replica| replica.is_syncing();
        self.replicas
            .values()
            .filter(syncing)
            .map(|replica| replica.peer)
    }

    /// Who is sent the snapshot that is being written.
    pub fn streamed(&self) -> impl Iterator<Item = PeerId> {
        let streamed = |replica: &&Replica| replica.is_streamed();
        self.replicas
            .values()
            .filter(streamed)
            .map(|replica| replica.peer)
    }

    /// Who follows the stream, and has not been sent all of it.
    pub fn behind(&self) -> impl Iterator<Item = PeerId> {
        let end = self.history.offset();
        let behind = move |replica: &&Replica| matches!(replica.state, State::Online { next } if next <= end);
        self.replicas
            .values()
            .filter(behind)
            .map(|replica| replica.peer)
    }

    /// What of the stream a replica has to be sent, piece by piece; nothing to who is not online.
    pub fn unsent(&self, peer: PeerId) -> impl Iterator<Item = &[u8]> {
        let next = match self.replicas.get(&peer).map(|replica| replica.state) {
            Some(State::Online { next }) => Some(next),
            _ => None,
        };
        let both = self.backlog.as_ref().zip(next);
        both.into_iter()
            .flat_map(|(backlog, next)| backlog.from(next))
    }

    /// The socket of a replica took so many bytes of it.
    pub fn sent(&mut self, peer: PeerId, bytes: u64) {
        if let Some(replica) = self.replicas.get_mut(&peer)
            && let State::Online { next } = &mut replica.state
        {
            *next += bytes;
            assert!(*next <= self.history.offset() + 1, "more than there was");
        }
    }

    /// Bytes that are kept for a replica and were not sent yet. Who was dropped because another stream has begun may be beyond it.
    pub fn bytes_behind(&self, peer: PeerId) -> u64 {
        let next = self.replicas.get(&peer).and_then(Replica::next);
        next.map_or(0, |next| (self.history.offset() + 1).saturating_sub(next))
    }

    /// The stream has come this far by now.
    pub fn note_time(&mut self, now_ms: u64) {
        self.written.note(self.history.offset(), now_ms);
    }

    /// How far a replica has fallen behind, as it said last: bytes, and for how many milliseconds what it lacks has been there.
    pub fn lag(&self, replica: &Replica, now_ms: u64) -> (u64, u64) {
        let bytes = self.history.offset().saturating_sub(replica.acked);
        let since = self.written.since(replica.acked);
        let ms = since.map_or(0, |since| now_ms.saturating_sub(since));
        (bytes, if bytes == 0 { 0 } else { ms })
    }

    /// Online replicas that acknowledged `offset`, and those whose log is on their disk up to there.
    pub fn acknowledged(&self, offset: u64) -> (u64, u64) {
        let online = || self.replicas.values().filter(|replica| replica.is_online());
        let acked = online().filter(|replica| replica.acked >= offset);
        let synced = online().filter(|replica| replica.synced.is_some_and(|at| at >= offset));
        (distinct(acked) as u64, distinct(synced) as u64)
    }

    /// A connection ended. True if it was that of a replica.
    pub fn gone(&mut self, peer: PeerId, now_ms: u64) -> bool {
        let Some(replica) = self.replicas.remove(&peer) else {
            return false;
        };
        if replica.state == State::Named {
            return false;
        }
        self.log(
            Level::Notice,
            format!("Connection with replica {} lost.", replica.name()),
        );
        self.trim();
        if self.followers() == 0 {
            self.alone_since_ms = Some(now_ms);
        }
        true
    }

    /// Hangs up on all, as their stream is not ours any more: they come back and hear of it.
    pub fn drop_all(&mut self) {
        let asked = |replica: &&mut Replica| replica.state != State::Named;
        for replica in self.replicas.values_mut().filter(asked) {
            replica.state = State::Dropped;
            // What it said was of that stream.
            (replica.acked, replica.synced) = (0, None);
            self.actions.push(Action::Close(replica.peer));
        }
    }

    fn log(&mut self, level: Level, line: String) {
        self.actions.push(Action::Log(level, line));
    }

    // ---- the stream's name ----

    /// This server is promoted: the stream goes on under a new name.
    pub fn promoted(&mut self, id: ReplId, now_ms: u64) {
        self.renamed(id);
        self.alone_since_ms = Some(now_ms);
    }

    /// The stream goes on under a name that its primary gave it. Who follows us hears of it by coming back.
    pub fn renamed(&mut self, id: ReplId) {
        let before = self.history.id();
        if before == id {
            return;
        }
        self.history.rename(id);
        self.log(
            Level::Notice,
            format!(
                "Setting secondary replication ID to {before}, valid up to offset: {}. New replication ID is {id}",
                self.history.offset() + 1
            ),
        );
        self.drop_all();
    }

    /// This server is a copy of another now. Its own replicas have other data: they were dropped before.
    pub fn copied(&mut self, id: ReplId, offset: u64) {
        self.history.copy(id, offset);
        self.backlog = Some(Backlog::new(offset + 1, self.backlog_size));
    }

    /// The data of this server goes: there is no stream that led to what comes.
    pub fn forget(&mut self) {
        self.backlog = None;
    }

    /// As a snapshot tells of the time before a restart: who followed then may go on.
    pub fn restored(&mut self, id: ReplId, offset: u64) {
        self.history.restore(id, offset);
        self.backlog = Some(Backlog::new(offset + 1, self.backlog_size));
    }

    /// The stream has to be kept from here on, without a snapshot: a replica that goes on after a restart.
    pub fn keep_backlog(&mut self) {
        if self.backlog.is_none() {
            self.backlog = Some(Backlog::new(self.history.offset() + 1, self.backlog_size));
        }
    }

    /// Another name for the stream, which nobody can go on with (DEBUG CHANGE-REPL-ID).
    pub fn change_id(&mut self, id: ReplId) {
        self.history.begin_anew(id);
    }

    /// What must hold between events.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if let Some(backlog) = &self.backlog {
            backlog.check()?;
            if backlog.next() != self.history.offset() + 1 {
                return Err(format!(
                    "the backlog ends before {}, the stream at {}",
                    backlog.next(),
                    self.history.offset()
                ));
            }
        }
        for replica in self.replicas.values() {
            let reached = |next| self.backlog.as_ref().is_some_and(|b| b.reaches(next));
            if replica.next().is_some_and(|next| !reached(next)) {
                return Err(format!("what {replica:?} needs is gone"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
