//! What a group was given and has not acknowledged: XACK, XPENDING.

use super::{group_mut, id, no_key_or_group, stream_at};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::Kind;
use crate::value::stream::{self, Pending, StreamId};

pub(super) const XACK: Command = Command {
    name: "xack",
    group: Group::Stream,
    since: "5.0.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(1) for each message ID processed.",
    summary: "Acknowledge entries that a group was given",
    run: xack,
    ..Command::BASE
};

fn xack(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Stream)?;
    let name = args.at(2);
    let Some(slot) = slot.filter(|slot| stream_at(cx.ks, *slot).group(name).is_some()) else {
        cx.reply.int(0);
        return Ok(());
    };
    let ids: Vec<StreamId> = args.iter_from(3).map(id::parse).collect::<Result<_, _>>()?;
    let group = group_mut(cx.ks, slot, name);
    let acknowledged = ids.iter().filter(|id| group.acknowledge(**id)).count();
    cx.ks.dirty += acknowledged as u64;
    cx.reply.int(acknowledged as i64);
    Ok(())
}

pub(super) const XPENDING: Command = Command {
    name: "xpending",
    group: Group::Stream,
    since: "5.0.0",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
    summary: "Look at entries that were given out and not acknowledged",
    run: xpending,
    ..Command::BASE
};

/// The long form of XPENDING.
struct Query<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    /// `None` for the short form.
    fn parse(args: &Args<'a>) -> Result<Option<Query<'a>>, Error> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(error::SYNTAX);
        }
        let (mut idle_min_ms, mut at) = (0, 3);
        if args.is(3, "idle") {
            idle_min_ms = args.int(4)?;
            if args.len() < 8 {
                return Err(error::SYNTAX);
            }
            at = 5;
        }
        let count = usize::try_from(args.int(at + 2)?).unwrap_or(0);
        Ok(Some(Query {
            idle_min_ms,
            start: id::parse_start(args.at(at))?,
            end: id::parse_end(args.at(at + 1))?,
            count,
            consumer: args.get(at + 3),
        }))
    }
}

fn xpending(cx: &mut Ctx, args: &Args) -> Outcome {
    let query = Query::parse(args)?;
    let (key, name) = (args.at(1), args.at(2));
    let slot = cx.ks.read_kind(key, Kind::Stream)?;
    let group = slot.and_then(|slot| stream_at(cx.ks, slot).group(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name, ""))?;
    match query {
        None => summary(cx.reply, group),
        Some(query) => list(cx.reply, group, &query, cx.ks.now_ms),
    }
    Ok(())
}

fn summary(reply: &mut Reply, group: &stream::Group) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let mut all = group.pending_range(StreamId::MIN, StreamId::MAX);
    let Some((first, _)) = all.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    let last = all.next_back().map_or(first, |(last, _)| last);
    id::reply(reply, first);
    id::reply(reply, last);
    let busy = || {
        group
            .consumers()
            .filter(|(_, consumer)| consumer.pending_len() > 0)
    };
    reply.array(busy().count());
    for (_, consumer) in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_len() as i64);
    }
}

fn list(reply: &mut Reply, group: &stream::Group, query: &Query, now_ms: i64) {
    let (start, end) = (query.start, query.end);
    let entries: Box<dyn Iterator<Item = (StreamId, &Pending)>> =
        match query.consumer.map(|name| group.find_consumer(name)) {
            None => Box::new(group.pending_range(start, end)),
            Some(None) => Box::new(std::iter::empty()),
            Some(Some(owner)) => {
                let ids = group.consumer(owner).pending(start, end);
                Box::new(ids.filter_map(|id| Some((id, group.pending(id)?))))
            }
        };
    let idle_ms = |pending: &Pending| now_ms.saturating_sub(pending.delivery_ms);
    // Entries that are not idle enough do not use up the count.
    let wanted = entries
        .filter(|(_, pending)| query.idle_min_ms == 0 || idle_ms(pending) >= query.idle_min_ms)
        .take(query.count);
    let mark = reply.mark();
    let mut listed = 0;
    for (id, pending) in wanted {
        listed += 1;
        reply.array(4);
        id::reply(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(idle_ms(pending).max(0));
        reply.int(pending.deliveries as i64);
    }
    reply.array_at(mark, listed);
}
