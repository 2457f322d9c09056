//! A sound file of what is left of a damaged one.
//!
//! ```text
//!   the checksum tells which byte changed    all of it, with that byte as it was; the checksum proves it
//!   it does not                              every record that can be read, byte for byte, on both sides of the damage
//! ```
//!
//! Nothing is invented: a record is kept as it stands or goes to the quarantine. A key that can be read, but whose end is in doubt
//! because what follows it cannot be read and may have belonged to it, goes there, too, and so does a key's second value.

mod quarantine;
pub mod report;

use super::again::read_again;
use super::behind::{Behind, Looks};
use super::examine::{Examination, Piece, What, Witness, examine, examine_headless, fault_of};
use crate::kind::{FileKind, KIND_BYTES};
use crate::{Failure, Input, Output};
use cairn_format::aof::extent::Rules;
use cairn_format::aof::survey::survey;
use cairn_format::crc64::{Crc64, Fault};
use cairn_format::error::{Damage, FormatError, Severity};
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::{Dialect, Event, opcode, write_len};
use quarantine::Quarantine;
use report::Report;
use std::collections::HashSet;
use std::hash::RandomState;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// What the commands of a server begin with, and what may stand before.
const SELECT: &[u8] = b"*2\r\n$6\r\nSELECT\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// So many good commands are no accident.
const COMMANDS_MIN: u64 = 3;
/// Databases that a SELECT may name.
const DATABASES: u64 = 1 << 14;
/// Bytes of neighbouring pieces that are written at once.
const PENDING_MAX: usize = 1 << 20;

/// How a file is saved.
pub struct Order<'a> {
    /// Opens the output; anew, if the first way does not lead to a sound file.
    pub create: &'a dyn Fn() -> Result<Output, Failure>,
    /// What was not kept goes there, one JSON object a line.
    pub quarantine: Option<&'a Path>,
    /// What the file is taken for if its head cannot be read.
    pub dialect: Dialect,
}

/// What was saved, not yet lasting.
#[derive(Debug)]
pub struct Saved {
    /// Counts and gaps.
    pub report: Report,
    /// The sound file.
    pub output: Output,
    quarantine: Quarantine,
}

impl Saved {
    /// Makes it lasting.
    ///
    /// # Errors
    /// Those of the files.
    pub fn finish(self) -> Result<Report, Failure> {
        self.output.finish()?;
        self.quarantine.finish()?;
        Ok(self.report)
    }
}

/// Saves what can be saved of a mapped file.
///
/// # Errors
/// Nothing can be read as a record, the file is something else than a snapshot, or files fail.
pub fn salvage(input: &Input, order: &Order<'_>) -> Result<Saved, Failure> {
    let bytes = input.bytes().unwrap_or_default();
    match put_right(input, bytes, order)? {
        Some(saved) => Ok(saved),
        None => {
            let seed = RandomState::new();
            let (saved, repeated) = keep_what_is_left(input, bytes, order, &seed, HashSet::new())?;
            if repeated.is_empty() {
                return Ok(saved);
            }
            // Known beforehand, they are few to be kept in mind.
            drop(saved);
            keep_what_is_left(input, bytes, order, &seed, repeated).map(|(saved, _)| saved)
        }
    }
}

/// The file with one or two bytes as they were, if the checksum tells which and the file can then be read.
fn put_right(input: &Input, bytes: &[u8], order: &Order<'_>) -> Result<Option<Saved>, Failure> {
    let Some(fault) = fault_of(input, bytes.len() as u64) else {
        return Ok(None);
    };
    let mut output = (order.create)()?;
    let at = usize::try_from(fault.at)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let (before, rest) = bytes.split_at(at);
    let (changed, behind) = rest.split_at(rest.len().min(fault.mask.len()));
    write_passing(&mut output, input, before, 0)?;
    for (byte, mask) in changed.iter().zip(fault.mask) {
        output.write_all(&[byte ^ mask])?;
    }
    write_passing(&mut output, input, behind, at + changed.len())?;
    let Some(keys) = read_back(&mut output)? else {
        return Ok(None);
    };
    let mut quarantine = Quarantine::create(order.quarantine, input)?;
    let end = fault.at + changed.len() as u64;
    quarantine.fault(fault.at, end, changed)?;
    Ok(Some(Saved {
        report: Report::repaired(keys, fault_text(bytes, fault), fault),
        output,
        quarantine,
    }))
}

/// Writes a part of an input that begins at this place, and lets go of it.
fn write_passing(
    output: &mut Output,
    input: &Input,
    part: &[u8],
    mut at: usize,
) -> Result<(), Failure> {
    for piece in part.chunks(PENDING_MAX) {
        output.write_all(piece)?;
        at += piece.len();
        input.passed(at as u64);
    }
    Ok(())
}

/// What a fault is, for a person.
pub fn fault_text(bytes: &[u8], fault: Fault) -> String {
    let at = usize::try_from(fault.at).unwrap_or(usize::MAX);
    let byte = |place: usize| bytes.get(at.saturating_add(place)).copied().unwrap_or(0);
    let (is, was) = (byte(0), byte(0) ^ fault.mask[0]);
    let offset = fault.at;
    match fault.mask[1] {
        0 => format!(
            "by the checksum, one byte changed: at offset {offset} ({offset:#x}) is {is:#04x} and was {was:#04x}"
        ),
        mask => {
            let (second, was_second) = (byte(1), byte(1) ^ mask);
            format!(
                "by the checksum, two bytes changed: at offset {offset} ({offset:#x}) are {is:#04x} {second:#04x} and were {was:#04x} {was_second:#04x}"
            )
        }
    }
}

/// How many keys a written file has; `None` if it is not sound. An output that cannot be read again is believed.
fn read_back(output: &mut Output) -> Result<Option<u64>, Failure> {
    let again = read_again(output)?;
    Ok(again.map_or(Some(0), |read| read.ok().map(|sound| sound.records)))
}

/// Every record that can be read.
fn keep_what_is_left(
    input: &Input,
    bytes: &[u8],
    order: &Order<'_>,
    seed: &RandomState,
    repeated: HashSet<u64>,
) -> Result<(Saved, HashSet<u64>), Failure> {
    let output = (order.create)()?;
    let quarantine = Quarantine::create(order.quarantine, input)?;
    let head = SliceReader::from_slice(bytes, Options::shallow());
    let dialect = head.as_ref().map_or(order.dialect, SliceReader::dialect);
    let mut rescue = Rescue::new(bytes, output, quarantine, dialect)?;
    rescue.repeated = repeated;
    let found = match head {
        Ok(_) => examine(input, Options::deep(), "salvaging", seed, &mut rescue)
            .map_err(|error| Failure::damage(input.name(), &error))?,
        Err(error) => {
            // What is no damaged snapshot but something else is told what it is.
            let kind = FileKind::of(&bytes[..bytes.len().min(KIND_BYTES)]);
            if kind.is_another() {
                return Err(kind.refusal(input.name(), &error.what));
            }
            rescue.report.head_lost = Some(dialect);
            examine_headless(input, error, dialect, "salvaging", seed, &mut rescue)
        }
    };
    let is_nothing = bytes.is_empty() || found.lost > 0;
    if rescue.report.keys == 0 && rescue.report.others == 0 && is_nothing {
        let name = input.name();
        let failure = Failure::new(format!("{name}: nothing in it can be read as a record"));
        return Err(match bytes.is_empty() {
            true => failure.hint("the file is empty; nothing was written"),
            false => failure.hint(
                "nothing was written; --as VERSION says what the file is, if its head is lost",
            ),
        });
    }
    let repeated = match rescue.repeated.is_empty() {
        true => found.repeated.clone(),
        false => HashSet::new(),
    };
    if !repeated.is_empty() {
        rescue.is_draft = true;
    }
    Ok((rescue.finish(&found)?, repeated))
}

/// Where a piece stands.
fn place(piece: &Piece) -> Range<usize> {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    place(piece.from)..place(piece.to)
}

/// Writes what is handed out.
struct Rescue<'a> {
    bytes: &'a [u8],
    /// For looking at keys again.
    reader: SliceReader<'a>,
    output: Output,
    quarantine: Quarantine,
    crc: Crc64,
    db: Option<u64>,
    /// Hashes of keys that occur twice, as far as that is known, and those of them that came.
    repeated: HashSet<u64>,
    came: HashSet<u64>,
    /// It is going to be done once more.
    is_draft: bool,
    /// What is to be written next, as long as it stands together in the file.
    pending: Range<usize>,
    report: Report,
    failure: Option<Failure>,
}

impl<'a> Rescue<'a> {
    fn new(
        bytes: &'a [u8],
        output: Output,
        quarantine: Quarantine,
        dialect: Dialect,
    ) -> Result<Self, Failure> {
        let options = Options {
            checksum: false,
            ..Options::shallow()
        };
        let mut rescue = Rescue {
            bytes,
            reader: SliceReader::headless(bytes, 0, dialect, options),
            output,
            quarantine,
            crc: Crc64::new(),
            db: None,
            repeated: HashSet::new(),
            came: HashSet::new(),
            is_draft: false,
            pending: 0..0,
            report: Report::default(),
            failure: None,
        };
        rescue.put(&dialect.magic())?;
        Ok(rescue)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.put_pending()?;
        self.crc.update(bytes);
        self.output.write_all(bytes)?;
        Ok(())
    }

    /// Writes a piece as it stands in the file, at the latest when something else follows.
    fn put_piece(&mut self, piece: &Piece) -> Result<(), Failure> {
        let place = place(piece);
        if self.pending.end == place.start && self.pending.len() < PENDING_MAX {
            self.pending.end = place.end;
            return Ok(());
        }
        self.put_pending()?;
        self.pending = place;
        Ok(())
    }

    fn put_pending(&mut self) -> Result<(), Failure> {
        let bytes = self.bytes;
        let pending = std::mem::take(&mut self.pending);
        let raw = bytes.get(pending).unwrap_or_default();
        self.crc.update(raw);
        self.output.write_all(raw)?;
        Ok(())
    }

    fn raw(&self, piece: &Piece) -> &'a [u8] {
        self.bytes.get(place(piece)).unwrap_or_default()
    }

    fn take(&mut self, piece: &Piece) -> Result<(), Failure> {
        match &piece.what {
            What::Key { hash } => self.key(piece, *hash),
            What::Other(byte) => self.other(piece, *byte),
            What::Damaged(error) => {
                self.report.damaged += 1;
                self.leave(piece, error)
            }
            What::Doubtful(error) => {
                self.report.doubtful += 1;
                self.leave(piece, error)
            }
            What::Gap(error) => {
                self.report.gap(piece.from, piece.to);
                self.leave(piece, error)
            }
        }
    }

    fn leave(&mut self, piece: &Piece, error: &FormatError) -> Result<(), Failure> {
        let raw = self.raw(piece);
        self.quarantine.add(piece, error, raw)
    }

    fn key(&mut self, piece: &Piece, hash: u64) -> Result<(), Failure> {
        if self.repeated.contains(&hash) && !self.came.insert(hash) {
            self.report.repeated += 1;
            let what = "the key came before; the value that stands first is kept";
            let error = FormatError::new(cairn_format::error::Damage::Encoding, piece.from, what);
            let error = error.called("duplicate-key").at_key(&self.key_of(piece));
            return self.leave(piece, &error.in_db(piece.db));
        }
        if self.db != Some(piece.db) {
            let mut select = vec![opcode::SELECTDB];
            write_len(&mut select, piece.db);
            self.put(&select)?;
            self.db = Some(piece.db);
        }
        self.report.keys += 1;
        self.put_piece(piece)
    }

    fn key_of(&mut self, piece: &Piece) -> Vec<u8> {
        self.reader.go_to(piece.from, piece.db);
        match self.reader.next() {
            Ok(Some(located)) => match located.event {
                Event::Record(record) => record.head.key.to_vec(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Facts and libraries are kept. Hints at numbers of keys would be wrong, and databases are named where keys need it.
    fn other(&mut self, piece: &Piece, byte: u8) -> Result<(), Failure> {
        match byte {
            opcode::SELECTDB | opcode::RESIZEDB | opcode::SLOT_INFO => Ok(()),
            // Attributes of the next key with something between them and it, which may be a database.
            opcode::EXPIRETIME | opcode::EXPIRETIME_MS | opcode::IDLE | opcode::FREQ => {
                self.db = Some(piece.db);
                self.put_piece(piece)
            }
            _ => {
                self.report.others += u64::from(byte != opcode::AUX);
                self.put_piece(piece)
            }
        }
    }

    fn finish(mut self, found: &Examination) -> Result<Saved, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.put(&[opcode::EOF])?;
        if found.dialect.has_checksum() {
            let sum = self.crc.value().to_le_bytes();
            self.output.write_all(&sum)?;
        }
        let commands = self.commands(found)?;
        self.output.write_all(commands)?;
        self.report.commands = commands.len() as u64;
        let keys = match self.is_draft {
            true => Some(0),
            false => read_back(&mut self.output)?,
        };
        if keys.is_none_or(|keys| keys > 0 && keys != self.report.keys) {
            return Err(Failure::new(format!(
                "{}: what was written cannot be read again as it should",
                self.output.name()
            ))
            .hint("nothing was kept of it; this is a fault of the tool, please report it"));
        }
        self.report.promised = found.promised;
        Ok(Saved {
            report: self.report,
            output: self.output,
            quarantine: self.quarantine,
        })
    }

    /// The commands of a log behind the snapshot, as they stand. If its end is lost, they begin somewhere in what cannot be read.
    fn commands(&self, found: &Examination) -> Result<&'a [u8], Failure> {
        let from = match found.checksum {
            Some(_) => found.end,
            None => self.report.last_gap().unwrap_or(found.end),
        };
        let rest = usize::try_from(from).ok();
        let rest = rest.and_then(|from| self.bytes.get(from..));
        let rest = rest.unwrap_or_default();
        if found.checksum.is_none() {
            return Ok(commands_in(rest).map_or(&[], |at| &rest[at..]));
        }
        let behind = Behind::look(rest, from)?;
        let are_commands = behind.is_some_and(|behind| behind.looks == Looks::Commands);
        Ok(if are_commands { rest } else { &[] })
    }
}

/// Where the commands of a log begin in bytes that are no snapshot: at a SELECT, with the MULTI before it, which good commands follow. Without
/// one it would not be known to which database they belong.
fn commands_in(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.windows(SELECT.len()).enumerate();
    let mut starts = starts.filter(|(_, window)| *window == SELECT);
    let (at, _) = starts.next()?;
    let begin = match bytes[..at].ends_with(MULTI) {
        true => at - MULTI.len(),
        false => at,
    };
    let rules = Rules {
        databases: DATABASES,
        vocabulary: true,
    };
    let survey = survey(&bytes[begin..], 0, rules, |_| {});
    let is_good = survey.dropped.first().is_none_or(|range| range.start > 0);
    (is_good && survey.kept >= COMMANDS_MIN).then_some(begin)
}

impl Witness for Rescue<'_> {
    /// It was looked for before.
    fn asks_for_fault(&self) -> bool {
        false
    }

    fn finding(&mut self, error: Box<FormatError>) {
        self.report.checksum_wrong |= error.kind == Damage::Checksum;
        match error.severity {
            Severity::Odd => self.report.odd += 1,
            _ => self.report.findings += 1,
        }
    }

    fn piece(&mut self, piece: &Piece) {
        if self.failure.is_none()
            && let Err(failure) = self.take(piece)
        {
            self.failure = Some(failure);
        }
    }
}
