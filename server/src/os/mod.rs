//! The operating system: the only room of the server that calls it directly.
//!
//! Everything unsafe and everything that is only on Linux lives here, behind safe functions with a portable
//! answer for the other systems. The rooms above see the traits of [`crate::host`].

pub mod alloc;
pub mod clock;
pub mod crash;
mod dial;
pub mod disk;
pub mod fork;
mod line;
mod listen;
pub mod localtime;
pub mod poll;
pub mod process;
pub mod running;
pub mod signals;

use std::any::Any;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::host::{
    Acceptor, Child, ChildJob, Clock, Disk, Host, Interrupt, Line, ListenPlan, Logger,
    ThreadWorker, Worker,
};

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

/// A thread whose allocations are counted.
fn worker(name: &'static str) -> Box<dyn Worker> {
    fn enter() -> Box<dyn Any> {
        Box::new(alloc::register_thread())
    }
    Box::new(ThreadWorker::new(name, enter))
}

/// The world as it is: the system's clocks, disk, sockets and threads, and children by fork.
pub struct SystemHost {
    clock: Arc<dyn Clock>,
    disk: Arc<disk::SystemDisk>,
}

impl SystemHost {
    /// Starts the monotonic clock.
    pub fn new() -> SystemHost {
        SystemHost {
            clock: Arc::new(clock::SystemClock::new()),
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
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    fn fork(&self, job: ChildJob<'_>) -> io::Result<Box<dyn Child>> {
        Ok(Box::new(fork::spawn_child(&[], job)?))
    }

    fn worker(&self, name: &'static str) -> Box<dyn Worker> {
        worker(name)
    }

    fn listen(
        &self,
        plan: &ListenPlan,
        logger: &dyn Logger,
    ) -> Result<Vec<Box<dyn Acceptor>>, String> {
        listen::open(plan, logger)
    }

    fn dial(&self, host: &str, port: u16, timeout: Duration) -> io::Result<Box<dyn Line>> {
        dial::dial(host, port, timeout)
    }

    fn used_memory(&self) -> u64 {
        alloc::used_memory()
    }

    fn resident_memory(&self) -> u64 {
        process::resident_bytes()
    }

    fn interrupt(&self) -> Option<Interrupt> {
        signals::requested()
    }

    fn forget_interrupt(&self) -> bool {
        signals::abort()
    }

    fn enter_folder(&self, folder: &Path) -> io::Result<PathBuf> {
        std::env::set_current_dir(folder)?;
        std::env::current_dir()
    }

    fn random(&self, bytes: &mut [u8]) {
        process::random(bytes);
    }

    fn pid(&self) -> u32 {
        process::pid()
    }
}
