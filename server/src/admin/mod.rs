//! Instance commands: those that need the server around the data.

use cairn_engine::base::limits::Limits;
use cairn_engine::command::Command;

use crate::config::{Config, table};

/// All lists, for the engine's command table.
pub const COMMANDS: &[&[&Command]] = &[];

/// The configured numbers that the engine works with.
pub fn limits_of(config: &Config) -> Limits {
    Limits { string_bytes_max: config.get(table::PROTO_MAX_BULK_LEN) as usize, ..Limits::default() }
}
