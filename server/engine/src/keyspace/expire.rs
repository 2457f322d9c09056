//! Expiry: keys that are found expired, and the cycle that looks for them.

use super::Keyspace;
use crate::base::effect::EventClass;
use crate::structure::table::Slot;

/// What becomes of a key or hash field whose time has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expired {
    /// Whoever meets it removes it, and tells.
    #[default]
    Goes,
    /// It lives on: a log or snapshot is loaded, which tells itself what went.
    Stays,
    /// Nobody sees it, but it is not removed: changes are paused.
    Hides,
}

/// What active expiry did in one database.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cycle {
    /// Keys that were looked at.
    pub sampled: usize,
    /// Keys or fields that were removed.
    pub removed: usize,
    /// There is more to do.
    pub cut_short: bool,
}

impl Keyspace {
    /// Removes a key whose time has come, as a change of its own.
    pub(super) fn expire_key(&mut self, slot: Slot, key: &[u8]) {
        debug_assert!(
            self.expired == Expired::Goes
                && self.expire_at(slot).is_some_and(|at| at < self.now_ms),
            "its time has come"
        );
        self.remove(slot);
        self.stats.expired += 1;
        self.propagate(&[self.expired_del(), key]);
        let db = self.current;
        self.touch_watchers(db, key);
        self.note_stale(key, false);
        self.notify(EventClass::EXPIRED, "expired", key);
    }

    /// The command that tells others of it.
    pub(super) fn expired_del(&self) -> &'static [u8] {
        if self.limits.lazy_expire {
            b"UNLINK"
        } else {
            b"DEL"
        }
    }

    /// Looks for expired keys in the selected database: samples of `per_loop` keys with an expiry, again while more
    /// than `stale_percent` of a sample had expired and `go_on` allows.
    pub fn expire_cycle(
        &mut self,
        per_loop: usize,
        stale_percent: usize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Cycle {
        let mut cycle = Cycle::default();
        loop {
            let sampled = per_loop.min(self.here().expiring());
            if sampled == 0 {
                self.dbs[self.current].avg_ttl_ms = 0;
                return cycle;
            }
            let (expired, ttl_sum) = self.sample_expired(sampled);
            let found = expired.len();
            self.note_ttl(ttl_sum, sampled - found.min(sampled));
            cycle.sampled += sampled;
            for key in expired {
                cycle.removed += usize::from(self.find(&key).is_none());
            }
            if found * 100 <= sampled * stale_percent {
                return cycle;
            }
            if !go_on() {
                cycle.cut_short = true;
                return cycle;
            }
        }
    }

    fn sample_expired(&mut self, n: usize) -> (Vec<Box<[u8]>>, i64) {
        let now = self.now_ms;
        let mut expired = Vec::new();
        let mut ttl_sum = 0;
        let db = &mut self.dbs[self.current];
        db.keys
            .sample_expiring(n, &mut self.random, &mut |record| match record.expire() {
                Some(at) if at < now => expired.push(record.key().into()),
                Some(at) => ttl_sum += at - now,
                None => debug_assert!(false, "a key without an expiry is marked"),
            });
        (expired, ttl_sum)
    }

    fn note_ttl(&mut self, sum: i64, count: usize) {
        if count == 0 {
            return;
        }
        debug_assert!(sum >= 0, "only keys that have time left");
        let mean = sum / count as i64;
        let db = &mut self.dbs[self.current];
        db.avg_ttl_ms = if db.avg_ttl_ms == 0 {
            mean
        } else {
            db.avg_ttl_ms / 50 * 49 + mean / 50
        };
    }
}
