//! Strings: one file for reading, one for SET and its relatives, one for numbers, one for parts of a string.

mod condition;
mod float;
mod increx;
mod lcs;
mod msetex;
mod number;
mod part;
mod read;
mod set;

pub(crate) use float::sum_text;
pub(crate) use part::edit_text;
pub use set::ExpireOption;

use crate::base::error::{Error, Outcome, WRONG_TYPE};
use crate::call::reply::Reply;
use crate::call::spec::Command;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::ValueRef;
use cairn_format::text::number::I64Text;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &part::APPEND,
    &condition::DELEX,
    &condition::DELIFEQ,
    &condition::DIGEST,
    &number::DECR,
    &number::DECRBY,
    &read::GET,
    &read::GETDEL,
    &read::GETEX,
    &part::GETRANGE,
    &set::GETSET,
    &number::INCR,
    &number::INCRBY,
    &float::INCRBYFLOAT,
    &increx::INCREX,
    &lcs::LCS,
    &read::MGET,
    &set::MSET,
    &msetex::MSETEX,
    &set::MSETNX,
    &set::PSETEX,
    &set::SET,
    &set::SETEX,
    &set::SETNX,
    &part::SETRANGE,
    &part::STRLEN,
    &part::SUBSTR,
];

/// Writes a string value; anything else is the wrong type.
#[inline]
pub(crate) fn reply_string(reply: &mut Reply, value: ValueRef) -> Outcome {
    match value {
        ValueRef::Str(bytes) => reply.bulk(bytes),
        ValueRef::Int(i) => reply.bulk_int(i),
        ValueRef::Big(bytes) => reply.bulk_shared(bytes),
        _ => return Err(WRONG_TYPE),
    }
    Ok(())
}

/// The bytes of a string value; `text` holds those of an integer.
pub(crate) fn bytes_of<'a>(value: ValueRef<'a>, text: &'a mut I64Text) -> Result<&'a [u8], Error> {
    match value {
        ValueRef::Str(bytes) => Ok(bytes),
        ValueRef::Int(i) => Ok(text.format(i)),
        ValueRef::Big(bytes) => Ok(bytes),
        _ => Err(WRONG_TYPE),
    }
}

/// Removes a key that a command emptied or consumed, with its events and one change.
pub(crate) fn delete_key(ks: &mut Keyspace, slot: Slot, key: &[u8]) {
    ks.remove(slot);
    ks.modified(crate::base::effect::EventClass::GENERIC, "del", key, 1);
}
