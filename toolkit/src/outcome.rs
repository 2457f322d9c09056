//! How a tool ends.
//!
//! ```text
//!   Ok(Verdict::Fine)    exit 0   all well
//!   Ok(Verdict::Found)   exit 1   the tool did its work and found something: damage, a difference
//!   Err(Failure)         exit 2   the work could not be done; the failure's line and hints are on stderr
//! ```
//!
//! A line reads outside-in and says what was expected and found; lower case, no final stop:
//!
//! ```text
//! rdb-tool: dump.rdb: offset 7994 (0x1f3a): db 0, key "user:17", hash as listpack: entry 12 claims 300 bytes, 251 remain
//! rdb-tool: hint: everything before offset 7990 decodes
//! ```

use crate::escape::quoted;
use cairn_format::error::FormatError;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

static TOOL: OnceLock<&'static str> = OnceLock::new();

/// What a tool that could do its work has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report: exit 0.
    Fine,
    /// Damage, a difference, error replies: exit 1.
    Found,
}

impl Verdict {
    /// `Found` if `found`, else `Fine`.
    pub fn found_if(found: bool) -> Verdict {
        if found { Verdict::Found } else { Verdict::Fine }
    }
}

/// Why a tool could not do its work.
#[derive(Debug)]
pub struct Failure {
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    /// One error line without the tool's name, and hints below it: exit 2.
    Report { line: String, hints: Vec<String> },
    /// Everything is said already, or nobody listens any more.
    Quiet(u8),
}

/// What every tool's work returns.
pub type Outcome = Result<Verdict, Failure>;

/// Marks the error of a write to a standard output whose reader has gone.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of standard output has gone")
    }
}

impl std::error::Error for ReaderGone {}

impl Failure {
    /// An error line; `line` has no tool name in front and no stop at its end.
    pub fn new(line: impl Into<String>) -> Failure {
        Failure {
            ending: Ending::Report {
                line: line.into(),
                hints: Vec::new(),
            },
        }
    }

    /// The same with a line below it that says what the reader can do.
    pub fn hint(mut self, text: impl Into<String>) -> Failure {
        if let Ending::Report { hints, .. } = &mut self.ending {
            hints.push(text.into());
        }
        self
    }

    /// Ends the tool with `code` and without a word.
    pub fn quiet(code: u8) -> Failure {
        Failure {
            ending: Ending::Quiet(code),
        }
    }

    /// The damage that `error` describes in the input called `name`.
    pub fn damage(name: &str, error: &FormatError) -> Failure {
        Failure::new(damage_line(name, error))
    }

    /// An error of the operating system about `name`; the reader of stdout going away stays quiet.
    pub fn io(name: &str, error: &io::Error) -> Failure {
        match reader_gone(error) {
            true => Failure::quiet(0),
            false => Failure::new(format!("{name}: {}", plain(error))).advised(error.kind()),
        }
    }

    /// The same of something that could not be made.
    pub fn of_output(name: &str, error: &io::Error) -> Failure {
        match error.kind() {
            ErrorKind::NotFound => Failure::new(format!("{name}: its folder is not there"))
                .hint("make the folder first; nothing was written"),
            ErrorKind::AlreadyExists => {
                Failure::new(format!("{name}: is there already, and no folder"))
                    .hint("name a new folder; nothing was changed")
            }
            _ => Failure::io(name, error),
        }
    }

    /// With what someone can do about an error of this kind, where that is known.
    fn advised(self, kind: ErrorKind) -> Failure {
        match kind {
            ErrorKind::PermissionDenied => {
                self.hint("who runs this may not: run it as somebody who may, or name another place")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                self.hint("nothing is left of what was written; make room, or name another place")
            }
            ErrorKind::FileTooLarge => {
                self.hint("nothing is left of what was written; `ulimit -f` or the file system allows no larger files")
            }
            _ => self,
        }
    }

    /// The error line, if there is one (for tests and for tools that go on after a failure).
    pub fn line(&self) -> Option<&str> {
        match &self.ending {
            Ending::Report { line, .. } => Some(line),
            Ending::Quiet(_) => None,
        }
    }

    /// For a tool that has more to do: says what there is to say now; what is left ends it with the same exit status, without
    /// a word.
    pub fn told(self) -> Failure {
        Failure::quiet(self.tell())
    }

    /// Whether nobody listens any more, so that there is no more to do.
    pub fn is_quiet(&self) -> bool {
        matches!(self.ending, Ending::Quiet(_))
    }

    fn tell(&self) -> u8 {
        match &self.ending {
            Ending::Quiet(code) => *code,
            Ending::Report { line, hints } => {
                note(line);
                hints.iter().for_each(|text| hint(text));
                2
            }
        }
    }
}

/// Errors of writes to an [`crate::Output`] already carry the file's name.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match reader_gone(&error) {
            true => Failure::quiet(0),
            false => Failure::new(plain(&error)).advised(error.kind()),
        }
    }
}

fn reader_gone(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<ReaderGone>())
}

/// The system's text for an error, lower case and without the "(os error 2)" of the standard library.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(at) = text.rfind(" (os error ") else {
        return text;
    };
    let mut chars = text[..at].chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

/// `dump.rdb: offset 7994 (0x1f3a): db 0, key "user:17", what was wrong`.
pub fn damage_line(name: &str, error: &FormatError) -> String {
    let mut line = format!("{name}: offset {0} ({0:#x}): ", error.offset);
    if let Some(db) = error.db {
        line.push_str(&format!("db {db}, "));
    }
    if let Some(key) = &error.key {
        line.push_str(&format!("key {}, ", quoted(key)));
    }
    line.push_str(&error.what);
    line
}

/// The name that [`run`] was given; "cairn" before it.
pub fn tool_name() -> &'static str {
    TOOL.get().copied().unwrap_or("cairn")
}

/// Writes `rdb-tool: line` to stderr. Nobody to read it is no error.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}: {line}", tool_name());
}

/// Writes `rdb-tool: hint: text` to stderr.
pub fn hint(text: &str) {
    note(&format!("hint: {text}"));
}

/// Runs a tool's work and turns its outcome into the exit code.
pub fn run(tool: &'static str, work: impl FnOnce() -> Outcome) -> ExitCode {
    let _ = TOOL.set(tool);
    match work() {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => ExitCode::from(1),
        Err(failure) => ExitCode::from(failure.tell()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_are_lower_case_and_without_numbers() {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(
            Failure::io("x.rdb", &error).line(),
            Some("x.rdb: no such file or directory")
        );
        assert_eq!(plain(&io::Error::other("Keep me")), "Keep me");
    }

    #[test]
    fn what_can_be_done_about_an_error_of_the_system_is_told() {
        for (number, advice) in [
            (libc::EACCES, 1),
            (libc::ENOSPC, 1),
            (libc::EDQUOT, 1),
            (libc::EFBIG, 1),
            (libc::ENOENT, 0),
        ] {
            let error = io::Error::from_raw_os_error(number);
            let named = io::Error::new(error.kind(), format!("out.rdb: {}", plain(&error)));
            for failure in [Failure::io("out.rdb", &error), Failure::from(named)] {
                let Ending::Report { line, hints } = &failure.ending else {
                    panic!("{failure:?}");
                };
                assert_eq!(line, &format!("out.rdb: {}", plain(&error)));
                assert_eq!(hints.len(), advice, "{line}");
            }
        }
    }

    #[test]
    fn a_gone_reader_is_quiet_and_any_other_broken_pipe_is_not() {
        let gone = io::Error::new(io::ErrorKind::BrokenPipe, ReaderGone);
        assert!(Failure::from(gone).line().is_none());
        let socket = io::Error::from_raw_os_error(libc::EPIPE);
        assert_eq!(Failure::from(socket).line(), Some("broken pipe"));
    }
}
