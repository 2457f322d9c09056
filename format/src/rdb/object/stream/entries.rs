//! The entries of one node of a stream, as texts.

use std::borrow::Cow;

use super::super::blob::Blob;
use super::super::packed::entry_text;
use super::{StreamId, StreamNode};
use crate::encoding::listpack::{HEADER, Listpack};
use crate::encoding::stream_node::Node;
use crate::error::{Damage, FormatError, Result};
use crate::rdb::string::Text;

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Fields and values, in order.
    pub fields: Vec<(Text<'a>, Text<'a>)>,
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
    Listpack::check(blob.bytes()).map_err(|error| blob.place(error).inside("stream node"))?;
    let Some(node) = Node::new(id, blob.bytes()) else {
        let error = FormatError::new(Damage::Encoding, HEADER as u64, "stream node: wrong head");
        return Err(blob.place(error));
    };
    for place in node.entries() {
        let place = place.map_err(|error| blob.place(error))?;
        let mut fields = Vec::new();
        if with_fields {
            let texts = |(name, value)| (entry_text(name), entry_text(value));
            fields.extend(node.fields(&place).map(texts));
        }
        visit(
            StreamEntry {
                id: place.id,
                fields,
            },
            place.is_deleted(),
        )?;
    }
    Ok(())
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
