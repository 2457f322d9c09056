//! One record of a log: a command, or an annotation between commands.
//!
//! ```text
//!   *3\r\n              three arguments follow
//!   $3\r\nSET\r\n       each with its length in bytes
//!   $1\r\nk\r\n
//!   $0\r\n\r\n
//!
//!   #TS:1700000000\r\n  an annotation: no command, skipped when loading (7.0 and later)
//! ```
//!
//! A log is written by programs, so the form is taken strictly: numbers are canonical and positive,
//! lines end with CRLF, nothing stands between the parts. What servers accept as well
//! (LF in the place of CRLF at some places, numbers with blanks) no server writes.
//!
//! The two bytes behind an argument may be any, as for Redis, which never looks at them, where what follows them is the
//! next part or the log's end. Where it is not, the argument's length is what is wrong.

use crate::error::{Damage, FormatError, Result};
use std::ops::Range;

/// Longest annotation line in bytes with its end, as `AOF_ANNOTATION_LINE_MAX_LEN` of Redis 7.
const ANNOTATION_MAX: usize = 1024;
/// Most arguments of a command; servers count them in a signed 32-bit number.
pub const ARGS_MAX: u64 = i32::MAX as u64;
/// An argument longer than this that also goes beyond the end of the log has a wrong length; a
/// shorter one is a log that was cut. 512 MB, the default limit of servers.
const BULK_PLAUSIBLE: u64 = 512 * 1024 * 1024;

/// As many zeros in the place of a command are counted where other bytes follow: readers have that many at hand.
const ZEROS_COUNTED: usize = 4096;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command; its argument ranges were appended.
    Command,
    /// A line beginning with `#`.
    Annotation,
}

/// A record that is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Command or annotation.
    pub kind: Kind,
    /// Offset in the slice just behind the record.
    pub end: usize,
    /// Other bytes than CRLF stand behind some argument.
    pub loose: bool,
}

/// Why a record could not be read.
#[derive(Debug)]
pub enum Failure {
    /// The slice ends within the record: a cut log, or a piece of a stream that goes on.
    Short(Missing),
    /// No bytes that follow could make it a record.
    Damaged(Box<FormatError>),
}

/// How far a record goes beyond the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Bytes that are missing at least.
    pub need: u64,
    /// What is cut.
    pub part: Part,
}

/// The part of a record in which the bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The line with the count of arguments.
    Count,
    /// The length line of this argument (from 0) of so many.
    Length(u64, u64),
    /// The bytes of this argument (from 0) of so many, which claims this length and has so many bytes.
    Argument {
        /// Number of the argument, from 0.
        index: u64,
        /// How many arguments the command claims.
        count: u64,
        /// Bytes that the argument claims.
        length: u64,
        /// Bytes that are there, perhaps with a part of the line end.
        present: u64,
    },
    /// An annotation line.
    Annotation,
    /// What follows the last argument, whose two bytes are not CRLF: the command is whole if nothing does.
    Behind(Record),
}

impl Missing {
    /// What is to be made of a log that ends here; the record begins at the absolute `offset`.
    ///
    /// # Errors
    /// The finding, unless the record is whole.
    pub fn at_end(&self, offset: u64) -> Result<Record> {
        let mut kind = Damage::AofTruncated;
        let what = match self.part {
            Part::Count => {
                "command: the log ends in the line with its count of arguments".to_string()
            }
            Part::Length(index, count) => {
                format!(
                    "command: argument {} of {count}: the log ends in or before its length line",
                    index + 1
                )
            }
            Part::Argument {
                index,
                count,
                length,
                present,
            } => {
                if length > BULK_PLAUSIBLE {
                    kind = Damage::AofFormat;
                }
                let remain = present.min(length);
                let claim = format!(
                    "command: argument {} of {count} claims {length} bytes",
                    index + 1
                );
                match remain == length {
                    true => format!("{claim}, the log ends before its line end"),
                    false => format!("{claim}, {remain} remain"),
                }
            }
            Part::Annotation => "annotation: the log ends before its line end".to_string(),
            Part::Behind(record) => return Ok(record),
        };
        Err(FormatError::new(kind, offset, what))
    }
}

/// Read the record at `at` of `log`, whose first byte has the absolute offset `base`. The ranges of
/// a command's arguments (offsets in `log`) replace what is in `args`.
///
/// Nothing is allocated but room in `args`, and that only for arguments that are really there.
#[inline]
pub fn read(
    log: &[u8],
    at: usize,
    base: u64,
    args: &mut Vec<Range<usize>>,
) -> std::result::Result<Record, Failure> {
    args.clear();
    match log.get(at) {
        Some(b'*') => command(log, at, base, args),
        Some(b'#') => annotation(log, at, base),
        Some(_) => Err(Failure::Damaged(no_record(log, at, base))),
        None => Err(Failure::Short(Missing {
            need: 1,
            part: Part::Count,
        })),
    }
}

#[inline]
fn command(
    log: &[u8],
    start: usize,
    base: u64,
    args: &mut Vec<Range<usize>>,
) -> std::result::Result<Record, Failure> {
    let Some((count, mut at)) = short_line(log, start, b'*').or_else(|| number(log, start + 1))
    else {
        return Err(bad_count(log, start, base));
    };
    if count == 0 || count > ARGS_MAX {
        return Err(bad_count(log, start, base));
    }
    let mut loose = false;
    for index in 0..count {
        let length = short_line(log, at, b'$').or_else(|| match log.get(at) {
            Some(b'$') => number(log, at + 1),
            _ => None,
        });
        let Some((length, begin)) = length else {
            return Err(bad_length(log, at, base, index, count));
        };
        let end = usize::try_from(length)
            .ok()
            .and_then(|l| begin.checked_add(l));
        let tail = end
            .and_then(|end| log.get(end..))
            .and_then(|tail| tail.first_chunk::<2>());
        let (Some(end), Some(tail)) = (end, tail) else {
            return Err(bad_argument(log, begin, index, count, length));
        };
        args.push(begin..end);
        if tail != b"\r\n" {
            end_loosely(log, end + 2, base + at as u64, index, count, length)?;
            loose = true;
        }
        at = end + 2;
    }
    debug_assert_eq!(args.len() as u64, count, "as many as announced");
    Ok(Record {
        kind: Kind::Command,
        end: at,
        loose,
    })
}

fn annotation(log: &[u8], at: usize, base: u64) -> std::result::Result<Record, Failure> {
    let rest = &log[at..log.len().min(at + ANNOTATION_MAX)];
    let fail = |what: &str| {
        Err(Failure::Damaged(FormatError::new(
            Damage::AofFormat,
            base + at as u64,
            what,
        )))
    };
    match rest.iter().position(|b| *b == b'\n') {
        Some(lf) if rest[lf - 1] == b'\r' => Ok(Record {
            kind: Kind::Annotation,
            end: at + lf + 1,
            loose: false,
        }),
        Some(_) => fail("annotation: the line ends with LF alone, CRLF was expected"),
        None if rest.len() == ANNOTATION_MAX => {
            fail("annotation: the line is longer than 1024 bytes")
        }
        None => Err(Failure::Short(Missing {
            need: 1,
            part: Part::Annotation,
        })),
    }
}

/// A line of `prefix`, a canonical number of up to three digits and CRLF at `at`: the number and the offset behind the line. Also nothing
/// where fewer than eight bytes are left, which are read at once: most lines of a log are such.
#[inline(always)]
fn short_line(log: &[u8], at: usize, prefix: u8) -> Option<(u64, usize)> {
    /// CR and LF in a little-endian word.
    const CRLF: u64 = 0x0a0d;
    let word = u64::from_le_bytes(*log.get(at..)?.first_chunk::<8>()?);
    let ends_at = |place: usize| (word >> (8 * place)) & 0xffff == CRLF;
    // Above 9 if it is no digit.
    let digit = |place: usize| ((word >> (8 * place)) & 0xff).wrapping_sub(u64::from(b'0'));
    let first = digit(1);
    if word & 0xff != u64::from(prefix) || first > 9 {
        return None;
    }
    if ends_at(2) {
        return Some((first, at + 4));
    }
    let second = digit(2);
    if second > 9 || first == 0 {
        return None;
    }
    let two = first * 10 + second;
    if ends_at(3) {
        return Some((two, at + 5));
    }
    let third = digit(3);
    (third <= 9 && ends_at(4)).then(|| (two * 10 + third, at + 6))
}

/// Most digits of a number: those of 2^63.
const DIGITS_MAX: usize = 19;

/// Any canonical number below 10^19 and its CRLF.
#[cold]
fn number(log: &[u8], at: usize) -> Option<(u64, usize)> {
    let line = log.get(at..)?;
    let digits = line
        .iter()
        .take(DIGITS_MAX + 1)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let canonical = digits == 1 || (digits > 1 && digits <= DIGITS_MAX && line[0] != b'0');
    if !canonical || line.get(digits..digits + 2)? != b"\r\n" {
        return None;
    }
    let value = line[..digits]
        .iter()
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some((value, at + digits + 2))
}

/// Whether the log ends in what could become prefix, number and CRLF.
fn line_is_cut(log: &[u8], at: usize, prefix: u8) -> bool {
    let line = &log[at.min(log.len())..];
    let Some((first, rest)) = line.split_first() else {
        return true;
    };
    let digits = rest
        .iter()
        .take(DIGITS_MAX + 1)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let canonical = digits <= 1 || (digits <= DIGITS_MAX && rest[0] != b'0');
    let tail = &rest[digits..];
    *first == prefix && canonical && (tail.is_empty() || (digits > 0 && tail == b"\r"))
}

/// What stands at `at`, for a message: the line without its end, at most 24 bytes.
fn shown(log: &[u8], at: usize) -> String {
    let line = &log[at.min(log.len())..];
    let length = line
        .iter()
        .take(24)
        .take_while(|b| !matches!(b, b'\r' | b'\n'))
        .count();
    crate::text::words::quote(&line[..length])
}

#[cold]
fn bad_count(log: &[u8], at: usize, base: u64) -> Failure {
    if line_is_cut(log, at, b'*') {
        return Failure::Short(Missing {
            need: 1,
            part: Part::Count,
        });
    }
    let what = format!(
        "command: the count of arguments is {}, a number from 1 and CRLF were expected",
        shown(log, at)
    );
    Failure::Damaged(FormatError::new(Damage::AofFormat, base + at as u64, what))
}

#[cold]
fn bad_length(log: &[u8], at: usize, base: u64, index: u64, count: u64) -> Failure {
    debug_assert!(index < count, "of an argument that was announced");
    if line_is_cut(log, at, b'$') {
        // Every argument still to come takes at least `$0` and two line ends.
        let need = 1 + (count - index - 1) * 6;
        return Failure::Short(Missing {
            need,
            part: Part::Length(index, count),
        });
    }
    let found = shown(log, at);
    let what = format!(
        "command: argument {} of {count}: `$`, a length and CRLF were expected, found {found}",
        index + 1
    );
    Failure::Damaged(FormatError::new(Damage::AofFormat, base + at as u64, what))
}

/// Whether an argument whose two bytes, up to `end`, are not CRLF may be one: what follows is the next, a record or nothing.
#[cold]
fn end_loosely(
    log: &[u8],
    end: usize,
    offset: u64,
    index: u64,
    count: u64,
    length: u64,
) -> std::result::Result<(), Failure> {
    match (log.get(end), index + 1 == count) {
        (Some(b'$') | None, false) | (Some(b'*' | b'#'), true) => Ok(()),
        (None, true) => Err(Failure::Short(Missing {
            need: 1,
            part: Part::Behind(Record {
                kind: Kind::Command,
                end,
                loose: true,
            }),
        })),
        _ => {
            let what = format!(
                "command: argument {} of {count} of {length} bytes does not end with CRLF",
                index + 1
            );
            Err(Failure::Damaged(FormatError::new(
                Damage::AofFormat,
                offset,
                what,
            )))
        }
    }
}

/// The argument goes beyond the slice, or ends right there and its line end is cut.
#[cold]
fn bad_argument(log: &[u8], begin: usize, index: u64, count: u64, length: u64) -> Failure {
    debug_assert!(index < count, "of an argument that was announced");
    let present = (log.len() - begin) as u64;
    debug_assert!(present < length.saturating_add(2), "it is not all there");
    let need = length.saturating_add(2).saturating_sub(present).max(1);
    Failure::Short(Missing {
        need,
        part: Part::Argument {
            index,
            count,
            length,
            present,
        },
    })
}

#[cold]
fn no_record(log: &[u8], at: usize, base: u64) -> Box<FormatError> {
    let rest = &log[at..];
    let near = &rest[..rest.len().min(ZEROS_COUNTED)];
    let what = match near.iter().position(|b| *b != 0) {
        None => format!(
            "{} or more zero bytes where a command was expected",
            near.len()
        ),
        Some(zeros) if zeros > 0 => format!("{zeros} zero bytes where a command was expected"),
        _ => format!(
            "a command (`*`) or annotation (`#`) was expected, found {}",
            shown(log, at)
        ),
    };
    FormatError::new(Damage::AofFormat, base + at as u64, what)
}

/// The result of a whole-slice read: a record, or the damage if `log` ends within it.
pub fn read_whole(
    log: &[u8],
    at: usize,
    base: u64,
    args: &mut Vec<Range<usize>>,
) -> Result<Record> {
    read(log, at, base, args).or_else(|failure| match failure {
        Failure::Short(missing) => missing.at_end(base + at as u64),
        Failure::Damaged(error) => Err(match zeros_from(log, at) {
            Some(zeros) => before_zeros(log, at, base, zeros, 0).unwrap_or(error),
            None => error,
        }),
    })
}

/// Where the zeros begin that `log` ends with, not before `at`; nothing if its last byte is another one.
pub fn zeros_from(log: &[u8], at: usize) -> Option<usize> {
    let last = log.iter().rposition(|b| *b != 0);
    let zeros = last.map_or(0, |last| last + 1).max(at);
    debug_assert!(
        log.get(zeros..)
            .is_none_or(|rest| rest.iter().all(|b| *b == 0))
    );
    (zeros < log.len()).then_some(zeros)
}

/// What is wrong with a record that is damaged at `at` and behind which nothing but zeros follow, from the offset `zeros`
/// of the slice on and for `beyond` bytes more: a torn record, or none at all. Nothing if it is damaged before the zeros.
#[cold]
pub fn before_zeros(
    log: &[u8],
    at: usize,
    base: u64,
    zeros: usize,
    beyond: u64,
) -> Option<Box<FormatError>> {
    debug_assert!(at <= zeros, "the zeros follow the record's first byte");
    let count = (log.len() - zeros) as u64 + beyond;
    if zeros == at {
        let what = format!("{count} zero bytes where a command was expected");
        return Some(FormatError::new(Damage::AofFormat, base + at as u64, what));
    }
    match read(log.get(..zeros)?, at, base, &mut Vec::new()) {
        Err(Failure::Short(missing)) => {
            let mut error = missing.at_end(base + at as u64).err()?;
            error
                .what
                .push_str(&format!("; {count} zero bytes fill the file from there on"));
            Some(error)
        }
        _ => None,
    }
}

/// The Unix time in seconds of a timestamp annotation (`#TS:1700000000`), given without its line end.
pub fn timestamp(annotation: &[u8]) -> Option<i64> {
    crate::text::number::parse_i64(annotation.strip_prefix(b"#TS:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_is_canonical_and_ends() {
        assert_eq!(short_line(b"$7\r\n....", 0, b'$'), Some((7, 4)));
        assert_eq!(short_line(b"?*0\r\n....", 1, b'*'), Some((0, 5)));
        assert_eq!(short_line(b"$42\r\n...", 0, b'$'), Some((42, 5)));
        assert_eq!(short_line(b"$90\r\n...", 0, b'$'), Some((90, 5)));
        assert_eq!(short_line(b"$100\r\n..", 0, b'$'), Some((100, 6)));
        assert_eq!(short_line(b"$999\r\n..", 0, b'$'), Some((999, 6)));
        for other in [
            b"$07\r\n...",
            b"$007\r\n..",
            b"$1234\r\n.",
            b"$4x\r\n...",
            b"$x4\r\n...",
            b"$42\n\r...",
            b"$42\rx...",
            b"$123\r...",
            b"$12x\r\n..",
            b"$\r\n.....",
            b"*42\r\n...",
        ] {
            assert_eq!(short_line(other, 0, b'$'), None, "{other:?}");
        }
        assert_eq!(short_line(b"$42\r\n..", 0, b'$'), None, "too near the end");
    }

    /// Both ways of reading a line are the same way.
    #[test]
    fn a_short_line_is_what_any_number_is() {
        for value in 0..=1100_u64 {
            let line = format!("${value}\r\n........");
            let short = short_line(line.as_bytes(), 0, b'$');
            assert!(short.is_some() == (value < 1000), "{value}");
            let any = number(line.as_bytes(), 1);
            assert_eq!(any.map(|(value, _)| value), Some(value));
            assert!(short.is_none() || short == any, "{value}");
        }
    }
}
