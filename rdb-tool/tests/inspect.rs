//! What `inspect` counts, against what the live servers said of the same data.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{code, golden, run, stderr, stdout, testdata};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Data sets with their truth.
const CORPUS: [&str; 3] = ["redis-7.2.4", "redis-8.6.3", "redis-2.4.18"];

fn inspected(words: &[&str], file: &Path) -> Value {
    let output = run(&[&["inspect", "--json"], words, &[file.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The keys of a data set as its server told them, without libraries.
fn truth(server: &str) -> Vec<Value> {
    let path = testdata().join("rdb").join(server).join("truth.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| !line["db"].is_null()).collect()
}

fn bytes(base64: &Value) -> Vec<u8> {
    STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

/// Elements, and bytes of the largest; `None` where the truth is told by a rule.
fn measures(line: &Value) -> Option<(u64, u64)> {
    let value = &line["value"];
    let len = |text: &Value| bytes(text).len() as u64;
    let most = |lens: &mut dyn Iterator<Item = u64>| lens.max().unwrap_or(0);
    let list = || value.as_array();
    Some(match line["type"].as_str().unwrap() {
        "string" => (1, value.as_str().map(|_| len(value))?),
        "list" | "set" => (list()?.len() as u64, most(&mut list()?.iter().map(len))),
        "zset" => (
            list()?.len() as u64,
            most(&mut list()?.iter().map(|pair| len(&pair[0]))),
        ),
        "hash" => {
            let lens = list()?.iter().map(|pair| len(&pair[0]).max(len(&pair[1])));
            (list()?.len() as u64, most(&mut lens.into_iter()))
        }
        "stream" => {
            let entries = value["entries"].as_array()?;
            let fields = entries
                .iter()
                .flat_map(|entry| entry[1].as_array().unwrap());
            let lens = fields.map(|pair| len(&pair[0]).max(len(&pair[1])));
            (entries.len() as u64, most(&mut lens.into_iter()))
        }
        _ => return None,
    })
}

#[test]
fn every_key_has_the_elements_and_the_largest_element_that_the_server_told() {
    let mut seen = 0;
    for server in CORPUS {
        let found = inspected(&["--top", "100000"], &golden(&format!("{server}/all.rdb")));
        let told: BTreeMap<(u64, String), (u64, u64)> = found["largest_element"]
            .as_array()
            .unwrap()
            .iter()
            .map(|large| {
                let key = match &large["key"] {
                    Value::String(text) => STANDARD.encode(text),
                    other => other["base64"].as_str().unwrap().to_owned(),
                };
                let numbers =
                    [&large["elements"], &large["element_bytes"]].map(|n| n.as_u64().unwrap());
                (
                    (large["db"].as_u64().unwrap(), key),
                    (numbers[0], numbers[1]),
                )
            })
            .collect();
        assert_eq!(told.len(), truth(server).len());
        for line in truth(server) {
            let key = (
                line["db"].as_u64().unwrap(),
                line["key"].as_str().unwrap().to_owned(),
            );
            if let Some(expected) = measures(&line) {
                assert_eq!(told[&key], expected, "{server}: {key:?}");
                seen += 1;
            }
        }
        // A floor under the list must not change what is on it.
        let few = inspected(&["--top", "5"], &golden(&format!("{server}/all.rdb")));
        for list in ["largest", "most_elements", "largest_element"] {
            let all = found[list].as_array().unwrap();
            assert_eq!(
                few[list].as_array().unwrap()[..],
                all[..5],
                "{server} {list}"
            );
        }
    }
    assert!(seen > 300, "only {seen} keys were compared");
}

#[test]
fn histograms_are_those_of_the_truth() {
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let mut compared = 0;
    for server in CORPUS {
        let found = inspected(&[], &golden(&format!("{server}/all.rdb")));
        let lines = truth(server);
        let keys_of = |list: &str, test: &dyn Fn(&Value) -> bool| -> u64 {
            let bins = found[list].as_array().unwrap().iter();
            bins.filter(|bin| test(bin))
                .map(|bin| bin["keys"].as_u64().unwrap())
                .sum()
        };
        let never = lines
            .iter()
            .filter(|line| line["expire_ms"].is_null())
            .count() as u64;
        let past = |line: &&Value| line["expire_ms"].as_i64().is_some_and(|at| at <= now_ms);
        let expired = lines.iter().filter(past).count() as u64;
        let named = |name: &'static str| move |bin: &Value| bin["expire_in"] == name;
        assert_eq!(keys_of("expiry", &named("never")), never, "{server}");
        assert_eq!(keys_of("expiry", &named("expired")), expired, "{server}");
        for list in ["expiry", "sizes"] {
            assert_eq!(
                keys_of(list, &|_| true),
                lines.len() as u64,
                "{server} {list}"
            );
        }
        let all: u64 = found["sizes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["bytes"].as_u64().unwrap())
            .sum();
        let types: u64 = found["types"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count["bytes"].as_u64().unwrap())
            .sum();
        assert_eq!(all, types);
        let of_some = lines
            .iter()
            .filter(|line| line["type"] != "string" && line["type"] != "module");
        assert_eq!(
            keys_of("lengths", &|_| true),
            of_some.count() as u64,
            "{server}"
        );
        for bin in found["lengths"].as_array().unwrap() {
            let (from, to) = (bin["from"].as_u64().unwrap(), bin["to"].as_u64().unwrap());
            let known: Vec<_> = lines
                .iter()
                .filter(|line| line["type"] != "string")
                .map(measures)
                .collect();
            if known.iter().all(Option::is_some) {
                compared += 1;
                let inside = known
                    .iter()
                    .flatten()
                    .filter(|(n, _)| (from..=to).contains(n));
                assert_eq!(bin["keys"], inside.count(), "{server} {from} to {to}");
            }
        }
    }
    assert!(compared > 5, "{compared} ranges of elements were compared");
}

#[test]
fn prefixes_are_a_tree_with_the_keys_of_the_truth() {
    for server in CORPUS {
        let file = golden(&format!("{server}/all.rdb"));
        let found = inspected(&["--prefix", ":", "--top", "100000"], &file);
        assert_eq!(found["prefixes"]["bytes_missed"], 0);
        let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for line in truth(server) {
            let key = bytes(&line["key"]);
            for end in (0..key.len()).filter(|at| key[*at] == b':').take(16) {
                *expected.entry(key[..=end].to_vec()).or_default() += 1;
            }
        }
        let listed = found["prefixes"]["listed"].as_array().unwrap();
        assert!(listed.len() > 10, "{server}");
        for prefix in listed {
            let text = prefix["prefix"]
                .as_str()
                .unwrap_or_default()
                .as_bytes()
                .to_vec();
            assert_eq!(prefix["keys"], expected[&text], "{server}: {prefix}");
            let depth = text.iter().filter(|byte| **byte == b':').count();
            assert_eq!(prefix["depth"], depth, "{prefix}");
        }
    }
}

#[test]
fn slots_are_those_that_the_cluster_hints_at() {
    let file = golden("redis-7.2.4/cluster.rdb");
    let found = inspected(&["--slots", "--shards", "2", "--top", "20000"], &file);
    let balance = &found["slot_balance"];
    let sum = |list: &Value, field: &str| -> u64 {
        list.as_array()
            .unwrap()
            .iter()
            .map(|bin| bin[field].as_u64().unwrap())
            .sum()
    };
    assert_eq!(
        sum(&balance["nodes"], "keys"),
        found["keys"].as_u64().unwrap()
    );
    assert_eq!(
        sum(&balance["largest"], "keys"),
        found["keys"].as_u64().unwrap()
    );
    assert_eq!(balance["nodes"][1]["first"], 8192);
    assert_eq!(
        balance["used"],
        balance["largest"].as_array().unwrap().len()
    );
    for slot in balance["largest"].as_array().unwrap() {
        let number = slot["slot"].to_string();
        let output = run(&[
            "inspect",
            "--json",
            "--slot",
            &number,
            file.to_str().unwrap(),
        ]);
        let alone: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(alone["keys_selected"], slot["keys"], "slot {number}");
    }
    assert!(inspected(&[], &file)["slot_balance"].is_null());
}

#[test]
fn growth_is_the_difference_of_two_files() {
    let (older, newer) = (
        golden("redis-7.2.4/small-nochecksum.rdb"),
        golden("redis-7.2.4/all.rdb"),
    );
    let words = ["--prefix", ":", "--live", older.to_str().unwrap()];
    let found = inspected(&words, &newer);
    let before = inspected(&[], &older);
    let all = &found["growth"]["changes"][0];
    assert_eq!(all["kind"], "all");
    assert_eq!(all["before"]["keys"], before["keys"]);
    assert_eq!(all["now"]["keys"], found["keys"]);
    let difference = found["keys"].as_i64().unwrap() - before["keys"].as_i64().unwrap();
    assert_eq!(all["keys"], difference);
    for change in found["growth"]["changes"].as_array().unwrap() {
        if change["kind"] == "type" {
            let name = change["what"].as_str().unwrap();
            let zero = json!({ "keys": 0, "expires": 0, "elements": 0, "bytes": 0 });
            let of = |file: &Value| file["types"].get(name).unwrap_or(&zero).clone();
            assert_eq!(
                (&change["before"], &change["now"]),
                (&of(&before), &of(&found))
            );
        }
    }
    let output = run(&[&["inspect"], &words[..], &[newer.to_str().unwrap()]].concat());
    let text = stdout(&output);
    assert!(text.contains("growth since "), "{text}");
    let same = inspected(&["--live", newer.to_str().unwrap()], &newer);
    let changes = same["growth"]["changes"].as_array().unwrap();
    assert!(
        changes
            .iter()
            .all(|change| change["bytes"] == 0 && change["keys"] == 0)
    );
    assert!(same["growth"]["seconds"].is_null(), "no time between");
}

#[test]
fn modules_are_named_with_what_they_have() {
    let found = inspected(&[], &golden("redis-7.2.4/module.rdb"));
    let modules = found["modules"].as_array().unwrap();
    let keys: u64 = modules
        .iter()
        .map(|module| module["keys"].as_u64().unwrap())
        .sum();
    assert_eq!(keys, found["types"]["module"]["keys"].as_u64().unwrap());
    assert!(modules.len() >= 2, "{modules:?}");
    let text = stdout(&run(&[
        "inspect",
        golden("redis-7.2.4/module.rdb").to_str().unwrap(),
    ]));
    assert!(text.contains("module needed"), "{text}");
}

#[test]
fn the_separator_and_the_shards_are_checked() {
    let file = golden("redis-7.2.4/empty.rdb");
    let file = file.to_str().unwrap();
    for words in [
        &["--prefix", ""][..],
        &["--shards", "3"],
        &["--slots", "--shards", "0"],
    ] {
        let output = run(&[&["inspect"], words, &[file]].concat());
        assert_eq!(code(&output), 2, "{words:?}");
        assert!(stderr(&output).starts_with("rdb-tool: "), "{words:?}");
    }
    let output = run(&["inspect", "--prefix", ":", "--slots", file]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}
