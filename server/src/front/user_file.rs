//! The file that users are kept in (`aclfile`).

use std::io;

use crate::config::{Config, replace_file, table};
use crate::os::error_text;

/// Its name as configured, and its text or why it cannot be read; none if users have no file of their own.
pub fn read(config: &Config) -> Option<(String, Result<Vec<u8>, String>)> {
    if config.get(table::ACLFILE).is_empty() {
        return None;
    }
    let name = config.text(table::ACLFILE).into_owned();
    let text = std::fs::read(config.path(table::ACLFILE)).map_err(|error| {
        format!(
            "Error loading ACLs, opening file '{name}': {}",
            error_text(&error)
        )
    });
    Some((name, text))
}

/// Replaces it in one step.
///
/// # Errors
/// The system's; the file is as it was.
pub fn write(config: &Config, text: &[u8]) -> io::Result<()> {
    replace_file(&config.path(table::ACLFILE), text)
}
