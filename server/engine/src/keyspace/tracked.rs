//! What clients have read, beside the data: what is remembered, and what a change takes out of it.

use super::Keyspace;
use super::garbage::{Garbage, LARGE};
use crate::base::id::Reader;
use crate::tracking::Tracking;
use crate::tracking::options::Options;
use crate::tracking::table::Table;

/// Bytes that a remembered key takes in the table, about.
const KEY_BYTES: usize = 64;

impl Keyspace {
    /// A key has changed; `by_client`: a command did it, and not time or want of memory.
    #[inline]
    pub(super) fn note_stale(&mut self, key: &[u8], by_client: bool) {
        if self.tracking.is_some() {
            self.note_stale_key(key, by_client);
        }
    }

    #[cold]
    fn note_stale_key(&mut self, key: &[u8], by_client: bool) {
        let hash = self.hash(key);
        if let Some(tracking) = &mut self.tracking {
            self.fx.stale.push(key, by_client, |readers| {
                tracking.table.take(hash, key, readers) || tracking.prefixes.wants(key)
            });
        }
    }

    /// All keys are gone, or others are there.
    pub(super) fn note_all_stale(&mut self) {
        if let Some(tracking) = &mut self.tracking {
            let old = std::mem::replace(&mut tracking.table, Table::new(self.hasher));
            self.fx.stale.push_all();
            self.put_table_aside(old);
        }
    }

    /// A session has read a key. `is_there` tells of others who have whether they still track. Answers whether the table has more keys now than
    /// it may.
    pub fn remember(
        &mut self,
        key: &[u8],
        reader: Reader,
        is_there: impl Fn(Reader) -> bool,
    ) -> bool {
        let hash = self.hash(key);
        let keys_max = self.limits.tracked_keys_max;
        let Some(tracking) = &mut self.tracking else {
            debug_assert!(false, "somebody reads who does not track");
            return false;
        };
        tracking.table.remember(hash, key, reader, is_there) && tracking.table.is_over(keys_max)
    }

    /// Takes any key out of the table if it has more than it may, and appends its readers.
    pub fn forget_any(&mut self, readers: &mut Vec<Reader>) -> Option<Box<[u8]>> {
        let tracking = self.tracking.as_deref_mut()?;
        match tracking.table.is_over(self.limits.tracked_keys_max) {
            true => tracking.table.take_any(&mut self.random, readers),
            false => None,
        }
    }

    /// A client begins to track.
    pub fn begin_tracking(&mut self) -> &mut Tracking {
        let hasher = self.hasher;
        let tracking = self
            .tracking
            .get_or_insert_with(|| Box::new(Tracking::new(hasher)));
        tracking.enter();
        tracking
    }

    /// A client tracks no more; the last one takes all along that is remembered.
    pub fn end_tracking(&mut self, reader: Reader, options: &Options) {
        let Some(tracking) = &mut self.tracking else {
            debug_assert!(false, "who tracks is counted");
            return;
        };
        tracking.leave(reader, options);
        if tracking.clients() == 0 && tracking.orphans.is_empty() {
            self.drop_tracking();
        }
    }

    /// Nobody tracks any more.
    pub fn drop_tracking(&mut self) {
        if let Some(tracking) = self.tracking.take() {
            self.put_table_aside(tracking.table);
        }
    }

    fn put_table_aside(&mut self, table: Table) {
        if table.len() > LARGE {
            let bytes = self.worth(|| table.len() * KEY_BYTES);
            self.garbage
                .push(Garbage::of_read(table, bytes, &self.ledger));
        }
    }
}
