//! RESTORE of what DUMP answered in servers from 2.6 to 8.6: the payloads of the golden files, every version among them.
//! Each value must be the one that the server told of beside it, and come through our own DUMP as it is.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cairn_engine::persist::digest;
use cairn_format::resp::value::Value;
use serde_json::Value as Json;
use support::Bench;

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rdb");
    let entries = std::fs::read_dir(root).expect("the golden files are there");
    let mut all: Vec<PathBuf> = entries.map(|e| e.expect("a folder").path()).collect();
    all.retain(|folder| folder.join("small.dump-payloads.jsonl").exists());
    all.sort();
    all
}

fn lines(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn decode(json: &Json) -> Vec<u8> {
    let text = json.as_str().expect("text");
    BASE64_STANDARD.decode(text).expect("base64")
}

/// A tree of texts as one line: sets and hashes sorted, scores in the form in which numbers print here.
fn flat(kind: &str, value: &Json) -> String {
    let text = |json: &Json| decode(json).escape_ascii().to_string();
    let items = || value.as_array().expect("a list").iter();
    let mut all: Vec<String> = match kind {
        "string" => vec![text(value)],
        "list" | "set" => items().map(text).collect(),
        "hash" => items()
            .map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1])))
            .collect(),
        "zset" => items()
            .map(|pair| format!("{}={}", text(&pair[0]), score(pair[1].as_str())))
            .collect(),
        "stream" => {
            let entries = value["entries"].as_array().expect("entries").iter();
            let fields = |entry: &Json| {
                let pairs = entry[1].as_array().expect("fields").iter();
                let pairs = pairs.map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1])));
                pairs.collect::<Vec<_>>().join(" ")
            };
            entries
                .map(|entry| format!("{} {}", entry[0].as_str().expect("an id"), fields(entry)))
                .collect()
        }
        other => panic!("type {other}"),
    };
    if kind == "set" || kind == "hash" {
        all.sort();
    }
    all.join(", ")
}

fn score(text: Option<&str>) -> f64 {
    text.and_then(|text| text.parse().ok()).expect("a score")
}

/// The value at a key in the same form.
fn shown(bench: &mut Bench, kind: &str, key: &[u8]) -> String {
    let words: &[&[u8]] = match kind {
        "string" => &[b"GET", key],
        "list" => &[b"LRANGE", key, b"0", b"-1"],
        "set" => &[b"SMEMBERS", key],
        "hash" => &[b"HGETALL", key],
        "zset" => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        _ => &[b"XRANGE", key, b"-", b"+"],
    };
    let reply = bench.run(words);
    let (value, _) = Value::decode(&reply).expect("a reply");
    let text = |value: &Value| value.as_bytes().expect("text").escape_ascii().to_string();
    let items = || value.as_array().expect("a list");
    let joined = |value: &Value| {
        let fields = value.as_array().expect("fields").iter();
        fields.map(text).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<String> = match kind {
        "string" => vec![text(&value)],
        "list" | "set" => items().iter().map(text).collect(),
        "hash" => items()
            .chunks(2)
            .map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1])))
            .collect(),
        "zset" => items()
            .chunks(2)
            .map(|pair| format!("{}={}", text(&pair[0]), score(Some(&text(&pair[1])))))
            .collect(),
        _ => items()
            .iter()
            .map(|entry| entry.as_array().expect("id and fields"))
            .map(|entry| format!("{} {}", text(&entry[0]), joined(&entry[1])))
            .collect(),
    };
    if kind == "set" || kind == "hash" {
        all.sort();
    }
    all.join(", ")
}

fn digest_of(bench: &mut Bench, key: &[u8]) -> String {
    let ks = &mut bench.engine.ks;
    ks.select(0);
    let slot = ks
        .find(key)
        .unwrap_or_else(|| panic!("no {}", key.escape_ascii()));
    digest::of_value(ks.record(slot)).hex()
}

fn restore(bench: &mut Bench, payload: &[u8]) -> Vec<u8> {
    bench.run(&[b"RESTORE".as_slice(), b"k", b"0", payload, b"REPLACE"])
}

#[test]
fn payloads_of_every_version_are_restored() {
    let (mut versions, mut count) = (BTreeSet::new(), 0);
    for folder in folders() {
        let truth = lines(&folder.join("small.truth.jsonl"));
        let mut bench = Bench::new();
        for line in lines(&folder.join("small.dump-payloads.jsonl")) {
            let kind = line["type"].as_str().expect("a type");
            if kind == "functions" {
                continue;
            }
            let payload = decode(&line["dump"]);
            let name = format!("{}: {line}", folder.display());
            let at = payload.len() - 10;
            versions.insert(u16::from_le_bytes([payload[at], payload[at + 1]]));
            assert_eq!(restore(&mut bench, &payload), b"+OK\r\n", "{name}");
            let told = truth
                .iter()
                .find(|t| t["key"] == line["key"] && t["db"] == line["db"])
                .expect("the truth of each key");
            let want = flat(kind, &told["value"]);
            assert_eq!(shown(&mut bench, kind, b"k"), want, "{name}");
            let digest = digest_of(&mut bench, b"k");
            let dumped = bench.run(&["DUMP", "k"]);
            let (dumped, _) = Value::decode(&dumped).expect("a bulk");
            let dumped = dumped.as_bytes().expect("a payload");
            assert_eq!(restore(&mut bench, dumped), b"+OK\r\n", "{name}");
            assert_eq!(digest_of(&mut bench, b"k"), digest, "{name}, dumped again");
            count += 1;
        }
    }
    assert!(count > 100, "{count} payloads");
    let all: Vec<u16> = (6..=12).collect();
    assert!(
        all.iter().all(|v| versions.contains(v)),
        "versions {versions:?}"
    );
}
