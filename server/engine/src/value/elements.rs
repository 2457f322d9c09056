//! The elements of any collection, whatever its encoding: what digests, savers and whole-value replies walk over.

use std::ops::ControlFlow;

use cairn_format::encoding::intset::Intset;
use cairn_format::encoding::listpack::{Entry, Listpack, told_len};

use super::{Encoding, Kind, ValueRef};

/// A packed value as a listpack.
///
/// # Panics
/// If it is none. Packed values are made here or were checked before they became values, so memory would be damaged, and
/// to go on would save the damage.
#[inline]
pub fn pack(blob: &[u8]) -> Listpack<'_> {
    Listpack::new(blob).expect("blobs are checked before they become values")
}

/// A packed value as an intset.
///
/// # Panics
/// As [`pack`].
#[inline]
pub fn ints(blob: &[u8]) -> Intset<'_> {
    Intset::new(blob).expect("blobs are checked before they become values")
}

/// Number of elements of a packed value; fields, not words, of a hash.
#[inline]
pub fn packed_count(kind: Kind, encoding: Encoding, blob: &[u8]) -> usize {
    if encoding == Encoding::Intset {
        return ints(blob).len();
    }
    let entries = told_len(blob).unwrap_or_else(|| pack(blob).len());
    match (kind, encoding) {
        (Kind::Hash, Encoding::ListpackEx) => entries / 3,
        (Kind::Hash | Kind::Zset, _) => entries / 2,
        _ => entries,
    }
}

impl<'a> ValueRef<'a> {
    /// Number of elements of a collection; fields, not words, of a hash. A string counts 1.
    pub fn count(&self) -> usize {
        match *self {
            ValueRef::Int(_) | ValueRef::Str(_) | ValueRef::Big(_) => 1,
            ValueRef::Packed(kind, encoding, blob) => packed_count(kind, encoding, blob),
            ValueRef::List(list) => list.len(),
            ValueRef::Set(set) => set.len(),
            ValueRef::Hash(hash) => hash.len(),
            ValueRef::Zset(zset) => zset.len(),
            ValueRef::Stream(stream) => stream.len() as usize,
        }
    }

    /// Whether a collection has no elements. Found at once, which [`Self::count`] is not for every hash.
    pub fn is_empty(&self) -> bool {
        match self {
            ValueRef::Hash(hash) => hash.is_empty(),
            other => other.count() == 0,
        }
    }

    /// The elements of a list or set, in order of the encoding.
    pub fn each(&self, visit: &mut dyn FnMut(Entry<'_>)) {
        match *self {
            ValueRef::Packed(_, Encoding::Intset, blob) => {
                ints(blob).iter().for_each(|i| visit(Entry::Int(i)))
            }
            ValueRef::Packed(_, _, blob) => pack(blob).iter().for_each(|(_, entry)| visit(entry)),
            ValueRef::List(list) => list.visit(0, list.len(), |entry| {
                visit(entry);
                ControlFlow::Continue(())
            }),
            ValueRef::Set(set) => set
                .iter()
                .for_each(|member| visit(Entry::Str(member.key()))),
            _ => {}
        }
    }

    /// Field, value and expiry of a hash.
    pub fn each_field(&self, visit: &mut dyn FnMut(Entry<'a>, Entry<'a>, Option<i64>)) {
        match *self {
            ValueRef::Packed(_, Encoding::ListpackEx, blob) => {
                let mut entries = pack(blob).iter().map(|(_, entry)| entry);
                while let (Some(field), Some(value), Some(at)) =
                    (entries.next(), entries.next(), entries.next())
                {
                    visit(field, value, at.as_int().filter(|ms| *ms != 0));
                }
            }
            ValueRef::Packed(_, _, blob) => {
                let mut entries = pack(blob).iter().map(|(_, entry)| entry);
                while let (Some(field), Some(value)) = (entries.next(), entries.next()) {
                    visit(field, value, None);
                }
            }
            ValueRef::Hash(hash) => {
                hash.iter()
                    .for_each(|f| visit(Entry::Str(f.key()), Entry::Str(f.value()), f.expire()));
            }
            _ => {}
        }
    }

    /// Member and score of a sorted set, in rising order.
    pub fn each_scored(&self, visit: &mut dyn FnMut(Entry<'a>, f64)) {
        match *self {
            ValueRef::Packed(_, _, blob) => {
                let mut entries = pack(blob).iter().map(|(_, entry)| entry);
                while let (Some(member), Some(score)) = (entries.next(), entries.next()) {
                    visit(member, score.as_f64().unwrap_or(0.0));
                }
            }
            ValueRef::Zset(zset) => zset
                .iter()
                .for_each(|(member, score)| visit(Entry::Str(member), score)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that reads as empty would be deleted by the next command and so be lost for good.
    #[test]
    fn a_blob_that_is_none_is_no_empty_value() {
        for blob in [&b""[..], b"\x07\0\0\0\0\0", b"\x08\0\0\0\0\0\xff"] {
            assert!(std::panic::catch_unwind(|| pack(blob).len()).is_err());
            assert!(std::panic::catch_unwind(|| ints(blob).len()).is_err());
        }
    }
}
