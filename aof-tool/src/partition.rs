//! A log whose data does not fit into memory, played in parts: the keys of one part at a time.
//!
//! Keys that some command joins (RENAME, SUNIONSTORE ...) belong to one part; all others go by their hash. Commands without keys are for every part.

use crate::keys::Keys;
use crate::log::Log;
use crate::part::Problem;
use crate::raw::{mapped, unwritten};
use crate::walk::{Step, Visitor, walk};
use cairn_format::aof::reader::Item;
use cairn_format::error::FormatError;
use cairn_format::rdb::{Event, Options, SliceReader, WriteOptions, Writer};
use cairn_toolkit::{Failure, Input};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufWriter;

/// Memory that a byte of commands may take, and one of a snapshot, which is packed.
const OF_COMMANDS: u64 = 3;
const OF_SNAPSHOT: u64 = 6;
/// Most parts: each reads the log once.
const PARTS_MAX: u64 = 1024;

/// Commands of many keys that do to each what they would do to it alone.
const EACH_ALONE: [&str; 4] = ["del", "unlink", "mset", "touch"];

/// Whether a command is for each of its keys as if it came alone.
pub fn is_for_each_alone(name: &[u8]) -> bool {
    EACH_ALONE
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
}

/// Which keys belong to which part.
#[derive(Default)]
pub struct Parts {
    /// By the hash of a key that is joined with another: the next on the way to what stands for all of them.
    joined: HashMap<u64, u64>,
    keys: Keys,
    count: u64,
    current: u64,
    memory: u64,
}

impl Parts {
    /// Looks through a log for keys that belong together, and for how many parts `limit` bytes of memory ask.
    pub fn of(log: &Log, limit: u64) -> Result<Parts, Failure> {
        let mut parts = Parts::default();
        walk(log, "dividing", &mut parts)?;
        parts.count = parts.memory.div_ceil(limit.max(1)).clamp(1, PARTS_MAX);
        Ok(parts)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Goes to the next; `false` if this was the last.
    pub fn next(&mut self) -> bool {
        self.current += 1;
        self.current < self.count
    }

    /// Whether a key belongs to the part that is played.
    pub fn has(&self, key: &[u8]) -> bool {
        self.root(hash(key)) % self.count.max(1) == self.current
    }

    /// Whether a command is for this part.
    pub fn takes(&mut self, item: &Item<'_>) -> bool {
        let mut found = Vec::new();
        self.keys.each(item, |key| found.push(hash(key)));
        let part = |key: &u64| self.root(*key) % self.count.max(1);
        found.is_empty() || found.iter().any(|key| part(key) == self.current)
    }

    fn root(&self, mut at: u64) -> u64 {
        while let Some(next) = self.joined.get(&at)
            && *next != at
        {
            at = *next;
        }
        at
    }

    fn join(&mut self, a: u64, b: u64) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller stands for both, so that ways end.
        self.joined.insert(a.max(b), a.min(b));
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A snapshot with the keys of one part alone, and where the whole one ends.
pub fn own_keys(snapshot: &[u8], parts: &Parts) -> Result<(Input, u64), Problem> {
    let options = Options {
        trailing: false,
        ..Options::sound()
    };
    let spool = |error: std::io::Error| Problem::Failed(Failure::io("temporary file", &error));
    let failed = |error| Problem::Failed(unwritten(error));
    let mut reader = SliceReader::from_slice(snapshot, options).map_err(Problem::Damaged)?;
    let file = BufWriter::new(tempfile::tempfile().map_err(spool)?);
    let target = WriteOptions::new(reader.dialect());
    let mut writer = Writer::new(file, target).map_err(failed)?;
    let mut end = 0;
    while let Some(located) = reader.next().map_err(Problem::Damaged)? {
        end = located.end;
        let goes = match &located.event {
            // Hints at numbers of keys are those of the whole.
            Event::Resize { .. } | Event::SlotInfo { .. } => false,
            Event::Record(record) => parts.has(record.head.key),
            _ => true,
        };
        if goes {
            writer.event(&located.event).map_err(failed)?;
        }
    }
    let out = writer.finish().map_err(failed)?;
    Ok((mapped(out).map_err(Problem::Failed)?, end))
}

impl Visitor for Parts {
    fn preamble(&mut self, _: &Input, preamble: crate::part::Preamble) -> Result<(), Failure> {
        self.memory += preamble.end * OF_SNAPSHOT;
        Ok(())
    }

    /// It is told by who plays the log.
    fn damage(&mut self, _: &Input, _: &FormatError) {}

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let item = step.item;
        self.memory += item.raw.len() as u64 * OF_COMMANDS;
        if item.argc() < 3 || is_for_each_alone(item.arg(0).unwrap_or_default()) {
            return Ok(());
        }
        let mut found = Vec::new();
        self.keys.each(item, |key| found.push(hash(key)));
        for pair in found.windows(2) {
            self.join(pair[0], pair[1]);
        }
        Ok(())
    }
}
