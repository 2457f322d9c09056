//! Taking and giving back a block: the two ways that everything goes.
//!
//! ```text
//!   take(class):  hot[class].bits ──lowest bit──> block of the current slab            4 loads, no branch but "none left"
//!                 none left: the next word of the slab, the lowest slab that has room, a free slab, a new one
//!   give(block):  address ──> head of its slab ──> bit;   another thread: a bit of its own, and the slab stands in a queue
//! ```
//!
//! Invariants (`check` tests them):
//! - a bit among the free bits, or in `hot[class].bits` for the word that it was taken from, says that the block is free; a bit
//!   among the returned ones that another thread has given it back; never both, never one twice;
//! - a slab is the current one of one class at most: its own, or one whose blocks are an eighth smaller at most;
//! - `used` of a slab is the number of its blocks without a free bit (those in `hot` count as used);
//! - a slab is in the set of its class if and only if it is `Partial`, in one of the two sets of free slabs if and only if it is `Free`;
//! - `live` is the sum of the sizes of blocks handed out less those that the owner took back; `returned_bytes` the sum of those that other
//!   threads gave back since the beginning.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::choice::Choice;
use crate::class::{CLASSES, PAGE, SHAPES, SLAB, STEP, block_at, class_of};
use crate::head::{Head, State};
use crate::set::{FRESH, LEAVING, MOST, Sets, WORN};
use crate::space::Space;

/// Slabs with returned blocks that are looked at when room is needed.
const RETURNED_AT_ONCE: usize = 64;
/// No slab.
pub(crate) const NONE: u32 = u32::MAX;
/// Where blocks begin before there are any: no address is so far behind it.
const NOWHERE: usize = 1 << (usize::BITS - 1);

/// The word of free bits that blocks of a class are taken from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hot {
    /// What is left of it.
    bits: u64,
    /// The block of its lowest bit.
    at: *mut u8,
    /// Where it was taken from: that word is zero meanwhile, or has what came back since.
    source: *mut u64,
    /// The slab, [`NONE`] for none.
    pub slab: u32,
    /// Number of the word.
    word: u32,
    /// Bytes of the slab's blocks: its class may be a larger one.
    size: u32,
}

impl Hot {
    /// Blocks of it that nobody has.
    pub fn left(&self) -> usize {
        self.bits.count_ones() as usize
    }
}

/// What only the owner's thread touches.
pub(crate) struct Owner {
    pub hot: [Hot; CLASSES + 1],
    pub sets: Sets,
    pub blocks: Space,
    heads: Space,
    /// Where free bits lie; those given up are lists by number of words, each beginning with the address of the next.
    bits: Space,
    bits_used: usize,
    spare_bits: [*mut u64; MOST_WORDS + 1],
    /// Slabs that were ever used: number 0 to this.
    pub opened: usize,
    /// Slabs with returned blocks that were taken out of the queue and not looked at yet; one more than the number.
    pub pending: u32,
    /// Pages of slabs that belong to a class.
    pub held_pages: usize,
    /// Pages of free slabs.
    pub worn_pages: usize,
    /// The fewest of them since [`Slabs::age`] looked last.
    pub least_worn: usize,
    /// Those of them that go back to the system.
    pub idle_pages: usize,
    /// What is being emptied, and what was counted to choose it.
    pub choice: Choice,
}

/// Words of free bits of the smallest blocks.
const MOST_WORDS: usize = SLAB / STEP / 64;

/// Blocks for one thread, the owner, that any thread may give back.
pub struct Slabs {
    base: AtomicUsize,
    length: AtomicUsize,
    heads: AtomicPtr<Head>,
    /// The slabs with returned blocks: one more than the number of the last one, 0 for none.
    pub(crate) queue: AtomicU32,
    live: AtomicU64,
    returned_bytes: AtomicU64,
    owner: UnsafeCell<Owner>,
}

// SAFETY: `owner` is touched only by functions whose contract is that the calling thread owns the slabs; all else is atomic.
unsafe impl Sync for Slabs {}
// SAFETY: nothing in it depends on the thread; addresses are of mappings that stay for as long as the process.
unsafe impl Send for Slabs {}

impl Default for Slabs {
    fn default() -> Slabs {
        Slabs::new()
    }
}

impl Slabs {
    /// Slabs without room: every [`Slabs::take`] answers null until [`Slabs::open`] has been called.
    pub const fn new() -> Slabs {
        Slabs {
            base: AtomicUsize::new(NOWHERE),
            length: AtomicUsize::new(0),
            heads: AtomicPtr::new(ptr::null_mut()),
            queue: AtomicU32::new(0),
            live: AtomicU64::new(0),
            returned_bytes: AtomicU64::new(0),
            owner: UnsafeCell::new(Owner {
                hot: [Hot {
                    bits: 0,
                    at: ptr::null_mut(),
                    source: ptr::null_mut(),
                    slab: NONE,
                    word: 0,
                    size: 0,
                }; CLASSES + 1],
                sets: Sets::none(),
                blocks: Space::none(),
                heads: Space::none(),
                bits: Space::none(),
                bits_used: 0,
                spare_bits: [ptr::null_mut(); MOST_WORDS + 1],
                opened: 0,
                pending: 0,
                held_pages: 0,
                worn_pages: 0,
                least_worn: 0,
                idle_pages: 0,
                choice: Choice::none(),
            }),
        }
    }

    /// Reserves address space for `most` bytes of blocks, or for a part of it where the system refuses so much, but not for fewer than
    /// `least`. False, and nothing changes, where it grants no such part, or it was done before.
    ///
    /// # Safety
    /// The calling thread is the owner, now and for all calls that ask for it.
    pub unsafe fn open(&self, most: usize, least: usize) -> bool {
        if self.length.load(Ordering::Relaxed) != 0 {
            return false;
        }
        let mut slabs = (most / SLAB).min(MOST);
        while slabs > 0 && slabs * SLAB >= least {
            if let Some((blocks, heads, bits, sets)) = reserve(slabs) {
                // SAFETY: the caller is the owner.
                let owner = unsafe { self.owner() };
                self.heads
                    .store(heads.at().cast().as_ptr(), Ordering::Relaxed);
                self.length.store(slabs * SLAB, Ordering::Relaxed);
                self.base.store(blocks.at().addr().get(), Ordering::Release);
                (owner.blocks, owner.heads, owner.bits, owner.sets) = (blocks, heads, bits, sets);
                return true;
            }
            slabs /= 2;
        }
        false
    }

    /// # Safety
    /// The calling thread is the owner, and keeps no other such reference beside this one.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "one thread alone, by contract")]
    pub(crate) unsafe fn owner(&self) -> &mut Owner {
        // SAFETY: by contract.
        unsafe { &mut *self.owner.get() }
    }

    /// # Safety
    /// A slab of this number was used once.
    #[inline(always)]
    pub(crate) unsafe fn head(&self, slab: usize) -> &Head {
        // SAFETY: by contract the head is open; zeros are a head, and every field may be shared.
        unsafe { &*self.heads.load(Ordering::Relaxed).add(slab) }
    }

    /// Bytes between the first slab and an address; beyond the length for one that is no block of ours.
    #[inline(always)]
    fn offset(&self, address: usize) -> usize {
        address.wrapping_sub(self.base.load(Ordering::Relaxed))
    }

    /// Whether a block is one of these.
    #[inline(always)]
    pub fn contains(&self, block: *const u8) -> bool {
        self.offset(block.addr()) < self.length.load(Ordering::Relaxed)
    }

    /// Number of the slab that an address lies in, used or not; `None` for an address elsewhere.
    #[inline(always)]
    pub(crate) fn slab_of(&self, address: usize) -> Option<usize> {
        let offset = self.offset(address);
        (offset < self.length.load(Ordering::Relaxed)).then_some(offset / SLAB)
    }

    /// A block of at least `size` bytes (1 to [`LARGEST`](crate::LARGEST)), aligned to 8, with any content; null where there is no room.
    ///
    /// # Safety
    /// The calling thread is the owner.
    #[inline(always)]
    pub unsafe fn take(&self, size: usize) -> *mut u8 {
        let class = class_of(size);
        // SAFETY: the caller is the owner.
        let hot = unsafe { &mut self.owner().hot[class] };
        let bits = hot.bits;
        if bits == 0 {
            // SAFETY: the caller is the owner, `hot` is not used again.
            return unsafe { self.refill(class) };
        }
        hot.bits = bits & (bits - 1);
        let size = hot.size as usize;
        self.count_live(size, 0);
        // SAFETY: a bit of the word stands for a block of the slab.
        unsafe { hot.at.add(bits.trailing_zeros() as usize * size) }
    }

    /// Bytes of a block.
    ///
    /// # Safety
    /// It came from [`Slabs::take`] of these, and was not given back.
    pub unsafe fn bytes_of(&self, block: *const u8) -> usize {
        // SAFETY: a block lies in a slab that was used.
        unsafe { self.head(self.offset(block.addr()) / SLAB) }.size()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The calling thread is the owner; `block` came from [`Slabs::take`] of these and nobody uses it from now on.
    #[inline(always)]
    pub unsafe fn give(&self, block: *mut u8) {
        let offset = self.offset(block.addr());
        let slab = offset / SLAB;
        // SAFETY: a block lies in a slab that was used; the caller is the owner.
        unsafe {
            let head = self.head(slab);
            let class = head.class();
            self.count_live(0, SHAPES[class].size as usize);
            let number = block_at(class, offset % SLAB);
            let (word, bit) = (head.bits().add(number / 64), 1u64 << (number % 64));
            let hot = &mut self.owner().hot[class];
            if word == hot.source {
                debug_assert!(hot.bits & bit == 0, "a block is freed twice");
                // The next to be taken, most likely: it is in the cache.
                hot.bits |= bit;
                return;
            }
            debug_assert!(*word & bit == 0, "a block is freed twice");
            *word |= bit;
            let used = head.used.get() - 1;
            head.used.set(used);
            if used == 0 || head.state.get() == State::Full {
                self.turned(slab);
            }
        }
    }

    /// Takes a block back from a thread that is not the owner.
    ///
    /// # Safety
    /// `block` came from [`Slabs::take`] of these and nobody uses it from now on.
    pub unsafe fn give_from_afar(&self, block: *mut u8) {
        let offset = self.offset(block.addr());
        let slab = offset / SLAB;
        // SAFETY: a block lies in a slab that was used, which keeps its class and bits for as long as the block is not returned.
        unsafe {
            let head = self.head(slab);
            let class = head.class();
            let number = block_at(class, offset % SLAB);
            let word = head.bits().add(SHAPES[class].words as usize + number / 64);
            self.returned_bytes
                .fetch_add(u64::from(SHAPES[class].size), Ordering::Relaxed);
            let before = AtomicU64::from_ptr(word).fetch_or(1 << (number % 64), Ordering::Release);
            debug_assert!(before >> (number % 64) & 1 == 0, "a block is freed twice");
            // From here on the slab may have been emptied, and its bits given to another: only its place in the queue is touched.
            if !head.returned.swap(true, Ordering::AcqRel) {
                self.enqueue(slab);
            }
        }
    }

    /// # Safety
    /// The slab was used once.
    unsafe fn enqueue(&self, slab: usize) {
        let number = slab as u32 + 1;
        let mut last = self.queue.load(Ordering::Relaxed);
        loop {
            // SAFETY: by contract.
            let head = unsafe { self.head(slab) };
            head.next_returned.store(last, Ordering::Relaxed);
            match self.queue.compare_exchange_weak(
                last,
                number,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => last = now,
            }
        }
    }

    /// The owner writes it alone, so that no locked instruction is needed.
    #[inline(always)]
    fn count_live(&self, came: usize, went: usize) {
        let live = self.live.load(Ordering::Relaxed);
        self.live.store(
            live.wrapping_add(came as u64).wrapping_sub(went as u64),
            Ordering::Relaxed,
        );
    }

    /// Bytes of blocks in use, rounded up to their classes. Any thread may ask.
    #[inline]
    pub fn used(&self) -> u64 {
        // In this order: a block that goes between the two is counted still, and none is taken away before it was counted.
        let returned = self.returned_bytes.load(Ordering::Relaxed);
        self.live.load(Ordering::Relaxed).saturating_sub(returned)
    }

    /// A block where the hot word has none left.
    ///
    /// # Safety
    /// The calling thread is the owner.
    #[cold]
    unsafe fn refill(&self, class: usize) -> *mut u8 {
        if self.length.load(Ordering::Relaxed) == 0 {
            return ptr::null_mut();
        }
        // SAFETY: the caller is the owner; heads are asked for slabs that were used.
        unsafe {
            let hot = self.owner().hot[class];
            if hot.slab != NONE {
                let slab = hot.slab as usize;
                let next = hot.word as usize + 1;
                if let Some(word) = (next..self.head(slab).words())
                    .find(|&word| *self.head(slab).bits().add(word) != 0)
                {
                    return self.heat(class, slab, word);
                }
                self.cool(class, slab);
            }
            self.collect(RETURNED_AT_ONCE);
            let Some(slab) = self.with_room(class).or_else(|| self.found(class)) else {
                return ptr::null_mut();
            };
            let head = self.head(slab);
            debug_assert!(head.state.get() == State::Partial && head.class() >= class);
            self.owner().sets.remove(head.class(), slab);
            head.state.set(State::Current);
            let word = (0..head.words()).find(|&word| *head.bits().add(word) != 0);
            match word {
                Some(word) => self.heat(class, slab, word),
                None => unreachable!("a slab among those with room has a free block"),
            }
        }
    }

    /// The lowest slab that has room for blocks of a class; one of its own before those of larger ones, whose blocks would lie idle.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn with_room(&self, class: usize) -> Option<usize> {
        // SAFETY: by contract.
        let sets = unsafe { &self.owner().sets };
        (class..=SHAPES[class].widest as usize).find_map(|class| sets.first(class))
    }

    /// Makes a word with free blocks the hot one, and takes one of them.
    ///
    /// # Safety
    /// The calling thread is the owner; the slab is the current one of the class, and nothing is left of the hot word.
    unsafe fn heat(&self, class: usize, slab: usize, word: usize) -> *mut u8 {
        // SAFETY: by contract.
        unsafe {
            let owner = self.owner();
            let head = self.head(slab);
            let size = head.size();
            let source = head.bits().add(word);
            let bits = std::mem::take(&mut *source);
            head.used.set(head.used.get() + bits.count_ones());
            let reached =
                ((word * 64 + 64 - bits.leading_zeros() as usize) * size).div_ceil(PAGE) as u8;
            let more = reached.saturating_sub(head.pages.get());
            head.pages.set(head.pages.get() + more);
            owner.held_pages += usize::from(more);
            owner.hot[class] = Hot {
                bits,
                at: owner
                    .blocks
                    .at()
                    .as_ptr()
                    .add(slab * SLAB + word * 64 * size),
                source,
                slab: slab as u32,
                word: word as u32,
                size: size as u32,
            };
            self.take(SHAPES[class].size as usize)
        }
    }

    /// The current slab of a class is no longer it.
    ///
    /// # Safety
    /// The calling thread is the owner, and nothing is left of the hot word.
    unsafe fn cool(&self, class: usize, slab: usize) {
        // SAFETY: by contract.
        unsafe {
            let hot = &mut self.owner().hot[class];
            debug_assert!(hot.bits == 0 && hot.slab == slab as u32);
            (hot.slab, hot.source) = (NONE, ptr::null_mut());
            // As one that was full: it may have room again, or nothing in it.
            let head = self.head(slab);
            head.state.set(State::Full);
            if head.used.get() < head.blocks() {
                self.turned(slab);
            }
        }
    }

    /// A slab that was full has room now, or one has nothing in it any more.
    ///
    /// # Safety
    /// The calling thread is the owner.
    #[cold]
    pub(crate) unsafe fn turned(&self, slab: usize) {
        // SAFETY: by contract.
        unsafe {
            let head = self.head(slab);
            let class = head.class();
            let empty = head.used.get() == 0;
            match head.state.get() {
                State::Current => return,
                State::Full if !empty => {
                    head.state.set(State::Partial);
                    return self.owner().sets.insert(class, slab);
                }
                State::Partial if empty => self.owner().sets.remove(class, slab),
                State::Leaving if empty => self.owner().sets.remove(LEAVING, slab),
                State::Full if empty => {}
                state => unreachable!("slab {slab} is {state:?} with {} used", head.used.get()),
            }
            self.release(slab);
        }
    }

    /// An empty slab, which is in no set, becomes a free one.
    unsafe fn release(&self, slab: usize) {
        // SAFETY: the caller is the owner.
        unsafe {
            let owner = self.owner();
            let head = self.head(slab);
            head.state.set(State::Free);
            let spare = &mut owner.spare_bits[head.words()];
            head.bits().cast::<*mut u64>().write(*spare);
            *spare = head.bits();
            owner.held_pages -= usize::from(head.pages.get());
            owner.worn_pages += usize::from(head.pages.get());
            owner.sets.insert(WORN, slab);
        }
    }

    /// A slab for a class: one that was given up, the lowest, or a new one. It is in the set of its class.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn found(&self, class: usize) -> Option<usize> {
        // SAFETY: by contract; a new slab's head, bits and rows are opened before it is used.
        unsafe {
            let (set, slab) = match self.owner().sets.first_free() {
                Some(free) => free,
                None => (FRESH, self.new_slab()?),
            };
            let bits = self.bits_for(class)?;
            let owner = self.owner();
            owner.sets.remove(set, slab);
            let head = self.head(slab);
            head.adopt(class, bits);
            let pages = usize::from(head.pages.get());
            owner.worn_pages -= pages;
            owner.least_worn = owner.least_worn.min(owner.worn_pages);
            owner.held_pages += pages;
            owner.sets.insert(class, slab);
            Some(slab)
        }
    }

    /// One slab more, free and without pages.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn new_slab(&self) -> Option<usize> {
        // SAFETY: by contract.
        let owner = unsafe { self.owner() };
        let slab = owner.opened;
        let room = owner.blocks.open_to((slab + 1) * SLAB)
            && owner.heads.open_to((slab + 1) * size_of::<Head>())
            && owner.sets.reach(slab);
        room.then(|| {
            owner.opened = slab + 1;
            owner.sets.insert(FRESH, slab);
            slab
        })
    }

    /// Bits that say that all blocks of a slab are free and none is returned.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn bits_for(&self, class: usize) -> Option<*mut u64> {
        // SAFETY: by contract; spare bits are of the length of their list, new ones are opened first.
        unsafe {
            let owner = self.owner();
            let shape = SHAPES[class];
            let words = shape.words as usize;
            let spare = owner.spare_bits[words];
            let bits = if spare.is_null() {
                let until = owner.bits_used + 2 * words * size_of::<u64>();
                if !owner.bits.open_to(until) {
                    return None;
                }
                let at = owner.bits.at().add(owner.bits_used).cast::<u64>();
                owner.bits_used = until;
                at.as_ptr()
            } else {
                owner.spare_bits[words] = spare.cast::<*mut u64>().read();
                spare
            };
            for word in 0..words {
                let left = shape.blocks as usize - word * 64;
                *bits.add(word) = u64::MAX >> (64 - left.min(64));
                *bits.add(words + word) = 0;
            }
            Some(bits)
        }
    }
}

type Reserved = (Space, Space, Space, Sets);

/// The spaces of so many slabs.
fn reserve(slabs: usize) -> Option<Reserved> {
    let blocks = Space::reserve(slabs * SLAB)?;
    let heads = Space::reserve((slabs * size_of::<Head>()).next_multiple_of(SLAB))?;
    // Bits are kept for each number of words, so a slab that changes its class may leave some behind.
    let bits = Space::reserve(slabs * 4096)?;
    let mut sets = Sets::reserve(slabs)?;
    sets.reach(0).then_some((blocks, heads, bits, sets))
}
