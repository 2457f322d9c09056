//! Instance commands: those that need the server around the data. They stand in the same table as the others and pass
//! the same gate, also in MULTI.
//!
//! | file | what |
//! |---|---|
//! | `client`, `client_kill`, `client_tracking`, `client_common` | CLIENT |
//! | `cluster` | CLUSTER |
//! | `config`, `effects`, `limits` | CONFIG, and what a changed value does |
//! | `users` | users as they are configured |
//! | `debug` | DEBUG, RELOAD and LOADAOF among it |
//! | `lifecycle` | SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, SHUTDOWN |
//! | `replication` | REPLICAOF, ROLE, PSYNC, REPLCONF |
//! | `lolwut`, `module` | LOLWUT, MODULE |
//!
//! INFO and MEMORY live in [`crate::info`].

mod client;
mod client_common;
mod client_kill;
mod client_tracking;
mod cluster;
mod config;
mod debug;
mod effects;
mod lifecycle;
mod limits;
mod lolwut;
mod module;
mod protected;
mod replication;
mod users;

use cairn_engine::call::Command;

pub use limits::{limits_of, watch_limits_of};
pub use users::{configure_users, define_users};

/// Their lists; INFO has its own.
pub const COMMANDS: &[&[&Command]] = &[
    client::COMMANDS,
    cluster::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    lifecycle::COMMANDS,
    lolwut::COMMANDS,
    module::COMMANDS,
    replication::COMMANDS,
];
