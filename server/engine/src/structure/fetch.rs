//! Hints to the processor: what will be read soon. Nothing depends on them.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Bytes of a line of the caches. That processors fetch the neighbour of a line, too, is not to be relied on: with half of the hints ZADD took 1.3 times as long.
const LINE: usize = 64;

/// Fetches the line of an address.
#[inline]
pub(super) fn line(address: NonNull<u8>) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fetching ahead is a hint and never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
            address.as_ptr().cast(),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Fetches the line that a value begins in.
#[inline]
pub fn value<T>(value: &T) {
    line(NonNull::from(value).cast());
}

/// Fetches all lines of a slice at once, where a search would wait for one after the other.
#[inline]
pub(super) fn all<T>(items: &[T]) {
    let each = (LINE / size_of::<T>().max(1)).max(1);
    items.iter().step_by(each).for_each(value);
}
