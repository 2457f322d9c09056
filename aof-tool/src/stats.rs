//! `aof-tool stats`: what a log is made of, and what a rewrite would save.

use crate::keys::{Keys, NO_TIMES};
use crate::log::Log;
use crate::part::Preamble;
use crate::rewrite;
use crate::walk::{Step, Visitor, walk};
use cairn_toolkit::human::{self, count, plural, share};
use cairn_toolkit::json::{self, Bytes};
use cairn_toolkit::prefix::{self, Tree};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Input, Outcome, Output, Selection, Table, Verdict, quoted};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool stats`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool stats appendonlydir
  aof-tool stats --rewrite appendonlydir
  aof-tool stats --prefix / --depth 3 --top 50 --json appendonly.aof | jq .prefixes
  aof-tool stats --key 'session:*' --not-type stream appendonly.aof

Bytes are those of commands in the log. Hours need the annotations of aof-timestamp-enabled. A command counts for the prefixes of each of its keys; of
prefixes 65,536 are kept. --rewrite runs the log in memory; all else takes little.

Exit status: 0 counted, 1 the log is damaged (what comes before was counted), 2 it could not be read.")]
pub struct StatsArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// How many prefixes below one are listed, and how many hours
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: usize,
    /// Keys come apart behind each of these separators
    #[arg(long, default_value = ":", value_name = "SEPARATOR", value_parser = separator)]
    prefix: String,
    /// How many levels of prefixes; each costs time
    #[arg(long, default_value_t = 1, value_name = "N")]
    depth: usize,
    /// Run the log, and say what a rewrite would save
    #[arg(long)]
    rewrite: bool,
    #[command(flatten)]
    selection: Selection,
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the empty separator stands everywhere".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Count and report.
pub fn run(arguments: &StatsArguments) -> Outcome {
    if arguments.selection.asks_for_time() {
        return Err(Failure::new(NO_TIMES));
    }
    if arguments.rewrite && arguments.path == Path::new("-") {
        return Err(Failure::new(
            "--rewrite reads the log twice, and stdin can be read once",
        ));
    }
    let log = Log::find(&arguments.path)?;
    let mut stats = Stats::new(arguments);
    let found = walk(&log, "counting", &mut stats)?;
    let rewritten = match arguments.rewrite && !found {
        true => Some(rewrite::measure(&Log::find_sound(&arguments.path)?)?),
        false => None,
    };
    let mut out = Output::stdout();
    let name = arguments.path.display().to_string();
    match arguments.json {
        true => json::write_pretty(&mut out, &stats.json(&name, arguments.top, rewritten))?,
        false => stats.text(&mut out, &name, arguments.top, rewritten)?,
    }
    out.finish()?;
    Ok(Verdict::found_if(found))
}

/// Commands and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    commands: u64,
    bytes: u64,
}

impl Uses {
    fn add(&mut self, bytes: u64) {
        self.commands += 1;
        self.bytes += bytes;
    }

    fn json(self) -> Value {
        json!({ "commands": self.commands, "bytes": self.bytes })
    }
}

const HOUR: i64 = 3600;

struct Stats<'a> {
    selection: &'a Selection,
    keys: Keys,
    total: Uses,
    /// All bytes of the files, with snapshots and annotations.
    bytes: u64,
    files: u64,
    snapshot_keys: u64,
    commands: Vec<(Vec<u8>, Uses)>,
    /// Where the last command counts.
    last: usize,
    databases: BTreeMap<u64, Uses>,
    /// By the hour's first second; commands before any timestamp have none.
    hours: BTreeMap<Option<i64>, Uses>,
    /// What is not yet among the databases and hours, and where it belongs.
    run: (u64, Option<i64>, Uses),
    prefixes: Tree,
}

/// Longest name of a command that counts for itself; with more or others it is damage, or of a module.
const NAME_MAX: usize = 64;
/// Names of commands that are counted apart.
const NAMES_MAX: usize = 4096;

impl Visitor for Stats<'_> {
    fn file(&mut self, _: Option<&str>) {
        self.files += 1;
    }

    fn preamble(&mut self, _: &Input, preamble: Preamble) -> Result<(), Failure> {
        self.snapshot_keys += preamble.keys;
        self.bytes += preamble.end;
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let bytes = step.item.raw.len() as u64;
        self.bytes += bytes;
        let Some(name) = step.item.arg(0) else {
            return Ok(());
        };
        if !self.selection.is_all() && !self.keys.are_taken(step, self.selection) {
            return Ok(());
        }
        self.total.add(bytes);
        let hour = step.second.map(|second| second - second.rem_euclid(HOUR));
        if (self.run.0, self.run.1) != (step.db, hour) {
            self.end_run();
            (self.run.0, self.run.1) = (step.db, hour);
        }
        self.run.2.add(bytes);
        self.command(name).add(bytes);
        let (keys, prefixes) = (&mut self.keys, &mut self.prefixes);
        keys.each(step.item, |key| {
            prefixes.add(
                key,
                prefix::Count {
                    keys: 1,
                    bytes,
                    ..prefix::Count::default()
                },
            );
        });
        Ok(())
    }
}

impl<'a> Stats<'a> {
    fn new(arguments: &'a StatsArguments) -> Stats<'a> {
        Stats {
            selection: &arguments.selection,
            keys: Keys::default(),
            total: Uses::default(),
            bytes: 0,
            files: 0,
            snapshot_keys: 0,
            commands: vec![(b"SELECT".to_vec(), Uses::default())],
            last: 0,
            databases: BTreeMap::new(),
            hours: BTreeMap::new(),
            run: (0, None, Uses::default()),
            prefixes: Tree::new(arguments.prefix.as_bytes()).no_deeper_than(arguments.depth),
        }
    }

    #[inline]
    fn command(&mut self, name: &[u8]) -> &mut Uses {
        if !self.commands[self.last].0.eq_ignore_ascii_case(name) {
            self.last = self.place_of(&name[..name.len().min(NAME_MAX)]);
        }
        &mut self.commands[self.last].1
    }

    /// A log has few names, so they are looked through.
    fn place_of(&mut self, name: &[u8]) -> usize {
        let known = |(other, _): &(Vec<u8>, Uses)| other.eq_ignore_ascii_case(name);
        match self.commands.iter().position(known) {
            Some(at) => at,
            None if self.commands.len() >= NAMES_MAX => self.place_of(b"(others)"),
            None => {
                self.commands
                    .push((name.to_ascii_uppercase(), Uses::default()));
                self.commands.len() - 1
            }
        }
    }

    fn end_run(&mut self) {
        let (db, hour, uses) = std::mem::take(&mut self.run);
        if uses.commands > 0 {
            for counted in [
                self.databases.entry(db).or_default(),
                self.hours.entry(hour).or_default(),
            ] {
                counted.commands += uses.commands;
                counted.bytes += uses.bytes;
            }
        }
    }

    /// The commands that there are, those with most bytes first.
    fn sorted(&mut self) -> Vec<(String, Uses)> {
        self.end_run();
        let used = self.commands.iter().filter(|(_, uses)| uses.commands > 0);
        let mut commands: Vec<_> = used
            .map(|(name, uses)| (name.escape_ascii().to_string(), *uses))
            .collect();
        commands.sort_by(|a, b| (b.1.bytes, &a.0).cmp(&(a.1.bytes, &b.0)));
        commands
    }

    fn json(&mut self, name: &str, top: usize, rewritten: Option<(u64, u64)>) -> Value {
        let commands: serde_json::Map<_, _> = self
            .sorted()
            .into_iter()
            .map(|(name, uses)| (name, uses.json()))
            .collect();
        let databases: serde_json::Map<_, _> = self
            .databases
            .iter()
            .map(|(db, uses)| (db.to_string(), uses.json()))
            .collect();
        let hours = self.hours.iter().map(
            |(hour, uses)| json!({ "hour": hour, "commands": uses.commands, "bytes": uses.bytes }),
        );
        let prefixes = self.prefixes.listed(top).into_iter().map(|found| {
            json!({
                "prefix": Bytes::Text.value(&found.prefix),
                "depth": found.depth,
                "uses": found.count.keys,
                "bytes": found.count.bytes,
                "bytes_missed": found.missed,
            })
        });
        json!({
            "log": name,
            "files": self.files,
            "bytes": self.bytes,
            "snapshot_keys": self.snapshot_keys,
            "total": self.total.json(),
            "commands": commands,
            "databases": databases,
            "hours": hours.collect::<Vec<_>>(),
            "prefixes": prefixes.collect::<Vec<_>>(),
            "rewrite": rewritten.map(|(bytes, keys)| json!({
                "keys": keys, "bytes": bytes, "saves": self.bytes.saturating_sub(bytes),
            })),
        })
    }

    fn text(
        &mut self,
        out: &mut Output,
        name: &str,
        top: usize,
        rewritten: Option<(u64, u64)>,
    ) -> Result<(), Failure> {
        let commands = self.sorted();
        writeln!(
            out,
            "{name}: {} in {}, {}, {} in snapshots",
            plural(self.total.commands, "command", "commands"),
            plural(self.files, "file", "files"),
            human::bytes(self.bytes),
            plural(self.snapshot_keys, "key", "keys"),
        )?;
        if let Some((bytes, keys)) = rewritten {
            writeln!(
                out,
                "a rewrite would write {} of {}, and save {} ({})",
                plural(keys, "key", "keys"),
                human::bytes(bytes),
                human::bytes(self.bytes.saturating_sub(bytes)),
                share(self.bytes.saturating_sub(bytes), self.bytes),
            )?;
        }
        let whole = self.total.bytes;
        let row = |name: String, uses: Uses| {
            let bytes = count(uses.bytes);
            vec![name, count(uses.commands), bytes, share(uses.bytes, whole)]
        };
        let rows = commands.into_iter().map(|(name, uses)| row(name, uses));
        section(out, "command", "commands", rows.collect())?;
        let of_db = |(db, uses): (&u64, &Uses)| row(format!("db {db}"), *uses);
        section(
            out,
            "database",
            "commands",
            self.databases.iter().map(of_db).collect(),
        )?;
        if self.hours.keys().any(Option::is_some) {
            let last = self.hours.iter().rev().take(top).rev();
            let rows = last.map(|(hour, uses)| row(hour_text(*hour), *uses));
            section(out, "hour (UTC)", "commands", rows.collect())?;
        }
        let prefixes = self.prefixes.listed(top).into_iter().map(|found| {
            let indent = "  ".repeat(found.depth - 1);
            let uses = Uses {
                commands: found.count.keys,
                bytes: found.count.bytes,
            };
            row(format!("{indent}{}", quoted(&found.prefix)), uses)
        });
        section(out, "prefix", "uses", prefixes.collect())?;
        if self.prefixes.missed() > 0 {
            let missed = human::bytes(self.prefixes.missed());
            writeln!(
                out,
                "there are more prefixes than room: each may have {missed} uncounted"
            )?;
        }
        Ok(())
    }
}

fn section(
    out: &mut Output,
    what: &str,
    number: &str,
    rows: Vec<Vec<String>>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        (what, Side::Left),
        (number, Side::Right),
        ("bytes", Side::Right),
        ("", Side::Right),
    ]);
    rows.into_iter().for_each(|row| table.row(row));
    writeln!(out)?;
    Ok(table.write_to(out, 0)?)
}

/// `2026-11-28 17:00`; commands without a time have none.
fn hour_text(hour: Option<i64>) -> String {
    let Some(second) = hour else {
        return "before any timestamp".to_owned();
    };
    let (days, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02} {:02}:00", second / HOUR)
}

/// The date of a day counted from 1970, in the Gregorian calendar: years begin in March, so that a leap day ends one.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_dates() {
        for (second, text) in [
            (0, "1970-01-01 00:00"),
            (951_786_000, "2000-02-29 01:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_795_392_000, "2026-11-23 00:00"),
            (-3600, "1969-12-31 23:00"),
        ] {
            assert_eq!(hour_text(Some(second)), text);
        }
    }
}
