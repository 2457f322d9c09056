//! The operating system: the only room of the server that calls it directly.
//!
//! Everything unsafe and everything that is only on Linux lives here, behind safe functions with a portable
//! answer for the other systems. The rooms above see the traits of [`crate::host`].

pub mod affinity;
pub mod alloc;
pub mod clock;
pub mod collate;
pub mod crash;
pub mod daemon;
mod dial;
pub mod disk;
pub mod fork;
pub mod guise;
mod line;
mod listen;
pub mod localtime;
pub mod memtest;
mod oom;
mod patience;
pub mod poll;
pub mod process;
mod report;
pub mod running;
pub mod signals;
pub mod supervisor;
pub mod syslog;
pub mod system_check;
mod title;
mod watchdog;

use std::any::Any;
use std::fs::File;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::host::{
    Acceptor, Child, ChildGuise, ChildJob, Clock, Dialing, Disk, Enter, Host, Interrupt, Line,
    ListenPlan, Logger, Pipe, Process, Slabs, Stream, ThreadWorker, Worker,
};

use affinity::Processors;
use guise::SystemProcess;

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

/// Standard output beside the standard library: without its lock, and not closed with the value.
pub struct StandardOutput(ManuallyDrop<File>);

impl StandardOutput {
    /// Writes all bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.0).write_all(bytes)
    }
}

/// Standard output, wherever it leads to at the time of each write.
pub fn standard_output() -> StandardOutput {
    // SAFETY: the descriptor is never closed by us, neither here (`ManuallyDrop`) nor elsewhere.
    StandardOutput(ManuallyDrop::new(unsafe { File::from_raw_fd(1) }))
}

/// A thread whose allocations are counted.
fn worker(name: &'static str, cpus: Option<Processors>) -> Box<dyn Worker> {
    let enter = move || -> Box<dyn Any> {
        // Where it cannot be, it is where the system puts it; the start has warned.
        let _ = cpus.map(|cpus| cpus.take_this_thread());
        Box::new(alloc::register_thread())
    };
    Box::new(ThreadWorker::new(name, enter))
}

/// The world as it is: the system's clocks, disk, sockets and threads, and children by fork.
pub struct SystemHost {
    clock: Arc<dyn Clock>,
    disk: Arc<disk::SystemDisk>,
    process: SystemProcess,
}

impl SystemHost {
    /// Starts the monotonic clock. The process stays as it is.
    pub fn new() -> SystemHost {
        let clock = Arc::new(clock::SystemClock::new());
        SystemHost::of(clock, SystemProcess::default(), None)
    }

    /// The host of a process with its clock, and threads on these processors.
    pub fn of(
        clock: Arc<dyn Clock>,
        process: SystemProcess,
        worker_cpus: Option<Processors>,
    ) -> SystemHost {
        SystemHost {
            clock,
            disk: Arc::new(disk::SystemDisk { worker_cpus }),
            process,
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

    fn fork(&self, guise: &ChildGuise, job: ChildJob<'_>) -> io::Result<Box<dyn Child>> {
        let dressed: ChildJob<'_> = Box::new(move |link| {
            self.process.wear(guise);
            job(link)
        });
        Ok(Box::new(fork::spawn_child(&[], dressed)?))
    }

    fn pipe(&self) -> io::Result<(Box<dyn Pipe>, Box<dyn Write>)> {
        fork::data_pipe()
    }

    fn process(&self) -> &dyn Process {
        &self.process
    }

    fn worker(&self, name: &'static str) -> Box<dyn Worker> {
        self.disk.worker(name)
    }

    fn entry(&self) -> Enter {
        Arc::new(|| {
            patience::set(true);
            Box::new(alloc::register_thread())
        })
    }

    fn listen(
        &self,
        plan: &ListenPlan,
        logger: &dyn Logger,
    ) -> Result<Vec<Box<dyn Acceptor>>, String> {
        listen::open(plan, logger)
    }

    fn dial(&self, to: &Dialing<'_>) -> io::Result<Box<dyn Line>> {
        dial::dial(to)
    }

    fn connect(&self, to: &Dialing<'_>) -> io::Result<Stream> {
        dial::connect(to).map(Stream::Tcp)
    }

    fn used_memory(&self) -> u64 {
        alloc::used_memory()
    }

    fn resident_memory(&self) -> u64 {
        process::resident_bytes()
    }

    fn slabs(&self) -> Option<&dyn Slabs> {
        alloc::OwnSlabs::of_this_thread().map(|slabs| slabs as &dyn Slabs)
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
