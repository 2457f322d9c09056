//! What is wrong with bytes that came from a file or a peer: the kind of damage, where it stands, what was being read.
//!
//! A reader near the bytes fills kind, offset and text; callers further out add key and database with [`FormatError::at_key`] and
//! [`FormatError::in_db`], or put a word before the text with [`FormatError::inside`]. A line then reads from the outside in:
//!
//! ```text
//! offset 7994 (0x1f3a): db 0, key "user:17", hash as listpack: entry 12 claims 300 bytes, 251 remain
//! ```

use std::fmt;

use crate::text::words;

/// The result of everything that reads foreign bytes. The error is boxed because it is rare and large.
pub type Result<T> = std::result::Result<T, Box<FormatError>>;

/// The kinds of damage, as a person who repairs a file would tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The bytes end before the thing that was being read does.
    Truncated,
    /// The stored checksum is not that of the bytes.
    Checksum,
    /// The file does not begin as a snapshot does.
    Magic,
    /// The version is unknown or newer than the reader.
    Version,
    /// An opcode is unknown, or stands where it may not.
    Opcode,
    /// A value type is unknown.
    Type,
    /// A length is malformed, or larger than what can follow.
    Length,
    /// LZF data is not what its lengths claim.
    Lzf,
    /// A packed or structured value breaks its own rules.
    Encoding,
    /// A command log ends inside a command or a transaction.
    AofTruncated,
    /// A command log holds something that is no command.
    AofFormat,
    /// The manifest of a multi-part log is malformed.
    Manifest,
    /// The operating system could not read or write.
    Io,
    /// None: the bytes that come next are not there yet, as the source would have to wait for them. Asked again, a reader goes on.
    Pending,
}

impl Damage {
    /// The word for this kind in reports and in JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Damage::Truncated => "truncated",
            Damage::Checksum => "checksum",
            Damage::Magic => "magic",
            Damage::Version => "version",
            Damage::Opcode => "opcode",
            Damage::Type => "type",
            Damage::Length => "length",
            Damage::Lzf => "lzf",
            Damage::Encoding => "encoding",
            Damage::AofTruncated => "aof-truncated",
            Damage::AofFormat => "aof-format",
            Damage::Manifest => "manifest",
            Damage::Io => "io",
            Damage::Pending => "pending",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// No server writes it, and servers load it: it is told, put right when it is written again, and no reason to refuse.
    Odd,
    /// It is sound, and the server that was asked about refuses it.
    Refused,
    /// It cannot be read, or servers refuse it.
    Damage,
}

impl Severity {
    /// The word for it in reports and in JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Odd => "odd",
            Severity::Refused => "refused",
            Severity::Damage => "damage",
        }
    }
}

/// All that was found.
#[allow(
    clippy::vec_box,
    reason = "findings are boxed where they are made, and most are never kept"
)]
pub type Findings = Vec<Box<FormatError>>;

/// One finding in foreign bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// What kind of damage it is.
    pub kind: Damage,
    /// How bad it is.
    pub severity: Severity,
    /// What exactly is wrong, as one word that stays the same: `duplicate-key`; the kind's name where that says it all.
    pub problem: &'static str,
    /// Where it stands, in bytes from the start of the file or stream.
    pub offset: u64,
    /// What was being read and what was wrong, lower case, no final stop.
    pub what: String,
    /// The database that was being read, if that is known.
    pub db: Option<u64>,
    /// The key that was being read, if that is known.
    pub key: Option<Vec<u8>>,
}

impl FormatError {
    /// A finding without key and database.
    pub fn new(kind: Damage, offset: u64, what: impl Into<String>) -> Box<Self> {
        Box::new(FormatError {
            kind,
            severity: Severity::Damage,
            problem: kind.name(),
            offset,
            what: what.into(),
            db: None,
            key: None,
        })
    }

    /// Says in one word what exactly is wrong.
    pub fn called(mut self: Box<Self>, problem: &'static str) -> Box<Self> {
        self.problem = problem;
        self
    }

    /// The same for something that one server refuses.
    pub fn refused(mut self: Box<Self>) -> Box<Self> {
        self.severity = Severity::Refused;
        self
    }

    /// The same for something that servers load.
    pub fn odd(mut self: Box<Self>, problem: &'static str) -> Box<Self> {
        self.severity = Severity::Odd;
        self.called(problem)
    }

    /// Names the key, unless a reader nearer to the bytes already did.
    pub fn at_key(mut self: Box<Self>, key: &[u8]) -> Box<Self> {
        self.key.get_or_insert_with(|| key.to_vec());
        self
    }

    /// Names the database, unless a reader nearer to the bytes already did.
    pub fn in_db(mut self: Box<Self>, db: u64) -> Box<Self> {
        self.db.get_or_insert(db);
        self
    }

    /// Puts what was being read on a larger scale before the text: `hash as listpack: ...`.
    pub fn inside(mut self: Box<Self>, outer: &str) -> Box<Self> {
        self.what = format!("{outer}: {}", self.what);
        self
    }

    /// Turns an offset within a blob into an absolute one, `base` being the blob's own place.
    pub fn moved_by(mut self: Box<Self>, base: u64) -> Box<Self> {
        self.offset = self.offset.saturating_add(base);
        self
    }

    /// Sets the offset, for a blob that was decompressed and so has only one place in the file.
    pub fn placed_at(mut self: Box<Self>, offset: u64) -> Box<Self> {
        self.offset = offset;
        self
    }

    /// A failure of the operating system while reading or writing at `offset`.
    pub fn io(offset: u64, doing: &str, source: &std::io::Error) -> Box<Self> {
        FormatError::new(Damage::Io, offset, format!("{doing}: {source}"))
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} ({:#x}): ", self.offset, self.offset)?;
        if let Some(db) = self.db {
            write!(f, "db {db}, ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "key {}, ", words::quote(key))?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_outside_in() {
        let error = FormatError::new(
            Damage::Encoding,
            94,
            "entry 12 claims 300 bytes, 251 remain",
        )
        .moved_by(7900)
        .inside("hash as listpack")
        .at_key(b"user:17")
        .in_db(0);
        assert_eq!(
            error.to_string(),
            "offset 7994 (0x1f3a): db 0, key \"user:17\", hash as listpack: entry 12 claims 300 bytes, 251 remain"
        );
    }

    #[test]
    fn the_nearest_reader_knows_the_key() {
        let error = FormatError::new(Damage::Type, 1, "x")
            .at_key(b"inner")
            .at_key(b"outer")
            .in_db(1)
            .in_db(2);
        assert_eq!(
            (error.key.as_deref(), error.db),
            (Some(&b"inner"[..]), Some(1))
        );
    }
}
