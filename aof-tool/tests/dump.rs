//! `aof-tool dump`: the lines, their order, and what ends them early.

mod tool;

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use tool::{bad, golden, run, run_with_stdin};

#[test]
fn text_has_offset_database_and_quoted_arguments() {
    let run = run(&["dump", &bad("aof-ts.aof")]);
    assert_eq!((run.code, &run.stderr[..]), (0, ""));
    let lines: Vec<&str> = run.stdout.lines().collect();
    let expected = [
        "0\t-\t#TS:1700000000",
        "16\t0\t\"SELECT\" \"0\"",
        "39\t0\t\"SET\" \"a\" \"1\"",
        "66\t0\t\"RPUSH\" \"l\" \"x\" \"y\" \"z\"",
    ];
    assert_eq!(lines[..4], expected);
}

#[test]
fn a_snapshot_is_a_line_with_its_number_of_keys() {
    for (keys, line) in [(1, "snapshot of 1 key, "), (2, "snapshot of 2 keys, ")] {
        let log: String = (0..keys)
            .map(|i| format!("*3\r\n$3\r\nSET\r\n$1\r\n{i}\r\n$1\r\nv\r\n"))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.rdb");
        let path = path.to_str().unwrap();
        let words = ["rewrite", "--form", "snapshot", "-o", path, "-"];
        assert_eq!(run_with_stdin(&words, log.as_bytes()).code, 0);
        let told = run(&["dump", path]);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stdout.contains(line), "{told:?}");
    }
}

#[test]
fn json_has_all_arguments_times_and_databases() {
    let log = b"#TS:7\r\n*2\r\n$6\r\nselect\r\n$1\r\n3\r\n*2\r\n$3\r\nDEL\r\n$2\r\n\xff\"\r\n";
    let run = run_with_stdin(&["dump", "--format", "jsonl", "-"], log);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.stdout,
        "{\"offset\":0,\"end\":7,\"annotation\":\"#TS:7\"}\n\
         {\"offset\":7,\"end\":30,\"time\":7,\"db\":3,\"args\":[\"select\",\"3\"]}\n\
         {\"offset\":30,\"end\":51,\"time\":7,\"db\":3,\"args\":[\"DEL\",{\"base64\":\"/yI=\"}]}\n"
    );
    let coded = run_with_stdin(
        &["dump", "--format", "jsonl", "--bytes", "base64", "-"],
        log,
    );
    assert!(
        coded.stdout.ends_with("\"args\":[\"REVM\",\"/yI=\"]}\n"),
        "{coded:?}"
    );
}

#[test]
fn a_folder_is_dumped_part_by_part_with_offsets_that_join() {
    let run = run(&[
        "dump",
        "--format",
        "jsonl",
        &golden("redis-7.2.4/appendonlydir-multi"),
    ]);
    assert_eq!((run.code, &run.stderr[..]), (0, ""));
    let (mut file, mut end, mut files) = (Value::Null, 0, 0);
    for line in run.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["file"] != file {
            file = line["file"].clone();
            (end, files) = (0, files + 1);
        }
        assert_eq!(line["offset"].as_u64(), Some(end), "{line}");
        end = line["end"].as_u64().unwrap();
    }
    assert_eq!(files, 4);
    assert!(run.stdout.starts_with(
        "{\"file\":\"appendonly.aof.2.base.rdb\",\"offset\":0,\"end\":947,\"snapshot_keys\":"
    ));
}

#[test]
fn a_damaged_log_is_printed_up_to_the_damage() {
    let run = run(&["dump", &bad("aof-truncated-060.aof")]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(
        run.stderr
            .contains("offset 50 (0x32): command: argument 1 of 5 claims 5 bytes, 2 remain"),
        "{run:?}"
    );
}

#[test]
fn output_goes_to_a_file_but_never_over_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    fs::copy(bad("ok-base.aof"), path("in")).unwrap();
    assert_eq!(run(&["dump", "-o", &path("out"), &path("in")]).code, 0);
    assert_eq!(fs::read_to_string(path("out")).unwrap().lines().count(), 3);
    let refused = run(&["dump", "-o", &path("in"), &path("in")]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("same file as the input"),
        "{refused:?}"
    );
    assert_eq!(fs::read(path("in")).unwrap().len(), 93);
    fs::write(path("m.manifest"), "file in seq 1 type i\n").unwrap();
    let refused = run(&["dump", "-o", &path("m.manifest"), &path("m.manifest")]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(fs::read(path("m.manifest")).unwrap().len(), 21);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
        .args(["dump", &golden("redis-7.2.4/appendonlydir")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

/// A standard input that fails with "connection reset" behind these bytes, or shortly before their end.
fn failing_behind(bytes: Vec<u8>) -> Stdio {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    // Who closes a socket without having read it all resets the connection.
    ours.write_all(b"x").unwrap();
    theirs.peek(&mut [0]).unwrap();
    std::thread::spawn(move || theirs.write_all(&bytes));
    std::os::fd::OwnedFd::from(ours).into()
}

/// That the system could not read says nothing about the log: the work failed, and no damage is told.
#[test]
fn a_failure_to_read_is_no_damage() {
    let log = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    for words in [
        &["dump", "-"][..],
        &["check", "-"],
        &["rewrite", "-", "-o", "-"],
    ] {
        // Before anything, inside a command, and behind whole ones.
        for cut in [0, 10, 23, 30, log.len()] {
            let output = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
                .args(words)
                .stdin(failing_behind(log[..cut].to_vec()))
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words:?} {cut}: {told}");
            assert!(
                told.to_lowercase().contains("connection reset"),
                "{words:?} {cut}: {told}"
            );
        }
    }
}

/// Far more than sockets hold lies before it, so that commands were read by then.
#[test]
fn a_failure_between_commands_is_no_damage_either() {
    let value = [b"$1000\r\n".as_slice(), &[b'v'; 1000], b"\r\n"].concat();
    let log = [b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n".as_slice(), &value]
        .concat()
        .repeat(24_000);
    for words in [
        &["dump", "-"][..],
        &["check", "-"],
        &["rewrite", "-", "-o", "-"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
            .args(words)
            .stdin(failing_behind(log.clone()))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {told}");
        assert!(
            told.to_lowercase().contains("connection reset"),
            "{words:?}: {told}"
        );
        assert_eq!(
            words[0] == "dump",
            output.stdout.len() > 1 << 20,
            "{words:?}"
        );
    }
}
