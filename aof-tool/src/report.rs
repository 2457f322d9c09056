//! What a check found in one file of a log.

use crate::log::Role;
use crate::part;
use cairn_format::aof::extent::Extent;
use cairn_format::error::FormatError;

/// What was found in one file.
pub struct Report {
    pub name: String,
    /// Bytes of the file, if it was mapped.
    pub size: Option<u64>,
    pub role: Role,
    pub is_last: bool,
    pub preamble: Option<part::Preamble>,
    pub extent: Extent,
}

impl Report {
    /// What is wrong, if anything is.
    pub fn damage(&self) -> Option<&FormatError> {
        self.extent.damage.as_deref()
    }
}
