//! Keys that were read, each with the sessions that are to hear of its next change.
//!
//! ```text
//!   record   key, one reader         as an integer in the record: no second allocation
//!            key, several readers    a pointer to a list in order
//! ```
//! Invariants: a list has at least one reader, its readers rise, and `items` is the number of all readers of all keys.

use crate::base::id::Reader;
use crate::base::random::Random;
use crate::structure::record::{Payload, PayloadRef, Record, Tag};
use crate::structure::table::{self, Hasher, Slot};

/// Readers that rise.
type Readers = Vec<Reader>;

const TAG: Tag = Tag::new(0, 0);

/// See the file's head.
#[derive(Debug)]
pub struct Table {
    keys: table::Table<Record<Readers>>,
    items: usize,
}

impl Table {
    /// An empty one.
    pub fn new(hasher: Hasher) -> Table {
        Table {
            keys: table::Table::new(hasher),
            items: 0,
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of readers of all keys together.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Whether it has more keys than it may; 0 is no limit.
    pub fn is_over(&self, keys_max: usize) -> bool {
        keys_max > 0 && self.len() > keys_max
    }

    /// A session has read a key, whose hash is `hash`. Where a list has to grow, those of whom `is_there` does not hold leave it.
    /// Answers whether the key is new.
    pub fn remember(
        &mut self,
        hash: u64,
        key: &[u8],
        reader: Reader,
        is_there: impl Fn(Reader) -> bool,
    ) -> bool {
        let Some(slot) = self.keys.find(hash, key) else {
            let payload = Payload::Int(reader.to_word());
            self.keys.insert(hash, Record::new(key, TAG, payload, None));
            self.items += 1;
            return true;
        };
        match self.keys.get(slot).payload() {
            PayloadRef::Int(word) if word == reader.to_word() => {}
            PayloadRef::Int(word) => self.join(slot, Reader::of_word(word), reader, is_there),
            _ => self.join_list(slot, reader, is_there),
        }
        false
    }

    /// A key with one reader is read by another one.
    fn join(
        &mut self,
        slot: Slot,
        first: Reader,
        reader: Reader,
        is_there: impl Fn(Reader) -> bool,
    ) {
        let payload = match is_there(first) {
            true => {
                self.items += 1;
                Payload::Heap(Box::new(vec![first.min(reader), first.max(reader)]))
            }
            false => Payload::Int(reader.to_word()),
        };
        self.keys
            .update(slot, |record| record.set_payload(TAG, payload));
    }

    fn join_list(&mut self, slot: Slot, reader: Reader, is_there: impl Fn(Reader) -> bool) {
        let Some(list) = self.keys.get_mut(slot).object_mut() else {
            return;
        };
        if list.binary_search(&reader).is_ok() {
            return;
        }
        let before = list.len();
        if before == list.capacity() {
            list.retain(|reader| is_there(*reader));
        }
        let at = list.partition_point(|other| *other < reader);
        list.insert(at, reader);
        debug_assert!(list.is_sorted(), "readers rise");
        self.items = self.items - before + list.len();
    }

    /// Takes a key out and appends its readers. Answers whether it was there.
    pub fn take(&mut self, hash: u64, key: &[u8], readers: &mut Readers) -> bool {
        let slot = self.keys.find(hash, key);
        if let Some(slot) = slot {
            self.take_out(slot, readers);
        }
        slot.is_some()
    }

    /// Takes any key out and appends its readers. Answers which; none if there is none.
    pub fn take_any(&mut self, random: &mut Random, readers: &mut Readers) -> Option<Box<[u8]>> {
        let slot = self.keys.random(random)?;
        let key = self.keys.get(slot).key().into();
        self.take_out(slot, readers);
        Some(key)
    }

    fn take_out(&mut self, slot: Slot, readers: &mut Readers) {
        let before = readers.len();
        let record = self.keys.remove(slot);
        match record.payload() {
            PayloadRef::Int(word) => readers.push(Reader::of_word(word)),
            PayloadRef::Heap(list) => readers.extend_from_slice(list),
            PayloadRef::Bytes(_) => debug_assert!(false, "a key without a reader"),
        }
        self.items -= readers.len() - before;
    }

    /// Tests the invariants.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.keys.check()?;
        let mut items = 0;
        for record in self.keys.iter() {
            let key = || record.key().escape_ascii();
            items += match record.payload() {
                PayloadRef::Int(_) => 1,
                PayloadRef::Heap(list) if !list.is_empty() && list.is_sorted() => list.len(),
                other => return Err(format!("{} is read by {other:?}", key())),
            };
        }
        match items == self.items {
            true => Ok(()),
            false => Err(format!("{items} readers, {} are counted", self.items)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::base::id::SessionId;

    const HASHER: Hasher = Hasher::new([1, 2, 3, 4]);

    fn reader(number: u32) -> Reader {
        Reader {
            slot: SessionId(number % 7),
            id: number,
        }
    }

    /// Against a plain map, with readers that go: a list may keep them until it grows, and never loses one that is there.
    #[test]
    fn it_knows_all_who_are_there() {
        let mut random = Random::new(11);
        let mut table = Table::new(HASHER);
        let mut model: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        for step in 0..20_000 {
            let key = format!("key:{}", random.index(50)).into_bytes();
            let number = random.index(40) as u32;
            match random.index(10) {
                0..=6 if !gone.contains(&number) => {
                    let there = |reader: Reader| !gone.contains(&reader.id);
                    let new = table.remember(HASHER.hash(&key), &key, reader(number), there);
                    assert_eq!(new, !model.contains_key(&key), "step {step}");
                    model.entry(key).or_default().insert(number);
                }
                7 => {
                    let mut readers = Vec::new();
                    let found = table.take(HASHER.hash(&key), &key, &mut readers);
                    let wanted = model.remove(&key);
                    assert_eq!(found, wanted.is_some(), "step {step}");
                    let there = |ids: &BTreeSet<u32>| ids.difference(&gone).copied().collect();
                    let told: BTreeSet<u32> = readers.iter().map(|reader| reader.id).collect();
                    assert_eq!(told.len(), readers.len(), "each is told once");
                    let wanted: BTreeSet<u32> = wanted.as_ref().map(there).unwrap_or_default();
                    assert_eq!(there(&told), wanted, "step {step}");
                }
                8 if step % 40 == 0 && gone.len() < 30 => {
                    gone.insert(number);
                }
                _ => {}
            }
            if step % 1000 == 0 {
                table.check().unwrap();
            }
        }
        assert_eq!(table.len(), model.len());
        let (mut readers, mut taken) = (Vec::new(), 0);
        while table.take_any(&mut random, &mut readers).is_some() {
            taken += 1;
        }
        assert_eq!((taken, table.items()), (model.len(), 0));
    }

    /// A key that very many connections read one after the other keeps room for those that are there only.
    #[test]
    fn readers_that_are_gone_do_not_pile_up() {
        let mut table = Table::new(HASHER);
        let hash = HASHER.hash(b"k");
        for number in 0..100_000 {
            table.remember(hash, b"k", reader(number), |other| other.id + 3 > number);
        }
        assert!(table.items() <= 8, "{}", table.items());
        table.check().unwrap();
    }
}
