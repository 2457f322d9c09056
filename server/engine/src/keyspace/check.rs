//! Whether the databases are sound: for tests, fuzzers and the simulator. Nothing here is called while a server serves.

use std::collections::HashSet;

use super::{Db, Keyspace};
use crate::structure::record::Record;
use crate::value::{Kind, Object, ValueRef, hash_ttl};

impl Db {
    /// Tests the invariants of the keys (see [`crate::structure::keyed::Keyed::check`]), that the index of field expiry names
    /// exactly the hashes that have one, that no collection is empty, and that nobody watches or waits for a key twice.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.keys.check()?;
        self.fields.check(self.iter().filter_map(next_field))?;
        if let Some(record) = self.iter().find(|record| is_empty_collection(record)) {
            return Err(format!("{} has no elements", record.key().escape_ascii()));
        }
        for (key, sessions) in &self.watchers {
            let different: HashSet<_> = sessions.iter().collect();
            if sessions.is_empty() || different.len() != sessions.len() {
                return Err(format!("{} is watched by {sessions:?}", key.escape_ascii()));
            }
        }
        self.waiters.iter().try_for_each(|(key, queue)| {
            queue
                .check()
                .map_err(|what| format!("who waits for {}: {what}", key.escape_ascii()))
        })
    }
}

fn next_field(record: &Record<Object>) -> Option<(i64, &[u8])> {
    let value = ValueRef::of(record.tag(), record.payload());
    Some((hash_ttl::next_expire(value)?, record.key()))
}

/// A string and a stream may have nothing in them.
fn is_empty_collection(record: &Record<Object>) -> bool {
    let value = ValueRef::of(record.tag(), record.payload());
    !matches!(value.kind(), Kind::String | Kind::Stream) && value.is_empty()
}

impl Keyspace {
    /// Whether the selected database has no such key, not even an expired one; for assertions.
    pub(crate) fn is_free(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash(key);
        self.here().keys.find(hash, key).is_none()
    }

    /// Tests between two units every database, and what they share: the count of hashes whose fields expire, the ledger of what is
    /// to be freed, and that whoever counts on being looked at again is on the list for it.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        for (number, db) in self.dbs.iter().enumerate() {
            db.check()
                .map_err(|what| format!("table {number}: {what}"))?;
            let awaited = db.waiters.iter().filter(|(_, queue)| queue.is_noted());
            for (key, _) in awaited {
                if !self.fx.ready.iter().any(|(n, k)| (*n, k) == (number, key)) {
                    let key = key.escape_ascii();
                    return Err(format!(
                        "table {number}: {key} has changed, and is not served"
                    ));
                }
            }
        }
        self.check_slots()?;
        if let Some(tracking) = &self.tracking {
            tracking.check()?;
        }
        let expiring: usize = self.dbs.iter().map(|db| db.fields.len()).sum();
        if self.current >= self.dbs.len() || expiring != self.ttl_hashes {
            return Err(format!(
                "table {} is selected; fields of {expiring} hashes expire, {} are counted",
                self.current, self.ttl_hashes
            ));
        }
        self.ledger.check(&self.garbage)
    }
}
