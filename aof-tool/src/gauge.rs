//! How much memory the data takes, so that a limit can be kept.
//!
//! The system is asked, as nothing else knows what an allocator took: memory of this process that is no file. What the tool takes by
//! itself before the first key does not count. Freed memory that the allocator keeps is used by the next part before more is taken.

use std::fs;

/// The line of the system that tells it.
const ANONYMOUS: &str = "RssAnon:";
/// Below this a limit would be one on the tool and not on the data.
const LIMIT_MIN: u64 = 4 << 20;
/// What the allocator may take beyond what it kept of the part before.
const SLACK: u64 = 1 << 20;
/// Bytes of the log between two looks, and steps. A look takes some microseconds.
const BYTES: u64 = 64 << 10;
const STEPS: u32 = 64;

/// What one part may take.
pub struct Gauge {
    most: u64,
    data: u64,
    next: u64,
    steps: u32,
    is_over: bool,
}

/// Memory of this process that is no file, in bytes.
fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(ANONYMOUS));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    number.unwrap_or(0) << 10
}

/// A limit for data, and what the tool takes beside it.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Of the process, and of the data alone.
    most: u64,
    data: u64,
}

impl Limit {
    /// Of so many bytes, beside what is taken now.
    pub fn beside_now(limit: u64) -> Limit {
        let data = limit.max(LIMIT_MIN);
        Limit {
            most: anonymous() + data,
            data,
        }
    }

    /// For one part.
    pub fn gauge(self) -> Gauge {
        Gauge {
            most: self.most.max(anonymous() + SLACK),
            data: self.data,
            next: 0,
            steps: 0,
            is_over: false,
        }
    }
}

impl Gauge {
    /// Whether more is taken than may be; `at` is a place in the log, and the system is asked now and then.
    #[inline]
    pub fn is_over_at(&mut self, at: u64) -> bool {
        self.steps += 1;
        if self.steps >= STEPS || at >= self.next {
            self.look();
            (self.steps, self.next) = (0, at + BYTES);
        }
        self.is_over
    }

    /// Whether one text of so many bytes is more than all data may be. The system need not tell it: a text fits into what the allocator
    /// kept of the same one in a part before.
    #[inline]
    pub fn is_over_with(&mut self, bytes: usize) -> bool {
        self.is_over |= bytes as u64 > self.data;
        self.is_over
    }

    /// Looks now.
    pub fn look(&mut self) {
        self.is_over |= anonymous() > self.most;
    }

    /// Whether it was too much at some time.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_seen() {
        let limit = Limit::beside_now(8 << 20);
        let mut gauge = limit.gauge();
        assert!(!gauge.is_over_at(0));
        let room = vec![1_u8; 24 << 20];
        gauge.look();
        assert!(gauge.is_over() && room[room.len() - 1] == 1);
        assert!(gauge.is_over_at(1));
    }

    #[test]
    fn a_text_that_is_larger_than_the_limit_is_too_much() {
        let mut gauge = Limit::beside_now(8 << 20).gauge();
        assert!(!gauge.is_over_with(8 << 20));
        assert!(gauge.is_over_with((8 << 20) + 1) && gauge.is_over());
    }
}
