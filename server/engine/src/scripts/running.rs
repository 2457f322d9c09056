//! The script that runs right now, as others may learn of it.

use std::ffi::CStr;

use crate::base::time::Now;

/// Which kind of program runs: it decides which command may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// EVAL and its kin.
    Script,
    /// FCALL.
    Function,
}

impl Sort {
    /// What the programs of this sort are called in errors of Lua; a `@` stands before it.
    pub const fn chunk(self) -> &'static CStr {
        match self {
            Sort::Script => c"@user_script",
            Sort::Function => c"@user_function",
        }
    }
}

/// What is known of it.
#[derive(Debug)]
pub struct Running {
    /// Script or function.
    pub sort: Sort,
    /// Both clocks at its start: for the script time stands still.
    pub started: Now,
    /// It has called a command that writes.
    pub wrote: bool,
    /// Somebody has asked for its end.
    pub killed: bool,
    /// It came in the stream of a primary or out of a log.
    pub applied: bool,
    /// It runs longer than `busy-reply-threshold`: others are served, and told so.
    pub slow: Option<Slow>,
}

/// What others see of a script that runs for long.
#[derive(Debug)]
pub struct Slow {
    /// SHA-1 of the script, or name of the function.
    pub name: Vec<u8>,
    /// The command that called it.
    pub command: Vec<Vec<u8>>,
}
