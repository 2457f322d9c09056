//! Parts of a snapshot that was examined.

use cairn_format::error::FormatError;

/// A part of the file.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Offset of its first byte.
    pub from: u64,
    /// Offset after its last byte.
    pub to: u64,
    /// The database.
    pub db: u64,
    /// What it is.
    pub what: What,
}

/// What a part of the file is.
#[derive(Clone, Debug)]
pub enum What {
    /// A key that can be read. Who has the same hash is the same key in the same database.
    Key {
        /// Of key and database, with the seed that was handed in.
        hash: u64,
    },
    /// Something beside the keys, by its opcode.
    Other(u8),
    /// A record whose end is known and whose content is damaged.
    Damaged(Box<FormatError>),
    /// A key that can be read, and may have another value than it had.
    Doubtful(Box<FormatError>),
    /// Bytes that cannot be read.
    Gap(Box<FormatError>),
}
