//! `rdb-tool diff`: which keys differ between two snapshots, which of their elements, and what makes one of the other.
//!
//! The first file becomes a table of its keys with 16 bytes per value ([`crate::canon`]); the second is read against it.
//! So both files are read once, in any form, and what is in memory is the keys of the first, not its values. Only who asks for
//! elements or commands has both read again, for the keys that differ.

mod again;
mod elements;
mod entry;
mod findings;
mod patch;
mod prefix;
mod table;

use crate::canon::Canonizer;
use crate::snapshot::Reading;
use again::{Look, Mark};
use cairn_toolkit::select::{bytes, milliseconds};
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, human, json, note};
use clap::Args;
use elements::Changes;
use entry::each_entry;
use findings::Findings;
use patch::Patch;
use prefix::Prefixes;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use table::Comparison;

/// Shown below the help of `diff`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool diff yesterday.rdb today.rdb
  rdb-tool diff --ttl-drift 5s dump.rdb redis://replica:6379
  rdb-tool diff --elements 20 --key 'user:*' yesterday.rdb today.rdb
  rdb-tool diff --patch changes.aof yesterday.rdb today.rdb
  rdb-tool diff --examples 1000 --json primary.rdb replica.rdb
  ssh replica cat /data/dump.rdb | rdb-tool diff primary.rdb -

Compares type, value and expiry of each key, also of hash fields, function libraries and what modules keep outside the keys. Order,
encoding, idle times and the times when consumers of streams were seen do not count. Exit status: 0 equal, 1 different, 2 could not be compared.
Memory: the keys of the first file and about 320 bytes for each, up to --memory; beyond, they go to temporary files. Values are not
kept. --patch takes 40 bytes more for each key that differs, and the values of such keys in a temporary file.";

/// The options of `rdb-tool diff`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiffArguments {
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    /// How many keys of each kind of difference are named
    #[arg(long, default_value_t = 10)]
    examples: usize,
    /// How many elements of each key that is named: + added, - removed, ~ changed
    #[arg(long, default_value_t = 0)]
    elements: usize,
    /// Write the commands that turn the data of A into those of B
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Replace the patch that is there
    #[arg(long, requires = "patch")]
    force: bool,
    /// Count by the part of keys up to the first separator, too
    #[arg(long, value_name = "SEPARATOR", value_parser = separator)]
    by_prefix: Option<String>,
    /// Expiries of keys that differ by no more than this are equal: 5s, 250ms
    #[arg(long, value_name = "TIME", value_parser = drift, default_value = "0s")]
    ttl_drift: u64,
    /// What the keys of the first file may take; more goes to temporary files
    #[arg(long, value_name = "SIZE", value_parser = memory, default_value = "64mb")]
    memory: u64,
    #[command(flatten)]
    reading: Reading,
    /// First snapshot: a file, - or a server, as for the other commands
    a: PathBuf,
    /// Second snapshot
    b: PathBuf,
}

fn drift(text: &str) -> Result<u64, String> {
    milliseconds(text).ok_or_else(|| "expected a time as in 5s or 250ms".to_owned())
}

fn memory(text: &str) -> Result<u64, String> {
    bytes(text).ok_or_else(|| "expected a size as in 64mb".to_owned())
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("expected what separates the parts of keys, as in :".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Compares and reports.
pub fn diff(arguments: &DiffArguments) -> Outcome {
    if arguments.a == Path::new("-") && arguments.b == Path::new("-") {
        return Err(Failure::new("both snapshots cannot come from stdin"));
    }
    let open = |path: &Path| {
        let input = arguments.reading.open(path)?;
        // What is read twice must stay.
        match arguments.looks_twice() {
            true => input.into_mapped(),
            false => Ok(input),
        }
    };
    let (a, b) = (open(&arguments.a)?, open(&arguments.b)?);
    let patch = match &arguments.patch {
        Some(path) => Some({
            Output::refuse_existing(path, arguments.force)?;
            Patch::new(Output::create(path, &[&a, &b])?)
        }),
        None => None,
    };
    let canonizer = Canonizer::new();
    let mut findings = compare(&a, &b, arguments, &canonizer)?;
    let mut elements = HashMap::new();
    if arguments.looks_twice() {
        let named = match arguments.elements {
            0 => HashSet::new(),
            _ => findings.named(),
        };
        let of_named = || named.iter().map(|hash| (*hash, Mark::Value)).collect();
        let look = Look {
            arguments,
            canonizer: &canonizer,
            marks: findings.marks.take().unwrap_or_else(of_named),
            named,
            patch,
        };
        let (found, patch) = look.run(&a, &b)?;
        elements = found;
        if let Some(patch) = patch {
            tell(patch, b.name())?;
        }
    }
    report(arguments, &findings, [a.name(), b.name()], &elements)?;
    Ok(Verdict::found_if(!findings.are_none()))
}

impl DiffArguments {
    fn looks_twice(&self) -> bool {
        self.elements > 0 || self.patch.is_some()
    }
}

fn compare(
    a: &Input,
    b: &Input,
    arguments: &DiffArguments,
    canonizer: &Canonizer,
) -> Result<Findings, Failure> {
    let reading = &arguments.reading;
    let mut findings = Findings::new(arguments.examples, arguments.ttl_drift);
    findings.prefixes = arguments.by_prefix.as_deref().map(Prefixes::new);
    findings.marks = arguments.patch.is_some().then(HashMap::new);
    let mut comparison = Comparison::new(arguments.memory);
    each_entry(a, reading, canonizer, &mut |hash, place, entry| {
        comparison.a(hash, place, entry)
    })?;
    each_entry(b, reading, canonizer, &mut |hash, place, entry| {
        comparison.b(hash, place, entry, &mut findings)
    })?;
    comparison.end(&mut findings)?;
    Ok(findings)
}

/// What a patch is, and what is not in it.
fn tell(patch: Patch, name: &str) -> Result<(), Failure> {
    let (commands, lost) = patch.finish()?;
    let commands = human::plural(commands, "command", "commands");
    note(&format!("{commands} make the data of {name}"));
    if lost > 0 {
        let values = human::plural(lost, "value", "values");
        note(&format!(
            "{values} cannot be said in commands, or not whole, and will differ"
        ));
    }
    Ok(())
}

fn report(
    arguments: &DiffArguments,
    findings: &Findings,
    names: [&str; 2],
    elements: &HashMap<u128, Changes>,
) -> Result<(), Failure> {
    let mut out = Output::stdout();
    match arguments.json {
        true => json::write_pretty(&mut out, &findings.json(names, elements))?,
        false => findings.text(&mut out, names, elements)?,
    }
    out.finish()
}
