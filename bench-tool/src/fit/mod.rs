//! `bench-tool fit`: what a server is asked, from a log, a capture or a snapshot, as a small profile that `run --workload` takes.
//!
//! | module | question it answers |
//! |---|---|
//! | `model` | which commands with which arguments, how often, how large |
//! | `measure` | how popular keys are, how numbers spread |
//! | `snapshot` | the same as far as data alone tells it |
//! | `profile` | the file |
//!
//! **What is kept** is only shapes: commands by name and number of arguments, the popularity of keys by rank, sizes and numbers by quantile, how long keys live, requests by the
//! second. Keys and values are not in the profile, words that never change (`EX`, `NX`) are; so it can be shared. **How exact it is:** popularity is that
//! of the type's keys over all its commands, with ranks joined in groups that grow by a quarter; quantiles come from 10,000 of the values, drawn evenly, so that a share is wrong by 0.5 % (one
//! standard deviation, at the median).

mod measure;
mod model;
mod profile;
mod snapshot;

use crate::capture::{self, Form};
use cairn_toolkit::human::plural;
use cairn_toolkit::{Failure, Outcome, Output, Verdict, note};
use clap::Args;
use model::Model;
use std::io::Write;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  bench-tool fit appendonlydir -o shop.toml
  redis-cli monitor > capture.txt; bench-tool fit capture.txt -o shop.toml; bench-tool run --workload shop.toml --prefill
  bench-tool fit dump.rdb -o data.toml

A log has only what changes data, a snapshot no commands at all (reads of each type are assumed, as often as there are keys); a capture has everything.
Commands without keys, scripts and what changes a connection are left out and counted.

Exit status: 0 the profile was written, 2 it was not.";

/// The options of `bench-tool fit`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FitArguments {
    /// Log file, folder or manifest, what MONITOR printed, or a snapshot
    path: PathBuf,
    /// The profile; - is standard output
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
}

/// Reads, and writes the profile.
///
/// # Errors
/// The file is damaged, or there is nothing in it.
pub fn run(arguments: &FitArguments) -> Outcome {
    let path = &arguments.path;
    let mut out = Output::create(&arguments.output, &[])?;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    let text = match capture::form(path)? {
        Form::Snapshot => snapshot::fit(path)?,
        Form::Capture | Form::Log => {
            let mut model = Model::default();
            capture::each(path, |recorded| {
                model.see(recorded);
                Ok(true)
            })?;
            if model.is_empty() {
                return Err(Failure::new(format!(
                    "{}: no command with a key in it",
                    path.display()
                )));
            }
            if model.left_out() > 0 {
                let left_out = plural(model.left_out(), "command", "commands");
                note(&format!(
                    "{}: {left_out} left out: without keys, rare, of scripts or of connections",
                    path.display()
                ));
            }
            profile::of_model(&model)
        }
    };
    write!(
        out,
        "# Fitted to {} by bench-tool fit: shapes only, no keys and no values.\n{text}",
        name.replace(char::is_control, "?")
    )?;
    out.finish()?;
    Ok(Verdict::Fine)
}
