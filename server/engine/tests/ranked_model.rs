//! The sorted set against a plain map and a sorted vector: random steps from printed seeds.

use cairn_engine::base::random::Random;
use cairn_engine::structure::ranked::{LexBound, Put, Ranked};
use cairn_engine::structure::table::Hasher;
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

struct Pair {
    set: Ranked,
    scores: BTreeMap<Vec<u8>, f64>,
}

fn member(random: &mut Random, span: usize) -> Vec<u8> {
    let number = random.index(span);
    let mut member = format!("member:{number}").into_bytes();
    // Lengths of every kind: empty, short, beyond 127 and beyond 16,383 bytes.
    match number % 50 {
        0 => member.truncate(number % 3),
        1 => member.resize(130 + number % 100, b'.'),
        2 if number % 700 == 2 => member.resize(17_000, b'.'),
        _ => {}
    }
    member
}

fn score(random: &mut Random) -> f64 {
    match random.index(12) {
        0 => 0.0,
        1 => -0.0,
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        4..8 => random.index(10) as f64 - 5.0,
        _ => random.unit() * 1000.0 - 500.0,
    }
}

impl Pair {
    fn sorted(&self) -> Vec<(&[u8], f64)> {
        let mut all: Vec<(&[u8], f64)> = self
            .scores
            .iter()
            .map(|(m, s)| (m.as_slice(), *s))
            .collect();
        all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then(a.0.cmp(b.0)));
        all
    }

    fn put(&mut self, member: Vec<u8>, score: f64) {
        let expected = match self.scores.get(&member) {
            None => Put::Inserted,
            Some(old) if *old == score => Put::Same,
            Some(old) => Put::Updated(*old),
        };
        assert_eq!(self.set.insert(&member, score), expected);
        if expected != Put::Same {
            self.scores.insert(member, score);
        }
    }

    fn remove_range(&mut self, start: usize, end: usize) {
        let doomed: Vec<(Vec<u8>, f64)> = self
            .sorted()
            .iter()
            .take(end)
            .skip(start)
            .map(|(m, s)| (m.to_vec(), *s))
            .collect();
        let mut removed = Vec::new();
        self.set
            .remove_range(start..end, |m, s| removed.push((m.to_vec(), s)));
        assert_eq!(removed, doomed);
        for (member, _) in doomed {
            self.scores.remove(&member);
        }
    }

    fn pop(&mut self, max: bool) {
        let all = self.sorted();
        let expected = if max { all.last() } else { all.first() }.map(|(m, s)| (m.to_vec(), *s));
        let popped = if max {
            self.set.pop_max(|m, s| (m.to_vec(), s))
        } else {
            self.set.pop_min(|m, s| (m.to_vec(), s))
        };
        assert_eq!(popped, expected);
        if let Some((member, _)) = popped {
            self.scores.remove(&member);
        }
    }

    fn check(&self, random: &mut Random, span: usize) {
        self.set.check().unwrap();
        let all = self.sorted();
        assert_eq!(self.set.len(), all.len());
        assert!(self.set.iter().eq(all.iter().copied()));
        assert!(self.set.iter().rev().eq(all.iter().rev().copied()));
        for _ in 0..30 {
            let sought = member(random, span);
            let rank = all.iter().position(|(m, _)| *m == sought.as_slice());
            assert_eq!(self.set.rank(&sought), rank.map(|at| (at, all[at].1)));
            assert_eq!(self.set.score(&sought), rank.map(|at| all[at].1));
            assert_eq!(self.set.contains(&sought), rank.is_some());
            let at = random.index(all.len() + 2);
            assert_eq!(self.set.get(at), all.get(at).copied());
            let end = at + random.index(40);
            assert!(
                self.set
                    .range(at..end)
                    .rev()
                    .eq(all.iter().take(end).skip(at).rev().copied())
            );
            self.count(random, &all);
        }
    }

    fn count(&self, random: &mut Random, all: &[(&[u8], f64)]) {
        let (low, high) = (score(random), score(random));
        let kind = random.index(4);
        let min = if kind & 1 == 0 {
            Bound::Included(low)
        } else {
            Bound::Excluded(low)
        };
        let max = if kind & 2 == 0 {
            Bound::Included(high)
        } else {
            Bound::Excluded(high)
        };
        let inside = |s: f64| {
            (if kind & 1 == 0 { s >= low } else { s > low })
                && (if kind & 2 == 0 { s <= high } else { s < high })
        };
        let ranks = self.set.ranks_by_score(min, max);
        assert_eq!(ranks.len(), all.iter().filter(|(_, s)| inside(*s)).count());
        assert!(self.set.range(ranks).all(|(_, s)| inside(s)));
        assert_eq!(
            self.set.ranks_by_score(min, Bound::Unbounded).end,
            all.len()
        );
        assert_eq!(self.set.ranks_by_score(Bound::Unbounded, max).start, 0);
    }
}

fn run(seed: u64, span: usize) {
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut pair = Pair {
        set: Ranked::new(Hasher::new([seed, 2, 3, 4])),
        scores: BTreeMap::new(),
    };
    for round in 0..16 {
        for _ in 0..400 {
            let member = member(&mut random, span);
            match random.index(if round % 4 < 2 { 100 } else { 160 }) {
                0 => pair.pop(true),
                1 => pair.pop(false),
                2 if round % 2 == 1 => {
                    let start = random.index(pair.scores.len() + 1);
                    let end = start + random.index(600);
                    pair.remove_range(start, end);
                }
                3..80 => {
                    let score = score(&mut random);
                    pair.put(member, score);
                }
                _ => assert_eq!(pair.set.remove(&member), pair.scores.remove(&member)),
            }
        }
        pair.check(&mut random, span);
    }
    pair.remove_range(0, usize::MAX);
    pair.check(&mut random, span);
}

#[test]
fn random_steps_agree_with_a_sorted_vector() {
    for seed in 1..=6 {
        run(seed, 3_000);
        run(seed + 10, 150);
    }
}

#[test]
fn members_of_one_score_are_ordered_by_their_bytes() {
    let mut random = Random::new(9);
    let mut set = Ranked::new(Hasher::new([1, 2, 3, 4]));
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let name = member(&mut random, 5_000);
        set.insert(&name, 7.0);
        names.insert(name);
    }
    let names: Vec<Vec<u8>> = names.into_iter().collect();
    for _ in 0..500 {
        let (low, high) = (member(&mut random, 5_000), member(&mut random, 5_000));
        let kind = random.index(4);
        let min = if kind & 1 == 0 {
            LexBound::Included(&low)
        } else {
            LexBound::Excluded(&low)
        };
        let max = if kind & 2 == 0 {
            LexBound::Included(&high)
        } else {
            LexBound::Excluded(&high)
        };
        let inside = |m: &&Vec<u8>| {
            (if kind & 1 == 0 { **m >= low } else { **m > low })
                && (if kind & 2 == 0 {
                    **m <= high
                } else {
                    **m < high
                })
        };
        let found: Vec<&[u8]> = set
            .range(set.ranks_by_lex(min, max))
            .map(|(m, _)| m)
            .collect();
        assert!(
            found
                .iter()
                .copied()
                .eq(names.iter().filter(inside).map(Vec::as_slice))
        );
    }
    assert_eq!(
        set.ranks_by_lex(LexBound::Lowest, LexBound::Highest),
        0..names.len()
    );
    assert!(
        set.ranks_by_lex(LexBound::Highest, LexBound::Lowest)
            .is_empty()
    );
    assert!(
        set.ranks_by_lex(LexBound::Highest, LexBound::Highest)
            .is_empty()
    );
    assert!(
        set.ranks_by_lex(LexBound::Lowest, LexBound::Lowest)
            .is_empty()
    );
}

#[test]
fn a_negative_zero_keeps_its_sign_and_the_place_of_zero() {
    let mut set = Ranked::new(Hasher::new([1, 2, 3, 4]));
    assert_eq!(set.insert(b"b", -0.0), Put::Inserted);
    assert_eq!(set.insert(b"a", 0.0), Put::Inserted);
    let order: Vec<(&[u8], bool)> = set.iter().map(|(m, s)| (m, s.is_sign_negative())).collect();
    assert_eq!(order, [(b"a".as_slice(), false), (b"b".as_slice(), true)]);
    assert_eq!(set.insert(b"b", 0.0), Put::Same);
    assert_eq!(
        set.ranks_by_score(Bound::Included(0.0), Bound::Included(-0.0)),
        0..2
    );
    assert_eq!(set.remove(b"b").map(f64::is_sign_negative), Some(true));
}

#[test]
fn scanning_while_others_come_and_go_shows_every_member_that_stays() {
    let mut random = Random::new(3);
    let mut set = Ranked::new(Hasher::new([1, 2, 3, 4]));
    let stays: Vec<Vec<u8>> = (0..500)
        .map(|n| format!("stays:{n}").into_bytes())
        .collect();
    for name in &stays {
        set.insert(name, random.unit());
    }
    let mut seen = HashSet::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, |m, _| {
            seen.insert(m.to_vec());
        });
        if cursor == 0 {
            break;
        }
        for n in 0..40 {
            let name = format!("other:{}", random.index(3_000));
            if n % 3 == 0 {
                set.remove(name.as_bytes())
            } else {
                Some(set.insert(name.as_bytes(), 1.0)).map(|_| 0.0)
            };
        }
    }
    assert!(stays.iter().all(|name| seen.contains(name)));
    let mut drawn = HashSet::new();
    for _ in 0..20_000 {
        let (name, score) = set.random(&mut random).unwrap();
        assert_eq!(set.score(name), Some(score));
        drawn.insert(name.to_vec());
    }
    assert!(
        drawn.len() > set.len() * 9 / 10,
        "{} of {} were ever drawn",
        drawn.len(),
        set.len()
    );
}

/// A million members of 16 bytes with random scores: at most 69 bytes each, which is 0.52 of what Redis 7.0 takes.
#[test]
fn a_big_set_takes_less_than_the_goal() {
    let mut set = Ranked::new(Hasher::new([1, 2, 3, 4]));
    for n in 0..200_000_u64 {
        set.insert(
            format!("member:{n:09}").as_bytes(),
            (n * 7919 % 1_000_003) as f64,
        );
    }
    let each = set.mem_bytes() as f64 / 200_000.0;
    eprintln!("{each:.1} bytes per member");
    assert!(each < 64.0, "{each:.1} bytes per member");
}
