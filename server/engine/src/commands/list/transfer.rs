//! From one list to another, and from the first of several: LMOVE, RPOPLPUSH, LMPOP, and the same with waiting: BLMOVE,
//! BRPOPLPUSH, BLMPOP.

use super::ends::{after_removal, take};
use super::store::{self, End};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::blocking::{Wait, deadline_seconds};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::first::{self, Several};
use crate::value::Kind;

pub(super) const LMOVE: Command = Command {
    name: "lmove",
    group: Group::List,
    since: "6.2.0",
    arity: 5,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["RW", "access", "delete"]),
        KeySpec::at(2, &["RW", "insert"]),
    ],
    summary: "Take an element from an end of a list and add it at an end of another",
    run: |cx, args| {
        let (from, to) = (end(args, 3)?, end(args, 4)?);
        transfer_or_nothing(cx, args, from, to)
    },
    ..Command::BASE
};

pub(super) const RPOPLPUSH: Command = Command {
    name: "rpoplpush",
    since: "1.2.0",
    arity: 3,
    summary: "Take an element from the tail of a list and add it at the head of another",
    run: |cx, args| transfer_or_nothing(cx, args, End::Tail, End::Head),
    ..LMOVE
};

pub(super) const BLMOVE: Command = Command {
    name: "blmove",
    arity: 6,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::BLOCKING),
    summary: "Take an element from an end of a list, waiting for it, and add it at an end of another",
    run: |cx, args| {
        let (from, to) = (end(args, 3)?, end(args, 4)?);
        transfer_or_wait(cx, args, from, to, 5)
    },
    ..LMOVE
};

pub(super) const BRPOPLPUSH: Command = Command {
    name: "brpoplpush",
    since: "2.2.0",
    arity: 4,
    summary: "Take an element from the tail of a list, waiting for it, and add it at the head of another",
    run: |cx, args| transfer_or_wait(cx, args, End::Tail, End::Head, 3),
    ..BLMOVE
};

fn transfer_or_nothing(cx: &mut Ctx, args: &Args, from: End, to: End) -> Outcome {
    if !transfer(cx, args, from, to)? {
        cx.reply.null();
    }
    Ok(())
}

fn transfer_or_wait(cx: &mut Ctx, args: &Args, from: End, to: End, timeout: usize) -> Outcome {
    let deadline_ms = deadline_seconds(args.at(timeout), cx.ks.now_ms)?;
    if transfer(cx, args, from, to)? {
        // Log and replicas must not wait.
        if timeout == 3 {
            cx.propagate(&[b"RPOPLPUSH", args.at(1), args.at(2)]);
        } else {
            cx.propagate(&[b"LMOVE", args.at(1), args.at(2), args.at(3), args.at(4)]);
        }
        return Ok(());
    }
    if !cx.may_block() {
        cx.reply.null();
        return Ok(());
    }
    let wait = Wait {
        deadline_ms,
        kind: Kind::List,
        on_missing: false,
        again_ms: None,
    };
    cx.block(args, std::iter::once(args.at(1)), wait)
}

/// LEFT or RIGHT.
fn end(args: &Args, i: usize) -> Result<End, Error> {
    match () {
        () if args.is(i, "left") => Ok(End::Head),
        () if args.is(i, "right") => Ok(End::Tail),
        () => Err(error::SYNTAX),
    }
}

/// Moves one element; false if the source has none.
fn transfer(cx: &mut Ctx, args: &Args, from: End, to: End) -> Result<bool, Error> {
    let (source, target) = (args.at(1), args.at(2));
    if cx.ks.write_kind(source, Kind::List)?.is_none() {
        return Ok(false);
    }
    cx.ks.write_kind(target, Kind::List)?;
    // A target that had expired may have moved the source as it went.
    let Some(slot) = cx.ks.find(source) else {
        return Ok(false);
    };
    debug_assert!(!cx.ks.view(slot).is_empty(), "an empty list is gone");
    let mut value = Vec::new();
    store::pop(cx.ks, slot, from, |element| element.append_to(&mut value));
    let slot = match cx.ks.find(target) {
        Some(slot) => slot,
        None => store::create(cx.ks, target),
    };
    let slot = store::prepare(cx.ks, slot, std::iter::once(value.as_slice()));
    store::push(cx.ks, slot, to, &value);
    cx.ks.modified(EventClass::LIST, to.push_event(), target, 0);
    cx.reply.bulk(&value);
    cx.ks
        .modified(EventClass::LIST, from.pop_event(), source, 1);
    // The target's insertion may have moved the source.
    if let Some(slot) = cx.ks.find(source) {
        after_removal(cx, slot, source);
    }
    debug_assert!(!cx.ks.is_free(target), "the element is there");
    Ok(true)
}

pub(super) const LMPOP: Command = Command {
    name: "lmpop",
    group: Group::List,
    since: "7.0.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(1, &["RW", "access", "delete"])],
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    summary: "Take elements from the first list that is not empty",
    run: |cx, args| {
        let several = Several::parse(args, 1, end)?;
        if !pop_first(cx, args, &several)? {
            cx.reply.null_array();
        }
        Ok(())
    },
    ..Command::BASE
};

pub(super) const BLMPOP: Command = Command {
    name: "blmpop",
    arity: -5,
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(2, &["RW", "access", "delete"])],
    summary: "Take elements from the first list that is not empty, or wait",
    run: blmpop,
    ..LMPOP
};

fn blmpop(cx: &mut Ctx, args: &Args) -> Outcome {
    let several = Several::parse(args, 2, end)?;
    let deadline_ms = deadline_seconds(args.at(1), cx.ks.now_ms)?;
    if pop_first(cx, args, &several)? {
        return Ok(());
    }
    first::wait(cx, args, Kind::List, several.keys(args), deadline_ms)
}

/// Takes and replies; false, without a reply, if none of the lists exists.
fn pop_first(cx: &mut Ctx, args: &Args, several: &Several<End>) -> Result<bool, Error> {
    first::take(cx, Kind::List, several.keys(args), |cx, slot, key| {
        let taken = several.count.min(cx.ks.view(slot).count());
        debug_assert!(taken > 0, "an empty list is gone");
        cx.reply.array(2);
        cx.reply.bulk(key);
        cx.reply.array(taken);
        take(cx, slot, key, several.end, taken);
        let name = several.end.pop_command();
        cx.propagate(&[name, key, taken.to_string().as_bytes()]);
    })
}
