//! A chain of listpacks against a vector.

use std::ops::ControlFlow;

use cairn_engine::value::list::{List, ListLimits};
use cairn_engine::value::list_pack;

use super::more;
use crate::steps::Steps;

/// A chain of listpacks against a vector.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let fill = [-5, -2, -1, 0, 1, 2, 3, 30][steps.below(8)];
    let limits = ListLimits {
        plain_threshold: [1 << 30, 100, 5_000][steps.below(3)],
        ..ListLimits::new(fill, steps.byte() as u32 % 4)
    };
    let (mut list, mut model) = (List::new(), Vec::<Vec<u8>>::new());
    let mut taken = 0;
    while more(&steps, &mut taken) {
        list_step(&mut list, &mut model, &limits, &mut steps);
        assert_eq!(list.len(), model.len());
    }
    list.check(&limits).expect("the invariants of a list");
    let mut seen = Vec::new();
    list.visit(0, usize::MAX, |e| {
        seen.push(e.to_bytes().into_owned());
        ControlFlow::Continue(())
    });
    assert!(seen == model, "list and model differ");
    seen.clear();
    list.visit_rev(model.len().saturating_sub(1), usize::MAX, |e| {
        seen.push(e.to_bytes().into_owned());
        ControlFlow::Continue(())
    });
    assert!(
        seen.iter().eq(model.iter().rev()),
        "backwards, list and model differ"
    );
}

fn list_step(
    list: &mut List,
    model: &mut Vec<Vec<u8>>,
    limits: &ListLimits,
    steps: &mut Steps<'_>,
) {
    let kind = steps.byte() % 12;
    let (value, at) = (steps.text(), steps.below(model.len() + 1));
    match kind {
        0 | 1 => {
            list.push_back(&value, limits);
            model.push(value);
        }
        2 => {
            list.push_front(&value, limits);
            model.insert(0, value);
        }
        3 | 4 => {
            let after = steps.flip();
            assert_eq!(list.insert_at(at, after, &value, limits), at < model.len());
            if at < model.len() {
                model.insert(at + usize::from(after), value);
            }
        }
        5 => {
            let index = if steps.flip() {
                at as i64
            } else {
                -(at as i64) - 1
            };
            let there = list_pack::resolve(index, model.len());
            assert_eq!(list.set(index, &value, limits), there.is_some());
            if let Some(at) = there {
                model[at] = value;
            }
        }
        6 => {
            let count = steps.below(5) as i64 - 2;
            assert_eq!(
                list.remove_value(&value, count, limits),
                remove_value(model, &value, count)
            );
        }
        7 => assert_eq!(
            list.pop_front(|e| e.to_bytes().into_owned(), limits),
            (!model.is_empty()).then(|| model.remove(0))
        ),
        8 => assert_eq!(
            list.pop_back(|e| e.to_bytes().into_owned(), limits),
            model.pop()
        ),
        9 => {
            let count = steps.below(300);
            list.remove_range(at, count, limits);
            model.drain(at..(at + count).min(model.len()));
        }
        10 => {
            let count = steps.below(model.len() + 1);
            list.trim(at, count, limits);
            model.truncate(at + count);
            model.drain(..at.min(model.len()));
        }
        _ => {
            let found = list.get(at as i64, |e| e.to_bytes().into_owned());
            assert_eq!(found.as_ref(), model.get(at));
            let pivot = model.get(at).cloned().unwrap_or(value.clone());
            let there = model.iter().position(|v| *v == pivot);
            assert_eq!(list.insert(&pivot, true, &value, limits), there.is_some());
            there
                .into_iter()
                .for_each(|at| model.insert(at + 1, value.clone()));
        }
    }
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
