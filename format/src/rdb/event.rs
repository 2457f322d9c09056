//! What a snapshot says, one statement at a time: the vocabulary shared by reader and writer.
//!
//! A file is a sequence of [`Event`]s; a filter is reader, condition, writer. Attributes that stand
//! before a key (expiry, idle time, frequency, metadata) are part of its [`Record`].

use super::object::{Module, Object};
use super::string::Text;

/// One statement of a snapshot.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time; a box would cost an allocation per key
pub enum Event<'a> {
    /// A fact about the file: `redis-ver`, `ctime`, ...
    Aux {
        /// Its name.
        name: Text<'a>,
        /// Its value.
        value: Text<'a>,
    },
    /// Data of a module that belongs to no key.
    ModuleAux(ModuleAux<'a>),
    /// A function library: its code, with the line `#!engine name=library` on top.
    Function(Text<'a>),
    /// The records that follow belong to this database.
    SelectDb(u64),
    /// How many keys the database has; a hint that may be wrong.
    Resize {
        /// Number of keys.
        keys: u64,
        /// How many of them expire.
        expires: u64,
    },
    /// How many keys a cluster slot has; a hint that may be wrong.
    SlotInfo {
        /// The slot, 0 to 16383.
        slot: u64,
        /// Number of keys.
        keys: u64,
        /// How many of them expire.
        expires: u64,
    },
    /// Valkey: an import of cluster slots that was under way.
    SlotImport(SlotImport<'a>),
    /// Redis: names of fields that hashes behind it refer to. Such hashes are given out with their names.
    Template,
    /// Valkey: a command that a server runs when it comes to it, as a client would send it.
    Command(&'a [u8]),
    /// A key and its value.
    Record(Record<'a>),
    /// The end of the file.
    End(Checksum),
}

/// An event and where it stands.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    /// Absolute offset of its first byte; of a record, that of its first attribute.
    pub offset: u64,
    /// Absolute offset after its last byte.
    pub end: u64,
    /// The event.
    pub event: Event<'a>,
}

/// What stands before a key's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Absolute expiry, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since the last access.
    pub idle_s: Option<u64>,
    /// Logarithmic access frequency.
    pub freq: Option<u8>,
    /// Key metadata of Redis 8.6 and up: count, then classes with module values, verbatim.
    pub meta: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// A key without attributes.
    pub fn new(key: &'a [u8]) -> Self {
        Head {
            key,
            ..Head::default()
        }
    }

    /// A key with an expiry in Unix milliseconds, if any.
    pub fn expiring(key: &'a [u8], expire_ms: Option<i64>) -> Self {
        Head {
            key,
            expire_ms,
            ..Head::default()
        }
    }
}

/// A key, its attributes and its value.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The database.
    pub db: u64,
    /// Key and attributes.
    pub head: Head<'a>,
    /// The type byte in the file.
    pub type_byte: u8,
    /// The value in its encoding.
    pub value: Object<'a>,
    /// Absolute offset of the value's first byte.
    pub value_offset: u64,
    /// Bytes that the value takes in the file.
    pub value_len: u64,
}

/// Data of a module outside the key space.
#[derive(Clone, Debug)]
pub struct ModuleAux<'a> {
    /// Whether it stands before (1) or after (2) the keys.
    pub when: u64,
    /// Module id and values; the values end with their EOF.
    pub module: Module<'a>,
}

/// Valkey: slots being imported while the snapshot was made.
#[derive(Clone, Debug)]
pub struct SlotImport<'a> {
    /// Name of the job.
    pub job: Text<'a>,
    /// First and last slot of each range.
    pub ranges: Vec<(u64, u64)>,
}

/// What became of the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Verified(u64),
    /// The file has eight zero bytes there: its writer had checksums off.
    Off,
    /// The version has none (before 5).
    None,
    /// It was not compared, as the caller wished.
    Unchecked(u64),
    /// It is wrong; only who goes on behind damage comes to see this.
    Wrong {
        /// What the file says.
        stored: u64,
        /// What its bytes give.
        computed: u64,
    },
}
