//! The hash table of everything: keys of a database, fields of a hash, members of a set.
//!
//! ```text
//!   directory    segments of 512 buckets    buckets of 64 bytes
//!   +-----+      +----------------------+
//!   |  *--|----> | bucket | bucket | .. |   seven entries, or six and a link (see `chain`)
//!   |  *--|--.   +----------------------+
//!   +-----+   `> | bucket | .. |            the last segment is as long as it must be
//! ```
//! The table grows by **linear hashing**: one bucket at a time, never all at once. With N buckets and 2^L <= N < 2^(L+1), the low
//! L + 1 bits of a hash name a bucket if there is one of that number, otherwise the low L bits do. Bucket N is made by
//! splitting bucket N - 2^L; merging goes the same way back. So there is no second table while it grows, no peak of
//! memory, no moment where half of it is empty: a table has 8 entries per bucket at any size (about 11 bytes per entry with
//! overflow blocks), and the longest step is one split and, once per 4,096 entries, the allocation of 32 KB.
//!
//! **Marks.** Bit 0 of an entry's handle is its mark (the entry has an expiry). The table counts marked entries per segment
//! and per bucket remembers whether there is one, so a random one is found fast, and no second index of expiring
//! keys is needed, which would cost another 11 bytes per key.
//!
//! Invariants:
//! - every entry is in the chain that its hash names for the present N;
//! - `segments[i]` has 512 buckets, except the last, which has `last_places`; chains beyond N are empty;
//! - no two entries have the same key (the caller's promise; breaking it only hides one of them).
//!
//! A [`Slot`] is a bucket number and an index, checked at each use: one that is out of date gives another entry or a panic,
//! never a wild pointer. Where assertions are on, a slot also carries the generation of the table in which it was made, and one
//! that is out of date always panics.
#![allow(unsafe_code)]

mod ahead;
mod chain;
mod check;
mod entry;
mod iter;
mod pick;
mod segment;

pub use ahead::Ahead;
pub(crate) use entry::same_bytes;
pub use entry::{Entry, Ref};
pub(in crate::structure) use entry::{MARK, is_marked};
pub use iter::Iter;

use std::fmt;
use std::hash::{BuildHasher, Hasher as _};
use std::marker::PhantomData;
use std::ptr::NonNull;

use chain::{Block, Place};
use segment::Segments;

use super::fetch;

/// Entries per bucket above which the table grows.
const LOAD: usize = 8;
/// Entries per bucket below which it shrinks. Far enough from [`LOAD`] that a steady size causes no steps.
const LOAD_LOW: usize = 4;
/// How much fuller the table gets while growing is not allowed.
const LOAD_FORCED: usize = 4 * LOAD;
/// How many times the entries that are there a table may be made ready for ([`Table::make_room`]).
const AHEAD: usize = 8;
/// Splits or merges that one insertion or removal pays for. More than one, so that a backlog shrinks.
const STEPS: usize = 2;

const _: () = assert!(2 * LOAD_LOW <= LOAD && LOAD < LOAD_FORCED);

/// A keyed hash function: ahash, which mixes with folded multiplications under secret seeds, so that nobody who lacks the
/// seeds can make keys collide.
#[derive(Clone, Copy)]
pub struct Hasher {
    seed: [u64; 4],
}

impl Hasher {
    /// A hash function of its own for each seed. The seed should be random and secret.
    pub const fn new(seed: [u64; 4]) -> Hasher {
        Hasher { seed }
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let [a, b, c, d] = self.seed;
        let mut hasher = ahash::RandomState::with_seeds(a, b, c, d).build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed is a secret; it does not belong into a log.
        f.write_str("Hasher")
    }
}

/// Number of the bucket of `buckets` that a hash names, 0 if there are none. `mask` is 2^L - 1.
#[inline]
fn bucket_of(hash: u64, buckets: usize, mask: usize) -> usize {
    let wide = hash as usize & (2 * mask + 1);
    let bucket = if wide < buckets { wide } else { wide & mask };
    debug_assert!(bucket < buckets.max(1), "a hash names a bucket that exists");
    bucket
}

/// The top byte of a hash, which stands beside the entry's handle.
#[inline]
fn fingerprint_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

/// Where an entry is, until the next insertion, removal or resize of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    bucket: u32,
    index: u32,
    generation: Generation,
}

/// Counts what puts slots out of date; nothing at all where assertions are off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Generation {
    #[cfg(debug_assertions)]
    number: u32,
}

impl Generation {
    const FIRST: Generation = Generation {
        #[cfg(debug_assertions)]
        number: 0,
    };

    #[inline]
    fn advance(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.number = self.number.wrapping_add(1);
        }
    }
}

/// A hash table of entries.
pub struct Table<E: Entry> {
    segments: Segments,
    /// Buckets in use, N.
    buckets: usize,
    /// 2^L - 1.
    mask: usize,
    len: usize,
    marked: usize,
    /// Bytes of the blocks behind buckets.
    spill: usize,
    /// No chain is longer than this (a bound for fair random choice).
    longest: usize,
    /// As `longest`, of buckets split or filled since L last changed: by the time it changes again that is all.
    longest_lately: usize,
    resize_allowed: bool,
    hasher: Hasher,
    generation: Generation,
    owns: PhantomData<E>,
}

// SAFETY: the table owns its entries and blocks.
unsafe impl<E: Entry + Send> Send for Table<E> {}

impl<E: Entry> Table<E> {
    /// An empty table, which allocates nothing.
    pub const fn new(hasher: Hasher) -> Table<E> {
        Table {
            segments: Segments::new(),
            buckets: 0,
            mask: 0,
            len: 0,
            marked: 0,
            spill: 0,
            longest: 0,
            longest_lately: 0,
            resize_allowed: true,
            hasher,
            generation: Generation::FIRST,
            owns: PhantomData,
        }
    }

    #[inline]
    fn slot(&self, bucket: usize, index: usize) -> Slot {
        Slot {
            bucket: bucket as u32,
            index: index as u32,
            generation: self.generation,
        }
    }

    /// The chain in which a slot stands.
    #[inline]
    fn block_of(&self, slot: Slot) -> Block {
        debug_assert_eq!(slot.generation, self.generation, "a slot of another time");
        self.block(slot.bucket as usize)
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// No entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of entries that carry the mark.
    #[inline]
    pub fn marked(&self) -> usize {
        self.marked
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// The hash function.
    #[inline]
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }

    /// Bytes of the table itself: directory, buckets and blocks behind them, without the entries.
    pub fn mem_bytes(&self) -> usize {
        self.segments.mem_bytes() + self.spill
    }

    /// Number of the bucket that a hash names, below N if N is not 0.
    #[inline]
    fn bucket_of(&self, hash: u64) -> usize {
        bucket_of(hash, self.buckets, self.mask)
    }

    #[inline]
    fn block(&self, bucket: usize) -> Block {
        assert!(bucket < self.buckets, "a slot of another time");
        self.segments.block(bucket)
    }

    /// The entry with this key, whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.lookup(hash, key).map(|(slot, _)| slot)
    }

    /// As [`Self::find`], and the entry itself, which saves the way from the slot to it.
    #[inline(always)]
    pub fn lookup(&self, hash: u64, key: &[u8]) -> Option<(Slot, &E)> {
        if self.len == 0 {
            return None;
        }
        let bucket = self.bucket_of(hash);
        // SAFETY: a bucket below N is live; its words hold handles of `E`, which is transparent over them.
        unsafe {
            let is = |word: NonNull<NonNull<u8>>| word.cast::<E>().as_ref().key_is(key);
            let (index, word) = chain::find(self.segments.block(bucket), fingerprint_of(hash), is)?;
            Some((self.slot(bucket, index), word.cast::<E>().as_ref()))
        }
    }

    /// An entry with this hash of which `is` holds, for a caller who knows the hash but not the key.
    pub fn find_by(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        let bucket = self.bucket_of(hash);
        // SAFETY: a bucket below N is live; its words hold handles of `E`, which is transparent over them.
        let (index, _) = unsafe {
            let is = |word: NonNull<NonNull<u8>>| is(word.cast::<E>().as_ref());
            chain::find(self.segments.block(bucket), fingerprint_of(hash), is)?
        };
        Some(self.slot(bucket, index))
    }

    /// The entry in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> &E {
        // SAFETY: a bucket below N is live; the word of a located index holds a handle of `E`.
        unsafe {
            let word = chain::word(self.block_of(slot), slot.index as usize);
            word.expect("a slot of another time").cast::<E>().as_ref()
        }
    }

    /// For looking ahead, before an entry is looked up or added.
    #[inline]
    pub fn ahead(&self) -> Ahead<'_> {
        Ahead::new(&self.segments, self.buckets, self.mask, &self.hasher)
    }

    /// Adds an entry whose key is not in the table yet. Slots from before are out of date.
    #[inline]
    pub fn insert(&mut self, hash: u64, entry: E) -> Slot {
        debug_assert!(
            self.find(hash, entry.key()).is_none(),
            "the key is in the table already"
        );
        debug_assert_eq!(
            hash,
            self.hasher.hash(entry.key()),
            "a split would lose the entry"
        );
        self.grow_steps(STEPS, self.len + 1);
        let bucket = self.bucket_of(hash);
        let place = Place {
            fingerprint: fingerprint_of(hash),
            entry: entry.into_raw(),
        };
        self.len += 1;
        self.count_mark(bucket, place.entry, 1);
        self.generation.advance();
        let index = self.push(bucket, place);
        self.slot(bucket, index)
    }

    /// Takes an entry out. Slots from before are out of date.
    #[inline]
    pub fn remove(&mut self, slot: Slot) -> E {
        let bucket = slot.bucket as usize;
        let block = self.block_of(slot);
        // SAFETY: a bucket below N is live; what it gives back is a handle of `E` that the table no longer holds.
        let entry = unsafe {
            let place = chain::remove(block, slot.index as usize, &mut self.spill)
                .expect("a slot of another time");
            if is_marked(place.entry) {
                chain::refresh_hint(block);
                self.count_mark(bucket, place.entry, -1);
            }
            E::from_raw(place.entry)
        };
        self.len -= 1;
        debug_assert!(self.marked <= self.len, "what is marked is in the table");
        self.generation.advance();
        self.shrink_steps(STEPS);
        entry
    }

    /// Changes an entry where it is; it may move in memory and gain or lose its mark, but must keep its key. Slots
    /// stay valid. An entry moves here, and in a walk that moves blocks
    /// ([`Self::move_step`]).
    #[inline]
    pub fn update<R>(&mut self, slot: Slot, change: impl FnOnce(&mut E) -> R) -> R {
        let block = self.block_of(slot);
        // SAFETY: as in `get`; the table is borrowed exclusively, so nobody else has a reference to this handle.
        let (before, result, after) = unsafe {
            let word = chain::word(block, slot.index as usize).expect("a slot of another time");
            let before = word.read();
            let result = change(word.cast::<E>().as_mut());
            debug_assert_eq!(
                chain::get(block, slot.index as usize).map(|place| place.fingerprint),
                Some(fingerprint_of(
                    self.hasher.hash(word.cast::<E>().as_ref().key())
                )),
                "the key stays"
            );
            (before, result, word.read())
        };
        if is_marked(before) != is_marked(after) {
            // SAFETY: a live chain.
            unsafe { chain::refresh_hint(block) };
            self.count_mark(slot.bucket as usize, before, -1);
            self.count_mark(slot.bucket as usize, after, 1);
        }
        result
    }

    /// An entry, to change while its key and mark stay (a score, a value, the object behind a record). Whatever may
    /// change the mark goes through [`Self::update`], or counts of marked entries come out wrong.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut E {
        // SAFETY: as in `get`; the table is borrowed exclusively.
        unsafe {
            let word = chain::word(self.block_of(slot), slot.index as usize);
            word.expect("a slot of another time").cast::<E>().as_mut()
        }
    }

    /// Puts another entry with the same key in a slot; answers the one that was there.
    #[inline]
    pub fn replace(&mut self, slot: Slot, entry: E) -> E {
        self.update(slot, |old| {
            debug_assert!(old.key() == entry.key(), "a replacement has the same key");
            std::mem::replace(old, entry)
        })
    }

    /// While false, the table grows only at four times its normal load and does not shrink: a child process shares the
    /// memory, and every page that is written costs a copy.
    pub fn set_resize_allowed(&mut self, allowed: bool) {
        self.resize_allowed = allowed;
    }

    /// Grows a little towards `expected` entries in all, which whoever fills the table has been told of: a bucket that is split while little is in it
    /// costs little. To be called before each insertion. Whoever told it is not believed: there is room for eight times of what is there at most,
    /// and what is too large shrinks again. Slots from before are out of date.
    #[inline]
    pub fn make_room(&mut self, expected: usize) {
        self.grow_steps(STEPS, expected.min(AHEAD * (self.len + 1)));
    }

    /// Does up to `steps` splits or merges that are due (after growing was not allowed for a while); answers whether more are.
    pub fn rehash_step(&mut self, steps: usize) -> bool {
        self.grow_steps(steps, self.len);
        self.shrink_steps(steps);
        self.must_grow(self.len) || self.must_shrink()
    }

    #[inline]
    fn must_grow(&self, len: usize) -> bool {
        let load = if self.resize_allowed {
            LOAD
        } else {
            LOAD_FORCED
        };
        len > load * self.buckets && self.buckets < u32::MAX as usize
    }

    #[inline]
    fn must_shrink(&self) -> bool {
        self.resize_allowed
            && self.len < LOAD_LOW * self.buckets
            && (self.buckets > 1 || self.len == 0)
    }

    #[inline]
    fn grow_steps(&mut self, steps: usize, len: usize) {
        for _ in 0..steps {
            if !self.must_grow(len) {
                return;
            }
            self.split();
        }
    }

    #[inline]
    fn shrink_steps(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.must_shrink() {
                return;
            }
            self.merge();
        }
    }

    /// Adds bucket N and moves to it what belongs there from bucket N - 2^L.
    #[cold]
    fn split(&mut self) {
        let new = self.buckets;
        assert!(
            new == 0 || self.is_sized(),
            "{new} buckets under mask {}",
            self.mask
        );
        self.generation.advance();
        self.segments.extend_to(new + 1);
        self.buckets = new + 1;
        if new == 0 {
            assert_eq!(self.len, 0, "entries without a bucket");
            self.mask = 0;
            return;
        }
        let (old, wide) = (new & self.mask, 2 * self.mask + 1);
        let from = self.block(old);
        // SAFETY: both buckets are below N; each entry is in one chain at a time.
        unsafe {
            chain::for_each(from, |word| fetch::line(word.read()));
            let mut moved_mark = false;
            for k in (0..chain::len(from)).rev() {
                let word = chain::word(from, k).expect("k is below the length");
                let hash = self.hasher.hash(word.cast::<E>().as_ref().key());
                if hash as usize & wide != new {
                    continue;
                }
                let place = chain::remove(from, k, &mut self.spill).expect("k is below the length");
                moved_mark |= is_marked(place.entry);
                self.count_mark(old, place.entry, -1);
                self.count_mark(new, place.entry, 1);
                self.push(new, place);
            }
            if moved_mark {
                chain::refresh_hint(from);
            }
            self.longest_lately = self.longest_lately.max(chain::len(from));
        }
        if self.buckets == wide + 1 {
            self.mask = wide;
            self.longest = self.longest_lately;
            self.longest_lately = 0;
        }
        assert!(
            self.is_sized(),
            "{} buckets under mask {}",
            self.buckets,
            self.mask
        );
    }

    /// Whether N and L belong together: 2^L <= N < 2^(L+1).
    fn is_sized(&self) -> bool {
        self.mask < self.buckets && self.buckets <= 2 * self.mask + 1
    }

    /// Takes the last bucket away and adds its entries to the one that it was split from.
    #[cold]
    fn merge(&mut self) {
        let last = self.buckets - 1;
        assert!(
            last > 0 || self.len == 0,
            "the last bucket goes when no entry is left"
        );
        assert!(
            self.is_sized(),
            "{} buckets under mask {}",
            self.buckets,
            self.mask
        );
        self.generation.advance();
        if last == self.mask {
            self.mask >>= 1;
            self.longest_lately = self.longest;
        }
        let from = self.block(last);
        // SAFETY: both buckets are live until the segment shrinks, after the last entry has left.
        unsafe {
            while let Some(place) = chain::pop(from, &mut self.spill) {
                self.count_mark(last, place.entry, -1);
                self.count_mark(last & self.mask, place.entry, 1);
                self.push(last & self.mask, place);
            }
            chain::clear(from, &mut self.spill);
        }
        self.buckets = last;
        self.segments.shrink_to(last);
        assert!(
            last == 0 || self.is_sized(),
            "{last} buckets under mask {}",
            self.mask
        );
    }

    #[inline]
    fn push(&mut self, bucket: usize, place: Place) -> usize {
        // SAFETY: a bucket below N is live (`block` checks).
        let index = unsafe { chain::push(self.block(bucket), place, &mut self.spill) };
        if index >= self.longest_lately {
            self.longest_lately = index + 1;
            self.longest = self.longest.max(index + 1);
        }
        index
    }

    #[inline]
    fn count_mark(&mut self, bucket: usize, entry: NonNull<u8>, change: i32) {
        if is_marked(entry) {
            debug_assert!(
                change >= 0 || self.marked > 0,
                "more marks taken than given"
            );
            self.marked = self.marked.wrapping_add_signed(change as isize);
            self.segments.count_mark(bucket, change);
        }
    }
}

impl<E: Entry> Drop for Table<E> {
    fn drop(&mut self) {
        for bucket in 0..self.buckets {
            let block = self.block(bucket);
            // SAFETY: every chain is visited once, each of its handles dropped once, and none is read afterwards.
            unsafe {
                chain::for_each(block, |word| drop(E::from_raw(word.read())));
                chain::clear(block, &mut self.spill);
            }
        }
        debug_assert_eq!(self.spill, 0, "all blocks behind buckets are freed");
        self.segments.shrink_to(0);
    }
}

impl<E: Entry> fmt::Debug for Table<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}
