//! Lists: full, as one ziplist, as a chain of ziplists, as a chain of listpacks and large elements.

use std::borrow::Cow;

use super::super::length::read_len;
use super::blob::Blob;
use super::packed::Elements;
use super::texts::Texts;
use crate::error::{Damage, Result};

/// A list in its encoding.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// Type 1: elements one by one.
    Plain(Texts<'a>),
    /// Type 10: one ziplist.
    Ziplist(Blob<'a>),
    /// Types 14 and 18: a chain of nodes.
    Quicklist(Nodes<'a>),
}

impl<'a> List<'a> {
    /// All elements, head first.
    pub fn elements(&self) -> Elements<'a> {
        match self {
            List::Plain(texts) => Elements::texts(texts.clone()),
            List::Ziplist(blob) => Elements::ziplist(blob),
            List::Quicklist(nodes) => Elements::nodes(nodes.clone()),
        }
    }

    /// The number of elements; walks packed nodes.
    ///
    /// # Errors
    /// Damage inside a node.
    pub fn count(&self) -> Result<u64> {
        self.elements().count()
    }

    /// In the words of OBJECT ENCODING.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            List::Plain(_) => "linkedlist",
            List::Ziplist(_) => "ziplist",
            List::Quicklist(_) => "quicklist",
        }
    }
}

/// What a node of a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// One element, by itself.
    Plain,
    /// A listpack.
    Listpack,
    /// A ziplist.
    Ziplist,
}

/// One node of a list.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// How the bytes are to be read.
    pub kind: NodeKind,
    /// The node, decompressed.
    pub bytes: Cow<'a, [u8]>,
    /// Absolute offset of the node's data, or of its string if that is compressed.
    pub offset: u64,
}

impl Node<'_> {
    /// The node's block for a view; `bytes` are the node's own.
    pub(super) fn blob_of<'b>(&self, bytes: &'b [u8]) -> Blob<'b> {
        Blob::unchecked(bytes, self.offset, matches!(self.bytes, Cow::Borrowed(_)))
    }
}

/// The nodes of a list, an iterator.
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    texts: Texts<'a>,
    /// Types 18 and up say for each node what it is; type 14 has ziplists only.
    containers: bool,
    failed: bool,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(texts: Texts<'a>, containers: bool) -> Self {
        Nodes {
            texts,
            containers,
            failed: false,
        }
    }

    /// How many nodes are left.
    pub fn left(&self) -> u64 {
        self.texts.left()
    }

    /// Whether the file says for each node what it is (type 18); all are ziplists otherwise.
    pub fn has_containers(&self) -> bool {
        self.containers
    }

    fn read(&mut self) -> Result<Node<'a>> {
        let kind = if self.containers {
            read_container(&mut self.texts)?
        } else {
            NodeKind::Ziplist
        };
        let at = self.texts.offset();
        let stored = match self.texts.next_stored() {
            Some(stored) => stored?,
            None => return Err(self.texts.cursor().error(Damage::Truncated, "list node")),
        };
        let end = self.texts.offset();
        let bytes = stored.text()?.into_cow();
        debug_assert!(at < end, "a string has bytes");
        let offset = if matches!(bytes, Cow::Borrowed(_)) {
            end - bytes.len() as u64
        } else {
            at
        };
        Ok(Node {
            kind,
            bytes,
            offset,
        })
    }
}

fn read_container(texts: &mut Texts<'_>) -> Result<NodeKind> {
    let at = texts.cursor().clone();
    match read_len(texts.cursor(), "container of a list node")? {
        1 => Ok(NodeKind::Plain),
        2 => Ok(NodeKind::Listpack),
        other => Err(at.error(
            Damage::Encoding,
            format!("list node: container {other} instead of 1 or 2"),
        )),
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Result<Node<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.texts.left() == 0 {
            return None;
        }
        let node = self.read();
        self.failed = node.is_err();
        Some(node)
    }
}
