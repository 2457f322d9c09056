//! Insertion beside an element: into its node, into a neighbour with room, or by splitting.

use super::node::Node;
use super::{List, ListLimits};
use crate::value::list_pack;

impl List {
    /// Inserts before or after the element at `offset` of node `at`, with the same choices as Redis 7.2: the node
    /// itself if it has room, else the neighbour on that side if the element is at the edge, else a new node at the
    /// edge, else the node is split and small neighbours are merged.
    pub(super) fn insert_beside(
        &mut self,
        at: usize,
        offset: usize,
        after: bool,
        value: &[u8],
        limits: &ListLimits,
    ) {
        debug_assert!(
            offset < self.nodes[at].len(),
            "beside an element of this node"
        );
        self.len += 1;
        let edge = if after {
            offset + 1 == self.nodes[at].len()
        } else {
            offset == 0
        };
        if limits.is_plain(value) {
            return self.insert_plain(at, offset, after, edge, value, limits);
        }
        if self.nodes[at].has_room(value, limits) {
            self.nodes[at].grow(|blob| {
                if let Some(pos) = list_pack::position(blob, offset) {
                    list_pack::insert_at(blob, pos, after, value);
                }
            });
            return self.recompress(at, limits);
        }
        if !edge {
            return self.insert_splitting(at, offset, after, value, limits);
        }
        let neighbour = if after {
            Some(at + 1)
        } else {
            at.checked_sub(1)
        };
        let roomy = neighbour.filter(|at| {
            self.nodes
                .get(*at)
                .is_some_and(|node| node.has_room(value, limits))
        });
        match roomy {
            Some(at) if after => self.nodes[at].push_front(value),
            Some(at) => self.nodes[at].push_back(value),
            None => self
                .nodes
                .insert(at + usize::from(after), Node::of(value, limits)),
        }
        self.recompress(roomy.unwrap_or(at + usize::from(after)), limits);
    }

    fn insert_plain(
        &mut self,
        at: usize,
        offset: usize,
        after: bool,
        edge: bool,
        value: &[u8],
        limits: &ListLimits,
    ) {
        if !edge {
            // Afterwards the elements up to the cut are in node `at`, the others in `at + 1`.
            self.split(at, offset + usize::from(after));
            self.nodes.insert(at + 1, Node::of(value, limits));
            self.recompress(at, limits);
            return self.recompress(at + 2, limits);
        }
        self.nodes
            .insert(at + usize::from(after), Node::of(value, limits));
    }

    fn insert_splitting(
        &mut self,
        at: usize,
        offset: usize,
        after: bool,
        value: &[u8],
        limits: &ListLimits,
    ) {
        self.split(at, offset + usize::from(after));
        // Redis merges around the part that was the old node: the left one if inserting after, the right one if before.
        let center = if after {
            self.nodes[at + 1].push_front(value);
            at
        } else {
            self.nodes[at].push_back(value);
            at + 1
        };
        let center = self.merge_around(center, limits);
        for at in center.saturating_sub(2)..(center + 3).min(self.nodes.len()) {
            self.recompress(at, limits);
        }
    }

    /// Cuts node `at` so that its first `keep` elements stay and the others follow in a new node.
    fn split(&mut self, at: usize, keep: usize) {
        let right = self.nodes[at].split(keep);
        self.nodes.insert(at + 1, right);
    }

    /// Merges, in this order and where the sum is within the limit: the two nodes before `center`, the two behind it,
    /// `center` with the one before, the result with the one behind. Returns where the center is then.
    fn merge_around(&mut self, mut center: usize, limits: &ListLimits) -> usize {
        if center >= 2 && self.merge(center - 2, limits) {
            center -= 1;
        }
        self.merge(center + 1, limits);
        if center >= 1 && self.merge(center - 1, limits) {
            center -= 1;
        }
        self.merge(center, limits);
        center
    }

    /// Merges node `left` with the next if both are packed and together within the limit.
    fn merge(&mut self, left: usize, limits: &ListLimits) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(left), self.nodes.get(left + 1)) else {
            return false;
        };
        // A merged listpack has one header of six bytes and one end byte less. (7.0 still takes off the 11 of a ziplist,
        // so that a few chains are cut differently there.)
        let bytes = (a.raw_len() + b.raw_len()).saturating_sub(7);
        if a.is_plain() || b.is_plain() || limits.exceeded(bytes, a.len() + b.len()) {
            return false;
        }
        let (a, b) = (a.len(), b.len());
        if let Some(right) = self.nodes.remove(left + 1) {
            self.nodes[left].append(right);
        }
        debug_assert_eq!(self.nodes[left].len(), a + b, "merging loses nothing");
        true
    }

    /// Compresses node `at` again if it lies deep enough.
    pub(super) fn recompress(&mut self, at: usize, limits: &ListLimits) {
        let depth = limits.compress_depth as usize;
        if depth > 0 && at >= depth && at + depth < self.nodes.len() {
            self.nodes[at].squeeze();
        }
    }
}
