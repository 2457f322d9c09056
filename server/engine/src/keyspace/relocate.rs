//! Keys that change their name or database: the record moves, with its value and expiry.

use super::Keyspace;
use crate::structure::record::Record;
use crate::value::Object;

/// Keys drawn for one that has not expired, before all are looked through.
const DRAWS: usize = 100;

impl Keyspace {
    /// Gives the value of `from` the name `to`, which must be free. Without `from` nothing happens.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) {
        debug_assert!(from == to || self.is_free(to), "the new name is free");
        if let Some(mut record) = self.detach(from) {
            record.set_key(to);
            self.attach(record);
        }
    }

    /// Moves a key of the selected database to another one; false if the name is taken there.
    pub fn move_to(&mut self, key: &[u8], db: usize) -> bool {
        let from = std::mem::replace(&mut self.current, db);
        let free = self.find(key).is_none();
        self.current = from;
        let Some(record) = free.then(|| self.detach(key)).flatten() else {
            return false;
        };
        self.current = db;
        debug_assert!(self.is_free(key), "the name is free there");
        self.attach(record);
        self.current = from;
        true
    }

    fn detach(&mut self, key: &[u8]) -> Option<Record<Object>> {
        let slot = self.find(key)?;
        self.forget_fields(slot);
        let record = self.keys().remove(slot);
        self.note_went();
        Some(record)
    }

    fn attach(&mut self, record: Record<Object>) {
        let hash = self.hasher.hash(record.key());
        // As with a new key; Redis does the same when it adds the value under its new name.
        record.set_access(self.fresh_access());
        let expires = record.expire().is_some();
        let slot = self.keys().insert_record(hash, record);
        self.note_came(expires);
        self.adopt_fields(slot);
    }

    /// Any key of the selected database that is not expired; each is as likely as any other.
    pub fn random_key(&mut self) -> Option<Box<[u8]>> {
        // What expired goes as it is drawn; where it stays, all that is left may have expired.
        for _ in 0..DRAWS {
            self.current = self.random_table()?;
            let db = &self.dbs[self.current];
            let slot = db.keys.random(&mut self.random)?;
            let key: Box<[u8]> = db.keys.get(slot).key().into();
            if self.find(&key).is_some() {
                return Some(key);
            }
        }
        let now = self.now_ms;
        let mut records = self.whole().iter();
        let alive = records.find(|record| record.expire().is_none_or(|at| at >= now));
        alive.map(|record| record.key().into())
    }
}
