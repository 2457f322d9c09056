//! Values in their encoding, decoded lazily.
//!
//! An [`Object`] borrows the bytes of the file (or of the reader's scratch, if the whole value was
//! compressed) and yields its elements on demand. Every encoding of a type yields the same elements.

mod array;
mod blob;
mod check;
mod decode;
mod each;
mod hash;
mod list;
mod module;
mod node;
mod packed;
mod quick;
mod set;
mod stream;
mod template;
mod texts;
mod zset;

pub use array::{Array, ArrayItem};
pub use blob::Blob;
pub use hash::{Field, Fields, Hash, TtlForm, TtlHash};
pub use list::List;
pub use module::{Module, ModuleValue, ModuleValues, module_name};
pub use node::{Node, NodeKind, Nodes};
pub use packed::Elements;
pub use set::Set;
pub use stream::{
    Consumer, Group, Pending, Producer, Producers, Stream, StreamEntry, StreamId, StreamNode,
};
pub use texts::Texts;
pub use zset::{Scores, Zset};

pub(crate) use check::Checker;
pub(crate) use decode::decode;

use super::string::Text;

/// A value, in the encoding that the file has.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// A string.
    String(Text<'a>),
    /// A list.
    List(List<'a>),
    /// A set.
    Set(Set<'a>),
    /// A sorted set.
    Zset(Zset<'a>),
    /// A hash, with or without field expiry.
    Hash(Hash<'a>),
    /// A stream with its consumer groups; boxed because it is large and rare.
    Stream(Box<Stream<'a>>),
    /// A value of a module; only its module understands it.
    Module(Module<'a>),
    /// A sparse array (Redis 8.8).
    Array(Array<'a>),
}

/// The names of all types, as [`Object::type_name`] gives them.
pub const TYPE_NAMES: [&str; 8] = [
    "string", "list", "set", "zset", "hash", "stream", "module", "array",
];

impl Object<'_> {
    /// The type as the TYPE command names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::String(_) => "string",
            Object::List(_) => "list",
            Object::Set(_) => "set",
            Object::Zset(_) => "zset",
            Object::Hash(_) => "hash",
            Object::Stream(_) => "stream",
            Object::Module(_) => "module",
            Object::Array(_) => "array",
        }
    }

    /// The form in the file, in the words of OBJECT ENCODING where it has one.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Object::String(Text::Int(_)) => "int",
            Object::String(_) => "raw",
            Object::List(list) => list.encoding_name(),
            Object::Set(set) => set.encoding_name(),
            Object::Zset(zset) => zset.encoding_name(),
            Object::Hash(hash) => hash.encoding_name(),
            Object::Stream(_) => "stream",
            Object::Module(_) => "module",
            Object::Array(_) => "array",
        }
    }

    /// How many elements the value says it has, or how many it has if that costs no walk of its strings:
    /// 1 for strings and modules, entries for streams, nodes are walked for lists.
    ///
    /// # Errors
    /// As the iterators: damage inside a packed block that was not checked before.
    pub fn count(&self) -> crate::error::Result<u64> {
        match self {
            Object::String(_) | Object::Module(_) => Ok(1),
            Object::List(list) => list.count(),
            Object::Set(set) => set.count(),
            Object::Zset(zset) => zset.count(),
            Object::Hash(hash) => hash.count(),
            Object::Stream(stream) => Ok(stream.length),
            Object::Array(array) => Ok(array.count),
        }
    }
}
