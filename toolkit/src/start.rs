//! How a text begins, in two numbers: what it takes to put most texts in order, and to write short ones.
//!
//! ```text
//!   head   bytes 0 to 7     the first in the highest place, so that numbers compare as the bytes do
//!   next   bytes 8 to 15    zeros behind a shorter text
//!   len    of the whole text
//! ```
//!
//! Invariant: where `head` or `next` of two texts differ, so do the texts, and in the same direction.

use std::cmp::Ordering;

/// The first bytes of a text, and its length.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    head: u64,
    next: u64,
    len: usize,
}

impl Start {
    /// Bytes that there is room for.
    pub const ROOM: usize = 16;

    /// That of a text.
    #[inline]
    pub fn of(bytes: &[u8]) -> Start {
        let len = bytes.len();
        if let Some(first) = bytes.first_chunk::<{ Start::ROOM }>() {
            let both = u128::from_be_bytes(*first);
            return Start {
                head: (both >> 64) as u64,
                next: both as u64,
                len,
            };
        }
        // From both ends, where they may overlap, being the same bytes.
        if let (Some(first), Some(last)) = (bytes.first_chunk(), ending(bytes)) {
            let (head, last) = (u64::from_be_bytes(*first), u64::from_be_bytes(*last));
            // In two steps, as eight bytes may have to go.
            let next = (last << (8 * (Start::ROOM - 1 - len))) << 8;
            return Start { head, next, len };
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk(), ending(bytes)) {
            let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
            let head = u64::from(first) << 32 | u64::from(last) << (8 * (8 - len));
            return Start { head, next: 0, len };
        }
        let place = |at: usize| u64::from(bytes[at]) << (56 - 8 * at);
        let head = match len {
            0 => 0,
            // Of one byte all three are the same, of two the last two.
            _ => place(0) | place(len / 2) | place(len - 1),
        };
        Start { head, next: 0, len }
    }

    /// That of a text of `len` bytes, at most [`Start::ROOM`], which stand in a number: the first in the highest place, zeros behind.
    #[inline]
    pub fn whole(text: u128, len: usize) -> Start {
        debug_assert!(len <= Start::ROOM && text.checked_shl(8 * len as u32).unwrap_or(0) == 0);
        Start {
            head: (text >> 64) as u64,
            next: text as u64,
            len,
        }
    }

    /// The first eight bytes: a number in the order of the texts.
    #[inline]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The bytes in two numbers, the first of each in the highest place, and zeros behind a shorter text.
    #[inline]
    pub fn halves(&self) -> [u64; 2] {
        [self.head, self.next]
    }

    /// Bytes of the whole text.
    #[inline]
    pub fn text_len(&self) -> usize {
        self.len
    }

    /// Whether the text is no longer than what is here.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.len <= Start::ROOM
    }

    /// The bytes, and zeros behind a shorter text.
    #[inline]
    pub fn bytes(&self) -> [u8; Start::ROOM] {
        (u128::from(self.head) << 64 | u128::from(self.next)).to_be_bytes()
    }

    /// The order of two texts; equal is what only the rest of them can tell apart.
    #[inline]
    pub fn order(&self, other: &Start) -> Ordering {
        let begin = (self.head.cmp(&other.head)).then_with(|| self.next.cmp(&other.next));
        match begin {
            // Zeros stand for themselves, or for nothing.
            Ordering::Equal if self.is_whole() && other.is_whole() => self.len.cmp(&other.len),
            begin => begin,
        }
    }
}

/// The last bytes of a text.
#[inline]
fn ending<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    bytes.get(bytes.len().checked_sub(N)?..)?.first_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_has_the_first_bytes() {
        let text: Vec<u8> = (1..=40).collect();
        for len in 0..text.len() {
            let start = Start::of(&text[..len]);
            let mut wanted = [0; Start::ROOM];
            let kept = len.min(Start::ROOM);
            wanted[..kept].copy_from_slice(&text[..kept]);
            assert_eq!(start.bytes(), wanted, "{len}");
            assert_eq!(start.text_len(), len);
            assert_eq!(start.is_whole(), len <= 16);
            if start.is_whole() {
                let again = Start::whole(u128::from_be_bytes(wanted), len);
                assert_eq!(again.order(&start), Ordering::Equal);
            }
        }
    }

    #[test]
    fn the_order_is_that_of_the_bytes_as_far_as_they_are_here() {
        let mut texts: Vec<Vec<u8>> = vec![vec![], vec![0], vec![0xff; 16], vec![0xff; 17]];
        for len in [1, 7, 8, 9, 15, 16, 17] {
            texts.extend([0, 1, b'a', 0xff].map(|byte| vec![byte; len]));
            texts.extend([0, 0xff].map(|last| [vec![b'a'; len], vec![last]].concat()));
        }
        for a in &texts {
            for b in &texts {
                let order = Start::of(a).order(&Start::of(b));
                let unseen = a.len().max(b.len()) > 16;
                let same = order == Ordering::Equal && unseen;
                assert!(same || order == a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
