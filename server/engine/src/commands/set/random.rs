//! SRANDMEMBER.

use std::collections::HashSet;

use super::store;
use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::sample::{Choice, choose, draws_one_by_one, parse_count};
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef};

pub(super) const SRANDMEMBER: Command = Command {
    name: "srandmember",
    group: Group::Set,
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
    summary: "Pick random members",
    run: srandmember,
    ..Command::BASE
};

fn srandmember(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = match args.len() {
        2 => None,
        3 => Some(parse_count(args, 2)?),
        _ => return Err(error::SYNTAX),
    };
    let slot = cx.ks.read_kind(args.at(1), Kind::Set)?;
    match (slot, count) {
        (Some(slot), Some(count)) => many(cx, slot, count),
        (Some(slot), None) => {
            let member = store::random(cx.ks, slot);
            cx.reply.bulk(&member);
        }
        (None, Some(_)) => cx.reply.array(0),
        (None, None) => cx.reply.null(),
    }
    Ok(())
}

fn many(cx: &mut Ctx, slot: Slot, count: i64) {
    let len = cx.ks.view(slot).count();
    let is_table = matches!(cx.ks.view(slot), ValueRef::Set(_));
    if count < 0 || is_table && draws_one_by_one(count, len) {
        let times = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        cx.reply.array(times);
        let (mut left, mut seen) = (times, HashSet::new());
        while left > 0 && !cx.reply.is_full() {
            let member = store::random(cx.ks, slot);
            if count < 0 || seen.insert(member.clone()) {
                cx.reply.bulk(&member);
                left -= 1;
            }
        }
        return;
    }
    let choice = choose(&mut cx.ks.random, count, len);
    let mut all = Vec::with_capacity(len);
    let view = cx.ks.view(slot);
    view.each(&mut |member| all.push(member.to_bytes().into_owned()));
    let places = match choice {
        Choice::Some(places) => places,
        _ => (0..len).collect(),
    };
    cx.reply.array(places.len());
    places.iter().for_each(|at| cx.reply.bulk(&all[*at]));
}
