//! Lists in either encoding: pushing, popping, and changing between listpack and chain.

use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::list::{List, ListLimits};
use crate::value::{Encoding, Kind, NewValue, Object, ValueRef, list_pack};
use cairn_format::encoding::listpack::{self, Entry};

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where LPUSH and LPOP work.
    Head,
    /// Where RPUSH and RPOP work.
    Tail,
}

impl End {
    /// Adds to a chain.
    #[inline]
    fn push(self, list: &mut List, value: &[u8], limits: &ListLimits) {
        match self {
            End::Head => list.push_front(value, limits),
            End::Tail => list.push_back(value, limits),
        }
    }

    /// Adds to a listpack.
    fn push_packed(self, blob: &mut Vec<u8>, value: &[u8]) {
        match self {
            End::Head => listpack::push_front(blob, value),
            End::Tail => listpack::push_back(blob, value),
        }
    }

    /// The event of an addition.
    pub(super) fn push_event(self) -> &'static str {
        if self == End::Head { "lpush" } else { "rpush" }
    }

    /// The command that removes.
    pub(super) fn pop_command(self) -> &'static [u8] {
        if self == End::Head { b"LPOP" } else { b"RPOP" }
    }

    /// The event of a removal.
    pub(super) fn pop_event(self) -> &'static str {
        if self == End::Head { "lpop" } else { "rpop" }
    }
}

pub(super) fn limits(ks: &Keyspace) -> ListLimits {
    ListLimits::of(&ks.limits)
}

/// A new, empty list.
pub(super) fn create(ks: &mut Keyspace, key: &[u8]) -> Slot {
    ks.add(
        key,
        NewValue::packed(Kind::List, Encoding::Listpack, &listpack::empty()),
        None,
    )
}

/// Makes room for values: a listpack that they would outgrow becomes a chain first, as Redis 7.2 does before a push.
pub(super) fn prepare<'a>(
    ks: &mut Keyspace,
    slot: Slot,
    values: impl Iterator<Item = &'a [u8]>,
) -> Slot {
    let ValueRef::Packed(_, _, blob) = ks.view(slot) else {
        return slot;
    };
    let (mut count, mut bytes) = (0, 0);
    values.for_each(|v| (count, bytes) = (count + 1, bytes + v.len()));
    if !limits(ks).outgrows(blob, count, bytes) {
        return slot;
    }
    let chain = NewValue::object(Object::List(List::from_pack(blob.to_vec())));
    ks.change(slot).replace(chain)
}

/// Adds one element at an end. [`prepare`] came before.
pub(super) fn push(ks: &mut Keyspace, slot: Slot, end: End, value: &[u8]) -> Slot {
    let limits = limits(ks);
    if let Some(list) = chained(ks, slot) {
        end.push(list, value, &limits);
        return slot;
    }
    ks.change(slot)
        .edit_packed(|blob| end.push_packed(blob, value))
        .0
}

/// Adds elements at an end, one after the other, in one change of the value; answers the place and the new length.
/// [`prepare`] came before.
pub(super) fn push_all<'a>(
    ks: &mut Keyspace,
    slot: Slot,
    end: End,
    values: impl Iterator<Item = &'a [u8]>,
) -> (Slot, usize) {
    let limits = limits(ks);
    if let Some(list) = chained(ks, slot) {
        values.for_each(|value| end.push(list, value, &limits));
        return (slot, list.len());
    }
    ks.change(slot).edit_packed(|blob| {
        values.for_each(|value| end.push_packed(blob, value));
        list_pack::len(blob)
    })
}

/// Takes from an end; nothing if the list is empty.
pub(super) fn pop(ks: &mut Keyspace, slot: Slot, end: End, take: impl FnOnce(Entry)) -> Slot {
    let limits = limits(ks);
    if let Some(list) = chained(ks, slot) {
        match end {
            End::Head => list.pop_front(take, &limits),
            End::Tail => list.pop_back(take, &limits),
        };
        return slot;
    }
    let (slot, _) = ks.change(slot).edit_packed(|blob| match end {
        End::Head => list_pack::pop_front(blob, take),
        End::Tail => list_pack::pop_back(blob, take),
    });
    slot
}

/// Edits a list in the form that it has.
pub(super) fn edit<R>(
    ks: &mut Keyspace,
    slot: Slot,
    packed: impl FnOnce(&mut Vec<u8>) -> R,
    chained: impl FnOnce(&mut List, &ListLimits) -> R,
) -> (Slot, R) {
    if matches!(ks.view(slot), ValueRef::Packed(..)) {
        return ks.change(slot).edit_packed(packed);
    }
    let limits = limits(ks);
    (slot, chained(chain(ks, slot), &limits))
}

/// After removals: a chain that has become short is a listpack again.
pub(super) fn shrink(ks: &mut Keyspace, slot: Slot) -> Slot {
    let limits = limits(ks);
    match ks.view(slot) {
        ValueRef::List(list) if list.fits_pack(&limits, true) => {}
        _ => return slot,
    }
    match chain(ks, slot).take_pack() {
        Some(blob) => {
            debug_assert!(list_pack::len(&blob) > 0, "an empty list goes");
            ks.change(slot)
                .replace(NewValue::packed(Kind::List, Encoding::Listpack, &blob))
        }
        None => slot,
    }
}

/// The chain, if the list is one.
#[inline]
pub(super) fn chained(ks: &mut Keyspace, slot: Slot) -> Option<&mut List> {
    match ks.change(slot).object() {
        Some(Object::List(list)) => Some(list),
        _ => None,
    }
}

fn chain(ks: &mut Keyspace, slot: Slot) -> &mut List {
    chained(ks, slot).expect("a list that is not packed is a chain")
}

/// Replaces what is at a key by a list of these values; no values remove the key. Answers whether it existed.
pub(crate) fn replace_list(ks: &mut Keyspace, key: &[u8], values: &[Vec<u8>]) -> bool {
    let existed = ks.delete(key);
    if values.is_empty() {
        return existed;
    }
    let slot = create(ks, key);
    let values = || values.iter().map(Vec::as_slice);
    let slot = prepare(ks, slot, values());
    let (slot, len) = push_all(ks, slot, End::Tail, values());
    debug_assert_eq!(len, values().len(), "nothing else");
    shrink(ks, slot);
    existed
}
