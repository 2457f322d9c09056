//! Sound files are sound, and each damaged one is told by kind, offset, key and reason.

mod common;

use common::{all_golden, code, run, run_piped, stderr, stdout, testdata};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

/// A changed value under a checksum that is switched off: nothing in the bytes is wrong.
const CANNOT_BE_TOLD: &str = "zero-checksum.rdb";

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
        for output in &outputs {
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
fn a_pipe_is_cross_checked_as_a_file_is() {
    let path = common::golden("redis-7.2.4/all.rdb");
    let bytes = std::fs::read(&path).unwrap();
    let of_file = run(&["verify", "--cross-check", path.to_str().unwrap()]);
    let of_pipe = run_piped(&["verify", "--cross-check", "-"], &bytes);
    assert_eq!((code(&of_file), code(&of_pipe)), (0, 0));
    let told = stdout(&of_file).replace(path.to_str().unwrap(), "stdin");
    assert_eq!(stdout(&of_pipe), told);
}

#[test]
fn all_that_is_wrong_is_told_and_what_is_odd_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.rdb");
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    // An empty list, a set with an element twice, a score that is no number, a long length, and a record that is none.
    bytes.extend_from_slice(b"\x01\x05empty\x00");
    bytes.extend_from_slice(b"\x00\x04good\x011");
    bytes.extend_from_slice(b"\x02\x05twice\x02\x01a\x01a");
    bytes.extend_from_slice(b"\x05\x03nan\x01\x01a\0\0\0\0\0\0\xf8\x7f");
    bytes.extend_from_slice(b"\x00\x40\x04long\x011");
    bytes.extend_from_slice(b"\x63\x03bad\x06??????");
    for n in 0..5 {
        bytes.extend_from_slice(format!("\0\x06key:0{n}\x05value").as_bytes());
    }
    bytes.extend_from_slice(b"\x00\x04good\x012");
    bytes.extend_from_slice(b"\xff\x01\x02\x03\x04\x05\x06\x07\x08\n");
    std::fs::write(&path, &bytes).unwrap();
    let path = path.to_str().unwrap();
    let output = run(&["verify", "--json", path]);
    assert_eq!(code(&output), 1);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems: Vec<(&str, &str)> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["severity"].as_str().unwrap(),
                one["problem"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("odd", "empty"),
        ("damage", "duplicate-element"),
        ("damage", "not-a-number"),
        ("odd", "long-length"),
        ("damage", "type"),
        ("damage", "checksum"),
        ("damage", "duplicate-key"),
        ("odd", "trailing"),
    ];
    assert_eq!(problems, expected, "{found}");
    assert_eq!(found["keys"], 9, "{found}");
    assert_eq!(
        found["keys_before"], 0,
        "the first finding is the empty list"
    );
    let told = stderr(&output);
    let lines = told
        .lines()
        .filter(|line| line.contains(": offset "))
        .count();
    assert_eq!(lines, expected.len(), "{told}");
    assert_eq!(told.matches("(odd: servers load it)").count(), 3);
}

#[test]
fn a_changed_byte_is_named_by_the_checksum() {
    let path = testdata().join("bad/flip-value.rdb");
    let output = run(&["verify".as_ref(), path.as_os_str()]);
    assert_eq!(code(&output), 1);
    let told = "at offset 649 (0x289) is 0x6d and was 0x6c";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    let output = run(&[
        "verify".as_ref(),
        "--ignore-checksum".as_ref(),
        path.as_os_str(),
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("checksum not compared"));
}

#[test]
fn servers_that_would_not_load_a_file_are_told_with_the_keys() {
    let golden = |name: &str| common::golden(name).display().to_string();
    let ask = |servers: &str, file: &str| {
        let output = run(&["verify", "--json", "--for", servers, file]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let loads = |one: &Value| one["loads"].as_bool().unwrap();
        let list: Vec<bool> = found["for"].as_array().unwrap().iter().map(loads).collect();
        assert_eq!(code(&output), i32::from(list.contains(&false)), "{found}");
        (list, found)
    };
    let (loads, _) = ask(
        "redis-7.2.4,redis-7.0,valkey-9.0",
        &golden("redis-7.2.4/all.rdb"),
    );
    assert_eq!(loads, [true, false, true]);
    let (loads, _) = ask(
        "redis-7.2,redis-8.0,valkey-8.1",
        &golden("valkey-9-built/hash2.rdb"),
    );
    assert_eq!(loads, [false, false, false]);
    let (loads, found) = ask("redis-7,redis-8,valkey-9", &golden("redis-8.6.3/all.rdb"));
    assert_eq!(loads, [false, true, false]);
    assert_eq!(found["for"][1]["server"], "redis-8.6", "{found}");
    // Forms with a version that has them not, under a head that any server reads.
    let folder = tempfile::tempdir().unwrap();
    let early = folder.path().join("early.rdb");
    let bytes = b"REDIS0011\xfe\x00\x16\x01h\x01\x00\x01f\x01v\xff\0\0\0\0\0\0\0\0";
    std::fs::write(&early, bytes).unwrap();
    let (loads, found) = ask("redis-7.2,redis-7.4", early.to_str().unwrap());
    assert_eq!(loads, [false, true], "{found}");
    assert_eq!(found["for"][0]["reasons"][0]["key"], "\"h\"");
    let module = testdata()
        .join("bad/module-key-unknown.rdb")
        .display()
        .to_string();
    let (loads, found) = ask("redis-7.2", &module);
    assert_eq!(loads, [false], "{found}");
    assert!(found["for"][0]["reasons"][0]["key"].is_string(), "{found}");
    let output = run(&[
        "verify",
        "--for",
        "redis-7.2,valkey-9.0",
        &golden("redis-8.6.3/all.rdb"),
    ]);
    assert!(
        stdout(&output).contains("  valkey-9.0  no "),
        "{}",
        stdout(&output)
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
