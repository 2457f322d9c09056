//! Iteration over a range of ranks, from both ends.

use super::{Coarse, Tree};
use std::iter::FusedIterator;
use std::ops;
use std::slice;

/// Items of a rank range in order; also from the back. Made by [`Tree::range`].
pub struct Range<'a, T> {
    tree: &'a Tree<T>,
    /// Ranks of which no leaf was opened yet; what lies before is in `head`, what lies behind is in `tail`.
    unopened: ops::Range<usize>,
    head: slice::Iter<'a, T>,
    tail: slice::Iter<'a, T>,
}

impl<'a, T: Coarse> Range<'a, T> {
    pub(super) fn new(tree: &'a Tree<T>, ranks: ops::Range<usize>) -> Self {
        let end = ranks.end.min(tree.len());
        let unopened = ranks.start.min(end)..end;
        Self {
            tree,
            unopened,
            head: [].iter(),
            tail: [].iter(),
        }
    }

    fn open_front(&mut self) {
        let (leaf, offset) = self.tree.leaf_at(self.unopened.start);
        let end = leaf.len().min(offset + self.unopened.len());
        debug_assert!(offset < end, "a leaf that holds the rank");
        self.unopened.start += end - offset;
        self.head = leaf[offset..end].iter();
    }

    fn open_back(&mut self) {
        let (leaf, offset) = self.tree.leaf_at(self.unopened.end - 1);
        let start = (offset + 1).saturating_sub(self.unopened.len());
        debug_assert!(offset < leaf.len(), "a leaf that holds the rank");
        self.unopened.end -= offset + 1 - start;
        self.tail = leaf[start..=offset].iter();
    }
}

impl<T: Coarse> Iterator for Range<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some(item) = self.head.next() {
            return Some(*item);
        }
        if self.unopened.is_empty() {
            return self.tail.next().copied();
        }
        self.open_front();
        self.head.next().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.head.len() + self.unopened.len() + self.tail.len();
        (left, Some(left))
    }
}

impl<T: Coarse> DoubleEndedIterator for Range<'_, T> {
    fn next_back(&mut self) -> Option<T> {
        if let Some(item) = self.tail.next_back() {
            return Some(*item);
        }
        if self.unopened.is_empty() {
            return self.head.next_back().copied();
        }
        self.open_back();
        self.tail.next_back().copied()
    }
}

impl<T: Coarse> ExactSizeIterator for Range<'_, T> {}
impl<T: Coarse> FusedIterator for Range<'_, T> {}
