//! Looking ahead at the keys of a batch: what a command needs of the memory is fetched while those before it run.
//!
//! ```text
//!                one table per database           one table per slot
//!   aim          hash; fetches the bucket         slot, hash; fetches the table itself
//!   fetch        fetches the record               fetches the list of segments, then the bucket, then the record
//!   hint         the command finds the hash       ... and the slot
//! ```
//! What a command needs inside of a large collection comes after that ([`super::within`]).
//! Each step goes over the whole batch, so that what one fetched is there when the next needs it. It pays where that is not in the
//! caches anyway.

use cairn_format::crc16::{SLOTS, key_slot};

use super::{AHEAD, Keyspace};
use crate::structure::fetch;
use crate::structure::table::Ahead;

/// Keys of a cluster's node from which on they do not fit the caches: each lives in a table of its own then, which takes five lines with it.
const BEYOND_CACHE_BY_SLOT: usize = 4_096;

/// What was found out about a key before its command runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aim {
    pub(super) hash: u64,
    pub(super) table: u32,
    /// It was looked at.
    pub(super) is_known: bool,
}

/// The key that was aimed at: by its place, as looking at its bytes is what is to be saved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    address: usize,
    len: usize,
    hash: u64,
    table: u32,
}

impl Hint {
    pub const NONE: Hint = Hint {
        address: 0,
        len: 0,
        hash: 0,
        table: 0,
    };

    #[inline]
    fn is_of(&self, key: &[u8]) -> bool {
        key.as_ptr().addr() == self.address && key.len() == self.len
    }
}

/// Fetches entries whose buckets are there by now: where each is sought, and its hash.
#[inline(always)]
pub(super) fn fetch_entries<'a, T>(sought: &[T], of: impl Fn(&T) -> Option<(Ahead<'a>, u64)>) {
    for sought in sought.chunks(u64::BITS as usize) {
        let mut behind = 0_u64;
        for (i, one) in sought.iter().enumerate() {
            let is_behind = of(one).is_some_and(|(table, hash)| table.entry(hash));
            behind |= u64::from(is_behind) << i;
        }
        while behind != 0 {
            if let Some((table, hash)) = of(&sought[behind.trailing_zeros() as usize]) {
                table.behind(hash);
            }
            behind &= behind - 1;
        }
    }
}

/// Fetches the buckets and then the entries of up to [`AHEAD`] keys of one table.
pub(super) fn fetch_keys<'a>(table: Ahead<'_>, keys: impl Iterator<Item = &'a [u8]>) {
    let mut hashes = [0; AHEAD];
    let mut count = 0;
    for (place, key) in hashes.iter_mut().zip(keys) {
        *place = table.hash(key);
        table.bucket(*place);
        count += 1;
    }
    fetch_entries(&hashes[..count], |hash| Some((table, *hash)));
}

impl Keyspace {
    /// Whether looking ahead at the keys of a batch pays for a client of this database.
    #[inline]
    pub fn wants_lookahead(&self, db: usize) -> bool {
        match &self.slots {
            None => self.dbs[db].is_beyond_cache(),
            Some(slots) => slots.total() >= BEYOND_CACHE_BY_SLOT,
        }
    }

    /// First step, for a key of this database.
    #[inline]
    pub fn aim(&self, db: usize, key: &[u8]) -> Aim {
        let hash = self.hasher.hash(key);
        let table = match self.slots {
            None => {
                self.dbs[db].keys.ahead().bucket(hash);
                db
            }
            Some(_) => {
                let table = usize::from(self.key_slots.slot_of(key));
                fetch::value(&self.dbs[table].keys);
                fetch::value(&self.dbs[table].fields);
                table
            }
        };
        Aim {
            hash,
            table: table as u32,
            is_known: true,
        }
    }

    /// The other steps, for a whole batch.
    pub fn fetch_aimed(&self, aims: &[Aim]) {
        let known = || aims.iter().filter(|aim| aim.is_known);
        let keys = |aim: &Aim| self.dbs[aim.table as usize].keys.ahead();
        if self.slots.is_some() {
            known().for_each(|aim| keys(aim).segments());
            known().for_each(|aim| keys(aim).bucket(aim.hash));
        }
        fetch_entries(aims, |aim| aim.is_known.then(|| (keys(aim), aim.hash)));
    }

    /// Fetches the buckets and then the records of up to [`AHEAD`] keys that one command names, so that it does not wait
    /// for each of them in turn.
    pub fn fetch_ahead<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let db = self.here();
        if !db.is_beyond_cache() {
            return;
        }
        fetch_keys(db.keys.ahead(), keys);
    }

    /// The command with this key comes next.
    #[inline]
    pub fn hint(&mut self, key: &[u8], aim: &Aim) {
        if aim.is_known {
            self.hint = Hint {
                address: key.as_ptr().addr(),
                len: key.len(),
                hash: aim.hash,
                table: aim.table,
            };
        }
    }

    /// Forgets the hint: the bytes it pointed at may change now.
    #[inline]
    pub(crate) fn forget_hint(&mut self) {
        self.hint = Hint::NONE;
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        if self.hint.is_of(key) {
            debug_assert_eq!(
                self.hint.hash,
                self.hasher.hash(key),
                "a hint for other bytes"
            );
            return self.hint.hash;
        }
        self.hasher.hash(key)
    }

    /// The slot of a key, where keys are kept by slot.
    #[inline(always)]
    pub(crate) fn slot_of(&self, key: &[u8]) -> u16 {
        match self.known_table_of(key) {
            Some(table) => table as u16,
            None => self.key_slots.find(key),
        }
    }

    /// As [`Self::slot_of`], for a key that has no [`Self::known_table_of`].
    pub(crate) fn find_slot_of(&self, key: &[u8]) -> u16 {
        self.key_slots.find(key)
    }

    /// The table of a key, where there is one for each slot, if it is found without a call.
    #[inline(always)]
    pub(crate) fn known_table_of(&self, key: &[u8]) -> Option<usize> {
        debug_assert!(self.has_slots());
        let table = match self.hint.is_of(key) {
            true => self.hint.table as usize,
            false => usize::from(self.key_slots.known(key)?),
        };
        debug_assert_eq!(table, usize::from(key_slot(key)), "a hint for other bytes");
        // So that who looks it up somewhere need not check.
        Some(table % usize::from(SLOTS))
    }
}
