//! `maxmemory`: the limit is kept, and each policy lets the keys go that it is meant to.
//!
//! The allocator of these tests counts what each thread holds, so that a bench knows its own memory and all figures
//! follow from the seed.
#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cairn_engine::base::limits::EvictionRule;
use support::Bench;

struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    // A thread that ends frees its last blocks when its counter is gone.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

fn held() -> u64 {
    HELD.with(Cell::get).max(0) as u64
}

// SAFETY: all work is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A value that makes a key weigh about 200 bytes.
const VALUE: &str = "value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-value-valu";

fn bench(rule: EvictionRule, volatile: bool) -> Bench {
    let mut bench = Bench::new();
    bench.engine.ks.limits.eviction = rule;
    bench.engine.ks.limits.evict_volatile = volatile;
    bench.engine.ks.limits.lfu = rule == EvictionRule::Lfu;
    bench.engine.ks.fx.feed_on = false;
    bench.world.memory = Some(held);
    bench
}

/// From here on there is no more memory than is in use now.
fn limit_here(bench: &mut Bench) {
    bench.engine.ks.limits.memory_max = held();
}

fn set(bench: &mut Bench, key: &str) -> String {
    bench.line(&format!("SET {key} {VALUE}"))
}

/// How many of `k{from}` to `k{to}` are still there.
fn left(bench: &mut Bench, from: usize, to: usize) -> usize {
    bench.engine.ks.limits.memory_max = 0;
    let keys: Vec<String> = (from..to).map(|i| format!("k{i}")).collect();
    keys.iter()
        .filter(|key| bench.line(&format!("EXISTS {key}")) == ":1\r\n")
        .count()
}

const RULES: [EvictionRule; 4] = [
    EvictionRule::Lru,
    EvictionRule::Lfu,
    EvictionRule::Ttl,
    EvictionRule::Random,
];

#[test]
fn without_a_policy_commands_that_store_are_refused() {
    let mut bench = bench(EvictionRule::Never, false);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    for i in 0..20 {
        assert_eq!(set(&mut bench, &format!("k{i}")), "+OK\r\n");
    }
    bench.engine.ks.limits.memory_max = held() - 300;
    assert_eq!(set(&mut bench, "more"), oom);
    assert_eq!(bench.line("LPUSH more v"), oom);
    assert_eq!(bench.line("STRLEN k1"), format!(":{}\r\n", VALUE.len()));
    assert_eq!(bench.line("MULTI"), "+OK\r\n");
    for line in ["GET k1", "MULTI", "WATCH k1"] {
        assert_eq!(bench.line(line), oom, "{line}");
    }
    assert_eq!(bench.line("DISCARD"), "+OK\r\n");
    assert_eq!(bench.line("MULTI"), "+OK\r\n");
    bench.line("PING");
    assert!(
        bench
            .line("EXEC")
            .starts_with("-EXECABORT Transaction discarded because of prev")
    );
    bench.line("SUBSCRIBE channel");
    assert_eq!(
        set(&mut bench, "more"),
        oom,
        "before the state of the client"
    );
    bench.line("UNSUBSCRIBE");
    for i in 0..8 {
        assert_eq!(bench.line(&format!("DEL k{i}")), ":1\r\n");
    }
    assert_eq!(set(&mut bench, "more"), "+OK\r\n");
    assert_eq!(bench.engine.ks.stats.evicted, 0);
}

#[test]
fn volatile_policies_refuse_when_nothing_expires() {
    for rule in RULES {
        let mut bench = bench(rule, true);
        for i in 0..20 {
            set(&mut bench, &format!("k{i}"));
        }
        bench.line("SETRANGE k3 5000 x");
        bench.line("EXPIRE k3 1000");
        bench.engine.ks.limits.memory_max = held() - 100;
        assert_eq!(set(&mut bench, "more"), "+OK\r\n", "{rule:?}");
        assert_eq!(bench.line("EXISTS k3"), ":0\r\n", "{rule:?}");
        bench.engine.ks.limits.memory_max = held() - 100;
        assert!(set(&mut bench, "more").starts_with("-OOM"), "{rule:?}");
    }
}

#[test]
fn the_limit_is_kept_by_every_policy() {
    for (rule, volatile) in RULES
        .into_iter()
        .flat_map(|rule| [(rule, false), (rule, true)])
    {
        let mut bench = bench(rule, volatile);
        for i in 0..3000 {
            bench.line(&format!("SELECT {}", i % 3));
            assert_eq!(
                bench.line(&format!("SETEX k{i} {} {VALUE}", 100 + i)),
                "+OK\r\n"
            );
            if i == 1000 {
                limit_here(&mut bench);
            }
            // Memory is looked at before a command; what that one takes itself comes on top.
            let (used, limit) = (held(), bench.engine.ks.limits.memory_max);
            assert!(
                limit == 0 || used <= limit + 2000,
                "{used} of {limit} under {rule:?} {volatile}"
            );
        }
        let (evicted, keys) = (bench.engine.ks.stats.evicted, bench.engine.ks.total_keys());
        assert_eq!(evicted + keys as u64, 3000);
        assert!((950..=1050).contains(&keys), "{keys}");
    }
}

#[test]
fn least_recently_used_keys_go_first() {
    let mut bench = bench(EvictionRule::Lru, false);
    bench.engine.ks.limits.eviction_samples = 10;
    for i in 0..1000 {
        bench.sleep_ms(1000);
        set(&mut bench, &format!("k{i}"));
    }
    for i in 0..300 {
        bench.sleep_ms(1000);
        bench.line(&format!("GET k{i}"));
    }
    limit_here(&mut bench);
    for i in 0..500 {
        bench.sleep_ms(1000);
        set(&mut bench, &format!("new{i}"));
    }
    // A perfect choice would have left the 300 that were read, none of the next 500 and the last 200.
    let read = left(&mut bench, 0, 300);
    let (old, young) = (left(&mut bench, 300, 800), left(&mut bench, 800, 1000));
    assert!(
        read >= 295 && young >= 140 && old <= 80,
        "{read} {old} {young}"
    );
}

#[test]
fn least_often_used_keys_go_first() {
    let mut bench = bench(EvictionRule::Lfu, false);
    for i in 0..1000 {
        set(&mut bench, &format!("k{i}"));
    }
    for i in (0..200).cycle().take(50 * 200) {
        bench.line(&format!("GET k{i}"));
    }
    let freq = bench.value("OBJECT FREQ k0").as_int().expect("a counter");
    assert!((6..30).contains(&freq), "{freq}");
    assert!(bench.line("OBJECT IDLETIME k0").starts_with("-ERR An LFU"));
    limit_here(&mut bench);
    for i in 0..600 {
        set(&mut bench, &format!("new{i}"));
    }
    let used = left(&mut bench, 0, 200);
    assert!(used >= 195, "{used} of 200");
    let freq = bench.value("OBJECT FREQ k0").as_int().expect("a counter");
    bench.sleep_ms(3 * 60_000);
    assert_eq!(bench.value("OBJECT FREQ k0").as_int(), Some(freq - 3));
}

#[test]
fn keys_that_expire_soonest_go_first() {
    let mut bench = bench(EvictionRule::Ttl, true);
    for i in 0..1000 {
        bench.line(&format!("SETEX k{i} {} {VALUE}", 1000 + i));
    }
    limit_here(&mut bench);
    for i in 0..500 {
        set(&mut bench, &format!("new{i}"));
    }
    let (soon, late) = (left(&mut bench, 0, 500), left(&mut bench, 500, 1000));
    assert!(soon <= 100 && late >= 400, "{soon} {late}");
    assert_eq!(bench.engine.ks.stats.evicted as usize, 1000 - soon - late);
}

#[test]
fn a_random_policy_favours_nobody() {
    let mut bench = bench(EvictionRule::Random, false);
    for i in 0..1000 {
        set(&mut bench, &format!("k{i}"));
    }
    limit_here(&mut bench);
    for i in 0..500 {
        set(&mut bench, &format!("new{i}"));
    }
    let (first, second) = (left(&mut bench, 0, 500), left(&mut bench, 500, 1000));
    assert!(
        first.abs_diff(second) < 70 && first < 400,
        "{first} {second}"
    );
}

#[test]
fn the_world_hears_of_it() {
    let mut bench = bench(EvictionRule::Random, false);
    bench.engine.ks.limits.notify = !0;
    bench.engine.ks.fx.feed_on = true;
    let (listener, other) = (bench.open(), bench.open());
    bench.run_as(listener, &["SUBSCRIBE", "__keyevent@0__:evicted"]);
    set(&mut bench, "a");
    bench.run_as(other, &["WATCH", "a"]);
    bench.world.delivered.clear();
    bench.propagated();
    bench.engine.ks.limits.memory_max = held() - 100;
    bench.line("PING");
    bench.engine.ks.limits.memory_max = 0;
    assert_eq!(bench.propagated(), ["DEL a"]);
    let heard = bench.world.delivered.remove(&listener).unwrap_or_default();
    assert!(String::from_utf8_lossy(&heard).ends_with("__keyevent@0__:evicted\r\n$1\r\na\r\n"));
    bench.run_as(other, &["MULTI"]);
    bench.run_as(other, &["PING"]);
    assert_eq!(bench.run_as(other, &["EXEC"]), b"*-1\r\n");
}

/// Each key that goes is told to the log and to listeners. Here it takes more memory to tell it than the key had, and all
/// that is told is kept: room is made for the command, not for the telling, or every key would go.
#[test]
fn what_evictions_are_told_with_evicts_no_more() {
    for rule in [EvictionRule::Random, EvictionRule::Lru] {
        let mut bench = bench(rule, false);
        for i in 0..2000 {
            bench.line(&format!("SET k{i} v"));
        }
        bench.engine.ks.limits.notify = !0;
        bench.engine.ks.fx.feed_on = true;
        let listener = bench.open();
        bench.run_as(listener, &["PSUBSCRIBE", "__key*__:*"]);
        bench.engine.ks.limits.memory_max = held() - 10_000;
        assert_eq!(bench.line("SETEX k0 1000 w"), "+OK\r\n", "{rule:?}");
        let evicted = bench.engine.ks.stats.evicted;
        assert!((50..600).contains(&evicted), "{evicted} under {rule:?}");
        let told = |fed: &String| fed.starts_with("DEL ");
        assert_eq!(
            bench.propagated().iter().filter(|fed| told(fed)).count() as u64,
            evicted
        );
    }
}

/// What is told of one eviction is out of the way before the next: nothing piles up that would be kept for later.
#[test]
fn evictions_leave_no_buffers_behind() {
    let mut bench = bench(EvictionRule::Random, false);
    for i in 0..20_000 {
        bench.line(&format!("SET k{i} v"));
    }
    bench.engine.ks.limits.notify = !0;
    bench.engine.ks.limits.memory_max = 1;
    bench.line("PING");
    assert_eq!(bench.engine.ks.total_keys(), 0);
    let with_buffers = held();
    bench.engine.ks.fx = Default::default();
    let buffers = with_buffers - held();
    assert!(buffers < 1000, "{buffers} bytes");
}

#[test]
fn the_cycle_evicts_when_no_command_comes() {
    let mut bench = bench(EvictionRule::Lru, false);
    for i in 0..100 {
        set(&mut bench, &format!("k{i}"));
    }
    limit_here(&mut bench);
    bench.engine.ks.limits.memory_max += 2000;
    let limit = std::mem::take(&mut bench.engine.ks.limits.memory_max);
    for i in 0..400 {
        set(&mut bench, &format!("more{i}"));
    }
    bench.engine.ks.limits.memory_max = limit;
    bench.engine.ks.limits.eviction_tenacity = 0;
    let mut rounds = 1;
    while bench.engine.evict(&mut bench.world) {
        rounds += 1;
    }
    assert!(held() <= limit);
    let keys = bench.engine.ks.total_keys();
    assert!((80..130).contains(&keys), "{keys}");
    assert!(rounds > 15, "{rounds} rounds without any time");
}

#[test]
fn a_huge_value_counts_as_free_before_it_is() {
    let mut bench = bench(EvictionRule::Ttl, true);
    for i in 0..20_000 {
        bench.line(&format!("HSET huge field{i} {i}"));
    }
    bench.line("EXPIRE huge 1000");
    bench.line(&format!("SETEX k0 2000 {VALUE}"));
    bench.engine.ks.limits.memory_max = held() - 100;
    assert_eq!(set(&mut bench, "more"), "+OK\r\n");
    let (owed, limit) = (
        bench.engine.ks.ledger().owed_bytes(),
        bench.engine.ks.limits.memory_max,
    );
    assert!(held() > limit && owed > 20_000 * 16, "{owed} bytes owed");
    assert_eq!(set(&mut bench, "again"), "+OK\r\n");
    assert_eq!(left(&mut bench, 0, 1), 1);
    let before = held();
    drop(bench.engine.ks.take_garbage());
    assert_eq!(bench.engine.ks.ledger().owed_bytes(), 0);
    let freed = before - held();
    assert!(
        owed.abs_diff(freed) < freed / 5,
        "{owed} bytes were owed, {freed} came"
    );
}

/// DEL, FLUSHALL, expiry and overwriting leave large values to another thread. A command that comes right behind must
/// not be refused, nor another key go, because that thread has not run yet.
#[test]
fn what_is_being_freed_is_free_already() {
    for line in ["DEL huge", "SET huge small", "FLUSHALL", "RENAME k0 huge"] {
        let mut bench = bench(EvictionRule::Never, false);
        for i in 0..20_000 {
            bench.line(&format!("HSET huge field{i} {i}"));
        }
        set(&mut bench, "k0");
        bench.engine.ks.limits.memory_max = held() - 10_000;
        assert!(set(&mut bench, "more").starts_with("-OOM"), "{line}");
        assert!(bench.engine.ks.stats.over_limit_since_us.is_some());
        bench.sleep_ms(5);
        if line.starts_with("SET") {
            bench.engine.ks.limits.memory_max += 20_000;
        }
        bench.line(line);
        let limit = held() - 10_000;
        bench.engine.ks.limits.memory_max = limit;
        assert_eq!(set(&mut bench, "more"), "+OK\r\n", "{line}");
        assert!(bench.engine.ks.stats.over_limit_since_us.is_none());
        assert!(bench.engine.ks.stats.over_limit_us >= 5000, "{line}");
        let ledger = bench.engine.ks.ledger();
        let values = if line == "FLUSHALL" { 2 } else { 1 };
        assert_eq!((ledger.pending(), ledger.freed()), (values, 0), "{line}");
        let (owed, before) = (ledger.owed_bytes(), held());
        drop(bench.engine.ks.take_garbage());
        let freed = before - held();
        assert!(
            owed.abs_diff(freed) < freed / 5,
            "{line}: {owed} of {freed}"
        );
        let ledger = bench.engine.ks.ledger();
        assert_eq!((ledger.pending(), ledger.freed()), (0, values), "{line}");
        assert_eq!(ledger.owed_bytes(), 0);
        bench.engine.ks.reset_stats();
        assert_eq!(bench.engine.ks.ledger().freed(), 0);
    }
}

/// A stream is as much work to free as it has nodes, however few entries each of them holds.
#[test]
fn a_stream_of_many_nodes_is_freed_elsewhere() {
    for (entries_of_a_node, aside) in [(5, 1), (100, 0)] {
        let mut bench = bench(EvictionRule::Never, false);
        bench.engine.ks.limits.stream_node_entries = entries_of_a_node;
        for i in 0..1000 {
            bench.line(&format!("XADD s {i}-1 f {i}"));
        }
        bench.line("UNLINK s");
        assert_eq!(bench.engine.ks.ledger().pending(), aside);
    }
}

#[test]
fn lazy_eviction_is_told_as_unlink() {
    for (lazy, want) in [(false, "DEL big"), (true, "UNLINK big")] {
        let mut bench = bench(EvictionRule::Ttl, true);
        for i in 0..1000 {
            bench.line(&format!("HSET big field{i} {i}"));
        }
        bench.line("EXPIRE big 1000");
        bench.engine.ks.fx.feed_on = true;
        bench.engine.ks.limits.lazy_eviction = lazy;
        bench.engine.ks.limits.memory_max = held() - 100;
        bench.line("PING");
        assert_eq!(bench.propagated(), [want]);
        assert_eq!(bench.engine.ks.ledger().pending(), u64::from(lazy));
    }
}
