//! Running servers for tests: ours and the reference, driven from outside through sockets, signals and files.
//!
//! A [`Folder`] is a temporary place with the data below `data/` and one log file for each start. [`Setup`] says how to
//! start, [`Server`] is a running process that ends with the value. When a test fails, the ends of the logs are printed.

// Each test program uses its own part of this.
#![allow(dead_code, unused_imports)]

pub mod connection;
pub mod dataset;
mod dice;
#[path = "../../../toolkit/tests/support/left_out.rs"]
mod left_out;
#[path = "../../../toolkit/tests/support/ports.rs"]
mod ports;
pub mod process;

pub use connection::Connection;
pub use dice::Dice;
pub use left_out::left_out;
pub use process::{Folder, Setup};

use cairn_format::resp::value::Value;
use std::time::{Duration, Instant};

/// How long anything that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes; the test fails when that takes too long.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A reply in words.
pub fn told(value: &Value) -> String {
    match (value.as_array(), value.as_bytes(), value) {
        (Some(list), ..) => format!("{:?}", list.iter().map(told).collect::<Vec<_>>()),
        (None, Some(bytes), _) => bytes.escape_ascii().to_string(),
        (None, None, Value::Error(text)) => format!("-{}", String::from_utf8_lossy(text)),
        (None, None, other) => format!("{other:?}"),
    }
}
