//! The commonest record of all, a plain string, found in the window at one glance.
//!
//! ```text
//!   [FC | 8 bytes expiry] | 00 | key | value
//!
//!   key, value:    length, text   or   C0 to C2, integer   or   C3, packed length, length, LZF data
//! ```
//!
//! Whatever looks different, or does not lie in the window as a whole, or is wrong, is left to the general walk,
//! which then says what is wrong.

use std::ops::Range;

use super::super::length::of_one_byte;
use super::super::opcode;
use super::super::string::{Form, Text, form};
use crate::lzf;
use crate::text::number::I64Text;

/// Bytes of an expiry in milliseconds, with its opcode.
const EXPIRY: usize = 9;

/// What a record begins with, by its places, counted from the window's begin.
#[derive(Debug, PartialEq)]
pub(super) struct Start {
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// The type of its value.
    pub type_byte: u8,
    /// Where the key's length stands.
    pub key_at: usize,
    key: Form,
    /// Where the key's bytes stand, as they are stored; the value follows.
    key_bytes: Range<usize>,
}

/// A plain string by its places, counted from the window's begin.
#[derive(Debug, PartialEq)]
pub(super) struct PlainString {
    /// Expiry and key.
    pub start: Start,
    /// Where the value's length stands.
    pub value_at: usize,
    value: Form,
    value_bytes: Range<usize>,
    /// The record's length.
    pub end: usize,
}

/// Finds expiry, type and key of the record at the window's begin.
#[inline(always)]
pub(super) fn start(window: &[u8]) -> Option<Start> {
    let (type_at, expire_ms) = match *window.first()? {
        opcode::EXPIRETIME_MS => {
            let time = window.get(1..)?.first_chunk::<8>()?;
            (EXPIRY, Some(i64::from_le_bytes(*time)))
        }
        _ => (0, None),
    };
    let type_byte = *window.get(type_at)?;
    let key_at = type_at + 1;
    let (key, key_bytes) = string(window, key_at)?;
    Some(Start {
        expire_ms,
        type_byte,
        key_at,
        key,
        key_bytes,
    })
}

impl Start {
    /// Where the value stands.
    #[inline]
    pub fn value_at(&self) -> usize {
        self.key_bytes.end
    }

    /// The key's bytes, in `scratch` if they do not stand plainly in the window; `None` if they cannot be decompressed.
    #[inline]
    pub fn key<'s>(&self, window: &'s [u8], scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        match unpack(self.key, &self.key_bytes, window, scratch)? {
            true => Some(scratch),
            false => window.get(self.key_bytes.clone()),
        }
    }
}

/// Finds the extent of the record at the window's begin, and that it is sound but for what is compressed in it.
#[inline(always)]
pub(super) fn plain_string(window: &[u8]) -> Option<PlainString> {
    plain_string_of(window, start(window)?)
}

/// The same, of a record whose begin is known.
#[inline(always)]
pub(super) fn plain_string_of(window: &[u8], start: Start) -> Option<PlainString> {
    if start.type_byte != opcode::STRING {
        return None;
    }
    let value_at = start.value_at();
    let (value, value_bytes) = string(window, value_at)?;
    let end = value_bytes.end;
    debug_assert!(
        start.key_at < value_at && value_at < end,
        "type, key, value"
    );
    Some(PlainString {
        start,
        value_at,
        value,
        value_bytes,
        end,
    })
}

/// A plain string whose lengths are a byte each, by its places, counted from the window's begin.
#[derive(Debug, PartialEq)]
pub(super) struct ShortString {
    /// Where the key's length stands.
    pub key_at: usize,
    /// Where the value's length stands.
    value_at: usize,
    /// The record's length.
    pub end: usize,
}

/// Finds the extent of the record at the window's begin if it is the very commonest: nothing of such a string can be wrong.
#[inline(always)]
pub(super) fn short_string(window: &[u8]) -> Option<ShortString> {
    let type_at = match *window.first()? {
        opcode::EXPIRETIME_MS => EXPIRY,
        _ => 0,
    };
    let [type_byte, key_len] = *window.get(type_at..)?.first_chunk()?;
    if type_byte != opcode::STRING {
        return None;
    }
    let key_at = type_at + 1;
    let value_at = key_at + 1 + of_one_byte(key_len)?;
    let end = value_at + 1 + of_one_byte(*window.get(value_at)?)?;
    (end <= window.len()).then_some(ShortString {
        key_at,
        value_at,
        end,
    })
}

impl ShortString {
    /// The key's bytes.
    #[inline(always)]
    pub fn key<'s>(&self, window: &'s [u8]) -> &'s [u8] {
        &window[self.key_at + 1..self.value_at]
    }
}

impl PlainString {
    /// Whether the value is what it claims to be. A compressed one is walked token by token, and not decompressed.
    #[inline]
    pub fn holds(&self, window: &[u8]) -> bool {
        match self.value {
            Form::Lzf { len, .. } => window
                .get(self.value_bytes.clone())
                .is_some_and(|packed| lzf::holds(packed, len as usize)),
            Form::Int(_) | Form::Plain(_) => true,
        }
    }

    /// Brings key and value into the buffers, where they do not stand plainly in the window; false if one cannot be decompressed.
    #[inline]
    pub fn unpacked(&self, window: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> bool {
        let is_key = unpack(self.start.key, &self.start.key_bytes, window, key);
        let is_number = matches!(self.value, Form::Int(_));
        is_key.is_some()
            && (is_number || unpack(self.value, &self.value_bytes, window, value).is_some())
    }

    /// Key and value, after [`PlainString::unpacked`] with the same buffers.
    #[inline]
    pub fn texts<'s>(
        &self,
        window: &'s [u8],
        key: &'s [u8],
        value: &'s [u8],
    ) -> (&'s [u8], Text<'s>) {
        let key = match self.start.key {
            Form::Plain(_) => &window[self.start.key_bytes.clone()],
            Form::Int(_) | Form::Lzf { .. } => key,
        };
        let value = match self.value {
            Form::Plain(_) => Text::Bytes(&window[self.value_bytes.clone()]),
            Form::Int(number) => Text::Int(number),
            Form::Lzf { .. } => Text::Bytes(value),
        };
        (key, value)
    }
}

/// Brings the bytes of a string into `scratch` if they do not stand plainly in the window: whether they are there. `None` if they
/// cannot be decompressed.
#[inline]
pub(super) fn unpack(
    form: Form,
    place: &Range<usize>,
    window: &[u8],
    scratch: &mut Vec<u8>,
) -> Option<bool> {
    match form {
        Form::Plain(_) => return Some(false),
        Form::Int(value) => {
            scratch.clear();
            scratch.extend_from_slice(I64Text::new().format(value));
        }
        Form::Lzf { len, .. } => {
            scratch.clear();
            let packed = window.get(place.clone())?;
            lzf::decompress(packed, len as usize, scratch).ok()?;
        }
    }
    Some(true)
}

/// The string at `at` and the place of its bytes, if it is as a server writes it and lies in the window.
#[inline(always)]
pub(super) fn string(window: &[u8], at: usize) -> Option<(Form, Range<usize>)> {
    let (form, start) = form(window, at, true).ok()?;
    let end = start.checked_add(usize::try_from(form.stored_len()).ok()?)?;
    (end <= window.len()).then_some((form, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and length of the record at the begin.
    fn found(window: &[u8]) -> Option<(Vec<u8>, usize)> {
        let found = plain_string(window).filter(|found| found.holds(window))?;
        let key = found.start.key(window, &mut Vec::new())?.to_vec();
        Some((key, found.end))
    }

    #[test]
    fn takes_only_whole_plain_strings() {
        let short = |key: &[u8], end| Some((key.to_vec(), end));
        assert_eq!(found(b"\x00\x01k\x02vvrest"), short(b"k", 6));
        let expiring = b"\xfc12345678\x00\x01k\xc1\x01\x02";
        assert_eq!(found(expiring), short(b"k", 15));
        assert_eq!(
            plain_string(expiring).map(|found| found.start.key_at),
            Some(10)
        );
        assert_eq!(found(b"\x00\xc1\x01\xff\x01v"), short(b"-255", 6));
        assert_eq!(found(b"\x00\xc4\x01\xff\x01v"), None);
        assert_eq!(found(b"\x00\x40\x01k\x01v"), None);
        assert_eq!(found(b"\x00\x01k\xc3\x01\x02"), None);
        assert_eq!(found(b"\x00\x01k\xc3\x00\x00rest"), None);
        assert_eq!(found(b"\x01\x01k\x01v"), None);
    }

    /// What is found at a shorter glance is what the longer one finds.
    #[test]
    fn short_strings_are_plain_strings() {
        let mut short = 0;
        let forms: [&[u8]; 6] = [b"", b"\x01k", b"\x00", b"\xc0\x01", b"\x40\x41", b"\x3f"];
        for head in [
            &b"\x00"[..],
            b"\xfc12345678\x00",
            b"\x01",
            b"\xfc1234567",
            b"",
        ] {
            for (key, value) in forms.iter().flat_map(|key| forms.map(|value| (key, value))) {
                for rest in [0, 1, 62, 63, 64, 130] {
                    let window = [head, key, value, &vec![b'r'; rest][..]].concat();
                    let Some(found) = short_string(&window) else {
                        continue;
                    };
                    short += 1;
                    let plain = plain_string(&window).unwrap();
                    assert!(plain.holds(&window), "{window:?}");
                    assert_eq!((found.key_at, found.end), (plain.start.key_at, plain.end));
                    let key = plain.start.key(&window, &mut Vec::new()).unwrap().to_vec();
                    assert_eq!(found.key(&window), key);
                }
            }
        }
        assert!(short > 50, "{short}");
    }

    #[test]
    fn compressed_keys_and_values_must_hold_what_they_claim() {
        let twelve = b"\xc3\x05\x0c\x00\x61\xe0\x02\x00";
        let thirteen = b"\xc3\x05\x0d\x00\x61\xe0\x02\x00";
        let record = |key: &[u8], value: &[u8]| [b"\x00", key, value].concat();
        assert_eq!(found(&record(twelve, twelve)), Some((vec![b'a'; 12], 17)));
        assert_eq!(found(&record(twelve, thirteen)), None);
        assert_eq!(found(&record(thirteen, twelve)), None);
    }

    #[test]
    fn takes_nothing_that_is_cut() {
        let packed = b"\x00\x01k\xc3\x05\x0c\x00\x61\xe0\x02\x00";
        let number = b"\x00\x01k\xc2\x01\x02\x03\x04";
        for whole in [&packed[..], number, b"\x00\xc1\x01\x02\x01v"] {
            assert!(found(whole).is_some_and(|(_, end)| end == whole.len()));
            for cut in 0..whole.len() {
                assert_eq!(found(&whole[..cut]), None, "{cut}");
            }
        }
    }
}
