//! Hashes.

mod getex;
mod random;
mod read;
mod setex;
mod store;
mod ttl;
mod ttl_args;
mod ttl_read;
mod write;

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &write::HDEL,
    &ttl::HEXPIRE,
    &ttl::HEXPIREAT,
    &ttl_read::HEXPIRETIME,
    &getex::HGETDEL,
    &getex::HGETEX,
    &ttl_read::HPERSIST,
    &ttl::HPEXPIRE,
    &ttl::HPEXPIREAT,
    &ttl_read::HPEXPIRETIME,
    &ttl_read::HPTTL,
    &setex::HSETEX,
    &ttl_read::HTTL,
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
