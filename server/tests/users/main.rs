//! Users over sockets, beside 7.0.15 where it has the same.
//!
//! - `rules`: random rules make the same users as for the reference, and those may do the same.
//! - `clients`: who a client is, who is cut off, what the log of refusals tells.
//! - `files`: users in redis.conf and in a file of their own.

mod clients;
mod files;
mod rules;
#[path = "../support/mod.rs"]
mod support;

use cairn_format::resp::value::Value;

/// A reply in words.
fn told(value: &Value) -> String {
    match (value.as_array(), value.as_bytes(), value) {
        (Some(list), ..) => format!("{:?}", list.iter().map(told).collect::<Vec<_>>()),
        (None, Some(bytes), _) => bytes.escape_ascii().to_string(),
        (None, None, Value::Error(text)) => format!("-{}", String::from_utf8_lossy(text)),
        (None, None, other) => format!("{other:?}"),
    }
}
