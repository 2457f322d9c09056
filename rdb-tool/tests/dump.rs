//! Lines of every golden snapshot against what its server told of the same keys.

mod common;

use common::{all_golden, code, golden, run, run_piped, stderr, stdout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A key's identity, and what is compared.
type Keys = BTreeMap<(String, String, bool), Value>;

/// Which truth belongs to which snapshot.
fn truth_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let truth = match name {
        "all.rdb" => "truth.jsonl".to_owned(),
        "small-nocompress.rdb" | "small-nochecksum.rdb" => "small.truth.jsonl".to_owned(),
        "repl-master.rdb" | "repl-replica.rdb" => "repl.truth.jsonl".to_owned(),
        name => name.replace(".rdb", ".truth.jsonl"),
    };
    let truth = path.with_file_name(truth);
    truth.is_file().then_some(truth)
}

fn keys(text: &str) -> Keys {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| (identity(&line), comparable(&line)))
        .collect()
}

fn identity(line: &Value) -> (String, String, bool) {
    (
        line["db"].to_string(),
        line["key"].to_string(),
        line["type"] == "function",
    )
}

/// Without the encoding, which truth knows from memory, and without the times of consumers, which go on after the save.
fn comparable(line: &Value) -> Value {
    let mut value = line["value"].clone();
    match line["type"].as_str().unwrap() {
        // The truth holds what the module's own command says.
        "module" => value = line["module_type"].clone(),
        "zset" => {
            for pair in value.as_array_mut().unwrap() {
                let score: f64 = pair[1].as_str().unwrap().parse().unwrap();
                pair[1] = Value::from(format!("{:?}", score + 0.0));
            }
        }
        "stream" => {
            for group in value["groups"].as_array_mut().unwrap() {
                for consumer in group["consumers"].as_array_mut().unwrap() {
                    let consumer = consumer.as_object_mut().unwrap();
                    consumer.remove("seen_ms");
                    consumer.remove("active_ms");
                }
            }
        }
        _ => {}
    }
    json!([
        line["type"],
        line["expire_ms"],
        line["field_expire_ms"],
        line["idle_s"],
        line["freq"],
        value
    ])
}

#[test]
fn every_golden_snapshot_says_what_its_server_said() {
    let mut compared = 0;
    for path in all_golden() {
        let output = run(&["dump".as_ref(), path.as_os_str()]);
        assert_eq!(code(&output), 0, "{}: {}", path.display(), stderr(&output));
        let piped = run_piped(&["dump", "-"], &std::fs::read(&path).unwrap());
        assert!(
            piped.stdout == output.stdout,
            "{}: a pipe gives other lines than the file",
            path.display()
        );
        let got = keys(&stdout(&output));
        let Some(truth) = truth_of(&path) else {
            assert!(
                got.is_empty() || !path.ends_with("empty.rdb"),
                "{}",
                path.display()
            );
            continue;
        };
        let truth = std::fs::read_to_string(truth).unwrap();
        // A long value of `bigcount` is told by a rule, not by its bytes.
        if truth.contains("\"value_r") {
            assert_eq!(got.len(), truth.lines().count());
            continue;
        }
        let want = keys(&truth);
        let names = |keys: &Keys| keys.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&got), names(&want), "{}", path.display());
        for (key, want) in &want {
            assert_eq!(&got[key], want, "{}: {key:?}", path.display());
        }
        compared += 1;
    }
    assert!(compared >= 40, "only {compared} snapshots have a truth");
}

#[test]
fn text_form_is_readable_and_marks_what_is_no_text() {
    let output = run(&[
        "dump".as_ref(),
        "--bytes".as_ref(),
        "text".as_ref(),
        golden("redis-7.2.4/small-nocompress.rdb").as_os_str(),
    ]);
    let lines = stdout(&output);
    assert!(lines.contains(r#""key":"h","type":"hash","expire_ms":null,"encoding":"listpack","value":[["f","v"],["g","12"]]"#), "{lines}");
    let bytes = b"REDIS0009\xfe\x00\x00\x02\xff\xfe\x01v\xff\0\0\0\0\0\0\0\0";
    let output = run_piped(&["dump", "--bytes", "text", "-"], bytes);
    assert_eq!(
        stdout(&output),
        "{\"db\":0,\"key\":{\"base64\":\"//4=\"},\"type\":\"string\",\"expire_ms\":null,\"encoding\":\"raw\",\"value\":\"v\"}\n"
    );
}

#[test]
fn what_has_no_line_is_told() {
    let output = run(&[
        "dump".as_ref(),
        golden("redis-7.2.4/module.rdb").as_os_str(),
    ]);
    assert_eq!(code(&output), 0);
    let told = "dropped data of a module outside the keys, which needs a snapshot: 1";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    let bytes = b"VALKEY081\xfe\x00\xf2*1\r\n$4\r\nPING\r\n\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0";
    let output = run_piped(&["dump", "-"], bytes);
    assert_eq!(code(&output), 0);
    assert_eq!(stdout(&output).lines().count(), 1);
    let told = "dropped a command between the keys";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
}

#[test]
fn damage_ends_a_dump_with_exit_2() {
    let mut bytes = std::fs::read(golden("redis-7.2.4/small-nocompress.rdb")).unwrap();
    bytes.truncate(bytes.len() - 20);
    let output = run_piped(&["dump", "-"], &bytes);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).starts_with("rdb-tool: stdin: offset "),
        "{}",
        stderr(&output)
    );
}
