//! Sparse arrays of Redis 8.8.
//!
//! ```text
//!   count | flag | [insert index, if flag is 1] | index len, tag len, value | ...
//!   tag 0 or 3 string, 1 int64, 2 double
//! ```
//!
//! Known from descriptions only; no server that writes it was at hand.

use super::super::length::read_len;
use super::super::string::{Stored, Text, read_string};
use crate::cursor::Cursor;
use crate::error::{Damage, Result};

/// An array: elements at rising indexes.
#[derive(Clone, Debug)]
pub struct Array<'a> {
    /// How many elements it holds.
    pub count: u64,
    /// Where the next element would go, if the array keeps that.
    pub insert_index: Option<u64>,
    pub(super) cursor: Cursor<'a>,
}

/// One element of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrayItem<'a> {
    /// A string.
    String(Text<'a>),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
}

impl<'a> Array<'a> {
    /// Indexes and elements, in the order of the file.
    pub fn items(&self) -> impl Iterator<Item = Result<(u64, ArrayItem<'a>)>> + use<'a> {
        let mut cursor = self.cursor.clone();
        let mut left = self.count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let item = read_item(&mut cursor);
            if item.is_err() {
                left = 0;
            }
            Some(item)
        })
    }
}

fn read_item<'a>(cursor: &mut Cursor<'a>) -> Result<(u64, ArrayItem<'a>)> {
    let index = read_len(cursor, "array index")?;
    let item = match read_len(cursor, "array tag")? {
        0 | 3 => ArrayItem::String(read_string(cursor, "array element").and_then(Stored::text)?),
        1 => ArrayItem::Int(cursor.i64le("array integer")?),
        2 => ArrayItem::Double(cursor.f64le("array double")?),
        other => {
            return Err(cursor.error(
                Damage::Encoding,
                format!("array element with unknown tag {other}"),
            ));
        }
    };
    Ok((index, item))
}
