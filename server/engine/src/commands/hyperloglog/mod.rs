//! HyperLogLog: strings of the layout that `cairn_format::encoding::hll` has.

mod count;
mod debug;

use bytes::Bytes;

use super::string::bytes_of;
use crate::base::error::Error;
use crate::call::spec::Command;
use crate::keyspace::Keyspace;
use crate::structure::record::INLINE_MAX;
use crate::structure::table::Slot;
use crate::value::{NewValue, Object, ValueRef, encoding_of};
use cairn_format::encoding::hll::{self, Encoding};
use cairn_format::error::FormatError;
use cairn_format::text::number::I64Text;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &count::PFADD,
    &count::PFCOUNT,
    &debug::PFDEBUG,
    &count::PFMERGE,
    &debug::PFSELFTEST,
];

/// The answer to runs that are not what they must be.
fn corrupted(_: Box<FormatError>) -> Error {
    Error::new("INVALIDOBJ Corrupted HLL object detected")
}

/// Shows a value to a reader if it has the header of a HyperLogLog; WRONGTYPE otherwise.
fn look<R>(ks: &Keyspace, slot: Slot, see: impl FnOnce(&[u8], Encoding) -> R) -> Result<R, Error> {
    let mut digits = I64Text::new();
    let bytes = bytes_of(ks.view(slot), &mut digits)?;
    match hll::encoding(bytes) {
        Some(encoding) => Ok(see(bytes, encoding)),
        None => Err(Error::new(
            "WRONGTYPE Key is not a valid HyperLogLog string value.",
        )),
    }
}

/// Makes a short one `raw`, which a snapshot brought as `embstr`: Redis does so before it adds or counts.
fn make_raw(ks: &mut Keyspace, key: &[u8], slot: Slot) -> Slot {
    let ValueRef::Str(bytes) = ks.view(slot) else {
        return slot;
    };
    if encoding_of(ks.record(slot).tag()) == crate::value::Encoding::Raw {
        return slot;
    }
    let bytes = bytes.to_vec();
    store(ks, key, Some(slot), bytes)
}

/// Stores bytes at a key, in place of the string that is there if there is one; its expiry stays.
fn store(ks: &mut Keyspace, key: &[u8], slot: Option<Slot>, bytes: Vec<u8>) -> Slot {
    let value = if bytes.len() <= INLINE_MAX {
        NewValue::raw(&bytes)
    } else {
        NewValue::object(Object::Str(Bytes::copy_from_slice(&bytes)))
    };
    match slot {
        Some(slot) => ks.change(slot).replace(value),
        None => ks.add(key, value, None),
    }
}
