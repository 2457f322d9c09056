//! Two readings of the memory in use that INFO compares with: the most there ever was, and what the server takes without data.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::alloc;

static PEAK: AtomicU64 = AtomicU64::new(0);
static STARTUP: OnceLock<u64> = OnceLock::new();

/// Notes the memory in use if it is more than ever: called by timed work, and before it is shown.
pub fn note_memory() {
    PEAK.fetch_max(alloc::used_memory(), Relaxed);
}

/// Notes the memory that the server takes without data: called once, before the load.
pub fn note_startup() {
    // A second call would count data.
    let _ = STARTUP.set(alloc::used_memory());
}

/// The memory noted at start, bytes.
pub fn startup() -> u64 {
    STARTUP.get().copied().unwrap_or(0)
}

/// The most that was noted, bytes.
pub fn peak() -> u64 {
    PEAK.load(Relaxed)
}
