//! bench-tool: pipelined load on a server that speaks RESP, and what its clients felt.
//!
//! | module | question it answers |
//! |---|---|
//! | `options` | what was typed, and the plan that it means |
//! | `template` | which bytes the next request has |
//! | `target` | where the server is, how a client signs in |
//! | `client` | one connection: what it has sent, what it still waits for |
//! | `worker` | one thread: an event loop over its clients |
//! | `budget` | how many requests remain and when the measuring starts and ends |
//! | `tally` | times and errors counted |
//! | `ending` | whether all was done that was asked for |
//! | `report` | the tally as a table and as JSON |
//! | `random` | the seeded generator behind `{rand:N}` and `{data:N}` |
//!
//! **What a latency is.** Without `--rate` the loop is closed: a client sends its next requests only after
//! the replies to its last, and the time of a request runs from just before it is handed to the system until its
//! reply has been parsed. A server that stalls is then asked less while it stalls, so a few
//! requests bear the stall and the percentiles flatter it (coordinated omission). With `--rate` requests fall due on a fixed schedule,
//! whatever the server does, and the time runs from the moment when the request was due. The report says which it was.
#![forbid(unsafe_code)]

mod budget;
mod client;
mod ending;
mod options;
mod random;
mod report;
mod run;
mod tally;
mod target;
mod template;
mod worker;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Load tests for servers that speak the Redis protocol
#[derive(Parser)]
#[command(name = "bench-tool", version, after_help = options::EXAMPLES)]
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
    /// Send commands from many clients and report throughput, latencies and errors
    Run(Box<options::RunArguments>),
}

/// The program; its exit status is what was found.
pub fn main() -> ExitCode {
    cairn_toolkit::run("bench-tool", || {
        match cairn_toolkit::arguments::<Arguments>()?.command {
            Command::Run(arguments) => run::run(arguments.plan()?),
        }
    })
}
