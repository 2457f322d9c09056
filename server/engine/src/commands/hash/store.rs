//! What changing commands do to a hash: make it, set and remove fields, in the encoding that the limits ask for.

use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::hash_ttl::{self, Ttl};
use crate::value::{Encoding, Kind, NewValue, ValueRef, encoding_of, hash};
use cairn_format::encoding::listpack;

/// The hash at a key, made empty if there is none.
pub(super) fn open(ks: &mut Keyspace, key: &[u8]) -> Result<Slot, Error> {
    Ok(match ks.write_kind(key, Kind::Hash)? {
        Some(slot) => slot,
        None => ks.add(
            key,
            NewValue::packed(Kind::Hash, Encoding::Listpack, &listpack::empty()),
            None,
        ),
    })
}

/// Sets one field; whether it is new.
pub(super) fn set_field(
    ks: &mut Keyspace,
    slot: Slot,
    field: &[u8],
    value: &[u8],
    ttl: Ttl,
) -> (Slot, bool) {
    if let Some(new) = set_in_table(ks, slot, field, value, ttl) {
        return (slot, new);
    }
    let packed_bytes = match ks.view(slot) {
        ValueRef::Packed(_, _, blob) => blob.len(),
        _ => 0,
    };
    if hash::fits(&ks.limits, packed_bytes, field, value) {
        let (slot, new) = set_packed(ks, slot, field, value, ttl);
        let full = new && ks.view(slot).count() > ks.limits.hash_listpack_entries;
        return (if full { ks.unpack_hash(slot) } else { slot }, new);
    }
    let slot = ks.unpack_hash(slot);
    let set = set_in_table(ks, slot, field, value, ttl);
    (slot, set.expect("a hash that is not packed is a table"))
}

#[inline]
fn set_in_table(
    ks: &mut Keyspace,
    slot: Slot,
    field: &[u8],
    value: &[u8],
    ttl: Ttl,
) -> Option<bool> {
    let (new, took_over) = ks.change(slot).edit_hash(|table| {
        let hidden = table.hides(field);
        if hidden {
            table.remove(field, true);
        }
        (table.set(field, value, ttl), hidden)
    })?;
    if took_over {
        ks.hidden_field_went(slot, field);
    }
    Some(new)
}

fn set_packed(ks: &mut Keyspace, slot: Slot, field: &[u8], value: &[u8], ttl: Ttl) -> (Slot, bool) {
    if !is_wide(ks, slot) && !matches!(ttl, Ttl::Set(Some(_))) {
        return ks
            .change(slot)
            .edit_packed(|blob| hash::packed_set(blob, field, value));
    }
    let slot = widen(ks, slot);
    ks.change(slot)
        .edit_packed(|blob| hash_ttl::packed_set(blob, field, value, ttl))
}

/// Gives a field that exists an expiry or takes it away.
pub(super) fn set_expire(ks: &mut Keyspace, slot: Slot, field: &[u8], at: Option<i64>) -> Slot {
    if !matches!(ks.view(slot), ValueRef::Packed(..)) {
        ks.change(slot)
            .edit_hash(|table| table.set_expire(field, at));
        return slot;
    }
    let slot = widen(ks, slot);
    let (slot, ()) = ks
        .change(slot)
        .edit_packed(|blob| hash_ttl::packed_set_expire(blob, field, at));
    slot
}

/// Removes one field; whether it was there.
pub(super) fn remove_field(ks: &mut Keyspace, slot: Slot, field: &[u8]) -> (Slot, bool) {
    if matches!(ks.view(slot), ValueRef::Packed(..)) {
        let stride = hash::stride(encoding_of(ks.record(slot).tag()));
        return ks
            .change(slot)
            .edit_packed(|blob| hash::packed_remove(blob, field, stride));
    }
    let removed = ks
        .change(slot)
        .edit_hash(|table| table.remove(field, false));
    (slot, removed.expect("a hash that is not packed is a table"))
}

fn is_wide(ks: &Keyspace, slot: Slot) -> bool {
    encoding_of(ks.record(slot).tag()) == Encoding::ListpackEx
}

/// Makes room for expiries in a packed hash.
fn widen(ks: &mut Keyspace, slot: Slot) -> Slot {
    if is_wide(ks, slot) {
        return slot;
    }
    let blob = hash_ttl::widened(ks.view(slot));
    let fields = ks.view(slot).count();
    let value = NewValue::packed(Kind::Hash, Encoding::ListpackEx, &blob);
    let slot = ks.change(slot).replace(value);
    debug_assert_eq!(ks.view(slot).count(), fields, "the same fields");
    slot
}
