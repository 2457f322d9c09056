//! Finding keys that occur twice in a database, in 8 to 16 bytes per key (twice that over a pipe), of which
//! memory holds no more than it is told to.
//!
//! Only a 64-bit hash of each key is kept, in buckets by its top bits. At the end each bucket goes through
//! sieves that stay in the nearest cache ([`twice`]): that is several times as fast as sorting them.
//! Two equal hashes are a suspicion. In memory the file is read again to compare the keys themselves; over a
//! pipe a second, independent hash must agree that something occurs twice.
//!
//! ```text
//!   open    [ hashes .. | room ]  x 256      the block of each bucket that is being filled
//!   full    [ block | block | .. ]  x 256    blocks that are full; hashes are never moved
//! ```
//!
//! Where several threads read, each brings the hashes of its section together by bucket itself ([`part`]), and at the end each thread
//! looks through some of the buckets of all sections ([`hashes`]). Memory that is touched for the first time costs more than all of that, so none is
//! taken twice.

mod hashes;
mod outside;
mod part;
mod twice;

use std::collections::HashSet;
use std::num::NonZeroUsize;

use super::super::dialect::Dialect;
use super::super::event::Event;
use super::super::raw::Source;
use super::{Options, SliceReader};
use crate::error::{Damage, FormatError};
use crate::hash::hash_bytes;
pub use hashes::Hashes;
pub use outside::{Beyond, Spill};
use part::Part;

/// Top bits of the hash that choose the bucket. The places that are written to must fit the nearest cache.
const BUCKET_BITS: u32 = 8;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Hashes of a bucket's first block; each block has room for twice as many as the one before.
const BLOCK_MIN: usize = 16;
/// Hashes of the largest blocks: 4 KiB.
const BLOCK_MAX: usize = 512;

/// Hashes of the keys seen so far.
#[derive(Debug, Default)]
pub(in super::super) struct KeyIndex {
    first: Hashes,
    /// Hashes with another seed, if the keys cannot be looked up again.
    second: Hashes,
    /// Of a part of a file: the hashes as they come.
    unsorted: Option<Vec<u64>>,
    /// The same, when it is whole.
    part: Option<Part>,
    /// Threads that look for repeated ones at the end; one, if nobody said.
    pub threads: Option<NonZeroUsize>,
}

#[derive(Debug, Default)]
struct Buckets {
    open: Vec<Vec<u64>>,
    full: Vec<Vec<Vec<u64>>>,
}

impl Buckets {
    /// Takes one; gives how many a block has that was put away for it.
    #[inline]
    fn push(&mut self, hash: u64) -> Option<usize> {
        let bucket = bucket_of(hash);
        match self.open.get_mut(bucket) {
            Some(block) if block.len() < block.capacity() => {
                block.push(hash);
                None
            }
            _ => Some(self.push_to_new_block(bucket, hash)),
        }
    }

    #[cold]
    fn push_to_new_block(&mut self, bucket: usize, hash: u64) -> usize {
        if self.open.is_empty() {
            self.open.resize_with(BUCKETS, Vec::new);
            self.full.resize_with(BUCKETS, Vec::new);
        }
        let room = (self.open[bucket].len() * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        let block = std::mem::replace(&mut self.open[bucket], Vec::with_capacity(room));
        debug_assert_eq!(
            block.len(),
            block.capacity(),
            "a block that is put away is full"
        );
        let put_away = block.len();
        self.full[bucket].push(block);
        self.open[bucket].push(hash);
        put_away
    }

    /// The hashes of a bucket, in blocks.
    fn blocks(&self, bucket: usize) -> impl Iterator<Item = &[u64]> {
        let full = self.full.get(bucket).into_iter().flatten();
        full.chain(self.open.get(bucket)).map(Vec::as_slice)
    }
}

/// The bucket of a hash.
#[inline]
fn bucket_of(hash: u64) -> usize {
    (hash >> (64 - BUCKET_BITS)) as usize
}

impl KeyIndex {
    /// An index that holds no more in memory than this says.
    pub fn within(beyond: Option<Beyond>) -> Self {
        KeyIndex {
            first: Hashes::within(beyond),
            second: Hashes::within(beyond),
            ..KeyIndex::default()
        }
    }

    /// An index of a part of a file, which finds nothing by itself. It needs a place for the hashes until the part is read.
    pub fn of_part(room: Vec<u64>) -> Self {
        debug_assert!(room.is_empty(), "hashes of another part");
        KeyIndex {
            unsorted: Some(room),
            ..KeyIndex::default()
        }
    }

    /// The index of a part that is whole, and the place, for the next one.
    pub fn whole(mut self) -> (Self, Vec<u64>) {
        let mut room = self.unsorted.take().unwrap_or_default();
        if !room.is_empty() {
            self.part = Some(Part::of(&room));
        }
        room.clear();
        (self, room)
    }

    /// Takes over the keys of a part.
    pub fn absorb(&mut self, part: KeyIndex) {
        if let Some(part) = part.part {
            self.first.absorb(part);
        }
    }

    /// Notes a key; `again` says whether it can be looked up again at the end.
    #[inline(always)]
    pub fn note(&mut self, db: u64, key: &[u8], again: bool) {
        let hash = hash_bytes(key, db);
        match &mut self.unsorted {
            Some(hashes) => hashes.push(hash),
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
        let threads = self.threads.map_or(1, NonZeroUsize::get);
        let offset = source.offset();
        let failed = |error| FormatError::io(offset, "keys that occur twice", &error);
        let suspects = match self.first.repeated(threads) {
            Ok(suspects) if suspects.is_empty() => return None,
            Ok(suspects) => suspects,
            Err(error) => return Some(failed(error)),
        };
        if source.can_reread() {
            return confirm(source.reread(0), dialect, &suspects);
        }
        let what = "a key occurs twice in its database";
        match self.second.repeated(threads) {
            Ok(repeated) if repeated.is_empty() => None,
            Ok(_) => Some(FormatError::new(Damage::Encoding, offset, what)),
            Err(error) => Some(failed(error)),
        }
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
        if suspects.contains(&hash_bytes(key, record.db)) && !seen.insert((record.db, key.to_vec()))
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
