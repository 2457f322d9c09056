//! Values of a snapshot or DUMP payload as values of the keyspace: packed blobs that are within the configured
//! limits are adopted as they are, anything else is built element by element in the encoding that a command
//! would have chosen (as Redis 7.2 `rdb.c` does).

use std::borrow::Cow;

use cairn_format::encoding::{intset, listpack};
use cairn_format::rdb::object::{Blob, Hash, List as SavedList, Node, NodeKind, Set, Zset};
use cairn_format::rdb::{Object as Saved, Text};
use cairn_format::text::number::I64Text;

use super::restore::{NoValue, Restored, Unheld};
use crate::base::limits::Limits;
use crate::structure::ranked::Ranked;
use crate::structure::table::Hasher;
use crate::value::elements::{ints, pack};
use crate::value::hash_ttl::{self, Ttl};
use crate::value::list::{List, ListLimits};
use crate::value::{Encoding, HashTable, Kind, NewValue, Object, SetTable, hash, set, zset};

/// What becomes of a saved value.
pub type Build<'a> = Result<Restored<'a>, NoValue>;

/// Limits and seeds that values are built with.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'l> {
    /// Configured limits.
    pub limits: &'l Limits,
    /// Of all tables.
    pub hasher: Hasher,
}

impl Builder<'_> {
    /// Builds a value.
    ///
    /// # Errors
    /// Damage found while reading elements, an empty collection, or what the engine has no type for.
    pub fn build<'a>(&self, saved: &Saved<'a>) -> Build<'a> {
        match saved {
            Saved::String(text) => Ok(string(text)),
            Saved::List(list) => self.list(list),
            Saved::Set(set) => self.set(set),
            Saved::Zset(zset) => self.zset(zset),
            Saved::Hash(hash) => self.hash(hash),
            Saved::Stream(stream) => super::stream::load(stream),
            Saved::Module(_) => Err(NoValue::Unheld(Unheld("a module's value"))),
            Saved::Array(_) => Err(NoValue::Unheld(Unheld("an array"))),
        }
    }

    fn list<'a>(&self, saved: &SavedList<'a>) -> Build<'a> {
        let limits = ListLimits::of(self.limits);
        let mut list = List::new();
        match saved {
            SavedList::Quicklist(nodes) if nodes.has_containers() => {
                let mut nodes = nodes.clone();
                if nodes.left() == 1
                    && let Some(node) = nodes.next()
                {
                    return list_of_one(node?, &limits);
                }
                for node in nodes {
                    push_node(&mut list, node?);
                }
            }
            other => {
                let mut text = I64Text::new();
                for element in other.elements() {
                    list.push_back(element?.bytes(&mut text), &limits);
                }
            }
        }
        settled(list, &limits)
    }

    fn set<'a>(&self, saved: &Set<'a>) -> Build<'a> {
        match saved {
            Set::Intset(blob) => {
                let numbers = ints(blob.bytes());
                if numbers.is_empty() {
                    return Err(NoValue::Empty);
                }
                if numbers.len() <= self.limits.set_intset_entries {
                    return Ok(kept(Kind::Set, Encoding::Intset, blob));
                }
            }
            Set::Listpack(blob) => {
                let members = pack(blob.bytes());
                if members.is_empty() {
                    return Err(NoValue::Empty);
                }
                if members.len() <= self.limits.set_listpack_entries
                    && self.limits.may_pack(blob.bytes().len(), 0)
                {
                    return Ok(kept(Kind::Set, Encoding::Listpack, blob));
                }
            }
            Set::Plain(texts) if texts.left() <= self.limits.set_intset_entries as u64 => {
                return self.small_set(saved);
            }
            Set::Plain(_) => {}
        }
        let mut table = SetTable::new(self.hasher);
        let mut text = I64Text::new();
        for member in saved.members() {
            set::table_add(&mut table, member?.bytes(&mut text));
        }
        Ok(Restored::Built(NewValue::object(Object::Set(table))))
    }

    /// A set saved member by member that may still be an intset or a listpack.
    fn small_set<'a>(&self, saved: &Set<'a>) -> Build<'a> {
        let mut numbers = intset::empty();
        let mut members: Vec<Vec<u8>> = Vec::new();
        let mut all_numbers = true;
        let mut longest = 0;
        let mut text = I64Text::new();
        for member in saved.members() {
            let member = member?;
            let bytes = member.bytes(&mut text);
            all_numbers &= set::ints_add(&mut numbers, bytes);
            longest = longest.max(bytes.len());
            members.push(bytes.to_vec());
        }
        if members.is_empty() {
            return Err(NoValue::Empty);
        }
        if all_numbers {
            return Ok(made(Kind::Set, Encoding::Intset, numbers));
        }
        if members.len() <= self.limits.set_listpack_entries
            && longest <= self.limits.set_listpack_value
            && self.limits.may_pack(0, members.iter().map(Vec::len).sum())
        {
            let mut blob = listpack::empty();
            members
                .iter()
                .for_each(|member| listpack::push_back(&mut blob, member));
            return Ok(made(Kind::Set, Encoding::Listpack, blob));
        }
        let mut table = SetTable::new(self.hasher);
        for member in &members {
            set::table_add(&mut table, member);
        }
        Ok(Restored::Built(NewValue::object(Object::Set(table))))
    }

    fn zset<'a>(&self, saved: &Zset<'a>) -> Build<'a> {
        if let Zset::Listpack(blob) = saved {
            let members = pack(blob.bytes()).len() / 2;
            if members > 0
                && members <= self.limits.zset_listpack_entries
                && self.limits.may_pack(blob.bytes().len(), 0)
                && zset::is_ordered(blob.bytes())
            {
                return Ok(kept(Kind::Zset, Encoding::Listpack, blob));
            }
        }
        let mut ranked = Ranked::new(self.hasher);
        let (mut longest, mut bytes) = (0, 0);
        let mut text = I64Text::new();
        for pair in saved.pairs() {
            let (member, score) = pair?;
            let member = member.bytes(&mut text);
            longest = longest.max(member.len());
            bytes += member.len();
            ranked.insert(member, score);
        }
        if ranked.is_empty() {
            return Err(NoValue::Empty);
        }
        if ranked.len() <= self.limits.zset_listpack_entries
            && longest <= self.limits.zset_listpack_value
            && self.limits.may_pack(0, bytes)
        {
            let mut blob = listpack::empty();
            ranked
                .iter()
                .for_each(|(member, score)| zset::packed_insert(&mut blob, member, score));
            return Ok(made(Kind::Zset, Encoding::Listpack, blob));
        }
        Ok(Restored::Built(NewValue::object(Object::Zset(ranked))))
    }

    fn hash<'a>(&self, saved: &Hash<'a>) -> Build<'a> {
        let packed = match saved {
            Hash::Listpack(blob) => Some((Encoding::Listpack, blob)),
            Hash::ExpiringListpack(blob) => Some((Encoding::ListpackEx, blob)),
            _ => None,
        };
        if let Some((encoding, blob)) = packed {
            let bytes = blob.bytes();
            let fields = pack(bytes).len() / hash::stride(encoding);
            let ordered = encoding == Encoding::Listpack || hash_ttl::is_ordered(bytes);
            if fields > 0
                && fields <= self.limits.hash_listpack_entries
                && self.limits.may_pack(bytes.len(), 0)
                && ordered
            {
                return Ok(kept(Kind::Hash, encoding, blob));
            }
        }
        self.build_hash(saved)
    }

    /// Collects fields as long as they may be packed, and fills a table from the first one that may not.
    fn build_hash<'a>(&self, saved: &Hash<'a>) -> Build<'a> {
        let mut packed = Vec::new();
        let mut packed_bytes = 0;
        let mut table: Option<HashTable> = None;
        let (mut a, mut b) = (I64Text::new(), I64Text::new());
        for field in saved.fields() {
            let field = field?;
            let (name, value) = (field.name.bytes(&mut a), field.value.bytes(&mut b));
            let fits = packed.len() < self.limits.hash_listpack_entries
                && hash::fits(self.limits, packed_bytes, name, value);
            if table.is_none() && fits {
                packed_bytes += name.len() + value.len();
                packed.push((name.to_vec(), value.to_vec(), field.expire_ms));
                continue;
            }
            let table = table.get_or_insert_with(|| HashTable::new(self.hasher));
            for (name, value, at) in packed.drain(..) {
                table.set(&name, &value, Ttl::Set(at));
            }
            table.set(name, value, Ttl::Set(field.expire_ms));
        }
        if let Some(table) = table {
            debug_assert!(
                packed.is_empty() && !table.is_empty(),
                "all fields are in one place"
            );
            return Ok(Restored::Built(NewValue::object(Object::Hash(table))));
        }
        if packed.is_empty() {
            return Err(NoValue::Empty);
        }
        if packed.iter().any(|(_, _, at)| at.is_some()) {
            return Ok(made(
                Kind::Hash,
                Encoding::ListpackEx,
                hash_ttl::packed_of(packed),
            ));
        }
        let mut blob = listpack::empty();
        for (name, value, _) in &packed {
            listpack::push_back(&mut blob, name);
            listpack::push_back(&mut blob, value);
        }
        Ok(made(Kind::Hash, Encoding::Listpack, blob))
    }
}

fn string<'a>(text: &Text<'a>) -> Restored<'a> {
    match text {
        Text::Int(i) => Restored::Built(NewValue::int(*i)),
        Text::Bytes(bytes) => Restored::Text(Cow::Borrowed(bytes)),
        Text::Owned(bytes) => Restored::Text(Cow::Owned(bytes.clone())),
    }
}

/// A packed value that stays as it is in the file.
fn kept<'a>(kind: Kind, encoding: Encoding, blob: &Blob<'a>) -> Restored<'a> {
    Restored::Packed(kind, encoding, Cow::Borrowed(blob.bytes()))
}

/// A packed value that was put together here.
fn made(kind: Kind, encoding: Encoding, blob: Vec<u8>) -> Restored<'static> {
    Restored::Packed(kind, encoding, Cow::Owned(blob))
}

/// A list of a single node, which most lists are: it stays packed without becoming a chain first.
fn list_of_one<'a>(node: Node<'a>, limits: &ListLimits) -> Build<'a> {
    let (bytes, packed) = (&node.bytes, node.kind != NodeKind::Plain);
    if packed && pack(bytes).is_empty() {
        return Err(NoValue::Empty);
    }
    if packed && limits.packs(bytes.len(), pack(bytes).len(), false) {
        return Ok(Restored::Packed(Kind::List, Encoding::Listpack, node.bytes));
    }
    let mut list = List::new();
    push_node(&mut list, node);
    settled(list, limits)
}

/// Appends a node; one without entries holds nothing to keep.
fn push_node(list: &mut List, node: Node<'_>) {
    match node.kind {
        NodeKind::Plain => list.push_plain(node.bytes.into_owned()),
        _ if pack(&node.bytes).is_empty() => {}
        _ => list.push_pack(node.bytes.into_owned()),
    }
}

/// The list in the encoding that a command would have left it in.
fn settled(mut list: List, limits: &ListLimits) -> Build<'static> {
    if list.is_empty() {
        return Err(NoValue::Empty);
    }
    if list.fits_pack(limits, false)
        && let Some(blob) = list.take_pack()
    {
        return Ok(made(Kind::List, Encoding::Listpack, blob));
    }
    list.settle_all(limits);
    debug_assert_eq!(list.check(limits), Ok(()));
    Ok(Restored::Built(NewValue::object(Object::List(list))))
}
