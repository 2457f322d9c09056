//! The commonest record of all, a plain string, found in the window at one glance.
//!
//! ```text
//!   [FC | 8 bytes expiry] | 00 | key: length, text | value: length, text
//!                                                    C0 to C2, integer
//!                                                    C3, packed length, length, LZF data
//! ```
//!
//! Whatever looks different, or does not lie in the window as a whole, or is wrong, is left to the general walk,
//! which then says what is wrong. Compressed values are walked token by token; nothing is decompressed.

use std::ops::Range;

use super::super::opcode;
use crate::lzf;

/// The key's text and the record's length, both counted from the window's begin.
#[inline]
pub(super) fn plain_string(window: &[u8]) -> Option<(Range<usize>, usize)> {
    let type_at = if *window.first()? == opcode::EXPIRETIME_MS {
        9
    } else {
        0
    };
    if *window.get(type_at)? != 0 {
        return None;
    }
    let key = plain_text(window, type_at + 1)?;
    let first = *window.get(key.end)?;
    let end = match first {
        0xc0..=0xc2 => key.end + 1 + (1 << (first & 3)),
        0xc3 => compressed(window, key.end + 1)?,
        _ => plain_text(window, key.end)?.end,
    };
    (end <= window.len()).then_some((key, end))
}

/// A string behind its length.
#[inline]
fn plain_text(window: &[u8], at: usize) -> Option<Range<usize>> {
    let (start, len) = short_len(window, at)?;
    let end = start + len;
    (end <= window.len()).then_some(start..end)
}

/// Where a length of one or two bytes, the shortest form for it, ends, and the length.
#[inline]
fn short_len(window: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = usize::from(*window.get(at)?);
    if first < 0x40 {
        return Some((at + 1, first));
    }
    let len = (first & 0x3f) << 8 | usize::from(*window.get(at + 1)?);
    ((0x40..0x80).contains(&first) && len >= 0x40).then_some((at + 2, len))
}

/// Where a sound compressed string ends whose two lengths begin at `at`.
fn compressed(window: &[u8], at: usize) -> Option<usize> {
    let (at, packed) = short_len(window, at)?;
    let (at, len) = short_len(window, at)?;
    let end = at + packed;
    let data = window.get(at..end)?;
    // What stands for nothing is sound to LZF, but no string is stored so.
    (len > 0 && lzf::holds(data, len)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_whole_plain_strings() {
        assert_eq!(plain_string(b"\x00\x01k\x02vvrest"), Some((2..3, 6)));
        assert_eq!(
            plain_string(b"\xfc12345678\x00\x01k\xc1\x01\x02"),
            Some((11..12, 15))
        );
        assert_eq!(plain_string(b"\x00\x40\x01k\x01v"), None);
        assert_eq!(plain_string(b"\x00\x01k\xc3\x01\x02"), None);
        assert_eq!(plain_string(b"\x00\x01k\xc3\x00\x00rest"), None);
        assert_eq!(plain_string(b"\x01\x01k\x01v"), None);
        let packed = b"\x00\x01k\xc3\x05\x0c\x00\x61\xe0\x02\x00";
        assert_eq!(plain_string(packed), Some((2..3, packed.len())));
        for cut in 0..packed.len() {
            assert_eq!(plain_string(&packed[..cut]), None, "{cut}");
        }
        let whole = b"\x00\x01k\xc2\x01\x02\x03\x04";
        for cut in 0..whole.len() {
            assert_eq!(plain_string(&whole[..cut]), None, "{cut}");
        }
    }
}
