//! All connections: a slab whose slot numbers are the poll's tokens, and two lists of who needs a visit.
//!
//! A slot is used again at once. An event of the old connection that is still in the batch then reaches the new one,
//! which is harmless: a read finds nothing, a write was going to be tried anyway.

use std::io;

use mio::{Interest, Registry, Token};

use super::{Cause, Closing, Connection};
use crate::host::Stream;

/// The slab. Tokens below `first_token` belong to others (listeners, signals, children).
#[derive(Debug)]
pub struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    ready: Vec<usize>,
    touched: Vec<usize>,
    first_token: usize,
    next_id: u64,
}

impl Connections {
    /// No connections; their tokens will start at `first_token`.
    pub fn new(first_token: usize) -> Connections {
        Connections {
            slots: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            touched: Vec::new(),
            first_token,
            next_id: 1,
        }
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot that a poll token names, if it is one of ours.
    #[inline]
    pub fn slot_of(&self, token: Token) -> Option<usize> {
        token.0.checked_sub(self.first_token)
    }

    /// Takes a stream in: it is watched for reading and has the next id. Returns its slot.
    pub fn add(
        &mut self,
        registry: &Registry,
        mut stream: Stream,
        now_ms: u64,
    ) -> io::Result<usize> {
        let slot = self.free.last().copied().unwrap_or(self.slots.len());
        let token = Token(self.first_token + slot);
        registry.register(&mut stream, token, Interest::READABLE)?;
        let connection = Connection::new(self.next_id, stream, token, now_ms);
        self.next_id += 1;
        debug_assert!(self.get(slot).is_none(), "a free slot");
        debug_assert_eq!(self.slot_of(token), Some(slot), "its events find it");
        if slot == self.slots.len() {
            self.slots.push(Some(connection));
        } else {
            self.free.pop();
            self.slots[slot] = Some(connection);
        }
        Ok(slot)
    }

    /// The connection in a slot.
    #[inline]
    pub fn get(&self, slot: usize) -> Option<&Connection> {
        self.slots.get(slot)?.as_ref()
    }

    /// The connection in a slot.
    #[inline]
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Ends a connection and frees its slot. A child that was forked meanwhile may hold a copy of the socket: the
    /// shutdown reaches the peer all the same.
    pub fn remove(&mut self, registry: &Registry, slot: usize) -> Option<Connection> {
        let mut connection = self.slots.get_mut(slot)?.take()?;
        debug_assert!(!self.free.contains(&slot), "in use until now");
        self.free.push(slot);
        debug_assert!(self.free.len() <= self.slots.len(), "a slot is free twice");
        // A socket that failed may be unknown to the poll already.
        let _ = registry.deregister(connection.stream_mut());
        match connection.closing().sends() {
            true => connection.stream_mut().shutdown(),
            false => connection.stream_mut().cut(),
        }
        Some(connection)
    }

    /// All connections with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, connection)| Some((slot, connection.as_ref()?)))
    }

    /// All connections with their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Connection)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, connection)| Some((slot, connection.as_mut()?)))
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let empty = self.slots.iter().filter(|slot| slot.is_none()).count();
        if empty != self.free.len() || self.free.iter().any(|slot| self.get(*slot).is_some()) {
            return Err(format!("{empty} empty slots, {:?} are free", self.free));
        }
        for (slot, connection) in self.iter() {
            let listed = |list: &[usize]| list.contains(&slot);
            if connection.on_ready_list && !listed(&self.ready) {
                return Err(format!("slot {slot} is ready and not visited"));
            }
            if connection.on_touched_list && !listed(&self.touched) {
                return Err(format!("slot {slot} is touched and not flushed"));
            }
            let waits = connection.closing().sends() && !connection.output.is_empty();
            if waits && !connection.is_blocked() && !connection.on_touched_list {
                return Err(format!("slot {slot} has replies that nobody sends"));
            }
            connection.input.check()?;
            connection.output.check()?;
        }
        Ok(())
    }

    /// Number of slots, used or not: for walks that change connections on their way.
    pub fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Notes that a connection was cut short (bytes unread or commands undone): it is visited again next turn.
    pub fn mark_ready(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut)
            && !std::mem::replace(&mut connection.on_ready_list, true)
        {
            self.ready.push(slot);
        }
    }

    /// Whether the poll must not wait.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Moves the noted slots into `into`, which is cleared first, and starts a new list.
    pub fn take_ready(&mut self, into: &mut Vec<usize>) {
        into.clear();
        std::mem::swap(into, &mut self.ready);
        debug_assert!(self.ready.is_empty());
        for slot in into.iter() {
            if let Some(connection) = self.slots[*slot].as_mut() {
                connection.on_ready_list = false;
            }
        }
    }

    /// Notes that a connection has replies to send or is closing: it is flushed at the end of the turn.
    #[inline]
    pub fn mark_touched(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut)
            && !std::mem::replace(&mut connection.on_touched_list, true)
        {
            self.touched.push(slot);
        }
    }

    /// Brings a connection nearer to its end (see [`super::closing`]); the end of the turn looks whether it is there.
    pub fn end(&mut self, slot: usize, cause: Cause) {
        if let Some(connection) = self.get_mut(slot) {
            connection.end(cause);
            debug_assert_ne!(connection.closing(), Closing::Open, "it ends for good");
            self.mark_touched(slot);
        }
    }

    /// Moves the noted slots into `into`, which is cleared first, and starts a new list.
    pub fn take_touched(&mut self, into: &mut Vec<usize>) {
        into.clear();
        std::mem::swap(into, &mut self.touched);
        debug_assert!(self.touched.is_empty());
        for slot in into.iter() {
            if let Some(connection) = self.slots[*slot].as_mut() {
                connection.on_touched_list = false;
            }
        }
    }
}
