//! Ids as clients write them: `5-1`, `5`, `-`, `+`, `(5-1`, and for XADD `*` and `5-*`.

use std::io::Write;

use crate::base::error::Error;
use crate::call::reply::Reply;
use crate::value::stream::StreamId;

pub const INVALID: Error = Error::new("ERR Invalid stream ID specified as stream command argument");
const INVALID_START: Error = Error::new("ERR invalid start ID for the interval");
const INVALID_END: Error = Error::new("ERR invalid end ID for the interval");

/// Longest text of an id that is looked at, bytes.
const TEXT_MAX: usize = 127;

/// The id that XADD is to give an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// `*`: by the clock.
    Auto,
    /// `ms-*`: the next sequence number of this millisecond.
    InMs(u64),
    /// Given as a whole.
    Whole(StreamId),
}

/// The id that XADD is to use.
pub fn parse_new(text: &[u8]) -> Result<NewId, Error> {
    if text == b"*" {
        return Ok(NewId::Auto);
    }
    match text.strip_suffix(b"-*") {
        Some(ms) if text.len() <= TEXT_MAX => number(ms).map(NewId::InMs).ok_or(INVALID),
        _ => parse(text).map(NewId::Whole),
    }
}

/// An id; without a sequence number it means the first of its millisecond.
pub fn parse(text: &[u8]) -> Result<StreamId, Error> {
    match until_nul(text) {
        b"-" | b"+" => Err(INVALID),
        _ => parse_or_end(text, 0),
    }
}

/// An id, or `-` for the smallest and `+` for the greatest.
pub fn parse_or_end(text: &[u8], seq_missing: u64) -> Result<StreamId, Error> {
    if text.len() > TEXT_MAX {
        return Err(INVALID);
    }
    match until_nul(text) {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => whole(text, seq_missing).ok_or(INVALID),
    }
}

/// The lower end of a range; `(` excludes it.
pub fn parse_start(text: &[u8]) -> Result<StreamId, Error> {
    match excluded(text) {
        Some(id) => parse(id)?.next().ok_or(INVALID_START),
        None => parse_or_end(text, 0),
    }
}

/// The upper end of a range; `(` excludes it, and without a sequence number it means the last of its millisecond.
pub fn parse_end(text: &[u8]) -> Result<StreamId, Error> {
    match excluded(text) {
        Some(id) if matches!(until_nul(id), b"-" | b"+") => Err(INVALID),
        Some(id) => parse_or_end(id, u64::MAX)?.prev().ok_or(INVALID_END),
        None => parse_or_end(text, u64::MAX),
    }
}

fn excluded(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|id| !id.is_empty())
}

/// Redis copies the text to a C string first.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|b| *b == 0).next().unwrap_or_default()
}

fn whole(text: &[u8], seq_missing: u64) -> Option<StreamId> {
    Some(match text.iter().position(|b| *b == b'-') {
        Some(dash) => StreamId::new(number(&text[..dash])?, number(&text[dash + 1..])?),
        None => StreamId::new(number(text)?, seq_missing),
    })
}

/// A number as Redis 7.2 `string2ull` reads it: a canonical signed integer must not be negative, anything else goes
/// through C's `strtoull`, which takes blanks in front, a sign (minus turns around) and leading zeros.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(i) = cairn_format::text::number::parse_i64(text) {
        return u64::try_from(i).ok();
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|b| !blank(b))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// An id as a bulk string.
pub fn reply(reply: &mut Reply, id: StreamId) {
    with_text(id, |text| reply.bulk(text));
}

/// The text of an id, without an allocation: replies of ranges are full of them.
pub fn with_text<R>(id: StreamId, use_text: impl FnOnce(&[u8]) -> R) -> R {
    let mut buffer = [0; 41];
    let mut rest = &mut buffer[..];
    write!(rest, "{id}").expect("two numbers of 20 digits and a dash fit");
    let len = 41 - rest.len();
    use_text(&buffer[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId::new(ms, seq)
    }

    #[test]
    fn ids_read_as_in_redis() {
        assert_eq!(parse(b"5-1"), Ok(id(5, 1)));
        assert_eq!(parse(b"5"), Ok(id(5, 0)));
        assert_eq!(parse(b"007- 01"), Ok(id(7, 1)));
        assert_eq!(parse(b"18446744073709551615"), Ok(id(u64::MAX, 0)));
        assert_eq!(parse(b"5\0rest"), Ok(id(5, 0)));
        for bad in [
            "",
            "-",
            "+",
            "a",
            "5-",
            "-5",
            "5-*",
            "5--1",
            "18446744073709551616",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(INVALID), "{bad}");
        }
        assert_eq!(parse(&[b'0'; 128]), Err(INVALID));
    }

    #[test]
    fn xadd_takes_stars() {
        assert_eq!(parse_new(b"*"), Ok(NewId::Auto));
        assert_eq!(parse_new(b"7-*"), Ok(NewId::InMs(7)));
        assert_eq!(parse_new(b"7"), Ok(NewId::Whole(id(7, 0))));
        assert_eq!(parse_new(b"-*"), Err(INVALID));
    }

    #[test]
    fn ends_of_ranges_can_be_excluded() {
        assert_eq!(parse_start(b"(5-1"), Ok(id(5, 2)));
        assert_eq!(parse_end(b"(5"), Ok(id(5, u64::MAX - 1)));
        assert_eq!(parse_end(b"5"), Ok(id(5, u64::MAX)));
        assert_eq!(parse_end(b"(0-0"), Err(INVALID_END));
        assert_eq!(parse_start(b"("), Err(INVALID));
        assert_eq!(parse_start(b"(-"), Err(INVALID));
        let last = b"(18446744073709551615-18446744073709551615";
        assert_eq!(parse_start(last), Err(INVALID_START));
    }

    #[test]
    fn text_and_back() {
        with_text(StreamId::MAX, |text| {
            assert_eq!(parse(text), Ok(StreamId::MAX));
        });
    }
}
