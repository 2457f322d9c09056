//! How many keys of a database are of which type and size: counts by powers of two.
//!
//! ```text
//!   bin      0   1   2     3     4      ...
//!   sizes    0   1   2-3   4-7   8-15   ...     one row of bins for each type that a tag can name
//! ```
//! The counts follow every change (see `keyed`): what a record was is taken out, what it is now is put in. They are made with the
//! first key. Tables that hold the keys of one database together share their counts; nobody else writes them, so that the atomics
//! cost what plain numbers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

type Counts = [AtomicU64; BINS * TYPES];

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Sizes {
    counts: Option<Arc<Counts>>,
    /// Other tables count in the same place.
    shared: bool,
}

impl Clone for Sizes {
    /// The counts of now, which nobody shares.
    fn clone(&self) -> Sizes {
        let copy = |counts: &Arc<Counts>| {
            Arc::new(std::array::from_fn(|at| {
                AtomicU64::new(counts[at].load(Relaxed))
            }))
        };
        Sizes {
            counts: self.counts.as_ref().map(copy),
            shared: false,
        }
    }
}

impl Sizes {
    /// Nothing is counted; allocates nothing.
    pub const NONE: Sizes = Sizes {
        counts: None,
        shared: false,
    };

    #[cold]
    fn fresh() -> Arc<Counts> {
        Arc::new([const { AtomicU64::new(0) }; BINS * TYPES])
    }

    /// Counts for tables that count together; nothing is counted yet.
    pub fn to_share() -> Sizes {
        Sizes {
            counts: Some(Sizes::fresh()),
            shared: true,
        }
    }

    /// The same counts for one more of these tables.
    pub fn share(&self) -> Sizes {
        debug_assert!(self.shared, "made to be shared");
        Sizes {
            counts: self.counts.clone(),
            shared: self.shared,
        }
    }

    /// Whether other tables count in the same place.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Nothing is there any more.
    pub fn forget(&mut self) {
        match &self.counts {
            Some(counts) if self.shared => counts.iter().for_each(|count| count.store(0, Relaxed)),
            _ => self.counts = None,
        }
    }

    /// One more there.
    #[inline]
    pub fn add(&mut self, place: Place) {
        let counts = self.counts.get_or_insert_with(Sizes::fresh);
        let count = &counts[place.0 as usize % (BINS * TYPES)];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// One less there.
    #[inline]
    pub fn take(&mut self, place: Place) {
        debug_assert!(self.counts.is_some(), "nothing was counted yet");
        if let Some(counts) = &self.counts {
            let count = &counts[place.0 as usize % (BINS * TYPES)];
            let before = count.load(Relaxed);
            debug_assert!(before > 0, "fewer than none at {place:?}");
            count.store(before.wrapping_sub(1), Relaxed);
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
            .counts
            .iter()
            .flat_map(move |counts| counts[from..from + BINS].iter());
        let bins = counts.map(|count| count.load(Relaxed)).enumerate();
        bins.filter(|(_, count)| *count > 0)
            .map(|(bin, count)| (bin.checked_sub(1).map_or(0, |bit| 1 << bit), count))
    }

    /// Whether all counts are the same; none made yet are zeros.
    pub fn is_same(&self, other: &Sizes) -> bool {
        let at = |sizes: &Sizes, place: usize| {
            let counts = sizes.counts.as_ref();
            counts.map_or(0, |counts| counts[place].load(Relaxed))
        };
        (0..BINS * TYPES).all(|place| at(self, place) == at(other, place))
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
