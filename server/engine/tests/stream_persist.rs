//! Streams of real servers: loaded from their snapshots they are what the live server told, and they are the same once
//! more after our own snapshot of any version, and after the commands of a rewritten log.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cairn_engine::base::limits::Limits;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::restore::{Attributes, NoValue};
use cairn_engine::persist::value::Builder;
use cairn_engine::persist::{digest, rewrite, save};
use cairn_engine::structure::table::{Hasher, Slot};
use cairn_engine::value::ValueRef;
use cairn_engine::value::stream::{Stream, StreamId};
use cairn_format::aof::release::Release;
use cairn_format::rdb::{
    Check, Dialect, Event, Head, Object, Options, SliceReader, WriteOptions, dump,
};
use cairn_format::resp::value::Value;
use serde_json::{Value as Json, json};
use support::Bench;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rdb")
}

/// Snapshots beside what the server told of their keys. Of the files that come in two, the one whose consumer times
/// are those of the truth file.
const FILES: &[(&str, &str)] = &[
    ("all.rdb", "truth.jsonl"),
    ("small-nocompress.rdb", "small.truth.jsonl"),
    ("lru.rdb", "lru.truth.jsonl"),
    ("lfu.rdb", "lfu.truth.jsonl"),
    ("repl-master.rdb", "repl.truth.jsonl"),
];

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// What the truth files tell of a stream.
fn told(stream: &Stream) -> Json {
    let marks = stream.marks();
    let entries: Vec<Json> = stream
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| {
            let fields = entry
                .fields
                .map(|(f, v)| json!([base64(&f.to_bytes()), base64(&v.to_bytes())]));
            json!([entry.id.to_string(), fields.collect::<Vec<_>>()])
        })
        .collect();
    let groups: Vec<Json> = stream
        .groups()
        .map(|(name, group)| {
            let pending = group.pending_range(StreamId::MIN, StreamId::MAX);
            let pel: Vec<Json> = pending
                .map(|(id, p)| {
                    let owner = base64(group.consumer(p.consumer).name());
                    json!([id.to_string(), owner, p.delivery_ms, p.deliveries])
                })
                .collect();
            let consumers: Vec<Json> = group
                .consumers()
                .map(|(_, consumer)| {
                    let own = consumer.pending(StreamId::MIN, StreamId::MAX).map(|id| {
                        let p = group.pending(id).expect("the group has it too");
                        json!([id.to_string(), p.delivery_ms, p.deliveries])
                    });
                    json!({
                        "name": base64(consumer.name()),
                        "seen_ms": consumer.seen_ms,
                        "active_ms": consumer.active_ms.unwrap_or(-1),
                        "pel": own.collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "name": base64(name),
                "last_id": group.last_id.to_string(),
                "entries_read": group.entries_read,
                "pel": pel,
                "consumers": consumers,
            })
        })
        .collect();
    json!({
        "entries": entries,
        "length": stream.len(),
        "last_id": marks.last_id.to_string(),
        "max_deleted_id": marks.max_deleted_id.to_string(),
        "entries_added": marks.entries_added,
        "groups": groups,
    })
}

/// Where `wanted` says something that `found` says otherwise. What only one of them knows is no difference.
fn differences(wanted: &Json, found: &Json, at: &str, out: &mut Vec<String>) {
    match (wanted, found) {
        (Json::Object(wanted), Json::Object(found)) => {
            for (name, value) in wanted {
                // Null is what an older server does not know, but for this counter an answer of its own.
                let known = !value.is_null() || name == "entries_read";
                if let Some(other) = found.get(name).filter(|_| known) {
                    differences(value, other, &format!("{at}.{name}"), out);
                }
            }
        }
        (Json::Array(wanted), Json::Array(found)) if wanted.len() == found.len() => {
            for (i, (value, other)) in wanted.iter().zip(found).enumerate() {
                differences(value, other, &format!("{at}[{i}]"), out);
            }
        }
        _ if wanted == found => {}
        _ => out.push(format!("{at}: {wanted} became {found}")),
    }
}

/// The same with the names left out that a form or a log does not carry.
fn without(value: &Json, names: &[&str]) -> Json {
    match value {
        Json::Object(map) => map
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), without(value, names)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => items.iter().map(|item| without(item, names)).collect(),
        other => other.clone(),
    }
}

fn keyspace() -> Keyspace {
    Keyspace::new(16, [5, 6, 7, 8])
}

fn stream_of(ks: &Keyspace, slot: Slot) -> &Stream {
    match ks.view(slot) {
        ValueRef::Stream(stream) => stream,
        other => panic!("{other:?} is no stream"),
    }
}

/// Stores a saved stream; `Err` says why it cannot be held.
fn store(ks: &mut Keyspace, key: &[u8], saved: &Object) -> Result<Slot, &'static str> {
    let limits = Limits::default();
    let builder = Builder {
        limits: &limits,
        hasher: Hasher::new([1, 2, 3, 4]),
    };
    match builder.build(saved) {
        Ok(restored) => Ok(restored.store(ks, key, &Attributes::default())),
        Err(NoValue::Unheld(what)) => Err(what.0),
        Err(other) => panic!("real servers save no damage: {other:?}"),
    }
}

/// Names of stored streams by the database and key that they had.
type Names = BTreeMap<(u64, Vec<u8>), Vec<u8>>;

/// Names under which the streams of a snapshot were stored, by database and key, and those that cannot be held.
fn load(path: &Path, ks: &mut Keyspace) -> (Names, Vec<&'static str>) {
    let bytes = std::fs::read(path).expect("the file is there");
    let mut reader = SliceReader::from_slice(&bytes, Options::deep()).expect("its head is known");
    let (mut names, mut refused) = (BTreeMap::new(), Vec::new());
    while let Some(found) = reader.next().expect("it is sound") {
        if let Event::Record(record) = found.event
            && let Object::Stream(_) = record.value
        {
            // Names are kept apart by their database, because all go into one.
            let key = [record.db.to_string().as_bytes(), b"/", record.head.key].concat();
            match store(ks, &key, &record.value) {
                Ok(_) => {
                    names.insert((record.db, record.head.key.to_vec()), key);
                }
                Err(what) => refused.push(what),
            }
        }
    }
    (names, refused)
}

fn truths(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    all.filter(|truth: &Json| truth["type"] == "stream")
        .collect()
}

/// Every stream that a truth file knows, loaded: its name, what was told of it, keyspace and slot.
fn each_stream(mut visit: impl FnMut(&str, &Json, &Keyspace, Slot)) {
    let mut seen = 0;
    for folder in std::fs::read_dir(testdata()).expect("the folder is there") {
        let folder = folder.expect("it can be read").path();
        for (file, truth) in FILES {
            let truths = truths(&folder.join(truth));
            let path = folder.join(file);
            if truths.is_empty() || !path.exists() {
                continue;
            }
            let mut ks = keyspace();
            let (names, refused) = load(&path, &mut ks);
            assert!(refused.is_empty(), "{}: {refused:?}", path.display());
            assert_eq!(names.len(), truths.len(), "streams of {}", path.display());
            for truth in truths {
                let key = BASE64_STANDARD.decode(truth["key"].as_str().expect("a key"));
                let key = key.expect("keys are base64");
                let name = format!("{} {}", path.display(), String::from_utf8_lossy(&key));
                let stored = &names[&(truth["db"].as_u64().unwrap_or(0), key)];
                let slot = ks.find(stored).expect("it was stored");
                visit(&name, &truth["value"], &ks, slot);
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} streams");
}

#[test]
fn streams_are_loaded_as_their_servers_told() {
    let mut found = Vec::new();
    each_stream(|name, truth, ks, slot| {
        let stream = stream_of(ks, slot);
        stream.check().expect("its invariants hold");
        // Servers before 7.0 do not know how many entries a group has read: it is told by what is left (stream_lag.rs).
        let uncounted: &[&str] = if truth["entries_added"].is_null() {
            &["entries_read"]
        } else {
            &[]
        };
        let truth = without(truth, uncounted);
        differences(&truth, &told(stream), name, &mut found);
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_version_of_our_snapshots_gives_the_stream_back() {
    let mut found = Vec::new();
    each_stream(|name, _, ks, slot| {
        let before = told(stream_of(ks, slot));
        for version in 9..=13 {
            let options = WriteOptions::new(Dialect::redis(version));
            let payload = dump::build(options, |writer| {
                save::write_record(writer, &Head::default(), ks.record(slot))
            });
            let payload = payload.expect("streams exist from version 9 on");
            let opened = dump::Payload::open(&payload, Dialect::redis(13)).expect("it is whole");
            let mut scratch = Vec::new();
            let saved = opened
                .value(&mut scratch, Check::Strict)
                .expect("it is sound");
            let mut other = keyspace();
            let copy = store(&mut other, b"copy", &saved).expect("it can be held");
            stream_of(&other, copy)
                .check()
                .expect("its invariants hold");
            let lost: &[&str] = match version {
                9 => &[
                    "active_ms",
                    "entries_added",
                    "max_deleted_id",
                    "entries_read",
                ],
                10 => &["active_ms"],
                _ => &[],
            };
            let (before, after) = (without(&before, lost), told(stream_of(&other, copy)));
            differences(&before, &after, &format!("{name} as {version}"), &mut found);
            let digests = (
                digest::of_value(ks.record(slot)),
                digest::of_value(other.record(copy)),
            );
            assert_eq!(digests.0, digests.1, "{name} as {version}");
        }
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_commands_of_a_rewritten_log_make_the_stream_again() {
    let mut found = Vec::new();
    each_stream(|name, _, ks, slot| {
        let before = told(stream_of(ks, slot));
        let key = ks.record(slot).key().to_vec();
        let mut one = keyspace();
        let mut scratch = Vec::new();
        let payload = dump::build(WriteOptions::new(Dialect::redis(11)), |writer| {
            save::write_record(writer, &Head::default(), ks.record(slot))
        });
        let payload = payload.expect("it can be saved");
        let opened = dump::Payload::open(&payload, Dialect::redis(11)).expect("it is whole");
        let saved = opened
            .value(&mut scratch, Check::Strict)
            .expect("it is sound");
        store(&mut one, &key, &saved).expect("it can be held");
        let mut log = Vec::new();
        rewrite::rewrite(&one, &mut log, Release::NEWEST, &mut |_| {})
            .expect("memory takes everything");
        let mut bench = Bench::new();
        run_all(&mut bench, &log);
        let copy = bench.engine.ks.find(&key).expect("the key is there");
        let after = told(stream_of(&bench.engine.ks, copy));
        // A log has no times of consumers.
        let before = without(&before, &["seen_ms", "active_ms"]);
        differences(&before, &after, name, &mut found);
        let digests = (
            digest::of_value(ks.record(slot)),
            digest::of_value(bench.engine.ks.record(copy)),
        );
        assert_eq!(digests.0, digests.1, "{name}");
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn run_all(bench: &mut Bench, log: &[u8]) {
    let mut at = 0;
    while at < log.len() {
        let (command, end) = Value::decode(&log[at..]).expect("commands are multibulks");
        let words = command.as_array().expect("they are arrays");
        let words: Vec<&[u8]> = words
            .iter()
            .map(|w| w.as_bytes().expect("of bulks"))
            .collect();
        let reply = bench.run(&words);
        assert!(
            !reply.starts_with(b"-"),
            "{}",
            String::from_utf8_lossy(&reply)
        );
        at += end;
    }
}

#[test]
fn a_stream_with_producers_is_refused_and_one_without_is_not() {
    let mut ks = keyspace();
    let (names, refused) = load(&testdata().join("redis-8.6.3/idmp.rdb"), &mut ks);
    let held: Vec<&[u8]> = names.keys().map(|(_, key)| key.as_slice()).collect();
    assert_eq!(held, [b"st:plain"]);
    assert_eq!(refused, ["a stream with idempotent producers"; 2]);
}
