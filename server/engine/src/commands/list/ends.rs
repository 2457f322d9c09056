//! Both ends of a list: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP.

use super::store::{self, End};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::Kind;

pub(super) const LPUSH: Command = Command {
    name: "lpush",
    group: Group::List,
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Add elements at the head",
    run: |cx, args| push(cx, args, End::Head, true),
    ..Command::BASE
};

pub(super) const RPUSH: Command = Command {
    name: "rpush",
    summary: "Add elements at the tail",
    run: |cx, args| push(cx, args, End::Tail, true),
    ..LPUSH
};

pub(super) const LPUSHX: Command = Command {
    name: "lpushx",
    since: "2.2.0",
    summary: "Add elements at the head if the list exists",
    run: |cx, args| push(cx, args, End::Head, false),
    ..LPUSH
};

pub(super) const RPUSHX: Command = Command {
    name: "rpushx",
    summary: "Add elements at the tail if the list exists",
    run: |cx, args| push(cx, args, End::Tail, false),
    ..LPUSHX
};

fn push(cx: &mut Ctx, args: &Args, end: End, create: bool) -> Outcome {
    let key = args.at(1);
    let slot = match cx.ks.write_kind(key, Kind::List)? {
        Some(slot) => slot,
        None if create => store::create(cx.ks, key),
        None => {
            cx.reply.int(0);
            return Ok(());
        }
    };
    let slot = store::prepare(cx.ks, slot, args.iter_from(2));
    let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
    let (_, len) = store::push_all(cx.ks, slot, end, args.iter_from(2));
    debug_assert_eq!(
        before.map(|b| b + args.len() - 2),
        Some(len),
        "all were added"
    );
    cx.ks.modified(
        EventClass::LIST,
        end.push_event(),
        key,
        args.len() as u64 - 2,
    );
    cx.reply.int(len as i64);
    Ok(())
}

pub(super) const LPOP: Command = Command {
    name: "lpop",
    group: Group::List,
    arity: -2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "delete"])],
    complexity: "O(N) where N is the number of elements returned",
    summary: "Take elements from the head",
    run: |cx, args| pop(cx, args, End::Head),
    ..Command::BASE
};

pub(super) const RPOP: Command = Command {
    name: "rpop",
    summary: "Take elements from the tail",
    run: |cx, args| pop(cx, args, End::Tail),
    ..LPOP
};

fn pop(cx: &mut Ctx, args: &Args, end: End) -> Outcome {
    if args.len() > 3 {
        return Err(error::wrong_arity(cx.command.spec.name));
    }
    let key = args.at(1);
    let count = args.get(2).map(|_| args.count(2)).transpose()?;
    let Some(slot) = cx.ks.write_kind(key, Kind::List)? else {
        if count.is_some() {
            cx.reply.null_array()
        } else {
            cx.reply.null()
        }
        return Ok(());
    };
    let mut taken = 1;
    if let Some(count) = count {
        taken = count.min(cx.ks.view(slot).count());
        cx.reply.array(taken);
        if taken == 0 {
            return Ok(());
        }
    }
    take(cx, slot, key, end, taken);
    Ok(())
}

/// Takes so many elements, which are there, and answers them.
pub(super) fn take(cx: &mut Ctx, slot: Slot, key: &[u8], end: End, count: usize) {
    let mut slot = slot;
    let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
    for _ in 0..count {
        let reply = &mut *cx.reply;
        slot = store::pop(cx.ks, slot, end, |element| reply.entry(element));
    }
    debug_assert_eq!(
        before,
        Some(cx.ks.view(slot).count() + count),
        "as many are gone as were announced"
    );
    cx.ks
        .modified(EventClass::LIST, end.pop_event(), key, count as u64);
    after_removal(cx, slot, key);
}

/// An empty list goes; a short one is packed again.
pub(super) fn after_removal(cx: &mut Ctx, slot: Slot, key: &[u8]) {
    if cx.ks.view(slot).count() == 0 {
        cx.ks.remove(slot);
        debug_assert!(cx.ks.is_free(key), "the key of the list");
        cx.ks.notify(EventClass::GENERIC, "del", key);
    } else {
        store::shrink(cx.ks, slot);
    }
}
