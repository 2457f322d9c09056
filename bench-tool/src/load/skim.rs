//! Replies passed over: where they end, and whether they found something.
//!
//! A run of replies mostly repeats one shape, `+OK\r\n` or strings of one length. So the reply before is remembered by its first eight bytes, as far as they
//! tell how long it is, and a reply that begins alike ends alike:
//!
//! ```text
//!   $64\r\nJ4k...\r\n    head "$64\r\n"       71 bytes
//!   $-1\r\n             head "$-1\r\n"        5 bytes, and a miss
//! ```
//!
//! Everything else, errors above all, is left to the scanner of `format`.

use crate::workload::reading::is_miss;

/// Bytes of `$` and the digits of a length that are read without the scanner.
const LENGTH_NEAR: usize = 11;
/// Longest reply line that is looked for without the scanner.
const LINE_NEAR: usize = 64;
/// Bytes of a reply that are compared with those of the one before.
const HEAD: usize = size_of::<u64>();

/// What was passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skimmed {
    /// Replies.
    pub replies: u64,
    /// Their bytes.
    pub bytes: usize,
    /// Those that found nothing.
    pub misses: u64,
}

/// What replies have in common that begin like another one.
#[derive(Clone, Copy, Debug)]
struct Shape {
    head: u64,
    mask: u64,
    len: usize,
    misses: u64,
}

impl Shape {
    /// Of a reply, `None` if its length does not follow from its first bytes.
    fn of(reply: &[u8], misses: u64) -> Option<Shape> {
        let telling = match reply[0] {
            b'$' => reply.iter().position(|&byte| byte == b'\n')? + 1,
            _ => reply.len(),
        };
        let mut head = [0; HEAD];
        head.get_mut(..telling)?.copy_from_slice(&reply[..telling]);
        Some(Shape {
            head: u64::from_le_bytes(head),
            mask: u64::MAX >> (8 * (HEAD - telling)),
            len: reply.len(),
            misses,
        })
    }

    /// Whether the first reply of these is whole and has the shape.
    #[inline]
    fn fits(&self, replies: &[u8]) -> bool {
        let head = replies.first_chunk::<HEAD>();
        head.is_some_and(|head| u64::from_le_bytes(*head) & self.mask == self.head)
            && replies.get(self.len - 2..self.len) == Some(b"\r\n")
    }
}

/// Passes over whole replies, `most` of them at most.
pub fn skim(bytes: &[u8], most: u64) -> Skimmed {
    let mut skimmed = Skimmed::default();
    let mut shape: Option<Shape> = None;
    while skimmed.replies < most {
        let rest = &bytes[skimmed.bytes..];
        let (len, misses) = match shape.filter(|shape| shape.fits(rest)) {
            Some(shape) => (shape.len, shape.misses),
            None => {
                let Some(len) = near_end(rest) else {
                    break;
                };
                let misses = u64::from(is_miss(&rest[..len]));
                if most > 1 {
                    shape = Shape::of(&rest[..len], misses);
                }
                (len, misses)
            }
        };
        skimmed.replies += 1;
        skimmed.bytes += len;
        skimmed.misses += misses;
    }
    skimmed
}

/// The end of the commonest replies: a short line, or a string that is all there. Everything else is the scanner's.
#[inline]
pub fn near_end(reply: &[u8]) -> Option<usize> {
    match *reply.first()? {
        b'$' => {
            let (mut length, mut at) = (0, 1);
            loop {
                match *reply.get(at)? {
                    // A length has no zero in front.
                    digit @ b'0'..=b'9' if at < LENGTH_NEAR && (at < 2 || length > 0) => {
                        length = length * 10 + usize::from(digit - b'0');
                    }
                    b'\r' if at > 1 => break,
                    _ => return None,
                }
                at += 1;
            }
            let end = at + 2 + length + 2;
            let is_whole = reply.get(end - 2..end) == Some(b"\r\n");
            (is_whole && reply[at + 1] == b'\n').then_some(end)
        }
        b'+' | b':' => {
            let near = &reply[..reply.len().min(LINE_NEAR)];
            let cr = near.iter().position(|&byte| byte == b'\r')?;
            (reply.get(cr + 1) == Some(&b'\n')).then_some(cr + 2)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use cairn_format::resp::value::{ReplyScanner, ReplyStep};

    /// The short way gives what the scanner gives, or nothing.
    #[test]
    fn the_short_way_ends_where_the_scanner_ends() {
        for reply in [
            &b"+OK\r\n"[..],
            b":-12\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"$3\r\nabc\r\n",
            b"$3\r\nab",
            b"$3\r\nabcde",
            b"*1\r\n:1\r\n",
            b"+\r\n",
            b"$\r\n",
            b"$03\r\nabc\r\n",
            b"$00\r\n\r\n",
            b"$3x\r\nabc\r\n",
            b"$99999999999999999999\r\n",
            b"\r\n",
            b"",
            b"+no end",
            b"-ERR x\r\n",
            b"_\r\n",
            b"+a\rb\r\n",
        ] {
            let by_scanner = match ReplyScanner::new().next(reply, 0) {
                Ok(ReplyStep::Complete { end }) => Some(end),
                _ => None,
            };
            let near = near_end(reply);
            assert!(
                near.is_none() || near == by_scanner,
                "{}: {near:?} {by_scanner:?}",
                reply.escape_ascii()
            );
        }
        assert_eq!(
            [near_end(b"+OK\r\n+"), near_end(b"$3\r\nabc\r\n$")],
            [Some(5), Some(9)]
        );
    }

    /// The same number of replies, bytes and misses, however the replies are mixed and wherever the bytes end.
    #[test]
    fn what_is_skimmed_is_what_is_found_reply_by_reply() {
        let kinds: [&[u8]; 12] = [
            b"+OK\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"$3\r\nabc\r\n",
            b"$3\r\n\r\n\r\r\n",
            b"$10\r\n0123456789\r\n",
            b":1\r\n",
            b":123456789\r\n",
            b"+QUEUED\r\n",
            b"+none\r\n",
            b"$12\r\n$3\r\nabc\r\n+O\r\n",
            b"-ERR no\r\n",
        ];
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(8) {
                let kind = kinds[random.below(kinds.len() as u64) as usize];
                let times = random.below(4) as usize;
                bytes.extend_from_slice(&kind.repeat(times));
            }
            bytes.truncate(bytes.len() - random.below(bytes.len() as u64 / 4 + 1) as usize);
            let most = random.below(12);
            let mut expected = Skimmed::default();
            while expected.replies < most {
                let Some(len) = near_end(&bytes[expected.bytes..]) else {
                    break;
                };
                let reply = &bytes[expected.bytes..expected.bytes + len];
                expected.misses += u64::from(is_miss(reply));
                expected.bytes += len;
                expected.replies += 1;
            }
            assert_eq!(skim(&bytes, most), expected, "{}", bytes.escape_ascii());
        }
    }
}
