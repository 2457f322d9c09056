//! Reading sets: SCARD, SISMEMBER, SMISMEMBER, SMEMBERS, SSCAN.

use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::generic::{Visit, scan_elements};
use crate::keyspace::Named;
use crate::value::{Kind, ValueRef, set};

const READ_FAST: Flags = Flags::READ.and(Flags::FAST);

pub(super) const SCARD: Command = Command {
    name: "scard",
    group: Group::Set,
    arity: 2,
    flags: READ_FAST,
    keys: &[KeySpec::one(&["RO"])],
    summary: "Count the members",
    run: scard,
    ..Command::BASE
};

fn scard(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = cx
        .ks
        .read_kind(args.at(1), Kind::Set)?
        .map_or(0, |slot| cx.ks.view(slot).count());
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) const SISMEMBER: Command = Command {
    name: "sismember",
    arity: 3,
    summary: "Tell whether something is a member",
    run: sismember,
    ..SCARD
};

fn sismember(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Set)?;
    let is_member = slot.is_some_and(|slot| set::contains(cx.ks.view(slot), args.at(2)));
    cx.reply.int(i64::from(is_member));
    Ok(())
}

pub(super) const SMISMEMBER: Command = Command {
    name: "smismember",
    since: "6.2.0",
    arity: -3,
    complexity: "O(N) where N is the number of elements being checked for membership",
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Tell of several things whether they are members",
    run: smismember,
    ..SCARD
};

fn smismember(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Set)?;
    cx.reply.array(args.len() - 2);
    let mut members = Named::new(args, 2, 1);
    while let Some(at) = members.next(cx.ks, slot) {
        let is_member = slot.is_some_and(|slot| set::contains(cx.ks.view(slot), args.at(at)));
        cx.reply.int(i64::from(is_member));
    }
    Ok(())
}

pub(super) const SMEMBERS: Command = Command {
    name: "smembers",
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the set cardinality.",
    summary: "List all members",
    run: smembers,
    ..SCARD
};

fn smembers(cx: &mut Ctx, args: &Args) -> Outcome {
    match cx.ks.read_kind(args.at(1), Kind::Set)? {
        Some(slot) => {
            let value = cx.ks.view(slot);
            cx.reply.set(value.count());
            value.each(&mut |member| cx.reply.entry(member));
        }
        None => cx.reply.set(0),
    }
    Ok(())
}

pub(super) const SSCAN: Command = Command {
    name: "sscan",
    since: "2.8.0",
    arity: -3,
    flags: Flags::READ,
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Walk over the members, some at a time",
    run: |cx, args| scan_elements(cx, args, Kind::Set, scan_step),
    ..SCARD
};

fn scan_step(set: ValueRef, cursor: u64, visit: &mut Visit) -> u64 {
    if let ValueRef::Set(table) = set {
        return table.scan(cursor, &mut |member| visit.meet(member.key(), || None));
    }
    set.each(&mut |member| visit.meet(member.to_bytes(), || None));
    0
}
