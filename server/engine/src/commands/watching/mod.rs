//! Commands for those who watch an instance: what was slow or large, what took long, what runs right now.
//!
//! | file | what |
//! |---|---|
//! | `log` | SLOWLOG, COMMANDLOG |
//! | `latency`, `doctor`, `graph` | LATENCY |
//! | `monitor` | MONITOR |
//!
//! What they show is noted in [`crate::call::watch`].

mod doctor;
mod graph;
mod latency;
mod log;
mod monitor;

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &latency::LATENCY,
    &log::SLOWLOG,
    &log::COMMANDLOG,
    &monitor::MONITOR,
];
