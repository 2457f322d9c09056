//! What those see who watch an instance, and clients that are paused: beside 7.0.15 where it has the same.
//!
//! - `monitor`: the lines of MONITOR.
//! - `logs`: SLOWLOG and COMMANDLOG.
//! - `latency`: histograms, percentiles, events.
//! - `pause`: CLIENT PAUSE.
//! - `tracking`: client-side caching.
//! - `client_list`: the fields of CLIENT LIST.
//! - `counted`: INFO commandstats and errorstats.
//! - `crowd`: clients that take too much memory.

mod client_list;
mod counted;
mod crowd;
mod latency;
mod logs;
mod monitor;
mod pause;
#[path = "../support/mod.rs"]
mod support;
mod tracking;

use support::process::{Program, Server};
use support::{Folder, Setup};

/// Ours and the reference, each in a folder of its own.
fn both(options: &str) -> ([Folder; 2], [Server; 2]) {
    let folders = [Folder::new(), Folder::new()];
    let programs = [Program::Cairn, Program::Reference];
    let servers =
        std::array::from_fn(|i| Setup::new(programs[i], &folders[i]).with(options).start());
    (folders, servers)
}
