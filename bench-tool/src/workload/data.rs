//! The bytes of values: pieces of pools that are made once.
//!
//! ```text
//!   pool    J4k_pZ0q...                               letters and digits, or in part the same byte for what shall compress
//!               | start       | start + length        a value; where it starts is drawn, or follows from its key
//! ```
//!
//! A pool depends on nothing but its compressibility, and a longer one begins as a shorter one: so a value that follows from its key
//! ([`Pools::is_value_of`]) is known again in another run, too.

use super::page::padded_len;
use crate::random::Random;

/// Largest value, in bytes: the limit that servers set on one argument by default.
pub const DATA_MAX: u64 = 512 << 20;
/// Places in a pool at which values start.
const STARTS: u64 = 1 << 16;
/// Bytes of which a part is the same in a pool that compresses.
const BLOCK: usize = 64;
/// Where all pools begin: the same bytes in every run.
const SEED: u64 = 0x0c41_2a17;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What the values of a place are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Percent of each block of 64 bytes that are one and the same byte.
    pub compressible: u8,
}

#[derive(Debug)]
struct Pool {
    kind: Kind,
    bytes: Vec<u8>,
}

/// All pools of a run.
#[derive(Debug, Default)]
pub struct Pools(Vec<Pool>);

/// The values of a kind, by where they start.
#[derive(Clone, Copy, Debug)]
pub struct Starts<'a>(&'a [u8]);

impl<'a> Starts<'a> {
    /// The value that belongs to a seed, with all that is behind it.
    #[inline]
    pub fn at(self, seed: u64) -> &'a [u8] {
        &self.0[(seed % STARTS) as usize..]
    }
}

impl Pools {
    /// A pool for each kind that occurs, long enough for its longest value.
    pub fn new(wanted: impl Iterator<Item = (Kind, u64)>) -> Pools {
        let mut longest: Vec<(Kind, u64)> = Vec::new();
        for (kind, len) in wanted {
            match longest.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, known)) => *known = len.max(*known),
                None => longest.push((kind, len)),
            }
        }
        let pool = |(kind, len): (Kind, u64)| Pool {
            kind,
            bytes: filled(kind, padded_len(len as usize) + STARTS as usize),
        };
        Pools(longest.into_iter().map(pool).collect())
    }

    /// A value of so many bytes; `seed` says where it starts.
    pub fn value(&self, kind: Kind, len: u64, seed: u64) -> &[u8] {
        &self.padded(kind, len, seed)[..len as usize]
    }

    /// The same with the bytes behind it up to whole blocks of a page.
    #[inline]
    pub fn padded(&self, kind: Kind, len: u64, seed: u64) -> &[u8] {
        &self.starts(kind).at(seed)[..padded_len(len as usize)]
    }

    /// Where values of a kind start.
    #[inline]
    pub fn starts(&self, kind: Kind) -> Starts<'_> {
        let pool = self.0.iter().find(|pool| pool.kind == kind);
        Starts(pool.map_or(&[], |pool| &pool.bytes))
    }

    /// Whether these bytes are what [`Pools::value`] gives for the seed, of any kind. A run without values of its own cannot know.
    pub fn is_value_of(&self, seed: u64, bytes: &[u8]) -> bool {
        let start = (seed % STARTS) as usize;
        let fits = |pool: &Pool| pool.bytes.get(start..start + bytes.len()) == Some(bytes);
        self.0.iter().any(fits)
    }

    /// Whether there are any values to compare with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What follows from a key: where its values start (FNV-1a, Fowler, Noll and Vo, with the upper half folded in).
pub fn seed_of(key: &[u8]) -> u64 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

fn filled(kind: Kind, len: usize) -> Vec<u8> {
    let mut random = Random::new(SEED);
    let same = BLOCK * usize::from(kind.compressible) / 100;
    let mut pool = Vec::with_capacity(len + BLOCK);
    while pool.len() < len {
        let block = pool.len();
        pool.resize(block + same, b'.');
        while pool.len() < block + BLOCK {
            let bits = random.next();
            let room = (block + BLOCK - pool.len()).min(10);
            pool.extend((0..room).map(|i| LETTERS[(bits >> (6 * i)) as usize & 63]));
        }
    }
    pool.truncate(len);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pools(compressible: u8, len: u64) -> Pools {
        Pools::new([(Kind { compressible }, len)].into_iter())
    }

    #[test]
    fn a_longer_pool_begins_as_a_shorter_one() {
        let kind = Kind { compressible: 30 };
        let (short, long) = (pools(30, 10), pools(30, 100_000));
        assert_eq!(short.value(kind, 10, 77), &long.value(kind, 50, 77)[..10]);
        assert!(long.is_value_of(77, short.value(kind, 10, 77)));
        assert!(!long.is_value_of(78, short.value(kind, 10, 77)));
        assert!(!long.is_value_of(77, b"0123456789"));
    }

    /// Letters of 64 kinds carry six bits of eight, so 75 % is what is left of a value without anything to compress.
    #[test]
    fn values_compress_as_far_as_they_should() {
        for (compressible, low, high) in [
            (0, 0.72, 0.80),
            (50, 0.34, 0.45),
            (90, 0.05, 0.16),
            (100, 0.0, 0.01),
        ] {
            let pools = pools(compressible, 1 << 20);
            let value = pools.value(Kind { compressible }, 1 << 20, 5);
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(value).unwrap();
            let left = encoder.finish().unwrap().len() as f64 / value.len() as f64;
            assert!((low..high).contains(&left), "{compressible} %: {left}");
        }
    }
}
