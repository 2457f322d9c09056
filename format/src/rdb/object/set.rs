//! Sets: full, as intset, as listpack.

use super::blob::Blob;
use super::packed::Elements;
use super::texts::Texts;
use crate::error::Result;

/// A set in its encoding.
#[derive(Clone, Debug)]
pub enum Set<'a> {
    /// Type 2: members one by one.
    Plain(Texts<'a>),
    /// Type 11: sorted integers.
    Intset(Blob<'a>),
    /// Type 20: a listpack.
    Listpack(Blob<'a>),
}

impl<'a> Set<'a> {
    /// All members, in no order.
    pub fn members(&self) -> Elements<'a> {
        match self {
            Set::Plain(texts) => Elements::texts(texts.clone()),
            Set::Intset(blob) => Elements::intset(blob),
            Set::Listpack(blob) => Elements::listpack(blob),
        }
    }

    /// The number of members.
    ///
    /// # Errors
    /// Damage inside the packed block.
    pub fn count(&self) -> Result<u64> {
        self.members().count()
    }

    /// In the words of OBJECT ENCODING.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Set::Plain(_) => "hashtable",
            Set::Intset(_) => "intset",
            Set::Listpack(_) => "listpack",
        }
    }
}
