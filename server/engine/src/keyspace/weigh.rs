//! What keys weigh: estimates for MEMORY USAGE, INFO and eviction.

use super::Keyspace;
use crate::structure::keyed;
use crate::structure::record::{PayloadRef, Record};
use crate::value::Object;

impl Keyspace {
    /// Keys of all databases.
    pub fn total_keys(&self) -> usize {
        match self.has_slots() {
            true => self.keys_here(),
            false => self.dbs.iter().map(super::Db::len).sum(),
        }
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
                let fields = table.iter().map(|f| f.mem_bytes());
                table.mem_bytes() + scaled(fields, table.stored_len())
            }
            Object::Zset(ranked) => ranked.mem_bytes(),
            Object::Stream(stream) => stream.mem_bytes(),
        }
    }
}

/// About how many bytes freeing these keys will bring.
pub(super) fn keys_estimate(keys: &keyed::Garbage<Object>) -> usize {
    let key = |record: &Record<Object>| {
        let value = match record.payload() {
            PayloadRef::Heap(object) => object.mem_estimate(),
            _ => 0,
        };
        record.mem_bytes() + value
    };
    keys.mem_bytes() + scaled(keys.iter().map(key), keys.len())
}

fn scaled(sizes: impl Iterator<Item = usize>, count: usize) -> usize {
    let seen = SAMPLES.min(count).max(1);
    sizes.take(seen).sum::<usize>() * count / seen
}
