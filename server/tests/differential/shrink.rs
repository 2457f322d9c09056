//! Making a failing sequence short: whatever can be left out is left out, while it still fails.

use std::time::{Duration, Instant};

use super::grammar::Unit;
use super::pair::{Difference, Pair};

/// Longest time that is spent on one sequence.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shortest failing sequence that was found, and how it fails.
pub fn shrink(
    pair: &mut Pair,
    units: &[Unit],
    variant: u64,
    found: Difference,
) -> (Vec<Unit>, Difference) {
    let end = Instant::now() + PATIENCE;
    let (mut best, mut found) = (units.to_vec(), found);
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < best.len() {
            if Instant::now() > end {
                return (best, found);
            }
            let mut tried = best.clone();
            tried.drain(at..best.len().min(at + size));
            match pair.run(&tried, variant) {
                // Another failure than the first is a finding too, but not this one.
                Some(again) if again.kind == found.kind => {
                    (best, found, shorter) = (tried, again, true);
                }
                _ => at += size,
            }
        }
        size = if size == 1 && shorter { 1 } else { size / 2 };
    }
    (best, found)
}
