//! One database: its keys and who watches them.

use std::collections::HashMap;

use super::field_expire::FieldIndex;
use crate::base::id::SessionId;
use crate::keyspace::waiters::Queue;
use crate::structure::keyed::Keyed;
use crate::structure::record::Record;
use crate::structure::sizes::Sizes;
use crate::structure::table::Hasher;
use crate::value::Object;

/// Keys from which on the table does not fit the caches.
const BEYOND_CACHE: usize = 100_000;

/// One numbered database.
#[derive(Debug)]
pub struct Db {
    pub(crate) keys: Keyed<Object>,
    pub(crate) watchers: HashMap<Box<[u8]>, Vec<SessionId>>,
    /// Who waits for which key.
    pub(crate) waiters: HashMap<Box<[u8]>, Queue>,
    /// Mean time to live of the keys that active expiry sampled, milliseconds.
    pub(crate) avg_ttl_ms: i64,
    /// Hashes with fields that expire.
    pub(super) fields: FieldIndex,
}

/// A database as it is told: its keys, in whatever tables.
#[derive(Clone, Copy, Debug)]
pub struct Database<'k> {
    tables: &'k [Db],
}

impl<'k> Database<'k> {
    pub(super) fn new(tables: &'k [Db]) -> Database<'k> {
        Database { tables }
    }

    /// Its tables that have keys, each with its number: where keys are kept by slot, the slot.
    pub fn by_table(&self) -> impl Iterator<Item = (usize, Database<'k>)> + use<'k> {
        let tables = self.tables.chunks(1).map(Database::new).enumerate();
        tables.filter(|(_, table)| !table.is_empty())
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Db::len).sum()
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Db::is_empty)
    }

    /// Number of keys with an expiry.
    pub fn expiring(&self) -> usize {
        self.tables.iter().map(Db::expiring).sum()
    }

    /// Bytes of the hash tables themselves, without the records.
    pub fn table_bytes(&self) -> usize {
        self.tables.iter().map(|db| db.keys.mem_bytes()).sum()
    }

    /// Hash buckets of all tables.
    pub fn buckets(&self) -> usize {
        self.tables.iter().map(|db| db.keys.buckets()).sum()
    }

    /// How many keys are of which type and size.
    pub fn sizes(&self) -> Sizes {
        let Some((first, others)) = self.tables.split_first() else {
            return Sizes::NONE;
        };
        let mut sizes = first.keys.sizes();
        for db in others {
            db.keys.count_opened(&mut sizes);
        }
        sizes
    }

    /// Mean time to live, milliseconds, as INFO keyspace shows it.
    pub fn avg_ttl_ms(&self) -> i64 {
        let weighed = |db: &Db| i128::from(db.avg_ttl_ms) * db.expiring() as i128;
        match self.tables {
            [one] => one.avg_ttl_ms,
            all => {
                let count = self.expiring().max(1) as i128;
                (all.iter().map(weighed).sum::<i128>() / count) as i64
            }
        }
    }

    /// All records, in no order. Nothing may change meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = &'k Record<Object>> + use<'k> {
        self.tables.iter().flat_map(|db| db.keys.iter())
    }
}

impl Db {
    /// How often a door to its values was passed (see [`Keyed::passed`]).
    pub fn doors_passed(&self) -> Option<u64> {
        self.keys.passed()
    }

    pub(crate) fn new(hasher: Hasher) -> Db {
        Db {
            keys: Keyed::new(hasher),
            watchers: HashMap::new(),
            waiters: HashMap::new(),
            avg_ttl_ms: 0,
            fields: FieldIndex::default(),
        }
    }

    /// Its keys are counted by size with those of other tables.
    pub(super) fn counted_with(hasher: Hasher, sizes: Sizes) -> Db {
        Db {
            keys: Keyed::counted_with(hasher, sizes),
            ..Db::new(hasher)
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether fetching ahead pays: with fewer keys the buckets are in the cache anyway.
    #[inline]
    pub fn is_beyond_cache(&self) -> bool {
        self.keys.len() >= BEYOND_CACHE
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    /// Number of keys with an expiry.
    pub fn expiring(&self) -> usize {
        self.keys.expiring_len()
    }

    /// All records, in no order. Nothing may change meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = &Record<Object>> {
        self.keys.iter()
    }

    /// One step of SCAN: calls back for every record of the cursor's chain and answers the next cursor.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&Record<Object>)) -> u64 {
        self.keys.scan(cursor, visit)
    }
}
