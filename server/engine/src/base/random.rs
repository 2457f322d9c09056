//! Random numbers from a seed: for sampling, never for secrets.
//!
//! xoshiro256** (Blackman and Vigna, public domain): 32 bytes of state, about a nanosecond per number, period 2^256 - 1.
//! The same seed gives the same numbers on every machine, so a failing test or a replayed run repeats exactly.

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator whose whole future follows from `seed`. Any seed is good, also 0.
    pub fn new(seed: u64) -> Random {
        // splitmix64 spreads the seed over the state; it never yields four zeros in a row, the one bad state.
        let mut s = seed;
        let state = std::array::from_fn(|_| {
            s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = s;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Random { state }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `n`, each equally likely. `n` must not be 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a random number below 0 was asked for");
        // Multiply and shift (Lemire); the few products that would favour some results are drawn again.
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let unfair = n.wrapping_neg() % n;
            while (product as u64) < unfair {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// An index below `n`, each equally likely. `n` must not be 0.
    #[inline]
    pub fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// A number in [0, 1), a multiple of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Overwrites `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn same_seed_same_numbers_other_seed_others() {
        let take = |seed| {
            let mut r = Random::new(seed);
            [r.next_u64(), r.next_u64(), r.next_u64()]
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
        assert_ne!(take(0), [0, 0, 0]);
    }

    #[test]
    fn numbers_below_n_are_fair() {
        let mut r = Random::new(3);
        for n in [1u64, 2, 3, 7, 10, 100] {
            let rounds = 20_000 * n;
            let mut seen = vec![0u64; n as usize];
            for _ in 0..rounds {
                seen[r.below(n) as usize] += 1;
            }
            let chi: f64 = seen
                .iter()
                .map(|&s| (s as f64 - 20_000.0).powi(2) / 20_000.0)
                .sum();
            assert!(
                chi < n as f64 + 6.0 * (2.0 * n as f64).sqrt(),
                "n {n}: chi square {chi}"
            );
        }
        assert!(r.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn unit_interval_and_bytes() {
        let mut r = Random::new(9);
        let mean: f64 = (0..10_000)
            .map(|_| r.unit())
            .inspect(|u| assert!((0.0..1.0).contains(u)))
            .sum::<f64>()
            / 1e4;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        let mut bytes = [0u8; 13];
        r.fill(&mut bytes);
        assert_ne!(bytes, [0; 13]);
    }
}
