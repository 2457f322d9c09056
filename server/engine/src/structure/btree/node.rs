//! Nodes of the counted B+tree: search, insertion with splits, removal with borrowing and merging.

use super::search::{Coarse, split_at};
use crate::structure::fetch;
use crate::structure::mover::Mover;
use std::cmp::Ordering;
use std::mem;

/// Most items of a leaf: 1 KB of 16-byte items, the last allocation class with steps of 128 bytes.
pub(super) const LEAF_MAX: usize = 64;
/// Most children of an inner node.
pub(super) const INNER_MAX: usize = 64;
/// Vectors grow and shrink by so many places.
const STEP: usize = 8;

/// A leaf with items or an inner node with children.
pub(super) enum Node<T> {
    Leaf(Vec<T>),
    Inner(Box<Inner<T>>),
}

/// Children with the smallest item and the number of items below each, in three arrays: a search by item reads only
/// the first, a search by rank only the second.
pub(super) struct Inner<T> {
    firsts: Vec<T>,
    counts: Vec<usize>,
    nodes: Vec<Node<T>>,
}

/// Makes room for one more element, a step at a time.
fn make_room<E>(list: &mut Vec<E>) {
    if list.len() == list.capacity() {
        list.reserve_exact(STEP);
    }
}

/// Gives memory back once two steps are unused.
fn give_back<E>(list: &mut Vec<E>) {
    if list.capacity() - list.len() > 2 * STEP {
        list.shrink_to(list.len().next_multiple_of(STEP));
    }
}

const _: () = assert!(LEAF_MAX.is_multiple_of(2 * STEP) && INNER_MAX.is_multiple_of(2 * STEP));

fn split_off<E>(list: &mut Vec<E>, at: usize) -> Vec<E> {
    debug_assert!(0 < at && at < list.len(), "both halves hold something");
    let mut right = Vec::new();
    right.reserve_exact((list.len() - at).next_multiple_of(STEP));
    right.extend(list.drain(at..));
    give_back(list);
    right
}

fn append<E>(left: &mut Vec<E>, right: &mut Vec<E>) {
    left.reserve_exact(right.len().next_multiple_of(STEP));
    left.append(right);
    give_back(left);
}

/// Moves elements between neighbours until `left` holds `target`.
fn share<E>(left: &mut Vec<E>, right: &mut Vec<E>, target: usize) {
    if left.len() > target {
        right.reserve_exact(left.len() - target);
        right.splice(0..0, left.drain(target..));
    } else {
        let missing = target - left.len();
        left.reserve_exact(missing);
        left.extend(right.drain(..missing));
    }
    give_back(left);
    give_back(right);
    debug_assert!(left.len() == target && !right.is_empty(), "shared as asked");
}

impl<T: Coarse> Node<T> {
    /// A root above two halves.
    pub(super) fn join(left: Self, right: Self) -> Self {
        debug_assert!(
            left.first().coarse() <= right.first().coarse(),
            "left and right"
        );
        let mut inner = Inner::with(left);
        inner.put(1, right);
        Self::Inner(Box::new(inner))
    }

    fn first(&self) -> T {
        match self {
            Self::Leaf(items) => items[0],
            Self::Inner(inner) => inner.firsts[0],
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner(inner) => inner.counts.iter().sum(),
        }
    }

    fn is_underfull(&self) -> bool {
        match self {
            Self::Leaf(items) => items.len() < LEAF_MAX / 2,
            Self::Inner(inner) => inner.nodes.len() < INNER_MAX / 2,
        }
    }

    /// Puts `item` before the first that is not less; returns the new right neighbour if this node had to split.
    /// `last` tells that the node is on the right edge of the tree.
    pub(super) fn insert(
        &mut self,
        item: T,
        less: &mut impl FnMut(&T) -> bool,
        last: bool,
    ) -> Option<Self> {
        match self {
            Self::Leaf(items) => {
                fetch::all(items);
                let at = split_at(items, item.coarse(), less);
                insert_in_leaf(items, at, item, last).map(Self::Leaf)
            }
            Self::Inner(inner) => inner
                .insert(item, less, last)
                .map(|right| Self::Inner(Box::new(right))),
        }
    }

    pub(super) fn remove(
        &mut self,
        coarse: u64,
        order: &mut impl FnMut(&T) -> Ordering,
    ) -> Option<T> {
        match self {
            Self::Leaf(items) => {
                fetch::all(items);
                let at = place_of(items, coarse, order)?;
                let item = items.remove(at);
                give_back(items);
                Some(item)
            }
            Self::Inner(inner) => {
                let at = inner.child_of(coarse, order)?;
                let item = inner.nodes[at].remove(coarse, order)?;
                inner.counts[at] -= 1;
                inner.settle(at);
                Some(item)
            }
        }
    }

    pub(super) fn replace(&mut self, item: T, order: &mut impl FnMut(&T) -> Ordering) -> bool {
        match self {
            Self::Leaf(items) => match place_of(items, item.coarse(), order) {
                Some(at) => {
                    items[at] = item;
                    true
                }
                None => false,
            },
            Self::Inner(inner) => {
                let Some(at) = inner.child_of(item.coarse(), order) else {
                    return false;
                };
                let replaced = inner.nodes[at].replace(item, order);
                inner.firsts[at] = inner.nodes[at].first();
                replaced
            }
        }
    }

    /// See [`super::Tree::move_step`]: answers how many ranks of the leaf follow, that at `rank` included.
    pub(super) fn move_step(&mut self, rank: usize, mover: &mut Mover) -> usize {
        match self {
            Self::Leaf(items) => {
                mover.list(items);
                items.len() - rank
            }
            Self::Inner(inner) => {
                mover.boxed(inner);
                mover.list(&mut inner.firsts);
                mover.list(&mut inner.counts);
                mover.list(&mut inner.nodes);
                let (at, rank) = inner.locate(rank);
                inner.nodes[at].move_step(rank, mover)
            }
        }
    }

    /// Removes items from `rank` on, at most `most` and only those of one leaf; returns how many.
    pub(super) fn remove_run(
        &mut self,
        rank: usize,
        most: usize,
        out: &mut impl FnMut(T),
    ) -> usize {
        match self {
            Self::Leaf(items) => {
                let end = items.len().min(rank.saturating_add(most));
                items.drain(rank..end).for_each(out);
                give_back(items);
                end - rank
            }
            Self::Inner(inner) => {
                let (at, offset) = inner.locate(rank);
                let removed = inner.nodes[at].remove_run(offset, most, out);
                inner.counts[at] -= removed;
                inner.settle(at);
                removed
            }
        }
    }

    /// After a removal: a root with one child gives way to it, one without children to an empty leaf.
    pub(super) fn collapse(&mut self) {
        while let Self::Inner(inner) = self {
            if inner.nodes.len() > 1 {
                return;
            }
            *self = inner.nodes.pop().unwrap_or(Self::Leaf(Vec::new()));
        }
    }

    pub(super) fn partition_point(&self, less: &mut impl FnMut(&T) -> bool) -> usize {
        let mut node = self;
        let mut before = 0;
        loop {
            match node {
                Self::Leaf(items) => return before + items.partition_point(less),
                Self::Inner(inner) => {
                    let Some(at) = inner.firsts.partition_point(&mut *less).checked_sub(1) else {
                        return before;
                    };
                    before += inner.counts[..at].iter().sum::<usize>();
                    node = &inner.nodes[at];
                }
            }
        }
    }

    pub(super) fn rank(
        &self,
        coarse: u64,
        order: &mut impl FnMut(&T) -> Ordering,
    ) -> Option<usize> {
        let mut node = self;
        let mut before = 0;
        loop {
            match node {
                Self::Leaf(items) => {
                    fetch::all(items);
                    return place_of(items, coarse, order).map(|at| before + at);
                }
                Self::Inner(inner) => {
                    let at = inner.child_of(coarse, order)?;
                    before += inner.counts[..at].iter().sum::<usize>();
                    node = &inner.nodes[at];
                }
            }
        }
    }

    pub(super) fn leaf_at(&self, rank: usize) -> (&[T], usize) {
        let mut node = self;
        let mut offset = rank;
        loop {
            match node {
                Self::Leaf(items) => return (items, offset),
                Self::Inner(inner) => {
                    let (at, rest) = inner.locate(offset);
                    offset = rest;
                    node = &inner.nodes[at];
                }
            }
        }
    }

    pub(super) fn sample(&self, sample: &mut Sample) {
        match self {
            Self::Leaf(items) => {
                sample.leaves_left = sample.leaves_left.saturating_sub(1);
                sample.items += items.len();
                sample.bytes += items.capacity() * size_of::<T>();
            }
            Self::Inner(inner) => {
                sample.bytes += size_of::<Inner<T>>()
                    + inner.firsts.capacity() * size_of::<T>()
                    + inner.counts.capacity() * size_of::<usize>()
                    + inner.nodes.capacity() * size_of::<Self>();
                for node in &inner.nodes {
                    if sample.leaves_left == 0 {
                        return;
                    }
                    node.sample(sample);
                }
            }
        }
    }

    /// Tests the invariants below this node and returns the number of items.
    pub(super) fn check(
        &self,
        level: usize,
        depth: &mut Option<usize>,
        root: bool,
        last: bool,
    ) -> Result<usize, String>
    where
        T: PartialEq,
    {
        if !root && !last && self.is_underfull() {
            return Err(format!("node on level {level} is less than half full"));
        }
        match self {
            Self::Leaf(items) if *depth.get_or_insert(level) != level => Err(format!(
                "leaf of {} items on level {level}, others elsewhere",
                items.len()
            )),
            Self::Leaf(items) if items.len() > LEAF_MAX || (items.is_empty() && !root) => {
                Err(format!("leaf of {} items", items.len()))
            }
            Self::Leaf(items) => Ok(items.len()),
            Self::Inner(inner) => inner.check(level, depth, root, last),
        }
    }
}

/// Place of the item of the number `coarse` that `order` calls equal.
fn place_of<T: Coarse>(
    items: &[T],
    coarse: u64,
    order: &mut impl FnMut(&T) -> Ordering,
) -> Option<usize> {
    let at = split_at(items, coarse, |item| order(item) == Ordering::Less);
    (order(items.get(at)?) == Ordering::Equal).then_some(at)
}

/// Inserts into a leaf; returns the right half if it was full.
fn insert_in_leaf<T: Coarse>(items: &mut Vec<T>, at: usize, item: T, last: bool) -> Option<Vec<T>> {
    debug_assert!(items.len() <= LEAF_MAX && at <= items.len());
    if items.len() < LEAF_MAX {
        make_room(items);
        items.insert(at, item);
        return None;
    }
    if last && at == LEAF_MAX {
        let mut right = Vec::new();
        make_room(&mut right);
        right.push(item);
        return Some(right);
    }
    let mut right = split_off(items, LEAF_MAX / 2);
    let (half, at) = if at <= LEAF_MAX / 2 {
        (&mut *items, at)
    } else {
        (&mut right, at - LEAF_MAX / 2)
    };
    make_room(half);
    half.insert(at, item);
    Some(right)
}

/// For as long as it has no child.
impl<T> Default for Inner<T> {
    fn default() -> Self {
        Self {
            firsts: Vec::new(),
            counts: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

impl<T: Coarse> Inner<T> {
    fn with(node: Node<T>) -> Self {
        let mut inner = Self::default();
        inner.put(0, node);
        inner
    }

    fn put(&mut self, at: usize, node: Node<T>) {
        make_room(&mut self.firsts);
        make_room(&mut self.counts);
        make_room(&mut self.nodes);
        debug_assert!(
            self.nodes.len() < INNER_MAX && node.count() > 0,
            "no node is empty"
        );
        self.firsts.insert(at, node.first());
        self.counts.insert(at, node.count());
        self.nodes.insert(at, node);
        debug_assert!(self.is_even(), "three arrays of one length");
    }

    fn is_even(&self) -> bool {
        self.firsts.len() == self.nodes.len() && self.counts.len() == self.nodes.len()
    }

    fn take(&mut self, at: usize) -> Node<T> {
        self.firsts.remove(at);
        self.counts.remove(at);
        let node = self.nodes.remove(at);
        give_back(&mut self.firsts);
        give_back(&mut self.counts);
        give_back(&mut self.nodes);
        debug_assert!(self.is_even(), "three arrays of one length");
        node
    }

    /// The child below which the item of the number `coarse` is that `order` calls equal, if it is anywhere.
    fn child_of(&self, coarse: u64, order: &mut impl FnMut(&T) -> Ordering) -> Option<usize> {
        split_at(&self.firsts, coarse, |first| {
            order(first) != Ordering::Greater
        })
        .checked_sub(1)
    }

    /// Child that holds `rank`, and the rank inside it.
    fn locate(&self, mut rank: usize) -> (usize, usize) {
        for (at, count) in self.counts.iter().enumerate() {
            if rank < *count {
                return (at, rank);
            }
            rank -= count;
        }
        unreachable!("the caller keeps ranks below the count of the node");
    }

    fn insert(&mut self, item: T, less: &mut impl FnMut(&T) -> bool, last: bool) -> Option<Self> {
        let at = split_at(&self.firsts, item.coarse(), &mut *less).saturating_sub(1);
        let last = last && at + 1 == self.nodes.len();
        let split = self.nodes[at].insert(item, less, last);
        self.counts[at] += 1;
        self.firsts[at] = self.nodes[at].first();
        let node = split?;
        self.counts[at] -= node.count();
        debug_assert_eq!(self.counts[at], self.nodes[at].count());
        self.insert_child(at + 1, node, last)
    }

    fn insert_child(&mut self, at: usize, node: Node<T>, last: bool) -> Option<Self> {
        if self.nodes.len() < INNER_MAX {
            self.put(at, node);
            return None;
        }
        if last && at == INNER_MAX {
            return Some(Self::with(node));
        }
        let mut right = Self {
            firsts: split_off(&mut self.firsts, INNER_MAX / 2),
            counts: split_off(&mut self.counts, INNER_MAX / 2),
            nodes: split_off(&mut self.nodes, INNER_MAX / 2),
        };
        if at <= INNER_MAX / 2 {
            self.put(at, node);
        } else {
            right.put(at - INNER_MAX / 2, node);
        }
        debug_assert!(
            self.is_even() && right.is_even(),
            "three arrays of one length"
        );
        Some(right)
    }

    /// Restores the invariants after items were removed below child `at`.
    fn settle(&mut self, at: usize) {
        debug_assert_eq!(self.counts[at], self.nodes[at].count());
        if self.counts[at] == 0 {
            self.take(at);
            return;
        }
        self.firsts[at] = self.nodes[at].first();
        if self.nodes[at].is_underfull() && self.nodes.len() > 1 {
            self.balance(at.saturating_sub(1));
        }
    }

    /// Merges child `left` with its right neighbour, or shares evenly what does not fit in one node.
    fn balance(&mut self, left: usize) {
        let mut right = self.take(left + 1);
        let keep = match (&mut self.nodes[left], &mut right) {
            (Node::Leaf(a), Node::Leaf(b)) => {
                let total = a.len() + b.len();
                if total <= LEAF_MAX {
                    append(a, b);
                } else {
                    share(a, b, total / 2);
                }
                total > LEAF_MAX
            }
            (Node::Inner(a), Node::Inner(b)) => a.balance_with(b),
            _ => unreachable!("neighbours are equally deep"),
        };
        assert!(
            keep || self.nodes[left].count() > 0,
            "merged into the left one"
        );
        self.counts[left] = self.nodes[left].count();
        self.firsts[left] = self.nodes[left].first();
        if keep {
            self.put(left + 1, right);
        }
    }

    /// As `balance`, one level down; whether `right` still holds children.
    fn balance_with(&mut self, right: &mut Self) -> bool {
        let total = self.nodes.len() + right.nodes.len();
        if total <= INNER_MAX {
            append(&mut self.firsts, &mut right.firsts);
            append(&mut self.counts, &mut right.counts);
            append(&mut self.nodes, &mut right.nodes);
            return false;
        }
        share(&mut self.firsts, &mut right.firsts, total / 2);
        share(&mut self.counts, &mut right.counts, total / 2);
        share(&mut self.nodes, &mut right.nodes, total / 2);
        true
    }

    fn check(
        &self,
        level: usize,
        depth: &mut Option<usize>,
        root: bool,
        last: bool,
    ) -> Result<usize, String>
    where
        T: PartialEq,
    {
        let children = self.nodes.len();
        if self.firsts.len() != children || self.counts.len() != children || children > INNER_MAX {
            return Err(format!(
                "inner node with {children} children on level {level}"
            ));
        }
        if children == 0 || (root && children < 2) {
            return Err(format!("inner node with {children} children"));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let count = node.check(level + 1, depth, false, last && at + 1 == children)?;
            if count != self.counts[at] {
                return Err(format!(
                    "child {at} holds {count}, its parent says {}",
                    self.counts[at]
                ));
            }
            if node.first() != self.firsts[at] {
                return Err(format!("child {at} on level {level}: wrong first item"));
            }
        }
        Ok(self.counts.iter().sum())
    }
}

/// What a walk over the first leaves has seen.
pub(super) struct Sample {
    leaves_left: usize,
    items: usize,
    bytes: usize,
}

impl Sample {
    pub(super) const fn new(leaves: usize) -> Self {
        Self {
            leaves_left: leaves,
            items: 0,
            bytes: 0,
        }
    }

    /// Bytes for `len` items at the density that was seen.
    pub(super) fn bytes_for(&self, len: usize) -> usize {
        if self.items >= len {
            return self.bytes;
        }
        let bytes = self.bytes as u128 * len as u128 / self.items.max(1) as u128;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

// Keeps the shape that the memory goal was computed with: a child costs its parent 24 bytes beside item and count.
const _: () = assert!(mem::size_of::<Node<u64>>() == 24);
