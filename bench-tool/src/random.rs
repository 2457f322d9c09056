//! A small fast generator; the same seed gives the same requests.

use std::f64::consts::TAU;

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and two multiplications a number, every seed is good.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is above 0. The bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of at least 0 and below 1: the upper 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of mean 1 as the gaps between chance events have it.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// A number of mean 0 and standard deviation 1 (Box and Muller 1958; the second of the pair is not kept).
    pub fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [0u32; 10];
        (0..10_000).for_each(|_| seen[random.below(10) as usize] += 1);
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
        assert_eq!(Random::new(3).next(), Random::new(3).next());
    }

    /// The largest distance between the share of draws below each value and what it should be (Kolmogorov and Smirnov); beyond
    /// 1.95 / sqrt(n) in one of a thousand samples.
    fn distance(mut draws: Vec<f64>, share_below: impl Fn(f64) -> f64) -> f64 {
        draws.sort_by(f64::total_cmp);
        let n = draws.len() as f64;
        let each = draws.iter().enumerate().map(|(i, &draw)| {
            let should = share_below(draw);
            (should - i as f64 / n)
                .abs()
                .max(((i + 1) as f64 / n - should).abs())
        });
        each.fold(0.0, f64::max)
    }

    #[test]
    fn units_gaps_and_normals_have_their_distributions() {
        const DRAWS: usize = 50_000;
        let limit = 1.95 / (DRAWS as f64).sqrt();
        let mut random = Random::new(11);
        let mut draws = |draw: fn(&mut Random) -> f64| -> Vec<f64> {
            (0..DRAWS).map(|_| draw(&mut random)).collect()
        };
        assert!(distance(draws(Random::unit), |x| x) < limit);
        assert!(distance(draws(Random::exponential), |x| 1.0 - (-x).exp()) < limit);
        assert!(distance(draws(Random::normal), crate::statistics::normal_below) < limit);
    }
}
