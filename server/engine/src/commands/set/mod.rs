//! Sets.

mod combine;
mod random;
mod read;
mod store;
mod write;

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &write::SADD,
    &read::SCARD,
    &combine::SDIFF,
    &combine::SDIFFCARD,
    &combine::SDIFFSTORE,
    &combine::SINTER,
    &combine::SINTERCARD,
    &combine::SINTERSTORE,
    &read::SISMEMBER,
    &read::SMISMEMBER,
    &read::SMEMBERS,
    &write::SMOVE,
    &write::SPOP,
    &random::SRANDMEMBER,
    &write::SREM,
    &read::SSCAN,
    &combine::SUNION,
    &combine::SUNIONCARD,
    &combine::SUNIONSTORE,
];
