//! rdb-tool: inspect, verify, convert and compare snapshots of any Redis or Valkey version.
//!
//! | module | question it answers |
//! |---|---|
//! | `snapshot`, `parts` | one walk over a file or a pipe, for all commands; the same on all processors |
//! | `back` | lines of JSON back into a snapshot |
//! | `inspect`, `survey` | what is in it, and what takes the room |
//! | `report` | the same as a page with pictures |
//! | `get`, `index` | some keys, and where each stands |
//! | `dump`, `line`, `front`, `numbers`, `ordered` | every key as a line of JSON |
//! | `verify`, `fit` | is it sound, and if not, where and why; which servers load it |
//! | `salvage` | a sound file of what is left |
//! | `cross` | do two other implementations see the same bytes in it |
//! | `series` | servers as they are named |
//! | `convert` | the same data for another version, as lines or as commands |
//! | `amend` | other expiries, databases and names on the way |
//! | `carry`, `repair` | events into a snapshot, what is odd put right |
//! | `load` | the data into a living server or cluster |
//! | `loss`, `policy` | what a target cannot hold, and what becomes of that |
//! | `filter`, `split`, `merge`, `making` | a part of a snapshot, several of one, one of several |
//! | `mask` | a twin with pseudonyms |
//! | `memory`, `whatif` | what it takes in the memory of a server, and what would save some |
//! | `diff`, `canon` | which keys differ, whatever their order and encoding |
#![forbid(unsafe_code)]

mod amend;
mod back;
mod canon;
mod carry;
mod convert;
mod cross;
mod diff;
mod dump;
mod filter;
mod fit;
mod front;
mod get;
mod index;
mod inspect;
mod line;
mod load;
mod loss;
mod making;
mod mask;
mod memory;
mod merge;
mod numbers;
mod ordered;
mod parts;
mod policy;
mod repair;
mod report;
mod salvage;
mod series;
mod snapshot;
mod split;
mod survey;
mod verify;
mod whatif;

pub use back::snapshot_of_lines;
pub use convert::{Column, csv_row};
pub use line::Lines;
pub use salvage::salvage_file;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Shown below the help of the tool.
const EXAMPLES: &str = "\
Examples:
  rdb-tool inspect dump.rdb
  rdb-tool get dump.rdb user:17
  rdb-tool memory --for redis-7.2 --prefix : dump.rdb
  rdb-tool report -o report.html dump.rdb
  rdb-tool verify dump.rdb
  rdb-tool salvage -o saved.rdb dump.rdb
  rdb-tool dump --bytes text dump.rdb
  rdb-tool convert --to redis-6.2 -o old.rdb dump.rdb
  rdb-tool filter --key 'user:*' -o users.rdb dump.rdb
  rdb-tool split --by slot --parts 3 -o shards dump.rdb
  rdb-tool merge -o all.rdb shards/*.rdb
  rdb-tool mask --key-file secret -o twin.rdb dump.rdb
  rdb-tool diff yesterday.rdb today.rdb
  rdb-tool load --to redis://localhost dump.rdb

Exit status: 0 all well, 1 something was found (damage, a difference), 2 the work could not be done.";

/// Inspect, verify, convert and compare snapshots (RDB) of any Redis or Valkey version
#[derive(Parser)]
#[command(name = "rdb-tool", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The command line, for who writes its manual.
pub fn command_line() -> clap::Command {
    Arguments::command()
}

#[derive(Subcommand)]
enum Command {
    /// Summarize: header, counts and bytes by database, type and encoding, largest keys
    Inspect(inspect::InspectArguments),
    /// Show some keys: value, encoding, offset, the bytes in the file
    Get(get::GetArguments),
    /// Write where each key stands, so that `get` takes milliseconds
    Index(index::IndexArguments),
    /// Predict what the data takes in the memory of a server, by type, prefix and key
    Memory(memory::MemoryArguments),
    /// Predict what other limits, shorter names or expiries would save in a server's memory
    Whatif(whatif::WhatifArguments),
    /// Write one page with pictures of where the memory is, histograms and the largest keys
    Report(report::ReportArguments),
    /// Write every key as a line of JSON
    Dump(dump::DumpArguments),
    /// Check structure, encodings and checksum
    Verify(verify::VerifyArguments),
    /// Make a sound file of what is left of a damaged one
    Salvage(salvage::SalvageArguments),
    /// Write the same data for another version, as JSON lines or as a command log
    Convert(convert::ConvertArguments),
    /// Write some of the keys as a snapshot of their own
    Filter(filter::FilterArguments),
    /// Write a snapshot as several: by slot, database, prefix or evenly
    Split(split::SplitArguments),
    /// Write several snapshots as one
    Merge(merge::MergeArguments),
    /// Write a twin with pseudonyms for all keys and texts, which one may share
    Mask(mask::MaskArguments),
    /// Send the data to a living server or cluster
    Load(load::LoadArguments),
    /// Compare two snapshots by key, whatever their order and encoding
    Diff(diff::DiffArguments),
}

/// The program; its exit status is what was found.
pub fn main() -> ExitCode {
    cairn_toolkit::run(
        "rdb-tool",
        || match cairn_toolkit::arguments::<Arguments>()?.command {
            Command::Inspect(arguments) => inspect::inspect(&arguments),
            Command::Get(arguments) => get::get(&arguments),
            Command::Index(arguments) => index::index(&arguments),
            Command::Memory(arguments) => memory::memory(&arguments),
            Command::Whatif(arguments) => whatif::whatif(&arguments),
            Command::Report(arguments) => report::report(&arguments),
            Command::Dump(arguments) => dump::dump(&arguments),
            Command::Verify(arguments) => verify::verify(&arguments),
            Command::Salvage(arguments) => salvage::salvage(&arguments),
            Command::Convert(arguments) => convert::convert(&arguments),
            Command::Filter(arguments) => filter::filter(&arguments),
            Command::Split(arguments) => split::split(&arguments),
            Command::Merge(arguments) => merge::merge(&arguments),
            Command::Mask(arguments) => mask::mask(&arguments),
            Command::Load(arguments) => load::load(&arguments),
            Command::Diff(arguments) => diff::diff(&arguments),
        },
    )
}
