//! `rdb-tool convert`: the same data for another version, as JSON lines or as a command log.
//!
//! What the target cannot hold is found on the way: the output is a temporary file until all of the input has been read, and
//! it becomes the output only if nothing was lost or losses were asked for.

#[cfg(feature = "parquet")]
mod columns;
mod csv;
mod side;
mod target;

pub use csv::{Column, csv_row};

use crate::amend::{Amender, Amendments, FileTimes};
use crate::carry::{Carrier, Terms, foreign_module, place};
use crate::dump::LineParts;
use crate::fit::VECTOR_SET;
use crate::loss::{Loss, Losses};
use crate::parts::{Made, Parts, read_parts};
use crate::policy::{Policies, Policy, Rule};
use crate::snapshot::{Need, Reading, Stop, Visit};
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{Dialect, ExpiringFields, Located};
use cairn_toolkit::folder::{Folder, PREFIX};
use cairn_toolkit::json::{Bytes, write_pretty};
use cairn_toolkit::select::now_ms;
use cairn_toolkit::snapshot::again::read_again;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, escape};
use clap::{Args, ValueEnum};
use csv::{COLUMNS, Rows};
use serde_json::json;
use side::{Side, SideSection};
use std::io::Write;
use std::path::{Path, PathBuf};
use target::{Snapshot, Target};

/// Shown below the help of `convert`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool convert --to redis-6.2 -o old.rdb dump.rdb
  rdb-tool convert --to valkey-8 -o valkey.rdb dump.rdb
  rdb-tool convert --to 10 --drop-unsupported -o v10.rdb dump.rdb
  rdb-tool convert --to 10 --expiring-fields keep -o v10.rdb dump.rdb
  rdb-tool convert --to redis-7.2 --with-module MBbloom-- -o bloom.rdb dump.rdb
  rdb-tool convert --to redis-6.2 --dry-run dump.rdb
  rdb-tool convert --to redis-7.2 --on function=drop --side ttls.aof -o old.rdb dump.rdb
  rdb-tool convert --to redis-7.2 --set-ttl shift --map-db 3=0 --rename-prefix user:=u: -o new.rdb dump.rdb
  rdb-tool convert --to aof -o appendonly.aof dump.rdb
  rdb-tool convert --to aof:redis-6.2 -o appendonly.aof dump.rdb
  rdb-tool convert --to jsonl -o - dump.rdb | gzip > keys.jsonl.gz
  rdb-tool convert --to redis-7.2 --from jsonl -o dump.rdb keys.jsonl.gz
  rdb-tool convert --to redis-7.2 --from log -o dump.rdb appendonly.aof
  rdb-tool convert --to csv --columns db,key,type,bytes -o keys.csv dump.rdb
  rdb-tool convert --to parquet --values -o keys.parquet dump.rdb
  rdb-tool convert --to aof-folder -o appendonlydir dump.rdb

Targets: redis-2.4 to redis-8.10, valkey-7.2 to valkey-9.2, redis-8 or valkey-9 for the newest of a
series, a version number (2 to 15, 80, 81), jsonl, csv, parquet (in programs built with the feature of that name), aof, or aof: and a server for a log that it can replay: aof alone uses the newest commands that the data needs.
resp is aof by another name: `redis-cli --pipe` takes it. aof-folder, or aof-folder: and a server, is the folder of a log in parts. No real file of the versions 14, 15 and 81 was at hand to confirm what is written for them.
What the target cannot hold ends the conversion with exit status 2, count and example, and nothing is written, unless a policy says otherwise.
A server refuses a snapshot with values of a module that it has not loaded. Vector sets are such values before Redis 8.0.
A log of commands carries no idle times, frequencies and consumer times, as that of a server does not.

Classes of --on: function, stream, field-expiry, key-metadata, module, module-aux, slot-import, array, producers, unowned, size,
late-expiry; silent unless told to fail: expiry-ms, idle, frequency, stream-counters, consumer-times.
Policies: fail (default), drop, degrade (field-expiry: the fields stay, and --side FILE has their expiries as commands;
key-metadata, producers, unowned: the rest of the value stays).";

/// The options of `rdb-tool convert`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArguments {
    /// What to write: a server and version, an RDB version number, jsonl, csv, parquet, resp, aof, aof:SERVER or aof-folder
    #[arg(long, value_parser = Target::parse)]
    to: Target,
    /// Where to; - is stdout
    #[arg(short, long, required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Write nothing; tell on stdout all that the target cannot hold, also what goes without a refusal
    #[arg(long)]
    dry_run: bool,
    /// The report as one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// What becomes of a class that the target cannot hold: CLASS=fail, drop or degrade, all=drop; may be repeated
    #[arg(long = "on", value_name = "CLASS=POLICY", value_parser = Rule::parse)]
    rules: Vec<Rule>,
    /// Leave out what the target cannot hold, and tell what it was; as --on all=drop
    #[arg(long)]
    drop_unsupported: bool,
    /// Hash fields that expire, where the target has no such thing; as --on field-expiry=drop or degrade
    #[arg(long, value_enum, value_name = "CHOICE")]
    expiring_fields: Option<FieldChoice>,
    /// Keep hash fields that expire, and write their expiries here as commands (HPEXPIREAT), for a later day
    #[arg(long, value_name = "FILE")]
    side: Option<PathBuf>,
    /// A module type that the target has, by the nine letters that error lines show; may be repeated
    #[arg(long = "with-module", value_name = "TYPE")]
    with_modules: Vec<String>,
    /// The columns of csv
    #[arg(long, value_enum, value_delimiter = ',', default_value = COLUMNS)]
    columns: Vec<Column>,
    /// With --to parquet: the values, too, as nested columns
    #[arg(long)]
    values: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value = "base64")]
    bytes: Bytes,
    /// Do not compress strings
    #[arg(long)]
    no_compress: bool,
    #[command(flatten)]
    amendments: Amendments,
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

/// For the one who waits.
const LABEL: &str = "converting";

/// A conversion must not carry damage on, so everything is looked into. What is only odd is put right.
pub const LOOK: Options = Options {
    duplicate_keys: true,
    ..Options::sound()
};

/// Reads, writes, and keeps the result only if it is whole.
pub fn convert(arguments: &ConvertArguments) -> Outcome {
    let path = match &arguments.output {
        Some(path) if !arguments.dry_run => path,
        _ => Path::new("/dev/null"),
    };
    let side = arguments.side.as_deref().filter(|_| !arguments.dry_run);
    for path in std::iter::once(path).chain(side) {
        Output::refuse_existing(path, arguments.force)?;
    }
    let input = arguments.reading.open(&arguments.file)?;
    let folder = match arguments.to {
        Target::Folder(_) if !arguments.dry_run => Some(Folder::create(path, PREFIX)?),
        _ => None,
    };
    let base = folder.as_ref().map(|folder| folder.part(&folder.base()));
    let done = run(
        arguments,
        &input,
        base.as_deref().unwrap_or(path),
        folder.as_ref(),
    );
    if let (Err(_), Some(folder)) = (&done, &folder) {
        folder.abandon();
    }
    done
}

fn run(
    arguments: &ConvertArguments,
    input: &Input,
    path: &Path,
    folder: Option<&Folder>,
) -> Outcome {
    if arguments.json && path == Path::new("-") {
        return Err(Failure::new(
            "--json writes its report to stdout, and -o - the data",
        ));
    }
    let mut job = Job {
        arguments,
        input,
        folder,
        policies: arguments.policies(),
        output: Output::create_whole(path, &[input])?,
        side: None,
    };
    if let (Some(path), Some(fields), false) =
        (&arguments.side, job.expiring_fields(), arguments.dry_run)
    {
        job.side = Some(Side::create(path, input, fields)?);
    }
    let losses = match arguments.to {
        Target::Lines => job.lines()?,
        Target::Commands(reader) => job.commands(reader)?,
        Target::Table => job.table()?,
        Target::Columns => job.columns()?,
        Target::Snapshot(target) | Target::Folder(target) => job.snapshot(target)?,
    };
    job.end(losses)
}

impl ConvertArguments {
    /// What all options together say of each class.
    fn policies(&self) -> Policies {
        let fields = match self.expiring_fields {
            Some(FieldChoice::Keep) => Some(Policy::Degrade),
            Some(FieldChoice::Drop) => Some(Policy::Drop),
            None => self.side.is_some().then_some(Policy::Degrade),
        };
        Policies::of(&self.rules)
            .or(Lack::FieldExpiry, fields)
            .or_all(self.drop_unsupported.then_some(Policy::Drop))
    }

    /// Which modules the target has.
    fn modules(&self) -> Vec<String> {
        let mut named = self.with_modules.clone();
        let (Target::Snapshot(target) | Target::Folder(target)) = self.to else {
            return named;
        };
        if target.has_vector_sets {
            named.push(VECTOR_SET.to_owned());
        }
        named
    }
}

/// A conversion under way.
struct Job<'a> {
    arguments: &'a ConvertArguments,
    input: &'a Input,
    folder: Option<&'a Folder>,
    policies: Policies,
    output: Output,
    side: Option<Side>,
}

impl Job<'_> {
    /// What is written in place of hash fields that expire; nothing if that was not agreed to.
    fn expiring_fields(&self) -> Option<ExpiringFields> {
        match self.policies.get(Lack::FieldExpiry) {
            Policy::Degrade => Some(ExpiringFields::Keep { now_ms: now_ms() }),
            Policy::Drop => Some(ExpiringFields::Drop),
            Policy::Fail => None,
        }
    }

    fn lines(&mut self) -> Result<Losses, Failure> {
        let lines = match self.arguments.amendments.are_none() {
            true => LineParts::new(self.arguments.bytes, self.input),
            false => LineParts::changed(self.arguments.bytes),
        };
        let (output, mut losses) = (&mut self.output, Losses::default());
        each_part(self.arguments, self.input, &lines, &mut |part| {
            lines.write(part, output, &mut losses)
        })?;
        Ok(losses)
    }

    fn table(&mut self) -> Result<Losses, Failure> {
        let output = &mut self.output;
        let rows = Rows::begin(&self.arguments.columns, output)?;
        let sections = Made {
            begin: |_| Vec::new(),
            event: |text: &mut Vec<u8>, located: &Located<'_>| {
                rows.event(&located.event, located.end - located.offset, text)
            },
        };
        each_part(self.arguments, self.input, &sections, &mut |text| {
            let written = output.write_all(&text);
            written.map_err(|error| Stop::Failed(error.into()))
        })?;
        Ok(Losses::default())
    }

    #[cfg(feature = "parquet")]
    fn columns(&mut self) -> Result<Losses, Failure> {
        let mut columns = columns::Columns::begin(&mut self.output, self.arguments.values)?;
        let (amendments, times) = (&self.arguments.amendments, FileTimes::now());
        let mut amender = amendments.begin(&times);
        let visit = &mut |_, located: &Located<'_>| match amender.event(&located.event)? {
            Some(event) => columns.event(&event, located.end - located.offset),
            None => Ok(()),
        };
        let reading = &self.arguments.reading;
        crate::snapshot::read(self.input, reading, Need::All, LOOK, LABEL, visit)?;
        let rows = columns.finish()?;
        columns::read_again(&mut self.output, rows)?;
        Ok(Losses::default())
    }

    /// Such a target has no name without the feature.
    #[cfg(not(feature = "parquet"))]
    fn columns(&mut self) -> Result<Losses, Failure> {
        let values = if self.arguments.values {
            " with values"
        } else {
            ""
        };
        Err(Failure::new(format!(
            "parquet{values} is not in this program"
        )))
    }

    fn snapshot(&mut self, target: Snapshot) -> Result<Losses, Failure> {
        let terms = Terms {
            dialect: target.dialect,
            modules: Some(self.arguments.modules()),
            compress: !self.arguments.no_compress,
            expiring_fields: self.expiring_fields(),
        };
        let mut carrier = Carrier::new(&mut self.output, &terms)?;
        let mut side = self
            .side
            .as_mut()
            .filter(|_| !target.dialect.has_field_expiry());
        let begins = (carrier.section(), side.as_deref().map(Side::section));
        let sections = Made {
            begin: |_| {
                (
                    begins.0.section(),
                    begins.1.as_ref().map(SideSection::section),
                )
            },
            event: |(carrier, side): &mut (Carrier<'_, Vec<u8>>, Option<SideSection>),
                    located: &Located<'_>| {
                if let Some(side) = side {
                    side.event(&located.event)?;
                }
                carrier.event(&located.event)
            },
        };
        each_part(self.arguments, self.input, &sections, &mut |(
            part,
            expiries,
        )| {
            if let (Some(side), Some(expiries)) = (&mut side, expiries) {
                side.append(expiries)?;
            }
            carrier.append(part)
        })?;
        let losses = carrier.finish(self.input.name())?;
        self.read_again()?;
        Ok(losses)
    }

    /// A snapshot that cannot be read is not kept. Two keys may have become one.
    fn read_again(&mut self) -> Result<(), Failure> {
        let Some(Err(error)) = read_again(&mut self.output)? else {
            return Ok(());
        };
        let key = error.key.as_deref().map(escape::quoted);
        Err(match key.filter(|_| self.arguments.amendments.may_collide()) {
            Some(key) => Failure::new(format!(
                "{}: with other names and databases, two keys become one: db {}, key {key}",
                self.input.name(),
                error.db.unwrap_or(0)
            ))
            .hint("nothing was written"),
            None => Failure::damage(self.output.name(), &error)
                .hint("what was written cannot be read again; nothing was kept of it; this is a fault of the tool, please report it"),
        })
    }

    fn commands(&mut self, reader: Release) -> Result<Losses, Failure> {
        let mut losses = Losses::default();
        let mut commands = Rewriter::new(reader);
        let modules = self.arguments.modules();
        commands.expiring_fields = self.expiring_fields();
        let output = &mut self.output;
        let mut side = self.side.as_mut().filter(|_| !reader.has_field_expiry());
        let sections = CommandParts {
            modules,
            commands: commands.section(),
            side: side.as_deref().map(Side::section),
        };
        each_part(self.arguments, self.input, &sections, &mut |part| {
            if let (Some(side), Some(expiries)) = (&mut side, part.side) {
                side.append(expiries)?;
            }
            losses.append(part.losses);
            commands.append(part.commands);
            let written = output.write_all(commands.bytes());
            commands.clear();
            written.map_err(|error| Stop::Failed(error.into()))
        })?;
        Ok(losses)
    }

    /// Keeps what was written if all losses were agreed to, and tells them.
    fn end(self, mut losses: Losses) -> Outcome {
        let (name, target) = (self.input.name(), self.arguments.to.to_string());
        let is_dry = self.arguments.dry_run;
        let report = json!({
            "file": name,
            "target": target,
            "dry_run": is_dry,
            "losses": losses.json(&self.policies),
        });
        let found = Verdict::found_if(!losses.is_empty());
        if is_dry {
            self.tell(&report)?;
            if !self.arguments.json {
                losses.plan(name, &target)?;
            }
            return Ok(found);
        }
        let refused = losses.refused(&self.policies);
        if !refused.is_empty() {
            self.tell(&report)?;
            return Err(refused.into_failure(name, &target));
        }
        self.tell(&report)?;
        if let Some(side) = self.side {
            side.finish()?;
        }
        self.output.finish()?;
        if let Some(folder) = self.folder {
            folder.finish(folder.base())?;
        }
        losses.report(name, &self.policies);
        Ok(Verdict::Fine)
    }

    fn tell(&self, report: &serde_json::Value) -> Result<(), Failure> {
        if !self.arguments.json {
            return Ok(());
        }
        let mut out = Output::stdout();
        write_pretty(&mut out, report)?;
        out.finish()
    }
}

/// Walks over all that was asked for, with its changes, section by section.
fn each_part<P: Parts>(
    arguments: &ConvertArguments,
    input: &Input,
    parts: &P,
    take: &mut dyn FnMut(P::Part) -> Visit,
) -> Result<(), Failure> {
    let (reading, amendments) = (&arguments.reading, &arguments.amendments);
    if amendments.are_none() {
        return read_parts(input, reading, Need::All, LOOK, LABEL, parts, take).map(|_| ());
    }
    let times = FileTimes::now();
    let changed = Made {
        begin: |dialect| (amendments.begin(&times), parts.begin(dialect)),
        event: |(amender, part): &mut (Amender<'_>, P::Part), located: &Located<'_>| {
            let Some(event) = amender.event(&located.event)? else {
                return Ok(());
            };
            parts.event(part, &Located { event, ..*located })
        },
    };
    let take = &mut |(_, part): (Amender<'_>, P::Part)| take(part);
    read_parts(input, reading, Need::All, LOOK, LABEL, &changed, take).map(|_| ())
}

/// Makes commands of sections; holds what begins one.
struct CommandParts {
    /// The modules that the reader has.
    modules: Vec<String>,
    commands: Rewriter,
    side: Option<SideSection>,
}

/// The commands of a section.
struct CommandPart {
    losses: Losses,
    commands: Rewriter,
    side: Option<SideSection>,
}

impl Parts for CommandParts {
    type Part = CommandPart;

    fn begin(&self, _: Dialect) -> CommandPart {
        CommandPart {
            losses: Losses::default(),
            commands: self.commands.section(),
            side: self.side.as_ref().map(SideSection::section),
        }
    }

    fn event(&self, part: &mut CommandPart, located: &Located<'_>) -> Visit {
        let event = &located.event;
        if let Some(loss) = foreign_module(&self.modules, event) {
            part.losses.add(loss, place(event));
            return Ok(());
        }
        if let Some(side) = &mut part.side {
            side.event(event)?;
        }
        let lost = part.commands.event(event).map_err(Stop::inside)?;
        if let Some((lack, needs)) = lost {
            part.losses.add(Loss::needing(lack, needs), place(event));
        }
        Ok(())
    }
}
