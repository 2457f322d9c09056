//! Expiry of hash fields: which hash is due next, and the removal of what is due.
//!
//! Each database keeps its hashes with expiring fields ordered by their next expiry. Invariant: the index names exactly the
//! hashes for which [`hash_ttl::next_expire`] answers a time, with that time; whatever adds, removes or changes a value
//! tells it. So an expired field is never seen: a look-up compares one number with the clock, and removes what is due
//! from its key if that number is past. From a table it removes only so many at a time; the rest is hidden by the table
//! itself, until the next look-up or active expiry gets to it. A hash of which nothing is left goes as a whole.

use super::expire::Cycle;
use super::{Expired, Keyspace};
use crate::base::effect::EventClass;
use crate::structure::mover::Mover;
use crate::structure::ordered::Ordered;
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef, hash, hash_ttl};

/// Fields removed between two looks at the clock, and by one look-up.
const BATCH: usize = 64;

/// Hashes of one database by their next expiry, Unix milliseconds.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    order: Ordered<(i64, Box<[u8]>), ()>,
    next_ms: i64,
}

impl Default for FieldIndex {
    fn default() -> Self {
        FieldIndex {
            order: Ordered::new(),
            next_ms: i64::MAX,
        }
    }
}

impl FieldIndex {
    /// When the next field expires; `i64::MAX` if none does.
    #[inline]
    pub fn next_ms(&self) -> i64 {
        self.next_ms
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of hashes.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tests that the index names exactly these hashes, each with the next expiry of a field, and knows the first.
    pub(super) fn check<'k>(
        &self,
        hashes: impl Iterator<Item = (i64, &'k [u8])>,
    ) -> Result<(), String> {
        let mut count = 0;
        for (at, key) in hashes {
            count += 1;
            if !self.order.contains_key(&(at, key.into())) {
                let key = key.escape_ascii();
                return Err(format!(
                    "a field of {key} expires at {at}, unknown to the index"
                ));
            }
        }
        let first = self.order.first().map_or(i64::MAX, |((at, _), ())| *at);
        match (count, first) == (self.order.len(), self.next_ms) {
            true => Ok(()),
            false => Err(format!(
                "fields of {count} hashes expire, of {} in the index, at {first}, or {}",
                self.order.len(),
                self.next_ms
            )),
        }
    }

    /// Moves blocks of the index: see [`Ordered::move_step`].
    pub(super) fn move_step(
        &mut self,
        from: &mut Option<(i64, Box<[u8]>)>,
        most: usize,
        mover: &mut Mover,
    ) -> bool {
        self.order.move_step(from, most, mover)
    }

    fn note_next(&mut self) {
        self.next_ms = self.order.first().map_or(i64::MAX, |((at, _), ())| *at);
    }

    fn add(&mut self, at: i64, key: &[u8]) {
        let new = self.order.insert((at, key.into()), ()).is_none();
        debug_assert!(new, "{} is indexed already", key.escape_ascii());
        self.note_next();
    }

    fn remove(&mut self, at: i64, key: &[u8]) {
        let known = self.order.remove(&(at, key.into())).is_some();
        debug_assert!(known, "{} is not indexed", key.escape_ascii());
        self.note_next();
    }
}

impl Keyspace {
    /// When the next field of this value expires.
    #[inline]
    pub(super) fn fields_due(&self, slot: Slot) -> Option<i64> {
        if self.record(slot).tag().kind() != Kind::Hash as u8 {
            return None;
        }
        hash_ttl::next_expire(self.view(slot))
    }

    /// Whether the index has what it should have of this key; for assertions.
    pub(super) fn is_indexed(&self, slot: Slot) -> bool {
        let key = self.record(slot).key();
        let order = &self.here().fields.order;
        self.fields_due(slot)
            .is_none_or(|at| order.contains_key(&(at, key.into())))
    }

    /// A value was stored at a key that had none.
    #[inline]
    pub(super) fn adopt_fields(&mut self, slot: Slot) {
        if let Some(at) = self.fields_due(slot) {
            self.reindex_fields(slot, None, Some(at));
        }
    }

    /// The value of a key is about to go.
    #[inline]
    pub(super) fn forget_fields(&mut self, slot: Slot) {
        if let Some(at) = self.fields_due(slot) {
            self.reindex_fields(slot, Some(at), None);
        }
    }

    /// The next expiry of a key's fields was `old` and is `new`.
    #[inline]
    pub(super) fn follow_fields(&mut self, slot: Slot, old: Option<i64>, new: Option<i64>) {
        if old != new {
            self.reindex_fields(slot, old, new);
        }
    }

    fn reindex_fields(&mut self, slot: Slot, old: Option<i64>, new: Option<i64>) {
        let db = &mut self.dbs[self.current];
        let key = db.keys.get(slot).key();
        if let Some(at) = old {
            db.fields.remove(at, key);
            self.ttl_hashes -= 1;
        }
        if let Some(at) = new {
            db.fields.add(at, key);
            self.ttl_hashes += 1;
            self.note_timed();
        }
        let db = &self.dbs[self.current];
        debug_assert!(db.fields.len() <= db.keys.len() && db.fields.len() <= self.ttl_hashes);
    }

    /// The key without the fields whose time has come; none if nothing is left of it.
    #[cold]
    pub(super) fn without_due_fields(&mut self, slot: Slot, key: &[u8]) -> Option<Slot> {
        let due = self.fields_due(slot).is_some_and(|at| at < self.now_ms);
        match self.expired {
            Expired::Goes if due => self.remove_due_fields(slot, key).0,
            Expired::Hides if due => self.hide_due_fields(slot),
            _ => Some(slot),
        }
    }

    /// The key with the fields hidden whose time has come; none if all are. Only a table can hide.
    fn hide_due_fields(&mut self, slot: Slot) -> Option<Slot> {
        let now = self.now_ms;
        let slot = self.unpack_hash(slot);
        self.change(slot).edit_hash(|table| table.hide_due(now));
        (!self.view(slot).is_empty()).then_some(slot)
    }

    /// Makes a table of a packed hash.
    pub fn unpack_hash(&mut self, slot: Slot) -> Slot {
        if !matches!(self.view(slot), ValueRef::Packed(..)) {
            return slot;
        }
        let fields = self.view(slot).count();
        let table = hash::to_table(self.view(slot), self.hasher);
        let slot = self.change(slot).replace(table);
        debug_assert_eq!(self.view(slot).count(), fields, "the same fields");
        slot
    }

    /// Removes a batch of expired fields, as a change of its own. Answers the key, if it is still there, and how many went.
    fn remove_due_fields(&mut self, slot: Slot, key: &[u8]) -> (Option<Slot>, usize) {
        if let Some(count) = self.many_dead_fields(slot) {
            self.remove(slot);
            self.propagate(&[self.expired_del(), key]);
            self.fields_expired(key, count);
            self.notify(EventClass::GENERIC, "del", key);
            return (None, count);
        }
        let mut removed = Vec::new();
        let slot = self.take_due_fields(slot, BATCH, &mut removed);
        debug_assert!(
            removed.len() == BATCH || self.fields_due(slot).is_none_or(|at| at >= self.now_ms),
            "only a full batch leaves something that is due"
        );
        if removed.is_empty() {
            return (Some(slot), 0);
        }
        for names in removed.chunks(BATCH) {
            let mut command: Vec<&[u8]> = vec![b"HDEL", key];
            command.extend(names.iter().map(Vec::as_slice));
            self.propagate(&command);
        }
        self.fields_expired(key, removed.len());
        let empty = self.view(slot).is_empty();
        if empty {
            self.remove(slot);
            self.notify(EventClass::GENERIC, "del", key);
        }
        ((!empty).then_some(slot), removed.len())
    }

    /// Number of fields of a table that is dead as a whole and has more of them than are named one by one.
    fn many_dead_fields(&self, slot: Slot) -> Option<usize> {
        match self.view(slot) {
            ValueRef::Hash(table) if table.is_dead(self.now_ms) => {
                Some(table.stored_len()).filter(|count| *count > BATCH)
            }
            _ => None,
        }
    }

    fn fields_expired(&mut self, key: &[u8], count: usize) {
        self.stats.expired_fields += count as u64;
        let db = self.current;
        self.touch_watchers(db, key);
        self.note_stale(key, false);
        self.notify(EventClass::HASH, "hexpired", key);
    }

    /// A field that its table only hid was removed, because another one takes its name.
    #[cold]
    pub fn hidden_field_went(&mut self, slot: Slot, name: &[u8]) {
        let key: Box<[u8]> = self.record(slot).key().into();
        self.propagate(&[b"HDEL", &key, name]);
        self.fields_expired(&key, 1);
    }

    /// Takes all expired fields out of a packed hash, and up to `limit` out of a table.
    fn take_due_fields(&mut self, slot: Slot, limit: usize, removed: &mut Vec<Vec<u8>>) -> Slot {
        let now = self.now_ms;
        if matches!(self.view(slot), ValueRef::Packed(..)) {
            let edited = self
                .change(slot)
                .edit_packed(|blob| hash_ttl::packed_remove_due(blob, now, removed));
            return edited.0;
        }
        self.change(slot)
            .edit_hash(|table| table.remove_due(now, limit, removed));
        slot
    }

    /// Removes the expired fields of a value that was just loaded, of which nobody knows yet. False: nothing was left
    /// of it, and the key is gone.
    pub fn drop_dead_fields(&mut self, slot: Slot) -> bool {
        if self.fields_due(slot).is_none_or(|at| at >= self.now_ms) {
            return true;
        }
        let slot = self.take_due_fields(slot, usize::MAX, &mut Vec::new());
        let left = !self.view(slot).is_empty();
        if !left {
            self.remove(slot);
        }
        left
    }

    /// Removes expired fields in the selected database, those first that expired first, as long as `go_on` allows.
    pub fn expire_fields(&mut self, go_on: &mut dyn FnMut() -> bool) -> Cycle {
        let mut cycle = Cycle::default();
        while self.here().fields.next_ms() < self.now_ms {
            let first = self.here().fields.order.first();
            let Some(key) = first.map(|((_, key), ())| key.clone()) else {
                break;
            };
            let hash = self.hash(&key);
            let Some(slot) = self.here().keys.find(hash, &key) else {
                unreachable!("the index names hashes that exist");
            };
            let removed = self.remove_due_fields(slot, &key).1;
            debug_assert!(removed > 0, "what the index says is due goes");
            cycle.removed += removed;
            if !go_on() {
                cycle.cut_short = self.here().fields.next_ms() < self.now_ms;
                break;
            }
        }
        cycle
    }
}
