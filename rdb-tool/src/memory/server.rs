//! How servers hold keys and values: generations that differ in what a key costs, and what large values are made of.
//!
//! | generation | servers | a key | fields, members |
//! |---|---|---|---|
//! | `Entries` | Redis to 7.0 | object, string, entry of a chained table | entry and strings; no packed sets and short lists |
//! | `Packed` | Redis 7.2 to 8.0 | the same | sets without entries where nothing collides; packed sets and short lists |
//! | `Together` | Redis 8.2 and up | object and key in one | the same |
//! | `Chained` | Valkey 8 | object, key and short value in one, buckets of 7 | field and value in one |
//! | `Buckets` | Valkey 9 and up | the same, with values up to 128 bytes | the same, and members of sorted sets in their nodes |

use super::allocator::Allocator;
use crate::series::{KNOWN, newest_of};
use cairn_format::rdb::{Dialect, Family};

/// How keys and values lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// Redis to 7.0.
    Entries,
    /// Redis 7.2 to 8.0.
    Packed,
    /// Redis 8.2 and up.
    Together,
    /// Valkey 8.
    Chained,
    /// Valkey 9 and up.
    Buckets,
}

impl Generation {
    /// Whether tables are those of Valkey.
    pub(super) fn has_buckets(self) -> bool {
        matches!(self, Generation::Chained | Generation::Buckets)
    }
}

/// A server whose memory is predicted.
#[derive(Clone, Debug)]
pub struct Model {
    /// As it was named.
    pub name: String,
    /// How it holds things.
    pub generation: Generation,
    /// What gives it memory.
    pub allocator: Allocator,
    /// Up to when values stay packed.
    pub limits: Limits,
    /// Whether this very version was compared with a living server.
    pub is_confirmed: bool,
}

/// Up to when values are packed: the directives of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`
    pub hash_entries: u64,
    /// `hash-max-listpack-value`
    pub hash_value: u64,
    /// `set-max-intset-entries`
    pub intset_entries: u64,
    /// `set-max-listpack-entries`
    pub set_entries: u64,
    /// `set-max-listpack-value`
    pub set_value: u64,
    /// `zset-max-listpack-entries`
    pub zset_entries: u64,
    /// `zset-max-listpack-value`
    pub zset_value: u64,
    /// Bytes of a node of a list, as `list-max-listpack-size` -1 to -5 says.
    pub list_node: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            hash_entries: 512,
            hash_value: 64,
            intset_entries: 512,
            set_entries: 128,
            set_value: 64,
            zset_entries: 128,
            zset_value: 64,
            list_node: 8192,
        }
    }
}

impl Model {
    /// A server as in `redis-7.2.4` or `valkey-9.1`, or a series (`redis-8`), with its defaults.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(name: &str) -> Result<Model, String> {
        let expected = || format!("expected a server as in redis-7.2 or valkey-9.1; {KNOWN}");
        let name = newest_of(name);
        let dialect = Dialect::parse(name)
            .filter(|_| name.contains('-'))
            .ok_or_else(expected)?;
        let is_valkey = name.starts_with("valkey");
        let is = |series: &str| {
            name.strip_prefix(series)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let generation = match () {
            () if is("valkey-7.2") => Generation::Packed,
            () if is("valkey-8.0") || is("valkey-8.1") => Generation::Chained,
            () if is_valkey || dialect.family() == Family::Valkey => Generation::Buckets,
            () if dialect.version() <= Dialect::redis(10).version() => Generation::Entries,
            () if is("redis-7.2") || is("redis-7.4") || is("redis-8.0") => Generation::Packed,
            () => Generation::Together,
        };
        Ok(Model {
            name: name.to_owned(),
            generation,
            allocator: Allocator::Jemalloc,
            limits: Limits::default(),
            is_confirmed: ["redis-7.0", "redis-8.2", "valkey-8.1", "valkey-9.1"]
                .into_iter()
                .any(is),
        })
    }

    /// What a server takes before it has a key.
    pub fn empty(&self) -> u64 {
        match self.generation {
            Generation::Entries | Generation::Packed => 960_000,
            Generation::Together => 770_000,
            Generation::Chained => 1_060_000,
            Generation::Buckets => 1_090_000,
        }
    }

    pub(super) fn size(&self, bytes: u64) -> u64 {
        self.allocator.size(bytes)
    }

    /// A string as servers hold it: a head by its length, the bytes, a zero.
    pub(super) fn string(&self, len: u64) -> u64 {
        self.size(string_len(len))
    }
}

/// Bytes of a string with its head, the shortest head included.
pub(super) fn string_len(len: u64) -> u64 {
    let head = match len {
        0..32 => 1,
        32..0x100 => 3,
        0x100..0x1_0000 => 5,
        0x1_0000..0x1_0000_0000 => 9,
        _ => 17,
    };
    head + len + 1
}
