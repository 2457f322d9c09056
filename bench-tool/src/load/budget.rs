//! What all threads of a run share: the count of requests that remain, the next number of `{seq}`, the clock's marks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Marks on the run's clock, which counts nanoseconds from its start.
#[derive(Debug)]
pub struct Marks {
    start: Instant,
    measure_from: AtomicU64,
    end: AtomicU64,
    duration: Option<u64>,
}

impl Marks {
    /// Marks of a run that starts now; without a `warmup` somebody will say when it is over.
    pub fn new(warmup: Option<Duration>, duration: Option<Duration>) -> Marks {
        let marks = Marks {
            start: Instant::now(),
            measure_from: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
            duration: duration.map(|duration| duration.as_nanos() as u64),
        };
        if let Some(warmup) = warmup {
            marks.measure(warmup.as_nanos() as u64);
        }
        marks
    }

    /// The warm-up ends at this moment.
    pub fn measure(&self, from: u64) {
        let end = self
            .duration
            .map_or(u64::MAX, |duration| from.saturating_add(duration));
        self.end.store(end, Relaxed);
        self.measure_from.store(from, Relaxed);
    }

    /// Requests that are due or sent before this are warm-up and not counted.
    pub fn measure_from(&self) -> u64 {
        self.measure_from.load(Relaxed)
    }

    /// No request is due or sent from here on.
    pub fn end(&self) -> u64 {
        self.end.load(Relaxed)
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
    stop: AtomicBool,
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
        if now >= marks.end() || self.is_stopped() {
            return 0;
        }
        if now < marks.measure_from() {
            return want;
        }
        let taken = self
            .measured_left
            .fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(want)));
        // The closure never refuses, so both arms carry what was left before.
        taken.unwrap_or_else(|left| left).min(want)
    }

    /// The next number of `{seq}`: unique over all threads, from 0.
    pub fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Relaxed)
    }

    /// How many of them were given out.
    pub fn seq_given(&self) -> u64 {
        self.seq.load(Relaxed)
    }

    /// Ends the run: nothing more is sent, and nobody waits for what is on its way.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether the run was ended.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_free_and_the_rest_is_counted_exactly() {
        let nanos = Duration::from_nanos;
        let marks = Marks::new(Some(nanos(100)), Some(nanos(100)));
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
        let later = Marks::new(None, Some(nanos(50)));
        assert_eq!(Budget::new(10).take(99, 1_000_000, &later), 99);
        later.measure(2_000_000);
        assert_eq!((later.measure_from(), later.end()), (2_000_000, 2_000_050));
    }
}
