//! Lists: a listpack while short, a chain of listpacks from then on.

mod ends;
mod read;
mod store;

use super::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &read::LINDEX,
    &read::LLEN,
    &ends::LPOP,
    &ends::LPUSH,
    &ends::LPUSHX,
    &read::LRANGE,
    &ends::RPOP,
    &ends::RPUSH,
    &ends::RPUSHX,
];
