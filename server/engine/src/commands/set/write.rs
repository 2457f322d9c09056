//! Changing sets: SADD, SREM, SMOVE, SPOP.

use super::store;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::members;
use crate::keyspace::Named;
use crate::value::{Kind, set};

pub(super) const SADD: Command = Command {
    name: "sadd",
    group: Group::Set,
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    summary: "Add members",
    run: sadd,
    ..Command::BASE
};

fn sadd(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let mut slot = store::open(cx.ks, key, args.at(2))?;
    let before = cx.ks.view(slot).count() as u64;
    let mut added = 0;
    let mut members = Named::new(args, 2, 1);
    while let Some(at) = members.next(cx.ks, slot) {
        let new;
        (slot, new) = store::add(cx.ks, slot, args.at(at));
        added += u64::from(new);
    }
    debug_assert_eq!(cx.ks.view(slot).count() as u64, before + added);
    if added > 0 {
        cx.ks.modified(EventClass::SET, "sadd", key, added);
    }
    cx.reply.int(added as i64);
    Ok(())
}

pub(super) const SREM: Command = Command {
    name: "srem",
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(N) where N is the number of members to be removed.",
    summary: "Remove members",
    run: |cx, args| {
        members::remove(
            cx,
            args,
            Kind::Set,
            (EventClass::SET, "srem"),
            store::remove,
        )
    },
    ..SADD
};

pub(super) const SPOP: Command = Command {
    name: "spop",
    group: Group::Set,
    arity: -2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "delete"])],
    tips: &["nondeterministic_output"],
    complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
    summary: "Remove random members and answer them",
    run: spop,
    ..Command::BASE
};

fn spop(cx: &mut Ctx, args: &Args) -> Outcome {
    match args.len() {
        2 => spop_one(cx, args.at(1)),
        3 => spop_count(cx, args),
        _ => Err(error::SYNTAX),
    }
}

fn spop_one(cx: &mut Ctx, key: &[u8]) -> Outcome {
    let Some(slot) = cx.ks.write_kind(key, Kind::Set)? else {
        cx.reply.null();
        return Ok(());
    };
    let member = store::random(cx.ks, slot);
    let (slot, was_there) = store::remove(cx.ks, slot, &member);
    debug_assert!(was_there, "a member was picked");
    cx.ks.modified(EventClass::SET, "spop", key, 1);
    cx.propagate(&[b"SREM", key, &member]);
    cx.reply.bulk(&member);
    cx.ks.remove_if_empty(slot, key);
    Ok(())
}

fn spop_count(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let count = args.count(2)?;
    let Some(mut slot) = cx.ks.write_kind(key, Kind::Set)? else {
        cx.reply.set(0);
        return Ok(());
    };
    let size = cx.ks.view(slot).count();
    if count >= size {
        let value = cx.ks.view(slot);
        cx.reply.set(size);
        value.each(&mut |member| cx.reply.entry(member));
        cx.ks.remove(slot);
        cx.ks.modified(EventClass::SET, "spop", key, size as u64);
        cx.ks.notify(EventClass::GENERIC, "del", key);
        cx.propagate(&[b"DEL", key]);
        return Ok(());
    }
    cx.reply.set(count);
    if count == 0 {
        return Ok(());
    }
    let mut popped: Vec<Vec<u8>> = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let member = store::random(cx.ks, slot);
        (slot, _) = store::remove(cx.ks, slot, &member);
        cx.reply.bulk(&member);
        popped.push(member);
    }
    debug_assert_eq!(
        cx.ks.view(slot).count() + count,
        size,
        "as many are gone as were announced"
    );
    cx.ks.modified(EventClass::SET, "spop", key, count as u64);
    for chunk in popped.chunks(1024) {
        let mut command: Vec<&[u8]> = vec![b"SREM", key];
        command.extend(chunk.iter().map(Vec::as_slice));
        cx.propagate(&command);
    }
    Ok(())
}

pub(super) const SMOVE: Command = Command {
    name: "smove",
    group: Group::Set,
    arity: 4,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[
        KeySpec::one(&["RW", "access", "delete"]),
        KeySpec::at(2, &["RW", "insert"]),
    ],
    summary: "Move a member to another set",
    run: smove,
    ..Command::BASE
};

fn smove(cx: &mut Ctx, args: &Args) -> Outcome {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    if cx.ks.write(from).is_none() {
        cx.reply.int(0);
        return Ok(());
    }
    cx.ks.write_kind(from, Kind::Set)?;
    cx.ks.write_kind(to, Kind::Set)?;
    // A target that had expired may have moved the source as it went.
    let source = cx.ks.find(from);
    let Some(slot) = source.filter(|slot| set::contains(cx.ks.view(*slot), member)) else {
        cx.reply.int(0);
        return Ok(());
    };
    if from != to {
        let (slot, _) = store::remove(cx.ks, slot, member);
        cx.ks.modified(EventClass::SET, "srem", from, 1);
        cx.ks.remove_if_empty(slot, from);
        let slot = store::open(cx.ks, to, member)?;
        if store::add(cx.ks, slot, member).1 {
            cx.ks.modified(EventClass::SET, "sadd", to, 1);
        }
    }
    cx.reply.int(1);
    Ok(())
}
