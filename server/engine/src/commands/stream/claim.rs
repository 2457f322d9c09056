//! Taking over what is pending at other consumers: XCLAIM, XAUTOCLAIM.

use super::feed::{Claim, propagate_claim, propagate_consumer, propagate_group};
use super::{
    group_mut, id, no_key_or_group, reply_entry, seen_consumer, shown, stream_at, stream_mut,
};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::Kind;
use crate::value::stream::{ConsumerId, Pending, StreamId};
use cairn_format::text::number::parse_i64;

pub(super) const XCLAIM: Command = Command {
    name: "xclaim",
    group: Group::Stream,
    since: "5.0.0",
    arity: -6,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    tips: &["nondeterministic_output"],
    complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
    summary: "Make a consumer the owner of pending entries",
    run: xclaim,
    ..Command::BASE
};

pub(super) const XAUTOCLAIM: Command = Command {
    name: "xautoclaim",
    since: "6.2.0",
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(1) if COUNT is small.",
    summary: "Make a consumer the owner of entries that have been pending for long",
    run: xautoclaim,
    ..XCLAIM
};

/// One claim under way.
pub(super) struct Claiming<'a> {
    key: &'a [u8],
    group: &'a [u8],
    slot: Slot,
    consumer: (&'a [u8], ConsumerId),
    /// The consumer is new.
    made: bool,
    idle_min_ms: i64,
    /// Only ids are answered, and deliveries are not counted.
    just_id: bool,
    /// The time that claimed entries are given, Unix milliseconds.
    delivery_ms: i64,
    /// Deliveries that claimed entries are given.
    deliveries: Option<u64>,
    /// Entries that are not pending are claimed too.
    force: bool,
    /// What log and replicas are to hear.
    changes: Vec<Claim>,
}

/// What became of an entry.
pub(super) enum Fate {
    Claimed,
    /// It is not in the stream any more, and not pending either since now.
    Gone,
    Left,
}

impl<'a> Claiming<'a> {
    /// Begins with the consumer, which is made if it is new.
    fn begin(cx: &mut Ctx, args: &Args<'a>, slot: Slot, idle_min_ms: i64) -> Claiming<'a> {
        let (key, group, name) = (args.at(1), args.at(2), args.at(3));
        let (id, made) = seen_consumer(cx.ks, slot, (key, group, name));
        Claiming {
            made,
            ..Claiming::by((name, id), (key, slot, group), cx.ks.now_ms, idle_min_ms)
        }
    }

    /// One of a consumer that is known to be there, now.
    pub(super) fn by(
        consumer: (&'a [u8], ConsumerId),
        (key, slot, group): (&'a [u8], Slot, &'a [u8]),
        now_ms: i64,
        idle_min_ms: i64,
    ) -> Claiming<'a> {
        Claiming {
            key,
            group,
            slot,
            consumer,
            made: false,
            idle_min_ms,
            just_id: false,
            delivery_ms: now_ms,
            deliveries: None,
            force: false,
            changes: Vec::new(),
        }
    }

    /// Claims one entry. `text` is the id as it is propagated.
    pub(super) fn claim(&mut self, cx: &mut Ctx, id: StreamId, text: &[u8]) -> Fate {
        let now_ms = cx.ks.now_ms;
        let exists = stream_at(cx.ks, self.slot).get(id).is_some();
        let group = group_mut(cx.ks, self.slot, self.group);
        let pending = group.pending(id).copied();
        if !exists {
            let Some(pending) = pending else {
                return Fate::Left;
            };
            let owner = group.consumer(pending.consumer).name().into();
            group.acknowledge(id);
            self.note(cx, text, owner, pending.delivery_ms, pending.deliveries);
            return Fate::Gone;
        }
        let idle_ms = pending.map_or(i64::MAX, |p| now_ms.saturating_sub(p.delivery_ms));
        if (pending.is_none() && !self.force)
            || (self.idle_min_ms > 0 && idle_ms < self.idle_min_ms)
        {
            return Fate::Left;
        }
        // One that was not pending counts as delivered once before.
        let before = pending.map_or(1, |pending| pending.deliveries);
        let deliveries = self
            .deliveries
            .unwrap_or_else(|| before.wrapping_add(u64::from(!self.just_id)));
        let consumer = self.consumer.1;
        group.assign(
            id,
            Pending {
                delivery_ms: self.delivery_ms,
                deliveries,
                consumer,
            },
        );
        group.consumer_mut(consumer).active_ms = Some(now_ms);
        let owner = self.consumer.0.into();
        self.note(cx, text, owner, self.delivery_ms, deliveries);
        Fate::Claimed
    }

    fn note(&mut self, cx: &mut Ctx, id: &[u8], owner: Box<[u8]>, ms: i64, deliveries: u64) {
        cx.ks.dirty += 1;
        if cx.ks.fx.feed_on {
            self.changes.push(Claim {
                id: id.to_vec(),
                owner,
                delivery_ms: ms,
                deliveries,
            });
        }
    }

    /// Answers with claimed entries.
    fn reply(&self, cx: &mut Ctx, claimed: &[StreamId]) {
        cx.reply.array(claimed.len());
        for id in claimed {
            match stream_at(cx.ks, self.slot).get(*id) {
                Some(entry) if !self.just_id => reply_entry(cx.reply, entry),
                _ => id::reply(cx.reply, *id),
            }
        }
    }

    /// Propagates what was claimed, and a new consumer that claimed nothing.
    pub(super) fn propagate(&self, cx: &mut Ctx) {
        let Some(group) = stream_at(cx.ks, self.slot).group(self.group) else {
            return;
        };
        let last = group.last_id;
        let (name, _) = self.consumer;
        if self.made && !self.changes.iter().any(|claim| *claim.owner == *name) {
            propagate_consumer(cx, self.key, self.group, name);
        }
        for claim in &self.changes {
            propagate_claim(cx, self.key, self.group, last, claim);
        }
    }
}

/// The stream and its group, or NOGROUP.
fn find(cx: &mut Ctx, args: &Args) -> Result<Slot, Error> {
    let (key, name) = (args.at(1), args.at(2));
    let slot = cx.ks.read_kind(key, Kind::Stream)?;
    slot.filter(|slot| stream_at(cx.ks, *slot).group(name).is_some())
        .ok_or_else(|| no_key_or_group(key, name, ""))
}

fn number(text: &[u8], refusal: &'static str) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::new(refusal))
}

/// What stands behind the ids of XCLAIM.
#[derive(Default)]
struct ClaimOptions {
    force: bool,
    just_id: bool,
    /// By IDLE or TIME, Unix milliseconds.
    delivery_ms: Option<i64>,
    deliveries: Option<u64>,
    last_id: StreamId,
}

impl ClaimOptions {
    fn parse(args: &Args, from: usize, now_ms: i64) -> Result<ClaimOptions, Error> {
        let mut options = ClaimOptions::default();
        let mut i = from;
        while i < args.len() {
            let value = args.get(i + 1);
            i += match value {
                _ if args.is(i, "force") => {
                    options.force = true;
                    1
                }
                _ if args.is(i, "justid") => {
                    options.just_id = true;
                    1
                }
                Some(value) if options.take(args, i, value, now_ms)? => 2,
                _ => {
                    let option = shown(args.at(i));
                    return Err(Error::text(format!(
                        "ERR Unrecognized XCLAIM option '{option}'"
                    )));
                }
            };
        }
        Ok(options)
    }

    /// An option with a value; whether there is one of this name.
    fn take(&mut self, args: &Args, i: usize, value: &[u8], now_ms: i64) -> Result<bool, Error> {
        if args.is(i, "idle") {
            let idle = number(value, "ERR Invalid IDLE option argument for XCLAIM")?;
            self.delivery_ms = Some(now_ms.wrapping_sub(idle));
        } else if args.is(i, "time") {
            let time = number(value, "ERR Invalid TIME option argument for XCLAIM")?;
            self.delivery_ms = Some(time);
        } else if args.is(i, "retrycount") {
            let count = number(value, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.deliveries = u64::try_from(count).ok();
        } else if args.is(i, "lastid") {
            self.last_id = id::parse(value)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

fn xclaim(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = find(cx, args)?;
    let idle = number(args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = args
        .iter_from(5)
        .map_while(|text| id::parse(text).ok())
        .collect();
    let now_ms = cx.ks.now_ms;
    let options = ClaimOptions::parse(args, 5 + ids.len(), now_ms)?;
    cx.propagate_nothing();
    // Deliveries are told to log and replicas as claims: following one keeps the count of entries read, too.
    let moved = stream_mut(cx.ks, slot).follow_group(args.at(2), options.last_id);
    let mut claiming = Claiming::begin(cx, args, slot, idle);
    claiming.just_id = options.just_id;
    claiming.force = options.force;
    claiming.deliveries = options.deliveries;
    // A time that makes no sense is taken as now: clients compute it from clocks of their own. That of a log stands in the
    // data that it was made of, and the clock may have been set back since.
    let latest = if cx.session.applies() {
        i64::MAX
    } else {
        now_ms
    };
    let sensible = |ms: &i64| (0..=latest).contains(ms);
    claiming.delivery_ms = options.delivery_ms.filter(sensible).unwrap_or(now_ms);
    let (mut claimed, mut gone) = (Vec::new(), 0);
    for (i, id) in ids.into_iter().enumerate() {
        match claiming.claim(cx, id, args.at(5 + i)) {
            Fate::Claimed => claimed.push(id),
            Fate::Gone => gone += 1,
            Fate::Left => {}
        }
    }
    claiming.reply(cx, &claimed);
    claiming.propagate(cx);
    // Any claim tells the last id with it.
    if moved && claimed.is_empty() && gone == 0 {
        propagate_group(cx, slot, args.at(1), args.at(2));
        cx.ks.dirty += 1;
    }
    Ok(())
}

/// Entries that XAUTOCLAIM looks at for each that it may answer.
const ATTEMPTS: usize = 10;
/// Largest COUNT: as in Redis, so that neither 16 bytes an entry nor the attempts overflow.
const COUNT_MAX: i64 = i64::MAX / 16;

fn xautoclaim(cx: &mut Ctx, args: &Args) -> Outcome {
    let idle = number(
        args.at(4),
        "ERR Invalid min-idle-time argument for XAUTOCLAIM",
    )?;
    let start = id::parse_start(args.at(5))?;
    let (mut count, mut just_id) = (100, false);
    let mut i = 6;
    while i < args.len() {
        if i + 1 < args.len() && args.is(i, "count") {
            let refusal = "ERR COUNT must be > 0";
            let number = number(args.at(i + 1), refusal)?;
            if !(1..=COUNT_MAX).contains(&number) {
                return Err(Error::new(refusal));
            }
            count = number as usize;
            i += 2;
        } else if args.is(i, "justid") {
            just_id = true;
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
    }
    let slot = find(cx, args)?;
    cx.propagate_nothing();
    let mut claiming = Claiming::begin(cx, args, slot, idle);
    claiming.just_id = just_id;
    claim_from(cx, &mut claiming, start, count);
    claiming.propagate(cx);
    Ok(())
}

/// Claims up to `count` pending entries from `start` on. Answers where to go on, the entries, and which were gone.
fn claim_from(cx: &mut Ctx, claiming: &mut Claiming, start: StreamId, count: usize) {
    let attempts = count.saturating_mul(ATTEMPTS);
    let (mut claimed, mut gone) = (Vec::new(), Vec::new());
    let (mut from, mut looked) = (start, 0);
    let next = loop {
        // One more than may be taken tells where to go on.
        let want = (count - claimed.len() - gone.len()).min(attempts - looked);
        let group = group_mut(cx.ks, claiming.slot, claiming.group);
        let pending = group.pending_range(from, StreamId::MAX);
        let ids: Vec<StreamId> = pending.map(|(id, _)| id).take(want + 1).collect();
        looked += want;
        for &id in ids.iter().take(want) {
            match id::with_text(id, |text| claiming.claim(cx, id, text)) {
                Fate::Claimed => claimed.push(id),
                Fate::Gone => gone.push(id),
                Fate::Left => {}
            }
        }
        let is_over = claimed.len() + gone.len() == count || looked == attempts;
        match ids.get(want) {
            Some(next) if !is_over => from = *next,
            next => break next.copied(),
        }
    };
    cx.reply.array(3);
    id::reply(cx.reply, next.unwrap_or(StreamId::MIN));
    claiming.reply(cx, &claimed);
    cx.reply.array(gone.len());
    for id in gone {
        id::reply(cx.reply, id);
    }
}
