//! Hashes.

mod read;
mod write;

use super::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &write::HDEL,
    &read::HEXISTS,
    &read::HGET,
    &read::HGETALL,
    &write::HINCRBY,
    &read::HKEYS,
    &read::HLEN,
    &read::HMGET,
    &write::HMSET,
    &read::HSCAN,
    &write::HSET,
    &write::HSETNX,
    &read::HSTRLEN,
    &read::HVALS,
];
