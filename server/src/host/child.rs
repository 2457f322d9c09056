//! A child of the process, and how it and its parent speak.

use std::fmt;
use std::io::Read;

use mio::event::Source;

/// The parent's end of a pipe that a child writes into. It does not block.
pub trait Pipe: Read + Source + fmt::Debug {}

/// What a child tells its parent while it works and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildReport {
    /// Keys written so far.
    pub keys: u64,
    /// Bytes of the finished file; 0 until it is finished.
    pub bytes: u64,
    /// Bytes of memory that the child no longer shares with the parent; 0 where the system cannot tell.
    pub cow: u64,
    /// The highest `cow` reported so far.
    pub cow_peak: u64,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExit {
    /// It left with this code; 0 is success.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// The child's way to its parent.
pub trait ChildLink {
    /// Process id of the child, the one that its parent knows.
    fn pid(&self) -> u32;
    /// Says how many keys are written; cheap, and passed on about once a second.
    fn progress(&mut self, keys: u64);
    /// Says that the work is finished and how large the file is, in bytes.
    fn finished(&mut self, bytes: u64);
}

/// Work for a child: gets the link, answers with the exit code.
pub type ChildJob<'a> = Box<dyn FnOnce(&mut dyn ChildLink) -> u8 + 'a>;

/// A child as the parent sees it.
pub trait Child {
    /// Process id.
    fn pid(&self) -> u32;
    /// Takes in the reports that have come, then says whether it has ended; never waits.
    fn poll(&mut self) -> Option<ChildExit>;
    /// The last report.
    fn report(&self) -> ChildReport;
    /// Asks it to end at once; [`Child::poll`] tells when it has.
    fn kill(&mut self);
    /// Waits for its end.
    fn wait(&mut self) -> ChildExit;
    /// Microseconds that starting it took (`latest_fork_usec`).
    fn fork_us(&self) -> u64;
    /// A descriptor that becomes readable when a report came or the child has ended, where there is one.
    fn news_fd(&self) -> Option<i32> {
        None
    }
}
