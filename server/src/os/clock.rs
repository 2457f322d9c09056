//! The clocks of the system.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::Clock;

/// The real clocks. The monotonic one starts near zero when the value is made; a reading takes about 20 ns and
/// no system call on Linux.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start_ns: u64,
}

/// Nanoseconds of the monotonic clock. Asked directly: it is read after each command, and the checked arithmetic of
/// `Instant` costs more than the reading.
#[inline]
fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every system that has `mio`, and the structure is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Milliseconds of the monotonic clock, from an arbitrary start; in a handler, too.
pub(super) fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

impl SystemClock {
    /// Starts the monotonic clock.
    pub fn new() -> SystemClock {
        SystemClock {
            start_ns: monotonic_ns(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn monotonic_us(&self) -> u64 {
        let now_ns = monotonic_ns();
        debug_assert!(now_ns >= self.start_ns, "the clock goes back");
        now_ns.wrapping_sub(self.start_ns) / 1000
    }

    #[inline]
    fn wall_us(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        }
    }

    fn thread_cpu_us(&self) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the structure is ours and lives through the call, which writes it or leaves it as it is.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn monotonic_time_rises_and_wall_time_is_of_this_century() {
        let clock = SystemClock::new();
        let first = clock.monotonic_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(clock.monotonic_us() >= first + 2000);
        assert!(clock.wall_ms() > 1_600_000_000_000);
        let used = clock.thread_cpu_us();
        let busy = Instant::now();
        while busy.elapsed().as_millis() < 20 {}
        assert!(clock.thread_cpu_us() > used, "a busy thread uses time");
        assert_eq!(
            clock.wall_us() / 1_000_000_000_000,
            clock.wall_ms() / 1_000_000_000
        );
    }
}
