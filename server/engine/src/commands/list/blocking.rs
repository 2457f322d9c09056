//! Taking from lists that may have to be waited for: BLPOP, BRPOP.

use super::ends::take;
use super::store::End;
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::blocking::deadline_seconds;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::first;
use crate::value::Kind;

pub(super) const BLPOP: Command = Command {
    name: "blpop",
    group: Group::List,
    since: "2.0.0",
    arity: -3,
    flags: Flags::WRITE.and(Flags::BLOCKING),
    keys: &[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])],
    complexity: "O(N) where N is the number of provided keys.",
    summary: "Take an element from the head of the first list that has one, or wait",
    run: |cx, args| pop(cx, args, End::Head),
    ..Command::BASE
};

pub(super) const BRPOP: Command = Command {
    name: "brpop",
    summary: "Take an element from the tail of the first list that has one, or wait",
    run: |cx, args| pop(cx, args, End::Tail),
    ..BLPOP
};

fn pop(cx: &mut Ctx, args: &Args, end: End) -> Outcome {
    let last = args.len() - 1;
    let deadline_ms = deadline_seconds(args.at(last), cx.ks.now_ms)?;
    let keys = || args.iter_from(1).take(last - 1);
    let taken = first::take(cx, Kind::List, keys(), |cx, slot, key| {
        cx.reply.array(2);
        cx.reply.bulk(key);
        take(cx, slot, key, end, 1);
        cx.propagate(&[end.pop_command(), key]);
    })?;
    if taken {
        return Ok(());
    }
    first::wait(cx, args, Kind::List, keys(), deadline_ms)
}
