//! Members of big sets and big sorted sets: bytes, and for the latter a score before them.
//!
//! ```text
//!   Member         +--------+-------+          ScoredMember   +----------+--------+-------+
//!                  | length | bytes |                         | f64      | length | bytes |
//!                  +--------+-------+                         +----------+--------+-------+
//! ```
//! The length stands in groups of seven bits, lowest first (one byte below 128), so a member of 16 bytes takes 24 bytes
//! and with a score 32. Invariant: the allocation's size follows from the length; the handle's bit 0 is never set.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::{self, NonNull};

use super::raw;
use crate::structure::mover::Mover;
use crate::structure::table::{Entry, Ref, is_marked};

const SCORE: usize = 8;

/// Allocates `before` bytes, a length and the bytes.
fn allocate(before: usize, bytes: &[u8]) -> NonNull<u8> {
    let ptr = raw::allocate(size(before, bytes.len()));
    // SAFETY: the size reserves the length's width and the bytes after `before`.
    unsafe {
        let to = raw::put_len(ptr.as_ptr().add(before), bytes.len());
        ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        debug_assert!(
            self::bytes(ptr, before) == bytes,
            "they are where they are looked for"
        );
    }
    debug_assert!(!is_marked(ptr), "the handle is the address itself");
    ptr
}

#[inline]
fn size(before: usize, len: usize) -> usize {
    raw::rounded(before + raw::len_width(len) + len)
}

/// # Safety
/// `handle` came from [`allocate`] with this `before`, and is live for `'a`.
#[inline]
unsafe fn bytes<'a>(handle: NonNull<u8>, before: usize) -> &'a [u8] {
    // SAFETY: by contract a length and that many bytes stand here.
    unsafe {
        let (len, from) = raw::get_len(handle.as_ptr().add(before));
        std::slice::from_raw_parts(from, len)
    }
}

/// A member of a big set.
#[repr(transparent)]
pub struct Member {
    handle: NonNull<u8>,
}

// SAFETY: a member owns its allocation, which holds plain bytes.
unsafe impl Send for Member {}

// SAFETY: transparent over a handle whose bit 0 is never set; the bytes never change.
unsafe impl Entry for Member {
    #[inline]
    fn key(&self) -> &[u8] {
        Member::key(self)
    }
}

impl Member {
    /// A new member.
    #[inline]
    pub fn new(member: &[u8]) -> Member {
        Member {
            handle: allocate(0, member),
        }
    }

    /// Its bytes.
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: made by `new`, live while borrowed.
        unsafe { bytes(self.handle, 0) }
    }

    /// Moves the member's block, if it leaves.
    pub fn move_away(&mut self, mover: &mut Mover) {
        if mover.takes(self.handle.as_ptr(), self.mem_bytes()) {
            *self = Member::new(self.key());
        }
    }

    /// Size of the allocation, bytes.
    #[inline]
    pub fn mem_bytes(&self) -> usize {
        size(0, self.key().len())
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the allocation has this size, and this is its last use.
        unsafe { raw::free(self.handle, self.mem_bytes()) }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({})", self.key().escape_ascii())
    }
}

/// A member of a big sorted set. It stays at its address while its score changes.
#[repr(transparent)]
pub struct ScoredMember {
    handle: NonNull<u8>,
}

// SAFETY: a member owns its allocation, which holds plain bytes.
unsafe impl Send for ScoredMember {}

// SAFETY: transparent over a handle whose bit 0 is never set; the bytes never change.
unsafe impl Entry for ScoredMember {
    #[inline]
    fn key(&self) -> &[u8] {
        ScoredMember::key(self)
    }
}

impl ScoredMember {
    /// A new member with its score.
    #[inline]
    pub fn new(member: &[u8], score: f64) -> ScoredMember {
        let mut made = ScoredMember {
            handle: allocate(SCORE, member),
        };
        made.set_score(score);
        made
    }

    /// Its bytes.
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: made by `new`, live while borrowed.
        unsafe { bytes(self.handle, SCORE) }
    }

    /// Its score.
    #[inline]
    pub fn score(&self) -> f64 {
        // SAFETY: the score stands first, and allocations are aligned to 8.
        unsafe { self.handle.cast::<f64>().read() }
    }

    /// Gives it another score; it does not move.
    #[inline]
    pub fn set_score(&mut self, score: f64) {
        debug_assert!(!score.is_nan(), "NaN has no place in an order");
        // SAFETY: as above, borrowed exclusively.
        unsafe { self.handle.cast::<f64>().write(score) }
    }

    /// The same member in another block, if its own leaves. Until this one is dropped both can be followed.
    pub fn copy_away(&self, mover: &mut Mover) -> Option<ScoredMember> {
        let leaves = mover.takes(self.handle.as_ptr(), self.mem_bytes());
        leaves.then(|| ScoredMember::new(self.key(), self.score()))
    }

    /// Size of the allocation, bytes.
    #[inline]
    pub fn mem_bytes(&self) -> usize {
        size(SCORE, self.key().len())
    }
}

impl Ref<ScoredMember> {
    /// The score of the member meant.
    ///
    /// # Safety
    /// As [`Ref::key`].
    #[inline]
    pub unsafe fn score(self) -> f64 {
        // SAFETY: by contract the member is live, and its score stands first.
        unsafe { self.as_ptr().cast::<f64>().read() }
    }
}

impl Drop for ScoredMember {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the allocation has this size, and this is its last use.
        unsafe { raw::free(self.handle, self.mem_bytes()) }
    }
}

impl fmt::Debug for ScoredMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ScoredMember({}, {})",
            self.key().escape_ascii(),
            self.score()
        )
    }
}
