//! `active-expire-effort`: how many keys with an expiry a cycle looks at before it believes that the others live, too.

mod support;

use support::Bench;

#[test]
fn more_effort_looks_at_more_keys() {
    for (effort, looked_at) in [(1, 20), (5, 40), (10, 65)] {
        let mut bench = Bench::new();
        for key in 0..2000 {
            bench.run(&["SET", &format!("k{key}"), "v", "EX", "1000"]);
        }
        bench.engine.ks.limits.expire_effort = effort;
        let cycle = bench.engine.expire(&mut bench.world, u64::MAX / 4);
        // Whole buckets are looked at, so a few more than asked for.
        assert!(
            (looked_at..looked_at + 20).contains(&cycle.sampled),
            "{effort}: {cycle:?}"
        );
        assert_eq!(cycle.removed, 0);
    }
}
