//! What is left of damaged files: nothing lost that is whole, nothing there that was not.

mod common;

use common::{code, golden, names, run, stderr, stdout, testdata};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The lines of `dump` without encodings, by database and key.
fn keys(file: &Path) -> BTreeMap<String, String> {
    let output = run(&["dump".as_ref(), file.as_os_str()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines = stdout(&output);
    let entry = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        (format!("{} {}", value["db"], value["key"]), line.to_owned())
    };
    lines.lines().map(entry).collect()
}

/// Salvages and gives the report; the file must then be one that loads.
fn salvage(file: &Path, out: &Path, more: &[&str]) -> Value {
    let paths = ["-o", out.to_str().unwrap(), file.to_str().unwrap()];
    let output = run(&[&["salvage", "--force", "--json"], &paths[..], more].concat());
    assert!(code(&output) < 2, "{}: {}", file.display(), stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checked = run(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
    let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_ne!(found["severity"], "damage", "{}: {found}", file.display());
    assert_eq!(found["keys"], report["keys"], "{}", file.display());
    report
}

#[test]
fn every_damaged_file_gives_a_sound_one_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let expected = std::fs::read_to_string(testdata().join("bad/expect-rdb.jsonl")).unwrap();
    let mut seen = 0;
    for line in expected.lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let name = expected["file"].as_str().unwrap();
        let path = testdata().join("bad").join(name);
        let output = run(&[
            "salvage",
            "-o",
            out.to_str().unwrap(),
            path.to_str().unwrap(),
        ]);
        match code(&output) {
            2 => assert!(stderr(&output).contains("nothing was written"), "{name}"),
            _ => {
                salvage(&path, &out, &[]);
                seen += 1;
            }
        }
        let _ = std::fs::remove_file(&out);
    }
    assert!(seen > 100, "{seen}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_changed_byte_is_put_right_and_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let whole = std::fs::read(testdata().join("bad/ok-base.rdb")).unwrap();
    for name in [
        "flip-keylen",
        "flip-typebyte",
        "flip-value",
        "flip-expire",
        "flip-lzf",
        "flip-aux",
    ] {
        let report = salvage(&testdata().join(format!("bad/{name}.rdb")), &out, &[]);
        assert!(report["repaired"].is_object(), "{name}: {report}");
        assert_eq!(std::fs::read(&out).unwrap(), whole, "{name}");
    }
}

/// A file whose checksum tells nothing, with these bytes in place of others.
fn damaged(from: &Path, to: &Path, at: usize, bytes: &[u8]) {
    let mut file = std::fs::read(from).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let end = file.len();
    file[end - 8..].fill(0);
    std::fs::write(to, file).unwrap();
}

#[test]
fn both_sides_of_the_damage_are_kept_and_the_rest_is_in_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let original = golden("redis-7.2.4/all.rdb");
    let before = keys(&original);
    damaged(&original, &path("zeros.rdb"), 60_000, &[0; 4096]);
    let lost = path("lost.jsonl");
    let report = salvage(
        &path("zeros.rdb"),
        &path("out.rdb"),
        &["--quarantine", lost.to_str().unwrap()],
    );
    let after = keys(&path("out.rdb"));
    assert!(
        after
            .iter()
            .all(|(key, line)| before.get(key) == Some(line)),
        "nothing is invented"
    );
    assert!(
        after.len() + 8 >= before.len(),
        "{} of {}",
        after.len(),
        before.len()
    );
    assert!(report["keys_missing"].as_u64().unwrap() > 0, "{report}");
    let lines = std::fs::read_to_string(&lost).unwrap();
    assert!(!lines.is_empty());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["from"].as_u64() < line["to"].as_u64(), "{line}");
        assert!(
            line["reason"].is_string() && line["bytes"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_lost_head_a_log_and_a_file_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let original = golden("redis-7.2.4/all.rdb");
    damaged(&original, &path("head.rdb"), 0, b"XXXXXXXXXXXX");
    let report = salvage(&path("head.rdb"), &path("out.rdb"), &["--as", "redis-7.2"]);
    assert_eq!(report["head_lost"], true);
    assert!(report["keys"].as_u64().unwrap() > 100, "{report}");

    // The commands behind a snapshot stay.
    let mut log = std::fs::read(testdata().join("odd/preamble-log.aof")).unwrap();
    let commands = log.len() - 52;
    let key = log.windows(2).position(|pair| pair == b"\x00\x02").unwrap();
    log[key] = 0x63;
    std::fs::write(path("log.aof"), &log).unwrap();
    let out = path("saved.aof");
    let output = run(&[
        "salvage",
        "-o",
        out.to_str().unwrap(),
        path("log.aof").to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
    let saved = std::fs::read(&out).unwrap();
    assert!(saved.ends_with(&log[commands..]), "the commands follow");
    assert_eq!(&saved[..9], &log[..9]);

    let text = testdata().join("bad/expect-rdb.jsonl");
    let out = path("none.rdb");
    let output = run(&[
        "salvage",
        "-o",
        out.to_str().unwrap(),
        text.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 2, "{}", stdout(&output));
    assert!(!out.exists());
}

#[test]
fn a_sound_file_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    for name in [
        "redis-2.4.18/all.rdb",
        "redis-5.0.14/all.rdb",
        "redis-8.6.3/all.rdb",
        "valkey-9-built/hash2.rdb",
    ] {
        let original = golden(name);
        let report = salvage(&original, &out, &[]);
        assert_eq!(report["findings"], 0, "{report}");
        let output = run(&["diff".as_ref(), original.as_os_str(), out.as_os_str()]);
        assert_eq!(code(&output), 0, "{name}: {}", stdout(&output));
        let piped = run(&[
            "salvage".as_ref(),
            "-o".as_ref(),
            "-".as_ref(),
            original.as_os_str(),
        ]);
        assert_eq!(code(&piped), 0);
        assert_eq!(piped.stdout, std::fs::read(&out).unwrap(), "{name}");
    }
}
