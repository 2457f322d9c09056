//! What a table holds, and handles of it.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Bit of a handle that says: this entry is marked (it has an expiry).
pub(in crate::structure) const MARK: usize = 1;

/// Whether a handle carries the mark.
#[inline]
pub(in crate::structure) fn is_marked(handle: NonNull<u8>) -> bool {
    handle.addr().get() & MARK != 0
}

/// Something that a table holds: an owned, thin handle to one allocation that contains its key.
///
/// # Safety
/// The type is `#[repr(transparent)]` over `NonNull<u8>`. Bit 0 of the handle is the mark and bits 1 and 2 are free of
/// meaning to the table; the other bits are an address that may be fetched ahead. [`Entry::key`] answers the same bytes
/// for as long as the handle lives, except through changes by `&mut`.
pub unsafe trait Entry: Sized {
    /// The key's bytes.
    fn key(&self) -> &[u8];

    /// Whether the key is this one.
    #[inline]
    fn key_is(&self, key: &[u8]) -> bool {
        same_bytes(self.key(), key)
    }

    /// Gives up ownership of the handle.
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        let entry = ManuallyDrop::new(self);
        // SAFETY: implementors are transparent over this type.
        unsafe { NonNull::from(&*entry).cast::<NonNull<u8>>().read() }
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` came from [`Entry::into_raw`] of this type and is used once.
    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        // SAFETY: implementors are transparent over this type; ownership passes by contract.
        unsafe { NonNull::from(&raw).cast::<Self>().read() }
    }
}

/// A second, non-owning handle of an entry, for an index beside the table (the order of a sorted set).
///
/// It may be followed until the entry is removed from its table, replaced, or moved by a change (records and fields may move
/// when changed; members only while their table moves them). Comparing two of them is always allowed.
pub struct Ref<E> {
    raw: NonNull<u8>,
    of: PhantomData<*const E>,
}

impl<E> Clone for Ref<E> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Ref<E> {}
impl<E> PartialEq for Ref<E> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<E> Eq for Ref<E> {}
impl<E> fmt::Debug for Ref<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({:p})", self.raw)
    }
}
// SAFETY: following it is unsafe anyway, and whoever does promises that table and index move between threads together.
unsafe impl<E: Send> Send for Ref<E> {}

impl<E: Entry> Ref<E> {
    /// The reference that means this entry.
    #[inline]
    pub fn of(entry: &E) -> Ref<E> {
        let word = NonNull::from(entry).cast::<NonNull<u8>>();
        // SAFETY: implementors of `Entry` are transparent over the handle.
        let raw = unsafe { word.read() };
        Ref {
            raw,
            of: PhantomData,
        }
    }

    /// The handle itself (with the mark in bit 0, if the entry has one).
    #[inline]
    pub fn as_ptr(self) -> NonNull<u8> {
        self.raw
    }

    /// The key of the entry meant.
    ///
    /// # Safety
    /// The entry is alive and stays where it is for `'a` (see the type).
    #[inline]
    pub unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: by contract the handle is live; it is not dropped here.
        unsafe {
            let entry = ManuallyDrop::new(E::from_raw(self.raw));
            let key = entry.key();
            std::slice::from_raw_parts(key.as_ptr(), key.len())
        }
    }

    /// The entry meant.
    ///
    /// # Safety
    /// As [`Self::key`].
    #[inline]
    pub unsafe fn entry(&self) -> &E {
        // SAFETY: transparent, and live by contract.
        unsafe { NonNull::from(&self.raw).cast::<E>().as_ref() }
    }
}

/// Whether two byte strings are equal, word by word: keys are short, and calling `memcmp` costs more than comparing.
#[inline]
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(x), Some(y)) if a.len() <= 64 => {
            // The last eight bytes first, since keys differ there most often; they may overlap the last whole word.
            x == y
                && a.as_chunks::<8>()
                    .0
                    .iter()
                    .zip(b.as_chunks::<8>().0)
                    .all(|(x, y)| x == y)
        }
        (Some(_), Some(_)) => a == b,
        _ => match (
            a.first_chunk::<4>(),
            b.first_chunk::<4>(),
            a.last_chunk::<4>(),
            b.last_chunk::<4>(),
        ) {
            (Some(x), Some(y), Some(v), Some(w)) => x == y && v == w,
            // Up to three bytes: these are all of them.
            _ => {
                let middle = a.len() / 2;
                a.first() == b.first() && a.last() == b.last() && a.get(middle) == b.get(middle)
            }
        },
    }
}
