//! The commonest requests, written with the fewest moves: those that differ in one number of few digits and, at most, one value of few bytes.
//!
//! ```text
//!   SET key:{rand:100000} {data:64}
//!
//!   row of 5 digits   "*3\r\n$3\r\nSET\r\n$9\r\nkey:00000\r\n$64\r\n"    copied whole, with room behind it
//!                                                 12345              a word: the digits, and what follows them in the row
//!                                                              J4k_pZ0q...   the value
//!                                                                         "\r\n"
//! ```
//!
//! What is behind a piece up to a whole block is copied too, and the next piece overwrites it. Bytes and draws are those of [`super::template`], which writes all other requests.

use super::data::{Kind, Pools};
use super::numbers::{Counted, Numbers};
use super::page::{BLOCK, Page};
use crate::random::Random;
use cairn_format::text::number::short_text;

/// Bytes of a row at most, and what is copied of each.
const ROW: usize = 2 * BLOCK;
/// Digits of a number at most: they are one word.
const DIGITS: usize = size_of::<u64>();
/// The largest number of so many digits.
const NUMBER_MAX: u64 = 99_999_999;

/// What stands before the value of a request whose number has so many digits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    bytes: [u8; ROW],
    len: usize,
    /// Where the digits begin.
    digits: usize,
    /// The word there, without the digits.
    follows: u64,
}

/// The rows of a template, one for each count of digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    numbers: Numbers,
    rows: [Row; DIGITS],
    data: Option<(Kind, usize)>,
    behind: [u8; BLOCK],
    behind_len: usize,
}

impl Row {
    fn new(head: &[u8], digits: usize, tail: &[u8]) -> Option<Row> {
        let mut bytes = [0; ROW];
        let text = [head, &[0; DIGITS][..digits], tail].concat();
        bytes.get_mut(..text.len())?.copy_from_slice(&text);
        let word = bytes[head.len()..].first_chunk()?;
        Some(Row {
            bytes,
            len: text.len(),
            digits: head.len(),
            follows: u64::from_be_bytes(*word),
        })
    }
}

impl Rows {
    /// Of a request that is a head for the number's count of digits, the number, a tail, perhaps a value, and what is behind that; `None` where one of them is too long.
    pub fn new<'a>(
        numbers: &Numbers,
        head: impl Fn(usize) -> &'a [u8],
        tail: &[u8],
        data: Option<(Kind, u64)>,
        behind: &[u8],
    ) -> Option<Rows> {
        let is_plain = matches!(numbers, Numbers::Uniform(_, high) if *high <= NUMBER_MAX);
        let is_short = data.is_none_or(|(_, len)| len <= 4 * BLOCK as u64);
        if !is_plain || !is_short {
            return None;
        }
        let mut rows = [Row::new(b"", 0, b"")?; DIGITS];
        for (row, digits) in rows.iter_mut().zip(1..) {
            *row = Row::new(head(digits), digits, tail)?;
        }
        let mut block = [0; BLOCK];
        block.get_mut(..behind.len())?.copy_from_slice(behind);
        Some(Rows {
            numbers: numbers.clone(),
            rows,
            data: data.map(|(kind, len)| (kind, len as usize)),
            behind: block,
            behind_len: behind.len(),
        })
    }

    /// Appends so many requests.
    #[inline]
    pub fn write(&self, out: &mut Page, random: &mut Random, pools: &Pools, count: u64) {
        let blocks = self.data.map_or(0, |(_, len)| len.div_ceil(BLOCK));
        let write = match blocks {
            0 => Rows::write_with::<0>,
            1 => Rows::write_with::<BLOCK>,
            2 => Rows::write_with::<{ 2 * BLOCK }>,
            3 => Rows::write_with::<{ 3 * BLOCK }>,
            _ => Rows::write_with::<{ 4 * BLOCK }>,
        };
        write(self, out, random, pools, count);
    }

    /// The same with values that are copied as so many bytes.
    #[inline(never)]
    fn write_with<const VALUE: usize>(
        &self,
        out: &mut Page,
        random: &mut Random,
        pools: &Pools,
        count: u64,
    ) {
        let pool = self.data.map(|(kind, len)| (pools.starts(kind), len));
        for _ in 0..count {
            let room = out.room(ROW + VALUE + BLOCK);
            let number = self.numbers.draw(random, Counted::default());
            // It is not above that; the compiler leaves out what a longer one would need.
            let mut end = self.write_row(room, number.min(NUMBER_MAX));
            if let Some((pool, len)) = pool {
                put::<VALUE>(room, end, pool.at(random.next()));
                end += len;
                put::<BLOCK>(room, end, &self.behind);
                end += self.behind_len;
            }
            out.has(end);
        }
    }

    /// Writes what stands before the value, and says where that begins.
    #[inline(always)]
    fn write_row(&self, room: &mut [u8], number: u64) -> usize {
        let Some((text, digits)) = short_text(number as i64) else {
            unreachable!("a number of few digits");
        };
        let row = &self.rows[(digits - 1) % DIGITS];
        put::<ROW>(room, 0, &row.bytes);
        let word = (text >> 64) as u64 | row.follows;
        put::<DIGITS>(room, row.digits, &word.to_be_bytes());
        row.len
    }
}

/// Copies N bytes to a place in a room that has them.
#[inline(always)]
fn put<const N: usize>(room: &mut [u8], at: usize, from: &[u8]) {
    match (room[at..].first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        (Some(to), Some(from)) => *to = *from,
        _ => unreachable!("there is room for the longest request"),
    }
}
