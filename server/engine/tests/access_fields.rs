//! What a key remembers of its use, on every way on which a key is made, and which commands are a use.

mod support;

use cairn_engine::base::limits::{EvictionRule, Limits};
use cairn_engine::persist::load::Loader;
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use support::Bench;

fn limits(lfu: bool) -> Limits {
    Limits {
        eviction: if lfu {
            EvictionRule::Lfu
        } else {
            EvictionRule::Lru
        },
        lfu,
        ..Limits::default()
    }
}

fn bench(lfu: bool) -> Bench {
    let mut bench = Bench::new();
    bench.engine.ks.set_limits(limits(lfu));
    bench
}

fn run(bench: &mut Bench, line: &str) {
    let reply = bench.line(line);
    assert!(!reply.starts_with('-'), "{line}: {reply}");
}

/// OBJECT FREQ or IDLETIME, whichever the policy has.
fn memory_of(bench: &mut Bench, key: &str) -> i64 {
    let word = match bench.engine.ks.limits.lfu {
        true => "FREQ",
        false => "IDLETIME",
    };
    let value = bench.value(&format!("OBJECT {word} {key}"));
    value.as_int().expect("the key is there")
}

/// A key that was used so often, or not for so many seconds.
fn restored(bench: &mut Bench, key: &str, option: &str) {
    run(bench, "SET source value");
    let dump = bench.run(&["DUMP", "source"]);
    let start = dump.iter().position(|b| *b == b'\n').expect("a header") + 1;
    let payload = &dump[start..dump.len() - 2];
    let (name, number) = option.split_once(' ').expect("name and number");
    let words: [&[u8]; 6] = [
        b"RESTORE",
        key.as_bytes(),
        b"0",
        payload,
        name.as_bytes(),
        number.as_bytes(),
    ];
    assert_eq!(bench.run(&words), b"+OK\r\n");
}

#[test]
fn a_key_keeps_what_it_is_given_and_begins_anew_under_another_name() {
    for (lfu, option, old, new) in [(true, "FREQ 77", 77, 5), (false, "IDLETIME 500", 500, 0)] {
        for (line, key, expected) in [
            ("PING", "k", old),
            ("SET other v", "other", new),
            ("COPY k other", "other", new),
            ("RENAME k other", "other", new),
            ("RENAMENX k other", "other", new),
        ] {
            let mut bench = bench(lfu);
            restored(&mut bench, "k", option);
            run(&mut bench, line);
            assert_eq!(memory_of(&mut bench, key), expected, "{line}, LFU {lfu}");
        }
        let mut bench = bench(lfu);
        restored(&mut bench, "k", option);
        run(&mut bench, "MOVE k 3");
        run(&mut bench, "SELECT 3");
        assert_eq!(memory_of(&mut bench, "k"), new, "MOVE, LFU {lfu}");
    }
}

/// A snapshot carries what the policy of its writer knew; a key of which nothing is known is as a new one.
#[test]
fn a_load_brings_what_the_snapshot_has_and_new_keys_otherwise() {
    for (lfu, option) in [(true, "FREQ 77"), (false, "IDLETIME 500")] {
        let mut bench = bench(lfu);
        restored(&mut bench, "k", option);
        for with in [true, false] {
            let options = SaveOptions {
                part: cairn_engine::persist::save::Part::Everything,
                dialect: automatic_dialect(&bench.engine.ks),
                compress: true,
                checksum: true,
                aux: Vec::new(),
                idle: with && !lfu,
                freq: with && lfu,
            };
            let file = save(&bench.engine.ks, Vec::new(), &options, false, &mut |_| ())
                .expect("it can be saved");
            for (reader_lfu, new) in [(true, 5), (false, 0)] {
                let mut other = self::bench(reader_lfu);
                let mut loader = Loader::new(&file[..], 16, true, true).expect("our own");
                loader.run(&mut other.engine.ks).expect("our own");
                let expected = match (with, reader_lfu == lfu, lfu) {
                    (true, true, true) => 77,
                    (true, true, false) => 500,
                    _ => new,
                };
                let found = memory_of(&mut other, "k");
                assert_eq!(found, expected, "{option}, saved {with}, read {reader_lfu}");
            }
        }
    }
}

/// An idle time is a length like any other and may be as large as one: such a key is as old as a key can be told to be.
#[test]
fn no_idle_time_is_too_long_to_be_loaded() {
    for idle in [1 << 62, 1 << 63, u64::MAX] {
        let mut file = b"REDIS0011\xf8\x81".to_vec();
        file.extend_from_slice(&u64::to_be_bytes(idle));
        file.extend_from_slice(b"\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0");
        let mut bench = bench(false);
        let mut loader = Loader::new(&file[..], 16, true, true).expect("a header of our own");
        loader.run(&mut bench.engine.ks).expect("a sound file");
        assert_eq!(loader.report().keys, 1, "{idle}");
        assert_eq!(bench.line("GET k"), "$1\r\nv\r\n");
    }
}

/// The bits of a time are no counter, nor the other way round.
#[test]
fn a_change_of_policy_makes_all_keys_new() {
    let mut bench = bench(false);
    for i in 0..20_000 {
        run(&mut bench, &format!("SET k{i} v"));
    }
    bench.sleep_ms(100_000);
    let all = |bench: &mut Bench, expected: i64| {
        let mut steps = 0;
        while bench.engine.ks.restamp_step(&mut |_| false) {
            steps += 1;
        }
        for i in 0..20_000 {
            assert_eq!(memory_of(bench, &format!("k{i}")), expected, "k{i}");
        }
        steps
    };
    bench.engine.ks.set_limits(limits(true));
    assert!(all(&mut bench, 5) > 100, "many keys are done in many steps");
    assert_eq!(all(&mut bench, 5), 0, "it ends");
    restored(&mut bench, "given", "FREQ 77");
    // The same policy again, as every CONFIG SET says it, changes nothing.
    bench.engine.ks.set_limits(limits(true));
    assert_eq!(memory_of(&mut bench, "given"), 77);
    bench.engine.ks.set_limits(limits(false));
    all(&mut bench, 0);
}

/// Hits, misses and whether the clock was refreshed, as a Redis 7.0.15 answered.
#[test]
fn a_look_at_a_key_is_no_use_of_it() {
    for (line, counted, used) in [
        ("TYPE k", true, false),
        ("TTL k", true, false),
        ("PTTL k", true, false),
        ("EXPIRETIME k", true, false),
        ("PEXPIRETIME k", true, false),
        ("EXISTS k", true, false),
        ("OBJECT ENCODING k", true, false),
        ("OBJECT IDLETIME k", true, false),
        ("OBJECT REFCOUNT k", true, false),
        ("SCAN 0 TYPE string MATCH k", true, false),
        ("KEYS *", false, false),
        ("SCAN 0", false, false),
        ("RANDOMKEY", false, false),
        ("WATCH k", false, false),
        ("TOUCH k", true, true),
        ("DUMP k", true, true),
        ("GET k", true, true),
        ("STRLEN k", true, true),
    ] {
        let mut bench = bench(false);
        restored(&mut bench, "k", "IDLETIME 500");
        let stats = bench.engine.ks.stats;
        run(&mut bench, line);
        let after = bench.engine.ks.stats;
        assert_eq!(after.hits - stats.hits, u64::from(counted), "{line}");
        let idle = memory_of(&mut bench, "k");
        assert_eq!(idle, if used { 0 } else { 500 }, "{line}");
        let misses = bench.engine.ks.stats.misses;
        let none = line.replace(" k", " none");
        bench.line(&none);
        let missed = bench.engine.ks.stats.misses - misses;
        let expected = counted && !line.starts_with("SCAN");
        assert_eq!(missed, u64::from(expected), "{none}");
    }
}

/// Keys that a scan meets and whose time has come are gone, whatever it asks for.
#[test]
fn a_scan_removes_what_has_expired() {
    let mut bench = bench(false);
    bench.engine.ks.active_expire = false;
    for line in [
        "SET stays v",
        "SET goes v PX 1",
        "HSET hash f v",
        "PEXPIRE hash 1",
        "RPUSH list v",
        "PEXPIRE list 1",
    ] {
        run(&mut bench, line);
    }
    bench.sleep_ms(10);
    bench.propagated();
    let found = bench.line("SCAN 0 COUNT 1000 TYPE string MATCH [^l]*");
    assert_eq!(found, "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nstays\r\n");
    assert_eq!(
        bench.line("DBSIZE"),
        ":2\r\n",
        "the pattern leaves the list out"
    );
    let mut told = bench.propagated();
    told.retain(|line| line != "MULTI" && line != "EXEC");
    told.sort();
    assert_eq!(told, ["DEL goes", "DEL hash"]);
    bench.line("SCAN 0 COUNT 1000");
    assert_eq!(bench.line("DBSIZE"), ":1\r\n");
}

/// What fails inside of EXEC has failed, EXEC has not.
#[test]
fn exec_does_not_fail_with_its_commands() {
    let mut bench = bench(false);
    for line in ["SET x a", "MULTI", "INCR x", "SET y b"] {
        run(&mut bench, line);
    }
    assert!(bench.line("EXEC").contains("-ERR value is not an integer"));
    let failed = |bench: &Bench, name: &str| {
        let table = &bench.engine.shared.table;
        let at = table.find(name.as_bytes()).expect("it is there").id;
        bench.engine.shared.stats.commands[at.index()].failed
    };
    assert_eq!((failed(&bench, "exec"), failed(&bench, "incr")), (0, 1));
    bench.line("EXEC");
    assert_eq!(failed(&bench, "exec"), 1);
}

/// What `maxmemory` and its policy make of the count of owners of a small integer, as a Redis 7.0.15 answered.
#[test]
fn small_integers_have_an_owner_each_where_eviction_goes_by_use() {
    for (memory_max, eviction, shared) in [
        (0, EvictionRule::Lru, true),
        (1 << 30, EvictionRule::Never, true),
        (1 << 30, EvictionRule::Random, true),
        (1 << 30, EvictionRule::Ttl, true),
        (1 << 30, EvictionRule::Lru, false),
        (1 << 30, EvictionRule::Lfu, false),
    ] {
        let mut bench = bench(false);
        bench.engine.ks.set_limits(Limits {
            memory_max,
            eviction,
            ..Limits::default()
        });
        bench.line("SET k 1");
        let expected = if shared { i32::MAX } else { 1 };
        assert_eq!(
            bench.line("OBJECT REFCOUNT k"),
            format!(":{expected}\r\n"),
            "{memory_max} {eviction:?}"
        );
    }
}
