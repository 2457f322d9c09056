//! The data set as a snapshot.

use std::io::Write;

use cairn_format::rdb::object::{Blob, Hash, NodeKind, Set, Zset};
use cairn_format::rdb::writer::{WriteOptions, WriteResult, Writer};
use cairn_format::rdb::{Dialect, Head, Object as Saved};

use crate::keyspace::access::{lfu_counter, lru_idle};
use crate::keyspace::{Database, Keyspace};
use crate::structure::record::Record;
use crate::value::list::NodeRef;
use crate::value::{Encoding, Kind, Object, ValueRef, hash_ttl};

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Everything,
    /// The libraries of functions.
    Libraries,
    /// Nothing: the snapshot is empty.
    Nothing,
}

/// How and as what a snapshot is written.
#[derive(Clone, Debug)]
pub struct SaveOptions {
    /// Version and family of the file.
    pub dialect: Dialect,
    /// `rdbcompression`.
    pub compress: bool,
    /// `rdbchecksum`.
    pub checksum: bool,
    /// What of the data is written.
    pub part: Part,
    /// Auxiliary fields, in order.
    pub aux: Vec<(&'static str, String)>,
    /// Idle times are saved with the keys (an LRU policy is in force).
    pub idle: bool,
    /// Access frequencies are saved with the keys (an LFU policy is in force).
    pub freq: bool,
}

/// The first version with field expiry: that of Redis 7.4.
const WITH_FIELD_EXPIRY: Dialect = Dialect::redis(12);

/// The version in which a data set is written when nobody asked for another: that of Redis 7.2, or the first that can hold
/// field expiry as soon as a hash has it.
pub fn automatic_dialect(ks: &Keyspace) -> Dialect {
    oldest(ks.ttl_hashes > 0)
}

/// As [`automatic_dialect`] for one value.
pub fn automatic_dialect_of(value: ValueRef<'_>) -> Dialect {
    oldest(hash_ttl::next_expire(value).is_some())
}

fn oldest(fields_expire: bool) -> Dialect {
    match fields_expire {
        true => WITH_FIELD_EXPIRY,
        false => Dialect::REDIS_7_2,
    }
}

/// Keys between two calls of the progress function.
const PROGRESS_KEYS: u64 = 1024;

/// Writes all databases. Only reads: safe in a child that shares the memory. `progress` hears the number of keys
/// written now and then, and after each key if `each_key` (to slow a save down on purpose).
///
/// # Errors
/// What the output reports, or a value that the dialect cannot hold, with its key.
pub fn save<W: Write>(
    ks: &Keyspace,
    out: W,
    options: &SaveOptions,
    each_key: bool,
    progress: &mut dyn FnMut(u64),
) -> WriteResult<W> {
    let mut writer = begin(ks, out, options)?;
    let mut saver = Saver {
        writer: &mut writer,
        options,
        now_ms: ks.now_ms,
        decay_minutes: ks.limits.lfu_decay_minutes,
        keys: 0,
        by_slot: ks.has_slots() && options.dialect.has_slot_info(),
    };
    let databases = match options.part {
        Part::Everything => ks.databases(),
        Part::Libraries | Part::Nothing => 0,
    };
    for index in 0..databases {
        saver.database(index, ks.database(index), each_key, progress)?;
    }
    progress(saver.keys);
    writer.finish()
}

/// Writes what stands before the databases: header, auxiliary fields, libraries.
///
/// # Errors
/// What the output reports.
pub fn begin<W: Write>(ks: &Keyspace, out: W, options: &SaveOptions) -> WriteResult<Writer<W>> {
    let mut settings = WriteOptions::new(options.dialect);
    settings.compress = options.compress;
    settings.checksum = options.checksum;
    let mut writer = Writer::new(out, settings)?;
    for (name, value) in &options.aux {
        writer.aux(name.as_bytes(), value.as_bytes())?;
    }
    let libraries = ks.libraries.iter();
    for (_, library) in libraries.filter(|_| options.part != Part::Nothing) {
        writer.function(&library.code)?;
    }
    Ok(writer)
}

struct Saver<'s, W: Write> {
    writer: &'s mut Writer<W>,
    options: &'s SaveOptions,
    now_ms: i64,
    decay_minutes: u32,
    keys: u64,
    /// The keys of each slot stand together, behind how many there are, so that whoever loads them knows before.
    by_slot: bool,
}

impl<W: Write> Saver<'_, W> {
    fn database(
        &mut self,
        index: usize,
        db: Database<'_>,
        each_key: bool,
        progress: &mut dyn FnMut(u64),
    ) -> WriteResult<()> {
        if db.is_empty() {
            return Ok(());
        }
        let before = self.keys;
        self.writer.select_db(index as u64)?;
        self.writer.resize(db.len() as u64, db.expiring() as u64)?;
        if self.by_slot {
            for (slot, table) in db.by_table() {
                let (keys, expires) = (table.len() as u64, table.expiring() as u64);
                self.writer.slot_info(slot as u64, keys, expires)?;
                self.records(table, each_key, progress)?;
            }
        } else {
            self.records(db, each_key, progress)?;
        }
        assert_eq!(self.keys - before, db.len() as u64, "all keys, each once");
        Ok(())
    }

    fn records(
        &mut self,
        of: Database<'_>,
        each_key: bool,
        progress: &mut dyn FnMut(u64),
    ) -> WriteResult<()> {
        for record in of.iter() {
            write_record(self.writer, &self.head(record), record)?;
            self.keys += 1;
            if each_key || self.keys.is_multiple_of(PROGRESS_KEYS) {
                progress(self.keys);
            }
        }
        Ok(())
    }

    fn head<'r>(&self, record: &'r Record<Object>) -> Head<'r> {
        let mut head = Head::expiring(record.key(), record.expire());
        if self.options.idle {
            head.idle_s = Some(u64::from(lru_idle(record.access(), self.now_ms)));
        }
        if self.options.freq {
            head.freq = Some(lfu_counter(
                record.access(),
                self.now_ms,
                self.decay_minutes,
            ));
        }
        head
    }
}

/// Writes one key. Also what DUMP is made of.
///
/// # Errors
/// As [`save`].
pub fn write_record<W: Write>(
    writer: &mut Writer<W>,
    head: &Head,
    record: &Record<Object>,
) -> WriteResult<()> {
    match ValueRef::of(record.tag(), record.payload()) {
        ValueRef::Int(i) => writer.integer(head, i),
        ValueRef::Str(bytes) => writer.string(head, bytes),
        ValueRef::Big(bytes) => writer.string(head, bytes),
        ValueRef::Packed(kind, encoding, blob) => write_packed(writer, head, kind, encoding, blob),
        ValueRef::List(list) => {
            writer.begin_list_nodes(head, list.node_count() as u64, list.len() as u64)?;
            for node in list.nodes() {
                match node {
                    NodeRef::Plain(bytes) => writer.node(NodeKind::Plain, bytes)?,
                    NodeRef::Packed(bytes) => writer.node(NodeKind::Listpack, bytes)?,
                    NodeRef::Squeezed { raw_len, lzf } => {
                        let mut bytes = Vec::with_capacity(raw_len);
                        let whole = cairn_format::lzf::decompress(lzf, raw_len, &mut bytes);
                        assert!(whole.is_ok(), "a list node of our own making decompresses");
                        writer.node(NodeKind::Listpack, &bytes)?;
                    }
                }
            }
            Ok(())
        }
        ValueRef::Set(table) => {
            writer.begin_set(head, table.len() as u64)?;
            table
                .iter()
                .try_for_each(|member| writer.element(member.key()))
        }
        ValueRef::Hash(table) => {
            if let Some(lowest) = table.next_expire() {
                writer.begin_expiring_hash(head, table.len() as u64, lowest)?;
                return table.iter().try_for_each(|field| {
                    writer.expiring_field(field.key(), field.value(), field.expire())
                });
            }
            writer.begin_hash(head, table.len() as u64)?;
            table
                .iter()
                .try_for_each(|field| writer.field(field.key(), field.value()))
        }
        // From the highest score down, as Redis writes it: a loader then appends at one end of its order.
        ValueRef::Zset(ranked) => {
            writer.begin_zset(head, ranked.len() as u64)?;
            ranked
                .iter()
                .rev()
                .try_for_each(|(member, score)| writer.member(member, score))
        }
        ValueRef::Stream(stream) => super::stream::save(writer, head, stream),
    }
}

fn write_packed<W: Write>(
    writer: &mut Writer<W>,
    head: &Head,
    kind: Kind,
    encoding: Encoding,
    blob: &[u8],
) -> WriteResult<()> {
    let packed = Blob::new(blob);
    let saved = match (kind, encoding) {
        (Kind::List, _) => {
            writer.begin_list_nodes(head, 1, crate::value::elements::pack(blob).len() as u64)?;
            return writer.node(NodeKind::Listpack, blob);
        }
        (Kind::Set, Encoding::Intset) => Saved::Set(Set::Intset(packed)),
        (Kind::Set, _) => Saved::Set(Set::Listpack(packed)),
        (Kind::Zset, _) => Saved::Zset(Zset::Listpack(packed)),
        (Kind::Hash, Encoding::ListpackEx) => Saved::Hash(Hash::ExpiringListpack(packed)),
        _ => Saved::Hash(Hash::Listpack(packed)),
    };
    writer.object(head, &saved).map(|_| ())
}
