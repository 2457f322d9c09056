//! Reading entries by id: XLEN, XRANGE, XREVRANGE.

use super::{id, reply_entry, stream_at};
use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::Kind;

pub(super) const XLEN: Command = Command {
    name: "xlen",
    group: Group::Stream,
    since: "5.0.0",
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO"])],
    summary: "Count the entries",
    run: xlen,
    ..Command::BASE
};

fn xlen(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Stream)?;
    let len = slot.map_or(0, |slot| stream_at(cx.ks, slot).len());
    cx.reply.int(len as i64);
    Ok(())
}

pub(super) const XRANGE: Command = Command {
    name: "xrange",
    arity: -4,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary: "Read entries between two ids",
    run: |cx, args| range(cx, args, false),
    ..XLEN
};

pub(super) const XREVRANGE: Command = Command {
    name: "xrevrange",
    summary: "Read entries between two ids, the newest first",
    run: |cx, args| range(cx, args, true),
    ..XRANGE
};

fn range(cx: &mut Ctx, args: &Args, reverse: bool) -> Outcome {
    let (low, high) = if reverse { (3, 2) } else { (2, 3) };
    let start = id::parse_start(args.at(low))?;
    let end = id::parse_end(args.at(high))?;
    let mut count = usize::MAX;
    for i in (4..args.len()).step_by(2) {
        if i + 1 >= args.len() || !args.is(i, "count") {
            return Err(error::SYNTAX);
        }
        count = usize::try_from(args.int(i + 1)?).unwrap_or(0);
    }
    let Some(slot) = cx.ks.read_kind(args.at(1), Kind::Stream)? else {
        cx.reply.array(0);
        return Ok(());
    };
    if count == 0 {
        cx.reply.null_array();
        return Ok(());
    }
    let stream = stream_at(cx.ks, slot);
    let (mark, mut found) = (cx.reply.mark(), 0);
    let entries = match reverse {
        false => stream.range(start, end),
        true => stream.range_rev(start, end),
    };
    entries.take(count).for_each(|entry| {
        reply_entry(cx.reply, entry);
        found += 1;
    });
    cx.reply.array_at(mark, found);
    Ok(())
}
