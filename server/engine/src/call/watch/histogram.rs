//! How long a command took, call by call: a histogram with two significant digits.
//!
//! ```text
//!   nanoseconds 0 .. 10^9      256 buckets of 1, then 128 of 2, 128 of 4, ... 128 of 2^22
//!   quick                      a count for each microsecond below 128: nearly all calls, and the cheapest to count
//!   pages of 128 counts        of what took longer, made when a first value falls into them: 1 KiB each
//! ```
//! The buckets are those of an HdrHistogram of two digits, which Redis keeps of each command (40 KB each), so that percentiles
//! are printed as the same numbers: the greatest value of the bucket.
//!
//! Invariant: no page holds a value that belongs to `quick`; a bucket below 128 microseconds holds one of them at most.

/// Counts of one page.
const PAGE: usize = 128;
/// Pages up to the bucket of [`VALUE_MAX`].
const PAGES: usize = 24;
/// Greatest value that is told apart, nanoseconds: greater ones count as it.
const VALUE_MAX: u64 = 1_000_000_000;
/// Nanoseconds of the first bucket that LATENCY HISTOGRAM shows; each is twice the one before.
const SHOWN_FIRST: u64 = 1024;

/// Microseconds that have counts of their own.
const QUICK: usize = 128;

/// See the head of this file.
#[derive(Debug)]
pub struct Histogram {
    quick: [u64; QUICK],
    pages: [Option<Box<[u64; PAGE]>>; PAGES],
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            quick: [0; QUICK],
            pages: Default::default(),
        }
    }
}

impl Histogram {
    /// Counts one call.
    #[inline]
    pub fn record(&mut self, took_us: u64) {
        match self.quick.get_mut(took_us as usize) {
            Some(count) => *count += 1,
            None => self.record_slow(took_us),
        }
    }

    #[cold]
    fn record_slow(&mut self, took_us: u64) {
        let index = bucket_of_us(took_us);
        let page = self.pages[index / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
        page[index % PAGE] += 1;
    }

    /// Calls counted.
    pub fn total(&self) -> u64 {
        self.buckets().map(|(_, count)| count).sum()
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        size_of::<Histogram>() + self.pages.iter().flatten().count() * PAGE * size_of::<u64>()
    }

    /// The value that so many percent of the calls did not exceed, nanoseconds: the greatest of its bucket; at 0 percent the
    /// least.
    pub fn percentile(&self, percent: f64) -> u64 {
        let total = self.total();
        let asked = (percent.clamp(0.0, 100.0) / 100.0 * total as f64 + 0.5) as u64;
        let asked = asked.clamp(1, total.max(1));
        let mut seen = 0;
        for (index, count) in self.buckets() {
            seen += count;
            if seen >= asked {
                let (least, width) = bounds(index);
                return match percent == 0.0 {
                    true => least,
                    false => least + width - 1,
                };
            }
        }
        debug_assert_eq!(total, 0, "all calls are in some bucket");
        0
    }

    /// Calls that took at most so many microseconds, where that number rises: doubling from one microsecond, as LATENCY
    /// HISTOGRAM of Redis shows it (each step to the greatest value of a bucket).
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut steps = Vec::new();
        let (mut limit, mut seen) = (SHOWN_FIRST, 0);
        let mut buckets = self.buckets().peekable();
        while buckets.peek().is_some() {
            let last = bucket_of(limit);
            let before = seen;
            while let Some((_, count)) = buckets.next_if(|(index, _)| *index <= last) {
                seen += count;
            }
            if seen > before {
                let (least, width) = bounds(last);
                steps.push(((least + width - 1) / 1000, seen));
            }
            limit *= 2;
        }
        debug_assert_eq!(seen, self.total(), "all calls are shown");
        steps
    }

    /// The buckets with calls, rising.
    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        let quick = self.quick.iter().enumerate();
        let quick = quick.map(|(us, count)| (bucket_of_us(us as u64), *count));
        let slow = self.pages.iter().enumerate().flat_map(|(number, page)| {
            let counts = page.iter().flat_map(|page| page.iter().enumerate());
            counts.map(move |(at, count)| (number * PAGE + at, *count))
        });
        quick.chain(slow).filter(|(_, count)| *count > 0)
    }
}

/// The bucket of a time in microseconds.
fn bucket_of_us(us: u64) -> usize {
    bucket_of(us.saturating_mul(1000).clamp(1, VALUE_MAX))
}

/// The bucket of a value, nanoseconds.
#[inline]
fn bucket_of(value: u64) -> usize {
    debug_assert!((1..=1 << 30).contains(&value));
    let magnitude = 56 - (value | 0xff).leading_zeros();
    (magnitude as usize) * PAGE + (value >> magnitude) as usize
}

/// The least value of a bucket, and how many it holds.
fn bounds(index: usize) -> (u64, u64) {
    let magnitude = (index / PAGE).saturating_sub(1);
    let place = (index - magnitude * PAGE) as u64;
    (place << magnitude, 1 << magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for index in 0..PAGES * PAGE {
            let (least, width) = bounds(index);
            assert_eq!(least, next);
            if least > 0 && least + width <= 1 << 30 {
                assert_eq!(bucket_of(least), index);
                assert_eq!(bucket_of(least + width - 1), index);
            }
            next = least + width;
        }
        assert!(next > VALUE_MAX);
    }

    /// Percentiles that a running 7.0.15 printed for these times.
    #[test]
    fn percentiles_are_the_greatest_of_their_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(8);
        assert_eq!(histogram.percentile(50.0), 8031);
        assert_eq!(histogram.percentile(0.0), 8000);
        for took in [1, 2, 3, 4, 5, 6, 7, 9, 10_000] {
            histogram.record(took);
        }
        assert_eq!(histogram.percentile(50.0), 5023);
        assert_eq!(histogram.percentile(90.0), 9023);
        assert_eq!(histogram.percentile(99.0), 10_027_007);
        assert_eq!(histogram.percentile(100.0), 10_027_007);
        assert_eq!(histogram.total(), 10);
    }

    #[test]
    fn what_lies_outside_counts_at_the_ends() {
        let mut histogram = Histogram::default();
        histogram.record(0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentile(1.0), 1);
        assert_eq!(histogram.percentile(100.0), 1_002_438_655);
    }

    #[test]
    fn each_microsecond_with_a_count_of_its_own_has_a_bucket_of_its_own() {
        let buckets = (0..=QUICK as u64).map(bucket_of_us);
        assert!(buckets.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn steps_double_and_show_only_what_they_add() {
        let mut histogram = Histogram::default();
        for took in [0, 1, 1, 3, 30, 40, 1000, 500_000] {
            histogram.record(took);
        }
        let steps = [(1, 3), (4, 4), (33, 5), (66, 6), (1056, 7), (541_065, 8)];
        assert_eq!(histogram.cumulative(), steps);
        assert!(histogram.memory() < 10_000);
    }
}
