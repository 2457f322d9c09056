//! The allocator of the server: slabs for small blocks of the thread that has the data, jemalloc with size classes that step by 8 bytes
//! for all others.
//!
//! ```text
//!   alloc     at most 4 KB, aligned to 8, on the thread that owns the slabs ──> slabs      else ──> jemalloc
//!   dealloc   an address of the slabs ──> slabs, from whatever thread                            else ──> jemalloc
//! ```
//!
//! With `lg-quantum=3` a block of 24 or 40 bytes is aligned to 8 only, while an allocator for Rust has to keep
//! the alignment that the layout names. So every request above `QUANTUM` passes it on explicitly
//! (`MALLOCX_ALIGN`), and a release names the same alignment and size, since both pick the size class.
//!
//! Invariants:
//! - `dealloc` and `realloc` compute their flags from the layout exactly as `alloc` did.
//! - a slot of `SLOTS` that is not null points at the two counters of a thread that is still alive;
//!   [`Registration`] takes it out and waits until no reader is inside before its thread may end.
//!
//! Only a program that names [`Jemalloc`] as `#[global_allocator]` uses it; the library works without.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use cairn_engine::structure::mover;
use cairn_slabs as slabs;
use tikv_jemalloc_sys as je;

use crate::host::{AllocatorStats, Slabs};

/// Alignment in bytes that every block has without asking for it.
const QUANTUM: usize = 8;

/// Most threads whose allocations are counted at the same time: 127 that read and write sockets, and fewer than ten others.
const SLOT_COUNT: usize = 160;

/// The allocator type; `#[global_allocator] static A: Jemalloc = Jemalloc;` in a binary puts it to work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jemalloc;

/// The flags that ask for the alignment of `layout`; 0 where the quantum is enough.
#[inline(always)]
fn flags_of(align: usize) -> c_int {
    debug_assert!(align.is_power_of_two());
    if align <= QUANTUM {
        0
    } else {
        align.trailing_zeros() as c_int
    }
}

/// Whether blocks of this layout may lie in a slab: known when the program is built, for most of them.
#[inline(always)]
fn is_small(layout: Layout) -> bool {
    layout.size() <= slabs::LARGEST && layout.align() <= slabs::STEP
}

/// Blocks up to this are filled with zeros here. To have zeros, jemalloc gives the pages of a block that was used before back to the system and has
/// each of them faulted in anew, which takes five times as long; a larger one may never be touched as a whole (SETBIT far behind the end).
const ZEROED_BY_HAND: usize = 4 << 20;

/// Whether a block lies in a slab.
#[inline(always)]
fn in_slab(block: *mut u8, layout: Layout) -> bool {
    is_small(layout) && slabs::contains(block)
}

/// A block in a slab; null where it has to be jemalloc's.
#[inline(always)]
fn small(layout: Layout) -> *mut u8 {
    match is_small(layout) {
        true => slabs::take(layout.size()),
        false => ptr::null_mut(),
    }
}

// SAFETY: blocks come from slabs or from jemalloc with at least the size and, through `is_small` and `flags_of`, the alignment of the
// layout; none of the functions unwinds; a release uses the layout of the allocation, as the trait promises us, and the address tells
// whose block it is.
unsafe impl GlobalAlloc for Jemalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = small(layout);
        if !block.is_null() {
            return block;
        }
        let flags = flags_of(layout.align());
        // SAFETY: the size is not zero (promised by the caller of `alloc`), the flags are a valid alignment.
        unsafe {
            if flags == 0 {
                je::malloc(layout.size()).cast()
            } else {
                je::mallocx(layout.size(), flags).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() <= ZEROED_BY_HAND {
            // SAFETY: as promised by the caller; a block that is there has so many bytes.
            unsafe {
                let block = self.alloc(layout);
                if !block.is_null() {
                    block.write_bytes(0, layout.size());
                }
                return block;
            }
        }
        let flags = flags_of(layout.align());
        // SAFETY: as in `alloc`.
        unsafe { je::mallocx(layout.size(), flags | je::MALLOCX_ZERO).cast() }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `alloc` with this layout, so size and flags name its size class.
        unsafe {
            if in_slab(ptr, layout) {
                slabs::give(ptr);
            } else {
                je::sdallocx(ptr.cast(), layout.size(), flags_of(layout.align()));
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let inside = in_slab(ptr, layout);
        if inside && slabs::fits(layout.size(), new_size) {
            return ptr;
        }
        // A block of jemalloc's stays its own as long as it is large, or another thread's business.
        let shrinks =
            layout.size() > slabs::LARGEST && new_size <= slabs::LARGEST && slabs::is_owner();
        if inside || (shrinks && layout.align() <= slabs::STEP) {
            // SAFETY: as promised by the caller; the alignment is that of a layout.
            return unsafe { self.moved(ptr, layout, new_size) };
        }
        let flags = flags_of(layout.align());
        // SAFETY: `ptr` came from `alloc` with this layout; the new size is not zero (promised by the caller).
        unsafe {
            if flags == 0 {
                je::realloc(ptr.cast(), new_size).cast()
            } else {
                je::rallocx(ptr.cast(), new_size, flags).cast()
            }
        }
    }
}

impl Jemalloc {
    /// A block of another size with the same bytes.
    ///
    /// # Safety
    /// As for `realloc`.
    unsafe fn moved(&self, old: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the size is not zero and, rounded up to the alignment, no more than `isize::MAX` (promised by the caller); both blocks
        // have as many bytes as are copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(old, layout.size().min(new_size));
                self.dealloc(old, layout);
            }
            new
        }
    }
}

/// The bytes that a block of `size` bytes really takes on this thread: its size class.
#[inline]
pub fn size_class(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    if size <= slabs::LARGEST && slabs::is_owner() {
        return slabs::rounded(size);
    }
    // SAFETY: a pure computation; the size is not zero.
    let class = unsafe { je::nallocx(size, 0) };
    debug_assert!(class >= size || class == 0, "{size} bytes in {class}");
    class
}

/// The two running counters that jemalloc keeps for one thread.
struct Counters {
    allocated: AtomicPtr<u64>,
    deallocated: AtomicPtr<u64>,
}

static SLOTS: [Counters; SLOT_COUNT] = [const {
    Counters {
        allocated: AtomicPtr::new(ptr::null_mut()),
        deallocated: AtomicPtr::new(ptr::null_mut()),
    }
}; SLOT_COUNT];
/// Slots that were ever taken: there is nothing to look for behind them.
static REACHED: AtomicUsize = AtomicUsize::new(0);
/// What threads that have ended left behind: bytes allocated less bytes released.
static RETIRED: AtomicI64 = AtomicI64::new(0);
/// Readers inside [`used_memory`] now.
static READERS: AtomicU32 = AtomicU32::new(0);

/// Keeps the current thread counted in [`used_memory`]; hold it for as long as the thread works.
#[derive(Debug)]
#[must_use = "the thread is counted only as long as this is held"]
pub struct Registration {
    slot: usize,
    // The counters are those of the thread that registered: it must also be the one that takes them out.
    _not_send: PhantomData<*const ()>,
}

/// Counts the allocations of the calling thread from its beginning. `None` when jemalloc does not keep the
/// counters or all slots are taken; the thread then works uncounted.
pub fn register_thread() -> Option<Registration> {
    let allocated = read_control::<*mut u64>(c"thread.allocatedp")?;
    let deallocated = read_control::<*mut u64>(c"thread.deallocatedp")?;
    let (allocated, deallocated) = (NonNull::new(allocated)?, NonNull::new(deallocated)?);
    for (slot, counters) in SLOTS.iter().enumerate() {
        let taken = counters.allocated.compare_exchange(
            ptr::null_mut(),
            allocated.as_ptr(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if taken.is_ok() {
            REACHED.fetch_max(slot + 1, Ordering::SeqCst);
            counters
                .deallocated
                .store(deallocated.as_ptr(), Ordering::SeqCst);
            return Some(Registration {
                slot,
                _not_send: PhantomData,
            });
        }
    }
    None
}

impl Drop for Registration {
    fn drop(&mut self) {
        let counters = &SLOTS[self.slot];
        debug_assert!(
            !counters.deallocated.load(Ordering::SeqCst).is_null(),
            "its slot was given to somebody else"
        );
        let allocated = load(counters.allocated.load(Ordering::SeqCst));
        let deallocated = load(counters.deallocated.load(Ordering::SeqCst));
        RETIRED.fetch_add(allocated.wrapping_sub(deallocated) as i64, Ordering::SeqCst);
        counters
            .deallocated
            .store(ptr::null_mut(), Ordering::SeqCst);
        counters.allocated.store(ptr::null_mut(), Ordering::SeqCst);
        while READERS.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
    }
}

/// The counter behind `counter`, or 0 for an empty slot.
fn load(counter: *mut u64) -> u64 {
    if counter.is_null() {
        return 0;
    }
    // SAFETY: a pointer in a slot is a counter of a thread that is alive (see the invariants on top); jemalloc's
    // thread writes it with plain 8-byte stores, which an atomic load sees whole.
    unsafe { AtomicU64::from_ptr(counter) }.load(Ordering::Relaxed)
}

/// Bytes allocated and not yet released by all registered threads, size classes counted: `used_memory` of INFO.
/// 0 as long as no thread is registered.
pub fn used_memory() -> u64 {
    READERS.fetch_add(1, Ordering::SeqCst);
    let mut sum = RETIRED.load(Ordering::Relaxed);
    for counters in &SLOTS[..REACHED.load(Ordering::SeqCst)] {
        let deallocated = counters.deallocated.load(Ordering::SeqCst);
        // An empty slot does not end the walk: a later thread may still live. Half-registered ones are left out.
        if deallocated.is_null() {
            continue;
        }
        let allocated = counters.allocated.load(Ordering::SeqCst);
        sum = sum.wrapping_add(load(allocated).wrapping_sub(load(deallocated)) as i64);
    }
    let readers = READERS.fetch_sub(1, Ordering::SeqCst);
    debug_assert!(readers > 0, "a reader leaves twice");
    // A block may be released by another thread than the one that allocated it, and the two counters are read one
    // after the other: for an instant the sum can dip below zero.
    sum.max(0) as u64 + slabs::used()
}

/// A fresh snapshot of the statistics; slow (all arenas are merged), so not for each INFO. Pages of slabs are told on the thread that
/// owns them only. `None` when jemalloc was built without them.
pub fn stats() -> Option<AllocatorStats> {
    refresh_epoch();
    let (held, worn) = slabs::held().unwrap_or_default();
    Some(AllocatorStats {
        allocated: read_control::<usize>(c"stats.allocated")? as u64 + slabs::used(),
        active: read_control::<usize>(c"stats.active")? as u64 + held,
        resident: read_control::<usize>(c"stats.resident")? as u64 + held + worn,
        retained: read_control::<usize>(c"stats.retained")? as u64,
        metadata: read_control::<usize>(c"stats.metadata")? as u64,
    })
}

/// Name and version as INFO's `mem_allocator` prints it: `jemalloc-5.3.0`. Asked once.
pub fn name() -> &'static str {
    static TOLD: LazyLock<String> = LazyLock::new(ask_name);
    &TOLD
}

fn ask_name() -> String {
    let version = read_control::<*const std::ffi::c_char>(c"version")
        .filter(|text| !text.is_null())
        .map(|text| {
            // SAFETY: jemalloc answers with a static text that ends in a zero byte.
            unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned()
        });
    match version {
        Some(text) => format!("jemalloc-{}", text.split('-').next().unwrap_or(&text)),
        None => "libc".to_string(),
    }
}

/// Smallest step between size classes, in bytes, of the jemalloc that is linked.
pub fn quantum() -> Option<usize> {
    read_control::<usize>(c"arenas.quantum")
}

/// Number of arenas that threads are spread over.
pub fn arenas() -> Option<u32> {
    read_control::<u32>(c"opt.narenas")
}

/// Starts or stops jemalloc's own thread that hands unused pages back. Call it after daemonize: threads do not
/// survive a fork. Returns whether jemalloc took it.
pub fn set_background_thread(on: bool) -> bool {
    write_control::<bool>(c"background_thread", on)
}

/// Whether jemalloc's own thread runs.
pub fn background_thread() -> bool {
    read_control::<bool>(c"background_thread").unwrap_or(false)
}

/// All that the allocator says of itself, for people (MEMORY MALLOC-STATS).
pub fn report() -> Vec<u8> {
    unsafe extern "C" fn write(into: *mut c_void, text: *const std::ffi::c_char) {
        // SAFETY: the first is the vector below, which lives through the call; the second is a text that ends in a zero byte.
        unsafe { (*into.cast::<Vec<u8>>()).extend_from_slice(CStr::from_ptr(text).to_bytes()) };
    }
    // Room for most of it, so that what is told moves little while it is told.
    let mut text: Vec<u8> = Vec::with_capacity(1 << 20);
    // SAFETY: the callback fits, and the vector outlives the call.
    unsafe { je::malloc_stats_print(Some(write), (&raw mut text).cast(), ptr::null()) };
    report_slabs(&mut text);
    text.shrink_to_fit();
    text
}

/// The slabs behind jemalloc's own report, a line for each size.
fn report_slabs(text: &mut Vec<u8>) {
    use std::io::Write;
    let (Some(classes), Some((held, free))) = (slabs::figures(), slabs::held()) else {
        return;
    };
    let used = slabs::used();
    // Writing into a vector cannot fail.
    let _ = writeln!(
        text,
        "\nSlabs of {} bytes for blocks of up to {}: {used} bytes in use, {held} in pages with blocks, {free} in pages without",
        slabs::SLAB,
        slabs::LARGEST
    );
    let _ = writeln!(
        text,
        "{:>6} {:>10} {:>12} {:>12} {:>6}",
        "size", "slabs", "used", "blocks", "util"
    );
    for class in classes {
        let _ = writeln!(
            text,
            "{:>6} {:>10} {:>12} {:>12} {:>6.3}",
            class.size,
            class.slabs,
            class.used,
            class.blocks,
            class.used as f64 / class.blocks as f64
        );
    }
}

// What is walked to be moved is all that slabs may hold.
const _: () = assert!(mover::BLOCK_MAX >= slabs::LARGEST);

/// Address space for blocks in slabs: more than any machine has memory, and no more than costs nothing.
const SLABS_ROOM: usize = 512 << 30;
/// Where the system grants less than this (`ulimit -v`), all of it is left to others: what is reserved for slabs is of no use to anybody else.
const SLABS_LEAST: usize = 8 << 30;

/// Makes the calling thread the one whose small blocks lie in slabs. False where another is, or the system grants no address space: then
/// all blocks are jemalloc's.
pub fn own_slabs() -> bool {
    slabs::claim(SLABS_ROOM, SLABS_LEAST)
}

/// Slabs whose returned blocks are taken in, and bytes of pages that go back to the system, in one slice: a few hundred microseconds.
const SLICE: (usize, usize) = (4096, 2 << 20);
/// Slabs that are looked at in one slice of choosing.
const CHOICE: usize = 1 << 16;

/// The slabs of the thread that owns them, as rooms above see them.
#[derive(Debug)]
pub struct OwnSlabs(());

impl OwnSlabs {
    /// `None` on a thread that does not own them.
    pub fn of_this_thread() -> Option<&'static OwnSlabs> {
        slabs::is_owner().then_some(&OwnSlabs(()))
    }
}

impl Slabs for OwnSlabs {
    fn used(&self) -> u64 {
        slabs::used()
    }

    fn held(&self) -> u64 {
        slabs::held().map_or(0, |(held, _)| held)
    }

    fn choose(&self) -> Option<usize> {
        let chosen = slabs::choose(CHOICE);
        if chosen == Some(0) {
            slabs::end();
        }
        chosen
    }

    fn is_leaving(&self, block: *const u8) -> bool {
        slabs::is_leaving(block.addr())
    }

    fn end(&self) {
        slabs::end();
    }

    fn age(&self) {
        slabs::age();
    }

    fn tidy(&self) -> bool {
        slabs::tidy(SLICE.0, SLICE.1)
    }
}

/// Gives back what jemalloc keeps for the next requests of the thread that calls: a few hundred pieces of each size, which hold as many pages where
/// much was freed. A thread that rests keeps them for ever. Returns whether jemalloc took it.
pub fn forget_cache() -> bool {
    call_control(c"thread.tcache.flush")
}

/// Hands every unused page back to the system at once (MEMORY PURGE), those of slabs on the thread that owns them. Returns whether jemalloc
/// took it.
pub fn purge() -> bool {
    slabs::purge();
    // 4096 is MALLCTL_ARENAS_ALL of jemalloc 5: one name for all arenas.
    call_control(c"arena.4096.purge")
}

/// Controls that MALLCTL may set: those that take any number without harm.
const SETTABLE: [&[u8]; 6] = [
    b"epoch",
    b"background_thread",
    b"max_background_threads",
    b"arenas.dirty_decay_ms",
    b"arenas.muzzy_decay_ms",
    b"thread.tcache.enabled",
];

/// Controls that are a text for certain; reading another one as a text would follow a number as if it were a pointer.
const TEXTS: [&[u8]; 5] = [
    b"version",
    b"config.malloc_conf",
    b"opt.dss",
    b"opt.metadata_thp",
    b"opt.percpu_arena",
];

/// Controls that are no value: each does something for the thread that asks, without harm.
const CALLABLE: [&[u8]; 2] = [b"thread.tcache.flush", b"thread.idle"];

/// Has jemalloc do what a control of this name does. Answers whether it is one and did.
pub fn control_call(name: &[u8]) -> bool {
    CALLABLE.contains(&name) && control_name(name).is_ok_and(|name| call_control(&name))
}

/// Reads a number of jemalloc's, and sets it if `new` is given; answers what it was before.
///
/// # Errors
/// The system's words: no such control, not a number, or not one that may be set.
pub fn control_number(name: &[u8], new: Option<i64>) -> io::Result<i64> {
    let name_text = control_name(name)?;
    if new.is_some() && !SETTABLE.contains(&name) {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    // Nothing tells the width of a control: a wrong one is refused, and the next narrower one tried.
    for width in [8, 4, 2, 1] {
        let (mut old, mut value) = (0i64, new.unwrap_or(0));
        let mut size = width;
        let (source, source_size) = match new {
            Some(_) => ((&raw mut value).cast::<c_void>(), width),
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: the name ends in zero; both buffers are locals of at least `width` bytes that live through the call,
        // and the controls that may be set take any bytes of their width.
        let answer = unsafe {
            je::mallctl(
                name_text.as_ptr(),
                (&raw mut old).cast::<c_void>(),
                &mut size,
                source,
                source_size,
            )
        };
        match answer {
            0 => return Ok(i64::from_le(old)),
            libc::EINVAL => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EINVAL))
}

/// Reads a text of jemalloc's.
///
/// # Errors
/// The system's words: no such control, or none that is known to be a text.
pub fn control_text(name: &[u8]) -> io::Result<String> {
    let name_text = control_name(name)?;
    if !TEXTS.contains(&name) {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    read_control::<*const std::ffi::c_char>(&name_text)
        .filter(|text| !text.is_null())
        .map(|text| {
            // SAFETY: the controls of the list are static texts that end in a zero byte.
            unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned()
        })
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

fn control_name(name: &[u8]) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::ENOENT))
}

/// Makes the statistics current: jemalloc computes them when its epoch is written.
fn refresh_epoch() {
    write_control::<u64>(c"epoch", 1);
}

/// Values that a control may have: plain data for which any bytes of jemalloc's are a value.
trait Control: Copy {}
impl Control for usize {}
impl Control for u32 {}
impl Control for u64 {}
impl Control for bool {}
impl Control for *mut u64 {}
impl Control for *const std::ffi::c_char {}

fn read_control<T: Control>(name: &CStr) -> Option<T> {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    let mut size = size_of::<T>();
    // SAFETY: the name ends in zero; value and size describe a buffer of ours that lives through the call.
    let answer = unsafe {
        je::mallctl(
            name.as_ptr(),
            value.as_mut_ptr().cast::<c_void>(),
            &mut size,
            ptr::null_mut(),
            0,
        )
    };
    if answer != 0 || size != size_of::<T>() {
        return None;
    }
    // SAFETY: the call succeeded and filled all the bytes; a control of this type holds a valid value.
    Some(unsafe { value.assume_init() })
}

fn write_control<T: Control>(name: &CStr, mut value: T) -> bool {
    // SAFETY: the name ends in zero; the new value is a local that lives through the call.
    let answer = unsafe {
        je::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            (&raw mut value).cast::<c_void>(),
            size_of::<T>(),
        )
    };
    answer == 0
}

fn call_control(name: &CStr) -> bool {
    // SAFETY: the name ends in zero; nothing is read and nothing is handed in.
    unsafe {
        je::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        ) == 0
    }
}
