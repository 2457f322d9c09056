//! The counted B+tree against a sorted vector: random steps from printed seeds.

use cairn_engine::structure::btree::{Coarse, Tree};

/// An item that shares its coarse number with up to three others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number(u64);

impl Coarse for Number {
    fn coarse(&self) -> u64 {
        self.0 / 4
    }
}

/// A small generator (xorshift64*), so that a seed names a run whatever the crates do.
struct Steps(u64);

impl Steps {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[derive(Default)]
struct Pair {
    tree: Tree<Number>,
    model: Vec<Number>,
}

impl Pair {
    fn insert(&mut self, item: u64) {
        let item = Number(item);
        if let Err(at) = self.model.binary_search(&item) {
            self.model.insert(at, item);
            self.tree.insert(item, |x| *x < item);
        }
    }

    fn remove(&mut self, item: u64) {
        let item = Number(item);
        let there = self
            .model
            .binary_search(&item)
            .ok()
            .map(|at| self.model.remove(at));
        assert_eq!(self.tree.remove(item.coarse(), |x| x.cmp(&item)), there);
    }

    fn remove_range(&mut self, start: usize, end: usize) {
        let end_there = end.min(self.model.len());
        let expected: Vec<Number> = self.model.drain(start.min(end_there)..end_there).collect();
        let mut removed = Vec::new();
        self.tree.remove_range(start..end, |x| removed.push(x));
        assert_eq!(removed, expected);
    }

    fn look(&self, steps: &mut Steps, span: u64) {
        let item = Number(steps.next() % span);
        assert_eq!(
            self.tree.rank(item.coarse(), |x| x.cmp(&item)),
            self.model.binary_search(&item).ok()
        );
        assert_eq!(
            self.tree.partition_point(|x| *x < item),
            self.model.partition_point(|x| *x < item)
        );
        let rank = steps.below(self.model.len() + 2);
        assert_eq!(self.tree.get(rank), self.model.get(rank).copied());
        let end = rank + steps.below(200);
        let expected = &self.model
            [rank.min(self.model.len())..end.min(self.model.len()).max(rank.min(self.model.len()))];
        let mut range = self.tree.range(rank..end);
        assert_eq!(range.len(), expected.len());
        let (mut front, mut back) = (Vec::new(), Vec::new());
        while range.len() > 0 {
            if steps.below(2) == 0 {
                front.extend(range.next())
            } else {
                back.extend(range.next_back())
            }
        }
        assert_eq!((range.next(), range.next_back()), (None, None));
        front.extend(back.into_iter().rev());
        assert_eq!(front, expected);
    }

    fn check(&self) {
        self.tree.check(|a, b| a < b).unwrap();
        assert_eq!(self.tree.len(), self.model.len());
        assert!(self.tree.iter().eq(self.model.iter().copied()));
        assert!(self.tree.iter().rev().eq(self.model.iter().rev().copied()));
    }
}

fn run(seed: u64, span: u64, rounds: usize) {
    eprintln!("seed {seed}");
    let mut steps = Steps(seed);
    let mut pair = Pair::default();
    for round in 0..rounds {
        // Phases of growth and of shrinking, so that every depth is entered and left.
        let growing = (round / 3) % 2 == 0;
        for _ in 0..2_000 {
            let item = steps.next() % span;
            match steps.below(100) {
                0..2 if !growing => {
                    let start = steps.below(pair.model.len() + 1);
                    let end = start + steps.below(150);
                    pair.remove_range(start, end);
                }
                n if (n < 75) == growing => pair.insert(item),
                _ if pair.model.is_empty() => {}
                n if n % 4 == 0 => pair.remove(item),
                _ => {
                    let there = pair.model[steps.below(pair.model.len())].0;
                    pair.remove(there);
                }
            }
            if steps.below(20) == 0 {
                pair.look(&mut steps, span);
            }
        }
        pair.check();
    }
}

#[test]
fn random_steps_agree_with_a_sorted_vector() {
    for seed in 1..=6 {
        run(seed, 1 << 20, 24);
        run(seed + 100, 700, 8);
    }
}

#[test]
fn appending_in_order_fills_leaves_and_popping_from_either_end_keeps_them() {
    let mut pair = Pair::default();
    for item in 0..30_000_u64 {
        pair.model.push(Number(item));
        pair.tree.push(Number(item));
    }
    pair.check();
    let bytes = pair.tree.mem_bytes();
    assert!(
        bytes < 30_000 * 9,
        "{bytes} bytes for 30,000 items of 8 bytes appended in order"
    );
    for item in 0..10_000 {
        pair.remove(item);
        pair.remove(29_999 - item);
        if item % 1_000 == 0 {
            pair.check();
        }
    }
    pair.check();
    for item in (0..10_000).rev() {
        pair.insert(item);
    }
    pair.check();
    pair.remove_range(0, usize::MAX);
    pair.check();
    assert_eq!(pair.tree.mem_bytes(), 0);
}

#[test]
fn half_of_the_maximum_is_kept_when_one_of_many_stays() {
    let mut pair = Pair::default();
    for item in 0..20_000_u64 {
        pair.insert(item * 7919 % 20_011);
    }
    let full = pair.tree.mem_bytes();
    assert!(
        full < 20_000 * 10,
        "{full} bytes for 20,000 items of 8 bytes in random order"
    );
    for item in 0..20_011 {
        if item % 50 != 0 {
            pair.remove(item);
        }
    }
    pair.check();
    assert!(
        pair.tree.mem_bytes() < full / 30,
        "{} of {full} bytes",
        pair.tree.mem_bytes()
    );
}

#[test]
fn ranges_beyond_the_end_are_cut() {
    let mut pair = Pair::default();
    for item in 0..100 {
        pair.insert(item);
    }
    assert_eq!(pair.tree.range(90..1_000).count(), 10);
    assert_eq!(pair.tree.range(1_000..2_000).count(), 0);
    pair.remove_range(100, 200);
    pair.remove_range(95, usize::MAX);
    assert_eq!(pair.tree.len(), 95);
    pair.check();
}
