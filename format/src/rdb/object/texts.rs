//! A run of strings, as the full encodings store their elements.

use super::super::string::{Stored, Text, read_string};
use crate::cursor::Cursor;
use crate::error::Result;

/// `count` strings, one after the other; an iterator over them.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    cursor: Cursor<'a>,
    left: u64,
    failed: bool,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(cursor: Cursor<'a>, count: u64) -> Self {
        Texts {
            cursor,
            left: count,
            failed: false,
        }
    }

    /// How many strings are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Absolute offset of the next string.
    pub fn offset(&self) -> u64 {
        self.cursor.offset()
    }

    /// The next string as it stands in the file.
    #[inline]
    pub(crate) fn next_stored(&mut self) -> Option<Result<Stored<'a>>> {
        if self.left == 0 || self.failed {
            return None;
        }
        self.left -= 1;
        let stored = read_string(&mut self.cursor, "element");
        self.failed = stored.is_err();
        Some(stored)
    }

    pub(super) fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.cursor
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = Result<Text<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let text = self.next_stored()?.and_then(Stored::text);
        self.failed |= text.is_err();
        Some(text)
    }
}
