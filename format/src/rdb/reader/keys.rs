//! Finding keys that occur twice in a database, in 16 bytes of memory per key.
//!
//! A hash of each key is kept with its place. At the end they are sorted; equal hashes are confirmed on
//! the bytes if the file is in memory, otherwise by a second hash that was kept instead of the place.

use super::super::object::hash_bytes;

/// Keys seen so far.
#[derive(Debug, Default)]
pub(in super::super) struct KeyIndex {
    seen: Vec<(u64, u64)>,
}

impl KeyIndex {
    /// Notes a key. `place` is its offset if it can be looked up again there.
    #[inline]
    pub fn note(&mut self, db: u64, key: &[u8], place: Option<u64>) {
        let second = place.unwrap_or_else(|| hash_bytes(key, !db));
        self.seen.push((hash_bytes(key, db), second));
    }

    /// The place (or second hash) of pairs of keys whose hashes agree, for the caller to compare.
    pub fn suspects(&mut self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.seen.sort_unstable();
        self.seen
            .windows(2)
            .filter(|pair| pair[0].0 == pair[1].0)
            .map(|pair| (pair[0].1, pair[1].1))
    }
}
