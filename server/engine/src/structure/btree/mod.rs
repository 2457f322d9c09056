//! A counted B+tree: a sequence of small items in order, with rank and selection in O(log n).
//!
//! ```text
//!                    Inner   firsts  [ a      | k      | t     ]   smallest item below each child
//!                            counts  [ 64     | 40     | 12    ]   items below each child
//!                            nodes   [ *      | *      | *     ]
//!                                      |        |        |
//!                    Leaf            [a b ..] [k l ..] [t u ..]    up to 64 items, in order
//! ```
//!
//! The tree knows of its items one number, which orders most of them ([`Coarse`]); how items of equal numbers compare a
//! closure tells that each search is handed, so an item can be a bare handle that only its owner can read (the sorted set
//! keeps score bits and a pointer in 16 bytes). Leaves are vectors whose
//! capacity follows their length in steps of 8 items, because half-empty arrays of fixed size would cost the sorted
//! set of random scores about 7 bytes per member. There are no links between leaves: an iterator finds the next leaf
//! by rank, one descent for some fifty items, and every edit stays plain safe code.
//!
//! Invariants ([`Tree::check`] tests them):
//! - all leaves are equally deep, and none is empty unless the whole tree is;
//! - `firsts[i]` is a bitwise copy of the first item below child `i`, at every moment between two calls. A caller
//!   whose items are pointers may therefore free what an item points to as soon as the item was removed;
//! - `counts[i]` is the number of items below child `i`;
//! - a node holds at least half of its maximum, except the root and nodes on the right edge, which appending in order
//!   leaves behind it full instead of splitting them in the middle.

mod node;
mod range;
mod search;

use node::Node;
pub use range::Range;
pub use search::Coarse;

use super::mover::Mover;
use std::cmp::Ordering;
use std::ops;

/// A sequence of items kept in the order that the caller's closures tell.
///
/// All closures of one tree must agree on one total order of its items; if they do not, the tree stays memory-safe and
/// only finds less than it holds.
pub struct Tree<T> {
    root: Node<T>,
    len: usize,
}

impl<T: Coarse> Default for Tree<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Coarse> Tree<T> {
    /// An empty tree, which allocates nothing.
    pub const fn new() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
            len: 0,
        }
    }

    /// Number of items.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `item` in front of the first item that is not `less` than it. `less(x)` answers whether `x < item`.
    pub fn insert(&mut self, item: T, mut less: impl FnMut(&T) -> bool) {
        let split = self.root.insert(item, &mut less, true);
        self.len += 1;
        if let Some(right) = split {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            self.root = Node::join(left, right);
        }
        debug_assert_eq!(self.root.count(), self.len);
    }

    /// Puts `item` behind all others: the caller knows that it is the greatest.
    pub fn push(&mut self, item: T) {
        self.insert(item, |_| true);
    }

    /// Takes out the item of the number `coarse` that `order` calls equal. `order(x)` compares the stored `x` with what is sought.
    pub fn remove(&mut self, coarse: u64, mut order: impl FnMut(&T) -> Ordering) -> Option<T> {
        let item = self.root.remove(coarse, &mut order)?;
        self.len -= 1;
        self.root.collapse();
        debug_assert_eq!(self.root.count(), self.len);
        debug_assert_eq!(item.coarse(), coarse, "what was sought");
        Some(item)
    }

    /// Takes out the items of the rank range, in order, and hands each to `out`. A range that reaches beyond the end is
    /// cut there. Costs one descent for each leaf it touches.
    pub fn remove_range(&mut self, ranks: ops::Range<usize>, mut out: impl FnMut(T)) {
        let end = ranks.end.min(self.len);
        let mut left = end.saturating_sub(ranks.start);
        while left > 0 {
            let removed = self.root.remove_run(ranks.start, left, &mut out);
            assert!(
                removed > 0 && removed <= left,
                "a rank below the length lies in some leaf"
            );
            left -= removed;
            self.len -= removed;
            self.root.collapse();
        }
        debug_assert_eq!(self.root.count(), self.len);
    }

    /// Puts another item in the place of the one of its number that `order` calls equal; whether there was one. `order(x)` compares the
    /// stored `x` with what is sought.
    pub fn replace(&mut self, item: T, mut order: impl FnMut(&T) -> Ordering) -> bool {
        self.root.replace(item, &mut order)
    }

    /// Moves the blocks of the leaf that holds `rank` and of the nodes above it, those that leave. Answers how many ranks further
    /// the next leaf begins; none if there is none at this rank.
    pub fn move_step(&mut self, rank: usize, mover: &mut Mover) -> Option<usize> {
        (rank < self.len).then(|| self.root.move_step(rank, mover))
    }

    /// Rank of the first item that is not `less`, which is also the number of items that are: `len()` if all are.
    /// `less` must be true for a prefix of the sequence and false behind it.
    pub fn partition_point(&self, mut less: impl FnMut(&T) -> bool) -> usize {
        let rank = self.root.partition_point(&mut less);
        debug_assert!(rank <= self.len, "a rank or the length");
        rank
    }

    /// Rank of the item of the number `coarse` that `order` calls equal. `order(x)` compares the stored `x` with what is sought.
    pub fn rank(&self, coarse: u64, mut order: impl FnMut(&T) -> Ordering) -> Option<usize> {
        let rank = self.root.rank(coarse, &mut order);
        debug_assert!(
            rank.is_none_or(|rank| rank < self.len),
            "the rank of an item"
        );
        rank
    }

    /// The item at `rank`, counted from 0.
    pub fn get(&self, rank: usize) -> Option<T> {
        (rank < self.len).then(|| {
            let (leaf, offset) = self.root.leaf_at(rank);
            leaf[offset]
        })
    }

    /// The items of a rank range, from both ends. A range that reaches beyond the end is cut there.
    pub fn range(&self, ranks: ops::Range<usize>) -> Range<'_, T> {
        Range::new(self, ranks)
    }

    /// All items in order.
    pub fn iter(&self) -> Range<'_, T> {
        self.range(0..self.len)
    }

    /// Heap bytes of the nodes. Exact for up to 64 leaves, beyond that extrapolated from the first 64, so that the
    /// question costs the same for every size.
    pub fn mem_bytes(&self) -> usize {
        let mut sample = node::Sample::new(64);
        self.root.sample(&mut sample);
        sample.bytes_for(self.len)
    }

    /// Tests every invariant of the head of this file; `before(a, b)` tells whether `a` must stand before `b`.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub fn check(&self, mut before: impl FnMut(&T, &T) -> bool) -> Result<(), String>
    where
        T: PartialEq,
    {
        let mut depth = None;
        let count = self.root.check(0, &mut depth, true, true)?;
        if count != self.len {
            return Err(format!("tree says {} items, leaves hold {count}", self.len));
        }
        let mut last: Option<T> = None;
        for item in self.iter() {
            if last.is_some_and(|last| !before(&last, &item)) {
                return Err("two neighbours out of order".into());
            }
            last = Some(item);
        }
        Ok(())
    }

    /// The leaf that holds `rank` and the offset in it; `rank` must be below `len`.
    fn leaf_at(&self, rank: usize) -> (&[T], usize) {
        debug_assert!(rank < self.len, "rank {rank} of {}", self.len);
        self.root.leaf_at(rank)
    }
}
