//! Which number comes next: the distributions behind `{int:...}`, `{key:...}` and the sizes of `{data:...}`.
//!
//! | words | numbers |
//! |---|---|
//! | `1000`, `uniform:1000` | 0 to 999, all alike |
//! | `uniform:10:20` | 10 to 20, all alike |
//! | `zipf:N`, `zipf:N:SKEW` | 0 to N-1; number k comes as often as `1 / (k+1)^SKEW` says, 0.99 if not given |
//! | `seq`, `seq:N` | 0, 1, 2 ... over all clients; from N on again from 0 |
//! | `normal:N`, `normal:N:MEAN:SD` | 0 to N-1 around a mean (N/2, N/6); what falls outside is drawn again |
//! | `hot:N:KEYS:SHARE` | 0 to N-1; the first KEYS percent get SHARE percent of all draws |
//! | `insert:N` | N, N+1 ... over all clients: what was not there yet |
//! | `latest:N`, `latest:N:SKEW` | what was inserted last most often: N-1, N-2 ... of what `insert:N` has come to |
//! | `lognormal:MEDIAN:SIGMA`, with `:MAX` | a long tail; what lies above MAX (100 times the median) is drawn again |
//! | `@NAME` | a distribution that the workload file describes |

use super::shape::{Quantiles, Ranks, Shape, Shapes};
use super::zipf::Zipf;
use crate::random::Random;
use std::sync::Arc;

/// Numbers that are drawn must fit signed 64 bits, as servers count.
const NUMBER_MAX: u64 = i64::MAX as u64;
/// The skew of YCSB, and the one that most published tests use.
const SKEW: f64 = 0.99;
/// How far the tail of a log-normal distribution goes unless it is told, in medians.
const TAIL: f64 = 100.0;
/// Draws outside a range before the nearest end of it is taken.
const TRIES: u32 = 100;

/// A distribution of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// From the first to the second, both included.
    Uniform(u64, u64),
    /// Ranks.
    Zipf(Zipf),
    /// One after the other, again from 0 at the bound.
    Sequence(u64),
    /// Around a mean.
    Normal {
        /// Numbers lie below this.
        count: u64,
        /// Where the middle is.
        mean: f64,
        /// How far they spread.
        deviation: f64,
    },
    /// A few that get most.
    Hot {
        /// Numbers lie below this.
        count: u64,
        /// The first so many are hot.
        hot: u64,
        /// Share of draws that they get, from 0 to 1.
        share: f64,
    },
    /// What was not there yet, from this on.
    Insert(u64),
    /// What was inserted last; so many were there at the start.
    Latest(u64, Zipf),
    /// Sizes with a long tail.
    LogNormal {
        /// The logarithm of the median.
        log_median: f64,
        /// Deviation of logarithms.
        sigma: f64,
        /// Largest.
        max: u64,
    },
    /// Of a workload file: by rank.
    Ranks(Arc<Ranks>),
    /// Of a workload file: by quantile.
    Quantiles(Arc<Quantiles>),
}

/// What all requests of a run have counted up together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The number of this request, if its command asks for one.
    pub own: u64,
    /// Numbers that were given out so far.
    pub given: u64,
}

impl Numbers {
    /// All numbers below a bound, alike.
    pub fn below(count: u64) -> Numbers {
        Numbers::Uniform(0, count - 1)
    }

    /// Reads what stands between colons.
    ///
    /// # Errors
    /// What was expected instead, for a line that names the place already.
    pub fn parse(words: &[&str], shapes: &Shapes) -> Result<Numbers, String> {
        let Some((name, rest)) = words.split_first() else {
            return Err("a distribution is missing".to_owned());
        };
        if let Some(name) = name.strip_prefix('@') {
            at_most(rest, 0)?;
            return match shapes.get(name) {
                Some(Shape::Ranks(ranks)) => Ok(Numbers::Ranks(ranks.clone())),
                Some(Shape::Quantiles(quantiles)) => Ok(Numbers::Quantiles(quantiles.clone())),
                None => Err(format!("the workload has no [distribution.{name}]")),
            };
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            at_most(rest, 0)?;
            return Ok(Numbers::below(count(words, 0)?));
        }
        match *name {
            "uniform" if rest.len() == 2 => {
                at_most(rest, 2)?;
                let (low, high) = (whole(rest, 0)?, whole(rest, 1)?);
                match low <= high {
                    true => Ok(Numbers::Uniform(low, high)),
                    false => Err(format!("{low} is above {high}")),
                }
            }
            "uniform" => {
                at_most(rest, 2)?;
                Ok(Numbers::below(count(rest, 0)?))
            }
            "zipf" => {
                at_most(rest, 2)?;
                Ok(Numbers::Zipf(Zipf::new(count(rest, 0)?, skew(rest, 1)?)))
            }
            "seq" => {
                at_most(rest, 1)?;
                match rest.is_empty() {
                    true => Ok(Numbers::Sequence(NUMBER_MAX)),
                    false => Ok(Numbers::Sequence(count(rest, 0)?)),
                }
            }
            "normal" => normal(rest),
            "hot" => hot(rest),
            "insert" => {
                at_most(rest, 1)?;
                Ok(Numbers::Insert(whole(rest, 0)?))
            }
            "latest" => {
                at_most(rest, 2)?;
                let there = count(rest, 0)?;
                Ok(Numbers::Latest(there, Zipf::new(there, skew(rest, 1)?)))
            }
            "lognormal" => log_normal(rest),
            other => Err(format!(
                "{other} is no distribution; there are uniform, zipf, seq, normal, hot, insert, latest, lognormal, @NAME and a plain number"
            )),
        }
    }

    /// Whether a request with such a number takes the next one of all.
    pub fn counts(&self) -> bool {
        matches!(self, Numbers::Sequence(_) | Numbers::Insert(_))
    }

    /// The largest number that can be drawn, if that is not without end.
    pub fn largest(&self) -> u64 {
        match self {
            Numbers::Uniform(_, high) => *high,
            Numbers::Zipf(zipf) => zipf.count() - 1,
            Numbers::Sequence(count) => count - 1,
            Numbers::Normal { count, .. } | Numbers::Hot { count, .. } => count - 1,
            Numbers::Insert(_) | Numbers::Latest(..) => NUMBER_MAX,
            Numbers::LogNormal { max, .. } => *max,
            Numbers::Ranks(ranks) => ranks.count() - 1,
            Numbers::Quantiles(quantiles) => quantiles.largest(),
        }
    }

    /// Draws one.
    #[inline]
    pub fn draw(&self, random: &mut Random, counted: Counted) -> u64 {
        match self {
            Numbers::Uniform(low, high) => even(random, *low, *high),
            other => other.draw_uneven(random, counted),
        }
    }

    /// The same, apart, of distributions that are not the commonest one, whose draw is a multiplication.
    fn draw_uneven(&self, random: &mut Random, counted: Counted) -> u64 {
        match self {
            Numbers::Uniform(low, high) => even(random, *low, *high),
            Numbers::Zipf(zipf) => zipf.draw(random),
            Numbers::Sequence(count) => counted.own % count,
            Numbers::Normal {
                count,
                mean,
                deviation,
            } => within(*count - 1, || mean + deviation * random.normal()),
            Numbers::Hot { count, hot, share } => match random.unit() < *share || hot == count {
                true => random.below(*hot),
                false => hot + random.below(count - hot),
            },
            Numbers::Insert(there) => there + counted.own,
            Numbers::Latest(there, zipf) => {
                (there + counted.given).saturating_sub(1 + zipf.draw(random))
            }
            Numbers::LogNormal {
                log_median,
                sigma,
                max,
            } => within(*max, || (log_median + sigma * random.normal()).exp()),
            Numbers::Ranks(ranks) => ranks.draw(random),
            Numbers::Quantiles(quantiles) => quantiles.draw(random),
        }
    }
}

/// A number from `low` to `high`, all alike.
fn even(random: &mut Random, low: u64, high: u64) -> u64 {
    low + random.below(high - low + 1)
}

/// The first draw that rounds to a number from 0 to `max`.
fn within(max: u64, mut draw: impl FnMut() -> f64) -> u64 {
    let mut last = 0.0;
    for _ in 0..TRIES {
        last = draw().round();
        if (0.0..=max as f64).contains(&last) {
            return last as u64;
        }
    }
    last.clamp(0.0, max as f64) as u64
}

fn normal(words: &[&str]) -> Result<Numbers, String> {
    at_most(words, 3)?;
    let count = count(words, 0)?;
    let or = |at: usize, default: f64| match words.get(at) {
        Some(_) => real(words, at, 0.0, NUMBER_MAX as f64),
        None => Ok(default),
    };
    Ok(Numbers::Normal {
        count,
        mean: or(1, (count - 1) as f64 / 2.0)?,
        deviation: or(2, count as f64 / 6.0)?,
    })
}

fn hot(words: &[&str]) -> Result<Numbers, String> {
    at_most(words, 3)?;
    let count = count(words, 0)?;
    let keys = real(words, 1, 0.0, 100.0)?;
    let share = real(words, 2, 0.0, 100.0)?;
    Ok(Numbers::Hot {
        count,
        hot: ((count as f64 * keys / 100.0).round() as u64).clamp(1, count),
        share: share / 100.0,
    })
}

fn log_normal(words: &[&str]) -> Result<Numbers, String> {
    at_most(words, 3)?;
    let median = real(words, 0, 1.0, NUMBER_MAX as f64)?;
    let sigma = real(words, 1, 0.0, 10.0)?;
    let max = match words.len() {
        3 => whole(words, 2)?,
        _ => (median * TAIL) as u64,
    };
    Ok(Numbers::LogNormal {
        log_median: median.ln(),
        sigma,
        max,
    })
}

fn at_most(words: &[&str], count: usize) -> Result<(), String> {
    match words.get(count) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is one word too many")),
    }
}

fn whole(words: &[&str], at: usize) -> Result<u64, String> {
    let word = words.get(at).copied().unwrap_or_default();
    match word.parse() {
        Ok(number) if number <= NUMBER_MAX => Ok(number),
        _ => Err(format!("{word:?} is no number from 0 to {NUMBER_MAX}")),
    }
}

fn count(words: &[&str], at: usize) -> Result<u64, String> {
    let word = words.get(at).copied().unwrap_or_default();
    match word.parse() {
        Ok(number) if (1..=NUMBER_MAX).contains(&number) => Ok(number),
        _ => Err(format!("{word:?} is no number from 1 to {NUMBER_MAX}")),
    }
}

fn skew(words: &[&str], at: usize) -> Result<f64, String> {
    match words.get(at) {
        None => Ok(SKEW),
        Some(_) => real(words, at, 0.01, 20.0),
    }
}

fn real(words: &[&str], at: usize, low: f64, high: f64) -> Result<f64, String> {
    let word = words.get(at).copied().unwrap_or_default();
    match word.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("{word:?} is no number from {low} to {high}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{chi_square_fits, normal_below};

    const DRAWS: u64 = 200_000;

    fn numbers(text: &str) -> Numbers {
        let words: Vec<&str> = text.split(':').collect();
        Numbers::parse(&words, &Shapes::default()).unwrap_or_else(|what| panic!("{text}: {what}"))
    }

    fn seen(text: &str, cells: usize) -> Vec<u64> {
        let numbers = numbers(text);
        let mut random = Random::new(9);
        let mut seen = vec![0; cells];
        (0..DRAWS).for_each(|own| {
            let counted = Counted { own, given: own };
            seen[numbers.draw(&mut random, counted) as usize] += 1;
        });
        seen
    }

    fn fits(text: &str, weights: &[f64]) {
        chi_square_fits(&seen(text, weights.len()), weights)
            .unwrap_or_else(|what| panic!("{text}: {what}"));
    }

    #[test]
    fn each_distribution_is_the_one_it_is_called() {
        fits("100", &[1.0; 100]);
        fits("uniform:100", &[1.0; 100]);
        let range: Vec<f64> = (0..=20).map(|i| if i < 10 { 0.0 } else { 1.0 }).collect();
        fits("uniform:10:20", &range);
        let hot: Vec<f64> = (0..50)
            .map(|i| if i < 5 { 80.0 / 5.0 } else { 20.0 / 45.0 })
            .collect();
        fits("hot:50:10:80", &hot);
        let area = |low: f64, high: f64| normal_below(high) - normal_below(low);
        let normal: Vec<f64> = (0..100)
            .map(|i| area((f64::from(i) - 40.5) / 12.0, (f64::from(i) - 39.5) / 12.0))
            .collect();
        fits("normal:100:40:12", &normal);
        let log = |x: f64| {
            if x <= 0.0 {
                f64::NEG_INFINITY
            } else {
                (x / 20.0).ln() / 0.7
            }
        };
        let log_normal: Vec<f64> = (0..=120)
            .map(|i| area(log(f64::from(i) - 0.5), log(f64::from(i) + 0.5)))
            .collect();
        fits("lognormal:20:0.7:120", &log_normal);
        let zipf: Vec<f64> = (1..=200).map(|k| f64::from(k).powf(-0.8)).collect();
        fits("zipf:200:0.8", &zipf);
        fits("seq:7", &[1.0; 7]);
    }

    #[test]
    fn what_is_inserted_comes_next_and_what_is_latest_is_near_it() {
        let mut random = Random::new(2);
        let counted = |own| Counted {
            own,
            given: own + 1,
        };
        assert_eq!(numbers("insert:100").draw(&mut random, counted(7)), 107);
        let latest = numbers("latest:100:0.99");
        let mut behind = vec![0_u64; 100];
        for own in 0..DRAWS {
            let number = latest.draw(&mut random, counted(own));
            behind[(100 + own - number) as usize] += 1;
        }
        let weights: Vec<f64> = (1..=100).map(|k| f64::from(k).powf(-0.99)).collect();
        chi_square_fits(&behind, &weights).unwrap();
    }

    #[test]
    fn what_is_no_distribution_is_told() {
        for text in [
            "",
            "0",
            "uniform:0",
            "uniform:9:3",
            "zipf",
            "zipf:10:0",
            "zipf:10:1:2",
            "zpif:10",
            "hot:10:200:1",
            "hot:10",
            "normal:0",
            "lognormal:0:1",
            "lognormal:10",
            "latest",
            "@none",
            "99999999999999999999",
            "10:4",
            "insert:x",
        ] {
            let words: Vec<&str> = text.split(':').collect();
            assert!(
                Numbers::parse(&words, &Shapes::default()).is_err(),
                "{text}"
            );
        }
    }
}
