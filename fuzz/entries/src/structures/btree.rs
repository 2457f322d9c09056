//! A counted tree against a sorted vector.

use cairn_engine::structure::btree::{Coarse, Tree};

use super::more;
use crate::steps::Steps;

/// An item that shares its coarse number with some others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number(u32);

impl Coarse for Number {
    fn coarse(&self) -> u64 {
        u64::from(self.0 / 7)
    }
}

/// A counted tree against a sorted vector.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let (mut tree, mut model) = (Tree::<Number>::new(), Vec::<Number>::new());
    let mut taken = 0;
    while more(&steps, &mut taken) {
        match steps.byte() % 6 {
            0 => {
                let (first, count, gap) = (
                    steps.below(60_000) as u32,
                    steps.below(100) as u32,
                    1 + u32::from(steps.byte()),
                );
                (0..count).for_each(|n| put_item(&mut tree, &mut model, Number(first + n * gap)));
            }
            1 => {
                let first = model.last().map_or(0, |last| last.0.saturating_add(1));
                let count = (steps.below(300) as u32).min(u32::MAX - first);
                for item in (first..first + count).map(Number) {
                    tree.push(item);
                    model.push(item);
                }
            }
            2 => put_item(&mut tree, &mut model, Number(steps.long() as u32)),
            3 => {
                let item = match model.is_empty() {
                    true => Number(7),
                    false => model[steps.below(model.len())],
                };
                let there = model.binary_search(&item).ok().map(|at| model.remove(at));
                assert_eq!(tree.remove(item.coarse(), |x| x.cmp(&item)), there);
            }
            4 => {
                let start = steps.below(model.len() + 1);
                let end = (start + steps.below(700)).min(model.len());
                let mut removed = Vec::new();
                tree.remove_range(start..end, |x| removed.push(x));
                assert!(removed.into_iter().eq(model.drain(start..end)));
            }
            _ => {
                let item = Number(steps.long() as u32 % 80_000);
                assert_eq!(
                    tree.rank(item.coarse(), |x| x.cmp(&item)),
                    model.binary_search(&item).ok()
                );
                assert_eq!(
                    tree.partition_point(|x| *x < item),
                    model.partition_point(|x| *x < item)
                );
                let at = steps.below(model.len() + 2);
                assert_eq!(tree.get(at), model.get(at).copied());
                let end = at + steps.below(40);
                assert!(
                    tree.range(at..end)
                        .rev()
                        .eq(model.iter().copied().take(end).skip(at).rev())
                );
            }
        }
        assert_eq!(tree.len(), model.len());
    }
    tree.check(|a, b| a < b).expect("the invariants of a tree");
    assert!(tree.iter().eq(model.iter().copied()));
    assert!(tree.iter().rev().eq(model.iter().rev().copied()));
}

fn put_item(tree: &mut Tree<Number>, model: &mut Vec<Number>, item: Number) {
    if let Err(at) = model.binary_search(&item) {
        model.insert(at, item);
        tree.insert(item, |x| *x < item);
    }
}
