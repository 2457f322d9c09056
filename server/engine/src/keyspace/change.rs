//! The one door to a value that is about to change.

use super::Keyspace;
use crate::structure::record::{INLINE_MAX, Payload, Tag};
use crate::structure::table::Slot;
use crate::value::{Encoding, HashTable, Kind, NewValue, Object, ValueRef, encoding_of, kind_of};

/// A key of the selected database whose value may be changed. The guard follows the record when it moves.
#[derive(Debug)]
pub struct Change<'k> {
    ks: &'k mut Keyspace,
    slot: Slot,
}

impl<'k> Change<'k> {
    #[inline]
    pub(super) fn new(ks: &'k mut Keyspace, slot: Slot) -> Change<'k> {
        Change { ks, slot }
    }

    /// Where the record is now.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The value as it is.
    pub fn view(&self) -> ValueRef<'_> {
        self.ks.view(self.slot)
    }

    /// The value behind the pointer, if there is one. A packed blob must keep fitting its encoding;
    /// see [`Self::edit_packed`]. Not for hashes: see [`Self::edit_hash`].
    pub fn object(self) -> Option<&'k mut Object> {
        debug_assert!(
            self.ks.kind(self.slot) != Kind::Hash,
            "its fields may expire, see `edit_hash`"
        );
        self.ks.keys().object_mut(self.slot)
    }

    /// Replaces the value, keeps key and expiry. Answers the record's new place.
    pub fn replace(self, value: NewValue) -> Slot {
        let volatile = self.ks.expire_at(self.slot);
        self.ks.forget_fields(self.slot);
        let (slot, old) = self
            .ks
            .keys()
            .set_payload(self.slot, value.tag, value.payload);
        self.ks.adopt_fields(slot);
        debug_assert_eq!(self.ks.expire_at(slot), volatile, "the key keeps its time");
        debug_assert!(self.ks.is_indexed(slot), "the index knows the new value");
        if let Some(object) = old {
            self.ks.discard(object);
        }
        slot
    }

    /// Overwrites an integer string, where it lies if it fits there.
    #[inline]
    pub fn set_int(self, i: i64) -> Slot {
        if self.ks.keys().set_int(self.slot, i) {
            return self.slot;
        }
        self.replace(NewValue::int(i))
    }

    /// Edits a hash that is a table; nothing happens to any other value.
    #[inline]
    pub fn edit_hash<R>(self, edit: impl FnOnce(&mut HashTable) -> R) -> Option<R> {
        let Some(Object::Hash(table)) = self.ks.keys().object_mut(self.slot) else {
            return None;
        };
        let before = table.next_expire();
        let result = edit(table);
        let after = table.next_expire();
        self.ks.follow_fields(self.slot, before, after);
        debug_assert!(self.ks.is_indexed(self.slot), "the index follows");
        Some(result)
    }

    /// Edits a packed blob (listpack, intset) or a string's bytes as a vector, and stores the result in the same
    /// encoding: in the record while it is short, behind a pointer from then on.
    pub fn edit_packed<R>(self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> (Slot, R) {
        let record_tag = self.ks.record(self.slot).tag();
        if encoding_of(record_tag) != Encoding::ListpackEx {
            return self.edit_blob(record_tag, edit);
        }
        let before = self.ks.fields_due(self.slot);
        let Change { ks, slot } = self;
        let (slot, result) = Change::new(ks, slot).edit_blob(record_tag, edit);
        let after = ks.fields_due(slot);
        ks.follow_fields(slot, before, after);
        debug_assert!(ks.is_indexed(slot), "the index follows");
        (slot, result)
    }

    fn edit_blob<R>(self, record_tag: Tag, edit: impl FnOnce(&mut Vec<u8>) -> R) -> (Slot, R) {
        if let Some(Object::Packed(blob)) = self.ks.keys().object_mut(self.slot) {
            let result = edit(blob);
            if blob.capacity() > 2 * blob.len() + 64 {
                blob.shrink_to(blob.len() + blob.len() / 8);
            }
            return (self.slot, result);
        }
        let mut scratch = std::mem::take(&mut self.ks.scratch);
        scratch.clear();
        if let ValueRef::Packed(_, _, blob) | ValueRef::Str(blob) = self.ks.view(self.slot) {
            scratch.extend_from_slice(blob);
        }
        let result = edit(&mut scratch);
        let payload = if scratch.len() <= INLINE_MAX {
            Payload::Bytes(&scratch)
        } else if kind_of(record_tag) == Kind::String {
            Payload::Heap(Box::new(Object::Str(bytes::Bytes::copy_from_slice(
                &scratch,
            ))))
        } else {
            Payload::Heap(Box::new(Object::Packed(scratch.clone())))
        };
        let (slot, old) = self.ks.keys().set_payload(self.slot, record_tag, payload);
        debug_assert!(old.is_none(), "what lay behind a pointer is edited there");
        scratch.clear();
        self.ks.scratch = scratch;
        (slot, result)
    }
}
