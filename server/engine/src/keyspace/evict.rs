//! Eviction: which key goes next when there is no memory left, and its removal.
//!
//! As in Redis, the best key is not looked for among all: each time a few keys of every database are sampled into a pool of
//! 16 candidates, which keeps the best of what was seen so far, and the best of the pool goes. With ten samples that is
//! hardly worse than a perfect choice.

use super::Keyspace;
use super::access::{lfu_counter, lru_idle};
use super::garbage::{HUGE, LARGE};
use crate::base::effect::EventClass;
use crate::base::limits::{EvictionRule, Limits};
use crate::structure::record::Record;
use crate::structure::table::Slot;
use crate::value::Object;

/// Candidates remembered from one round to the next.
const POOL: usize = 16;
/// Tables of slots that are drawn for one with a key that expires, before all are looked through.
const TRIES: usize = 8;

/// A key that may go.
#[derive(Debug)]
struct Candidate {
    /// The higher, the better to do without.
    score: u64,
    table: usize,
    key: Box<[u8]>,
}

/// What eviction remembers between two keys.
#[derive(Debug, Default)]
pub(crate) struct Evictor {
    /// Rising scores.
    pool: Vec<Candidate>,
    /// Table that a random choice looks at next.
    next: usize,
}

impl Evictor {
    fn offer(&mut self, score: u64, table: usize, key: &[u8]) {
        if self.pool.len() == POOL && score <= self.pool[0].score {
            return;
        }
        let known = |c: &Candidate| c.table == table && *c.key == *key;
        if let Some(at) = self.pool.iter().position(known) {
            self.pool.remove(at);
        }
        let at = self.pool.partition_point(|c| c.score < score);
        let key = key.into();
        self.pool.insert(at, Candidate { score, table, key });
        if self.pool.len() > POOL {
            self.pool.remove(0);
        }
        debug_assert!(self.pool.len() <= POOL && self.pool.is_sorted_by_key(|c| c.score));
    }
}

impl Keyspace {
    /// Removes the key that the policy can do without best, and tells log, watchers and listeners. False: no key may go.
    pub fn evict_one(&mut self) -> bool {
        let selected = self.current;
        let found = match self.limits.eviction {
            EvictionRule::Never => None,
            EvictionRule::Random => self.random_victim(),
            EvictionRule::Lru | EvictionRule::Lfu | EvictionRule::Ttl => self.best_victim(),
        };
        if let Some((slot, key)) = &found {
            self.evict(*slot, key);
        }
        self.current = selected;
        found.is_some()
    }

    fn evict(&mut self, slot: Slot, key: &[u8]) {
        // Its memory is wanted at once, unless freeing it takes too long here.
        let (del, at_once): (&[u8], _) = if self.limits.lazy_eviction {
            (b"UNLINK", LARGE)
        } else {
            (b"DEL", HUGE)
        };
        debug_assert!(
            !self.limits.evict_volatile || self.expire_at(slot).is_some(),
            "the policy lets it go"
        );
        self.remove_within(slot, at_once);
        debug_assert!(self.is_free(key), "the victim is gone");
        self.stats.evicted += 1;
        self.propagate(&[del, key]);
        let db = self.current;
        self.touch_watchers(db, key);
        self.note_stale(key, false);
        self.notify(EventClass::EVICTED, "evicted", key);
    }

    /// A random key, database after database; with slots each is as likely as any other, and of those that expire about so.
    fn random_victim(&mut self) -> Option<(Slot, Box<[u8]>)> {
        for _ in 0..self.databases() {
            let Some(table) = self.victims_table() else {
                continue;
            };
            self.current = table;
            let keys = &self.dbs[table].keys;
            let slot = if self.limits.evict_volatile {
                keys.random_expiring(&mut self.random)
            } else {
                keys.random(&mut self.random)
            };
            if let Some(slot) = slot {
                return Some((slot, keys.get(slot).key().into()));
            }
        }
        None
    }

    /// A table to look for a victim in; none if there is surely none.
    fn victims_table(&mut self) -> Option<usize> {
        if !self.has_slots() {
            let table = self.evictor.next % self.dbs.len();
            self.evictor.next = table + 1;
            return Some(table);
        }
        if !self.limits.evict_volatile {
            return self.random_table();
        }
        // Most tables have some, or else there are few of them.
        for _ in 0..TRIES {
            let table = self.random_table()?;
            if self.dbs[table].expiring() > 0 {
                return Some(table);
            }
        }
        self.next_volatile()
    }

    /// A table with keys that expire, from a random one on.
    fn next_volatile(&mut self) -> Option<usize> {
        let mut from = self.random.index(self.dbs.len());
        // Bits stand for hashes with fields that expire, too.
        for _ in 0..self.timed_tables() {
            let table = self.next_timed(from)?;
            if self.dbs[table].expiring() > 0 {
                return Some(table);
            }
            from = (table + 1) % self.dbs.len();
        }
        None
    }

    /// The best of the pool after a fresh look around.
    fn best_victim(&mut self) -> Option<(Slot, Box<[u8]>)> {
        loop {
            if !self.fill_pool() {
                self.evictor.pool.clear();
                return None;
            }
            while let Some(best) = self.evictor.pool.pop() {
                let keys = &self.dbs[best.table].keys;
                let slot = keys.find(self.hasher.hash(&best.key), &best.key);
                // It may be gone since it was seen, or have lost its expiry.
                let volatile = |slot: &Slot| keys.get(*slot).expire().is_some();
                if let Some(slot) = slot.filter(|s| !self.limits.evict_volatile || volatile(s)) {
                    self.current = best.table;
                    return Some((slot, best.key));
                }
            }
        }
    }

    /// Samples every database. False: there is nothing that may go.
    fn fill_pool(&mut self) -> bool {
        let samples = self.limits.eviction_samples.max(1);
        let mut any = false;
        if self.has_slots() {
            // Neighbours would all be of one slot.
            for _ in 0..samples {
                let Some(table) = self.victims_table() else {
                    break;
                };
                any |= self.sample_into_pool(table, 1);
            }
            return any;
        }
        for table in 0..self.dbs.len() {
            any |= self.sample_into_pool(table, samples);
        }
        any
    }

    fn sample_into_pool(&mut self, table: usize, samples: usize) -> bool {
        let mut any = false;
        let keys = &self.dbs[table].keys;
        let (evictor, limits, now) = (&mut self.evictor, &self.limits, self.now_ms);
        let mut look = |record: &Record<Object>| {
            any = true;
            debug_assert!(!limits.evict_volatile || record.expire().is_some());
            evictor.offer(score(record, limits, now), table, record.key());
        };
        if limits.evict_volatile {
            keys.sample_expiring(samples, &mut self.random, &mut look);
        } else {
            keys.sample(samples, &mut self.random, &mut look);
        }
        any
    }
}

fn score(record: &Record<Object>, limits: &Limits, now_ms: i64) -> u64 {
    let access = record.access();
    match limits.eviction {
        EvictionRule::Lfu => {
            u64::from(u8::MAX - lfu_counter(access, now_ms, limits.lfu_decay_minutes))
        }
        EvictionRule::Ttl => u64::MAX - record.expire().unwrap_or(i64::MAX).max(0) as u64,
        _ => u64::from(lru_idle(access, now_ms)),
    }
}
