//! Taking from sorted sets that may have to be waited for: BZPOPMIN, BZPOPMAX.

use super::remove::{pop_command, take_ranks};
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::blocking::deadline_seconds;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::first;
use crate::value::Kind;

pub(super) const BZPOPMIN: Command = Command {
    name: "bzpopmin",
    group: Group::SortedSet,
    since: "5.0.0",
    arity: -3,
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::FAST),
    keys: &[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])],
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Take the member of the lowest score from the first set that has one, or wait",
    run: |cx, args| pop(cx, args, false),
    ..Command::BASE
};

pub(super) const BZPOPMAX: Command = Command {
    name: "bzpopmax",
    summary: "Take the member of the highest score from the first set that has one, or wait",
    run: |cx, args| pop(cx, args, true),
    ..BZPOPMIN
};

fn pop(cx: &mut Ctx, args: &Args, highest: bool) -> Outcome {
    let last = args.len() - 1;
    let deadline_ms = deadline_seconds(args.at(last), cx.ks.now_ms)?;
    let keys = || args.iter_from(1).take(last - 1);
    let taken = first::take(cx, Kind::Zset, keys(), |cx, slot, key| {
        cx.reply.array(3);
        cx.reply.bulk(key);
        take_ranks(cx, slot, key, 1, highest, false);
        cx.propagate(&[pop_command(highest), key]);
    })?;
    if taken {
        return Ok(());
    }
    first::wait(cx, args, Kind::Zset, keys(), deadline_ms)
}
