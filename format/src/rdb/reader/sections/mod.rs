//! A file in memory, read in sections on several processors.
//!
//! ```text
//!   bytes   header | records ... | records ... | records ... | EOF checksum
//!                                ^ cut         ^ cut
//! ```
//!
//! Where a record begins is known only to who has read all before it. So a cut is guessed ([`SliceReader::resync`]), each section is
//! read as if the guess were right, and proven by the one before it: that has to end exactly at the cut, in the database that
//! the next one was begun with. What was made of the sections is handed out in the order of the file, and only when it is
//! proven. At whatever else (damage, the end, a wrong guess, another database) the one reader that knows all before it goes on
//! itself, so that what comes out is what a reader in one go gives, errors included.
//!
//! Memory: a few sections and what is made of them, and the hashes of the keys, if keys that occur twice are looked for.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::dialect::Dialect;
use super::super::event::{Checksum, Event, Located};
use super::super::opcode::{self, TypeInfo};
use super::super::raw::Source;
use super::keys::KeyIndex;
use super::resync::Resync;
use super::{Options, RawKind, SliceReader};
use crate::error::{FormatError, Result};

/// Bytes behind the place of a cut in which a record has to begin.
const SEARCH: u64 = 1 << 20;
/// Bytes beyond those places that are looked at for it: what claims more there is no record.
const LOOK_AHEAD: u64 = 8 << 20;
/// Records that have to follow each other where a section begins.
const RECORDS: usize = 64;
/// Places that are tried for that.
const GUESSES: usize = 64;
/// So many times smaller is the first section, which is read alone: it tells what the file is.
const FIRST: usize = 32;
/// What is left of a file is to be at least so many sections for each thread, as far as they are not smaller than this part of others.
const TURNS: usize = 2;
const SMALLEST: u64 = 8;
/// Sections that may wait or be read, beyond one for each thread.
const AHEAD: usize = 2;
/// After so many wrong guesses nothing is guessed any more.
const WRONG_MAX: usize = 256;

/// How a file is read in sections.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Threads that read, at most. With one nothing is guessed.
    pub threads: usize,
    /// Bytes of a section.
    pub section: usize,
}

impl Plan {
    /// Sections that keep `threads` busy and take little memory.
    pub const fn with_threads(threads: usize) -> Plan {
        Plan {
            threads,
            section: 1 << 20,
        }
    }
}

/// What is made of a file, section by section.
pub trait Work: Sync {
    /// What is made of one section.
    type Part: Send;
    /// Why it could not go on.
    type Stop: Send;
    /// Whether events are looked at; without, it is only seen that they are sound.
    const LOOKS: bool = true;

    /// Begins a section of a file of this dialect. The first section of a file is read before any other begins.
    fn begin(&self, dialect: Dialect) -> Self::Part;

    /// Takes in an event of it.
    ///
    /// # Errors
    /// The work ends with this event, whose part is still handed out.
    fn event(
        &self,
        part: &mut Self::Part,
        located: &Located<'_>,
    ) -> std::result::Result<(), Self::Stop>;
}

/// Why not all of a file was read.
#[derive(Debug)]
pub enum Halt<E> {
    /// It is damaged.
    Damage(Box<FormatError>),
    /// The work could not go on.
    Stopped(E),
}

/// How far a file was read.
#[derive(Debug)]
pub struct Reached<E> {
    /// Family and version.
    pub dialect: Dialect,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Keys.
    pub records: u64,
    /// Offset after the last event.
    pub end: u64,
    /// Why that is not the end of the snapshot.
    pub halt: Option<Halt<E>>,
}

/// Reads a whole file. `take` gets what was made of each section in the order of the file, and how far that is.
///
/// # Errors
/// A head that is not that of a snapshot.
pub fn read_in_sections<W: Work>(
    bytes: &[u8],
    options: Options,
    plan: Plan,
    work: &W,
    take: &mut dyn FnMut(W::Part, u64) -> std::result::Result<(), W::Stop>,
) -> Result<Reached<W::Stop>> {
    let mut reader = SliceReader::from_slice(bytes, options)?;
    reader.keys.threads = NonZeroUsize::new(plan.threads);
    let mut reading = Reading::of(&mut reader, bytes, plan, work, take);
    let halt = reading.run();
    Ok(Reached {
        dialect: reading.reader.dialect(),
        checksum: match &halt {
            Ok(checksum) => *checksum,
            Err(_) => Checksum::None,
        },
        records: reading.records,
        end: reading.end,
        halt: halt.err(),
    })
}

/// Reads on in sections from where a reader of these bytes stands, as far as the guesses are right and nothing is damaged; the reader goes
/// along. Gives how many sections were read: less than there are threads, where it was of no use.
///
/// # Errors
/// The work ended with an event, before which the last section that was handed out ends; the reader stands at the begin of that section.
pub fn go_on_in_sections<'a, W: Work>(
    reader: &mut SliceReader<'a>,
    bytes: &'a [u8],
    plan: Plan,
    work: &W,
    take: &mut dyn FnMut(W::Part, u64) -> std::result::Result<(), W::Stop>,
) -> std::result::Result<usize, W::Stop> {
    reader.settle();
    let may_guess = plan.threads > 1 && !reader.dialect().has_templates();
    if !may_guess || !reader.is_at_record() {
        return Ok(0);
    }
    match Reading::of(reader, bytes, plan, work, take).guessed_sections() {
        Ok(taken) => Ok(taken),
        Err(Halt::Stopped(stop)) => Err(stop),
        // Damage is left to the reader.
        Err(Halt::Damage(_)) => Ok(0),
    }
}

/// A file on its way.
struct Reading<'a, 'w, W: Work> {
    /// Knows all up to where it stands.
    reader: &'w mut SliceReader<'a>,
    bytes: &'a [u8],
    plan: Plan,
    work: &'w W,
    take: &'w mut dyn FnMut(W::Part, u64) -> std::result::Result<(), W::Stop>,
    /// After the last event that was taken in, and the keys so far.
    end: u64,
    records: u64,
}

impl<'a, 'w, W: Work> Reading<'a, 'w, W> {
    fn of(
        reader: &'w mut SliceReader<'a>,
        bytes: &'a [u8],
        plan: Plan,
        work: &'w W,
        take: &'w mut dyn FnMut(W::Part, u64) -> std::result::Result<(), W::Stop>,
    ) -> Self {
        Reading {
            end: reader.offset(),
            records: 0,
            reader,
            bytes,
            plan,
            work,
            take,
        }
    }

    fn run(&mut self) -> std::result::Result<Checksum, Halt<W::Stop>> {
        let may_guess = self.plan.threads > 1 && !self.reader.dialect().has_templates();
        let (mut wrong, mut len) = (0, self.plan.section / FIRST);
        loop {
            if let Some(checksum) = self.one_section(len)? {
                return Ok(checksum);
            }
            len = self.plan.section;
            if may_guess && wrong < WRONG_MAX {
                let taken = self.guessed_sections()?;
                wrong += usize::from(taken < self.plan.threads);
            }
        }
    }

    /// Reads a section of `len` bytes without a guess; gives the checksum at the end of the file.
    fn one_section(&mut self, len: usize) -> std::result::Result<Option<Checksum>, Halt<W::Stop>> {
        let until = self.reader.offset().saturating_add(len as u64);
        let mut part = self.work.begin(self.reader.dialect());
        let read = self.events(&mut part, until);
        (self.take)(part, self.end).map_err(Halt::Stopped)?;
        read
    }

    fn events(
        &mut self,
        part: &mut W::Part,
        until: u64,
    ) -> std::result::Result<Option<Checksum>, Halt<W::Stop>> {
        loop {
            if !W::LOOKS {
                self.reader.settle();
                self.reader.pass_sound(until);
                self.records = self.reader.records();
                self.end = self.reader.offset();
                if self.end >= until && self.reader.is_at_record() {
                    return Ok(None);
                }
            }
            let Some(located) = self.reader.next().map_err(Halt::Damage)? else {
                return Ok(Some(Checksum::None));
            };
            self.work.event(part, &located).map_err(Halt::Stopped)?;
            self.end = located.end;
            match located.event {
                Event::End(checksum) => return Ok(Some(checksum)),
                Event::Record(_) => {
                    self.records = self.reader.records();
                    if self.end >= until {
                        return Ok(None);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads sections on all threads, as far as the guesses are right; gives how many those were.
    fn guessed_sections(&mut self) -> std::result::Result<usize, Halt<W::Stop>> {
        self.reader.settle();
        if self.bytes.len() as u64
            <= self
                .reader
                .offset()
                .saturating_add(self.plan.section as u64)
        {
            return Ok(0);
        }
        let threads = self.plan.threads;
        let counter = Counter::new(self.reader.offset(), self.reader.db, threads + AHEAD);
        let (bytes, plan, work) = (self.bytes, self.plan, self.work);
        let (dialect, options) = (self.reader.dialect(), self.reader.options);
        let crew = Crew {
            bytes,
            plan,
            work,
            dialect,
            options,
            counter: &counter,
        };
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, crew) = (sender.clone(), &crew);
                scope.spawn(move || crew.work(&sender));
            }
            drop(sender);
            let _closing = Closing(&counter);
            let mut waiting = BTreeMap::new();
            let mut next = 0;
            for (number, section) in receiver {
                waiting.insert(number, section);
                while let Some(section) = waiting.remove(&next) {
                    if !self.accept(section)? {
                        return Ok(next);
                    }
                    next += 1;
                    counter.taken(self.reader.db);
                }
            }
            Ok(next)
        })
    }

    /// Takes a section if it is proven: false if what follows has to be read without guesses.
    fn accept(&mut self, section: Section<W>) -> std::result::Result<bool, Halt<W::Stop>> {
        let is_proven = section.from == self.reader.offset() && section.db == self.reader.db;
        if !is_proven || section.is_damaged {
            return Ok(false);
        }
        let before = self.records;
        self.end = section.end;
        self.records = before + section.records;
        (self.take)(section.part, self.end).map_err(Halt::Stopped)?;
        if let Some(stop) = section.stop {
            return Err(Halt::Stopped(stop));
        }
        self.reader.jump(section.left);
        Ok(section.is_whole)
    }
}

/// What a reader of a section knows in the end.
pub(super) struct Left {
    /// Where it stands.
    at: u64,
    /// The database there.
    db: u64,
    records: u64,
    last_value: Option<(u64, &'static TypeInfo)>,
    keys: KeyIndex,
    /// The checksum of its bytes, and how many they are.
    sum: (u64, u64),
}

impl<'a> SliceReader<'a> {
    /// A reader of what begins at `from`, in database `db`. Hashes of its keys are gathered in `room`.
    fn of_section(
        bytes: &'a [u8],
        from: u64,
        db: u64,
        dialect: Dialect,
        options: Options,
        room: Vec<u64>,
    ) -> Self {
        let mut reader = SliceReader::headless(bytes, from, dialect, options);
        reader.source.jump(reader.source.place(from), 0);
        reader.db = db;
        reader.keys = KeyIndex::of_part(room);
        reader
    }

    /// Whether the end of the snapshot stands here.
    fn is_at_end(&self) -> bool {
        self.is_at_record() && self.source.window().first() == Some(&opcode::EOF)
    }

    /// What it knows, and the room for the hashes of keys; it has left the last event behind.
    fn leave(mut self, from: u64) -> (Left, Vec<u64>) {
        let at = self.offset();
        let (keys, room) = std::mem::take(&mut self.keys).whole();
        let left = Left {
            at,
            db: self.db,
            records: self.records(),
            last_value: self.last_value,
            sum: (self.source.sum_since(), at - from),
            keys,
        };
        (left, room)
    }

    /// Goes on where another ended that began here.
    fn jump(&mut self, left: Left) {
        let (sum, len) = left.sum;
        self.source.join(self.source.place(left.at), sum, len);
        self.db = left.db;
        self.records += left.records;
        self.last_value = left.last_value.or(self.last_value);
        self.keys.absorb(left.keys);
        debug_assert_eq!(self.taken, 0, "the last event was left behind");
    }
}

/// What one section came to.
struct Section<W: Work> {
    from: u64,
    /// The database it was begun with.
    db: u64,
    part: W::Part,
    /// After its last event that was taken in, and the keys until there.
    end: u64,
    records: u64,
    stop: Option<W::Stop>,
    /// Something in it cannot be read, if it was begun where it should be.
    is_damaged: bool,
    /// It was read up to its cut.
    is_whole: bool,
    left: Left,
}

/// Who reads sections.
struct Crew<'a, 'w, W: Work> {
    bytes: &'a [u8],
    plan: Plan,
    work: &'w W,
    dialect: Dialect,
    options: Options,
    counter: &'w Counter,
}

impl<W: Work> Crew<'_, '_, W> {
    fn work(&self, sender: &Sender<(usize, Section<W>)>) {
        // A panic on one thread must not leave the others waiting.
        let _closing = Closing(self.counter);
        let mut room = Vec::new();
        while let Some((number, from, db, until)) = self.counter.next(|from| self.cut(from)) {
            let section = self.section(from, db, until, &mut room);
            if sender.send((number, section)).is_err() {
                return;
            }
        }
    }

    /// Bytes of the section that begins at `from`: the last ones are smaller, so that no thread has much to do when all others are done.
    fn section_at(&self, from: u64) -> u64 {
        let section = self.plan.section as u64;
        let left = (self.bytes.len() as u64).saturating_sub(from);
        let share = left / (self.plan.threads * TURNS) as u64;
        share.clamp((section / SMALLEST).max(1), section.max(1))
    }

    /// Where the section that begins at `from` ends, if that can be guessed.
    fn cut(&self, from: u64) -> Option<u64> {
        let place = from.saturating_add(self.section_at(from));
        if place.saturating_add(SEARCH.min(place - from)) >= self.bytes.len() as u64 {
            return Some(self.bytes.len() as u64);
        }
        let mut places: Range<u64> = place..place + SEARCH;
        let asked = Resync {
            beyond: place,
            text_key: false,
            db: None,
            hints: false,
            beginnings: None,
        };
        let options = Options {
            checksum: false,
            duplicate_keys: false,
            ..self.options
        };
        let records = RECORDS.min(self.plan.section / 16);
        let seen = usize::try_from(places.end + LOOK_AHEAD).unwrap_or(usize::MAX);
        let near = &self.bytes[..seen.min(self.bytes.len())];
        for _ in 0..GUESSES {
            let near = SliceReader::headless(near, 0, self.dialect, options);
            let begin = near.resync(places.clone(), asked)?;
            let ahead = SliceReader::headless(self.bytes, begin, self.dialect, options);
            if let Some(cut) = end_of_many(ahead, records) {
                return Some(cut);
            }
            places.start = begin + 1;
        }
        None
    }

    /// Reads a section. The room for hashes of keys is used for one after the other.
    fn section(&self, from: u64, db: u64, until: u64, room: &mut Vec<u64>) -> Section<W> {
        let end = usize::try_from(until).unwrap_or(usize::MAX);
        let bytes = &self.bytes[..end.min(self.bytes.len())];
        let (dialect, options) = (self.dialect, self.options);
        let taken = std::mem::take(room);
        let mut reader = SliceReader::of_section(bytes, from, db, dialect, options, taken);
        let mut section = Section {
            from,
            db,
            part: self.work.begin(dialect),
            end: from,
            records: 0,
            stop: None,
            is_damaged: false,
            is_whole: false,
            left: Left {
                at: from,
                db,
                records: 0,
                last_value: None,
                keys: KeyIndex::default(),
                sum: (0, 0),
            },
        };
        loop {
            reader.settle();
            if !W::LOOKS {
                reader.pass_sound(until);
                section.records = reader.records();
                section.end = reader.offset();
            }
            // The reader that knows all before it looks at the end.
            let is_end = reader.is_at_end();
            if is_end || reader.offset() == until && reader.is_at_record() {
                section.is_whole = !is_end;
                break;
            }
            match reader.next() {
                Ok(Some(located)) => {
                    if let Err(stop) = self.work.event(&mut section.part, &located) {
                        section.stop = Some(stop);
                        return section;
                    }
                    section.end = located.end;
                    section.records += u64::from(matches!(located.event, Event::Record(_)));
                }
                Ok(None) | Err(_) => {
                    section.is_damaged = true;
                    return section;
                }
            }
        }
        (section.left, *room) = reader.leave(from);
        section
    }
}

/// Where many records end.
fn end_of_many(mut ahead: SliceReader<'_>, records: usize) -> Option<u64> {
    let mut passed = 0;
    while passed < records {
        match ahead.next_raw().ok()??.kind {
            RawKind::Value(_) => passed += 1,
            RawKind::Opcode(opcode::EOF) => return None,
            RawKind::Opcode(_) => {}
        }
    }
    Some(ahead.offset())
}

/// Gives out sections.
struct Counter {
    state: Mutex<Count>,
    change: Condvar,
    /// Sections that may be under way.
    most: usize,
}

struct Count {
    /// Where the next one begins.
    from: u64,
    /// The database of what was taken last, which is most likely the next one's.
    db: u64,
    given: usize,
    taken: usize,
    is_over: bool,
}

impl Counter {
    fn new(from: u64, db: u64, most: usize) -> Counter {
        Counter {
            state: Mutex::new(Count {
                from,
                db,
                given: 0,
                taken: 0,
                is_over: false,
            }),
            change: Condvar::new(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number, begin, database and end of the next section; `cut` guesses the end.
    fn next(&self, cut: impl FnOnce(u64) -> Option<u64>) -> Option<(usize, u64, u64, u64)> {
        let mut count = self.lock();
        while !count.is_over && count.given >= count.taken + self.most {
            count = self
                .change
                .wait(count)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if count.is_over {
            return None;
        }
        let (number, from, db) = (count.given, count.from, count.db);
        // Guessing in turn: each needs the one before, and takes little beside the reading.
        let until = cut(from);
        match until {
            Some(until) if until > from => {
                count.from = until;
                count.given += 1;
                Some((number, from, db, until))
            }
            _ => {
                count.is_over = true;
                self.change.notify_all();
                None
            }
        }
    }

    fn taken(&self, db: u64) {
        let mut count = self.lock();
        count.taken += 1;
        count.db = db;
        self.change.notify_all();
    }
}

/// Lets everybody go when it goes.
struct Closing<'c>(&'c Counter);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.change.notify_all();
    }
}

#[cfg(test)]
mod tests;
