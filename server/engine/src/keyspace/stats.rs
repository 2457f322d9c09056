//! What is counted of keys, for INFO.

/// Counters of look-ups and removals.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Hash fields removed because their time had come.
    pub expired_fields: u64,
    /// Part of the sampled keys that had expired, a moving mean from 0 to 1.
    pub stale: f64,
    /// Times that active expiry had used up its share of the time with more to do.
    pub expire_capped: u64,
    /// Time that active expiry took, microseconds.
    pub expire_us: u64,
    /// Keys removed for want of memory.
    pub evicted: u64,
    /// Since when `maxmemory` is exceeded, monotonic microseconds.
    pub over_limit_since_us: Option<u64>,
    /// How long it was exceeded before, microseconds.
    pub over_limit_us: u64,
    /// What moving blocks together did.
    pub moved: Moved,
}

/// Counters of active defragmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Blocks that were moved.
    pub hits: u64,
    /// Blocks that were looked at and stay.
    pub misses: u64,
    /// Keys of which something was moved.
    pub key_hits: u64,
    /// Keys of which nothing was.
    pub key_misses: u64,
}
