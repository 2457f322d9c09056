//! `rdb-tool convert`: the same data for another version, as JSON lines or as a command log.
//!
//! What the target cannot hold is found on the way: the output is a temporary file until all of the input has been read, and
//! it becomes the output only if nothing was lost or losses were asked for.

use crate::carry::{Carrier, Terms, foreign_module, loss_of, place};
use crate::dump::write_lines;
use crate::fit::VECTOR_SET;
use crate::loss::{Fate, Losses};
use crate::snapshot::{Need, Reading, Stop, read};
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Dialect, ExpiringFields, Located};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Shown below the help of `convert`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool convert --to redis-6.2 -o old.rdb dump.rdb
  rdb-tool convert --to valkey-8 -o valkey.rdb dump.rdb
  rdb-tool convert --to 10 --drop-unsupported -o v10.rdb dump.rdb
  rdb-tool convert --to 10 --expiring-fields keep -o v10.rdb dump.rdb
  rdb-tool convert --to redis-7.2 --with-module MBbloom-- -o bloom.rdb dump.rdb
  rdb-tool convert --to redis-6.2 --dry-run dump.rdb
  rdb-tool convert --to aof -o appendonly.aof dump.rdb
  rdb-tool convert --to aof:redis-6.2 -o appendonly.aof dump.rdb
  rdb-tool convert --to jsonl -o - dump.rdb | gzip > keys.jsonl.gz

Targets: redis-2.6 to redis-8.6, valkey-7.2 to valkey-9.1, redis-8 or valkey-9 for the newest of a
series, a version number (6 to 13, 80), jsonl, aof, or aof: and a server for a log that it can replay: aof alone uses the newest commands that the data needs.
What the target cannot hold ends the conversion with exit status 2, count and example, and nothing is written.
A server refuses a snapshot with values of a module that it has not loaded. Vector sets are such values before Redis 8.0.
A log of commands carries no idle times, frequencies and consumer times, as that of a server does not.";

/// The options of `rdb-tool convert`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArguments {
    /// What to write: a server and version, an RDB version number, jsonl, aof or aof:SERVER
    #[arg(long, value_parser = target)]
    to: Target,
    /// Where to; - is stdout
    #[arg(short, long, required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Write nothing; tell on stdout all that the target cannot hold, also what goes without a refusal
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: one JSON document
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Leave out what the target cannot hold, and tell what it was
    #[arg(long)]
    drop_unsupported: bool,
    /// Hash fields that expire, where the target has no such thing [default: drop, with --drop-unsupported]
    #[arg(long, value_enum, value_name = "CHOICE")]
    expiring_fields: Option<FieldChoice>,
    /// A module type that the target has, by the nine letters that error lines show; may be repeated
    #[arg(long = "with-module", value_name = "TYPE")]
    with_modules: Vec<String>,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value = "base64")]
    bytes: Bytes,
    /// Do not compress strings
    #[arg(long)]
    no_compress: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// What becomes of hash fields that expire where fields cannot expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FieldChoice {
    /// Leave such fields out, and a hash that has no others
    Drop,
    /// Write them without their expiry: they stay for ever
    Keep,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Snapshot(Snapshot),
    Lines,
    Commands(Release),
}

/// A server that is to load the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Snapshot {
    dialect: Dialect,
    /// It has vector sets: Redis 8.0, which writes version 12 as 7.4 does.
    has_vector_sets: bool,
}

/// A conversion must not carry damage on, so everything is looked into. What is only odd is put right.
pub const LOOK: Options = Options {
    duplicate_keys: true,
    ..Options::sound()
};

fn target(name: &str) -> Result<Target, String> {
    if let Some(server) = name.strip_prefix("aof:") {
        return Release::parse(newest_of_series(server))
            .map(Target::Commands)
            .ok_or_else(|| {
                "expected aof: and a server, as in aof:redis-6.2, from redis-2.6 on".to_owned()
            });
    }
    match newest_of_series(name) {
        "jsonl" => Ok(Target::Lines),
        "aof" => Ok(Target::Commands(Release::NEWEST)),
        name => match Dialect::parse(name) {
            Some(dialect) if dialect.is_writable() => Ok(Target::Snapshot(Snapshot {
                dialect,
                has_vector_sets: name.starts_with("redis-8.") || dialect.has_key_meta(),
            })),
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

/// `valkey-8` means the newest of that series, and `redis-8` the newest that can be written.
fn newest_of_series(name: &str) -> &str {
    match name {
        "valkey-7" => "valkey-7.2",
        "valkey-8" => "valkey-8.1",
        "valkey-9" => "valkey-9.1",
        "redis-7" => "redis-7.4",
        "redis-8" => "redis-8.6",
        name => name,
    }
}

/// Reads, writes, and keeps the result only if it is whole.
pub fn convert(arguments: &ConvertArguments) -> Outcome {
    let input = arguments.reading.open(&arguments.file)?;
    let nowhere = Path::new("/dev/null");
    let path = match &arguments.output {
        Some(path) if !arguments.dry_run => path,
        _ => nowhere,
    };
    let mut output = Output::create_whole(path, &[&input])?;
    let (mut losses, target) = match arguments.to {
        Target::Lines => {
            let (reading, bytes) = (&arguments.reading, arguments.bytes);
            let (_, losses) = write_lines(&input, reading, Need::All, &mut output, bytes)?;
            (losses, "jsonl".to_owned())
        }
        Target::Commands(reader) => (
            write_commands(&input, &mut output, reader, arguments)?,
            format!("a command log for {reader}"),
        ),
        Target::Snapshot(target) => (
            write_snapshot(&input, &mut output, target, arguments)?,
            target.dialect.to_string(),
        ),
    };
    if arguments.dry_run {
        losses.plan(input.name(), &target, arguments.json)?;
        return Ok(Verdict::found_if(!losses.is_empty()));
    }
    let refused = losses.refused(|fate| arguments.agrees(fate));
    if !refused.is_empty() {
        return Err(refused.into_failure(input.name(), &target));
    }
    output.finish()?;
    losses.report(input.name());
    Ok(Verdict::Fine)
}

impl ConvertArguments {
    /// Whether the user agreed to such a loss.
    fn agrees(&self, fate: Fate) -> bool {
        match fate {
            Fate::Silent => true,
            Fate::Dropped | Fate::DroppedModule => self.drop_unsupported,
            Fate::DroppedFields | Fate::KeptFields => {
                self.drop_unsupported || self.expiring_fields.is_some()
            }
        }
    }

    /// What is written in place of hash fields that expire; nothing if that was not agreed to.
    fn expiring_fields(&self) -> Option<ExpiringFields> {
        match self.expiring_fields {
            Some(FieldChoice::Keep) => Some(ExpiringFields::Keep { now_ms: now_ms() }),
            Some(FieldChoice::Drop) => Some(ExpiringFields::Drop),
            None => self.drop_unsupported.then_some(ExpiringFields::Drop),
        }
    }

    /// Which modules the target has.
    fn modules(&self) -> Vec<String> {
        let mut named = self.with_modules.clone();
        if matches!(self.to, Target::Snapshot(target) if target.has_vector_sets) {
            named.push(VECTOR_SET.to_owned());
        }
        named
    }
}

fn write_snapshot(
    input: &Input,
    output: &mut Output,
    target: Snapshot,
    arguments: &ConvertArguments,
) -> Result<Losses, Failure> {
    let terms = Terms {
        dialect: target.dialect,
        modules: Some(arguments.modules()),
        compress: !arguments.no_compress,
        drop_parts: arguments.drop_unsupported,
        expiring_fields: arguments.expiring_fields(),
    };
    let mut carrier = Carrier::new(output, &terms)?;
    let visit = &mut |_, located: &Located<'_>| carrier.event(&located.event);
    let reading = &arguments.reading;
    read(input, reading, Need::All, LOOK, "converting", visit)?;
    carrier.finish(input.name())
}

fn write_commands(
    input: &Input,
    output: &mut Output,
    reader: Release,
    arguments: &ConvertArguments,
) -> Result<Losses, Failure> {
    let mut losses = Losses::default();
    let mut commands = Rewriter::new(reader);
    let (fields, modules) = (arguments.expiring_fields(), arguments.modules());
    commands.expiring_fields = fields;
    let visit = &mut |_, located: &Located<'_>| {
        let event = &located.event;
        if let Some(loss) = foreign_module(&modules, event) {
            losses.add(loss, place(event));
            return Ok(());
        }
        let lost = commands.event(event).map_err(Stop::inside)?;
        if let Some((what, needs)) = lost {
            losses.add(loss_of(what, needs, fields), place(event));
        }
        output
            .write_all(commands.bytes())
            .map_err(|error| Stop::Failed(error.into()))?;
        commands.clear();
        Ok(())
    };
    let reading = &arguments.reading;
    read(input, reading, Need::All, LOOK, "converting", visit)?;
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_by_name_and_number() {
        assert_eq!(target("aof"), Ok(Target::Commands(Release::NEWEST)));
        assert_eq!(
            target("aof:valkey-8"),
            Ok(Target::Commands(
                Release::parse("valkey-8.1").expect("a server")
            ))
        );
        assert!(target("aof:11").is_err());
        let snapshot = |name: &str| match target(name) {
            Ok(Target::Snapshot(snapshot)) => (snapshot.dialect, snapshot.has_vector_sets),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(snapshot("valkey-8"), (Dialect::redis(11), false));
        assert_eq!(snapshot("valkey-9"), (Dialect::valkey(80), false));
        assert_eq!(snapshot("valkey-9.1"), (Dialect::valkey(80), false));
        assert_eq!(snapshot("redis-8"), (Dialect::redis(13), true));
        assert_eq!(snapshot("redis-5.0"), (Dialect::redis(9), false));
        assert_eq!(snapshot("redis-7.4"), (Dialect::redis(12), false));
        assert_eq!(snapshot("redis-8.0"), (Dialect::redis(12), true));
        assert_eq!(snapshot("12"), (Dialect::redis(12), false));
        assert_eq!(snapshot("13"), (Dialect::redis(13), true));
        assert!(
            target("redis-2.2")
                .unwrap_err()
                .contains("read but not written")
        );
        assert!(target("mysql").is_err());
    }
}
