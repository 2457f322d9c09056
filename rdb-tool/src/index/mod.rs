//! `rdb-tool index`: where each key of a snapshot stands, so that `get` need not read all of it.

pub mod file;

use crate::parts::{Made, read_parts};
use crate::snapshot::{Need, Reading, Visit};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Located, opcode};
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, human, note};
use clap::Args;
use file::{Bond, Entry};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Shown below the help of `index`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool index dump.rdb && rdb-tool get dump.rdb user:17
  rdb-tool index -o /tmp/dump.idx dump.rdb && rdb-tool get --index /tmp/dump.idx dump.rdb user:17

The index stands beside the snapshot, as dump.rdb.idx, where `get` looks for it. It is bound to the size, the time of change and
the checksum of the snapshot, and refused when one of them is another. 20 bytes for each key, in memory 24 while it is made.";

/// Keys that are looked for in what was written.
const SAMPLE: usize = 1000;
/// What to say when they are not found.
const ANOTHER: &str = "nothing was written; this is a fault of ours or of the disk";

/// The options of `rdb-tool index`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct IndexArguments {
    /// Where the index goes [default: beside the snapshot, with .idx behind its name]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Replace a file that is there and is no index
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, not compressed
    file: PathBuf,
}

/// Makes the index.
pub fn index(arguments: &IndexArguments) -> Outcome {
    let (reading, path) = (&arguments.reading, &arguments.file);
    let input = reading.open(path)?;
    let Some(bytes) = input.bytes().filter(|_| path.is_file() && reading.is_all()) else {
        let name = input.name();
        return Err(Failure::new(format!(
            "{name}: only all of a file that is not compressed can have an index"
        )));
    };
    let bond = Bond::of(path, bytes).map_err(|error| Failure::io(input.name(), &error))?;
    let target = arguments
        .output
        .clone()
        .unwrap_or_else(|| file::beside(path));
    refuse_other(&target, arguments.force)?;
    let mut output = Output::create(&target, &[&input])?;
    let mut entries = entries(&input, bytes, reading)?;
    output.write_all(&file::encode(bond, &mut entries))?;
    read_again(&mut output, bond, &entries)?;
    output.finish()?;
    let keys = human::plural(entries.len() as u64, "key", "keys");
    note(&format!(
        "{}: the index of {keys} is {}",
        input.name(),
        target.display()
    ));
    Ok(Verdict::Fine)
}

/// What was written must be an index in which some of the keys are found.
fn read_again(output: &mut Output, bond: Bond, entries: &[Entry]) -> Result<(), Failure> {
    let Some(input) = output.read_back()? else {
        return Ok(());
    };
    let wrong = |what: String| Failure::new(format!("{}: {what}", input.name())).hint(ANOTHER);
    let index = file::Index::decode(input.bytes().unwrap_or_default()).map_err(wrong)?;
    let sample = entries
        .iter()
        .step_by(entries.len().div_ceil(SAMPLE).max(1));
    for entry in sample {
        if !index.find(entry.hash).map_err(wrong)?.contains(entry) {
            return Err(wrong("a key cannot be found again".to_owned()));
        }
    }
    match index.bond() == bond {
        true => Ok(()),
        false => Err(wrong("the index is of another snapshot".to_owned())),
    }
}

/// An index may be replaced, anything else only if that was asked for.
fn refuse_other(target: &Path, force: bool) -> Result<(), Failure> {
    if force || !target.is_file() {
        return Ok(());
    }
    let there = Input::open(target)?;
    let bytes = there.bytes().unwrap_or_default();
    match bytes.is_empty() || file::is_index(bytes) {
        true => Ok(()),
        false => Err(
            Failure::new(format!("{}: is there, and is no index", there.name()))
                .hint("--force replaces it; nothing was changed"),
        ),
    }
}

/// The keys of a section.
#[derive(Default)]
struct Section {
    entries: Vec<Entry>,
    /// Where attributes began that an opcode parts from their key.
    apart: Option<u64>,
}

impl Section {
    fn event(&mut self, name: &str, bytes: &[u8], located: &Located<'_>) -> Visit {
        let Event::Record(record) = &located.event else {
            if starts_with_attribute(bytes, located.offset) {
                self.apart.get_or_insert(located.offset);
            }
            return Ok(());
        };
        let db = u32::try_from(record.db).map_err(|_| {
            let db = record.db;
            Failure::new(format!(
                "{name}: database {db} is beyond what an index holds"
            ))
        })?;
        self.entries.push(Entry {
            hash: file::hash(record.head.key),
            offset: self.apart.take().unwrap_or(located.offset),
            db,
        });
        Ok(())
    }
}

fn entries(input: &Input, bytes: &[u8], reading: &Reading) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let name = input.name();
    let sections = Made {
        begin: |_| Section::default(),
        event: |section: &mut Section, located: &Located<'_>| section.event(name, bytes, located),
    };
    read_parts(
        input,
        reading,
        Need::All,
        Options::shallow(),
        "indexing",
        &sections,
        &mut |section: Section| {
            entries.extend(section.entries);
            Ok(())
        },
    )?;
    Ok(entries)
}

fn starts_with_attribute(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset).ok().and_then(|at| bytes.get(at));
    let attributes = [
        opcode::EXPIRETIME,
        opcode::EXPIRETIME_MS,
        opcode::IDLE,
        opcode::FREQ,
    ];
    byte.is_some_and(|byte| attributes.contains(byte))
}
