//! Strings as a snapshot stores them: plain, as an integer, or compressed.
//!
//! ```text
//!   len n | n bytes
//!   C0 | int8      C1 | int16 LE      C2 | int32 LE          the text is the decimal
//!   C3 | len compressed | len original | LZF data
//! ```
//!
//! `0568656c6c6f` is `hello`, `c0ff` is `-1`, `c101ff` is `-255`.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::length::{self, Fault, Parsed, Prefix, Why, fixed, write_len};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::lzf;
use crate::text::number::{I64Text, parse_i64};

/// LZF cannot make more of a byte than this: three bytes give 264.
const LZF_GROWTH_MAX: u64 = 88;

/// A string of a data set, in the form that costs least to hold.
///
/// Two texts are equal if their bytes are; the form does not count.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Stored as an integer; the bytes are its canonical decimal.
    Int(i64),
    /// Bytes of the source.
    Bytes(&'a [u8]),
    /// Bytes that had to be decompressed.
    Owned(Vec<u8>),
}

impl<'a> Text<'a> {
    /// The bytes, in `scratch` if the text is an integer: no allocation.
    #[inline]
    pub fn bytes<'s>(&'s self, scratch: &'s mut I64Text) -> &'s [u8] {
        match self {
            Text::Int(value) => scratch.format(*value),
            Text::Bytes(bytes) => bytes,
            Text::Owned(bytes) => bytes,
        }
    }

    /// The bytes, borrowed where they can be.
    pub fn into_cow(self) -> Cow<'a, [u8]> {
        match self {
            Text::Int(value) => Cow::Owned(I64Text::new().format(value).to_vec()),
            Text::Bytes(bytes) => Cow::Borrowed(bytes),
            Text::Owned(bytes) => Cow::Owned(bytes),
        }
    }

    /// A copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut I64Text::new()).to_vec()
    }

    /// Appends the bytes.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes(&mut I64Text::new()));
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.bytes(&mut I64Text::new()).len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text as an integer, if its bytes are a canonical one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Text::Int(value) => Some(*value),
            Text::Bytes(bytes) => parse_i64(bytes),
            Text::Owned(bytes) => parse_i64(bytes),
        }
    }

    /// The same text without a tie to the source.
    pub fn into_owned(self) -> Text<'static> {
        match self {
            Text::Int(value) => Text::Int(value),
            Text::Bytes(bytes) => Text::Owned(bytes.to_vec()),
            Text::Owned(bytes) => Text::Owned(bytes),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        if let (Text::Int(a), Text::Int(b)) = (self, other) {
            return a == b;
        }
        self.bytes(&mut I64Text::new()) == other.bytes(&mut I64Text::new())
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes(&mut I64Text::new()).hash(state);
    }
}

impl PartialEq<[u8]> for Text<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.bytes(&mut I64Text::new()) == other
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Text::Bytes(bytes)
    }
}

/// A string as it stands in the file, nothing decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored<'a> {
    Plain(&'a [u8]),
    Int(i64),
    Lzf {
        packed: &'a [u8],
        len: usize,
        at: u64,
    },
}

impl<'a> Stored<'a> {
    /// Decodes it; only compressed strings are copied.
    #[inline]
    pub fn text(self) -> Result<Text<'a>> {
        match self {
            Stored::Plain(bytes) => Ok(Text::Bytes(bytes)),
            Stored::Int(value) => Ok(Text::Int(value)),
            Stored::Lzf { .. } => {
                let mut out = Vec::new();
                self.unpack(&mut out)?;
                Ok(Text::Owned(out))
            }
        }
    }

    /// Decodes it, using `scratch` for what does not stand plainly in the file.
    #[inline]
    pub fn bytes_in<'s>(self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8]>
    where
        'a: 's,
    {
        match self {
            Stored::Plain(bytes) => Ok(bytes),
            Stored::Int(value) => {
                scratch.clear();
                scratch.extend_from_slice(I64Text::new().format(value));
                Ok(scratch)
            }
            Stored::Lzf { .. } => {
                self.unpack(scratch)?;
                Ok(scratch)
            }
        }
    }

    /// Decompresses into `out`, replacing what was there.
    fn unpack(self, out: &mut Vec<u8>) -> Result<()> {
        let Stored::Lzf { packed, len, at } = self else {
            return Ok(());
        };
        out.clear();
        lzf::decompress(packed, len, out)
            .map_err(|error| error.placed_at(at).inside("compressed string"))
    }
}

/// First bytes below this are the length of a plain string, and all that stands before it.
pub(super) const SHORT_END: u8 = 1 << 6;

/// A short plain string at the begin of `bytes`, and what stands behind it. Most strings are such: their length is their first byte.
#[inline(always)]
pub(super) fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first @ 0..SHORT_END, rest @ ..] => rest.split_at_checked(usize::from(*first)),
        _ => None,
    }
}

/// What stands before the bytes of a string, or in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// So many bytes follow.
    Plain(u64),
    /// The whole string is this number.
    Int(i64),
    /// So many compressed bytes follow, for a string of `len`.
    Lzf { packed: u64, len: u64 },
}

impl Form {
    /// Bytes that follow.
    #[inline]
    pub fn stored_len(self) -> u64 {
        match self {
            Form::Plain(len) | Form::Lzf { packed: len, .. } => len,
            Form::Int(_) => 0,
        }
    }
}

/// The form of the string at `at`, and where its bytes begin. `strict` is that of [`length::prefix`].
#[inline(always)]
pub(super) fn form(bytes: &[u8], at: usize, strict: bool) -> Parsed<Form> {
    match length::prefix(bytes, at, strict)? {
        (Prefix::Plain(len), next) => Ok((Form::Plain(len), next)),
        (Prefix::Special(form), next) => special_form(form, bytes, next, strict),
    }
}

/// A string in a special form, whose first byte stands before `next`.
fn special_form(form: u8, bytes: &[u8], next: usize, strict: bool) -> Parsed<Form> {
    let at = next - 1;
    debug_assert_eq!(
        bytes.get(at),
        Some(&(0xc0 | form)),
        "the form stands before"
    );
    let (value, end) = match form {
        0 => {
            let (value, end) = fixed(bytes, next)?;
            (i64::from(i8::from_le_bytes(value)), end)
        }
        1 => {
            let (value, end) = fixed(bytes, next)?;
            (i64::from(i16::from_le_bytes(value)), end)
        }
        2 => {
            let (value, end) = fixed(bytes, next)?;
            (i64::from(i32::from_le_bytes(value)), end)
        }
        3 => {
            let (packed, next) = length::len(bytes, next, strict)?;
            let (len, end) = length::len(bytes, next, strict)?;
            if !can_belong(packed, len) {
                let why = Why::Lzf { packed, len };
                return Err(Fault { at, why });
            }
            return Ok((Form::Lzf { packed, len }, end));
        }
        _ => {
            let why = Why::Form(form);
            return Err(Fault { at, why });
        }
    };
    Ok((Form::Int(value), end))
}

/// Whether compressed and original length can belong together.
fn can_belong(packed: u64, len: u64) -> bool {
    packed > 0 && len > 0 && len / LZF_GROWTH_MAX <= packed
}

/// Reads one string.
///
/// # Errors
/// [`Damage::Length`](crate::error::Damage::Length) for an unknown form, [`Damage::Lzf`](crate::error::Damage::Lzf) for
/// lengths that no compressed data can have, [`Damage::Truncated`](crate::error::Damage::Truncated) if the string ends
/// beyond the cursor's bytes.
#[inline]
pub(crate) fn read_string<'a>(cursor: &mut Cursor<'a>, what: &str) -> Result<Stored<'a>> {
    if let Some((bytes, _)) = split_short(cursor.rest()) {
        cursor.skip(1 + bytes.len(), what)?;
        return Ok(Stored::Plain(bytes));
    }
    let at = cursor.offset();
    let form = length::read(cursor, what, form)?;
    if let Form::Int(value) = form {
        return Ok(Stored::Int(value));
    }
    let stored = usize::try_from(form.stored_len()).unwrap_or(usize::MAX);
    let bytes = cursor.bytes(stored, what)?;
    Ok(match form {
        // The lengths were found to be in proportion, and the packed bytes are here, so this fits memory.
        Form::Lzf { len, .. } => Stored::Lzf {
            packed: bytes,
            len: len as usize,
            at,
        },
        _ => Stored::Plain(bytes),
    })
}

/// The integer form of a string, if it has one: at most 11 bytes, canonical, within 32 bits.
#[inline]
pub(crate) fn small_int(bytes: &[u8]) -> Option<i32> {
    let first = *bytes.first()?;
    if bytes.len() > 11 || !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    let value = i32::try_from(parse_i64(bytes)?).ok();
    debug_assert!(
        value.is_none_or(|value| value.to_string().as_bytes() == bytes),
        "canonical"
    );
    value
}

/// Appends an integer in the string form that fits it: 1, 2 or 4 bytes, or its text.
#[inline]
pub(crate) fn write_int(out: &mut Vec<u8>, value: i64) {
    if let Ok(byte) = i8::try_from(value) {
        out.push(0xc0);
        out.push(byte as u8);
    } else if let Ok(short) = i16::try_from(value) {
        out.push(0xc1);
        out.extend_from_slice(&short.to_le_bytes());
    } else if let Ok(word) = i32::try_from(value) {
        out.push(0xc2);
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        let mut text = I64Text::new();
        let digits = text.format(value);
        write_len(out, digits.len() as u64);
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Damage;

    fn read(bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(read_string(&mut Cursor::new(bytes), "s")?.text()?.to_vec())
    }

    #[test]
    fn the_examples_of_the_head() {
        assert_eq!(read(b"\x05hello").unwrap(), b"hello");
        assert_eq!(read(b"\xc0\xff").unwrap(), b"-1");
        assert_eq!(read(b"\xc1\x01\xff").unwrap(), b"-255");
    }

    #[test]
    fn integers_take_the_shortest_form() {
        for (value, size) in [
            (0, 2),
            (-128, 2),
            (128, 3),
            (-32768, 3),
            (32768, 5),
            (i64::from(i32::MIN), 5),
            (1 << 31, 11),
        ] {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(out.len(), size, "{value}");
            assert_eq!(read(&out).unwrap(), value.to_string().as_bytes());
        }
    }

    #[test]
    fn only_canonical_text_is_an_integer() {
        assert_eq!(small_int(b"-2147483648"), Some(i32::MIN));
        for text in [
            &b""[..],
            b"007",
            b"-0",
            b"+5",
            b"2147483648",
            b" 1",
            b"1 ",
            b"-",
        ] {
            assert_eq!(small_int(text), None, "{text:?}");
        }
    }

    #[test]
    fn impossible_lengths_are_refused_before_any_allocation() {
        let mut bytes = vec![0xc3, 5, 0x81];
        bytes.extend_from_slice(&(1_u64 << 40).to_be_bytes());
        bytes.extend_from_slice(b"xxxxx");
        assert_eq!(read(&bytes).unwrap_err().kind, Damage::Lzf);
        assert_eq!(read(b"\xc3\x00\x05").unwrap_err().kind, Damage::Lzf);
        assert_eq!(read(b"\xc4\x00").unwrap_err().kind, Damage::Length);
    }
}
