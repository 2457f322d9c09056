//! Scripts and functions as data: what was compiled, in which machine, under which name. It runs nothing but the loading of a library;
//! running on behalf of a client is the work of [`crate::scripting`].
//!
//! ```text
//! cache      EVAL: programs by the SHA-1 of their text, the oldest of them forgotten
//! libraries  FUNCTION: libraries by name, functions by name, the payload of DUMP
//! register   what a library may do while it is loaded
//! api        the table `redis`
//! shebang    the line `#!lua ...`          flags   what a program asks for
//! running    the one that runs right now
//! ```

pub mod api;
pub mod cache;
pub mod flags;
pub mod libraries;
mod register;
pub mod running;
pub mod shebang;

use cairn_lua::Machine;

/// Bytes from which on a machine is swept at the end of a run: what large values leave behind would stay for as long again.
const SWEPT_FROM: usize = 32 << 20;

/// Sweeps a machine after a run that left much behind: at least as much again as there was after the last sweep, which `kept`
/// remembers. Answers what it holds.
fn sweep(machine: &mut Machine, kept: &mut usize) -> usize {
    if machine.used() >= SWEPT_FROM.max(*kept * 2) {
        machine.collect_all();
        *kept = machine.used();
    }
    machine.used()
}
