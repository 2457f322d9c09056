//! Hashes of a part of a file, brought together by bucket by whoever read that part, while they lie in a cache.
//!
//! ```text
//!   hashes   [ bucket 0 .. | bucket 1 .. | ... | bucket 255 .. ]
//!   ends                   ^             ^                     ^
//! ```

use super::{BUCKETS, bucket_of};

/// The hashes of a part.
#[derive(Debug)]
pub(super) struct Part {
    hashes: Vec<u64>,
    /// Where each bucket ends.
    ends: Box<[usize; BUCKETS]>,
}

impl Part {
    /// Sorts these by bucket.
    pub fn of(unsorted: &[u64]) -> Part {
        let mut ends = Box::new([0; BUCKETS]);
        for hash in unsorted {
            ends[bucket_of(*hash)] += 1;
        }
        let mut all = 0;
        for end in ends.iter_mut() {
            all += std::mem::replace(end, all);
        }
        let mut hashes = vec![0; all];
        for hash in unsorted {
            let end = &mut ends[bucket_of(*hash)];
            hashes[*end] = *hash;
            *end += 1;
        }
        Part { hashes, ends }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The hashes of a bucket.
    pub fn bucket(&self, bucket: usize) -> &[u64] {
        let begin = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.hashes[begin..self.ends[bucket]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hash_is_in_its_bucket() {
        let hashes: Vec<u64> = (0..1000_u64).map(|n| n.wrapping_mul(n << 50 | 1)).collect();
        let part = Part::of(&hashes);
        let buckets = (0..BUCKETS).map(|bucket| (bucket, part.bucket(bucket)));
        let mut found = Vec::new();
        for (bucket, hashes) in buckets {
            assert!(hashes.iter().all(|hash| bucket_of(*hash) == bucket));
            found.extend_from_slice(hashes);
        }
        let mut hashes = hashes;
        found.sort_unstable();
        hashes.sort_unstable();
        assert_eq!(found, hashes);
        assert_eq!(Part::of(&[]).bucket(255), [0_u64; 0]);
    }
}
