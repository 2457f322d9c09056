//! Sleeping until a request is due, and no longer.
//!
//! A poll's own timeout is exact to a millisecond only. A timer of the system as one more thing to poll for is exact to what it takes to wake a
//! sleeping thread, some ten to a hundred microseconds. So the alarm rings a little earlier, and the rest is spent looking at the clock:
//!
//! ```text
//!      sleep                       | wake late | look at the clock | due
//!   -----------------------------> alarm ------>------------------->
//!                                  |<------------- tail ---------->|
//! ```
//!
//! The tail follows what is measured at each wake: it grows a step when the wake was later than the tail allowed and shrinks a fraction of it otherwise, which
//! settles where nine of ten wakes are in time. What bounds it is what it costs: it shrinks as long as more than [`SHARE`] of the time between requests goes
//! into looking at the clock, on average over the last wakes. So a tail may be as long as all wakes are late, where they are late alike, and costs next to nothing.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Longest tail, nanoseconds.
const TAIL_MAX: f64 = 60_000.0;
/// First tail, nanoseconds.
const TAIL_FIRST: f64 = 20_000.0;
/// Largest part of the time between two requests that is spent looking at the clock.
const SHARE: f64 = 0.005;
/// Largest part of it that a tail covers, whether it is slept through or not.
const COVERED: f64 = 0.1;
/// What may be spent whatever the share: as much as a poll itself.
const FREE: f64 = 2_000.0;
/// Wakes over which the cost is averaged.
const WAKES: f64 = 16.0;
/// How far the tail grows after a late wake, nanoseconds.
const STEP: f64 = 500.0;
/// Share of wakes that should be in time.
const IN_TIME: f64 = 0.9;

/// An alarm of one event loop: when it is to ring.
#[derive(Debug)]
pub struct Alarm {
    /// When it rings, in nanoseconds from the start of the run; 0 when it is not set.
    rings: u64,
    /// What it rings for.
    due: u64,
    tail: f64,
    /// Nanoseconds of looking at the clock for each wake: what they are, and what they may be.
    spent: f64,
    may_spend: f64,
}

/// What rings: a timer of the system.
#[derive(Debug)]
pub struct Bell {
    timer: OwnedFd,
    rings: u64,
}

impl Bell {
    /// A bell that the poll of this registry reports under `token`.
    ///
    /// # Errors
    /// The system has no more timers.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Bell> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Bell { timer, rings: 0 })
    }

    /// Has it ring at a time, which is behind `now`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set(&mut self, now: u64, rings: u64) -> io::Result<()> {
        debug_assert!(rings > now, "a time of zero would silence it");
        if std::mem::replace(&mut self.rings, rings) == rings {
            return Ok(());
        }
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: ((rings - now) / 1_000_000_000) as i64,
                tv_nsec: ((rings - now) % 1_000_000_000) as i64,
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm {
            rings: 0,
            due: 0,
            tail: TAIL_FIRST,
            spent: 0.0,
            may_spend: FREE,
        }
    }
}

impl Alarm {
    /// Sets the alarm for what is due at `due`, and says when it rings; `None` if that is so near that one has to look at the clock. `gap` is the time
    /// since the request before.
    pub fn set(&mut self, now: u64, due: u64, gap: u64) -> Option<u64> {
        let most = (gap as f64 * COVERED).clamp(FREE, TAIL_MAX);
        self.may_spend = (gap as f64 * SHARE).max(FREE);
        let rings = due.saturating_sub(self.tail.min(most) as u64);
        if rings <= now {
            return None;
        }
        (self.rings, self.due) = (rings, due);
        Some(rings)
    }

    /// When it rings; 0 when it is not set.
    pub fn rings(&self) -> u64 {
        self.rings
    }

    /// It rang.
    pub fn rang(&mut self, now: u64) {
        if self.rings == 0 {
            return;
        }
        self.spent += (self.due.saturating_sub(now) as f64 - self.spent) / WAKES;
        self.tail += match now > self.due {
            _ if self.spent > self.may_spend => -STEP,
            true => STEP * IN_TIME,
            false => -STEP * (1.0 - IN_TIME),
        };
        self.tail = self.tail.clamp(1_000.0, TAIL_MAX);
        self.rings = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_rings_shortly_before_what_is_due() {
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(4);
        let mut bell = Bell::new(poll.registry(), Token(7)).unwrap();
        let mut alarm = Alarm::default();
        let start = Instant::now();
        let now = || start.elapsed().as_nanos() as u64;
        for _ in 0..20 {
            let due = now() + 3_000_000;
            let rings = alarm.set(now(), due, 3_000_000).unwrap();
            bell.set(now(), rings).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(5)))
                .unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)));
            assert!(now() + 61_000 > due, "{} before it", due - now());
            alarm.rang(now());
        }
        assert_eq!(alarm.set(now(), now() + 500, 3_000_000), None);
    }

    /// Where the tail is after many wakes that are evenly between 10 and 40 us late, with requests so far apart.
    fn settled(gap: f64) -> f64 {
        let mut alarm = Alarm::default();
        let mut random = crate::random::Random::new(1);
        alarm.may_spend = gap * SHARE;
        for i in 1..20_000_u64 {
            (alarm.rings, alarm.due) = (i, i + alarm.tail as u64);
            alarm.rang(i + 10_000 + random.below(30_000));
        }
        alarm.tail
    }

    #[test]
    fn the_tail_settles_where_nine_of_ten_wakes_are_in_time_if_it_may_cost_that() {
        let tail = settled(1e9);
        assert!((35_000.0..39_000.0).contains(&tail), "{tail}");
    }

    /// A tail of x us costs (x - 10)^2 / 60 us: 5 us at 27.
    #[test]
    fn a_tail_costs_no_more_than_its_share() {
        let tail = settled(1e6);
        assert!((23_000.0..31_000.0).contains(&tail), "{tail}");
    }
}
