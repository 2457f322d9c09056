//! What is known of a slab, apart from the slab: 24 bytes, side by side with those of its neighbours.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering};

use crate::class::SHAPES;

/// Where a slab stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    /// It belongs to no class. Zero, as memory that was never written.
    Free = 0,
    /// Blocks are taken from it now; in no set.
    Current,
    /// It has blocks to give, and is in the set of its class.
    Partial,
    /// It has none to give; in no set.
    Full,
    /// It is being emptied, and gives none; in the set of such slabs.
    Leaving,
}

/// One slab. Memory of zeros is a free one.
///
/// `bits` and `class` change only while no block of the slab is in anybody's hands, so whoever has a block may read them.
/// `used`, `pages` and `state` are the owner's.
#[repr(C)]
pub(crate) struct Head {
    /// `words` words with a bit for each block that is free, the owner's; behind them `words` words with a bit for each block that
    /// another thread has returned and the owner has not taken in.
    bits: AtomicPtr<u64>,
    /// The next of the slabs with returned blocks, one more than its number; 0 for none.
    pub next_returned: AtomicU32,
    /// Blocks that are not in the free bits.
    pub used: Cell<u32>,
    class: AtomicU8,
    /// Pages from the beginning that were touched since the system gave them.
    pub pages: Cell<u8>,
    pub state: Cell<State>,
    /// It is among the slabs with returned blocks.
    pub returned: AtomicBool,
}

// SAFETY: the cells are used by the owner's thread alone (see `Slabs`), everything else is atomic.
unsafe impl Sync for Head {}

impl Head {
    #[inline(always)]
    pub fn class(&self) -> usize {
        usize::from(self.class.load(Ordering::Relaxed))
    }

    /// Bytes of its blocks.
    #[inline(always)]
    pub fn size(&self) -> usize {
        SHAPES[self.class()].size as usize
    }

    #[inline(always)]
    pub fn bits(&self) -> *mut u64 {
        self.bits.load(Ordering::Relaxed)
    }

    /// Words of free bits.
    pub fn words(&self) -> usize {
        SHAPES[self.class()].words as usize
    }

    /// Blocks that it has.
    pub fn blocks(&self) -> u32 {
        SHAPES[self.class()].blocks
    }

    /// Gives it to a class, with bits that say that all blocks are free.
    pub fn adopt(&self, class: usize, bits: *mut u64) {
        debug_assert!(self.state.get() == State::Free && self.used.get() == 0);
        self.class.store(class as u8, Ordering::Relaxed);
        self.bits.store(bits, Ordering::Relaxed);
        self.state.set(State::Partial);
    }
}
