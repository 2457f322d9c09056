//! Parts of a snapshot, and what becomes of them together: filter, split, merge.

mod common;

use common::{all_golden, code, golden, names, run, run_piped, stderr, stdout, testdata};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn ok<W: AsRef<std::ffi::OsStr>>(words: &[W]) -> String {
    let output = run(words);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
}

/// Equal by `diff`, which knows neither order nor encoding.
fn assert_equal(a: &Path, b: &Path) {
    let output = run(&["diff".as_ref(), a.as_os_str(), b.as_os_str()]);
    assert_eq!(
        code(&output),
        0,
        "{}: {}{}",
        a.display(),
        stdout(&output),
        stderr(&output)
    );
}

/// Keys and libraries as `dump` writes them, in any order.
fn dumped(words: &[&str], file: &Path) -> Vec<String> {
    let text = ok(&[&["dump"], words, &[file.to_str().unwrap()]].concat());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A hash without a field that expires is written as one that has room for none.
fn without_room(line: &str) -> String {
    match line.contains("field_expire_ms") {
        true => line.to_owned(),
        false => line.replace("listpackex", "hashtable"),
    }
}

#[test]
fn filter_keeps_what_dump_selects_with_every_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("part.rdb");
    for file in all_golden() {
        let all = [
            "filter",
            "--force",
            "-o",
            out.to_str().unwrap(),
            file.to_str().unwrap(),
        ];
        ok(&all);
        assert_equal(&file, &out);
        for words in [
            &["--type", "hash", "--type", "zset"][..],
            &["--not-ttl", "any", "--not-type", "function"],
            &["--slot", "0-8191"],
        ] {
            ok(&[&all[..], words].concat());
            let kept = dumped(&[], &out);
            let selected: Vec<String> = dumped(words, &file)
                .iter()
                .map(|line| without_room(line))
                .collect();
            assert_eq!(kept.len(), selected.len(), "{} {words:?}", file.display());
            if !is_converted(&file) {
                let other = kept.iter().zip(&selected).find(|(a, b)| a != b);
                assert!(other.is_none(), "{} {words:?}: {other:?}", file.display());
            }
            assert_eq!(
                code(&run(&["verify".as_ref(), out.as_os_str()])),
                0,
                "{}",
                file.display()
            );
        }
    }
}

/// Whether the version of a snapshot is read and not written, so that a newer one is.
fn is_converted(file: &Path) -> bool {
    let head = fs::read(file).unwrap();
    let version: u32 = std::str::from_utf8(&head[5..9])
        .unwrap()
        .trim_start_matches(char::is_alphabetic)
        .parse()
        .unwrap();
    version < 6
}

#[test]
fn split_and_merged_again_is_equal_by_diff() {
    for (number, file) in all_golden().into_iter().enumerate() {
        let ways = [
            &["--by", "slot", "--parts", "3"][..],
            &["--by", "db"],
            &["--by", "prefix"],
            &["--by", "parts", "--parts", "4"],
        ];
        // All four for the rich data sets, one for each of the others.
        for (way, by) in ways.into_iter().enumerate() {
            if way != number % ways.len() && !file.ends_with("all.rdb") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let (parts, whole) = (folder.path().join("parts"), folder.path().join("whole.rdb"));
            let json = ok(&[
                &[
                    "split",
                    "--json",
                    "-o",
                    parts.to_str().unwrap(),
                    file.to_str().unwrap(),
                ],
                by,
            ]
            .concat());
            let report: Value = serde_json::from_str(&json).unwrap();
            let told = report["parts"].as_array().unwrap();
            let there = names(&parts);
            assert_eq!(told.len(), there.len());
            let keys: u64 = told.iter().map(|part| part["keys"].as_u64().unwrap()).sum();
            let libraries = dumped(&["--type", "function"], &file);
            let expected = dumped(&["--not-type", "function"], &file);
            assert_eq!(keys, expected.len() as u64, "{} {by:?}", file.display());
            let paths: Vec<_> = there.iter().map(|name| parts.join(name)).collect();
            for path in &paths {
                assert_eq!(
                    dumped(&["--type", "function"], path),
                    libraries,
                    "functions are in each"
                );
                assert_eq!(fs::metadata(path).unwrap().len(), told_bytes(told, path));
            }
            if paths.len() < 2 {
                continue;
            }
            let mut words = vec!["merge".as_ref(), "-o".as_ref(), whole.as_os_str()];
            words.extend(paths.iter().map(|path| path.as_os_str()));
            ok(&words);
            assert_equal(&file, &whole);
        }
    }
}

fn told_bytes(told: &[Value], path: &Path) -> u64 {
    let part = told
        .iter()
        .find(|part| part["file"] == path.to_str().unwrap());
    part.unwrap()["bytes"].as_u64().unwrap()
}

#[test]
fn nodes_of_a_cluster_get_their_slots() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("nodes.conf");
    let [one, two, three] = ["a", "b", "c"].map(|digit| digit.repeat(40));
    let a = format!(
        "{one} 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5000 9000 [7-<-{two}]"
    );
    let b = format!("{two} 10.0.0.2:6379@16379 master - 0 0 2 connected 5001-8999 9001-16383");
    let replica = format!("{three} 10.0.0.3:6379@16379 slave {one} 0 0 1 connected");
    fs::write(
        &conf,
        format!("{a}\n{b}\n{replica}\nvars currentEpoch 2 lastVoteEpoch 0\n"),
    )
    .unwrap();
    let file = golden("redis-7.2.4/all.rdb");
    let parts = folder.path().join("parts");
    let words = [
        "split",
        "--by",
        "slot",
        "--nodes",
        conf.to_str().unwrap(),
        "-o",
        parts.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    let table = ok(&words);
    let files = [&one, &two].map(|id| format!("node-{id}.rdb"));
    assert!(table.contains(&files[0]), "{table}");
    assert_eq!(names(&parts), files);
    let slots = [
        "--slot",
        "0-5000",
        "--slot",
        "9000",
        "--not-type",
        "function",
    ];
    assert_eq!(
        dumped(&["--not-type", "function"], &parts.join(&files[0])),
        dumped(&slots, &file)
    );
    fs::write(&conf, format!("{a}\n")).unwrap();
    let output = run(&[&words[..], &["--force"]].concat());
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains(": no node has slot "),
        "{}",
        stderr(&output)
    );
    fs::write(&conf, format!("{a}\n{}\n", a.replace(&one, &two))).unwrap();
    let output = run(&words);
    assert!(
        stderr(&output).contains("nodes.conf: line 2: slot 0 has two owners"),
        "{}",
        stderr(&output)
    );
}

/// A snapshot of version 9 with strings: key, value and expiry.
fn strings(records: &[(&str, &str, Option<i64>)]) -> Vec<u8> {
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    for (key, value, expire_ms) in records {
        if let Some(at) = expire_ms {
            bytes.push(0xfc);
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        bytes.push(0);
        for text in [key, value] {
            bytes.push(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes.push(0xff);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

#[test]
fn a_key_in_several_files_is_kept_as_the_policy_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let far = 4_102_444_800_000;
    let a = strings(&[
        ("k", "a", Some(far)),
        ("ever", "a", Some(far + 9)),
        ("tie", "a", None),
        ("only-a", "x", None),
    ]);
    let b = strings(&[
        ("k", "b", Some(far + 1)),
        ("ever", "b", None),
        ("tie", "b", None),
        ("only-b", "x", None),
    ]);
    fs::write(path("a"), a).unwrap();
    fs::write(path("b"), b).unwrap();
    let output = run(&["merge", "-o", &path("out"), &path("a"), &path("b")]);
    assert_eq!(code(&output), 2);
    let line = format!(
        "rdb-tool: {}: db 0, key \"k\" is in {}, too\n",
        path("b"),
        path("a")
    );
    assert!(stderr(&output).starts_with(&line), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["a", "b"], "nothing is written");
    for (policy, expected) in [
        ("first", ["a", "a", "a"]),
        ("last", ["b", "b", "b"]),
        ("newest-ttl", ["b", "b", "a"]),
    ] {
        ok(&[
            "merge",
            "--force",
            "--on-conflict",
            policy,
            "-o",
            &path("out"),
            &path("a"),
            &path("b"),
        ]);
        let text = ok(&["dump", "--bytes", "text", &path("out")]);
        for (key, value) in ["k", "ever", "tie"].into_iter().zip(expected) {
            let line = text
                .lines()
                .find(|line| line.contains(&format!("\"{key}\"")))
                .unwrap();
            assert!(
                line.ends_with(&format!("\"value\":\"{value}\"}}")),
                "{policy}: {line}"
            );
        }
        assert_eq!(text.lines().count(), 5, "{policy}");
    }
}

#[test]
fn the_version_of_several_is_one_whose_servers_read_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let (old, new, valkey) = (
        golden("redis-5.0.14/empty.rdb"),
        golden("redis-7.2.4/all.rdb"),
        golden("valkey-9-built/hash2.rdb"),
    );
    let merge = |a: &Path, b: &Path| {
        run(&[
            "merge".as_ref(),
            "--force".as_ref(),
            "-o".as_ref(),
            out.as_os_str(),
            a.as_os_str(),
            b.as_os_str(),
        ])
    };
    let output = merge(&old, &new);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_equal(&new, &out);
    assert!(fs::read(&out).unwrap().starts_with(b"REDIS0011"));
    assert_eq!(code(&merge(&new, &valkey)), 0);
    assert!(fs::read(&out).unwrap().starts_with(b"VALKEY080"));
    let output = merge(&golden("redis-8.6.3/all.rdb"), &valkey);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("no server reads all of RDB version 13 (Redis 8.6)"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_output_that_is_there_is_kept_and_a_damaged_input_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    fs::write(&out, b"mine").unwrap();
    let file = golden("redis-7.2.4/all.rdb");
    let (out, file) = (out.to_str().unwrap(), file.to_str().unwrap());
    let empty = golden("redis-7.2.4/empty.rdb");
    for words in [&["filter"][..], &["merge", empty.to_str().unwrap()]] {
        let output = run(&[words, &["-o", out, file]].concat());
        assert_eq!(code(&output), 2, "{words:?}");
        assert!(
            stderr(&output).contains("out.rdb: is there already\n"),
            "{}",
            stderr(&output)
        );
        assert_eq!(fs::read(out).unwrap(), b"mine");
    }
    let damaged = testdata().join("bad").join("flip-value.rdb");
    let damaged = damaged.to_str().unwrap();
    for words in [
        &["filter", "--force", "-o", out, damaged][..],
        &["merge", "--force", "-o", out, file, damaged],
        &[
            "split",
            "--by",
            "db",
            "-o",
            folder.path().to_str().unwrap(),
            damaged,
        ],
    ] {
        assert_eq!(code(&run(words)), 2, "{words:?}");
        assert_eq!(names(folder.path()), ["out.rdb"], "{words:?}");
        assert_eq!(fs::read(out).unwrap(), b"mine");
    }
    let output = run(&["filter", "--force", "-o", file, file]);
    assert!(
        stderr(&output).contains("same file as the input"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn filter_works_between_pipes() {
    let file = golden("redis-7.2.4/all.rdb");
    let output = run_piped(
        &["filter", "--type", "list", "-o", "-", "-"],
        &fs::read(&file).unwrap(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part.rdb");
    fs::write(&part, &output.stdout).unwrap();
    assert_eq!(dumped(&[], &part), dumped(&["--type", "list"], &file));
}

#[test]
fn a_signal_takes_all_unfinished_parts_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("env")
        .arg("--default-signal=TERM")
        .arg(common::tool().get_program())
        .args(["split", "--by", "parts", "--parts", "40", "-o"])
        .arg(folder.path())
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // A snapshot that goes on: its parts are begun, and none can end.
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&common::many_strings(30_000)[..3 << 20])
        .unwrap();
    let since = Instant::now();
    while names(folder.path()).len() < 40 {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the parts do not appear"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), None, "it died of the signal");
    assert!(
        names(folder.path()).is_empty(),
        "{:?}",
        names(folder.path())
    );
}
