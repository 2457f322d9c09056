//! What can go wrong while writing, and what became of an event.

use crate::text::words::quote;
use std::fmt;
use std::io;

use super::super::dialect::Dialect;
use super::lack::Lack;
use crate::error::FormatError;

/// The result of writing.
pub type WriteResult<T> = Result<T, WriteError>;

/// Why a snapshot, or a part of it, cannot be written.
#[derive(Debug)]
pub enum WriteError {
    /// The output failed.
    Io(io::Error),
    /// The target has no place for this; nothing of it was written.
    Unsupported(Unsupported),
    /// The value that was to be written is damaged.
    Source(Box<FormatError>),
    /// This version cannot be written.
    Dialect(Dialect),
}

/// Something that the target has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What it is.
    pub lack: Lack,
    /// The target.
    pub target: Dialect,
    /// The key; empty for what belongs to no key.
    pub key: Vec<u8>,
    /// Whether the rest of the value could be written without it.
    pub part: bool,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it was written.
    Whole,
    /// A part had no place in the target and was left out, as the options allow.
    Partly(Unsupported),
    /// A hint that the target has no place for; nothing is lost.
    Nothing,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "key {}: ", quote(&self.key))?;
        }
        write!(
            f,
            "{} cannot hold {}, which needs {}",
            self.target,
            self.lack.what(),
            self.lack.needs()
        )
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Io(error) => write!(f, "writing: {error}"),
            WriteError::Unsupported(what) => what.fmt(f),
            WriteError::Source(error) => error.fmt(f),
            WriteError::Dialect(dialect) => write!(
                f,
                "{dialect} cannot be written; Redis 2 to 15 and Valkey 80 and 81 can"
            ),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        WriteError::Io(error)
    }
}

impl From<Box<FormatError>> for WriteError {
    fn from(error: Box<FormatError>) -> Self {
        WriteError::Source(error)
    }
}
