//! Keys of any type: their existence, names, expiry, and how to walk over them.

mod copy;
mod database;
mod delete;
mod dump;
mod expire;
mod migrate;
mod name;
mod object;
mod scan;
mod sort;
mod wait;

pub(crate) use scan::{Visit, scan_elements};

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &copy::COPY,
    &delete::DEL,
    &delete::UNLINK,
    &delete::EXISTS,
    &delete::TOUCH,
    &dump::DUMP,
    &dump::RESTORE,
    &dump::RESTORE_ASKING,
    &name::TYPE,
    &name::RENAME,
    &name::RENAMENX,
    &name::MOVE,
    &name::RANDOMKEY,
    &scan::KEYS,
    &scan::SCAN,
    &sort::SORT,
    &sort::SORT_RO,
    &wait::WAIT,
    &wait::WAITAOF,
    &migrate::MIGRATE,
    &object::OBJECT,
    &expire::EXPIRE,
    &expire::PEXPIRE,
    &expire::EXPIREAT,
    &expire::PEXPIREAT,
    &expire::TTL,
    &expire::PTTL,
    &expire::EXPIRETIME,
    &expire::PEXPIRETIME,
    &expire::PERSIST,
    &database::DBSIZE,
    &database::FLUSHDB,
    &database::FLUSHALL,
    &database::SWAPDB,
    &database::TIME,
];
