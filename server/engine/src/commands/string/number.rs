//! Strings that are integers: INCR and its relatives.

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome, WRONG_TYPE};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{NewValue, ValueRef};
use cairn_format::text::number::parse_i64;

pub(super) const INCR: Command = Command {
    name: "incr",
    group: Group::String,
    arity: 2,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Add one to the integer at a key",
    run: |cx, args| add(cx, args, 1),
    ..Command::BASE
};

pub(super) const DECR: Command = Command {
    name: "decr",
    summary: "Subtract one from the integer at a key",
    run: |cx, args| add(cx, args, -1),
    ..INCR
};

pub(super) const INCRBY: Command = Command {
    name: "incrby",
    arity: 3,
    summary: "Add to the integer at a key",
    run: |cx, args| add(cx, args, args.int(2)?),
    ..INCR
};

pub(super) const DECRBY: Command = Command {
    name: "decrby",
    summary: "Subtract from the integer at a key",
    run: decrby,
    ..INCRBY
};

fn decrby(cx: &mut Ctx, args: &Args) -> Outcome {
    let by = args
        .int(2)?
        .checked_neg()
        .ok_or(Error::new("ERR decrement would overflow"))?;
    add(cx, args, by)
}

fn add(cx: &mut Ctx, args: &Args, by: i64) -> Outcome {
    let key = args.at(1);
    let slot = cx.ks.write(key);
    let old = match slot.map(|s| cx.ks.view(s)) {
        None => 0,
        Some(ValueRef::Int(i)) => i,
        Some(ValueRef::Str(text)) => parse_i64(text).ok_or(error::NOT_INTEGER)?,
        Some(ValueRef::Big(_)) => return Err(error::NOT_INTEGER),
        Some(_) => return Err(WRONG_TYPE),
    };
    let new = old.checked_add(by).ok_or(error::OVERFLOW)?;
    match slot {
        Some(slot) => cx.ks.change(slot).set_int(new),
        None => cx.ks.add(key, NewValue::int(new), None),
    };
    cx.ks.modified(EventClass::STRING, "incrby", key, 1);
    cx.reply.int(new);
    Ok(())
}
