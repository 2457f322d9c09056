//! The databases and everything that is true of all of them: the clock of the running unit, the configured
//! limits, what changed, what is to be freed.
//!
//! Invariants:
//! - An expired key or hash field is never seen: every look-up removes it first and leaves a DEL or HDEL in the effects.
//!   While a log or snapshot is loaded nothing expires, and while changes are paused it is hidden instead ([`Expired`]).
//! - A value is changed only through [`Keyspace::change`] and its relatives, so that there is one place
//!   where a snapshot without fork could hook in.
//! - A [`Slot`] is good until the next insertion, removal or replacement in its database.

pub mod access;
mod ahead;
pub mod change;
mod check;
pub mod copied;
pub mod db;
pub mod defrag;
pub mod evict;
pub mod expire;
mod field_expire;
pub mod garbage;
pub mod relocate;
mod slots;
mod stats;
mod takeover;
pub mod tracked;
pub mod waiters;
pub mod weigh;
mod within;

use std::collections::HashMap;
use std::sync::Arc;

pub use access::lru_clock;
pub use ahead::Aim;
pub use change::Change;
pub use db::{Database, Db};
pub use expire::Expired;
pub use garbage::{Garbage, Ledger};
pub use stats::{KeyStats, Moved};
use waiters::{Queue, Waiter};
pub use within::Named;

use cairn_format::crc16::KeySlots;

use crate::base::effect::{Effects, Event, EventClass};
use crate::base::error::{Error, WRONG_TYPE};
use crate::base::id::SessionId;
use crate::base::limits::Limits;
use crate::base::random::Random;
use crate::scripts::libraries::Libraries;
use crate::structure::keyed::Keyed;
use crate::structure::record::{Record, Tag};
use crate::structure::table::{Hasher, Slot};
use crate::tracking::Tracking;
use crate::value::{Kind, NewValue, Object, ValueRef, kind_of};

/// Most keys of one command that are fetched ahead at a time: two cache lines each, which is far below the nearest cache.
pub const AHEAD: usize = 16;

#[inline]
fn must_be(found: Option<(Slot, Tag)>, kind: Kind) -> Result<Option<Slot>, Error> {
    match found {
        Some((_, tag)) if tag.kind() != kind as u8 => Err(WRONG_TYPE),
        found => Ok(found.map(|(slot, _)| slot)),
    }
}

/// All databases and the state that their changes share.
#[derive(Debug)]
pub struct Keyspace {
    /// One table per database, or per slot (see [`slots`]).
    pub(crate) dbs: Vec<Db>,
    /// Table of the running command.
    pub(crate) current: usize,
    slots: Option<Box<slots::Slots>>,
    /// Wall clock of the running unit, milliseconds: it stands still within a command, script or EXEC.
    pub now_ms: i64,
    /// Configured numbers.
    pub limits: Limits,
    /// What the running unit leaves behind.
    pub fx: Effects,
    /// Changes since the last save, as `rdb_changes_since_last_save` counts them.
    pub dirty: u64,
    /// Counters.
    pub stats: KeyStats,
    /// Randomness for SPOP, RANDOMKEY, sampling.
    pub random: Random,
    /// Seeds of all hash tables.
    pub hasher: Hasher,
    /// Keys that may be evicted next.
    evictor: evict::Evictor,
    /// How far keys have been given a new access field after the policy changed what that means.
    restamp: Option<access::Restamp>,
    /// Values that wait to be freed elsewhere.
    pub(crate) garbage: Vec<Garbage>,
    /// Those and what is being freed now.
    ledger: Arc<Ledger>,
    /// What becomes of what has expired.
    pub expired: Expired,
    /// Reads do not refresh the access clock (CLIENT NO-TOUCH, or a child shares the memory).
    pub no_touch: bool,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: bool,
    /// Libraries of functions: they are saved, loaded and replicated with the keys.
    pub libraries: Libraries,
    /// Hashes with field expiry, which decide the version of a snapshot.
    pub ttl_hashes: usize,
    /// What clients have read, if there are any that want to hear of changes.
    pub tracking: Option<Box<Tracking>>,
    /// What was found out ahead about the key of the coming command.
    hint: ahead::Hint,
    /// What was found out about the keys before it, where keys are kept by slot.
    key_slots: KeySlots,
    pub(crate) scratch: Vec<u8>,
}

impl Keyspace {
    /// `databases` empty databases.
    pub fn new(databases: usize, seed: [u64; 4]) -> Keyspace {
        let hasher = Hasher::new(seed);
        Keyspace {
            dbs: (0..databases.max(1)).map(|_| Db::new(hasher)).collect(),
            current: 0,
            slots: None,
            now_ms: 0,
            limits: Limits::default(),
            fx: Effects::default(),
            dirty: 0,
            stats: KeyStats::default(),
            random: Random::new(seed[0] ^ seed[2].rotate_left(17)),
            hasher,
            evictor: evict::Evictor::default(),
            restamp: None,
            garbage: Vec::new(),
            ledger: Arc::default(),
            expired: Expired::Goes,
            no_touch: false,
            active_expire: true,
            libraries: Libraries::default(),
            ttl_hashes: 0,
            tracking: None,
            hint: ahead::Hint::NONE,
            key_slots: KeySlots::default(),
            scratch: Vec::new(),
        }
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.database_of(self.dbs.len() - 1) + 1
    }

    /// Selects the table that the following calls mean: that of a database, or of a slot. It must exist.
    #[inline]
    pub fn select(&mut self, db: usize) {
        debug_assert!(db < self.dbs.len());
        self.current = db;
    }

    /// Before a key is loaded into a database that is said to have `expected` keys. Tables of slots are small, and have others beside them: they grow as they do.
    pub(crate) fn make_room(&mut self, db: usize, expected: usize) {
        if !self.has_slots() {
            self.dbs[db].keys.make_room(expected);
        }
    }

    /// Number of the selected table.
    pub fn selected(&self) -> usize {
        self.current
    }

    /// The selected table, to read.
    #[inline]
    pub fn here(&self) -> &Db {
        &self.dbs[self.current]
    }

    #[inline]
    pub(crate) fn keys(&mut self) -> &mut Keyed<Object> {
        &mut self.dbs[self.current].keys
    }

    // ---- look-ups ----

    /// The key if it exists, without counting a hit or refreshing its clock. An expired key is removed.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<Slot> {
        self.look_up(key, false).map(|(slot, _)| slot)
    }

    /// The one way to a key: what is due is removed, and with `used` the access clock is refreshed, all on the record that
    /// the table found.
    #[inline]
    fn look_up(&mut self, key: &[u8], used: bool) -> Option<(Slot, Tag)> {
        let hash = self.hash(key);
        let db = &self.dbs[self.current];
        let (slot, record) = db.keys.lookup(hash, key)?;
        let (tag, now) = (record.tag(), self.now_ms);
        if record.expire().is_some_and(|at| at < now) || db.fields.next_ms() < now {
            return self.look_up_due(slot, key, used);
        }
        if used && !self.no_touch {
            if self.limits.lfu {
                self.touch(slot);
            } else {
                record.set_access(lru_clock(now));
            }
        }
        Some((slot, tag))
    }

    /// As [`Self::look_up`] where the key or some field has expired.
    #[cold]
    fn look_up_due(&mut self, slot: Slot, key: &[u8], used: bool) -> Option<(Slot, Tag)> {
        let expired = self
            .record(slot)
            .expire()
            .is_some_and(|at| at < self.now_ms);
        match self.expired {
            Expired::Goes if expired => {
                self.expire_key(slot, key);
                debug_assert!(self.is_free(key), "what has expired is not seen");
                return None;
            }
            Expired::Hides if expired => return None,
            _ => {}
        }
        let slot = self.without_due_fields(slot, key)?;
        if used {
            self.touch(slot);
        }
        Some((slot, self.record(slot).tag()))
    }

    /// The key for reading: counts hit or miss, refreshes its clock.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<Slot> {
        self.read_tagged(key).map(|(slot, _)| slot)
    }

    #[inline]
    fn read_tagged(&mut self, key: &[u8]) -> Option<(Slot, Tag)> {
        let found = self.look_up(key, true);
        self.count_read(found.is_some());
        if found.is_none() {
            self.notify(EventClass::KEY_MISS, "keymiss", key);
        }
        found
    }

    #[inline]
    fn count_read(&mut self, hit: bool) {
        self.stats.hits += u64::from(hit);
        self.stats.misses += u64::from(!hit);
    }

    /// The key for a look at it that is no use of it: counts hit or miss, and leaves its clock as it is.
    pub fn peek(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.peek_quietly(key);
        if found.is_none() {
            self.notify(EventClass::KEY_MISS, "keymiss", key);
        }
        found
    }

    /// As [`Self::peek`], and nobody hears of a miss (OBJECT).
    pub fn peek_quietly(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.find(key);
        self.count_read(found.is_some());
        found
    }

    /// The key for writing: refreshes its clock.
    #[inline]
    pub fn write(&mut self, key: &[u8]) -> Option<Slot> {
        self.look_up(key, true).map(|(slot, _)| slot)
    }

    /// As [`Self::read`], if the key holds this type; WRONGTYPE otherwise.
    #[inline]
    pub fn read_kind(&mut self, key: &[u8], kind: Kind) -> Result<Option<Slot>, Error> {
        must_be(self.read_tagged(key), kind)
    }

    /// As [`Self::write`], if the key holds this type; WRONGTYPE otherwise.
    #[inline]
    pub fn write_kind(&mut self, key: &[u8], kind: Kind) -> Result<Option<Slot>, Error> {
        must_be(self.look_up(key, true), kind)
    }

    /// The record of a key.
    #[inline]
    pub fn record(&self, slot: Slot) -> &Record<Object> {
        self.dbs[self.current].keys.get(slot)
    }

    /// The type at a key.
    #[inline]
    pub fn kind(&self, slot: Slot) -> Kind {
        kind_of(self.record(slot).tag())
    }

    /// The value at a key.
    #[inline]
    pub fn view(&self, slot: Slot) -> ValueRef<'_> {
        let record = self.record(slot);
        ValueRef::of(record.tag(), record.payload())
    }

    /// When the key expires, wall milliseconds.
    #[inline]
    pub fn expire_at(&self, slot: Slot) -> Option<i64> {
        self.record(slot).expire()
    }

    #[inline]
    fn touch(&mut self, slot: Slot) {
        if !self.no_touch {
            let access = self.used_access(self.record(slot).access());
            self.record(slot).set_access(access);
        }
    }

    // ---- changes ----

    /// Stores a value under a key that does not exist yet.
    pub fn add(&mut self, key: &[u8], value: NewValue, expire: Option<i64>) -> Slot {
        debug_assert!(self.is_free(key), "the key is new");
        let hash = self.hash(key);
        let access = self.fresh_access();
        let keys = self.keys();
        let slot = keys.insert(hash, key, value.tag, value.payload, expire);
        keys.get(slot).set_access(access);
        self.note_came(expire.is_some());
        self.adopt_fields(slot);
        if self.limits.notify & EventClass::NEW != 0 {
            self.notify(EventClass::NEW, "new", key);
        }
        slot
    }

    /// Stores a value whether or not the key exists, and sets its expiry. The old value is freed.
    pub fn set(&mut self, key: &[u8], value: NewValue, expire: Option<i64>) -> Slot {
        match self.find(key) {
            None => self.add(key, value, expire),
            Some(slot) => self.overwrite(slot, value, expire),
        }
    }

    /// Replaces the value at a key and sets its expiry.
    fn overwrite(&mut self, slot: Slot, value: NewValue, expire: Option<i64>) -> Slot {
        self.forget_fields(slot);
        let kind = value.tag.kind();
        let (slot, old) = self.keys().store(slot, value.tag, value.payload, expire);
        if expire.is_some() {
            self.note_timed();
        }
        if kind == Kind::Hash as u8 {
            self.adopt_fields(slot);
        }
        if let Some(object) = old {
            self.discard(object);
        }
        debug_assert!(self.is_indexed(slot), "the index knows the new value");
        self.touch(slot);
        slot
    }

    /// Gives a key an expiry, or takes it away.
    pub fn set_expire(&mut self, slot: Slot, expire: Option<i64>) -> Slot {
        let had = usize::from(self.expire_at(slot).is_some());
        let before = self.here().expiring();
        let slot = self.keys().set_expire(slot, expire);
        if expire.is_some() {
            self.note_timed();
        }
        debug_assert_eq!(
            before + usize::from(expire.is_some()),
            self.here().expiring() + had,
            "one key expires or does not any more"
        );
        slot
    }

    /// The door to a value: see [`Change`].
    #[inline]
    pub fn change(&mut self, slot: Slot) -> Change<'_> {
        Change::new(self, slot)
    }

    /// Removes a key; a large value is freed elsewhere.
    pub fn remove(&mut self, slot: Slot) {
        self.remove_within(slot, garbage::LARGE);
    }

    /// As [`Self::remove`]; a value of up to so many elements is freed at once.
    fn remove_within(&mut self, slot: Slot, elements: usize) {
        self.forget_fields(slot);
        let removed = self.keys().remove(slot);
        self.note_went();
        if let Some(object) = removed.into_heap() {
            self.put_aside(object, elements);
        }
    }

    /// Removes a collection of which nothing is left, and tells of it.
    #[inline]
    pub fn remove_if_empty(&mut self, slot: Slot, key: &[u8]) {
        if self.view(slot).is_empty() {
            self.remove(slot);
            self.notify(crate::base::effect::EventClass::GENERIC, "del", key);
        }
    }

    /// Removes a key by name; whether it existed.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let found = self.find(key);
        if let Some(slot) = found {
            self.remove(slot);
        }
        debug_assert!(
            self.expired != Expired::Goes || self.is_free(key),
            "it is gone"
        );
        found.is_some()
    }

    // ---- what a change leaves behind ----

    /// A key changed: `changes` more for the save points, its watchers' transactions fail, an event is published.
    #[inline]
    pub fn modified(&mut self, class: u32, event: &'static str, key: &[u8], changes: u64) {
        self.changed(key, changes);
        self.notify(class, event, key);
    }

    /// As [`Self::modified`] without an event.
    #[inline]
    pub fn changed(&mut self, key: &[u8], changes: u64) {
        self.dirty += changes;
        let db = self.current;
        self.touch_watchers(db, key);
        self.note_stale(key, true);
    }

    /// Publishes an event if its class is asked for.
    #[inline]
    pub fn notify(&mut self, class: u32, event: &'static str, key: &[u8]) {
        if self.limits.notify & class != 0 {
            self.notify_in(self.current, class, event, key);
        }
    }

    /// As [`Self::notify`] for a key of another table.
    pub fn notify_in(&mut self, db: usize, class: u32, event: &'static str, key: &[u8]) {
        if self.limits.notify & class == 0 {
            return;
        }
        let db = self.database_of(db);
        let start = self.fx.event_keys.len();
        self.fx.event_keys.extend_from_slice(key);
        self.fx.events.push(Event {
            db,
            name: event,
            class,
            key: start..self.fx.event_keys.len(),
        });
    }

    /// Appends a command for log and replicas, in the database of the selected table.
    pub fn propagate(&mut self, args: &[&[u8]]) {
        debug_assert!(!args.is_empty(), "a command has a name");
        if self.fx.feed_on {
            self.fx.feed.push(self.database_of(self.current), args);
        }
    }

    /// Marks the transactions of those who watch this key.
    #[inline]
    pub fn touch_watchers(&mut self, db: usize, key: &[u8]) {
        let watchers = &self.dbs[db].watchers;
        if !watchers.is_empty()
            && let Some(sessions) = watchers.get(key)
        {
            self.fx.touched.extend_from_slice(sessions);
        }
        self.wake(db, key);
    }

    /// Notes that those who wait for a key should look again.
    #[inline]
    pub fn wake(&mut self, db: usize, key: &[u8]) {
        let waiters = &mut self.dbs[db].waiters;
        if !waiters.is_empty() && waiters.get_mut(key).is_some_and(Queue::note) {
            self.fx.ready.push((db, key.into()));
        }
    }

    // ---- waiting ----

    /// A session waits for a key of the selected database, behind those who came before.
    pub fn wait_for(&mut self, key: &[u8], waiter: Waiter) {
        let waiters = &mut self.dbs[self.current].waiters;
        let queue = waiters.entry(key.into()).or_default();
        debug_assert!(!queue.holds(waiter.session), "it has one place in a queue");
        queue.push(waiter);
    }

    /// It does not wait for it any more.
    pub fn stop_waiting(&mut self, db: usize, key: &[u8], session: SessionId) {
        let queue = self.dbs[db].waiters.get_mut(key);
        debug_assert!(queue.is_some(), "the queue of who waits is there");
        if let Some(queue) = queue {
            queue.remove(session);
            debug_assert!(!queue.holds(session), "it has left");
            if queue.is_empty() {
                self.dbs[db].waiters.remove(key);
            }
        }
    }

    /// Those who wait for a key of the selected database, if there are any.
    pub fn waiters(&mut self, key: &[u8]) -> Option<&mut Queue> {
        self.dbs[self.current].waiters.get_mut(key)
    }

    /// Number of keys that somebody waits for, and of those whose disappearance would wake somebody.
    pub fn waited_keys(&self) -> (usize, usize) {
        let queues = || self.dbs.iter().flat_map(|db| db.waiters.values());
        (
            queues().count(),
            queues().filter(|q| q.wants_missing()).count(),
        )
    }

    /// Puts a value aside to be freed: at once if it is small, by whoever calls [`Self::take_garbage`] if not.
    pub fn discard(&mut self, object: Box<Object>) {
        self.put_aside(object, garbage::LARGE);
    }

    fn put_aside(&mut self, object: Box<Object>, elements: usize) {
        if object.weight() > elements {
            let bytes = self.worth(|| object.mem_estimate());
            self.garbage
                .push(Garbage::of_object(object, bytes, &self.ledger));
        }
    }

    /// What garbage weighs: nobody asks as long as there is no limit.
    fn worth(&self, estimate: impl FnOnce() -> usize) -> usize {
        if self.limits.memory_max == 0 {
            0
        } else {
            estimate()
        }
    }

    /// What is on its way to be freed.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts everything from 0 again (CONFIG RESETSTAT).
    pub fn reset_stats(&mut self) {
        self.stats = KeyStats::default();
        self.ledger.forget_freed();
    }

    /// Values that wait to be freed; dropping them may take long.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        std::mem::take(&mut self.garbage)
    }

    // ---- watching ----

    /// A session watches a key of the selected database. Answers whether it was new.
    pub fn watch(&mut self, session: SessionId, key: &[u8]) -> bool {
        let watchers: &mut HashMap<Box<[u8]>, Vec<SessionId>> =
            &mut self.dbs[self.current].watchers;
        let sessions = watchers.entry(key.into()).or_default();
        let new = !sessions.contains(&session);
        if new {
            sessions.push(session);
        }
        new
    }

    /// It does not watch it any more.
    pub fn unwatch(&mut self, session: SessionId, db: usize, key: &[u8]) {
        let sessions = self.dbs[db].watchers.get_mut(key);
        debug_assert!(
            sessions.as_ref().is_some_and(|s| s.contains(&session)),
            "who watches is known"
        );
        if let Some(sessions) = sessions {
            sessions.retain(|s| *s != session);
            if sessions.is_empty() {
                self.dbs[db].watchers.remove(key);
            }
        }
    }

    // ---- whole databases ----

    /// While a child shares the memory, tables grow only when they must.
    pub fn set_resize_allowed(&mut self, allowed: bool) {
        for db in &mut self.dbs {
            db.keys.set_resize_allowed(allowed);
        }
    }
}
