//! Going on in the background.
//!
//! ```text
//!   parent                          child
//!     | fork ---------------------->| a session of its own
//!     | waits                       | opens its log, listens
//!     |<--- one byte ---------------| standard files to /dev/null       or it ends: no byte comes
//!     | exit 0                      | loads, serves                     and the parent ends with its status
//! ```
//!
//! So who started it sees on the terminal why it did not come up, and in the exit status that it did not.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The child's way to its parent, which waits.
#[derive(Debug)]
pub struct Background {
    parent: File,
}

impl Background {
    /// Forks. The child goes on; the parent ends here, when the child is in the background or has ended. Call it before any
    /// thread is started.
    ///
    /// # Errors
    /// There can be no child.
    pub fn enter() -> io::Result<Background> {
        let (mut reader, writer) = pipe()?;
        // SAFETY: no other thread runs, so the child is a whole process.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: the child leads no group yet, so this cannot fail; it touches nothing else.
                unsafe { libc::setsid() };
                Ok(Background { parent: writer })
            }
            _ => {
                drop(writer);
                let came_up = matches!(reader.read(&mut [0]), Ok(1));
                let status = if came_up { 0 } else { status_of(pid) };
                // SAFETY: ends the process without running what the child goes on with.
                unsafe { libc::_exit(status) }
            }
        }
    }

    /// Lets the terminal go: the three standard files become `/dev/null`, and the parent ends with success.
    ///
    /// # Errors
    /// There is no `/dev/null`.
    pub fn detach(mut self) -> io::Result<()> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        for standard in 0..3 {
            // SAFETY: the standard descriptors are there for this; nobody owns them.
            if unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), standard) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // A parent that was killed meanwhile misses nothing.
        let _ = self.parent.write(b"!");
        Ok(())
    }
}

/// Both ends of a pipe: to read from, to write to.
fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    Ok((
        File::from(OwnedFd::from(reader)),
        File::from(OwnedFd::from(writer)),
    ))
}

/// Waits for a child; the status to end with as it did.
fn status_of(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the status is a local that lives through the call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return 1;
        }
    }
    ExitStatus::from_raw(status).code().unwrap_or(1)
}
