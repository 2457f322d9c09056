//! `rdb-tool filter`: some keys of a snapshot as a snapshot of their own.

use crate::making::{Job, Manner, make_in_sections};
use crate::snapshot::Reading;
use cairn_toolkit::{Outcome, Verdict, human, note};
use clap::Args;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Shown below the help of `filter`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool filter --key 'user:*' --not-ttl expired -o users.rdb dump.rdb
  rdb-tool filter --type stream --db 0-3 -o streams.rdb dump.rdb
  rdb-tool filter --not-type function --slot 0-5460 -o first.rdb redis://localhost

The version stays, and so does every encoding; what is odd is put right, as by convert. Function libraries go along unless --type or
--not-type leaves them out. What was written is read again before it gets its name.";

/// The options of `rdb-tool filter`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FilterArguments {
    /// Where the snapshot goes; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// Writes what was asked for.
pub fn filter(arguments: &FilterArguments) -> Outcome {
    let (manner, reading) = (&arguments.manner, &arguments.reading);
    let input = reading.open(&arguments.file)?;
    let job = Job {
        input: &input,
        reading,
        output: &arguments.output,
        manner,
        label: "filtering",
    };
    let terms = OnceLock::new();
    let Some((making, walked)) = make_in_sections(&job, &terms)? else {
        return Ok(Verdict::Fine);
    };
    let made = making.finish(input.name())?;
    let kept = human::count(made.keys);
    let all = human::plural(walked.keys, "key", "keys");
    made.keep()?;
    note(&format!("{}: {kept} of {all} kept", input.name()));
    Ok(Verdict::Fine)
}
