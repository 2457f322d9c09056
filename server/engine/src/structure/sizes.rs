//! How many keys of a database are of which type and size: counts by powers of two.
//!
//! ```text
//!   bin      0   1   2     3     4      ...
//!   sizes    0   1   2-3   4-7   8-15   ...     one row of bins for each type that a tag can name
//! ```
//! The counts follow every change (see `keyed`): what a record was is taken out, what it is now is put in. They are made with the
//! first key.

use super::record::{PayloadRef, Tag};

/// Bins of a type.
const BINS: usize = 64;
/// Types that a tag can name.
const TYPES: usize = 8;

/// The type whose values count by their bytes where these lie in the record, which its header tells.
pub const TEXT: u8 = 0;

/// Type and bin of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// The place of a value of this type and size.
    #[inline]
    pub fn of(tag: Tag, size: usize) -> Place {
        Place(u32::from(tag.kind()) * BINS as u32 + bin(size))
    }

    /// The place of so many bytes of the type [`TEXT`].
    #[inline]
    pub fn of_text(len: usize) -> Place {
        Place(u32::from(TEXT) * BINS as u32 + bin(len))
    }

    /// The place of an integer, which counts as its text does.
    #[inline]
    pub fn of_int(tag: Tag, i: i64) -> Place {
        Place::of(tag, least_digits(i))
    }
}

/// Sizes are below 2^63, and so this needs no case of its own for none.
#[inline]
fn bin(size: usize) -> u32 {
    (2 * size as u64 + 1).ilog2()
}

/// The length of the text of an integer, or a shorter one of the same bin. A sign is one byte too.
#[inline]
fn least_digits(i: i64) -> usize {
    match i {
        0..=9 => 1,
        -99..=999 => 2,
        -999_999..=9_999_999 => 4,
        -99_999_999_999_999..=999_999_999_999_999 => 8,
        _ => 16,
    }
}

/// What a database can hold, and which size counts of it.
pub trait Measure: Sized {
    /// The size of a value that is no integer. Bytes of the type [`TEXT`] count by their number.
    fn size(tag: Tag, payload: PayloadRef<'_, Self>) -> usize;
}

/// Without objects all is bytes.
impl Measure for () {
    fn size(_: Tag, payload: PayloadRef<'_, ()>) -> usize {
        match payload {
            PayloadRef::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl Measure for Vec<u8> {
    fn size(_: Tag, payload: PayloadRef<'_, Vec<u8>>) -> usize {
        match payload {
            PayloadRef::Int(_) => 0,
            PayloadRef::Bytes(bytes) => bytes.len(),
            PayloadRef::Heap(bytes) => bytes.len(),
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Sizes(Option<Box<[u64; BINS * TYPES]>>);

impl Sizes {
    /// Nothing is counted; allocates nothing.
    pub const NONE: Sizes = Sizes(None);

    #[cold]
    fn fresh() -> Box<[u64; BINS * TYPES]> {
        Box::new([0; BINS * TYPES])
    }

    /// One more there.
    #[inline]
    pub fn add(&mut self, place: Place) {
        let counts = self.0.get_or_insert_with(Sizes::fresh);
        counts[place.0 as usize % (BINS * TYPES)] += 1;
    }

    /// One less there.
    #[inline]
    pub fn take(&mut self, place: Place) {
        debug_assert!(self.0.is_some(), "nothing was counted yet");
        if let Some(counts) = &mut self.0 {
            let count = &mut counts[place.0 as usize % (BINS * TYPES)];
            debug_assert!(*count > 0, "fewer than none at {place:?}");
            *count = count.wrapping_sub(1);
        }
    }

    /// One less at `from`, one more at `to`.
    #[inline]
    pub fn shift(&mut self, from: Place, to: Place) {
        if from != to {
            self.shift_apart(from, to);
        }
    }

    #[inline(never)]
    fn shift_apart(&mut self, from: Place, to: Place) {
        self.take(from);
        self.add(to);
    }

    /// The bins with keys of one type: the least size of each, and how many keys are in it.
    pub fn of_type(&self, kind: u8) -> impl Iterator<Item = (u64, u64)> {
        let from = kind as usize % TYPES * BINS;
        let counts = self
            .0
            .iter()
            .flat_map(move |counts| counts[from..from + BINS].iter());
        let bins = counts.copied().enumerate();
        bins.filter(|(_, count)| *count > 0)
            .map(|(bin, count)| (bin.checked_sub(1).map_or(0, |bit| 1 << bit), count))
    }

    /// Whether all counts are the same; none made yet are zeros.
    pub fn is_same(&self, other: &Sizes) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(counts), None) | (None, Some(counts)) => counts.iter().all(|count| *count == 0),
            (Some(a), Some(b)) => a == b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_count_as_their_text_does() {
        let string = Tag::new(TEXT, 0);
        let mut limits = vec![0, i64::MIN, i64::MAX];
        let mut power: i64 = 1;
        for _ in 0..19 {
            for near in [power - 1, power, power + 1] {
                limits.extend([near, -near]);
            }
            power = power.saturating_mul(10);
        }
        for i in limits {
            let text = i.to_string().len();
            assert_eq!(Place::of_int(string, i), Place::of(string, text), "{i}");
        }
    }
}
