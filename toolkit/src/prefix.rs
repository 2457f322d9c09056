//! Keys by prefix, in bounded memory whatever the keys are.
//!
//! ```text
//!   user:17:name     counts for  user:  and  user:17:
//!
//!   node   count     what was counted since the node is here
//!          weight    its bytes, less what was taken from all nodes
//!          missed    what was taken from all before it came: as many bytes may have gone by uncounted
//! ```
//!
//! When there are too many nodes, the median weight is taken from all of them, and those with none left go: the sketch that is
//! known as "frequent items" or, seen from its bounds, as "space-saving". So the bytes of a prefix lie between `count.bytes` and
//! `count.bytes + missed`, and a prefix with more than [`Tree::missed`] bytes is never absent. Each purge takes the median from
//! half of the nodes at least, so `missed` is at most `2 * bytes of all levels / limit`. Nothing is missed while all prefixes have room.
//!
//! Invariant: a prefix weighs no less than any below it, and leaves no earlier; so the nodes are a tree at any time.

use ahash::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Keys, their elements and their bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Elements; 1 for a string.
    pub elements: u64,
    /// Bytes in the file, with key and attributes.
    pub bytes: u64,
}

impl Count {
    /// Adds another up.
    pub fn add(&mut self, other: Count) {
        self.keys += other.keys;
        self.expires += other.expires;
        self.elements += other.elements;
        self.bytes += other.bytes;
    }
}

/// Prefixes that are kept.
const NODES: usize = 1 << 16;
/// Levels below which a key is not taken apart.
const DEPTH_MAX: usize = 16;
/// Longer prefixes are not kept.
const PREFIX_MAX: usize = 512;
/// Prefixes with less than this part of all bytes are not listed.
const LISTED_PART: u64 = 1000;

/// Counts by prefix.
#[derive(Debug)]
pub struct Tree {
    separator: Vec<u8>,
    limit: usize,
    depth: usize,
    nodes: HashMap<Box<[u8]>, Node, RandomState>,
    missed: u64,
    total: Count,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    count: Count,
    weight: u64,
    missed: u64,
    depth: usize,
}

/// A prefix that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// With the separator at its end.
    pub prefix: Vec<u8>,
    /// 1 for the outermost.
    pub depth: usize,
    /// What was counted.
    pub count: Count,
    /// As many bytes more there may be.
    pub missed: u64,
}

impl Tree {
    /// Keys are taken apart behind each `separator`, which is not empty.
    pub fn new(separator: &[u8]) -> Tree {
        Tree::with_limit(separator, NODES)
    }

    fn with_limit(separator: &[u8], limit: usize) -> Tree {
        assert!(
            !separator.is_empty() && limit > 0,
            "keys come apart, and nodes have room"
        );
        Tree {
            separator: separator.to_vec(),
            limit,
            depth: DEPTH_MAX,
            nodes: HashMap::with_hasher(RandomState::with_seed(seed())),
            missed: 0,
            total: Count::default(),
        }
    }

    /// Takes keys apart no further than so many levels.
    pub fn no_deeper_than(self, depth: usize) -> Tree {
        let depth = depth.min(DEPTH_MAX);
        Tree { depth, ..self }
    }

    /// Counts a key for all of its prefixes.
    pub fn add(&mut self, key: &[u8], count: Count) {
        self.total.add(count);
        let mut end = 0;
        for depth in 1..=self.depth {
            let Some(at) = find(&key[end..], &self.separator) else {
                break;
            };
            end += at + self.separator.len();
            if end > PREFIX_MAX {
                break;
            }
            let prefix = &key[..end];
            let node = match self.nodes.get_mut(prefix) {
                Some(node) => node,
                None => self.nodes.entry(prefix.into()).or_insert(Node {
                    count: Count::default(),
                    weight: 0,
                    missed: self.missed,
                    depth,
                }),
            };
            node.count.add(count);
            node.weight += count.bytes;
        }
        if self.nodes.len() > self.limit {
            self.purge();
        }
    }

    fn purge(&mut self) {
        let mut weights: Vec<u64> = self.nodes.values().map(|node| node.weight).collect();
        let middle = weights.len() / 2;
        let (_, median, _) = weights.select_nth_unstable(middle);
        let taken = (*median).max(1);
        self.nodes.retain(|_, node| {
            node.weight = node.weight.saturating_sub(taken);
            node.weight > 0
        });
        self.missed += taken;
    }

    /// No prefix that is absent has more bytes than this.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Every prefix that is kept, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&[u8], Count)> {
        self.nodes
            .iter()
            .map(|(prefix, node)| (&**prefix, node.count))
    }

    /// The tree, each prefix before those below it, the largest first: at most `top` below one, and none with less than
    /// a thousandth of all bytes.
    pub fn listed(&self, top: usize) -> Vec<Prefix> {
        let floor = self.total.bytes / LISTED_PART;
        let mut below: HashMap<&[u8], Vec<(&[u8], &Node)>> = HashMap::new();
        for (prefix, node) in &self.nodes {
            if node.count.bytes >= floor {
                below
                    .entry(self.parent(prefix))
                    .or_default()
                    .push((prefix, node));
            }
        }
        for nodes in below.values_mut() {
            nodes.sort_by(|a, b| (b.1.count.bytes, a.0).cmp(&(a.1.count.bytes, b.0)));
            nodes.truncate(top);
        }
        let mut listed = Vec::new();
        list(&below, &[], &mut listed);
        listed
    }

    /// What stands before the last part of a prefix.
    fn parent<'a>(&self, prefix: &'a [u8]) -> &'a [u8] {
        let mut end = 0;
        let last = prefix.len() - self.separator.len();
        while let Some(at) = find(&prefix[end..], &self.separator)
            && end + at < last
        {
            end += at + self.separator.len();
        }
        &prefix[..end]
    }
}

/// Drawn anew in each process, so that nobody can make keys that meet.
fn seed() -> usize {
    let drawn = std::hash::RandomState::new().hash_one(0);
    drawn as usize
}

fn list(below: &HashMap<&[u8], Vec<(&[u8], &Node)>>, parent: &[u8], listed: &mut Vec<Prefix>) {
    for (prefix, node) in below.get(parent).into_iter().flatten() {
        listed.push(Prefix {
            prefix: prefix.to_vec(),
            depth: node.depth,
            count: node.count,
            missed: node.missed,
        });
        list(below, prefix, listed);
    }
}

fn find(bytes: &[u8], separator: &[u8]) -> Option<usize> {
    match separator {
        [byte] => bytes.iter().position(|other| other == byte),
        _ => bytes
            .windows(separator.len())
            .position(|part| part == separator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(bytes: u64) -> Count {
        Count {
            keys: 1,
            bytes,
            ..Count::default()
        }
    }

    fn listed(tree: &Tree) -> Vec<(String, u64, u64)> {
        let text = |prefix: Prefix| String::from_utf8(prefix.prefix).unwrap();
        tree.listed(9)
            .into_iter()
            .map(|prefix| (text(prefix.clone()), prefix.count.keys, prefix.count.bytes))
            .collect()
    }

    #[test]
    fn every_prefix_of_a_key_counts_and_a_separator_may_be_long_or_alone() {
        let mut tree = Tree::new(b":");
        for key in [
            &b"user:1:name"[..],
            b"user:1:mail",
            b"user:2:name",
            b"x",
            b"::",
            b"lone:",
        ] {
            tree.add(key, count(10));
        }
        assert_eq!(
            listed(&tree),
            [
                ("user:".to_owned(), 3, 30),
                ("user:1:".to_owned(), 2, 20),
                ("user:2:".to_owned(), 1, 10),
                (":".to_owned(), 1, 10),
                ("::".to_owned(), 1, 10),
                ("lone:".to_owned(), 1, 10),
            ]
        );
        let mut tree = Tree::new(b"--");
        tree.add(b"a--b---c", count(1));
        assert_eq!(
            listed(&tree),
            [("a--".to_owned(), 1, 1), ("a--b--".to_owned(), 1, 1)]
        );
        assert_eq!(tree.missed(), 0);
    }

    /// A crowd of prefixes that come once, and some that come often, in an order that a fixed seed draws.
    fn crowd() -> Vec<(Vec<u8>, u64)> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        (0..60_000)
            .map(|i| {
                let key = match draw(4) {
                    0 => format!("hot:{}:k", draw(5)),
                    1 => format!("warm:{}:{}:k", draw(300), draw(9)),
                    _ => format!("cold{i}:k"),
                };
                (key.into_bytes(), 20 + draw(100))
            })
            .collect()
    }

    #[test]
    fn the_bounds_hold_and_nothing_large_is_absent_when_nodes_are_few() {
        let (mut exact, mut tree) = (
            Tree::with_limit(b":", usize::MAX),
            Tree::with_limit(b":", 256),
        );
        let mut all_levels = 0;
        for (key, bytes) in crowd() {
            exact.add(&key, count(bytes));
            tree.add(&key, count(bytes));
            all_levels += bytes * key.iter().filter(|byte| **byte == b':').count() as u64;
            assert!(tree.nodes.len() <= 256 + DEPTH_MAX);
        }
        assert!(tree.missed() > 0, "it was purged");
        assert!(
            tree.missed() <= 2 * all_levels / 256,
            "{} of {all_levels}",
            tree.missed()
        );
        for (prefix, node) in &exact.nodes {
            let truth = node.count.bytes;
            match tree.nodes.get(prefix) {
                Some(found) => {
                    assert!(
                        found.count.bytes <= truth && truth <= found.count.bytes + found.missed
                    );
                }
                None => assert!(truth <= tree.missed(), "{truth} bytes are absent"),
            }
        }
        for prefix in tree.nodes.keys() {
            let parent = tree.parent(prefix);
            assert!(
                parent.is_empty() || tree.nodes.contains_key(parent),
                "it is a tree"
            );
        }
        assert!(exact.nodes.len() > 30_000);
    }
}
