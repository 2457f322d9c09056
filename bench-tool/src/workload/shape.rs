//! Distributions that have no formula: measured ones, as `fit` writes them into a workload file.
//!
//! ```text
//!   ranks      [[1, 0.30], [3, 0.45], [10, 1.0]]     the most popular gets 30 %, the next two 15 % together, the other seven 55 %
//!   quantiles  [[0.0, 3], [0.5, 64], [1.0, 1000]]    half of all lie between 3 and 64, evenly, half between 64 and 1000
//! ```

use crate::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The distributions of a workload, by name.
pub type Shapes = BTreeMap<String, Shape>;

/// A measured distribution.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// How popular ranks are.
    Ranks(Arc<Ranks>),
    /// How large something is.
    Quantiles(Arc<Quantiles>),
}

/// Ranks from 0, in groups that share evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks(Vec<(u64, f64)>);

impl Ranks {
    /// Of pairs: so many of the most popular get this share together. Both grow, and the last share is 1.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(mut pairs: Vec<(u64, f64)>) -> Result<Ranks, String> {
        let grows = pairs
            .windows(2)
            .all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        let begins = pairs
            .first()
            .is_some_and(|(rank, share)| *rank > 0 && *share >= 0.0);
        if !grows || !begins {
            return Err("ranks and shares have to grow, from above 0".to_owned());
        }
        ends_with_one(pairs.last().map(|(_, share)| *share))?;
        if let Some(last) = pairs.last_mut() {
            last.1 = 1.0;
        }
        Ok(Ranks(pairs))
    }

    /// How many ranks there are.
    pub fn count(&self) -> u64 {
        self.0[self.0.len() - 1].0
    }

    /// Draws a rank.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let draw = random.unit();
        let group = self.0.partition_point(|(_, share)| *share <= draw);
        let group = group.min(self.0.len() - 1);
        let from = match group {
            0 => 0,
            group => self.0[group - 1].0,
        };
        from + random.below(self.0[group].0 - from)
    }
}

/// Numbers by the share of all that are not larger.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles(Vec<(f64, u64)>);

impl Quantiles {
    /// Of pairs: this share of all is at most so large. Shares grow from 0 to 1, and numbers do not fall.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(mut pairs: Vec<(f64, u64)>) -> Result<Quantiles, String> {
        let grows = pairs
            .windows(2)
            .all(|two| two[0].0 <= two[1].0 && two[0].1 <= two[1].1);
        let begins = pairs.first().is_some_and(|(share, _)| *share == 0.0);
        if !grows || !begins {
            return Err("shares and numbers have to grow, shares from 0".to_owned());
        }
        ends_with_one(pairs.last().map(|(share, _)| *share))?;
        if let Some(last) = pairs.last_mut() {
            last.0 = 1.0;
        }
        Ok(Quantiles(pairs))
    }

    /// The largest number.
    pub fn largest(&self) -> u64 {
        self.0[self.0.len() - 1].1
    }

    /// Draws a number: a share, and what lies there between its neighbours.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let draw = random.unit();
        let above = self.0.partition_point(|(share, _)| *share <= draw);
        let above = above.clamp(1, self.0.len().max(2) - 1);
        let [(from, low), (to, high)] = match self.0.get(above) {
            Some(pair) => [self.0[above - 1], *pair],
            None => [self.0[0], self.0[0]],
        };
        let part = match to > from {
            true => (draw - from) / (to - from),
            false => 0.0,
        };
        low + ((high - low) as f64 * part).round() as u64
    }
}

fn ends_with_one(share: Option<f64>) -> Result<(), String> {
    match share {
        Some(share) if (share - 1.0).abs() < 1e-6 => Ok(()),
        _ => Err("the last share has to be 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::chi_square_fits;

    #[test]
    fn ranks_and_quantiles_are_drawn_as_they_were_measured() {
        let ranks = Ranks::new(vec![(1, 0.3), (3, 0.45), (10, 1.0)]).unwrap();
        let mut random = Random::new(4);
        let mut seen = [0_u64; 10];
        (0..100_000).for_each(|_| seen[ranks.draw(&mut random) as usize] += 1);
        let weights: Vec<f64> = (0..10)
            .map(|i| match i {
                0 => 0.3,
                1 | 2 => 0.075,
                _ => 0.55 / 7.0,
            })
            .collect();
        chi_square_fits(&seen, &weights).unwrap();

        let quantiles = Quantiles::new(vec![(0.0, 3), (0.5, 64), (0.9, 64), (1.0, 1000)]).unwrap();
        let draws: Vec<u64> = (0..100_000).map(|_| quantiles.draw(&mut random)).collect();
        let share = |low: u64, high: u64| draws.iter().filter(|&&n| n >= low && n < high).count();
        assert!((49_000..51_000).contains(&share(3, 64)), "{}", share(3, 64));
        assert!((39_300..41_000).contains(&share(64, 65)));
        assert!((9_500..10_500).contains(&share(65, 1001)));
        let one = Quantiles::new(vec![(0.0, 7), (1.0, 7)]).unwrap();
        assert_eq!(one.draw(&mut random), 7);
    }

    #[test]
    fn what_does_not_grow_to_one_is_refused() {
        for pairs in [
            vec![],
            vec![(0, 1.0)],
            vec![(1, 0.5)],
            vec![(2, 0.5), (1, 1.0)],
            vec![(1, 0.7), (2, 0.5)],
        ] {
            assert!(Ranks::new(pairs).is_err());
        }
        for pairs in [
            vec![],
            vec![(0.1, 1), (1.0, 2)],
            vec![(0.0, 5), (1.0, 2)],
            vec![(0.0, 5)],
        ] {
            assert!(Quantiles::new(pairs).is_err());
        }
    }
}
