//! The check of a value: every entry, counts, order, duplicates.
//!
//! It finds what `redis-check-rdb` 7.2 finds, and scores that are no numbers. The strict one also finds what servers let
//! pass though none writes it: empty collections and nodes, scores out of order, stream lengths and last ids that do not
//! agree with the entries.

use std::collections::HashSet;

use super::super::opcode;
use super::super::reader::Check;
use super::blob::Blob;
use super::node::NodeKind;
use super::quick::{self, Holds};
use super::stream::{Group, StreamId, walk_node};
use super::{Hash, List, Object, Set, Stream, Text, Zset};
use crate::encoding::intset::Intset;
use crate::encoding::listpack::Listpack;
use crate::encoding::ziplist::Ziplist;
use crate::encoding::zipmap::Zipmap;
use crate::error::{Damage, Findings, FormatError, Result};
use crate::hash::hash_bytes;
use crate::text::number::I64Text;
use crate::text::words::quote;

/// Work space of the check, kept from value to value so that it allocates rarely.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    hashes: Vec<u64>,
    /// What no server writes is looked for, too.
    strict: bool,
    /// Where that goes; without, it is damage.
    pub odd: Option<Findings>,
}

/// Names of one value, by their hashes.
pub(crate) struct Names<'c>(&'c mut Vec<u64>);

impl Names<'_> {
    /// Takes one.
    #[inline]
    pub fn add(&mut self, name: &[u8]) {
        self.0.push(hash_bytes(name, 0));
    }

    /// Whether none came twice; false also where that is only likely.
    pub fn differ(self) -> bool {
        !has_repeats(self.0)
    }
}

fn damage(at: u64, what: impl Into<String>) -> Box<FormatError> {
    FormatError::new(Damage::Encoding, at, what)
}

fn empty(at: u64) -> Box<FormatError> {
    damage(at, "empty, which no server writes").called("empty")
}

impl Checker {
    /// What servers load though none writes it: noted, or damage if nobody asked for notes.
    fn odd(&mut self, error: Box<FormatError>, problem: &'static str) -> Result<()> {
        match &mut self.odd {
            Some(odd) => {
                odd.push(error.odd(problem));
                Ok(())
            }
            None => Err(error.odd(problem)),
        }
    }

    /// Checks a value whose first byte stands at `at`, and marks packed blocks as checked.
    pub fn check(&mut self, object: &mut Object<'_>, at: u64, check: Check) -> Result<()> {
        if check == Check::Structure {
            return Ok(());
        }
        self.strict = check == Check::Strict;
        if let Some((blob, holds)) = listpack_of(object)
            && quick::is_sound(blob.bytes(), holds, &mut self.hashes)
        {
            blob.mark_checked();
            return Ok(());
        }
        self.check_fully(object, at)
    }

    /// Whether a packed value of this type is surely sound, by the strict check, too: the full one says what is wrong.
    pub fn is_surely_sound(&mut self, type_byte: u8, bytes: &[u8]) -> bool {
        let holds = match type_byte {
            opcode::SET_INTSET => return Intset::check(bytes).is_ok_and(|view| !view.is_empty()),
            opcode::SET_LISTPACK => Holds::Members,
            opcode::HASH_LISTPACK => Holds::Fields,
            opcode::ZSET_LISTPACK => Holds::Scores,
            _ => return false,
        };
        quick::is_sound(bytes, holds, &mut self.hashes)
    }

    /// To see whether names differ.
    pub fn names(&mut self) -> Names<'_> {
        self.hashes.clear();
        Names(&mut self.hashes)
    }

    /// The strict check alone, for those who compare.
    #[cfg(test)]
    pub fn check_strictly(&mut self, object: &mut Object<'_>) -> Result<()> {
        self.strict = true;
        self.check_fully(object, 0)
    }

    fn check_fully(&mut self, object: &mut Object<'_>, at: u64) -> Result<()> {
        match object {
            Object::String(_) => Ok(()),
            Object::List(list) => self.check_list(list, at),
            Object::Set(set) => self.check_set(set, at),
            Object::Zset(zset) => self.check_zset(zset, at),
            Object::Hash(hash) => self.check_hash(hash, at),
            Object::Stream(stream) => self.check_stream(stream, at),
            Object::Module(module) => module.decoded().try_for_each(|value| value.map(|_| ())),
            Object::Array(array) => array.items().try_for_each(|item| item.map(|_| ())),
        }
    }

    fn check_set(&mut self, set: &mut Set<'_>, at: u64) -> Result<()> {
        match set {
            Set::Plain(_) => {}
            Set::Intset(blob) => {
                let view = Intset::check(blob.bytes()).map_err(|error| blob.place(error))?;
                // Unlike other collections an empty one of these is damage to all servers.
                if view.is_empty() {
                    return Err(empty(at));
                }
                blob.mark_checked();
                return Ok(());
            }
            Set::Listpack(blob) => self.check_listpack(blob)?,
        }
        self.unique(at, "member", || set.members())
    }

    fn check_zset(&mut self, zset: &mut Zset<'_>, at: u64) -> Result<()> {
        let packed = match zset {
            Zset::Plain(_) => false,
            Zset::Ziplist(blob) => self.check_ziplist(blob).map(|()| true)?,
            Zset::Listpack(blob) => self.check_listpack(blob).map(|()| true)?,
        };
        let mut last = f64::NEG_INFINITY;
        for pair in zset.pairs() {
            let (member, score) = pair?;
            if packed && self.strict && score < last {
                let member = quote(&member.to_vec());
                let what = format!("member {member} with score {score} stands after score {last}");
                self.odd(damage(at, what), "order")?;
                break;
            }
            last = score;
        }
        self.unique(at, "member", || {
            zset.pairs().map(|pair| pair.map(|(member, _)| member))
        })
    }

    fn check_hash(&mut self, hash: &mut Hash<'_>, at: u64) -> Result<()> {
        match hash {
            Hash::Plain(_) | Hash::Expiring(_) => {}
            Hash::Zipmap(blob) => {
                Zipmap::check(blob.bytes()).map_err(|error| blob.place(error))?;
                blob.mark_checked();
            }
            Hash::Ziplist(blob) => self.check_ziplist(blob)?,
            Hash::Listpack(blob) | Hash::ExpiringListpack(blob) => self.check_listpack(blob)?,
        }
        // The names are walked for duplicates; the iterator looks at values and expiries on its way.
        self.unique(at, "field", || {
            hash.fields().map(|field| field.map(|field| field.name))
        })
    }

    /// Finds a name that occurs twice, and a value without any.
    fn unique<'a, I: Iterator<Item = Result<Text<'a>>>>(
        &mut self,
        at: u64,
        what: &str,
        names: impl Fn() -> I,
    ) -> Result<()> {
        self.hashes.clear();
        let mut scratch = I64Text::new();
        for name in names() {
            self.hashes.push(hash_bytes(name?.bytes(&mut scratch), 0));
        }
        self.not_empty(self.hashes.is_empty(), at)?;
        if !has_repeats(&mut self.hashes) {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for name in names() {
            let name = name?.to_vec();
            if seen.contains(&name) {
                let twice = damage(at, format!("{what} {} occurs twice", quote(&name)));
                return Err(twice.called("duplicate-element"));
            }
            seen.insert(name);
        }
        Ok(())
    }

    fn not_empty(&mut self, is_empty: bool, at: u64) -> Result<()> {
        match is_empty && self.strict {
            true => self.odd(empty(at), "empty"),
            false => Ok(()),
        }
    }

    fn check_listpack(&mut self, blob: &mut Blob<'_>) -> Result<()> {
        let view = Listpack::check(blob.bytes()).map_err(|error| blob.place(error))?;
        self.not_empty(view.is_empty(), blob.offset())?;
        blob.mark_checked();
        Ok(())
    }

    fn check_ziplist(&mut self, blob: &mut Blob<'_>) -> Result<()> {
        let view = Ziplist::check(blob.bytes()).map_err(|error| blob.place(error))?;
        self.not_empty(view.is_empty(), blob.offset())?;
        blob.mark_checked();
        Ok(())
    }

    fn check_list(&mut self, list: &mut List<'_>, at: u64) -> Result<()> {
        match list {
            List::Plain(texts) => {
                self.not_empty(texts.left() == 0, at)?;
                texts.clone().try_for_each(|text| text.map(|_| ()))
            }
            List::Ziplist(blob) => self.check_ziplist(blob),
            List::Quicklist(nodes) => {
                self.not_empty(nodes.left() == 0, at)?;
                for node in nodes.clone() {
                    let node = node?;
                    let offset = node.offset;
                    if node.kind != NodeKind::Plain
                        && check_node(&node.blob_of(&node.bytes), node.kind)?
                        && self.strict
                    {
                        let what = "list node without elements";
                        self.odd(damage(offset, what), "empty-node")?;
                    }
                }
                Ok(())
            }
        }
    }

    fn check_stream(&mut self, stream: &Stream<'_>, at: u64) -> Result<()> {
        let strict = self.strict;
        let mut last_node = None;
        let mut last_id = None;
        let mut live = 0_u64;
        for node in stream.nodes() {
            let node = node?;
            if last_node.is_some_and(|last| last >= node.id) {
                return Err(damage(
                    node.offset,
                    format!(
                        "stream node {} does not come after the one before it",
                        node.id
                    ),
                ));
            }
            last_node = Some(node.id);
            let mut entries = 0_u64;
            walk_node(node.id, node.blob(), false, &mut |entry, deleted| {
                if last_id.is_some_and(|last| last >= entry.id) {
                    return Err(damage(
                        node.offset,
                        format!(
                            "stream entry {} does not come after the one before it",
                            entry.id
                        ),
                    ));
                }
                last_id = Some(entry.id);
                entries += 1;
                live += u64::from(!deleted);
                Ok(())
            })?;
            if entries == 0 {
                return Err(damage(node.offset, "stream node without entries"));
            }
        }
        // Release candidates of 5.0 and others wrote wrong lengths; entries that are not there at all are another thing.
        let is_bare = last_node.is_none() && stream.length > 0;
        if live != stream.length && (strict || is_bare) {
            let what = format!(
                "stream length {} stated, {live} entries found",
                stream.length
            );
            match is_bare {
                true => return Err(damage(at, what).called("stream-length")),
                false => self.odd(damage(at, what), "stream-length")?,
            }
        }
        if strict && last_id.is_some_and(|last| last > stream.last_id) {
            let what = format!("last id {} is below that of an entry", stream.last_id);
            self.odd(damage(at, what), "stream-last-id")?;
        }
        let mut names = HashSet::new();
        for group in &stream.groups {
            if !names.insert(group.name.to_vec()) {
                let what = format!("group {} occurs twice", quote(&group.name.to_vec()));
                return Err(damage(at, what).called("duplicate-group"));
            }
            check_group(group).map_err(|what| {
                let what = format!("group {}: {what}", quote(&group.name.to_vec()));
                damage(at, what).called("pending")
            })?;
        }
        Ok(())
    }
}

/// The listpack that a value is, and what its entries are.
fn listpack_of<'o, 'a>(object: &'o mut Object<'a>) -> Option<(&'o mut Blob<'a>, Holds)> {
    match object {
        Object::Set(Set::Listpack(blob)) => Some((blob, Holds::Members)),
        Object::Hash(Hash::Listpack(blob)) => Some((blob, Holds::Fields)),
        Object::Zset(Zset::Listpack(blob)) => Some((blob, Holds::Scores)),
        _ => None,
    }
}

/// Whether a number occurs twice; small slices are compared as they are, larger ones sorted.
pub(super) fn has_repeats(hashes: &mut [u64]) -> bool {
    if hashes.len() <= 16 {
        return hashes
            .iter()
            .enumerate()
            .any(|(place, hash)| hashes[..place].contains(hash));
    }
    hashes.sort_unstable();
    hashes.windows(2).any(|pair| pair[0] == pair[1])
}

/// Walks a packed node; true if it is empty.
fn check_node(blob: &Blob<'_>, kind: NodeKind) -> Result<bool> {
    let is_empty = match kind {
        NodeKind::Ziplist => Ziplist::check(blob.bytes()).map(|view| view.is_empty()),
        _ => Listpack::check(blob.bytes()).map(|view| view.is_empty()),
    };
    is_empty.map_err(|error| blob.place(error).inside("list node"))
}

/// Every pending entry has one owner, and every owned one is pending.
fn check_group(group: &Group<'_>) -> std::result::Result<(), String> {
    let mut unowned: HashSet<StreamId> = HashSet::new();
    for pending in &group.pending {
        if !unowned.insert(pending.id) {
            return Err(format!("pending entry {} occurs twice", pending.id));
        }
    }
    let mut names = HashSet::new();
    for consumer in &group.consumers {
        if !names.insert(consumer.name.to_vec()) {
            return Err(format!(
                "consumer {} occurs twice",
                quote(&consumer.name.to_vec())
            ));
        }
        for id in &consumer.pending {
            if !unowned.remove(id) {
                return Err(format!(
                    "entry {id} of a consumer is not pending, or has two owners"
                ));
            }
        }
    }
    for id in &group.nacked {
        if !unowned.remove(id) {
            return Err(format!("nacked entry {id} is not pending, or has an owner"));
        }
    }
    match unowned.iter().min() {
        Some(id) => Err(format!("pending entry {id} has no owner")),
        None => Ok(()),
    }
}
