//! What other threads gave back comes to the owner: a slab at a time, 64 blocks with one instruction.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::head::{Head, State};
use crate::slabs::Slabs;

impl Slabs {
    /// Takes in what other threads gave back, of at most `most` slabs; whether there may be more.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn collect(&self, most: usize) -> bool {
        for _ in 0..most {
            // SAFETY: by contract; what is in the queue was used once.
            unsafe {
                let owner = self.owner();
                if owner.pending == 0 {
                    // A plain look first, as there is nothing nearly always.
                    if self.queue.load(Ordering::Relaxed) == 0 {
                        return false;
                    }
                    owner.pending = self.queue.swap(0, Ordering::Acquire);
                }
                let slab = owner.pending as usize - 1;
                let head = self.head(slab);
                // Before the mark goes, as from then on another thread may put it into the queue again.
                owner.pending = head.next_returned.load(Ordering::Relaxed);
                head.returned.swap(false, Ordering::AcqRel);
                if head.state.get() == State::Free {
                    continue;
                }
                if take_in(head) && (head.used.get() == 0 || head.state.get() == State::Full) {
                    self.turned(slab);
                }
            }
        }
        true
    }
}

/// Makes the returned blocks of a slab free ones; whether there were any.
///
/// # Safety
/// The calling thread is the owner; the slab belongs to a class.
unsafe fn take_in(head: &Head) -> bool {
    let words = head.words();
    let mut count = 0;
    for word in 0..words {
        // SAFETY: a slab of a class has twice so many words of bits.
        unsafe {
            let returned = AtomicU64::from_ptr(head.bits().add(words + word));
            // What came before the mark was taken is seen here; what comes after it sets the mark again.
            if returned.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let blocks = returned.swap(0, Ordering::Acquire);
            let free = &mut *head.bits().add(word);
            debug_assert!(*free & blocks == 0, "a block is freed twice");
            *free |= blocks;
            count += blocks.count_ones();
        }
    }
    head.used.set(head.used.get() - count);
    count > 0
}
