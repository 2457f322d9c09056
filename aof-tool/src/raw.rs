//! Keys of modules. The engine holds none, so they go round it as they are: from snapshots and RESTORE to the new log.
//!
//! What can be done to a key without knowing its value is done: DEL, RENAME, expiries, FLUSHALL, SWAPDB, and a SET in its place. Any other
//! command about such a key, and the commands of modules themselves, only the module can run.

use crate::keys::Keys;
use cairn_format::aof::reader::Item;
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::error::Result as FormatResult;
use cairn_format::rdb::dump::{self, Payload};

use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{
    Check, Dialect, Event, Head, Object, Options, Record, SliceReader, WriteError, WriteOptions,
    Writer,
};
use cairn_format::text::number::parse_i64;
use cairn_toolkit::{Failure, Input, quoted};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};

/// The type byte of modules' values from 4.0 on.
const TYPE: u8 = 7;
/// Reads all payloads.
const NEWEST: Dialect = Dialect::redis(15);

/// A value as DUMP gives it, and when it expires.
struct Raw {
    payload: Vec<u8>,
    expire_ms: Option<i64>,
}

/// The keys of modules that there are at some place of the log, by database and key.
#[derive(Default)]
pub struct RawKeys {
    held: BTreeMap<(u64, Vec<u8>), Raw>,
    keys: Keys,
}

/// What a command is.
pub enum Taken {
    /// Nothing of ours: the engine runs it.
    No,
    /// Done.
    Done,
    /// Nobody but the module can run it.
    Refused(String),
}

impl RawKeys {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.held.len() as u64
    }

    /// Forgets those that `is_wanted` does not take; it is asked with database, key, expiry and bytes.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(u64, &[u8], Option<i64>, u64) -> bool) {
        self.held
            .retain(|(db, key), raw| is_wanted(*db, key, raw.expire_ms, raw.payload.len() as u64));
    }

    /// Gives those that expire another time, or none.
    pub fn change_expiries(&mut self, new: &dyn Fn(i64) -> Option<i64>) {
        for raw in self.held.values_mut() {
            raw.expire_ms = raw.expire_ms.and_then(new);
        }
    }

    /// Database, key, expiry and payload of each.
    pub fn each(&self) -> impl Iterator<Item = (u64, &[u8], Option<i64>, &[u8])> {
        let held = self.held.iter();
        held.map(|((db, key), raw)| (*db, &key[..], raw.expire_ms, &raw.payload[..]))
    }

    /// Takes those of a snapshot that is sound; gives it without them, and where it ended.
    pub fn take_from(&mut self, snapshot: &[u8]) -> Result<(Input, u64), Failure> {
        let damaged = |error| Failure::damage("snapshot", &error);
        let spool = |error: std::io::Error| Failure::io("temporary file", &error);
        let options = Options {
            trailing: false,
            ..Options::shallow()
        };
        let mut reader = SliceReader::from_slice(snapshot, options).map_err(|e| damaged(*e))?;
        let options = WriteOptions::new(reader.dialect());
        let file = BufWriter::new(tempfile::tempfile().map_err(spool)?);
        let mut writer = Writer::new(file, options).map_err(unwritten)?;
        let mut end = 0;
        while let Some(located) = reader.next().map_err(|e| damaged(*e))? {
            end = located.end;
            match &located.event {
                Event::Resize { .. } | Event::SlotInfo { .. } => {}
                Event::Record(record) if matches!(record.value, Object::Module(_)) => {
                    let payload = dump::encode(options, &record.value).map_err(unwritten)?;
                    let expire_ms = record.head.expire_ms;
                    let place = (record.db, record.head.key.to_vec());
                    self.held.insert(place, Raw { payload, expire_ms });
                }
                event => drop(writer.event(event).map_err(unwritten)?),
            }
        }
        Ok((mapped(writer.finish().map_err(unwritten)?)?, end))
    }

    /// Takes a command of database `db` that is about a key of a module.
    pub fn take(&mut self, item: &Item<'_>, db: u64) -> Taken {
        let name = item.arg(0).unwrap_or_default();
        let is_restore = name.eq_ignore_ascii_case(b"restore");
        if is_restore && is_module(item.arg(3).unwrap_or_default()) {
            return self.restore(item, db);
        }
        if self.held.is_empty() {
            return Taken::No;
        }
        let name = name.to_ascii_lowercase();
        match &name[..] {
            b"flushall" => self.held.clear(),
            b"flushdb" => self.held.retain(|(of, _), _| *of != db),
            b"swapdb" => self.swap(item),
            _ => return self.about_keys(item, db, &name),
        }
        Taken::No
    }

    fn about_keys(&mut self, item: &Item<'_>, db: u64, name: &[u8]) -> Taken {
        let mut ours = Vec::new();
        let held = &self.held;
        self.keys.each(item, |key| {
            let place = (db, key.to_vec());
            if held.contains_key(&place) {
                ours.push(place);
            }
        });
        let Some(first) = ours.first().cloned() else {
            return Taken::No;
        };
        let time = item.arg(2).and_then(parse_i64);
        match name {
            b"del" | b"unlink" => {
                self.held.retain(|place, _| !ours.contains(place));
                Taken::No
            }
            b"set" => {
                self.held.remove(&first);
                Taken::No
            }
            b"persist" => self.expire(&first, None),
            b"pexpireat" if item.argc() == 3 && time.is_some() => self.expire(&first, time),
            // What is renamed away is ours; nothing of the engine may stand where it goes.
            b"rename" if item.arg(1) == Some(&first.1[..]) => {
                let to = (db, item.arg(2).unwrap_or_default().to_vec());
                if let Some(raw) = self.held.remove(&first) {
                    self.held.insert(to, raw);
                }
                Taken::Done
            }
            b"rename" => {
                self.held.remove(&first);
                Taken::No
            }
            _ => Taken::Refused(format!(
                "{} of key {}: only its module can run that",
                String::from_utf8_lossy(name).to_uppercase(),
                quoted(&first.1)
            )),
        }
    }

    fn expire(&mut self, place: &(u64, Vec<u8>), at: Option<i64>) -> Taken {
        if let Some(raw) = self.held.get_mut(place) {
            raw.expire_ms = at;
        }
        Taken::Done
    }

    fn swap(&mut self, item: &Item<'_>) {
        let number = |at: usize| {
            let db = item.arg(at).and_then(parse_i64);
            db.and_then(|db| u64::try_from(db).ok())
        };
        let (Some(a), Some(b)) = (number(1), number(2)) else {
            return;
        };
        let held = std::mem::take(&mut self.held).into_iter();
        self.held = held
            .map(|((db, key), raw)| {
                let db = match db {
                    db if db == a => b,
                    db if db == b => a,
                    db => db,
                };
                ((db, key), raw)
            })
            .collect();
    }

    fn restore(&mut self, item: &Item<'_>, db: u64) -> Taken {
        let has = |word: &str| {
            let mut options = item.args().skip(4);
            options.any(|option| option.eq_ignore_ascii_case(word.as_bytes()))
        };
        let ttl = item.arg(2).and_then(parse_i64).unwrap_or(-1);
        if ttl < 0 || (ttl > 0 && !has("absttl")) {
            return Taken::Refused("RESTORE of a module's value with a relative expiry".to_owned());
        }
        let (key, payload) = (
            item.arg(1).unwrap_or_default(),
            item.arg(3).unwrap_or_default(),
        );
        let raw = Raw {
            payload: payload.to_vec(),
            expire_ms: (ttl > 0).then_some(ttl),
        };
        self.held.insert((db, key.to_vec()), raw);
        Taken::Done
    }

    /// Writes them as commands.
    pub fn write_commands(&self, out: &mut impl Write, target: Release) -> Result<(), Failure> {
        let mut to = Rewriter::new(target);
        self.each_record(|record| {
            let lost = to
                .event(&Event::Record(record))
                .map_err(WriteError::Source)?;
            match lost {
                None => Ok(()),
                Some((what, needs)) => Err(WriteError::from(std::io::Error::other(format!(
                    "{target} has no commands for {}, which needs {needs}",
                    what.what()
                )))),
            }
        })
        .map_err(unwritten)?;
        Ok(out.write_all(to.bytes())?)
    }

    /// Writes a snapshot with them behind its keys.
    pub fn write_behind(&self, snapshot: &Input, out: &mut impl Write) -> Result<(), Failure> {
        let damaged = |error| Failure::damage(snapshot.name(), &error);
        let bytes = snapshot.bytes().unwrap_or_default();
        let mut reader =
            SliceReader::from_slice(bytes, Options::sound()).map_err(|e| damaged(*e))?;
        let target = WriteOptions::new(reader.dialect());
        let mut writer = Writer::new(out, target).map_err(unwritten)?;
        while let Some(located) = reader.next().map_err(|e| damaged(*e))? {
            if matches!(located.event, Event::End(_)) {
                self.write_into(&mut writer).map_err(unwritten)?;
            } else {
                writer.event(&located.event).map_err(unwritten)?;
            }
        }
        writer.finish().map(drop).map_err(unwritten)
    }

    /// Writes them where a snapshot stands between two keys.
    pub fn write_into<W: Write>(&self, writer: &mut Writer<W>) -> WriteResult<()> {
        let mut selected = None;
        self.each_record(|record| {
            if selected != Some(record.db) {
                selected = Some(record.db);
                writer.event(&Event::SelectDb(record.db))?;
            }
            writer.event(&Event::Record(record)).map(drop)
        })
    }

    fn each_record(&self, mut each: impl FnMut(Record<'_>) -> WriteResult<()>) -> WriteResult<()> {
        for ((db, key), raw) in &self.held {
            let mut scratch = Vec::new();
            let value = value_of(&raw.payload, &mut scratch).map_err(WriteError::Source)?;
            each(Record {
                db: *db,
                head: Head::expiring(key, raw.expire_ms),
                type_byte: TYPE,
                value,
                value_offset: 0,
                value_len: raw.payload.len() as u64,
            })?;
        }
        Ok(())
    }
}

fn value_of<'a>(payload: &'a [u8], scratch: &'a mut Vec<u8>) -> FormatResult<Object<'a>> {
    Payload::open(payload, NEWEST)?.value(scratch, Check::Sound)
}

fn is_module(payload: &[u8]) -> bool {
    let found = Payload::open(payload, NEWEST).ok();
    found.and_then(|payload| payload.type_byte()) == Some(TYPE)
}

/// Why nothing was written.
pub fn unwritten(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()).hint("nothing was written"),
    }
}

/// A temporary file that was written, to be read.
pub fn mapped(out: BufWriter<File>) -> Result<Input, Failure> {
    let failed = |error: &std::io::Error| Failure::io("temporary file", error);
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Input::of_file(file, "temporary file")
}
