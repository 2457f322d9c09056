//! Nothing changes a value without passing one of the doors of `structure::keyed`, where a snapshot without fork will stand. Random
//! commands of every type; whenever the digest of the data set is another one than before, a door was passed, and what is counted at the
//! doors is what a full count finds.

mod support;

use cairn_engine::base::random::Random;
use cairn_engine::persist::digest::of_all;
use support::Bench;

/// Commands that change values; `K` and `L` become keys, `E` an element, `N` a number.
const LINES: &[&str] = &[
    "SET K E",
    "SET K N",
    "INCR K",
    "APPEND K E",
    "SETRANGE K 3 E",
    "SETBIT K N 1",
    "BITFIELD K INCRBY u8 3 1",
    "GETDEL K",
    "GETSET K E",
    "INCRBYFLOAT K 1.5",
    "PFADD K E",
    "LPUSH K E",
    "RPUSH K E E N",
    "LPOP K",
    "LSET K 0 E",
    "LINSERT K BEFORE E N",
    "LREM K 0 E",
    "LTRIM K 1 3",
    "RPOPLPUSH K L",
    "LMOVE K L LEFT LEFT",
    "SADD K E",
    "SADD K N",
    "SREM K E",
    "SPOP K",
    "SMOVE K L E",
    "SUNIONSTORE K K L",
    "HSET K E N",
    "HSET K N E",
    "HDEL K E",
    "HINCRBY K E 2",
    "HEXPIRE K 100 FIELDS 1 E",
    "HPERSIST K FIELDS 1 E",
    "ZADD K N E",
    "ZINCRBY K 1.5 E",
    "ZREM K E",
    "ZPOPMIN K",
    "ZADD K N N",
    "ZRANGESTORE K L 0 -1",
    "XADD K * E N",
    "XTRIM K MAXLEN 2",
    "XGROUP CREATE K g 0 MKSTREAM",
    "XREADGROUP GROUP g c STREAMS K >",
    "XSETID K 9999999999999-1",
    "EXPIRE K 100",
    "PERSIST K",
    "RENAME K L",
    "COPY K L REPLACE",
    "MOVE K 1",
    "DEL K",
    "SORT K ALPHA STORE L",
    "GEOADD K N 10 E",
    "MSET K E L N",
    "GETEX K EX 100",
    "FLUSHDB",
    "BITOP NOT K L",
];

fn draw(random: &mut Random, line: &str) -> Vec<String> {
    let word = |random: &mut Random, word: &str| match word {
        "K" | "L" => format!("key{}", random.index(4)),
        "E" => ["a", "b", "element", &"long".repeat(30)][random.index(4)].to_owned(),
        "N" => random.index(90).to_string(),
        other => other.to_owned(),
    };
    line.split(' ').map(|w| word(random, w)).collect()
}

#[test]
fn every_change_passes_a_door() {
    let mut bench = Bench::new();
    // Small limits, so that values change their encodings on the way.
    bench.engine.ks.limits.hash_listpack_entries = 4;
    bench.engine.ks.limits.set_listpack_entries = 4;
    bench.engine.ks.limits.zset_listpack_entries = 4;
    let mut random = Random::new(7);
    let passed = |bench: &Bench| {
        (0..2)
            .map(|db| {
                bench
                    .engine
                    .ks
                    .table(db)
                    .doors_passed()
                    .expect("assertions are on")
            })
            .sum::<u64>()
    };
    let mut changes = 0;
    for step in 0..20_000 {
        let line = LINES[random.index(LINES.len())];
        // Emptying everything at each fiftieth step would leave little to change.
        if line == "FLUSHDB" && random.index(50) > 0 {
            continue;
        }
        let words = draw(&mut random, line);
        let before = (of_all(&bench.engine.ks), passed(&bench));
        bench.run(&words);
        let after = (of_all(&bench.engine.ks), passed(&bench));
        if after.0 != before.0 {
            changes += 1;
            assert!(
                after.1 > before.1,
                "step {step}: {words:?} went round the doors"
            );
        }
        // Among others: sizes are counted as a full count finds them.
        if let Err(what) = bench.engine.check() {
            panic!("step {step}: {words:?}: {what}");
        }
    }
    assert!(changes > 3_000, "only {changes} changes");
}
