//! Streams: nodes of entries, then consumer groups, then (Redis 8.6) idempotent producers.
//!
//! ```text
//!   nodes len | key 16 bytes big-endian as str, listpack as str | ...
//!   length | last id
//!   form 2 and up:  first id | max deleted id | entries added
//!   groups len | name, last id, [2+: entries read],
//!                pending len | id 16 bytes, delivery int64 ms, count | ...
//!                consumers len | name, seen int64, [3+: active int64], pending len | id 16 bytes | ...
//!                [5: nacked len | id 16 bytes | ...]
//!   form 4 and up:  duration s | max entries | producers len | name, n | token, id | ... | tokens added | duplicates
//! ```
//!
//! Ids are two lens, except where 16 bytes are said.

use std::borrow::Cow;

use super::super::length::read_len;
use super::super::string::{Stored, Text, read_string};
use super::blob::Blob;
use super::texts::Texts;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

mod entries;
pub use crate::encoding::stream_id::StreamId;
pub use entries::StreamEntry;
pub(super) use entries::walk_node;

fn raw_id(cursor: &mut Cursor<'_>, what: &str) -> Result<StreamId> {
    Ok(StreamId::new(cursor.u64be(what)?, cursor.u64be(what)?))
}

fn id_of_lens(cursor: &mut Cursor<'_>, what: &str) -> Result<StreamId> {
    Ok(StreamId::new(
        read_len(cursor, what)?,
        read_len(cursor, what)?,
    ))
}

/// A stream. Entries stay packed, groups are decoded.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// 1 to 5: the layout in the file.
    pub form: u8,
    nodes: Texts<'a>,
    /// Number of entries that are not deleted.
    pub length: u64,
    /// The highest id ever given.
    pub last_id: StreamId,
    /// The lowest id that is not deleted (form 2 and up).
    pub first_id: Option<StreamId>,
    /// The highest id ever deleted (form 2 and up).
    pub max_deleted_id: Option<StreamId>,
    /// Entries ever added (form 2 and up).
    pub entries_added: Option<u64>,
    /// Consumer groups.
    pub groups: Vec<Group<'a>>,
    /// Idempotent producers (form 4 and up).
    pub producers: Option<Producers<'a>>,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// The last id delivered.
    pub last_id: StreamId,
    /// Entries read; `None` if unknown, and in form 1.
    pub entries_read: Option<u64>,
    /// Entries delivered and not acknowledged.
    pub pending: Vec<Pending>,
    /// Its consumers.
    pub consumers: Vec<Consumer<'a>>,
    /// Pending entries that were given back and have no owner (form 5).
    pub nacked: Vec<StreamId>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The entry; it may have been deleted since.
    pub id: StreamId,
    /// When it was delivered last, Unix milliseconds.
    pub delivery_ms: i64,
    /// How many times.
    pub count: u64,
}

/// A consumer of a group.
#[derive(Clone, Debug)]
pub struct Consumer<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// When it last tried to read, Unix milliseconds.
    pub seen_ms: i64,
    /// When it last got something; -1 never; `None` before form 3.
    pub active_ms: Option<i64>,
    /// The entries of the group's list that it owns.
    pub pending: Vec<StreamId>,
}

/// What a stream remembers of idempotent producers.
#[derive(Clone, Debug)]
pub struct Producers<'a> {
    /// Seconds for which a token is remembered.
    pub duration_s: u64,
    /// Tokens remembered per producer.
    pub entries_max: u64,
    /// The producers.
    pub producers: Vec<Producer<'a>>,
    /// Tokens ever added.
    pub added: u64,
    /// Duplicates ever seen.
    pub duplicates: u64,
}

/// One producer and its tokens.
#[derive(Clone, Debug)]
pub struct Producer<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Tokens and the ids that their entries got.
    pub tokens: Vec<(Text<'a>, StreamId)>,
}

/// A node: up to some hundred entries in one listpack.
#[derive(Clone, Debug)]
pub struct StreamNode<'a> {
    /// The id from which its entries count.
    pub id: StreamId,
    /// The listpack.
    pub listpack: Cow<'a, [u8]>,
    /// Absolute offset of the listpack, or of its string if that is compressed.
    pub offset: u64,
}

impl StreamNode<'_> {
    pub(super) fn blob(&self) -> Blob<'_> {
        Blob::unchecked(
            &self.listpack,
            self.offset,
            matches!(self.listpack, Cow::Borrowed(_)),
        )
    }
}

impl<'a> Stream<'a> {
    /// An empty stream, to be filled and given to [`Writer::end_stream`](crate::rdb::Writer::end_stream) behind nodes
    /// that are written one by one.
    pub fn without_nodes(form: u8) -> Self {
        Stream {
            form,
            nodes: Texts::new(Cursor::new(&[]), 0),
            length: 0,
            last_id: StreamId::default(),
            first_id: None,
            max_deleted_id: None,
            entries_added: None,
            groups: Vec::new(),
            producers: None,
        }
    }

    pub(super) fn read(cursor: &mut Cursor<'a>, form: u8) -> Result<Self> {
        let count = read_len(cursor, "number of stream nodes")?;
        let nodes = Texts::new(cursor.clone(), count.saturating_mul(2));
        for _ in 0..count {
            read_string(cursor, "stream node key")?;
            read_string(cursor, "stream node")?;
        }
        let length = read_len(cursor, "stream length")?;
        let last_id = id_of_lens(cursor, "last id")?;
        let mut stream = Stream {
            nodes,
            length,
            last_id,
            ..Stream::without_nodes(form)
        };
        if form >= 2 {
            stream.first_id = Some(id_of_lens(cursor, "first id")?);
            stream.max_deleted_id = Some(id_of_lens(cursor, "deleted id")?);
            stream.entries_added = Some(read_len(cursor, "entries added")?);
        }
        for _ in 0..read_len(cursor, "number of groups")? {
            stream.groups.push(read_group(cursor, form)?);
        }
        if form >= 4 {
            stream.producers = Some(read_producers(cursor)?);
        }
        Ok(stream)
    }

    /// The packed nodes, in the order of the file.
    pub fn nodes(&self) -> impl Iterator<Item = Result<StreamNode<'a>>> + use<'a> {
        let mut texts = self.nodes.clone();
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed || texts.left() == 0 {
                return None;
            }
            let node = read_node(&mut texts);
            failed = node.is_err();
            Some(node)
        })
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> u64 {
        self.nodes.left() / 2
    }

    /// The entries that are not deleted, in order.
    pub fn entries(&self) -> impl Iterator<Item = Result<StreamEntry<'a>>> + use<'a> {
        let mut nodes = self.nodes();
        let mut ready = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(entry) = ready.next() {
                    return Some(Ok(entry));
                }
                match nodes.next()?.and_then(entries::live_entries) {
                    Ok(entries) => ready = entries.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            }
        })
    }
}

fn read_node<'a>(texts: &mut Texts<'a>) -> Result<StreamNode<'a>> {
    let end = || FormatError::new(Damage::Truncated, 0, "stream node");
    let key_at = texts.offset();
    let key = texts.next().unwrap_or_else(|| Err(end()))?.into_cow();
    let Ok(key) = <[u8; 16]>::try_from(&key[..]) else {
        return Err(FormatError::new(
            Damage::Encoding,
            key_at,
            format!("stream node: key of {} bytes instead of 16", key.len()),
        ));
    };
    let at = texts.offset();
    let listpack = texts.next().unwrap_or_else(|| Err(end()))?.into_cow();
    let offset = if matches!(listpack, Cow::Borrowed(_)) {
        texts.offset() - listpack.len() as u64
    } else {
        at
    };
    Ok(StreamNode {
        id: StreamId::from_bytes(key),
        listpack,
        offset,
    })
}

fn read_group<'a>(cursor: &mut Cursor<'a>, form: u8) -> Result<Group<'a>> {
    let name = read_string(cursor, "group name").and_then(Stored::text)?;
    let last_id = id_of_lens(cursor, "last id of the group")?;
    let mut group = Group {
        name,
        last_id,
        entries_read: None,
        pending: Vec::new(),
        consumers: Vec::new(),
        nacked: Vec::new(),
    };
    if form >= 2 {
        let read = read_len(cursor, "entries read")?;
        group.entries_read = (read != u64::MAX).then_some(read);
    }
    for _ in 0..read_len(cursor, "number of pending entries")? {
        let id = raw_id(cursor, "pending id")?;
        let delivery_ms = cursor.i64le("delivery time")?;
        let count = read_len(cursor, "delivery count")?;
        group.pending.push(Pending {
            id,
            delivery_ms,
            count,
        });
    }
    for _ in 0..read_len(cursor, "number of consumers")? {
        group.consumers.push(read_consumer(cursor, form)?);
    }
    if form >= 5 {
        for _ in 0..read_len(cursor, "number of nacked entries")? {
            group.nacked.push(raw_id(cursor, "nacked id")?);
        }
    }
    Ok(group)
}

fn read_consumer<'a>(cursor: &mut Cursor<'a>, form: u8) -> Result<Consumer<'a>> {
    let name = read_string(cursor, "consumer name").and_then(Stored::text)?;
    let seen_ms = cursor.i64le("seen time")?;
    let active_ms = if form >= 3 {
        Some(cursor.i64le("active time")?)
    } else {
        None
    };
    let mut pending = Vec::new();
    for _ in 0..read_len(cursor, "number of owned entries")? {
        pending.push(raw_id(cursor, "owned id")?);
    }
    Ok(Consumer {
        name,
        seen_ms,
        active_ms,
        pending,
    })
}

fn read_producers<'a>(cursor: &mut Cursor<'a>) -> Result<Producers<'a>> {
    let duration_s = read_len(cursor, "token duration")?;
    let entries_max = read_len(cursor, "token limit")?;
    let mut producers = Vec::new();
    for _ in 0..read_len(cursor, "number of producers")? {
        let name = read_string(cursor, "producer").and_then(Stored::text)?;
        let mut tokens = Vec::new();
        for _ in 0..read_len(cursor, "number of tokens")? {
            let token = read_string(cursor, "token").and_then(Stored::text)?;
            tokens.push((token, id_of_lens(cursor, "token id")?));
        }
        producers.push(Producer { name, tokens });
    }
    let added = read_len(cursor, "tokens added")?;
    let duplicates = read_len(cursor, "duplicates")?;
    Ok(Producers {
        duration_s,
        entries_max,
        producers,
        added,
        duplicates,
    })
}
