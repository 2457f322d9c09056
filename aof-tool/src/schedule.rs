//! When each command of a log falls due: its timestamps say in which second, and within a second commands are spread evenly.
//!
//! ```text
//!   #TS:100  a b c d      100.00  100.25  100.50  100.75
//!   #TS:103  e f          103.00  103.50                       from the first on, divided by the speed
//! ```
//!
//! All times count from the start, so that being late once does not make all that follows late.

use std::thread;
use std::time::{Duration, Instant};

/// A second of the log that has commands, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Unix seconds.
    pub at: i64,
    /// Commands that are sent.
    pub commands: u64,
}

/// What tells the time and lets it pass.
pub trait Clock {
    /// Since the start.
    fn now(&self) -> Duration;
    /// Comes back when that time has come.
    fn sleep_until(&mut self, due: Duration);
}

/// The clock of the system.
#[derive(Debug)]
pub struct Real(Instant);

impl Real {
    /// Starts now.
    pub fn start() -> Real {
        Real(Instant::now())
    }
}

impl Clock for Real {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&mut self, due: Duration) {
        thread::sleep(due.saturating_sub(self.now()));
    }
}

/// Gives the time of one command after the other.
#[derive(Debug)]
pub struct Schedule {
    seconds: Vec<Second>,
    /// Times as fast as the log; infinite for no waiting at all.
    speed: f64,
    /// The second of the next command, and how many of it came before.
    at: (usize, u64),
}

impl Schedule {
    /// Of the seconds of a log, in its order.
    pub fn new(seconds: Vec<Second>, speed: f64) -> Schedule {
        Schedule {
            seconds,
            speed,
            at: (0, 0),
        }
    }

    /// When the next command is due.
    pub fn next(&mut self) -> Duration {
        while let Some(second) = self.seconds.get(self.at.0)
            && self.at.1 >= second.commands
        {
            self.at = (self.at.0 + 1, 0);
        }
        let (Some(second), Some(first)) = (self.seconds.get(self.at.0), self.seconds.first())
        else {
            return Duration::ZERO;
        };
        // Clocks go back at times; such a second is due at once.
        let whole = second.at.saturating_sub(first.at).max(0);
        let part = self.at.1 as f64 / second.commands as f64;
        self.at.1 += 1;
        Duration::try_from_secs_f64((whole as f64 + part) / self.speed).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time passes when somebody sleeps, and with each command.
    struct Virtual(Duration);

    impl Clock for Virtual {
        fn now(&self) -> Duration {
            self.0
        }

        fn sleep_until(&mut self, due: Duration) {
            // A system wakes a sleeper late.
            self.0 = self.0.max(due) + Duration::from_micros(60);
        }
    }

    /// When each command was sent, and when the log has it.
    fn run(speed: f64) -> Vec<(f64, f64)> {
        let mut seconds = Vec::new();
        for i in 0..120_i64 {
            // Busy and idle seconds, and longer breaks.
            let commands = [1, 2, 500, 3000, 40][i as usize % 5];
            seconds.push(Second {
                at: 1_700_000_000 + i + i / 10 * 7,
                commands,
            });
        }
        let first = seconds[0].at;
        let mut clock = Virtual(Duration::ZERO);
        let mut schedule = Schedule::new(seconds.clone(), speed);
        let mut sent = Vec::new();
        for second in seconds {
            for i in 0..second.commands {
                clock.sleep_until(schedule.next());
                let original = (second.at - first) as f64 + i as f64 / second.commands as f64;
                sent.push((clock.now().as_secs_f64(), original));
                clock.0 += Duration::from_micros(30);
            }
        }
        sent
    }

    #[test]
    fn spacing_is_kept_to_one_percent() {
        for speed in [0.5, 1.0, 2.0] {
            let sent = run(speed);
            assert!(sent.len() > 80_000);
            for (one, other) in [(0, sent.len() - 1), (100, 4000), (4000, 50_000), (3, 503)] {
                let (from, to) = (sent[one], sent[other]);
                let (took, wanted) = (to.0 - from.0, (to.1 - from.1) / speed);
                assert!(
                    (took / wanted - 1.0).abs() < 0.01,
                    "{speed}: {took} for {wanted}"
                );
            }
            // Nobody is sent early, and lateness does not add up.
            for (at, original) in sent {
                assert!(
                    (-1e-9..0.01).contains(&(at - original / speed)),
                    "{at} for {original}"
                );
            }
        }
    }

    #[test]
    fn the_greatest_speed_waits_for_nothing_and_a_clock_that_went_back_is_no_wait() {
        let seconds = [(10, 2), (9, 1), (11, 1)].map(|(at, commands)| Second { at, commands });
        let due = |speed| {
            let mut schedule = Schedule::new(seconds.to_vec(), speed);
            std::array::from_fn::<_, 4, _>(|_| schedule.next().as_millis())
        };
        assert_eq!(due(f64::INFINITY), [0; 4]);
        assert_eq!(due(1.0), [0, 500, 0, 1000]);
        assert_eq!(due(10.0), [0, 50, 0, 100]);
    }
}
