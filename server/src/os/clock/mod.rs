//! The clocks of the system.
//!
//! **The monotonic clock** is read after each command. The kernel's answer to `clock_gettime` takes 20 to 35 ns without a system call; the
//! counter of an x86 processor takes 9. Where the kernel itself tells time by that counter (the clock source is `tsc`) and the processor
//! says that it never stops nor changes its pace, it is read here, too, without a fence. Elsewhere the kernel is asked, always.
//!
//! - For the first 50 ms the kernel is asked, which gives the rate of the counter; nobody waits for that (`counter`).
//! - From then on an anchor (a tick, the time at it, the rate) tells the time for 2^21 ticks: half a millisecond to a whole one
//!   (`anchor`). Behind its end the kernel is asked, which makes the next anchor, as does each turn of the loop, by [`Clock::now`].
//!   The rate is measured anew each second.
//! - The kernel's answer must be what the counter said, to 10 us and a thousandth of the time since the last one. If it is not, the kernel is
//!   asked until the rate has been measured again, for twice as long each time; and for good if its clock source has become another one.
//!
//! Each thread has all of that to itself: nothing is shared, so nobody waits and a child that is forked goes on as it was.
//!
//! **How wrong it can be.** Each reading is rounded down to the microsecond. An anchor begins with the kernel's time, so nothing adds up: at
//! its end it is off by what the rate is, some millionths of a millisecond; while somebody steers the kernel's clock, by up to 11 us, and by
//! one anchor's share of the steering where that is more. A counter that jumps, stops or changes its pace (a virtual machine that was
//! suspended or moved, a kernel that gave it up) is believed for 2^21 of its ticks, and is ahead by what those should last at most; one that
//! is slower or stands still, until the next turn of the loop. (Other threads, that read only how old sessions of TLS are, have no turns.)
//!
//! **It never goes back** in a thread: where the counter has been ahead, time stands still until the kernel's has come up. Between threads it
//! differs by no more than from the kernel's clock.

#[cfg(target_arch = "x86_64")]
mod anchor;
#[cfg(target_arch = "x86_64")]
mod counter;
#[cfg(all(test, target_arch = "x86_64"))]
mod machine;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tsc;

#[cfg(target_arch = "x86_64")]
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::{Clock, KERNEL_SOURCE};
#[cfg(target_arch = "x86_64")]
use cairn_engine::base::time::Now;
#[cfg(target_arch = "x86_64")]
use counter::Counter;

/// Where the kernel's files are.
#[cfg(target_arch = "x86_64")]
const ROOT: &str = "/";

/// The real clocks. The monotonic one starts near zero when the value is made.
#[derive(Debug)]
pub struct SystemClock {
    start_us: u64,
    /// The choice of the start: whether threads read the counter.
    #[cfg(target_arch = "x86_64")]
    by_counter: bool,
}

#[cfg(target_arch = "x86_64")]
thread_local! {
    static COUNTER: Counter = const { Counter::new() };
}

/// Nanoseconds of the monotonic clock. Asked directly: the checked arithmetic of `Instant` costs more than the reading.
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

/// Whether threads are to read the counter. From here on this one measures it.
#[cfg(target_arch = "x86_64")]
fn start_counter(root: &Path) -> bool {
    let is_trusted = tsc::is_trusted(root);
    if is_trusted {
        COUNTER.with(|counter| counter.ask(tsc::pair(), || is_trusted));
    }
    is_trusted
}

impl SystemClock {
    /// Starts the monotonic clock, by the processor's counter where that can be trusted.
    pub fn new() -> SystemClock {
        SystemClock {
            start_us: monotonic_ns() / 1000,
            #[cfg(target_arch = "x86_64")]
            by_counter: start_counter(Path::new(ROOT)),
        }
    }

    /// By the kernel. Not inlined into what reads the counter, which needs no frame without it.
    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline)]
    fn kernel_us(&self) -> u64 {
        self.since_start(monotonic_ns() / 1000)
    }

    /// A thread's counter may tell of a moment before the kernel's time at the start.
    #[inline]
    fn since_start(&self, us: u64) -> u64 {
        us.saturating_sub(self.start_us)
    }

    /// By the kernel, from which the counter learns.
    #[cfg(target_arch = "x86_64")]
    #[cold]
    #[inline(never)]
    fn ask(&self) -> u64 {
        let is_trusted = || tsc::is_trusted(Path::new(ROOT));
        self.since_start(COUNTER.with(|counter| counter.ask(tsc::pair(), is_trusted)))
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
        #[cfg(target_arch = "x86_64")]
        if self.by_counter {
            return match COUNTER.with(|counter| counter.us(tsc::ticks())) {
                Some(us) => self.since_start(us),
                None => self.ask(),
            };
        }
        self.kernel_us()
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

    /// Asks the kernel for both: once in a turn of the loop the counter is held to it, even one that stands still.
    #[cfg(target_arch = "x86_64")]
    fn now(&self) -> Now {
        let wall_us = self.wall_us();
        let mono_us = match self.by_counter {
            true => self.ask(),
            false => self.kernel_us(),
        };
        Now { wall_us, mono_us }
    }

    fn monotonic_source(&self) -> String {
        #[cfg(target_arch = "x86_64")]
        if let (true, Some(mhz)) = (self.by_counter, COUNTER.with(Counter::mhz)) {
            return format!("X86 TSC @ {mhz} ticks/us");
        }
        KERNEL_SOURCE.into()
    }
}
