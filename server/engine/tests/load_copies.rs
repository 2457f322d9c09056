//! What a snapshot holds as it will lie in memory is copied once: out of the reader's buffer into its last place.
//!
//! The allocator of this test counts, for each thread, the blocks that are about as large as the value that is loaded.
#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;

use cairn_engine::persist::load::Loader;
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use support::Bench;

struct Counting;

thread_local! {
    static WATCHED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all work is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may have no counters any more.
        let (from, to) = WATCHED.try_with(Cell::get).unwrap_or_default();
        if (from..to).contains(&layout.size()) {
            let _ = SEEN.try_with(|seen| seen.set(seen.get() + 1));
        }
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and counts the allocations of these sizes that it makes.
fn counted(sizes: Range<usize>, work: impl FnOnce()) -> u64 {
    SEEN.set(0);
    WATCHED.set((sizes.start, sizes.end));
    work();
    WATCHED.set((0, 0));
    SEEN.get()
}

/// A snapshot with one key, made by these commands.
fn snapshot(commands: &[String]) -> (Vec<u8>, usize) {
    let mut bench = Bench::new();
    for command in commands {
        let reply = bench.line(command);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }
    let options = SaveOptions {
        part: cairn_engine::persist::save::Part::Everything,
        dialect: automatic_dialect(&bench.engine.ks),
        compress: false,
        checksum: true,
        aux: Vec::new(),
        idle: false,
        freq: false,
    };
    let empty = save(
        &Bench::new().engine.ks,
        Vec::new(),
        &options,
        false,
        &mut |_| (),
    );
    let file = save(&bench.engine.ks, Vec::new(), &options, false, &mut |_| ()).expect("saved");
    // Beside the value: SELECTDB, RESIZEDB, the type, the key and the lengths.
    let value = file.len() - empty.expect("nothing is saved").len();
    (file, value)
}

#[test]
fn what_stays_packed_is_copied_once() {
    let words = |count: usize, len: usize| -> Vec<String> {
        (0..count).map(|i| format!("{i:a>len$}x")).collect()
    };
    // Within a record, and beyond it.
    for len in [20, 60] {
        let ten = words(10, len);
        let scored = ten.iter().map(|word| format!("1 {word}"));
        let pairs = ten.iter().map(|word| format!("f{word} v"));
        let some = |command: &str, args: Vec<String>| format!("{command} k {}", args.join(" "));
        for commands in [
            vec![some("SET", words(1, len * 10))],
            vec![some("HSET", pairs.clone().collect())],
            vec![
                some("HSET", pairs.collect()),
                format!("HPEXPIREAT k 2000000100000 FIELDS 1 f{}", ten[0]),
            ],
            vec![some("ZADD", scored.collect())],
            vec![some("SADD", ten.clone())],
            vec![some(
                "SADD",
                (0..len * 3 / 2)
                    .map(|i| (i + (1 << 40)).to_string())
                    .collect(),
            )],
            vec![some("RPUSH", ten)],
        ] {
            let (file, value) = snapshot(&commands);
            let mut bench = Bench::new();
            let mut loader = Loader::new(&file[..], 16, true, true).expect("our own");
            let seen = counted(value - 40..value + 80, || {
                loader.run(&mut bench.engine.ks).expect("our own");
            });
            let encoding = bench.line("OBJECT ENCODING k");
            assert_eq!(seen, 1, "{value} bytes of {encoding}");
        }
    }
}

#[test]
fn a_number_of_keys_that_is_a_lie_takes_no_memory() {
    let commands: Vec<String> = (0..100).map(|i| format!("SET {i} v")).collect();
    let (file, _) = snapshot(&commands);
    let told = [0xfb, 0x40, 100, 0];
    let at = file.windows(4).position(|bytes| bytes == told);
    let at = at.expect("RESIZEDB with a hundred keys");
    for keys in [1 << 40, u64::MAX] {
        let mut lie = file[..=at].to_vec();
        lie.push(0x81);
        lie.extend(keys.to_be_bytes());
        lie.extend(&file[at + 3..]);
        let mut bench = Bench::new();
        let mut loader = Loader::new(&lie[..], 16, true, false).expect("our own");
        loader.run(&mut bench.engine.ks).expect("a hint alone");
        assert_eq!(bench.line("DBSIZE"), ":100\r\n");
        let db = bench.engine.ks.database(0);
        assert!(db.buckets() <= 100, "{} buckets for 100 keys", db.buckets());
    }
}
