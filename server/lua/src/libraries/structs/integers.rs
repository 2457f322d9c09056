//! Whole numbers of 0 to 32 bytes, of which eight can hold something.

use super::super::number::{truncate, truncate_unsigned};

/// Appends a number in `size` bytes. Bytes beyond eight are zero, also of negative numbers.
pub(super) fn push(out: &mut Vec<u8>, number: f64, size: usize, is_big: bool) {
    let value = match number < 0.0 {
        true => truncate(number) as u64,
        false => truncate_unsigned(number),
    };
    let start = out.len();
    let bytes = value.to_le_bytes();
    out.extend((0..size).map(|n| bytes.get(n).copied().unwrap_or(0)));
    if is_big {
        out[start..].reverse();
    }
}

/// The number in the bytes, of which the eight lowest count.
pub(super) fn read(bytes: &[u8], is_big: bool, is_signed: bool) -> f64 {
    let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = match is_big {
        true => bytes.iter().fold(0, append),
        false => bytes.iter().rev().fold(0, append),
    };
    if !is_signed {
        return value as f64;
    }
    // The bit of the sign is sought modulo 64, as the processor shifts; so sizes above eight are read strangely.
    let sign = u64::MAX.wrapping_shl((bytes.len() as u32 * 8).wrapping_sub(1));
    let value = if value & sign != 0 {
        value | sign
    } else {
        value
    };
    value as i64 as f64
}
