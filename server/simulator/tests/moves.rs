//! Nodes of a cluster between which slots move with what is in them, from seeds.

use cairn_simulator::moves::run;

/// Random seeds of a test run; `scripts/test` runs more besides.
const SEEDS: u64 = 60;

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
