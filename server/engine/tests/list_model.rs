//! The chain of listpacks and the single listpack against a plain vector of strings: random steps from printed seeds.

use cairn_engine::value::list::{List, ListLimits, NodeRef};
use cairn_engine::value::list_pack;
use cairn_format::encoding::listpack;
use std::ops::ControlFlow;

/// A small generator (xorshift64*), so that a seed names a run whatever the crates do.
struct Steps(u64);

impl Steps {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as usize % n
    }

    /// Small integers, short words that repeat, and now and then something long.
    fn value(&mut self) -> Vec<u8> {
        match self.below(40) {
            0..15 => format!("{}", self.below(30)).into_bytes(),
            15..37 => format!("word-{}", self.below(20)).into_bytes(),
            37 => format!("{}", self.below(1 << 40)).into_bytes(),
            38 => vec![b'x'; 100 + self.below(900)],
            _ => vec![b'y'; 3_000 + self.below(9_000)],
        }
    }
}

fn all(list: &List) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    list.visit(0, usize::MAX, |entry| {
        out.push(entry.to_bytes().into_owned());
        ControlFlow::Continue(())
    });
    out
}

/// What LREM does to a vector.
fn remove_value(model: &mut Vec<Vec<u8>>, value: &[u8], count: i64) -> usize {
    let before = model.len();
    let mut left = if count == 0 {
        u64::MAX
    } else {
        count.unsigned_abs()
    };
    let mut keep = |v: &Vec<u8>| {
        let hit = v == value && left > 0;
        left -= u64::from(hit);
        !hit
    };
    if count < 0 {
        model.reverse();
        model.retain(&mut keep);
        model.reverse();
    } else {
        model.retain(&mut keep);
    }
    before - model.len()
}

struct Pair {
    list: List,
    model: Vec<Vec<u8>>,
    limits: ListLimits,
}

impl Pair {
    fn step(&mut self, steps: &mut Steps, growing: bool) {
        let value = steps.value();
        let len = self.model.len();
        let kind = if growing {
            steps.below(16)
        } else {
            4 + steps.below(16)
        };
        match kind {
            0..3 => {
                self.list.push_back(&value, &self.limits);
                self.model.push(value);
            }
            3..5 => {
                self.list.push_front(&value, &self.limits);
                self.model.insert(0, value);
            }
            5..8 => self.insert(steps, value, len),
            8..10 => {
                let index = steps.below(2 * len + 3) as i64 - len as i64 - 1;
                let there = list_pack::resolve(index, len);
                assert_eq!(self.list.set(index, &value, &self.limits), there.is_some());
                if let Some(at) = there {
                    self.model[at] = value;
                }
            }
            10 | 11 => {
                let count = steps.below(5) as i64 - 2;
                let removed = self.list.remove_value(&value, count, &self.limits);
                assert_eq!(removed, remove_value(&mut self.model, &value, count));
            }
            12..14 => {
                let expected = (!self.model.is_empty()).then(|| self.model.remove(0));
                assert_eq!(
                    self.list
                        .pop_front(|e| e.to_bytes().into_owned(), &self.limits),
                    expected
                );
            }
            14..16 => {
                assert_eq!(
                    self.list
                        .pop_back(|e| e.to_bytes().into_owned(), &self.limits),
                    self.model.pop()
                );
            }
            16..19 => {
                let start = steps.below(len + 2);
                let count = steps.below(12);
                self.list.remove_range(start, count, &self.limits);
                let end = (start + count).min(len);
                self.model.drain(start.min(end)..end);
            }
            _ if steps.below(20) == 0 => {
                let (start, count) = (steps.below(len + 1), steps.below(len + 1));
                self.list.trim(start, count, &self.limits);
                self.model.truncate(start + count);
                self.model.drain(..start.min(self.model.len()));
            }
            _ => {}
        }
    }

    fn insert(&mut self, steps: &mut Steps, value: Vec<u8>, len: usize) {
        let after = steps.below(2) == 0;
        if steps.below(2) == 0 {
            let index = steps.below(len + 1);
            assert_eq!(
                self.list.insert_at(index, after, &value, &self.limits),
                index < len
            );
            if index < len {
                self.model.insert(index + usize::from(after), value);
            }
            return;
        }
        let pivot = steps.value();
        let there = self.model.iter().position(|v| *v == pivot);
        assert_eq!(
            self.list.insert(&pivot, after, &value, &self.limits),
            there.is_some()
        );
        if let Some(at) = there {
            self.model.insert(at + usize::from(after), value);
        }
    }

    fn look(&self, steps: &mut Steps) {
        self.list.check(&self.limits).unwrap();
        let len = self.model.len();
        assert_eq!(self.list.len(), len);
        let index = steps.below(2 * len + 3) as i64 - len as i64 - 1;
        let expected = list_pack::resolve(index, len).map(|at| self.model[at].clone());
        assert_eq!(
            self.list.get(index, |e| e.to_bytes().into_owned()),
            expected
        );
        let (start, count) = (steps.below(len + 2), steps.below(50));
        let mut seen = Vec::new();
        self.list.visit(start, count, |e| {
            seen.push(e.to_bytes().into_owned());
            ControlFlow::Continue(())
        });
        assert!(seen.iter().eq(self.model.iter().skip(start).take(count)));
        if start < len {
            seen.clear();
            self.list.visit_rev(start, count, |e| {
                seen.push(e.to_bytes().into_owned());
                ControlFlow::Continue(())
            });
            assert!(
                seen.iter()
                    .eq(self.model[..=start].iter().rev().take(count))
            );
        }
    }
}

fn run(seed: u64, limits: ListLimits) {
    eprintln!("seed {seed}, {limits:?}");
    let mut steps = Steps(seed);
    let mut pair = Pair {
        list: List::new(),
        model: Vec::new(),
        limits,
    };
    for round in 0..12 {
        for _ in 0..400 {
            pair.step(&mut steps, round % 3 != 2);
            pair.look(&mut steps);
        }
        assert_eq!(all(&pair.list), pair.model);
    }
}

#[test]
fn random_steps_agree_with_a_vector_at_every_kind_of_limit() {
    for (seed, fill) in [
        (1, -2),
        (2, -1),
        (3, -5),
        (4, 1),
        (5, 0),
        (6, 3),
        (7, 30),
        (8, 128),
    ] {
        run(seed, ListLimits::new(fill, 0));
        run(seed + 50, ListLimits::new(fill, 1));
        run(seed + 100, ListLimits::new(fill, 3));
        run(
            seed + 150,
            ListLimits {
                plain_threshold: 200,
                ..ListLimits::new(fill, seed as u32 % 2)
            },
        );
    }
}

#[test]
fn random_steps_on_one_listpack_agree_with_a_vector() {
    for seed in 1..20 {
        eprintln!("seed {seed}");
        let mut steps = Steps(seed);
        let (mut blob, mut model) = (listpack::empty(), Vec::<Vec<u8>>::new());
        for step in 0..600 {
            let (value, len) = (steps.value(), model.len());
            match steps.below(if step % 200 < 120 { 8 } else { 14 }) {
                0..4 => {
                    listpack::push_back(&mut blob, &value);
                    model.push(value);
                }
                4 | 5 => {
                    let pivot = steps.value();
                    let after = steps.below(2) == 0;
                    let there = model.iter().position(|v| *v == pivot);
                    assert_eq!(
                        list_pack::insert(&mut blob, &pivot, after, &value),
                        there.is_some()
                    );
                    if let Some(at) = there {
                        model.insert(at + usize::from(after), value);
                    }
                }
                6 | 7 => {
                    let index = steps.below(2 * len + 3) as i64 - len as i64 - 1;
                    let there = list_pack::resolve(index, len);
                    assert_eq!(list_pack::set(&mut blob, index, &value), there.is_some());
                    if let Some(at) = there {
                        model[at] = value;
                    }
                }
                8 => {
                    let expected = (!model.is_empty()).then(|| model.remove(0));
                    assert_eq!(
                        list_pack::pop_front(&mut blob, |e| e.to_bytes().into_owned()),
                        expected
                    );
                }
                9 => assert_eq!(
                    list_pack::pop_back(&mut blob, |e| e.to_bytes().into_owned()),
                    model.pop()
                ),
                10..13 => {
                    let count = steps.below(7) as i64 - 3;
                    let removed = list_pack::remove_value(&mut blob, &value, count);
                    assert_eq!(removed, remove_value(&mut model, &value, count));
                }
                _ => {
                    let (start, count) = (steps.below(4), len.saturating_sub(steps.below(6)));
                    list_pack::trim(&mut blob, start, count);
                    model.truncate(start + count);
                    model.drain(..start.min(model.len()));
                }
            }
            listpack::Listpack::check(&blob).unwrap();
            assert!(
                list_pack::view(&blob)
                    .iter()
                    .map(|(_, e)| e.to_bytes())
                    .eq(model.iter().map(|v| v.as_slice()))
            );
        }
    }
}

#[test]
fn ranges_resolve_as_lrange_does() {
    assert_eq!(list_pack::resolve_range(0, -1, 5), (0, 5));
    assert_eq!(list_pack::resolve_range(-3, -2, 5), (2, 2));
    assert_eq!(list_pack::resolve_range(-100, 100, 5), (0, 5));
    assert_eq!(list_pack::resolve_range(3, 1, 5), (0, 0));
    assert_eq!(list_pack::resolve_range(5, 9, 5), (0, 0));
    assert_eq!(list_pack::resolve_range(0, -6, 5), (0, 0));
    assert_eq!(list_pack::resolve_range(i64::MIN, i64::MAX, 5), (0, 5));
    assert_eq!(list_pack::resolve_range(0, -1, 0), (0, 0));
}

/// The limits of an 8 KB node and of the fixed counts, as a recorded 7.2.4 shows them through OBJECT ENCODING.
#[test]
fn a_list_changes_its_form_where_redis_does() {
    let pack = |values: &[&[u8]]| {
        let mut blob = listpack::empty();
        values
            .iter()
            .for_each(|value| listpack::push_back(&mut blob, value));
        blob
    };
    let long = vec![b'x'; 9_000];
    let two = pack(&[b"a", b"b"]);
    assert!(!ListLimits::new(2, 0).outgrows(&pack(&[b"a"]), 1, 1));
    assert!(ListLimits::new(2, 0).outgrows(&two, 1, 1));
    assert!(ListLimits::new(0, 0).outgrows(&pack(&[b"a"]), 1, 1));
    assert!(ListLimits::new(-2, 0).outgrows(&two, 1, long.len()));
    assert!(ListLimits::new(100, 0).outgrows(&two, 1, long.len()));
    assert!(!ListLimits::new(-5, 0).outgrows(&two, 1, long.len()));

    // LSET puts 9,000 bytes into a list of three, which is then one oversized node.
    for (fill, back) in [(100, true), (5, false), (-2, false)] {
        let limits = ListLimits::new(fill, 0);
        let mut list = List::from_pack(pack(&[b"d", b"zz", b"e"]));
        assert!(list.set(0, &long, &limits));
        assert_eq!(
            (list.node_count(), list.fits_pack(&limits, true)),
            (1, back),
            "fill {fill}"
        );
        list.trim(0, 1, &limits);
        assert_eq!(list.fits_pack(&limits, true), fill != -2);
        assert!(list.set(0, b"a", &limits));
        assert!(list.fits_pack(&limits, true));
    }
    assert!(!List::from_pack(pack(&[b"a"])).fits_pack(&ListLimits::new(1, 0), true));
    assert!(List::from_pack(pack(&[b"a"])).fits_pack(&ListLimits::new(1, 0), false));
}

#[test]
fn an_element_at_the_threshold_stands_alone() {
    let limits = ListLimits {
        plain_threshold: 100,
        ..ListLimits::default()
    };
    let mut list = List::new();
    list.push_back(b"a", &limits);
    list.push_back(b"b", &limits);
    list.insert_at(0, true, &[b'p'; 100], &limits);
    let forms: Vec<bool> = list
        .nodes()
        .map(|node| matches!(node, NodeRef::Plain(_)))
        .collect();
    assert_eq!(forms, [false, true, false]);
    assert!(list.set(1, b"short", &limits));
    assert_eq!(
        all(&list),
        [b"a".to_vec(), b"short".to_vec(), b"b".to_vec()]
    );
    assert_eq!(list.node_count(), 2, "the short one joined the node behind");
}
