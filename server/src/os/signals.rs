//! Signals that ask the server to end, turned into something the poll sees.
//!
//! The handler only stores which signal came and writes one byte into a pipe; the event loop finds the pipe readable
//! and asks [`requested`]. A SIGINT on top of a request that is already being served is a person who
//! insists: the process ends at once with code 1, and the snapshot file it may be writing is removed.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::unix::pipe::Receiver;
use mio::{Interest, Registry, Token};

use crate::host::Interrupt;

/// The signal that asked for the end; 0 for none.
static REQUESTED: AtomicI32 = AtomicI32::new(0);
/// The pipe's end that the handler writes to; -1 before the first install.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// The file that a process which ends at once takes along; never freed, since a handler may be reading it.
static EMERGENCY_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// The installed handlers; register it with the poll for reading.
#[derive(Debug)]
pub struct Signals {
    wake: Receiver,
}

impl Signals {
    /// Takes over SIGTERM and SIGINT and ignores SIGHUP and SIGPIPE. Installing again replaces the pipe.
    pub fn install() -> io::Result<Signals> {
        let (sender, receiver) = mio::unix::pipe::new()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        // The handler may run at any later time: its end stays open as long as the process.
        WAKE.store(sender.into_raw_fd(), Ordering::SeqCst);
        set_handler(
            libc::SIGTERM,
            on_interrupt as *const () as libc::sighandler_t,
        )?;
        set_handler(
            libc::SIGINT,
            on_interrupt as *const () as libc::sighandler_t,
        )?;
        set_handler(libc::SIGHUP, libc::SIG_IGN)?;
        set_handler(libc::SIGPIPE, libc::SIG_IGN)?;
        Ok(Signals { wake: receiver })
    }

    /// Empties the pipe; call it when the poll reports it.
    pub fn drain(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(count) if count > 0) {}
    }
}

/// What asked for the end, if anything did. It stays until [`abort`].
pub fn requested() -> Option<Interrupt> {
    match REQUESTED.load(Ordering::SeqCst) {
        libc::SIGINT => Some(Interrupt::Sigint),
        libc::SIGTERM => Some(Interrupt::Sigterm),
        _ => None,
    }
}

/// Forgets a request to end that was not acted on yet; false if there is none.
pub fn abort() -> bool {
    REQUESTED.swap(0, Ordering::SeqCst) != 0
}

/// Names the file that is removed when somebody insists with a second SIGINT, or the process crashes; `None` when there
/// is nothing to remove.
pub fn set_emergency_file(path: Option<&Path>) {
    let name = path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    let name = name.map_or(ptr::null_mut(), CString::into_raw);
    // The old name is left to itself (a few bytes): a handler may be reading it at this moment.
    EMERGENCY_FILE.store(name, Ordering::SeqCst);
}

/// Removes that file; in a handler, too.
pub(super) fn remove_emergency_file() {
    let file = EMERGENCY_FILE.load(Ordering::SeqCst);
    if !file.is_null() {
        // SAFETY: `unlink` may be called in a handler; the name ends in zero and is never freed.
        unsafe { libc::unlink(file) };
    }
}

/// Gives a signal a handler, `SIG_IGN` or `SIG_DFL`; interrupted system calls go on.
pub(super) fn set_handler(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    set_with(signal, handler, libc::SA_RESTART)
}

/// As [`set_handler`]; the handler is also told who sent the signal and what it interrupted.
pub(super) fn set_info_handler(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    set_with(signal, handler, libc::SA_RESTART | libc::SA_SIGINFO)
}

fn set_with(signal: i32, handler: libc::sighandler_t, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: all zero bytes are a valid sigaction (no flags, empty mask); the pointers live through the calls; the
    // handlers of this room do only what a handler may.
    let answer = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, ptr::null_mut())
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Writes bytes to a descriptor from within a signal handler.
pub(super) fn write_raw(fd: i32, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: `write` may be called in a handler; pointer and length are those of a live slice.
        let count = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(count) {
            Ok(0) | Err(_) => return,
            Ok(count) => rest = &rest[count..],
        }
    }
}

extern "C" fn on_interrupt(signal: libc::c_int) {
    let errno = Errno::save();
    if signal == libc::SIGINT && REQUESTED.load(Ordering::SeqCst) != 0 {
        write_raw(1, b"You insist... exiting now.\n");
        remove_emergency_file();
        // SAFETY: `_exit` may be called in a handler.
        unsafe { libc::_exit(1) };
    }
    REQUESTED.store(signal, Ordering::SeqCst);
    write_raw(WAKE.load(Ordering::SeqCst), b"!");
    errno.restore();
}

/// The error number of the interrupted code, which must not see that of the handler.
pub(super) struct Errno(i32);

impl Errno {
    pub(super) fn save() -> Errno {
        Errno(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    pub(super) fn restore(self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: the location is this thread's own.
        unsafe {
            *libc::__errno_location() = self.0;
        }
        #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
        // SAFETY: the location is this thread's own.
        unsafe {
            *libc::__error() = self.0;
        }
    }
}

impl Source for Signals {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.wake.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.wake.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.wake.as_raw_fd()).deregister(registry)
    }
}
