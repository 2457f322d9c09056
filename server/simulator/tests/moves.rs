//! Nodes of a cluster between which slots move with what is in them, from seeds.

use cairn_simulator::moves::run;

/// Seeds that found a fault, with the fault.
const FOUND: &[(u64, &str)] = &[
    (
        1494,
        "a primary that stands still for its replica says where its stream is, with the writes of the turn",
    ),
    (
        5401,
        "no slot comes to a primary that stands still for its replica, which knows nothing of it",
    ),
];

/// Random seeds of a test run; `scripts/test` runs more besides.
const SEEDS: u64 = 60;

#[test]
fn seeds_that_found_something_find_nothing() {
    for (seed, fault) in FOUND {
        run(*seed, false).unwrap_or_else(|error| panic!("{fault}: {error}"));
    }
}

#[test]
fn nothing_is_lost_nothing_is_half_there_and_every_move_ends() {
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
