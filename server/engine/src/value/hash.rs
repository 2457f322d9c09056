//! Hashes in either encoding: look-ups, and the edits of a packed one.

use cairn_format::encoding::listpack::{self, Entry};

use super::elements::pack;
use super::{Encoding, HashTable, NewValue, Object, ValueRef};
use crate::base::limits::Limits;
use crate::structure::record::Field;
use crate::structure::table::Hasher;

/// Words per field of a packed hash: name and value, and in `listpackex` the expiry.
pub fn stride(encoding: Encoding) -> usize {
    if encoding == Encoding::ListpackEx {
        3
    } else {
        2
    }
}

/// The value of a field. Expired fields are the caller's business.
pub fn get<'a>(hash: ValueRef<'a>, field: &[u8]) -> Option<Entry<'a>> {
    match hash {
        ValueRef::Packed(_, encoding, blob) => {
            let entries = pack(blob);
            let at = entries.find(field, stride(encoding))?;
            entries.at(entries.next_pos(at)?)
        }
        ValueRef::Hash(table) => {
            let slot = table.find(table.hasher().hash(field), field)?;
            Some(Entry::Str(table.get(slot).value()))
        }
        _ => None,
    }
}

/// Whether a pair of these lengths may be packed into a blob of so many bytes.
pub fn fits(limits: &Limits, blob_bytes: usize, field: &[u8], value: &[u8]) -> bool {
    field.len() <= limits.hash_listpack_value
        && value.len() <= limits.hash_listpack_value
        && limits.may_pack(blob_bytes, field.len() + value.len())
}

/// Sets a field of a packed hash; whether it is new.
pub fn packed_set(blob: &mut Vec<u8>, field: &[u8], value: &[u8]) -> bool {
    let entries = pack(blob);
    match entries.find(field, 2).and_then(|at| entries.next_pos(at)) {
        Some(at) => {
            listpack::replace(blob, at, value);
            false
        }
        None => {
            listpack::push_back(blob, field);
            listpack::push_back(blob, value);
            true
        }
    }
}

/// Removes a field of a packed hash; whether it was there.
pub fn packed_remove(blob: &mut Vec<u8>, field: &[u8], stride: usize) -> bool {
    match pack(blob).find(field, stride) {
        Some(at) => {
            listpack::remove(blob, at, stride);
            true
        }
        None => false,
    }
}

/// The same fields as a table.
pub fn to_table(hash: ValueRef, hasher: Hasher) -> NewValue<'static> {
    let mut table = HashTable::new(hasher);
    fill(&mut table, hash);
    NewValue::object(Object::Hash(table))
}

fn fill(table: &mut HashTable, hash: ValueRef) {
    hash.each_field(&mut |field, value, expire| {
        let (field, value) = (field.to_bytes(), value.to_bytes());
        let h = table.hasher().hash(&field);
        // A file may name a field twice in a packed hash; the first one counts.
        if table.find(h, &field).is_none() {
            table.insert(h, Field::new(&field, &value, expire));
        }
    });
}
