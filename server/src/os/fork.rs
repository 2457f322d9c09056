//! A child that shares the memory as it was at the moment of the fork.
//!
//! ```text
//!   parent                          child
//!     | block signals                 | handlers back to default, signals unblocked
//!     | libc::fork ------------------>| sockets closed
//!     | unblock                       | job(link), panics caught
//!     |<-- pipe: 24-byte reports -----| progress about once a second, the last with the size
//!     | waitpid, never waiting        | _exit
//! ```
//!
//! `libc::fork` and not the raw system call: it runs jemalloc's at-fork handlers, without which the child could
//! find the allocator locked by a thread that does not exist there. Signals stay blocked until the child has its own
//! handlers: the parent's would write into the pipe that both share, and the parent would shut down on a signal
//! meant for the child. `_exit`, because the parent's destructors and buffers are not the child's to run.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use mio::unix::pipe::{self, Receiver};

use super::signals::{set_handler, write_raw};
use crate::host::{Child, ChildExit, ChildJob, ChildLink, ChildReport, Pipe};

/// Keys, bytes and copied memory, 8 bytes each in the machine's order. Far below PIPE_BUF: a report is never torn.
const REPORT_SIZE: usize = 24;
/// The clock is looked at after so many keys.
const KEYS_PER_LOOK: u64 = 128;
/// Time between two reports; the memory is also not measured for more than a hundredth of the time.
const REPORT_EVERY: Duration = Duration::from_secs(1);
const MEASURE_SHARE: u32 = 100;
/// Code of a child whose job panicked.
const PANICKED: u8 = 101;
/// What is added to the nice value of the parent: a third of its share where both want one processor, and no less where there is another.
const NICER: libc::c_int = 5;

/// Bytes that are in the pipe of a child's data at most: few changes between the two.
const PIPE_BYTES: libc::c_int = 1 << 20;

impl Pipe for Receiver {}

/// See [`crate::host::Host::pipe`].
pub fn data_pipe() -> io::Result<(Box<dyn Pipe>, Box<dyn Write>)> {
    let (sender, receiver) = pipe::new()?;
    sender.set_nonblocking(false)?;
    receiver.set_nonblocking(true)?;
    // SAFETY: the descriptor is open, and the call touches no memory. Where the system does not allow it, the pipe is smaller.
    unsafe { libc::fcntl(receiver.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
    Ok((Box::new(receiver), Box::new(sender)))
}

/// A child of [`spawn_child`].
#[derive(Debug)]
pub struct ForkedChild {
    pid: libc::pid_t,
    reports: Receiver,
    last: ChildReport,
    exit: Option<ChildExit>,
    fork_us: u64,
}

/// Forks; the child runs `job` with its signals and sockets reset and leaves with the job's code, or 101 when the
/// job panicked. Sockets in `keep` stay open in the child; files always do.
pub fn spawn_child(keep: &[RawFd], job: ChildJob<'_>) -> io::Result<ForkedChild> {
    let (sender, receiver) = pipe::new()?;
    sender.set_nonblocking(true)?;
    receiver.set_nonblocking(true)?;
    let before = Instant::now();
    let signals = block_signals();
    // SAFETY: asks for a number.
    let parent = unsafe { libc::getpid() };
    // SAFETY: the child runs only the job, which takes no lock shared with threads, and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        reset_signals();
        restore_signals(&signals);
        let report = sender.into_raw_fd();
        drop(receiver);
        close_sockets(keep);
        die_with(parent);
        stand_back();
        run(job, report);
    }
    let error = io::Error::last_os_error();
    restore_signals(&signals);
    if pid < 0 {
        return Err(error);
    }
    assert_ne!(pid, 0, "the child lives on as its parent");
    let fork_us = before.elapsed().as_micros() as u64;
    Ok(ForkedChild {
        pid,
        reports: receiver,
        last: ChildReport::default(),
        exit: None,
        fork_us,
    })
}

/// The child's life.
fn run(job: ChildJob<'_>, report: RawFd) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| {
        let mut link = Link::new(report);
        job(&mut link)
    }));
    // SAFETY: ends the process without running what belongs to the parent.
    unsafe { libc::_exit(i32::from(code.unwrap_or(PANICKED))) }
}

/// A child whose parent is gone works for nobody.
fn die_with(parent: libc::pid_t) {
    // SAFETY: neither call touches memory; `_exit` ends the process without running what belongs to the parent.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have gone before that.
        if libc::getppid() != parent {
            libc::_exit(1);
        }
    }
}

/// Clients wait for the parent and nobody for the child: where both want one processor the parent goes first.
fn stand_back() {
    // SAFETY: touches no memory. A system that refuses lets both have the same share.
    unsafe { libc::nice(NICER) };
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are ours; all zero bytes are a valid set.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

/// Default actions for everything the parent handles. Ctrl-C goes to the whole group of processes: what becomes of
/// the child then is for the parent to say.
fn reset_signals() {
    super::crash::enter_child();
    for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGHUP, libc::SIGCHLD] {
        // Fails only for signals that do not exist.
        let _ = set_handler(signal, libc::SIG_DFL);
    }
    let _ = set_handler(libc::SIGINT, libc::SIG_IGN);
}

/// Closes listeners and clients: a port must be free again and a peer must see its connection end when the parent
/// closes them, however long the child lives.
fn close_sockets(keep: &[RawFd]) {
    for fd in open_descriptors() {
        if fd > 2 && !keep.contains(&fd) && is_socket(fd) {
            // SAFETY: the copies of the parent's sockets are never used in the child, which also never drops them.
            unsafe { libc::close(fd) };
        }
    }
}

fn is_socket(fd: RawFd) -> bool {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the structure is ours; all zero bytes are a valid one.
    let status = unsafe {
        if libc::fstat(fd, status.as_mut_ptr()) != 0 {
            return false;
        }
        status.assume_init()
    };
    status.st_mode & libc::S_IFMT == libc::S_IFSOCK
}

/// The descriptors that are open, or where the system does not list them, all that might be.
fn open_descriptors() -> Vec<RawFd> {
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        let names =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok());
        return names.collect();
    }
    // SAFETY: a question without arguments.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    (0..limit.clamp(0, 65_536) as RawFd).collect()
}

/// The child's end of the pipe.
struct Link {
    fd: RawFd,
    report: ChildReport,
    looked_at_keys: u64,
    next_report: Instant,
}

impl Link {
    fn new(fd: RawFd) -> Link {
        Link {
            fd,
            report: ChildReport::default(),
            looked_at_keys: 0,
            next_report: Instant::now() + REPORT_EVERY,
        }
    }

    fn send(&mut self) {
        let mut bytes = [0; REPORT_SIZE];
        bytes[..8].copy_from_slice(&self.report.keys.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.report.bytes.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.report.cow.to_ne_bytes());
        // A full pipe means a parent that does not look: it will not miss this report.
        write_raw(self.fd, &bytes);
    }
}

impl ChildLink for Link {
    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn progress(&mut self, keys: u64) {
        debug_assert!(keys >= self.report.keys, "fewer keys than before");
        self.report.keys = keys;
        if keys.wrapping_sub(self.looked_at_keys) < KEYS_PER_LOOK {
            return;
        }
        self.looked_at_keys = keys;
        let now = Instant::now();
        if now < self.next_report {
            return;
        }
        self.report.cow = super::process::private_dirty_bytes();
        self.send();
        self.next_report = Instant::now() + REPORT_EVERY.max(now.elapsed() * MEASURE_SHARE);
    }

    fn finished(&mut self, bytes: u64) {
        self.report.bytes = bytes;
        self.report.cow = super::process::private_dirty_bytes();
        self.send();
    }
}

impl ForkedChild {
    /// Answers whether no more will come, as the child is at its end.
    fn take_reports(&mut self) -> bool {
        let mut bytes = [0; REPORT_SIZE];
        loop {
            // Reports are written whole, so they are read whole.
            match self.reports.read(&mut bytes) {
                Ok(REPORT_SIZE) => {}
                read => return matches!(read, Ok(0)),
            }
            let word = |at: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[at..at + 8]);
                u64::from_ne_bytes(word)
            };
            let (keys, size, cow) = (word(0), word(8), word(16));
            debug_assert!(
                keys >= self.last.keys && size >= self.last.bytes,
                "a child goes back"
            );
            self.last = ChildReport {
                keys,
                bytes: size,
                cow,
                cow_peak: self.last.cow_peak.max(cow),
            };
        }
    }

    fn take_exit(&mut self, flags: libc::c_int) {
        assert!(
            self.pid > 0 && self.exit.is_none(),
            "it has ended, or is many"
        );
        let mut status = 0;
        loop {
            // SAFETY: the status is a local that lives through the call.
            let pid = unsafe { libc::waitpid(self.pid, &mut status, flags) };
            if pid == self.pid {
                self.exit = Some(if libc::WIFSIGNALED(status) {
                    ChildExit::Signal(libc::WTERMSIG(status))
                } else {
                    ChildExit::Code(libc::WEXITSTATUS(status))
                });
                return;
            }
            if pid == 0 {
                return;
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                // Nobody of this name any more: somebody else took the news of its end, which so is unknown.
                self.exit = Some(ChildExit::Code(i32::from(PANICKED)));
                return;
            }
        }
    }
}

impl Child for ForkedChild {
    fn pid(&self) -> u32 {
        self.pid as u32
    }

    fn poll(&mut self) -> Option<ChildExit> {
        if self.exit.is_none() {
            // A child that has closed its end is on its last steps, which are waited for: nobody tells when it has taken them.
            let is_over = self.take_reports();
            self.take_exit(if is_over { 0 } else { libc::WNOHANG });
            self.take_reports();
        }
        self.exit
    }

    fn report(&self) -> ChildReport {
        self.last
    }

    fn kill(&mut self) {
        assert!(self.pid > 0, "a number that stands for many processes");
        if self.exit.is_none() {
            // SAFETY: the child is ours and not yet waited for, so the number is still its own.
            unsafe { libc::kill(self.pid, libc::SIGUSR1) };
        }
    }

    fn wait(&mut self) -> ChildExit {
        loop {
            if let Some(exit) = self.exit {
                return exit;
            }
            self.take_exit(0);
            self.take_reports();
        }
    }

    fn fork_us(&self) -> u64 {
        self.fork_us
    }

    fn news_fd(&self) -> Option<i32> {
        Some(self.reports.as_raw_fd())
    }
}
