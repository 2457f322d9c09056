//! The run in slices of a second: what the live line, the log of histograms and the plots are made of.
//!
//! A slice belongs to the time in which its replies came. While a run lasts, each thread fills its own; at the end of a slice it hands it over. A slice that
//! all threads have left is packed, as an hour of unpacked ones would take a gigabyte.

use super::tally::{Times, join, no_times};
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Length of a slice, nanoseconds.
pub const SLICE_NS: u64 = 1_000_000_000;

/// What came in a slice.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Response times.
    pub times: Times,
    /// Error replies.
    pub errors: u64,
}

#[derive(Debug)]
enum Kept {
    Open(Box<Slice>),
    Packed { bytes: Vec<u8>, errors: u64 },
}

/// All slices so far, by their number from the start of the measuring.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<BTreeMap<u64, Kept>>);

impl Timeline {
    /// Takes a thread's part of a slice. Those well before it are packed.
    pub fn hand_over(&self, number: u64, times: &Times, errors: u64) {
        let mut slices = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut slice = slices.remove(&number).map_or_else(Slice::empty, Kept::open);
        join(&mut slice.times, times);
        slice.errors += errors;
        slices.insert(number, Kept::Open(Box::new(slice)));
        let old = slices.range_mut(..number.saturating_sub(2));
        old.rev().take(2).for_each(|(_, kept)| kept.pack());
    }

    /// The newest slice that was handed over, with its number.
    pub fn newest(&self) -> Option<(u64, Slice)> {
        let slices = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (number, kept) = slices.last_key_value()?;
        Some((*number, kept.look()))
    }

    /// All slices in their order, each unpacked when it is asked for.
    pub fn each(&self, mut seen: impl FnMut(u64, &Slice)) {
        let slices = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        slices
            .iter()
            .for_each(|(number, kept)| seen(*number, &kept.look()));
    }
}

impl Slice {
    fn empty() -> Slice {
        Slice {
            times: no_times(),
            errors: 0,
        }
    }
}

impl Kept {
    fn pack(&mut self) {
        if let Kept::Open(slice) = self {
            let mut bytes = Vec::new();
            // Memory does not fail to be written to; what could not be packed stays as it is.
            if V2Serializer::new()
                .serialize(&slice.times, &mut bytes)
                .is_ok()
            {
                *self = Kept::Packed {
                    bytes,
                    errors: slice.errors,
                };
            }
        }
    }

    fn look(&self) -> Slice {
        match self {
            Kept::Open(slice) => (**slice).clone(),
            Kept::Packed { bytes, errors } => {
                let mut slice = Slice::empty();
                let times: Times = Deserializer::new()
                    .deserialize(&mut &bytes[..])
                    .expect("it was packed here");
                join(&mut slice.times, &times);
                slice.errors = *errors;
                slice
            }
        }
    }

    fn open(self) -> Slice {
        self.look()
    }
}

/// One thread's current slice.
#[derive(Debug)]
pub struct Current {
    number: u64,
    times: Times,
    errors: u64,
}

impl Current {
    /// Nothing yet.
    pub fn new() -> Current {
        Current {
            number: 0,
            times: no_times(),
            errors: 0,
        }
    }

    /// Counts replies that came so long after the measuring began.
    pub fn replies(&mut self, since_start: u64, response_ns: u64, count: u64, all: &Timeline) {
        let number = since_start / SLICE_NS;
        if number != self.number {
            self.hand_over(all);
            self.number = number;
        }
        self.times.saturating_record_n(response_ns.max(1), count);
    }

    /// Counts an error reply.
    pub fn error(&mut self) {
        self.errors += 1;
    }

    /// Gives what there is to all.
    pub fn hand_over(&mut self, all: &Timeline) {
        if !self.times.is_empty() {
            all.hand_over(self.number, &self.times, self.errors);
            self.times.reset();
            self.errors = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_threads_join_also_when_one_is_late() {
        let timeline = Timeline::default();
        let (mut a, mut b) = (Current::new(), Current::new());
        for second in 0..10 {
            a.replies(second * SLICE_NS, 1000 * (second + 1), 5, &timeline);
        }
        a.error();
        a.hand_over(&timeline);
        b.replies(1, 7_000_000, 1, &timeline);
        b.hand_over(&timeline);
        let mut seen = Vec::new();
        timeline.each(|number, slice| seen.push((number, slice.times.len(), slice.errors)));
        let expected: Vec<(u64, u64, u64)> = (0..10)
            .map(|n| (n, 5 + u64::from(n == 0), u64::from(n == 9)))
            .collect();
        assert_eq!(seen, expected);
        let (number, newest) = timeline.newest().unwrap();
        assert_eq!((number, newest.times.len()), (9, 5));
    }
}
