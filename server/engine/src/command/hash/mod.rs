//! Hashes.

mod random;
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
    &write::HINCRBYFLOAT,
    &read::HKEYS,
    &read::HLEN,
    &read::HMGET,
    &write::HMSET,
    &random::HRANDFIELD,
    &read::HSCAN,
    &write::HSET,
    &write::HSETNX,
    &read::HSTRLEN,
    &read::HVALS,
];
