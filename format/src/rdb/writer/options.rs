//! What a writer is told.

use super::super::dialect::Dialect;

/// How a snapshot is to be written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// Family and version.
    pub dialect: Dialect,
    /// Compress strings of more than 20 bytes where that saves 4 or more.
    pub compress: bool,
    /// Compute the checksum; otherwise it is eight zero bytes.
    pub checksum: bool,
    /// Write what remains of a stream whose producers or entries without an owner have no place in the target.
    /// Otherwise such values are refused.
    pub drop_parts: bool,
    /// What becomes of hash fields that expire where the target has no field expiry. `None`: refuse such values.
    pub expiring_fields: Option<ExpiringFields>,
}

/// What becomes of hash fields that expire where fields cannot expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiringFields {
    /// They are left out; a hash that has no others goes whole.
    Drop,
    /// They stay and expire no more, except those whose time has come.
    Keep {
        /// Unix milliseconds.
        now_ms: i64,
    },
}

impl ExpiringFields {
    /// Whether a field with this expiry is written.
    pub fn keeps(self, expire_ms: Option<i64>) -> bool {
        match (expire_ms, self) {
            (None, _) => true,
            (Some(_), ExpiringFields::Drop) => false,
            (Some(time), ExpiringFields::Keep { now_ms }) => time > now_ms,
        }
    }
}

impl WriteOptions {
    /// Compression and checksum on, nothing dropped.
    pub const fn new(dialect: Dialect) -> Self {
        WriteOptions {
            dialect,
            compress: true,
            checksum: true,
            drop_parts: false,
            expiring_fields: None,
        }
    }
}
