//! The commonest record of all, a plain string, found in the window at one glance.
//!
//! ```text
//!   [FC | 8 bytes expiry] | 00 | key: 1 or 2 bytes of length, text | value: the same, or C0 to C2 and an integer
//! ```
//!
//! Whatever looks different, or does not lie in the window as a whole, is left to the general walk.

use std::ops::Range;

use super::super::opcode;

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
        _ => plain_text(window, key.end)?.end,
    };
    (end <= window.len()).then_some((key, end))
}

/// A string with a length of one or two bytes, the shortest form for it.
#[inline]
fn plain_text(window: &[u8], at: usize) -> Option<Range<usize>> {
    let first = usize::from(*window.get(at)?);
    let (start, len) = match first {
        0..0x40 => (at + 1, first),
        0x40..0x80 => (
            at + 2,
            (first & 0x3f) << 8 | usize::from(*window.get(at + 1)?),
        ),
        _ => return None,
    };
    let is_shortest = first < 0x40 || len >= 0x40;
    (is_shortest && start + len <= window.len()).then_some(start..start + len)
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
        assert_eq!(plain_string(b"\x01\x01k\x01v"), None);
        let whole = b"\x00\x01k\xc2\x01\x02\x03\x04";
        for cut in 0..whole.len() {
            assert_eq!(plain_string(&whole[..cut]), None, "{cut}");
        }
    }
}
