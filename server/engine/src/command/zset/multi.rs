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
        let several = Several::parse(args, 1)?;
        if !several.pop(cx, args)? {
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
    let several = Several::parse(args, 2)?;
    let deadline_ms = deadline_seconds(args.at(1), cx.ks.now_ms)?;
    if several.pop(cx, args)? {
        return Ok(());
    }
    if !cx.may_block() {
        cx.reply.null_array();
        return Ok(());
    }
    let wait = Wait {
        deadline_ms,
        kind: Kind::Zset,
        on_missing: false,
    };
    cx.block(args, several.keys(args), wait)
}

/// The words of a command that takes from the first of several sorted sets that has any.
struct Several {
    /// Argument of the first key.
    first: usize,
    keys: usize,
    highest: bool,
    count: usize,
}

impl Several {
    /// `number` is the argument that holds the number of keys.
    fn parse(args: &Args, number: usize) -> Result<Several, Error> {
        let above_zero = |i: usize, text: &'static str| {
            let number = args.int(i).ok().and_then(|n| usize::try_from(n).ok());
            number.filter(|n| *n > 0).ok_or(Error::new(text))
        };
        let keys = above_zero(number, "ERR numkeys should be greater than 0")?;
        let at = keys
            .checked_add(number + 1)
            .filter(|at| *at < args.len())
            .ok_or(error::SYNTAX)?;
        let highest = args.is(at, "max");
        if !highest && !args.is(at, "min") {
            return Err(error::SYNTAX);
        }
        let count = match args.len() - at {
            1 => 1,
            3 if args.is(at + 1, "count") => {
                above_zero(at + 2, "ERR count should be greater than 0")?
            }
            _ => return Err(error::SYNTAX),
        };
        Ok(Several {
            first: number + 1,
            keys,
            highest,
            count,
        })
    }

    fn keys<'a>(&self, args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        args.iter_from(self.first).take(self.keys)
    }

    /// Takes and replies; false, without a reply, if none of them has anything.
    fn pop(&self, cx: &mut Ctx, args: &Args) -> Result<bool, Error> {
        for key in self.keys(args) {
            let Some(slot) = cx.ks.write_kind(key, Kind::Zset)? else {
                continue;
            };
            let taken = self.count.min(cx.ks.view(slot).count());
            cx.reply.array(2);
            cx.reply.bulk(key);
            cx.reply.array(taken);
            take_ranks(cx, slot, key, taken, self.highest, true);
            let name: &[u8] = if self.highest { b"ZPOPMAX" } else { b"ZPOPMIN" };
            cx.propagate(&[name, key, taken.to_string().as_bytes()]);
            return Ok(true);
        }
        Ok(false)
    }
}
