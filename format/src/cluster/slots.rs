//! A set of slots, as it stands in messages: slot `s` is bit `s % 8` of byte `s / 8`, the lowest first.

use std::fmt;

use crate::crc16::SLOTS;

/// Words of a set.
const WORDS: usize = SLOTS as usize / 64;

/// A set of slots.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet(Box<[u64; WORDS]>);

impl SlotSet {
    /// Bytes of a set in a message.
    pub const SIZE: usize = SLOTS as usize / 8;

    /// No slot.
    pub fn new() -> SlotSet {
        SlotSet(Box::new([0; WORDS]))
    }

    /// The set that stands in a message.
    pub fn from_bytes(bytes: &[u8; SlotSet::SIZE]) -> SlotSet {
        let mut set = SlotSet::new();
        let (chunks, _) = bytes.as_chunks();
        for (word, chunk) in set.0.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*chunk);
        }
        set
    }

    /// Appends it as it stands in a message.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.0
            .iter()
            .for_each(|word| out.extend(word.to_le_bytes()));
    }

    /// Whether a slot is in it.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub fn contains(&self, slot: u16) -> bool {
        self.0[usize::from(slot) / 64] >> (slot % 64) & 1 == 1
    }

    /// Whether another set has all of these slots.
    pub fn is_within(&self, other: &SlotSet) -> bool {
        let mut words = self.0.iter().zip(other.0.iter());
        words.all(|(word, theirs)| word & !theirs == 0)
    }

    /// Puts a slot in; whether it is new.
    pub fn insert(&mut self, slot: u16) -> bool {
        let word = &mut self.0[usize::from(slot) / 64];
        let before = *word;
        *word |= 1 << (slot % 64);
        *word != before
    }

    /// Puts in all slots from `first` up to `last`, a word at a time.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn insert_range(&mut self, first: u16, last: u16) {
        let words = usize::from(first) / 64..=usize::from(last) / 64;
        for at in words.clone() {
            let low = if at == *words.start() { first % 64 } else { 0 };
            let high = if at == *words.end() { last % 64 } else { 63 };
            self.0[at] |= u64::MAX << low & u64::MAX >> (63 - high);
        }
    }

    /// Takes a slot out; whether it was there.
    pub fn remove(&mut self, slot: u16) -> bool {
        let word = &mut self.0[usize::from(slot) / 64];
        let before = *word;
        *word &= !(1 << (slot % 64));
        *word != before
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// All slots in it, the lowest first; time for words, not slots.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..).zip(self.0.iter()).flat_map(|(number, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as u16)?;
                rest &= rest - 1;
                Some(number * 64 + bit)
            })
        })
    }

    /// A number that sets with other slots have too only by accident: for "as last time", never for trust.
    pub fn fingerprint(&self) -> u64 {
        self.0.iter().fold(0x9e37_79b9_7f4a_7c15, |sum: u64, word| {
            (sum ^ word)
                .wrapping_mul(0x2545_f491_4f6c_dd1d)
                .rotate_left(29)
        })
    }
}

impl Default for SlotSet {
    fn default() -> SlotSet {
        SlotSet::new()
    }
}

impl FromIterator<u16> for SlotSet {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> SlotSet {
        let mut set = SlotSet::new();
        slots.into_iter().for_each(|slot| {
            set.insert(slot);
        });
        set
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(ranges(self.iter())).finish()
    }
}

/// Slots in order as ranges, first and last.
pub fn ranges(slots: impl IntoIterator<Item = u16>) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for slot in slots {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == slot => *last = slot,
            _ => ranges.push((slot, slot)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_a_set_and_stands_in_messages_bit_by_bit() {
        let mut set = SlotSet::new();
        let mut model = BTreeSet::new();
        for step in 0..4000_u32 {
            let slot = (step.wrapping_mul(2_654_435_761) >> 18) as u16 % SLOTS;
            if step % 3 == 0 {
                assert_eq!(set.remove(slot), model.remove(&slot));
            } else {
                assert_eq!(set.insert(slot), model.insert(slot));
            }
        }
        assert!(set.iter().eq(model.iter().copied()));
        assert_eq!(set.len(), model.len());
        let mut bytes = Vec::new();
        set.write(&mut bytes);
        let is_set = |slot: u16| bytes[usize::from(slot / 8)] >> (slot % 8) & 1 == 1;
        assert!((0..SLOTS).all(|slot| is_set(slot) == model.contains(&slot)));
        let bytes: [u8; SlotSet::SIZE] = bytes.try_into().expect("its size");
        assert_eq!(SlotSet::from_bytes(&bytes), set);
    }

    #[test]
    fn a_range_is_its_slots() {
        for (first, last) in [
            (0, 0),
            (0, 63),
            (1, 64),
            (63, 64),
            (60, 200),
            (64, 127),
            (16_383, 16_383),
            (0, SLOTS - 1),
        ] {
            let mut set: SlotSet = [5, 9_000].into_iter().collect();
            set.insert_range(first, last);
            let expected: SlotSet = (first..=last).chain([5, 9_000]).collect();
            assert_eq!(set, expected, "{first} to {last}");
        }
    }

    #[test]
    fn one_set_is_within_another() {
        let (few, many): (SlotSet, SlotSet) = ((70..80).collect(), (60..90).collect());
        assert!(few.is_within(&many) && few.is_within(&few) && !many.is_within(&few));
        assert!(SlotSet::new().is_within(&few));
    }

    #[test]
    fn neighbours_are_one_range() {
        let set: SlotSet = [3, 5, 4, 9, 16_383].into_iter().collect();
        assert_eq!(ranges(set.iter()), [(3, 5), (9, 9), (16_383, 16_383)]);
        assert!(SlotSet::new().is_empty());
    }
}
