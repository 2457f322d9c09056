//! The second look at both files, for what the first one cannot tell: which elements differ, and which commands make one of the other.
//!
//! ```text
//!   first look    which keys differ (a mark for each, 40 bytes)
//!   A again       values that differ -> a temporary file; what B has not is deleted
//!   B again       each value against that of A: elements, commands
//! ```

use super::DiffArguments;
use super::elements::{Changes, compare};
use super::entry::{Place, module_data_name};
use super::patch::Patch;
use crate::canon::Canonizer;
use crate::snapshot::{Need, Stop, Visit, inside, read};
use cairn_format::rdb::dump::{Payload, encode};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{
    Check, Dialect, Event, Located, Object, Record, WriteOptions, library_name,
};
use cairn_format::text::number::I64Text;
use cairn_toolkit::{Failure, Input};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// Values are kept in the form of this version.
const FORM: Dialect = Dialect::NEWEST_REDIS;

/// What differs of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Only the first file has it.
    OnlyA,
    /// Only the second file has it.
    OnlyB,
    /// The value, and perhaps the expiry.
    Value,
    /// The expiry alone.
    Expiry,
}

/// Where a value stays.
#[derive(Clone, Copy)]
struct Stay {
    at: u64,
    len: usize,
    /// The key does not expire.
    is_lasting: bool,
}

/// Values of the first file.
struct Kept {
    file: BufWriter<File>,
    places: HashMap<u128, Stay>,
    end: u64,
}

fn failed(error: &io::Error) -> Stop {
    Stop::Failed(Failure::io("temporary file", error))
}

impl Kept {
    fn create() -> Result<Kept, Failure> {
        let file = tempfile::tempfile().map_err(|error| Failure::io("temporary file", &error))?;
        Ok(Kept {
            file: BufWriter::new(file),
            places: HashMap::new(),
            end: 0,
        })
    }

    fn put(&mut self, hash: u128, record: &Record<'_>) -> Visit {
        let options = WriteOptions {
            compress: false,
            ..WriteOptions::new(FORM)
        };
        let payload = encode(options, &record.value)
            .map_err(|error| Stop::Failed(Failure::new(error.to_string())))?;
        self.file
            .write_all(&payload)
            .map_err(|error| failed(&error))?;
        let stay = Stay {
            at: self.end,
            len: payload.len(),
            is_lasting: record.head.expire_ms.is_none(),
        };
        self.places.insert(hash, stay);
        self.end += payload.len() as u64;
        Ok(())
    }

    fn get(&mut self, hash: u128) -> Result<Option<(Vec<u8>, bool)>, Stop> {
        let Some(stay) = self.places.get(&hash) else {
            return Ok(None);
        };
        let mut payload = vec![0; stay.len];
        let mut read = || {
            self.file.flush()?;
            let file = self.file.get_mut();
            file.seek(SeekFrom::Start(stay.at))?;
            file.read_exact(&mut payload)
        };
        read().map_err(|error| failed(&error))?;
        Ok(Some((payload, stay.is_lasting)))
    }
}

/// What is looked for.
pub struct Look<'a> {
    /// The options.
    pub arguments: &'a DiffArguments,
    /// Hashes as in the first look.
    pub canonizer: &'a Canonizer,
    /// The keys that differ.
    pub marks: HashMap<u128, Mark>,
    /// Those whose elements are told.
    pub named: HashSet<u128>,
    /// The commands, if they are wanted.
    pub patch: Option<Patch>,
}

/// What is marked of an event.
fn place_of<'e>(event: &'e Event<'_>, name: &'e mut String) -> Option<Place<'e>> {
    match event {
        Event::Record(record) => Some(Place {
            db: Some(record.db),
            key: record.head.key,
        }),
        Event::Function(code) => {
            *name = library_name(code.bytes(&mut I64Text::new()))
                .unwrap_or_default()
                .1;
            let key = name.as_bytes();
            Some(Place { db: None, key })
        }
        Event::ModuleAux(aux) => {
            *name = module_data_name(aux);
            let key = name.as_bytes();
            Some(Place { db: None, key })
        }
        _ => None,
    }
}

impl Look<'_> {
    fn each(
        &self,
        input: &Input,
        visit: &mut dyn FnMut(u128, Mark, Place<'_>, &Event<'_>) -> Visit,
    ) -> Result<(), Failure> {
        let label = format!("reading {} again", input.name());
        let visit = &mut |_, located: &Located<'_>| {
            let mut name = String::new();
            let Some(place) = place_of(&located.event, &mut name) else {
                return Ok(());
            };
            let hash = self.canonizer.place(place.db, place.key);
            match self.marks.get(&hash) {
                Some(mark) => visit(hash, *mark, place, &located.event),
                None => Ok(()),
            }
        };
        let reading = &self.arguments.reading;
        read(input, reading, Need::All, Options::shallow(), &label, visit).map(|_| ())
    }

    /// Both files again; answers the elements that differ, by hash of the place.
    pub fn run(
        mut self,
        a: &Input,
        b: &Input,
    ) -> Result<(HashMap<u128, Changes>, Option<Patch>), Failure> {
        let mut patch = self.patch.take();
        let mut kept = Kept::create()?;
        self.each(a, &mut |hash, mark, place, event| {
            match (mark, event) {
                (Mark::OnlyA, _) => {
                    if let Some(patch) = &mut patch {
                        match event {
                            Event::ModuleAux(_) => patch.lost(),
                            _ => patch.remove(place),
                        }
                        patch.flush()?;
                    }
                }
                (Mark::Value, Event::Record(record)) => kept.put(hash, record)?,
                _ => {}
            }
            Ok(())
        })?;
        let mut found = HashMap::new();
        self.each(b, &mut |hash, mark, place, event| {
            let mut scratch = Vec::new();
            let payload = match mark {
                Mark::Value => kept.get(hash)?,
                _ => None,
            };
            let old = match &payload {
                Some((payload, _)) => Some(
                    Payload::open(payload, FORM)
                        .and_then(|payload| payload.value(&mut scratch, Check::Structure))
                        .map_err(Stop::inside)?,
                ),
                None => None,
            };
            if let (Some(old), Event::Record(record)) = (&old, event)
                && self.named.contains(&hash)
                && old.type_name() == record.value.type_name()
            {
                let changes = compare(old, &record.value, self.arguments.elements);
                found.insert(hash, inside(changes, record.db, place.key)?);
            }
            if let Some(patch) = &mut patch {
                let is_lasting = payload.as_ref().is_some_and(|(_, is_lasting)| *is_lasting);
                change(patch, mark, old.as_ref().filter(|_| is_lasting), event)
                    .map_err(Stop::inside)?;
                patch.flush()?;
            }
            Ok(())
        })?;
        Ok((found, patch))
    }
}

fn change(
    patch: &mut Patch,
    mark: Mark,
    old: Option<&Object<'_>>,
    event: &Event<'_>,
) -> cairn_format::error::Result<()> {
    let record: &Record<'_> = match (mark, event) {
        (Mark::Value, Event::Record(record)) => record,
        (Mark::Expiry, Event::Record(record)) => {
            patch.expiry(record);
            return Ok(());
        }
        // A library of the same name goes first.
        (Mark::Value, Event::Function(_)) => {
            let mut name = String::new();
            if let Some(place) = place_of(event, &mut name) {
                patch.remove(place);
            }
            return patch.whole(event);
        }
        (Mark::OnlyB, _) | (_, Event::ModuleAux(_)) => return patch.whole(event),
        _ => return Ok(()),
    };
    patch.value(old, record, event)
}
