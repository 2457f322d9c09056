//! Intset: a sorted array of integers, all of one width.
//!
//! ```text
//!   0         4         8
//!   +---------+---------+------------------------------+
//!   | width   | count   | count integers, ascending,   |
//!   | u32 LE  | u32 LE  | each `width` bytes, LE       |
//!   +---------+---------+------------------------------+
//!
//!   02000000 02000000 0100 0500   holds 1 5
//! ```
//!
//! Invariants: strictly ascending; width is 2, 4 or 8 and only grows. An insert that needs a wider integer rewrites the array
//! once; the new value is then either below or above all others.

use crate::error::{Damage, FormatError, Result};

const HEADER: usize = 8;

/// A view of an intset whose header agrees with its length.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    body: &'a [u8],
    width: usize,
}

fn damage<T>(offset: usize, what: String) -> Result<T> {
    Err(FormatError::new(Damage::Encoding, offset as u64, what))
}

impl<'a> Intset<'a> {
    /// Checks width, count and length. The order of the numbers is left unchecked.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
            return damage(
                0,
                format!("intset: header of 8 bytes needed, {} remain", bytes.len()),
            );
        };
        let [w0, w1, w2, w3, c0, c1, c2, c3] = *header;
        let width = u32::from_le_bytes([w0, w1, w2, w3]);
        let count = u64::from(u32::from_le_bytes([c0, c1, c2, c3]));
        if !matches!(width, 2 | 4 | 8) {
            return damage(0, format!("intset: width is {width}, not 2, 4 or 8"));
        }
        if count * u64::from(width) != body.len() as u64 {
            return damage(
                4,
                format!(
                    "intset: {count} numbers of {width} bytes claimed, {} bytes remain",
                    body.len()
                ),
            );
        }
        Ok(Intset {
            body,
            width: width as usize,
        })
    }

    /// Checks everything, the strict order too. An empty set passes: whether one may stand here is for the caller to say.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        let set = Intset::new(bytes)?;
        if set.is_ascending() {
            return Ok(set);
        }
        let is_wrong = |index: &usize| set.get(*index) <= set.get(*index - 1);
        let index = (1..set.len()).find(is_wrong).unwrap_or_default();
        damage(
            HEADER + index * set.width,
            format!("intset: number {index} is not above the one before it"),
        )
    }

    fn is_ascending(&self) -> bool {
        let (mut previous, mut ascending) = (None, true);
        self.for_each(|value| ascending &= previous.replace(value) < Some(value));
        ascending
    }

    /// How many numbers there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Bytes per number: 2, 4 or 8.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number at `index` in ascending order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        let start = index.checked_mul(self.width)?;
        let bytes = self.body.get(start..start + self.width)?;
        Some(match self.width {
            2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => i64::from_le_bytes(bytes.try_into().ok()?),
        })
    }

    /// All numbers, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + use<'a> {
        let set = *self;
        // The index is below the count by construction, so the default is never seen.
        (0..set.len()).map(move |index| set.get(index).unwrap_or_default())
    }

    /// Hands over all numbers, ascending.
    #[inline]
    fn for_each(&self, each: impl FnMut(i64)) {
        match self.width {
            2 => Intset::each_of(self.body, |bytes| i16::from_le_bytes(bytes).into(), each),
            4 => Intset::each_of(self.body, |bytes| i32::from_le_bytes(bytes).into(), each),
            _ => Intset::each_of(self.body, i64::from_le_bytes, each),
        }
    }

    #[inline]
    fn each_of<const N: usize>(
        body: &[u8],
        number: impl Fn([u8; N]) -> i64,
        each: impl FnMut(i64),
    ) {
        let numbers = body.as_chunks().0.iter();
        numbers.map(|bytes| number(*bytes)).for_each(each);
    }

    /// Where `value` stands: `Ok(index)`, or `Err(index)` where it would be inserted.
    pub fn find(&self, value: i64) -> std::result::Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Most sets are filled in ascending order, so one look at the last number often ends the search.
        match high.checked_sub(1).and_then(|last| self.get(last)) {
            None => return Err(0),
            Some(last) if value > last => return Err(high),
            Some(_) => {}
        }
        while low < high {
            debug_assert!(high <= self.len(), "within the numbers");
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(found) if found < value => low = middle + 1,
                Some(found) if found == value => return Ok(middle),
                _ => high = middle,
            }
        }
        Err(low)
    }

    /// Whether `value` is a member.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.find(value).is_ok()
    }
}

/// A new set without numbers, in the narrowest width.
pub fn empty() -> Vec<u8> {
    vec![2, 0, 0, 0, 0, 0, 0, 0]
}

/// The width in bytes that `value` needs.
pub fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// Our own blobs always have a sound header; a broken one here is a bug, not an input.
fn own(buf: &[u8]) -> Intset<'_> {
    Intset::new(buf).expect("an edited intset was made or checked before")
}

fn set_header(buf: &mut [u8], width: usize, count: usize) {
    let count = u32::try_from(count).expect("an intset holds fewer than 2^32 numbers");
    assert_eq!(
        buf.len(),
        HEADER + width * count as usize,
        "header and numbers"
    );
    buf[..4].copy_from_slice(&(width as u32).to_le_bytes());
    buf[4..8].copy_from_slice(&count.to_le_bytes());
}

/// Adds `value` to a sound set; false if it was there already.
///
/// # Panics
/// If `buf` is no intset, which [`Intset::new`] or [`Intset::check`] would have said.
pub fn insert(buf: &mut Vec<u8>, value: i64) -> bool {
    let set = own(buf);
    let (width, count) = (set.width, set.len());
    if width_of(value) > width {
        widen_with(buf, value);
        return true;
    }
    let Err(index) = set.find(value) else {
        return false;
    };
    let (at, end) = (HEADER + index * width, buf.len());
    buf.resize(end + width, 0);
    buf.copy_within(at..end, at + width);
    buf[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    set_header(buf, width, count + 1);
    debug_assert_eq!(
        own(buf).find(value),
        Ok(index),
        "it is found where it was put"
    );
    true
}

/// Rewrites all numbers in the width that `value` needs. It did not fit before, so it belongs at one of the two ends.
fn widen_with(buf: &mut Vec<u8>, value: i64) {
    let set = own(buf);
    let (width, count) = (width_of(value), set.len());
    assert!(width > set.width, "the width only grows");
    let mut wide = Vec::with_capacity(HEADER + (count + 1) * width);
    wide.resize(HEADER, 0);
    if value < 0 {
        wide.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    for number in set.iter() {
        wide.extend_from_slice(&number.to_le_bytes()[..width]);
    }
    if value >= 0 {
        wide.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    set_header(&mut wide, width, count + 1);
    debug_assert!(own(&wide).contains(value), "at one of the two ends");
    *buf = wide;
}

/// Takes `value` out of a sound set; false if it was not there. The width stays.
///
/// # Panics
/// If `buf` is no intset.
pub fn remove(buf: &mut Vec<u8>, value: i64) -> bool {
    let set = own(buf);
    let (width, count) = (set.width, set.len());
    let Ok(index) = set.find(value) else {
        return false;
    };
    let at = HEADER + index * width;
    buf.drain(at..at + width);
    set_header(buf, width, count - 1);
    debug_assert!(!own(buf).contains(value), "no number occurs twice");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_head_reads() {
        let bytes = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 5, 0];
        let set = Intset::check(&bytes).unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 5]);
        let mut made = empty();
        assert!(insert(&mut made, 5) && insert(&mut made, 1) && !insert(&mut made, 5));
        assert_eq!(made, bytes);
    }

    #[test]
    fn grows_wider_at_both_ends() {
        let mut set = empty();
        for value in [1, -70_000, 3_000_000_000, i64::MIN, i64::MAX, 0, 70_000] {
            assert!(insert(&mut set, value));
        }
        let view = Intset::check(&set).unwrap();
        assert_eq!(view.width(), 8);
        assert_eq!(
            view.iter().collect::<Vec<_>>(),
            [i64::MIN, -70_000, 0, 1, 70_000, 3_000_000_000, i64::MAX]
        );
        assert!(view.contains(70_000) && !view.contains(2));
        assert!(remove(&mut set, i64::MAX) && !remove(&mut set, i64::MAX));
        assert_eq!(Intset::check(&set).unwrap().len(), 6);
    }

    #[test]
    fn refuses_what_is_no_intset() {
        let good = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 5, 0];
        for cut in 0..good.len() {
            assert!(Intset::new(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut long = good.to_vec();
        long.push(0);
        assert!(Intset::new(&long).is_err());
        let width_three = [3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0];
        assert_eq!(Intset::new(&width_three).unwrap_err().offset, 0);
        let unsorted = [2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 1, 0];
        assert_eq!(Intset::check(&unsorted).unwrap_err().offset, 10);
        let twice = [2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 5, 0];
        assert!(Intset::check(&twice).is_err() && Intset::new(&twice).is_ok());
    }
}
