//! The server's log: one line per event, in the form that Redis 7.2 writes and that programs look for.
//!
//! ```text
//! 4711:M 23 Nov 2026 01:00:39.042 * Ready to accept connections tcp
//! |    | |                        | message
//! |    | local time               level: . debug  - verbose  * notice  # warning
//! |    role: M primary  S replica  C child  X sentinel
//! process
//! ```
//!
//! Each line leaves in one write: nothing is buffered, so that who polls the file sees the line at once, and lines of
//! threads and children do not mix. A log file is opened, in append mode, for each line: it may be moved away or
//! cut off meanwhile. Standard output is written to beside the standard library, which has a lock that a forked child may find
//! taken; for the same reason the child does not ask for the time zone. With `syslog-enabled` each line goes to the system's log, too.

mod stamp;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::config::choice::LogLevel;
use crate::host::{Clock, Level, Logger};
use crate::os::localtime::utc_offset;
use crate::os::syslog::Syslog;
use crate::os::{StandardOutput, standard_output};

use stamp::Stamp;

/// What this process is, as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A primary.
    Master,
    /// A replica.
    Replica,
    /// A sentinel.
    Sentinel,
}

/// The log. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    syslog: OnceLock<Syslog>,
    clock: Arc<dyn Clock>,
    /// The process that made the log; another one is its child.
    process: u32,
    level: AtomicU8,
    role: AtomicU8,
    /// The quarter hour that `offset` is of: zones change their offset at no other moments.
    quarter: AtomicI64,
    /// Seconds that local time is ahead of UTC.
    offset: AtomicI64,
}

enum Target {
    File(PathBuf),
    Stdout(StandardOutput),
    Kept(Mutex<Vec<u8>>),
}

impl Log {
    /// A log to `file`, which should be absolute as the working folder may change, or to standard output.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn new(level: LogLevel, file: Option<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Log> {
        let target = match file {
            Some(path) => {
                open(&path)?;
                Target::File(path)
            }
            None => Target::Stdout(standard_output()),
        };
        Ok(Log::to(target, level, clock))
    }

    /// A log that is kept in memory; [`Log::kept`] has its lines.
    pub fn in_memory(level: LogLevel, clock: Arc<dyn Clock>) -> Log {
        Log::to(Target::Kept(Mutex::default()), level, clock)
    }

    /// What was written to a log in memory, otherwise nothing.
    pub fn kept(&self) -> Vec<u8> {
        match &self.shared.target {
            Target::Kept(bytes) => bytes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Target::File(_) | Target::Stdout(_) => Vec::new(),
        }
    }

    fn to(target: Target, level: LogLevel, clock: Arc<dyn Clock>) -> Log {
        let shared = Shared {
            target,
            syslog: OnceLock::new(),
            clock,
            process: std::process::id(),
            level: AtomicU8::new(level as u8),
            role: AtomicU8::new(b'M'),
            quarter: AtomicI64::new(i64::MIN),
            offset: AtomicI64::new(0),
        };
        Log {
            shared: Arc::new(shared),
        }
    }

    /// From now on each line is sent there, too.
    ///
    /// # Panics
    /// The second time.
    pub fn send_to(&self, syslog: Syslog) {
        let taken = self.shared.syslog.set(syslog);
        assert!(taken.is_ok(), "there is one system's log");
    }

    /// Sets the least important level that is written.
    pub fn set_level(&self, level: LogLevel) {
        self.shared.level.store(level as u8, Relaxed);
    }

    /// Sets what the lines show this process as.
    pub fn set_role(&self, role: Role) {
        let letter = match role {
            Role::Master => b'M',
            Role::Replica => b'S',
            Role::Sentinel => b'X',
        };
        self.shared.role.store(letter, Relaxed);
    }

    /// Whether lines of a level are written: to save the work of making one that is not.
    pub fn is_on(&self, level: LogLevel) -> bool {
        level as u8 >= self.shared.level.load(Relaxed)
    }

    /// Writes a line for who looks for a fault.
    pub fn debug(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Debug, message);
    }

    /// Writes a line that is seldom wanted.
    pub fn verbose(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Verbose, message);
    }

    /// Writes a line that matters in production.
    pub fn notice(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Notice, message);
    }

    /// Writes a line that needs attention.
    pub fn warning(&self, message: fmt::Arguments<'_>) {
        self.line(Level::Warning, message);
    }

    /// Writes text as it is, at level notice: the logo.
    pub fn raw(&self, text: &str) {
        if self.is_on(LogLevel::Notice) {
            self.write(text.as_bytes());
        }
    }

    fn line(&self, level: Level, message: fmt::Arguments<'_>) {
        let (least, mark) = match level {
            Level::Debug => (LogLevel::Debug, '.'),
            Level::Verbose => (LogLevel::Verbose, '-'),
            Level::Notice => (LogLevel::Notice, '*'),
            Level::Warning => (LogLevel::Warning, '#'),
        };
        if !self.is_on(least) {
            return;
        }
        let process = std::process::id();
        let is_child = process != self.shared.process;
        let role = if is_child {
            'C'
        } else {
            char::from(self.shared.role.load(Relaxed))
        };
        let wall_us = self.shared.clock.wall_us();
        let seconds = wall_us.div_euclid(1_000_000);
        let millis = wall_us.rem_euclid(1_000_000) / 1000;
        let time = Stamp(seconds + self.offset(seconds, is_child), millis);
        self.write(format!("{process}:{role} {time} {mark} {message}\n").as_bytes());
        if let Some(syslog) = self.shared.syslog.get() {
            syslog.send(level, &time.short(), &message.to_string());
        }
    }

    fn offset(&self, seconds: i64, is_child: bool) -> i64 {
        let quarter = seconds.div_euclid(900);
        if !is_child && self.shared.quarter.load(Relaxed) != quarter {
            self.shared.offset.store(utc_offset(seconds), Relaxed);
            self.shared.quarter.store(quarter, Relaxed);
        }
        self.shared.offset.load(Relaxed)
    }

    /// A line that cannot be written is lost: there is nowhere to tell it.
    fn write(&self, bytes: &[u8]) {
        let _ = match &self.shared.target {
            Target::Stdout(output) => output.write_all(bytes),
            Target::Kept(kept) => kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(bytes),
            Target::File(path) => open(path).and_then(|mut file| file.write_all(bytes)),
        };
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Logger for Log {
    fn log(&self, level: Level, line: &str) {
        self.line(level, format_args!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::SystemClock;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    #[test]
    fn lines_are_appended_by_level_and_role() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "### by someone else\n").unwrap();
        let log = Log::new(LogLevel::Notice, Some(path.clone()), clock()).unwrap();
        log.verbose(format_args!("not seen"));
        log.notice(format_args!("Server {}", "initialized"));
        log.set_role(Role::Replica);
        log.set_level(LogLevel::Debug);
        log.debug(format_args!("d"));
        log.set_level(LogLevel::Nothing);
        log.warning(format_args!("not seen"));
        log.raw("not seen");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let process = std::process::id();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "### by someone else");
        assert!(
            lines[1].starts_with(&format!("{process}:M ")),
            "{}",
            lines[1]
        );
        assert!(lines[1].ends_with(" * Server initialized"));
        assert!(lines[2].starts_with(&format!("{process}:S ")));
        assert!(lines[2].ends_with(" . d"));
        assert_eq!(
            lines[1].len(),
            format!("{process}:M 23 Nov 2026 01:00:39.042 * Server initialized").len()
        );
    }

    #[test]
    fn a_log_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::new(LogLevel::Notice, Some(path.clone()), clock()).unwrap();
        log.notice(format_args!("one"));
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        log.notice(format_args!("two"));
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("* two\n"));
        assert!(
            Log::new(
                LogLevel::Notice,
                Some(folder.path().join("no/log")),
                clock()
            )
            .is_err()
        );
    }
}
