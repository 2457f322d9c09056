//! Limits at which values change their encoding.

use crate::config::directive::{Directive, Key, count, int, size};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MIN: i64 = i32::MIN as i64;
const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::memory::END;

    /// Fields up to which a hash is a listpack.
    HASH_MAX_LISTPACK_ENTRIES: u64 = count("hash-max-listpack-entries", "512", 0, i64::MAX).alias("hash-max-ziplist-entries");
    /// Bytes of a field or value up to which a hash is a listpack.
    HASH_MAX_LISTPACK_VALUE: u64 = size("hash-max-listpack-value", "64", 0, i64::MAX).alias("hash-max-ziplist-value");
    /// Members up to which a set of integers is an intset.
    SET_MAX_INTSET_ENTRIES: u64 = count("set-max-intset-entries", "512", 0, i64::MAX);
    /// Members up to which a set is a listpack.
    SET_MAX_LISTPACK_ENTRIES: u64 = count("set-max-listpack-entries", "128", 0, i64::MAX);
    /// Bytes of a member up to which a set is a listpack.
    SET_MAX_LISTPACK_VALUE: u64 = size("set-max-listpack-value", "64", 0, i64::MAX);
    /// Members up to which a sorted set is a listpack.
    ZSET_MAX_LISTPACK_ENTRIES: u64 = count("zset-max-listpack-entries", "128", 0, i64::MAX).alias("zset-max-ziplist-entries");
    /// Bytes of a member up to which a sorted set is a listpack.
    ZSET_MAX_LISTPACK_VALUE: u64 = size("zset-max-listpack-value", "64", 0, i64::MAX).alias("zset-max-ziplist-value");
    /// Elements of a list node, or with -1 to -5 its size: 4, 8, 16, 32, 64 KB.
    LIST_MAX_LISTPACK_SIZE: i64 = int("list-max-listpack-size", "-2", INT_MIN, INT_MAX).alias("list-max-ziplist-size");
    /// Nodes at each end of a list that are not compressed; 0 compresses none.
    LIST_COMPRESS_DEPTH: i64 = int("list-compress-depth", "0", 0, INT_MAX);
    /// Bytes up to which a HyperLogLog is sparse.
    HLL_SPARSE_MAX_BYTES: u64 = size("hll-sparse-max-bytes", "3000", 0, i64::MAX);
    /// Bytes of a stream's node; 0 is no limit.
    STREAM_NODE_MAX_BYTES: u64 = size("stream-node-max-bytes", "4096", 0, i64::MAX);
    /// Entries of a stream's node; 0 is no limit.
    STREAM_NODE_MAX_ENTRIES: i64 = int("stream-node-max-entries", "100", 0, i64::MAX);
}
