//! The journal: what units of effects changed, in one order, for all who read along.
//!
//! ```text
//!   engine --unit--> Journal::enter --Unit--> Subscriber::take   (the append log: bytes wait for its file)
//!                    gives the position   \-> Subscriber::take   (the next one: a backlog)
//! ```
//!
//! A position counts the bytes of commands that ever entered, without what a reader adds to them (SELECT, MULTI and EXEC,
//! timestamps): so it is the same number for all readers, whatever file or backlog their bytes are in and whenever they came.
//!
//! Invariants: a unit begins where the one before it ended; positions rise with each unit and are never used again, through
//! loads, rewrites and a log that is off; a subscriber takes every unit from where it subscribed, once, in order.
//!
//! The journal keeps no bytes. A subscriber has them in its own form, from the moment a unit enters until it has passed
//! them on. Without a subscriber nothing is encoded: [`Journal::is_read`] switches the engine's feed.

use std::sync::Arc;

use cairn_engine::base::effect::Feed;
use cairn_format::aof::writer::LogState;

/// Room for more bytes than this is not kept once all are passed on.
const BYTES_KEPT: usize = 1 << 20;

/// Gives each unit its place.
#[derive(Debug, Default)]
pub struct Journal {
    position: u64,
    /// Each subscriber holds a share, so that none is counted that is gone.
    readers: Arc<()>,
}

impl Journal {
    /// The place of a unit; all subscribers have to take it before the next one enters.
    #[inline]
    pub fn enter<'a>(&mut self, changes: &'a Feed, transaction: bool) -> Unit<'a> {
        let begin = self.position;
        self.position += changes.bytes() as u64;
        assert!(self.position > begin, "a unit without a command");
        Unit {
            changes,
            transaction,
            begin,
            end: self.position,
        }
    }

    /// The position behind everything that entered so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// A reader of everything from here on.
    pub fn subscribe(&self) -> Subscriber {
        Subscriber {
            form: LogState::new(),
            bytes: Vec::new(),
            position: self.position,
            _counted: Arc::clone(&self.readers),
        }
    }

    /// Whether anybody reads.
    pub fn is_read(&self) -> bool {
        Arc::strong_count(&self.readers) > 1
    }
}

/// What one unit (a command, an EXEC, keys that expired together) changed.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    changes: &'a Feed,
    /// Its commands belong together.
    transaction: bool,
    begin: u64,
    end: u64,
}

impl Unit<'_> {
    /// The position behind it.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// One reader: its position, what it has said of databases and times, and the bytes that it has not passed on yet.
#[derive(Debug)]
pub struct Subscriber {
    form: LogState,
    bytes: Vec<u8>,
    position: u64,
    _counted: Arc<()>,
}

impl Subscriber {
    /// Takes the next unit. `second`: Unix time, if the reader wants it written down.
    #[inline]
    pub fn take(&mut self, unit: &Unit, second: Option<i64>) {
        assert_eq!(unit.begin, self.position, "a unit was missed or came twice");
        let before = self.bytes.len();
        let commands = unit.changes.iter().map(|(db, bytes)| (db as u64, bytes));
        self.form
            .write_unit(&mut self.bytes, commands, unit.transaction, second);
        debug_assert!(
            self.bytes.len() - before >= (unit.end - unit.begin) as usize,
            "a reader adds to commands and leaves none out"
        );
        self.position = unit.end;
    }

    /// Takes a command that is no change, and so has no position. It may go to a database of its own. `write` appends it in the
    /// reader's form.
    pub fn insert(&mut self, db: Option<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(db) = db {
            self.form.before_command(&mut self.bytes, db as u64, None);
        }
        write(&mut self.bytes);
    }

    /// The next change says its database, whatever was said before.
    pub fn say_db_again(&mut self) {
        self.form = LogState::new();
    }

    /// The database that what follows goes to, as far as it was said.
    pub fn db(&self) -> usize {
        self.form.db().unwrap_or(0) as usize
    }

    /// The position behind the last unit taken.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What is to be passed on: whole units, but for the front of the first if a part of it is gone.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory that hold them.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives room back beyond so many bytes, if nothing waits.
    pub fn trim(&mut self, kept: usize) {
        if self.bytes.is_empty() && self.bytes.capacity() > kept {
            self.bytes = Vec::new();
        }
    }

    /// The first `count` bytes are passed on.
    pub fn passed_on(&mut self, count: usize) {
        if count < self.bytes.len() {
            self.bytes.drain(..count);
            return;
        }
        assert_eq!(count, self.bytes.len(), "more than there was");
        self.bytes.clear();
        if self.bytes.capacity() > BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }

    /// What follows goes where no database is selected yet, such as a new file. Everything before is passed on.
    pub fn begin_anew(&mut self) {
        assert!(self.bytes.is_empty(), "bytes for the place before");
        self.say_db_again();
    }
}
