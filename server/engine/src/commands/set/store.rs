//! One member in, one member out, in the encoding that the limits ask for.

use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::set::{self, Fit};
use crate::value::{Encoding, Kind, NewValue, Object, ValueRef};
use cairn_format::encoding::listpack;

/// The set at a key, made empty in the right encoding for `first` if there is none.
pub(super) fn open(ks: &mut Keyspace, key: &[u8], first: &[u8]) -> Result<Slot, Error> {
    Ok(match ks.write_kind(key, Kind::Set)? {
        Some(slot) => slot,
        None => {
            let value = set::first(first, &ks.limits, ks.hasher);
            ks.add(key, value, None)
        }
    })
}

/// Adds a member; whether it is new.
pub(super) fn add(ks: &mut Keyspace, slot: Slot, member: &[u8]) -> (Slot, bool) {
    if set::contains(ks.view(slot), member) {
        return (slot, false);
    }
    let slot = match set::fit(ks.view(slot), member, &ks.limits) {
        Fit::Fits => slot,
        Fit::ToListpack => {
            let blob = set::to_listpack(ks.view(slot));
            ks.change(slot)
                .replace(NewValue::packed(Kind::Set, Encoding::Listpack, &blob))
        }
        Fit::ToTable => {
            let table = set::to_table(ks.view(slot), ks.hasher);
            ks.change(slot).replace(table)
        }
    };
    match ks.view(slot) {
        ValueRef::Packed(_, Encoding::Intset, _) => ks
            .change(slot)
            .edit_packed(|blob| set::ints_add(blob, member)),
        ValueRef::Packed(..) => {
            let (slot, ()) = ks
                .change(slot)
                .edit_packed(|blob| listpack::push_back(blob, member));
            (slot, true)
        }
        _ => (
            slot,
            edit_table(ks, slot, |table| set::table_add(table, member)),
        ),
    }
}

/// Removes a member; whether it was there.
pub(super) fn remove(ks: &mut Keyspace, slot: Slot, member: &[u8]) -> (Slot, bool) {
    match ks.view(slot) {
        ValueRef::Packed(_, Encoding::Intset, _) => ks
            .change(slot)
            .edit_packed(|blob| set::ints_remove(blob, member)),
        ValueRef::Packed(..) => ks
            .change(slot)
            .edit_packed(|blob| set::packed_remove(blob, member)),
        _ => (
            slot,
            edit_table(ks, slot, |table| set::table_remove(table, member)),
        ),
    }
}

fn edit_table<R>(
    ks: &mut Keyspace,
    slot: Slot,
    edit: impl FnOnce(&mut crate::value::SetTable) -> R,
) -> R {
    match ks.change(slot).object() {
        Some(Object::Set(table)) => edit(table),
        _ => unreachable!("a set that is not packed is a table"),
    }
}

/// A random member, each as likely as any other. The set is not empty.
pub(super) fn random(ks: &mut Keyspace, slot: Slot) -> Vec<u8> {
    let mut random = ks.random.clone();
    let count = ks.view(slot).count();
    let member = match ks.view(slot) {
        ValueRef::Set(table) => table
            .random(&mut random)
            .map(|at| table.get(at).key().to_vec())
            .unwrap_or_default(),
        packed => {
            let (mut left, mut found) = (random.index(count), Vec::new());
            packed.each(&mut |member| {
                if left == 0 && found.is_empty() {
                    found = member.to_bytes().into_owned();
                }
                left = left.wrapping_sub(1);
            });
            found
        }
    };
    ks.random = random;
    member
}
