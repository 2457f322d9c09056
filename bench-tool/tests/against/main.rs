//! The other commands, and workloads, against real servers and servers of the tests' own.

#[path = "../../../toolkit/tests/support/certificates.rs"]
mod certificates;
mod cluster;
mod compare;
mod durability;
mod encrypted;
mod latency;
#[path = "../../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod recorded;
#[path = "../run/responder.rs"]
mod responder;
mod workloads;

use serde_json::Value;
use std::process::{Command, Output};

pub(crate) fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-tool"))
        .args(words)
        .env_remove("REDISCLI_AUTH")
        .output()
        .unwrap()
}

/// Exit code, JSON of `--json -`, stderr.
pub(crate) fn json(words: &[&str]) -> (i32, Value, String) {
    let output = bench(words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, stderr)
}
