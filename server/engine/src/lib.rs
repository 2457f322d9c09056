//! Keys, values and commands of Cairn: Redis without an operating system.
//!
//! Nothing here reads a clock, draws randomness from the machine, opens a file or knows a socket. Time, seeds
//! and bytes are handed in; what a command wants of the world comes out as effects or goes through the
//! [`command::Instance`] that the server supplies.
//!
//! ```text
//! engine.rs      owns the rooms: call(session, args) and tick(now, budget)
//! command/       table, dispatch, replies, and a file per family
//! session/ pubsub/ persist/
//! keyspace/      databases, expiry, watched keys, what changed
//! value/         what a key can hold, and its encodings
//! structure/     record, table, keyed, ranked, btree: memory layouts (the only unsafe code)
//! base/          time, random, effects, limits
//! ```
//! Each floor looks only down.
#![deny(unsafe_code)]

pub mod base;
pub mod command;
pub mod engine;
pub mod keyspace;
pub mod persist;
pub mod pubsub;
pub mod session;
pub mod structure;
pub mod value;

pub use engine::Engine;
