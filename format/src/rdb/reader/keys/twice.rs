//! Which hashes of a bucket occur twice, found with two sieves of bits in place of a table of the hashes.
//!
//! ```text
//!   first pass     a bit for each hash, of 16 times as many; who finds it set is a suspect         1 of 32 by chance
//!   second pass    a bit for each suspect, by other bits of it; who finds one set is a candidate   1 of 10 by chance
//!   in the end     the candidates are sorted
//! ```
//!
//! The sieves of a few thousand hashes lie in the nearest cache, where a table of them would not. Keys that were made to meet are all
//! candidates, and sorting them takes no longer than sorting takes.

use std::collections::HashSet;

/// Bits of the first sieve for each hash.
const BITS_PER_HASH: usize = 16;
/// Bits of the second for each suspect.
const BITS_PER_SUSPECT: usize = 32;
/// Bits of a word of a sieve.
const WORD: usize = u64::BITS as usize;
/// Low bits of a hash that the second sieve does not look at: those that made it a suspect.
const OTHER_BITS: u32 = 28;

/// Room that is used for one bucket after the other.
#[derive(Debug, Default)]
pub(super) struct Sieves {
    first: Sieve,
    second: Sieve,
    suspects: Vec<u64>,
    candidates: Vec<u64>,
}

/// A set of numbers that says of a few others, too, that it has them.
#[derive(Debug, Default)]
struct Sieve {
    words: Vec<u64>,
}

impl Sieve {
    /// Empties it, for so many bits at least.
    fn begin(&mut self, bits: usize) {
        self.words.clear();
        self.words
            .resize(bits.div_ceil(WORD).next_power_of_two(), 0);
    }

    /// The word of a number, and its bit in there.
    #[inline]
    fn place(&self, number: u64) -> (usize, u64) {
        let word = (number as usize / WORD) & (self.words.len() - 1);
        (word, 1 << (number % u64::from(u64::BITS)))
    }

    /// Takes a number; whether it was there.
    #[inline]
    fn insert(&mut self, number: u64) -> bool {
        let (at, bit) = self.place(number);
        let word = &mut self.words[at];
        let was_there = *word & bit != 0;
        *word |= bit;
        was_there
    }

    #[inline]
    fn has(&self, number: u64) -> bool {
        let (at, bit) = self.place(number);
        self.words[at] & bit != 0
    }
}

impl Sieves {
    /// Adds those that occur twice in these blocks of a bucket.
    pub fn collect(&mut self, blocks: &[&[u64]], repeated: &mut HashSet<u64>) {
        let count: usize = blocks.iter().map(|block| block.len()).sum();
        self.first.begin(count * BITS_PER_HASH);
        self.suspects.clear();
        for hash in blocks.iter().copied().flatten() {
            if self.first.insert(*hash) {
                self.suspects.push(*hash);
            }
        }
        if self.suspects.is_empty() {
            return;
        }
        self.second.begin(self.suspects.len() * BITS_PER_SUSPECT);
        for hash in &self.suspects {
            self.second.insert(hash >> OTHER_BITS);
        }
        self.candidates.clear();
        for block in blocks {
            let second = &self.second;
            let found = block.iter().filter(|hash| second.has(*hash >> OTHER_BITS));
            self.candidates.extend(found);
        }
        self.candidates.sort_unstable();
        let pairs = self.candidates.array_windows();
        repeated.extend(pairs.filter(|[one, next]| one == next).map(|[one, _]| *one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash_bytes;

    fn collected(blocks: &[&[u64]]) -> HashSet<u64> {
        let mut repeated = HashSet::new();
        Sieves::default().collect(blocks, &mut repeated);
        repeated
    }

    #[test]
    fn finds_those_and_no_others() {
        let hashes: Vec<u64> = (0..5000_u64)
            .map(|n| hash_bytes(&n.to_le_bytes(), 0))
            .collect();
        assert_eq!(collected(&[]), HashSet::new());
        assert_eq!(collected(&[&[], &hashes]), HashSet::new());
        let three = [hashes[7], hashes[4999], hashes[7]];
        let twice = HashSet::from([hashes[7], hashes[4999]]);
        assert_eq!(collected(&[&hashes, &three]), twice);
        assert_eq!(collected(&[&three, &hashes[8..]]), twice);
        assert_eq!(collected(&[&[0], &[3, 0]]), HashSet::from([0]));
    }

    /// Numbers that share all bits that one of the sieves looks at.
    #[test]
    fn finds_them_among_those_that_were_made_to_meet() {
        for shift in [0, OTHER_BITS, 44] {
            let crowd: Vec<u64> = (0..10_000).map(|n| n << shift).collect();
            assert_eq!(collected(&[&crowd]), HashSet::new(), "{shift}");
            let again = [77 << shift];
            assert_eq!(collected(&[&crowd, &again]), HashSet::from(again));
        }
    }

    /// What is small is sure to be in a cache, and a sieve is used again for less than before.
    #[test]
    fn room_of_one_bucket_serves_the_next() {
        let (mut sieves, mut repeated) = (Sieves::default(), HashSet::new());
        let many: Vec<u64> = (0..3000_u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        sieves.collect(&[&many, &many[..1]], &mut repeated);
        sieves.collect(&[&many[..5]], &mut repeated);
        assert_eq!(repeated, HashSet::from([many[0]]));
    }
}
