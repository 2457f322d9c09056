//! A sorted set against a map and a sorted vector.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Bound;

use cairn_engine::structure::ranked::{Put, Ranked};

use super::{HASHER, more, name};
use crate::steps::Steps;

fn score(steps: &mut Steps<'_>) -> f64 {
    match steps.byte() % 8 {
        0 => 0.0,
        1 => -0.0,
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        4 => f64::from_bits(steps.long()),
        _ => f64::from(steps.byte() as i8),
    }
}

/// A sorted set against a map and a sorted vector.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let mut set = Ranked::new(HASHER);
    let mut model: HashMap<Vec<u8>, f64> = HashMap::new();
    let mut taken = 0;
    while more(&steps, &mut taken) {
        match steps.byte() % 8 {
            0 => {
                let (first, count, score) = (steps.below(300), steps.below(80), score(&mut steps));
                (first..first + count)
                    .for_each(|n| put_member(&mut set, &mut model, name(n), score));
            }
            1..=3 => {
                let member = if steps.flip() {
                    name(steps.below(300))
                } else {
                    steps.text()
                };
                let score = score(&mut steps);
                put_member(&mut set, &mut model, member, score);
            }
            4 => {
                let member = name(steps.below(300));
                assert_eq!(set.remove(&member), model.remove(&member));
            }
            5 => {
                let sorted = in_order(&model);
                let (popped, expected) = match steps.flip() {
                    true => (set.pop_min(|m, s| (m.to_vec(), s)), sorted.first().cloned()),
                    false => (set.pop_max(|m, s| (m.to_vec(), s)), sorted.last().cloned()),
                };
                assert_eq!(popped, expected);
                popped.map(|(member, _)| model.remove(&member));
            }
            6 => {
                let sorted = in_order(&model);
                let start = steps.below(sorted.len() + 1);
                let end = (start + steps.below(64)).min(sorted.len());
                let mut removed = Vec::new();
                set.remove_range(start..end, |m, s| removed.push((m.to_vec(), s)));
                assert_eq!(removed, sorted[start..end]);
                for (member, _) in &removed {
                    model.remove(member);
                }
            }
            _ => look_ranked(&set, &model, &mut steps),
        }
        assert_eq!(set.len(), model.len());
    }
    set.check().expect("the invariants of a sorted set");
    let sorted = in_order(&model);
    assert!(
        set.iter()
            .map(|(m, s)| (m.to_vec(), s))
            .eq(sorted.iter().cloned())
    );
    assert!(
        set.iter()
            .rev()
            .map(|(m, s)| (m.to_vec(), s))
            .eq(sorted.iter().rev().cloned())
    );
}

fn put_member(set: &mut Ranked, model: &mut HashMap<Vec<u8>, f64>, member: Vec<u8>, score: f64) {
    if score.is_nan() {
        return;
    }
    let expected = match model.get(&member) {
        None => Put::Inserted,
        Some(old) if *old == score => Put::Same,
        Some(old) => Put::Updated(*old),
    };
    assert_eq!(set.insert(&member, score), expected);
    if expected != Put::Same {
        model.insert(member, score);
    }
}

fn in_order(model: &HashMap<Vec<u8>, f64>) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<(Vec<u8>, f64)> = model.iter().map(|(m, s)| (m.clone(), *s)).collect();
    all.sort_by(|a, b| {
        a.1.partial_cmp(&b.1)
            .unwrap_or(Ordering::Equal)
            .then_with(|| a.0.cmp(&b.0))
    });
    all
}

fn look_ranked(set: &Ranked, model: &HashMap<Vec<u8>, f64>, steps: &mut Steps<'_>) {
    let sorted = in_order(model);
    let member = name(steps.below(300));
    let rank = sorted.iter().position(|(m, _)| *m == member);
    assert_eq!(set.rank(&member), rank.map(|at| (at, sorted[at].1)));
    assert_eq!(
        (set.score(&member), set.contains(&member)),
        (model.get(&member).copied(), rank.is_some())
    );
    let at = steps.below(sorted.len() + 2);
    assert_eq!(set.get(at), sorted.get(at).map(|(m, s)| (&m[..], *s)));
    let (low, high) = (score(steps), score(steps));
    if low.is_nan() || high.is_nan() {
        return;
    }
    let ranks = set.ranks_by_score(Bound::Included(low), Bound::Excluded(high));
    let inside = sorted
        .iter()
        .filter(|(_, s)| *s >= low && *s < high)
        .count();
    assert_eq!(ranks.len(), inside);
    assert!(set.range(ranks).all(|(_, s)| s >= low && s < high));
}
