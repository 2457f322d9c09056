//! A long list: a chain of listpacks, which OBJECT ENCODING calls `quicklist`.
//!
//! ```text
//!   nodes  [ packed, 8 KB ] [ packed, 8 KB ] [ plain: one huge element ] [ packed, 3 KB ]      VecDeque<Node>
//!            e e e e e e e    e e e e e e e                                e e e
//! ```
//!
//! What goes into which node follows Redis 7.2 (`quicklist.c`) step by step, because the number of nodes is visible:
//! DEBUG OBJECT tells it, a snapshot stores it, and a chain of one small node turns back into a single listpack. So
//! pushes fill the end nodes up to the limit, an insertion into a full node splits it and merges neighbours that fit
//! together, removals never merge.
//!
//! Elements are shown to closures instead of being returned, because those of a compressed node exist only while they
//! are looked at. Finding an index walks the nodes from the nearer end: 32 bytes per 8 KB of elements, some 20 ns for
//! 1,000 nodes. The chain is one ring buffer, so a node inserted in the middle moves up to half of the others (32
//! bytes each); both ends are free.
//!
//! Invariants ([`List::check`] tests them): no node is empty; a node's count is that of its listpack, 1 if plain; `len`
//! is the sum of the counts; compressed nodes lie deeper than `list-compress-depth` from both ends.

mod insert;
mod node;

use super::list_pack;
use crate::base::limits::{Limits, TestLimits};
use crate::structure::mover::Mover;
use cairn_format::encoding::listpack::Entry;
use node::Node;
pub use node::NodeRef;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Largest node where the limit counts elements, bytes.
const SAFE_BYTES_MAX: usize = 8192;
/// Bytes that one more entry may need beside its text when room in a node is judged.
const ENTRY_OVERHEAD: usize = 8;

/// The configured numbers that shape lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// `list-max-listpack-size`: elements per node if positive (0 counts as 1), -1 to -5 for 4, 8, 16, 32 or 64 KB.
    pub fill: i32,
    /// `list-compress-depth`: nodes at each end that stay uncompressed; 0 compresses none.
    pub compress_depth: u32,
    /// Elements of at least so many bytes get a node of their own (DEBUG QUICKLIST-PACKED-THRESHOLD).
    pub plain_threshold: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            fill: -2,
            compress_depth: 0,
            plain_threshold: TestLimits::default().list_plain_threshold,
        }
    }
}

impl ListLimits {
    /// Limits with the two configured numbers and the ordinary threshold for plain nodes.
    pub fn new(fill: i32, compress_depth: u32) -> Self {
        Self {
            fill,
            compress_depth,
            ..Self::default()
        }
    }

    /// Those of the data set.
    pub fn of(limits: &Limits) -> Self {
        Self {
            fill: limits.list_listpack_size,
            compress_depth: limits.list_compress_depth,
            plain_threshold: limits.tests.list_plain_threshold,
        }
    }

    /// Most bytes and most elements of a node; one of the two is unlimited.
    fn node_max(&self) -> (usize, usize) {
        match self.fill {
            0 => (usize::MAX, 1),
            1.. => (usize::MAX, self.fill as usize),
            _ => (
                4096 << self.fill.unsigned_abs().min(5).saturating_sub(1),
                usize::MAX,
            ),
        }
    }

    /// Whether a node of so many bytes and elements is over the limit. Where the limit counts elements, a node may
    /// still not exceed 8 KB.
    pub fn exceeded(&self, bytes: usize, count: usize) -> bool {
        match self.node_max() {
            (bytes_max, usize::MAX) => bytes > bytes_max,
            (_, count_max) => bytes > SAFE_BYTES_MAX || count > count_max,
        }
    }

    /// Whether a short list must become a chain before `added` elements of `added_bytes` text in all are put in: the
    /// test that RPUSH, LINSERT, LSET and LMOVE do first.
    pub fn outgrows(&self, blob: &[u8], added: usize, added_bytes: usize) -> bool {
        self.exceeded(
            blob.len().saturating_add(added_bytes),
            list_pack::len(blob) + added,
        )
    }

    /// Whether a list of one packed node is kept as a listpack: within the limits, or within half of them if elements were
    /// just removed or replaced (`shrinking`), so that a list at the limit does not flip at each step.
    pub fn packs(&self, bytes: usize, count: usize, shrinking: bool) -> bool {
        let (bytes_max, count_max) = self.node_max();
        let part = if shrinking { 2 } else { 1 };
        bytes <= bytes_max / part && count <= count_max / part
    }

    fn is_plain(&self, value: &[u8]) -> bool {
        value.len() >= self.plain_threshold
    }
}

/// A list of any length. See the head of this file.
#[derive(Debug, Default)]
pub struct List {
    nodes: VecDeque<Node>,
    len: usize,
}

impl List {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// A list of one node that adopts a listpack, checked by the caller; an empty one is dropped.
    pub fn from_pack(blob: Vec<u8>) -> Self {
        let mut list = Self::new();
        list.push_pack(blob);
        list
    }

    /// Appends a whole node while loading; an empty listpack is dropped. [`List::settle`] is due after the last.
    pub fn push_pack(&mut self, blob: Vec<u8>) {
        let node = Node::packed(blob);
        self.len += node.len();
        if node.len() > 0 {
            self.nodes.push_back(node);
        }
    }

    /// Appends one element as a node of its own while loading.
    pub fn push_plain(&mut self, value: Vec<u8>) {
        self.nodes.push_back(Node::plain(value));
        self.len += 1;
        debug_assert!(self.len >= self.nodes.len(), "no node is empty");
    }

    /// Whether the list should be a single listpack again (see [`ListLimits::packs`]).
    pub fn fits_pack(&self, limits: &ListLimits, shrinking: bool) -> bool {
        match self.nodes.front() {
            Some(node) if self.nodes.len() == 1 && !node.is_plain() => {
                limits.packs(node.raw_len(), self.len, shrinking)
            }
            _ => false,
        }
    }

    /// The listpack of a list of one packed node, which is left empty; `None` for any other list.
    pub fn take_pack(&mut self) -> Option<Vec<u8>> {
        if self.nodes.len() != 1 || self.nodes[0].is_plain() {
            return None;
        }
        debug_assert_eq!(self.len, self.nodes[0].len(), "one node holds all");
        self.len = 0;
        self.nodes.pop_front().map(Node::into_raw)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes in order, as a snapshot stores them.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeRef<'_>> {
        self.nodes.iter().map(Node::view)
    }

    /// Heap bytes. Exact up to 64 nodes, beyond that extrapolated from the first 64.
    pub fn mem_bytes(&self) -> usize {
        let seen = self.nodes.len().min(64);
        let bytes: usize = self.nodes.iter().take(seen).map(Node::mem_bytes).sum();
        self.nodes.capacity() * size_of::<Node>() + bytes * self.nodes.len() / seen.max(1)
    }

    /// Moves blocks of up to `most` nodes from one of this number on, those that leave, and with the first that of the chain. Answers the
    /// number of the next node; none behind the last.
    pub(super) fn move_step(&mut self, at: usize, most: usize, mover: &mut Mover) -> Option<usize> {
        if at == 0 {
            mover.ring(&mut self.nodes);
        }
        let nodes = self.nodes.iter_mut().skip(at).take(most);
        nodes.for_each(|node| node.move_away(mover));
        Some(at + most).filter(|next| *next < self.nodes.len())
    }

    /// Puts an element before all others.
    pub fn push_front(&mut self, value: &[u8], limits: &ListLimits) {
        self.len += 1;
        if let Some(node) = self
            .nodes
            .front_mut()
            .filter(|node| node.has_room(value, limits))
        {
            node.push_front(value);
            return;
        }
        if let Some(full) = self.nodes.front_mut() {
            full.finish();
        }
        self.nodes.push_front(Node::of(value, limits));
        self.settle(limits);
    }

    /// Puts an element behind all others.
    pub fn push_back(&mut self, value: &[u8], limits: &ListLimits) {
        self.len += 1;
        if let Some(node) = self
            .nodes
            .back_mut()
            .filter(|node| node.has_room(value, limits))
        {
            node.push_back(value);
            return;
        }
        if let Some(full) = self.nodes.back_mut() {
            full.finish();
        }
        self.nodes.push_back(Node::of(value, limits));
        self.settle(limits);
    }

    /// Hands the first element to `take` and removes it.
    pub fn pop_front<R>(
        &mut self,
        take: impl FnOnce(Entry<'_>) -> R,
        limits: &ListLimits,
    ) -> Option<R> {
        let node = self.nodes.front_mut()?;
        let taken = node.pop_front(take)?;
        self.len -= 1;
        debug_assert!(node.len() <= self.len, "a node holds more than the list");
        if node.len() == 0 {
            self.nodes.pop_front();
            self.tidy(limits);
        }
        Some(taken)
    }

    /// Hands the last element to `take` and removes it.
    pub fn pop_back<R>(
        &mut self,
        take: impl FnOnce(Entry<'_>) -> R,
        limits: &ListLimits,
    ) -> Option<R> {
        let node = self.nodes.back_mut()?;
        let taken = node.pop_back(take)?;
        self.len -= 1;
        debug_assert!(node.len() <= self.len, "a node holds more than the list");
        if node.len() == 0 {
            self.nodes.pop_back();
            self.tidy(limits);
        }
        Some(taken)
    }

    /// Shows the element at `index`, negative from the end.
    pub fn get<R>(&self, index: i64, see: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        let (at, offset) = self.locate(list_pack::resolve(index, self.len)?)?;
        self.nodes[at].get(offset, see)
    }

    /// Replaces the element at `index`, negative from the end; false if there is none. A replacement in a packed node
    /// stays there even beyond the limit, as in Redis 7.2.
    pub fn set(&mut self, index: i64, value: &[u8], limits: &ListLimits) -> bool {
        let Some((at, offset)) =
            list_pack::resolve(index, self.len).and_then(|index| self.locate(index))
        else {
            return false;
        };
        let node = &mut self.nodes[at];
        match (node.is_plain(), limits.is_plain(value)) {
            (false, false) => {
                node.edit(node.len(), |blob| {
                    list_pack::set(blob, offset as i64, value)
                });
                self.recompress(at, limits);
            }
            (true, true) => *node = Node::plain(value.to_vec()),
            // The old element stays the last of its node while the new one goes behind it.
            _ => {
                self.insert_beside(at, offset, true, value, limits);
                self.remove_in_node(at, offset, 1);
            }
        }
        self.tidy(limits);
        true
    }

    /// Inserts before or after the first element equal to `pivot`; false if there is none.
    pub fn insert(&mut self, pivot: &[u8], after: bool, value: &[u8], limits: &ListLimits) -> bool {
        let found = self
            .nodes
            .iter()
            .enumerate()
            .find_map(|(at, node)| Some((at, node.find(pivot)?)));
        let Some((at, offset)) = found else {
            return false;
        };
        self.insert_beside(at, offset, after, value, limits);
        self.tidy(limits);
        true
    }

    /// Inserts before or after the element at `index`, counted from 0; false if there is none.
    pub fn insert_at(
        &mut self,
        index: usize,
        after: bool,
        value: &[u8],
        limits: &ListLimits,
    ) -> bool {
        let Some((at, offset)) = self.locate(index) else {
            return false;
        };
        self.insert_beside(at, offset, after, value, limits);
        self.tidy(limits);
        true
    }

    /// Removes elements equal to `value` and returns how many: all if `count` is 0, at most `count` from the head, or
    /// at most `-count` from the tail, as LREM counts.
    pub fn remove_value(&mut self, value: &[u8], count: i64, limits: &ListLimits) -> usize {
        let most = if count == 0 {
            usize::MAX
        } else {
            usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
        };
        let mut removed = 0;
        let nodes = self.nodes.len();
        for step in 0..nodes {
            if removed == most {
                break;
            }
            let at = if count < 0 { nodes - 1 - step } else { step };
            removed += self.nodes[at].remove_value(value, most - removed, count < 0);
        }
        assert!(
            removed <= self.len.min(most),
            "more than there were or were asked for"
        );
        self.len -= removed;
        if removed > 0 {
            self.nodes.retain(|node| node.len() > 0);
            self.settle_all(limits);
            self.tidy(limits);
        }
        removed
    }

    /// Keeps `count` elements from `start` on.
    pub fn trim(&mut self, start: usize, count: usize, limits: &ListLimits) {
        let end = start.saturating_add(count).min(self.len);
        self.remove_range(end, self.len - end, limits);
        self.remove_range(0, start, limits);
    }

    /// Removes `count` elements from `start` on; what lies beyond the end is ignored.
    pub fn remove_range(&mut self, start: usize, count: usize, limits: &ListLimits) {
        let mut left = count.min(self.len.saturating_sub(start));
        if left == 0 {
            return;
        }
        let Some((mut at, offset)) = self.locate(start) else {
            return;
        };
        if offset > 0 {
            let part = left.min(self.nodes[at].len() - offset);
            self.remove_in_node(at, offset, part);
            left -= part;
            at += 1;
        }
        let first_whole = at;
        while left > 0 && self.nodes[at].len() <= left {
            left -= self.nodes[at].len();
            self.len -= self.nodes[at].len();
            at += 1;
        }
        debug_assert!(left == 0 || at < self.nodes.len(), "the range lies inside");
        self.nodes.drain(first_whole..at);
        if left > 0 {
            self.remove_in_node(first_whole, 0, left);
        }
        self.recompress(first_whole.saturating_sub(1), limits);
        self.recompress(first_whole, limits);
        self.tidy(limits);
    }

    /// Shows `count` elements from index `start` on, in order, until `see` breaks off.
    pub fn visit(
        &self,
        start: usize,
        count: usize,
        mut see: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) {
        let mut left = count.min(self.len.saturating_sub(start));
        let Some((mut at, mut offset)) = self.locate(start) else {
            return;
        };
        while left > 0 {
            let node = &self.nodes[at];
            let part = left.min(node.len() - offset);
            if node.visit(offset, part, &mut see).is_break() {
                return;
            }
            left -= part;
            at += 1;
            offset = 0;
        }
    }

    /// Shows `count` elements from index `last` downwards, until `see` breaks off.
    pub fn visit_rev(
        &self,
        last: usize,
        count: usize,
        mut see: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) {
        let mut left = count.min(last.saturating_add(1));
        let Some((mut at, mut offset)) = self.locate(last) else {
            return;
        };
        while left > 0 {
            let part = left.min(offset + 1);
            if self.nodes[at].visit_rev(offset, part, &mut see).is_break() {
                return;
            }
            left -= part;
            if left > 0 {
                at -= 1;
                offset = self.nodes[at].len() - 1;
            }
        }
    }

    /// Compresses and uncompresses nodes as `list-compress-depth` asks; every change of the chain does so itself.
    pub fn settle(&mut self, limits: &ListLimits) {
        debug_assert_eq!(self.len == 0, self.nodes.is_empty(), "no node is empty");
        let depth = limits.compress_depth as usize;
        if depth == 0 {
            return;
        }
        let nodes = self.nodes.len();
        for at in 0..depth.min(nodes) {
            self.nodes[at].open();
            self.nodes[nodes - 1 - at].open();
        }
        if nodes > 2 * depth {
            self.nodes[depth].squeeze();
            self.nodes[nodes - 1 - depth].squeeze();
        }
    }

    /// Compresses all inner nodes: for a list that was just loaded.
    pub fn settle_all(&mut self, limits: &ListLimits) {
        let depth = limits.compress_depth as usize;
        let nodes = self.nodes.len();
        if depth > 0 && nodes > 2 * depth {
            self.nodes
                .range_mut(depth..nodes - depth)
                .for_each(Node::squeeze);
        }
        self.settle(limits);
    }

    /// Tests the invariants of the head of this file.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub fn check(&self, limits: &ListLimits) -> Result<(), String> {
        let depth = limits.compress_depth as usize;
        for (at, node) in self.nodes.iter().enumerate() {
            node.check().map_err(|what| format!("node {at}: {what}"))?;
            let edge = at < depth || self.nodes.len() - at <= depth;
            if node.is_squeezed() && edge {
                return Err(format!("node {at} of {} is compressed", self.nodes.len()));
            }
        }
        let sum: usize = self.nodes.iter().map(Node::len).sum();
        if sum != self.len {
            Err(format!("list says {}, nodes hold {sum}", self.len))
        } else {
            Ok(())
        }
    }

    /// Node and offset in it of an index from 0.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (at, node) in self.nodes.iter().enumerate() {
                if left < node.len() {
                    return Some((at, left));
                }
                left -= node.len();
            }
            return None;
        }
        let mut left = self.len - index;
        for (at, node) in self.nodes.iter().enumerate().rev() {
            if left <= node.len() {
                return Some((at, node.len() - left));
            }
            left -= node.len();
        }
        None
    }

    /// Removes elements of one node, and the node if none stays.
    fn remove_in_node(&mut self, at: usize, offset: usize, count: usize) {
        assert!(count <= self.len, "more than there are");
        self.len -= count;
        let node = &mut self.nodes[at];
        debug_assert!(offset + count <= node.len(), "elements of this node");
        if node.len() == count {
            self.nodes.remove(at);
        } else {
            node.remove(offset, count);
        }
    }

    /// After nodes went: give memory of a short chain back, and restore the compression of the ends.
    fn tidy(&mut self, limits: &ListLimits) {
        if self.nodes.capacity() > 16 && self.nodes.capacity() / 4 > self.nodes.len() {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
        self.settle(limits);
    }
}
