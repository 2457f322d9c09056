//! A log whose data does not fit into memory, played in parts: the keys of one part at a time.
//!
//! Keys that some command joins (RENAME, SUNIONSTORE ...) belong to one part; all others go by their hash. Commands without keys are for every part.

use crate::keys::Keys;
use crate::log::Log;
use crate::part::{self, Look, Problem};
use crate::raw::{mapped, unwritten};
use crate::walk::{Step, Visitor, walk};
use cairn_format::aof::reader::{Item, Records};
use cairn_format::error::{Damage, FormatError};
use cairn_format::hash::hash_bytes;
use cairn_format::rdb::{Event, Options, SliceReader, WriteOptions, Writer};
use cairn_toolkit::{Failure, Input, Progress};
use std::collections::HashMap;
use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    keys: Keys,
    own: Own,
    /// What is to be played then.
    left: Vec<Share>,
}

/// Whose a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of other parts alone.
    Others,
    /// This part runs it; `tells` says whether what is to be told of it is told here, and not by another part that runs it, too.
    Own { tells: bool },
}

/// The keys of the current part.
#[derive(Clone, Default)]
struct Own {
    /// By the hash of a key that is joined with another: the next on the way to what stands for all of them.
    joined: Arc<HashMap<u64, u64>>,
    /// Keys with this remainder by this number are played.
    current: Share,
    /// What stands for its first key, that key, and whether there is another.
    first: Option<(u64, Vec<u8>)>,
    is_divisible: bool,
}

/// What is found out of a log before it is played in parts.
#[derive(Default)]
struct Looks {
    keys: Keys,
    joined: HashMap<u64, u64>,
    /// Bytes of its snapshots, and of its commands.
    snapshots: u64,
    commands: u64,
    /// It cannot be played in parts, or not to its end.
    is_one: bool,
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
        let mut looks = Looks::default();
        walk(log, "dividing", &mut looks)?;
        let memory = looks.snapshots * OF_SNAPSHOT + looks.commands * OF_COMMANDS;
        let number = memory.div_ceil(limit.max(1)).clamp(1, PARTS_MAX);
        let mut parts = Parts::of_joined(Arc::new(looks.joined));
        let shares = (0..number).map(|remainder| Share { number, remainder });
        parts.left = shares.rev().collect();
        parts.next();
        Ok(parts)
    }

    /// The two halves of a log whose commands join no keys.
    pub fn guessed_halves() -> [Parts; 2] {
        halves_of(&Arc::default())
    }

    /// The two halves of a log with these files, if it has so many bytes of commands, and both can be played at once: without what may use
    /// any key, and not with a snapshot for the most part, which each would have to read as a whole. As soon as they are not those that
    /// are guessed, `is_other` becomes true.
    pub fn halves(
        inputs: &[Input],
        least: u64,
        is_other: &AtomicBool,
    ) -> Result<Option<[Parts; 2]>, Failure> {
        let mut looks = Looks::default();
        let len: u64 = inputs.iter().filter_map(Input::len).sum();
        for input in inputs {
            looks.through(input, len, is_other)?;
        }
        let is_one = looks.is_one || looks.commands < least.max(looks.snapshots);
        is_other.fetch_or(is_one, Ordering::Relaxed);
        Ok((!is_one).then(|| halves_of(&Arc::new(looks.joined))))
    }

    fn of_joined(joined: Arc<HashMap<u64, u64>>) -> Parts {
        let mut parts = Parts::default();
        parts.own.joined = joined;
        parts
    }

    /// Goes to the next; `false` if this was the last.
    pub fn next(&mut self) -> bool {
        let next = self.left.pop();
        self.own = Own {
            joined: self.own.joined.clone(),
            current: next.unwrap_or_default(),
            ..Own::default()
        };
        next.is_some()
    }

    /// Makes two of the current part, of which the first is next; `false` if all of its keys belong together.
    pub fn divide(&mut self) -> bool {
        let Share { number, remainder } = self.own.current;
        if !self.own.is_divisible || number >= DIVIDED_MAX {
            return false;
        }
        for remainder in [remainder + number, remainder] {
            let number = number * 2;
            self.left.push(Share { number, remainder });
        }
        self.next()
    }

    /// Whether it is the first of all, which tells what is to be told once.
    pub fn is_first(&self) -> bool {
        self.own.current.remainder == 0
    }

    /// The first key of the current part that was seen.
    pub fn first_key(&self) -> &[u8] {
        self.own.first.as_ref().map_or(&[], |(_, key)| key)
    }

    /// Whether a key belongs to the part that is played.
    pub fn has(&self, key: &[u8]) -> bool {
        self.own.current.has(root(&self.own.joined, hash(key)))
    }

    /// Whether a command is for this part; `own` hears of its keys that are.
    #[inline]
    pub fn whose<'a>(&mut self, item: &Item<'a>, mut own: impl FnMut(&'a [u8])) -> Whose {
        let (mut tells, mut is_own) = (None, false);
        self.keys.each(item, |key| {
            let is = self.own.takes(key);
            tells.get_or_insert(is);
            is_own |= is;
            if is {
                own(key);
            }
        });
        match tells {
            None => Whose::Own {
                tells: self.is_first(),
            },
            Some(tells) if is_own => Whose::Own { tells },
            Some(_) => Whose::Others,
        }
    }
}

impl Own {
    /// Whether a key that is going to be played belongs to the part.
    #[inline]
    fn takes(&mut self, key: &[u8]) -> bool {
        let root = root(&self.joined, hash(key));
        if !self.current.has(root) {
            return false;
        }
        match &self.first {
            None => self.first = Some((root, key.to_vec())),
            Some((first, _)) => self.is_divisible |= *first != root,
        }
        true
    }
}

fn halves_of(joined: &Arc<HashMap<u64, u64>>) -> [Parts; 2] {
    [0, 1].map(|remainder| {
        let mut parts = Parts::of_joined(joined.clone());
        parts.own.current = Share {
            number: 2,
            remainder,
        };
        parts
    })
}

/// What stands for all that is joined with the key of this hash.
fn root(joined: &HashMap<u64, u64>, mut at: u64) -> u64 {
    if joined.is_empty() {
        return at;
    }
    while let Some(next) = joined.get(&at)
        && *next != at
    {
        at = *next;
    }
    at
}

/// What a command may use beside the keys that it names, so that it cannot be played in parts.
pub fn reaches_beyond(item: &Item<'_>) -> Option<&'static str> {
    let name = item.arg(0).unwrap_or_default();
    let is = |word: &&str| name.eq_ignore_ascii_case(word.as_bytes());
    if ["eval", "evalsha", "fcall"].iter().any(is) {
        return Some("a script, may use any key, so the log cannot be played in parts");
    }
    let is_by_others = || item.args().skip(2).any(|word| word.contains(&b'*'));
    (is(&"sort") && is_by_others())
        .then_some("SORT by other keys, may use any key, so the log cannot be played in parts")
}

fn hash(key: &[u8]) -> u64 {
    hash_bytes(key, 0)
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
            Event::Record(record) => parts.own.takes(record.head.key),
            _ => true,
        };
        if goes {
            writer.event(&located.event).map_err(failed)?;
        }
    }
    let out = writer.finish().map_err(failed)?;
    Ok((mapped(out).map_err(Problem::Failed)?, end))
}

impl Looks {
    /// Looks through one file of a log of `len` bytes. Who plays it tells what is wrong with it.
    fn through(&mut self, input: &Input, len: u64, is_other: &AtomicBool) -> Result<(), Failure> {
        let opened = part::open(input, &mut Look::Structure, &mut Progress::silent());
        let mut commands = match opened {
            Ok((preamble, commands)) => {
                self.snapshots += preamble.map_or(0, |preamble| preamble.end);
                is_other.fetch_or(self.snapshots > len / 2, Ordering::Relaxed);
                commands
            }
            Err(Problem::Failed(failure)) => return Err(failure),
            Err(Problem::Damaged(_)) => {
                self.is_one = true;
                return Ok(());
            }
        };
        loop {
            match commands.next_item() {
                Ok(Some(item)) => {
                    input.passed(item.offset);
                    if self.item(&item) {
                        is_other.store(true, Ordering::Relaxed);
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) if error.kind == Damage::Io => {
                    return Err(Failure::damage(input.name(), &error));
                }
                Err(_) => {
                    self.is_one = true;
                    return Ok(());
                }
            }
        }
    }

    /// Takes the next record; tells whether keys are not of the parts that their hashes alone say.
    #[inline]
    fn item(&mut self, item: &Item<'_>) -> bool {
        self.commands += item.raw.len() as u64;
        if item.argc() < 3 || !self.keys.may_be_many(item) {
            return false;
        }
        self.joins(item)
    }

    fn joins(&mut self, item: &Item<'_>) -> bool {
        let reaches = reaches_beyond(item).is_some();
        self.is_one |= reaches;
        if is_for_each_alone(item.arg(0).unwrap_or_default()) {
            return reaches;
        }
        let mut found = Vec::new();
        self.keys.each(item, |key| found.push(hash(key)));
        for pair in found.windows(2) {
            self.join(pair[0], pair[1]);
        }
        reaches || found.len() > 1
    }

    fn join(&mut self, a: u64, b: u64) {
        let (a, b) = (root(&self.joined, a), root(&self.joined, b));
        // The smaller stands for both, so that ways end.
        self.joined.insert(a.max(b), a.min(b));
    }
}

impl Visitor for Looks {
    fn preamble(&mut self, _: &Input, preamble: crate::part::Preamble) -> Result<(), Failure> {
        self.snapshots += preamble.end;
        Ok(())
    }

    /// It is told by who plays the log.
    fn damage(&mut self, _: &Input, _: &FormatError) {
        self.is_one = true;
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        self.item(step.item);
        Ok(())
    }
}
