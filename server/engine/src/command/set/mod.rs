//! Sets.

mod read;
mod store;
mod write;

use super::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &write::SADD,
    &read::SCARD,
    &read::SISMEMBER,
    &read::SMISMEMBER,
    &read::SMEMBERS,
    &write::SPOP,
    &write::SREM,
    &read::SSCAN,
];
