//! The real clocks, beside the kernel's; what a machine might do to the counter is in `machine`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// Through both phases, the one in which the rate is measured and the one after it.
const BOTH_PHASES_US: u64 = 200_000;

#[test]
fn monotonic_time_rises_and_wall_time_is_of_this_century() {
    let clock = SystemClock::new();
    let first = clock.monotonic_us();
    std::thread::sleep(Duration::from_millis(2));
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

/// Between a reading of the kernel's clock before and one after, however long the thread was away.
#[test]
fn it_agrees_with_the_clock_of_the_kernel_from_the_first_reading_on() {
    const OFF_US: u64 = 20;
    let clock = SystemClock::new();
    let (mut readings, mut latest) = (0, 0);
    while latest < BOTH_PHASES_US {
        let before = clock.kernel_us();
        let us = match readings % 64 {
            63 => clock.now().mono_us,
            _ => clock.monotonic_us(),
        };
        let after = clock.kernel_us();
        assert!(us + OFF_US >= before, "{us} is before {before}");
        assert!(us <= after + OFF_US, "{us} is after {after}");
        (readings, latest) = (readings + 1, us);
    }
    assert!(readings > 1000, "{readings} readings");
}

#[test]
fn it_never_goes_back_in_a_thread() {
    let clock = SystemClock::new();
    let (mut readings, mut latest) = (0, 0);
    while readings < 1_000_000 || latest < BOTH_PHASES_US {
        let us = clock.monotonic_us();
        assert!(us >= latest, "reading {readings}: {us} behind {latest}");
        (readings, latest) = (readings + 1, us);
    }
}

/// The thread's counter may be behind the kernel's time at which the clock was made.
#[test]
fn a_clock_that_is_made_while_the_counter_is_used_starts_near_zero() {
    const MINUTE_US: u64 = 60_000_000;
    let clock = SystemClock::new();
    while clock.monotonic_us() < BOTH_PHASES_US {
        let mut late = SystemClock::new();
        late.start_us = monotonic_ns() / 1000;
        assert!(late.monotonic_us() < MINUTE_US);
    }
}

#[test]
fn threads_that_read_and_ask_at_the_same_time_see_one_clock() {
    const THREADS: u64 = 4;
    /// What the counter may be off, and the microsecond that is cut off.
    const OFF_US: u64 = 2;
    let (clock, begin, seen) = (
        SystemClock::new(),
        Barrier::new(THREADS as usize),
        AtomicU64::new(0),
    );
    let run = |thread: u64| {
        begin.wait();
        let (mut readings, mut latest) = (thread, 0);
        while latest < BOTH_PHASES_US {
            let others = seen.load(Ordering::Acquire);
            let us = match readings % 16 {
                0 => clock.now().mono_us,
                _ => clock.monotonic_us(),
            };
            assert!(us >= latest, "{us} behind {latest}");
            assert!(us + OFF_US >= others, "{us} behind the others' {others}");
            seen.fetch_max(us, Ordering::AcqRel);
            (readings, latest) = (readings + 1, us);
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || run(thread));
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_counter_is_used_where_the_kernel_uses_it_and_only_there() {
    let root = tempfile::tempdir().unwrap();
    assert!(!start_counter(root.path()), "no such file");
    let file = root.path().join(crate::os::system_check::CLOCK);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for source in [
        "",
        "\n",
        "hpet\n",
        "acpi_pm\n",
        "kvm-clock\n",
        "tsc-early\n",
    ] {
        std::fs::write(&file, source).unwrap();
        assert!(!start_counter(root.path()), "{source:?}");
    }
    let mut clock = SystemClock::new();
    assert_eq!(clock.monotonic_source(), KERNEL_SOURCE, "not measured yet");
    std::thread::sleep(Duration::from_millis(60));
    clock.monotonic_us();
    let by_counter = clock.monotonic_source().starts_with("X86 TSC @ ");
    assert_eq!(by_counter, tsc::is_trusted(Path::new(ROOT)));
    clock.by_counter = false;
    assert_eq!(clock.monotonic_source(), KERNEL_SOURCE);
    let before = clock.kernel_us();
    let us = clock.monotonic_us();
    assert!((before..=clock.kernel_us()).contains(&us), "by the kernel");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_turn_asks_the_kernel_even_if_the_counter_stands_still() {
    let clock = SystemClock::new();
    let begun = clock.monotonic_us();
    COUNTER.with(|counter| counter.stop(tsc::ticks()));
    while clock.kernel_us() < begun + 200 {}
    assert!(clock.now().mono_us >= begun + 200);
}
