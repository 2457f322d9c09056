//! bench-tool: load on servers that speak RESP, and what their clients felt.
//!
//! | module | question it answers |
//! |---|---|
//! | `options` | what was typed |
//! | `target` | where the server is, and connections to it |
//! | `workload` | what is sent: requests, generators, known workloads, files |
//! | `load` | a crowd of clients: when requests are sent, what is counted |
//! | `report` | results as text, JSON, CSV, histograms and a page |
//! | `run` | one server under load |
//! | `compare` | two servers in turn |
//! | `durability` | a server that is killed |
//! | `latency` | whose stall it was |
//! | `capture`, `replay` | recorded traffic, and sending it again |
//! | `fit` | a profile of recorded traffic |
//! | `observed` | what a server says of itself |
//! | `outside` | the parsers, for fuzz targets |
//! | `statistics`, `random` | what samples say; the seeded generator behind everything random |
//!
//! **What a latency is.** Without `--rate` the loop is closed: a client sends its next requests only after
//! the replies to its last, and the time of a request runs from just before it is handed to the system until its
//! reply has been read. A server that stalls is then asked less while it stalls, so a few
//! requests bear the stall and the percentiles flatter it (coordinated omission). With `--rate` requests fall due on a schedule,
//! whatever the server does, and the time runs from the moment when the request was due; the service time, from the send, is told beside it. The
//! report says which it was.
#![deny(unsafe_code)]

mod capture;
mod compare;
mod durability;
mod fit;
mod latency;
mod load;
mod observed;
mod options;
mod outside;
mod random;
mod replay;
mod report;
mod run;
mod statistics;
mod target;
mod workload;

pub use outside::{Request, requests_of_file, requests_of_words, skimmed, words_of_line};

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// The exit status of a program that SIGINT ended, as shells tell it.
const INTERRUPTED: u8 = 130;

/// Load tests for servers that speak the Redis protocol
#[derive(Parser)]
#[command(name = "bench-tool", version, after_help = run::EXAMPLES)]
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
    /// Send requests from many clients and report throughput, latencies and errors
    Run(Box<run::RunArguments>),
    /// Tell which of two servers is faster, by how much, and how sure that is
    Compare(Box<compare::CompareArguments>),
    /// Kill a server while it is written to, and tell what of the acknowledged writes is gone
    Durability(durability::DurabilityArguments),
    /// Send recorded requests again: those of a log, or what MONITOR printed
    Replay(replay::ReplayArguments),
    /// Make a workload file of recorded requests: mix, popularity, sizes, lifetimes, bursts
    Fit(fit::FitArguments),
    /// Tell how long replies take, and whether the server or the machine was to blame
    Latency(latency::LatencyArguments),
}

/// The program; its exit status is what was found.
pub fn main() -> ExitCode {
    cairn_toolkit::run("bench-tool", || {
        match cairn_toolkit::arguments::<Arguments>()?.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Compare(arguments) => compare::run(&arguments),
            Command::Durability(arguments) => durability::run(&arguments),
            Command::Replay(arguments) => replay::run(&arguments),
            Command::Fit(arguments) => fit::run(&arguments),
            Command::Latency(arguments) => latency::run(&arguments),
        }
    })
}
