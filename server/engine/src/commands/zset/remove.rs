//! Taking members out: ZREM, ZPOPMIN, ZPOPMAX, ZREMRANGEBY*.

use super::bound::{By, Ends};
use super::store;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Protocol;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::members;
use crate::structure::table::Slot;
use crate::value::{Kind, zset};

pub(super) const ZREM: Command = Command {
    name: "zrem",
    group: Group::SortedSet,
    since: "1.2.0",
    arity: -3,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
    summary: "Remove members",
    run: |cx, args| {
        members::remove(
            cx,
            args,
            Kind::Zset,
            (EventClass::ZSET, "zrem"),
            store::remove,
        )
    },
    ..Command::BASE
};

pub(super) const ZREMRANGEBYRANK: Command = Command {
    name: "zremrangebyrank",
    group: Group::SortedSet,
    since: "2.0.0",
    arity: 4,
    flags: Flags::WRITE,
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    summary: "Remove the members in a range of positions",
    run: |cx, args| remove_range(cx, args, By::Rank, "zremrangebyrank"),
    ..Command::BASE
};

pub(super) const ZREMRANGEBYSCORE: Command = Command {
    name: "zremrangebyscore",
    since: "1.2.0",
    summary: "Remove the members whose scores are in a range",
    run: |cx, args| remove_range(cx, args, By::Score, "zremrangebyscore"),
    ..ZREMRANGEBYRANK
};

pub(super) const ZREMRANGEBYLEX: Command = Command {
    name: "zremrangebylex",
    since: "2.8.9",
    summary: "Remove the members whose bytes are in a range",
    run: |cx, args| remove_range(cx, args, By::Lex, "zremrangebylex"),
    ..ZREMRANGEBYRANK
};

fn remove_range(cx: &mut Ctx, args: &Args, by: By, event: &'static str) -> Outcome {
    let key = args.at(1);
    let ends = Ends::parse(args, by, 2, 3)?;
    let Some(slot) = cx.ks.write_kind(key, Kind::Zset)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let ranks = ends.ranks(cx.ks.view(slot), false);
    let removed = ranks.len();
    if removed > 0 {
        let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
        let slot = store::remove_range(cx.ks, slot, ranks);
        debug_assert_eq!(before, Some(cx.ks.view(slot).count() + removed));
        cx.ks.modified(EventClass::ZSET, event, key, removed as u64);
        cx.ks.remove_if_empty(slot, key);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

pub(super) const ZPOPMIN: Command = Command {
    name: "zpopmin",
    group: Group::SortedSet,
    since: "5.0.0",
    arity: -2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "delete"])],
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Take the members of the lowest scores",
    run: |cx, args| pop(cx, args, false),
    ..Command::BASE
};

pub(super) const ZPOPMAX: Command = Command {
    name: "zpopmax",
    summary: "Take the members of the highest scores",
    run: |cx, args| pop(cx, args, true),
    ..ZPOPMIN
};

fn pop(cx: &mut Ctx, args: &Args, highest: bool) -> Outcome {
    if args.len() > 3 {
        return Err(error::SYNTAX);
    }
    let key = args.at(1);
    let count = args.get(2).map(|_| args.count(2)).transpose()?;
    let Some(slot) = cx.ks.write_kind(key, Kind::Zset)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let taken = count.unwrap_or(1).min(cx.ks.view(slot).count());
    // Without a count the pair stands alone; with one RESP3 nests pairs.
    let nested = count.is_some() && cx.reply.protocol == Protocol::Resp3;
    cx.reply.array(if nested { taken } else { 2 * taken });
    take_ranks(cx, slot, key, taken, highest, nested);
    Ok(())
}

/// The command that takes from this end.
pub(super) fn pop_command(highest: bool) -> &'static [u8] {
    if highest { b"ZPOPMAX" } else { b"ZPOPMIN" }
}

/// Takes so many members from an end of a sorted set, which has them, and answers them with their scores.
pub(super) fn take_ranks(
    cx: &mut Ctx,
    slot: Slot,
    key: &[u8],
    taken: usize,
    highest: bool,
    nested: bool,
) {
    let view = cx.ks.view(slot);
    let len = view.count();
    debug_assert!(taken <= len, "so many are there");
    let ranks = if highest { len - taken..len } else { 0..taken };
    zset::each_ranked(view, ranks.clone(), highest, &mut |member, score| {
        if nested {
            cx.reply.array(2);
        }
        cx.reply.entry(member);
        cx.reply.double(score);
    });
    if taken > 0 {
        let slot = store::remove_range(cx.ks, slot, ranks);
        debug_assert_eq!(
            cx.ks.view(slot).count() + taken,
            len,
            "as many are gone as were announced"
        );
        cx.ks.modified(
            EventClass::ZSET,
            if highest { "zpopmax" } else { "zpopmin" },
            key,
            taken as u64,
        );
        cx.ks.remove_if_empty(slot, key);
    }
}
