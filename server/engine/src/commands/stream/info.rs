//! XINFO: what streams, groups and consumers tell of themselves.

use super::{id, no_group, reply_entry, stream_at};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::help;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::Kind;
use crate::value::stream::{self, Consumer, Stream, StreamEntry, StreamId};

pub(super) const XINFO: Command = Command::container(
    "xinfo",
    Group::Stream,
    "5.0.0",
    "Look at streams, groups and consumers",
    &[&CONSUMERS, &GROUPS, &HELP, &STREAM],
);

const STREAM: Command = Command {
    name: "xinfo|stream",
    group: Group::Stream,
    since: "5.0.0",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::at(2, &["RO", "access"])],
    summary: "Describe a stream",
    run: about_stream,
    ..Command::BASE
};
const GROUPS: Command = Command {
    name: "xinfo|groups",
    arity: 3,
    summary: "Describe the groups of a stream",
    run: about_groups,
    ..STREAM
};
const CONSUMERS: Command = Command {
    name: "xinfo|consumers",
    arity: 4,
    tips: &["nondeterministic_output"],
    summary: "Describe the consumers of a group",
    run: about_consumers,
    ..STREAM
};
const HELP: Command = help::subcommand("xinfo|help", STREAM, HELP_LINES);

const HELP_LINES: &[&str] = &[
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

fn find(cx: &mut Ctx, args: &Args) -> Result<Slot, Error> {
    let slot = cx.ks.read_kind(args.at(2), Kind::Stream)?;
    slot.ok_or(error::NO_SUCH_KEY)
}

fn about_consumers(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find(cx, args)?;
    let group = stream_at(cx.ks, slot).group(args.at(3));
    let group = group.ok_or_else(|| no_group(args.at(2), args.at(3)))?;
    let now_ms = cx.ks.now_ms;
    let reply = &mut *cx.reply;
    reply.array(group.consumer_count());
    for (_, consumer) in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        number(reply, b"pending", consumer.pending_len() as i64);
        number(
            reply,
            b"idle",
            now_ms.saturating_sub(consumer.seen_ms).max(0),
        );
        let inactive = consumer.active_ms.map(|ms| now_ms.saturating_sub(ms));
        number(reply, b"inactive", inactive.unwrap_or(-1));
    }
    Ok(())
}

fn about_groups(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find(cx, args)?;
    let stream = stream_at(cx.ks, slot);
    let reply = &mut *cx.reply;
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        number(reply, b"consumers", group.consumer_count() as i64);
        number(reply, b"pending", group.pending_len() as i64);
        progress(reply, stream, group);
    }
    Ok(())
}

fn about_stream(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find(cx, args)?;
    let full = full_count(args)?;
    let stream = stream_at(cx.ks, slot);
    let reply = &mut *cx.reply;
    reply.map(if full.is_some() { 9 } else { 10 });
    let marks = stream.marks();
    let keys: Vec<[u8; 16]> = stream.nodes().map(|(id, _)| id.to_bytes()).collect();
    number(reply, b"length", stream.len() as i64);
    number(reply, b"radix-tree-keys", stream.node_count() as i64);
    number(reply, b"radix-tree-nodes", radix_nodes(&keys, 0) as i64);
    labelled_id(reply, b"last-generated-id", marks.last_id);
    labelled_id(reply, b"max-deleted-entry-id", marks.max_deleted_id);
    number(reply, b"entries-added", marks.entries_added as i64);
    labelled_id(reply, b"recorded-first-entry-id", marks.first_id);
    match full {
        Some(count) => everything(reply, stream, count),
        None => {
            number(reply, b"groups", stream.group_count() as i64);
            let (first, last) = (StreamId::MIN, StreamId::MAX);
            reply.bulk(b"first-entry");
            edge(reply, stream.range(first, last).next());
            reply.bulk(b"last-entry");
            edge(reply, stream.range_rev(first, last).next());
        }
    }
    Ok(())
}

/// How many entries and pending ones FULL shows; `None` without FULL.
fn full_count(args: &Args) -> Result<Option<usize>, Error> {
    let refusal = || error::bad_subcommand("XINFO", args.at(1));
    match args.len() {
        3 => Ok(None),
        4 if args.is(3, "full") => Ok(Some(10)),
        6 if args.is(3, "full") && args.is(4, "count") => Ok(Some(match args.int(5)? {
            0 => usize::MAX,
            count => usize::try_from(count).unwrap_or(10),
        })),
        _ => Err(refusal()),
    }
}

fn everything(reply: &mut Reply, stream: &Stream, count: usize) {
    reply.bulk(b"entries");
    reply.array(count.min(stream.len() as usize));
    for entry in stream.range(StreamId::MIN, StreamId::MAX).take(count) {
        reply_entry(reply, entry);
    }
    reply.bulk(b"groups");
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        progress(reply, stream, group);
        number(reply, b"pel-count", group.pending_len() as i64);
        reply.bulk(b"pending");
        reply.array(count.min(group.pending_len()));
        let pending = group.pending_range(StreamId::MIN, StreamId::MAX);
        for (id, pending) in pending.take(count) {
            reply.array(4);
            id::reply(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.int(pending.delivery_ms);
            reply.int(pending.deliveries as i64);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumer_count());
        for (_, consumer) in group.consumers() {
            whole_consumer(reply, group, consumer, count);
        }
    }
}

fn whole_consumer(reply: &mut Reply, group: &stream::Group, consumer: &Consumer, count: usize) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    number(reply, b"seen-time", consumer.seen_ms);
    number(reply, b"active-time", consumer.active_ms.unwrap_or(-1));
    number(reply, b"pel-count", consumer.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(consumer.pending_len()));
    let owned = consumer.pending(StreamId::MIN, StreamId::MAX).take(count);
    for (id, pending) in owned.filter_map(|id| Some((id, group.pending(id)?))) {
        reply.array(3);
        id::reply(reply, id);
        reply.int(pending.delivery_ms);
        reply.int(pending.deliveries as i64);
    }
}

/// Where a group stands: three fields.
fn progress(reply: &mut Reply, stream: &Stream, group: &stream::Group) {
    labelled_id(reply, b"last-delivered-id", group.last_id);
    reply.bulk(b"entries-read");
    int_or_null(reply, group.entries_read.map(|read| read as i64));
    reply.bulk(b"lag");
    int_or_null(reply, stream.lag(group));
}

fn number(reply: &mut Reply, name: &[u8], value: i64) {
    reply.bulk(name);
    reply.int(value);
}

fn labelled_id(reply: &mut Reply, name: &[u8], id: StreamId) {
    reply.bulk(name);
    id::reply(reply, id);
}

fn int_or_null(reply: &mut Reply, value: Option<i64>) {
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

fn edge(reply: &mut Reply, entry: Option<StreamEntry>) {
    match entry {
        Some(entry) => reply_entry(reply, entry),
        None => reply.null(),
    }
}

/// How many nodes Redis's radix tree (`rax.c` of 7.2) has over the sorted keys, from `depth` on: one where keys part, one
/// for the bytes in front of that if there are any, and a leaf for each key. Without keys there is still the root.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        return 1;
    };
    let parting = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let here = 1 + usize::from(parting > depth);
    if keys.len() == 1 {
        return here;
    }
    let parts = keys.chunk_by(|a, b| a[parting] == b[parting]);
    here + parts
        .map(|part| radix_nodes(part, parting + 1))
        .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What XINFO STREAM of a Redis 7.0.15 says of streams with these ids, one entry a node.
    #[test]
    fn radix_tree_is_counted_as_redis_builds_it() {
        let count = |ids: &[(u64, u64)]| {
            let keys: Vec<_> = ids
                .iter()
                .map(|(ms, seq)| StreamId::new(*ms, *seq).to_bytes())
                .collect();
            radix_nodes(&keys, 0)
        };
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[(1, 1)]), 2);
        assert_eq!(count(&[(1, 1), (1, 2)]), 4);
        assert_eq!(count(&[(1, 1), (2, 1)]), 6);
        let five = [(1, 1), (2, 1), (2, 2), (256, 1), (256, 256)];
        assert_eq!(count(&five), 15);
        let mut eight = vec![(1, 1), (1, 2), (1, 3), (1, 256), (1, 257)];
        eight.extend([(65536, 0), (65536, 1), (72057594037927936, 5)]);
        assert_eq!(count(&eight), 18);
    }
}
