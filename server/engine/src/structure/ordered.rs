//! An ordered map whose blocks can be moved, some at a time.
//!
//! ```text
//!   map                    rest, while it is being moved
//!   [ a .. k, moved ]      [ m .. z, as they were ]        all keys of `map` are below those of `rest`
//! ```
//! Nodes of the standard library's B-tree belong to it alone. So to move them all entries are taken out of the old tree and put into a
//! new one, some at a time; in between, every question goes to the one part that may know. Nearly always there is no `rest`, and that
//! is all that it costs. A walk that is given up leaves two parts, which is as good; the next one goes on there.
//!
//! Invariants ([`Ordered::check`] tests them): all keys of `map` are below all of `rest`; `rest` is not empty where there is one.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::mem;
use std::ops::{Bound, RangeBounds};

use super::mover::{Blocks, Mover};

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Ordered<K, V> {
    map: BTreeMap<K, V>,
    #[expect(clippy::box_collection, reason = "one word where there is none")]
    rest: Option<Box<BTreeMap<K, V>>>,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Ordered::new()
    }
}

impl<K, V> Ordered<K, V> {
    /// An empty map, which allocates nothing.
    pub const fn new() -> Self {
        Ordered {
            map: BTreeMap::new(),
            rest: None,
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.map.len() + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty() && self.rest.is_none()
    }

    /// All entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map
            .iter()
            .chain(self.rest.iter().flat_map(|r| r.iter()))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> Ordered<K, V> {
    /// Whether a key belongs to `rest`.
    #[inline]
    fn is_in_rest<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let first = self.rest.as_ref().and_then(|rest| rest.first_key_value());
        first.is_some_and(|(first, _)| first.borrow() <= key)
    }

    #[inline]
    fn part<Q: Ord + ?Sized>(&self, key: &Q) -> &BTreeMap<K, V>
    where
        K: Borrow<Q>,
    {
        match &self.rest {
            Some(rest) if self.is_in_rest(key) => rest,
            _ => &self.map,
        }
    }

    #[inline]
    fn part_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> &mut BTreeMap<K, V>
    where
        K: Borrow<Q>,
    {
        let is_in_rest = self.is_in_rest(key);
        match &mut self.rest {
            Some(rest) if is_in_rest => rest,
            _ => &mut self.map,
        }
    }

    /// The last part, which is not empty unless the whole map is.
    #[inline]
    fn last_part(&mut self) -> &mut BTreeMap<K, V> {
        match &mut self.rest {
            Some(rest) => rest,
            None => &mut self.map,
        }
    }

    /// After something was taken out of `rest`.
    #[inline]
    fn settle(&mut self) {
        self.rest.take_if(|rest| rest.is_empty());
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.part(key).get(key)
    }

    /// The value of a key, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.part_mut(key).get_mut(key)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.part(key).contains_key(key)
    }

    /// Gives a key a value; answers the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.part_mut(&key).insert(key, value)
    }

    /// Takes a key out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let removed = self.part_mut(key).remove(key);
        self.settle();
        removed
    }

    /// The first entry.
    #[inline]
    pub fn first(&self) -> Option<(&K, &V)> {
        let rest = || self.rest.as_ref().and_then(|rest| rest.first_key_value());
        self.map.first_key_value().or_else(rest)
    }

    /// The last entry.
    pub fn last(&self) -> Option<(&K, &V)> {
        let rest = self.rest.as_ref().and_then(|rest| rest.last_key_value());
        rest.or_else(|| self.map.last_key_value())
    }

    /// The last entry, to change its value.
    pub fn last_mut(&mut self) -> Option<(&K, &mut V)> {
        self.last_part().iter_mut().next_back()
    }

    /// Takes the first entry out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        if let Some(first) = self.map.pop_first() {
            return Some(first);
        }
        let first = self.rest.as_mut()?.pop_first();
        self.settle();
        first
    }

    /// Entries whose keys lie in a range, in order.
    ///
    /// # Panics
    /// If its start is behind its end, as [`BTreeMap::range`] does.
    pub fn range(&self, range: impl RangeBounds<K> + Clone) -> Range<'_, K, V> {
        Range {
            rest: self.rest.as_ref().map(|rest| rest.range(range.clone())),
            map: self.map.range(range),
        }
    }

    /// The last entry whose key is not above this one, to change its value.
    pub fn last_up_to(&mut self, key: &K) -> Option<(&K, &mut V)> {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        self.part_mut(key).range_mut::<K, _>(up_to).next_back()
    }

    /// Tests the invariants of the head of this file.
    ///
    /// # Errors
    /// Names the one that does not hold.
    pub fn check(&self) -> Result<(), String> {
        let Some(rest) = &self.rest else {
            return Ok(());
        };
        let Some((first, _)) = rest.first_key_value() else {
            return Err("a part of an ordered map is empty".into());
        };
        match self.map.last_key_value() {
            Some((last, _)) if last >= first => Err("parts of an ordered map overlap".into()),
            _ => Ok(()),
        }
    }
}

impl<K: Ord + Clone + Blocks, V: Blocks> Ordered<K, V> {
    /// Bytes of a leaf, about: eleven entries and three numbers.
    const LEAF: usize = 11 * (size_of::<K>() + size_of::<V>()) + 16;

    /// Looks at up to `most` entries, and moves what leaves: blocks of values where they are met; as soon as a node or a key's block
    /// leaves, all entries are put into another tree, up to `most` at a time. `from` is where to go on, at first none. Answers
    /// whether there is more to do.
    pub fn move_step(&mut self, from: &mut Option<K>, most: usize, mover: &mut Mover) -> bool {
        if self.rest.is_none() {
            if !self.finds_leaving(from, most, mover) {
                return from.is_some();
            }
            self.rest = Some(Box::new(mem::take(&mut self.map)));
        }
        *from = None;
        let Some(rest) = &mut self.rest else {
            return false;
        };
        for (mut key, mut value) in std::iter::from_fn(|| rest.pop_first()).take(most) {
            key.move_away(mover);
            value.move_away(mover);
            mover.hits += 1;
            self.map.insert(key, value);
        }
        self.settle();
        self.rest.is_some()
    }

    fn finds_leaving(&mut self, from: &mut Option<K>, most: usize, mover: &mut Mover) -> bool {
        let start = from.take().map_or(Bound::Unbounded, Bound::Included);
        let mut entries = self.map.range_mut((start, Bound::Unbounded));
        for (key, value) in entries.by_ref().take(most) {
            value.move_away(mover);
            // A key lies in its node.
            if mover.is_leaving(key, Self::LEAF) || key.is_leaving(mover) {
                return true;
            }
        }
        *from = entries.next().map(|(key, _)| key.clone());
        false
    }
}

/// Entries of a range of keys. Made by [`Ordered::range`].
#[derive(Debug)]
pub struct Range<'a, K, V> {
    map: btree_map::Range<'a, K, V>,
    rest: Option<btree_map::Range<'a, K, V>>,
}

impl<'a, K, V> Iterator for Range<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.map.next().or_else(|| self.rest.as_mut()?.next())
    }
}

impl<K, V> DoubleEndedIterator for Range<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let last = self.rest.as_mut().and_then(|rest| rest.next_back());
        last.or_else(|| self.map.next_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;

    /// Against the map of the standard library, with moves in between.
    #[test]
    fn it_is_one_map_whatever_is_moved() {
        let mut random = Random::new(5);
        let mut plain: BTreeMap<(i64, u64), Vec<u8>> = BTreeMap::new();
        let mut ordered = Ordered::new();
        let mut from = None;
        let mut in_two = 0;
        for step in 0..20_000 {
            let key = (random.index(20) as i64, random.index(20) as u64);
            match random.index(9) {
                0..3 => {
                    let value = vec![0; random.index(9)];
                    let old = plain.insert(key, value.clone());
                    assert_eq!(ordered.insert(key, value), old, "{step}");
                }
                3 | 4 => assert_eq!(ordered.remove(&key), plain.remove(&key), "{step}"),
                5 if random.index(4) == 0 => assert_eq!(ordered.pop_first(), plain.pop_first()),
                6 => {
                    let below = |m: Option<(&_, &mut Vec<u8>)>| m.map(|(k, v)| (*k, v.clone()));
                    let up_to = plain.range_mut(..=key).next_back();
                    assert_eq!(below(ordered.last_up_to(&key)), below(up_to));
                    let last = plain.last_entry();
                    let last = last.map(|last| (*last.key(), last.get().clone()));
                    assert_eq!(below(ordered.last_mut()), last);
                }
                _ => {
                    let mut some = |_: *const u8| step % 3 == 0;
                    let mut mover = Mover::new(&mut some);
                    ordered.move_step(&mut from, 1 + random.index(30), &mut mover);
                }
            }
            in_two += usize::from(ordered.rest.is_some());
            assert_eq!(ordered.check(), Ok(()));
            assert_eq!(ordered.get(&key), plain.get(&key));
            assert_eq!(ordered.contains_key(&key), plain.contains_key(&key));
            assert_eq!(
                (ordered.first(), ordered.last()),
                (plain.first_key_value(), plain.last_key_value())
            );
            assert!(ordered.iter().eq(plain.iter()) && ordered.len() == plain.len());
            assert!(ordered.iter().rev().eq(plain.iter().rev()));
            assert!(ordered.range(key..).eq(plain.range(key..)));
            assert!(ordered.range(..=key).rev().eq(plain.range(..=key).rev()));
            assert_eq!(ordered.is_empty(), plain.is_empty());
        }
        assert!(in_two > 1_000, "in two parts {in_two} times only");
    }
}
