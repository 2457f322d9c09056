//! How the process looks to the system, and what it tells whoever started it, and what it takes.

use std::fmt;

/// The score by which the kernel picks whom to end when memory is out, -1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomScore {
    /// As it was at the start.
    AsStarted,
    /// So much more than at the start.
    Relative(i64),
    /// This.
    Absolute(i64),
}

/// What a child is to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildGuise {
    /// What lists of processes show it as; `None` leaves what they show.
    pub title: Option<String>,
    /// Its score.
    pub oom_score: OomScore,
    /// Processors that it may run on, as the configuration lists them; empty leaves it to the system.
    pub cpus: String,
}

impl ChildGuise {
    /// A child that looks as its parent does.
    pub const PLAIN: ChildGuise = ChildGuise {
        title: None,
        oom_score: OomScore::AsStarted,
        cpus: String::new(),
    };
}

/// A point of the process's life that whoever started it may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// It listens, and will load its data.
    Initialized,
    /// It serves. (A replica will be ready when it has the data of its primary, and say meanwhile what it waits for.)
    Ready,
    /// It is about to end.
    Stopping,
    /// It could not end after all.
    Staying,
}

impl fmt::Display for Milestone {
    /// The line for the person who looks at the service.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Milestone::Initialized => "Loading the data...",
            Milestone::Ready => "Ready to accept connections",
            Milestone::Stopping => "Shutting down...",
            Milestone::Staying => "Could not shut down, still serving",
        })
    }
}

/// Seconds of processor time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CpuTimes {
    /// In the system, by this process.
    pub system: f64,
    /// In its own code.
    pub user: f64,
    /// In the system, by children that have ended.
    pub system_children: f64,
    /// In the code of children that have ended.
    pub user_children: f64,
}

/// What the allocator says of itself, in bytes: the `allocator_*` fields of INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllocatorStats {
    /// Bytes in blocks handed out.
    pub allocated: u64,
    /// Bytes in pages that hold at least one such block.
    pub active: u64,
    /// Bytes that the allocator keeps mapped in memory.
    pub resident: u64,
    /// Bytes of address space held back for later.
    pub retained: u64,
    /// Bytes the allocator needs for itself.
    pub metadata: u64,
}

/// The process of an instance.
pub trait Process {
    /// The name that it was started by.
    fn program(&self) -> &str;
    /// Shows this where processes are listed.
    fn set_title(&self, title: &str);
    /// Sets the score.
    ///
    /// # Errors
    /// Why the system does not allow it.
    fn set_oom_score(&self, score: OomScore) -> Result<(), String>;
    /// Tells whoever started the process.
    ///
    /// # Errors
    /// Why that one cannot be told. Nothing depends on it.
    fn reached(&self, milestone: Milestone) -> Result<(), String>;
    /// What it has used of the processors.
    fn cpu_times(&self) -> CpuTimes;
    /// From now on the calling thread does not interrupt others when it is woken, or it does again: with many who hand work to each
    /// other, each then finds more of it at once.
    fn set_patient(&self, _patient: bool) {}
    /// What one of its threads has used of the processors, microseconds; 0 where nobody knows.
    fn thread_cpu_us(&self, _thread: u64) -> u64 {
        0
    }
    /// The allocator's own view of its memory; `None` where it keeps no statistics. Slow: only for INFO and MEMORY.
    fn allocator_stats(&self) -> Option<AllocatorStats>;
    /// From now on something is wrong if this is not called again within so many milliseconds; 0 ends the watch.
    fn watch(&self, period_ms: u64);
}
