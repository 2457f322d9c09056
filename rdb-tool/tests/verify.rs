//! Sound files are sound, and each damaged one is told by kind, offset, key and reason.

mod common;

use common::{all_golden, code, run, run_piped, stderr, stdout, testdata};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

/// A changed value under a checksum that is switched off: nothing in the bytes is wrong.
const CANNOT_BE_TOLD: &str = "zero-checksum.rdb";
/// A bit in a key's length shows at the next record; only who can look back finds the length to blame.
const FILE_ONLY: &str = "flip-keylen.rdb";

#[test]
fn golden_snapshots_are_sound() {
    let files = all_golden();
    let output = run(&[&["verify".into()], &files[..]].concat());
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let lines = stdout(&output);
    assert_eq!(lines.lines().count(), files.len());
    assert!(
        lines.lines().all(|line| line.contains(": sound, ")),
        "{lines}"
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_end_the_work() {
    let testdata = testdata();
    let path = |name: &str| testdata.join(name).display().to_string();
    let (sound, bad) = (path("rdb/redis-7.2.4/all.rdb"), path("bad/flip-keylen.rdb"));
    let (none, folder) = (path("bad/none-such.rdb"), path("bad"));
    let output = run(&["verify", &none, &sound, &folder, &bad, &sound]);
    assert_eq!(code(&output), 2, "the worst decides");
    assert_eq!(stdout(&output).matches(": sound, ").count(), 2);
    let told = stderr(&output);
    for (file, words) in [
        (&none, "no such file"),
        (&folder, "directory"),
        (&bad, "offset "),
    ] {
        let line = told
            .lines()
            .find(|line| line.contains(&format!(": {file}: ")));
        assert!(
            line.is_some_and(|line| line.contains(words)),
            "{file}: {told}"
        );
    }
    assert_eq!(code(&run(&["verify", &bad, &sound])), 1);
}

#[test]
fn damage_has_kind_and_place_from_a_file_and_from_a_pipe() {
    let folder = testdata().join("bad");
    let expected = std::fs::read_to_string(folder.join("expect-rdb.jsonl")).unwrap();
    let mut seen = 0;
    for line in expected.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let (file, kind) = (
            expected["file"].as_str().unwrap(),
            expected["kind"].as_str().unwrap(),
        );
        if file == CANNOT_BE_TOLD {
            continue;
        }
        let path = folder.join(file);
        let bytes = std::fs::read(&path).unwrap();
        let words = ["verify", "--for", "redis-7.2", "--json"];
        let outputs = [
            run(&[&words[..], &[path.to_str().unwrap()]].concat()),
            run_piped(&[&words[..], &["-"]].concat(), &bytes),
        ];
        let compared = if file == FILE_ONLY { 1 } else { 2 };
        for output in &outputs[..compared] {
            let found: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{file}: {}", stderr(output)));
            if kind == "none" {
                assert_eq!(
                    (code(output), &found["sound"]),
                    (0, &Value::Bool(true)),
                    "{file}: {found}"
                );
                continue;
            }
            assert_eq!(
                (code(output), found["kind"].as_str()),
                (1, Some(kind)),
                "{file}: {found}"
            );
            let offset = found["offset"].as_u64().unwrap();
            assert!(offset <= bytes.len() as u64, "{file}: {found}");
            assert!(
                stderr(output).contains(&format!(": offset {offset} ({offset:#x}): ")),
                "{file}: {}",
                stderr(output)
            );
        }
        seen += 1;
    }
    assert!(seen >= 100, "only {seen} damaged files");
}

#[test]
fn the_line_reads_outside_in() {
    let path = testdata().join("bad/lp-dup-hash.rdb");
    let output = run(&["verify".as_ref(), path.as_os_str()]);
    let lines = stderr(&output);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(
        lines[0].starts_with(&format!(
            "rdb-tool: {}: offset 47 (0x2f): db 0, key \"k\", hash",
            path.display()
        )),
        "{lines:?}"
    );
    assert_eq!(
        lines[1],
        "rdb-tool: hint: everything before offset 44 decodes: 0 keys"
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn file_and_pipe_count_the_same_keys() {
    for path in all_golden() {
        let of_file = run(&["verify".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let of_pipe = run_piped(&["verify", "--json", "-"], &std::fs::read(&path).unwrap());
        let parse = |output: &std::process::Output| -> Value {
            let mut value: Value = serde_json::from_slice(&output.stdout).unwrap();
            value["file"] = Value::Null;
            value
        };
        assert_eq!(parse(&of_file), parse(&of_pipe), "{}", path.display());
        let dumped = run(&["dump".as_ref(), path.as_os_str()]);
        let keys = stdout(&dumped)
            .lines()
            .filter(|line| !line.contains("\"db\":null"))
            .count();
        assert_eq!(parse(&of_file)["keys"], keys, "{}", path.display());
    }
}

#[test]
fn one_damaged_file_among_sound_ones_is_found() {
    let good = common::golden("redis-7.2.4/small-nocompress.rdb");
    let bad = testdata().join("bad/flip-checksum.rdb");
    let output = run(&[
        "verify".as_ref(),
        good.as_os_str(),
        bad.as_os_str(),
        good.as_os_str(),
    ]);
    assert_eq!((code(&output), stdout(&output).lines().count()), (1, 2));
    assert!(stderr(&output).contains("checksum"), "{}", stderr(&output));
}

#[test]
fn what_a_server_cannot_load_is_found_only_when_asked() {
    let newer = common::golden("redis-7.4.1/small-nocompress.rdb");
    assert_eq!(code(&run(&["verify".as_ref(), newer.as_os_str()])), 0);
    let output = run(&[
        "verify".as_ref(),
        "--for".as_ref(),
        "redis-7.2".as_ref(),
        newer.as_os_str(),
    ]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
}

#[test]
fn other_implementations_agree_on_every_golden_snapshot() {
    let files = all_golden();
    let words = ["verify".into(), "--cross-check".into(), "--json".into()];
    let output = run(&[&words, &files[..]].concat());
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let mut strings = 0;
    for line in stdout(&output).lines() {
        let found: Value = serde_json::from_str(line).unwrap();
        assert_eq!(found["cross_check"]["disagreements"], 0, "{line}");
        strings += found["cross_check"]["strings"].as_u64().unwrap();
    }
    assert!(
        strings > 400,
        "only {strings} compressed strings in all golden files"
    );
}

/// Damage is damage as without it, and no bytes make the other code end the tool.
#[test]
fn hostile_files_are_judged_as_without_a_cross_check() {
    for entry in std::fs::read_dir(testdata().join("bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rdb") {
            continue;
        }
        let plain = run(&["verify".as_ref(), path.as_os_str()]);
        let crossed = run(&[
            "verify".as_ref(),
            "--cross-check".as_ref(),
            path.as_os_str(),
        ]);
        assert_eq!(code(&plain), code(&crossed), "{}", path.display());
        assert_eq!(stderr(&plain), stderr(&crossed), "{}", path.display());
    }
}

#[test]
fn a_pipe_cannot_be_cross_checked() {
    let bytes = std::fs::read(common::golden("redis-7.2.4/all.rdb")).unwrap();
    let output = run_piped(&["verify", "--cross-check", "-"], &bytes);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("which a pipe cannot give"),
        "{}",
        stderr(&output)
    );
}

/// In the first line of verify and inspect, and in their JSON.
#[test]
fn what_became_of_the_checksum_is_told() {
    for (name, text, word) in [
        (
            "redis-7.2.4/small-nocompress.rdb",
            "checksum right",
            "verified",
        ),
        (
            "redis-7.2.4/small-nochecksum.rdb",
            "checksum off (eight zero bytes)",
            "off",
        ),
        (
            "redis-2.4.18/small-nocompress.rdb",
            "no checksum in this version",
            "none",
        ),
    ] {
        let path = common::golden(name);
        for tool in ["verify", "inspect"] {
            let told = stdout(&run(&[tool.as_ref(), path.as_os_str()]));
            let first = told.lines().next().unwrap_or("");
            assert!(
                first.contains(&format!(", {text}")),
                "{tool} {name}: {told}"
            );
            let json = run(&[tool.as_ref(), "--json".as_ref(), path.as_os_str()]);
            let json: Value = serde_json::from_slice(&json.stdout).unwrap();
            assert_eq!(json["checksum"], word, "{tool} {name}");
        }
    }
}

/// A standard input that fails with "connection reset" behind these bytes.
fn failing_behind(bytes: &[u8]) -> Stdio {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    // Who closes a socket without having read it all resets the connection.
    ours.write_all(b"x").unwrap();
    theirs.peek(&mut [0]).unwrap();
    theirs.write_all(bytes).unwrap();
    drop(theirs);
    std::os::fd::OwnedFd::from(ours).into()
}

/// That the system could not read says nothing about the file: the work failed, and no damage is told.
#[test]
fn a_failure_to_read_is_no_damage() {
    let whole = common::many_strings(100);
    for words in [["verify", "-"], ["inspect", "-"], ["dump", "-"]] {
        for cut in [0, 5, 9, 1000] {
            let output = common::tool()
                .args(words)
                .stdin(failing_behind(&whole[..cut]))
                .output()
                .unwrap();
            let told = stderr(&output);
            assert_eq!(code(&output), 2, "{words:?} {cut}: {told}");
            assert!(
                told.to_lowercase().contains("connection reset"),
                "{words:?} {cut}: {told}"
            );
        }
    }
}
