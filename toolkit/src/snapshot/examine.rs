//! All that is wrong with a snapshot, and all that can be read of it.
//!
//! ```text
//!   sound | sound | odd | DAMAGED VALUE | sound | GAP ..... | sound | end
//!                        its end is known         found again by what stands behind it
//! ```
//!
//! A length that became too large swallows records behind it, and the damage shows only later. So the last few pieces are
//! held back: records that can be read inside them and lead beyond the damage make them part of the gap.
//!
//! What is sound is read in sections on all processors ([`go_on_in_sections`]). Where a section is not, its records are passed one by one.

use super::again::plan;
pub use super::piece::{Piece, What};
use super::sound::{Looking, Section, UNKNOWN_DB, Zeros, is_zeros};
use super::spill::BEYOND_BESIDE;
use crate::{Input, Progress};
use cairn_format::crc64::{Crc64, Fault, single_fault};
use cairn_format::error::{Damage, Findings, FormatError};
use cairn_format::rdb::reader::{
    Hashes, Options, Resync, SliceReader, beginning, go_on_in_sections, is_text,
};
use cairn_format::rdb::{Checksum, Dialect, Event, opcode};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Pieces that are held back.
const HELD: usize = 4;
/// Bytes that are summed up and then let go.
const SUMMED_AT_ONCE: usize = 1 << 20;
/// Bytes of a checksum.
const SUM_BYTES: usize = 8;

/// After sections were of no use so often, nothing is guessed any more.
const IN_VAIN_MAX: usize = 256;

/// Of so many keys one may be no text in a file whose keys are text.
const TEXT_SHARE: usize = 50;
/// Databases above this are not believed next to damage.
const DATABASE_MAX: u64 = 1 << 14;
/// So many keys say how the others look.
const FEW_KEYS: usize = 20;

/// What an examination hands out on its way.
pub trait Witness {
    /// Something is wrong.
    fn finding(&mut self, error: Box<FormatError>);
    /// A part of the file, in its order.
    fn piece(&mut self, piece: &Piece);
    /// Whether one change that explains a wrong checksum is looked for.
    fn asks_for_fault(&self) -> bool;
}

/// What an examination knows in the end.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Family and version.
    pub dialect: Dialect,
    /// What became of the checksum; none if the end was not found.
    pub checksum: Option<Checksum>,
    /// Keys that can be read, doubtful ones among them.
    pub keys: u64,
    /// Keys that the hints of all databases promise; 0 if the file has none.
    pub promised: u64,
    /// Where the first finding stands, and how many keys come before its record.
    pub first: Option<(u64, u64)>,
    /// Offset after the end of the snapshot, or of the file.
    pub end: u64,
    /// Bytes that cannot be read.
    pub lost: u64,
    /// One change of one or two bytes that explains a wrong checksum.
    pub fault: Option<Fault>,
    /// Hashes of keys that occur twice, most likely.
    pub repeated: HashSet<u64>,
}

/// Examines a file, with a seed for the hashes of keys; `label` is for the one who waits.
///
/// # Errors
/// A head that is not that of a snapshot.
pub fn examine(
    input: &Input,
    options: Options,
    label: &str,
    seed: &RandomState,
    witness: &mut dyn Witness,
) -> Result<Examination, Box<FormatError>> {
    let options = Options {
        trailing: false,
        duplicate_keys: false,
        ..options
    };
    let reader = || SliceReader::from_slice(input.bytes().unwrap_or_default(), options);
    let mut found = Examiner::new(input, reader()?, label, seed, witness).run();
    if !found.repeated.is_empty() {
        let mut places = Places::of(&found.repeated);
        Examiner::new(input, reader()?, label, seed, &mut places).run();
        let places = places.found;
        tell_repeated(reader()?, places, &mut found, witness);
    }
    Ok(found)
}

/// The same for a file whose head is lost, read as `dialect`: records begin where some can be found.
pub fn examine_headless(
    input: &Input,
    head: Box<FormatError>,
    dialect: Dialect,
    label: &str,
    seed: &RandomState,
    witness: &mut dyn Witness,
) -> Examination {
    let options = Options {
        trailing: false,
        duplicate_keys: false,
        ..Options::deep()
    };
    let bytes = input.bytes().unwrap_or_default();
    let reader = || SliceReader::headless(bytes, 0, dialect, options);
    let run = |witness: &mut dyn Witness| {
        let mut examiner = Examiner::new(input, reader(), label, seed, witness);
        match examiner.go_on_behind(head.clone()) {
            true => examiner.run(),
            false => examiner.end(),
        }
    };
    let mut found = run(witness);
    if !found.repeated.is_empty() {
        let mut places = Places::of(&found.repeated);
        run(&mut places);
        let places = places.found;
        tell_repeated(reader(), places, &mut found, witness);
    }
    found
}

/// Where keys stand whose hashes occur twice.
struct Places<'s> {
    suspects: &'s HashSet<u64>,
    /// By hash: place and database of each.
    found: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Places<'_> {
    fn of(suspects: &HashSet<u64>) -> Places<'_> {
        Places {
            suspects,
            found: BTreeMap::new(),
        }
    }
}

impl Witness for Places<'_> {
    fn finding(&mut self, _: Box<FormatError>) {}

    fn piece(&mut self, piece: &Piece) {
        if let What::Key { hash } = piece.what
            && self.suspects.contains(&hash)
        {
            let places = self.found.entry(hash).or_default();
            places.push((piece.from, piece.db));
        }
    }

    fn asks_for_fault(&self) -> bool {
        false
    }
}

/// Tells of keys that occur twice. Equal hashes are a suspicion; the keys themselves decide.
fn tell_repeated(
    mut reader: SliceReader<'_>,
    places: BTreeMap<u64, Vec<(u64, u64)>>,
    state: &mut Examination,
    witness: &mut dyn Witness,
) {
    let mut suspects: Vec<Vec<(u64, u64)>> = places.into_values().collect();
    suspects.retain(|places| places.len() > 1);
    suspects.sort_unstable_by_key(|places| places[1].0);
    for places in suspects {
        let mut seen: Vec<(u64, Vec<u8>)> = Vec::new();
        for (at, db) in places {
            reader.go_to(at, db);
            let mut found = Vec::new();
            let Ok(Some(passed)) = reader.examine(&mut found) else {
                continue;
            };
            let Some(Event::Record(record)) = passed.event else {
                continue;
            };
            let this = (record.db, record.head.key.to_vec());
            if seen.contains(&this) {
                let what = "the key occurs twice in its database";
                let error = FormatError::new(Damage::Encoding, at, what);
                let error = error.called("duplicate-key").at_key(&this.1).in_db(this.0);
                state.first.get_or_insert((at, state.keys));
                witness.finding(error);
            } else {
                seen.push(this);
            }
        }
    }
}

/// The one or two changed bytes that explain why the checksum at the end of a file is wrong, if the file ends with one before `end`.
pub fn fault_of(input: &Input, end: u64) -> Option<Fault> {
    let bytes = input.bytes().unwrap_or_default();
    let bytes = bytes.get(..usize::try_from(end).ok()?).unwrap_or(bytes);
    let (body, sum) = bytes.split_last_chunk::<SUM_BYTES>()?;
    let stored = u64::from_le_bytes(*sum);
    let (mut crc, mut passed) = (Crc64::new(), 0);
    for piece in body.chunks(SUMMED_AT_ONCE) {
        crc.update(piece);
        passed += piece.len() as u64;
        input.passed(passed);
    }
    (stored != 0)
        .then(|| single_fault(stored, crc.value(), body.len() as u64))
        .flatten()
}

/// An examination under way.
struct Examiner<'a, 'w> {
    input: &'a Input,
    bytes: &'a [u8],
    reader: SliceReader<'a>,
    witness: &'w mut dyn Witness,
    held: VecDeque<Piece>,
    found: Findings,
    /// Of the keys that were handed out.
    hashes: Hashes,
    /// Keys so far, those that are held back among them.
    seen: usize,
    /// How many of them are text.
    text_keys: usize,
    /// How they begin.
    beginnings: HashSet<[u8; 2]>,
    /// The database that is being read, and whether one was named yet.
    db: u64,
    named: bool,
    /// The database of the last key.
    key_db: u64,
    seed: &'w RandomState,
    progress: Progress,
    /// How often it was of no use to read sections.
    in_vain: usize,
    state: Examination,
}

impl<'a, 'w> Examiner<'a, 'w> {
    fn new(
        input: &'a Input,
        reader: SliceReader<'a>,
        label: &str,
        seed: &'w RandomState,
        witness: &'w mut dyn Witness,
    ) -> Self {
        let bytes = input.bytes().unwrap_or_default();
        let state = Examination {
            dialect: reader.dialect(),
            checksum: None,
            keys: 0,
            promised: 0,
            first: None,
            end: bytes.len() as u64,
            lost: 0,
            fault: None,
            repeated: HashSet::new(),
        };
        Examiner {
            input,
            bytes,
            reader,
            witness,
            held: VecDeque::new(),
            found: Vec::new(),
            hashes: Hashes::within(Some(BEYOND_BESIDE)),
            seen: 0,
            text_keys: 0,
            beginnings: HashSet::new(),
            db: 0,
            named: false,
            key_db: 0,
            seed,
            progress: Progress::bytes(label, Some(bytes.len() as u64)),
            in_vain: 0,
            state,
        }
    }

    fn run(mut self) -> Examination {
        loop {
            if self.in_vain < IN_VAIN_MAX {
                self.sound_sections();
            }
            match self.steps() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    if !self.go_on_behind(error) {
                        break;
                    }
                }
            }
        }
        self.end()
    }

    fn end(mut self) -> Examination {
        while let Some(piece) = self.held.pop_front() {
            self.hand_out(&piece);
        }
        // Without a place for them nobody can tell; what was written is read again all the same.
        self.state.repeated = self.hashes.repeated(1).unwrap_or_default();
        let damaged = self.state.first.is_some();
        if damaged && self.witness.asks_for_fault() && self.state.checksum.is_none_or(is_wrong) {
            self.state.fault = fault_of(self.input, self.state.end);
        }
        self.state
    }

    /// Zeros would be read as empty strings under empty keys, one behind the other.
    fn refuse_zeros(&self) -> Result<(), Box<FormatError>> {
        let at = self.reader.offset();
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        if !is_zeros(rest) {
            return Ok(());
        }
        let what = "zeros where a record should begin";
        let error = FormatError::new(Damage::Encoding, at, what);
        Err(error.called("zeros").in_db(self.db))
    }

    /// Passes what is sound on all processors.
    fn sound_sections(&mut self) {
        let (input, bytes, plan) = (self.input, self.bytes, plan());
        // Both are needed while sections are taken in.
        let dialect = self.state.dialect;
        let whole = SliceReader::headless(bytes, 0, dialect, Options::shallow());
        let mut reader = std::mem::replace(&mut self.reader, whole);
        let looking = Looking {
            bytes,
            seed: self.seed,
        };
        let taken = go_on_in_sections(&mut reader, bytes, plan, &looking, &mut |section, end| {
            self.progress.at(end);
            self.take_section(section);
            input.passed(end);
            Ok(())
        });
        self.reader = reader;
        match taken {
            Ok(taken) => self.in_vain += usize::from(taken < plan.threads),
            Err(Zeros { at, db }) => self.reader.go_to(at, db),
        }
    }

    fn take_section(&mut self, section: Section) {
        self.seen += section.keys;
        self.text_keys += section.text_keys;
        self.beginnings.extend(section.beginnings);
        self.named |= section.named;
        self.state.promised = self.state.promised.saturating_add(section.promised);
        for mut piece in section.pieces {
            if piece.db == UNKNOWN_DB {
                piece.db = self.db;
            }
            self.db = piece.db;
            if matches!(piece.what, What::Key { .. }) {
                self.key_db = piece.db;
            }
            self.hold(piece);
        }
    }

    /// Passes records one by one, as many as a section has; false at the end.
    fn steps(&mut self) -> Result<bool, Box<FormatError>> {
        let until = self.reader.offset() + plan().section as u64;
        while self.step()? {
            let is_behind_key = self
                .held
                .back()
                .is_some_and(|piece| matches!(piece.what, What::Key { .. } | What::Damaged(_)));
            if is_behind_key && self.reader.offset() >= until {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a record; false at the end.
    fn step(&mut self) -> Result<bool, Box<FormatError>> {
        self.refuse_zeros()?;
        let Some(passed) = self.reader.examine(&mut self.found)? else {
            return Ok(false);
        };
        let (from, to, db) = (passed.offset, passed.end, passed.db);
        let what = match &passed.event {
            Some(Event::Record(record)) => {
                let hash = self.seed.hash_one((record.db, record.head.key));
                self.key_db = record.db;
                self.seen += 1;
                self.text_keys += usize::from(is_text(record.head.key));
                self.beginnings.insert(beginning(record.head.key));
                Some(What::Key { hash })
            }
            Some(Event::End(checksum)) => {
                let is_proven = matches!(checksum, Checksum::Verified(_) | Checksum::Off);
                if !is_proven && to < self.bytes.len() as u64 {
                    let checksum = *checksum;
                    return self.end_or_not(checksum, from, to);
                }
                self.state.checksum = Some(*checksum);
                self.state.end = to;
                None
            }
            Some(Event::SelectDb(_)) => {
                self.named = true;
                Some(What::Other(self.bytes[from as usize]))
            }
            Some(Event::Resize { keys, .. }) => {
                self.state.promised = self.state.promised.saturating_add(*keys);
                Some(What::Other(self.bytes[from as usize]))
            }
            Some(_) => Some(What::Other(self.bytes[from as usize])),
            None => None,
        };
        let is_damaged = passed.event.is_none();
        self.db = db;
        if !self.found.is_empty() {
            let before = self.seen - usize::from(matches!(what, Some(What::Key { .. })));
            self.state.first.get_or_insert((from, before as u64));
        }
        let worst = self.found.last().filter(|_| is_damaged).cloned();
        for error in self.found.drain(..) {
            self.witness.finding(error);
        }
        self.progress.at(to);
        self.input.passed(from);
        let what = match worst {
            Some(error) => What::Damaged(error),
            None => match what {
                Some(what) => what,
                None => return Ok(true),
            },
        };
        self.hold(Piece { from, to, db, what });
        Ok(true)
    }

    /// An end that nothing proves, and bytes behind it: if records can be read there, it is none.
    fn end_or_not(
        &mut self,
        checksum: Checksum,
        from: u64,
        to: u64,
    ) -> Result<bool, Box<FormatError>> {
        if self.resync(to..self.bytes.len() as u64, 0).is_some() {
            self.found.clear();
            // The opcode stands before what is given out of an end.
            self.reader.go_to(from.saturating_sub(1), self.db);
            let what = "an end of the snapshot, and records behind it";
            let error = FormatError::new(Damage::Opcode, from.saturating_sub(1), what);
            return Err(error.called("early-end"));
        }
        self.state.checksum = Some(checksum);
        self.state.end = to;
        if let Some(error) = self.found.pop() {
            self.state.first.get_or_insert((from, self.seen as u64));
            self.witness.finding(error);
        }
        Ok(true)
    }

    /// Finds the next record behind one that cannot be passed; false if there is none.
    fn go_on_behind(&mut self, error: Box<FormatError>) -> bool {
        let at = self.reader.offset();
        self.state.first.get_or_insert((at, self.seen as u64));
        self.witness.finding(error.clone());
        let end = self.bytes.len() as u64;
        if self.state.dialect.is_known() {
            let first = self.held.front().map_or(at, |piece| piece.from);
            if let Some(next) = self.resync(first + 1..at, at) {
                self.take_back(next, error);
                self.reader.go_to(next, self.db);
                return true;
            }
            if let Some(next) = self.resync(at + 1..end, 0) {
                self.doubt(at, next);
                self.gap(at, next, error);
                self.reader.go_to(next, self.db);
                return true;
            }
        }
        self.doubt(at, end);
        self.gap(at, end, error);
        false
    }

    /// Where records begin again. The first key should look like those before; few keys prove nothing.
    fn resync(&self, places: Range<u64>, beyond: u64) -> Option<u64> {
        let seen = self.seen;
        let asked = Resync {
            beyond,
            text_key: self.text_keys + seen / TEXT_SHARE >= seen,
            db: self.named.then_some(self.db),
            hints: self.state.promised > 0,
            beginnings: (seen >= FEW_KEYS).then_some(&self.beginnings),
        };
        let found = self.reader.resync(places.clone(), asked);
        found.or_else(|| match seen < FEW_KEYS && beyond == 0 {
            true => self.reader.resync(
                places,
                Resync {
                    text_key: false,
                    ..asked
                },
            ),
            false => None,
        })
    }

    /// Makes the pieces that reach beyond `next` a gap.
    fn take_back(&mut self, next: u64, error: Box<FormatError>) {
        let mut from = next;
        while let Some(piece) = self.held.pop_back_if(|piece| piece.to > next) {
            from = piece.from;
            self.db = piece.db;
            self.seen -= usize::from(matches!(piece.what, What::Key { .. } | What::Doubtful(_)));
        }
        self.gap(from, next, error);
    }

    /// The key before a gap, if its end may be wrong: where it ends no record begins, and what follows may belong to it.
    fn doubt(&mut self, at: u64, next: u64) {
        let bytes = self.bytes;
        let Some(piece) = self.held.back_mut().filter(|piece| piece.to == at) else {
            return;
        };
        if !matches!(piece.what, What::Key { .. }) {
            return;
        }
        let (before, behind) = bytes.split_at(at as usize);
        let is_in_zeros = before.last() == Some(&0) && is_zeros(behind);
        let begins = behind
            .first()
            .is_some_and(|byte| self.state.dialect.begins_record(*byte));
        let fits = self.reader.another_type_fits(at, next);
        if is_in_zeros || !begins && !fits {
            let what = "the key before it can be read, but its end is in doubt: its value may be a part of the one it had";
            let error = FormatError::new(Damage::Encoding, piece.from, what).called("doubtful");
            piece.what = What::Doubtful(error.in_db(piece.db));
        }
    }

    /// A name of a database that stands right before a gap, and not as a server writes it, is a part of it.
    fn doubt_database(&mut self, from: u64) -> u64 {
        let is_name = |piece: &mut Piece| matches!(piece.what, What::Other(opcode::SELECTDB));
        let is_odd = self.state.promised > 0 || self.db <= self.key_db || self.db > DATABASE_MAX;
        match is_odd.then(|| self.held.pop_back_if(is_name)).flatten() {
            Some(piece) => {
                self.db = self.key_db;
                piece.from
            }
            None => from,
        }
    }

    fn gap(&mut self, from: u64, to: u64, error: Box<FormatError>) {
        let from = self.doubt_database(from);
        self.state.lost += to - from;
        let db = self.db;
        let what = What::Gap(error);
        self.hold(Piece { from, to, db, what });
        // What comes before a gap is settled.
        while let Some(piece) = self.held.pop_front() {
            self.hand_out(&piece);
        }
    }

    fn hold(&mut self, piece: Piece) {
        self.held.push_back(piece);
        if self.held.len() > HELD
            && let Some(piece) = self.held.pop_front()
        {
            self.hand_out(&piece);
        }
    }

    fn hand_out(&mut self, piece: &Piece) {
        if let What::Doubtful(error) = &piece.what {
            self.witness.finding(error.clone());
        }
        if let What::Key { hash } = piece.what {
            self.hashes.push(hash);
        }
        self.state.keys += u64::from(matches!(piece.what, What::Key { .. } | What::Doubtful(_)));
        self.witness.piece(piece);
    }
}

/// Whether a checksum was compared and is another.
fn is_wrong(checksum: Checksum) -> bool {
    matches!(checksum, Checksum::Wrong { .. })
}
