//! The client's side: commands written, replies found and decoded, both protocols.
//!
//! A reply is a tree whose nodes say how many children follow, so its end can be found by counting:
//! [`ReplyScanner`] does that over whatever has arrived, without building anything, and remembers how
//! far it came. [`Value::decode`] then builds the tree of a whole reply.

use crate::text::double::parse_f64;
use crate::text::number::{I64Text, parse_i64};
use std::fmt;

/// Longest line of a reply in bytes; longer ones are no protocol.
const LINE_MAX: usize = 1 << 20;
/// Deepest nesting that is decoded. Real replies stay below ten.
const DEPTH_MAX: usize = 128;

/// A decoded reply. Protocol 2 gives the first six kinds only.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A status line.
    Simple(Vec<u8>),
    /// An error, without the leading `-`.
    Error(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// No value: `$-1`, `*-1` or `_`.
    Null,
    /// An array.
    Array(Vec<Value>),
    /// Pairs of key and value in the order sent.
    Map(Vec<(Value, Value)>),
    /// A set in the order sent.
    Set(Vec<Value>),
    /// A message that answers no command.
    Push(Vec<Value>),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Digits of an integer of any size.
    BigNumber(Vec<u8>),
    /// Text for a person, with its three-letter kind.
    Verbatim([u8; 3], Vec<u8>),
    /// A reply with attributes before it.
    Attributed(Vec<(Value, Value)>, Box<Value>),
}

/// Bytes that are no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyError {
    /// Offset from the start of the reply.
    pub offset: usize,
    /// What was expected there.
    pub what: &'static str,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reply byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for ReplyError {}

/// What the bytes at `start` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStep {
    /// A whole reply; the next one begins at `end`.
    Complete {
        /// Offset in the input just behind the reply.
        end: usize,
    },
    /// The reply is not all here.
    Incomplete {
        /// Bytes that are missing at least.
        need: usize,
    },
}

/// Finds the ends of replies. After `Incomplete`, call again for the same reply with more bytes; no
/// element is looked at twice.
#[derive(Debug, Default)]
pub struct ReplyScanner {
    /// First byte not yet understood, counted from the start of the reply.
    at: usize,
    /// Elements still to come; meaningful when `at` is not zero.
    left: u64,
    /// Bytes behind `at` that hold no line end.
    scanned: usize,
}

impl ReplyScanner {
    /// A scanner that waits for the first reply.
    pub fn new() -> Self {
        ReplyScanner::default()
    }

    /// Look for the end of the reply that begins at `start` of `input`.
    pub fn next(&mut self, input: &[u8], start: usize) -> Result<ReplyStep, ReplyError> {
        let reply = input.get(start..).unwrap_or(&[]);
        if self.at == 0 {
            self.left = 1;
        }
        while self.left > 0 {
            let Some(line) = find_line(reply, self.at, self.scanned)? else {
                self.scanned = reply.len().saturating_sub(self.at);
                return Ok(ReplyStep::Incomplete { need: 1 });
            };
            let node = Node::read(reply, self.at, line)?;
            if node.end > reply.len() {
                // The line is read again when the bytes are there: a few bytes, not the content.
                self.scanned = 0;
                return Ok(ReplyStep::Incomplete {
                    need: node.end - reply.len(),
                });
            }
            debug_assert!(
                node.end > self.at && node.from <= node.to,
                "each node has bytes"
            );
            self.at = node.end;
            self.scanned = 0;
            self.left = (self.left - 1).saturating_add(node.children);
        }
        let end = start + self.at;
        *self = ReplyScanner::default();
        Ok(ReplyStep::Complete { end })
    }
}

/// True when the reply that begins with this byte is an error.
pub fn is_error(first: u8) -> bool {
    first == b'-' || first == b'!'
}

/// One node of the tree: its line, its bytes if it is a string, its number of children.
struct Node {
    prefix: u8,
    /// Range of the text behind the prefix, or of the string's bytes.
    from: usize,
    to: usize,
    /// Offset behind the node, before its children.
    end: usize,
    children: u64,
    null: bool,
}

impl Node {
    /// Read the node at `at` whose line ends with the CR at `cr`.
    fn read(reply: &[u8], at: usize, cr: usize) -> Result<Node, ReplyError> {
        let fail = |what| ReplyError { offset: at, what };
        let prefix = reply[at];
        let text = reply.get(at + 1..cr).unwrap_or(&[]);
        let mut node = Node {
            prefix,
            from: at + 1,
            to: cr,
            end: cr + 2,
            children: 0,
            null: false,
        };
        let number = || match parse_i64(text) {
            Some(number) if (-1..=i64::MAX / 4).contains(&number) => Ok(number),
            _ => Err(fail("a length or count was expected")),
        };
        match prefix {
            b'+' | b'-' | b':' | b',' | b'(' => {}
            b'_' if text.is_empty() => node.null = true,
            b'#' if matches!(text, b"t" | b"f") => {}
            b'$' | b'!' | b'=' => match number()? {
                -1 => node.null = true,
                length => {
                    node.from = cr + 2;
                    node.to = node.from.saturating_add(length as usize);
                    node.end = node.to.saturating_add(2);
                    if reply
                        .get(node.to..node.end)
                        .is_some_and(|end| end != b"\r\n")
                    {
                        return Err(fail("a string of this length must end with CRLF"));
                    }
                }
            },
            b'*' | b'~' | b'>' => match number()? {
                -1 => node.null = true,
                count => node.children = count as u64,
            },
            b'%' => node.children = count(number()?, at)? * 2,
            b'|' => node.children = count(number()?, at)? * 2 + 1,
            _ => return Err(fail("no kind of reply begins with this byte")),
        }
        Ok(node)
    }
}

fn count(number: i64, offset: usize) -> Result<u64, ReplyError> {
    u64::try_from(number).map_err(|_| ReplyError {
        offset,
        what: "a count cannot be negative",
    })
}

/// Offset of the CR of the line at `at`, if its LF is there too.
fn find_line(reply: &[u8], at: usize, scanned: usize) -> Result<Option<usize>, ReplyError> {
    let from = at + scanned.saturating_sub(1);
    let found = reply
        .get(from..)
        .and_then(|rest| rest.windows(2).position(|w| w == b"\r\n"));
    match found {
        Some(distance) if from + distance > at => Ok(Some(from + distance)),
        Some(_) => Err(ReplyError {
            offset: at,
            what: "an empty line",
        }),
        None if reply.len().saturating_sub(at) > LINE_MAX => Err(ReplyError {
            offset: at,
            what: "a line of more than 1 MB",
        }),
        None => Ok(None),
    }
}

impl Value {
    /// Decode the reply at the beginning of `reply`; gives it and its length in bytes.
    ///
    /// Fails with offset and reason if the bytes are no reply or end within it, or if it is nested
    /// more than 128 deep.
    pub fn decode(reply: &[u8]) -> Result<(Value, usize), ReplyError> {
        let mut at = 0;
        let value = Value::decode_at(reply, &mut at, 0)?;
        Ok((value, at))
    }

    fn decode_at(reply: &[u8], at: &mut usize, depth: usize) -> Result<Value, ReplyError> {
        let start = *at;
        let fail = |what| ReplyError {
            offset: start,
            what,
        };
        if depth > DEPTH_MAX {
            return Err(fail("nested too deep"));
        }
        let line = find_line(reply, start, 0)?.ok_or(fail("the reply ends here"))?;
        let node = Node::read(reply, start, line)?;
        let bytes = reply
            .get(node.from..node.to)
            .ok_or(fail("the string goes beyond the reply"))?;
        if node.end > reply.len() {
            return Err(fail("the string goes beyond the reply"));
        }
        *at = node.end;
        if node.null {
            return Ok(Value::Null);
        }
        Ok(match node.prefix {
            b'+' => Value::Simple(bytes.to_vec()),
            b'-' | b'!' => Value::Error(bytes.to_vec()),
            b':' => Value::Int(parse_i64(bytes).ok_or(fail("an integer was expected"))?),
            b'$' => Value::Bulk(bytes.to_vec()),
            b',' => Value::Double(decode_double(bytes).ok_or(fail("a double was expected"))?),
            b'#' => Value::Bool(bytes == b"t"),
            b'(' => Value::BigNumber(bytes.to_vec()),
            b'=' => match bytes {
                [a, b, c, b':', text @ ..] => Value::Verbatim([*a, *b, *c], text.to_vec()),
                _ => return Err(fail("verbatim text needs three letters and a colon")),
            },
            b'%' => Value::Map(Value::pairs(reply, at, node.children / 2, depth)?),
            b'|' => {
                let pairs = Value::pairs(reply, at, node.children / 2, depth)?;
                let value = Value::decode_at(reply, at, depth + 1)?;
                Value::Attributed(pairs, Box::new(value))
            }
            prefix => {
                let items = Value::items(reply, at, node.children, depth)?;
                match prefix {
                    b'~' => Value::Set(items),
                    b'>' => Value::Push(items),
                    _ => Value::Array(items),
                }
            }
        })
    }

    fn items(reply: &[u8], at: &mut usize, n: u64, depth: usize) -> Result<Vec<Value>, ReplyError> {
        // No element is shorter than `_` and a line end, so a false count reserves little.
        let room = (reply.len() - *at) / 3;
        let mut items = Vec::with_capacity(room.min(usize::try_from(n).unwrap_or(room)).min(1024));
        for _ in 0..n {
            items.push(Value::decode_at(reply, at, depth + 1)?);
        }
        Ok(items)
    }

    fn pairs(
        reply: &[u8],
        at: &mut usize,
        n: u64,
        depth: usize,
    ) -> Result<Vec<(Value, Value)>, ReplyError> {
        let mut pairs = Vec::new();
        for _ in 0..n {
            let key = Value::decode_at(reply, at, depth + 1)?;
            pairs.push((key, Value::decode_at(reply, at, depth + 1)?));
        }
        Ok(pairs)
    }

    /// True for an error reply.
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// The bytes of a string, status, verbatim text or big number.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(b) | Value::Bulk(b) | Value::BigNumber(b) | Value::Verbatim(_, b) => {
                Some(b)
            }
            _ => None,
        }
    }

    /// The number of an integer reply.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => Some(items),
            _ => None,
        }
    }
}

/// Doubles of replies may also be `nan`, which scores may not.
fn decode_double(text: &[u8]) -> Option<f64> {
    match text {
        b"nan" | b"-nan" => Some(f64::NAN),
        _ => parse_f64(text),
    }
}

/// Append a command in the form that servers and logs read.
pub fn write_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    write_command_header(out, args.len());
    for arg in args {
        write_argument(out, arg.as_ref());
    }
}

/// Append the first line of a command of `count` arguments; each is then written with
/// [`write_argument`].
pub fn write_command_header(out: &mut Vec<u8>, count: usize) {
    debug_assert!(count > 0, "a command has a name");
    let mut text = I64Text::new();
    out.push(b'*');
    out.extend_from_slice(text.format(count as i64));
    out.extend_from_slice(b"\r\n");
}

/// Append one argument of a command.
pub fn write_argument(out: &mut Vec<u8>, arg: &[u8]) {
    let mut text = I64Text::new();
    out.reserve(arg.len() + 16);
    out.push(b'$');
    out.extend_from_slice(text.format(arg.len() as i64));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}
