//! What a command leaves behind for the world: changes to propagate, events to publish, sessions to touch.
//!
//! The keyspace and the handlers only append here; the engine applies everything after the top-level command.

use std::ops::Range;

use cairn_format::resp::value::write_command;

use crate::base::id::SessionId;
use crate::base::stale::StaleKeys;

/// Commands in RESP, in order, each with the database it applies to. Buffers are kept between commands.
#[derive(Default, Debug)]
pub struct Feed {
    bytes: Vec<u8>,
    ends: Vec<(u32, usize)>,
}

impl Feed {
    /// Number of commands.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all commands.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a command given by its arguments.
    pub fn push(&mut self, db: usize, args: &[&[u8]]) {
        write_command(&mut self.bytes, args);
        self.ends.push((db as u32, self.bytes.len()));
    }

    /// Appends a command that is encoded already (a client's own multibulk).
    pub fn push_encoded(&mut self, db: usize, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
        self.ends.push((db as u32, self.bytes.len()));
    }

    /// Forgets all commands but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes
            .truncate(self.ends.last().map_or(0, |(_, end)| *end));
    }

    /// The commands with their databases.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(db, end)| {
            let bytes = &self.bytes[start..end];
            start = end;
            (db as usize, bytes)
        })
    }

    /// Forgets the commands, keeps a reasonable buffer.
    pub fn clear(&mut self) {
        empty(&mut self.ends);
        empty(&mut self.bytes);
    }
}

/// Bytes of a buffer that are kept for the next unit.
const KEPT: usize = 1 << 20;

/// Empties a buffer, and gives its memory back if one unit has made it large.
#[inline]
pub fn empty<T>(buffer: &mut Vec<T>) {
    buffer.clear();
    if buffer.capacity() * size_of::<T>() > KEPT {
        *buffer = Vec::new();
    }
}

/// How the running command itself is propagated, if it changed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagate {
    /// As the client sent it.
    #[default]
    Verbatim,
    /// The handler appended its own form to the feed.
    Rewritten,
    /// Not at all.
    Nothing,
}

/// Classes of keyspace events, bits of `notify-keyspace-events`.
pub struct EventClass;

#[allow(missing_docs)]
impl EventClass {
    pub const KEYSPACE: u32 = 1 << 0; // K
    pub const KEYEVENT: u32 = 1 << 1; // E
    pub const GENERIC: u32 = 1 << 2; // g
    pub const STRING: u32 = 1 << 3; // $
    pub const LIST: u32 = 1 << 4; // l
    pub const SET: u32 = 1 << 5; // s
    pub const HASH: u32 = 1 << 6; // h
    pub const ZSET: u32 = 1 << 7; // z
    pub const EXPIRED: u32 = 1 << 8; // x
    pub const EVICTED: u32 = 1 << 9; // e
    pub const STREAM: u32 = 1 << 10; // t
    pub const KEY_MISS: u32 = 1 << 11; // m, not part of A
    pub const MODULE: u32 = 1 << 13; // d
    pub const NEW: u32 = 1 << 14; // n, not part of A
    /// What the letter A stands for.
    pub const ALL: u32 = Self::GENERIC
        | Self::STRING
        | Self::LIST
        | Self::SET
        | Self::HASH
        | Self::ZSET
        | Self::EXPIRED
        | Self::EVICTED
        | Self::STREAM
        | Self::MODULE;
}

/// A keyspace event that waits to be published.
#[derive(Debug)]
pub struct Event {
    /// Database of the key.
    pub db: usize,
    /// Word of the event, such as `set` or `expired`.
    pub name: &'static str,
    /// Class bit, see [`EventClass`].
    pub class: u32,
    /// The key, a range of [`Effects::event_keys`].
    pub key: Range<usize>,
}

/// Everything that the current unit (a command, an EXEC, a script) leaves behind.
#[derive(Default, Debug)]
pub struct Effects {
    /// The changes of the unit have nothing to do with each other (keys that SCAN found expired): no transaction around them.
    pub independent: bool,
    /// Somebody reads the feed (the log is on, or a replica is there).
    pub feed_on: bool,
    /// Commands to propagate, in order of their effect.
    pub feed: Feed,
    /// What becomes of the running command itself.
    pub own: Propagate,
    /// Keyspace events in order.
    pub events: Vec<Event>,
    /// Bytes of the keys named by `events`.
    pub event_keys: Vec<u8>,
    /// Sessions whose watched keys changed.
    pub touched: Vec<SessionId>,
    /// Keys that waiting sessions may now be served from: (database, key).
    pub ready: Vec<(usize, Box<[u8]>)>,
    /// Keys of which clients have copies that are out of date now.
    pub stale: StaleKeys,
}

impl Effects {
    /// Whether the engine has anything to apply.
    pub fn pending(&self) -> bool {
        !(self.feed.is_empty()
            && self.events.is_empty()
            && self.touched.is_empty()
            && self.ready.is_empty()
            && self.stale.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_large_unit_took_is_given_back() {
        let mut feed = Feed::default();
        let command: [&[u8]; 3] = [b"SET", b"key", b"value"];
        for count in [10, 200_000, 10] {
            (0..count).for_each(|_| feed.push(0, &command));
            assert_eq!((feed.len(), feed.iter().count()), (count, count));
            feed.clear();
            assert!(feed.is_empty());
            assert!(feed.bytes.capacity() <= KEPT && feed.ends.capacity() * 16 <= KEPT);
        }
        assert!(feed.bytes.capacity() > 0, "a small buffer is kept");
    }
}
