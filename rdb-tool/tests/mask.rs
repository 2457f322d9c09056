//! A masked snapshot has the shape of its origin, and none of its texts.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::real_server::RealServer;
use common::{all_golden, code, golden, names, run, stderr, stdout, tool};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const KEY: &str = "a key of the tests, long enough";

fn mask(words: &[&str], file: &Path, out: &Path) -> std::process::Output {
    let mut command = tool();
    command.env("RDB_MASK_KEY", KEY).arg("mask").args(words);
    command.arg("-o").arg(out).arg(file).output().unwrap()
}

fn dumped(file: &Path) -> Vec<Value> {
    let output = run(&["dump", file.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Whether all of a snapshot can be masked.
fn has_modules(file: &Path) -> bool {
    dumped(file).iter().any(|line| line["type"] == "module") || file.ends_with("module.rdb")
}

/// A value with every text of base64 replaced by its length and kind, what is sorted by text sorted anew.
fn shape(line: &Value) -> Value {
    let mut line = line.clone();
    let sorted = matches!(line["type"].as_str(), Some("set" | "hash" | "zset"));
    // Sorted by field, which are others now.
    if let (Some(fields), Some(times)) = (
        line["value"].as_array().cloned(),
        line["field_expire_ms"].as_array().cloned(),
    ) {
        line["value"] = fields
            .into_iter()
            .zip(times)
            .map(|(field, time)| serde_json::json!([field, time]))
            .collect();
        line["field_expire_ms"] = Value::Null;
    }
    // No encoding hangs on whether a key is a number.
    line["key"] = STANDARD
        .decode(line["key"].as_str().unwrap())
        .unwrap()
        .len()
        .into();
    blank(&mut line["value"]);
    for name in ["producers"] {
        if let Some(part) = line.get_mut(name) {
            blank(part);
        }
    }
    if let (true, Some(elements)) = (sorted, line["value"].as_array_mut()) {
        elements.sort_by_key(Value::to_string);
    }
    if let Some(groups) = line["value"]
        .get_mut("groups")
        .and_then(Value::as_array_mut)
    {
        for group in groups.iter_mut() {
            for part in ["pel", "consumers"] {
                if let Some(list) = group.get_mut(part).and_then(Value::as_array_mut) {
                    list.sort_by_key(Value::to_string);
                }
            }
        }
        groups.sort_by_key(Value::to_string);
    }
    line
}

fn blank(value: &mut Value) {
    match value {
        Value::String(text) => {
            // Ids, scores and types are no base64, or no longer than it.
            if let Ok(bytes) = STANDARD.decode(text.as_bytes()) {
                let is_number = str::from_utf8(&bytes).is_ok_and(|text| {
                    text.parse::<i64>()
                        .is_ok_and(|number| number.to_string() == text)
                });
                *text = format!(
                    "{} {is_number} {}",
                    bytes.len(),
                    str::from_utf8(&bytes).is_ok()
                );
            }
        }
        Value::Array(list) => list.iter_mut().for_each(blank),
        Value::Object(parts) => parts.values_mut().for_each(blank),
        _ => {}
    }
}

#[test]
fn every_snapshot_keeps_its_shape_and_twice_masked_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (out, again) = (
        folder.path().join("twin.rdb"),
        folder.path().join("again.rdb"),
    );
    let mut count = 0;
    for file in all_golden() {
        if has_modules(&file) {
            continue;
        }
        let output = mask(&["--force"], &file, &out);
        assert_eq!(code(&output), 0, "{}: {}", file.display(), stderr(&output));
        mask(&["--force"], &file, &again);
        let output = run(&["diff".as_ref(), out.as_os_str(), again.as_os_str()]);
        assert_eq!(code(&output), 0, "{}", stdout(&output));
        let output = run(&["verify".as_ref(), out.as_os_str()]);
        assert_eq!(code(&output), 0, "{}: {}", file.display(), stderr(&output));
        let (before, after) = (dumped(&file), dumped(&out));
        assert_eq!(before.len(), after.len());
        for (a, b) in before.iter().zip(&after) {
            if a["db"].is_null() {
                assert_eq!(a, b, "functions stay");
                continue;
            }
            let (mut x, y) = (shape(a), shape(b));
            if x["encoding"] == "listpackex" && y["encoding"] == "hashtable" {
                assert!(a.get("field_expire_ms").is_none(), "a hash without room");
                x["encoding"] = y["encoding"].clone();
            }
            assert!(
                x == y,
                "{}: key {}\n{:.300}\n{:.300}",
                file.display(),
                a["key"],
                x.to_string(),
                y.to_string()
            );
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn slots_stay_and_equal_texts_stay_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        golden("redis-7.2.4/all.rdb"),
        folder.path().join("twin.rdb"),
    );
    let output = mask(&[], &file, &out);
    // Of the keys here one has no letter of ASCII.
    assert!(
        stderr(&output).ends_with(" stayed as they are, 1 in another slot\n"),
        "{}",
        stderr(&output)
    );
    let slots = |path: &Path| {
        let words = [
            "inspect",
            "--json",
            "--slots",
            "--top",
            "20000",
            path.to_str().unwrap(),
        ];
        let found: Value = serde_json::from_slice(&run(&words).stdout).unwrap();
        let slots = found["slot_balance"]["largest"].as_array().unwrap().iter();
        let mut slots: Vec<(Option<u64>, Option<u64>)> = slots
            .map(|slot| (slot["slot"].as_u64(), slot["keys"].as_u64()))
            .collect();
        slots.sort_unstable();
        slots
    };
    let (before, after) = (slots(&file), slots(&out));
    let moved: Vec<_> = before.iter().filter(|slot| !after.contains(slot)).collect();
    assert!(moved.len() <= 1, "{moved:?}");
    // Lists and strings have an order that tells which text became which.
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    let mut pair = |a: &Value, b: &Value| {
        let (Some(a), Some(b)) = (a.as_str(), b.as_str()) else {
            return;
        };
        assert_eq!(
            *there.entry(a.to_owned()).or_insert_with(|| b.to_owned()),
            b
        );
        assert_eq!(*back.entry(b.to_owned()).or_insert_with(|| a.to_owned()), a);
    };
    for (a, b) in dumped(&file).iter().zip(&dumped(&out)) {
        match a["type"].as_str() {
            Some("string") => pair(&a["value"], &b["value"]),
            Some("list") => {
                let lists = [a, b].map(|line| line["value"].as_array().unwrap());
                lists[0].iter().zip(lists[1]).for_each(|(a, b)| pair(a, b));
            }
            _ => {}
        }
    }
    assert!(there.len() > 500);
    let same = there.iter().filter(|(a, b)| a == b).count();
    assert!(same < 30, "{same} of {} texts stayed", there.len());
}

#[test]
fn no_word_of_the_origin_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        golden("redis-5.0.14/all.rdb"),
        folder.path().join("twin.rdb"),
    );
    let output = mask(&["--not-type", "function", "--no-compress"], &file, &out);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let bytes = fs::read(&out).unwrap();
    for word in [
        "lambda", "ember", "player", "field", "geo:", "Palermo", "str:rand",
    ] {
        let found = bytes
            .windows(word.len())
            .filter(|part| *part == word.as_bytes())
            .count();
        assert_eq!(found, 0, "{word} is still there");
    }
}

#[test]
fn a_server_loads_the_twin() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        golden("redis-5.0.14/all.rdb"),
        folder.path().join("dump.rdb"),
    );
    assert_eq!(code(&mask(&["--not-type", "module"], &file, &out)), 0);
    let server = RealServer::start(folder.path(), &["--sanitize-dump-payload", "yes"]);
    let expected = dumped(&out).iter().filter(|line| line["db"] == 0).count();
    let size = server.ask("DBSIZE");
    assert!(size.starts_with(&format!(":{expected}\r\n")), "{size}");
}

#[test]
fn what_cannot_be_masked_is_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        golden("redis-7.2.4/module.rdb"),
        folder.path().join("twin.rdb"),
    );
    let output = mask(&[], &file, &out);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains(" cannot be masked\n"),
        "{}",
        stderr(&output)
    );
    assert!(names(folder.path()).is_empty());
    let output = mask(&["--drop-modules"], &file, &out);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(
        stderr(&output).contains(": dropped values of the module type "),
        "{}",
        stderr(&output)
    );
    assert!(dumped(&out).iter().all(|line| line["type"] != "module"));
}

#[test]
fn the_key_must_be_there_and_long() {
    let folder = tempfile::tempdir().unwrap();
    let file = golden("redis-7.2.4/empty.rdb");
    let out = folder.path().join("twin.rdb");
    let output = run(&["mask", "-o", out.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("a key is needed"),
        "{}",
        stderr(&output)
    );
    let key = folder.path().join("key");
    fs::write(&key, "short").unwrap();
    let words = [
        "mask",
        "--key-file",
        key.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    assert!(stderr(&run(&words)).contains("the key has 5 bytes"));
    fs::write(&key, KEY).unwrap();
    assert_eq!(code(&run(&words)), 0);
    let twin = fs::read(&out).unwrap();
    fs::remove_file(&out).unwrap();
    assert_eq!(code(&mask(&[], &file, &out)), 0);
    assert_eq!(
        fs::read(&out).unwrap(),
        twin,
        "a file and the variable are the same key"
    );
}
