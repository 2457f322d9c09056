//! How far a log is valid: what a server may load, and where to cut when the end was torn.
//!
//! ```text
//!   SET a 1 | SET b 2 | MULTI | SET c 3 | SET d        the last command is cut
//!                     ^ valid end: the transaction is not whole either
//! ```
//!
//! The valid part ends after the last whole record that belongs to no open transaction. Redis 7.2
//! cuts a log that ends within a command inside MULTI only back to that command, which leaves the
//! open MULTI in the file to swallow what is appended later; here it ends before MULTI.
//!
//! A power cut may leave zeros at the end, where the file had grown but its bytes were not written yet. Zeros behind a
//! torn command belong to the tear; zeros behind a whole one are damage of their own, which cutting cures as well.

use super::fault::Problem;
use super::reader::{Item, Records, SliceReader};
use super::record::{self, Kind};
use super::vocabulary::{Objection, judge};
use crate::error::{Damage, FormatError, Result};
use crate::text::number::parse_i64;
use crate::text::words::quote;

/// What is known about the server that a log is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// SELECT of this number or above is damage (`databases`).
    pub databases: u64,
    /// Whether commands must be known and have a fitting count of arguments.
    pub vocabulary: bool,
}

impl Default for Rules {
    /// 16 databases, as servers have by default, and known commands only.
    fn default() -> Self {
        Rules {
            databases: 16,
            vocabulary: true,
        }
    }
}

/// What a damage means for someone who wants to go on with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// The log was cut while it was written: cutting it at the valid end loses nothing more.
    Cut,
    /// The form is broken at one place: cutting at the valid end loses what follows.
    CutLoses,
    /// The form is whole, but a command is one that no server can take: cutting is the wrong cure.
    Edit,
}

/// The outcome of a check. Offsets are absolute.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// Offset behind the last record that counts.
    pub valid_end: u64,
    /// Whole commands before the valid end, MULTI and EXEC included.
    pub commands: u64,
    /// Whole transactions before the valid end.
    pub transactions: u64,
    /// Annotations before the valid end.
    pub annotations: u64,
    /// Arguments before the valid end behind which other bytes than CRLF stand, and where the first of these are. Servers do not look
    /// at them, `redis-check-aof` does.
    pub loose_ends: Option<(u64, u64)>,
    /// The first and the last timestamp annotation, in Unix seconds.
    pub timestamps: Option<(i64, i64)>,
    /// What is wrong at or behind the valid end.
    pub damage: Option<Box<FormatError>>,
    /// What to do about the damage.
    pub cure: Option<Cure>,
}

/// Checks records one by one, in order.
#[derive(Debug)]
pub struct Checker {
    rules: Rules,
    /// What was counted, also of the open transaction.
    seen: Counts,
    /// What was counted before the open transaction, or the last one.
    before: Counts,
    /// Where the first other bytes than CRLF stand behind an argument.
    first_loose: u64,
    /// Start of the open transaction.
    multi: Option<u64>,
    timestamps: Option<(i64, i64)>,
    known: Known,
}

/// Names that were found in order with their count of arguments and have no role beside being a command: logs repeat themselves.
#[derive(Debug, Default)]
pub(super) struct Known([(Vec<u8>, usize); Known::PLACES]);

impl Known {
    /// Each name has one place; another one there costs a look into the table.
    const PLACES: usize = 32;

    #[inline]
    fn place(name: &[u8], argc: usize) -> usize {
        let end = name.last().copied().unwrap_or_default();
        let first = name.first().copied().unwrap_or_default();
        let mixed = usize::from(first) * 7 + usize::from(end) * 3 + name.len() + argc * 5;
        mixed % Known::PLACES
    }

    #[inline]
    pub(super) fn has(&self, name: &[u8], argc: usize) -> bool {
        let (known, count) = &self.0[Known::place(name, argc)];
        argc == *count && name == known
    }

    pub(super) fn add(&mut self, name: &[u8], argc: usize) {
        let (known, count) = &mut self.0[Known::place(name, argc)];
        known.clear();
        known.extend_from_slice(name);
        *count = argc;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    end: u64,
    commands: u64,
    transactions: u64,
    annotations: u64,
    loose_ends: u64,
}

/// What a command means for the check.
enum Role {
    Plain,
    Multi,
    Exec,
}

impl Checker {
    /// A checker for the commands that begin at the absolute offset `start`.
    pub fn new(rules: Rules, start: u64) -> Self {
        let counts = Counts {
            end: start,
            ..Counts::default()
        };
        Checker {
            rules,
            seen: counts,
            before: counts,
            first_loose: 0,
            multi: None,
            timestamps: None,
            known: Known::default(),
        }
    }

    /// Take the next record. After an error only [`Checker::finish`] makes sense.
    #[inline]
    pub fn item(&mut self, item: &Item<'_>) -> std::result::Result<(), (Box<FormatError>, Cure)> {
        match item.kind() {
            Kind::Annotation => self.annotation(item.annotation().unwrap_or_default(), item.end()),
            Kind::Command => {
                let name = item.arg(0).unwrap_or_default();
                self.command(name, item.arg(1), item.argc(), item.offset, item.end())?;
                if item.is_loose() {
                    self.note_loose(item);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn note_loose(&mut self, item: &Item<'_>) {
        debug_assert!(item.loose_ends().next().is_some(), "all ends are CRLF");
        for at in item.loose_ends() {
            if self.seen.loose_ends == 0 {
                self.first_loose = at;
            }
            self.seen.loose_ends += 1;
        }
    }

    fn annotation(&mut self, text: &[u8], end: u64) {
        self.seen.annotations += 1;
        if let Some(second) = record::timestamp(text) {
            let first = self.timestamps.map_or(second, |(first, _)| first);
            self.timestamps = Some((first, second));
        }
        self.advance(end);
    }

    #[inline]
    fn command(
        &mut self,
        name: &[u8],
        arg: Option<&[u8]>,
        argc: usize,
        offset: u64,
        end: u64,
    ) -> std::result::Result<(), (Box<FormatError>, Cure)> {
        if !self.known.has(name, argc) {
            match self.role(name, arg, argc, offset)? {
                Role::Plain => {}
                Role::Multi => {
                    self.multi = Some(offset);
                    self.before = self.seen;
                }
                Role::Exec => {
                    debug_assert!(
                        self.seen.commands > self.before.commands,
                        "MULTI was counted"
                    );
                    self.multi = None;
                    self.seen.transactions += 1;
                }
            }
        }
        self.seen.commands += 1;
        self.advance(end);
        Ok(())
    }

    fn advance(&mut self, end: u64) {
        assert!(end > self.seen.end, "records follow each other");
        self.seen.end = end;
    }

    /// What was counted up to the valid end.
    fn valid(&self) -> Counts {
        match self.multi {
            None => self.seen,
            Some(_) => self.before,
        }
    }

    fn role(
        &mut self,
        name: &[u8],
        arg: Option<&[u8]>,
        argc: usize,
        offset: u64,
    ) -> std::result::Result<Role, (Box<FormatError>, Cure)> {
        let fail =
            |what: String, cure| Err((FormatError::new(Damage::AofFormat, offset, what), cure));
        if name.eq_ignore_ascii_case(b"multi") {
            return match self.multi {
                None => Ok(Role::Multi),
                Some(outer) => fail(
                    format!("MULTI inside the transaction that began at offset {outer}"),
                    Cure::CutLoses,
                ),
            };
        }
        if name.eq_ignore_ascii_case(b"exec") {
            return match self.multi {
                Some(_) => Ok(Role::Exec),
                None => fail("EXEC without MULTI".to_string(), Cure::CutLoses),
            };
        }
        if let Some((_, what)) = objection(name, arg, argc, self.rules) {
            return fail(what, Cure::Edit);
        }
        if name.eq_ignore_ascii_case(b"select") {
            return Ok(Role::Plain);
        }
        self.known.add(name, argc);
        Ok(Role::Plain)
    }

    /// The outcome. `failure` is the error that ended the reading, if one did.
    pub fn finish(self, failure: Option<(Box<FormatError>, Cure)>) -> Extent {
        let valid = self.valid();
        debug_assert!(valid.end <= self.seen.end && valid.commands <= self.seen.commands);
        debug_assert!(
            self.multi.is_none_or(|multi| multi >= valid.end),
            "the valid part ends before an open transaction"
        );
        debug_assert!(
            failure
                .as_ref()
                .is_none_or(|(damage, _)| damage.offset >= valid.end),
            "what is valid is not damaged"
        );
        let (mut damage, mut cure) = match failure {
            Some((damage, cure)) => (Some(damage), Some(cure)),
            None => (None, None),
        };
        if let (None, Some(multi)) = (&damage, self.multi) {
            let what = format!(
                "the log ends inside a transaction: {} commands follow MULTI, no EXEC",
                self.seen.commands - valid.commands - 1
            );
            damage = Some(FormatError::new(Damage::AofTruncated, multi, what));
            cure = Some(Cure::Cut);
        }
        Extent {
            valid_end: valid.end,
            commands: valid.commands,
            transactions: valid.transactions,
            annotations: valid.annotations,
            loose_ends: (valid.loose_ends > 0).then_some((valid.loose_ends, self.first_loose)),
            timestamps: self.timestamps,
            damage,
            cure,
        }
    }
}

/// The cure for an error of the reader.
fn cure_of(error: &FormatError) -> Option<Cure> {
    match error.kind {
        Damage::AofTruncated => Some(Cure::Cut),
        Damage::AofFormat => Some(Cure::CutLoses),
        _ => None,
    }
}

/// What stands against a command with the first argument `arg`, judged for itself; MULTI and EXEC, too.
pub(super) fn objection(
    name: &[u8],
    arg: Option<&[u8]>,
    argc: usize,
    rules: Rules,
) -> Option<(Problem, String)> {
    if rules.vocabulary
        && let Some(objection) = judge(name, argc)
    {
        return Some(objection_text(name, argc, objection));
    }
    if !name.eq_ignore_ascii_case(b"select") {
        return None;
    }
    let db = arg
        .and_then(parse_i64)
        .and_then(|db| u64::try_from(db).ok());
    db.is_none_or(|db| db >= rules.databases).then(|| {
        let found = quote(&arg.unwrap_or_default()[..arg.map_or(0, |a| a.len().min(24))]);
        let what = format!(
            "SELECT {found}: a database from 0 to {} was expected",
            rules.databases.saturating_sub(1)
        );
        (Problem::Database, what)
    })
}

fn objection_text(name: &[u8], argc: usize, objection: Objection) -> (Problem, String) {
    let name = quote(&name[..name.len().min(64)]);
    match objection {
        Objection::Unknown => (Problem::UnknownCommand, format!("unknown command {name}")),
        Objection::Arity(arity) => {
            let least = if arity < 0 { "at least " } else { "" };
            let what = format!(
                "command {name} has {argc} arguments with its name, {least}{} were expected",
                arity.unsigned_abs()
            );
            (Problem::Arity, what)
        }
    }
}

/// Check the commands of a log that lies in memory. `base` is the absolute offset of its first byte:
/// 0, or the end of the preamble.
pub fn check(log: &[u8], base: u64, rules: Rules) -> Extent {
    // Memory is always there to be read, so the second arm is for the type alone.
    check_records(&mut SliceReader::new(log, base), rules, |_| ()).unwrap_or_else(|error| Extent {
        damage: Some(error),
        ..Extent::default()
    })
}

/// Check the commands that a reader gives, telling `progress` the absolute offset of each record.
///
/// # Errors
/// Only if reading fails; damage is part of the outcome.
pub fn check_records(
    reader: &mut impl Records,
    rules: Rules,
    mut progress: impl FnMut(u64),
) -> Result<Extent> {
    let mut checker = Checker::new(rules, reader.offset());
    let failure = loop {
        progress(reader.offset());
        match reader.next_item() {
            Ok(Some(item)) => {
                if let Err(failure) = checker.item(&item) {
                    break Some(failure);
                }
            }
            Ok(None) => break None,
            Err(error) => match cure_of(&error) {
                Some(_) if reader.ends_in_zeros() => break Some((error, Cure::Cut)),
                Some(cure) => break Some((error, cure)),
                None => return Err(error),
            },
        }
    };
    Ok(checker.finish(failure))
}
