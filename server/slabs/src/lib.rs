//! Blocks of up to 4 KB, in small steps, for a process in which one thread allocates nearly everything.
//!
//! General allocators step by a quarter of a power of two: a record of 88 bytes takes 96, one of 200 takes 224, a packed node of 2,970
//! takes 3,072. Here they take 88, 200 and 2,976, and two bits. One thread, the owner, takes blocks; any thread gives them back.
//!
//! ```text
//!   lib            the slabs of the process: claimed by one thread, silent for all others
//!   tidy leave told    pages go back; which slabs to empty; figures and the check
//!   returned       what other threads gave back
//!   slabs          take, give, and the words, slabs and bits behind them
//!   set head choice    the lowest slab with room; what is known of a slab; what was counted to choose some
//!   space          address space
//!   class          sizes and slabs
//! ```
//!
//! Memory, in address space that is reserved once (`space.rs`):
//!
//! ```text
//!   blocks   [slab 0: 32 KB of blocks of one size][slab 1] ...
//!   heads    [24 bytes: bits, class, used, pages, state, queue] ...     one for each slab
//!   bits     [free: a bit a block][returned: a bit a block] ...         one pair for each slab that has a class
//!   sets     [row: a word for each class] ...                           which slabs have room
//! ```
//!
//! Nothing lies in front of a block or in a slab beside the blocks: a slab that nobody uses has no page, and blocks that are freed are not
//! touched for it.

mod choice;
mod class;
mod head;
mod leave;
mod returned;
mod set;
mod slabs;
mod space;
mod tidy;
mod told;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

pub use class::{LARGEST, SLAB, STEP, fits, rounded};
pub use slabs::Slabs;
pub use told::ClassFigures;

/// The slabs of the process.
static SLABS: Slabs = Slabs::new();
static CLAIMED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether this thread owns them. A child by fork is a copy of the thread that forked, and so is its memory.
    static OWNER: Cell<bool> = const { Cell::new(false) };
}

/// Makes the calling thread the owner of the slabs of the process, with address space for `most` bytes of blocks or as much of it as the
/// system grants, `least` at least. False where another thread is, or the system does not grant so much.
pub fn claim(most: usize, least: usize) -> bool {
    if CLAIMED.swap(true, Ordering::AcqRel) {
        return false;
    }
    // SAFETY: no other thread came so far, and none will.
    let open = unsafe { SLABS.open(most, least) };
    OWNER.set(open);
    open
}

/// Whether the calling thread owns the slabs of the process.
#[inline(always)]
pub fn is_owner() -> bool {
    OWNER.get()
}

/// A block of at least `size` bytes (1 to [`LARGEST`]), aligned to [`STEP`]; null where the calling thread is not the owner or there is
/// no room.
#[inline(always)]
pub fn take(size: usize) -> *mut u8 {
    match is_owner() {
        // SAFETY: this thread is the owner.
        true => unsafe { SLABS.take(size) },
        false => std::ptr::null_mut(),
    }
}

/// Whether a block came from [`take`].
#[inline(always)]
pub fn contains(block: *const u8) -> bool {
    SLABS.contains(block)
}

/// Gives a block back, from any thread.
///
/// # Safety
/// It came from [`take`], and nobody uses it from now on.
#[inline(always)]
pub unsafe fn give(block: *mut u8) {
    // SAFETY: the block is one of these by contract; which way it goes depends on the thread.
    unsafe {
        match is_owner() {
            true => SLABS.give(block),
            false => SLABS.give_from_afar(block),
        }
    }
}

/// Bytes of blocks in use, rounded up to their sizes. Any thread may ask.
pub fn used() -> u64 {
    SLABS.used()
}

/// What a call of the owner's answers; `None` on any other thread.
fn owned<T>(ask: impl FnOnce(&Slabs) -> T) -> Option<T> {
    is_owner().then(|| ask(&SLABS))
}

/// Bytes of pages of slabs with blocks, and of free slabs. `None` where the calling thread is not the owner.
pub fn held() -> Option<(u64, u64)> {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.held() })
}

/// The classes that have slabs. `None` where the calling thread is not the owner.
pub fn figures() -> Option<Vec<ClassFigures>> {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.figures() })
}

/// Notes which pages nobody wanted since the last call; to be called ten times a second or so. On a thread that is not the owner it does
/// nothing.
pub fn age() {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.age() });
}

/// Takes in what other threads gave back, of at most `slabs` slabs, and gives at most `bytes` of the pages back to the system that
/// [`age`] found; whether there is more of either. On a thread that is not the owner there is nothing.
pub fn tidy(slabs: usize, bytes: usize) -> bool {
    // SAFETY: asked by the owner.
    let more = owned(|all| unsafe { all.collect(slabs) | all.tidy(bytes) });
    more.unwrap_or(false)
}

/// Gives every page back that no block needs; on a thread that is not the owner it does nothing.
pub fn purge() {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.purge() });
}

/// Chooses slabs to empty; see [`Slabs::choose`]. On a thread that is not the owner there are none.
pub fn choose(most: usize) -> Option<usize> {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.choose(most) }).unwrap_or(Some(0))
}

/// Whether the block at an address lies in a slab that was chosen; false on a thread that is not the owner.
#[inline]
pub fn is_leaving(address: usize) -> bool {
    // SAFETY: asked by the owner.
    is_owner() && unsafe { SLABS.is_leaving(address) }
}

/// Ends what [`choose`] began.
pub fn end() {
    // SAFETY: asked by the owner.
    owned(|slabs| unsafe { slabs.end() });
}
