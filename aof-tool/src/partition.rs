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

/// Memory that a byte of commands takes, about, and one of a snapshot, which is packed: a part that takes more is divided.
const OF_COMMANDS: u64 = 1;
const OF_SNAPSHOT: u64 = 3;
/// Most parts: each reads the log once.
const PARTS_MAX: u64 = 1024;
/// A part of so many is not divided further.
const DIVIDED_MAX: u64 = 1 << 20;

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
    /// Keys with this remainder by this number are played.
    current: Share,
    /// What is to be played then.
    left: Vec<Share>,
    /// Of the current part: what stands for its first key, that key, and whether there is another.
    first: Option<(u64, Vec<u8>)>,
    is_divisible: bool,
    memory: u64,
}

/// A part of all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    number: u64,
    remainder: u64,
}

impl Default for Share {
    fn default() -> Share {
        Share {
            number: 1,
            remainder: 0,
        }
    }
}

impl Share {
    fn has(self, root: u64) -> bool {
        root % self.number == self.remainder
    }
}

impl Parts {
    /// Looks through a log for keys that belong together, and for how many parts `limit` bytes of memory ask.
    pub fn of(log: &Log, limit: u64) -> Result<Parts, Failure> {
        let mut parts = Parts::default();
        walk(log, "dividing", &mut parts)?;
        let number = parts.memory.div_ceil(limit.max(1)).clamp(1, PARTS_MAX);
        let shares = (0..number).map(|remainder| Share { number, remainder });
        parts.left = shares.rev().collect();
        parts.next();
        Ok(parts)
    }

    /// Goes to the next; `false` if this was the last.
    pub fn next(&mut self) -> bool {
        (self.first, self.is_divisible) = (None, false);
        let next = self.left.pop();
        self.current = next.unwrap_or_default();
        next.is_some()
    }

    /// Makes two of the current part, of which the first is next; `false` if all of its keys belong together.
    pub fn divide(&mut self) -> bool {
        let Share { number, remainder } = self.current;
        if !self.is_divisible || number >= DIVIDED_MAX {
            return false;
        }
        for remainder in [remainder + number, remainder] {
            let number = number * 2;
            self.left.push(Share { number, remainder });
        }
        self.next()
    }

    /// The first key of the current part that was seen.
    pub fn first_key(&self) -> &[u8] {
        self.first.as_ref().map_or(&[], |(_, key)| key)
    }

    /// Whether a key belongs to the part that is played.
    pub fn has(&self, key: &[u8]) -> bool {
        self.current.has(self.root(hash(key)))
    }

    /// The same, of a key that is going to be played.
    fn takes_key(&mut self, key: &[u8]) -> bool {
        let root = self.root(hash(key));
        if !self.current.has(root) {
            return false;
        }
        match &self.first {
            None => self.first = Some((root, key.to_vec())),
            Some((first, _)) => self.is_divisible |= *first != root,
        }
        true
    }

    /// Whether a command is for this part.
    pub fn takes(&mut self, item: &Item<'_>) -> bool {
        let mut found = Vec::new();
        self.keys.each(item, |key| found.push(key.to_vec()));
        found.is_empty() || found.iter().fold(false, |is, key| self.takes_key(key) | is)
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
pub fn own_keys(snapshot: &[u8], parts: &mut Parts) -> Result<(Input, u64), Problem> {
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
            Event::Record(record) => parts.takes_key(record.head.key),
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
