//! What the tests of the binary share: running it, finding golden files, a real server.
#![allow(dead_code)] // each test file is a program of its own and uses a part

#[path = "../../../toolkit/tests/support/real_server.rs"]
pub mod real_server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

pub fn tool() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rdb-tool"))
}

/// Runs the tool on words and paths.
pub fn run<W: AsRef<std::ffi::OsStr>>(words: &[W]) -> Output {
    tool().args(words).output().unwrap()
}

/// The same with `bytes` on its standard input, through a pipe.
pub fn run_piped(words: &[&str], bytes: &[u8]) -> Output {
    let mut child = tool()
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // The tool may stop reading at the first damage, so a broken pipe is fine here.
    let writer = thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub fn code(output: &Output) -> i32 {
    output.status.code().expect("the tool ended by itself")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn testdata() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata"))
}

/// A golden file, `redis-7.2.4/all.rdb`.
pub fn golden(name: &str) -> PathBuf {
    let path = testdata().join("rdb").join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// All golden snapshots, sorted.
pub fn all_golden() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(testdata().join("rdb"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if folder.is_dir() {
            files.extend(
                std::fs::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rdb"));
    files.sort();
    assert!(
        files.len() >= 50,
        "only {} golden snapshots found",
        files.len()
    );
    files
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A snapshot of `count` strings of 100 bytes, checksum off.
pub fn many_strings(count: u32) -> Vec<u8> {
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    for i in 0..count {
        let key = format!("key:{i}");
        bytes.push(0);
        bytes.push(key.len() as u8);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(&[0x40, 100]);
        bytes.extend_from_slice(&[b'v'; 100]);
    }
    bytes.push(0xff);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}
