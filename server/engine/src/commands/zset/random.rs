//! ZRANDMEMBER.

use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Protocol;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::sample::{Choice, choose, parse_count, parse_pair_count};
use crate::structure::table::Slot;
use crate::value::{Kind, zset};

pub(super) const ZRANDMEMBER: Command = Command {
    name: "zrandmember",
    group: Group::SortedSet,
    since: "6.2.0",
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of members returned",
    summary: "Pick random members",
    run: zrandmember,
    ..Command::BASE
};

fn zrandmember(cx: &mut Ctx, args: &Args) -> Outcome {
    let with_scores = args.len() == 4 && args.is(3, "withscores");
    let count = match args.len() {
        2 => None,
        3 => Some(parse_count(args, 2)?),
        _ if with_scores => Some(parse_pair_count(args, 2)?),
        _ => {
            parse_count(args, 2)?;
            return Err(error::SYNTAX);
        }
    };
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    match (slot, count) {
        (Some(slot), Some(count)) => many(cx, slot, count, with_scores),
        (Some(slot), None) => {
            let at = cx.ks.random.index(cx.ks.view(slot).count());
            zset::each_ranked(cx.ks.view(slot), at..at + 1, false, &mut |member, _| {
                cx.reply.entry(member);
            });
        }
        (None, Some(_)) => cx.reply.array(0),
        (None, None) => cx.reply.null(),
    }
    Ok(())
}

fn many(cx: &mut Ctx, slot: Slot, count: i64, with_scores: bool) {
    let len = cx.ks.view(slot).count();
    let paired = with_scores && cx.reply.protocol == Protocol::Resp3;
    let choice = choose(&mut cx.ks.random, count, len);
    let n = match &choice {
        Choice::All => len,
        Choice::Some(places) => places.len(),
        Choice::Repeated(times) => *times,
    };
    cx.reply
        .array(if with_scores && !paired { 2 * n } else { n });
    let view = cx.ks.view(slot);
    let reply = &mut *cx.reply;
    let mut show = |ranks: std::ops::Range<usize>| {
        zset::each_ranked(view, ranks, false, &mut |member, score| {
            if paired {
                reply.array(2);
            }
            reply.entry(member);
            if with_scores {
                reply.double(score);
            }
        });
        reply.is_full()
    };
    match choice {
        // Redis walks a sorted set from its end here.
        Choice::All => (0..len).rev().for_each(|at| {
            show(at..at + 1);
        }),
        Choice::Some(places) => places.iter().for_each(|at| {
            show(*at..at + 1);
        }),
        Choice::Repeated(times) => {
            let mut random = cx.ks.random.clone();
            for _ in 0..times {
                let at = random.index(len);
                if show(at..at + 1) {
                    break;
                }
            }
            cx.ks.random = random;
        }
    }
}
