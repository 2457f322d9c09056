//! Clusters of the bus's machine from seeds, and those that once found something.

use cairn_simulator::mesh::{run, scale};

/// Seeds that found a fault, with the fault.
const FOUND: &[(u64, &str)] = &[
    (
        158,
        "a connection that hangs is waited for as long as the node speaks on its own, and a node that has failed stays so",
    ),
    (650, "the same"),
];

/// Random seeds of a test run; `scripts/test` runs two thousand and more of an optimized build besides.
const SEEDS: u64 = 100;

#[test]
fn seeds_that_found_something_find_nothing() {
    for (seed, fault) in FOUND {
        run(*seed, false).unwrap_or_else(|error| panic!("{fault}: {error}"));
    }
}

#[test]
fn nodes_agree_in_the_end_and_no_epoch_has_two_winners() {
    let failures: Vec<String> = (0..SEEDS)
        .filter_map(|seed| run(seed, false).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(7, false), run(7, false));
    assert_ne!(run(7, false), run(8, false));
}

#[test]
fn ten_nodes_know_each_other_soon_and_a_dead_one_within_two_timeouts() {
    let figures = scale::measure(10, 1).unwrap();
    assert!(
        figures.known_ms < 10_000 && figures.table_ms < 10_000,
        "{figures:?}"
    );
    assert!(figures.failed_ms < 30_000, "{figures:?}");
}
