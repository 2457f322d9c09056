//! A packed value: one string of the file that is a structure of its own.

use super::super::string::Stored;
use crate::error::{FormatError, Result};

/// The bytes of a packed value and where they come from.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    bytes: &'a [u8],
    /// Absolute offset of the string in the file, or of its data if it stands there plainly.
    at: u64,
    /// Whether the bytes stand plainly in the file, so that offsets inside can be told.
    flat: bool,
    /// Whether every entry was already walked and found sound.
    checked: bool,
}

impl<'a> Blob<'a> {
    /// A blob that comes from no file, for writing. It is taken to be sound.
    pub fn new(bytes: &'a [u8]) -> Self {
        Blob {
            bytes,
            at: 0,
            flat: false,
            checked: true,
        }
    }

    pub(super) fn unchecked(bytes: &'a [u8], at: u64, flat: bool) -> Self {
        Blob {
            bytes,
            at,
            flat,
            checked: false,
        }
    }

    /// Decodes a string of the file; `scratch` takes it if it was compressed. `end` is the offset after the string.
    pub(crate) fn read(
        stored: Stored<'a>,
        at: u64,
        end: u64,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Self> {
        debug_assert!(at < end, "a string has bytes");
        if let Stored::Plain(bytes) = stored {
            return Ok(Blob {
                bytes,
                at: end - bytes.len() as u64,
                flat: true,
                checked: false,
            });
        }
        let bytes = stored.bytes_in(scratch)?;
        Ok(Blob {
            bytes,
            at,
            flat: false,
            checked: false,
        })
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the whole block was checked, entry by entry.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    pub(super) fn mark_checked(&mut self) {
        self.checked = true;
    }

    /// Gives an error about the inside of the block its place in the file.
    pub(crate) fn place(&self, error: Box<FormatError>) -> Box<FormatError> {
        if self.flat {
            error.moved_by(self.at)
        } else {
            error.placed_at(self.at)
        }
    }

    /// Absolute offset of the block.
    pub fn offset(&self) -> u64 {
        self.at
    }
}
