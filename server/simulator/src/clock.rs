//! Time that only goes on when somebody asks for it or lets it pass.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use cairn_server::host::Clock;

/// Wall clock at the start, microseconds since 1970: 28 November 2026.
const EPOCH_US: i64 = 1_795_824_000_000_000;
/// Parts of a whole.
const MILLION: i64 = 1_000_000;

/// The clocks of one machine. By themselves they are right; one may run fast or slow, the other may be set to anything.
#[derive(Debug, Default)]
pub struct SimClock {
    /// What time it is, whatever the clocks say.
    now_us: AtomicU64,
    /// So many microseconds more in each second, on the clock that never goes back.
    drift: AtomicI64,
    /// So far the wall clock is off, microseconds.
    off_us: AtomicI64,
}

impl SimClock {
    /// Lets time pass, microseconds.
    pub fn pass(&self, us: u64) {
        self.now_us.fetch_add(us, Relaxed);
    }

    /// The time that all machines share, microseconds since the start.
    pub fn now_us(&self) -> u64 {
        self.now_us.load(Relaxed)
    }

    /// It is this time now, or later if it was.
    pub fn reach(&self, now_us: u64) {
        self.now_us.fetch_max(now_us, Relaxed);
    }

    /// From the start on the clock gains so many microseconds a second, or loses them.
    pub fn set_drift(&self, per_second_us: i64) {
        debug_assert!(per_second_us.abs() < MILLION, "time goes back");
        self.drift.store(per_second_us, Relaxed);
    }

    /// Somebody sets the wall clock, so far from where it was, microseconds.
    pub fn jump(&self, us: i64) {
        self.off_us.fetch_add(us, Relaxed);
    }

    /// How long it takes until this clock has gone on by so much, microseconds.
    pub fn until_shown(&self, us: u64) -> u64 {
        let drift = self.drift.load(Relaxed);
        let all = (us as i64).saturating_mul(MILLION) / (MILLION + drift);
        all as u64 + u64::from(drift != 0)
    }
}

impl Clock for SimClock {
    fn monotonic_us(&self) -> u64 {
        let now = self.now_us.fetch_add(1, Relaxed);
        let drift = self.drift.load(Relaxed);
        now.saturating_add_signed(now as i64 * drift / MILLION)
    }

    fn wall_us(&self) -> i64 {
        EPOCH_US + self.now_us() as i64 + self.off_us.load(Relaxed)
    }

    fn thread_cpu_us(&self) -> u64 {
        self.now_us()
    }
}
