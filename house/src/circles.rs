//! Circles: rooms that reach themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Arrow;

/// The circles among the rooms that `arrows` join, each sorted, the largest first.
pub fn circles(arrows: &[Arrow]) -> Vec<Vec<String>> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        reach.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    // Closed under "reaches what those reach"; the houses are small.
    loop {
        let before: usize = reach.values().map(BTreeSet::len).sum();
        let rooms: Vec<&str> = reach.keys().copied().collect();
        for room in rooms {
            let next: BTreeSet<&str> = reach[room]
                .iter()
                .filter_map(|to| reach.get(to))
                .flatten()
                .copied()
                .collect();
            reach.entry(room).or_default().extend(next);
        }
        if reach.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (room, reached) in &reach {
        if reached.contains(room) {
            let circle = reached
                .iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(room)))
                .map(|other| (*other).to_owned())
                .collect();
            found.insert(circle);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_a_tree_is_none() {
        let arrow = |from: &str, to: &str| Arrow {
            from: from.into(),
            to: to.into(),
            place: String::new(),
        };
        let mut arrows = vec![arrow("a", "b"), arrow("b", "c"), arrow("d", "a")];
        assert!(circles(&arrows).is_empty());
        arrows.push(arrow("c", "a"));
        assert_eq!(circles(&arrows), [["a", "b", "c"]]);
    }
}
