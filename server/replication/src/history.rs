//! Which stream of changes this is, how far it is, and which one it goes on from.
//!
//! ```text
//!   earlier id:  .......................|until
//!   id:          .......................:......|offset
//! ```
//! A server that is promoted goes on with its stream under a new id; who followed the old one may follow it on, up to where
//! both are the same.

use std::fmt;

/// The name of a stream: 40 characters, hex digits where we draw it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplId([u8; ReplId::LEN]);

impl ReplId {
    /// Characters of an id.
    pub const LEN: usize = 40;
    /// What INFO shows where there is none.
    pub const NONE: ReplId = ReplId([b'0'; ReplId::LEN]);

    /// The id that a peer or a file names.
    pub fn parse(text: &[u8]) -> Option<ReplId> {
        let id = ReplId(text.try_into().ok()?);
        text.iter().all(u8::is_ascii_alphanumeric).then_some(id)
    }

    /// An id of random bytes.
    pub fn of_random(bytes: [u8; 20]) -> ReplId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; ReplId::LEN];
        for (pair, byte) in id.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        ReplId(id)
    }

    /// Its characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a peer means this id: case is ignored, as in Redis.
    pub fn is(&self, asked: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(asked)
    }
}

impl From<ReplId> for [u8; ReplId::LEN] {
    fn from(id: ReplId) -> Self {
        id.0
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The stream that this one goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub id: ReplId,
    /// The first offset that it does not have: who asks for it or less may go on here (`second_repl_offset`).
    pub until: u64,
}

/// How what a replica asks for stands to our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is of this stream.
    Ours,
    /// It follows a stream that we do not know.
    Unknown,
    /// It is of the earlier one, but beyond what we share with it: up to so much is.
    BeyondEarlier(u64),
}

/// The stream: name, length, origin.
#[derive(Clone, Debug)]
pub struct History {
    id: ReplId,
    earlier: Option<Earlier>,
    offset: u64,
}

impl History {
    /// A new stream, which nothing was written to.
    pub fn new(id: ReplId) -> History {
        History {
            id,
            earlier: None,
            offset: 0,
        }
    }

    /// Its name.
    pub fn id(&self) -> ReplId {
        self.id
    }

    /// Which one it goes on from.
    pub fn earlier(&self) -> Option<Earlier> {
        self.earlier
    }

    /// Offset of its last byte; the first byte has offset 1.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// So many bytes more.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.offset = self.offset.checked_add(bytes).expect("2^64 bytes");
    }

    /// Nobody can go on from before: another stream from here on, at the same offset.
    pub(crate) fn begin_anew(&mut self, id: ReplId) {
        self.id = id;
        self.earlier = None;
    }

    /// This server has become a copy of another, as it was at `offset`.
    pub(crate) fn copy(&mut self, id: ReplId, offset: u64) {
        *self = History {
            id,
            earlier: None,
            offset,
        };
    }

    /// The stream goes on under another name.
    pub(crate) fn rename(&mut self, id: ReplId) {
        if id != self.id {
            self.earlier = Some(Earlier {
                id: self.id,
                until: self.offset + 1,
            });
            self.id = id;
        }
    }

    /// As a snapshot tells: what was before the restart is the earlier stream.
    pub(crate) fn restore(&mut self, id: ReplId, offset: u64) {
        self.offset = offset;
        self.earlier = Some(Earlier {
            id,
            until: offset + 1,
        });
    }

    /// Whether the byte at `from` of the stream `id` is one of ours, or our next one.
    pub fn reach(&self, id: &[u8], from: u64) -> Reach {
        if self.id.is(id) {
            return Reach::Ours;
        }
        match self.earlier {
            Some(earlier) if earlier.id.is(id) && from <= earlier.until => Reach::Ours,
            Some(earlier) if earlier.id.is(id) => Reach::BeyondEarlier(earlier.until),
            _ => Reach::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: u8) -> ReplId {
        ReplId::of_random([digit; 20])
    }

    #[test]
    fn ids_are_read_and_shown() {
        let shown = id(0xa5).to_string();
        assert_eq!(shown, "a5".repeat(20));
        assert_eq!(ReplId::parse(shown.as_bytes()), Some(id(0xa5)));
        assert!(id(0xa5).is(shown.to_uppercase().as_bytes()));
        for bad in [
            "",
            "?",
            &shown[1..],
            &format!("{shown}0"),
            &shown.replace('a', " "),
        ] {
            assert_eq!(ReplId::parse(bad.as_bytes()), None, "{bad}");
            assert!(!id(0xa5).is(bad.as_bytes()));
        }
    }

    #[test]
    fn a_promoted_server_goes_on_with_its_stream() {
        let mut history = History::new(id(1));
        history.advance(187);
        history.rename(id(2));
        assert_eq!((history.id(), history.offset()), (id(2), 187));
        assert_eq!(
            history.earlier(),
            Some(Earlier {
                id: id(1),
                until: 188
            })
        );
        history.advance(10);
        let old = id(1).to_string();
        assert_eq!(history.reach(old.as_bytes(), 188), Reach::Ours);
        assert_eq!(
            history.reach(old.as_bytes(), 189),
            Reach::BeyondEarlier(188)
        );
        assert_eq!(history.reach(id(3).as_bytes(), 1), Reach::Unknown);
        assert_eq!(history.reach(id(2).as_bytes(), 198), Reach::Ours);
        // The same name again is no other stream.
        history.rename(id(2));
        assert_eq!(history.earlier().map(|earlier| earlier.until), Some(188));
        history.copy(id(4), 7);
        assert_eq!((history.earlier(), history.offset()), (None, 7));
        assert_eq!(history.reach(old.as_bytes(), 1), Reach::Unknown);
    }
}
