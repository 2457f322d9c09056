//! A big sorted set: a hash table that owns the members, and a counted B+tree of references to them in order.
//!
//! ```text
//!   table (owns)          allocation                         tree, leaves of up to 64 items
//!   [ . * . . * . . ] --> | f64 score | length | bytes |     [ order of score | reference ] [ ... ]
//!       |                   ^                                                     |
//!       +-------------------+-----------------------------------------------------+
//! ```
//!
//! An item of the tree keeps its score beside the reference, as an integer that sorts as the score does. That costs
//! 8 bytes per member and saves following references (a cache miss each) wherever scores differ; only members of equal
//! score are compared by their bytes. Measured with 16-byte members and random scores: 32 bytes for the allocation,
//! about 10 for the table and 18 for the tree, where a skip list and a dictionary take 133.
//!
//! Invariants (a model test drives all of them, [`Ranked::check`] tests the first two):
//! - table and tree hold the same members, and an item's order is that of its member's score;
//! - a member is in the tree only while the table owns it: it enters the tree after it entered the table, and leaves the
//!   tree before the table gives it up. The tree keeps bitwise copies of items in its inner nodes, but never of an item
//!   that was removed;
//! - members never change their bytes: the table holds them behind pointers, a new score is written in place. Nor do they move, but
//!   in [`Ranked::move_members`], which tells the tree before the old block is freed;
//! - no score is NaN: the commands refuse NaN before they come here.
#![allow(unsafe_code)]

use super::btree::{self, Coarse, Tree};
use super::mover::Mover;
use super::record::ScoredMember;
use super::table::{Ahead, Hasher, Ref, Slot, Table};
use crate::base::random::Random;
use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{self, Bound};

/// Members taken out of the tree before they are taken out of the table, in a removal by rank.
const REMOVE_BATCH: usize = 256;

/// What [`Ranked::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Put {
    /// The member is new.
    Inserted,
    /// The member had another score, this one.
    Updated(f64),
    /// The member had this score already (0 and -0 count as the same).
    Same,
}

/// One end of a range of members of equal score: `-`, `+`, `[member` or `(member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before all members.
    Lowest,
    /// Behind all members.
    Highest,
    /// This member, inside the range.
    Included(&'a [u8]),
    /// This member, outside of the range.
    Excluded(&'a [u8]),
}

/// An item of the tree.
#[derive(Clone, Copy, PartialEq)]
struct Item {
    order: u64,
    member: Ref<ScoredMember>,
}

/// An integer that sorts as scores do; one for both zeros.
fn order_of(score: f64) -> u64 {
    debug_assert!(!score.is_nan(), "NaN has no place in an order");
    let bits = (score + 0.0).to_bits();
    debug_assert!(bits != 1 << 63, "-0 and 0 are one");
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

impl Coarse for Item {
    #[inline]
    fn coarse(&self) -> u64 {
        self.order
    }
}

impl Item {
    fn of(entry: &ScoredMember) -> Self {
        Self {
            order: order_of(entry.score()),
            member: Ref::of(entry),
        }
    }

    /// The member's bytes.
    ///
    /// # Safety
    /// The table owns the member for `'a`.
    unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: owned by the table for 'a, where members never move, by the caller's promise.
        unsafe { self.member.key() }
    }

    /// How this item stands to a score and member.
    ///
    /// # Safety
    /// The table owns this item's member.
    unsafe fn compare(self, order: u64, member: &[u8]) -> Ordering {
        // SAFETY: by the caller's promise.
        self.order
            .cmp(&order)
            .then_with(|| unsafe { self.key() }.cmp(member))
    }
}

/// A sorted set. See the head of this file.
pub struct Ranked {
    table: Table<ScoredMember>,
    tree: Tree<Item>,
}

impl Ranked {
    /// An empty sorted set.
    pub const fn new(hasher: Hasher) -> Self {
        Self {
            table: Table::new(hasher),
            tree: Tree::new(),
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// For looking ahead at members.
    pub fn ahead(&self) -> Ahead<'_> {
        self.table.ahead()
    }

    /// Gives a member its score, which must not be NaN.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Put {
        let mut put = Put::Inserted;
        self.put_with(member, |old| {
            put = match old {
                None => Put::Inserted,
                Some(old) if old == score => Put::Same,
                Some(old) => Put::Updated(old),
            };
            Some(score)
        });
        put
    }

    /// Gives a member the score that `decide` makes of the one it has; `None` leaves all as it is. The score must not be
    /// NaN. One look-up, whatever is decided.
    #[inline]
    pub fn put_with(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) {
        let hash = self.table.hasher().hash(member);
        let Some((slot, entry)) = self.table.lookup(hash, member) else {
            if let Some(score) = decide(None) {
                let slot = self.table.insert(hash, ScoredMember::new(member, score));
                self.enter(Item::of(self.table.get(slot)), member);
            }
            return;
        };
        let old = entry.score();
        match decide(Some(old)) {
            Some(score) if score != old => {
                self.leave(old, member);
                let entry = self.table.get_mut(slot);
                entry.set_score(score);
                let item = Item::of(entry);
                self.enter(item, member);
            }
            _ => {}
        }
        debug_assert_eq!(self.table.len(), self.tree.len());
    }

    /// Removes a member and returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let slot = self.find(member)?;
        let score = self.table.get(slot).score();
        self.leave(score, member);
        drop(self.table.remove(slot));
        assert_eq!(
            self.table.len(),
            self.tree.len(),
            "table and tree hold the same"
        );
        Some(score)
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        Some(self.table.get(self.find(member)?).score())
    }

    /// Whether there is such a member.
    pub fn contains(&self, member: &[u8]) -> bool {
        self.find(member).is_some()
    }

    /// Rank (0 for the lowest) and score of a member. The rank from the top is `len() - 1 - rank`.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        let order = order_of(score);
        // SAFETY: every item of the tree is owned by the table.
        let rank = self
            .tree
            .rank(order, |item| unsafe { item.compare(order, member) });
        Some((rank.expect("a member of the table is in the tree"), score))
    }

    /// The member and score at a rank.
    pub fn get(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.tree.get(rank).map(|item| self.show(item))
    }

    /// Members and scores of a range of ranks in order, also from the back; cut at the end of the set.
    pub fn range(&self, ranks: ops::Range<usize>) -> Range<'_> {
        Range {
            set: self,
            items: self.tree.range(ranks),
        }
    }

    /// All members and scores in order.
    pub fn iter(&self) -> Range<'_> {
        self.range(0..self.len())
    }

    /// The ranks of the members whose scores lie between two bounds; empty if there is none. O(log n), so its length is
    /// the answer to ZCOUNT.
    pub fn ranks_by_score(&self, min: Bound<f64>, max: Bound<f64>) -> ops::Range<usize> {
        let start = match min {
            Bound::Unbounded => 0,
            Bound::Included(min) => self.count_below(min),
            Bound::Excluded(min) => self.count_up_to(min),
        };
        let end = match max {
            Bound::Unbounded => self.len(),
            Bound::Included(max) => self.count_up_to(max),
            Bound::Excluded(max) => self.count_below(max),
        };
        debug_assert!(start.max(end) <= self.len(), "ranks of members");
        start..end.max(start)
    }

    /// The ranks of the members between two bounds by their bytes, in a set where all scores are equal. In any other
    /// set the answer is some range of ranks.
    pub fn ranks_by_lex(&self, min: LexBound<'_>, max: LexBound<'_>) -> ops::Range<usize> {
        let start = match min {
            LexBound::Lowest => 0,
            LexBound::Highest => self.len(),
            LexBound::Included(min) => self.count_where(|member| member < min),
            LexBound::Excluded(min) => self.count_where(|member| member <= min),
        };
        let end = match max {
            LexBound::Lowest => 0,
            LexBound::Highest => self.len(),
            LexBound::Included(max) => self.count_where(|member| member <= max),
            LexBound::Excluded(max) => self.count_where(|member| member < max),
        };
        debug_assert!(start.max(end) <= self.len(), "ranks of members");
        start..end.max(start)
    }

    /// Removes a range of ranks, cut at the end of the set, and shows each member and score. One descent of the tree
    /// for a leaf of members.
    pub fn remove_range(&mut self, ranks: ops::Range<usize>, mut removed: impl FnMut(&[u8], f64)) {
        let mut left = ranks.end.min(self.len()).saturating_sub(ranks.start);
        let mut batch = Vec::with_capacity(left.min(REMOVE_BATCH));
        while left > 0 {
            let count = left.min(REMOVE_BATCH);
            let (table, hasher) = (&self.table, self.table.hasher());
            self.tree
                .remove_range(ranks.start..ranks.start + count, |item| {
                    // SAFETY: the table owns the member until the loop below.
                    let hash = hasher.hash(unsafe { item.key() });
                    table.ahead().bucket(hash);
                    batch.push((item, hash));
                });
            left -= count;
            for (item, hash) in batch.drain(..) {
                // SAFETY: the item left the tree, and its member leaves the table only after the search.
                let slot = self.table.find(hash, unsafe { item.key() });
                let entry = self
                    .table
                    .remove(slot.expect("a member of the tree is in the table"));
                removed(entry.key(), entry.score());
            }
        }
        assert_eq!(
            self.table.len(),
            self.tree.len(),
            "table and tree hold the same"
        );
    }

    /// Removes the member of the lowest score and hands it to `take`.
    pub fn pop_min<R>(&mut self, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        self.pop_at(0, take)
    }

    /// Removes the member of the highest score and hands it to `take`.
    pub fn pop_max<R>(&mut self, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        self.pop_at(self.len().checked_sub(1)?, take)
    }

    /// Shows some members and returns the next cursor, 0 at the end, with the guarantee of [`Table::scan`].
    pub fn scan(&self, cursor: u64, mut see: impl FnMut(&[u8], f64)) -> u64 {
        self.table
            .scan(cursor, &mut |entry| see(entry.key(), entry.score()))
    }

    /// A member and score by chance, each with the same probability.
    pub fn random(&self, random: &mut Random) -> Option<(&[u8], f64)> {
        (!self.is_empty()).then(|| self.get(random.index(self.len())))?
    }

    /// Tells whether the table may change its size now: see [`Table::set_resize_allowed`].
    pub fn set_resize_allowed(&mut self, allowed: bool) {
        self.table.set_resize_allowed(allowed);
    }

    /// Does due work of the table: see [`Table::rehash_step`].
    pub fn rehash_step(&mut self, steps: usize) -> bool {
        self.table.rehash_step(steps)
    }

    /// One step of a walk over the members that moves blocks: see [`Table::move_step`]. The tree hears where a member is now.
    /// `seen` counts members.
    pub fn move_members(&mut self, cursor: u64, seen: &mut usize, mover: &mut Mover) -> u64 {
        let Self { table, tree } = self;
        table.move_step(cursor, mover, &mut |entry, mover| {
            *seen += 1;
            let Some(moved) = entry.copy_away(mover) else {
                return;
            };
            let item = Item::of(&moved);
            // SAFETY: every item of the tree is owned by the table, this one's old block included until the tree knows the new one.
            let told = tree.replace(item, |other| unsafe {
                other.compare(item.order, entry.key())
            });
            assert!(told, "a member of the table is in the tree");
            *entry = moved;
        })
    }

    /// Moves blocks of the tree from a rank on: see [`Tree::move_step`].
    pub fn move_order(&mut self, rank: usize, mover: &mut Mover) -> Option<usize> {
        self.tree.move_step(rank, mover)
    }

    /// Heap bytes. Members are measured up to 64, beyond that extrapolated from those of the lowest ranks.
    pub fn mem_bytes(&self) -> usize {
        let seen = self.len().min(64);
        let sample: usize = self
            .tree
            .range(0..seen)
            // SAFETY: every item of the tree is owned by the table.
            .map(|item| unsafe { item.member.entry() }.mem_bytes())
            .sum();
        self.table.mem_bytes() + self.tree.mem_bytes() + sample * self.len() / seen.max(1)
    }

    /// Tests that both indexes agree and the tree is well-formed.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.table.check()?;
        self.tree.check(|a, b| {
            // SAFETY: every item of the tree is owned by the table.
            unsafe { a.compare(b.order, b.key()) == Ordering::Less }
        })?;
        if self.tree.len() != self.table.len() {
            return Err(format!(
                "{} in the tree, {} in the table",
                self.tree.len(),
                self.table.len()
            ));
        }
        for item in self.tree.iter() {
            // SAFETY: as above.
            let slot = self
                .find(unsafe { item.key() })
                .ok_or("a member is only in the tree")?;
            if Item::of(self.table.get(slot)) != item {
                return Err("a member stands at another score's place".into());
            }
        }
        Ok(())
    }

    fn find(&self, member: &[u8]) -> Option<Slot> {
        self.table.find(self.table.hasher().hash(member), member)
    }

    fn show(&self, item: Item) -> (&[u8], f64) {
        // SAFETY: items come from the tree, so the table owns the member; it cannot give it up while `self` is borrowed.
        unsafe { (item.key(), item.member.score()) }
    }

    /// Puts the item of a member that the table owns into the tree.
    fn enter(&mut self, item: Item, member: &[u8]) {
        // SAFETY: the table owns the member.
        debug_assert!(unsafe { item.key() } == member, "the item of this member");
        // SAFETY: every item of the tree is owned by the table.
        self.tree.insert(
            item,
            |other| unsafe { other.compare(item.order, member) } == Ordering::Less,
        );
    }

    /// Takes the item of a member that the table still owns out of the tree.
    fn leave(&mut self, score: f64, member: &[u8]) {
        let order = order_of(score);
        // SAFETY: every item of the tree is owned by the table.
        let item = self
            .tree
            .remove(order, |item| unsafe { item.compare(order, member) });
        assert!(item.is_some(), "a member of the table is in the tree");
    }

    fn pop_at<R>(&mut self, rank: usize, take: impl FnOnce(&[u8], f64) -> R) -> Option<R> {
        let mut popped = None;
        self.tree
            .remove_range(rank..rank + 1, |item| popped = Some(item));
        debug_assert_eq!(
            self.tree.len() + usize::from(popped.is_some()),
            self.table.len()
        );
        // SAFETY: the item left the tree, and its member leaves the table only below.
        let slot = self.find(unsafe { popped?.key() });
        let entry = self
            .table
            .remove(slot.expect("a member of the tree is in the table"));
        Some(take(entry.key(), entry.score()))
    }

    fn count_below(&self, score: f64) -> usize {
        let order = order_of(score);
        self.tree.partition_point(|item| item.order < order)
    }

    fn count_up_to(&self, score: f64) -> usize {
        let order = order_of(score);
        self.tree.partition_point(|item| item.order <= order)
    }

    fn count_where(&self, mut less: impl FnMut(&[u8]) -> bool) -> usize {
        // SAFETY: every item of the tree is owned by the table.
        self.tree
            .partition_point(|item| less(unsafe { item.key() }))
    }
}

impl fmt::Debug for Ranked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranked")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Members and scores of a range of ranks. Made by [`Ranked::range`].
pub struct Range<'a> {
    set: &'a Ranked,
    items: btree::Range<'a, Item>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        let set = self.set;
        self.items.next().map(|item| set.show(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let set = self.set;
        self.items.next_back().map(|item| set.show(item))
    }
}

impl ExactSizeIterator for Range<'_> {}
impl FusedIterator for Range<'_> {}

impl fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::order_of;

    #[test]
    fn orders_sort_as_scores_do() {
        let scores = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -5e-324,
            0.0,
            5e-324,
            1.0,
            1.5,
            f64::MAX,
            f64::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(order_of(pair[0]) < order_of(pair[1]), "{pair:?}");
        }
        assert_eq!(order_of(-0.0), order_of(0.0));
    }
}
