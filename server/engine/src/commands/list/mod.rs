//! Lists: a listpack while short, a chain of listpacks from then on.

mod blocking;
mod ends;
mod middle;
mod read;
mod store;
mod transfer;

pub(crate) use store::replace_list;

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &transfer::BLMOVE,
    &transfer::BLMPOP,
    &blocking::BLPOP,
    &blocking::BRPOP,
    &transfer::BRPOPLPUSH,
    &read::LINDEX,
    &middle::LINSERT,
    &read::LLEN,
    &transfer::LMOVE,
    &transfer::LMPOP,
    &middle::LPOS,
    &middle::LREM,
    &middle::LSET,
    &middle::LTRIM,
    &transfer::RPOPLPUSH,
    &ends::LPOP,
    &ends::LPUSH,
    &ends::LPUSHX,
    &read::LRANGE,
    &ends::RPOP,
    &ends::RPUSH,
    &ends::RPUSHX,
];
