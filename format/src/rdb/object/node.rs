//! The nodes of a list: what stands in each, as a chain of ziplists (type 14) or of listpacks and large elements (type 18).

use std::borrow::Cow;

use super::super::length::read_len;
use super::super::opcode;
use super::blob::Blob;
use super::texts::Texts;
use crate::error::{Damage, Result};

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
        opcode::NODE_PLAIN => Ok(NodeKind::Plain),
        opcode::NODE_PACKED => Ok(NodeKind::Listpack),
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
