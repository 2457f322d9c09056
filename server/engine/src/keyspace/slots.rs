//! The keys of a cluster's node: one table per slot, so that what concerns a slot never looks at the keys of others.
//!
//! ```text
//!   dbs      one table for each of the 16,384 slots; the number of a table is its slot, and all of them are database 0
//!   tree     how many keys are in which: a Fenwick tree, so that a table is found by the ordinal of a key in 14 steps
//!   timed    a bit for each table that may have something that expires; a table without is found out by who looks there
//!   hidden   tables whose keys are on their way here or away: neither counted nor expired, as if they were not there
//! ```
//! A command works in the table of its keys, which all have the same slot ([`Keyspace::select_key`]); a node without slots has one
//! table per database, and nothing of this.

use cairn_format::cluster::SlotSet;
use cairn_format::crc16::{SLOTS, key_slot};

use super::Keyspace;
use super::db::{Database, Db};
use crate::base::effect::EventClass;
use crate::structure::record::Record;
use crate::structure::sizes::Sizes;
use crate::structure::table::Hasher;
use crate::value::Object;

const TABLES: usize = SLOTS as usize;
/// Bits of a cursor that are the slot.
const SLOT_BITS: u32 = TABLES.trailing_zeros();

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Slots {
    /// Node `i` holds the keys of the tables from `i - (i & -i)` up to `i - 1`.
    tree: Box<[u64]>,
    total: usize,
    timed: Box<[u64]>,
    /// None: no table is.
    hidden: Option<Box<SlotSet>>,
}

impl Slots {
    fn new() -> Slots {
        Slots {
            tree: vec![0; TABLES + 1].into(),
            total: 0,
            timed: vec![0; TABLES / 64].into(),
            hidden: None,
        }
    }

    /// Keys that are not hidden.
    #[inline]
    pub(super) fn total(&self) -> usize {
        self.total
    }

    #[inline]
    fn is_hidden(&self, table: usize) -> bool {
        let hidden = self.hidden.as_deref();
        hidden.is_some_and(|hidden| hidden.contains(table as u16))
    }

    /// Something in a table expires.
    fn set_timed(&mut self, table: usize) {
        if !self.is_hidden(table) {
            self.timed[table / 64] |= 1 << (table % 64);
        }
    }

    fn count(&mut self, table: usize, change: i64) {
        if !self.is_hidden(table) {
            self.add(table, change);
        }
    }

    fn add(&mut self, table: usize, change: i64) {
        self.total = self.total.wrapping_add_signed(change as isize);
        let mut node = table + 1;
        while node <= TABLES {
            self.tree[node] = self.tree[node].wrapping_add_signed(change);
            node += node & node.wrapping_neg();
        }
    }

    /// Keys of the tables before this one.
    fn before(&self, table: usize) -> u64 {
        let (mut node, mut sum) = (table, 0);
        while node > 0 {
            sum += self.tree[node];
            node &= node - 1;
        }
        sum
    }

    /// The table that the key of this ordinal is in.
    fn table_of(&self, mut ordinal: u64) -> usize {
        let mut node = 0;
        let mut step = TABLES;
        while step > 0 {
            let next = node + step;
            if next <= TABLES && self.tree[next] <= ordinal {
                node = next;
                ordinal -= self.tree[next];
            }
            step /= 2;
        }
        node
    }

    /// The first table with keys from this one on.
    fn next_with_keys(&self, from: usize) -> Option<usize> {
        let before = self.before(from.min(TABLES));
        (before < self.total as u64).then(|| self.table_of(before))
    }

    /// The first table from this one on that may have something that expires; around the end.
    fn next_timed(&self, from: usize) -> Option<usize> {
        let words = self.timed.len();
        let (first, shift) = (from / 64 % words, from % 64);
        let head = self.timed[first] >> shift << shift;
        let found = |word: usize, bits: u64| word * 64 + bits.trailing_zeros() as usize;
        if head != 0 {
            return Some(found(first, head));
        }
        let around = (first + 1..words).chain(0..=first);
        around
            .map(|word| (word, self.timed[word]))
            .find(|(_, bits)| *bits != 0)
            .map(|(word, bits)| found(word, bits))
    }
}

impl Keyspace {
    /// An empty keyspace of a cluster's node: one database, with a table per slot.
    pub fn with_slots(seed: [u64; 4]) -> Keyspace {
        let mut ks = Keyspace::new(1, seed);
        ks.dbs = slot_tables(ks.hasher);
        ks.slots = Some(Box::new(Slots::new()));
        ks
    }

    /// Whether keys are kept by slot.
    pub fn has_slots(&self) -> bool {
        self.slots.is_some()
    }

    /// Tables of keys: one per database, or one per slot.
    pub fn tables(&self) -> usize {
        self.dbs.len()
    }

    /// The table of this number.
    pub fn table(&self, table: usize) -> &Db {
        &self.dbs[table]
    }

    /// The number of the database that a table belongs to.
    #[inline]
    pub fn database_of(&self, table: usize) -> usize {
        match self.slots {
            None => table,
            Some(_) => 0,
        }
    }

    /// A database as it is told: its keys, in whatever tables.
    pub fn database(&self, number: usize) -> Database<'_> {
        match self.slots {
            None => Database::new(&self.dbs[number..=number]),
            Some(_) => Database::new(&self.dbs),
        }
    }

    /// The selected database, whole.
    pub fn whole(&self) -> Database<'_> {
        self.database(self.database_of(self.current))
    }

    /// Selects the table of a key of the database at hand: with slots it is that of its slot.
    #[inline]
    pub fn select_key(&mut self, key: &[u8]) {
        if self.slots.is_some() {
            self.current = usize::from(self.slot_of(key));
        }
    }

    /// A key came into the selected table.
    #[inline]
    pub(super) fn note_came(&mut self, expires: bool) {
        if let Some(slots) = &mut self.slots {
            slots.count(self.current, 1);
            if expires {
                slots.set_timed(self.current);
            }
        }
    }

    /// A key left it.
    #[inline]
    pub(super) fn note_went(&mut self) {
        if let Some(slots) = &mut self.slots {
            slots.count(self.current, -1);
        }
    }

    /// Something in it expires.
    #[inline]
    pub(super) fn note_timed(&mut self) {
        if let Some(slots) = &mut self.slots {
            slots.set_timed(self.current);
        }
    }

    /// All keys left a table.
    pub(super) fn note_emptied(&mut self, table: usize, keys: usize) {
        if let Some(slots) = &mut self.slots {
            slots.count(table, -(keys as i64));
        }
    }

    /// Hides the keys of a slot, or shows them: hidden ones are no part of the database as it is told, and do not expire by themselves.
    pub fn hide_slot(&mut self, slot: u16, hides: bool) {
        let table = usize::from(slot);
        let Some(slots) = &mut self.slots else { return };
        if slots.is_hidden(table) == hides {
            return;
        }
        let db = &self.dbs[table];
        let (keys, is_timed) = (db.len() as i64, db.expiring() > 0 || !db.fields.is_empty());
        if hides {
            slots.add(table, -keys);
            slots.timed[table / 64] &= !(1 << (table % 64));
            slots.hidden.get_or_insert_default().insert(slot);
            return;
        }
        if let Some(hidden) = &mut slots.hidden {
            hidden.remove(slot);
        }
        slots.hidden.take_if(|hidden| hidden.is_empty());
        slots.add(table, keys);
        if is_timed {
            slots.set_timed(table);
        }
    }

    /// Keys of a slot go, `max` at most. Answers how many there were.
    pub fn drop_from_slot(&mut self, slot: u16, max: usize) -> usize {
        let selected = self.selected();
        self.select(usize::from(slot));
        let records = self.here().iter().take(max);
        let keys: Vec<Box<[u8]>> = records.map(|record| record.key().into()).collect();
        for key in &keys {
            if self.delete(key) {
                self.propagate(&[b"DEL", key]);
                self.modified(EventClass::GENERIC, "del", key, 1);
            }
        }
        self.select(selected);
        keys.len()
    }

    /// The slots whose keys are hidden, if there are any.
    pub fn hidden_slots(&self) -> Option<&SlotSet> {
        self.slots.as_ref()?.hidden.as_deref()
    }

    /// The next table to look for expired keys in, from this one on; none if there is none.
    pub(crate) fn next_timed(&mut self, from: usize) -> Option<usize> {
        let Some(slots) = &mut self.slots else {
            return Some(from % self.dbs.len());
        };
        // Bits of tables that have nothing that expires any more go as they are met.
        loop {
            let table = slots.next_timed(from)?;
            let db = &self.dbs[table];
            if db.expiring() > 0 || !db.fields.is_empty() {
                return Some(table);
            }
            slots.timed[table / 64] &= !(1 << (table % 64));
        }
    }

    /// Tables that may have something that expires.
    pub(crate) fn timed_tables(&self) -> usize {
        match &self.slots {
            None => self.dbs.len(),
            Some(slots) => slots.timed.iter().map(|w| w.count_ones() as usize).sum(),
        }
    }

    /// A table with keys, each key as likely as any other of the selected database; none if there is no key.
    pub(super) fn random_table(&mut self) -> Option<usize> {
        let Some(slots) = &self.slots else {
            return Some(self.current).filter(|table| !self.dbs[*table].is_empty());
        };
        let total = slots.total;
        (total > 0).then(|| slots.table_of(self.random.index(total) as u64))
    }

    /// Keys of the selected database.
    pub fn keys_here(&self) -> usize {
        match &self.slots {
            None => self.here().len(),
            Some(slots) => slots.total,
        }
    }

    /// One step of SCAN over the selected database: calls back for some records and answers the next cursor. With slots the low bits
    /// of a cursor are the slot, the others that of its table.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&Record<Object>)) -> u64 {
        let Some(slots) = &self.slots else {
            return self.here().scan(cursor, visit);
        };
        let (table, inner) = (cursor as usize % TABLES, cursor >> SLOT_BITS);
        let next = match slots.is_hidden(table) {
            true => 0,
            false => self.dbs[table].scan(inner, visit),
        };
        if next != 0 {
            debug_assert!(
                next << SLOT_BITS >> SLOT_BITS == next,
                "a slot has fewer keys"
            );
            return next << SLOT_BITS | table as u64;
        }
        slots
            .next_with_keys(table + 1)
            .map_or(0, |table| table as u64)
    }

    /// Tests that the tree and the bits agree with the tables, and that each key is in the table of its slot.
    pub(super) fn check_slots(&self) -> Result<(), String> {
        let Some(slots) = &self.slots else {
            return Ok(());
        };
        let mut sizes = [Sizes::NONE, self.database(0).sizes()];
        for (table, db) in self.dbs.iter().enumerate() {
            let counted = slots.before(table + 1) - slots.before(table);
            let is_hidden = slots.is_hidden(table);
            if counted != if is_hidden { 0 } else { db.len() as u64 } {
                return Err(format!("slot {table} has {} keys, not {counted}", db.len()));
            }
            let is_timed = slots.timed[table / 64] >> (table % 64) & 1 == 1;
            if !(is_timed || is_hidden) && (db.expiring() > 0 || !db.fields.is_empty()) {
                return Err(format!(
                    "something in slot {table} expires, and nobody looks"
                ));
            }
            let elsewhere = |r: &&Record<Object>| usize::from(key_slot(r.key())) != table;
            if let Some(record) = db.iter().find(elsewhere) {
                return Err(format!(
                    "{} is in slot {table}",
                    record.key().escape_ascii()
                ));
            }
            db.keys.count_all(&mut sizes[0]);
        }
        if slots.before(TABLES) != slots.total as u64 {
            return Err(format!(
                "{} keys in all slots, not {}",
                slots.before(TABLES),
                slots.total
            ));
        }
        match sizes[0].is_same(&sizes[1]) {
            true => Ok(()),
            false => Err("sizes are not counted as they are".to_owned()),
        }
    }
}

/// Empty tables for all slots, whose sizes are counted together.
pub(super) fn slot_tables(hasher: Hasher) -> Vec<Db> {
    let sizes = Sizes::to_share();
    (0..TABLES)
        .map(|_| Db::counted_with(hasher, sizes.share()))
        .collect()
}
