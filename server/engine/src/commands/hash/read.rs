//! Reading hashes: HGET, HMGET, HGETALL, HKEYS, HVALS, HLEN, HEXISTS, HSTRLEN, HSCAN.

use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::generic::{Visit, scan_elements};
use crate::keyspace::Named;
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef, hash};

const READ_FAST: Flags = Flags::READ.and(Flags::FAST);

pub(super) const HGET: Command = Command {
    name: "hget",
    group: Group::Hash,
    since: "2.0.0",
    arity: 3,
    flags: READ_FAST,
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read one field",
    run: hget,
    ..Command::BASE
};

fn hget(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Hash)?;
    reply_field(cx, slot, args.at(2));
    Ok(())
}

fn reply_field(cx: &mut Ctx, slot: Option<Slot>, field: &[u8]) {
    match slot.and_then(|slot| hash::get(cx.ks.view(slot), field)) {
        Some(value) => cx.reply.entry(value),
        None => cx.reply.null(),
    }
}

pub(super) const HMGET: Command = Command {
    name: "hmget",
    arity: -3,
    complexity: "O(N) where N is the number of fields being requested.",
    summary: "Read several fields",
    run: hmget,
    ..HGET
};

fn hmget(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Hash)?;
    cx.reply.array(args.len() - 2);
    let mut fields = Named::new(args, 2, 1);
    while let Some(at) = fields.next(cx.ks, slot) {
        reply_field(cx, slot, args.at(at));
    }
    Ok(())
}

pub(super) const HGETALL: Command = Command {
    name: "hgetall",
    arity: 2,
    flags: Flags::READ,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the size of the hash.",
    summary: "Read all fields with their values",
    run: |cx, args| all(cx, args, true, true),
    ..HGET
};

pub(super) const HKEYS: Command = Command {
    name: "hkeys",
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "List all fields",
    run: |cx, args| all(cx, args, true, false),
    ..HGETALL
};

pub(super) const HVALS: Command = Command {
    name: "hvals",
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "List all values",
    run: |cx, args| all(cx, args, false, true),
    ..HGETALL
};

fn all(cx: &mut Ctx, args: &Args, names: bool, values: bool) -> Outcome {
    let value = cx
        .ks
        .read_kind(args.at(1), Kind::Hash)?
        .map(|slot| cx.ks.view(slot));
    let count = value.map_or(0, |v| v.count());
    if names && values {
        cx.reply.map(count)
    } else {
        cx.reply.array(count)
    }
    if let Some(value) = value {
        value.each_field(&mut |name, value, _| {
            if names {
                cx.reply.entry(name);
            }
            if values {
                cx.reply.entry(value);
            }
        });
    }
    Ok(())
}

pub(super) const HLEN: Command = Command {
    name: "hlen",
    arity: 2,
    keys: &[KeySpec::one(&["RO"])],
    summary: "Count the fields",
    run: hlen,
    ..HGET
};

fn hlen(cx: &mut Ctx, args: &Args) -> Outcome {
    let count = cx
        .ks
        .read_kind(args.at(1), Kind::Hash)?
        .map_or(0, |slot| cx.ks.view(slot).count());
    cx.reply.int(count as i64);
    Ok(())
}

pub(super) const HEXISTS: Command = Command {
    name: "hexists",
    keys: &[KeySpec::one(&["RO"])],
    summary: "Tell whether a field exists",
    run: hexists,
    ..HGET
};

fn hexists(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Hash)?;
    let exists = slot.is_some_and(|slot| hash::get(cx.ks.view(slot), args.at(2)).is_some());
    cx.reply.int(i64::from(exists));
    Ok(())
}

pub(super) const HSTRLEN: Command = Command {
    name: "hstrlen",
    since: "3.2.0",
    keys: &[KeySpec::one(&["RO"])],
    summary: "Measure the value of a field",
    run: hstrlen,
    ..HGET
};

fn hstrlen(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Hash)?;
    let value = slot.and_then(|slot| hash::get(cx.ks.view(slot), args.at(2)));
    cx.reply.int(value.map_or(0, |v| v.text_len()) as i64);
    Ok(())
}

pub(super) const HSCAN: Command = Command {
    name: "hscan",
    group: Group::Hash,
    since: "2.8.0",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary: "Walk over the fields of a hash, some at a time",
    run: |cx, args| scan_elements(cx, args, Kind::Hash, scan_step),
    ..Command::BASE
};

fn scan_step(hash: ValueRef, cursor: u64, visit: &mut Visit) -> u64 {
    if let ValueRef::Hash(table) = hash {
        return table.scan(cursor, &mut |field| {
            visit.meet(field.key(), || Some(field.value().to_vec()));
        });
    }
    hash.each_field(&mut |name, value, _| {
        visit.meet(name.to_bytes(), || Some(value.to_bytes().into_owned()));
    });
    0
}
