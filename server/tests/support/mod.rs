//! Running servers for tests: ours and the reference, driven from outside through sockets, signals and files.
//!
//! A [`Folder`] is a temporary place with the data below `data/` and one log file for each start. [`Setup`] says how to
//! start, [`Server`] is a running process that ends with the value. When a test fails, the ends of the logs are printed.

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod connection;
pub mod dataset;
mod dice;
pub mod process;

pub use connection::Connection;
pub use dice::Dice;
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

/// Notes that a test cannot run on this machine. `scripts/test` names a file for that and tells its lines at the end;
/// without it the test fails, so that nothing is left out in silence.
pub fn left_out(test: &str, reason: &str) {
    use std::io::Write;
    let path = std::env::var_os("CAIRN_LEFT_OUT")
        .unwrap_or_else(|| panic!("{test} cannot run here: {reason}"));
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    writeln!(file, "{test}: {reason}").unwrap();
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
