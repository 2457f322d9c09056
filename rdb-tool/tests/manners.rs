//! Summaries, exit codes, closed pipes, refused outputs, files that shrink, signals.

mod common;

use common::{code, golden, many_strings, names, run, run_piped, stderr, stdout, tool};
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn inspect_counts_by_db_type_and_encoding() {
    let path = golden("redis-7.2.4/all.rdb");
    let output = run(&["inspect", "--json", "--top", "3", path.to_str().unwrap()]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (code(&output), &found["version"], &found["checksum"]),
        (0, &Value::from(11), &Value::from("verified"))
    );
    let sum = |part: &Value, field: &str| -> u64 {
        part.as_object()
            .unwrap()
            .values()
            .map(|count| count[field].as_u64().unwrap())
            .sum()
    };
    let keys = found["keys"].as_u64().unwrap();
    assert_eq!(
        (
            sum(&found["databases"], "keys"),
            sum(&found["types"], "keys")
        ),
        (keys, keys)
    );
    let dumped = run(&["dump", path.to_str().unwrap()]);
    let lines = stdout(&dumped)
        .lines()
        .filter(|line| !line.contains("\"db\":null"))
        .count();
    assert_eq!(lines as u64, keys);
    let encodings: u64 = found["encodings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| count["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(sum(&found["types"], "bytes"), encodings);
    let largest = found["largest"].as_array().unwrap();
    assert_eq!(largest.len(), 3);
    assert!(
        largest
            .windows(2)
            .all(|pair| pair[0]["bytes"].as_u64() >= pair[1]["bytes"].as_u64())
    );
    let all = run(&[
        "inspect",
        "--json",
        "--top",
        "100000",
        path.to_str().unwrap(),
    ]);
    let all: Value = serde_json::from_slice(&all.stdout).unwrap();
    let mut sizes: Vec<u64> = all["largest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|large| large["bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes.len() as u64, keys);
    sizes.sort_by_key(|size| std::cmp::Reverse(*size));
    let told: Vec<u64> = largest
        .iter()
        .map(|large| large["bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(told, sizes[..3]);
    assert_eq!(found["functions"].as_array().unwrap().len(), 2);
    let text = stdout(&run_piped(
        &["inspect", "-"],
        &std::fs::read(&path).unwrap(),
    ));
    for word in [
        "RDB version 11 (Redis 7.2, Valkey 7.2 to 8.1)",
        "redis-ver",
        "7.2.4",
        "largest keys",
        "listpack",
        "skiplist",
        "mylib",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}

#[test]
fn wrong_arguments_are_exit_2_and_help_has_examples() {
    for words in [
        &[][..],
        &["look"],
        &["dump"],
        &["verify"],
        &["convert", "--force", "x"],
        &["convert", "--force", "--to", "mysql", "-o", "y", "x"],
        &["diff", "a"],
    ] {
        let output = run(words);
        assert_eq!(code(&output), 2, "{words:?}");
        assert!(
            stderr(&output).starts_with("rdb-tool: ") && output.stdout.is_empty(),
            "{words:?}: {}",
            stderr(&output)
        );
    }
    for words in [
        &["--help"][..],
        &["inspect", "--help"],
        &["dump", "--help"],
        &["verify", "--help"],
        &["convert", "--force", "--help"],
        &["diff", "--help"],
        &["get", "--help"],
        &["index", "--help"],
        &["filter", "--help"],
        &["split", "--help"],
        &["merge", "--help"],
        &["mask", "--help"],
        &["memory", "--help"],
        &["whatif", "--help"],
        &["report", "--help"],
    ] {
        let output = run(words);
        assert_eq!(code(&output), 0);
        assert!(
            stdout(&output).contains("Examples:\n  rdb-tool "),
            "{words:?}"
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_exit_2_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.rdb");
    for command in ["inspect", "dump", "verify"] {
        let output = run(&[command.as_ref(), missing.as_os_str()]);
        assert_eq!(
            (code(&output), stderr(&output)),
            (
                2,
                format!(
                    "rdb-tool: {}: no such file or directory\n",
                    missing.display()
                )
            )
        );
        let output = run(&[command.as_ref(), folder.path().as_os_str()]);
        assert_eq!(
            (code(&output), stderr(&output)),
            (
                2,
                format!(
                    "rdb-tool: {}: is a directory\n\
                     rdb-tool: hint: name the snapshot itself: no name in this folder ends in .rdb\n",
                    folder.path().display()
                )
            )
        );
    }
}

#[test]
fn an_output_that_is_the_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.rdb");
    std::fs::copy(golden("redis-7.2.4/all.rdb"), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    std::os::unix::fs::symlink("dump.rdb", folder.path().join("link.rdb")).unwrap();
    std::fs::hard_link(&path, folder.path().join("hard.rdb")).unwrap();
    for name in ["dump.rdb", "link.rdb", "hard.rdb"] {
        let out = folder.path().join(name);
        let output = run(&[
            "convert",
            "--force",
            "--to",
            "redis-7.2",
            "-o",
            out.to_str().unwrap(),
            path.to_str().unwrap(),
        ]);
        assert_eq!(code(&output), 2);
        assert!(
            stderr(&output).contains("output is the same file as the input"),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(names(folder.path()), ["dump.rdb", "hard.rdb", "link.rdb"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_there_is_replaced_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mine");
    let (file, place) = (golden("redis-7.2.4/all.rdb"), out.to_str().unwrap());
    let file = file.to_str().unwrap();
    for words in [
        &["convert", "--to", "redis-7.2", "-o", place, file][..],
        &[
            "convert",
            "--to",
            "redis-7.2",
            "--side",
            place,
            "-o",
            "-",
            file,
        ],
        &["dump", "-o", place, file],
        &["salvage", "-o", place, file],
        &["salvage", "--quarantine", place, "-o", "-", file],
        &["diff", "--patch", place, file, file],
    ] {
        std::fs::write(&out, "mine").unwrap();
        let output = run(words);
        assert_eq!(code(&output), 2, "{words:?}");
        let told = stderr(&output);
        assert!(told.contains("mine: is there already"), "{words:?}: {told}");
        assert!(told.contains("--force"), "{words:?}: {told}");
        assert_eq!(std::fs::read(&out).unwrap(), b"mine", "{words:?}");
        let output = run(&[words, &["--force"]].concat());
        assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.rdb");
    std::fs::write(&path, many_strings(50_000)).unwrap();
    for words in [
        &["dump"][..],
        &["convert", "--force", "--to", "jsonl", "-o", "-"],
    ] {
        let mut child = tool()
            .args(words)
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 100];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut first).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (code(&output), stderr(&output).as_str()),
            (0, ""),
            "{words:?}"
        );
    }
}

/// The tool stops at a full pipe with most of its map unread; the file is cut; reading on must end in a line, not in a crash.
#[test]
fn a_mapped_file_that_shrinks_ends_in_an_error_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shrinks.rdb");
    std::fs::write(&path, many_strings(200_000)).unwrap();
    let mut child = tool()
        .arg("dump")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 100]).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(4096)
        .unwrap();
    let reader = thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let output = child.wait_with_output().unwrap();
    reader.join().unwrap().unwrap();
    assert_eq!(code(&output), 2);
    let line = format!(
        "rdb-tool: {}: the file shrank while it was read; ",
        path.display()
    );
    assert!(stderr(&output).starts_with(&line), "{}", stderr(&output));
}

/// A conversion that has begun its output in `folder` and waits for input. Whoever runs the tests may have signals ignored
/// (`nohup`), and what is ignored stays so: `env` says what holds.
fn conversion(folder: &Path, signals: &str) -> Child {
    let child = Command::new("env")
        .arg(signals)
        .arg(tool().get_program())
        .args(["convert", "--force", "--to", "redis-7.2", "-o"])
        .arg(folder.join("out.rdb"))
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while names(folder).is_empty() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "no temporary file appears"
        );
        thread::sleep(Duration::from_millis(5));
    }
    child
}

fn kill(signal: &str, child: &Child) {
    let killed = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = conversion(folder.path(), "--ignore-signal=HUP");
    kill("HUP", &child);
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(2), "it went on, and found no snapshot");
}

#[test]
fn a_signal_leaves_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT", "HUP"] {
        let mut child = conversion(folder.path(), "--default-signal=TERM,INT,HUP");
        kill(signal, &child);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "it died of the signal");
        assert!(
            names(folder.path()).is_empty(),
            "{signal}: {:?}",
            names(folder.path())
        );
    }
}
