//! Lengths: counts, database numbers, stream IDs and string sizes all use this code.
//!
//! ```text
//!   00xxxxxx                      6 bits
//!   01xxxxxx xxxxxxxx             14 bits, big-endian
//!   80 + 4 bytes                  32 bits, big-endian
//!   81 + 8 bytes                  64 bits, big-endian (version 8 and up)
//!   11xxxxxx                      no length: a string in a special form, see `string`
//! ```
//!
//! `05` is 5, `4001` is 1, `8000010000` is 65536. Longer forms than needed load; writers use the shortest.

use crate::cursor::Cursor;
use crate::error::{Damage, Result};

/// What stands where a string begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// A plain length.
    Plain(u64),
    /// The low six bits of a special form.
    Special(u8),
}

/// Bytes that follow the first one, or what is wrong with it.
pub(crate) const fn extra_bytes(first: u8) -> Option<usize> {
    match first {
        0x00..=0x3f | 0xc0..=0xff => Some(0),
        0x40..=0x7f => Some(1),
        0x80 => Some(4),
        0x81 => Some(8),
        _ => None,
    }
}

/// Bytes that follow the first one in the shortest form of a length.
pub(crate) const fn shortest_extra(len: u64) -> usize {
    match len {
        0..0x40 => 0,
        0x40..0x4000 => 1,
        0x4000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Puts a length together from its first byte and those that follow.
pub(crate) fn assemble(first: u8, rest: &[u8]) -> Prefix {
    match first {
        0xc0..=0xff => Prefix::Special(first & 0x3f),
        0x80.. => Prefix::Plain(rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        _ => Prefix::Plain(rest.iter().fold(u64::from(first & 0x3f), |sum, byte| {
            sum << 8 | u64::from(*byte)
        })),
    }
}

/// Reads the beginning of a string.
#[inline]
pub(crate) fn read_prefix(cursor: &mut Cursor<'_>, what: &str) -> Result<Prefix> {
    let first = cursor.u8(what)?;
    match first {
        0x00..=0x3f => Ok(Prefix::Plain(u64::from(first))),
        0x40..=0x7f => Ok(Prefix::Plain(
            u64::from(first & 0x3f) << 8 | u64::from(cursor.u8(what)?),
        )),
        0xc0.. => Ok(Prefix::Special(first & 0x3f)),
        0x80 => Ok(Prefix::Plain(u64::from(cursor.u32be(what)?))),
        0x81 => Ok(Prefix::Plain(cursor.u64be(what)?)),
        _ => Err(cursor.error(Damage::Length, format!("{what}: length byte {first:#04x}"))),
    }
}

/// Reads a plain length.
///
/// # Errors
/// [`Damage::Length`] if a special string form stands there.
#[inline]
pub(crate) fn read_len(cursor: &mut Cursor<'_>, what: &str) -> Result<u64> {
    match read_prefix(cursor, what)? {
        Prefix::Plain(len) => Ok(len),
        Prefix::Special(form) => Err(cursor.error(Damage::Length, not_a_length(what, form))),
    }
}

/// The text for a special form where a plain length belongs.
pub(crate) fn not_a_length(what: &str, form: u8) -> String {
    format!("{what}: a length was expected, string form {form} found")
}

/// Appends a length in its shortest form.
#[inline]
pub fn write_len(out: &mut Vec<u8>, len: u64) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&(0x4000 | len as u16).to_be_bytes());
    } else if let Ok(short) = u32::try_from(len) {
        out.push(0x80);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_forms_come_back() {
        for (len, size) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16383, 2),
            (16384, 5),
            (u64::from(u32::MAX), 5),
            (1 << 32, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            write_len(&mut out, len);
            assert_eq!(out.len(), size, "{len}");
            assert_eq!(extra_bytes(out[0]), Some(size - 1));
            assert_eq!(assemble(out[0], &out[1..]), Prefix::Plain(len));
            assert_eq!(read_len(&mut Cursor::new(&out), "n").unwrap(), len);
        }
    }

    #[test]
    fn the_examples_of_the_head() {
        for (bytes, len) in [
            (&[0x05][..], 5),
            (&[0x40, 0x01], 1),
            (&[0x80, 0, 1, 0, 0], 65536),
        ] {
            assert_eq!(read_len(&mut Cursor::new(bytes), "n").unwrap(), len);
        }
    }

    #[test]
    fn wrong_first_bytes() {
        for first in [0x82_u8, 0xbf, 0xc0, 0xff] {
            let bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(
                read_len(&mut Cursor::new(&bytes), "n").unwrap_err().kind,
                Damage::Length,
                "{first}"
            );
        }
        assert_eq!(
            read_len(&mut Cursor::new(&[0x80, 1]), "n")
                .unwrap_err()
                .kind,
            Damage::Truncated
        );
    }
}
