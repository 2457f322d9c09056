//! The keys of one database: records in a table, and which of them expire.
//!
//! A record with an expiry carries the mark in its handle, and the table counts and finds marked entries by itself (see
//! [`super::table`]). So there is one pointer to each record and no second index to keep in step. Every change that can
//! move a record goes through `Keyed::change`, which is [`Table::update`]: the slot's handle is the record's owner, and
//! it is changed in place. `change`, `open`, `enter`, `remove` and `clear` are all the doors there are; only the access clock is
//! written without one.
//!
//! At the same doors [`Sizes`] follows: what a record was is taken out of the counts, what it is now is put in. A value that is handed
//! out to be changed where it lies (`object_mut`) is out of the counts until the next door or question, as `opened`.

use super::mover::Mover;
use super::record::{Payload, PayloadRef, Record, Tag};
use super::sizes::{Measure, Place, Sizes, TEXT};
use super::table::{Ahead, Hasher, Iter, Slot, Table};
use crate::base::random::Random;

/// A record that was taken out of its database. Dropping it frees all; [`Record::into_heap`] hands out the object.
pub type Removed<O> = Record<O>;

/// All keys of a database that was emptied; dropping it frees them, which takes long if they are many.
#[derive(Debug)]
pub struct Garbage<O> {
    table: Table<Record<O>>,
}

impl<O> Garbage<O> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All records, in no order.
    pub fn iter(&self) -> Iter<'_, Record<O>> {
        self.table.iter()
    }

    /// Bytes of the table, without the records.
    pub fn mem_bytes(&self) -> usize {
        self.table.mem_bytes()
    }
}

/// The keys of one database.
#[derive(Debug)]
pub struct Keyed<O> {
    table: Table<Record<O>>,
    passed: Passed,
    /// All records but `opened`.
    sizes: Sizes,
    /// Handed out to be changed; nothing has moved it since.
    opened: Option<Slot>,
}

/// Where a record counts: what its header alone can tell, it tells.
#[inline]
fn place<O: Measure>(record: &Record<O>) -> Place {
    match record.len_of_bytes(TEXT) {
        Some(len) => Place::of_text(len),
        None => place_of_other(record),
    }
}

#[inline(never)]
fn place_of_other<O: Measure>(record: &Record<O>) -> Place {
    let tag = record.tag();
    match record.payload() {
        PayloadRef::Int(i) => Place::of_int(tag, i),
        other => Place::of(tag, O::size(tag, other)),
    }
}

/// Counts changes where assertions are on, and is nothing elsewhere.
#[derive(Clone, Copy, Debug)]
struct Passed {
    #[cfg(debug_assertions)]
    times: u64,
}

impl Passed {
    const NONE: Passed = Passed {
        #[cfg(debug_assertions)]
        times: 0,
    };

    #[inline]
    fn one(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.times += 1;
        }
    }

    fn count(self) -> Option<u64> {
        #[cfg(debug_assertions)]
        return Some(self.times);
        #[cfg(not(debug_assertions))]
        None
    }
}

impl<O: Measure> Keyed<O> {
    /// No keys yet; allocates nothing.
    pub const fn new(hasher: Hasher) -> Keyed<O> {
        Keyed {
            table: Table::new(hasher),
            passed: Passed::NONE,
            sizes: Sizes::NONE,
            opened: None,
        }
    }

    /// As [`Self::new`], counted with the keys of other tables.
    pub fn counted_with(hasher: Hasher, sizes: Sizes) -> Keyed<O> {
        Keyed {
            sizes,
            ..Keyed::new(hasher)
        }
    }

    /// Number of keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// No keys.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Number of keys with an expiry.
    #[inline]
    pub fn expiring_len(&self) -> usize {
        self.table.marked()
    }

    /// Number of hash buckets, for DEBUG HTSTATS and INFO.
    pub fn buckets(&self) -> usize {
        self.table.buckets()
    }

    /// The hash function of the keys.
    #[inline]
    pub fn hasher(&self) -> Hasher {
        self.table.hasher()
    }

    /// Bytes of the table, without the records.
    pub fn mem_bytes(&self) -> usize {
        self.table.mem_bytes()
    }

    /// The key whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.table.find(hash, key)
    }

    /// As [`Self::find`], and the record itself, which saves the way from the slot to it.
    #[inline(always)]
    pub fn lookup(&self, hash: u64, key: &[u8]) -> Option<(Slot, &Record<O>)> {
        self.table.lookup(hash, key)
    }

    /// The record in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> &Record<O> {
        self.table.get(slot)
    }

    /// For looking ahead.
    #[inline]
    pub fn ahead(&self) -> Ahead<'_> {
        self.table.ahead()
    }

    /// Adds a key that does not exist yet. Slots from before are out of date.
    #[inline]
    pub fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        tag: Tag,
        payload: Payload<'_, O>,
        expire: Option<i64>,
    ) -> Slot {
        self.enter(hash, Record::new(key, tag, payload, expire))
    }

    /// Adds a whole record (RENAME, MOVE) whose key does not exist yet.
    pub fn insert_record(&mut self, hash: u64, record: Record<O>) -> Slot {
        self.enter(hash, record)
    }

    /// The door for whatever may move a record. It must keep the record's key.
    #[inline]
    fn change<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Record<O>) -> R) -> R {
        self.about_to_change(slot);
        self.settle();
        let name = cfg!(debug_assertions).then(|| self.hash_of(slot));
        let sizes = &mut self.sizes;
        let answer = self.table.update(slot, |record| {
            let before = place(record);
            let answer = change(record);
            sizes.shift(before, place(record));
            answer
        });
        debug_assert_eq!(name, Some(self.hash_of(slot)), "the record has another key");
        answer
    }

    fn hash_of(&self, slot: Slot) -> u64 {
        self.hasher().hash(self.get(slot).key())
    }

    /// The door for what changes a record where it lies and leaves its key and expiry alone. The counts come with it.
    #[inline]
    fn open(&mut self, slot: Slot) -> (&mut Record<O>, &mut Sizes) {
        self.about_to_change(slot);
        (self.table.get_mut(slot), &mut self.sizes)
    }

    /// Stands before every change of a record that is there, its removal included: what keeps a picture of the data set while it
    /// changes hooks in here. Records that are new come through [`Self::enter`], and all leave at once through [`Self::clear`].
    #[inline]
    fn about_to_change(&mut self, _slot: Slot) {
        self.passed.one();
    }

    /// Counts what was handed out to be changed.
    #[inline]
    fn settle(&mut self) {
        if self.opened.is_some() {
            self.close();
        }
    }

    #[inline(never)]
    fn close(&mut self) {
        if let Some(slot) = self.opened.take() {
            self.sizes.add(place(self.table.get(slot)));
        }
    }

    /// How many keys are of which type and size, those of other tables that count in the same place among them.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = self.sizes.clone();
        self.count_opened(&mut sizes);
        sizes
    }

    /// Counts what was handed out to be changed, which the counts of its table leave out.
    pub fn count_opened(&self, sizes: &mut Sizes) {
        if let Some(slot) = self.opened {
            sizes.add(place(self.get(slot)));
        }
    }

    /// Counts all records.
    pub fn count_all(&self, sizes: &mut Sizes) {
        self.iter().for_each(|record| sizes.add(place(record)));
    }

    /// The door for records that are new.
    #[inline]
    fn enter(&mut self, hash: u64, record: Record<O>) -> Slot {
        self.passed.one();
        self.settle();
        self.sizes.add(place(&record));
        debug_assert_eq!(
            hash,
            self.table.hasher().hash(record.key()),
            "the key's own hash"
        );
        self.table.insert(hash, record)
    }

    /// How often a door was passed; none where assertions are off. A test sees with it that nothing goes round them.
    pub fn passed(&self) -> Option<u64> {
        self.passed.count()
    }

    /// Replaces tag and value, keeps expiry, access clock and flags. Answers the slot and the old object, if it was one.
    #[inline]
    pub fn set_payload(
        &mut self,
        slot: Slot,
        tag: Tag,
        payload: Payload<'_, O>,
    ) -> (Slot, Option<Box<O>>) {
        (
            slot,
            self.change(slot, |record| record.set_payload(tag, payload)),
        )
    }

    /// Replaces tag, value and expiry.
    #[inline]
    pub fn store(
        &mut self,
        slot: Slot,
        tag: Tag,
        payload: Payload<'_, O>,
        expire: Option<i64>,
    ) -> (Slot, Option<Box<O>>) {
        let old = self.change(slot, |record| {
            let old = record.set_payload(tag, payload);
            record.set_expire(expire);
            old
        });
        debug_assert_eq!(self.get(slot).expire(), expire);
        (slot, old)
    }

    /// The object behind the pointer, to change where it lies; none if the value is no object.
    #[inline]
    pub fn object_mut(&mut self, slot: Slot) -> Option<&mut O> {
        if self.opened != Some(slot) {
            if !self.table.get(slot).is_object() {
                return None;
            }
            self.open_another(slot);
        }
        self.open(slot).0.object_mut()
    }

    #[inline(never)]
    fn open_another(&mut self, slot: Slot) {
        self.settle();
        self.sizes.take(place(self.table.get(slot)));
        self.opened = Some(slot);
    }

    /// Overwrites an integer where it lies; false, and nothing done, if the value is none or needs more bytes.
    #[inline]
    pub fn set_int(&mut self, slot: Slot, i: i64) -> bool {
        self.settle();
        let (record, sizes) = self.open(slot);
        let Some(old) = record.set_int(i) else {
            return false;
        };
        let tag = record.tag();
        sizes.shift(Place::of_int(tag, old), Place::of_int(tag, i));
        true
    }

    /// Names another type or encoding for the same value.
    #[inline]
    pub fn set_tag(&mut self, slot: Slot, tag: Tag) {
        self.settle();
        let (record, sizes) = self.open(slot);
        let before = place(record);
        record.set_tag(tag);
        sizes.shift(before, place(record));
    }

    /// Gives the key an expiry (milliseconds since 1970) or takes it away.
    #[inline]
    pub fn set_expire(&mut self, slot: Slot, expire: Option<i64>) -> Slot {
        self.change(slot, |record| record.set_expire(expire));
        debug_assert_eq!(self.get(slot).expire(), expire);
        slot
    }

    /// Takes a key out. Slots from before are out of date.
    #[inline]
    pub fn remove(&mut self, slot: Slot) -> Removed<O> {
        self.about_to_change(slot);
        self.settle();
        let record = self.table.remove(slot);
        self.sizes.take(place(&record));
        record
    }

    /// One step of SCAN: see [`Table::scan`].
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&Record<O>)) -> u64 {
        self.table.scan(cursor, visit)
    }

    /// A random key, each with the same chance.
    pub fn random(&self, random: &mut Random) -> Option<Slot> {
        self.table.random(random)
    }

    /// A random key among those with an expiry, each with the same chance.
    pub fn random_expiring(&self, random: &mut Random) -> Option<Slot> {
        self.table.random_marked(random)
    }

    /// Calls back for `n` random keys (all, if there are no more); one may come twice.
    pub fn sample(&self, n: usize, random: &mut Random, visit: &mut dyn FnMut(&Record<O>)) {
        self.table.sample(n, random, visit);
    }

    /// Calls back for `n` random keys with an expiry (all, if there are no more); one may come twice.
    pub fn sample_expiring(
        &self,
        n: usize,
        random: &mut Random,
        visit: &mut dyn FnMut(&Record<O>),
    ) {
        self.table.sample_marked(n, random, visit);
    }

    /// All records, in no order.
    pub fn iter(&self) -> Iter<'_, Record<O>> {
        self.table.iter()
    }

    /// Before one of `expected` records comes: see [`Table::make_room`].
    pub fn make_room(&mut self, expected: usize) {
        // It moves records.
        self.settle();
        self.table.make_room(expected);
    }

    /// Up to `steps` splits or merges that are due; answers whether more are.
    pub fn rehash_step(&mut self, steps: usize) -> bool {
        // It moves records.
        self.settle();
        self.table.rehash_step(steps)
    }

    /// Growing and shrinking are put off while false (a child shares the memory).
    pub fn set_resize_allowed(&mut self, allowed: bool) {
        self.table.set_resize_allowed(allowed);
    }

    /// One step of a walk that moves blocks: see [`Table::move_step`]. It goes past the doors, as nothing of what a record says changes.
    pub fn move_step(
        &mut self,
        cursor: u64,
        mover: &mut Mover,
        renew: &mut dyn FnMut(&mut Record<O>, &mut Mover),
    ) -> u64 {
        self.table.move_step(cursor, mover, renew)
    }

    /// The object behind the pointer, to move blocks that it owns, which changes nothing that it says; so this is no door either.
    pub fn object_to_move(&mut self, slot: Slot) -> Option<&mut O> {
        self.table.get_mut(slot).object_mut()
    }

    /// Empties the database; the keys are handed out to be dropped elsewhere. Where other tables count in the same place, each
    /// record is looked at.
    pub fn clear(&mut self) -> Garbage<O> {
        self.settle();
        if self.sizes.is_shared() {
            for record in self.table.iter() {
                self.sizes.take(place(record));
            }
        } else {
            self.sizes.forget();
        }
        self.clear_uncounted()
    }

    /// Nothing is counted any more, in no table that counts in the same place.
    pub fn forget_sizes(&mut self) {
        self.sizes.forget();
    }

    /// As [`Self::clear`] where all tables that count in the same place are emptied: whoever does so forgets the counts.
    pub fn clear_uncounted(&mut self) -> Garbage<O> {
        self.passed.one();
        self.opened = None;
        let hasher = self.table.hasher();
        Garbage {
            table: std::mem::replace(&mut self.table, Table::new(hasher)),
        }
    }

    /// Tests the invariants of the table, that mark and expiry of each record agree, and that sizes are counted as they are.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.table.check()?;
        let expiring = self.iter().filter(|r| r.expire().is_some()).count();
        if expiring != self.expiring_len() {
            return Err(format!(
                "{expiring} keys expire, {} are marked",
                self.expiring_len()
            ));
        }
        let mut counted = Sizes::NONE;
        self.count_all(&mut counted);
        match self.sizes.is_shared() || counted.is_same(&self.sizes()) {
            true => Ok(()),
            false => Err("sizes are not counted as they are".to_owned()),
        }
    }
}
