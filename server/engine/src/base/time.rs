//! Time as it is handed in: the engine never reads a clock.

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Monotonic clock, microseconds since an arbitrary start. Durations are differences of this.
    pub mono_us: u64,
}

impl Now {
    /// Wall time in milliseconds, the unit of expiries.
    #[inline]
    pub fn wall_ms(&self) -> i64 {
        self.wall_us / 1000
    }
}
