//! Slabs against a list of who has which bytes: no block overlaps another, none changes, and the invariants hold all the time.

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::mpsc::channel;

use cairn_slabs::{LARGEST, SLAB, STEP, Slabs, rounded};
use proptest::prelude::*;

/// Room of a test.
const ROOM: usize = if cfg!(miri) { 64 * SLAB } else { 1 << 30 };

fn open(slabs: &Slabs) {
    // SAFETY: the test's thread is the owner.
    assert!(unsafe { slabs.open(ROOM, ROOM) });
}

/// Blocks in use: address, size, and the byte that fills each.
#[derive(Default)]
struct Model {
    blocks: Vec<(usize, *mut u8, u8)>,
    turn: u8,
}

impl Model {
    fn take(&mut self, slabs: &Slabs, size: usize) {
        // SAFETY: the test's thread is the owner.
        let block = unsafe { slabs.take(size) };
        assert!(!block.is_null() && block.addr() % STEP == 0 && slabs.contains(block));
        self.turn = self.turn.wrapping_add(1);
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(self.turn, size) };
        self.blocks.push((size, block, self.turn));
        // SAFETY: it is in use.
        let bytes = unsafe { slabs.bytes_of(block) };
        assert!(bytes >= rounded(size) && bytes <= rounded(size) + rounded(size) / 8);
    }

    /// Takes one out of the list, after a look at its bytes.
    fn pick(&mut self, index: usize) -> Option<*mut u8> {
        if self.blocks.is_empty() {
            return None;
        }
        let (size, block, fill) = self.blocks.swap_remove(index % self.blocks.len());
        // SAFETY: ours, and written when it was taken.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(
            bytes.iter().all(|byte| *byte == fill),
            "a block of {size} bytes changed"
        );
        Some(block)
    }

    fn give(&mut self, slabs: &Slabs, index: usize) {
        if let Some(block) = self.pick(index) {
            // SAFETY: it was ours.
            unsafe { slabs.give(block) };
        }
    }

    fn check(&self, slabs: &Slabs) {
        // SAFETY: the owner asks, and nobody gives back.
        unsafe { slabs.check() }.unwrap();
        // SAFETY: they are in use.
        let bytes = self
            .blocks
            .iter()
            .map(|entry| unsafe { slabs.bytes_of(entry.1) });
        assert_eq!(slabs.used(), bytes.sum::<usize>() as u64);
    }

    fn end(mut self, slabs: &Slabs) {
        while !self.blocks.is_empty() {
            self.give(slabs, 0);
        }
        self.check(slabs);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Take(usize, usize),
    Give(usize, usize),
    Afar(usize, usize),
    Collect(usize),
    Choose(usize),
    Evacuate,
    End,
    Tidy,
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let most = if cfg!(miri) { 40usize } else { 900 };
    prop_oneof![
        6 => (1..=LARGEST, 1..most).prop_map(|(size, count)| Step::Take(size, count)),
        2 => (prop::sample::select(vec![8usize, 24, 88, 200, 512]), 1..most)
            .prop_map(|(size, count)| Step::Take(size, count)),
        5 => (any::<usize>(), 1..most).prop_map(|(index, count)| Step::Give(index, count)),
        2 => (any::<usize>(), 1..most).prop_map(|(index, count)| Step::Afar(index, count)),
        1 => (1..5usize).prop_map(Step::Collect),
        2 => (1..20usize).prop_map(Step::Choose),
        2 => Just(Step::Evacuate),
        1 => Just(Step::End),
        1 => Just(Step::Tidy),
        1 => Just(Step::Purge),
    ]
}

/// Moves every block that lies in a slab to be emptied.
fn evacuate(model: &mut Model, slabs: &Slabs) {
    for entry in &mut model.blocks {
        let (size, old, _) = *entry;
        // SAFETY: the test's thread is the owner; both blocks have so many bytes.
        unsafe {
            if slabs.is_leaving(old.addr()) {
                let new = slabs.take(size);
                assert!(
                    !new.is_null() && !slabs.is_leaving(new.addr()),
                    "a block came to where others leave"
                );
                new.copy_from_nonoverlapping(old, size);
                slabs.give(old);
                entry.1 = new;
            }
        }
    }
}

/// # Safety
/// The calling thread is the owner.
unsafe fn tend(step: Step, slabs: &Slabs) {
    // SAFETY: by contract.
    unsafe {
        match step {
            Step::Collect(most) => _ = slabs.collect(most),
            Step::Choose(most) => _ = slabs.choose(most),
            Step::End => slabs.end(),
            Step::Tidy => {
                slabs.age();
                slabs.tidy(1 << 20);
            }
            _ => {
                slabs.purge();
                assert_eq!(
                    slabs.held().1,
                    0,
                    "free slabs have pages after all were given back"
                );
            }
        }
    }
}

fn run(steps: Vec<Step>) {
    let slabs = Slabs::new();
    open(&slabs);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Take(size, count) => (0..count).for_each(|_| model.take(&slabs, size)),
            Step::Give(index, count) => {
                (0..count).for_each(|i| model.give(&slabs, index.wrapping_add(i * 7)))
            }
            Step::Afar(index, count) => {
                let blocks: Vec<usize> = (0..count)
                    .filter_map(|i| model.pick(index.wrapping_add(i)))
                    .map(|block| block.expose_provenance())
                    .collect();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        for block in blocks {
                            // SAFETY: it was ours, and this thread is not the owner.
                            unsafe {
                                slabs.give_from_afar(std::ptr::with_exposed_provenance_mut(block))
                            };
                        }
                    });
                });
            }
            Step::Evacuate => evacuate(&mut model, &slabs),
            // SAFETY: the test's thread is the owner.
            step => unsafe { tend(step, &slabs) },
        }
        model.check(&slabs);
    }
    model.end(&slabs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 300 }))]

    #[test]
    fn no_block_is_anybody_elses(steps in prop::collection::vec(step(), 1..if cfg!(miri) { 12 } else { 60 })) {
        run(steps);
    }
}

#[test]
fn a_slab_is_full_of_blocks() {
    let slabs = Slabs::new();
    open(&slabs);
    let mut model = Model::default();
    for size in [8, 88, 200, 512, 2976] {
        (0..SLAB / size).for_each(|_| model.take(&slabs, size));
    }
    // SAFETY: the owner asks.
    let figures = unsafe { slabs.figures() };
    assert_eq!(figures.len(), 5);
    for class in figures {
        assert_eq!(
            (class.slabs, class.used, class.blocks),
            (1, SLAB / class.size, SLAB / class.size)
        );
    }
    model.check(&slabs);
    model.end(&slabs);
}

#[test]
fn a_block_that_came_back_is_the_next_one() {
    let slabs = Slabs::new();
    open(&slabs);
    // SAFETY: the test's thread is the owner.
    unsafe {
        let first = slabs.take(40);
        for _ in 0..3 {
            let block = slabs.take(40);
            assert_ne!(block, first);
            slabs.give(block);
            assert_eq!(slabs.take(33), block);
            slabs.give(block);
        }
    }
}

#[test]
fn what_larger_blocks_left_is_used_before_new_slabs() {
    let slabs = Slabs::new();
    open(&slabs);
    let mut model = Model::default();
    let count = 4 * SLAB / 96;
    (0..count).for_each(|_| model.take(&slabs, 96));
    // All but every eighth block: no slab is empty.
    let mut index = 0;
    while index < model.blocks.len() {
        (0..7).for_each(|_| model.give(&slabs, index));
        index += 1;
    }
    // SAFETY: the test's thread is the owner.
    let held = || unsafe { slabs.held().0 };
    let before = held();
    (0..count / 2).for_each(|_| model.take(&slabs, 88));
    assert_eq!(
        held(),
        before,
        "blocks of 88 bytes lie where those of 96 were"
    );
    (0..count / 8).for_each(|_| model.take(&slabs, 80));
    assert!(
        held() > before,
        "those of 80 do not: a sixth would lie idle"
    );
    model.check(&slabs);
    model.end(&slabs);
}

#[test]
fn address_space_goes_back_with_its_slabs() {
    // Half a terabyte each, and a process has 128.
    for _ in 0..if cfg!(miri) { 1 } else { 400 } {
        let slabs = Slabs::new();
        // SAFETY: the test's thread is the owner.
        unsafe {
            assert!(slabs.open(if cfg!(miri) { ROOM } else { 1 << 39 }, ROOM));
            assert!(!slabs.take(100).is_null());
        }
    }
}

#[test]
fn without_room_there_is_no_block() {
    let slabs = Slabs::new();
    // SAFETY: the test's thread is the owner.
    unsafe {
        assert!(slabs.take(8).is_null(), "nothing was opened");
        assert!(!slabs.open(SLAB, 2 * SLAB), "less than the least");
        assert!(slabs.open(SLAB, SLAB));
        assert!(!slabs.open(SLAB, SLAB), "it is open");
        let blocks: Vec<_> = std::iter::repeat_with(|| slabs.take(512))
            .take_while(|block| !block.is_null())
            .collect();
        assert_eq!(blocks.len(), SLAB / 512);
        assert!(slabs.take(8).is_null(), "the only slab is of another class");
        slabs.give(blocks[3]);
        assert_eq!(slabs.take(512), blocks[3]);
        blocks.into_iter().for_each(|block| slabs.give(block));
        // The current slab of its class, though empty: another class gets none.
        assert!(slabs.take(8).is_null());
        slabs.check().unwrap();
    }
}

#[test]
fn pages_of_free_slabs_go_back_after_a_while() {
    let slabs = Slabs::new();
    open(&slabs);
    let mut model = Model::default();
    (0..20 * SLAB / 512).for_each(|_| model.take(&slabs, 512));
    while !model.blocks.is_empty() {
        model.give(&slabs, 0);
    }
    // SAFETY: the test's thread is the owner.
    unsafe {
        let (held, worn) = slabs.held();
        assert!(
            worn >= 19 * SLAB as u64 && held <= SLAB as u64,
            "{held} {worn}"
        );
        slabs.age();
        assert!(!slabs.tidy(usize::MAX), "all was in use a moment ago");
        assert_eq!(slabs.held().1, worn);
        // Half of it is wanted again.
        (0..9 * SLAB / 512).for_each(|_| model.take(&slabs, 512));
        slabs.age();
        assert!(
            slabs.tidy(SLAB),
            "ten slabs were idle, and some of them are still there"
        );
        assert!(!slabs.tidy(usize::MAX));
        let left = slabs.held().1;
        assert!(left <= SLAB as u64, "{left} of {worn} stayed");
        model.check(&slabs);
    }
    model.end(&slabs);
}

#[test]
fn the_sparsest_slabs_are_emptied_into_the_others() {
    let slabs = Slabs::new();
    open(&slabs);
    let mut model = Model::default();
    let count = 16 * (SLAB / 512);
    (0..count).for_each(|_| model.take(&slabs, 512));
    // Three of four blocks go.
    let mut all = std::mem::take(&mut model.blocks);
    for (index, entry) in all.drain(..).enumerate() {
        if index % 4 == 0 {
            model.blocks.push(entry);
        } else {
            // SAFETY: it was ours.
            unsafe { slabs.give(entry.1) };
        }
    }
    // SAFETY: the test's thread is the owner.
    unsafe {
        let before = slabs.held().0;
        let chosen = std::iter::repeat_with(|| slabs.choose(3))
            .flatten()
            .next()
            .unwrap();
        // Fifteen of sixteen slabs are a quarter full; the last is the current one.
        assert!(chosen >= 10 * SLAB, "{chosen} bytes chosen");
        evacuate(&mut model, &slabs);
        slabs.check().unwrap();
        slabs.end();
        let after = slabs.held().0;
        assert_eq!(before - after, chosen as u64);
        assert!(after <= 5 * SLAB as u64, "{after} of {before}");
    }
    model.check(&slabs);
    model.end(&slabs);
}

#[test]
fn many_threads_give_back_while_the_owner_takes() {
    let threads = 3;
    let rounds = if cfg!(miri) { 60 } else { 200_000 };
    let slabs = Slabs::new();
    open(&slabs);
    let start = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..threads)
            .map(|_| {
                let (sender, receiver) = channel::<(usize, usize)>();
                let (slabs, start) = (&slabs, &start);
                scope.spawn(move || {
                    start.wait();
                    for (block, size) in receiver {
                        let block: *mut u8 = std::ptr::with_exposed_provenance_mut(block);
                        // SAFETY: the owner handed it over, written.
                        unsafe {
                            let bytes = std::slice::from_raw_parts(block, size);
                            assert!(bytes.iter().all(|byte| *byte == size as u8));
                            slabs.give_from_afar(block);
                        }
                    }
                });
                sender
            })
            .collect();
        start.wait();
        for round in 0..rounds {
            let size = 8 + round * 37 % 200;
            // SAFETY: this thread is the owner; the block is not used here once it was handed over.
            unsafe {
                let block = slabs.take(size);
                assert!(!block.is_null());
                block.write_bytes(size as u8, size);
                match round % 4 {
                    3 => slabs.give(block),
                    thread => senders[thread]
                        .send((block.expose_provenance(), size))
                        .unwrap(),
                }
            }
        }
    });
    // SAFETY: the test's thread is the owner, and the others have ended.
    unsafe {
        while slabs.collect(100) {}
        slabs.check().unwrap();
        assert_eq!(slabs.used(), 0);
        let held = slabs.held().0;
        assert!(
            held <= 64 * SLAB as u64,
            "{held} bytes are held for nothing"
        );
    }
}

/// The wrapper of the process: one thread claims, others get nothing and may give back.
#[test]
fn only_the_thread_that_claimed_takes() {
    assert!(cairn_slabs::take(8).is_null());
    assert!(cairn_slabs::claim(ROOM, SLAB));
    let block = cairn_slabs::take(100);
    assert!(cairn_slabs::contains(block) && cairn_slabs::used() == 104);
    let address = block.expose_provenance();
    std::thread::spawn(move || {
        assert!(!cairn_slabs::claim(ROOM, SLAB) && cairn_slabs::take(8).is_null());
        assert!(cairn_slabs::held().is_none() && !cairn_slabs::is_leaving(address));
        // SAFETY: the block was handed over.
        unsafe { cairn_slabs::give(std::ptr::with_exposed_provenance_mut(address)) };
    })
    .join()
    .unwrap();
    assert_eq!(cairn_slabs::used(), 0);
    let mut seen = HashMap::new();
    for _ in 0..1000 {
        assert!(seen.insert(cairn_slabs::take(100).addr(), ()).is_none());
    }
    assert_eq!(cairn_slabs::used(), 104_000);
    cairn_slabs::tidy(10, 0);
    cairn_slabs::purge();
}
