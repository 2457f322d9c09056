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

/// Runs a program, and prints the most kilobytes that it had resident.
const WATCH: &str = "
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// A run, and the most bytes that it had resident, mapped pages included.
pub fn run_watched(words: &[&str]) -> (Run, u64) {
    let mut python = Command::new("python3");
    python
        .args(["-c", WATCH, env!("CARGO_BIN_EXE_aof-tool")])
        .args(words);
    let output = python.output().unwrap();
    let mut stdout = String::from_utf8(output.stdout).unwrap();
    let last = stdout.trim_end().rfind('\n').map_or(0, |at| at + 1);
    let kilobytes: u64 = stdout[last..].trim().parse().unwrap();
    stdout.truncate(last);
    let run = Run {
        code: output.status.code().unwrap(),
        stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    (run, kilobytes << 10)
}

/// A command as it stands in a log; words are apart by blanks.
pub fn command(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let args = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), args.collect::<String>())
}

/// A log of these commands; a line that begins with `#` is an annotation.
pub fn log(lines: &[&str]) -> String {
    let bytes = lines.iter().map(|line| match line.starts_with('#') {
        true => format!("{line}\r\n"),
        false => command(line),
    });
    bytes.collect()
}

/// All logs of real servers, one file or folder each.
pub fn goldens() -> Vec<String> {
    let root = golden("");
    let servers = std::fs::read_dir(&root).unwrap().flatten();
    let folders = servers.filter(|server| server.path().is_dir());
    let logs = folders.flat_map(|server| std::fs::read_dir(server.path()).unwrap().flatten());
    let names = logs.map(|log| log.path().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".jsonl")).collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// Commands among few keys, drawn from a seed, so that much flows from one into another.
pub fn tangle(seed: u64, count: usize) -> Vec<String> {
    let mut state = seed;
    let mut draw = move |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    let mut lines = vec!["SELECT 0".to_owned()];
    // Sets only, so that nothing is refused whatever comes first.
    while lines.len() < count {
        let [a, b, c] = [draw(5), draw(5), draw(5)];
        lines.push(match draw(9) {
            0 if a != b => format!("COPY {a} {b} REPLACE"),
            1 => format!("SUNIONSTORE {a} {b} {c}"),
            2 => format!("SINTERSTORE {a} {b} {c}"),
            3 => format!("DEL {a} {b}"),
            4 => format!("SMOVE {a} {b} m{c}"),
            5 => format!("PEXPIREAT {a} 400000000000{b}"),
            6 if draw(8) == 0 => "FLUSHALL".to_owned(),
            _ => format!("SADD {a} m{b} m{c}"),
        });
    }
    lines
}
