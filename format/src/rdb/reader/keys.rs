//! Finding keys that occur twice in a database, in 8 to 16 bytes of memory per key (twice that over a pipe).
//!
//! Only a 64-bit hash of each key is kept, in buckets by its top bits. At the end each bucket goes through a
//! small hash table that stays in the nearest caches: that is several times as fast as sorting them.
//! Two equal hashes are a suspicion. In memory the file is read again to compare the keys themselves; over a
//! pipe a second, independent hash must agree that something occurs twice.
//!
//! ```text
//!   open    [ hashes .. | room ]  x 256      the block of each bucket that is being filled
//!   full    [ block | block | .. ]  x 256    blocks that are full; hashes are never moved
//! ```

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread;

use super::super::dialect::Dialect;
use super::super::event::Event;
use super::super::object::hash_bytes;
use super::super::raw::Source;
use super::{Options, SliceReader};
use crate::error::{Damage, FormatError};

/// Top bits of the hash that choose the bucket. The places that are written to must fit the nearest cache.
const BUCKET_BITS: u32 = 8;
/// Hashes of a bucket's first block; each block has room for twice as many as the one before.
const BLOCK_MIN: usize = 16;
/// Hashes of the largest blocks: 4 KiB.
const BLOCK_MAX: usize = 512;
/// Steps that a hash may take on average to find its place, before its bucket is sorted instead. Good hashes take
/// one or two; keys made to meet in one place would take as many as there are keys.
const STEPS_MAX: usize = 16;

/// Hashes of the keys seen so far.
#[derive(Debug, Default)]
pub(in super::super) struct KeyIndex {
    first: Buckets,
    /// Hashes with another seed, if the keys cannot be looked up again.
    second: Buckets,
    /// Of a part of a file: the hashes as they come.
    part: Option<Vec<u64>>,
    /// The hashes of parts.
    parts: Vec<Vec<u64>>,
    /// Threads that look for repeated ones at the end; one, if nobody said.
    pub threads: Option<NonZeroUsize>,
}

#[derive(Debug, Default)]
struct Buckets {
    open: Vec<Vec<u64>>,
    full: Vec<Vec<Vec<u64>>>,
}

impl Buckets {
    #[inline]
    fn push(&mut self, hash: u64) {
        let bucket = bucket_of(hash);
        match self.open.get_mut(bucket) {
            Some(block) if block.len() < block.capacity() => block.push(hash),
            _ => self.push_to_new_block(bucket, hash),
        }
    }

    #[cold]
    fn push_to_new_block(&mut self, bucket: usize, hash: u64) {
        if self.open.is_empty() {
            self.open.resize_with(1 << BUCKET_BITS, Vec::new);
            self.full.resize_with(1 << BUCKET_BITS, Vec::new);
        }
        let room = (self.open[bucket].len() * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        let block = std::mem::replace(&mut self.open[bucket], Vec::with_capacity(room));
        debug_assert_eq!(
            block.len(),
            block.capacity(),
            "a block that is put away is full"
        );
        self.full[bucket].push(block);
        self.open[bucket].push(hash);
    }

    /// The hashes of a bucket, in blocks.
    fn blocks(&self, bucket: usize) -> impl Iterator<Item = &[u64]> {
        let full = self.full.get(bucket).into_iter().flatten();
        full.chain(self.open.get(bucket)).map(Vec::as_slice)
    }

    /// Hashes that occur twice.
    fn repeated(&self) -> HashSet<u64> {
        debug_assert_eq!(
            self.open.len(),
            self.full.len(),
            "as many buckets of both kinds"
        );
        let (mut table, mut repeated) = (Vec::new(), HashSet::new());
        for bucket in 0..self.open.len() {
            let blocks: Vec<&[u64]> = self.blocks(bucket).collect();
            collect_repeated(&blocks, &mut table, &mut repeated);
        }
        repeated
    }
}

/// The bucket of a hash.
#[inline]
fn bucket_of(hash: u64) -> usize {
    (hash >> (64 - BUCKET_BITS)) as usize
}

/// Hashes that occur twice in these blocks, looked for by so many threads. They are brought together by bucket first, in one block:
/// threads that fill many small ones are held up by the allocator.
fn repeated_in(blocks: &[&[u64]], threads: usize) -> HashSet<u64> {
    let mut ends = [0; 1 << BUCKET_BITS];
    for hash in blocks.iter().copied().flatten() {
        ends[bucket_of(*hash)] += 1;
    }
    let mut all = 0;
    for end in &mut ends {
        all += std::mem::replace(end, all);
    }
    let mut sorted = vec![0; all];
    for hash in blocks.iter().copied().flatten() {
        let end = &mut ends[bucket_of(*hash)];
        sorted[*end] = *hash;
        *end += 1;
    }
    let search = |thread: usize| {
        let (mut table, mut repeated) = (Vec::new(), HashSet::new());
        for bucket in (thread..ends.len()).step_by(threads) {
            let begin = bucket.checked_sub(1).map_or(0, |before| ends[before]);
            collect_repeated(&[&sorted[begin..ends[bucket]]], &mut table, &mut repeated);
        }
        repeated
    };
    thread::scope(|scope| {
        let search = &search;
        let threads = (0..threads).map(|thread| scope.spawn(move || search(thread)));
        let threads: Vec<_> = threads.collect();
        let found = threads.into_iter().map(|one| one.join());
        let found = found.map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)));
        found.flatten().collect()
    })
}

/// The hashes of one bucket that occur twice.
fn collect_repeated(blocks: &[&[u64]], table: &mut Vec<u64>, repeated: &mut HashSet<u64>) {
    if !repeated_by_table(blocks, table, repeated) {
        repeated_by_sorting(blocks, repeated);
    }
}

/// Finds the hashes that occur twice in a bucket; false if they crowd in so few places that it would take too long.
fn repeated_by_table(blocks: &[&[u64]], table: &mut Vec<u64>, repeated: &mut HashSet<u64>) -> bool {
    let count: usize = blocks.iter().map(|block| block.len()).sum();
    let size = (count * 2).next_power_of_two();
    table.clear();
    debug_assert!(size > count, "a search always ends");
    // Zero marks a free place; a hash of zero is kept as one.
    table.resize(size, 0);
    let mut steps = (count + 1) * STEPS_MAX;
    for hash in blocks.iter().copied().flatten() {
        let hash = (*hash).max(1);
        let mut place = hash as usize & (size - 1);
        while table[place] != 0 && table[place] != hash {
            place = (place + 1) & (size - 1);
            steps -= 1;
            if steps == 0 {
                return false;
            }
        }
        if table[place] == hash {
            repeated.insert(hash);
        }
        table[place] = hash;
    }
    true
}

/// The same in a time that no choice of keys can stretch.
#[cold]
fn repeated_by_sorting(blocks: &[&[u64]], repeated: &mut HashSet<u64>) {
    let hashes = blocks.iter().copied().flatten();
    let mut hashes: Vec<u64> = hashes.map(|hash| (*hash).max(1)).collect();
    hashes.sort_unstable();
    repeated.extend(
        hashes
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0]),
    );
}

impl KeyIndex {
    /// An index of a part of a file with room for so many keys, which finds nothing by itself.
    pub fn of_part(room: usize) -> Self {
        KeyIndex {
            part: Some(Vec::with_capacity(room)),
            ..KeyIndex::default()
        }
    }

    /// The index of a part that is whole: room for keys that did not come is given back.
    pub fn whole(mut self) -> Self {
        if let Some(part) = &mut self.part {
            part.shrink_to_fit();
        }
        self
    }

    /// Takes over the keys of a part.
    pub fn absorb(&mut self, part: KeyIndex) {
        self.parts.extend(part.part);
    }

    /// Notes a key; `again` says whether it can be looked up again at the end.
    #[inline]
    pub fn note(&mut self, db: u64, key: &[u8], again: bool) {
        let hash = hash_bytes(key, db);
        match &mut self.part {
            Some(part) => part.push(hash),
            None => self.first.push(hash),
        }
        if !again {
            self.second.push(hash_bytes(key, !db));
        }
    }

    /// The first key that occurs twice in its database, as an error.
    pub fn repeated<S: Source>(
        &mut self,
        source: &S,
        dialect: Dialect,
    ) -> Option<Box<FormatError>> {
        let suspects = match self.parts.is_empty() {
            true => self.first.repeated(),
            false => {
                let own = (0..1 << BUCKET_BITS).flat_map(|bucket| self.first.blocks(bucket));
                let parts = self.parts.iter().map(Vec::as_slice);
                let blocks: Vec<&[u64]> = own.chain(parts).collect();
                repeated_in(&blocks, self.threads.map_or(1, NonZeroUsize::get))
            }
        };
        if suspects.is_empty() {
            return None;
        }
        if source.can_reread() {
            return confirm(source.reread(0), dialect, &suspects);
        }
        let what = "a key occurs twice in its database";
        (!self.second.repeated().is_empty())
            .then(|| FormatError::new(Damage::Encoding, source.offset(), what))
    }
}

/// Reads the file again and compares the keys under suspicion.
fn confirm(bytes: &[u8], dialect: Dialect, suspects: &HashSet<u64>) -> Option<Box<FormatError>> {
    let options = Options {
        checksum: false,
        newest: Some(dialect),
        ..Options::shallow()
    };
    let mut reader = SliceReader::from_slice(bytes, options).ok()?;
    let mut seen = HashSet::new();
    while let Ok(Some(found)) = reader.next() {
        let Event::Record(record) = found.event else {
            continue;
        };
        let key = record.head.key;
        if suspects.contains(&hash_bytes(key, record.db).max(1))
            && !seen.insert((record.db, key.to_vec()))
        {
            let what = "the key occurs twice in its database";
            return Some(
                FormatError::new(Damage::Encoding, found.offset, what)
                    .at_key(key)
                    .in_db(record.db),
            );
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_repeated_among_many() {
        let mut buckets = Buckets::default();
        for number in 0..100_000_u64 {
            buckets.push(hash_bytes(&number.to_le_bytes(), 0));
        }
        let twice = hash_bytes(&77_u64.to_le_bytes(), 0);
        buckets.push(twice);
        buckets.push(0);
        assert_eq!(buckets.repeated(), HashSet::from([twice]));
        let all = (0..1 << BUCKET_BITS).flat_map(|bucket| buckets.blocks(bucket));
        let all: Vec<&[u64]> = all.collect();
        for threads in 1..4 {
            assert_eq!(repeated_in(&all, threads), HashSet::from([twice]));
        }
    }

    /// Searches that go a few steps are no reason to sort, and those that always go many are.
    #[test]
    fn only_a_crowd_is_left_to_sorting() {
        let (mut table, mut repeated) = (Vec::new(), HashSet::new());
        let mut tried = |hashes: Vec<u64>| repeated_by_table(&[&hashes], &mut table, &mut repeated);
        assert!(tried(vec![]));
        assert!(tried((1..=1000).collect()));
        assert!(tried((1..=10).chain(10..=19).map(|n| n << 20).collect()));
        assert!(!tried((1..=1000).map(|n| n << 20).collect()));
        assert_eq!(repeated, HashSet::from([10 << 20]));
    }

    #[test]
    fn crowded_hashes_are_found_by_sorting() {
        // All begin at one place of any table and in one bucket: step by step this would take minutes.
        let mut buckets = Buckets::default();
        for number in 0..1_000_000_u64 {
            buckets.push(number << 30);
        }
        buckets.push(77 << 30);
        assert_eq!(buckets.repeated(), HashSet::from([77 << 30]));
    }
}
