//! The operating system: the only room of the server that calls it directly.
//!
//! Everything unsafe and everything that is only on Linux lives here, behind safe functions with a portable
//! answer for the other systems. The rooms above see the traits of [`crate::host`].

pub mod alloc;
pub mod clock;
pub mod crash;
pub mod disk;
pub mod fork;
pub mod localtime;
pub mod marks;
pub mod process;
pub mod running;
pub mod signals;

use std::io::{self, Write};
use std::sync::Arc;

use crate::host::{Child, ChildJob, Clock, Disk, Host};

/// The system's words for an error, without Rust's `(os error 98)` behind them, as Redis's log lines have them.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_string(),
        _ => text,
    }
}

/// Writes a line to standard error; where nobody reads it, it is lost.
pub fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes text to standard output; where nobody reads it, it is lost.
pub fn print(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The world as it is: the system's clocks and disk, and children by fork.
pub struct SystemHost {
    clock: clock::SystemClock,
    disk: Arc<disk::SystemDisk>,
}

impl SystemHost {
    /// Starts the monotonic clock.
    pub fn new() -> SystemHost {
        SystemHost {
            clock: clock::SystemClock::new(),
            disk: Arc::new(disk::SystemDisk),
        }
    }
}

impl Default for SystemHost {
    fn default() -> Self {
        SystemHost::new()
    }
}

impl Host for SystemHost {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    fn fork(&self, job: ChildJob<'_>) -> io::Result<Box<dyn Child>> {
        Ok(Box::new(fork::spawn_child(&[], job)?))
    }

    fn random(&self, bytes: &mut [u8]) {
        process::random(bytes);
    }

    fn pid(&self) -> u32 {
        process::pid()
    }
}
