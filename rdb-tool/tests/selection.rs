//! One language says which keys a command is about, and all commands understand it.

mod common;

use common::{code, golden, run, stderr, stdout};
use serde_json::Value;
use std::collections::BTreeSet;

/// The keys that `dump` writes, function libraries as null.
fn dumped(words: &[&str], file: &str) -> Vec<Value> {
    let output = run(&[&["dump", "--bytes", "text"], words, &[file]].concat());
    assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
    let lines = stdout(&output);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn dump_inspect_convert_and_diff_take_the_same_keys() {
    let file = golden("redis-7.2.4/all.rdb");
    let file = file.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part.rdb");
    let part = part.to_str().unwrap();
    let words = ["--type", "hash", "--type", "zset", "--not-ttl", "any"];
    let all = dumped(&[], file);
    let some = dumped(&words, file);
    let expected: Vec<&Value> = all
        .iter()
        .filter(|line| line["type"] == "hash" || line["type"] == "zset")
        .filter(|line| line["expire_ms"].is_null())
        .collect();
    assert!(some.len() > 5 && some.len() < all.len() / 2);
    assert_eq!(some.iter().collect::<Vec<_>>(), expected);

    let output = run(&[&["inspect", "--json"], &words[..], &[file]].concat());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["keys_selected"], some.len());
    let types: BTreeSet<&str> = found["types"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(types, BTreeSet::from(["hash", "zset"]));
    assert_eq!(found["functions"].as_array().map(Vec::len), Some(0));
    let output = run(&[&["inspect"], &words[..], &[file]].concat());
    let told = format!(", {} of {} keys, ", some.len(), found["keys"]);
    assert!(stdout(&output).contains(&told), "{}", stdout(&output));

    let convert = ["convert", "--force", "--to", "redis-7.2", "-o", part, file];
    let output = run(&[&convert[..], &words].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(dumped(&[], part), some);
    assert_eq!(code(&run(&["verify", part])), 0);
    assert_eq!(code(&run(&["diff", file, part])), 1);
    assert_eq!(code(&run(&[&["diff", file, part], &words[..]].concat())), 0);
}

#[test]
fn a_word_that_is_not_of_the_language_is_exit_2() {
    let file = golden("redis-7.2.4/all.rdb");
    let output = run(&["dump", "--ttl", "soon", file.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).starts_with("rdb-tool: invalid value 'soon' for '--ttl <TTL>': expected "),
        "{}",
        stderr(&output)
    );
}
