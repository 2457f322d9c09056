//! The keys of one file, and those of the other held against them: in memory, or in parts where that would be too much.
//!
//! ```text
//!   Table   a hash of the place -> entry, and where its name stands in one long run of names
//!   Parts   64 temporary files for each side; a key goes into the one that its hash says
//! ```
//!
//! Two places with the same 16 bytes meet with probability below 10^-20 among a billion keys, as seeds are drawn at start.

use super::entry::{Entry, Place};
use cairn_toolkit::Failure;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Parts of each side.
const PARTS: usize = 64;
/// Bytes that an entry of the table takes beside its name, with the free places of a table.
const ENTRY_COST: usize = 160;
/// Buffer of a file of a part.
const BUFFER: usize = 32 << 10;

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

/// The keys of the first file.
#[derive(Default)]
struct Table {
    slots: HashMap<u128, Slot>,
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

/// One side in parts.
struct Parts {
    files: Vec<BufWriter<File>>,
}

fn failed(error: &io::Error) -> Failure {
    Failure::io("temporary file", error)
}

impl Parts {
    fn create() -> Result<Parts, Failure> {
        let file = |_| tempfile::tempfile().map(|file| BufWriter::with_capacity(BUFFER, file));
        let files: io::Result<Vec<_>> = (0..PARTS).map(file).collect();
        let files = files.map_err(|error| failed(&error))?;
        Ok(Parts { files })
    }

    fn add(&mut self, hash: u128, place: Place<'_>, entry: &Entry) -> Result<(), Failure> {
        let file = &mut self.files[hash as usize % PARTS];
        let db = place.db.map_or(u64::MAX, |db| db);
        let mut all = || -> io::Result<()> {
            file.write_all(&hash.to_le_bytes())?;
            file.write_all(&entry.to_bytes())?;
            file.write_all(&db.to_le_bytes())?;
            file.write_all(&(place.key.len() as u64).to_le_bytes())?;
            file.write_all(place.key)
        };
        all().map_err(|error| failed(&error))
    }

    /// Takes the parts one by one, from the last to the first.
    fn next(&mut self) -> Result<Option<BufReader<File>>, Failure> {
        let Some(file) = self.files.pop() else {
            return Ok(None);
        };
        let mut file = file.into_inner().map_err(|error| failed(error.error()))?;
        file.rewind().map_err(|error| failed(&error))?;
        Ok(Some(BufReader::with_capacity(BUFFER, file)))
    }
}

/// Reads what [`Parts::add`] wrote.
fn each_of(
    file: &mut BufReader<File>,
    visit: &mut dyn FnMut(u128, Place<'_>, Entry),
) -> io::Result<()> {
    let mut key = Vec::new();
    loop {
        let mut hash = [0; 16];
        match file.read_exact(&mut hash) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let (mut entry, mut db, mut len) = ([0; Entry::BYTES], [0; 8], [0; 8]);
        file.read_exact(&mut entry)?;
        file.read_exact(&mut db)?;
        file.read_exact(&mut len)?;
        key.resize(u64::from_le_bytes(len) as usize, 0);
        file.read_exact(&mut key)?;
        let db = Some(u64::from_le_bytes(db)).filter(|db| *db != u64::MAX);
        let place = Place { db, key: &key };
        visit(u128::from_le_bytes(hash), place, Entry::from_bytes(&entry));
    }
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
            Some((_, b)) => b.add(hash, place, &entry),
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
        while let (Some(mut of_a), Some(mut of_b)) = (a.next()?, b.next()?) {
            let mut table = Table::default();
            each_of(&mut of_a, &mut |hash, place, entry| {
                table.insert(hash, place, entry);
            })
            .map_err(|error| failed(&error))?;
            each_of(&mut of_b, &mut |hash, place, entry| {
                table.meet(hash, place, &entry, judge);
            })
            .map_err(|error| failed(&error))?;
            table.leftover(judge);
        }
        Ok(())
    }
}
