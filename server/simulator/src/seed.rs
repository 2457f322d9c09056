//! A run, by its seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs something. A panic is a failure like others, and each names the seed.
///
/// # Errors
/// What happened that may not.
pub fn guarded<T>(seed: u64, run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outcome = catch_unwind(AssertUnwindSafe(run));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without words")))
    });
    outcome.map_err(|error| format!("seed {seed}: {error}"))
}
