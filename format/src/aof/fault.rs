//! What can be wrong with a command of a log, in words that stay.

/// What is wrong at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The log ends inside a command, an annotation or a transaction.
    Torn,
    /// Zeros where a record was expected.
    Zeros,
    /// Bytes that are no record.
    NoRecord,
    /// A command that lost arguments, or swallowed what follows it.
    Shortened,
    /// A command that no server has.
    UnknownCommand,
    /// A command with a wrong count of arguments.
    Arity,
    /// SELECT of a database that is not there.
    Database,
    /// MULTI inside a transaction.
    MultiInside,
    /// EXEC without MULTI.
    ExecAlone,
    /// A transaction of which a part is damaged.
    BrokenTransaction,
    /// Records that were the content of a damaged value.
    Content,
    /// Commands of which it is not known to which database they belong.
    LostSelect,
    /// A block of an archive whose checksum is another.
    Checksum,
    /// A command that is answered with an error when the log is run.
    Refused,
    /// A script or function that the log has not brought before.
    UnknownScript,
}

impl Problem {
    /// The stable word for reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Problem::Torn => "torn",
            Problem::Zeros => "zeros",
            Problem::NoRecord => "no-record",
            Problem::Shortened => "shortened",
            Problem::UnknownCommand => "unknown-command",
            Problem::Arity => "arity",
            Problem::Database => "database",
            Problem::MultiInside => "multi-inside",
            Problem::ExecAlone => "exec-alone",
            Problem::BrokenTransaction => "broken-transaction",
            Problem::Content => "content",
            Problem::LostSelect => "lost-select",
            Problem::Checksum => "checksum",
            Problem::Refused => "refused",
            Problem::UnknownScript => "unknown-script",
        }
    }

    /// Whether servers answer with an error and load on.
    pub fn loads(self) -> bool {
        matches!(
            self,
            Problem::MultiInside
                | Problem::ExecAlone
                | Problem::Database
                | Problem::Refused
                | Problem::UnknownScript
        )
    }
}

/// One place where something is wrong. Offsets are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub problem: Problem,
    /// Where what is wrong begins.
    pub offset: u64,
    /// What is dropped with it, from here ...
    pub begin: u64,
    /// ... up to here.
    pub end: u64,
    /// The how many-th command of the file it is, from 1; damage counts as one.
    pub command: u64,
    /// Unix seconds of the last timestamp annotation before it.
    pub second: Option<i64>,
    /// What was expected and found.
    pub what: String,
}
