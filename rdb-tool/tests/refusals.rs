//! What cannot be done is told in a line that says what, where and what to do, with exit 2; nothing half-written is left, and nothing is lost.

mod common;

use common::{code, golden, names, run, run_piped, stderr, tool};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Commands that write, to `out` in a folder.
const WRITERS: [&[&str]; 8] = [
    &["convert", "--to", "redis-7.2", "-o", "out"],
    &["convert", "--to", "aof", "-o", "out"],
    &["dump", "-o", "out"],
    &["salvage", "-o", "out"],
    &["filter", "-o", "out"],
    &["split", "--by", "db", "-o", "out"],
    &["merge", "-o", "out"],
    &["report", "-o", "out"],
];

/// Commands that read, but for the file.
const READERS: [&[&str]; 8] = [
    &["inspect"],
    &["verify"],
    &["dump"],
    &["convert", "--to", "redis-7.2", "-o", "out"],
    &["salvage", "-o", "out"],
    &["filter", "-o", "out"],
    &["memory", "--for", "redis-7.2"],
    &["index"],
];

fn in_folder(folder: &Path, words: &[&str], file: &str) -> std::process::Output {
    let mut command = tool();
    command.current_dir(folder).args(words).arg(file);
    command.output().unwrap()
}

#[test]
fn what_is_no_snapshot_is_told_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("log.aof"), "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n").unwrap();
    fs::write(at("text"), "hello\n").unwrap();
    fs::write(at("lines.jsonl"), "{\"db\":0}\n").unwrap();
    fs::write(at("empty.rdb"), "").unwrap();
    fs::create_dir(at("folder")).unwrap();
    let before = names(folder.path());
    for words in READERS {
        for (file, what, advice) in [
            ("log.aof", "not a snapshot", "this is a log of commands"),
            (
                "folder",
                "folder: is a directory",
                "name the snapshot itself",
            ),
            (
                "lines.jsonl",
                "not a snapshot",
                "convert --from jsonl --to redis-7.2 -o dump.rdb lines.jsonl`",
            ),
            (
                "/dev/zero",
                "/dev/zero: is a device",
                "cat /dev/zero | rdb-tool",
            ),
            (
                "/dev/null",
                "/dev/null: is a device",
                "cat /dev/null | rdb-tool",
            ),
            ("missing", "missing: no such file", ""),
        ] {
            let output = in_folder(folder.path(), words, file);
            let said = stderr(&output);
            assert_eq!(code(&output), 2, "{words:?} {file}: {said}");
            assert!(
                said.contains(what) && said.contains(advice),
                "{words:?}: {said}"
            );
        }
        let output = in_folder(folder.path(), words, "empty.rdb");
        let said = stderr(&output);
        let is_finding = words[0] == "verify";
        assert_eq!(
            code(&output),
            if is_finding { 1 } else { 2 },
            "{words:?}: {said}"
        );
        assert!(said.contains("empty.rdb: "), "{words:?}: {said}");
        assert_eq!(names(folder.path()), before, "{words:?}");
    }
}

/// `ulimit -f` stands for a full disk: both end a write.
#[test]
fn a_file_that_may_not_grow_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    fs::copy(golden("redis-7.2.4/all.rdb"), &file).unwrap();
    fs::create_dir(folder.path().join("temporary")).unwrap();
    let before = fs::read(&file).unwrap();
    for words in WRITERS {
        let mut shell = Command::new("bash");
        shell.args(["-c", "ulimit -f 2; exec \"$@\"", "bash"]);
        shell.arg(tool().get_program()).args(words).arg("dump.rdb");
        shell.env("TMPDIR", folder.path().join("temporary"));
        let output = shell.current_dir(folder.path()).output().unwrap();
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{words:?}: {said}");
        assert!(said.contains("file too large"), "{words:?}: {said}");
        assert!(said.contains("hint: nothing is left"), "{words:?}: {said}");
        assert_eq!(names(folder.path()), ["dump.rdb", "temporary"], "{words:?}");
        assert!(names(&folder.path().join("temporary")).is_empty());
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}

#[test]
fn who_may_not_read_or_write_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    // Only who may everything can become somebody who may not; others have a file that they may not read at once.
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let as_nobody = |words: &[&std::ffi::OsStr]| {
        let mut command = Command::new(if nobody { "setpriv" } else { "env" });
        if nobody {
            command.args(["--reuid=65534", "--clear-groups"]);
        }
        command.arg(tool().get_program()).args(words);
        command.output().unwrap()
    };
    let readable = golden("redis-7.2.4/all.rdb");
    let secret = folder.path().join("secret.rdb");
    fs::copy(&readable, &secret).unwrap();
    let mode = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&secret, 0o000);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    mode(&closed, 0o555);
    mode(folder.path(), 0o755);
    let open = folder.path().join("open.rdb");
    fs::copy(&readable, &open).unwrap();
    mode(&open, 0o644);
    let out = closed.join("out.rdb");
    let convert = ["convert", "--to", "redis-7.2", "-o"].map(std::ffi::OsStr::new);
    let writing: Vec<_> = convert
        .into_iter()
        .chain([out.as_os_str(), open.as_os_str()])
        .collect();
    for (words, name) in [
        (&["inspect".as_ref(), secret.as_os_str()][..], &secret),
        (&writing, &out),
    ] {
        let output = as_nobody(words);
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{said}");
        let name = name.display();
        let line = format!("rdb-tool: {name}: permission denied\nrdb-tool: hint: ");
        assert!(said.starts_with(&line), "{said}");
    }
    assert!(names(&closed).is_empty());
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let file = golden("redis-7.2.4/all.rdb");
    let file = file.to_str().unwrap();
    let address = "redis://127.0.0.1:1";
    for words in [
        &["load", "--to", address, file][..],
        &["inspect", address],
        &["diff", file, address],
    ] {
        let output = run(words);
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{words:?}");
        let line = format!("rdb-tool: {address}: could not connect: connection refused\n");
        assert!(said.contains(&line), "{words:?}: {said}");
        assert!(
            said.contains("hint: a server has to listen"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn compressed_bytes_of_something_else_are_no_damage() {
    for words in [&["inspect", "-"][..], &["verify", "-"]] {
        let output = run_piped(words, &gzip_of(b"hello\n"));
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{said}");
        assert!(
            said.contains("what is compressed in it is no snapshot"),
            "{said}"
        );
    }
}

/// A gzip file with one stored block.
fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16;
    let mut zipped = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    zipped.extend(len.to_le_bytes());
    zipped.extend((!len).to_le_bytes());
    zipped.extend(bytes);
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    zipped.extend((!crc).to_le_bytes());
    zipped.extend(u32::from(len).to_le_bytes());
    zipped
}
