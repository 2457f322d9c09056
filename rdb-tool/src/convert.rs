//! `rdb-tool convert`: the same data for another version, as JSON lines or as a command log.
//!
//! What the target cannot hold is found on the way: the output is a temporary file until all of the input has been read, and
//! it becomes the output only if nothing was lost or losses were asked for.

use crate::commands::Commands;
use crate::dump::write_lines;
use crate::loss::Losses;
use crate::snapshot::{Stop, walk};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Dialect, Event, Unsupported, WriteError, WriteOptions, Writer, Written};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Shown below the help of `convert`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool convert --to redis-6.2 -o old.rdb dump.rdb
  rdb-tool convert --to valkey-8 -o valkey.rdb dump.rdb
  rdb-tool convert --to 10 --drop-unsupported -o v10.rdb dump.rdb
  rdb-tool convert --to aof -o appendonly.aof dump.rdb
  rdb-tool convert --to jsonl -o - dump.rdb | gzip > keys.jsonl.gz

Targets: redis-2.6 to redis-8.6, valkey-7.2 to valkey-9.0, a version number (6 to 13, 80), jsonl, aof.
What the target cannot hold ends the conversion with exit status 2, count and example, and nothing is written.
A log of commands carries no idle times, frequencies and consumer times, as that of a server does not.";

/// The options of `rdb-tool convert`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArguments {
    /// What to write: a server and version, an RDB version number, jsonl or aof
    #[arg(long, value_parser = target)]
    to: Target,
    /// Where to; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    /// Leave out what the target cannot hold, and tell what it was
    #[arg(long)]
    drop_unsupported: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value = "base64")]
    bytes: Bytes,
    /// Do not compress strings
    #[arg(long)]
    no_compress: bool,
    /// Snapshot to read; - is stdin
    file: PathBuf,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Snapshot(Dialect),
    Lines,
    Commands,
}

fn target(name: &str) -> Result<Target, String> {
    // `valkey-8` means the newest of that series.
    let full = match name {
        "valkey-7" => "valkey-7.2",
        "valkey-8" => "valkey-8.1",
        "valkey-9" => "valkey-9.0",
        name => name,
    };
    match full {
        "jsonl" => Ok(Target::Lines),
        "aof" => Ok(Target::Commands),
        name => match Dialect::parse(name) {
            Some(dialect) if dialect.is_writable() => Ok(Target::Snapshot(dialect)),
            Some(dialect) => Err(format!(
                "{dialect} is read but not written; Redis 6 to 13 and Valkey 80 are"
            )),
            None => Err(
                "expected a server as in redis-7.2 or valkey-9.0, a version number, jsonl or aof"
                    .to_owned(),
            ),
        },
    }
}

/// Reads, writes, and keeps the result only if it is whole.
pub fn convert(arguments: &ConvertArguments) -> Outcome {
    let input = Input::open(&arguments.file)?;
    let mut output = Output::create_whole(&arguments.output, &[&input])?;
    let (losses, target) = match arguments.to {
        Target::Lines => {
            write_lines(&input, &mut output, arguments.bytes)?;
            (Losses::default(), "jsonl".to_owned())
        }
        Target::Commands => (
            write_commands(&input, &mut output)?,
            "a command log".to_owned(),
        ),
        Target::Snapshot(dialect) => {
            let mut options = WriteOptions::new(dialect);
            options.compress = !arguments.no_compress;
            options.lossy_at_ms = arguments.drop_unsupported.then(now_ms);
            (
                write_snapshot(&input, &mut output, options)?,
                dialect.to_string(),
            )
        }
    };
    if !losses.is_empty() && !arguments.drop_unsupported {
        return Err(losses.into_failure(input.name(), &target));
    }
    output.finish()?;
    losses.report_dropped(input.name());
    Ok(Verdict::Fine)
}

/// Unix milliseconds: the time as of which expired fields go when a hash loses its field expiries.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}

/// A conversion must not carry damage on, so everything is looked into. What follows the end of a snapshot is not part of it.
fn options() -> Options {
    Options {
        trailing: false,
        ..Options::deep()
    }
}

fn write_snapshot(
    input: &Input,
    output: &mut Output,
    options_out: WriteOptions,
) -> Result<Losses, Failure> {
    let mut losses = Losses::default();
    let mut writer = Writer::new(output, options_out).map_err(failed)?;
    walk(input, options(), "converting", &mut |_, located| {
        let db = match &located.event {
            Event::Record(record) => Some(record.db),
            _ => None,
        };
        let mut lose = |lost: &Unsupported| {
            losses.add(lost.what, lost.needs, db.map(|db| (db, &lost.key[..])))
        };
        match writer.event(&located.event) {
            Ok(Written::Whole | Written::Nothing) => Ok(()),
            Ok(Written::Partly(lost)) | Err(WriteError::Unsupported(lost)) => {
                lose(&lost);
                Ok(())
            }
            Err(WriteError::Source(error)) => Err(Stop::Damage {
                error,
                sound: None,
                keys: 0,
            }),
            Err(error) => Err(Stop::Failed(failed(error))),
        }
    })
    .map_err(|stop| stop.into_failure(input.name()))?;
    writer.finish().map_err(failed)?;
    Ok(losses)
}

fn write_commands(input: &Input, output: &mut Output) -> Result<Losses, Failure> {
    let mut losses = Losses::default();
    let mut commands = Commands::new();
    walk(input, options(), "converting", &mut |_, located| {
        let lost = commands
            .event(&located.event)
            .map_err(|error| Stop::Damage {
                error,
                sound: None,
                keys: 0,
            })?;
        if let Some((what, needs)) = lost {
            let place = match &located.event {
                Event::Record(record) => Some((record.db, record.head.key)),
                _ => None,
            };
            losses.add(what, needs, place);
        }
        output
            .write_all(commands.bytes())
            .map_err(|error| Stop::Failed(error.into()))?;
        commands.clear();
        Ok(())
    })
    .map_err(|stop| stop.into_failure(input.name()))?;
    Ok(losses)
}

fn failed(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_by_name_and_number() {
        assert_eq!(target("aof"), Ok(Target::Commands));
        assert_eq!(target("valkey-8"), Ok(Target::Snapshot(Dialect::redis(11))));
        assert_eq!(
            target("valkey-9"),
            Ok(Target::Snapshot(Dialect::valkey(80)))
        );
        assert_eq!(target("redis-5.0"), Ok(Target::Snapshot(Dialect::redis(9))));
        assert!(
            target("redis-2.2")
                .unwrap_err()
                .contains("read but not written")
        );
        assert!(target("mysql").is_err());
    }
}
