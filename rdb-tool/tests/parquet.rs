//! What `convert --to parquet` writes, read back with DuckDB, which `scripts/setup` installs. Built with the feature `parquet`.

mod common;

use common::{all_golden, code, golden, many_strings, names, run, stderr, stdout};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The rows of a file as DuckDB reads them.
fn rows(file: &Path) -> Vec<Value> {
    let reader = target().join("readers");
    let python = target().join("clients/bin/python");
    assert!(
        reader.join("duckdb").is_dir() && python.exists(),
        "scripts/setup installs DuckDB, which this test reads with"
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet_reader/rows.py");
    let output = Command::new(python)
        .env("PYTHONPATH", reader)
        .arg(script)
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn converted(words: &[&str], file: &Path, out: &Path) -> Vec<Value> {
    let convert = [
        "convert",
        "--force",
        "--to",
        "parquet",
        "-o",
        out.to_str().unwrap(),
        file.to_str().unwrap(),
    ];
    let output = run(&[&convert[..], words].concat());
    assert_eq!(code(&output), 0, "{}: {}", file.display(), stderr(&output));
    rows(out)
}

/// The keys of a snapshot as `dump` writes them, in the order of the file.
fn dumped(file: &Path) -> Vec<Value> {
    let output = run(&["dump", file.to_str().unwrap()]);
    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| !line["db"].is_null()).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}

/// A score or other number of both, as the double that it is.
fn double(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

/// Sorted by what they are as text: `dump` sorts what has no order, the file does not.
fn sorted(mut list: Vec<Value>) -> Vec<Value> {
    list.sort_by_key(Value::to_string);
    list
}

/// The value of a row, in a form that both have.
fn value_of(row: &Value, type_name: &str) -> Value {
    let parts = |names: &'static [&str]| {
        move |item: &Value| Value::Array(names.iter().map(|name| item[*name].clone()).collect())
    };
    match type_name {
        "string" => row["value"].clone(),
        "list" => array(&row["items"])
            .iter()
            .map(|item| item["value"].clone())
            .collect(),
        "set" => Value::Array(sorted(
            array(&row["items"])
                .iter()
                .map(|item| item["value"].clone())
                .collect(),
        )),
        "zset" => {
            let pairs = array(&row["items"])
                .iter()
                .map(|item| json!([item["value"], double(&item["score"]).to_string()]));
            Value::Array(sorted(pairs.collect()))
        }
        "hash" => {
            let fields = sorted(
                array(&row["items"])
                    .iter()
                    .map(parts(&["name", "value", "expires_at"]))
                    .collect(),
            );
            Value::Array(fields)
        }
        _ => Value::Array(
            array(&row["items"])
                .iter()
                .map(parts(&["id", "name", "value"]))
                .collect(),
        ),
    }
}

/// The same of a line of `dump`.
fn value_in(line: &Value, type_name: &str) -> Value {
    let value = &line["value"];
    match type_name {
        "set" => Value::Array(sorted(array(value).clone())),
        "zset" => Value::Array(sorted(
            array(value)
                .iter()
                .map(|pair| json!([pair[0], double(&pair[1]).to_string()]))
                .collect(),
        )),
        "hash" => {
            let times = line.get("field_expire_ms").map(array);
            let field = |(at, pair): (usize, &Value)| {
                json!([
                    pair[0],
                    pair[1],
                    times.map_or(Value::Null, |times| times[at].clone())
                ])
            };
            Value::Array(sorted(array(value).iter().enumerate().map(field).collect()))
        }
        "stream" => {
            let mut items = Vec::new();
            for entry in array(&value["entries"]) {
                items.extend(
                    array(&entry[1])
                        .iter()
                        .map(|pair| json!([entry[0], pair[0], pair[1]])),
                );
            }
            Value::Array(items)
        }
        _ => value.clone(),
    }
}

#[test]
fn every_key_of_every_snapshot_is_a_row_with_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("keys.parquet");
    let mut count = 0;
    for file in all_golden() {
        let (found, lines) = (converted(&["--values"], &file, &out), dumped(&file));
        assert_eq!(found.len(), lines.len(), "{}", file.display());
        for (row, line) in found.iter().zip(&lines) {
            for name in ["db", "key", "encoding", "type"] {
                assert_eq!(row[name], line[name], "{}", file.display());
            }
            assert_eq!(
                row["expires_at"],
                line["expire_ms"],
                "{}: {}",
                file.display(),
                line["key"]
            );
            for name in ["idle_s", "freq"] {
                assert_eq!(row[name], line.get(name).cloned().unwrap_or(Value::Null));
            }
            let type_name = line["type"].as_str().unwrap();
            if type_name == "module" {
                assert!(row["value"].is_null() && row["items"].is_null());
                continue;
            }
            let (is, must) = (value_of(row, type_name), value_in(line, type_name));
            assert!(
                is == must,
                "{}: {}\n{:.300}\n{:.300}",
                file.display(),
                line["key"],
                is.to_string(),
                must.to_string()
            );
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn bytes_elements_and_slots_are_those_that_inspect_tells() {
    let folder = tempfile::tempdir().unwrap();
    let file = golden("redis-7.2.4/all.rdb");
    let found = converted(&[], &file, &folder.path().join("keys.parquet"));
    assert!(
        found[0].get("value").is_none() && found[0].get("items").is_none(),
        "values were not asked for"
    );
    let words = [
        "inspect",
        "--json",
        "--top",
        "100000",
        "--slots",
        file.to_str().unwrap(),
    ];
    let inspected: Value = serde_json::from_slice(&run(&words).stdout).unwrap();
    let sum = |name: &str| -> u64 { found.iter().map(|row| row[name].as_u64().unwrap()).sum() };
    let told = |name: &str| -> u64 {
        inspected["types"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count[name].as_u64().unwrap())
            .sum()
    };
    assert_eq!(
        (sum("bytes"), sum("elements")),
        (told("bytes"), told("elements"))
    );
    for slot in array(&inspected["slot_balance"]["largest"]) {
        let rows = found.iter().filter(|row| row["slot"] == slot["slot"]);
        assert_eq!(slot["keys"], rows.count());
    }
    let part = converted(
        &["--type", "hash"],
        &file,
        &folder.path().join("hashes.parquet"),
    );
    assert!(!part.is_empty() && part.iter().all(|row| row["type"] == "hash"));
}

#[test]
fn many_rows_are_several_groups_and_a_damaged_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.rdb");
    std::fs::write(&file, many_strings(300_000)).unwrap();
    let found = converted(&["--values"], &file, &folder.path().join("keys.parquet"));
    assert_eq!(found.len(), 300_000);
    assert_eq!(found[299_999]["key"], "a2V5OjI5OTk5OQ==");
    let mut bytes = many_strings(1000);
    bytes.truncate(bytes.len() - 500);
    std::fs::write(&file, bytes).unwrap();
    let out = folder.path().join("none.parquet");
    let output = run(&[
        "convert",
        "--to",
        "parquet",
        "-o",
        out.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 2);
    assert_eq!(names(folder.path()), ["keys.parquet", "many.rdb"]);
}
