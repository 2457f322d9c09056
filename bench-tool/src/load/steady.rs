//! When a server has warmed up: when it no longer gets faster or slower.
//!
//! The load is looked at in windows of a quarter of a second. The last twelve are halved, and the halves compared: if their means differ by less than a few
//! percent, what came before does not show any more. In a closed loop that is the throughput, which the server sets; in an open one, whose
//! throughput the schedule sets, the mean response time.

use crate::statistics::mean_and_deviation;

/// Length of a window, nanoseconds.
pub const WINDOW_NS: u64 = 250_000_000;
/// Windows that are compared with as many before them.
const HALF: usize = 6;
/// By how much the throughputs of halves may differ.
const DRIFT_RATE: f64 = 0.03;
/// By how much response times may differ, which vary more.
const DRIFT_TIME: f64 = 0.10;
/// After how many windows nobody waits any longer: half a minute.
const WINDOWS_MAX: usize = 120;

/// What the windows say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Too early to say, or not steady yet.
    Wait,
    /// Steady.
    Steady,
    /// Not steady, and it has been long enough.
    Unsteady,
}

/// Gathers windows.
#[derive(Debug)]
pub struct Steadiness {
    is_open: bool,
    windows: Vec<f64>,
    before: (u64, u64),
}

impl Steadiness {
    /// Of an open or a closed loop.
    pub fn new(is_open: bool) -> Steadiness {
        Steadiness {
            is_open,
            windows: Vec::new(),
            before: (0, 0),
        }
    }

    /// A window has passed: so many requests are answered by now, with this sum of response times.
    pub fn window(&mut self, answered: u64, nanos: u64) -> Judgement {
        let (count, time) = (answered - self.before.0, nanos - self.before.1);
        self.before = (answered, nanos);
        self.windows.push(match self.is_open {
            true => time as f64 / count.max(1) as f64,
            false => count as f64,
        });
        let drift = if self.is_open { DRIFT_TIME } else { DRIFT_RATE };
        match self.windows.len() {
            n if n >= 2 * HALF && self.is_steady(drift) => Judgement::Steady,
            n if n >= WINDOWS_MAX => Judgement::Unsteady,
            _ => Judgement::Wait,
        }
    }

    fn is_steady(&self, drift: f64) -> bool {
        let (first, second) = self.windows[self.windows.len() - 2 * HALF..].split_at(HALF);
        let ((first, _), (second, _)) = (mean_and_deviation(first), mean_and_deviation(second));
        second > 0.0 && (first / second - 1.0).abs() < drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many windows it is steady, if it is.
    fn steady_after(is_open: bool, mut rate: impl FnMut(usize) -> f64) -> Option<usize> {
        let mut steadiness = Steadiness::new(is_open);
        let (mut answered, mut nanos) = (0, 0);
        for n in 1..200 {
            match is_open {
                false => answered += rate(n) as u64,
                true => {
                    answered += 100;
                    nanos += (rate(n) * 100.0) as u64;
                }
            }
            match steadiness.window(answered, nanos) {
                Judgement::Steady => return Some(n),
                Judgement::Unsteady => return None,
                Judgement::Wait => {}
            }
        }
        panic!("it waits for ever");
    }

    #[test]
    fn warming_is_waited_for_and_noise_is_not() {
        let mut random = crate::random::Random::new(1);
        let noisy = steady_after(false, |_| 100_000.0 * (1.0 + 0.02 * random.normal()));
        assert!(noisy.is_some_and(|n| n <= 16), "{noisy:?}");
        // Three seconds to its full speed.
        let warming = steady_after(false, |n| 100_000.0 * (1.0 - (-(n as f64) / 4.0).exp()));
        assert!(
            warming.is_some_and(|n| (17..40).contains(&n)),
            "{warming:?}"
        );
        // Response times that fall by half a percent a window are steady enough; that double are not.
        let slower = steady_after(true, |n| 1000.0 * 1.2_f64.powi(n as i32));
        assert_eq!(slower, None);
    }
}
