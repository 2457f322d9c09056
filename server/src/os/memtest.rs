//! A look at the memory of a process that has crashed: does each word still hold what is written to it?
//!
//! ```text
//!   stop the other threads  ->  for each writable range without a file:
//!                                 keep a piece, write patterns over it, read them back, put the piece back
//! ```
//!
//! Memory that is broken crashes programs in ways that nothing in them explains; one that holds patterns now may still be broken. It is
//! done by the handler of a crash, on its own stack, which is left out. Nothing is allocated once the threads stand still.

use std::sync::atomic::{AtomicBool, Ordering};

use super::clock::monotonic_ms;
use super::line::Line;
use super::report::TRACE_SECONDS;
use super::signals::{set_handler, write_raw};

/// `crash-memcheck-enabled`.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Bytes on either side of here that this thread may be using of its stack.
const STACK: usize = 512 * 1024;
/// Words of a piece; it is kept on the stack meanwhile.
const PIECE: usize = 1024;
/// Ranges that are looked at.
const RANGES_MAX: usize = 1024;
/// Threads that are stopped.
const THREADS_MAX: usize = 256;
/// The look ends after so many milliseconds: somebody waits for the server to be started again.
const TIME_MS: u64 = 10_000;
/// What is written over the memory.
const PATTERNS: [usize; 4] = [0, usize::MAX, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa];

/// Whether the memory is looked at after a crash.
pub fn enable(on: bool) {
    ENABLED.store(on, Ordering::SeqCst);
}

/// Looks at the memory, if that is wanted, and writes what it found.
pub(super) fn run(fd: i32) {
    if !ENABLED.load(Ordering::SeqCst) {
        return;
    }
    // The stack in use is left alone.
    let here = (&raw const fd).addr();
    let spare = here.saturating_sub(STACK)..here.saturating_add(STACK);
    write_raw(fd, b"\n------ FAST MEMORY TEST ------\n");
    // What follows takes locks, which a crash may have left taken.
    // SAFETY: `alarm` may be called in a handler.
    unsafe { libc::alarm(TRACE_SECONDS) };
    // The allocator's thread hears no signals. Its stack goes with it, so this comes before the look at what there is.
    super::alloc::set_background_thread(false);
    let (others, thread_count) = other_threads();
    let mut ranges = [(0, 0); RANGES_MAX];
    let count = find(&mut ranges);
    // SAFETY: as above.
    unsafe { libc::alarm(0) };
    // Nothing is allocated from here on: one of these may hold the allocator's lock.
    stop_threads(&others[..thread_count]);
    let end_ms = monotonic_ms() + TIME_MS;
    let (mut bad, mut tested, mut all) = (0, 0, 0);
    for &(start, end) in &ranges[..count] {
        all += end - start;
        // Before, and behind, what is left alone.
        for (start, end) in [
            (start, end.min(spare.start.max(start))),
            (start.max(spare.end.min(end)), end),
        ] {
            if monotonic_ms() < end_ms {
                // SAFETY: the range was listed as writable memory of this process, the other threads stand still, and what
                // this one uses is outside of it.
                bad += unsafe { test(start, end, end_ms, &mut tested) };
            }
        }
    }
    tell(fd, bad, tested, all);
}

fn tell(fd: i32, bad: usize, tested: usize, all: usize) {
    let mut line = Line::new();
    line.text(b"Fast memory test ");
    if bad == 0 {
        line.text(b"PASSED, however your memory can still be broken. Please run a memory test for several hours if possible.");
    } else {
        line.text(b"FAILED for ");
        line.number(bad as i64);
        line.text(b" words: this machine's memory is broken. Replace it before this server runs here again.");
    }
    line.text(b" (");
    line.number((tested >> 20) as i64);
    line.text(b" MB of ");
    line.number((all >> 20) as i64);
    line.text(b" MB)\n");
    write_raw(fd, line.bytes());
}

/// Finds writable memory without a file, but for stacks.
fn find(ranges: &mut [(usize, usize); RANGES_MAX]) -> usize {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut count = 0;
    for range in text.lines().filter_map(range_of) {
        if count < RANGES_MAX {
            ranges[count] = range;
            count += 1;
        }
    }
    count
}

/// `start-end rw-p offset device inode name`.
fn range_of(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let writable = words.next()? == "rw-p";
    let inode = words.nth(2)?;
    // The heap has a name, and other things in brackets are not ours to write to.
    let ours = matches!(words.next(), None | Some("[heap]"));
    let number = |text| usize::from_str_radix(text, 16).ok();
    (writable && inode == "0" && ours).then_some((number(start)?, number(end)?))
}

/// Answers the number of bad words. `tested` grows by the bytes looked at.
///
/// # Safety
/// The memory is mapped and writable, and nobody else uses it.
unsafe fn test(start: usize, end: usize, end_ms: u64, tested: &mut usize) -> usize {
    let mut kept = [0usize; PIECE];
    let mut bad = 0;
    let mut at = start.next_multiple_of(size_of::<usize>());
    while at + size_of::<usize>() <= end && monotonic_ms() < end_ms {
        let count = PIECE.min((end - at) / size_of::<usize>());
        let words = std::ptr::with_exposed_provenance_mut::<usize>(at);
        // SAFETY: the words lie in the range that the caller vouches for.
        unsafe {
            for (i, kept) in kept[..count].iter_mut().enumerate() {
                *kept = words.add(i).read_volatile();
            }
            for pattern in PATTERNS {
                for i in 0..count {
                    words.add(i).write_volatile(pattern);
                }
                for i in 0..count {
                    bad += usize::from(words.add(i).read_volatile() != pattern);
                }
            }
            for (i, kept) in kept[..count].iter().enumerate() {
                words.add(i).write_volatile(*kept);
            }
        }
        *tested += count * size_of::<usize>();
        at += count * size_of::<usize>();
    }
    bad
}

/// The numbers of the other threads, and how many there are.
fn other_threads() -> ([libc::c_long; THREADS_MAX], usize) {
    let (mut others, mut count) = ([0; THREADS_MAX], 0);
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return (others, count);
    };
    // SAFETY: a question without arguments.
    let own = unsafe { libc::syscall(libc::SYS_gettid) };
    let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    for task in numbers.filter(|task| *task != own).take(THREADS_MAX) {
        others[count] = task;
        count += 1;
    }
    (others, count)
}

/// Sends threads a signal whose handler does not return, and gives them a moment to get there.
fn stop_threads(threads: &[libc::c_long]) {
    let _ = set_handler(libc::SIGUSR2, park as *const () as libc::sighandler_t);
    for thread in threads {
        // SAFETY: numbers only; a thread that is gone is no harm.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), *thread, libc::SIGUSR2) };
    }
    // SAFETY: a number only.
    unsafe { libc::usleep(50_000) };
}

extern "C" fn park(_: libc::c_int) {
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_writable_memory_without_a_file() {
        for (line, range) in [
            ("7f00-7f80 rw-p 00000000 00:00 0", Some((0x7f00, 0x7f80))),
            (
                "1000-2000 rw-p 00000000 00:00 0      [heap]",
                Some((0x1000, 0x2000)),
            ),
            ("1000-2000 rw-p 00000000 00:00 0      [stack]", None),
            ("1000-2000 r--p 00000000 00:00 0", None),
            ("1000-2000 rw-s 00000000 00:00 0", None),
            ("1000-2000 rw-p 00001000 fe:00 4711   /bin/x", None),
            ("", None),
        ] {
            assert_eq!(range_of(line), range, "{line}");
        }
    }

    #[test]
    fn memory_is_as_it_was_afterwards() {
        let mut memory: Vec<u8> = (0..20_000u32).map(|n| n as u8).collect();
        let before = memory.clone();
        let start = memory.as_mut_ptr().expose_provenance();
        let mut tested = 0;
        // SAFETY: the memory is this test's own.
        let bad = unsafe { test(start + 1, start + memory.len() - 1, u64::MAX, &mut tested) };
        assert_eq!(bad, 0);
        assert!(tested > 19_900 && tested <= 20_000, "{tested}");
        assert_eq!(memory, before);
    }
}
