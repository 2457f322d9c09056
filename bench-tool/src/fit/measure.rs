//! How popular keys are and how numbers spread, in bounded memory.

use crate::random::Random;
use std::collections::HashMap;

/// Numbers that are kept of all.
const KEPT: usize = 10_000;
/// Keys that are counted apart; 16 bytes and their share of a table for each.
const KEYS_MAX: usize = 8_000_000;
/// By how much ranks grow from one group to the next.
const GROWTH: f64 = 1.25;
/// Shares of all at which numbers are told.
const SHARES: [f64; 15] = [
    0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0,
];

/// An even sample of numbers: each of all that were seen is in it as likely as any other (Vitter's algorithm R, 1985). The smallest and the largest are known.
#[derive(Debug)]
pub struct Sample {
    kept: Vec<u64>,
    seen: u64,
    min: u64,
    max: u64,
    random: Random,
}

impl Default for Sample {
    fn default() -> Sample {
        Sample {
            kept: Vec::new(),
            seen: 0,
            min: u64::MAX,
            max: 0,
            random: Random::new(7),
        }
    }
}

impl Sample {
    /// Takes a number.
    pub fn see(&mut self, number: u64) {
        self.seen += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if self.kept.len() < KEPT {
            return self.kept.push(number);
        }
        let place = self.random.below(self.seen);
        if let Some(kept) = self.kept.get_mut(place as usize) {
            *kept = number;
        }
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.seen
    }

    /// The one number that all are.
    pub fn only(&self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }

    /// Shares of all, each with the number that so many do not exceed.
    pub fn quantiles(&self) -> Vec<(f64, u64)> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = |share: f64| match share {
            0.0 => self.min,
            1.0 => self.max,
            share => sorted[(share * last as f64).round() as usize],
        };
        SHARES.iter().map(|&share| (share, at(share))).collect()
    }
}

/// How often each key was asked for.
#[derive(Debug, Default)]
pub struct Popularity {
    counts: HashMap<u64, u64>,
    total: u64,
}

impl Popularity {
    /// A key was asked for; it is told by its hash. Keys beyond what is counted apart are not seen.
    pub fn see(&mut self, hash: u64) {
        if let Some(count) = self.counts.get_mut(&hash) {
            *count += 1;
        } else if self.counts.len() < KEYS_MAX {
            self.counts.insert(hash, 1);
        } else {
            return;
        }
        self.total += 1;
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.counts.len() as u64
    }

    /// Ranks, each with the share of all that it and those before it got.
    pub fn ranks(&self) -> Vec<(u64, f64)> {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let (mut ranks, mut next, mut sum) = (Vec::new(), 1.0, 0);
        for (at, count) in counts.iter().enumerate() {
            sum += count;
            let rank = at as u64 + 1;
            if rank as f64 >= next || at + 1 == counts.len() {
                ranks.push((rank, sum as f64 / self.total as f64));
                next = (rank as f64 * GROWTH).max(rank as f64 + 1.0).floor();
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::shape::{Quantiles, Ranks};

    #[test]
    fn what_was_measured_is_what_is_drawn() {
        let mut random = Random::new(3);
        let mut sample = Sample::default();
        let numbers: Vec<u64> = (0..200_000)
            .map(|_| (5.0 + random.normal()).exp() as u64)
            .collect();
        numbers.iter().for_each(|&number| sample.see(number));
        let quantiles = Quantiles::new(sample.quantiles()).unwrap();
        let mut drawn: Vec<u64> = (0..100_000).map(|_| quantiles.draw(&mut random)).collect();
        let mut sorted = numbers;
        sorted.sort_unstable();
        drawn.sort_unstable();
        for share in [0.1, 0.25, 0.5, 0.75, 0.9] {
            let at = |of: &[u64]| of[(share * (of.len() - 1) as f64) as usize] as f64;
            assert!(
                (at(&drawn) / at(&sorted) - 1.0).abs() < 0.04,
                "{share}: {} {}",
                at(&drawn),
                at(&sorted)
            );
        }

        let zipf: Vec<u64> = (0..100_000)
            .map(|_| (1.0 / (1e-4 + random.unit())) as u64)
            .collect();
        let mut popularity = Popularity::default();
        zipf.iter().for_each(|&key| popularity.see(key));
        let ranks = Ranks::new(popularity.ranks()).unwrap();
        assert_eq!(ranks.count(), popularity.keys());
        let mut again = Popularity::default();
        (0..100_000).for_each(|_| again.see(ranks.draw(&mut random)));
        for ((rank, share), (_, other)) in popularity.ranks().iter().zip(again.ranks()).take(12) {
            assert!((share - other).abs() < 0.02, "{rank}: {share} {other}");
        }
    }
}
