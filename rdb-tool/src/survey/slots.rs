//! Keys by cluster slot, and how evenly slots spread them.

use super::histogram::{Bin, absorb_all};
use cairn_format::crc16::key_slot;

/// Slots of a cluster.
pub const SLOTS: usize = cairn_format::crc16::SLOTS as usize;

/// Keys and bytes of every slot.
#[derive(Debug)]
pub struct Slots {
    bins: Box<[Bin]>,
}

/// What one of several equal ranges of slots holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// First slot.
    pub first: usize,
    /// Last slot.
    pub last: usize,
    /// Keys and bytes.
    pub bin: Bin,
}

impl Slots {
    /// All empty.
    pub fn new() -> Slots {
        Slots {
            bins: vec![Bin::default(); SLOTS].into(),
        }
    }

    /// Counts a key.
    pub fn add(&mut self, key: &[u8], bytes: u64) {
        let bin = &mut self.bins[usize::from(key_slot(key))];
        bin.keys += 1;
        bin.bytes += bytes;
    }

    /// Adds others up.
    pub fn absorb(&mut self, others: &Slots) {
        absorb_all(&mut self.bins, &others.bins);
    }

    /// Slots with keys.
    pub fn used(&self) -> usize {
        self.bins.iter().filter(|bin| bin.keys > 0).count()
    }

    /// The slots with most bytes, largest first.
    pub fn largest(&self, top: usize) -> Vec<(usize, Bin)> {
        let mut slots: Vec<(usize, Bin)> = (0..).zip(self.bins.iter().copied()).collect();
        slots.retain(|(_, bin)| bin.keys > 0);
        slots.sort_by_key(|(slot, bin)| (std::cmp::Reverse(bin.bytes), *slot));
        slots.truncate(top);
        slots
    }

    /// What `count` nodes would hold, each a range of slots of the same length, as a new cluster has them.
    pub fn shards(&self, count: usize) -> Vec<Shard> {
        (0..count)
            .map(|part| {
                let (first, last) = range(part, count);
                let mut bin = Bin::default();
                let slots = self.bins[first..=last].iter();
                slots.for_each(|slot| bin.absorb(*slot));
                Shard { first, last, bin }
            })
            .collect()
    }
}

/// First and last slot of one of `count` equal ranges, as a new cluster has them.
pub fn range(part: usize, count: usize) -> (usize, usize) {
    let end = |part: usize| (part as f64 * SLOTS as f64 / count as f64).round() as usize;
    (end(part), end(part + 1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_and_shards_those_of_its_creation() {
        let mut slots = Slots::new();
        slots.add(b"foo", 7);
        slots.add(b"{foo}bar", 3);
        slots.add(b"bar", 1);
        assert_eq!(slots.used(), 2);
        let largest = slots.largest(1);
        assert_eq!(largest, [(12_182, Bin { keys: 2, bytes: 10 })]);
        let shards = slots.shards(3);
        let ranges: Vec<_> = shards
            .iter()
            .map(|shard| (shard.first, shard.last))
            .collect();
        assert_eq!(ranges, [(0, 5460), (5461, 10_922), (10_923, 16_383)]);
        assert_eq!(shards[2].bin.bytes, 10);
        assert_eq!(shards[0].bin.bytes, 1, "bar is in slot 5061");
    }
}
