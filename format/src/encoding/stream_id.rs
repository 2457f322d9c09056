//! The id of a stream entry: milliseconds and a sequence number.

use std::fmt;

/// Orders entries of a stream; written as `ms-seq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds, by default those of the clock when the entry was added.
    pub ms: u64,
    /// Number among the entries of one millisecond.
    pub seq: u64,
}

impl StreamId {
    /// The smallest id, 0-0, which no entry can have.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The id of these two numbers.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The next greater id, `None` after the greatest.
    pub fn next(self) -> Option<Self> {
        let next = match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self {
                ms: self.ms.checked_add(1)?,
                seq: 0,
            },
        };
        debug_assert!(self < next && self.to_bytes() < next.to_bytes());
        Some(next)
    }

    /// The next smaller id, `None` before the smallest.
    pub fn prev(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self {
                ms: self.ms.checked_sub(1)?,
                seq: u64::MAX,
            }),
        }
    }

    /// Both numbers big-endian, so that bytes compare as ids do: the key of a node in a snapshot.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id that [`StreamId::to_bytes`] made the bytes of.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self {
            ms: (both >> 64) as u64,
            seq: both as u64,
        }
    }

    /// The id that differs from `self` by what a node stores: both numbers wrap, differences being signed.
    #[inline]
    pub fn plus(self, ms: i64, seq: i64) -> Self {
        Self {
            ms: self.ms.wrapping_add_signed(ms),
            seq: self.seq.wrapping_add_signed(seq),
        }
    }

    /// The differences that [`StreamId::plus`] adds to `base`.
    #[inline]
    pub fn minus(self, base: Self) -> (i64, i64) {
        (
            self.ms.wrapping_sub(base.ms) as i64,
            self.seq.wrapping_sub(base.seq) as i64,
        )
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
