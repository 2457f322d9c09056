//! Looking ahead in a table: what a look-up will read is fetched before it, in steps that others fill with work of their own.
//!
//! ```text
//!   segments  -->  bucket  -->  entry
//!                    |
//!                    +------->  block behind it  -->  entry         one bucket in four has one
//! ```
//! Each step reads only what the one before it fetched.

use super::chain::Next;
use super::segment::Segments;
use super::{Hasher, bucket_of, fingerprint_of};
use crate::structure::fetch;
use std::ptr::NonNull;

/// How much of an entry is fetched besides the line it begins in: keys begin near its start, and small values end there.
const SPAN: usize = 48;

/// A table, to look ahead in it.
#[derive(Clone, Copy)]
pub struct Ahead<'a> {
    segments: &'a Segments,
    buckets: usize,
    mask: usize,
    hasher: &'a Hasher,
}

impl<'a> Ahead<'a> {
    #[inline]
    pub(super) fn new(
        segments: &'a Segments,
        buckets: usize,
        mask: usize,
        hasher: &'a Hasher,
    ) -> Ahead<'a> {
        Ahead {
            segments,
            buckets,
            mask,
            hasher,
        }
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// Fetches what leads to the buckets. The table itself should be there by now.
    #[inline]
    pub fn segments(&self) {
        self.segments.prefetch();
    }

    /// Fetches the bucket of a hash.
    #[inline]
    pub fn bucket(&self, hash: u64) {
        if self.buckets > 0 {
            let bucket = bucket_of(hash, self.buckets, self.mask);
            fetch::line(self.segments.address(bucket).cast());
        }
    }

    /// Fetches the entry of a hash; its bucket should be there by now. Answers whether it is, if anywhere, behind a block that was fetched
    /// in its place: [`Self::behind`] is the next step then.
    #[inline]
    pub fn entry(&self, hash: u64) -> bool {
        match self.first(hash) {
            Next::Entry(address) => fetch_entry(address),
            Next::Block(block) => {
                fetch::line(block.address());
                return true;
            }
            Next::Nothing => {}
        }
        false
    }

    /// Fetches the entry of a hash from the blocks behind its bucket, of which the first should be there by now.
    pub fn behind(&self, hash: u64) {
        if let Some(address) = self.candidate(hash) {
            fetch_entry(address);
        }
    }

    /// What a look-up needs behind the bucket.
    #[inline]
    fn first(&self, hash: u64) -> Next {
        if self.buckets == 0 {
            return Next::Nothing;
        }
        let bucket = bucket_of(hash, self.buckets, self.mask);
        // SAFETY: a bucket below N is live.
        unsafe { self.segments.block(bucket).next(fingerprint_of(hash)) }
    }

    /// The first entry that may have this hash.
    fn candidate(&self, hash: u64) -> Option<NonNull<u8>> {
        let mut next = self.first(hash);
        loop {
            next = match next {
                Next::Entry(address) => return Some(address),
                // SAFETY: links lead to live blocks.
                Next::Block(block) => unsafe { block.next(fingerprint_of(hash)) },
                Next::Nothing => return None,
            }
        }
    }
}

#[inline]
fn fetch_entry(address: NonNull<u8>) {
    fetch::line(address);
    fetch::line(address.map_addr(|at| at.saturating_add(SPAN)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::record::Member;
    use crate::structure::table::{Ref, Table};

    /// Nothing but the time tells whether hints are good, so this looks at where they point.
    #[test]
    fn what_is_fetched_is_what_is_looked_up() {
        let mut table = Table::new(Hasher::new([1, 2, 3, 4]));
        let name = |i: u32| format!("member:{i}").into_bytes();
        assert!(table.ahead().candidate(7).is_none(), "an empty table");
        for i in 0..20_000 {
            let name = name(i);
            table.insert(table.hasher().hash(&name), Member::new(&name));
        }
        let (mut found, mut behind) = (0, 0);
        for i in 0..20_000 {
            let hash = table.ahead().hash(&name(i));
            let slot = table.find(hash, &name(i)).unwrap();
            let entry = Ref::of(table.get(slot)).as_ptr();
            found += usize::from(table.ahead().candidate(hash) == Some(entry));
            behind += usize::from(table.ahead().entry(hash));
        }
        // Others of the same fingerprint may stand before it, one of 256 for each.
        assert!(found > 19_500, "{found} of 20,000");
        assert!(
            (1_000..10_000).contains(&behind),
            "{behind} of 20,000 in a second block"
        );
    }
}
