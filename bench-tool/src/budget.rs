//! What all threads of a run share: the count of requests that remain, the next number for `{seq}`, the clock's marks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Marks on the run's clock, which counts nanoseconds from its start.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    start: Instant,
    /// Requests that are due or sent before this are warm-up and not counted.
    pub measure_from: u64,
    /// No request is due or sent from here on.
    pub end: u64,
}

impl Marks {
    /// Marks of a run that starts now.
    pub fn new(warmup: Duration, duration: Option<Duration>) -> Marks {
        let measure_from = warmup.as_nanos() as u64;
        let end = duration.map_or(u64::MAX, |duration| {
            measure_from.saturating_add(duration.as_nanos() as u64)
        });
        Marks {
            start: Instant::now(),
            measure_from,
            end,
        }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// Requests that may still be sent.
#[derive(Debug)]
pub struct Budget {
    measured_left: AtomicU64,
    seq: AtomicU64,
    /// Set when a thread gives up, so that the others do not go on for hours.
    pub stop: AtomicBool,
}

impl Budget {
    /// `requests` measured ones; `u64::MAX` for a run that only time ends.
    pub fn new(requests: u64) -> Budget {
        Budget {
            measured_left: AtomicU64::new(requests),
            seq: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Takes up to `want` requests at the time `now` and says how many were granted. Warm-up costs nothing.
    pub fn take(&self, want: u64, now: u64, marks: &Marks) -> u64 {
        if now >= marks.end || self.stop.load(Relaxed) {
            return 0;
        }
        if now < marks.measure_from {
            return want;
        }
        let taken = self
            .measured_left
            .fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(want)));
        // The closure never refuses, so both arms carry what was left before.
        taken.unwrap_or_else(|left| left).min(want)
    }

    /// The next number for `{seq}`: unique over all threads, from 0.
    pub fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_free_and_the_rest_is_counted_exactly() {
        let marks = Marks {
            start: Instant::now(),
            measure_from: 100,
            end: 200,
        };
        let budget = Budget::new(10);
        assert_eq!(budget.take(16, 99, &marks), 16);
        assert_eq!(
            [
                budget.take(6, 100, &marks),
                budget.take(6, 150, &marks),
                budget.take(6, 150, &marks)
            ],
            [6, 4, 0]
        );
        assert_eq!(Budget::new(10).take(1, 200, &marks), 0);
        assert_eq!([budget.next_seq(), budget.next_seq()], [0, 1]);
    }
}
