//! Random damage of files, for tests of the tools that mend them. They name this file by its path.
#![allow(dead_code, reason = "each of them uses a part")]

use std::ops::Range;

/// A generator of numbers: splitmix64.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// Any bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// The bytes that were touched, as ranges of the original.
pub type Touched = Vec<(usize, usize)>;

/// Damages a file.
pub type Damage = fn(&mut Vec<u8>, &mut Random) -> Touched;

/// Changes a bit of the byte at `at`.
pub fn flip(file: &mut [u8], at: usize, random: &mut Random) -> (usize, usize) {
    file[at] ^= 1 << random.below(8);
    (at, at + 1)
}

/// Takes bytes out.
pub fn drop_range(file: &mut Vec<u8>, range: Range<usize>) -> (usize, usize) {
    file.drain(range.clone());
    (range.start, range.end)
}

/// Puts bytes in: whatever stands around that place is touched.
pub fn insert(file: &mut Vec<u8>, at: usize, bytes: Vec<u8>) -> (usize, usize) {
    file.splice(at..at, bytes);
    (at.saturating_sub(1), at + 1)
}

/// One bit anywhere.
#[allow(clippy::ptr_arg, reason = "it is a Damage")]
pub fn one_bit(file: &mut Vec<u8>, random: &mut Random) -> Touched {
    let at = random.below(file.len());
    vec![flip(file, at, random)]
}

/// A page of zeros.
#[allow(clippy::ptr_arg, reason = "it is a Damage")]
pub fn zeroed(file: &mut Vec<u8>, random: &mut Random) -> Touched {
    let at = random.below(file.len() - 4096);
    file[at..at + 4096].fill(0);
    vec![(at, at + 4096)]
}

/// An end that is missing.
pub fn cut(file: &mut Vec<u8>, random: &mut Random) -> Touched {
    let (at, end) = (random.below(file.len()), file.len());
    file.truncate(at);
    vec![(at, end)]
}
