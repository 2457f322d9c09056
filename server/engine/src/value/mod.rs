//! What a key can hold, and in which encoding.
//!
//! A small value lies inside the key's record (an integer, a string or packed blob up to [`INLINE_MAX`] bytes);
//! a larger one is an [`Object`] behind a pointer. The [`Tag`] in the record's header names type and encoding:
//!
//! | kind   | inline                        | behind the pointer                    |
//! |--------|-------------------------------|---------------------------------------|
//! | string | int, embstr or raw            | `Object::Str`                         |
//! | list   | listpack                      | `Object::Packed`, `Object::List`      |
//! | set    | intset, listpack              | `Object::Packed`, `Object::Set`       |
//! | zset   | listpack                      | `Object::Packed`, `Object::Zset`      |
//! | hash   | listpack, listpackex          | `Object::Packed`, `Object::Hash`      |
//! | stream |                               | `Object::Stream`                      |

pub mod bits;
pub mod elements;
pub mod geohash;
pub mod hash;
pub mod hash_ttl;
pub mod list;
pub mod list_pack;
pub mod moving;
pub mod set;
mod size;
pub mod stream;
pub mod stream_group;
pub mod zset;

pub use hash_ttl::HashTable;

use bytes::Bytes;
use cairn_format::text::number::parse_i64;

use crate::structure::ranked::Ranked;
use crate::structure::record::{INLINE_MAX, Member, Payload, PayloadRef, Tag};
use crate::structure::table::Table;

/// A set as a hash table of members.
pub type SetTable = Table<Member>;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A byte string or integer.
    String = 0,
    /// A sequence of strings.
    List = 1,
    /// Distinct strings.
    Set = 2,
    /// Distinct strings, each with a score, in order.
    Zset = 3,
    /// Fields with values.
    Hash = 4,
    /// A log of entries with consumer groups.
    Stream = 5,
}

impl Kind {
    /// What TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Zset => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }

    fn from_bits(bits: u8) -> Kind {
        debug_assert!(bits <= Kind::Stream as u8, "a tag of no type");
        match bits {
            0 => Kind::String,
            1 => Kind::List,
            2 => Kind::Set,
            3 => Kind::Zset,
            4 => Kind::Hash,
            _ => Kind::Stream,
        }
    }
}

/// The encoding of a value, by the names that OBJECT ENCODING of Redis 7.2 (7.4 for `listpackex`) uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// A 64-bit integer.
    Int = 0,
    /// A string of at most 44 bytes that was stored whole.
    Embstr = 1,
    /// Any other string.
    Raw = 2,
    /// A sorted array of integers.
    Intset = 3,
    /// A packed sequence of entries.
    Listpack = 4,
    /// A packed hash whose fields can expire.
    ListpackEx = 5,
    /// A chain of listpacks.
    Quicklist = 6,
    /// A hash table.
    Hashtable = 7,
    /// A sorted set with both indexes. Redis calls its own structure a skip list.
    Skiplist = 8,
    /// A stream.
    Stream = 9,
}

impl Encoding {
    /// What OBJECT ENCODING answers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
            Encoding::Intset => "intset",
            Encoding::Listpack => "listpack",
            Encoding::ListpackEx => "listpackex",
            Encoding::Quicklist => "quicklist",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            Encoding::Stream => "stream",
        }
    }

    fn from_bits(bits: u8) -> Encoding {
        debug_assert!(bits <= Encoding::Stream as u8, "a tag of no encoding");
        match bits {
            0 => Encoding::Int,
            1 => Encoding::Embstr,
            2 => Encoding::Raw,
            3 => Encoding::Intset,
            4 => Encoding::Listpack,
            5 => Encoding::ListpackEx,
            6 => Encoding::Quicklist,
            7 => Encoding::Hashtable,
            8 => Encoding::Skiplist,
            _ => Encoding::Stream,
        }
    }
}

/// Longest string that Redis stores as `embstr`, bytes.
const EMBSTR_MAX: usize = 44;

/// A value that does not fit into its record.
#[derive(Debug)]
pub enum Object {
    /// A string; shared with replies that are on their way out.
    Str(Bytes),
    /// A listpack or intset too large for the record.
    Packed(Vec<u8>),
    /// A chain of listpacks.
    List(list::List),
    /// A table of members.
    Set(SetTable),
    /// A table of fields.
    Hash(HashTable),
    /// A table and an ordered tree.
    Zset(Ranked),
    /// A stream with its groups.
    Stream(stream::Stream),
}

impl Object {
    /// Elements that freeing this value has to visit; large ones go to the drop thread.
    pub fn weight(&self) -> usize {
        match self {
            Object::Str(_) | Object::Packed(_) => 1,
            Object::List(l) => l.node_count(),
            Object::Set(t) => t.len(),
            Object::Hash(t) => t.stored_len(),
            Object::Zset(z) => z.len(),
            Object::Stream(s) => s.node_count() + s.pending_len(),
        }
    }
}

/// Builds the tag of a record.
pub fn tag(kind: Kind, encoding: Encoding) -> Tag {
    Tag::new(kind as u8, encoding as u8)
}

/// The type named by a tag.
pub fn kind_of(tag: Tag) -> Kind {
    Kind::from_bits(tag.kind())
}

/// The encoding named by a tag.
pub fn encoding_of(tag: Tag) -> Encoding {
    Encoding::from_bits(tag.encoding())
}

/// A value as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// A string that is an integer.
    Int(i64),
    /// A string inside its record.
    Str(&'a [u8]),
    /// A string behind a pointer, which can be shared without a copy.
    Big(&'a Bytes),
    /// A packed list, set, zset or hash: see the kind and encoding beside it.
    Packed(Kind, Encoding, &'a [u8]),
    /// A list as a chain.
    List(&'a list::List),
    /// A set as a table.
    Set(&'a SetTable),
    /// A hash as a table.
    Hash(&'a HashTable),
    /// A sorted set with both indexes.
    Zset(&'a Ranked),
    /// A stream.
    Stream(&'a stream::Stream),
}

impl<'a> ValueRef<'a> {
    /// Puts tag and payload of a record together.
    pub fn of(tag: Tag, payload: PayloadRef<'a, Object>) -> ValueRef<'a> {
        match payload {
            PayloadRef::Int(i) => ValueRef::Int(i),
            PayloadRef::Bytes(b) if tag.kind() == Kind::String as u8 => ValueRef::Str(b),
            PayloadRef::Bytes(b) => ValueRef::Packed(kind_of(tag), encoding_of(tag), b),
            PayloadRef::Heap(Object::Str(b)) => ValueRef::Big(b),
            PayloadRef::Heap(Object::Packed(b)) => {
                ValueRef::Packed(kind_of(tag), encoding_of(tag), b)
            }
            PayloadRef::Heap(Object::List(l)) => ValueRef::List(l),
            PayloadRef::Heap(Object::Set(s)) => ValueRef::Set(s),
            PayloadRef::Heap(Object::Hash(h)) => ValueRef::Hash(h),
            PayloadRef::Heap(Object::Zset(z)) => ValueRef::Zset(z),
            PayloadRef::Heap(Object::Stream(s)) => ValueRef::Stream(s),
        }
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        match self {
            ValueRef::Int(_) | ValueRef::Str(_) | ValueRef::Big(_) => Kind::String,
            ValueRef::Packed(kind, _, _) => *kind,
            ValueRef::List(_) => Kind::List,
            ValueRef::Set(_) => Kind::Set,
            ValueRef::Hash(_) => Kind::Hash,
            ValueRef::Zset(_) => Kind::Zset,
            ValueRef::Stream(_) => Kind::Stream,
        }
    }
}

/// A value about to be stored.
#[derive(Debug)]
pub struct NewValue<'a> {
    /// Type and encoding.
    pub tag: Tag,
    /// The bytes or the object.
    pub payload: Payload<'a, Object>,
}

impl<'a> NewValue<'a> {
    /// A string as SET stores it: an integer if its text is canonical, else embstr or raw.
    pub fn string(bytes: &'a [u8]) -> NewValue<'a> {
        if bytes.len() <= 20
            && let Some(i) = parse_i64(bytes)
        {
            return NewValue::int(i);
        }
        let encoding = if bytes.len() <= EMBSTR_MAX {
            Encoding::Embstr
        } else {
            Encoding::Raw
        };
        NewValue::text(encoding, bytes)
    }

    /// A string that stays text, `raw` whatever its length (as APPEND and SETRANGE leave it).
    pub fn raw(bytes: &'a [u8]) -> NewValue<'a> {
        NewValue::text(Encoding::Raw, bytes)
    }

    /// A string that is an integer.
    pub fn int(i: i64) -> NewValue<'a> {
        NewValue {
            tag: tag(Kind::String, Encoding::Int),
            payload: Payload::Int(i),
        }
    }

    /// The text of a number with a fraction: `embstr` or `raw` by its length, never an integer.
    pub fn text_of_number(bytes: &'a [u8]) -> NewValue<'a> {
        let short = bytes.len() <= EMBSTR_MAX;
        NewValue::text(
            if short {
                Encoding::Embstr
            } else {
                Encoding::Raw
            },
            bytes,
        )
    }

    fn text(encoding: Encoding, bytes: &'a [u8]) -> NewValue<'a> {
        let payload = if bytes.len() <= INLINE_MAX {
            Payload::Bytes(bytes)
        } else {
            Payload::Heap(Box::new(Object::Str(Bytes::copy_from_slice(bytes))))
        };
        NewValue {
            tag: tag(Kind::String, encoding),
            payload,
        }
    }

    /// A packed blob (listpack or intset).
    pub fn packed(kind: Kind, encoding: Encoding, blob: &'a [u8]) -> NewValue<'a> {
        debug_assert!(
            matches!(
                (kind, encoding),
                (Kind::Set, Encoding::Intset)
                    | (Kind::Hash, Encoding::ListpackEx)
                    | (
                        Kind::List | Kind::Set | Kind::Zset | Kind::Hash,
                        Encoding::Listpack
                    )
            ),
            "{kind:?} has no {encoding:?}"
        );
        let payload = if blob.len() <= INLINE_MAX {
            Payload::Bytes(blob)
        } else {
            Payload::Heap(Box::new(Object::Packed(blob.to_vec())))
        };
        NewValue {
            tag: tag(kind, encoding),
            payload,
        }
    }

    /// A packed blob of the caller, which becomes the value's own if it does not fit into the record. Shown to `store`.
    pub fn adopting<R>(
        kind: Kind,
        encoding: Encoding,
        blob: Vec<u8>,
        store: impl FnOnce(NewValue<'_>) -> R,
    ) -> R {
        if blob.len() <= INLINE_MAX {
            return store(NewValue::packed(kind, encoding, &blob));
        }
        store(NewValue {
            tag: tag(kind, encoding),
            payload: Payload::Heap(Box::new(Object::Packed(blob))),
        })
    }

    /// A value behind a pointer; its type and encoding follow from the object. Not for `Object::Packed`.
    pub fn object(object: Object) -> NewValue<'static> {
        let tag = match &object {
            Object::Str(_) => tag(Kind::String, Encoding::Raw),
            Object::List(_) => tag(Kind::List, Encoding::Quicklist),
            Object::Set(_) => tag(Kind::Set, Encoding::Hashtable),
            Object::Hash(_) => tag(Kind::Hash, Encoding::Hashtable),
            Object::Zset(_) => tag(Kind::Zset, Encoding::Skiplist),
            Object::Stream(_) => tag(Kind::Stream, Encoding::Stream),
            Object::Packed(_) => {
                unreachable!("a packed blob has more than one type; see NewValue::packed")
            }
        };
        NewValue {
            tag,
            payload: Payload::Heap(Box::new(object)),
        }
    }
}
