//! The size of a value that INFO keysizes counts: bytes of a string, elements of a collection.

use super::elements::packed_count;
use super::{Object, ValueRef};
use crate::structure::record::{PayloadRef, Tag};
use crate::structure::sizes::{Measure, TEXT};

const _: () = assert!(
    super::Kind::String as u8 == TEXT,
    "strings count by their bytes"
);

impl Measure for Object {
    #[inline]
    fn size(tag: Tag, payload: PayloadRef<'_, Object>) -> usize {
        match ValueRef::of(tag, payload) {
            ValueRef::Str(bytes) => bytes.len(),
            ValueRef::Big(bytes) => bytes.len(),
            ValueRef::Packed(kind, encoding, blob) => packed_count(kind, encoding, blob),
            // Fields that have expired and were not removed yet count, which the table tells at once.
            ValueRef::Hash(table) => table.stored_len(),
            // They are not shown.
            ValueRef::Stream(_) => 0,
            other => other.count(),
        }
    }
}
