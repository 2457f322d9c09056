//! Requests: the commands a client sends, found in place in the bytes received so far.
//!
//! ```text
//!   *2\r\n $3\r\nGET\r\n $5\r\nhello\r\n      a command of two arguments, each with its length
//!   GET hello\r\n                            the same as an inline command, quoting as in redis-cli
//! ```
//!
//! The parser owns no input. It is given the connection's buffer and the place where the command
//! begins, and appends the ranges of the arguments to a vector of the caller; nothing is allocated
//! per command or argument. When the bytes end inside a command, it remembers how far it came, as
//! distances from the command's start, so that the caller may move the buffer and no byte is looked
//! at twice: a command of a million arguments that arrives in small pieces costs linear time.
//!
//! What is accepted and refused, and with which text, is what Redis 7.2 does (`networking.c`), also
//! where that is lax: the two bytes after an argument and the byte after a CR are not looked at,
//! `*0` and `*-1` are skipped, a NUL before the end of a line hides that end.

use crate::text::number::parse_i64;
use crate::text::words::split_words;
use std::fmt;
use std::ops::Range;

/// Longest line (inline command, count or length) in bytes, as `PROTO_INLINE_MAX_SIZE` of Redis.
pub const LINE_MAX: usize = 64 * 1024;
/// Most arguments of a command before the client has authenticated.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// Longest argument in bytes before the client has authenticated.
const UNAUTHENTICATED_BULK_MAX: i64 = 16 * 1024;
/// Most arguments of any command.
pub const ARGS_MAX: i64 = i32::MAX as i64;

/// Capacity of remembered ranges that is kept between commands; above it the memory is given back.
const DONE_KEPT: usize = 1024;

/// What a command may be, for one client at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk_max: usize,
    /// False while a password is required and not yet given: counts and lengths are then small.
    pub authenticated: bool,
}

impl Default for Limits {
    /// An authenticated client and 512 MB for an argument.
    fn default() -> Self {
        Limits {
            bulk_max: 512 * 1024 * 1024,
            authenticated: true,
        }
    }
}

/// What the bytes at `start` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole command; its arguments were appended. The next one begins at `end`.
    Command {
        /// Offset in the input just behind the command.
        end: usize,
    },
    /// An inline command. Quoting may change bytes, so its arguments are owned.
    Inline {
        /// The unquoted arguments, at least one.
        args: Vec<Vec<u8>>,
        /// Offset in the input just behind the line.
        end: usize,
    },
    /// Nothing to run: an empty line, `*0` or a negative count. Go on at `end`.
    Skip {
        /// Offset in the input just behind it.
        end: usize,
    },
    /// The input ends inside a command. Call again with the same command start and more bytes.
    Incomplete {
        /// Bytes that are missing at least.
        need: usize,
    },
    /// The client breaks the protocol: answer the text, then close.
    Error(ProtocolError),
}

/// A breach of the protocol. `Display` is the text that Redis sends behind `-ERR `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A line without end within 64 KB where a command should be.
    InlineTooBig,
    /// Quotes of an inline command that do not close, or text right behind a closing quote.
    UnbalancedQuotes,
    /// No end of line within 64 KB of a `*`.
    CountTooLong,
    /// The count of arguments is no canonical integer or too large.
    InvalidCount,
    /// More arguments than a client may send before AUTH.
    UnauthenticatedCount,
    /// No end of line within 64 KB of a `$`.
    LengthTooLong,
    /// An argument does not begin with `$` but with this byte.
    ExpectedBulk(u8),
    /// The length of an argument is no canonical integer, negative or too large.
    InvalidLength,
    /// A longer argument than a client may send before AUTH.
    UnauthenticatedLength,
}

impl ProtocolError {
    /// Append the text as bytes, without the `ERR` word. Line ends inside become blanks.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Protocol error: ");
        match self {
            ProtocolError::ExpectedBulk(byte) => {
                out.extend_from_slice(b"expected '$', got '");
                out.push(if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    *byte
                });
                out.push(b'\'');
            }
            other => out.extend_from_slice(other.text().as_bytes()),
        }
    }

    fn text(&self) -> &'static str {
        match self {
            ProtocolError::InlineTooBig => "too big inline request",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::CountTooLong => "too big mbulk count string",
            ProtocolError::InvalidCount => "invalid multibulk length",
            ProtocolError::UnauthenticatedCount => "unauthenticated multibulk length",
            ProtocolError::LengthTooLong => "too big bulk count string",
            ProtocolError::ExpectedBulk(_) => "expected '$'",
            ProtocolError::InvalidLength => "invalid bulk length",
            ProtocolError::UnauthenticatedLength => "unauthenticated bulk length",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(48);
        self.append_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl std::error::Error for ProtocolError {}

/// Finds one command after the other. Between commands it holds nothing.
///
/// Invariants: `at`, `scanned` and the ranges of `done` count from the start of the command that is
/// under way; all are zero or empty when none is.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// First byte that is not yet understood.
    at: usize,
    /// Bytes behind `at` that are known to hold no end of line.
    scanned: usize,
    /// Arguments still to come.
    args_left: usize,
    /// Length of the argument whose bytes begin at `at`, when its length line was read.
    bulk: Option<usize>,
    /// Arguments found so far of an unfinished command.
    done: Vec<Range<u32>>,
}

/// What a line search gave.
enum Line {
    /// Offset of the CR.
    At(usize),
    Missing {
        need: usize,
    },
    TooLong,
}

impl RequestParser {
    /// A parser that waits for the first command.
    pub fn new() -> Self {
        RequestParser::default()
    }

    /// True when no part of a command is remembered.
    pub fn is_idle(&self) -> bool {
        self.at == 0 && self.scanned == 0
    }

    /// Forget an unfinished command (the connection starts anew).
    pub fn reset(&mut self) {
        self.at = 0;
        self.scanned = 0;
        self.args_left = 0;
        self.bulk = None;
        if self.done.capacity() > DONE_KEPT {
            self.done = Vec::new();
        } else {
            self.done.clear();
        }
    }

    /// Look for the command that begins at `start` of `input`, and append its argument ranges
    /// (offsets in `input`) to `args`; on any other outcome than `Command`, `args` is as before.
    ///
    /// After `Incomplete` the next call must be for the same command: `input[start..]` begins with
    /// the same bytes, though `start` may differ. Only the first 4 GB of `input` are looked at.
    ///
    /// It stands in the loop that reads clients, and in that of I/O threads: a call of it was a twentieth of a request in a pipeline.
    #[inline(always)]
    pub fn next(
        &mut self,
        input: &[u8],
        start: usize,
        args: &mut Vec<Range<u32>>,
        limits: &Limits,
    ) -> Step {
        if self.is_idle()
            && limits.authenticated
            && limits.bulk_max > SHORT_MAX
            && input.len() <= u32::MAX as usize
        {
            let before = args.len();
            if let Some(end) = short_command(input, start, args) {
                debug_assert!(start < end && end <= input.len(), "it is all there");
                debug_assert!(
                    args.len() > before && args[before..].is_sorted_by(|a, b| a.end < b.start),
                    "arguments follow each other"
                );
                return Step::Command { end };
            }
            args.truncate(before);
        }
        self.resume(input, start, args, limits)
    }

    /// What is understood of an unfinished command: its bytes up to there, and those of the arguments among them. A server has moved
    /// them out of its query buffer by then (`qbuf` and `argv-mem` of Redis's CLIENT LIST).
    pub fn understood(&self) -> (usize, usize) {
        let arguments = self
            .done
            .iter()
            .map(|range| (range.end - range.start) as usize);
        (self.at, arguments.sum())
    }

    /// As [`RequestParser::next`] by the general way alone: any length, and from where the last call ended. For streams of which
    /// there is one: the short way stands in the loop that reads clients, and a second copy would make it a call for all.
    #[inline(never)]
    pub fn resume(
        &mut self,
        input: &[u8],
        start: usize,
        args: &mut Vec<Range<u32>>,
        limits: &Limits,
    ) -> Step {
        let input = &input[..input.len().min(u32::MAX as usize)];
        let Some(command) = input.get(start..).filter(|c| !c.is_empty()) else {
            return Step::Incomplete { need: 1 };
        };
        let step = if command[0] == b'*' {
            self.multibulk(command, start, args, limits)
        } else {
            self.inline(command, start)
        };
        debug_assert!(
            match step {
                Step::Command { end } | Step::Skip { end } => start < end && end <= input.len(),
                Step::Incomplete { need } => need > 0,
                _ => true,
            },
            "a step ends within the input, or says what is missing"
        );
        if !matches!(step, Step::Incomplete { .. }) {
            self.reset();
        }
        step
    }

    fn multibulk(
        &mut self,
        command: &[u8],
        start: usize,
        args: &mut Vec<Range<u32>>,
        limits: &Limits,
    ) -> Step {
        if self.args_left == 0 {
            let cr = match self.line(command) {
                Line::At(cr) => cr,
                Line::Missing { need } => return Step::Incomplete { need },
                Line::TooLong => return Step::Error(ProtocolError::CountTooLong),
            };
            let count = match parse_i64(&command[1..cr]) {
                Some(count) if count > ARGS_MAX => return Step::Error(ProtocolError::InvalidCount),
                Some(count) if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated => {
                    return Step::Error(ProtocolError::UnauthenticatedCount);
                }
                Some(count) => count,
                None => return Step::Error(ProtocolError::InvalidCount),
            };
            self.consume_to(cr + 2);
            match usize::try_from(count) {
                Ok(count) if count > 0 => self.args_left = count,
                _ => {
                    return Step::Skip {
                        end: start + self.at,
                    };
                }
            }
        }
        while self.args_left > 0 {
            if let Err(step) = self.argument(command, limits) {
                return step;
            }
        }
        // Fits: `command` ends within the first 4 GB of the input, and so does every range.
        debug_assert!(
            self.bulk.is_none() && !self.done.is_empty(),
            "all arguments are whole"
        );
        debug_assert!(self.done.iter().all(|range| range.start <= range.end));
        let base = start as u32;
        args.extend(self.done.iter().map(|r| r.start + base..r.end + base));
        Step::Command {
            end: start + self.at,
        }
    }

    /// Take one argument, or say why not.
    fn argument(&mut self, command: &[u8], limits: &Limits) -> Result<(), Step> {
        let length = match self.bulk {
            Some(length) => length,
            None => self.length_line(command, limits)?,
        };
        let end = self.at + length;
        if command.len() < end + 2 {
            self.bulk = Some(length);
            // Each further argument takes at least `$0`, two line ends.
            let rest = (self.args_left - 1).saturating_mul(6);
            return Err(Step::Incomplete {
                need: (end + 2 - command.len()).saturating_add(rest),
            });
        }
        self.bulk = None;
        debug_assert!(u32::try_from(end).is_ok(), "within the first 4 GB");
        self.done.push(self.at as u32..end as u32);
        self.consume_to(end + 2);
        self.args_left -= 1;
        Ok(())
    }

    fn length_line(&mut self, command: &[u8], limits: &Limits) -> Result<usize, Step> {
        let cr = match self.line(command) {
            Line::At(cr) => cr,
            Line::Missing { need } => return Err(Step::Incomplete { need }),
            Line::TooLong => return Err(Step::Error(ProtocolError::LengthTooLong)),
        };
        if command[self.at] != b'$' {
            return Err(Step::Error(ProtocolError::ExpectedBulk(command[self.at])));
        }
        let length = match parse_i64(&command[self.at + 1..cr]) {
            Some(length) if length > UNAUTHENTICATED_BULK_MAX && !limits.authenticated => {
                let known = usize::try_from(length).is_ok_and(|l| l <= limits.bulk_max);
                return Err(Step::Error(if known {
                    ProtocolError::UnauthenticatedLength
                } else {
                    ProtocolError::InvalidLength
                }));
            }
            Some(length) => usize::try_from(length)
                .ok()
                .filter(|l| *l <= limits.bulk_max),
            None => None,
        };
        let length = length.ok_or(Step::Error(ProtocolError::InvalidLength))?;
        self.consume_to(cr + 2);
        Ok(length)
    }

    fn inline(&mut self, command: &[u8], start: usize) -> Step {
        let end = match find(command, self.scanned, b'\n') {
            Some(end) => end,
            None if command.len() > LINE_MAX => return Step::Error(ProtocolError::InlineTooBig),
            None => {
                self.scanned = unhidden(command, self.scanned);
                return Step::Incomplete { need: 1 };
            }
        };
        let line = command[..end]
            .strip_suffix(b"\r")
            .unwrap_or(&command[..end]);
        let end = start + end + 1;
        match split_words(line) {
            Err(_) => Step::Error(ProtocolError::UnbalancedQuotes),
            Ok(args) if args.is_empty() => Step::Skip { end },
            Ok(args) => Step::Inline { args, end },
        }
    }

    /// The CR that ends the line at `at`, with one more byte behind it.
    fn line(&mut self, command: &[u8]) -> Line {
        let rest = &command[self.at.min(command.len())..];
        match find(rest, self.scanned, b'\r') {
            Some(cr) if cr + 1 < rest.len() => Line::At(self.at + cr),
            Some(cr) => {
                self.scanned = cr;
                Line::Missing { need: 1 }
            }
            None if rest.len() > LINE_MAX => Line::TooLong,
            None => {
                self.scanned = unhidden(rest, self.scanned);
                Line::Missing { need: 2 }
            }
        }
    }

    fn consume_to(&mut self, at: usize) {
        debug_assert!(at > self.at, "what was read is not read again");
        self.at = at;
        self.scanned = 0;
    }
}

/// Offset of `byte` in `line`, from `from` on, unless a NUL stands before it.
fn find(line: &[u8], from: usize, byte: u8) -> Option<usize> {
    let rest = line.get(from..)?;
    let at = rest.iter().position(|b| *b == byte || *b == 0)?;
    debug_assert!(from + at < line.len(), "counted from the begin of the line");
    (rest[at] == byte).then_some(from + at)
}

/// How far `line` was searched in vain: to its end, or to the NUL that hides the rest.
fn unhidden(line: &[u8], from: usize) -> usize {
    let rest = line.get(from..).unwrap_or(&[]);
    from + rest.iter().position(|b| *b == 0).unwrap_or(rest.len())
}

/// Largest number that [`short_line`] reads.
const SHORT_MAX: usize = 999;

/// The way of nearly all commands: whole, counts and lengths of at most three digits. `None` sends
/// the caller the general way, with whatever was appended to be taken back.
#[inline(always)]
fn short_command(input: &[u8], start: usize, args: &mut Vec<Range<u32>>) -> Option<usize> {
    let (count, mut at) = short_line(input, start, b'*')?;
    if count == 0 {
        return None;
    }
    match count {
        1 => at = short_arguments::<1>(input, at, args)?,
        2 => at = short_arguments::<2>(input, at, args)?,
        3 => at = short_arguments::<3>(input, at, args)?,
        _ => {
            for _ in 0..count {
                at = short_arguments::<1>(input, at, args)?;
            }
        }
    }
    (at <= input.len()).then_some(at)
}

/// So many arguments in a row.
#[inline(always)]
fn short_arguments<const N: usize>(
    input: &[u8],
    mut at: usize,
    args: &mut Vec<Range<u32>>,
) -> Option<usize> {
    let mut found = [const { 0..0 }; N];
    for slot in &mut found {
        let (length, begin) = short_line(input, at, b'$')?;
        let end = begin + length;
        *slot = begin as u32..end as u32;
        at = end + 2;
    }
    // One by one where there is room: all ways to append several are a call, which takes more.
    args.reserve(N);
    for range in found {
        args.push(range);
    }
    Some(at)
}

/// A line of `prefix` and one to three digits; gives the number and the offset behind the line. Reads
/// eight bytes at once, so it declines in the last bytes of the input, and behind its end.
#[inline(always)]
fn short_line(input: &[u8], at: usize, prefix: u8) -> Option<(usize, usize)> {
    let word = u64::from_le_bytes(*input.get(at..)?.first_chunk::<8>()?);
    let digit = |i: u32| ((word >> (8 * i)) as u8).wrapping_sub(b'0') as usize;
    // Prefix and CR are compared at once; what lies between must then be digits.
    let framed = |cr: u32| {
        let mask = 0xff | 0xff << (8 * cr);
        word & mask == u64::from(prefix) | u64::from(b'\r') << (8 * cr)
    };
    if framed(2) {
        return (digit(1) <= 9).then(|| (digit(1), at + 4));
    }
    let leading = (1..=9).contains(&digit(1)) && digit(2) <= 9;
    let two = digit(1) * 10 + digit(2);
    if framed(3) {
        return leading.then_some((two, at + 5));
    }
    (framed(4) && leading && digit(3) <= 9).then(|| (two * 10 + digit(3), at + 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way takes what it is for: a line that it declines is read all the same, only slower.
    #[test]
    fn short_lines_are_read_the_short_way() {
        for number in 0..=SHORT_MAX {
            let line = format!("${number}\r\n");
            let input = format!("x{line}12345678");
            let behind = 1 + line.len();
            assert_eq!(
                short_line(input.as_bytes(), 1, b'$'),
                Some((number, behind))
            );
            assert_eq!(short_line(input.as_bytes(), 1, b'*'), None);
        }
        for other in [
            "$01\r\n",
            "$001\r\n",
            "$-1\r\n",
            "$1000\r\n",
            "$1x\r\n",
            "$:\r\n",
            "$\r\n",
        ] {
            let input = format!("{other}12345678");
            assert_eq!(short_line(input.as_bytes(), 0, b'$'), None, "{other:?}");
        }
    }
}
