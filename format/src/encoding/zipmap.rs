//! Zipmap: small hashes as Redis 2.4 packed them. Read only; nothing newer writes it.
//!
//! ```text
//!   +-------+--------+-------+--------+--------+-------+--------+-- - -+------+
//!   | count | length | field | length | unused | value | unused |      | FF   |
//!   | 1 byte|        |       |        | 1 byte |       | bytes  |      | end  |
//!   +-------+--------+-------+--------+--------+-------+--------+-- - -+------+
//!
//!   length: one byte below 254, or FE and 4 bytes LE
//!
//!   02 03666F6F 0300626172 05 68656C6C6F 05 01776F726C6400 FF   holds foo bar hello world
//! ```
//!
//! A count of 254 means "unknown, walk"; servers refuse 255.

use super::listpack::Entry;
use crate::error::{Damage, FormatError, Result};

const LENGTH_LONG: u8 = 254;
const END: u8 = 255;

/// A view of a zipmap that has a count and an end byte.
#[derive(Clone, Copy, Debug)]
pub struct Zipmap<'a> {
    bytes: &'a [u8],
}

fn damage<T>(offset: usize, what: String) -> Result<T> {
    Err(FormatError::new(Damage::Encoding, offset as u64, what))
}

impl<'a> Zipmap<'a> {
    /// Checks the size and the end byte, nothing between.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() < 2 {
            return damage(0, format!("zipmap: 2 bytes needed, {} remain", bytes.len()));
        }
        if bytes.last() != Some(&END) {
            return damage(bytes.len() - 1, "zipmap: no end byte".into());
        }
        Ok(Zipmap { bytes })
    }

    /// Checks every pair and the count.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        let map = Zipmap::new(bytes)?;
        let mut iter = map.iter();
        let elements = iter.by_ref().count();
        if iter.at != bytes.len() - 1 {
            let remain = bytes.len() - 1 - iter.at;
            return damage(
                iter.at,
                format!("zipmap: element {elements} reaches beyond the {remain} bytes that remain"),
            );
        }
        if elements % 2 != 0 {
            return damage(
                iter.at,
                format!("zipmap: field {} has no value", elements / 2),
            );
        }
        match bytes[0] {
            LENGTH_LONG => Ok(map),
            count if usize::from(count) == elements / 2 => Ok(map),
            count => damage(
                0,
                format!("zipmap: {count} pairs claimed, it has {}", elements / 2),
            ),
        }
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        match self.bytes[0] {
            LENGTH_LONG | END => self.iter().count() / 2,
            count => usize::from(count),
        }
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fields and values in turn, with their places.
    pub fn iter(&self) -> Iter<'a> {
        Iter {
            bytes: &self.bytes[..self.bytes.len() - 1],
            at: 1,
            is_value: false,
        }
    }
}

/// Fields and values in turn. Stops early where the bytes make no sense.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Without the end byte, so that no element can reach it.
    bytes: &'a [u8],
    at: usize,
    is_value: bool,
}

/// A length and the bytes it takes.
fn read_length(rest: &[u8]) -> Option<(usize, usize)> {
    match rest {
        [LENGTH_LONG, a, b, c, d, ..] => Some((u32::from_le_bytes([*a, *b, *c, *d]) as usize, 5)),
        [LENGTH_LONG | END, ..] | [] => None,
        [length, ..] => Some((usize::from(*length), 1)),
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let (len, head) = read_length(rest)?;
        let (head, unused) = match self.is_value {
            true => (head + 1, usize::from(*rest.get(head)?)),
            false => (head, 0),
        };
        let text = rest.get(head..head.checked_add(len)?)?;
        let size = head + len + unused;
        if size > rest.len() {
            return None;
        }
        let at = self.at;
        self.at += size;
        self.is_value = !self.is_value;
        Some((at, Entry::Str(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &[u8] = b"\x02\x03foo\x03\x00bar\x05hello\x05\x01world\x00\xff";

    #[test]
    fn the_example_of_the_head_reads() {
        let map = Zipmap::check(EXAMPLE).unwrap();
        assert_eq!(map.len(), 2);
        let texts: Vec<_> = map
            .iter()
            .map(|(_, entry)| entry.to_bytes().into_owned())
            .collect();
        assert_eq!(texts, [&b"foo"[..], b"bar", b"hello", b"world"]);
    }

    #[test]
    fn long_lengths_and_an_unknown_count() {
        let mut bytes = vec![254, 1, b'k', 254, 44, 1, 0, 0, 0];
        bytes.extend_from_slice(&[b'v'; 300]);
        bytes.push(END);
        let map = Zipmap::check(&bytes).unwrap();
        assert_eq!(
            (map.len(), map.iter().nth(1)),
            (1, Some((3, Entry::Str(&[b'v'; 300]))))
        );
        assert!(Zipmap::check(&[0, END]).unwrap().is_empty());
    }

    #[test]
    fn refuses_what_is_no_zipmap() {
        for cut in 0..EXAMPLE.len() {
            assert!(Zipmap::check(&EXAMPLE[..cut]).is_err(), "cut at {cut}");
        }
        let mut count = EXAMPLE.to_vec();
        count[0] = 5;
        assert_eq!(Zipmap::check(&count).unwrap_err().offset, 0);
        // Seen with 7.0.15: 254 is "unknown", 255 is refused.
        count[0] = END;
        assert_eq!(Zipmap::check(&count).unwrap_err().offset, 0);
        assert!(Zipmap::check(b"\x01\x03foo\xff").is_err());
        assert!(Zipmap::check(b"\x01\x01k\xff\x00\xff").is_err());
    }

    #[test]
    fn changed_bytes_never_panic() {
        for at in 0..EXAMPLE.len() {
            for value in 0..=255 {
                let mut bad = EXAMPLE.to_vec();
                bad[at] = value;
                if let Ok(map) = Zipmap::new(&bad) {
                    assert!(map.iter().count() <= bad.len());
                    assert!(Zipmap::check(&bad).is_err() || map.iter().count() == 2 * map.len());
                }
            }
        }
    }
}
