//! Several sets at once: SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.
//!
//! Results are built in the order and encoding in which Redis 7.2 builds them, because a packed set shows its order.

use super::store;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::string::delete_key;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::{Encoding, Kind, NewValue, Object, SetTable, ValueRef, set};
use cairn_format::encoding::listpack;
use cairn_format::text::number::parse_i64;

pub(super) const SINTER: Command = Command {
    name: "sinter",
    group: Group::Set,
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::range(1, -1, 1, &["RO", "access"])],
    tips: &["nondeterministic_output_order"],
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    summary: "List the members that all of these sets have",
    run: |cx, args| answer(cx, args, Operation::Inter),
    ..Command::BASE
};

pub(super) const SUNION: Command = Command {
    name: "sunion",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "List the members that any of these sets has",
    run: |cx, args| answer(cx, args, Operation::Union),
    ..SINTER
};

pub(super) const SDIFF: Command = Command {
    name: "sdiff",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "List the members of the first set that no other has",
    run: |cx, args| answer(cx, args, Operation::Diff),
    ..SINTER
};

pub(super) const SINTERSTORE: Command = Command {
    name: "sinterstore",
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["RW", "update"]),
        KeySpec::range(2, -1, 1, &["RO", "access"]),
    ],
    tips: &[],
    summary: "Store the members that all of these sets have",
    run: |cx, args| store_result(cx, args, Operation::Inter),
    ..SINTER
};

pub(super) const SUNIONSTORE: Command = Command {
    name: "sunionstore",
    keys: &[
        KeySpec::one(&["OW", "update"]),
        KeySpec::range(2, -1, 1, &["RO", "access"]),
    ],
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Store the members that any of these sets has",
    run: |cx, args| store_result(cx, args, Operation::Union),
    ..SINTERSTORE
};

pub(super) const SDIFFSTORE: Command = Command {
    name: "sdiffstore",
    keys: SUNIONSTORE.keys,
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Store the members of the first set that no other has",
    run: |cx, args| store_result(cx, args, Operation::Diff),
    ..SINTERSTORE
};

pub(super) const SINTERCARD: Command = Command {
    name: "sintercard",
    group: Group::Set,
    since: "7.0.0",
    arity: -3,
    flags: Flags::READ.and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(1, &["RO", "access"])],
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    summary: "Count the members that all of these sets have",
    run: |cx, args| count(cx, args, Operation::Inter),
    ..Command::BASE
};

/// Of Redis 8.10, which has APPROX, too: here the count is always exact, and the word changes nothing.
pub(super) const SUNIONCARD: Command = Command {
    name: "sunioncard",
    since: "8.10.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Count the members that any of these sets has",
    run: |cx, args| count(cx, args, Operation::Union),
    ..SINTERCARD
};

pub(super) const SDIFFCARD: Command = Command {
    name: "sdiffcard",
    summary: "Count the members of the first set that no other has",
    run: |cx, args| count(cx, args, Operation::Diff),
    ..SUNIONCARD
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Inter,
    Union,
    Diff,
}

/// The sets at the keys; none where there is no key.
fn open<'a>(
    ks: &mut Keyspace,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Option<Slot>>, Error> {
    let keys: Vec<&[u8]> = keys.collect();
    for key in &keys {
        ks.read_kind(key, Kind::Set)?;
    }
    // An expired key among them may have moved the others.
    Ok(keys.iter().map(|key| ks.find(key)).collect())
}

/// What came of it: different members.
enum Found {
    /// In the order in which they were found; they may be packed.
    Few(Vec<Vec<u8>>),
    /// More than may be packed, so that they have no order.
    Many(SetTable),
}

impl Found {
    fn len(&self) -> usize {
        match self {
            Found::Few(members) => members.len(),
            Found::Many(table) => table.len(),
        }
    }
}

fn combine(ks: &Keyspace, sets: &[Option<Slot>], operation: Operation) -> Found {
    match operation {
        Operation::Inter => Found::Few(inter(ks, sets, usize::MAX)),
        Operation::Union => union(ks, sets),
        Operation::Diff => Found::Few(diff(ks, sets)),
    }
}

fn members(set: ValueRef) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(set.count());
    set.each(&mut |member| all.push(member.to_bytes().into_owned()));
    all
}

/// The members of the smallest set that are in all others, at most `limit`.
fn inter(ks: &Keyspace, sets: &[Option<Slot>], limit: usize) -> Vec<Vec<u8>> {
    let Some(slots) = sets.iter().copied().collect::<Option<Vec<Slot>>>() else {
        return Vec::new();
    };
    let mut sets: Vec<ValueRef> = slots.iter().map(|slot| ks.view(*slot)).collect();
    sets.sort_by_key(ValueRef::count);
    let Some((smallest, others)) = sets.split_first() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    smallest.each(&mut |member| {
        if found.len() >= limit {
            return;
        }
        let member = member.to_bytes();
        if others.iter().all(|set| set::contains(*set, &member)) {
            found.push(member.into_owned());
        }
    });
    found
}

/// How many members may be packed at the most.
fn most_packed(ks: &Keyspace) -> usize {
    ks.limits
        .set_listpack_entries
        .max(ks.limits.set_intset_entries)
}

fn union(ks: &Keyspace, sets: &[Option<Slot>]) -> Found {
    let most = most_packed(ks);
    let mut table = SetTable::new(ks.hasher);
    let mut order = Some(Vec::new());
    for slot in sets.iter().flatten() {
        ks.view(*slot).each(&mut |member| {
            let member = member.to_bytes();
            if !set::table_add(&mut table, &member) {
                return;
            }
            if let Some(members) = order.as_mut().filter(|members| members.len() < most) {
                members.push(member.into_owned());
            } else {
                order = None;
            }
        });
    }
    match order {
        Some(mut members) => {
            as_added(&mut members);
            Found::Few(members)
        }
        None => Found::Many(table),
    }
}

fn diff(ks: &Keyspace, sets: &[Option<Slot>]) -> Vec<Vec<u8>> {
    let Some((Some(first), others)) = sets.split_first() else {
        return Vec::new();
    };
    let others: Vec<ValueRef> = others.iter().flatten().map(|s| ks.view(*s)).collect();
    let mut left = members(ks.view(*first));
    left.retain(|member| !others.iter().any(|set| set::contains(*set, member)));
    as_added(&mut left);
    left
}

/// The number of different members, at most `limit`.
fn union_count(ks: &Keyspace, sets: &[Option<Slot>], limit: usize) -> usize {
    let sets: Vec<ValueRef> = sets.iter().flatten().map(|s| ks.view(*s)).collect();
    if let [only] = sets.as_slice() {
        return only.count().min(limit);
    }
    let mut seen = SetTable::new(ks.hasher);
    for set in sets {
        set.each(&mut |member| {
            if seen.len() < limit {
                set::table_add(&mut seen, &member.to_bytes());
            }
        });
    }
    seen.len()
}

/// The number of members of the first set that no other has, at most `limit`.
fn diff_count(ks: &Keyspace, sets: &[Option<Slot>], limit: usize) -> usize {
    let Some((Some(first), others)) = sets.split_first() else {
        return 0;
    };
    let others: Vec<ValueRef> = others.iter().flatten().map(|s| ks.view(*s)).collect();
    let mut count = 0;
    ks.view(*first).each(&mut |member| {
        if count < limit {
            let member = member.to_bytes();
            count += usize::from(!others.iter().any(|set| set::contains(*set, &member)));
        }
    });
    count
}

/// The order that members have after they were added one by one: integers are sorted until something else comes.
fn as_added(members: &mut [Vec<u8>]) {
    let number = |member: &Vec<u8>| parse_i64(member);
    let integers = members.iter().take_while(|m| number(m).is_some()).count();
    members[..integers].sort_by_key(number);
}

fn answer(cx: &mut Ctx, args: &Args, operation: Operation) -> Outcome {
    let sets = open(cx.ks, args.iter_from(1))?;
    let found = combine(cx.ks, &sets, operation);
    cx.reply.set(found.len());
    match &found {
        Found::Few(members) => members.iter().for_each(|member| cx.reply.bulk(member)),
        Found::Many(table) => table.iter().for_each(|member| cx.reply.bulk(member.key())),
    }
    Ok(())
}

fn store_result(cx: &mut Ctx, args: &Args, operation: Operation) -> Outcome {
    let target = args.at(1);
    let sets = open(cx.ks, args.iter_from(2))?;
    let found = combine(cx.ks, &sets, operation);
    let old = cx.ks.write(target);
    let count = found.len();
    if count == 0 {
        if let Some(slot) = old {
            delete_key(cx.ks, slot, target);
        }
        cx.reply.int(0);
        return Ok(());
    }
    if let Some(slot) = old {
        cx.ks.remove(slot);
    }
    match found {
        Found::Few(members) => fill(cx.ks, target, &members, operation)?,
        Found::Many(table) => {
            cx.ks
                .add(target, NewValue::object(Object::Set(table)), None);
        }
    }
    let event = match operation {
        Operation::Inter => "sinterstore",
        Operation::Union => "sunionstore",
        Operation::Diff => "sdiffstore",
    };
    cx.ks.modified(EventClass::SET, event, target, 1);
    cx.reply.int(count as i64);
    Ok(())
}

/// Makes a set of members that are all different. An intersection begins as a listpack, whatever its members are, and
/// becomes an intset at the end if it can; the others begin as an intset.
fn fill(ks: &mut Keyspace, key: &[u8], members: &[Vec<u8>], operation: Operation) -> Outcome {
    if members.len() > most_packed(ks) {
        let mut table = SetTable::new(ks.hasher);
        members.iter().for_each(|member| {
            set::table_add(&mut table, member);
        });
        ks.add(key, NewValue::object(Object::Set(table)), None);
        return Ok(());
    }
    let limits = &ks.limits;
    let integers = members.iter().all(|member| parse_i64(member).is_some());
    let packed = members.len() <= limits.set_listpack_entries
        && members.iter().all(|m| m.len() <= limits.set_listpack_value)
        && limits.may_pack(0, members.iter().map(Vec::len).sum())
        && !(integers && members.len() <= limits.set_intset_entries);
    if operation == Operation::Inter && packed {
        let mut blob = listpack::empty();
        for member in members {
            listpack::push_back(&mut blob, member);
        }
        let value = NewValue::packed(Kind::Set, Encoding::Listpack, &blob);
        ks.add(key, value, None);
        return Ok(());
    }
    let mut slot = store::open(ks, key, &members[0])?;
    for member in members {
        (slot, _) = store::add(ks, slot, member);
    }
    Ok(())
}

fn count(cx: &mut Ctx, args: &Args, operation: Operation) -> Outcome {
    let number = |i: usize| args.int(i).ok().and_then(|n| usize::try_from(n).ok());
    let keys = number(1)
        .filter(|n| *n > 0)
        .ok_or(Error::new("ERR numkeys should be greater than 0"))?;
    if keys > args.len() - 2 {
        return Err(Error::new(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let mut limit = 0;
    let mut i = 2 + keys;
    while i < args.len() {
        if operation == Operation::Union && args.is(i, "approx") {
            i += 1;
            continue;
        }
        if !args.is(i, "limit") || i + 1 >= args.len() {
            return Err(error::SYNTAX);
        }
        limit = number(i + 1).ok_or(Error::new("ERR LIMIT can't be negative"))?;
        i += 2;
    }
    let sets = open(cx.ks, args.iter_from(2).take(keys))?;
    let limit = if limit == 0 { usize::MAX } else { limit };
    let count = match operation {
        Operation::Inter => inter(cx.ks, &sets, limit).len(),
        Operation::Union => union_count(cx.ks, &sets, limit),
        Operation::Diff => diff_count(cx.ks, &sets, limit),
    };
    cx.reply.int(count as i64);
    Ok(())
}
