//! Choosing entries at random, each with the same chance.
//!
//! Buckets differ in length, so a random entry of a random bucket would favour short chains. Instead every chain is taken to
//! have `longest` places, and a window of `n` neighbouring places (going around at the end) is drawn from a random
//! bucket: each place, and so each entry, is in it with the same chance, and empty places give nothing. One bucket
//! serves several of a sample this way, which is what eviction wants: its cost is cache misses.
//!
//! Marked entries are drawn the same way while they are many. When they are few, one is drawn by its ordinal: the counts
//! lead to its segment, the hints to its bucket, at most 512 lines away.
#![allow(unsafe_code)]

use super::{Entry, Slot, Table, chain, is_marked};
use crate::base::random::Random;

/// Windows drawn in vain before a scarce entry is looked for in another way.
const PATIENCE: usize = 400;
/// Marked entries are drawn like others if at least one in so many is marked.
const DENSE: usize = 16;

impl<E: Entry> Table<E> {
    /// A random entry, each with the same chance.
    pub fn random(&self, random: &mut Random) -> Option<Slot> {
        if self.is_empty() {
            return None;
        }
        for _ in 0..PATIENCE {
            let bucket = random.index(self.buckets);
            let index = random.index(self.longest.max(1));
            if index < self.chain_len(bucket) {
                return Some(self.slot(bucket, index));
            }
        }
        self.nth_from(random.index(self.buckets))
    }

    /// Calls back for `n` random entries (fewer if the table has fewer), each entry with the same chance. An entry may come
    /// twice; neighbours in a bucket come together.
    pub fn sample(&self, n: usize, random: &mut Random, visit: &mut dyn FnMut(&E)) {
        if self.len() <= n {
            return self.iter().for_each(visit);
        }
        let mut left = n;
        let mut in_vain = 0;
        while left > 0 && in_vain < PATIENCE {
            in_vain += 1;
            self.window(left, random, &mut |slot| {
                visit(self.get(slot));
                left -= 1;
                in_vain = 0;
            });
        }
        for _ in 0..left {
            if let Some(slot) = self.random(random) {
                visit(self.get(slot));
            }
        }
    }

    /// A random marked entry, each with the same chance.
    pub fn random_marked(&self, random: &mut Random) -> Option<Slot> {
        if self.marked() == 0 {
            return None;
        }
        if self.marked() * DENSE >= self.len() {
            for _ in 0..PATIENCE {
                let slot = self.random(random)?;
                if self.slot_is_marked(slot) {
                    return Some(slot);
                }
            }
        }
        let slot = self.nth_marked(random.index(self.marked()));
        debug_assert!(
            slot.is_some_and(|slot| self.slot_is_marked(slot)),
            "hints lead to it"
        );
        slot
    }

    /// As [`Self::sample`], of the marked entries.
    pub fn sample_marked(&self, n: usize, random: &mut Random, visit: &mut dyn FnMut(&E)) {
        if self.marked() <= n {
            for nth in 0..self.marked() {
                self.nth_marked(nth)
                    .into_iter()
                    .for_each(|slot| visit(self.get(slot)));
            }
            return;
        }
        let mut left = n;
        let mut in_vain = if self.marked() * DENSE >= self.len() {
            0
        } else {
            PATIENCE
        };
        while left > 0 && in_vain < PATIENCE {
            in_vain += 1;
            // The window is as wide as if all were marked, so it may find more than are wanted.
            self.window(left, random, &mut |slot| {
                if left > 0 && self.slot_is_marked(slot) {
                    visit(self.get(slot));
                    left -= 1;
                    in_vain = 0;
                }
            });
        }
        for _ in 0..left {
            if let Some(slot) = self.random_marked(random) {
                visit(self.get(slot));
            }
        }
    }

    fn chain_len(&self, bucket: usize) -> usize {
        // SAFETY: `block` checks that the bucket is below N.
        unsafe { chain::len(self.block(bucket)) }
    }

    fn slot_is_marked(&self, slot: Slot) -> bool {
        // SAFETY: `block` checks that the bucket is below N.
        let place = unsafe { chain::get(self.block_of(slot), slot.index as usize) };
        place.is_some_and(|place| is_marked(place.entry))
    }

    /// Draws a window of up to `n` places of one bucket.
    fn window(&self, n: usize, random: &mut Random, found: &mut dyn FnMut(Slot)) {
        let bucket = random.index(self.buckets);
        let around = self.longest.max(1);
        let start = random.index(around);
        let len = self.chain_len(bucket);
        debug_assert!(
            len <= around,
            "longer than the longest: its end is never drawn"
        );
        for i in 0..n.min(around) {
            let index = (start + i) % around;
            if index < len {
                found(self.slot(bucket, index));
            }
        }
    }

    /// The first entry at or after a bucket: for tables so empty that drawing is in vain. Not fair, but it ends.
    fn nth_from(&self, bucket: usize) -> Option<Slot> {
        let around = (bucket..self.buckets).chain(0..bucket);
        around
            .into_iter()
            .find(|&b| self.chain_len(b) > 0)
            .map(|b| self.slot(b, 0))
    }

    /// The marked entry of this number, in some order.
    fn nth_marked(&self, nth: usize) -> Option<Slot> {
        debug_assert_eq!(self.segments.marked(), self.marked(), "segments and table");
        let (buckets, mut nth) = self.segments.with_marked(nth)?;
        for bucket in buckets.start..buckets.end.min(self.buckets) {
            // SAFETY: the bucket is below N.
            if !unsafe { chain::hint(self.block(bucket)) } {
                continue;
            }
            for index in 0..self.chain_len(bucket) {
                let slot = self.slot(bucket, index);
                if self.slot_is_marked(slot) {
                    if nth == 0 {
                        return Some(slot);
                    }
                    nth -= 1;
                }
            }
        }
        None
    }
}
