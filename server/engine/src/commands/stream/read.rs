//! Reading what came after an id: XREAD, and XREADGROUP for a consumer of a group.

use super::feed::{Claim, propagate_claim, propagate_consumer, propagate_group};
use super::request::{From, Request};
use super::{group_mut, id, reply_entry, seen_consumer, stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::reply::{Mark, Protocol};
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::stream::{ConsumerId, Pending, Stream, StreamId};

/// Keys from STREAMS on, the first half of what follows it.
const fn streams(from: i16) -> KeySpec {
    KeySpec {
        notes: "",
        flags: &["RO", "access"],
        begin: Begin::Keyword("STREAMS", from),
        find: Find::Range {
            last: -1,
            step: 1,
            limit: 2,
        },
    }
}

pub(super) const XREAD: Command = Command {
    name: "xread",
    group: Group::Stream,
    since: "5.0.0",
    arity: -4,
    flags: Flags::READ.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
    keys: &[streams(1)],
    complexity: "O(N) for each stream, with N being the number of entries returned.",
    summary: "Read entries behind an id from several streams",
    run: xread,
    ..Command::BASE
};

pub(super) const XREADGROUP: Command = Command {
    name: "xreadgroup",
    arity: -7,
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
    keys: &[streams(4)],
    complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
    summary: "Read entries as a consumer of a group",
    run: xreadgroup,
    ..XREAD
};

/// The reply of several streams: a map from key to entries, in RESP2 an array of pairs, nil if there is none.
struct Answer {
    mark: Mark,
    streams: usize,
}

impl Answer {
    fn begin(cx: &Ctx) -> Answer {
        Answer {
            mark: cx.reply.mark(),
            streams: 0,
        }
    }

    fn stream(&mut self, cx: &mut Ctx, key: &[u8]) {
        self.streams += 1;
        if cx.reply.protocol == Protocol::Resp2 {
            cx.reply.array(2);
        }
        cx.reply.bulk(key);
    }

    fn end(self, cx: &mut Ctx, args: &Args, request: &Request, starts: &[From]) -> Outcome {
        match (self.streams, cx.reply.protocol) {
            (0, _) if request.block.is_some() && cx.may_block() => {
                return request.wait(cx, args, starts);
            }
            (0, _) => cx.reply.null_array(),
            (n, Protocol::Resp2) => cx.reply.array_at(self.mark, n),
            (n, Protocol::Resp3) => cx.reply.map_at(self.mark, n),
        }
        Ok(())
    }
}

fn xread(cx: &mut Ctx, args: &Args) -> Outcome {
    let request = Request::parse(cx, args, false)?;
    let starts = request.starts(cx, args)?;
    let mut answer = Answer::begin(cx);
    for (i, from) in starts.iter().enumerate() {
        let key = args.at(request.first + i);
        let (Some(slot), From::After(after)) = (cx.ks.read(key), *from) else {
            continue;
        };
        let top = stream_at(cx.ks, slot).edge_id(false);
        if let Some(start) = after.next().filter(|_| top.is_some_and(|top| top > after)) {
            answer.stream(cx, key);
            reply_range(cx, slot, start, request.count());
        }
    }
    answer.end(cx, args, &request, &starts)
}

/// Writes entries from `start` on; answers their ids.
fn reply_range(cx: &mut Ctx, slot: Slot, start: StreamId, count: usize) -> Vec<StreamId> {
    let mark = cx.reply.mark();
    let mut ids = Vec::new();
    for entry in stream_at(cx.ks, slot)
        .range(start, StreamId::MAX)
        .take(count)
    {
        ids.push(entry.id);
        reply_entry(cx.reply, entry);
    }
    cx.reply.array_at(mark, ids.len());
    ids
}

fn xreadgroup(cx: &mut Ctx, args: &Args) -> Outcome {
    let request = Request::parse(cx, args, true)?;
    let starts = request.starts(cx, args)?;
    let (group, consumer) = request.group.expect("parsing asks for it");
    // What reaches log and replicas are the deliveries, as claims.
    cx.propagate_nothing();
    let mut answer = Answer::begin(cx);
    for (i, from) in starts.iter().enumerate() {
        let key = args.at(request.first + i);
        let Some(slot) = cx.ks.read(key) else {
            continue;
        };
        let (id, made) = seen_consumer(cx.ks, slot, (key, group, consumer));
        let mut reading = Reading {
            key,
            slot,
            group,
            consumer: (consumer, id),
            count: request.count(),
            no_ack: request.no_ack,
        };
        let start = match *from {
            From::After(_) => None,
            From::New => new_start(stream_at(cx.ks, slot), group),
        };
        // A delivery that has to be acknowledged is told as a claim, which makes the consumer, too.
        if made && (start.is_none() || request.no_ack) {
            propagate_consumer(cx, key, group, consumer);
        }
        match (*from, start) {
            (From::After(after), _) => {
                answer.stream(cx, key);
                reading.history(cx, after);
            }
            (From::New, Some(start)) => {
                answer.stream(cx, key);
                reading.new_entries(cx, start);
            }
            (From::New, None) => continue,
        }
        cx.ks.dirty += 1;
    }
    answer.end(cx, args, &request, &starts)
}

/// Where what a group was not given yet begins, if there is anything.
fn new_start(stream: &Stream, group: &[u8]) -> Option<StreamId> {
    let last = stream.group(group)?.last_id;
    let top = stream.edge_id(false)?;
    last.next().filter(|_| top > last)
}

/// One stream that is read for a consumer.
struct Reading<'a> {
    key: &'a [u8],
    slot: Slot,
    group: &'a [u8],
    consumer: (&'a [u8], ConsumerId),
    count: usize,
    no_ack: bool,
}

impl Reading<'_> {
    /// What is pending at the consumer behind an id, delivered once more. Of a deleted entry only the id is left.
    fn history(&mut self, cx: &mut Ctx, after: StreamId) {
        let now_ms = cx.ks.now_ms;
        let owner = self.consumer.1;
        let group = group_mut(cx.ks, self.slot, self.group);
        let start = after.next().expect("the greatest id reads what is new");
        let ids: Vec<StreamId> = group
            .consumer(owner)
            .pending(start, StreamId::MAX)
            .take(self.count)
            .collect();
        cx.reply.array(ids.len());
        for id in ids {
            if let Some(entry) = stream_at(cx.ks, self.slot).get(id) {
                reply_entry(cx.reply, entry);
                let group = group_mut(cx.ks, self.slot, self.group);
                let deliveries = group.pending(id).map_or(0, |pending| pending.deliveries);
                group.assign(
                    id,
                    Pending {
                        delivery_ms: now_ms,
                        deliveries: deliveries.wrapping_add(1),
                        consumer: owner,
                    },
                );
            } else {
                cx.reply.array(2);
                id::reply(cx.reply, id);
                cx.reply.null_array();
            }
        }
    }

    /// What nobody of the group was given yet.
    fn new_entries(&mut self, cx: &mut Ctx, start: StreamId) {
        let now_ms = cx.ks.now_ms;
        let ids = reply_range(cx, self.slot, start, self.count);
        for id in &ids {
            let stream = stream_mut(cx.ks, self.slot);
            stream.advance_group(self.group, *id);
            if self.no_ack {
                continue;
            }
            let group = group_mut(cx.ks, self.slot, self.group);
            group.deliver(*id, self.consumer.1, now_ms);
            group.consumer_mut(self.consumer.1).active_ms = Some(now_ms);
            self.propagate_delivery(cx, *id, now_ms);
        }
        if self.no_ack && !ids.is_empty() {
            propagate_group(cx, self.slot, self.key, self.group);
        }
    }

    fn propagate_delivery(&self, cx: &mut Ctx, id: StreamId, now_ms: i64) {
        if !cx.ks.fx.feed_on {
            return;
        }
        let last = stream_at(cx.ks, self.slot)
            .group(self.group)
            .map_or(id, |group| group.last_id);
        propagate_claim(
            cx,
            self.key,
            self.group,
            last,
            &Claim {
                id: id.to_string().into_bytes(),
                owner: self.consumer.0.into(),
                delivery_ms: now_ms,
                deliveries: 1,
            },
        );
    }
}
