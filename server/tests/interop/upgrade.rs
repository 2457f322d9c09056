//! The single log file of servers before 7.0: loaded, and moved into a log folder as its base.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::resp::value::Value;
use serde_json::Value as Json;

use crate::support::dataset::{Content, Holdings, assert_same, fill, holdings};
use crate::support::process::check_with;
use crate::support::{Folder, Setup};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/aof")
        .join(name)
}

fn bytes(value: &Json) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().expect("a string in base64"))
        .unwrap()
}

fn list(value: &Json) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

/// A score: a JSON number, or the text of one.
fn score(value: &Json) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// What the server that wrote a log answered about its keys.
fn truth(path: &Path) -> Holdings {
    let mut all = Holdings::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let key: Json = serde_json::from_str(line).unwrap();
        let value = &key["value"];
        let content = match key["type"].as_str().unwrap() {
            "string" => Content::String(bytes(value)),
            "list" => Content::List(list(value)),
            "set" => {
                let mut members = list(value);
                members.sort();
                Content::Set(members)
            }
            "hash" => {
                let pairs = value.as_array().unwrap().iter();
                Content::Hash(
                    pairs
                        .map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
                        .collect(),
                )
            }
            "zset" => {
                let pairs = value.as_array().unwrap().iter();
                let mut members: Vec<(Vec<u8>, f64)> = pairs
                    .map(|pair| (bytes(&pair[0]), score(&pair[1])))
                    .collect();
                members.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
                Content::Sorted(members)
            }
            "stream" => {
                let entries = value["entries"].as_array().unwrap().iter();
                let words = |entry: &Json| {
                    let pairs = entry[1].as_array().unwrap().iter();
                    pairs.flat_map(list).collect()
                };
                Content::Stream(
                    entries
                        .map(|entry| (entry[0].as_str().unwrap().as_bytes().to_vec(), words(entry)))
                        .collect(),
                )
            }
            other => panic!("{}: type {other}", path.display()),
        };
        let place = (key["db"].as_u64().unwrap() as u32, bytes(&key["key"]));
        all.insert(place, (content, key["expire_ms"].as_i64().unwrap_or(-1)));
    }
    assert!(!all.is_empty());
    all
}

/// Loads the log, sees that the values are those of its server and that it became the base, unchanged; then starts
/// again from the folder, which the reference's checker finds good.
fn upgrades(log: &[u8], expected: &Holdings) {
    let folder = Folder::new();
    std::fs::write(folder.data().join("appendonly.aof"), log).unwrap();
    for life in 0..2 {
        let server = Setup::cairn(&folder).with("--appendonly yes").start();
        let mut connection = server.connect();
        let mut found = holdings(&mut connection);
        found.remove(&(0, b"new".to_vec()));
        assert_same(expected, &found);
        connection.good(&format!("SET new {life}"));
        server.stop();
        assert_eq!(
            folder.names(),
            [
                "appendonlydir/appendonly.aof",
                "appendonlydir/appendonly.aof.1.incr.aof",
                "appendonlydir/appendonly.aof.manifest"
            ]
        );
        assert_eq!(
            std::fs::read(folder.data().join("appendonlydir/appendonly.aof")).unwrap(),
            log
        );
    }
    check_with(
        "redis-check-aof",
        &folder.data().join("appendonlydir/appendonly.aof.manifest"),
    );
}

/// Of the commands that these logs hold, the ones that ours does not know (yet).
fn unknown_commands() -> Vec<&'static str> {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    let mut names = vec![
        "BRPOPLPUSH",
        "RPOPLPUSH",
        "INCRBYFLOAT",
        "SETBIT",
        "PFADD",
        "GEOADD",
        "XADD",
        "EVAL",
    ];
    names.retain(|name| {
        connection
            .good(&format!("COMMAND INFO {name}"))
            .as_array()
            .unwrap()
            == [Value::Null]
    });
    names
}

/// A real log, for which there are only two ways: all of its values, or a refusal that names the unknown command and
/// where it is, and leaves the bytes alone.
fn real_log(unknown: &[&str], server: &str, log: &str) {
    let source = golden(server).join(format!("{log}.aof"));
    let bytes = std::fs::read(&source).unwrap();
    let holds = |name: &str| {
        bytes
            .windows(name.len())
            .any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
    };
    if !unknown.iter().any(|name| holds(name)) {
        return upgrades(
            &bytes,
            &truth(&golden(server).join(format!("{log}.truth.jsonl"))),
        );
    }
    let folder = Folder::new();
    folder.copy_in(&source, "appendonly.aof");
    let ended = Setup::cairn(&folder).with("--appendonly yes").run();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    // It is one of them, in the base perhaps as a value that only they make.
    let named = unknown.iter().any(|name| {
        ended.log.contains(&format!(
            "Unknown command '{name}' reading the append only file"
        ))
    });
    let told = (named || ended.log.contains("stream")) && ended.log.contains("offset");
    assert!(told, "{unknown:?} in {server} {log}:\n{}", ended.log);
    assert!(!ended.log.contains("Ready to accept"));
    let kept = folder
        .names()
        .into_iter()
        .find(|name| name.ends_with("appendonly.aof"))
        .unwrap();
    assert_eq!(std::fs::read(folder.data().join(kept)).unwrap(), bytes);
}

#[test]
fn real_logs_from_2_2_to_6_2_load_or_are_refused_by_name() {
    let servers = [
        "2.2.15", "2.4.18", "2.6.17", "2.8.24", "3.0.7", "3.2.13", "4.0.14", "5.0.14", "6.2.16",
    ];
    let unknown = unknown_commands();
    println!("not known yet: {unknown:?}");
    for server in servers.map(|version| format!("redis-{version}")) {
        println!("{server}");
        real_log(&unknown, &server, "appendonly-rewritten");
    }
    for server in ["redis-4.0.14", "redis-5.0.14", "redis-6.2.16"] {
        println!("{server}");
        real_log(&unknown, server, "appendonly-preamble");
    }
}

/// A single file as servers before 7.0 wrote it, from the parts that the reference writes: base and increment joined.
fn single_file(options: &str) {
    let folder = Folder::new();
    let server = Setup::reference(&folder)
        .with("--appendonly yes")
        .with(options)
        .start();
    let mut connection = server.connect();
    fill(&mut connection);
    connection.good("BGREWRITEAOF");
    connection.wait_for_children();
    connection.good("MULTI");
    connection.good("SET later 1");
    connection.good("SELECT 4");
    connection.good("HSET later f v");
    connection.good("EXEC");
    let expected = holdings(&mut connection);
    server.stop();
    let mut joined = std::fs::read(folder.log_file(".base.")).unwrap();
    joined.extend(std::fs::read(folder.log_file(".incr.")).unwrap());
    upgrades(&joined, &expected);
}

#[test]
fn a_single_file_of_commands() {
    single_file("--aof-use-rdb-preamble no");
}

#[test]
fn a_single_file_that_begins_with_a_snapshot() {
    single_file("");
}
