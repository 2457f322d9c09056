//! Keys, values and commands of Cairn: Redis without an operating system.
//!
//! Nothing here reads a clock, draws randomness from the machine, opens a file or knows a socket. Time, seeds
//! and bytes are handed in; what a command wants of the world comes out as effects or goes through the
//! [`call::Instance`] that the server supplies.
//!
//! ```text
//! engine                 owns the rooms: call(session, args), timed work
//! replay   outgoing      a log run again; slots that leave, and what changes in them
//! families               the list of all commands
//! commands               a file or folder per family
//! scripting              a script runs on behalf of a client
//! call                   spec, table, dispatch, replies, blocking: the mechanism of a call
//! session   persist      clients; save, load, rewrite, digest
//! pubsub   keyspace      channels; databases, expiry, watched and awaited keys, what changed
//! scripts   users        scripts and functions as data; who may do what
//! tracking               which client has read which key
//! value                  what a key can hold, and its encodings
//! structure              record, table, keyed, ranked, btree: memory layouts (the only unsafe code)
//! base                   time, random, ids, arguments, errors, effects, limits
//! ```
//! Each floor looks only down; `cairn-house` holds that.
#![deny(unsafe_code)]

pub mod base;
pub mod call;
pub mod commands;
pub mod engine;
pub mod families;
pub mod keyspace;
pub mod outgoing;
pub mod persist;
pub mod pubsub;
pub mod replay;
pub mod scripting;
pub mod scripts;
pub mod session;
pub mod structure;
pub mod tracking;
pub mod users;
pub mod value;

pub use engine::Engine;
