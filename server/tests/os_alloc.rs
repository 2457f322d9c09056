//! The allocator as the server uses it: this test program runs on it from its first allocation.

use std::alloc::{GlobalAlloc, Layout};

use cairn_server::os::alloc::{self, Jemalloc};

#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

#[test]
fn jemalloc_was_built_with_classes_that_step_by_eight() {
    assert_eq!(alloc::quantum(), Some(8));
    // Four classes per doubling from 64 on: 80, 96, 112, 128.
    for size in 1..=64 {
        assert_eq!(alloc::size_class(size), size.div_ceil(8) * 8, "size {size}");
    }
    assert_eq!(alloc::arenas(), Some(4));
}

#[test]
fn every_small_size_keeps_its_alignment() {
    for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
        for size in 1..=256 {
            let layout = Layout::from_size_align(size, align).unwrap();
            // Several at a time: the first block of a page is aligned by chance.
            let blocks: Vec<*mut u8> = (0..16)
                .map(|turn| {
                    // SAFETY: the size is not zero.
                    let block = unsafe {
                        if turn % 2 == 0 {
                            GLOBAL.alloc(layout)
                        } else {
                            GLOBAL.alloc_zeroed(layout)
                        }
                    };
                    assert!(!block.is_null());
                    assert_eq!(block as usize % align, 0, "size {size} align {align}");
                    // SAFETY: the block has `size` bytes.
                    unsafe { block.write_bytes(0xa5, size) };
                    block
                })
                .collect();
            for block in blocks {
                // SAFETY: allocated above with this layout, and grown by `realloc` under the rules of the trait.
                unsafe {
                    let grown = GLOBAL.realloc(block, layout, size + 24);
                    assert_eq!(grown as usize % align, 0, "size {size} align {align} grown");
                    assert_eq!(*grown.add(size - 1), 0xa5);
                    GLOBAL.dealloc(grown, Layout::from_size_align(size + 24, align).unwrap());
                }
            }
        }
    }
}

#[test]
fn a_zeroed_block_is_zero_after_use() {
    for align in [8, 16] {
        let layout = Layout::from_size_align(200, align).unwrap();
        for _ in 0..50 {
            // SAFETY: the size is not zero; the block is released with its layout.
            unsafe {
                let block = GLOBAL.alloc_zeroed(layout);
                assert!((0..200).all(|at| *block.add(at) == 0));
                block.write_bytes(0xff, 200);
                GLOBAL.dealloc(block, layout);
            }
        }
    }
}

#[test]
fn used_memory_follows_allocations_of_all_registered_threads() {
    let registration = alloc::register_thread().expect("jemalloc keeps counters");
    let before = alloc::used_memory();
    let block = vec![1u8; 10 << 20];
    let with_block = alloc::used_memory();
    assert!(
        with_block >= before + (10 << 20),
        "{before} then {with_block}"
    );
    // Another thread allocates, hands its block over and ends: the bytes stay counted until they are released.
    let other = std::thread::spawn(|| {
        let _registration = alloc::register_thread().expect("a free slot");
        vec![2u8; 20 << 20]
    })
    .join()
    .unwrap();
    let with_both = alloc::used_memory();
    assert!(
        with_both >= with_block + (20 << 20) - (1 << 20),
        "{with_block} then {with_both}"
    );
    drop(other);
    drop(block);
    let after = alloc::used_memory();
    assert!(after < with_both - (29 << 20), "{with_both} then {after}");
    drop(registration);
}

#[test]
fn the_background_thread_starts_and_stops() {
    assert!(alloc::set_background_thread(true));
    assert!(alloc::background_thread());
    assert!(alloc::set_background_thread(false));
    assert!(!alloc::background_thread());
    assert!(alloc::purge());
    assert!(
        alloc::name().starts_with("jemalloc-5."),
        "{}",
        alloc::name()
    );
}

#[test]
fn statistics_are_consistent_where_jemalloc_keeps_them() {
    match alloc::stats() {
        Some(stats) => {
            assert!(
                stats.allocated > 0
                    && stats.active >= stats.allocated
                    && stats.resident >= stats.active,
                "{stats:?}"
            );
        }
        // Built without the `stats` feature: the counters of threads still work, which the test above proves.
        None => assert_eq!(alloc::quantum(), Some(8)),
    }
}
