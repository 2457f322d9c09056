//! aof-tool: what is in an append-only log, how far it is valid, and how to get it back in order.
//!
//! | module | question it answers |
//! |---|---|
//! | `log` | which files make up the log that was named |
//! | `part` | one file: its snapshot preamble, then its commands, mapped or streamed |
//! | `check` | where the valid part ends, and what is wrong there |
//! | `rules` | what commands are measured by |
//! | `report` | what was found in one file |
//! | `fix` | the cut at that place, with a backup |
//! | `mend`, `rescue` | a damaged log without its damage; what is left of its snapshot |
//! | `walk` | the records of a whole log, each with its database and time |
//! | `keys` | which keys a command is about |
//! | `dump`, `tail` | one line per command, of all or of the last and those that come |
//! | `history` | what happened to a key |
//! | `stats` | what a log is made of |
//! | `diff` | in what the data of two logs differs |
//! | `digest` | what DEBUG DIGEST-VALUE answers to a value |
//! | `convert`, `copy` | one file or a folder; the log of a living server |
//! | `player`, `ahead`, `judge` | a log played into an engine; what is fetched before; what is told of it then |
//! | `raw` | the keys of modules of a log, which the engine does not hold |
//! | `rewrite` | the data that a log makes, as a new log |
//! | `divided`, `partition`, `gauge` | the same in parts, by key, each within a limit of memory |
//! | `halves`, `joined` | the same in two parts at once, on two processors; their data as one snapshot |
//! | `restore`, `live` | the data of a moment, as a new log or into a living server |
//! | `replay`, `schedule` | the commands of a log to a living server, and when |
//! | `archive` | the log of a living server, kept elsewhere |
//! | `until` | a moment of a log |
//! | `commands` | the commands of a log, for other tools |
#![forbid(unsafe_code)]

mod ahead;
mod archive;
mod check;
mod commands;
mod convert;
mod copy;
mod diff;
mod digest;
mod divided;
mod dump;
mod fix;
mod gauge;
mod halves;
mod history;
mod joined;
mod judge;
mod keys;
mod live;
mod log;
mod mend;
mod part;
mod partition;
mod player;
mod proposal;
mod raw;
mod replay;
mod report;
mod rescue;
mod restore;
mod rewrite;
mod rules;
mod schedule;
mod stats;
mod tail;
mod until;
mod walk;

pub use commands::{EachCommand, KeyFinder, LogCommand, each_command};
pub use digest::Digester;
pub use rewrite::data_set;
pub use until::{Until, Watch};

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  aof-tool check appendonlydir                    the manifest and all its parts
  aof-tool check --fix appendonly.aof             cut off a torn end, keep appendonly.aof.bak
  aof-tool fix appendonlydir                      drop what is damaged, keep the rest
  aof-tool dump appendonlydir | grep user:17      every logged command about a key
  aof-tool log user:17 appendonlydir              what happened to a key, and what it was
  aof-tool stats --rewrite appendonlydir          what takes the room, and what a rewrite would save
  aof-tool tail -f appendonlydir                  what comes, across rewrites
  aof-tool diff appendonlydir backup.aof          in what their data differs
  aof-tool dump --format jsonl appendonly.aof | jq -c 'select(.db == 3) | .args'
  aof-tool rewrite appendonlydir -o compact.aof   the shortest log for the same data
  aof-tool convert appendonly.aof -o appendonlydir
  aof-tool copy /var/lib/redis/appendonlydir -o backup
  aof-tool archive --from redis://db:6379 -o /backup/db
  aof-tool replay --to redis://test:6379 appendonlydir
  aof-tool restore --until before:FLUSHALL appendonlydir -o saved.aof
  ssh host cat appendonly.aof | aof-tool check -  through a pipe

A log is a file, a folder of a multi-part log (Redis 7 and later), its manifest, or - for standard input.

Exit status: 0 all well, 1 the log is damaged, 2 the work could not be done.";

/// Check, repair, read and rewrite append-only logs of Redis and Valkey
#[derive(Parser)]
#[command(name = "aof-tool", version, after_help = EXAMPLES)]
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
    /// Tell where the valid part of a log ends, and what is wrong there
    Check(check::CheckArguments),
    /// Drop what is damaged in a log, and keep the rest
    Fix(mend::FixArguments),
    /// Tell what happened to a key: who wrote or deleted it, when, and what it was
    Log(history::LogArguments),
    /// Count what a log is made of, by command, database, hour and prefix
    Stats(stats::StatsArguments),
    /// Print the commands of a log, one a line
    Dump(dump::DumpArguments),
    /// Print the last commands of a log, and those that come
    Tail(tail::TailArguments),
    /// Compare the data that two logs make
    Diff(diff::DiffArguments),
    /// Write the data that a log makes as a new log
    Rewrite(rewrite::RewriteArguments),
    /// Send the commands of a log to a living server or cluster, at their speed or another
    Replay(replay::ReplayArguments),
    /// Keep the log of a living server elsewhere, as a replica
    Archive(archive::ArchiveArguments),
    /// Write a log in one file as a folder in parts, and back
    Convert(convert::ConvertArguments),
    /// Copy the log of a living server
    Copy(copy::CopyArguments),
    /// Write the data as it was at a moment of the log
    Restore(restore::RestoreArguments),
}

/// The program; its exit status is what was found.
pub fn main() -> ExitCode {
    cairn_toolkit::run(
        "aof-tool",
        || match cairn_toolkit::arguments::<Arguments>()?.command {
            Command::Check(arguments) => check::run(&arguments),
            Command::Fix(arguments) => mend::run(&arguments),
            Command::Log(arguments) => history::run(&arguments),
            Command::Stats(arguments) => stats::run(&arguments),
            Command::Dump(arguments) => dump::run(&arguments),
            Command::Tail(arguments) => tail::run(&arguments),
            Command::Diff(arguments) => diff::run(&arguments),
            Command::Rewrite(arguments) => rewrite::run(&arguments),
            Command::Replay(arguments) => replay::run(&arguments),
            Command::Archive(arguments) => archive::run(&arguments),
            Command::Convert(arguments) => convert::run(&arguments),
            Command::Copy(arguments) => copy::run(&arguments),
            Command::Restore(arguments) => restore::run(&arguments),
        },
    )
}
