//! What the tests of snapshots share: finding files, and a value as plain JSON in the form of the truth files.
#![allow(dead_code)] // each test uses its own part

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::error::Result;
use cairn_format::rdb::object::Hash;
use cairn_format::rdb::object::{Module, Stream, Zset};
use cairn_format::rdb::reader::Source;
use cairn_format::rdb::{Event, Object, Reader, Record, library_name};
use serde_json::{Value, json};

/// The copied files.
pub fn testdata() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata")).to_path_buf()
}

/// Folders of snapshots: the copies, and a whole corpus if `CAIRN_CORPUS` names one.
pub fn roots() -> Vec<PathBuf> {
    let mut roots = vec![testdata().join("rdb")];
    if let Some(corpus) = std::env::var_os("CAIRN_CORPUS") {
        roots.push(corpus.into());
    }
    roots
}

/// Every good snapshot below the roots, sorted.
pub fn golden_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for root in roots() {
        collect(&root, &mut files);
    }
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bad") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rdb")
            && !path.to_string_lossy().contains("appendonly")
        {
            files.push(path);
        }
    }
}

/// The truth file of a snapshot, if it has one.
pub fn truth_of(rdb: &Path) -> Option<PathBuf> {
    let stem = rdb.file_stem().unwrap().to_string_lossy().into_owned();
    let name = match stem.as_str() {
        "all" => "truth.jsonl".to_string(),
        "empty" => return None,
        _ if stem.starts_with("small-") => "small.truth.jsonl".to_string(),
        _ if stem.starts_with("repl-") => "repl.truth.jsonl".to_string(),
        _ => format!("{stem}.truth.jsonl"),
    };
    let path = rdb.with_file_name(name);
    assert!(path.exists(), "{} has no truth file", rdb.display());
    Some(path)
}

/// The lines of a truth file.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Base64 of bytes.
pub fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of base64.
pub fn unb64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A whole file as truth lines, in the order of the file.
pub fn read_all<S: Source>(reader: &mut Reader<S>) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    while let Some(found) = reader.next()? {
        match &found.event {
            Event::Record(record) => lines.push(record_line(record)?),
            Event::Function(code) => lines.push(function_line(&code.to_vec())),
            _ => {}
        }
    }
    Ok(lines)
}

fn function_line(code: &[u8]) -> Value {
    let (engine, name) = library_name(code).unwrap();
    json!({"db": null, "key": b64(name.as_bytes()), "type": "function", "expire_ms": null, "encoding": engine.to_lowercase(), "value": b64(code)})
}

fn record_line(record: &Record<'_>) -> Result<Value> {
    let mut line = object_line(&record.value)?;
    line["db"] = json!(record.db);
    line["key"] = json!(b64(record.head.key));
    line["expire_ms"] = json!(record.head.expire_ms);
    line["idle_s"] = json!(record.head.idle_s);
    line["freq"] = json!(record.head.freq);
    Ok(line)
}

/// Type, value and field expiries.
pub fn object_line(object: &Object<'_>) -> Result<Value> {
    let value = match object {
        Object::String(text) => json!(b64(&text.to_vec())),
        Object::List(list) => texts(list.elements())?.into(),
        Object::Set(set) => {
            let mut members = set
                .members()
                .map(|member| Ok(member?.to_vec()))
                .collect::<Result<Vec<_>>>()?;
            members.sort();
            members.iter().map(|member| json!(b64(member))).collect()
        }
        Object::Zset(zset) => zset_value(zset)?,
        Object::Hash(hash) => return hash_line(hash),
        Object::Stream(stream) => stream_value(stream)?,
        Object::Module(module) => module_value(module)?,
        Object::Array(array) => array
            .items()
            .map(|item| Ok(json!(format!("{:?}", item?))))
            .collect::<Result<Value>>()?,
    };
    Ok(json!({"type": object.type_name(), "value": value}))
}

fn texts<'a>(
    elements: impl Iterator<Item = Result<cairn_format::rdb::Text<'a>>>,
) -> Result<Vec<Value>> {
    elements
        .map(|element| Ok(json!(b64(&element?.to_vec()))))
        .collect()
}

fn zset_value(zset: &Zset<'_>) -> Result<Value> {
    let mut pairs = zset
        .pairs()
        .map(|pair| pair.map(|(member, score)| (score, member.to_vec())))
        .collect::<Result<Vec<_>>>()?;
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    // `-0` equals 0; adding 0 makes them the same bits.
    Ok(pairs
        .iter()
        .map(|(score, member)| json!([b64(member), (score + 0.0).to_bits()]))
        .collect())
}

fn hash_line(hash: &Hash<'_>) -> Result<Value> {
    let mut fields = hash
        .fields()
        .map(|field| field.map(|f| (f.name.to_vec(), f.value.to_vec(), f.expire_ms)))
        .collect::<Result<Vec<_>>>()?;
    fields.sort();
    let value: Value = fields
        .iter()
        .map(|(name, value, _)| json!([b64(name), b64(value)]))
        .collect();
    let mut line = json!({"type": "hash", "value": value});
    if fields.iter().any(|field| field.2.is_some()) {
        line["field_expire_ms"] = fields.iter().map(|field| json!(field.2)).collect();
    }
    Ok(line)
}

fn module_value(module: &Module<'_>) -> Result<Value> {
    let values = module
        .decoded()
        .map(|value| Ok(format!("{:?}", value?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({"name": module.name(), "values": values}))
}

fn stream_value(stream: &Stream<'_>) -> Result<Value> {
    let entries = stream.entries().map(|entry| {
        let entry = entry?;
        let fields: Value = entry
            .fields
            .iter()
            .map(|(name, value)| json!([b64(&name.to_vec()), b64(&value.to_vec())]))
            .collect();
        Ok(json!([entry.id.to_string(), fields]))
    });
    let mut groups: Vec<Value> = stream.groups.iter().map(group_value).collect();
    groups.sort_by_key(|group| group["name"].as_str().unwrap().to_string());
    let producers = stream.producers.as_ref().map(|all| {
        let tracked: usize = all.producers.iter().map(|producer| producer.tokens.len()).sum();
        json!({"idmp-duration": all.duration_s, "idmp-maxsize": all.entries_max, "pids-tracked": all.producers.len(),
            "iids-tracked": tracked, "iids-added": all.added, "iids-duplicates": all.duplicates})
    });
    Ok(json!({
        "entries": entries.collect::<Result<Value>>()?,
        "length": stream.length,
        "last_id": stream.last_id.to_string(),
        "max_deleted_id": stream.max_deleted_id.map(|id| id.to_string()),
        "entries_added": stream.entries_added,
        "groups": groups,
        "producers": producers,
    }))
}

fn group_value(group: &cairn_format::rdb::object::Group<'_>) -> Value {
    let owner = |id| {
        group
            .consumers
            .iter()
            .find(|consumer| consumer.pending.contains(&id))
            .map(|consumer| b64(&consumer.name.to_vec()))
    };
    let by_id = |id| {
        group
            .pending
            .iter()
            .find(|pending| pending.id == id)
            .map_or((0, 0), |pending| (pending.delivery_ms, pending.count))
    };
    let pel: Value = group
        .pending
        .iter()
        .map(|pending| {
            json!([
                pending.id.to_string(),
                owner(pending.id),
                pending.delivery_ms,
                pending.count
            ])
        })
        .collect();
    let mut consumers: Vec<Value> = group
        .consumers
        .iter()
        .map(|consumer| {
            let pel: Value =
                consumer.pending.iter().map(|id| json!([id.to_string(), by_id(*id).0, by_id(*id).1])).collect();
            json!({"name": b64(&consumer.name.to_vec()), "seen_ms": consumer.seen_ms, "active_ms": consumer.active_ms, "pel": pel})
        })
        .collect();
    consumers.sort_by_key(|consumer| consumer["name"].as_str().unwrap().to_string());
    json!({"name": b64(&group.name.to_vec()), "last_id": group.last_id.to_string(), "entries_read": group.entries_read,
        "pel": pel, "consumers": consumers})
}
