//! Registers as runs: reading them, and raising one, which splits a run and joins its neighbours again.

use std::io::Write;
use std::ops::Range;

use super::{HEADER, REGISTERS};
use crate::error::{Damage, FormatError, Result};

/// Longest run of zeros in one byte.
const SHORT_ZEROS: usize = 64;
const VALUE_MAX: u8 = 32;
const VALUES_MAX: usize = 4;
/// Opcodes that a change may have made joinable, counted from the one before it.
const JOIN_SCAN: usize = 5;

/// One run of equal registers.
#[derive(Clone, Copy)]
struct Run {
    value: u8,
    len: usize,
    /// Bytes of the opcode.
    size: usize,
}

/// The run at an offset within the string, which must lie before its end.
fn run_at(bytes: &[u8], at: usize) -> Result<Run> {
    let first = bytes[at];
    let low = usize::from(first & 0x3f);
    Ok(match first >> 6 {
        0 => Run {
            value: 0,
            len: low + 1,
            size: 1,
        },
        1 => {
            let second = bytes.get(at + 1).ok_or_else(|| {
                let what = "a long run of zero registers lacks its second byte";
                FormatError::new(Damage::Encoding, at as u64, what)
            })?;
            Run {
                value: 0,
                len: (low << 8 | usize::from(*second)) + 1,
                size: 2,
            }
        }
        _ => Run {
            value: (first >> 2 & 0x1f) + 1,
            len: usize::from(first & 3) + 1,
            size: 1,
        },
    })
}

/// Shows every run with the registers it covers. They must be 16,384 in all; it stops as soon as there are more.
pub(super) fn walk(bytes: &[u8], mut see: impl FnMut(Range<usize>, u8)) -> Result<()> {
    let (mut at, mut register) = (HEADER, 0);
    while at < bytes.len() {
        let run = run_at(bytes, at)?;
        if register + run.len > REGISTERS {
            return Err(wrong_total(at, "more than"));
        }
        see(register..register + run.len, run.value);
        register += run.len;
        at += run.size;
    }
    if register < REGISTERS {
        return Err(wrong_total(at, "fewer than"));
    }
    Ok(())
}

fn wrong_total(at: usize, how: &str) -> Box<FormatError> {
    let what = format!("the runs cover {how} {REGISTERS} registers");
    FormatError::new(Damage::Encoding, at as u64, what)
}

/// The runs of a sparse one as PFDEBUG DECODE shows them: `z:n` and `Z:n` zeros in one and two bytes, `v:value,n` others.
pub fn describe(bytes: &[u8]) -> Vec<u8> {
    let (mut text, mut at) = (Vec::new(), HEADER);
    while at < bytes.len() {
        let Ok(run) = run_at(bytes, at) else { break };
        if !text.is_empty() {
            text.push(b' ');
        }
        let Run { value, len, size } = run;
        let written = match (value, size) {
            (0, 1) => write!(text, "z:{len}"),
            (0, _) => write!(text, "Z:{len}"),
            _ => write!(text, "v:{value},{len}"),
        };
        written.expect("a vector takes every byte");
        at += size;
    }
    text
}

/// Appends a run of zeros in the shorter of its two forms.
pub(super) fn push_zeros(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len <= REGISTERS, "fourteen bits");
    if len > SHORT_ZEROS {
        out.extend([0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]);
    } else if len > 0 {
        out.push((len - 1) as u8);
    }
}

fn values(value: u8, len: usize) -> u8 {
    debug_assert!((1..=VALUE_MAX).contains(&value) && (1..=VALUES_MAX).contains(&len));
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// What became of a register.
pub(super) enum Raised {
    /// It has the value now.
    Changed,
    /// It had that value or a higher one.
    Same,
    /// Runs cannot hold it; nothing was changed.
    TooLarge,
}

/// Gives a register this value if it is higher, keeping the string within `bytes_max` bytes if it has to grow.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    register: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Raised> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let Found {
        before,
        at,
        first,
        run,
    } = find(bytes, register)?;
    if run.value >= value {
        return Ok(Raised::Same);
    }
    // What the run becomes: what lay before the register, the register, what lay behind it. Never more than five bytes.
    let mut parts = Vec::with_capacity(5);
    let (left, right) = (register - first, first + run.len - 1 - register);
    let part = |parts: &mut Vec<u8>, len: usize| match run.value {
        0 => push_zeros(parts, len),
        old if len > 0 => parts.push(values(old, len)),
        _ => {}
    };
    part(&mut parts, left);
    parts.push(values(value, 1));
    part(&mut parts, right);
    if parts.len() > run.size && bytes.len() + parts.len() - run.size > bytes_max {
        return Ok(Raised::TooLarge);
    }
    debug_assert!(
        (1..=5).contains(&parts.len()),
        "two long runs and a value at most"
    );
    debug_assert!(
        (first..first + run.len).contains(&register),
        "the run covers the register"
    );
    bytes.splice(at..at + run.size, parts);
    join(bytes, before.unwrap_or(HEADER));
    Ok(Raised::Changed)
}

/// A run and where it lies.
struct Found {
    /// Offset of the run before it.
    before: Option<usize>,
    at: usize,
    /// The first register it covers.
    first: usize,
    run: Run,
}

fn find(bytes: &[u8], register: usize) -> Result<Found> {
    let (mut before, mut at, mut first) = (None, HEADER, 0);
    while at < bytes.len() {
        let run = run_at(bytes, at)?;
        if register < first + run.len {
            return Ok(Found {
                before,
                at,
                first,
                run,
            });
        }
        before = Some(at);
        at += run.size;
        first += run.len;
    }
    Err(wrong_total(at, "fewer than"))
}

/// Joins neighbours of equal value from an opcode on, over as many opcodes as a change can have touched. As in Redis the
/// length of the joined run counts, so a run of three may stay beside one of two.
fn join(bytes: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..JOIN_SCAN {
        let Some(run) = bytes.get(at).and_then(|_| run_at(bytes, at).ok()) else {
            return;
        };
        if run.value > 0
            && let Some(next) = bytes.get(at + 1).and_then(|_| run_at(bytes, at + 1).ok())
            && next.value == run.value
            && run.len + next.len <= VALUES_MAX
        {
            bytes[at + 1] = values(run.value, run.len + next.len);
            bytes.remove(at);
            continue;
        }
        at += run.size;
    }
}
