//! Reading lists: LLEN, LINDEX, LRANGE.

use std::ops::ControlFlow;

use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, ValueRef, list_pack};

pub(super) const LLEN: Command = Command {
    name: "llen",
    group: Group::List,
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO"])],
    summary: "Count the elements",
    run: llen,
    ..Command::BASE
};

fn llen(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = cx
        .ks
        .read_kind(args.at(1), Kind::List)?
        .map_or(0, |slot| cx.ks.view(slot).count());
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) const LINDEX: Command = Command {
    name: "lindex",
    group: Group::List,
    arity: 3,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
    summary: "Read the element at an index",
    run: lindex,
    ..Command::BASE
};

fn lindex(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::List)?;
    let Some(slot) = slot else {
        cx.reply.null();
        return Ok(());
    };
    let index = args.int(2)?;
    let found = match cx.ks.view(slot) {
        ValueRef::Packed(_, _, blob) => {
            list_pack::get(blob, index).map(|element| cx.reply.entry(element))
        }
        ValueRef::List(list) => list.get(index, |element| cx.reply.entry(element)),
        _ => None,
    };
    if found.is_none() {
        cx.reply.null();
    }
    Ok(())
}

pub(super) const LRANGE: Command = Command {
    name: "lrange",
    group: Group::List,
    arity: 4,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
    summary: "Read a range of elements",
    run: lrange,
    ..Command::BASE
};

fn lrange(cx: &mut Ctx, args: &Args) -> Outcome {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let Some(slot) = cx.ks.read_kind(args.at(1), Kind::List)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let view = cx.ks.view(slot);
    let (first, count) = list_pack::resolve_range(start, stop, view.count());
    cx.reply.array(count);
    let reply = &mut *cx.reply;
    let mut write = |element: cairn_format::encoding::listpack::Entry<'_>| {
        reply.entry(element);
        ControlFlow::Continue(())
    };
    match view {
        ValueRef::Packed(_, _, blob) => {
            let _ = list_pack::visit(blob, first, count, &mut write);
        }
        ValueRef::List(list) => list.visit(first, count, write),
        _ => {}
    }
    Ok(())
}
