//! Replies: what a server answers, appended to an output buffer.
//!
//! | meaning | protocol 2 | protocol 3 |
//! |---|---|---|
//! | status, error, integer, string, array | `+` `-` `:` `$` `*` | the same |
//! | nothing | `$-1` or `*-1` | `_` |
//! | map of n pairs | `*2n` | `%n` |
//! | set, push | `*n` | `~n`, `>n` |
//! | double | `$`, the number as text | `,` |
//! | boolean | `:1` `:0` | `#t` `#f` |
//! | big number, verbatim text | `$` | `(`, `=` with three letters and a colon |
//!
//! Every function appends one whole reply, or a header that the elements then follow. Functions that
//! take no [`Protocol`] write the same bytes in both. The forms are those of Redis 7.2.

use crate::text::double::write_f64;
use crate::text::number::I64Text;

/// The protocol a client has asked for with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The first one, still the default.
    #[default]
    Resp2,
    /// The one with maps, sets, doubles and pushed messages.
    Resp3,
}

impl Protocol {
    /// 2 or 3, as HELLO and CLIENT LIST print it.
    pub fn number(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }

    /// The protocol of this number, if there is one.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            2 => Some(Protocol::Resp2),
            3 => Some(Protocol::Resp3),
            _ => None,
        }
    }
}

/// The reply `OK`.
pub const OK: &[u8] = b"+OK\r\n";

/// A header line: a prefix byte and a number.
#[inline]
fn header(out: &mut Vec<u8>, prefix: u8, number: usize) {
    if number < 10 {
        out.extend_from_slice(&[prefix, b'0' + number as u8, b'\r', b'\n']);
    } else if number < 100 {
        let (tens, ones) = ((number / 10) as u8, (number % 10) as u8);
        out.extend_from_slice(&[prefix, b'0' + tens, b'0' + ones, b'\r', b'\n']);
    } else {
        int_line(out, prefix, number as i64);
    }
}

#[inline(never)]
fn int_line(out: &mut Vec<u8>, prefix: u8, number: i64) {
    let mut text = I64Text::new();
    out.push(prefix);
    out.extend_from_slice(text.format(number));
    out.extend_from_slice(b"\r\n");
}

/// Text of one line: CR and LF inside would break the protocol and become blanks, as in Redis.
fn line(out: &mut Vec<u8>, prefix: u8, text: &[u8]) {
    out.reserve(text.len() + 3);
    out.push(prefix);
    out.extend(
        text.iter()
            .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
    );
    out.extend_from_slice(b"\r\n");
}

/// A status line; `text` without the `+`.
#[inline]
pub fn simple(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    line(out, b'+', text.as_ref());
}

/// An error; `text` begins with its code word (`ERR ...`, `WRONGTYPE ...`), without the `-`.
pub fn error(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    line(out, b'-', text);
}

/// An integer.
#[inline]
pub fn int(out: &mut Vec<u8>, number: i64) {
    match usize::try_from(number) {
        Ok(small) if small < 100 => header(out, b':', small),
        _ => int_line(out, b':', number),
    }
}

/// A string of any bytes.
#[inline]
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// The header of a string whose `length` bytes and final CRLF the caller appends.
#[inline]
pub fn bulk_header(out: &mut Vec<u8>, length: usize) {
    header(out, b'$', length);
}

/// An integer as a string, as GET gives a counter.
#[inline]
pub fn bulk_int(out: &mut Vec<u8>, number: i64) {
    let mut text = I64Text::new();
    bulk(out, text.format(number));
}

/// No value where a string was asked for.
#[inline]
pub fn null(out: &mut Vec<u8>, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => out.extend_from_slice(b"$-1\r\n"),
        Protocol::Resp3 => out.extend_from_slice(b"_\r\n"),
    }
}

/// No value where an array was asked for.
#[inline]
pub fn null_array(out: &mut Vec<u8>, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => out.extend_from_slice(b"*-1\r\n"),
        Protocol::Resp3 => out.extend_from_slice(b"_\r\n"),
    }
}

/// Header of an array of `n` replies.
#[inline]
pub fn array_header(out: &mut Vec<u8>, n: usize) {
    header(out, b'*', n);
}

/// Header of a map of `pairs` keys, each followed by its value.
pub fn map_header(out: &mut Vec<u8>, protocol: Protocol, pairs: usize) {
    match protocol {
        Protocol::Resp2 => header(out, b'*', pairs * 2),
        Protocol::Resp3 => header(out, b'%', pairs),
    }
}

/// Header of a set of `n` replies.
pub fn set_header(out: &mut Vec<u8>, protocol: Protocol, n: usize) {
    match protocol {
        Protocol::Resp2 => header(out, b'*', n),
        Protocol::Resp3 => header(out, b'~', n),
    }
}

/// Header of a message of `n` replies that answers no command.
pub fn push_header(out: &mut Vec<u8>, protocol: Protocol, n: usize) {
    match protocol {
        Protocol::Resp2 => header(out, b'*', n),
        Protocol::Resp3 => header(out, b'>', n),
    }
}

/// Header of `pairs` attributes before a reply. Only protocol 3 has them; under 2 leave them out.
pub fn attribute_header(out: &mut Vec<u8>, pairs: usize) {
    header(out, b'|', pairs);
}

/// A floating-point number.
pub fn double(out: &mut Vec<u8>, protocol: Protocol, number: f64) {
    match protocol {
        Protocol::Resp2 => bulk_double(out, number),
        Protocol::Resp3 => {
            out.push(b',');
            write_f64(out, number);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A floating-point number whose digits the caller has chosen.
pub fn double_text(out: &mut Vec<u8>, protocol: Protocol, digits: &[u8]) {
    match protocol {
        Protocol::Resp2 => bulk(out, digits),
        Protocol::Resp3 => {
            debug_assert!(is_one_line(digits), "{}", digits.escape_ascii());
            out.push(b',');
            out.extend_from_slice(digits);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A floating-point number as a string, in both protocols.
pub fn bulk_double(out: &mut Vec<u8>, number: f64) {
    // The length comes before the text that decides it: write the text, the header behind it, and
    // turn the two around. They are some thirty bytes.
    let start = out.len();
    write_f64(out, number);
    let length = out.len() - start;
    header(out, b'$', length);
    out[start..].rotate_left(length);
    out.extend_from_slice(b"\r\n");
}

/// Whether a client would read this as the whole of a line.
fn is_one_line(text: &[u8]) -> bool {
    !text.is_empty() && !text.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

/// True or false.
pub fn boolean(out: &mut Vec<u8>, protocol: Protocol, truth: bool) {
    out.extend_from_slice(match (protocol, truth) {
        (Protocol::Resp2, true) => b":1\r\n",
        (Protocol::Resp2, false) => b":0\r\n",
        (Protocol::Resp3, true) => b"#t\r\n",
        (Protocol::Resp3, false) => b"#f\r\n",
    });
}

/// An integer of any size, given as its decimal digits.
pub fn big_number(out: &mut Vec<u8>, protocol: Protocol, digits: &[u8]) {
    match protocol {
        Protocol::Resp2 => bulk(out, digits),
        Protocol::Resp3 => {
            debug_assert!(is_one_line(digits), "{}", digits.escape_ascii());
            line(out, b'(', digits);
        }
    }
}

/// Text for a person; `kind` is `txt` or `mkd`.
pub fn verbatim(out: &mut Vec<u8>, protocol: Protocol, kind: &[u8; 3], text: &[u8]) {
    if protocol == Protocol::Resp2 {
        return bulk(out, text);
    }
    out.reserve(text.len() + 16);
    header(out, b'=', text.len() + 4);
    out.extend_from_slice(kind);
    out.push(b':');
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}
