//! Bytes of requests on their way to the system.
//!
//! ```text
//!   bytes   [ sent | to be sent | room with any content ]
//!                  ^ start      ^ end
//! ```
//!
//! Requests are put together of short pieces. A copy whose length the compiler knows is a few moves, and any other is a call that costs more than these
//! bytes; so a short piece is copied as a whole number of blocks, and what is copied too much lies in the room, where the next piece overwrites it.

/// A piece is copied by blocks of so many bytes.
pub const BLOCK: usize = 32;
/// Room that is made at once.
const GROWTH: usize = 4 << 10;

/// A buffer that is written at its end and sent from its start.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// A piece that is put down often, with whole blocks of bytes to copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Padded {
    bytes: Vec<u8>,
    len: usize,
}

impl Page {
    /// What is to be sent.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether it never held anything, so that it owns no memory.
    pub fn is_new(&self) -> bool {
        self.bytes.is_empty()
    }

    /// So many more bytes of it are sent. When all are, its room begins at the front again.
    pub fn sent(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "more sent than there was");
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Where the next piece comes.
    pub fn end(&self) -> usize {
        self.end
    }

    /// What was put down since the end was here.
    pub fn since(&self, end: usize) -> &[u8] {
        &self.bytes[end..self.end]
    }

    /// Appends a piece of any length.
    #[inline]
    pub fn put(&mut self, piece: &[u8]) {
        self.room(piece.len()).copy_from_slice(piece);
        self.end += piece.len();
    }

    /// Appends the first `len` bytes of `padded`, behind which there are others up to a whole block.
    #[inline]
    pub fn put_blocks(&mut self, padded: &[u8], len: usize) {
        let room = self.bytes.get_mut(self.end..);
        let to = room.and_then(|room| room.first_chunk_mut::<BLOCK>());
        match (to, padded.first_chunk::<BLOCK>()) {
            (Some(to), Some(from)) if len <= BLOCK => {
                *to = *from;
                self.end += len;
            }
            _ => self.put_several(padded, len),
        }
    }

    /// The same of more than a block, or where room is to be made first.
    #[inline(never)]
    fn put_several(&mut self, padded: &[u8], len: usize) {
        match len.div_ceil(BLOCK) {
            0 => {}
            2 => self.put_array::<{ 2 * BLOCK }>(padded, len),
            3 => self.put_array::<{ 3 * BLOCK }>(padded, len),
            4 => self.put_array::<{ 4 * BLOCK }>(padded, len),
            _ => self.put(&padded[..len]),
        }
    }

    /// Appends a short piece with nothing behind it: a number's text.
    #[inline]
    pub fn put_short(&mut self, piece: &[u8]) {
        match piece.len() {
            4..=8 => self.put_ends::<4>(piece),
            9..=16 => self.put_ends::<8>(piece),
            1 => self.put_ends::<1>(piece),
            2..=3 => self.put_ends::<2>(piece),
            _ => self.put(piece),
        }
    }

    /// Appends a piece of N to 2 N bytes: its first N and its last N, which may be some of the first.
    #[inline]
    fn put_ends<const N: usize>(&mut self, piece: &[u8]) {
        let len = piece.len();
        let room = self.room(len);
        if let (Some(to), Some(from)) = (room.first_chunk_mut::<N>(), piece.first_chunk::<N>()) {
            *to = *from;
        }
        if let (Some(to), Some(from)) = (room.last_chunk_mut::<N>(), piece.last_chunk::<N>()) {
            *to = *from;
        }
        self.end += len;
    }

    /// The same of a piece that was made for it.
    #[inline]
    pub fn put_padded(&mut self, piece: &Padded) {
        self.put_blocks(&piece.bytes, piece.len);
    }

    #[inline]
    fn put_array<const N: usize>(&mut self, padded: &[u8], len: usize) {
        let to = self.room(N).first_chunk_mut::<N>();
        let from = padded.first_chunk::<N>();
        match (to, from) {
            (Some(to), Some(from)) => *to = *from,
            _ => unreachable!("there is room for a block, and a block to copy"),
        }
        self.end += len;
    }

    /// So much room behind the end, to write in.
    #[inline]
    pub fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.end + len;
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.end..end]
    }

    /// So many bytes were written in the room.
    #[inline]
    pub fn has(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.bytes.len(), "more than there was room for");
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, end: usize) {
        self.bytes.resize((end + GROWTH).next_power_of_two(), 0);
    }
}

impl Padded {
    /// Appends to the piece.
    pub fn extend(&mut self, more: &[u8]) {
        self.bytes.truncate(self.len);
        self.bytes.extend_from_slice(more);
        self.len += more.len();
        self.bytes.resize(padded_len(self.len), 0);
    }

    /// The piece itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Bytes from which a piece of this length can be copied by blocks.
pub fn padded_len(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_lengths_stand_one_behind_the_other() {
        let source: Vec<u8> = (0..2000_u32).map(|i| (i % 251) as u8).collect();
        let (mut page, mut expected) = (Page::default(), Vec::new());
        assert!(page.is_new());
        for len in (0..300).chain([1000, 1984]) {
            let mut padded = Padded::default();
            padded.extend(&source[..len / 2]);
            padded.extend(&source[len / 2..len]);
            assert_eq!(padded.as_bytes(), &source[..len]);
            let before = page.end();
            page.put_padded(&padded);
            page.put(&source[..len]);
            page.put_short(&source[..len]);
            page.put_blocks(&source[7..], len.min(1900));
            (0..3).for_each(|_| expected.extend_from_slice(&source[..len]));
            expected.extend_from_slice(&source[7..7 + len.min(1900)]);
            assert_eq!(page.since(before), &expected[before..]);
        }
        assert_eq!(page.rest(), expected);
        page.sent(100);
        assert_eq!(page.rest(), &expected[100..]);
        page.sent(expected.len() - 100);
        assert!(page.is_empty() && !page.is_new() && page.end() == 0);
    }
}
