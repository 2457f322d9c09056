//! One iterator for the elements of every encoding.

use super::blob::Blob;
use super::node::{Node, NodeKind, Nodes};
use super::texts::Texts;
use crate::encoding::intset::Intset;
use crate::encoding::listpack::{self, Entry, Listpack};
use crate::encoding::ziplist::{self, Ziplist};
use crate::encoding::zipmap::{self, Zipmap};
use crate::error::{FormatError, Result};
use crate::rdb::string::Text;
use std::borrow::Cow;

/// Elements in the order of the file. Of a hash: field, value, field, value (and expiry).
///
/// A block that was not checked is checked before its first element is given out, so elements never
/// end early without an error.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Texts(Texts<'a>),
    Listpack(listpack::Iter<'a>),
    Ziplist(ziplist::Iter<'a>),
    Zipmap(zipmap::Iter<'a>),
    Intset {
        set: Intset<'a>,
        index: usize,
    },
    Nodes {
        nodes: Nodes<'a>,
        inner: Box<Elements<'a>>,
    },
    Owned(std::vec::IntoIter<Text<'a>>),
    Failed(Option<Box<FormatError>>),
}

impl<'a> Elements<'a> {
    pub(super) fn texts(texts: Texts<'a>) -> Self {
        Elements(Source::Texts(texts))
    }

    pub(super) fn none() -> Self {
        Elements(Source::Failed(None))
    }

    fn or_failed(blob: &Blob<'a>, source: Result<Source<'a>>) -> Self {
        Elements(source.unwrap_or_else(|error| Source::Failed(Some(blob.place(error)))))
    }

    pub(super) fn listpack(blob: &Blob<'a>) -> Self {
        let view = if blob.is_checked() {
            Listpack::new(blob.bytes())
        } else {
            Listpack::check(blob.bytes())
        };
        Elements::or_failed(blob, view.map(|list| Source::Listpack(list.iter())))
    }

    pub(super) fn ziplist(blob: &Blob<'a>) -> Self {
        let view = if blob.is_checked() {
            Ziplist::new(blob.bytes())
        } else {
            Ziplist::check(blob.bytes())
        };
        Elements::or_failed(blob, view.map(|list| Source::Ziplist(list.iter())))
    }

    pub(super) fn zipmap(blob: &Blob<'a>) -> Self {
        let view = if blob.is_checked() {
            Zipmap::new(blob.bytes())
        } else {
            Zipmap::check(blob.bytes())
        };
        Elements::or_failed(blob, view.map(|map| Source::Zipmap(map.iter())))
    }

    pub(super) fn intset(blob: &Blob<'a>) -> Self {
        let view = if blob.is_checked() {
            Intset::new(blob.bytes())
        } else {
            Intset::check(blob.bytes())
        };
        Elements::or_failed(blob, view.map(|set| Source::Intset { set, index: 0 }))
    }

    pub(super) fn nodes(nodes: Nodes<'a>) -> Self {
        Elements(Source::Nodes {
            nodes,
            inner: Box::new(Elements::none()),
        })
    }

    /// The elements of one node of a list.
    pub fn of_node(node: Node<'a>) -> Self {
        match node.bytes {
            Cow::Borrowed(bytes) => {
                let blob = node.blob_of(bytes);
                match node.kind {
                    NodeKind::Plain => {
                        Elements(Source::Owned(vec![Text::Bytes(bytes)].into_iter()))
                    }
                    NodeKind::Listpack => Elements::listpack(&blob),
                    NodeKind::Ziplist => Elements::ziplist(&blob),
                }
            }
            Cow::Owned(bytes) if node.kind == NodeKind::Plain => {
                Elements(Source::Owned(vec![Text::Owned(bytes)].into_iter()))
            }
            // The elements outlive the decompressed node, so they are copied out of it.
            Cow::Owned(ref bytes) => {
                let blob = node.blob_of(bytes);
                let elements = if node.kind == NodeKind::Listpack {
                    Elements::listpack(&blob)
                } else {
                    Elements::ziplist(&blob)
                };
                match elements
                    .map(|text| text.map(Text::into_owned))
                    .collect::<Result<Vec<_>>>()
                {
                    Ok(texts) => Elements(Source::Owned(texts.into_iter())),
                    Err(error) => Elements(Source::Failed(Some(error))),
                }
            }
        }
    }

    /// How many elements are left, if that is known without a walk.
    pub(super) fn count(mut self) -> Result<u64> {
        let mut count = 0;
        loop {
            match &mut self.0 {
                Source::Texts(texts) => return Ok(count + texts.left()),
                Source::Intset { set, .. } => return Ok(count + set.len() as u64),
                _ => match self.next() {
                    None => return Ok(count),
                    Some(element) => count += element.map(|_| 1)?,
                },
            }
        }
    }
}

#[inline]
pub(super) fn entry_text(entry: Entry<'_>) -> Text<'_> {
    match entry {
        Entry::Int(value) => Text::Int(value),
        Entry::Str(bytes) => Text::Bytes(bytes),
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Text<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Texts(texts) => texts.next(),
            Source::Listpack(iter) => iter.next().map(|(_, entry)| Ok(entry_text(entry))),
            Source::Ziplist(iter) => iter.next().map(|(_, entry)| Ok(entry_text(entry))),
            Source::Zipmap(iter) => iter.next().map(|(_, entry)| Ok(entry_text(entry))),
            Source::Intset { set, index } => {
                let value = set.get(*index)?;
                *index += 1;
                Some(Ok(Text::Int(value)))
            }
            Source::Nodes { nodes, inner } => loop {
                if let Some(element) = inner.next() {
                    return Some(element);
                }
                match nodes.next()? {
                    Ok(node) => **inner = Elements::of_node(node),
                    Err(error) => return Some(Err(error)),
                }
            },
            Source::Owned(texts) => texts.next().map(Ok),
            Source::Failed(error) => error.take().map(Err),
        }
    }
}
