//! Listpack: a list of strings and integers in one blob, readable from both ends.
//!
//! ```text
//!   0         4         6                                     total-1
//!   +---------+---------+-----------+-----------+-- - - --+-------+
//!   | total   | count   | entry     | entry     |         | FF    |
//!   | u32 LE  | u16 LE  |           |           |         | end   |
//!   +---------+---------+-----------+-----------+-- - - --+-------+
//!
//!   an entry:  head (and a number's bytes) | string bytes | back length
//!
//!   0xxxxxxx           number 0..127                      F1 + 2   number, 16 bits LE
//!   10xxxxxx           string of up to 63 bytes           F2 + 3   number, 24 bits LE
//!   110xxxxx xxxxxxxx  number, 13 bits signed             F3 + 4   number, 32 bits LE
//!   1110xxxx xxxxxxxx  string of up to 4095 bytes         F4 + 8   number, 64 bits LE
//!   F0 + 4             string, length 32 bits LE
//! ```
//!
//! Example: `11000000 0300 0101 8361626304 DFFF02 FF` holds `1 abc -1`.
//!
//! The back length is the size of head, number and string, in groups of 7 bits, most significant first. Its first byte has the
//! top bit clear and all others have it set, so reading backwards stops at a byte with a clear top bit. It takes one byte up to
//! 127, two up to 16,382, three up to 2,097,150, four up to 268,435,454, else five: the odd limits are Redis's own.
//!
//! A count of 65535 means "unknown, walk": it is what a list of that many entries or more shows. A list that once was that
//! long keeps the mark until [`recount`] is called.
//!
//! Invariants of a checked blob: total is the blob's length, every entry ends within it and carries its own back length, the
//! count is right or unknown, `FF` stands at the end and nowhere else where an entry could begin.

mod edit;
pub mod ends;
mod view;

pub use edit::{
    append, clear, empty, insert, insert_int, push_back, push_back_int, push_front, push_front_int,
    recount, remove, replace, replace_int, with_capacity,
};
pub use view::{CheckWalk, Entry, Iter, IterRev, Listpack, told_len};

/// Bytes before the first entry.
pub const HEADER: usize = 6;
/// The byte after the last entry.
pub const END: u8 = 0xff;
/// The count that means "unknown".
pub const COUNT_UNKNOWN: u16 = u16::MAX;
/// The size in bytes up to which a listpack should grow (1 GiB, as in Redis). Edits here assert only that it fits the 32-bit
/// total: whoever adds asks first.
pub const SAFE_SIZE_MAX: usize = 1 << 30;

const HEAD_STR32: u8 = 0xf0;
const HEAD_I16: u8 = 0xf1;
const HEAD_I24: u8 = 0xf2;
const HEAD_I32: u8 = 0xf3;
const HEAD_I64: u8 = 0xf4;

/// How many bytes the back length of an entry of `size` bytes takes.
#[inline]
pub(crate) fn back_size(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests;
