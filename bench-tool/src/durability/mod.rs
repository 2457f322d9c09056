//! `bench-tool durability`: does a server still have, after it was killed, what it said that it has?
//!
//! ```text
//!   start    a server of our own over an empty folder, for each policy and round
//!   write    numbered keys from several connections; each reply is an acknowledgement, noted with its time
//!   kill     SIGKILL at a random moment
//!   start    again, over the same folder; the time until it answers is the time of recovery
//!   look     every acknowledged key has to be there
//! ```
//!
//! SIGKILL ends a process, not the machine: what the process has handed to the system is not lost, whether or not it was forced to the disk. So this finds
//! replies that leave before the write, writes that a start does not read, and logs that it cuts; it does not find a missing fsync.

mod process;
mod writer;

use crate::random::Random;
use cairn_toolkit::human::{count, duration, plural};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Outcome, Output, Progress, Table, Verdict, json, map, note};
use clap::{Args, ValueEnum};
use process::Server;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use writer::Written;

const EXAMPLES: &str = "\
Examples:
  bench-tool durability -- cairn-server
  bench-tool durability --policy always,everysec --rounds 20 -- redis-server
  bench-tool durability --policy always -- valkey-server --port {port} --dir {dir} --appendonly yes --appendfsync {policy}

Behind -- stands the program, and what it is started with if that is not --port {port} --bind 127.0.0.1 --dir {dir} --save '' --appendonly yes --appendfsync {policy}. {port}, {dir}
and {policy} are filled in. Its own words go to a file in the folder, which is kept if something was lost.

Exit status: 0 nothing was lost, 1 acknowledged writes were lost, 2 the work could not be done, 130 it was interrupted.";

/// What a program is started with if nothing is said.
const WORDS: [&str; 12] = [
    "--port",
    "{port}",
    "--bind",
    "127.0.0.1",
    "--dir",
    "{dir}",
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "{policy}",
];

/// The options of `bench-tool durability`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DurabilityArguments {
    /// Policies of appendfsync that are tried
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Policy::Always, Policy::Everysec, Policy::No])]
    policy: Vec<Policy>,
    /// Kills for each policy
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Connections that write
    #[arg(short, long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Writes that a connection has on their way
    #[arg(short = 'P', long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pipeline: u32,
    /// The server is killed at a random moment before that
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = crate::options::time)]
    within: Duration,
    /// Longest start
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = crate::options::time)]
    patience: Duration,
    /// Folder for the servers' folders [default: that for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Seed of the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The server
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// When a log is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Before each reply
    Always,
    /// Once a second
    Everysec,
    /// When the system likes
    No,
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Policy::Always => "always",
            Policy::Everysec => "everysec",
            Policy::No => "no",
        }
    }
}

/// What one kill showed.
#[derive(Clone, Debug)]
struct Round {
    acknowledged: u64,
    lost: u64,
    /// Sent, and in the data without having been acknowledged.
    unacknowledged: u64,
    /// How long before the kill the oldest lost write was acknowledged.
    oldest_lost: Duration,
    killed_after: Duration,
    recovery: Duration,
}

/// Starts, writes, kills, looks.
///
/// # Errors
/// The server does not start, or not again.
pub fn run(arguments: &DurabilityArguments) -> Outcome {
    let json = arguments
        .json
        .as_ref()
        .map(|path| Output::create(path, &[]))
        .transpose()?;
    map::ask_before_end();
    let progress = Progress::line();
    let mut random = Random::new(arguments.seed);
    let mut results: Vec<(Policy, Vec<Round>)> = Vec::new();
    for &policy in &arguments.policy {
        let mut rounds = Vec::new();
        for number in 0..arguments.rounds {
            if map::is_asked_to_end() {
                break;
            }
            progress.say(format!(
                "appendfsync {}: kill {} of {}",
                policy.name(),
                number + 1,
                arguments.rounds
            ));
            let after = arguments.within.mul_f64(0.1 + 0.9 * random.unit());
            rounds.push(round(arguments, policy, after, &progress)?);
        }
        results.push((policy, rounds));
    }
    progress.clear();
    report(arguments, &results, json)?;
    let lost = results
        .iter()
        .flat_map(|(_, rounds)| rounds)
        .any(|round| round.lost > 0);
    match map::is_asked_to_end() {
        true => Err(Failure::quiet(crate::INTERRUPTED)),
        false => Ok(Verdict::found_if(lost)),
    }
}

fn round(
    arguments: &DurabilityArguments,
    policy: Policy,
    after: Duration,
    progress: &Progress,
) -> Result<Round, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("bench-tool-durability-");
    let folder = match &arguments.folder {
        Some(folder) => builder.tempdir_in(folder),
        None => builder.tempdir(),
    };
    let folder = folder.map_err(|error| Failure::io("folder for the server", &error))?;
    let words = match &arguments.program[..] {
        [program] => [program.as_str()]
            .into_iter()
            .chain(WORDS)
            .map(str::to_owned)
            .collect(),
        words => words.to_vec(),
    };
    let mut server = Server::new(words, folder.path(), policy.name(), arguments.patience)?;
    server.start()?;
    let written = writer::write(&server, arguments.clients, arguments.pipeline, after)?;
    let recovery = server.start()?;
    let round = look(&server, &written, recovery)?;
    if round.lost > 0 {
        drop(server);
        progress.note(&format!(
            "appendfsync {}: {} lost; the folder is {}",
            policy.name(),
            plural(round.lost, "write", "writes"),
            folder.keep().display()
        ));
    }
    Ok(round)
}

fn look(server: &Server, written: &Written, recovery: Duration) -> Result<Round, Failure> {
    let mut round = Round {
        acknowledged: 0,
        lost: 0,
        unacknowledged: 0,
        oldest_lost: Duration::ZERO,
        killed_after: written.killed_after,
        recovery,
    };
    let mut client = server.client()?;
    for (writer, acknowledged, is_there) in writer::look(&mut client, written)? {
        let at = written.acknowledged[writer].get(acknowledged as usize);
        match (at, is_there) {
            (Some(_), true) => round.acknowledged += 1,
            (Some(at), false) => {
                round.acknowledged += 1;
                round.lost += 1;
                round.oldest_lost = round
                    .oldest_lost
                    .max(written.killed_after.saturating_sub(*at));
            }
            (None, true) => round.unacknowledged += 1,
            (None, false) => {}
        }
    }
    Ok(round)
}

fn report(
    arguments: &DurabilityArguments,
    results: &[(Policy, Vec<Round>)],
    out: Option<Output>,
) -> Result<(), Failure> {
    if !out.as_ref().is_some_and(Output::is_stdout) {
        let mut text = Output::stdout();
        as_text(arguments, results, &mut text)?;
        text.finish()?;
    }
    let lost = results.iter().any(|(policy, rounds)| {
        *policy == Policy::Always && rounds.iter().any(|round| round.lost > 0)
    });
    if lost {
        note("writes that were acknowledged under appendfsync always are gone");
    }
    let Some(mut out) = out else {
        return Ok(());
    };
    json::write_pretty(&mut out, &as_json(arguments, results))?;
    out.finish()
}

fn as_text(
    arguments: &DurabilityArguments,
    results: &[(Policy, Vec<Round>)],
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{}: killed at random moments within {} s\n",
        arguments.program[0],
        arguments.within.as_secs_f64()
    )?;
    let numbers = [
        "kills",
        "acknowledged",
        "lost",
        "kills with loss",
        "oldest lost",
        "recovery",
        "longest",
    ];
    let columns: Vec<(&str, Side)> = [("appendfsync", Side::Left)]
        .into_iter()
        .chain(numbers.map(|name| (name, Side::Right)))
        .collect();
    let mut table = Table::new(&columns);
    for (policy, rounds) in results {
        let sum = |of: fn(&Round) -> u64| rounds.iter().map(of).sum::<u64>();
        let mut recoveries: Vec<Duration> = rounds.iter().map(|round| round.recovery).collect();
        recoveries.sort();
        let oldest = rounds
            .iter()
            .map(|round| round.oldest_lost)
            .max()
            .unwrap_or_default();
        let middle = recoveries
            .get(recoveries.len() / 2)
            .copied()
            .unwrap_or_default();
        table.row(vec![
            policy.name().to_owned(),
            rounds.len().to_string(),
            count(sum(|round| round.acknowledged)),
            count(sum(|round| round.lost)),
            rounds
                .iter()
                .filter(|round| round.lost > 0)
                .count()
                .to_string(),
            if oldest.is_zero() {
                String::new()
            } else {
                format!("{} before", duration(oldest))
            },
            duration(middle),
            duration(recoveries.last().copied().unwrap_or_default()),
        ]);
    }
    table.write_to(out, 0)?;
    writeln!(
        out,
        "\na kill ends the process and not the machine: what it does not show is a missing fsync"
    )
}

fn as_json(arguments: &DurabilityArguments, results: &[(Policy, Vec<Round>)]) -> Value {
    let rounds = |rounds: &[Round]| -> Vec<Value> {
        rounds
            .iter()
            .map(|round| {
                json!({
                    "killed_after_s": round.killed_after.as_secs_f64(),
                    "acknowledged": round.acknowledged,
                    "lost": round.lost,
                    "there_without_acknowledgement": round.unacknowledged,
                    "oldest_lost_s": round.oldest_lost.as_secs_f64(),
                    "recovery_s": round.recovery.as_secs_f64(),
                })
            })
            .collect()
    };
    json!({
        "program": arguments.program,
        "policies": results.iter().map(|(policy, of)| json!({ "appendfsync": policy.name(), "rounds": rounds(of) })).collect::<Vec<_>>(),
    })
}
