//! Runs the binary against a small responder of the tests' own, which can misbehave, and against a real server.

#[path = "../../../toolkit/tests/support/browser.rs"]
mod browser;
mod hostile;
mod interrupted;
#[path = "../../../toolkit/tests/support/left_out.rs"]
mod left_out;
mod lost;
mod open_loop;
mod outputs;
mod real;
#[path = "../../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod report;
mod responder;
mod schedule;
mod ways;

use serde_json::Value;
use std::process::{Command, Output};

pub(crate) fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-tool"))
        .args(words)
        .env_remove("REDISCLI_AUTH")
        .output()
        .unwrap()
}

/// `bench-tool run --port PORT --json - WORDS`: exit code, JSON, stderr.
pub(crate) fn run(port: u16, words: &[&str]) -> (i32, Value, String) {
    let port = port.to_string();
    let output = bench(&[&["run", "--port", &port, "--json", "-"], words].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, stderr)
}
