//! The entries of one node of a stream.
//!
//! ```text
//!   head    live | deleted | n | n field names | 0
//!   entry   flags | ms - node ms | seq - node seq | values ...            | size     flag 2: fields as the head
//!   entry   flags | ms - node ms | seq - node seq | m | field, value ...  | size     else
//! ```
//!
//! Each is an element of the listpack. Flag 1 marks a deleted entry; `size` counts the entry's elements
//! without itself. Differences are signed.

use std::borrow::Cow;

use super::super::blob::Blob;
use super::super::packed::entry_text;
use super::{StreamId, StreamNode};
use crate::encoding::listpack::{Iter, Listpack};
use crate::error::{Damage, FormatError, Result};
use crate::rdb::string::Text;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Fields and values, in order.
    pub fields: Vec<(Text<'a>, Text<'a>)>,
}

struct Walk<'a> {
    blob: Blob<'a>,
    iter: Iter<'a>,
}

impl<'a> Walk<'a> {
    fn error(&self, what: impl Into<String>) -> Box<FormatError> {
        let at = self.iter.pos() as u64;
        self.blob.place(FormatError::new(
            Damage::Encoding,
            at,
            format!("stream node: {}", what.into()),
        ))
    }

    fn text(&mut self, what: &str) -> Result<Text<'a>> {
        match self.iter.next_entry() {
            Some(entry) => Ok(entry_text(entry)),
            None => Err(self.error(format!("ends before {what}"))),
        }
    }

    fn int(&mut self, what: &str) -> Result<i64> {
        let text = self.text(what)?;
        text.as_int()
            .ok_or_else(|| self.error(format!("{what} is no number")))
    }

    fn count(&mut self, what: &str) -> Result<u64> {
        let value = self.int(what)?;
        u64::try_from(value).map_err(|_| self.error(format!("{what} is {value}")))
    }
}

/// Walks a node whose listpack was not checked and hands every entry to `visit` (deleted ones, too, with `true`).
/// With `with_fields` false the entries have no fields; they are passed over.
///
/// # Errors
/// [`Damage::Encoding`] for anything that no server writes: a broken listpack, wrong counts, sizes that do not agree.
pub(in super::super) fn walk_node<'b>(
    id: StreamId,
    blob: Blob<'b>,
    with_fields: bool,
    visit: &mut dyn FnMut(StreamEntry<'b>, bool) -> Result<()>,
) -> Result<()> {
    let list =
        Listpack::check(blob.bytes()).map_err(|error| blob.place(error).inside("stream node"))?;
    let mut walk = Walk {
        blob,
        iter: list.iter(),
    };
    let live = walk.count("number of entries")?;
    let deleted = walk.count("number of deleted entries")?;
    let names = read_names(&mut walk)?;
    let (mut live_seen, mut deleted_seen) = (0, 0);
    let mut flags_next = walk.iter.next_entry();
    while let Some(flags) = flags_next {
        let Some(flags) = flags.as_int() else {
            return Err(walk.error("flags are no number"));
        };
        let entry = read_entry(&mut walk, id, flags, &names, with_fields)?;
        let is_deleted = flags & DELETED != 0;
        *(if is_deleted {
            &mut deleted_seen
        } else {
            &mut live_seen
        }) += 1;
        visit(entry, is_deleted)?;
        flags_next = walk.iter.next_entry();
    }
    if live_seen != live || deleted_seen != deleted {
        return Err(walk.error(format!("{live} entries and {deleted} deleted ones announced, {live_seen} and {deleted_seen} found")));
    }
    Ok(())
}

fn read_names<'a>(walk: &mut Walk<'a>) -> Result<Vec<Text<'a>>> {
    let count = walk.count("number of fields")?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(walk.text("a field name")?);
    }
    match walk.int("the end of the head")? {
        0 => Ok(names),
        other => Err(walk.error(format!("{other} instead of 0 after the field names"))),
    }
}

fn read_entry<'a>(
    walk: &mut Walk<'a>,
    base: StreamId,
    flags: i64,
    names: &[Text<'a>],
    with_fields: bool,
) -> Result<StreamEntry<'a>> {
    if flags & !(DELETED | SAME_FIELDS) != 0 {
        return Err(walk.error(format!("unknown flags {flags}")));
    }
    let ms = base.ms.wrapping_add(walk.int("the id")? as u64);
    let seq = base.seq.wrapping_add(walk.int("the id")? as u64);
    let mut entry = StreamEntry {
        id: StreamId { ms, seq },
        fields: Vec::new(),
    };
    let size = if flags & SAME_FIELDS != 0 {
        for name in names {
            let value = walk.text("a value")?;
            if with_fields {
                entry.fields.push((name.clone(), value));
            }
        }
        names.len() as u64 + 3
    } else {
        let count = walk.count("number of fields")?;
        for _ in 0..count {
            let pair = (walk.text("a field")?, walk.text("a value")?);
            if with_fields {
                entry.fields.push(pair);
            }
        }
        count.saturating_mul(2).saturating_add(4)
    };
    match walk.count("the size of an entry")? {
        found if found == size => Ok(entry),
        found => Err(walk.error(format!(
            "entry {} says {found} elements, it has {size}",
            entry.id
        ))),
    }
}

/// The entries of a node that are not deleted.
pub(super) fn live_entries(node: StreamNode<'_>) -> Result<Vec<StreamEntry<'_>>> {
    let mut entries = Vec::new();
    match node.listpack {
        Cow::Borrowed(bytes) => {
            let blob = Blob::unchecked(bytes, node.offset, true);
            walk_node(node.id, blob, true, &mut |entry, deleted| {
                if !deleted {
                    entries.push(entry);
                }
                Ok(())
            })?;
        }
        Cow::Owned(ref bytes) => {
            let blob = Blob::unchecked(bytes, node.offset, false);
            walk_node(node.id, blob, true, &mut |entry, deleted| {
                if !deleted {
                    let owned = |(name, value): (Text<'_>, Text<'_>)| {
                        (name.into_owned(), value.into_owned())
                    };
                    entries.push(StreamEntry {
                        id: entry.id,
                        fields: entry.fields.into_iter().map(owned).collect(),
                    });
                }
                Ok(())
            })?;
        }
    }
    Ok(entries)
}
