//! Sessions that clients may take up again, so that their next handshake costs neither of us a signature.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::StoresServerSessions;

use crate::host::Clock;

/// Sessions by their ids, for a while, and not too many: the oldest goes first.
pub struct SessionCache {
    clock: Arc<dyn Clock>,
    /// How many there may be; 0: any number.
    size: usize,
    /// How long each is remembered, microseconds.
    timeout_us: u64,
    kept: Mutex<Kept>,
}

/// `order` has the id of each session in `by_id` and when it came, and ids of some that were taken.
#[derive(Default)]
struct Kept {
    by_id: HashMap<Vec<u8>, (u64, Vec<u8>)>,
    order: VecDeque<(u64, Vec<u8>)>,
}

impl SessionCache {
    /// An empty one for `size` sessions (0: any number), each remembered for so many seconds.
    pub fn new(clock: Arc<dyn Clock>, size: usize, timeout_s: u64) -> SessionCache {
        SessionCache {
            clock,
            size,
            timeout_us: timeout_s.saturating_mul(1_000_000),
            kept: Mutex::default(),
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Kept, u64) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = self.clock.monotonic_us();
        while let Some((since_us, _)) = kept.order.front() {
            let is_old = now_us.saturating_sub(*since_us) >= self.timeout_us;
            let is_over = self.size > 0 && kept.order.len() > self.size;
            if !is_old && !is_over {
                break;
            }
            kept.forget_oldest();
        }
        what(&mut kept, now_us)
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        if let Some((since_us, id)) = self.order.pop_front()
            && self
                .by_id
                .get(&id)
                .is_some_and(|(noted, _)| *noted == since_us)
        {
            self.by_id.remove(&id);
        }
    }
}

impl fmt::Debug for SessionCache {
    /// Without what is in it: those are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        self.with(|kept, now_us| {
            kept.order.push_back((now_us, id.clone()));
            kept.by_id.insert(id, (now_us, session));
            if self.size > 0 && kept.order.len() > self.size {
                kept.forget_oldest();
            }
        });
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.with(|kept, _| kept.by_id.get(id).map(|(_, session)| session.clone()))
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.with(|kept, _| kept.by_id.remove(id).map(|(_, session)| session))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn monotonic_us(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
        fn wall_us(&self) -> i64 {
            0
        }
        fn thread_cpu_us(&self) -> u64 {
            0
        }
    }

    #[test]
    fn sessions_are_few_and_forgotten() {
        let clock = Arc::new(Hands::default());
        let cache = SessionCache::new(clock.clone(), 2, 10);
        for id in 1..=3u8 {
            cache.put(vec![id], vec![id]);
        }
        assert_eq!(cache.get(&[1]), None, "the oldest makes room");
        assert_eq!(cache.get(&[2]), Some(vec![2]));
        assert_eq!(cache.take(&[3]), Some(vec![3]));
        assert_eq!(cache.take(&[3]), None, "once");
        clock.0.store(9_999_999, Ordering::Relaxed);
        assert_eq!(cache.get(&[2]), Some(vec![2]));
        clock.0.store(10_000_000, Ordering::Relaxed);
        assert_eq!(cache.get(&[2]), None, "too long ago");
        assert!(cache.with(|kept, _| kept.order.is_empty() && kept.by_id.is_empty()));
    }

    #[test]
    fn an_id_used_again_lives_on() {
        let clock = Arc::new(Hands::default());
        let cache = SessionCache::new(clock.clone(), 0, 10);
        cache.put(vec![1], vec![1]);
        clock.0.store(6_000_000, Ordering::Relaxed);
        cache.put(vec![1], vec![2]);
        clock.0.store(12_000_000, Ordering::Relaxed);
        assert_eq!(cache.get(&[1]), Some(vec![2]));
    }
}
