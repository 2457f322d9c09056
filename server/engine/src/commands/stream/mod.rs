//! Streams: entries, the groups that read them, and what both tell of themselves.

mod add;
mod claim;
mod delete_ex;
mod feed;
mod group;
mod id;
mod info;
mod pending;
mod range;
mod read;
mod request;
mod trim;

use crate::base::effect::EventClass;
use crate::base::error::{Error, lossless};
use crate::call::reply::Reply;
use crate::call::spec::Command;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::stream::{ConsumerId, Group, Stream, StreamEntry};
use crate::value::{Object, ValueRef};

/// This family.
pub const COMMANDS: &[&Command] = &[
    &pending::XACK,
    &delete_ex::XACKDEL,
    &add::XADD,
    &claim::XAUTOCLAIM,
    &claim::XCLAIM,
    &trim::XDEL,
    &delete_ex::XDELEX,
    &group::XGROUP,
    &info::XINFO,
    &range::XLEN,
    &pending::XPENDING,
    &range::XRANGE,
    &read::XREAD,
    &read::XREADGROUP,
    &range::XREVRANGE,
    &trim::XSETID,
    &trim::XTRIM,
];

/// The stream in a slot that was found to hold one.
fn stream_at(ks: &Keyspace, slot: Slot) -> &Stream {
    match ks.view(slot) {
        ValueRef::Stream(stream) => stream,
        _ => unreachable!("the type was asked for"),
    }
}

/// The same, to change it.
fn stream_mut(ks: &mut Keyspace, slot: Slot) -> &mut Stream {
    match ks.change(slot).object() {
        Some(Object::Stream(stream)) => stream,
        _ => unreachable!("the type was asked for"),
    }
}

/// A group that was found before in the same command.
fn group_mut<'k>(ks: &'k mut Keyspace, slot: Slot, name: &[u8]) -> &'k mut Group {
    stream_mut(ks, slot)
        .group_mut(name)
        .expect("the group was found")
}

/// The consumer of this name, made if there is none, seen now; whether it was made, which is a change that is told but not
/// propagated: the caller knows whether what it does next makes it anyway.
fn seen_consumer(
    ks: &mut Keyspace,
    slot: Slot,
    (key, group, name): (&[u8], &[u8], &[u8]),
) -> (ConsumerId, bool) {
    let now_ms = ks.now_ms;
    let group = group_mut(ks, slot, group);
    let (id, made) = match group.find_consumer(name) {
        Some(id) => (id, false),
        None => {
            let made = group.create_consumer(name, now_ms);
            (made.expect("the name was not found"), true)
        }
    };
    group.consumer_mut(id).seen_ms = now_ms;
    if made {
        ks.dirty += 1;
        ks.notify(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    (id, made)
}

/// An entry: its id, and fields and values in one flat array in both protocols.
fn reply_entry(reply: &mut Reply, entry: StreamEntry) {
    reply.array(2);
    reply_parts(reply, entry);
}

fn reply_parts(reply: &mut Reply, entry: StreamEntry) {
    id::reply(reply, entry.id);
    reply.array(entry.fields.len() * 2);
    for (field, value) in entry.fields {
        reply.entry(field);
        reply.entry(value);
    }
}

/// Bytes of a client as C's `%s` shows them: up to the first NUL.
fn shown(bytes: &[u8]) -> String {
    lossless(bytes.split(|b| *b == 0).next().unwrap_or_default())
}

/// The error where either key or group is missing; `tail` says more.
fn no_key_or_group(key: &[u8], group: &[u8], tail: &str) -> Error {
    let (key, group) = (shown(key), shown(group));
    Error::text(format!(
        "NOGROUP No such key '{key}' or consumer group '{group}'{tail}"
    ))
}

/// The error where the key is there but the group is not.
fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (shown(key), shown(group));
    Error::text(format!(
        "NOGROUP No such consumer group '{group}' for key name '{key}'"
    ))
}
