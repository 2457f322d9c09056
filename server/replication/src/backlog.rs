//! The last part of the stream, once for all who read it: replicas that follow, and those that come back.
//!
//! ```text
//!   [block][block][block][block ...free]
//!    ^first byte                   ^end
//! ```
//! A reader is a position; it is handed slices of the blocks and copies nothing. Invariants: the blocks hold the bytes
//! `first..=end` without a gap; all but the last are full; no block is empty.

use std::collections::VecDeque;

/// Bytes of a block at most: of a backlog of 16 times as much and more.
const BLOCK_MAX: usize = 1 << 20;
/// Bytes of a block at least.
const BLOCK_MIN: usize = 16 * 1024;
/// Least that is kept, bytes: below it a backlog would be of no use.
const SIZE_MIN: u64 = 16 * 1024;

#[derive(Debug)]
struct Block {
    /// Offset of its first byte.
    begin: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

/// The bytes of the stream that are still there.
#[derive(Debug)]
pub struct Backlog {
    blocks: VecDeque<Block>,
    /// Offset of the next byte to come.
    next: u64,
    /// Bytes to keep for those who come back.
    size: u64,
    memory: usize,
}

impl Backlog {
    /// An empty backlog; the next byte has offset `next`.
    pub fn new(next: u64, size: u64) -> Backlog {
        Backlog {
            blocks: VecDeque::new(),
            next,
            size: size.max(SIZE_MIN),
            memory: 0,
        }
    }

    /// Offset of the first byte that is there, or of the next one if none is.
    pub fn first(&self) -> u64 {
        self.blocks.front().map_or(self.next, |block| block.begin)
    }

    /// Offset of the next byte to come.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.next - self.first()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes to keep for those who come back.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Sets how many bytes to keep.
    pub fn set_size(&mut self, size: u64) {
        self.size = size.max(SIZE_MIN);
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.memory + self.blocks.capacity() * size_of::<Block>()
    }

    /// Whether what follows `from` is all there; nothing may follow it yet.
    pub fn reaches(&self, from: u64) -> bool {
        (self.first()..=self.next).contains(&from)
    }

    /// Adds to its end.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self
                .blocks
                .back()
                .map_or(0, |block| block.bytes.capacity() - block.bytes.len());
            if room == 0 {
                self.add_block();
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let block = self.blocks.back_mut().expect("it has room");
            block.bytes.extend_from_slice(now);
            self.next += now.len() as u64;
            bytes = later;
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    fn add_block(&mut self) {
        let room = BLOCK_MAX.min((self.size / 16) as usize).max(BLOCK_MIN);
        let bytes = Vec::with_capacity(room);
        self.memory += bytes.capacity();
        self.blocks.push_back(Block {
            begin: self.next,
            bytes,
        });
    }

    /// Whether there is more than is to be kept for those who come back: a whole block at least.
    pub fn has_surplus(&self) -> bool {
        let first = self.blocks.front().map_or(self.next, Block::end);
        self.blocks.len() > 1 && self.next - first >= self.size
    }

    /// Drops whole blocks from the front as long as enough is left. Nothing from the byte at `needed` on goes.
    pub fn trim(&mut self, needed: Option<u64>) {
        while self.blocks.len() > 1 {
            let end = self.blocks[0].end();
            let is_kept = self.next - end < self.size || needed.is_some_and(|from| from < end);
            if is_kept {
                break;
            }
            let gone = self.blocks.pop_front().expect("there are two");
            self.memory -= gone.bytes.capacity();
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// What is there from the byte at `from` on, piece by piece.
    ///
    /// # Panics
    /// `from` is not reached.
    pub fn from(&self, from: u64) -> impl Iterator<Item = &[u8]> {
        assert!(
            self.reaches(from),
            "{from} of {}..{}",
            self.first(),
            self.next
        );
        let at = self.blocks.partition_point(|block| block.end() <= from);
        let skipped = self.blocks.get(at).map_or(0, |block| from - block.begin);
        let blocks = self.blocks.range(at..);
        blocks.enumerate().map(move |(n, block)| match n {
            0 => &block.bytes[skipped as usize..],
            _ => &block.bytes[..],
        })
    }

    /// What must hold.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let mut at = self.first();
        let mut memory = 0;
        for block in &self.blocks {
            if block.begin != at {
                return Err(format!("a block begins at {} behind {at}", block.begin));
            }
            at = block.end();
            memory += block.bytes.capacity();
        }
        match at == self.next && memory == self.memory {
            true => Ok(()),
            false => Err(format!(
                "{at} and {memory} bytes, {} and {} were counted",
                self.next, self.memory
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_from(backlog: &Backlog, from: u64) -> Vec<u8> {
        backlog.from(from).flatten().copied().collect()
    }

    #[test]
    fn an_empty_one_answers_who_misses_nothing() {
        let backlog = Backlog::new(101, 1);
        assert_eq!(
            (backlog.first(), backlog.len(), backlog.size()),
            (101, 0, SIZE_MIN)
        );
        assert!(backlog.reaches(101) && !backlog.reaches(100) && !backlog.reaches(102));
        assert_eq!(all_from(&backlog, 101), b"");
    }

    #[test]
    fn what_somebody_needs_is_kept_beyond_the_size() {
        let mut backlog = Backlog::new(1, SIZE_MIN);
        for n in 0u8..200 {
            backlog.append(&[n; 1000]);
            backlog.trim(Some(5001));
        }
        assert!(backlog.first() <= 5001 && backlog.reaches(5001));
        assert_eq!(backlog.next(), 200_001);
        assert_eq!(backlog.from(199_001).next(), Some(&[199; 1000][..]));
        backlog.trim(None);
        assert!(backlog.len() >= SIZE_MIN && backlog.len() < SIZE_MIN + 2 * BLOCK_MIN as u64);
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_the_stream(
            start in 1u64..1000,
            pieces in prop::collection::vec((0usize..40_000, prop::option::of(0u64..400_000)), 0..30),
        ) {
            let mut backlog = Backlog::new(start, SIZE_MIN);
            let mut stream = Vec::new();
            for (n, (len, needed)) in pieces.into_iter().enumerate() {
                let piece = vec![n as u8; len];
                backlog.append(&piece);
                stream.extend_from_slice(&piece);
                let first = backlog.first();
                let needed = needed.map(|back| backlog.next().saturating_sub(back).max(first));
                backlog.trim(needed);
                prop_assert_eq!(backlog.check(), Ok(()));
                prop_assert_eq!(backlog.next(), start + stream.len() as u64);
                prop_assert!(backlog.len() >= SIZE_MIN.min(stream.len() as u64));
                prop_assert!(needed.is_none_or(|from| backlog.reaches(from)));
                for from in [backlog.first(), backlog.next(), (backlog.first() + backlog.next()) / 2] {
                    let at = (from - start) as usize;
                    prop_assert!(all_from(&backlog, from) == stream[at..]);
                }
            }
        }
    }
}
