//! Streams in snapshots and as commands.
//!
//! Nodes pass as they are; groups are taken apart. A snapshot names every pending entry twice, in the list of its group
//! (time and count) and in that of its consumer: both have to agree.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use cairn_format::aof::rewrite::Rewriter;
use cairn_format::error::{Damage, FormatError, Result as Read};
use cairn_format::rdb::object as saved;
use cairn_format::rdb::writer::{WriteResult, Writer};
use cairn_format::rdb::{Head, Text};
use cairn_format::text::number::I64Text;
use cairn_format::text::words::quote;

use super::restore::{NoValue, Restored, Unheld};
use crate::value::stream::{Consumer, Group, Marks, Pending, Stream, StreamId};
use crate::value::{NewValue, Object};

/// The form of Redis 7.2, with active times: it has a place for everything that is held here.
const FORM: u8 = 3;

/// How what is there a second time is told, here and by those who read values.
pub(super) const TWICE: &str = "occurs twice";

/// The groups of a snapshot point into it; a wrong one is named by what is wrong with it.
fn damage(offset: u64, what: impl Into<String>) -> Box<FormatError> {
    FormatError::new(Damage::Encoding, offset, what.into())
}

// ---- loading ----

/// A stream of a snapshot. One with producers or with pending entries that nobody owns, which only later versions of
/// Redis have, cannot be held. Settings for producers that are not there are dropped.
///
/// # Errors
/// Damage that reading without deep checks did not see.
pub fn load(saved: &saved::Stream) -> Result<Restored<'static>, NoValue> {
    let tracked = saved
        .producers
        .as_ref()
        .is_some_and(|all| !all.producers.is_empty());
    if tracked {
        return Err(NoValue::Unheld(Unheld(
            "a stream with idempotent producers",
        )));
    }
    if saved.groups.iter().any(|group| !group.nacked.is_empty()) {
        return Err(NoValue::Unheld(Unheld(
            "a stream with pending entries that have no owner",
        )));
    }
    let mut stream = Stream::new();
    for node in saved.nodes() {
        let node = node?;
        let offset = node.offset;
        let added = stream.push_node(node.id, node.listpack.into_owned());
        added.map_err(|what| damage(offset, what))?;
    }
    stream.set_marks(possible_marks(saved, &stream));
    for group in &saved.groups {
        let name = group.name.to_vec();
        let mut group = load_group(group)?;
        // Before Redis 7.0 nobody counted: as Redis does, what can be told now is told now.
        if saved.entries_added.is_none() {
            group.entries_read = stream.entries_up_to(group.last_id);
        }
        if !stream.add_group(&name, group) {
            return Err(damage(0, format!("stream: a group {TWICE}")).into());
        }
    }
    debug_assert_eq!(stream.check(), Ok(()));
    Ok(Restored::Built(NewValue::object(Object::Stream(stream))))
}

/// Largest number that a command takes.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// The marks of a saved stream. What XSETID would refuse, and so no server has written, becomes the nearest that it
/// takes: a log is written with XSETID, and has to be run at the next start.
fn possible_marks(saved: &saved::Stream, stream: &Stream) -> Marks {
    let max_deleted_id = saved.max_deleted_id.unwrap_or(StreamId::MIN);
    let entries_added = saved.entries_added.unwrap_or(saved.length);
    Marks {
        last_id: saved.last_id.max(stream.last_id()).max(max_deleted_id),
        first_id: StreamId::MIN,
        max_deleted_id,
        entries_added: entries_added.min(NUMBER_MAX).max(stream.len()),
    }
}

fn load_group(saved: &saved::Group) -> Read<Group> {
    let entries_read = saved.entries_read.filter(|read| *read <= NUMBER_MAX);
    let mut group = Group::new(saved.last_id, entries_read);
    let listed: HashMap<_, _> = saved
        .pending
        .iter()
        .map(|pending| (pending.id, pending))
        .collect();
    if listed.len() != saved.pending.len() {
        return Err(damage(0, "stream group: an entry is pending twice"));
    }
    let mut text = I64Text::new();
    for consumer in &saved.consumers {
        let name = consumer.name.bytes(&mut text);
        let made = group.create_consumer(name, consumer.seen_ms);
        let id = made
            .ok_or_else(|| damage(0, format!("stream group: consumer {} {TWICE}", quote(name))))?;
        // Before form 3 nobody wrote down when a consumer was active last: as Redis does, when it was seen last.
        let active_ms = consumer.active_ms.unwrap_or(consumer.seen_ms);
        group.consumer_mut(id).active_ms = (active_ms != -1).then_some(active_ms);
        for owned in &consumer.pending {
            let entry = *owned;
            let pending = listed.get(owned).filter(|_| group.pending(entry).is_none());
            let pending = pending.ok_or_else(|| {
                damage(0, format!("stream group: {owned} is pending at a consumer, and not in the group or at another one too"))
            })?;
            let pending = Pending {
                delivery_ms: pending.delivery_ms,
                deliveries: pending.count.min(NUMBER_MAX),
                consumer: id,
            };
            group.assign(entry, pending);
        }
    }
    if group.pending_len() != listed.len() {
        return Err(damage(0, "stream group: a pending entry has no owner"));
    }
    debug_assert_eq!(
        group.consumers().count(),
        saved.consumers.len(),
        "all consumers"
    );
    Ok(group)
}

// ---- saving ----

/// Writes a stream in the newest form that the target and this engine know.
///
/// # Errors
/// A target without streams, or failure of the output.
pub fn save<W: Write>(writer: &mut Writer<W>, head: &Head, stream: &Stream) -> WriteResult<()> {
    writer.begin_stream(head, FORM, stream.node_count() as u64)?;
    for (id, blob) in stream.nodes() {
        writer.stream_node(id, blob)?;
    }
    writer.end_stream(&rest_of(stream))
}

/// Marks and groups: everything but the nodes.
fn rest_of(stream: &Stream) -> saved::Stream<'_> {
    let marks = stream.marks();
    let mut rest = saved::Stream::without_nodes(FORM);
    debug_assert!(
        marks.last_id >= marks.max_deleted_id,
        "as XSETID takes them"
    );
    rest.length = stream.len();
    rest.last_id = marks.last_id;
    rest.first_id = Some(marks.first_id);
    rest.max_deleted_id = Some(marks.max_deleted_id);
    rest.entries_added = Some(marks.entries_added);
    rest.groups = stream
        .groups()
        .map(|(name, group)| save_group(name, group))
        .collect();
    rest
}

fn save_group<'a>(name: &'a [u8], group: &'a Group) -> saved::Group<'a> {
    let pending = group.pending_range(StreamId::MIN, StreamId::MAX);
    saved::Group {
        name: Text::Bytes(name),
        last_id: group.last_id,
        entries_read: group.entries_read,
        pending: pending
            .map(|(id, pending)| saved::Pending {
                id,
                delivery_ms: pending.delivery_ms,
                count: pending.deliveries,
            })
            .collect(),
        consumers: group
            .consumers()
            .map(|(_, consumer)| save_consumer(consumer))
            .collect(),
        nacked: Vec::new(),
    }
}

fn save_consumer(consumer: &Consumer) -> saved::Consumer<'_> {
    saved::Consumer {
        name: Text::Bytes(consumer.name()),
        seen_ms: consumer.seen_ms,
        active_ms: Some(consumer.active_ms.unwrap_or(-1)),
        pending: consumer.pending(StreamId::MIN, StreamId::MAX).collect(),
    }
}

// ---- as commands ----

/// Writes the commands that make the stream again.
pub fn rewrite(to: &mut Rewriter, key: &[u8], stream: &Stream) {
    let (mut a, mut b) = (I64Text::new(), I64Text::new());
    let rest = rest_of(stream);
    let mut to = to.stream(key, &rest, pending_but_gone(stream));
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        to.entry(entry.id, |push| {
            for (field, value) in entry.fields {
                push(field.text(&mut a), value.text(&mut b));
            }
        });
    }
    to.end();
}

/// Entries that are pending although the stream has them no more.
fn pending_but_gone(stream: &Stream) -> BTreeSet<StreamId> {
    let (first, last) = (StreamId::MIN, StreamId::MAX);
    let pending = stream
        .groups()
        .flat_map(|(_, group)| group.pending_range(first, last));
    let mut ids: BTreeSet<StreamId> = pending.map(|(id, _)| id).collect();
    if let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) {
        for entry in stream.range(first, last) {
            ids.remove(&entry.id);
        }
    }
    ids
}
