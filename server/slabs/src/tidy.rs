//! Pages of free slabs go back to the system, those first that were not wanted for a while.

use crate::class::{PAGE, SLAB};
use crate::set::{FRESH, WORN};
use crate::slabs::Slabs;

/// Most bytes that one call to the system gives back: about ten microseconds.
const AT_ONCE: usize = 256 << 10;

impl Slabs {
    /// Notes which free slabs nobody wanted since the last call: [`Slabs::tidy`] gives their pages back. To be called ten times a second
    /// or so.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn age(&self) {
        // SAFETY: by contract.
        let owner = unsafe { self.owner() };
        owner.idle_pages = std::mem::replace(&mut owner.least_worn, owner.worn_pages);
    }

    /// Gives back at most `most` bytes of pages that [`Slabs::age`] found idle; whether there are more.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn tidy(&self, most: usize) -> bool {
        // SAFETY: by contract.
        unsafe {
            let idle = self.owner().idle_pages;
            if idle == 0 {
                return false;
            }
            let gone = self.forget(most.min(idle * PAGE)) / PAGE;
            let left = idle.saturating_sub(gone).min(self.owner().worn_pages);
            self.owner().idle_pages = left;
            left > 0
        }
    }

    /// Gives all pages of free slabs back.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn purge(&self) {
        // SAFETY: by contract.
        unsafe {
            while self.collect(usize::MAX) {}
            self.forget(usize::MAX);
        }
    }

    /// Gives at least `bytes` of pages of free slabs back, as far as there are so many; how many they were.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn forget(&self, bytes: usize) -> usize {
        // SAFETY: by contract.
        unsafe {
            let before = self.owner().worn_pages;
            loop {
                let gone = (before - self.owner().worn_pages) * PAGE;
                if gone >= bytes || !self.forget_some(AT_ONCE) {
                    return gone;
                }
            }
        }
    }

    /// Gives the pages of one free slab back, and of those behind it, up to `most` bytes; false if there is none.
    ///
    /// # Safety
    /// The calling thread is the owner.
    unsafe fn forget_some(&self, most: usize) -> bool {
        // SAFETY: by contract; nobody has a block of a free slab.
        unsafe {
            let owner = self.owner();
            let Some(first) = owner.sets.first(WORN) else {
                return false;
            };
            let mut end = first;
            while (end - first) * SLAB < most
                && end < owner.opened
                && owner.sets.contains(WORN, end)
            {
                owner.sets.remove(WORN, end);
                owner.sets.insert(FRESH, end);
                let head = self.head(end);
                owner.worn_pages -= usize::from(head.pages.replace(0));
                end += 1;
            }
            owner.least_worn = owner.least_worn.min(owner.worn_pages);
            owner.blocks.forget(first * SLAB, (end - first) * SLAB);
            true
        }
    }
}
