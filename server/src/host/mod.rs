//! What the server asks of the world: clocks, a disk, sockets and the poll that watches them, threads, children, signals.
//!
//! The rooms above talk to these traits only. `os` has the real ones; [`faulty`] has a disk that loses what was
//! not synced, so that durability is tested where it can fail; the simulator has all of them without a system beneath.
//!
//! | file | what |
//! |---|---|
//! | `disk`, `faulty` | files; a disk that is worse than real ones |
//! | `child` | processes that save |
//! | `process` | how the process looks from outside, and who started it |
//! | `slabs` | small blocks of memory, which can be moved together |
//! | `worker` | threads that do one job after the other |
//! | `socket`, `poll` | connections, what is listened on, who is ready |

pub mod child;
pub mod disk;
pub mod faulty;
pub mod poll;
pub mod process;
pub mod slabs;
pub mod socket;
pub mod worker;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::base::time::Now;

pub use child::{Child, ChildExit, ChildJob, ChildLink, ChildReport, Pipe};
pub use disk::{Disk, DiskFile, Held, SyncHandle, folder_of, read_all, replace_file, write_synced};
pub use poll::{Poller, Readiness};
pub use process::{AllocatorStats, ChildGuise, CpuTimes, Milestone, OomScore, Process};
pub use slabs::Slabs;
pub use socket::{
    Acceptor, Address, Departure, ListenPlan, Movable, Outlet, Shake, Socket, Stream, Traveller,
};
pub use worker::{Enter, Job, JobQueues, ThreadWorker, Worker};

/// How loud a line of the log is, in Redis's four levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `.` in the log.
    Debug,
    /// `-` in the log.
    Verbose,
    /// `*` in the log.
    Notice,
    /// `#` in the log.
    Warning,
}

/// Where the lower floors say what happened; the log of the server is one, a vector in tests another.
pub trait Logger {
    /// Takes one line without its line end.
    fn log(&self, level: Level, line: &str);
}

/// The clock that every system has, as `monotonic_clock` of INFO calls it.
pub const KERNEL_SOURCE: &str = "POSIX clock_gettime";

/// Two clocks, one that never goes back and one that people set, and what the calling thread has used.
pub trait Clock: Send + Sync {
    /// Microseconds since an arbitrary start; never goes back.
    fn monotonic_us(&self) -> u64;
    /// Microseconds since 1970 of the wall clock.
    fn wall_us(&self) -> i64;
    /// Microseconds of processor time that the calling thread has had, those in the system included. A system call.
    fn thread_cpu_us(&self) -> u64;
    /// Both clocks at once.
    fn now(&self) -> Now {
        Now {
            wall_us: self.wall_us(),
            mono_us: self.monotonic_us(),
        }
    }
    /// What tells the monotonic time, in Redis's words.
    fn monotonic_source(&self) -> String {
        KERNEL_SOURCE.into()
    }
    /// Milliseconds since 1970 of the wall clock.
    fn wall_ms(&self) -> i64 {
        self.wall_us().div_euclid(1000)
    }
}

/// Which signal asked the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Sigint,
    /// The polite request.
    Sigterm,
}

/// A connection to another server, used while the loop waits.
pub trait Line: Read + Write + std::fmt::Debug {
    /// A read that takes longer ends with an error.
    fn set_read_timeout(&mut self, after: Duration) -> io::Result<()>;
    /// A write that takes longer ends with an error.
    fn set_write_timeout(&mut self, after: Duration) -> io::Result<()>;
}

/// Whom to connect to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Dialing<'a> {
    /// Name or address of the machine.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The address of this machine that the connection is made from (`bind-source-addr`). The empty one, and one that this
    /// machine cannot connect from, leaves it to the system, as Redis does.
    pub from: &'a str,
    /// How long each address of the name is tried.
    pub timeout: Duration,
}

/// The world of one running instance.
pub trait Host {
    /// The clocks.
    fn clock(&self) -> &Arc<dyn Clock>;
    /// Waits; nothing else of the server goes on meanwhile.
    fn sleep(&self, time: Duration);
    /// The disk.
    fn disk(&self) -> Arc<dyn Disk>;
    /// Starts a child that shares the memory as it is now, looks as `guise` says and runs `job`.
    fn fork(&self, guise: &ChildGuise, job: ChildJob<'_>) -> io::Result<Box<dyn Child>>;
    /// A pipe from a child that is yet to be forked: the end that is read here, and the one that its job takes along and writes
    /// into, which waits where the pipe is full.
    fn pipe(&self) -> io::Result<(Box<dyn Pipe>, Box<dyn Write>)>;
    /// The process as others see it.
    fn process(&self) -> &dyn Process;
    /// A thread for jobs without order among those of other threads. `name` is for those who look at the process.
    fn worker(&self, name: &'static str) -> Box<dyn Worker>;
    /// What a thread does first that reads and writes sockets.
    fn entry(&self) -> Enter {
        Arc::new(|| Box::new(()))
    }
    /// Opens what is to be listened on. An address that this machine does not have is passed over when its word begins
    /// with `-`.
    ///
    /// # Errors
    /// The line to end with; what led to it was logged, both as Redis words them.
    fn listen(
        &self,
        plan: &ListenPlan,
        logger: &dyn Logger,
    ) -> Result<Vec<Box<dyn Acceptor>>, String>;
    /// Connects to another server.
    ///
    /// # Errors
    /// The last address's; `TimedOut` where nobody answered.
    fn dial(&self, to: &Dialing<'_>) -> io::Result<Box<dyn Line>>;
    /// Begins to connect to another server, and does not wait for it: what is written is sent when the connection is there, and a
    /// read fails if it will not be. The timeout does not matter; a name is looked up meanwhile.
    ///
    /// # Errors
    /// The name is unknown, or the system refuses at once.
    fn connect(&self, to: &Dialing<'_>) -> io::Result<Stream>;
    /// Bytes of memory that the process has allocated: `used_memory` of INFO.
    fn used_memory(&self) -> u64;
    /// Bytes of memory that the system has given to the process.
    fn resident_memory(&self) -> u64;
    /// The allocator's slabs; none where blocks cannot be moved together.
    fn slabs(&self) -> Option<&dyn Slabs> {
        None
    }
    /// The signal that asked for the end, if one has.
    fn interrupt(&self) -> Option<Interrupt>;
    /// Takes the signal's wish back; false if there was none.
    fn forget_interrupt(&self) -> bool;
    /// Makes a folder the one that relative names start at; answers its real name.
    fn enter_folder(&self, folder: &Path) -> io::Result<PathBuf>;
    /// Fills `bytes` with unpredictable ones, for seeds and ids.
    fn random(&self, bytes: &mut [u8]);
    /// Process id of the server.
    fn pid(&self) -> u32;
    /// Joins a name to the folder that data is kept in, as `CONFIG SET dir` sets it.
    fn data_path(&self, name: &Path) -> PathBuf {
        name.to_path_buf()
    }
}
