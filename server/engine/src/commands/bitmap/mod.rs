//! Bitmaps: strings seen as rows of bits. One file for single bits, one for counting and searching, one for combining
//! whole strings, one for integers inside a string.

mod bit;
mod combine;
mod field;
mod search;

use bytes::Bytes;

use super::string::{bytes_of, edit_text};
use crate::base::args::Args;
use crate::base::error::{Error, NO_MEMORY, Outcome};
use crate::base::limits::can_hold;
use crate::call::ctx::Ctx;
use crate::call::spec::Command;
use crate::keyspace::Keyspace;
use crate::structure::record::INLINE_MAX;
use crate::structure::table::Slot;
use crate::value::{Kind, NewValue, Object};
use cairn_format::text::number::{I64Text, parse_i64};

/// This family.
pub const COMMANDS: &[&Command] = &[
    &search::BITCOUNT,
    &field::BITFIELD,
    &field::BITFIELD_RO,
    &combine::BITOP,
    &search::BITPOS,
    &bit::GETBIT,
    &bit::SETBIT,
];

/// A bit offset; `#n` counts fields of `width` bits where there is one. It lies within the longest string allowed.
fn offset(cx: &Ctx, text: &[u8], width: Option<u32>) -> Result<u64, Error> {
    let unit = width.and_then(|width| Some((text.strip_prefix(b"#")?, width)));
    let number = match unit {
        Some((count, width)) => parse_i64(count).and_then(|n| n.checked_mul(i64::from(width))),
        None => parse_i64(text),
    };
    number
        .and_then(|n| u64::try_from(n).ok())
        .filter(|n| n / 8 < cx.string_bytes_max() as u64)
        .ok_or(Error::new(
            "ERR bit offset is not an integer or out of range",
        ))
}

/// Shows the bytes of the string at a key to a reader; `None` if there is no such key.
fn read<R>(cx: &mut Ctx, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Error> {
    let Some(slot) = cx.ks.read_kind(key, Kind::String)? else {
        return Ok(None);
    };
    let mut digits = I64Text::new();
    Ok(Some(see(bytes_of(cx.ks.view(slot), &mut digits)?)))
}

/// The string at a key, long enough for `len` bytes; made of zeros if there is none.
struct Row {
    slot: Slot,
    /// It is new, or was shorter.
    grown: bool,
    len: usize,
}

fn open(cx: &mut Ctx, key: &[u8], len: usize) -> Result<Row, Error> {
    let found = cx.ks.write_kind(key, Kind::String)?;
    let old = match found {
        Some(slot) => bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len(),
        None => 0,
    };
    if !can_hold(len.saturating_sub(old)) {
        return Err(NO_MEMORY);
    }
    Ok(match found {
        Some(slot) => Row {
            slot,
            grown: old < len,
            len: len.max(old),
        },
        None => Row {
            slot: add(cx.ks, key, vec![0; len]),
            grown: true,
            len,
        },
    })
}

/// Stores bytes under a key that does not exist.
fn add(ks: &mut Keyspace, key: &[u8], bytes: Vec<u8>) -> Slot {
    if bytes.len() <= INLINE_MAX {
        ks.add(key, NewValue::raw(&bytes), None)
    } else {
        let value = NewValue::object(Object::Str(Bytes::from(bytes)));
        ks.add(key, value, None)
    }
}

/// Edits the bytes of a string in place where they are ours alone, after zeros have made it at least `len` long.
/// Afterwards the string is `raw`.
pub(crate) fn edit<R>(
    ks: &mut Keyspace,
    slot: Slot,
    len: usize,
    change: impl FnOnce(&mut [u8]) -> R,
) -> R {
    let mut result = None;
    edit_text(ks, slot, len, |bytes| {
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        result = Some(change(bytes));
    });
    result.expect("the edit ran")
}

/// Stores the string that a command made, whatever was at the key, or removes the key if the string is empty. Answers
/// with its length.
fn store(cx: &mut Ctx, key: &[u8], bytes: Vec<u8>) -> Outcome {
    use crate::base::effect::EventClass;
    let len = bytes.len();
    if bytes.is_empty() {
        if cx.ks.delete(key) {
            cx.ks.modified(EventClass::GENERIC, "del", key, 1);
        }
    } else {
        if bytes.len() <= INLINE_MAX {
            cx.ks.set(key, NewValue::raw(&bytes), None);
        } else {
            let value = NewValue::object(Object::Str(Bytes::from(bytes)));
            cx.ks.set(key, value, None);
        }
        cx.ks.modified(EventClass::STRING, "set", key, 1);
    }
    cx.reply.int(len as i64);
    Ok(())
}

/// `BIT` or `BYTE` at argument `i`: whether it is bits.
fn unit(args: &Args, i: usize) -> Result<bool, Error> {
    match () {
        () if args.is(i, "bit") => Ok(true),
        () if args.is(i, "byte") => Ok(false),
        () => Err(crate::base::error::SYNTAX),
    }
}
