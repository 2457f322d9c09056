//! Our files in the reference server, its files in ours.
//!
//! - `groups`: consumer groups of streams, on every way.
//! - `migrate`: keys go from one to the other and back.
//! - `save`: what ours writes, version 10 snapshots and log folders, loads in 7.0.15 with equal values.
//! - `start_in`: ours starts in folders that 7.0.15 left.
//! - `upgrade`: ours starts with the single log file of servers before 7.0.

mod groups;
mod migrate;
mod save;
mod start_in;
#[path = "../support/mod.rs"]
mod support;
mod upgrade;
