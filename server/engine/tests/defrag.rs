//! Blocks of values that are moved while commands run: none is forgotten, none is lost, and nobody notices.
//!
//! The allocator of this program knows each live block of a test's thread and when it was made. So a test can say that all blocks leave
//! which were there before a walk, and see afterwards which of them the data set still held when it was dropped.
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;

use cairn_engine::Engine;
use cairn_engine::base::random::Random;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::keyspace::defrag::{Slice, Walk};
use cairn_engine::persist::digest::of_all;
use cairn_engine::structure::mover::BLOCK_MAX;
use support::Bench;

/// What is known of a live block: its size, and the age of the test at which it was made.
type Blocks = BTreeMap<usize, (usize, u32)>;

#[derive(Default)]
struct Books {
    live: Blocks,
    /// Blocks that were freed since somebody began to watch.
    freed: Option<Vec<(usize, u32)>>,
    age: u32,
}

thread_local! {
    static KEPT: Cell<bool> = const { Cell::new(false) };
    static BOOKS: RefCell<Books> = RefCell::default();
}

struct Noting;

impl Noting {
    /// What the books themselves need is not in them.
    fn note(change: impl FnOnce(&mut Books)) {
        if KEPT.try_with(|kept| kept.replace(false)).unwrap_or(false) {
            BOOKS.with_borrow_mut(change);
            KEPT.set(true);
        }
    }
}

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let block = unsafe { System.alloc(layout) };
        Noting::note(|books| {
            books.live.insert(block.addr(), (layout.size(), books.age));
        });
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Noting::note(|books| {
            let known = books.live.remove(&block.addr());
            if let (Some(known), Some(freed)) = (known, &mut books.freed) {
                freed.push(known);
            }
        });
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// Looks at the books.
fn books<R>(look: impl FnOnce(&mut Books) -> R) -> R {
    let kept = KEPT.replace(false);
    let answer = BOOKS.with_borrow_mut(look);
    KEPT.set(kept);
    answer
}

/// Whether the block around an address was made before this age; yes where no books are kept.
fn is_older(address: *const u8, age: u32) -> bool {
    if !KEPT.get() {
        return true;
    }
    books(|books| {
        let up_to = (Bound::Unbounded, Bound::Included(address.addr()));
        let (start, (size, made)) = books.live.range(up_to).next_back().expect("a block");
        assert!(address.addr() < start + size.max(&1), "in no live block");
        // Inner nodes of ordered maps are larger than leaves, and nobody can see which one a key is in.
        *size <= BLOCK_MAX && *made < age
    })
}

/// A walk over everything without a break, in which all blocks leave that were there before.
fn move_all(ks: &mut Keyspace) {
    let age = books(|books| {
        books.age += 1;
        books.age
    });
    let mut walk = Walk::default();
    let mut slices = 0;
    let leaves = &mut |block: *const u8| is_older(block, age);
    while ks.move_slice(&mut walk, 1000, leaves, &mut || true) != Slice::Done {
        slices += 1;
        assert!(slices < 1_000_000, "it does not end");
    }
}

/// Small blocks made before the last walk that the data set holds when it is dropped: a walk has forgotten them.
fn forgotten(ks: &mut Keyspace) -> Vec<usize> {
    ks.flush_all();
    let garbage = ks.take_garbage();
    books(|books| books.freed = Some(Vec::new()));
    drop(garbage);
    let (freed, age) = books(|books| (books.freed.take().unwrap_or_default(), books.age));
    assert!(!freed.is_empty() || !KEPT.get(), "nothing was there");
    let old = |block: &&(usize, u32)| block.1 < age && block.0 <= BLOCK_MAX;
    freed.iter().filter(old).map(|(size, _)| *size).collect()
}

/// Runs a test with books about its blocks; in the end none may be left.
fn with_books(test: impl Fn()) {
    // What is made once for each thread is made before.
    test();
    KEPT.set(true);
    test();
    KEPT.set(false);
    let left = BOOKS.with_borrow_mut(|books| std::mem::take(&mut books.live));
    assert_eq!(left.len(), 0, "blocks are lost: {left:?}");
}

/// Lists, sets and the like become tables at once.
fn with_small_limits() -> Bench {
    let mut bench = Bench::new();
    let limits = &mut bench.engine.ks.limits;
    limits.hash_listpack_entries = 4;
    limits.set_listpack_entries = 4;
    limits.set_intset_entries = 8;
    limits.zset_listpack_entries = 4;
    limits.list_listpack_size = 4;
    limits.stream_node_entries = 3;
    bench
}

fn run(bench: &mut Bench, line: &str) {
    let reply = bench.line(line);
    assert!(!reply.starts_with('-'), "{line}: {reply}");
}

/// `head`, and words for the numbers below `count`.
fn many(head: &str, count: usize, word: impl Fn(usize) -> String) -> String {
    let words: Vec<String> = (0..count).map(word).collect();
    format!("{head} {}", words.join(" "))
}

/// Values of each type and encoding, each of some sizes, as the commands that make them.
fn values() -> Vec<(String, Vec<String>)> {
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    let mut case = |name: &str, lines: Vec<String>| cases.push((name.to_owned(), lines));
    let long = "x".repeat(300);
    case(
        "int",
        vec!["SET k 12345".into(), "SET e 7 PX 100000".into()],
    );
    case("text", vec!["SET k abc".into(), format!("SET r {long}")]);
    case("long name", vec![format!("SET {long} 1 PX 100000")]);
    case("large text", vec![format!("SET k {long}{long}")]);
    let read = format!("SETRANGE k 0 {long}{long}");
    case(
        "large text that was read",
        vec![read, "GET k".into(), "GET k".into()],
    );
    for (name, elements) in [("packed", 3), ("small", 20), ("large", 3000)] {
        let e = |i| format!("element{i}");
        let of = |what: &str| format!("{name} {what}");
        case(&of("list"), vec![many("RPUSH k", elements, e)]);
        case(&of("set"), vec![many("SADD k", elements, e)]);
        case(
            &of("intset"),
            vec![many("SADD k", elements.min(300), |i| i.to_string())],
        );
        let pair = |i| format!("f{i} {i}");
        case(&of("hash"), vec![many("HSET k", elements, pair)]);
        let timed = many(&format!("HEXPIRE k 100 FIELDS {elements}"), elements, |i| {
            format!("f{i}")
        });
        case(
            &of("hash with times"),
            vec![many("HSET k", elements, pair), timed],
        );
        case(
            &of("zset"),
            vec![many("ZADD k", elements, |i| format!("{} e{i}", i % 7))],
        );
        let scored = |i| format!("{} e{i}", (i * 7919) % 3001);
        case(
            &of("zset of many scores"),
            vec![many("ZADD k", elements, scored)],
        );
        let added = |i| format!("XADD k {}-1 f{i} v", i + 1);
        case(&of("stream"), (0..elements).map(added).collect());
        let mut groups: Vec<String> = (0..elements).map(added).collect();
        for group in 0..elements.min(200) {
            groups.push(format!("XGROUP CREATE k group{group} 0"));
        }
        groups.extend([
            "XREADGROUP GROUP group0 first STREAMS k >".into(),
            "XREADGROUP GROUP group1 first COUNT 5 STREAMS k >".into(),
            "XREADGROUP GROUP group1 second STREAMS k >".into(),
        ]);
        for consumer in 0..elements.min(200) {
            groups.push(format!("XGROUP CREATECONSUMER k group1 consumer{consumer}"));
        }
        groups.push("XGROUP DELCONSUMER k group1 consumer1".into());
        case(&of("stream with groups"), groups);
    }
    for keys in [1, 40, 5000] {
        case(
            &format!("{keys} keys"),
            (0..keys).map(|i| format!("SET key{i} {i}")).collect(),
        );
        let timed = |i| {
            [
                format!("HSET key{i} f v"),
                format!("HEXPIRE key{i} 100 FIELDS 1 f"),
            ]
        };
        case(
            &format!("{keys} hashes with times"),
            (0..keys).flat_map(timed).collect(),
        );
    }
    let shrunk = many("HSET k", 3000, |i| format!("f{i} {i}"));
    let less = many("HDEL k", 2990, |i| format!("f{i}"));
    case("hash that was large", vec![shrunk, less]);
    let blob = many("HSET k", 4, |i| format!("f{i} {}", &long[..60 * (i + 1)]));
    case(
        "packed behind a pointer",
        vec![blob, "HDEL k f3".into(), "HDEL k f2".into()],
    );
    cases
}

#[test]
fn no_block_is_forgotten() {
    for (name, lines) in values() {
        for databases in [1, 3] {
            with_books(|| {
                let mut bench = with_small_limits();
                // What is read before shares its bytes with nobody any more.
                for db in 0..databases {
                    run(&mut bench, &format!("SELECT {db}"));
                    lines.iter().for_each(|line| run(&mut bench, line));
                }
                let ks = &mut bench.engine.ks;
                let before = of_all(ks);
                move_all(ks);
                assert_eq!(of_all(ks), before, "{name}");
                assert_eq!(ks.check(), Ok(()), "{name}");
                assert!(ks.stats.moved.hits > 0, "{name}: nothing was moved");
                let left = forgotten(ks);
                assert_eq!(
                    left.len(),
                    0,
                    "{name}: blocks of {left:?} bytes were forgotten"
                );
                bench.world.fed.clear();
            });
        }
    }
}

/// Commands between slices: `K` and `L` become keys, `E` an element, `N` a number, and what stands behind `*` comes many times.
const LINES: &[&str] = &[
    "SET K E",
    "SET K N PX 5000",
    "INCR K",
    "APPEND K E",
    "GET K",
    "SETRANGE K 600 E",
    "RPUSH K * E",
    "LPUSH K * N",
    "LPOP K 7",
    "LTRIM K 5 60",
    "LRANGE K 0 -1",
    "LINSERT K BEFORE N E",
    "SADD K * E",
    "SADD K * N",
    "SREM K * N",
    "SPOP K 3",
    "SMEMBERS K",
    "SSCAN K 0 COUNT 50",
    "HSET K * E N",
    "HDEL K * E",
    "HGETALL K",
    "HEXPIRE K 3 FIELDS 3 E E N",
    "HPEXPIRE K 2000 FIELDS 1 E",
    "HPERSIST K FIELDS 1 E",
    "ZADD K * N E",
    "ZADD K * N N",
    "ZREM K * E",
    "ZPOPMIN K 4",
    "ZINCRBY K 3 E",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZREMRANGEBYRANK K 3 9",
    "XADD K * E N",
    "XADD K * f v",
    "XADD K * f v",
    "XGROUP CREATE K E 0 MKSTREAM",
    "XREADGROUP GROUP E N COUNT 9 STREAMS K >",
    "XREADGROUP GROUP E E STREAMS K 0",
    "XTRIM K MAXLEN 20",
    "XINFO STREAM K FULL",
    "XGROUP DELCONSUMER K E N",
    "XGROUP DESTROY K E",
    "XPENDING K E",
    "RENAME K L",
    "COPY K L REPLACE",
    "DEL K",
    "EXPIRE K 4",
    "PERSIST K",
    "MOVE K 1",
    "SWAPDB 0 2",
    "FLUSHDB",
    "RANDOMKEY",
    "SCAN 0 COUNT 100",
    "SORT K ALPHA STORE L",
    "SUNIONSTORE K K L",
];

fn draw(random: &mut Random, line: &str) -> Vec<String> {
    let word = |random: &mut Random, word: &str| match word {
        "K" | "L" => format!("key{}", random.index(12)),
        "E" => format!(
            "element{}{}",
            random.index(300),
            ["", &"long".repeat(9)][random.index(2)]
        ),
        "N" => random.index(900).to_string(),
        other => other.to_owned(),
    };
    let mut words: Vec<String> = Vec::new();
    let is_stream = line.starts_with("XADD");
    let (once, often) = match line.split_once(" * ") {
        Some((once, often)) if !is_stream => (once, often),
        _ => (line, ""),
    };
    words.extend(once.split(' ').map(|w| word(random, w)));
    if !often.is_empty() {
        for _ in 0..1 + random.index(120) {
            words.extend(often.split(' ').map(|w| word(random, w)));
        }
    }
    words
}

/// The same commands without a walk and with slices of walks between them, in which any block may leave: replies, digests and what is
/// propagated are the same.
#[test]
fn nobody_notices() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut benches = [with_small_limits(), with_small_limits()];
        let (mut walk, mut done, mut cut) = (Walk::default(), 0, 0);
        for step in 0..6_000 {
            let line = LINES[random.index(LINES.len())];
            // Emptying everything often would leave little to move.
            if line == "FLUSHDB" && random.index(40) > 0 {
                continue;
            }
            let words = draw(&mut random, line);
            let [plain, moved] = &mut benches;
            assert_eq!(
                plain.run(&words),
                moved.run(&words),
                "seed {seed}, step {step}: {words:?}"
            );
            if random.index(8) == 0 {
                let ms = random.index(900) as u64;
                plain.sleep_ms(ms);
                moved.sleep_ms(ms);
            }
            let mut steps = random.index(60);
            let most = 1 + random.index(200);
            let chance = 1 + random.index(5);
            let leaves = &mut |_: *const u8| random.index(chance) == 0;
            let ks = &mut moved.engine.ks;
            match ks.move_slice(&mut walk, most, leaves, &mut || {
                steps = steps.saturating_sub(1);
                steps > 0
            }) {
                Slice::Done => {
                    done += 1;
                    walk = Walk::default();
                }
                _ => cut += 1,
            }
            if random.index(500) == 0 {
                walk = Walk::default();
            }
            if step % 20 == 0 {
                let at = format!("seed {seed}, step {step}, {words:?}");
                assert_eq!(of_all(&plain.engine.ks), of_all(&moved.engine.ks), "{at}");
                assert_eq!(moved.engine.check(), Ok(()), "{at}");
                assert_eq!(plain.propagated(), moved.propagated(), "{at}");
            }
        }
        let moved = benches[1].engine.ks.stats.moved;
        assert!(
            done > 50 && cut > 500,
            "{done} walks, {cut} slices cut short"
        );
        assert!(moved.hits > 10_000 && moved.key_hits > 1000, "{moved:?}");
    }
}

/// Large values are walked some elements at a time, and what a walk has passed is not looked at again.
#[test]
fn a_slice_ends_after_so_many_elements() {
    let mut bench = Bench::new();
    run(
        &mut bench,
        &many("SADD set", 5000, |i| format!("element{i}")),
    );
    run(&mut bench, "SET other 1");
    let ks = &mut bench.engine.ks;
    let (mut walk, mut slices, mut asked) = (Walk::default(), 0, 0);
    loop {
        let before = ks.stats.moved.misses;
        let leaves = &mut |_: *const u8| {
            asked += 1;
            false
        };
        let ended = ks.move_slice(&mut walk, 500, leaves, &mut || true);
        let seen = ks.stats.moved.misses - before;
        assert!(seen < 500 + 400, "a slice looked at {seen} blocks");
        if ended == Slice::Done {
            break;
        }
        assert_eq!(ended, Slice::Elements);
        slices += 1;
    }
    assert!((9..=12).contains(&slices), "{slices} slices");
    // Members, chains behind their buckets, the list of segments, and little else.
    assert!((5000..7000).contains(&asked), "asked about {asked} blocks");
    let moved = ks.stats.moved;
    assert_eq!((moved.hits, moved.key_hits, moved.key_misses), (0, 0, 2));
}

/// A walk goes on with the next value when the one it is in is gone, is another, or has become small.
#[test]
fn a_large_value_may_go_or_change_meanwhile() {
    for change in [
        "DEL k",
        "SET k 1",
        "LPUSH-K",
        "SPOP k 4990",
        "RENAME k other",
        "FLUSHALL",
    ] {
        let mut bench = Bench::new();
        run(&mut bench, &many("SADD k", 5000, |i| format!("element{i}")));
        let mut walk = Walk::default();
        let leaves = &mut |_: *const u8| true;
        for _ in 0..3 {
            let ended = bench
                .engine
                .ks
                .move_slice(&mut walk, 500, leaves, &mut || true);
            assert_eq!(ended, Slice::Elements);
        }
        match change {
            "LPUSH-K" => {
                run(&mut bench, "DEL k");
                run(
                    &mut bench,
                    &many("RPUSH k", 3000, |i| format!("element{i}")),
                );
            }
            line => run(&mut bench, line),
        }
        let before = of_all(&bench.engine.ks);
        let ended = bench
            .engine
            .ks
            .move_slice(&mut walk, usize::MAX, leaves, &mut || true);
        assert_eq!(ended, Slice::Done, "{change}");
        assert_eq!(of_all(&bench.engine.ks), before, "{change}");
    }
}

/// Keys of a cluster's node lie in a table per slot.
#[test]
fn all_slots_are_walked() {
    with_books(|| {
        let mut bench = Bench::new();
        bench.engine = Engine::with_slots([1, 2, 3, 4], &[]);
        bench.engine.set_now(bench.world.now);
        bench.session = bench.engine.open_session(bench.world.now);
        for i in 0..3000 {
            run(&mut bench, &format!("SET key{i} {i}"));
            run(&mut bench, &format!("HSET hash{i} f v"));
        }
        run(
            &mut bench,
            &many("ZADD zset", 3000, |i| format!("{i} element{i}")),
        );
        let ks = &mut bench.engine.ks;
        let before = of_all(ks);
        move_all(ks);
        assert_eq!((of_all(ks), ks.check()), (before, Ok(())));
        let left = forgotten(ks);
        assert_eq!(left.len(), 0, "blocks of {left:?} bytes were forgotten");
    });
}
