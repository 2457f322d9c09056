//! The families whose commands need nothing but the engine.

use crate::call::spec::Command;
use crate::commands::{
    bitmap, cluster, connection, generic, geo, hash, hyperloglog, introspect, list, pubsub,
    scripting, set, stream, string, transaction, users, watching, zset,
};

/// All lists, in the order in which COMMAND answers.
pub const ALL: &[&[&Command]] = &[
    bitmap::COMMANDS,
    cluster::COMMANDS,
    connection::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    introspect::COMMANDS,
    list::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    set::COMMANDS,
    stream::COMMANDS,
    string::COMMANDS,
    transaction::COMMANDS,
    users::COMMANDS,
    watching::COMMANDS,
    zset::COMMANDS,
];
