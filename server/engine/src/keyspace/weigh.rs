//! What keys weigh: estimates for MEMORY USAGE, INFO and eviction.

use super::Keyspace;
use crate::value::Object;

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

/// Elements looked at for an estimate.
const SAMPLES: usize = 16;

impl Object {
    /// About how many bytes freeing this value will bring: elements of tables are estimated from a few.
    pub fn mem_estimate(&self) -> usize {
        match self {
            Object::Str(bytes) => bytes.len(),
            Object::Packed(blob) => blob.capacity(),
            Object::List(list) => list.mem_bytes(),
            Object::Set(table) => {
                table.mem_bytes() + scaled(table.iter().map(|m| m.mem_bytes()), table.len())
            }
            Object::Hash(table) => {
                table.mem_bytes() + scaled(table.iter().map(|f| f.mem_bytes()), table.len())
            }
            Object::Zset(ranked) => ranked.mem_bytes(),
            Object::Stream(stream) => stream.mem_bytes(),
        }
    }
}

fn scaled(sizes: impl Iterator<Item = usize>, count: usize) -> usize {
    let seen = SAMPLES.min(count).max(1);
    sizes.take(seen).sum::<usize>() * count / seen
}
