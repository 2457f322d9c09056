//! Which slabs to empty: those with the fewest blocks, as many as the room in the others holds.
//!
//! ```text
//!   idle ──choose──> counting ──all slabs seen──> marking ──all slabs seen──> chosen ──end──> idle
//!                    per class: slabs, blocks        from the last slab
//!                    and room by how full            down: Partial -> Leaving
//! ```
//!
//! Both scans go in slices, and blocks come and go between these, so the counts may be a little off: then a slab more or less is chosen,
//! and nothing else happens.

use crate::choice::{Choice, Count, DEGREES, Step};
use crate::class::SLAB;
use crate::head::State;
use crate::set::LEAVING;
use crate::slabs::Slabs;

/// How full a slab that has room is.
fn degree(used: u32, blocks: u32) -> usize {
    debug_assert!(used < blocks);
    used as usize * DEGREES / blocks as usize
}

impl Slabs {
    /// Looks at `most` slabs more to choose some that are worth emptying, and begins to choose if that was not begun. `None` as long as it
    /// has not seen all; then the bytes of those that were chosen: nothing is taken from them until [`Slabs::end`].
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn choose(&self, most: usize) -> Option<usize> {
        let mut left = most;
        loop {
            // SAFETY: by contract; every slab below `opened` was used.
            unsafe {
                let opened = self.owner().opened;
                let step = match self.owner().choice.step {
                    Step::Chosen => return Some(self.owner().choice.marked * SLAB),
                    _ if left == 0 => return None,
                    Step::Idle => {
                        self.owner().choice = Choice::none();
                        Step::Counting(0)
                    }
                    Step::Counting(from) if from < opened => {
                        let to = opened.min(from.saturating_add(left));
                        (from..to).for_each(|slab| self.count(slab));
                        left -= to - from;
                        Step::Counting(to)
                    }
                    Step::Counting(_) => {
                        let classes = &mut self.owner().choice.classes;
                        classes.iter_mut().for_each(Count::settle);
                        Step::Marking(opened)
                    }
                    Step::Marking(0) => Step::Chosen,
                    Step::Marking(until) => {
                        let from = until.saturating_sub(left);
                        (from..until).rev().for_each(|slab| self.mark(slab));
                        left -= until - from;
                        Step::Marking(from)
                    }
                };
                self.owner().choice.step = step;
            }
        }
    }

    /// # Safety
    /// The calling thread is the owner; the slab was used once.
    unsafe fn count(&self, slab: usize) {
        // SAFETY: by contract.
        unsafe {
            let head = self.head(slab);
            if head.state.get() != State::Partial {
                return;
            }
            let (used, blocks) = (head.used.get(), head.blocks());
            let count = &mut self.owner().choice.classes[head.class()];
            count.blocks[degree(used, blocks)] += u64::from(blocks);
            count.room += u64::from(blocks - used);
        }
    }

    /// # Safety
    /// As for `count`.
    unsafe fn mark(&self, slab: usize) {
        // SAFETY: by contract.
        unsafe {
            let head = self.head(slab);
            if head.state.get() != State::Partial {
                return;
            }
            let (class, used, blocks) = (head.class(), head.used.get(), head.blocks());
            let owner = self.owner();
            let count = &mut owner.choice.classes[class];
            if degree(used, blocks) < count.below && u64::from(blocks) <= count.room {
                count.room -= u64::from(blocks);
                owner.choice.marked += 1;
                owner.sets.remove(class, slab);
                owner.sets.insert(LEAVING, slab);
                head.state.set(State::Leaving);
            }
        }
    }

    /// Whether the block at an address lies in a slab that was chosen.
    ///
    /// # Safety
    /// The calling thread is the owner.
    #[inline]
    pub unsafe fn is_leaving(&self, address: usize) -> bool {
        self.slab_of(address).is_some_and(|slab| {
            // SAFETY: the caller is the owner; only heads of slabs that were used are looked at.
            unsafe { slab < self.owner().opened && self.head(slab).state.get() == State::Leaving }
        })
    }

    /// Nothing is being emptied any more: what is left in the slabs stays there.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn end(&self) {
        // SAFETY: by contract; what is in the set was used, and has blocks.
        unsafe {
            let owner = self.owner();
            owner.choice.step = Step::Idle;
            while let Some(slab) = owner.sets.first(LEAVING) {
                let head = self.head(slab);
                owner.sets.remove(LEAVING, slab);
                if head.used.get() == head.blocks() {
                    head.state.set(State::Full);
                } else {
                    owner.sets.insert(head.class(), slab);
                    head.state.set(State::Partial);
                }
            }
        }
    }
}
