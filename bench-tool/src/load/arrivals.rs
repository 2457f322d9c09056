//! When requests of an open loop fall due.
//!
//! The schedule is a rate over time; its area up to a moment is the number of requests due by then. Request `x` of that count falls due where the area
//! reaches `x`, so a constant, a ramp and steps differ in nothing but the curve, and chance arrivals are the same with random `x`:
//!
//! ```text
//!   rate  ^            _______          x = 0, 1, 2 ...                evenly
//!         |        ___/                 x = sums of exponential gaps   as a Poisson process of that rate
//!         |_______/  ramp   constant    thread k of n takes k, k + n, k + 2n ...
//!         +--------------------------> time
//!          warm-up
//! ```

use crate::random::Random;
use std::time::Duration;

/// Highest rate, a second.
const RATE_MAX: f64 = 1e8;
/// Lowest rate, a second: one in about a day.
const RATE_MIN: f64 = 1e-5;

/// The rate as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// The same all the time.
    Constant(f64),
    /// From the first to the second over the duration.
    Ramp(f64, f64),
    /// One after the other, each for an equal part of the duration.
    Steps(Vec<f64>),
}

impl std::str::FromStr for Rate {
    type Err = String;

    /// `1000`, `0.5`, `100..5000`, `100,200,400`.
    fn from_str(text: &str) -> Result<Rate, String> {
        let one = |word: &str| {
            match word.parse() {
            Ok(rate) if (RATE_MIN..=RATE_MAX).contains(&rate) => Ok(rate),
            _ => Err("expected requests a second, as in 1000, 0.5, 100..5000 (a ramp) or 100,200,400 (steps)".to_owned()),
        }
        };
        match (text.split_once(".."), text.contains(',')) {
            (Some((from, to)), _) => Ok(Rate::Ramp(one(from)?, one(to)?)),
            (_, true) => Ok(Rate::Steps(
                text.split(',').map(one).collect::<Result<_, _>>()?,
            )),
            _ => one(text).map(Rate::Constant),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rate::Constant(rate) => write!(f, "{rate}"),
            Rate::Ramp(from, to) => write!(f, "{from}..{to}"),
            Rate::Steps(rates) => {
                let rates: Vec<String> = rates.iter().map(f64::to_string).collect();
                f.write_str(&rates.join(","))
            }
        }
    }
}

/// A stretch of time in which the rate goes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Phase {
    /// Seconds from the start of the run, and its length.
    start: f64,
    length: f64,
    from: f64,
    to: f64,
    /// Requests due before it.
    before: f64,
}

impl Phase {
    fn count_at(&self, seconds: f64) -> f64 {
        let t = (seconds - self.start).max(0.0);
        match self.length.is_finite() {
            true => {
                self.before + self.from * t + (self.to - self.from) * t * t / (2.0 * self.length)
            }
            false => self.before + self.from * t,
        }
    }

    fn time_of(&self, count: f64) -> f64 {
        let y = (count - self.before).max(0.0);
        let slope = match self.length.is_finite() {
            true => (self.to - self.from) / self.length,
            false => 0.0,
        };
        // The smaller root of from * t + slope * t^2 / 2 = y, in the form that loses nothing when the slope is near 0.
        let root = (self.from * self.from + 2.0 * slope * y).max(0.0).sqrt();
        self.start + 2.0 * y / (self.from + root)
    }
}

/// A whole schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    phases: Vec<Phase>,
    /// Whether requests come by chance.
    poisson: bool,
}

impl Arrivals {
    /// The schedule of a run: `warmup` at the first rate, then the duration; at the last rate if it goes on behind.
    ///
    /// # Errors
    /// A ramp or steps without a duration.
    pub fn new(
        rate: &Rate,
        poisson: bool,
        warmup: Duration,
        duration: Option<Duration>,
    ) -> Result<Arrivals, String> {
        let needed = || duration.ok_or_else(|| format!("--rate {rate} needs a --duration"));
        let mut parts: Vec<(f64, f64, f64)> = Vec::new();
        let (first, last) = match rate {
            Rate::Constant(rate) => (*rate, *rate),
            Rate::Ramp(from, to) => {
                parts.push((needed()?.as_secs_f64(), *from, *to));
                (*from, *to)
            }
            Rate::Steps(rates) => {
                let each = needed()?.as_secs_f64() / rates.len() as f64;
                parts.extend(rates.iter().map(|&rate| (each, rate, rate)));
                (rates[0], rates[rates.len() - 1])
            }
        };
        parts.insert(0, (warmup.as_secs_f64(), first, first));
        parts.push((f64::INFINITY, last, last));
        let (mut phases, mut start, mut before) = (Vec::new(), 0.0, 0.0);
        for (length, from, to) in parts.into_iter().filter(|(length, ..)| *length > 0.0) {
            phases.push(Phase {
                start,
                length,
                from,
                to,
                before,
            });
            start += length;
            before += (from + to) / 2.0 * length;
        }
        Ok(Arrivals { phases, poisson })
    }

    /// Requests due before a moment, in nanoseconds from the start.
    pub fn due_before(&self, moment: u64) -> u64 {
        let seconds = moment as f64 / 1e9;
        let phase = self
            .phases
            .iter()
            .rev()
            .find(|phase| phase.start <= seconds);
        // What falls due at the very moment is not before it; a billionth of a request is the error of the sum.
        phase.map_or(0, |phase| {
            (phase.count_at(seconds) - 1e-9).ceil().max(0.0) as u64
        })
    }

    /// When request `x` falls due, in nanoseconds from the start.
    pub fn due(&self, x: f64) -> u64 {
        let phase = self.phases.iter().rev().find(|phase| phase.before <= x);
        (phase.map_or(0.0, |phase| phase.time_of(x)) * 1e9) as u64
    }

    /// Whether requests come by chance.
    pub fn is_poisson(&self) -> bool {
        self.poisson
    }
}

/// One thread's part of a schedule.
#[derive(Debug)]
pub struct Pace<'a> {
    arrivals: &'a Arrivals,
    random: Random,
    threads: u64,
    next: f64,
    /// When the next request is due.
    pub due: u64,
    /// No more are to be sent.
    pub is_over: bool,
}

impl<'a> Pace<'a> {
    /// The part of thread `index`.
    pub fn new(arrivals: &'a Arrivals, index: u64, threads: u64, random: Random) -> Pace<'a> {
        let mut pace = Pace {
            arrivals,
            random,
            threads,
            next: index as f64,
            due: 0,
            is_over: false,
        };
        if arrivals.poisson {
            pace.next = threads as f64 * pace.random.exponential();
        }
        pace.due = arrivals.due(pace.next);
        pace
    }

    /// Goes on to the next request.
    pub fn advance(&mut self) {
        self.next += match self.arrivals.poisson {
            true => self.threads as f64 * self.random.exponential(),
            false => self.threads as f64,
        };
        self.due = self.arrivals.due(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::chi_square_fits;

    const SECOND: u64 = 1_000_000_000;

    fn arrivals(rate: &str, poisson: bool, warmup: u64, duration: u64) -> Arrivals {
        Arrivals::new(
            &rate.parse().unwrap(),
            poisson,
            Duration::from_secs(warmup),
            Some(Duration::from_secs(duration)),
        )
        .unwrap()
    }

    fn dues(arrivals: &Arrivals, threads: u64, until: u64) -> Vec<u64> {
        let mut dues = Vec::new();
        for index in 0..threads {
            let mut pace = Pace::new(arrivals, index, threads, Random::new(index + 1));
            while pace.due < until {
                dues.push(pace.due);
                pace.advance();
            }
        }
        dues.sort_unstable();
        dues
    }

    #[test]
    fn even_arrivals_are_a_fence_with_one_post_for_each_gap() {
        for (rate, step) in [("1", SECOND), ("0.5", 2 * SECOND), ("4", SECOND / 4)] {
            let arrivals = arrivals(rate, false, 0, 12);
            let dues = dues(&arrivals, 3, 12 * SECOND);
            let expected: Vec<u64> = (0..12 * SECOND / step).map(|i| i * step).collect();
            assert_eq!(dues, expected, "{rate}");
            assert_eq!(arrivals.due_before(12 * SECOND), expected.len() as u64);
        }
        let fast = arrivals("200000", false, 1, 9);
        assert_eq!(
            fast.due_before(10 * SECOND) - fast.due_before(SECOND),
            1_800_000
        );
        assert!(
            dues(&fast, 2, SECOND / 10)
                .windows(2)
                .all(|two| two[1] - two[0] <= 5001)
        );
    }

    #[test]
    fn ramps_and_steps_follow_their_curve() {
        let ramp = arrivals("100..300", false, 2, 10);
        assert_eq!(ramp.due_before(2 * SECOND), 200);
        assert_eq!(ramp.due_before(12 * SECOND), 2200);
        assert_eq!(ramp.due_before(13 * SECOND), 2500);
        let due = dues(&ramp, 2, 13 * SECOND);
        assert_eq!(due.len(), 2500);
        for second in 2..12_u64 {
            let n = due.iter().filter(|&&due| due / SECOND == second).count() as f64;
            let should = 100.0 + 20.0 * (second - 2) as f64 + 10.0;
            assert!((n - should).abs() <= 1.5, "{second}: {n} {should}");
        }
        let down = arrivals("300..100", false, 0, 10);
        assert_eq!(dues(&down, 1, 10 * SECOND).len(), 2000);
        let steps = arrivals("10,40,20", false, 0, 9);
        assert_eq!(
            [3, 6, 9].map(|s| steps.due_before(s * SECOND)),
            [30, 150, 210]
        );
    }

    /// Counts of seconds and the gaps are those of a Poisson process, however many threads share it.
    #[test]
    fn chance_arrivals_are_a_poisson_process() {
        let arrivals = arrivals("20", true, 0, 3000);
        let due = dues(&arrivals, 3, 3000 * SECOND);
        let mut counts = vec![0_u64; 60];
        let mut each = vec![0_usize; 3000];
        due.iter()
            .for_each(|due| each[(due / SECOND) as usize] += 1);
        each.iter().for_each(|&n| counts[n] += 1);
        let mut weight = (-20.0_f64).exp();
        let weights: Vec<f64> = (0..60)
            .map(|k| {
                let this = weight;
                weight *= 20.0 / f64::from(k + 1);
                this
            })
            .collect();
        chi_square_fits(&counts, &weights).unwrap();
        let mut gaps = vec![0_u64; 10];
        due.windows(2).for_each(|two| {
            let gap = (two[1] - two[0]) as f64 / 5e7;
            gaps[((1.0 - (-gap).exp()) * 10.0) as usize] += 1;
        });
        chi_square_fits(&gaps, &[1.0; 10]).unwrap();
    }

    #[test]
    fn what_is_no_rate_is_told() {
        for text in ["", "0", "-1", "x", "1..", "1,,2", "1e9", "nan", "inf"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        let ramp = "1..2".parse().unwrap();
        assert!(Arrivals::new(&ramp, false, Duration::ZERO, None).is_err());
    }
}
