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
use crate::error::{Damage, FormatError, Result};

/// What stands where a string begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// A plain length.
    Plain(u64),
    /// The low six bits of a special form.
    Special(u8),
}

/// What was found at a place of the bytes, and the place after it. All that reads lengths and strings, from the glance at a
/// plain record to the walk over a pipe, reads them through functions of this form.
pub(super) type Parsed<T> = std::result::Result<(T, usize), Fault>;

/// Why nothing could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The place in the bytes.
    pub at: usize,
    pub why: Why,
}

/// What is wrong at the place of a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The bytes end before so many.
    Short(usize),
    /// No length begins with this byte.
    Byte(u8),
    /// A string's special form where only a length can be.
    NoLength(u8),
    /// A length in a longer form than it needs. It can be read, but no server writes it.
    Wide { len: u64, size: usize },
    /// A special form that no version knows.
    Form(u8),
    /// Lengths that no compressed data can have.
    Lzf { packed: u64, len: u64 },
}

impl Fault {
    /// The kind of damage that it is.
    pub fn kind(&self) -> Damage {
        match self.why {
            Why::Short(_) => Damage::Truncated,
            Why::Lzf { .. } => Damage::Lzf,
            Why::Byte(_) | Why::NoLength(_) | Why::Wide { .. } | Why::Form(_) => Damage::Length,
        }
    }

    /// What is wrong with `what`, in words.
    #[cold]
    pub fn text(&self, what: &str) -> String {
        match self.why {
            Why::Short(wanted) => format!("{what}: {wanted} bytes needed"),
            Why::Byte(byte) => format!("{what}: length byte {byte:#04x}"),
            Why::NoLength(form) => {
                format!("{what}: a length was expected, string form {form} found")
            }
            Why::Wide { len, size } => {
                format!("{what}: length {len} takes {size} bytes, which no server writes")
            }
            Why::Form(form) => {
                let byte = 0xc0 | form;
                format!("{what}: unknown string form {form} ({byte:#04x})")
            }
            Why::Lzf { packed, len } if packed == 0 || len == 0 => {
                format!("{what}: compressed string of {packed} bytes for {len}")
            }
            Why::Lzf { packed, len } => {
                format!("{what}: {packed} compressed bytes cannot become {len}")
            }
        }
    }

    /// The same as an error of a cursor that stands where the place 0 is.
    #[cold]
    fn error(&self, cursor: &Cursor<'_>, what: &str) -> Box<FormatError> {
        let mut cursor = cursor.clone();
        let led = cursor.skip(self.at, what);
        match self.why {
            Why::Short(wanted) => match led.and_then(|()| cursor.skip(wanted, what)) {
                Err(short) => short,
                Ok(()) => cursor.error(self.kind(), self.text(what)),
            },
            _ => cursor.error(self.kind(), self.text(what)),
        }
    }
}

/// Reads with `parse` what stands at the cursor. After an error the cursor has not moved.
#[inline]
pub(super) fn read<T>(
    cursor: &mut Cursor<'_>,
    what: &str,
    parse: impl Fn(&[u8], usize, bool) -> Parsed<T>,
) -> Result<T> {
    match parse(cursor.rest(), 0, false) {
        Ok((found, end)) => {
            debug_assert!(end <= cursor.rest().len(), "what was read is there");
            cursor.skip(end, what)?;
            Ok(found)
        }
        Err(fault) => Err(fault.error(cursor, what)),
    }
}

/// Lengths below this are their own byte.
const ONE_BYTE_END: u8 = 0x40;

/// The length that a byte is by itself, if it is one.
#[inline(always)]
pub(super) fn of_one_byte(byte: u8) -> Option<usize> {
    (byte < ONE_BYTE_END).then_some(usize::from(byte))
}

/// Bytes that follow the first one in the shortest form of a length.
const fn shortest_extra(len: u64) -> usize {
    const ONE_BYTE: u64 = ONE_BYTE_END as u64;
    match len {
        0..ONE_BYTE => 0,
        ONE_BYTE..0x4000 => 1,
        0x4000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// The bytes of a number of fixed width.
#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Parsed<[u8; N]> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
        Some(chunk) => Ok((*chunk, at + N)),
        None => Err(Fault {
            at,
            why: Why::Short(N),
        }),
    }
}

/// The beginning of a string. `strict` refuses a length that is longer than it needs to be.
///
/// Nearly all lengths have one byte, so that this much is inlined wherever a length is read.
#[inline(always)]
pub(super) fn prefix(bytes: &[u8], at: usize, strict: bool) -> Parsed<Prefix> {
    match bytes.get(at) {
        Some(first @ 0x00..=0x3f) => Ok((Prefix::Plain(u64::from(*first)), at + 1)),
        Some(first @ 0xc0..) => Ok((Prefix::Special(first & 0x3f), at + 1)),
        _ => long_prefix(bytes, at, strict),
    }
}

/// A length that has more than one byte.
fn long_prefix(bytes: &[u8], at: usize, strict: bool) -> Parsed<Prefix> {
    let ([first], next) = fixed::<1>(bytes, at)?;
    let (len, end) = match first {
        0x40..=0x7f => {
            let ([low], end) = fixed::<1>(bytes, next)?;
            (u64::from(first & 0x3f) << 8 | u64::from(low), end)
        }
        0x80 => {
            let (word, end) = fixed(bytes, next)?;
            (u64::from(u32::from_be_bytes(word)), end)
        }
        0x81 => {
            let (word, end) = fixed(bytes, next)?;
            (u64::from_be_bytes(word), end)
        }
        _ => {
            let why = Why::Byte(first);
            return Err(Fault { at, why });
        }
    };
    let size = end - at;
    debug_assert!(matches!(size, 2 | 5 | 9), "one byte was read elsewhere");
    if strict && shortest_extra(len) + 1 < size {
        let why = Why::Wide { len, size };
        return Err(Fault { at, why });
    }
    Ok((Prefix::Plain(len), end))
}

/// A plain length.
#[inline(always)]
pub(super) fn len(bytes: &[u8], at: usize, strict: bool) -> Parsed<u64> {
    match prefix(bytes, at, strict)? {
        (Prefix::Plain(len), end) => Ok((len, end)),
        (Prefix::Special(form), _) => {
            let why = Why::NoLength(form);
            Err(Fault { at, why })
        }
    }
}

/// Reads a plain length.
///
/// # Errors
/// [`Damage::Length`] if a special string form stands there.
#[inline]
pub(super) fn read_len(cursor: &mut Cursor<'_>, what: &str) -> Result<u64> {
    read(cursor, what, len)
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
            assert_eq!(super::len(&out, 0, true), Ok((len, size)));
            assert_eq!(read_len(&mut Cursor::new(&out), "n").unwrap(), len);
            for cut in 0..size {
                let short = super::len(&out[..cut], 0, true).unwrap_err();
                let (at, wanted) = if cut == 0 { (0, 1) } else { (1, size - 1) };
                let why = Why::Short(wanted);
                assert_eq!(short, Fault { at, why }, "{len} cut at {cut}");
            }
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
    fn longer_forms_than_needed_are_read_unless_nobody_writes_them() {
        for (bytes, len) in [
            (&[0x40, 5][..], 5),
            (&[0x80, 0, 0, 0x3f, 0xff], 0x3fff),
            (&[0x81, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff),
        ] {
            let size = bytes.len();
            assert_eq!(super::len(bytes, 0, false), Ok((len, size)));
            let why = Why::Wide { len, size };
            assert_eq!(super::len(bytes, 0, true), Err(Fault { at: 0, why }));
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
