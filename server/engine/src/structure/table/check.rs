//! Whether a table is sound: for tests and fuzzers.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::{Entry, Table, chain, fingerprint_of};

impl<E: Entry> Table<E> {
    /// Tests the invariants of the table (see its head), whether the hash of each entry is the one that it was put in with, and
    /// that all counters are right.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        if self.buckets > 0 && !self.is_sized() {
            return Err(format!("{} buckets under mask {}", self.buckets, self.mask));
        }
        let mut sum = chain::Sum::default();
        for bucket in 0..self.buckets {
            let before = sum.marked;
            // SAFETY: a bucket below N is live; its words hold handles of `E`.
            let len = unsafe {
                chain::check(self.block(bucket), &mut sum, |place| {
                    let word = NonNull::from(&place.entry).cast::<E>();
                    let hash = self.hasher.hash(word.as_ref().key());
                    self.bucket_of(hash) == bucket && fingerprint_of(hash) == place.fingerprint
                })
            }
            .map_err(|what| format!("bucket {bucket}: {what}"))?;
            if len > self.longest {
                return Err(format!(
                    "bucket {bucket}: {len} entries, at most {}",
                    self.longest
                ));
            }
            self.segments.check_marks(bucket, sum.marked - before)?;
        }
        let told = (self.len, self.marked, self.spill);
        let found = (sum.len, sum.marked, sum.spill);
        if told != found || self.segments.marked() != sum.marked {
            return Err(format!("entries, marks and bytes {told:?} are {found:?}"));
        }
        Ok(())
    }
}
