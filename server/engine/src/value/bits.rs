//! A string as a row of bits: counting, searching, combining, and integers of any width inside it.
//!
//! Bit 0 is the most significant bit of byte 0, as SETBIT counts. An integer of `width` bits at bit `offset` lies with its
//! most significant bit first, across bytes where it must:
//!
//! ```text
//! byte      0        1
//!       |01234567|89......|      offset 5, width 6: bits 5..11, the value is written from left to right
//! ```
//!
//! What lies behind the end of a string reads as zeros.

use std::ops::Range;

pub use crate::structure::ones::count;

/// Number of set bits within a range of bits that lies inside the string.
pub fn count_range(bytes: &[u8], bits: Range<u64>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    debug_assert!(bits.end <= bytes.len() as u64 * 8, "{bits:?} end behind it");
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    let before = bytes[first] & !low_bits(8 - bits.start % 8);
    let behind = bytes[last] & low_bits(7 - (bits.end - 1) % 8);
    count(&bytes[first..=last]) - u64::from(before.count_ones() + behind.count_ones())
}

/// A byte whose lowest `n` bits are set.
fn low_bits(n: u64) -> u8 {
    ((1u16 << n) - 1) as u8
}

/// The first bit of this value within a range of bits that lies inside the string.
pub fn find(bytes: &[u8], bit: bool, bits: Range<u64>) -> Option<u64> {
    if bits.is_empty() {
        return None;
    }
    debug_assert!(bits.end <= bytes.len() as u64 * 8, "{bits:?} end behind it");
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    // Looking for a zero is looking for a one in the complement.
    let flip = if bit { 0 } else { 0xff };
    let head = (bytes[first] ^ flip) & low_bits(8 - bits.start % 8);
    let at = if head != 0 {
        first as u64 * 8 + u64::from(head.leading_zeros())
    } else {
        let skipped = first + 1;
        let middle = bytes.get(skipped..=last).unwrap_or(&[]);
        let byte = skipped + first_other(middle, flip)?;
        byte as u64 * 8 + u64::from((bytes[byte] ^ flip).leading_zeros())
    };
    (at < bits.end).then_some(at)
}

/// The first byte that is not `skip`.
fn first_other(bytes: &[u8], skip: u8) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    let full = words.iter().position(|word| *word != [skip; 8]);
    let from = full.unwrap_or(words.len()) * 8;
    let tail = if full.is_some() { &bytes[from..] } else { rest };
    tail.iter().position(|b| *b != skip).map(|i| from + i)
}

/// How two rows of bits are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Bits that are set in both.
    And,
    /// Bits that are set in either.
    Or,
    /// Bits that are set in one only.
    Xor,
}

/// Combines `other` into `into`, which is at least as long: `other` goes on with zeros.
pub fn combine(into: &mut [u8], other: &[u8], how: Combine) {
    assert!(
        into.len() >= other.len(),
        "the end of the other row is lost"
    );
    let (shared, beyond) = into.split_at_mut(other.len());
    let pairs = shared.iter_mut().zip(other);
    match how {
        Combine::And => {
            pairs.for_each(|(a, b)| *a &= b);
            beyond.fill(0);
        }
        Combine::Or => pairs.for_each(|(a, b)| *a |= b),
        Combine::Xor => pairs.for_each(|(a, b)| *a ^= b),
    }
}

/// The integer type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    /// Two's complement.
    pub signed: bool,
    /// 1 to 64 bits, 63 if unsigned.
    pub width: u32,
}

/// What becomes of a number that its field cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The bits that fit are kept.
    #[default]
    Wrap,
    /// The nearest number that fits is kept.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl FieldType {
    /// The smallest and the largest number.
    fn bounds(self) -> (i128, i128) {
        debug_assert!((1..=64).contains(&self.width), "{} bits", self.width);
        if self.signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    /// The number as this type holds it; `None` if it does not fit and is to fail.
    pub fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = self.bounds();
        if (min..=max).contains(&number) {
            return Some(number as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.extend(number as u64)),
            Overflow::Saturate => Some(number.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }

    /// Whether the distance from a number up to the largest one of this narrower signed type is more than 64 bits hold.
    pub fn is_far_below(self, number: i64) -> bool {
        self.signed
            && self.width < 64
            && self.bounds().1 - i128::from(number) > i128::from(i64::MAX)
    }

    /// The lowest `width` bits as a number.
    fn extend(self, bits: u64) -> i64 {
        let spare = 64 - self.width;
        if self.signed {
            ((bits << spare) as i64) >> spare
        } else {
            ((bits << spare) >> spare) as i64
        }
    }

    /// Reads the field at bit `offset`.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let first = usize::try_from(offset / 8).unwrap_or(usize::MAX);
        let mut window = [0; 16];
        let seen = bytes.get(first..).unwrap_or(&[]);
        let n = seen.len().min(9);
        window[..n].copy_from_slice(&seen[..n]);
        let behind = 128 - (offset % 8) as u32 - self.width;
        self.extend((u128::from_be_bytes(window) >> behind) as u64)
    }

    /// Writes the field at bit `offset`; the string reaches to its end.
    pub fn set(self, bytes: &mut [u8], offset: u64, number: i64) {
        let first = (offset / 8) as usize;
        let mut window = [0; 16];
        let n = (bytes.len() - first).min(9);
        window[..n].copy_from_slice(&bytes[first..first + n]);
        let behind = 128 - (offset % 8) as u32 - self.width;
        let mask = ((1u128 << self.width) - 1) << behind;
        let old = u128::from_be_bytes(window) & !mask;
        let new = old | (u128::from(number as u64) << behind) & mask;
        bytes[first..first + n].copy_from_slice(&new.to_be_bytes()[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;

    fn bit(bytes: &[u8], at: u64) -> bool {
        bytes[(at / 8) as usize] >> (7 - at % 8) & 1 == 1
    }

    fn sample(random: &mut Random) -> Vec<u8> {
        let filler = [0, 0xff, 0x10][random.index(3)];
        let mut bytes = vec![filler; random.index(40)];
        for _ in 0..random.index(4) {
            if !bytes.is_empty() {
                let at = random.index(bytes.len());
                bytes[at] = random.index(256) as u8;
            }
        }
        bytes
    }

    #[test]
    fn counting_and_searching_agree_with_looking_at_each_bit() {
        let mut random = Random::new(7);
        for _ in 0..3000 {
            let bytes = sample(&mut random);
            let len = bytes.len() as u64 * 8;
            let (a, b) = (
                random.index(len as usize + 1),
                random.index(len as usize + 1),
            );
            let range = a.min(b) as u64..a.max(b) as u64;
            let ones = range.clone().filter(|at| bit(&bytes, *at)).count();
            assert_eq!(
                count_range(&bytes, range.clone()),
                ones as u64,
                "{bytes:?} {range:?}"
            );
            for wanted in [false, true] {
                let first = range.clone().find(|at| bit(&bytes, *at) == wanted);
                assert_eq!(
                    find(&bytes, wanted, range.clone()),
                    first,
                    "{bytes:?} {range:?}"
                );
            }
        }
    }

    #[test]
    fn a_field_reads_back_and_leaves_its_neighbours_alone() {
        let mut random = Random::new(11);
        for _ in 0..3000 {
            let signed = random.index(2) == 0;
            let width = 1 + random.index(if signed { 64 } else { 63 }) as u32;
            let field = FieldType { signed, width };
            let offset = random.index(70) as u64;
            let mut bytes: Vec<u8> = (0..17).map(|_| random.index(256) as u8).collect();
            let before = bytes.clone();
            let number = field
                .fit(i128::from(random.next_u64() as i64), Overflow::Wrap)
                .expect("wrapping always fits");
            field.set(&mut bytes, offset, number);
            assert_eq!(field.get(&bytes, offset), number);
            for at in (0..17 * 8).filter(|at| *at < offset || *at >= offset + u64::from(width)) {
                assert_eq!(bit(&bytes, at), bit(&before, at));
            }
        }
    }

    #[test]
    fn what_does_not_fit_wraps_or_stops_or_fails() {
        let i8 = FieldType {
            signed: true,
            width: 8,
        };
        let u8 = FieldType {
            signed: false,
            width: 8,
        };
        let i64 = FieldType {
            signed: true,
            width: 64,
        };
        assert_eq!(i8.fit(128, Overflow::Wrap), Some(-128));
        assert_eq!(i8.fit(-129, Overflow::Saturate), Some(-128));
        assert_eq!(u8.fit(-1, Overflow::Wrap), Some(255));
        assert_eq!(u8.fit(-1, Overflow::Saturate), Some(0));
        assert_eq!(u8.fit(256, Overflow::Fail), None);
        let beyond = i128::from(i64::MAX) + 1;
        assert_eq!(i64.fit(beyond, Overflow::Wrap), Some(i64::MIN));
        assert_eq!(i64.fit(beyond, Overflow::Saturate), Some(i64::MAX));
        assert_eq!(u8.get(&[0xff], 4), 0xf0);
        assert_eq!(u8.get(&[0xff], u64::MAX - 7), 0);
    }

    #[test]
    fn the_shorter_row_goes_on_with_zeros() {
        let mut row = vec![0b1100, 0xff];
        combine(&mut row, &[0b1010], Combine::And);
        assert_eq!(row, [0b1000, 0]);
        combine(&mut row, &[0b0110, 1], Combine::Or);
        assert_eq!(row, [0b1110, 1]);
        combine(&mut row, &[0b1010], Combine::Xor);
        assert_eq!(row, [0b0100, 1]);
    }
}
