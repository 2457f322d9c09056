//! Conversions keep everything or say what they cannot keep; a real server reads them.

mod common;

use common::{RealServer, all_golden, code, golden, names, run, run_piped, stderr, stdout};
use std::path::Path;

/// One for each version that can be written.
const TARGETS: [&str; 9] = [
    "redis-2.6",
    "redis-3.2",
    "redis-4.0",
    "redis-6.2",
    "10",
    "valkey-8",
    "redis-7.4",
    "redis-8.6",
    "valkey-9.0",
];

fn convert(to: &str, extra: &[&str], from: &Path, out: &Path) -> std::process::Output {
    let words = [
        &["convert", "--to", to, "-o", out.to_str().unwrap()],
        extra,
        &[from.to_str().unwrap()],
    ]
    .concat();
    run(&words)
}

fn assert_equal(a: &Path, b: &Path) {
    let output = run(&["diff".as_ref(), a.as_os_str(), b.as_os_str()]);
    assert_eq!(
        code(&output),
        0,
        "{} and {}: {}{}",
        a.display(),
        b.display(),
        stdout(&output),
        stderr(&output)
    );
}

#[test]
fn every_golden_snapshot_to_every_target() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let (mut kept, mut refused) = (0, 0);
    for path in all_golden() {
        for to in TARGETS {
            let output = convert(to, &[], &path, &out);
            if code(&output) == 0 {
                assert_equal(&path, &out);
                kept += 1;
            } else {
                assert_eq!(code(&output), 2, "{to}: {}", stderr(&output));
                assert!(
                    stderr(&output).contains(" cannot hold "),
                    "{to} {}: {}",
                    path.display(),
                    stderr(&output)
                );
                assert!(names(folder.path()).is_empty(), "nothing is written");
                let output = convert(to, &["--drop-unsupported"], &path, &out);
                assert_eq!(code(&output), 0, "{to}: {}", stderr(&output));
                assert!(
                    stderr(&output).contains(": dropped "),
                    "{}",
                    stderr(&output)
                );
                refused += 1;
            }
            assert_eq!(
                code(&run(&["verify".as_ref(), out.as_os_str()])),
                0,
                "{to} {}",
                path.display()
            );
            std::fs::remove_file(&out).unwrap();
        }
    }
    assert!(kept > 250 && refused > 50, "{kept} kept, {refused} refused");
}

#[test]
fn losses_are_counted_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let output = convert(
        "redis-4.0",
        &[],
        &golden("redis-7.4.1/small-nocompress.rdb"),
        &folder.path().join("out"),
    );
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(
        text.contains(
            "cannot hold a stream, which needs Redis 5.0 (version 9): 1, db 0, key \"st\"\n"
        ),
        "{text}"
    );
    assert!(text.contains("cannot hold a function library, which needs Redis 7.0 (version 10): 2, first outside the keys"), "{text}");
    assert!(text.ends_with("rdb-tool: hint: nothing was written; --drop-unsupported leaves these out and writes the rest\n"), "{text}");
}

#[test]
fn a_real_server_loads_version_10_and_saves_the_same() {
    for name in [
        "redis-7.2.4/all.rdb",
        "redis-5.0.14/all.rdb",
        "redis-2.4.18/all.rdb",
        "redis-7.0.15/cluster.rdb",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (
            folder.path().join("ours.rdb"),
            folder.path().join("theirs.rdb"),
        );
        assert_eq!(code(&convert("redis-7.0", &[], &golden(name), &ours)), 0);
        std::fs::copy(&ours, &theirs).unwrap();
        let server = RealServer::start(folder.path(), &["--dbfilename", "theirs.rdb"]);
        server.ask("SAVE");
        drop(server);
        assert_equal(&golden(name), &theirs);
    }
}

#[test]
fn a_real_server_replays_the_commands_to_the_same() {
    for name in [
        "redis-7.2.4/all.rdb",
        "redis-5.0.14/all.rdb",
        "redis-2.4.18/all.rdb",
        "redis-6.2.16/lfu.rdb",
    ] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            code(&convert(
                "aof",
                &[],
                &golden(name),
                &folder.path().join("appendonly.aof")
            )),
            0
        );
        let server = RealServer::start(
            folder.path(),
            &["--appendonly", "yes", "--dbfilename", "theirs.rdb"],
        );
        server.ask("SAVE");
        drop(server);
        assert_equal(&golden(name), &folder.path().join("theirs.rdb"));
    }
}

#[test]
fn lines_are_those_of_dump() {
    let path = golden("redis-7.2.4/all.rdb");
    let dumped = run(&["dump".as_ref(), path.as_os_str()]);
    let converted = run(&[
        "convert",
        "--to",
        "jsonl",
        "-o",
        "-",
        path.to_str().unwrap(),
    ]);
    assert_eq!(
        (code(&converted), converted.stdout == dumped.stdout),
        (0, true)
    );
}

#[test]
fn pipes_at_both_ends_get_all_or_nothing() {
    let path = golden("redis-7.2.4/all.rdb");
    let bytes = std::fs::read(&path).unwrap();
    let output = run_piped(&["convert", "--to", "redis-7.0", "-o", "-", "-"], &bytes);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    std::fs::write(&out, &output.stdout).unwrap();
    assert_equal(&path, &out);
    let output = run_piped(&["convert", "--to", "redis-4.0", "-o", "-", "-"], &bytes);
    assert_eq!((code(&output), output.stdout.len()), (2, 0));
}

#[test]
fn damage_is_not_carried_on() {
    let folder = tempfile::tempdir().unwrap();
    for bad in [
        "lp-dup-hash.rdb",
        "is-unsorted.rdb",
        "flip-checksum.rdb",
        "truncated-0514.rdb",
    ] {
        let output = convert(
            "redis-7.2",
            &[],
            &common::testdata().join("bad").join(bad),
            &folder.path().join("out"),
        );
        assert_eq!(code(&output), 2, "{bad}");
        assert!(stderr(&output).contains(": offset "), "{}", stderr(&output));
        assert!(names(folder.path()).is_empty());
    }
}
