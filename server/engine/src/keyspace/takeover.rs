//! A data set that is made beside the one in use, and takes its place when it is whole.

use super::field_expire::FieldIndex;
use super::slots::slot_tables;
use super::{Db, Expired, Garbage, Keyspace, weigh};
use crate::base::effect::Effects;
use crate::structure::keyed;
use crate::value::Object;

/// What a unit that is under way has done and looks at.
#[derive(Debug)]
pub struct Unit {
    fx: Effects,
    db: usize,
    now_ms: i64,
    expired: Expired,
    no_touch: bool,
}

impl Keyspace {
    /// Takes the unit that is under way out, so that others can run in between.
    pub fn set_unit_aside(&mut self) -> Unit {
        let feed_on = self.fx.feed_on;
        let between = Effects {
            feed_on,
            ..Effects::default()
        };
        Unit {
            fx: std::mem::replace(&mut self.fx, between),
            db: self.current,
            now_ms: self.now_ms,
            expired: self.expired,
            no_touch: self.no_touch,
        }
    }

    /// Goes on with it.
    pub fn take_unit_up(&mut self, unit: Unit) {
        let feed_on = self.fx.feed_on;
        self.fx = unit.fx;
        self.fx.feed_on = feed_on;
        self.current = unit.db;
        self.now_ms = unit.now_ms;
        self.expired = unit.expired;
        self.no_touch = unit.no_touch;
        self.forget_hint();
    }

    /// An empty keyspace to make data in for this one: as many databases, and the same limits, seeds and clock.
    pub fn beside(&self) -> Keyspace {
        let mut other = Keyspace::new(1, [0; 4]);
        if self.has_slots() {
            other = Keyspace::with_slots([0; 4]);
            other.dbs = slot_tables(self.hasher);
        } else {
            other.dbs = self.dbs.iter().map(|_| Db::new(self.hasher)).collect();
        }
        other.hasher = self.hasher;
        other.limits = self.limits.clone();
        other.now_ms = self.now_ms;
        other
    }

    /// Empties one database; answers how many keys it had.
    pub fn flush(&mut self, database: usize) -> usize {
        match self.has_slots() {
            true => self.flush_all(),
            false => {
                self.note_all_stale();
                self.flush_table(database)
            }
        }
    }

    /// Empties one table; answers how many keys it had.
    fn flush_table(&mut self, table: usize) -> usize {
        self.flush_keys(table, |keys| keys.clear())
    }

    fn flush_keys(
        &mut self,
        db: usize,
        clear: fn(&mut keyed::Keyed<Object>) -> keyed::Garbage<Object>,
    ) -> usize {
        let watched = self.keys_of_interest(db);
        for key in watched {
            let hash = self.hasher.hash(&key);
            if self.dbs[db].keys.find(hash, &key).is_some() {
                self.touch_watchers(db, &key);
            }
        }
        let removed = self.dbs[db].keys.len();
        let fields = std::mem::take(&mut self.dbs[db].fields);
        debug_assert!(fields.len() <= removed, "hashes are keys");
        self.ttl_hashes -= fields.len();
        if removed > 0 {
            let keys = clear(&mut self.dbs[db].keys);
            self.note_emptied(db, removed);
            self.put_keys_aside(keys, fields);
        }
        debug_assert!(self.dbs[db].is_empty() && self.dbs[db].expiring() == 0);
        removed
    }

    /// All keys of a database are to be freed elsewhere.
    pub(super) fn put_keys_aside(&mut self, keys: keyed::Garbage<Object>, fields: FieldIndex) {
        let bytes = self.worth(|| weigh::keys_estimate(&keys));
        self.garbage
            .push(Garbage::of_keys(keys, fields, bytes, &self.ledger));
    }

    /// Exchanges two databases; watched keys that exist in either are touched. A key whose time has come does not exist.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.touch_swapped(a, b);
        self.touch_swapped(b, a);
        let keys = [a, b].map(|db| self.dbs[db].len());
        self.dbs.swap(a, b);
        // Those who watch and wait belong to the number, not to the data.
        let watchers = std::mem::take(&mut self.dbs[a].watchers);
        self.dbs[a].watchers = std::mem::replace(&mut self.dbs[b].watchers, watchers);
        let waiters = std::mem::take(&mut self.dbs[a].waiters);
        self.dbs[a].waiters = std::mem::replace(&mut self.dbs[b].waiters, waiters);
        debug_assert_eq!([b, a].map(|db| self.dbs[db].len()), keys, "all keys moved");
    }

    /// Keys that somebody watches or waits for.
    pub(super) fn keys_of_interest(&self, db: usize) -> Vec<Box<[u8]>> {
        let db = &self.dbs[db];
        db.watchers
            .keys()
            .chain(db.waiters.keys())
            .cloned()
            .collect()
    }

    fn touch_swapped(&mut self, watched: usize, other: usize) {
        let selected = self.current;
        // Who waits for a key looks again; what turns out to have expired goes then, which is no part of this change.
        let awaited: Vec<Box<[u8]>> = self.dbs[watched].waiters.keys().cloned().collect();
        for key in awaited {
            let hash = self.hasher.hash(&key);
            if [watched, other]
                .iter()
                .any(|db| self.dbs[*db].keys.find(hash, &key).is_some())
            {
                self.wake(watched, &key);
            }
        }
        let names: Vec<Box<[u8]>> = self.dbs[watched].watchers.keys().cloned().collect();
        for key in names {
            let exists = [watched, other].map(|db| {
                self.select(db);
                self.find(&key).is_some()
            });
            if exists.contains(&true) {
                self.touch_watchers(watched, &key);
            }
        }
        self.select(selected);
    }

    /// Empties all databases; answers how many keys they had.
    pub fn flush_all(&mut self) -> usize {
        self.note_all_stale();
        let tables = 0..self.dbs.len();
        let removed = match self.has_slots() {
            false => tables.map(|table| self.flush_table(table)).sum(),
            true => {
                let removed =
                    tables.map(|table| self.flush_keys(table, |keys| keys.clear_uncounted()));
                let removed = removed.sum();
                self.dbs[0].keys.forget_sizes();
                removed
            }
        };
        debug_assert_eq!(self.total_keys(), 0, "all of them");
        removed
    }

    /// Empties all databases and forgets all libraries: another data set is going to be loaded. Answers how many keys there were.
    pub fn begin_anew(&mut self) -> usize {
        self.libraries.flush();
        self.flush_all()
    }

    /// All data goes, and that of a keyspace that was made [`Keyspace::beside`] this one takes its place. Who watches a key or
    /// waits for one belongs to its number and stays: they learn of keys that were there, and of those that are now.
    pub fn take_over(&mut self, mut other: Keyspace) {
        assert_eq!(self.dbs.len(), other.dbs.len(), "one for each number");
        debug_assert!(other.garbage.is_empty(), "nothing was removed from it");
        self.flush_all();
        debug_assert_eq!(self.ttl_hashes, 0, "hashes are gone");
        self.ttl_hashes = other.ttl_hashes;
        self.slots = other.slots.take();
        self.libraries = std::mem::take(&mut other.libraries);
        for (db, fresh) in other.dbs.drain(..).enumerate() {
            let place = &mut self.dbs[db];
            place.keys = fresh.keys;
            place.fields = fresh.fields;
            place.avg_ttl_ms = fresh.avg_ttl_ms;
            for key in self.keys_of_interest(db) {
                let hash = self.hasher.hash(&key);
                if self.dbs[db].keys.find(hash, &key).is_some() {
                    self.touch_watchers(db, &key);
                }
            }
        }
        self.forget_hint();
    }

    /// A keyspace that was made [`Keyspace::beside`] this one is not needed: its values are freed elsewhere.
    pub fn forget(&mut self, mut other: Keyspace) {
        for db in &mut other.dbs {
            let fields = std::mem::take(&mut db.fields);
            if !db.is_empty() {
                self.put_keys_aside(db.keys.clear_uncounted(), fields);
            }
        }
    }
}
