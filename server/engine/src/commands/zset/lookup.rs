//! Looking members up: ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCARD, ZSCAN.

use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::generic::{Visit, scan_elements};
use crate::keyspace::Named;
use crate::value::{Kind, ValueRef, zset};
use cairn_format::text::double::write_f64;

const READ_FAST: Flags = Flags::READ.and(Flags::FAST);

pub(super) const ZCARD: Command = Command {
    name: "zcard",
    group: Group::SortedSet,
    since: "1.2.0",
    arity: 2,
    flags: READ_FAST,
    keys: &[KeySpec::one(&["RO"])],
    summary: "Count the members",
    run: zcard,
    ..Command::BASE
};

fn zcard(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = cx
        .ks
        .read_kind(args.at(1), Kind::Zset)?
        .map_or(0, |slot| cx.ks.view(slot).count());
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) const ZSCORE: Command = Command {
    name: "zscore",
    arity: 3,
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read the score of a member",
    run: zscore,
    ..ZCARD
};

fn zscore(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    match slot.and_then(|slot| zset::score(cx.ks.view(slot), args.at(2))) {
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    Ok(())
}

pub(super) const ZMSCORE: Command = Command {
    name: "zmscore",
    since: "6.2.0",
    arity: -3,
    complexity: "O(N) where N is the number of members being requested.",
    summary: "Read the scores of several members",
    run: zmscore,
    ..ZSCORE
};

fn zmscore(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    cx.reply.array(args.len() - 2);
    let mut members = Named::new(args, 2, 1);
    while let Some(at) = members.next(cx.ks, slot) {
        match slot.and_then(|slot| zset::score(cx.ks.view(slot), args.at(at))) {
            Some(score) => cx.reply.double(score),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

pub(super) const ZRANK: Command = Command {
    name: "zrank",
    group: Group::SortedSet,
    since: "2.0.0",
    arity: -3,
    flags: READ_FAST,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(log(N))",
    summary: "Tell the position of a member, from the lowest score",
    run: |cx, args| rank(cx, args, false),
    ..Command::BASE
};

pub(super) const ZREVRANK: Command = Command {
    name: "zrevrank",
    summary: "Tell the position of a member, from the highest score",
    run: |cx, args| rank(cx, args, true),
    ..ZRANK
};

fn rank(cx: &mut Ctx, args: &Args, reverse: bool) -> Outcome {
    if args.len() > 4 {
        return Err(error::wrong_arity(cx.command.spec.name));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return Err(error::SYNTAX);
    }
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    let found = slot.and_then(|slot| {
        let view = cx.ks.view(slot);
        let (rank, score) = zset::rank(view, args.at(2))?;
        Some((
            if reverse {
                view.count() - 1 - rank
            } else {
                rank
            },
            score,
        ))
    });
    match found {
        Some((rank, score)) if with_score => {
            cx.reply.array(2);
            cx.reply.int(rank as i64);
            cx.reply.double(score);
        }
        Some((rank, _)) => cx.reply.int(rank as i64),
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    Ok(())
}

pub(super) const ZSCAN: Command = Command {
    name: "zscan",
    group: Group::SortedSet,
    since: "2.8.0",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Walk over the members, some at a time",
    run: |cx, args| scan_elements(cx, args, Kind::Zset, scan_step),
    ..Command::BASE
};

fn scan_step(zset: ValueRef, cursor: u64, visit: &mut Visit) -> u64 {
    let text = |score| {
        let mut text = Vec::with_capacity(32);
        write_f64(&mut text, score);
        Some(text)
    };
    if let ValueRef::Zset(ranked) = zset {
        return ranked.scan(cursor, |member, score| visit.meet(member, || text(score)));
    }
    zset.each_scored(&mut |member, score| visit.meet(member.to_bytes(), || text(score)));
    0
}
