//! A reader over a slice that never leaves it and always knows its absolute offset.
//!
//! Every read names what is being read, so that a short slice gives `offset 12: expiry time: 8 bytes needed, 3 remain`
//! without any work at the place of the call. A failed read does not move the cursor.

use crate::error::{Damage, FormatError, Result};

/// A place in a slice, and the slice's own place in the file it came from.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`, which is also the start of the file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor {
            bytes,
            at: 0,
            base: 0,
        }
    }

    /// A cursor at the start of `bytes`, which stand at absolute offset `base` of the file.
    pub fn at_base(bytes: &'a [u8], base: u64) -> Self {
        Cursor { bytes, at: 0, base }
    }

    /// The absolute offset of the next byte.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The place of the next byte within the slice.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[inline]
    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// What is left, without moving.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The bytes from place `start` (see [`Cursor::position`]) up to here; empty if `start` lies ahead.
    pub fn since(&self, start: usize) -> &'a [u8] {
        debug_assert!(self.at <= self.bytes.len(), "never beyond the end");
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte, without moving.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// An error of this kind at the next byte.
    pub fn error(&self, kind: Damage, what: impl Into<String>) -> Box<FormatError> {
        FormatError::new(kind, self.offset(), what)
    }

    #[cold]
    fn short(&self, wanted: usize, what: &str) -> Box<FormatError> {
        let unit = if wanted == 1 { "byte" } else { "bytes" };
        let remain = self.remaining();
        let verb = if remain == 1 { "remains" } else { "remain" };
        self.error(
            Damage::Truncated,
            format!("{what}: {wanted} {unit} needed, {remain} {verb}"),
        )
    }

    /// The next `count` bytes.
    #[inline]
    pub fn bytes(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        if count > self.remaining() {
            return Err(self.short(count, what));
        }
        let start = self.at;
        self.at += count;
        Ok(&self.bytes[start..self.at])
    }

    /// Passes over `count` bytes.
    #[inline]
    pub fn skip(&mut self, count: usize, what: &str) -> Result<()> {
        self.bytes(count, what).map(|_| ())
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.short(N, what)),
        }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, what: &str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Two bytes, little-endian.
    #[inline]
    pub fn u16le(&mut self, what: &str) -> Result<u16> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Two bytes, big-endian.
    #[inline]
    pub fn u16be(&mut self, what: &str) -> Result<u16> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    #[inline]
    pub fn u32be(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64le(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Eight bytes, big-endian.
    #[inline]
    pub fn u64be(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// One signed byte.
    #[inline]
    pub fn i8(&mut self, what: &str) -> Result<i8> {
        self.array(what).map(i8::from_le_bytes)
    }

    /// Eight bytes, little-endian, signed.
    #[inline]
    pub fn i64le(&mut self, what: &str) -> Result<i64> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// An IEEE single, little-endian.
    #[inline]
    pub fn f32le(&mut self, what: &str) -> Result<f32> {
        self.array(what).map(f32::from_le_bytes)
    }

    /// An IEEE double, little-endian.
    #[inline]
    pub fn f64le(&mut self, what: &str) -> Result<f64> {
        self.array(what).map(f64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ends_first() {
        let mut cursor = Cursor::at_base(&[1, 2, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255], 100);
        assert_eq!(cursor.u8("a").unwrap(), 1);
        assert_eq!(cursor.u16le("b").unwrap(), 2);
        assert_eq!(cursor.offset(), 103);
        assert_eq!(cursor.i64le("c").unwrap(), -2);
        assert!(cursor.is_at_end());
        assert_eq!(cursor.since(9), [0xff, 0xff]);
    }

    #[test]
    fn a_short_read_says_where_and_what_and_does_not_move() {
        let mut cursor = Cursor::at_base(&[1, 2, 3], 10);
        cursor.u8("type").unwrap();
        let error = cursor.f64le("score").unwrap_err();
        assert_eq!((error.kind, error.offset), (Damage::Truncated, 11));
        assert_eq!(error.what, "score: 8 bytes needed, 2 remain");
        assert_eq!(cursor.rest(), [2, 3]);
        assert!(cursor.bytes(usize::MAX, "blob").is_err());
        assert_eq!(cursor.bytes(2, "blob").unwrap(), [2, 3]);
        assert_eq!(
            cursor.u8("more").unwrap_err().what,
            "more: 1 byte needed, 0 remain"
        );
    }
}
