//! HyperLogLog: how many different elements were seen, within 0.81 %, in 12 KB or less. A string to every other command.
//!
//! ```text
//!   0        4          5         8                 16
//!   +--------+----------+---------+-----------------+------------ - - -
//!   | "HYLL" | encoding | 3 bytes | cardinality     | registers
//!   |        | 0 or 1   | unused  | u64 LE          |
//!   +--------+----------+---------+-----------------+------------ - - -
//!
//!   encoding 0, dense:   16,384 registers of 6 bits, the first in the lowest bits of its byte: 12,288 bytes
//!   encoding 1, sparse:  runs of registers that together are 16,384
//!     00xxxxxx            x + 1 registers of value 0
//!     01xxxxxx yyyyyyyy   xy + 1 registers of value 0 (14 bits, high ones first)
//!     1vvvvvxx            x + 1 registers of value v + 1: at most 4 of at most 32
//! ```
//!
//! Example: `48594C4C 01 000000 0100000000000000 71A6 84 4E57` holds `Z:12711 v:2,1 Z:3672`, which is one element.
//!
//! An element's hash (MurmurHash64A) names a register by its lowest 14 bits; the register keeps the longest run of zeros, plus
//! one, that the rest of any hash began with. The cardinality in the header is what was last computed; its highest bit says
//! that a register has changed since. Layout, hash and estimate are those of Redis 7.2 `hyperloglog.c`, and so are the bytes
//! that a sequence of additions gives.

mod dense;
mod estimate;
mod sparse;

pub use sparse::describe;

use crate::error::{Damage, FormatError, Result};

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bytes before the registers.
pub const HEADER: usize = 16;
/// Bytes of a dense one, header included.
pub const DENSE_SIZE: usize = HEADER + REGISTERS * 6 / 8;

const INDEX_BITS: u32 = 14;
/// Bits of the hash in which zeros are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;
const CACHE: std::ops::Range<usize> = 8..16;
const STALE: u8 = 0x80;

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Each register in 6 bits.
    Dense,
    /// Runs of equal registers.
    Sparse,
}

impl Encoding {
    /// The word of PFDEBUG ENCODING.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// A new one, sparse, in which nothing was seen: one run of zeros.
pub fn empty() -> Vec<u8> {
    let mut bytes = b"HYLL\x01".to_vec();
    bytes.resize(HEADER, 0);
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The encoding, if the string has the header of a HyperLogLog and, when dense, its size. Runs are not looked at.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    match (bytes.get(..5)?, bytes.len()) {
        (b"HYLL\x00", DENSE_SIZE) => Some(Encoding::Dense),
        (b"HYLL\x01", HEADER..) => Some(Encoding::Sparse),
        _ => None,
    }
}

fn encoding_or_damage(bytes: &[u8]) -> Result<Encoding> {
    encoding(bytes)
        .ok_or_else(|| FormatError::new(Damage::Encoding, 0, "not the header of a hyperloglog"))
}

/// The cardinality in the header, unless a register has changed since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let cache = bytes.get(CACHE)?.try_into().ok()?;
    Some(u64::from_le_bytes(cache)).filter(|count| count >> 63 == 0)
}

/// Writes the cardinality into the header. The string has one.
pub fn set_cached(bytes: &mut [u8], count: u64) {
    debug_assert_eq!(
        count >> 63,
        0,
        "the highest bit says that a register has changed"
    );
    bytes[CACHE].copy_from_slice(&count.to_le_bytes());
}

/// Notes that a register has changed. The string has a header.
pub fn invalidate(bytes: &mut [u8]) {
    bytes[CACHE.end - 1] |= STALE;
}

/// Counts an element; whether a register changed. Grows from sparse to dense where a value or `sparse_max` (bytes in all)
/// asks for it. Runs that are not 16,384 registers in all are damage; the bytes then stay as they were.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool> {
    let (register, value) = place(element);
    let changed = match encoding_or_damage(bytes)? {
        Encoding::Dense => dense::raise(&mut bytes[HEADER..], register, value),
        Encoding::Sparse => raise_sparse(bytes, register, value, sparse_max)?,
    };
    if changed {
        invalidate(bytes);
    }
    Ok(changed)
}

/// As [`add`] for a dense one, which never changes its size. Anything else stays as it is.
pub fn add_dense(bytes: &mut [u8], element: &[u8]) -> bool {
    let (register, value) = place(element);
    let changed = encoding(bytes) == Some(Encoding::Dense)
        && dense::raise(&mut bytes[HEADER..], register, value);
    if changed {
        invalidate(bytes);
    }
    changed
}

fn raise_sparse(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_max: usize,
) -> Result<bool> {
    match sparse::raise(bytes, register, value, sparse_max)? {
        sparse::Raised::Changed => Ok(true),
        sparse::Raised::Same => Ok(false),
        sparse::Raised::TooLarge => {
            to_dense(bytes)?;
            Ok(dense::raise(&mut bytes[HEADER..], register, value))
        }
    }
}

/// Makes a sparse one dense; whether it was sparse.
pub fn to_dense(bytes: &mut Vec<u8>) -> Result<bool> {
    if encoding_or_damage(bytes)? == Encoding::Dense {
        return Ok(false);
    }
    let registers = Registers::of(bytes)?;
    bytes.truncate(HEADER);
    bytes[4] = 0;
    bytes.resize(DENSE_SIZE, 0);
    dense::store(&registers.0, &mut bytes[HEADER..]);
    debug_assert_eq!(encoding(bytes), Some(Encoding::Dense));
    debug_assert!(
        Registers::of(bytes).is_ok_and(|dense| dense.0 == registers.0),
        "the same registers"
    );
    Ok(true)
}

/// The estimate, computed from the registers whatever the header says.
pub fn count(bytes: &[u8]) -> Result<u64> {
    Ok(Registers::of(bytes)?.count())
}

/// All registers, a byte each: what several are united in.
#[derive(Clone)]
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl std::fmt::Debug for Registers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {REGISTERS} registers set", self.set().count())
    }
}

impl Registers {
    /// Those of one.
    pub fn of(bytes: &[u8]) -> Result<Registers> {
        let mut registers = Registers::default();
        registers.unite(bytes)?;
        Ok(registers)
    }

    /// Adds all that another one has seen.
    pub fn unite(&mut self, bytes: &[u8]) -> Result<()> {
        let ours = &mut self.0;
        if encoding_or_damage(bytes)? == Encoding::Sparse {
            return sparse::walk(bytes, |range, value| {
                if value > 0 {
                    ours[range].iter_mut().for_each(|r| *r = value.max(*r));
                }
            });
        }
        dense::unite(ours, &bytes[HEADER..]);
        Ok(())
    }

    /// The estimate.
    pub fn count(&self) -> u64 {
        // Equal values follow each other often, and a number that was just written is slow to be read again: eight tables.
        let mut tables = [[0u32; 64]; 8];
        for eight in self.0.as_chunks::<8>().0 {
            for (table, value) in tables.iter_mut().zip(eight) {
                table[usize::from(*value & 63)] += 1;
            }
        }
        let histogram =
            std::array::from_fn(|value| tables.iter().map(|table| table[value]).sum::<u32>());
        estimate::cardinality(&histogram)
    }

    /// The values of all registers.
    pub fn values(&self) -> &[u8] {
        &self.0[..]
    }

    /// The registers that are not 0, with their values.
    fn set(&self) -> impl Iterator<Item = (usize, u8)> {
        self.0.iter().copied().enumerate().filter(|(_, v)| *v > 0)
    }

    /// Raises the registers of a stored one to these, in order, so that the bytes are those that Redis writes. Does not note
    /// that they changed: see [`invalidate`].
    pub fn store(&self, bytes: &mut Vec<u8>, sparse_max: usize) -> Result<()> {
        for (register, value) in self.set() {
            if encoding_or_damage(bytes)? == Encoding::Dense {
                break;
            }
            raise_sparse(bytes, register, value, sparse_max)?;
        }
        // From the start, or from where runs could no longer hold them: what is high enough already stays.
        if encoding_or_damage(bytes)? == Encoding::Dense {
            dense::store(&self.0, &mut bytes[HEADER..]);
        }
        Ok(())
    }
}

/// The register of an element and the value it asks for: 1 and up.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, 0xadc8_3b19);
    let zeros = (hash >> INDEX_BITS | 1 << COUNTED_BITS).trailing_zeros();
    debug_assert!(
        zeros <= COUNTED_BITS,
        "the bit behind the counted ones ends the run"
    );
    (hash as usize % REGISTERS, zeros as u8 + 1)
}

/// MurmurHash64A by Austin Appleby, reading its words as little-endian on every machine.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut h = seed ^ (bytes.len() as u64).wrapping_mul(M);
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ k >> R).wrapping_mul(M);
        h = (h ^ k).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        h = (h ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    h = (h ^ h >> R).wrapping_mul(M);
    h ^ h >> R
}
