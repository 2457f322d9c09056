//! Ziplist: the packed list of Redis 2.4 to 6.2, in which each entry tells the size of the one before it.
//!
//! ```text
//!   0         4         8         10                         total-1
//!   +---------+---------+---------+---------+-- - - --+-------+
//!   | total   | tail    | count   | entry   |         | FF    |
//!   | u32 LE  | u32 LE  | u16 LE  |         |         | end   |
//!   +---------+---------+---------+---------+-- - - --+-------+
//!
//!   an entry:  size of the entry before (1 byte below 254, or FE + 4 LE) | encoding | data
//!
//!   00xxxxxx            string of up to 63 bytes        C0 + 2, D0 + 4, E0 + 8   number, 16, 32, 64 bits LE
//!   01xxxxxx xxxxxxxx   string, 14 bits big-endian      F0 + 3, FE + 1           number, 24, 8 bits LE
//!   10000000 + 4        string, 32 bits big-endian      F1..FD                   number 0..12
//!
//!   12000000 0F000000 0200 00 03616263 05 F8 FF          holds abc 7
//! ```
//!
//! `tail` is the offset of the last entry, 10 in an empty list. A count of 65535 means "unknown, walk". The long form of a
//! size may stand where the short one would do.

use super::listpack::Entry;
use crate::error::{Damage, FormatError, Result};
use crate::text::number::parse_i64;

const HEADER: usize = 10;
const END: u8 = 255;
const SIZE_LONG: u8 = 254;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A view of a ziplist whose total agrees with its length.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
}

fn damage<T>(offset: usize, what: String) -> Result<T> {
    Err(FormatError::new(Damage::Encoding, offset as u64, what))
}

/// One entry with all that a check wants to know.
struct Decoded<'a> {
    entry: Entry<'a>,
    size_before: usize,
    size: usize,
}

/// The size of the entry before, and the bytes that telling it takes.
fn read_size_before(rest: &[u8]) -> Option<(usize, usize)> {
    match rest {
        [SIZE_LONG, a, b, c, d, ..] => Some((u32::from_le_bytes([*a, *b, *c, *d]) as usize, 5)),
        [SIZE_LONG | END, ..] | [] => None,
        [size, ..] => Some((usize::from(*size), 1)),
    }
}

/// The value whose encoding byte is the first of `rest`, and its size.
fn read_value(rest: &[u8]) -> Option<(Entry<'_>, usize)> {
    let string = |head: usize, len: usize| {
        Some((
            Entry::Str(rest.get(head..head.checked_add(len)?)?),
            head + len,
        ))
    };
    let head = *rest.first()?;
    match head {
        0x00..=0x3f => string(1, usize::from(head)),
        0x40..=0x7f => string(
            2,
            usize::from(head & 0x3f) << 8 | usize::from(*rest.get(1)?),
        ),
        0x80 => string(
            5,
            u32::from_be_bytes(*rest.get(1..)?.first_chunk()?) as usize,
        ),
        0xc0 => Some((
            Entry::Int(i64::from(i16::from_le_bytes(
                *rest.get(1..)?.first_chunk()?,
            ))),
            3,
        )),
        0xd0 => Some((
            Entry::Int(i64::from(i32::from_le_bytes(
                *rest.get(1..)?.first_chunk()?,
            ))),
            5,
        )),
        0xe0 => Some((
            Entry::Int(i64::from_le_bytes(*rest.get(1..)?.first_chunk()?)),
            9,
        )),
        0xf0 => {
            let [low, middle, high] = *rest.get(1..)?.first_chunk()?;
            Some((
                Entry::Int(i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)),
                4,
            ))
        }
        0xfe => Some((Entry::Int(i64::from(*rest.get(1)? as i8)), 2)),
        0xf1..=0xfd => Some((Entry::Int(i64::from(head & 0x0f) - 1), 1)),
        _ => None,
    }
}

fn decode(bytes: &[u8], at: usize) -> Option<Decoded<'_>> {
    let rest = bytes.get(at..)?;
    let (size_before, prefix) = read_size_before(rest)?;
    let (entry, size) = read_value(&rest[prefix..])?;
    Some(Decoded {
        entry,
        size_before,
        size: prefix + size,
    })
}

impl<'a> Ziplist<'a> {
    /// Checks total and end byte, nothing between.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let total = match bytes.first_chunk::<4>() {
            Some(total) if bytes.len() > HEADER => u32::from_le_bytes(*total),
            _ => {
                return damage(
                    0,
                    format!("ziplist: 11 bytes needed, {} remain", bytes.len()),
                );
            }
        };
        if total as usize != bytes.len() {
            return damage(
                0,
                format!(
                    "ziplist: total of {total} bytes claimed, it has {}",
                    bytes.len()
                ),
            );
        }
        if bytes.last() != Some(&END) {
            return damage(bytes.len() - 1, "ziplist: no end byte".into());
        }
        Ok(Ziplist { bytes })
    }

    /// Checks every entry, the sizes they tell of each other, tail and count. An empty list passes.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        let list = Ziplist::new(bytes)?;
        let end = bytes.len() - 1;
        let (mut at, mut count, mut size_before, mut last) = (HEADER, 0usize, 0, HEADER);
        while at < end {
            let Some(decoded) = decode(&bytes[..end], at) else {
                let remain = end - at;
                return damage(
                    at,
                    format!(
                        "ziplist: entry {count} is malformed or longer than the {remain} bytes that remain"
                    ),
                );
            };
            if decoded.size_before != size_before {
                let told = decoded.size_before;
                return damage(
                    at,
                    format!(
                        "ziplist: entry {count} tells {told} bytes before it, there are {size_before}"
                    ),
                );
            }
            (last, size_before) = (at, decoded.size);
            at += decoded.size;
            count += 1;
        }
        let tail = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if tail as usize != last {
            return damage(
                4,
                format!("ziplist: last entry claimed at {tail}, it is at {last}"),
            );
        }
        match list.stored_count() {
            COUNT_UNKNOWN => Ok(list),
            stored if usize::from(stored) == count => Ok(list),
            stored => damage(
                8,
                format!("ziplist: {stored} entries claimed, it has {count}"),
            ),
        }
    }

    fn stored_count(&self) -> u16 {
        u16::from_le_bytes([self.bytes[8], self.bytes[9]])
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self.stored_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.bytes[HEADER] == END
    }

    /// All entries with their places.
    pub fn iter(&self) -> Iter<'a> {
        Iter {
            bytes: &self.bytes[..self.bytes.len() - 1],
            at: HEADER,
        }
    }
}

/// Entries with their places, first to last. Stops early where the bytes make no sense.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Without the end byte, so that no entry can reach it.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Entry<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let decoded = decode(self.bytes, at)?;
        self.at = at + decoded.size;
        Some((at, decoded.entry))
    }
}

/// Writes a ziplist from first to last entry, for snapshots of versions that know nothing newer.
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    last: usize,
    size_before: usize,
    count: usize,
}

impl Builder {
    /// A list without entries.
    pub fn new() -> Self {
        Builder {
            bytes: vec![0; HEADER],
            last: HEADER,
            size_before: 0,
            count: 0,
        }
    }

    /// Appends a text; a canonical integer is stored as a number, as Redis does.
    pub fn push(&mut self, text: &[u8]) {
        match parse_i64(text) {
            Some(value) => self.push_int(value),
            None => {
                self.begin_entry();
                self.put_string(text);
                self.end_entry();
            }
        }
    }

    /// Appends a text as a string even if it is a canonical integer, as minus zero's score or a text score may need.
    pub fn push_text(&mut self, text: &[u8]) {
        self.begin_entry();
        self.put_string(text);
        self.end_entry();
    }

    /// Appends a number in the narrowest form, 8 and 24 bits and 0..12 (Redis 2.6 and up) included.
    pub fn push_int(&mut self, value: i64) {
        self.begin_entry();
        let (head, width) = if (0..=12).contains(&value) {
            (0xf1 + value as u8, 0)
        } else if i8::try_from(value).is_ok() {
            (0xfe, 1)
        } else if i16::try_from(value).is_ok() {
            (0xc0, 2)
        } else if (-(1 << 23)..1 << 23).contains(&value) {
            (0xf0, 3)
        } else if i32::try_from(value).is_ok() {
            (0xd0, 4)
        } else {
            (0xe0, 8)
        };
        self.bytes.push(head);
        self.bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        self.end_entry();
    }

    fn begin_entry(&mut self) {
        debug_assert!(
            self.count == 0 || self.size_before > 0,
            "no entry is without bytes"
        );
        self.last = self.bytes.len();
        match u8::try_from(self.size_before) {
            Ok(size) if size < SIZE_LONG => self.bytes.push(size),
            _ => {
                let size =
                    u32::try_from(self.size_before).expect("a ziplist is smaller than 4 GiB");
                self.bytes.push(SIZE_LONG);
                self.bytes.extend_from_slice(&size.to_le_bytes());
            }
        }
    }

    fn put_string(&mut self, text: &[u8]) {
        let len = text.len();
        if len < 64 {
            self.bytes.push(len as u8);
        } else if len < 16_384 {
            self.bytes
                .extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]);
        } else {
            let len = u32::try_from(len).expect("a ziplist entry is shorter than 4 GiB");
            self.bytes.push(0x80);
            self.bytes.extend_from_slice(&len.to_be_bytes());
        }
        self.bytes.extend_from_slice(text);
    }

    fn end_entry(&mut self) {
        self.size_before = self.bytes.len() - self.last;
        debug_assert!(self.size_before >= 2, "a size before and a head");
        self.count += 1;
    }

    /// Bytes so far, the end byte included: to ask before another entry is added.
    pub fn size(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Entries so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The finished blob.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let total = u32::try_from(self.bytes.len()).expect("a ziplist is smaller than 4 GiB");
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        self.bytes[4..8].copy_from_slice(&(self.last as u32).to_le_bytes());
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[8..10].copy_from_slice(&count.to_le_bytes());
        debug_assert!(
            Ziplist::check(&self.bytes).is_ok_and(|list| list.len() == self.count),
            "every entry reads back"
        );
        self.bytes
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &[u8] = b"\x12\0\0\0\x0f\0\0\0\x02\0\0\x03abc\x05\xf8\xff";

    fn of(texts: &[&[u8]]) -> Vec<u8> {
        let mut builder = Builder::new();
        texts.iter().for_each(|text| builder.push(text));
        assert_eq!(
            (builder.len(), builder.is_empty()),
            (texts.len(), texts.is_empty())
        );
        let size = builder.size();
        let blob = builder.finish();
        assert_eq!(blob.len(), size);
        blob
    }

    fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
        Ziplist::check(bytes)
            .unwrap()
            .iter()
            .map(|(_, entry)| entry.to_bytes().into_owned())
            .collect()
    }

    #[test]
    fn the_example_of_the_head_reads() {
        assert_eq!(texts(EXAMPLE), [&b"abc"[..], b"7"]);
        assert_eq!(of(&[b"abc", b"7"]), EXAMPLE);
        assert!(Ziplist::check(&of(&[])).unwrap().is_empty());
    }

    #[test]
    fn every_form_reads_back() {
        let long = vec![b'x'; 20_000];
        let given: [&[u8]; 19] = [
            b"",
            b"0",
            b"12",
            b"13",
            b"-1",
            b"127",
            b"128",
            b"-128",
            b"-32769",
            b"8388607",
            b"8388608",
            b"-8388609",
            b"2147483648",
            b"-9223372036854775808",
            &long[..63],
            &long[..64],
            &long[..16_383],
            &long,
            b"007",
        ];
        assert_eq!(texts(&of(&given)), given);
        let mut builder = Builder::new();
        builder.push_text(b"5");
        assert_eq!(
            Ziplist::check(&builder.finish()).unwrap().iter().next(),
            Some((HEADER, Entry::Str(b"5")))
        );
    }

    #[test]
    fn a_long_list_has_no_count() {
        let mut builder = Builder::new();
        (0..65_600).for_each(|_| builder.push_int(1));
        let blob = builder.finish();
        assert_eq!(blob[8..10], [0xff, 0xff]);
        assert_eq!(Ziplist::check(&blob).unwrap().len(), 65_600);
    }

    #[test]
    fn a_long_form_of_a_short_size_is_legal() {
        let blob = b"\x16\0\0\0\x0f\0\0\0\x02\0\0\x03abc\xfe\x05\0\0\0\xf8\xff";
        assert_eq!(texts(blob), [&b"abc"[..], b"7"]);
    }

    #[test]
    fn refuses_what_is_no_ziplist() {
        for cut in 0..EXAMPLE.len() {
            assert!(Ziplist::new(&EXAMPLE[..cut]).is_err(), "cut at {cut}");
        }
        for (at, value, offset) in [
            (0, 0x13, 0),
            (4, 0x0a, 4),
            (8, 3, 8),
            (15, 4, 15),
            (11, 9, 10),
            (16, 0xd8, 15),
            (17, 0, 17),
            (10, 1, 10),
        ] {
            let mut bad = EXAMPLE.to_vec();
            bad[at] = value;
            assert_eq!(
                Ziplist::check(&bad).unwrap_err().offset,
                offset,
                "byte {at}"
            );
        }
    }

    #[test]
    fn changed_bytes_never_panic() {
        let good = of(&[
            b"abc",
            b"300",
            &[b'y'; 70],
            b"-5000",
            b"99999999",
            b"5000000000",
            b"",
            &[b'z'; 300],
            b"1",
        ]);
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                if let Ok(list) = Ziplist::new(&bad) {
                    assert!(list.iter().count() <= bad.len());
                    assert!(Ziplist::check(&bad).is_err() || list.iter().count() == list.len());
                }
            }
        }
    }
}
