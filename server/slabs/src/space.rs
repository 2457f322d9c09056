//! Address space that is reserved once and opened from its beginning as it is needed.
//!
//! Nothing that is only reserved can be touched, and the system counts it neither as memory nor, where it counts promises
//! (`vm.overcommit_memory=2`), as promised.

use std::ptr::NonNull;

/// What one opening adds at least, bytes: a call to the system for each megabyte.
const OPENING: usize = 1 << 20;

/// Invariant: the first `open` bytes behind `at` may be read and written, are zero until somebody wrote there, and stay for as
/// long as this value.
pub(crate) struct Space {
    at: NonNull<u8>,
    reserved: usize,
    open: usize,
}

impl Space {
    /// A space of none.
    pub const fn none() -> Space {
        Space {
            at: NonNull::dangling(),
            reserved: 0,
            open: 0,
        }
    }

    /// Reserves `bytes`; `None` where the system (`ulimit -v`, say) refuses.
    pub fn reserve(bytes: usize) -> Option<Space> {
        let at = map(bytes)?;
        Some(Space {
            at,
            reserved: bytes,
            open: 0,
        })
    }

    /// Where it begins.
    pub fn at(&self) -> NonNull<u8> {
        self.at
    }

    /// Sees to it that the first `bytes` are open; false where that is more than is reserved or the system refuses.
    #[inline]
    pub fn open_to(&mut self, bytes: usize) -> bool {
        bytes <= self.open || self.open_more(bytes)
    }

    #[cold]
    fn open_more(&mut self, bytes: usize) -> bool {
        if bytes > self.reserved {
            return false;
        }
        let until = bytes.next_multiple_of(OPENING).min(self.reserved);
        // SAFETY: the range lies inside the mapping that `reserve` made.
        let opened = unsafe { unlock(self.at.add(self.open), until - self.open) };
        if opened {
            self.open = until;
        }
        opened
    }

    /// Gives the pages of a range back; they are zero from then on. Both numbers are multiples of a page.
    ///
    /// # Safety
    /// Nobody uses the range.
    pub unsafe fn forget(&self, from: usize, bytes: usize) {
        debug_assert!(from + bytes <= self.open);
        // SAFETY: inside the mapping; nobody uses it by contract.
        unsafe { discard(self.at.add(from), bytes) }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if self.reserved > 0 {
            // SAFETY: the mapping is ours, and whoever had something in it has given this value up.
            unsafe { unmap(self.at, self.reserved) }
        }
    }
}

#[cfg(not(miri))]
fn map(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new private mapping at an address that the system picks.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    match at == libc::MAP_FAILED {
        true => None,
        false => NonNull::new(at.cast()),
    }
}

/// # Safety
/// The range lies inside a mapping of ours.
#[cfg(not(miri))]
unsafe fn unlock(at: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: by contract; nobody has been given an address inside.
    unsafe {
        libc::mprotect(
            at.as_ptr().cast(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
        ) == 0
    }
}

/// # Safety
/// The range lies inside a mapping of ours, and nobody uses it.
#[cfg(not(miri))]
unsafe fn discard(at: NonNull<u8>, bytes: usize) {
    // SAFETY: by contract. Where the system refuses, the pages stay as they are, which harms nobody.
    unsafe { libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
}

/// # Safety
/// The range is a mapping of ours, and nobody uses it.
#[cfg(not(miri))]
unsafe fn unmap(at: NonNull<u8>, bytes: usize) {
    // SAFETY: by contract. It cannot fail for a mapping that is there.
    unsafe { libc::munmap(at.as_ptr().cast(), bytes) };
}

/// Under Miri, which knows no protection, the space is memory from the beginning.
#[cfg(miri)]
fn map(bytes: usize) -> Option<NonNull<u8>> {
    let layout = std::alloc::Layout::from_size_align(bytes, crate::class::SLAB).ok()?;
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
}

#[cfg(miri)]
unsafe fn unlock(_at: NonNull<u8>, _bytes: usize) -> bool {
    true
}

#[cfg(miri)]
unsafe fn discard(at: NonNull<u8>, bytes: usize) {
    // SAFETY: by contract of the caller.
    unsafe { at.write_bytes(0, bytes) };
}

#[cfg(miri)]
unsafe fn unmap(at: NonNull<u8>, bytes: usize) {
    let layout = std::alloc::Layout::from_size_align(bytes, crate::class::SLAB);
    if let Ok(layout) = layout {
        // SAFETY: by contract of the caller; `map` allocated with this layout.
        unsafe { std::alloc::dealloc(at.as_ptr(), layout) };
    }
}
