//! All that is wrong with the commands of a log, and what is left of it without that.
//!
//! ```text
//!   SET a 1 | S?T b 2 | MULTI | SET c 3 | INC? d | EXEC | SET e 5
//!             dropped   dropped as one: half a transaction       kept
//! ```
//!
//! Behind damage the next record is found by what stands there: three commands one behind the other, each known with this count of
//! arguments, or fewer up to the log's end. Nothing is rebuilt: what is kept are records byte by byte as they stood. So the rules say what is
//! dropped beside the damage itself:
//!
//! | what | why |
//! |---|---|
//! | the command before a `$` where a record was expected | its count of arguments shrank, and it would be another command |
//! | the command before other damage, if the head of a record is within an argument | its length grew |
//! | a transaction with damage between MULTI and EXEC | half of it never was the data |
//! | what stands between damage and an EXEC without MULTI | the MULTI is lost |
//! | records behind damage that end before CRLF and a record | they were a log within a value |
//! | what follows a damaged SELECT, up to the next | it would land in another database |
//!
//! A MULTI inside a transaction and an EXEC outside go alone: servers answer them with an error and go on.

use super::extent::{Known, Rules, objection};
use super::fault::{Fault, Problem};
use super::record::{self, Failure, Kind};
use super::vocabulary::arity;
use crate::error::{Damage, FormatError};
use crate::text::number::parse_i64;
use std::ops::Range;

/// Records that must stand one behind the other where the log is taken up again.
const CHAIN: usize = 3;
/// Faults that are kept; those beyond are counted.
const FAULTS_MAX: usize = 10_000;
/// For each byte of a log so much work may go into the search for good records: it ends in linear time whatever the bytes are.
const WORK_PER_BYTE: usize = 4;

/// The outcome.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What is wrong, in the order in which it was found; 10,000 at most.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub total: u64,
    /// What does not count, as absolute offsets; in order, apart from each other.
    pub dropped: Vec<Range<u64>>,
    /// Commands that are kept, MULTI and EXEC included.
    pub kept: u64,
    /// Commands that can be read and are dropped all the same.
    pub lost: u64,
    /// Bytes that are dropped.
    pub lost_bytes: u64,
}

/// Look at all commands of a log that lies in memory, telling `progress` the absolute offset of each record. `base` is that of its
/// first byte.
pub fn survey(log: &[u8], base: u64, rules: Rules, mut progress: impl FnMut(u64)) -> Survey {
    let mut scan = Scan::new(log, base, rules);
    scan.run(&mut progress);
    let shifted = |range: &Range<usize>| base + range.start as u64..base + range.end as u64;
    Survey {
        lost_bytes: scan.dropped.iter().map(|range| range.len() as u64).sum(),
        dropped: scan.dropped.iter().map(shifted).collect(),
        faults: scan.faults,
        total: scan.total,
        kept: scan.kept,
        lost: scan.lost,
    }
}

/// A place from which on something may have to be taken back, with what was kept there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: usize,
    kept: u64,
}

/// An open transaction.
#[derive(Clone, Copy, Debug)]
struct Open {
    begin: Mark,
    /// Behind the last damage in it.
    damage: Option<Mark>,
}

/// Where the log was taken up again, with what was known there.
#[derive(Clone, Copy, Debug)]
struct Resumed {
    mark: Mark,
    open: Option<Open>,
    damage: Option<Mark>,
}

struct Scan<'a> {
    log: &'a [u8],
    base: u64,
    rules: Rules,
    at: usize,
    args: Vec<Range<usize>>,
    number: u64,
    second: Option<i64>,
    db: u64,
    open: Option<Open>,
    /// Behind damage outside of transactions, since the last one.
    damage: Option<Mark>,
    resumed: Option<Resumed>,
    /// The record just before, if it is a command that is kept.
    before: Option<Range<usize>>,
    /// Behind a damaged SELECT.
    lost_select: bool,
    known: Known,
    work: usize,
    kept: u64,
    lost: u64,
    total: u64,
    faults: Vec<Fault>,
    dropped: Vec<Range<usize>>,
}

impl<'a> Scan<'a> {
    fn new(log: &'a [u8], base: u64, rules: Rules) -> Self {
        Scan {
            log,
            base,
            rules,
            at: 0,
            args: Vec::new(),
            number: 0,
            second: None,
            db: 0,
            open: None,
            damage: None,
            resumed: None,
            before: None,
            lost_select: false,
            known: Known::default(),
            work: log.len().saturating_mul(WORK_PER_BYTE),
            kept: 0,
            lost: 0,
            total: 0,
            faults: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn run(&mut self, progress: &mut impl FnMut(u64)) {
        let whole = self.log;
        // Zeros at the end may belong to a value, so they are looked for where something is wrong.
        let mut zeros = None;
        while self.at < self.log.len() {
            progress(self.base + self.at as u64);
            let found = record::read(self.log, self.at, self.base, &mut self.args);
            let found = found.or_else(|failure| match failure {
                Failure::Damaged(error) => Err(error),
                Failure::Short(missing) => missing.at_end(self.base + self.at as u64),
            });
            match found {
                Ok(found) => self.record(found.kind, found.end),
                Err(_) if zeros.is_none() => {
                    let begin = record::zeros_from(whole, 0).filter(|begin| *begin >= self.at);
                    let end = begin.unwrap_or(whole.len());
                    self.log = &whole[..end];
                    zeros = Some(end);
                }
                Err(error) => self.damaged(*error),
            }
        }
        self.end();
        let begin = zeros.unwrap_or(whole.len());
        if begin < whole.len() {
            let count = whole.len() - begin;
            let what = format!("{count} zero bytes fill the file from there on");
            self.fault(Problem::Zeros, begin, begin..whole.len(), what);
        }
    }

    fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (begin, end) = (open.begin.at, self.log.len());
        if open.damage.is_some_and(|damage| damage.at == end) {
            // The end is torn, and that was said.
            self.take_back(open.begin.kept);
            self.drop_range(begin..end);
        } else if open.damage.is_some() {
            self.close_broken(open);
        } else {
            let what = format!(
                "the log ends inside a transaction: {} commands follow MULTI, no EXEC",
                self.kept - open.begin.kept - 1
            );
            self.take_back(open.begin.kept);
            self.fault(Problem::Torn, begin, begin..end, what);
        }
    }

    fn record(&mut self, kind: Kind, end: usize) {
        let begin = self.at;
        self.at = end;
        if kind == Kind::Annotation {
            self.before = None;
            let line = self.log[begin..end].trim_ascii_end();
            self.second = record::timestamp(line).or(self.second);
            return;
        }
        self.number += 1;
        let log = self.log;
        let name = &log[self.args[0].clone()];
        let argc = self.args.len();
        if !self.known.has(name, argc) || self.lost_select {
            self.judge(begin, end, name);
        } else {
            self.keep(begin, end);
        }
    }

    fn keep(&mut self, begin: usize, end: usize) {
        self.kept += 1;
        self.before = Some(begin..end);
    }

    /// A command that is not the same as the one before.
    fn judge(&mut self, begin: usize, end: usize, name: &[u8]) {
        let log = self.log;
        let arg = self.args.get(1).map(|range| &log[range.clone()]);
        if let Some((problem, what)) = objection(name, arg, self.args.len(), self.rules) {
            self.number -= 1;
            // Behind it are its other arguments, where it lost its count of them, or the rest of what it swallowed.
            let next = match log.get(end) {
                None | Some(b'*' | b'#') => end,
                Some(b'$') => self.search(end),
                Some(_) => self.search(begin + 1),
            };
            self.wrong(problem, begin..next, begin, what);
            self.resume(next);
            return;
        }
        if name.eq_ignore_ascii_case(b"select") {
            let db = arg
                .and_then(parse_i64)
                .and_then(|db| u64::try_from(db).ok());
            self.db = db.unwrap_or(self.db);
            self.lost_select = false;
            return self.keep(begin, end);
        }
        if self.lost_select {
            self.lost += 1;
            self.before = None;
            return self.drop_range(begin..end);
        }
        if name.eq_ignore_ascii_case(b"multi") {
            self.multi(begin, end);
        } else if name.eq_ignore_ascii_case(b"exec") {
            self.exec(begin, end);
        } else {
            self.known.add(name, self.args.len());
            self.keep(begin, end);
        }
    }

    fn multi(&mut self, begin: usize, end: usize) {
        match self.open {
            Some(open) if open.damage.is_some() => self.close_broken(open),
            Some(open) => {
                let outer = self.base + open.begin.at as u64;
                let what = format!("MULTI inside the transaction that began at offset {outer}");
                self.lost += 1;
                return self.fault(Problem::MultiInside, begin, begin..end, what);
            }
            None => {}
        }
        self.damage = None;
        self.open = Some(Open {
            begin: Mark {
                at: begin,
                kept: self.kept,
            },
            damage: None,
        });
        self.keep(begin, end);
    }

    fn exec(&mut self, begin: usize, end: usize) {
        match (self.open.take(), self.damage.take()) {
            (Some(open), _) if open.damage.is_some() => {
                self.take_back(open.begin.kept);
                self.lost += 1;
                let what = "a part of this transaction is damaged".to_string();
                self.fault(
                    Problem::BrokenTransaction,
                    open.begin.at,
                    open.begin.at..end,
                    what,
                );
            }
            (Some(_), _) => self.keep(begin, end),
            (None, Some(damage)) => {
                self.take_back(damage.kept);
                self.lost += 1;
                let what = "the MULTI of this transaction is lost in the damage before it".into();
                self.fault(Problem::BrokenTransaction, damage.at, damage.at..end, what);
            }
            (None, None) => {
                self.lost += 1;
                let what = "EXEC without MULTI".to_string();
                self.fault(Problem::ExecAlone, begin, begin..end, what);
            }
        }
    }

    /// A transaction whose EXEC is lost in the damage: what comes behind that is outside.
    fn close_broken(&mut self, open: Open) {
        let Some(damage) = open.damage else { return };
        let inside = damage.kept - open.begin.kept;
        self.kept -= inside;
        self.lost += inside;
        // Where the log was taken up again last is not before the damage.
        if let Some(resumed) = &mut self.resumed {
            resumed.mark.kept -= inside;
        }
        let what = "the EXEC of this transaction is lost in the damage behind it".to_string();
        let range = open.begin.at..damage.at;
        self.fault(Problem::BrokenTransaction, open.begin.at, range, what);
        self.open = None;
    }

    /// Bytes that are no record: finds the next.
    #[cold]
    fn damaged(&mut self, error: FormatError) {
        let at = self.at;
        if let Some(resumed) = self.resumed
            && self.ends_as_content(at)
        {
            return self.content(resumed, at);
        }
        let mut begin = at;
        let mut problem = match error.kind {
            _ if self.log[at] == 0 => Problem::Zeros,
            Damage::AofTruncated => Problem::Torn,
            _ => Problem::NoRecord,
        };
        let mut from = self.behind_good_arguments(at);
        if let Some(before) = self.before.take()
            && before.end == at
        {
            let is_short = self.log[at] == b'$' && self.takes_more(before.start);
            if is_short || self.swallows(before.start) {
                begin = before.start;
                problem = Problem::Shortened;
                self.kept -= 1;
                self.lost += 1;
                from = if is_short { from } else { begin + 1 };
            }
        }
        let next = self.search(from);
        if next < self.log.len() && problem == Problem::Torn {
            problem = Problem::NoRecord;
        }
        let offset = usize::try_from(error.offset - self.base).unwrap_or(at);
        self.wrong(problem, begin..next, offset, error.what);
        self.resume(next);
    }

    /// Goes on at `at`, behind what was dropped.
    fn resume(&mut self, at: usize) {
        self.at = at;
        self.resumed = Some(Resumed {
            mark: Mark {
                at,
                kept: self.kept,
            },
            open: self.open,
            damage: self.damage,
        });
    }

    /// Drops something that is damaged, and remembers it for the transaction that it may belong to.
    fn wrong(&mut self, problem: Problem, range: Range<usize>, offset: usize, what: String) {
        self.number += 1;
        self.before = None;
        let mark = Mark {
            at: range.end,
            kept: self.kept,
        };
        match &mut self.open {
            Some(open) => open.damage = Some(mark),
            None => self.damage = Some(mark),
        }
        let hides = !self.lost_select && self.hides_select(&self.log[range.clone()]);
        self.fault(problem, offset, range.clone(), what);
        if hides {
            self.lost_select = true;
            let what = "a SELECT is damaged here: what follows up to the next one has no database";
            self.fault(Problem::LostSelect, range.start, range, what.to_string());
        }
    }

    /// The records since the log was taken up again were a log within a value, which ends here.
    fn content(&mut self, resumed: Resumed, at: usize) {
        let begin = resumed.mark.at;
        self.take_back(resumed.mark.kept);
        self.open = resumed.open;
        self.damage = resumed.damage;
        let mark = Mark {
            at: at + 2,
            kept: self.kept,
        };
        match &mut self.open {
            Some(open) => open.damage = Some(mark),
            None => self.damage = Some(mark),
        }
        self.before = None;
        let what = "records that were the content of the damaged value before them".to_string();
        self.fault(Problem::Content, begin, begin..at + 2, what);
        self.resume(at + 2);
    }

    /// Whether the command that begins at `at` could have had more arguments.
    fn takes_more(&mut self, at: usize) -> bool {
        let read = record::read(self.log, at, self.base, &mut self.args);
        read.is_ok() && arity(&self.log[self.args[0].clone()]).is_none_or(|arity| arity < 0)
    }

    /// Whether an argument of the command that begins at `at` holds the begin of another record or argument.
    fn swallows(&mut self, at: usize) -> bool {
        if record::read(self.log, at, self.base, &mut self.args).is_err() {
            return false;
        }
        let holds = |range: &Range<usize>| {
            let heads = self.log[range.clone()].windows(4);
            let is_head = |four: &[u8]| {
                four.starts_with(b"\r\n")
                    && matches!(four[2], b'*' | b'$')
                    && four[3].is_ascii_digit()
            };
            heads.into_iter().any(is_head)
        };
        self.args.iter().any(holds)
    }

    fn ends_as_content(&self, at: usize) -> bool {
        let behind = self.log.get(at + 2);
        self.log[at..].starts_with(b"\r\n") && matches!(behind, None | Some(b'*' | b'#' | b'$'))
    }

    /// Where the damaged record that was read last stops being good: behind the last argument that ends with CRLF.
    fn behind_good_arguments(&self, at: usize) -> usize {
        let ends = self.args.iter().rev().map(|range| range.end);
        let good = |end: &usize| self.log.get(*end..*end + 2) == Some(b"\r\n");
        ends.take(2).find(good).map_or(at + 1, |end| end + 2)
    }

    /// The next place from `from` on where good records stand, or the log's end.
    fn search(&mut self, from: usize) -> usize {
        let mut at = from;
        while let Some(found) = self.log.get(at..).and_then(|rest| {
            rest.windows(2)
                .position(|pair| pair[0] == b'*' && pair[1].is_ascii_digit())
        }) {
            at += found;
            if self.is_chain(at) {
                return at;
            }
            if self.work == 0 {
                break;
            }
            at += 1;
        }
        self.log.len()
    }

    /// Whether good commands stand here, one behind the other.
    fn is_chain(&mut self, from: usize) -> bool {
        let mut at = from;
        let mut commands = 0;
        while commands < CHAIN && at < self.log.len() {
            let found = record::read(self.log, at, self.base, &mut self.args);
            self.work = self.work.saturating_sub(1 + self.args.len());
            match found {
                Ok(found) if found.kind == Kind::Annotation => at = found.end,
                Ok(found) if self.is_known() => {
                    commands += 1;
                    at = found.end;
                }
                // The end is torn.
                Err(Failure::Short(_)) => return commands > 0,
                _ => return false,
            }
        }
        commands > 0
    }

    fn is_known(&self) -> bool {
        let name = &self.log[self.args[0].clone()];
        let arg = self.args.get(1).map(|range| &self.log[range.clone()]);
        objection(name, arg, self.args.len(), self.rules).is_none()
    }

    /// Whether `damaged` was a SELECT of another database than the one that is selected.
    fn hides_select(&self, damaged: &[u8]) -> bool {
        /// Longest record of a SELECT, with room for what was inserted.
        const LONGEST: usize = 40;
        if damaged.len() > LONGEST || !resembles(damaged, b"SELECT") {
            return false;
        }
        let end = damaged.iter().rposition(|b| !b.is_ascii_control());
        let legible = end.and_then(|end| {
            let line = &damaged[..=end];
            let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
            let (before, number) = line.split_at(line.len() - digits);
            let is_begin = |b: &u8| !b.is_ascii_alphanumeric() && *b != b'$';
            parse_i64(number).filter(|_| before.last().is_some_and(is_begin))
        });
        legible.and_then(|db| u64::try_from(db).ok()) != Some(self.db)
    }

    fn take_back(&mut self, kept: u64) {
        assert!(kept <= self.kept, "kept before");
        self.lost += self.kept - kept;
        self.kept = kept;
        if let Some(resumed) = &mut self.resumed {
            resumed.mark.kept = resumed.mark.kept.min(kept);
        }
        self.before = None;
    }

    fn fault(&mut self, problem: Problem, at: usize, range: Range<usize>, what: String) {
        self.total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                problem,
                offset: self.base + at as u64,
                begin: self.base + range.start as u64,
                end: self.base + range.end as u64,
                command: self.number,
                second: self.second,
                what,
            });
        }
        self.before = None;
        self.drop_range(range);
    }

    fn drop_range(&mut self, mut range: Range<usize>) {
        while let Some(last) = self.dropped.pop_if(|last| last.end >= range.start) {
            range.start = range.start.min(last.start);
            range.end = range.end.max(last.end);
        }
        self.dropped.push(range);
    }
}

/// Whether `word` stands in `bytes` in any case, but for one byte that is another one or gone.
fn resembles(bytes: &[u8], word: &[u8]) -> bool {
    let same = |a: &u8, b: &u8| a.eq_ignore_ascii_case(b);
    let replaced = bytes.windows(word.len()).any(|window| {
        let wrong = window.iter().zip(word).filter(|(a, b)| !same(a, b)).count();
        wrong <= 1
    });
    replaced
        || (0..word.len()).any(|gone| {
            let mut short = word.to_vec();
            short.remove(gone);
            bytes
                .windows(short.len())
                .any(|window| window.eq_ignore_ascii_case(&short))
        })
}
