//! Sets in any encoding: look-ups, and the edits of packed ones.

use cairn_format::encoding::{intset, listpack};
use cairn_format::text::number::parse_i64;

use super::elements::{ints, pack};
use super::{Encoding, Kind, NewValue, Object, SetTable, ValueRef};
use crate::base::limits::Limits;
use crate::structure::record::Member;
use crate::structure::table::Hasher;

/// Whether a member is in the set.
pub fn contains(set: ValueRef, member: &[u8]) -> bool {
    match set {
        ValueRef::Packed(_, Encoding::Intset, blob) => {
            parse_i64(member).is_some_and(|i| ints(blob).contains(i))
        }
        ValueRef::Packed(_, _, blob) => pack(blob).find(member, 1).is_some(),
        ValueRef::Set(table) => table.find(table.hasher().hash(member), member).is_some(),
        _ => false,
    }
}

/// An empty set in the encoding that suits its first member.
pub fn first(member: &[u8], limits: &Limits, hasher: Hasher) -> NewValue<'static> {
    match () {
        () if parse_i64(member).is_some() && limits.set_intset_entries > 0 => NewValue {
            tag: super::tag(Kind::Set, Encoding::Intset),
            payload: crate::structure::record::Payload::Bytes(EMPTY_INTSET),
        },
        () if member.len() <= limits.set_listpack_value
            && limits.set_listpack_entries > 0
            && limits.may_pack(0, member.len()) =>
        {
            NewValue {
                tag: super::tag(Kind::Set, Encoding::Listpack),
                payload: crate::structure::record::Payload::Bytes(EMPTY_LISTPACK),
            }
        }
        () => NewValue::object(Object::Set(SetTable::new(hasher))),
    }
}

const EMPTY_INTSET: &[u8] = &[2, 0, 0, 0, 0, 0, 0, 0];
const EMPTY_LISTPACK: &[u8] = &[7, 0, 0, 0, 0, 0, 0xff];

/// What becomes of a set that is about to take a member, if its encoding cannot hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It can be added as things are.
    Fits,
    /// The integers must become a listpack first.
    ToListpack,
    /// The set must become a table first.
    ToTable,
}

/// Whether a packed set may take one more member, as Redis 7.2 decides it (`t_set.c`).
pub fn fit(set: ValueRef, member: &[u8], limits: &Limits) -> Fit {
    match set {
        ValueRef::Packed(_, Encoding::Intset, blob) => {
            let numbers = ints(blob);
            if parse_i64(member).is_some() {
                if numbers.len() < limits.set_intset_entries.min(1 << 30) {
                    Fit::Fits
                } else {
                    overfull(set, member, limits)
                }
            } else {
                overfull(set, member, limits)
            }
        }
        ValueRef::Packed(_, _, blob) => {
            let fits = pack(blob).len() < limits.set_listpack_entries
                && member.len() <= limits.set_listpack_value
                && limits.may_pack(blob.len(), member.len());
            if fits { Fit::Fits } else { Fit::ToTable }
        }
        _ => Fit::Fits,
    }
}

/// An intset that cannot go on: a listpack if that holds one member more, else a table.
fn overfull(set: ValueRef, member: &[u8], limits: &Limits) -> Fit {
    let ValueRef::Packed(_, _, blob) = set else {
        return Fit::Fits;
    };
    let numbers = ints(blob);
    if parse_i64(member).is_some() {
        return Fit::ToTable;
    }
    let longest = |i: Option<i64>| {
        i.map_or(0, |i| {
            cairn_format::text::number::I64Text::new().format(i).len()
        })
    };
    let widest = longest(numbers.get(0)).max(longest(
        numbers
            .len()
            .checked_sub(1)
            .and_then(|last| numbers.get(last)),
    ));
    if numbers.len() < limits.set_listpack_entries
        && member.len() <= limits.set_listpack_value
        && widest <= limits.set_listpack_value
        && limits.may_pack(numbers.len().saturating_mul(widest + 2), member.len())
    {
        Fit::ToListpack
    } else {
        Fit::ToTable
    }
}

/// Adds to an intset; whether it is new. The member must be an integer.
pub fn ints_add(blob: &mut Vec<u8>, member: &[u8]) -> bool {
    parse_i64(member).is_some_and(|i| intset::insert(blob, i))
}

/// Removes from an intset; whether it was there.
pub fn ints_remove(blob: &mut Vec<u8>, member: &[u8]) -> bool {
    parse_i64(member).is_some_and(|i| intset::remove(blob, i))
}

/// Removes from a listpack; whether it was there.
pub fn packed_remove(blob: &mut Vec<u8>, member: &[u8]) -> bool {
    match pack(blob).find(member, 1) {
        Some(at) => {
            listpack::remove(blob, at, 1);
            true
        }
        None => false,
    }
}

/// Adds to a table; whether it is new.
pub fn table_add(table: &mut SetTable, member: &[u8]) -> bool {
    let hash = table.hasher().hash(member);
    let new = table.find(hash, member).is_none();
    if new {
        table.insert(hash, Member::new(member));
    }
    new
}

/// Removes from a table; whether it was there.
pub fn table_remove(table: &mut SetTable, member: &[u8]) -> bool {
    match table.find(table.hasher().hash(member), member) {
        Some(slot) => {
            drop(table.remove(slot));
            true
        }
        None => false,
    }
}

/// The same members as a listpack.
pub fn to_listpack(set: ValueRef) -> Vec<u8> {
    let mut blob = listpack::empty();
    set.each(&mut |member| listpack::push_back(&mut blob, &member.to_bytes()));
    debug_assert_eq!(pack(&blob).len(), set.count(), "no member is lost");
    blob
}

/// The same members as a table.
pub fn to_table(set: ValueRef, hasher: Hasher) -> NewValue<'static> {
    let mut table = SetTable::new(hasher);
    set.each(&mut |member| {
        table_add(&mut table, &member.to_bytes());
    });
    debug_assert_eq!(table.len(), set.count(), "no member is lost");
    NewValue::object(Object::Set(table))
}
