//! Reading what came after an id: XREAD, and XREADGROUP for a consumer of a group.

use super::claim::{Claiming, Fate};
use super::feed::{Claim, propagate_claim, propagate_consumer, propagate_group};
use super::request::{From, Request};
use super::{group_mut, id, reply_entry, reply_parts, seen_consumer, stream_at, stream_mut};
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::reply::{Mark, Protocol, Reply};
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::stream::{ConsumerId, Pending, Stream, StreamEntry, StreamId};

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
            let mark = cx.reply.mark();
            let ids = reply_range(cx, slot, start, request.count(), reply_entry);
            cx.reply.array_at(mark, ids.len());
        }
    }
    answer.end(cx, args, &request, &starts)
}

/// Writes entries from `start` on; answers their ids.
fn reply_range(
    cx: &mut Ctx,
    slot: Slot,
    start: StreamId,
    count: usize,
    write: fn(&mut Reply, StreamEntry),
) -> Vec<StreamId> {
    let mut ids = Vec::new();
    for entry in stream_at(cx.ks, slot)
        .range(start, StreamId::MAX)
        .take(count)
    {
        ids.push(entry.id);
        write(cx.reply, entry);
    }
    ids
}

/// An entry where CLAIM is asked for: since when it was pending, milliseconds, and how often it was delivered before.
fn reply_delivery(reply: &mut Reply, entry: StreamEntry, idle_ms: i64, deliveries: u64) {
    reply.array(4);
    reply_parts(reply, entry);
    reply.int(idle_ms);
    reply.int(i64::try_from(deliveries).unwrap_or(i64::MAX));
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
            tells_deliveries: request.claim_ms.is_some(),
        };
        let (start, claimed) = match *from {
            From::After(_) => (None, Vec::new()),
            From::New => {
                let start = new_start(stream_at(cx.ks, slot), group);
                (start, reading.claim(cx, request.claim_ms))
            }
        };
        // A delivery that has to be acknowledged is told as a claim, which makes the consumer, too.
        if made && claimed.is_empty() && (start.is_none() || request.no_ack) {
            propagate_consumer(cx, key, group, consumer);
        }
        match *from {
            From::After(after) => {
                answer.stream(cx, key);
                reading.history(cx, after);
            }
            From::New if start.is_none() && claimed.is_empty() => continue,
            From::New => {
                answer.stream(cx, key);
                let mark = cx.reply.mark();
                let claimed = reading.reply_claimed(cx, &claimed);
                let read = start.map_or(0, |start| reading.new_entries(cx, start, claimed));
                cx.reply.array_at(mark, claimed + read);
            }
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
    /// Each entry is answered with its deliveries.
    tells_deliveries: bool,
}

/// An entry that was claimed, and how it was pending before.
struct Claimed {
    id: StreamId,
    idle_ms: i64,
    deliveries: u64,
}

impl Reading<'_> {
    /// Claims what is pending for so long at whomever, the longest first. What was deleted from the stream is pending no longer.
    fn claim(&self, cx: &mut Ctx, idle_min_ms: Option<i64>) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        let Some(idle_min_ms) = idle_min_ms else {
            return claimed;
        };
        let now_ms = cx.ks.now_ms;
        let place = (self.key, self.slot, self.group);
        let mut claiming = Claiming::by(self.consumer, place, now_ms, idle_min_ms);
        let group = group_mut(cx.ks, self.slot, self.group);
        for id in group.idle(now_ms.saturating_sub(idle_min_ms)) {
            if claimed.len() == self.count {
                break;
            }
            let group = group_mut(cx.ks, self.slot, self.group);
            let Some(before) = group.pending(id).copied() else {
                continue;
            };
            let fate = id::with_text(id, |text| claiming.claim(cx, id, text));
            if matches!(fate, Fate::Claimed) {
                claimed.push(Claimed {
                    id,
                    idle_ms: now_ms.saturating_sub(before.delivery_ms).max(0),
                    deliveries: before.deliveries,
                });
            }
        }
        claiming.propagate(cx);
        claimed
    }

    /// Writes what was claimed; answers how many that are.
    fn reply_claimed(&self, cx: &mut Ctx, claimed: &[Claimed]) -> usize {
        for claim in claimed {
            let entry = stream_at(cx.ks, self.slot).get(claim.id);
            let entry = entry.expect("what is not there is not claimed");
            reply_delivery(cx.reply, entry, claim.idle_ms, claim.deliveries);
        }
        claimed.len()
    }

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

    /// What nobody of the group was given yet, behind so many that were claimed. Answers how many entries that are.
    fn new_entries(&mut self, cx: &mut Ctx, start: StreamId, claimed: usize) -> usize {
        let now_ms = cx.ks.now_ms;
        let write = match self.tells_deliveries {
            true => |reply: &mut Reply, entry: StreamEntry| reply_delivery(reply, entry, 0, 0),
            false => reply_entry,
        };
        let ids = reply_range(cx, self.slot, start, self.count - claimed, write);
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
        ids.len()
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
