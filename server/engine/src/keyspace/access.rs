//! The 24 bits in which a record remembers its use, as Redis keeps them: under an LFU policy a counter, otherwise a time.
//!
//! ```text
//!   LRU   seconds, modulo 2^24 (194 days)
//!   LFU   minutes of the last change, modulo 2^16 | counter, 8 bits
//! ```
//! The counter grows with a probability of 1 / ((counter - 5) * lfu-log-factor + 1) per use, and falls by one in every
//! `lfu-decay-time` minutes; a new key begins at 5, so that it is not the next to go.

use super::Keyspace;
use crate::base::limits::Limits;
use crate::base::random::Random;

/// Counter of a new key.
const LFU_START: u32 = 5;

/// The access clock of LRU: seconds.
#[inline]
pub fn lru_clock(wall_ms: i64) -> u32 {
    (wall_ms / 1000) as u32 & 0xff_ffff
}

/// Seconds since a record's LRU time.
pub fn lru_idle(access: u32, now_ms: i64) -> u32 {
    lru_clock(now_ms).wrapping_sub(access) & 0xff_ffff
}

/// An LFU counter that was right just now.
pub fn lfu_access(counter: u8, now_ms: i64) -> u32 {
    lfu_minutes(now_ms) << 8 | u32::from(counter)
}

fn lfu_minutes(now_ms: i64) -> u32 {
    (now_ms / 60_000) as u32 & 0xffff
}

/// What is left of an LFU counter by now.
pub fn lfu_counter(access: u32, now_ms: i64, decay_minutes: u32) -> u8 {
    let elapsed = lfu_minutes(now_ms).wrapping_sub(access >> 8) & 0xffff;
    let periods = elapsed.checked_div(decay_minutes).unwrap_or(0);
    (access & 0xff).saturating_sub(periods) as u8
}

/// The LFU counter after one more use.
fn lfu_used(access: u32, now_ms: i64, limits: &Limits, random: &mut Random) -> u32 {
    let counter = lfu_counter(access, now_ms, limits.lfu_decay_minutes);
    let above = u32::from(counter).saturating_sub(LFU_START);
    let resistance = f64::from(above) * f64::from(limits.lfu_log_factor) + 1.0;
    let grows = counter < u8::MAX && random.unit() * resistance < 1.0;
    lfu_access(counter + u8::from(grows), now_ms)
}

impl Keyspace {
    /// What a new key remembers.
    #[inline]
    pub(super) fn fresh_access(&self) -> u32 {
        if self.limits.lfu {
            lfu_access(LFU_START as u8, self.now_ms)
        } else {
            lru_clock(self.now_ms)
        }
    }

    /// What a key remembers after one more use.
    #[inline]
    pub(super) fn used_access(&mut self, access: u32) -> u32 {
        if self.limits.lfu {
            lfu_used(access, self.now_ms, &self.limits, &mut self.random)
        } else {
            lru_clock(self.now_ms)
        }
    }
}

/// A walk over all keys that gives each the access field of a new key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Restamp {
    db: usize,
    cursor: u64,
}

/// Keys that are done when the policy changes, so that where there are few nobody sees them undone.
const RESTAMP_AT_ONCE: usize = 10_000;

impl Keyspace {
    /// Sets the configured numbers. If the access fields of the keys now mean something else, each is to begin as that of
    /// a new key: a time that is read as a counter, or the other way round, would have old keys evicted before any new one.
    pub fn set_limits(&mut self, limits: Limits) {
        let other_meaning = limits.lfu != self.limits.lfu;
        self.limits = limits;
        if other_meaning {
            self.restamp = Some(Restamp::default());
            let mut left = RESTAMP_AT_ONCE;
            self.restamp_step(&mut |visited| {
                left = left.saturating_sub(visited);
                left > 0
            });
        }
    }

    /// Goes on with that while `go_on` allows; it is told how many keys were visited since it was asked last. Answers whether
    /// more is left.
    pub fn restamp_step(&mut self, go_on: &mut dyn FnMut(usize) -> bool) -> bool {
        while let Some(Restamp { db, cursor }) = self.restamp {
            if db >= self.dbs.len() {
                self.restamp = None;
                break;
            }
            let access = self.fresh_access();
            debug_assert_eq!(access >> 24, 0, "a record has 24 bits for it");
            let mut visited = 1;
            let next = self.dbs[db].keys.scan(cursor, &mut |record| {
                record.set_access(access);
                visited += 1;
            });
            self.restamp = Some(Restamp {
                db: db + usize::from(next == 0),
                cursor: next,
            });
            if !go_on(visited) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_falls_with_the_minutes() {
        let minute = 60_000;
        let access = lfu_access(100, 7 * minute);
        assert_eq!(lfu_counter(access, 7 * minute, 1), 100);
        assert_eq!(lfu_counter(access, 17 * minute, 1), 90);
        assert_eq!(lfu_counter(access, 17 * minute, 5), 98);
        assert_eq!(lfu_counter(access, 207 * minute, 1), 0);
        assert_eq!(lfu_counter(access, 207 * minute, 0), 100);
        let before_the_wrap = lfu_access(100, 65_535 * minute);
        assert_eq!(lfu_counter(before_the_wrap, 65_538 * minute, 1), 97);
    }

    /// A step from `c` takes 10 (c - 5) + 1 uses on average at factor 10, so x steps take about 5 x² + x. (The table in
    /// Redis's documentation, 18 for 1,000 and 142 for 100,000 uses, is of single runs.)
    #[test]
    fn a_counter_grows_with_the_logarithm() {
        let limits = Limits::default();
        let mean = |uses: usize| {
            let mut sum = 0;
            for seed in 0..20 {
                let mut random = Random::new(seed);
                let mut access = lfu_access(LFU_START as u8, 0);
                (0..uses).for_each(|_| access = lfu_used(access, 0, &limits, &mut random));
                sum += access & 0xff;
            }
            f64::from(sum) / 20.0
        };
        for uses in [1000, 100_000] {
            let steps = (-1.0 + (1.0 + 20.0 * uses as f64).sqrt()) / 10.0;
            let expected = f64::from(LFU_START) + steps;
            assert!(
                (mean(uses) - expected).abs() < 2.0,
                "{} for {expected}",
                mean(uses)
            );
        }
    }

    #[test]
    fn idle_time_outlives_the_wrap_of_the_clock() {
        let access = lru_clock(((1 << 24) - 10) * 1000);
        assert_eq!(lru_idle(access, ((1 << 24) + 5) * 1000), 15);
    }
}
