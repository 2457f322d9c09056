//! Written and read again: the same dialect gives the same events, any other the same elements.

mod rdb_support;

use cairn_format::rdb::dump::{self, Payload};
use cairn_format::rdb::{
    Check, Dialect, Event, ExpiringFields, Object, Options, SliceReader, WriteError, WriteOptions,
    Writer, Written,
};
use rdb_support::*;
use serde_json::{Value, json};

/// Every target.
fn targets() -> Vec<Dialect> {
    (2..=15)
        .map(Dialect::redis)
        .chain([Dialect::valkey(80), Dialect::valkey(81)])
        .collect()
}

/// A file written to a target; what the target refuses is left out and its keys returned.
fn convert(bytes: &[u8], options: WriteOptions) -> (Vec<u8>, Vec<(u64, String)>) {
    let mut reader = SliceReader::from_slice(bytes, Options::deep()).unwrap();
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    let mut refused = Vec::new();
    let mut db = 0;
    while let Some(found) = reader.next().unwrap() {
        if let Event::SelectDb(number) = found.event {
            db = number;
        }
        match writer.event(&found.event) {
            Ok(Written::Whole | Written::Nothing) => {}
            Ok(Written::Partly(what)) => {
                assert!(options.expiring_fields.is_some() && what.part, "{what}")
            }
            Err(WriteError::Unsupported(what)) => refused.push((db, b64(&what.key))),
            Err(error) => panic!("{error}"),
        }
    }
    (writer.finish().unwrap(), refused)
}

fn read(bytes: &[u8]) -> Vec<Value> {
    read_all(&mut SliceReader::from_slice(bytes, Options::deep()).unwrap()).unwrap()
}

/// Every event as text, without offsets: for comparing two files statement by statement.
fn statements(bytes: &[u8]) -> Vec<String> {
    let mut reader = SliceReader::from_slice(bytes, Options::deep()).unwrap();
    let mut all = Vec::new();
    while let Some(found) = reader.next().unwrap() {
        all.push(match &found.event {
            Event::Record(record) => {
                let line = object_line(&record.value).unwrap();
                // A packed hash whose fields lost their expiries (25) is written as one that never had any.
                let type_byte = if record.type_byte == 25 && line.get("field_expire_ms").is_none() {
                    4
                } else {
                    record.type_byte
                };
                format!("{} {:?} {type_byte} {line}", record.db, record.head)
            }
            Event::Aux { name, value } => format!("aux {:?} {:?}", name.to_vec(), value.to_vec()),
            Event::Function(code) => format!("function {:?}", code.to_vec()),
            Event::ModuleAux(aux) => format!(
                "module {} {} {:?}",
                aux.when, aux.module.id, aux.module.values
            ),
            Event::SlotImport(import) => {
                format!("import {:?} {:?}", import.job.to_vec(), import.ranges)
            }
            Event::End(_) => "end".to_string(),
            other => format!("{other:?}"),
        });
    }
    all
}

#[test]
fn the_same_dialect_gives_the_same_events() {
    let mut files = 0;
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        let dialect = SliceReader::from_slice(&bytes, Options::deep())
            .unwrap()
            .dialect();
        // Before, ziplists are written as their elements.
        if !dialect.has_small_integers() {
            continue;
        }
        for compress in [true, false] {
            let (written, refused) = convert(
                &bytes,
                WriteOptions {
                    compress,
                    ..WriteOptions::new(dialect)
                },
            );
            assert!(refused.is_empty(), "{}", file.display());
            let (before, after) = (statements(&bytes), statements(&written));
            assert_eq!(before.len(), after.len(), "{}", file.display());
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before, after, "{}", file.display());
            }
        }
        files += 1;
    }
    assert!(files >= 90, "{files}");
}

#[test]
fn our_bytes_are_those_of_the_server() {
    // Redis 7.2 and we take the same decisions, so a file comes back byte by byte; compression may differ in its matches.
    for name in ["redis-7.2.4", "redis-5.0.14", "redis-2.6.17", "redis-8.6.3"] {
        for file in ["small-nocompress", "lru", "lfu", "expired", "empty"] {
            let path = testdata()
                .join("rdb")
                .join(name)
                .join(format!("{file}.rdb"));
            if !path.exists() {
                assert!(
                    name == "redis-2.6.17" && file.starts_with('l'),
                    "{}",
                    path.display()
                );
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let dialect = SliceReader::from_slice(&bytes, Options::deep())
                .unwrap()
                .dialect();
            let (written, _) = convert(
                &bytes,
                WriteOptions {
                    compress: file != "small-nocompress",
                    ..WriteOptions::new(dialect)
                },
            );
            assert!(written == bytes, "{}", path.display());
        }
    }
}

/// A line without what the target has no place for.
fn reduced(line: &Value, target: Dialect) -> Value {
    let mut line = line.clone();
    if let (Some(ms), false) = (line["expire_ms"].as_i64(), target.has_ms_expiry()) {
        line["expire_ms"] = ((ms + 999) / 1000 * 1000).into();
    }
    if !target.has_streams() {
        line["idle_s"] = Value::Null;
        line["freq"] = Value::Null;
    }
    if line["type"] == "stream" {
        let form = target.stream_form();
        let value = &mut line["value"];
        if form < 4 {
            value["producers"] = Value::Null;
        }
        if form < 2 {
            value["max_deleted_id"] = Value::Null;
            value["entries_added"] = Value::Null;
        }
        for group in value["groups"].as_array_mut().unwrap() {
            if form < 2 {
                group["entries_read"] = Value::Null;
            }
            for consumer in group["consumers"].as_array_mut().unwrap() {
                if form < 3 {
                    consumer["active_ms"] = Value::Null;
                }
            }
        }
    }
    line
}

#[test]
fn every_target_gets_the_same_elements() {
    let mut conversions = 0;
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        let original = read(&bytes);
        for target in targets() {
            let (written, refused) = convert(&bytes, WriteOptions::new(target));
            assert_eq!(&written[..9], &target.magic());
            let is_refused = |line: &&Value| {
                refused
                    .iter()
                    .any(|(db, key)| line["db"] == *db && line["key"] == *key)
            };
            let expected: Vec<Value> = original
                .iter()
                .filter(|line| !is_refused(line))
                .filter(|line| line["type"] != "function" || target.has_listpacks())
                .map(|line| reduced(line, target))
                .collect();
            let found: Vec<Value> = read(&written)
                .iter()
                .map(|line| reduced(line, target))
                .collect();
            assert_eq!(
                expected.len(),
                found.len(),
                "{} to {target}",
                file.display()
            );
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "{} to {target}", file.display());
            }
            for line in original.iter().filter(is_refused) {
                let reason = (
                    line["type"].as_str().unwrap(),
                    line.get("field_expire_ms").is_some(),
                );
                let seconds = line["expire_ms"].as_i64().unwrap_or(0) / 1000;
                let known = match reason {
                    ("stream", _) => !target.has_streams() || !line["value"]["producers"].is_null(),
                    ("module", _) => !target.has_modules(),
                    ("hash", true) => !target.has_field_expiry(),
                    _ => false,
                };
                let is_late = seconds >= i64::from(i32::MAX) && !target.has_ms_expiry();
                assert!(known || is_late, "{} to {target}: {line}", file.display());
            }
            conversions += 1;
        }
    }
    println!("{conversions} conversions");
    assert!(conversions >= 900, "{conversions}");
}

/// Fields of a hash that do not expire.
fn lasting_fields(line: &Value) -> usize {
    let all = line["value"].as_array().unwrap().len();
    let times = line.get("field_expire_ms").and_then(Value::as_array);
    times.map_or(all, |times| {
        times.iter().filter(|time| time.is_null()).count()
    })
}

#[test]
fn lossy_writing_keeps_what_remains() {
    let bytes = std::fs::read(testdata().join("rdb/redis-8.6.3/all.rdb")).unwrap();
    let original = read(&bytes);
    let expiring = original
        .iter()
        .filter(|line| line.get("field_expire_ms").is_some())
        .count();
    assert!(expiring > 0);
    let now_ms = 1_800_000_000_000;
    let (written, refused) = convert(
        &bytes,
        WriteOptions {
            drop_parts: true,
            expiring_fields: Some(ExpiringFields::Keep { now_ms }),
            ..WriteOptions::new(Dialect::redis(11))
        },
    );
    assert!(refused.is_empty());
    let found = read(&written);
    assert_eq!(found.len(), original.len());
    for (before, after) in original.iter().zip(&found) {
        if before["type"] == "hash" {
            assert_eq!(before["value"], after["value"]);
            assert!(after.get("field_expire_ms").is_none());
        }
    }
    let fields = |lines: &[Value]| {
        lines
            .iter()
            .filter(|line| line["type"] == "hash")
            .map(|line| line["value"].as_array().unwrap().len())
            .sum::<usize>()
    };
    // In the far future the fields are gone, and a hash that had no others with them; so they are where they are dropped.
    let far = ExpiringFields::Keep { now_ms: i64::MAX };
    let lasting = original.iter().filter(|line| line["type"] == "hash");
    let lasting: usize = lasting.map(lasting_fields).sum();
    for choice in [far, ExpiringFields::Drop] {
        let (written, _) = convert(
            &bytes,
            WriteOptions {
                drop_parts: true,
                expiring_fields: Some(choice),
                ..WriteOptions::new(Dialect::redis(11))
            },
        );
        assert_eq!(fields(&read(&written)), lasting, "{choice:?}");
    }
    assert!(lasting < fields(&original));
}

#[test]
fn elements_written_one_by_one() {
    use cairn_format::encoding::listpack;
    use cairn_format::rdb::Head;
    use cairn_format::rdb::object::NodeKind;
    for target in targets() {
        let mut w = Writer::new(Vec::new(), WriteOptions::new(target)).unwrap();
        w.aux(b"redis-ver", b"7.2.4").unwrap();
        w.select_db(3).unwrap();
        w.resize(6, 1).unwrap();
        let at_ms = match target.has_ms_expiry() {
            true => 4_102_444_800_123,
            false => 2_000_000_000_000,
        };
        w.string(&Head::expiring(b"s", Some(at_ms)), &[b'x'; 100])
            .unwrap();
        w.integer(&Head::new(b"i"), -7).unwrap();
        w.begin_list(&Head::new(b"l"), 2).unwrap();
        w.element(b"a").unwrap();
        w.element_int(1 << 40).unwrap();
        let mut pack = listpack::empty();
        listpack::push_back(&mut pack, b"p");
        listpack::push_back(&mut pack, b"12");
        w.begin_list_nodes(&Head::new(b"n"), 2, 3).unwrap();
        w.node(NodeKind::Listpack, &pack).unwrap();
        w.node(NodeKind::Plain, b"big").unwrap();
        w.begin_hash(&Head::new(b"h"), 1).unwrap();
        w.field(b"f", b"v").unwrap();
        w.begin_zset(&Head::new(b"z"), 3).unwrap();
        w.member(b"a", 0.1).unwrap();
        w.member(b"b", f64::INFINITY).unwrap();
        w.member(b"c", -1e300).unwrap();
        match w.begin_expiring_hash(&Head::new(b"e"), 2, 1000) {
            Ok(()) => {
                w.expiring_field(b"f", b"v", Some(1500)).unwrap();
                w.expiring_field(b"g", b"v", None).unwrap();
            }
            Err(WriteError::Unsupported(what)) => assert!(!target.has_field_expiry(), "{what}"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(
            w.position(),
            w.get_ref().len() as u64 + w.position() - w.get_ref().len() as u64
        );
        let lines = read(&w.finish().unwrap());
        let value = |key: &[u8]| {
            lines
                .iter()
                .find(|line| line["key"] == b64(key))
                .map(|line| line["value"].clone())
        };
        assert_eq!(lines[0]["expire_ms"], json!(at_ms), "{target}");
        assert_eq!(value(b"i"), Some(json!(b64(b"-7"))));
        assert_eq!(value(b"l"), Some(json!([b64(b"a"), b64(b"1099511627776")])));
        assert_eq!(
            value(b"n"),
            Some(json!([b64(b"p"), b64(b"12"), b64(b"big")]))
        );
        assert_eq!(value(b"h"), Some(json!([[b64(b"f"), b64(b"v")]])));
        let scores = [(&b"c"[..], -1e300_f64), (b"a", 0.1), (b"b", f64::INFINITY)];
        assert_eq!(
            value(b"z"),
            Some(
                scores
                    .iter()
                    .map(|(m, s)| json!([b64(m), s.to_bits()]))
                    .collect()
            )
        );
        assert_eq!(value(b"e").is_some(), target.has_field_expiry());
    }
}

#[test]
fn dump_payloads_of_real_servers() {
    let mut payloads = 0;
    for file in payload_files() {
        let truth: Vec<Value> = lines(&file.with_file_name("small.truth.jsonl"));
        for line in lines(&file) {
            let bytes = unb64(&line["dump"]);
            let payload = Payload::open(&bytes, Dialect::NEWEST_REDIS).unwrap();
            if line["type"] == "functions" {
                let libraries: Vec<Vec<u8>> = payload
                    .functions()
                    .unwrap()
                    .iter()
                    .map(|code| code.to_vec())
                    .collect();
                let expected: Vec<Vec<u8>> = truth
                    .iter()
                    .filter(|line| line["type"] == "function")
                    .map(|line| unb64(&line["value"]))
                    .collect();
                assert_eq!(libraries.len(), expected.len());
                assert!(libraries.iter().all(|code| expected.contains(code)));
                continue;
            }
            let mut scratch = Vec::new();
            let value = payload
                .value(&mut scratch, Check::Strict)
                .unwrap_or_else(|error| panic!("{} {line}: {error}", file.display()));
            let expected = truth
                .iter()
                .find(|t| t["key"] == line["key"] && t["db"] == line["db"])
                .unwrap();
            assert_eq!(value.type_name(), expected["type"].as_str().unwrap());
            if !matches!(value, Object::Stream(_) | Object::Zset(_)) {
                assert_eq!(
                    object_line(&value).unwrap()["value"],
                    expected["value"],
                    "{} {line}",
                    file.display()
                );
            }
            let options = WriteOptions {
                compress: false,
                ..WriteOptions::new(payload.dialect())
            };
            let again = dump::encode(options, &value).unwrap();
            assert_eq!(again, bytes, "{} {line}", file.display());
            payloads += 1;
        }
    }
    assert!(payloads > 100, "{payloads}");
}

fn payload_files() -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for root in roots() {
        for folder in std::fs::read_dir(root).unwrap() {
            let path = folder.unwrap().path().join("small.dump-payloads.jsonl");
            if path.exists() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
