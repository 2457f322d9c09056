//! What keys weigh: estimates for MEMORY USAGE, INFO and eviction.

use super::Keyspace;

impl Keyspace {
    /// Keys of all databases.
    pub fn total_keys(&self) -> usize {
        self.dbs.iter().map(super::Db::len).sum()
    }

    /// Keys with an expiry of all databases.
    pub fn total_expiring(&self) -> usize {
        self.dbs.iter().map(super::Db::expiring).sum()
    }

    /// Bytes of the hash tables themselves, without the records.
    pub fn table_bytes(&self) -> usize {
        self.dbs.iter().map(|db| db.keys.mem_bytes()).sum()
    }
}
