//! Taking members from the first of several sorted sets that has any: ZMPOP, and BZMPOP, which waits.

use super::remove::{pop_command, take_ranks};
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::blocking::deadline_seconds;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::first::{self, Several};
use crate::value::Kind;

pub(super) const ZMPOP: Command = Command {
    name: "zmpop",
    group: Group::SortedSet,
    since: "7.0.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(1, &["RW", "access", "delete"])],
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
    summary: "Take members from the first sorted set that is not empty",
    run: |cx, args| {
        let several = Several::parse(args, 1, end)?;
        if !pop_first(cx, args, &several)? {
            cx.reply.null_array();
        }
        Ok(())
    },
    ..Command::BASE
};

pub(super) const BZMPOP: Command = Command {
    name: "bzmpop",
    arity: -5,
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(2, &["RW", "access", "delete"])],
    summary: "Take members from the first sorted set that is not empty, or wait",
    run: bzmpop,
    ..ZMPOP
};

fn bzmpop(cx: &mut Ctx, args: &Args) -> Outcome {
    let several = Several::parse(args, 2, end)?;
    let deadline_ms = deadline_seconds(args.at(1), cx.ks.now_ms)?;
    if pop_first(cx, args, &several)? {
        return Ok(());
    }
    first::wait(cx, args, Kind::Zset, several.keys(args), deadline_ms)
}

/// MIN or MAX; whether it is MAX.
fn end(args: &Args, i: usize) -> Result<bool, Error> {
    match () {
        () if args.is(i, "min") => Ok(false),
        () if args.is(i, "max") => Ok(true),
        () => Err(error::SYNTAX),
    }
}

/// Takes and replies; false, without a reply, if none of the sets exists.
fn pop_first(cx: &mut Ctx, args: &Args, several: &Several<bool>) -> Result<bool, Error> {
    first::take(cx, Kind::Zset, several.keys(args), |cx, slot, key| {
        let taken = several.count.min(cx.ks.view(slot).count());
        cx.reply.array(2);
        cx.reply.bulk(key);
        cx.reply.array(taken);
        take_ranks(cx, slot, key, taken, several.end, true);
        let name = pop_command(several.end);
        cx.propagate(&[name, key, taken.to_string().as_bytes()]);
    })
}
