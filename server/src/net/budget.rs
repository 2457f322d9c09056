//! What all clients together may take (`maxmemory-clients`), and who goes first when it is more.
//!
//! A client has a weight, which is noted anew whenever it may have changed. Those that may be evicted stand in 19 classes by the
//! size of their weight, each twice as large as the one below (as in Redis: 32 KB and less, ... 8 GB and more); the largest class
//! goes first, and in it the client of the lowest slot.
//!
//! Invariants: `sum` is the sum of all weights; an evictable client stands in the class of its weight and in no other. Without a
//! limit nothing is noted.

use std::collections::BTreeSet;

/// Bit lengths of weights that share the lowest and the highest class.
const BITS: std::ops::RangeInclusive<u32> = 15..=33;
const CLASSES: usize = 19;
const _: () = assert!((*BITS.end() - *BITS.start()) as usize + 1 == CLASSES);

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Budget {
    /// Bytes; none: no limit.
    limit: Option<u64>,
    sum: u64,
    /// By slot: weight, and whether the client may be evicted.
    weights: Vec<(u64, bool)>,
    classes: [BTreeSet<usize>; CLASSES],
}

fn class_of(weight: u64) -> usize {
    let bits = (u64::BITS - weight.leading_zeros()).clamp(*BITS.start(), *BITS.end());
    (bits - BITS.start()) as usize
}

impl Budget {
    /// Sets the limit, bytes. Answers whether the weights of all clients have to be noted: they were not until now.
    #[must_use]
    pub fn set_limit(&mut self, limit: Option<u64>) -> bool {
        let begins = limit.is_some() && self.limit.is_none();
        if limit.is_none() {
            *self = Budget::default();
        }
        self.limit = limit;
        begins
    }

    /// The limit, bytes.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Whether there is a limit, so that weights are to be noted.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether the clients take more than they may.
    pub fn is_exceeded(&self) -> bool {
        self.limit.is_some_and(|limit| self.sum >= limit)
    }

    /// Notes the weight of a client, bytes; one that may not be evicted counts all the same.
    pub fn note(&mut self, slot: usize, weight: u64, evictable: bool) {
        debug_assert!(self.is_on(), "nobody asks for it");
        if self.weights.len() <= slot {
            self.weights.resize(slot + 1, (0, false));
        }
        let (old, was_evictable) = std::mem::replace(&mut self.weights[slot], (weight, evictable));
        assert!(old <= self.sum, "{old} of {} bytes", self.sum);
        self.sum = self.sum - old + weight;
        if was_evictable {
            let stood = self.classes[class_of(old)].remove(&slot);
            debug_assert!(stood, "slot {slot} in the class of {old}");
        }
        if evictable {
            self.classes[class_of(weight)].insert(slot);
        }
    }

    /// A client is gone.
    pub fn forget(&mut self, slot: usize) {
        if self
            .weights
            .get(slot)
            .is_some_and(|noted| *noted != (0, false))
        {
            self.note(slot, 0, false);
        }
    }

    /// The client that is to go now, which counts no more; none while the limit is kept or nobody may go.
    pub fn evict(&mut self) -> Option<usize> {
        if !self.is_exceeded() {
            return None;
        }
        let slot = *self.classes.iter().rev().find_map(BTreeSet::first)?;
        assert!(self.weights[slot].1, "slot {slot} may not be evicted");
        self.forget(slot);
        Some(slot)
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let sum: u64 = self.weights.iter().map(|(weight, _)| weight).sum();
        let stands = |slot: usize, weight| self.classes[class_of(weight)].contains(&slot);
        let evictable = || self.weights.iter().enumerate().filter(|(_, (_, may))| *may);
        let all_stand = evictable().all(|(slot, (weight, _))| stands(slot, *weight));
        let standing: usize = self.classes.iter().map(BTreeSet::len).sum();
        match sum == self.sum && all_stand && standing == evictable().count() {
            true => Ok(()),
            false => Err(format!("{self:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_class_goes_first_until_the_limit_is_kept() {
        let mut budget = Budget::default();
        assert!(!budget.is_exceeded());
        assert!(budget.set_limit(Some(1_000_000)));
        for (slot, weight) in [(0, 10_000), (1, 300_000), (2, 280_000), (3, 400_000)] {
            budget.note(slot, weight, true);
        }
        assert_eq!(budget.evict(), None);
        budget.note(0, 20_000, true);
        assert_eq!(budget.check(), Ok(()));
        // 300,000, 280,000 and 400,000 are of one class.
        assert_eq!(budget.evict(), Some(1));
        assert_eq!(budget.evict(), None);
        budget.note(4, 2_000_000, false);
        let rest: Vec<usize> = std::iter::from_fn(|| budget.evict()).collect();
        assert_eq!(rest, [2, 3, 0], "who is protected stays");
        assert!(budget.is_exceeded());
        budget.forget(4);
        assert!(!budget.is_exceeded());
        assert_eq!(budget.check(), Ok(()));
        assert!(!budget.set_limit(Some(5)));
        assert!(!budget.set_limit(None));
        assert!(budget.set_limit(Some(5)));
    }
}
