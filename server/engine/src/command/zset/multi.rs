//! Taking members from the first of several sorted sets that has any: ZMPOP, and BZMPOP, which waits.

use super::remove::take_ranks;
use crate::command::Args;
use crate::command::blocking::{Wait, deadline_seconds};
use crate::command::ctx::Ctx;
use crate::command::error::{self, Error, Outcome};
use crate::command::spec::{Command, Flags, Group, KeySpec};
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
        if pop_first(cx, args, 1)?.is_some() {
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
    let deadline_ms = deadline_seconds(args.at(1), cx.ks.now_ms)?;
    let Some(keys) = pop_first(cx, args, 2)? else {
        return Ok(());
    };
    if !cx.may_block() {
        cx.reply.null_array();
        return Ok(());
    }
    let wait = Wait {
        deadline_ms,
        kind: Kind::Zset,
        on_missing: false,
    };
    cx.block(args, args.iter_from(3).take(keys), wait)
}

/// Takes from the first of the sorted sets whose number is argument `first`; if none has anything, answers how many keys
/// there are and replies nothing.
fn pop_first(cx: &mut Ctx, args: &Args, first: usize) -> Result<Option<usize>, Error> {
    let above_zero = |i: usize, text: &'static str| {
        let number = args.int(i).ok().and_then(|n| usize::try_from(n).ok());
        number.filter(|n| *n > 0).ok_or(Error::new(text))
    };
    let keys = above_zero(first, "ERR numkeys should be greater than 0")?;
    let at = keys
        .checked_add(first + 1)
        .filter(|at| *at < args.len())
        .ok_or(error::SYNTAX)?;
    let highest = args.is(at, "max");
    if !highest && !args.is(at, "min") {
        return Err(error::SYNTAX);
    }
    let count = match args.len() - at {
        1 => 1,
        3 if args.is(at + 1, "count") => above_zero(at + 2, "ERR count should be greater than 0")?,
        _ => return Err(error::SYNTAX),
    };
    for key in args.iter_from(first + 1).take(keys) {
        let Some(slot) = cx.ks.write_kind(key, Kind::Zset)? else {
            continue;
        };
        let taken = count.min(cx.ks.view(slot).count());
        cx.reply.array(2);
        cx.reply.bulk(key);
        cx.reply.array(taken);
        take_ranks(cx, slot, key, taken, highest, true);
        let name: &[u8] = if highest { b"ZPOPMAX" } else { b"ZPOPMIN" };
        cx.propagate(&[name, key, taken.to_string().as_bytes()]);
        return Ok(None);
    }
    Ok(Some(keys))
}
