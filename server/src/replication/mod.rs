//! The place of this server among others: who follows it, and whom it follows.
//!
//! ```text
//!   Front::feed --Unit--> reader --flush, once a turn--> Primary (backlog) --> sockets of replicas
//!   primary's socket --bytes--> Upstream::link, then commands --applied--> Primary (backlog) --> ...
//! ```
//! This is the state; [`crate::sync`] moves it.

mod failover;
mod load;
mod marks;
mod upstream;

pub use failover::{Failover, HandOver};
pub use load::{Copy, Feed, Goes, Load, Reading, Serving};
pub use marks::Marks;
pub use upstream::Upstream;

use std::io::Read;

use cairn_replication::ReplId;
use cairn_replication::primary::{PeerId, Primary};

use crate::host::{Host, Pipe};
use crate::journal::{Journal, Subscriber, Unit};

/// A snapshot on its way to a replica.
pub struct Transfer {
    /// The replica's connection.
    pub slot: usize,
    /// The rest of it.
    pub file: Box<dyn Read>,
    /// Bytes of the rest.
    pub left: u64,
    /// It is no snapshot but a part of the stream, as the log holds it.
    pub of_log: bool,
}

/// A snapshot on its way from the child that writes it to replicas.
pub struct Pouring {
    /// Where it comes from, until that has ended.
    pub pipe: Option<Box<dyn Pipe>>,
    /// Room for one read.
    pub buffer: Vec<u8>,
    /// There may be something in it.
    pub is_readable: bool,
    /// Whether the child wrote all of it, once it has ended.
    pub child: Option<bool>,
}

/// Where a server is in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It writes the stream.
    Own {
        /// Its name.
        id: [u8; ReplId::LEN],
        /// The name that it had until just here.
        before: Option<[u8; ReplId::LEN]>,
        /// Offset of its last byte.
        offset: u64,
        /// The database that it is at.
        db: usize,
    },
    /// It follows the stream.
    Followed {
        /// As above.
        id: [u8; ReplId::LEN],
        /// As above.
        offset: u64,
        /// As above.
        db: usize,
    },
    /// There is none, or what it holds is at no place of it.
    Unknown,
}

/// Both directions.
pub struct Replication {
    /// Those who follow, and the stream.
    pub primary: Primary,
    /// What of the journal is not in the stream yet; none while nobody could ask for it.
    reader: Option<Subscriber>,
    /// Where changes are in the stream.
    pub marks: Marks,
    /// Snapshots on their way.
    pub transfers: Vec<Transfer>,
    /// The snapshot that is sent while it is written.
    pub pouring: Option<Pouring>,
    /// Whom this server follows.
    pub upstream: Option<Upstream>,
    /// A snapshot of the primary that comes, is being proven or loaded.
    pub load: Option<Box<Load>>,
    /// This primary hands its role over.
    pub failover: Option<Failover>,
    /// Somebody waits for replicas: they are to say how far they are.
    pub wants_acks: bool,
    /// The primary has asked how far this server is.
    pub is_asked: bool,
    /// The last run of timed work, monotonic milliseconds.
    pub ticked_ms: u64,
    /// Errors that commands of the stream met with.
    pub unexpected_errors: u64,
    /// Bytes that came from a primary, and that went to replicas.
    pub bytes: (u64, u64),
}

/// Room for more bytes than this is not kept between two turns.
const READER_KEPT: usize = 64 * 1024;

/// Asks all replicas how far they are.
pub const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

impl Replication {
    /// Of a server that is alone.
    pub fn new(host: &dyn Host, backlog_size: u64) -> Replication {
        Replication {
            primary: Primary::new(fresh_id(host), backlog_size),
            reader: None,
            marks: Marks::default(),
            transfers: Vec::new(),
            pouring: None,
            upstream: None,
            load: None,
            failover: None,
            wants_acks: false,
            is_asked: false,
            ticked_ms: 0,
            unexpected_errors: 0,
            bytes: (0, 0),
        }
    }

    /// Whether this server follows another one.
    pub fn follows(&self) -> bool {
        self.upstream.is_some()
    }

    /// Takes the next unit, if it goes to anybody.
    #[inline]
    pub fn take(&mut self, unit: &Unit) {
        if let Some(reader) = &mut self.reader {
            reader.take(unit, None);
        }
    }

    /// A command that is no change enters the stream: for the database, if it says so.
    pub fn insert(&mut self, db: Option<usize>, command: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.insert(db, |out| out.extend_from_slice(command));
        }
    }

    /// Whether commands that are no changes enter a stream.
    pub fn streams_out(&self) -> bool {
        self.reader.is_some()
    }

    /// Where the stream ends, with all that changed so far, also what a turn has yet to hand over: who runs commands says this.
    pub fn offset(&self) -> u64 {
        let waits = self
            .reader
            .as_ref()
            .map_or(0, |reader| reader.bytes().len());
        self.primary.history().offset() + waits as u64
    }

    /// Everything that changed so far is in the stream.
    pub fn flush(&mut self) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let bytes = reader.bytes().len();
        if bytes > 0 {
            self.primary.stream(reader.bytes());
            reader.passed_on(bytes);
            reader.trim(READER_KEPT);
        }
        let offset = self.primary.history().offset();
        self.marks.note(reader.position(), offset);
    }

    /// Reads the journal if the stream goes on from it, and does not if not. Call it when nothing waits to be read.
    /// Answers whether that changed, of which the log is to be told.
    #[must_use]
    pub fn attach(&mut self, journal: &Journal) -> bool {
        let wanted = self.primary.streams() && !self.follows();
        let changes = wanted != self.reader.is_some();
        if changes {
            self.reader = wanted.then(|| journal.subscribe());
            self.marks.clear();
            self.flush();
        }
        changes
    }

    /// The next change is to say its database, since who begins to read here knows none.
    pub fn say_db_again(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.say_db_again();
        }
    }

    /// Where this server is in which stream, with everything that it holds.
    pub fn place(&mut self) -> Place {
        self.flush();
        let history = self.primary.history();
        let (id, offset) = (history.id().into(), history.offset());
        match &self.upstream {
            Some(upstream) if upstream.may_resume => Place::Followed {
                id,
                offset,
                db: upstream.db,
            },
            None if self.reader.is_some() => Place::Own {
                id,
                before: history
                    .earlier()
                    .filter(|earlier| earlier.until == offset + 1)
                    .map(|earlier| earlier.id.into()),
                offset,
                db: self.db(),
            },
            _ => Place::Unknown,
        }
    }

    /// The database that the stream is at.
    pub fn db(&self) -> usize {
        match &self.upstream {
            Some(upstream) => upstream.db,
            None => self.reader.as_ref().map_or(0, Subscriber::db),
        }
    }

    /// What a snapshot says of the stream: database, name, offset; nothing if there is none.
    pub fn aux(&mut self) -> Vec<(&'static str, String)> {
        self.flush();
        if !self.primary.streams() {
            return Vec::new();
        }
        let history = self.primary.history();
        vec![
            (AUX_DB, self.db().to_string()),
            (AUX_ID, history.id().to_string()),
            (AUX_OFFSET, history.offset().to_string()),
        ]
    }

    /// Replicas that have what was changed up to a position of the journal, and those that have it on their disk.
    pub fn acknowledged(&mut self, position: u64) -> (u64, u64) {
        if self.primary.followers() == 0 {
            return (0, 0);
        }
        self.flush();
        let offset = match position {
            0 => 0,
            _ => self
                .marks
                .offset_of(position)
                .unwrap_or(self.primary.history().offset()),
        };
        self.primary.acknowledged(offset)
    }

    /// Whether anybody is followed, or follows.
    pub fn is_any(&self) -> bool {
        self.follows() || self.primary.replicas().next().is_some()
    }

    /// Whether anything of it has to be looked at in a turn: a server that is alone has nothing.
    #[inline]
    pub fn is_at_work(&self) -> bool {
        self.reader.is_some() || self.primary.is_at_work()
    }

    /// Whether a connection is that of the primary.
    #[inline]
    pub fn is_upstream(&self, slot: usize) -> bool {
        self.upstream.as_ref().is_some_and(|up| up.is_on(slot))
    }

    /// Whether commands come on the primary's connection.
    pub fn streams_in(&self, slot: usize) -> bool {
        let streams = |up: &Upstream| up.is_on(slot) && up.link.is_up();
        self.upstream.as_ref().is_some_and(streams)
    }

    /// Whether what the primary sends is to wait in the socket: it follows a snapshot that is being loaded, or there is as much
    /// of one as is kept. Who is held back is visited again when there is room.
    pub fn holds_upstream(&mut self) -> bool {
        let loads = |up: &Upstream| up.link.is_loading();
        self.upstream.as_ref().is_some_and(loads)
            || self.load.as_mut().is_some_and(|load| load.holds_back())
    }

    /// The primary sent so many bytes of its stream.
    pub fn heard(&mut self, bytes: u64, now_ms: u64) {
        self.bytes.0 += bytes;
        if let Some(upstream) = &mut self.upstream {
            upstream.link.heard(now_ms);
        }
    }

    /// The transfer to a replica, if one is under way.
    pub fn transfer(&mut self, slot: usize) -> Option<&mut Transfer> {
        self.transfers.iter_mut().find(|one| one.slot == slot)
    }

    /// Bytes of memory of the stream: all, and what of it is there for those who come back. The rest is for replicas that are behind.
    pub fn memory(&self) -> (u64, u64) {
        let backlog = self.primary.backlog();
        let all = backlog.map_or(0, |backlog| backlog.memory() as u64);
        let reader = self.reader.as_ref();
        let coming = reader.map_or(0, |reader| reader.memory() as u64);
        (all + coming, all.min(self.primary.backlog_size()))
    }

    /// Bytes that a client's connection keeps in the backlog.
    pub fn bytes_behind(&self, slot: usize) -> u64 {
        self.primary.bytes_behind(slot as PeerId)
    }
}

/// Fields of a snapshot that tell of the stream.
const AUX_DB: &str = "repl-stream-db";
/// Its name.
const AUX_ID: &str = "repl-id";
/// Its offset.
const AUX_OFFSET: &str = "repl-offset";

/// An id that was not used yet: of a stream, or of a run.
pub fn fresh_id(host: &dyn Host) -> ReplId {
    let mut bytes = [0; 20];
    host.random(&mut bytes);
    assert_ne!(bytes, [0; 20], "the host draws no random numbers");
    ReplId::of_random(bytes)
}
