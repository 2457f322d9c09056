//! When the stream reached which offset, for the last few minutes.

use std::collections::VecDeque;

/// Moments that are kept.
const KEPT: usize = 256;
/// Moments are so far apart at least, milliseconds.
const STEP_MS: u64 = 50;

/// Offsets with the time at which the stream ended there; both rise.
#[derive(Debug, Default)]
pub(super) struct Written {
    moments: VecDeque<(u64, u64)>,
}

impl Written {
    /// The stream ends at `offset` now.
    pub(super) fn note(&mut self, offset: u64, now_ms: u64) {
        if let Some(&(last, at)) = self.moments.back()
            && (last >= offset || now_ms < at + STEP_MS)
        {
            if last > offset {
                // Another stream.
                self.moments.clear();
            }
            return;
        }
        self.moments.push_back((offset, now_ms));
        if self.moments.len() > KEPT {
            self.moments.pop_front();
        }
    }

    /// Since when there is more than `offset`, at the latest; none if there is not, as far as was noted.
    pub(super) fn since(&self, offset: u64) -> Option<u64> {
        let at = self.moments.partition_point(|(end, _)| *end <= offset);
        self.moments.get(at).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_replica_lacks_has_an_age() {
        let mut written = Written::default();
        assert_eq!(written.since(0), None);
        for n in 0..2000 {
            written.note(n * 10, n * 60);
            written.note(n * 10 + 5, n * 60 + 1);
        }
        assert_eq!(written.since(19_980), Some(119_940));
        assert_eq!(written.since(19_985), Some(119_940));
        assert_eq!(written.since(19_990), None);
        assert!(
            written.since(0).is_some_and(|at| at > 0),
            "as far as is known"
        );
        written.note(7, 150_000);
        assert_eq!(written.since(0), None);
    }
}
