//! Sets of slabs, one for each class two of free ones and one of those that are being emptied, from which the lowest is taken in four steps.
//!
//! A set is a tree of bits, 64 to a word: a bit of the lowest level for each slab, and above it a bit for each word that is
//! not zero. The words of all sets that speak of the same slabs lie beside each other, so that memory grows with the slabs there are
//! and not with how many there could be:
//!
//! ```text
//!   level 3    [set 0][set 1] ... [set 122]                    one row: 2^24 slabs
//!   level 2    row of slabs 0 .. 2^18 ; row of the next ...
//!   level 0    row of slabs 0 .. 64   ; row of the next 64 ...
//! ```
//!
//! Taking the lowest first is what keeps memory together: slabs at the end empty by themselves.

use crate::class::CLASSES;
use crate::space::Space;

/// Sets: free slabs whose pages are still there, one for each class, free slabs without pages, slabs that are being emptied.
const SETS: usize = CLASSES + 3;
/// The set of free slabs that have pages.
pub(crate) const WORN: usize = 0;
/// The set of free slabs that have none.
pub(crate) const FRESH: usize = CLASSES + 1;
/// The set of those that are being emptied.
pub(crate) const LEAVING: usize = CLASSES + 2;

const LEVELS: usize = 4;
/// Slabs that the sets can hold.
pub(crate) const MOST: usize = 1 << (6 * LEVELS);
/// Bytes of a row.
const ROW: usize = SETS * size_of::<u64>();

/// Invariant: a bit of a higher level is set if and only if the word below it is open and not zero.
pub(crate) struct Sets {
    levels: [Space; LEVELS],
}

impl Sets {
    pub const fn none() -> Sets {
        Sets {
            levels: [const { Space::none() }; LEVELS],
        }
    }

    /// Room for `slabs` slabs, reserved; `None` where the system refuses.
    pub fn reserve(slabs: usize) -> Option<Sets> {
        let mut sets = Sets::none();
        for (level, space) in sets.levels.iter_mut().enumerate() {
            let rows = slabs.div_ceil(1 << (6 * (level + 1)));
            *space = Space::reserve((rows * ROW).next_multiple_of(crate::class::SLAB))?;
        }
        Some(sets)
    }

    /// Makes slab number `slab` one that may be inserted; false where the system refuses.
    pub fn reach(&mut self, slab: usize) -> bool {
        self.levels.iter_mut().enumerate().all(|(level, space)| {
            let row = slab >> (6 * (level + 1));
            space.open_to((row + 1) * ROW)
        })
    }

    /// # Safety
    /// The row was opened by [`Sets::reach`].
    #[inline]
    unsafe fn word(&self, level: usize, row: usize, set: usize) -> *mut u64 {
        debug_assert!(set < SETS);
        // SAFETY: inside the open part, by contract; rows are multiples of 8 bytes in a space aligned to pages.
        unsafe {
            self.levels[level]
                .at()
                .cast::<u64>()
                .add(row * SETS + set)
                .as_ptr()
        }
    }

    /// Puts a slab in. It must have been reached, and not be in.
    #[inline]
    pub fn insert(&mut self, set: usize, slab: usize) {
        let mut place = slab;
        for level in 0..LEVELS {
            // SAFETY: every slab number that anybody has was reached.
            let word = unsafe { &mut *self.word(level, place >> 6, set) };
            let before = *word;
            *word |= 1 << (place & 63);
            debug_assert!(level > 0 || before != *word, "slab {slab} was in set {set}");
            if before != 0 {
                return;
            }
            place >>= 6;
        }
    }

    /// Takes a slab out that is in.
    #[inline]
    pub fn remove(&mut self, set: usize, slab: usize) {
        let mut place = slab;
        for level in 0..LEVELS {
            // SAFETY: as in `insert`.
            let word = unsafe { &mut *self.word(level, place >> 6, set) };
            debug_assert!(
                *word >> (place & 63) & 1 == 1,
                "slab {slab} was not in set {set}"
            );
            *word &= !(1 << (place & 63));
            if *word != 0 {
                return;
            }
            place >>= 6;
        }
    }

    /// The lowest slab that is in.
    #[inline]
    pub fn first(&self, set: usize) -> Option<usize> {
        let mut row = 0;
        for level in (0..LEVELS).rev() {
            // SAFETY: row 0 of the top level is open from the first slab on, and a bit leads only to open rows.
            let word = unsafe { *self.word(level, row, set) };
            if word == 0 {
                debug_assert!(level == LEVELS - 1, "a bit above an empty word");
                return None;
            }
            row = row << 6 | word.trailing_zeros() as usize;
        }
        Some(row)
    }

    /// The lowest free slab and its set; one that has pages before one that has none.
    pub fn first_free(&self) -> Option<(usize, usize)> {
        let of = |set| self.first(set).map(|slab| (set, slab));
        of(WORN).or_else(|| of(FRESH))
    }

    /// Whether a slab that was reached is in.
    pub fn contains(&self, set: usize, slab: usize) -> bool {
        // SAFETY: reached, by what the sentence above asks.
        let word = unsafe { *self.word(0, slab >> 6, set) };
        word >> (slab & 63) & 1 == 1
    }
}
