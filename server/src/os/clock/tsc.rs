//! The time stamp counter of x86 processors, and whether it can be trusted.

use std::arch::x86_64::{__cpuid, _rdtsc};
use std::path::Path;

use super::anchor::parts_of_ns;
use super::counter::Pair;
use super::monotonic_ns;
use crate::os::system_check::CLOCK;

/// Readings of a pair until one is narrow enough; the narrowest is taken otherwise.
const TRIES: usize = 4;
/// Ticks: about a microsecond.
const NARROW: u64 = 1 << 12;

/// The counter, as of about now: the processor may read it a little before what stands in front, or behind what follows.
#[inline]
pub(super) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it unless they have asked it not to (`PR_SET_TSC`).
    unsafe { _rdtsc() }
}

/// The kernel's time and the counter.
pub(super) fn pair() -> Pair {
    let mut best = read_pair();
    for _ in 1..TRIES {
        if best.width <= NARROW {
            break;
        }
        let next = read_pair();
        if next.width < best.width {
            best = next;
        }
    }
    best
}

fn read_pair() -> Pair {
    let before = ticks();
    let now_ns = monotonic_ns();
    let after = ticks();
    Pair {
        ticks: after,
        width: after.saturating_sub(before),
        parts: parts_of_ns(now_ns),
    }
}

/// Whether the kernel tells time by the counter, as things are now, and the processor promises that it goes on evenly.
pub(super) fn is_trusted(root: &Path) -> bool {
    let source = std::fs::read_to_string(root.join(CLOCK));
    source.is_ok_and(|name| name.trim() == "tsc") && is_invariant()
}

/// Whether the counter has one pace in all states of the processor.
fn is_invariant() -> bool {
    const EXTENDED: u32 = 0x8000_0000;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    __cpuid(EXTENDED).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0
}
