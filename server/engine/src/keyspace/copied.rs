//! A value once more, for a second key: the same bytes in the same encoding.

use cairn_format::lzf;

use crate::keyspace::Keyspace;
use crate::structure::ranked::Ranked;
use crate::structure::record::{Field, Member, Payload, Tag};
use crate::structure::table::Slot;
use crate::value::list::{List, ListLimits, NodeRef};
use crate::value::{HashTable, NewValue, Object, SetTable, ValueRef};

/// A copy that belongs to no key yet.
pub struct Copied {
    tag: Tag,
    payload: Parts,
}

enum Parts {
    Int(i64),
    Bytes(Vec<u8>),
    Heap(Box<Object>),
}

impl Copied {
    /// Copies the value at a key. A long string is shared, not copied.
    pub fn of(ks: &Keyspace, slot: Slot) -> Copied {
        let heap = |object| Parts::Heap(Box::new(object));
        let payload = match ks.view(slot) {
            ValueRef::Int(i) => Parts::Int(i),
            ValueRef::Str(bytes) => Parts::Bytes(bytes.to_vec()),
            ValueRef::Big(bytes) => heap(Object::Str(bytes.clone())),
            ValueRef::Packed(_, _, blob) => Parts::Bytes(blob.to_vec()),
            ValueRef::List(list) => heap(Object::List(copy_list(ks, list))),
            ValueRef::Set(table) => heap(Object::Set(copy_set(table))),
            ValueRef::Hash(table) => heap(Object::Hash(copy_hash(table))),
            ValueRef::Zset(ranked) => heap(Object::Zset(copy_zset(ks, ranked))),
            ValueRef::Stream(stream) => heap(Object::Stream(stream.clone())),
        };
        Copied {
            tag: ks.record(slot).tag(),
            payload,
        }
    }

    /// Stores it under a key that does not exist.
    pub fn add_to(self, ks: &mut Keyspace, key: &[u8], expire: Option<i64>) -> Slot {
        let bytes;
        let payload = match self.payload {
            Parts::Int(i) => Payload::Int(i),
            Parts::Heap(object) => Payload::Heap(object),
            Parts::Bytes(copy) if copy.len() > crate::structure::record::INLINE_MAX => {
                Payload::Heap(Box::new(Object::Packed(copy)))
            }
            Parts::Bytes(copy) => {
                bytes = copy;
                Payload::Bytes(&bytes)
            }
        };
        let tag = self.tag;
        ks.add(key, NewValue { tag, payload }, expire)
    }
}

fn copy_list(ks: &Keyspace, list: &List) -> List {
    let mut copy = List::new();
    for node in list.nodes() {
        match node {
            NodeRef::Packed(bytes) => copy.push_pack(bytes.to_vec()),
            NodeRef::Plain(bytes) => copy.push_plain(bytes.to_vec()),
            NodeRef::Squeezed { raw_len, lzf } => {
                let mut bytes = Vec::with_capacity(raw_len);
                let whole = lzf::decompress(lzf, raw_len, &mut bytes);
                assert!(whole.is_ok(), "a list node of our own making decompresses");
                copy.push_pack(bytes);
            }
        }
    }
    copy.settle_all(&ListLimits::of(&ks.limits));
    debug_assert_eq!(copy.len(), list.len(), "all elements");
    copy
}

fn copy_set(table: &SetTable) -> SetTable {
    let mut copy = SetTable::new(table.hasher());
    for member in table.iter() {
        copy.insert(table.hasher().hash(member.key()), Member::new(member.key()));
    }
    debug_assert_eq!(copy.len(), table.len(), "all members");
    copy
}

fn copy_hash(table: &HashTable) -> HashTable {
    let mut copy = HashTable::new(table.hasher());
    for field in table.iter() {
        let (name, value) = field.pair();
        copy.insert(
            table.hasher().hash(name),
            Field::new(name, value, field.expire()),
        );
    }
    debug_assert_eq!(copy.len(), table.len(), "all fields that are not hidden");
    copy
}

fn copy_zset(ks: &Keyspace, ranked: &Ranked) -> Ranked {
    let mut copy = Ranked::new(ks.hasher);
    for (member, score) in ranked.iter() {
        copy.insert(member, score);
    }
    debug_assert_eq!(copy.len(), ranked.len(), "all members");
    copy
}
