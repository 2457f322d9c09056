//! Lists: full, as one ziplist, as a chain of ziplists, as a chain of listpacks and large elements.

use super::blob::Blob;
use super::node::Nodes;
use super::packed::Elements;
use super::texts::Texts;
use crate::error::Result;

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
