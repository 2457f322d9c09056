//! The allocations behind records, fields and members: 8-byte aligned, sized in steps of 8, owned by a thin handle.
//!
//! Invariants:
//! - a handle's bits 3..63 are the address that `alloc` gave; bit 0 is the mark (the entry has an expiry); bits 1 and 2 are 0;
//! - the size of an allocation can be computed from its own header, because freeing needs it.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::num::NonZero;
use std::ptr::{self, NonNull};

use crate::structure::table::MARK;

/// Size of the allocation that holds `used` bytes. Allocators have classes in steps of 8 or 16 bytes, so rounding up
/// costs nothing and lets a value grow in place into what would be padding.
#[inline]
pub(super) const fn rounded(used: usize) -> usize {
    (used + 7) & !7
}

#[inline]
fn layout(size: usize) -> Layout {
    debug_assert!(size > 0 && size.is_multiple_of(8));
    Layout::from_size_align(size, 8).expect("an allocation's size fits isize")
}

/// Allocates `size` bytes (a multiple of 8, not 0), uninitialised.
#[inline]
pub(super) fn allocate(size: usize) -> NonNull<u8> {
    let layout = layout(size);
    // SAFETY: the size is not zero: every caller's header takes at least one byte, rounded up to 8.
    let ptr = unsafe { alloc(layout) };
    NonNull::new(ptr).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees what [`allocate`] gave.
///
/// # Safety
/// `ptr` came from [`allocate`] or [`resize`] with this very `size`, and is not used again.
#[inline]
pub(super) unsafe fn free(ptr: NonNull<u8>, size: usize) {
    // SAFETY: by contract the block is live and was allocated with this layout.
    unsafe { dealloc(ptr.as_ptr(), layout(size)) }
}

/// Makes an allocation larger or smaller; it may move. Bytes up to the smaller size keep their values.
///
/// # Safety
/// `ptr` came from [`allocate`] or [`resize`] with size `old`; only the answer is used from now on. `new` is a multiple of
/// 8 and not 0.
#[inline]
pub(super) unsafe fn resize(ptr: NonNull<u8>, old: usize, new: usize) -> NonNull<u8> {
    if old == new {
        return ptr;
    }
    let _checked = layout(new);
    // SAFETY: by contract the block is live with layout `old`; `new` is valid, as just checked.
    let moved = unsafe { realloc(ptr.as_ptr(), layout(old), new) };
    NonNull::new(moved).unwrap_or_else(|| handle_alloc_error(layout(new)))
}

/// Puts an allocation elsewhere.
///
/// # Safety
/// `ptr` came from [`allocate`] or [`resize`] with this very `size`; only the answer is used from now on.
pub(super) unsafe fn relocate(ptr: NonNull<u8>, size: usize) -> NonNull<u8> {
    let moved = allocate(size);
    // SAFETY: both blocks have `size` bytes, and are two; the old one is not used again, by contract.
    unsafe {
        ptr::copy_nonoverlapping(ptr.as_ptr(), moved.as_ptr(), size);
        free(ptr, size);
    }
    moved
}

/// The address in a handle, without the mark.
#[inline]
pub(super) fn address(handle: NonNull<u8>) -> NonNull<u8> {
    debug_assert_eq!(handle.addr().get() & 0b110, 0, "bits 1 and 2 are 0");
    // SAFETY: an allocation aligned to 8 lies at address 8 or above, so clearing bit 0 does not leave zero.
    handle.map_addr(|a| unsafe { NonZero::new_unchecked(a.get() & !MARK) })
}

/// The handle of an address.
#[inline]
pub(super) fn handle(address: NonNull<u8>, marked: bool) -> NonNull<u8> {
    debug_assert!(
        address.cast::<u64>().is_aligned(),
        "bit 0 is free for the mark"
    );
    address.map_addr(|a| a | usize::from(marked))
}

/// Number of bytes that [`put_len`] writes.
#[inline]
pub(super) fn len_width(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (usize::BITS - len.leading_zeros()).div_ceil(7) as usize,
    }
}

/// Writes a length in groups of seven bits, lowest first, the high bit saying that more follow; answers the place after it.
///
/// # Safety
/// [`len_width`] bytes at `to` may be written.
#[inline]
pub(super) unsafe fn put_len(mut to: *mut u8, mut len: usize) -> *mut u8 {
    // SAFETY: the loop writes exactly `len_width` bytes.
    unsafe {
        while len >= 0x80 {
            to.write(len as u8 | 0x80);
            len >>= 7;
            to = to.add(1);
        }
        to.write(len as u8);
        to.add(1)
    }
}

/// Reads what [`put_len`] wrote: the length and the place after it.
///
/// # Safety
/// `from` points at such bytes.
#[inline]
pub(super) unsafe fn get_len(mut from: *const u8) -> (usize, *const u8) {
    // SAFETY: by contract a byte below 0x80 ends the length.
    unsafe {
        let first = from.read();
        from = from.add(1);
        let mut len = usize::from(first & 0x7f);
        let (mut shift, mut byte) = (7, first);
        while byte >= 0x80 {
            debug_assert!(shift < usize::BITS, "a length has so many groups at most");
            byte = from.read();
            from = from.add(1);
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
        }
        (len, from)
    }
}
