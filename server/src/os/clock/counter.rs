//! Time by the processor's counter: when it is asked for, when the kernel is asked in its place, and how one is held to the other.
//!
//! No system is called here: whoever asks brings the counter's ticks, and pairs of ticks and the kernel's time, so that tests bring
//! whatever a machine might do.

use std::cell::Cell;

use super::anchor::{Anchor, PART_BITS, Rate};

/// How long the rate is measured before the counter is used, at first.
pub(super) const MEASURE_PARTS: u64 = 50_000 << PART_BITS;
/// After each failure it is measured twice as long, up to this (51 s).
const MEASURE_PARTS_MAX: u64 = MEASURE_PARTS << 10;
/// How often the rate is measured anew: the kernel's clock is steered, by up to 500 millionths and now and then more.
const RENEW_PARTS: u64 = 1_000_000 << PART_BITS;
/// How far the counter may be off when the kernel is asked, beside what the pair itself leaves open.
pub(super) const OFF_PARTS_MAX: u64 = 10 << PART_BITS;
/// And what part of the time that has passed since the last time, as a power of two.
const OFF_BITS: u32 = 10;

/// The kernel's clock between two readings of the counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// The counter behind it.
    pub(super) ticks: u64,
    /// How far the two readings of the counter lie apart.
    pub(super) width: u64,
    /// The kernel's time.
    pub(super) parts: u64,
}

/// What comes of asking the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked yet.
    Unused,
    /// The rate is being measured; the kernel tells the time.
    Measuring,
    /// The counter tells the time.
    Running,
    /// The kernel tells the time from now on.
    GivenUp,
}

#[derive(Debug, Clone, Copy)]
struct Course {
    phase: Phase,
    /// From where the rate is measured.
    from: Pair,
    /// How long.
    measure_parts: u64,
}

/// A thread's clock by the counter.
#[derive(Debug)]
pub(super) struct Counter {
    anchor: Cell<Anchor>,
    /// The last time that was told; nothing before it is told again. The counter may have been ahead of the kernel's clock, and it is read
    /// without a fence, so two readings may overtake each other by some nanoseconds.
    latest_us: Cell<u64>,
    course: Cell<Course>,
}

impl Counter {
    /// Knows nothing; the kernel is asked.
    pub(super) const fn new() -> Counter {
        let from = Pair {
            ticks: 0,
            width: 0,
            parts: 0,
        };
        Counter {
            anchor: Cell::new(Anchor::NONE),
            latest_us: Cell::new(0),
            course: Cell::new(Course {
                phase: Phase::Unused,
                from,
                measure_parts: MEASURE_PARTS,
            }),
        }
    }

    /// Microseconds by the counter, unless the kernel is to be asked.
    #[inline]
    pub(super) fn us(&self, ticks: u64) -> Option<u64> {
        let parts = self.anchor.get().at(ticks)?;
        Some(self.tell(parts))
    }

    /// Ticks of a microsecond, while the counter tells the time.
    pub(super) fn mhz(&self) -> Option<u64> {
        self.anchor.get().rate().mhz()
    }

    /// Microseconds by the kernel, and what follows for the counter. `is_trusted` is asked when it was off.
    pub(super) fn ask(&self, pair: Pair, is_trusted: impl FnOnce() -> bool) -> u64 {
        let (anchor, mut course) = (self.anchor.get(), self.course.get());
        if let Some(anchor) = course.step(anchor, pair, is_trusted) {
            self.anchor.set(anchor);
        }
        self.course.set(course);
        self.tell(pair.parts)
    }

    /// As a counter that stands still, for a test.
    #[cfg(test)]
    pub(super) fn stop(&self, ticks: u64) {
        self.anchor.set(Anchor::new(ticks, 0, Rate::ZERO));
    }

    #[inline]
    fn tell(&self, parts: u64) -> u64 {
        let us = (parts >> PART_BITS).max(self.latest_us.get());
        self.latest_us.set(us);
        us
    }
}

impl Course {
    /// What the pair says; the anchor from which on time is told, if that is another one now.
    fn step(
        &mut self,
        anchor: Anchor,
        pair: Pair,
        is_trusted: impl FnOnce() -> bool,
    ) -> Option<Anchor> {
        let passed = pair.parts.saturating_sub(self.from.parts);
        let rate = match self.phase {
            Phase::Unused => {
                self.phase = Phase::Measuring;
                self.from = pair;
                return None;
            }
            Phase::GivenUp => return None,
            Phase::Measuring if passed < self.measure_parts => return None,
            Phase::Running if is_off(anchor, pair) => None,
            Phase::Running if passed < RENEW_PARTS => Some(anchor.rate()),
            Phase::Measuring | Phase::Running => self.measure(pair),
        };
        let Some(rate) = rate else {
            self.start_over(pair, is_trusted());
            return Some(Anchor::NONE);
        };
        self.phase = Phase::Running;
        Some(Anchor::new(pair.ticks, pair.parts, rate))
    }

    /// The rate since the last time that it was measured.
    fn measure(&mut self, pair: Pair) -> Option<Rate> {
        let from = std::mem::replace(&mut self.from, pair);
        let ticks = pair.ticks.checked_sub(from.ticks)?;
        Rate::between(ticks, pair.parts.saturating_sub(from.parts))
    }

    /// The kernel tells the time.
    #[cold]
    fn start_over(&mut self, pair: Pair, is_trusted: bool) {
        self.phase = match is_trusted {
            true => Phase::Measuring,
            false => Phase::GivenUp,
        };
        self.from = pair;
        self.measure_parts = (self.measure_parts * 2).min(MEASURE_PARTS_MAX);
    }
}

/// Whether the counter has not done what it did before.
fn is_off(anchor: Anchor, pair: Pair) -> bool {
    let expected = anchor.expected(pair.ticks);
    let open = anchor.rate().parts_long(pair.width);
    let passed = pair.parts.saturating_sub(anchor.parts());
    expected.abs_diff(pair.parts) > OFF_PARTS_MAX + open + (passed >> OFF_BITS)
}
