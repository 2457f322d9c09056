//! A snapshot as the data set. Loading goes key by key, so that the server can answer in between.

use std::fmt;
use std::io::Read;

use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::reader::{Options, StreamReader};
use cairn_format::rdb::{Dialect, Event, Object, Record as SavedRecord};

use super::restore::{Attributes, NoValue, Restored, Unheld};
use super::value::Builder;
use crate::base::error::Error;
use crate::keyspace::{Expired, Keyspace};
use crate::scripts::libraries::Lines;
use crate::structure::table::Slot;
use crate::value::ValueRef;

/// What loading brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Keys stored.
    pub keys: u64,
    /// Keys left out because their time had come.
    pub expired: u64,
    /// Keys left out because they had no elements.
    pub empty: u64,
    /// Names of some of the empty ones.
    pub empty_names: Vec<Vec<u8>>,
    /// Streams whose length in the file was not the number of their entries.
    pub miscounted: u64,
    /// Some of them: name, length in the file, entries.
    pub miscounts: Vec<(Vec<u8>, u64, u64)>,
    /// The snapshot is the base of a log.
    pub aof_base: bool,
    /// Version text of the program that wrote it, its age and memory, as the file tells.
    pub written_by: Option<String>,
    /// When it was written, Unix seconds.
    pub ctime: Option<i64>,
    /// Memory that the writer used, bytes.
    pub used_mem: Option<u64>,
    /// Where the writer's stream of changes was.
    pub stream: StreamPlace,
    /// Database and name of the keys that were left out as expired, if the writer had a stream: who followed it has them.
    pub dropped: Vec<DroppedKey>,
}

/// Database and name of a key.
pub type DroppedKey = (usize, Box<[u8]>);

/// A place in a stream of changes, as far as a snapshot tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPlace {
    /// The database that it is at.
    pub db: Option<usize>,
    /// Its name.
    pub id: Option<Vec<u8>>,
    /// Its offset.
    pub offset: Option<u64>,
}

/// Why a snapshot cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The bytes are damaged, or of a version nobody here knows.
    Damaged(Box<FormatError>),
    /// A library of functions cannot be loaded.
    Library {
        /// Where it stands in the file.
        offset: u64,
        /// What is wrong with it.
        error: Error,
    },
    /// It holds something that the engine cannot hold.
    Unheld {
        /// Database.
        db: u64,
        /// The key; empty for what belongs to no key.
        key: Vec<u8>,
        /// What is there.
        what: Unheld,
        /// Where it stands in the file.
        offset: u64,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Damaged(error) => write!(f, "{error}"),
            LoadError::Library { offset, error } => write!(
                f,
                "offset {offset} (0x{offset:x}): a function library cannot be loaded: {}",
                error.0.strip_prefix("ERR ").unwrap_or(&error.0)
            ),
            LoadError::Unheld {
                key, what, offset, ..
            } if key.is_empty() => {
                write!(
                    f,
                    "offset {offset} (0x{offset:x}): {} cannot be held yet",
                    what.0
                )
            }
            LoadError::Unheld {
                db,
                key,
                what,
                offset,
            } => write!(
                f,
                "offset {offset} (0x{offset:x}): db {db}, key {}: {} cannot be held yet",
                cairn_format::text::words::quote(key),
                what.0
            ),
        }
    }
}

impl From<Box<FormatError>> for LoadError {
    fn from(error: Box<FormatError>) -> Self {
        LoadError::Damaged(error)
    }
}

/// How far a step of a load came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more.
    More,
    /// The input would have to wait for more: ask again when it has it.
    Waits,
    /// All is loaded.
    Done,
}

/// A snapshot on its way into a keyspace, which should be empty.
pub struct Loader<R: Read> {
    reader: StreamReader<R>,
    /// Keys past their time are dropped (as a primary does) instead of kept (as for the base of a log).
    drop_expired: bool,
    /// A repeated key replaces instead of being damage (DEBUG RELOAD MERGE).
    pub replace: bool,
    report: LoadReport,
    /// Keys that the database which is read is said to have.
    expected: usize,
}

impl<R: Read> Loader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Damage or an unknown version.
    pub fn new(
        input: R,
        databases: usize,
        drop_expired: bool,
        checksum: bool,
    ) -> Result<Self, LoadError> {
        let options = Options {
            checksum,
            databases: Some(databases as u64),
            ..Options::sound()
        };
        let reader = StreamReader::from_read(input, options)?;
        Ok(Loader {
            reader,
            drop_expired,
            replace: false,
            report: LoadReport::default(),
            expected: 0,
        })
    }

    /// The version of the file.
    pub fn dialect(&self) -> Dialect {
        self.reader.dialect()
    }

    /// Bytes of the file that are understood.
    pub fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Stores up to `keys` keys; nothing expires meanwhile.
    ///
    /// # Errors
    /// The first damage or unholdable value; the keyspace then holds a part and is to be thrown away.
    pub fn step(&mut self, ks: &mut Keyspace, keys: usize) -> Result<Progress, LoadError> {
        let kept = std::mem::replace(&mut ks.expired, Expired::Stays);
        let (expired, started) = (ks.stats.expired, self.offset());
        let more = self.events(ks, keys);
        debug_assert_eq!(ks.stats.expired, expired, "nothing expires meanwhile");
        debug_assert!(self.offset() >= started, "it goes on");
        ks.expired = kept;
        more
    }

    fn events(&mut self, ks: &mut Keyspace, keys: usize) -> Result<Progress, LoadError> {
        let mut left = keys;
        while left > 0 {
            let found = match self.reader.next() {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Progress::Done),
                Err(error) if error.kind == Damage::Pending => return Ok(Progress::Waits),
                Err(error) => return Err(error.into()),
            };
            let unheld = |what| LoadError::Unheld {
                db: 0,
                key: Vec::new(),
                what: Unheld(what),
                offset: found.offset,
            };
            match found.event {
                Event::Record(record) => {
                    left -= 1;
                    ks.make_room(record.db as usize, self.expected);
                    let rules = (self.drop_expired, self.replace);
                    store(ks, &record, found.offset, rules, &mut self.report)?;
                }
                Event::SelectDb(_) => self.expected = 0,
                Event::Resize { keys, .. } => {
                    self.expected = usize::try_from(keys).unwrap_or(usize::MAX);
                }
                Event::Aux { name, value } => {
                    let databases = ks.databases();
                    self.report
                        .note_aux(&name.to_vec(), &value.to_vec(), databases);
                }
                Event::Function(code) => {
                    let (code, offset) = (code.to_vec(), found.offset);
                    ks.libraries
                        .load(&code, self.replace, &mut Lines::new(), &mut || false)
                        .map_err(|error| LoadError::Library { offset, error })?;
                }
                Event::ModuleAux(_) => return Err(unheld("a module's own data")),
                _ => {}
            }
        }
        Ok(Progress::More)
    }

    /// Stores all that is left, of an input that waits by itself.
    ///
    /// # Errors
    /// As [`Loader::step`].
    pub fn run(&mut self, ks: &mut Keyspace) -> Result<(), LoadError> {
        while self.step(ks, STEP)? != Progress::Done {}
        Ok(())
    }

    /// What was brought, and what follows the snapshot: bytes read ahead, and the rest of the input.
    pub fn finish(self) -> (LoadReport, Vec<u8>, R) {
        debug_assert!(self.report.empty_names.len() as u64 <= self.report.empty);
        debug_assert!(self.report.miscounts.len() as u64 <= self.report.miscounted);
        let (ahead, input) = self.reader.into_rest();
        (self.report, ahead, input)
    }

    /// What was brought so far.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }
}

impl LoadReport {
    /// A collection without elements is left out, as by Redis.
    fn note_empty(&mut self, key: &[u8]) {
        self.empty += 1;
        if self.empty_names.len() < NAMES_TOLD {
            self.empty_names.push(key.to_vec());
        }
    }

    /// A stream is loaded with the entries that are there, whatever the file says of their number.
    fn note_length(&mut self, key: &[u8], saved: u64, found: u64) {
        if saved != found {
            self.miscounted += 1;
            if self.miscounts.len() < NAMES_TOLD {
                self.miscounts.push((key.to_vec(), saved, found));
            }
        }
    }

    /// A database that is not here and an offset beyond those that Redis counts are none.
    fn note_aux(&mut self, name: &[u8], value: &[u8], databases: usize) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"aof-base" | b"aof-preamble" => self.aof_base = value == b"1",
            b"redis-ver" | b"valkey-ver" => self.written_by = Some(text()),
            b"ctime" => self.ctime = text().parse().ok(),
            b"repl-stream-db" => {
                self.stream.db = text().parse().ok().filter(|db| *db < databases);
            }
            b"repl-id" => self.stream.id = Some(value.to_vec()),
            b"repl-offset" => {
                self.stream.offset = text().parse::<i64>().ok().and_then(|n| n.try_into().ok());
            }
            b"used-mem" => self.used_mem = text().parse().ok(),
            _ => {}
        }
    }
}

/// Keys of one step of [`Loader::run`].
const STEP: usize = 1000;

/// Names that are kept of keys with one oddity.
const NAMES_TOLD: usize = 10;

/// Stores one key. The two rules: keys past their time are dropped; a repeated key replaces instead of being damage.
fn store(
    ks: &mut Keyspace,
    record: &SavedRecord,
    offset: u64,
    (drop_expired, replace): (bool, bool),
    report: &mut LoadReport,
) -> Result<(), LoadError> {
    let head = &record.head;
    debug_assert!(
        record.db < ks.databases() as u64,
        "the reader refuses others"
    );
    ks.select(record.db as usize);
    ks.select_key(head.key);
    if drop_expired && head.expire_ms.is_some_and(|at| at < ks.now_ms) {
        report.expired += 1;
        if report.stream.id.is_some() {
            report.dropped.push((record.db as usize, head.key.into()));
        }
        return Ok(());
    }
    // Its bucket is on its way while the value is built, and the key is hashed once.
    let aim = ks.aim(record.db as usize, head.key);
    let builder = Builder {
        limits: &ks.limits,
        hasher: ks.hasher,
    };
    let placed = |error: Box<FormatError>| error.in_db(record.db).at_key(head.key);
    let restored = match builder.build(&record.value) {
        Ok(restored) => restored,
        Err(NoValue::Empty) => {
            report.note_empty(head.key);
            return Ok(());
        }
        Err(NoValue::Damaged(error)) => return Err(placed(error).into()),
        Err(NoValue::Unheld(what)) => {
            return Err(LoadError::Unheld {
                db: record.db,
                key: head.key.to_vec(),
                what,
                offset,
            });
        }
    };
    ks.hint(head.key, &aim);
    let stored = enter(ks, record, restored, offset, replace);
    // The bytes of the key are the reader's, who goes on.
    ks.forget_hint();
    let slot = stored?;
    if let (Object::Stream(saved), ValueRef::Stream(stream)) = (&record.value, ks.view(slot)) {
        report.note_length(head.key, saved.length, stream.len());
    }
    // Who followed has such fields: they stay until the keyspace removes them, which is told.
    if drop_expired && report.stream.id.is_none() && !ks.drop_dead_fields(slot) {
        report.expired += 1;
        return Ok(());
    }
    report.keys += 1;
    debug_assert!(!ks.is_free(head.key), "what is counted is there");
    Ok(())
}

/// Enters a value that was built at its key; `replace` as in [`store`].
fn enter(
    ks: &mut Keyspace,
    record: &SavedRecord,
    restored: Restored<'_>,
    offset: u64,
    replace: bool,
) -> Result<Slot, LoadError> {
    let head = &record.head;
    match ks.find(head.key) {
        Some(old) if replace => ks.remove(old),
        Some(_) => {
            let what = "the key occurs twice in this database";
            let error = FormatError::new(Damage::Encoding, offset, what);
            return Err(error.in_db(record.db).at_key(head.key).into());
        }
        None => {}
    }
    let attributes = Attributes {
        expire_ms: head.expire_ms,
        idle_s: head.idle_s,
        freq: head.freq,
    };
    Ok(restored.store(ks, head.key, &attributes))
}
