//! A stream: entries in the order of their ids, and the groups that read them.
//!
//! ```text
//!   nodes    5-1 -> [listpack: 5-1 5-2 6-0 ...]   9-0 -> [listpack: 9-0 9-1 ...]     at most 4 KB or 100 entries each
//!   groups   "mygroup" -> last id, entries read, pending entries, consumers
//! ```
//!
//! The nodes are the listpacks that a snapshot stores, cut at the same limits as in Redis (`stream-node-max-bytes`,
//! `stream-node-max-entries`), keyed by the id of the entry that began them. A deleted entry is only marked; a node
//! goes when its last live entry is deleted or the node is trimmed as a whole. Fields that are the same as those of a node's first entry are not stored again.
//!
//! Invariants ([`Stream::check`] tests them): nodes have the shape that `stream_node` of `cairn-format` draws, with at least one
//! entry each, live or not; all ids of a node are below the next node's id and none is above `last_id`; `len` is the number of live
//! entries; `first_id` is the lowest live id, 0-0 if there is none.

mod groups;
mod moving;
mod range;
mod trim;

pub use super::stream_group::{Consumer, ConsumerId, Group, Pending};
pub use cairn_format::encoding::stream_id::StreamId;
pub use cairn_format::encoding::stream_node::Fields;
pub(super) use moving::Place;
pub use range::{Range, StreamEntry};
pub use trim::{Keep, Trim};

use cairn_format::encoding::stream_node::{self as node, Node};

use crate::structure::ordered::Ordered;

/// Text of fields and values of one entry, and size of a node, at most: 1 GiB, as in Redis.
const NODE_BYTES_MAX: usize = 1 << 30;

/// The configured numbers that shape streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// `stream-node-max-bytes`; 0 is no limit.
    pub node_bytes: usize,
    /// `stream-node-max-entries`; 0 is no limit.
    pub node_entries: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            node_bytes: 4096,
            node_entries: 100,
        }
    }
}

/// Why an entry was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The id is equal to the last one or smaller.
    IdNotGreater,
    /// Fields and values hold more than `NODE_BYTES_MAX` bytes.
    TooLarge,
}

/// The counters of a stream beside its entries, as XSETID and snapshots set them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The greatest id that was ever used, or set.
    pub last_id: StreamId,
    /// The lowest live id, 0-0 if there is none.
    pub first_id: StreamId,
    /// The greatest id that XDEL ever deleted; trimming does not count.
    pub max_deleted_id: StreamId,
    /// Entries that were ever added.
    pub entries_added: u64,
}

/// A stream. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    nodes: Ordered<StreamId, Vec<u8>>,
    len: u64,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: Ordered<Box<[u8]>, Group>,
}

impl Stream {
    /// A stream without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry. Such a stream is still a value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nodes (`radix-tree-keys` of XINFO STREAM).
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The greatest id that was ever used, or set.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The lowest live id, 0-0 if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// Id and counters.
    pub fn marks(&self) -> Marks {
        Marks {
            last_id: self.last_id,
            first_id: self.first_id,
            max_deleted_id: self.max_deleted_id,
            entries_added: self.entries_added,
        }
    }

    /// Sets last id, greatest deleted id and the count of entries ever added (XSETID, loading). The first id follows
    /// from the entries and is not taken from `marks`.
    pub fn set_marks(&mut self, marks: Marks) {
        self.last_id = marks.last_id;
        self.max_deleted_id = marks.max_deleted_id;
        self.entries_added = marks.entries_added;
    }

    /// The id for `XADD *` at this time: that millisecond, or the successor of the last id if the clock is behind it.
    /// `None` if the last id is the greatest there is.
    pub fn next_id(&self, now_ms: u64) -> Option<StreamId> {
        if now_ms > self.last_id.ms {
            Some(StreamId::new(now_ms, 0))
        } else {
            self.last_id.next()
        }
    }

    /// The id for `XADD ms-*`; `None` if the last id has this millisecond and its greatest sequence number. The answer
    /// is not above the last id if `ms` is below: [`Stream::append`] refuses it then.
    pub fn next_seq(&self, ms: u64) -> Option<StreamId> {
        if ms != self.last_id.ms {
            return Some(StreamId::new(ms, 0));
        }
        Some(StreamId::new(ms, self.last_id.seq.checked_add(1)?))
    }

    /// Adds an entry with an id above all others.
    ///
    /// # Errors
    /// If the id is not greater than the last, or the entry too large; nothing is changed then.
    pub fn append<'f, F>(
        &mut self,
        id: StreamId,
        fields: F,
        limits: &StreamLimits,
    ) -> Result<(), AppendError>
    where
        F: ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        if id <= self.last_id {
            return Err(AppendError::IdNotGreater);
        }
        let text = fields.clone().fold(0_usize, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len())
        });
        if text > NODE_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        match self.nodes.last_mut() {
            Some((base, last)) if has_room(*base, last, text, limits) => {
                node::append(*base, last, id, fields);
            }
            last => {
                if let Some((_, full)) = last {
                    full.shrink_to_fit();
                }
                self.nodes.insert(id, node::create(fields));
            }
        }
        self.len += 1;
        self.entries_added = self.entries_added.saturating_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        self.assert_marks();
        Ok(())
    }

    /// Deletes the entry of this id, as XDEL; false if there is none.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((base, blob)) = self.nodes.last_up_to(&id) else {
            return false;
        };
        let base = *base;
        let Some(view) = Node::new(base, blob) else {
            return false;
        };
        let Some(place) = view
            .seek(id)
            .filter(|place| place.id == id && !place.is_deleted())
        else {
            return false;
        };
        if view.live() <= 1 {
            self.nodes.remove(&base);
        } else {
            node::delete(base, blob, &place);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        debug_assert!(id >= self.first_id, "an entry before the first");
        if id == self.first_id {
            self.first_id = self.edge_id(true).unwrap_or(StreamId::MIN);
        }
        self.assert_marks();
        true
    }

    /// The entry of this id.
    pub fn get(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id, id).next()
    }

    /// Entries from `start` to `end`, both included, with rising ids.
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range::new(self, start, end, false)
    }

    /// Entries from `end` down to `start`, both included, with falling ids.
    pub fn range_rev(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range::new(self, start, end, true)
    }

    /// The lowest (`first`) or the greatest id of a live entry.
    pub fn edge_id(&self, first: bool) -> Option<StreamId> {
        let entry = if first {
            self.range(StreamId::MIN, StreamId::MAX).next()
        } else {
            self.range_rev(StreamId::MIN, StreamId::MAX).next()
        };
        entry.map(|entry| entry.id)
    }

    /// Ids and listpacks of the nodes, as a snapshot stores them.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        self.nodes.iter().map(|(id, blob)| (*id, blob.as_slice()))
    }

    /// Appends a whole node while loading. The last id becomes at least that of its last entry.
    ///
    /// # Errors
    /// Says what is wrong with the node, or that it does not follow the nodes before it; nothing is changed then.
    pub fn push_node(&mut self, id: StreamId, blob: Vec<u8>) -> Result<(), String> {
        let (live, last) = check_node(id, &blob)?;
        if !self.nodes.is_empty() && id <= self.last_id {
            return Err(format!("stream node {id} does not follow {}", self.last_id));
        }
        self.nodes.insert(id, blob);
        self.len += live;
        self.last_id = self.last_id.max(last);
        if self.first_id == StreamId::MIN {
            self.first_id = self.edge_id(true).unwrap_or(StreamId::MIN);
        }
        self.assert_marks();
        Ok(())
    }

    /// What must hold between counters and ids, as far as it is known without a walk.
    #[inline]
    pub(super) fn assert_marks(&self) {
        assert!(
            self.first_id <= self.last_id,
            "the first id is behind the last"
        );
        assert!(
            self.len == 0 || !self.nodes.is_empty(),
            "entries without a node"
        );
        debug_assert_eq!(
            self.len == 0,
            self.edge_id(true).is_none(),
            "counted and live entries"
        );
    }

    /// Number of pending entries of all groups.
    pub fn pending_len(&self) -> usize {
        self.groups.values().map(Group::pending_len).sum()
    }

    /// Heap bytes of nodes and groups. Nodes are measured up to 64, beyond that extrapolated from the first 64.
    pub fn mem_bytes(&self) -> usize {
        // An entry of the map costs its key and value, and about as much again in nodes that are half full.
        let slot = (size_of::<StreamId>() + size_of::<Vec<u8>>()) * 2;
        let seen = self.nodes.len().min(64);
        let sample: usize = self.nodes.values().take(seen).map(Vec::capacity).sum();
        let groups: usize = self
            .groups
            .iter()
            .map(|(name, group)| name.len() + group.mem_bytes())
            .sum();
        self.nodes.len() * slot + sample * self.nodes.len() / seen.max(1) + groups
    }

    /// Tests the invariants of the head of this file.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub fn check(&self) -> Result<(), String> {
        let (mut live, mut last) = (0, None);
        self.nodes.check()?;
        self.groups.check()?;
        for (id, blob) in self.nodes.iter() {
            if last.is_some_and(|last| last >= *id) {
                return Err(format!(
                    "node {id} begins before the one in front of it ends"
                ));
            }
            let (count, end) = check_node(*id, blob)?;
            live += count;
            last = Some(end);
        }
        if last.is_some_and(|last| last > self.last_id) || live != self.len {
            return Err(format!(
                "{} entries up to {}, nodes hold {live}",
                self.len, self.last_id
            ));
        }
        let first = self.edge_id(true).unwrap_or(StreamId::MIN);
        if first != self.first_id {
            return Err(format!("first id {} where {first} is", self.first_id));
        }
        self.groups.values().try_for_each(Group::check)
    }
}

/// The number of live entries of a sound node, which can be 0 (see [`Stream::trim`]), and the id of the last entry.
fn check_node(id: StreamId, blob: &[u8]) -> Result<(u64, StreamId), String> {
    let (node, last) = node::check(id, blob).map_err(|error| error.to_string())?;
    let last = last.ok_or("stream node without entries")?;
    Ok((node.live(), last))
}

/// Whether an entry with so many bytes of text may join the last node.
fn has_room(base: StreamId, blob: &[u8], text: usize, limits: &StreamLimits) -> bool {
    let bytes_max = match limits.node_bytes {
        0 => NODE_BYTES_MAX,
        max => max.min(NODE_BYTES_MAX),
    };
    if blob.len().saturating_add(text) >= bytes_max {
        return false;
    }
    let entries = Node::new(base, blob).map_or(0, |node| node.entry_count());
    limits.node_entries == 0 || entries < limits.node_entries as u64
}
