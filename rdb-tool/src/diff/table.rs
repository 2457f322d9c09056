//! The keys of one file, and those of the other held against them: in memory, or in parts where that would be too much.
//!
//! ```text
//!   Table   a hash of the place -> entry, and where its name stands in one long run of names
//!   Parts   a temporary file for each side, in 512 parts; a key goes into the one that its hash says
//! ```
//!
//! Two places with the same 16 bytes meet with probability below 10^-20 among a billion keys, as seeds are drawn at start.

use super::entry::{Entry, Place};
use cairn_toolkit::Failure;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Parts of each side.
const PARTS: usize = 512;
/// Bytes that an entry of the table takes beside its name, with the free places of a table that has just grown.
const ENTRY_COST: usize = 2 * (size_of::<Slot>() + size_of::<u128>());
/// Bytes of a part that are written at once.
const BLOCK: usize = 16 << 10;

/// What comes of a comparison.
pub trait Judge {
    /// A key that only the first file has.
    fn only_a(&mut self, hash: u128, place: Place<'_>, entry: &Entry);
    /// A key that only the second file has.
    fn only_b(&mut self, hash: u128, place: Place<'_>, entry: &Entry);
    /// A key that both have.
    fn both(&mut self, hash: u128, place: Place<'_>, a: &Entry, b: &Entry);
}

struct Slot {
    entry: Entry,
    name_at: usize,
    name_len: usize,
    db: Option<u64>,
    is_seen: bool,
}

/// What is looked up is a hash already, with seeds that nobody knows.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    /// Its low bits are the same in all of a part.
    fn write_u128(&mut self, hash: u128) {
        self.0 = (hash >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The keys of the first file.
#[derive(Default)]
struct Table {
    slots: HashMap<u128, Slot, BuildHasherDefault<Already>>,
    names: Vec<u8>,
}

impl Table {
    fn insert(&mut self, hash: u128, place: Place<'_>, entry: Entry) {
        let slot = Slot {
            entry,
            name_at: self.names.len(),
            name_len: place.key.len(),
            db: place.db,
            is_seen: false,
        };
        self.names.extend_from_slice(place.key);
        self.slots.insert(hash, slot);
    }

    fn cost(&self) -> usize {
        self.slots.len() * ENTRY_COST + self.names.len()
    }

    fn place(&self, slot: &Slot) -> Place<'_> {
        Place {
            db: slot.db,
            key: &self.names[slot.name_at..slot.name_at + slot.name_len],
        }
    }

    fn meet(&mut self, hash: u128, place: Place<'_>, entry: &Entry, judge: &mut dyn Judge) {
        match self.slots.get_mut(&hash) {
            None => judge.only_b(hash, place, entry),
            Some(slot) => {
                slot.is_seen = true;
                judge.both(hash, place, &slot.entry, entry);
            }
        }
    }

    fn leftover(&self, judge: &mut dyn Judge) {
        for (hash, slot) in self.slots.iter().filter(|(_, slot)| !slot.is_seen) {
            judge.only_a(*hash, self.place(slot), &slot.entry);
        }
    }
}

/// One side in parts: blocks of all of them in one file, as they filled up.
struct Parts {
    file: File,
    end: u64,
    /// What was not written yet, by part.
    waiting: Vec<Vec<u8>>,
    /// Where the blocks of each part stand.
    blocks: Vec<Vec<(u64, usize)>>,
}

fn failed(error: &io::Error) -> Failure {
    Failure::io("temporary file", error)
}

impl Parts {
    fn create() -> Result<Parts, Failure> {
        Ok(Parts {
            file: tempfile::tempfile().map_err(|error| failed(&error))?,
            end: 0,
            waiting: vec![Vec::new(); PARTS],
            blocks: vec![Vec::new(); PARTS],
        })
    }

    fn add(&mut self, hash: u128, place: Place<'_>, entry: &Entry) -> Result<(), Failure> {
        let part = hash as usize % PARTS;
        let waiting = &mut self.waiting[part];
        waiting.extend_from_slice(&hash.to_le_bytes());
        waiting.extend_from_slice(&entry.to_bytes());
        waiting.extend_from_slice(&place.db.unwrap_or(u64::MAX).to_le_bytes());
        waiting.extend_from_slice(&(place.key.len() as u64).to_le_bytes());
        waiting.extend_from_slice(place.key);
        match waiting.len() < BLOCK {
            true => Ok(()),
            false => self.write(part),
        }
    }

    fn write(&mut self, part: usize) -> Result<(), Failure> {
        let waiting = &mut self.waiting[part];
        self.file
            .write_all(waiting)
            .map_err(|error| failed(&error))?;
        self.blocks[part].push((self.end, waiting.len()));
        self.end += waiting.len() as u64;
        waiting.clear();
        Ok(())
    }

    /// Nothing more comes.
    fn end(&mut self) -> Result<(), Failure> {
        (0..PARTS).try_for_each(|part| self.write(part))?;
        self.waiting = Vec::new();
        Ok(())
    }

    fn each(
        &mut self,
        part: usize,
        visit: &mut dyn FnMut(u128, Place<'_>, Entry),
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for (at, len) in std::mem::take(&mut self.blocks[part]) {
            bytes.resize(len, 0);
            self.file
                .seek(SeekFrom::Start(at))
                .and_then(|_| self.file.read_exact(&mut bytes))
                .map_err(|error| failed(&error))?;
            each_of(&bytes, visit).ok_or_else(|| {
                failed(&io::Error::new(io::ErrorKind::InvalidData, "has changed"))
            })?;
        }
        Ok(())
    }
}

/// Reads what [`Parts::add`] wrote.
fn each_of(mut bytes: &[u8], visit: &mut dyn FnMut(u128, Place<'_>, Entry)) -> Option<()> {
    while !bytes.is_empty() {
        let hash = u128::from_le_bytes(*bytes.split_off(..16)?.first_chunk()?);
        let entry = Entry::from_bytes(bytes.split_off(..Entry::BYTES)?.first_chunk()?);
        let db = u64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?);
        let len = u64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?);
        let key = bytes.split_off(..usize::try_from(len).ok()?)?;
        let db = Some(db).filter(|db| *db != u64::MAX);
        visit(hash, Place { db, key }, entry);
    }
    Some(())
}

/// A comparison under way: first all of one file, then all of the other.
pub struct Comparison {
    table: Table,
    parts: Option<(Parts, Parts)>,
    memory: usize,
}

impl Comparison {
    /// Nothing yet; `memory` is what the keys of the first file may take.
    pub fn new(memory: u64) -> Comparison {
        Comparison {
            table: Table::default(),
            parts: None,
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
        }
    }

    /// A key of the first file.
    pub fn a(&mut self, hash: u128, place: Place<'_>, entry: Entry) -> Result<(), Failure> {
        if let Some((a, _)) = &mut self.parts {
            return a.add(hash, place, &entry);
        }
        self.table.insert(hash, place, entry);
        if self.table.cost() <= self.memory {
            return Ok(());
        }
        let (mut a, b) = (Parts::create()?, Parts::create()?);
        for (hash, slot) in &self.table.slots {
            a.add(*hash, self.table.place(slot), &slot.entry)?;
        }
        self.table = Table::default();
        self.parts = Some((a, b));
        Ok(())
    }

    /// A key of the second file.
    pub fn b(
        &mut self,
        hash: u128,
        place: Place<'_>,
        entry: Entry,
        judge: &mut dyn Judge,
    ) -> Result<(), Failure> {
        match &mut self.parts {
            Some((a, b)) => {
                if !a.waiting.is_empty() {
                    a.end()?;
                }
                b.add(hash, place, &entry)
            }
            None => {
                self.table.meet(hash, place, &entry, judge);
                Ok(())
            }
        }
    }

    /// All of both was told.
    pub fn end(self, judge: &mut dyn Judge) -> Result<(), Failure> {
        let Some((mut a, mut b)) = self.parts else {
            self.table.leftover(judge);
            return Ok(());
        };
        if !a.waiting.is_empty() {
            a.end()?;
        }
        b.end()?;
        for part in 0..PARTS {
            let mut table = Table::default();
            a.each(part, &mut |hash, place, entry| {
                table.insert(hash, place, entry);
            })?;
            b.each(part, &mut |hash, place, entry| {
                table.meet(hash, place, &entry, judge);
            })?;
            table.leftover(judge);
        }
        Ok(())
    }
}
