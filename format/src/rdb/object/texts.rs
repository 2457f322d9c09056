//! A run of strings, as the full encodings store their elements.

use super::super::string::{Stored, Text, read_string, split_short};
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

    /// Hands over all strings that are left.
    ///
    /// # Errors
    /// As the iterator; what was handed over before is not to be trusted then.
    pub(super) fn each(mut self, mut each: impl FnMut(Text<'a>)) -> Result<()> {
        while self.left > 0 && !self.failed {
            let rest = self.cursor.rest();
            let mut behind = rest;
            while self.left > 0
                && let Some((bytes, next)) = split_short(behind)
            {
                each(Text::Bytes(bytes));
                behind = next;
                self.left -= 1;
            }
            self.cursor.skip(rest.len() - behind.len(), "element")?;
            if let Some(text) = self.next() {
                each(text?);
            }
        }
        Ok(())
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
