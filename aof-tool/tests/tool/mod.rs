//! Running the tool and finding test data.
#![allow(dead_code)] // each test program uses its part

use std::io::Write;
use std::process::{Command, Stdio};

/// What a run of the tool left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn bad(name: &str) -> String {
    format!("{}/../testdata/bad/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn golden(name: &str) -> String {
    format!("{}/../testdata/aof/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn run(words: &[&str]) -> Run {
    run_with_stdin(words, b"")
}

pub fn run_with_stdin(words: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // From another thread, so that neither side waits for the other with a full pipe. The tool may
    // have ended at an error before it read all.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Run {
        code: output
            .status
            .code()
            .expect("the tool must not end by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
