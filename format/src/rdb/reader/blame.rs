//! When an unknown type byte follows a key, the fault is often in the key before it: a wrong length makes
//! it swallow bytes of its value, and the next record is looked for in the wrong place.
//!
//! So the key is tried with other lengths. If one of them makes its value and several records after it
//! readable, the length was wrong, and that is what the error says; unless another type byte alone would do. Work is bounded: few lengths, little
//! of the file, and only when a file in memory is damaged anyway.

use super::super::dialect::Dialect;
use super::super::opcode::{self, TypeInfo};
use super::super::raw::{Parts, Scan, SliceSource, Source};
use super::{attribute, skip_opcode};
use crate::error::{Damage, FormatError, Result};

/// Key lengths that are tried.
const LENGTHS_MAX: usize = 300;
/// Bytes of the file that are looked at.
const LOOK_AHEAD: usize = 32 * 1024;
/// Records that must be readable after the key before its length is blamed.
const RECORDS_NEEDED: usize = 4;

/// Replaces an error about an unknown type by one about the key length that led to it, if there is one.
#[cold]
pub(super) fn blame_key_length<S: Source>(
    source: &S,
    dialect: Dialect,
    last: Option<(u64, &'static TypeInfo)>,
    error: Box<FormatError>,
) -> Box<FormatError> {
    let Some((key_at, info)) = last.filter(|_| error.kind == Damage::Type && source.can_reread())
    else {
        return error;
    };
    let at_fault = source.reread(error.offset);
    // A type that is known by name stands there by intent.
    let is_named = at_fault
        .first()
        .is_some_and(|byte| opcode::unreadable_type(dialect.family(), *byte).is_some());
    if is_named || a_type_fits(at_fault, dialect) {
        return error;
    }
    let bytes = source.reread(key_at);
    let bytes = &bytes[..bytes.len().min(LOOK_AHEAD)];
    let mut walk = SliceSource::new(bytes, false);
    let mut scan = Scan::new(&mut walk, 0, false);
    let Ok(stated) = scan.len("key") else {
        return error;
    };
    let text_at = scan.at;
    let fits = |length: &usize| {
        *length as u64 != stated
            && reads_on(bytes, text_at + length, dialect, info).unwrap_or(false)
    };
    match (0..LENGTHS_MAX).find(fits) {
        Some(length) => {
            let what = format!(
                "key length {stated} leads to {}; with {length} the records after it can be read",
                error.what
            );
            FormatError::new(Damage::Length, key_at, what)
        }
        None => error,
    }
}

/// Whether another type byte would make the record readable: then that byte is the fault, and no key length.
fn a_type_fits(bytes: &[u8], dialect: Dialect) -> bool {
    let bytes = &bytes[..bytes.len().min(LOOK_AHEAD)];
    let key_end = |bytes| -> Result<usize> {
        let mut source = SliceSource::new(bytes, false);
        let mut scan = Scan::new(&mut source, 1, false);
        scan.string("key")?;
        Ok(scan.at)
    };
    let Ok(value_at) = key_end(bytes) else {
        return false;
    };
    let known = (0..=u8::MAX).filter_map(|byte| opcode::type_info(dialect.family(), byte));
    known
        .into_iter()
        .any(|info| reads_on(bytes, value_at, dialect, info).unwrap_or(false))
}

/// Whether a value stands at `at` and enough records follow it, or the end of the file.
fn reads_on(bytes: &[u8], at: usize, dialect: Dialect, info: &TypeInfo) -> Result<bool> {
    let mut source = SliceSource::new(bytes, false);
    let mut scan = Scan::new(&mut source, at, false).strict(true);
    scan.value(info)?;
    let mut parts = Parts::default();
    for _ in 0..RECORDS_NEEDED {
        let start = scan.at;
        let mut byte = scan.byte("opcode")?;
        while attribute(&mut scan, &mut parts, byte, dialect, false)? {
            byte = scan.byte("opcode")?;
        }
        if byte == opcode::EOF {
            return Ok(bytes.len() - scan.at == if dialect.has_checksum() { 8 } else { 0 });
        }
        if opcode::is_opcode(byte) {
            skip_opcode(&mut scan, byte, dialect, start)?;
            continue;
        }
        let Some(info) = opcode::type_info(dialect.family(), byte)
            .filter(|info| info.since <= dialect.version())
        else {
            return Ok(false);
        };
        scan.string("key")?;
        scan.value(info)?;
    }
    Ok(true)
}
