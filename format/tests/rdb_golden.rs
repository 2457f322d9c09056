//! Snapshots of real servers: what we read is what the servers said they hold.

mod rdb_support;

use std::collections::BTreeMap;
use std::path::Path;

use cairn_format::rdb::{Checksum, Event, Options, SliceReader, StreamReader, verify};
use rdb_support::*;
use serde_json::{Value, json};

/// A truth line in the form of `object_line`: scores as bits, runs expanded, what a snapshot cannot say left out.
fn expected(line: &Value) -> Value {
    let mut line = line.clone();
    let kind = line["type"].as_str().unwrap().to_string();
    if let Some(rule) = line.get("value_rule").cloned() {
        let count = rule["count"].as_u64().unwrap();
        let mut fields: Vec<_> = (0..count).map(|index| index.to_string()).collect();
        fields.sort();
        line["value"] = fields
            .iter()
            .map(|field| json!([b64(field.as_bytes()), rule["value"]]))
            .collect();
    }
    if let Some(runs) = line.get("value_rle").cloned() {
        let mut elements = Vec::new();
        for run in runs.as_array().unwrap() {
            elements.extend(std::iter::repeat_n(
                run[0].clone(),
                run[1].as_u64().unwrap() as usize,
            ));
        }
        line["value"] = elements.into();
    }
    if kind == "zset" {
        let mut pairs: Vec<(f64, Vec<u8>)> = Vec::new();
        for pair in line["value"].as_array().unwrap() {
            pairs.push((pair[1].as_str().unwrap().parse().unwrap(), unb64(&pair[0])));
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        line["value"] = pairs
            .iter()
            .map(|(score, member)| json!([b64(member), (score + 0.0).to_bits()]))
            .collect();
    }
    line
}

fn same_streams(ours: &Value, truth: &Value, exact_times: bool, at: &str) {
    for name in [
        "entries",
        "length",
        "last_id",
        "max_deleted_id",
        "entries_added",
    ] {
        if !truth[name].is_null() {
            assert_eq!(ours[name], truth[name], "{at} {name}");
        }
    }
    let (ours, truth) = (
        ours["groups"].as_array().unwrap(),
        truth["groups"].as_array().unwrap(),
    );
    assert_eq!(ours.len(), truth.len(), "{at}");
    for (ours, truth) in ours.iter().zip(truth) {
        for name in ["name", "last_id", "pel"] {
            assert_eq!(ours[name], truth[name], "{at} {name}");
        }
        if truth["has_entries_read"] == json!(true) {
            assert_eq!(ours["entries_read"], truth["entries_read"], "{at}");
        }
        let (ours, truth) = (
            ours["consumers"].as_array().unwrap(),
            truth["consumers"].as_array().unwrap(),
        );
        assert_eq!(ours.len(), truth.len(), "{at}");
        for (ours, truth) in ours.iter().zip(truth) {
            assert_eq!(
                (&ours["name"], &ours["pel"]),
                (&truth["name"], &truth["pel"]),
                "{at}"
            );
            if exact_times {
                assert!(
                    truth["seen_ms"].is_null() || ours["seen_ms"] == truth["seen_ms"],
                    "{at}"
                );
                assert!(
                    truth["active_ms"].is_null() || ours["active_ms"] == truth["active_ms"],
                    "{at}"
                );
            }
        }
    }
}

fn compare(file: &Path, ours: &[Value], truth: &[Value]) {
    let name = file.display().to_string();
    let key_of = |line: &Value| format!("{} {} {}", line["type"], line["db"], line["key"]);
    let truth: BTreeMap<String, &Value> = truth.iter().map(|line| (key_of(line), line)).collect();
    assert_eq!(ours.len(), truth.len(), "{name}");
    let whole_seconds = name.contains("redis-2.2") || name.contains("redis-2.4");
    for line in ours {
        let key = key_of(line);
        let at = format!("{name} {key}");
        let truth = expected(
            truth
                .get(&key)
                .unwrap_or_else(|| panic!("{at} is not in the truth file")),
        );
        match (line["expire_ms"].as_i64(), truth["expire_ms"].as_i64()) {
            (Some(ours), Some(truth)) if whole_seconds => {
                assert!((ours - truth).abs() <= 3000, "{at}")
            }
            (ours, truth) => assert_eq!(ours, truth, "{at}"),
        }
        for attribute in ["idle_s", "freq"] {
            if let Some(stated) = truth.get(attribute) {
                assert_eq!(&line[attribute], stated, "{at} {attribute}");
            }
        }
        match truth["type"].as_str().unwrap() {
            "stream" => {
                same_streams(
                    &line["value"],
                    &truth["value"],
                    !name.contains("nochecksum"),
                    &at,
                );
                if let Some(stated) = truth.get("xinfo") {
                    assert_eq!(&line["value"]["producers"], stated, "{at}");
                }
            }
            "module" => assert_eq!(line["value"]["name"], truth["module_type"], "{at}"),
            _ => assert_eq!(line["value"], truth["value"], "{at}"),
        }
        assert_eq!(
            line.get("field_expire_ms"),
            truth.get("field_expire_ms"),
            "{at}"
        );
    }
}

#[test]
fn every_snapshot_says_what_its_server_said() {
    let files = golden_files();
    let mut keys = 0;
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        let mut reader = SliceReader::from_slice(&bytes, Options::deep())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let lines =
            read_all(&mut reader).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let truth = truth_of(file)
            .map(|path| rdb_support::lines(&path))
            .unwrap_or_default();
        compare(file, &lines, &truth);
        keys += lines.len();
    }
    println!("{} snapshots, {keys} keys and libraries", files.len());
    assert!(files.len() >= 100, "only {} snapshots found", files.len());
}

/// Gives at most seven bytes at a time, as a slow pipe does.
struct Drip<'a>(&'a [u8]);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(7).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        out[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

#[test]
fn a_pipe_gives_the_same_as_a_slice() {
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.len() > 20_000 {
            continue;
        }
        let mut slice = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
        let mut pipe = StreamReader::from_read(Drip(&bytes), Options::deep()).unwrap();
        loop {
            let (ours, theirs) = (slice.next().unwrap(), pipe.next().unwrap());
            let (Some(ours), Some(theirs)) = (ours, theirs) else {
                break;
            };
            assert_eq!(
                (ours.offset, ours.end),
                (theirs.offset, theirs.end),
                "{}",
                file.display()
            );
        }
        let from_slice =
            read_all(&mut SliceReader::from_slice(&bytes, Options::deep()).unwrap()).unwrap();
        let from_pipe =
            read_all(&mut StreamReader::from_read(Drip(&bytes), Options::deep()).unwrap()).unwrap();
        assert_eq!(from_slice, from_pipe, "{}", file.display());
    }
}

/// The header, then a few bytes at a time with nothing between, as a socket that does not wait.
struct Halting<'a> {
    rest: &'a [u8],
    halts: bool,
}

impl std::io::Read for Halting<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.halts = !self.halts;
        if self.halts && !self.rest.is_empty() {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let count = out.len().min(11).min(self.rest.len());
        let (now, later) = self.rest.split_at(count);
        out[..count].copy_from_slice(now);
        self.rest = later;
        Ok(count)
    }
}

#[test]
fn a_socket_that_has_no_more_yet_gives_the_same_as_a_slice() {
    let mut halted = 0;
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.len() > 20_000 {
            continue;
        }
        let mut slice = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
        let socket = Halting {
            rest: &bytes,
            halts: true,
        };
        let mut socket = StreamReader::from_read(socket, Options::deep()).unwrap();
        loop {
            let ours = slice.next().unwrap();
            let theirs = loop {
                match socket.next() {
                    Err(error) if error.kind == cairn_format::error::Damage::Pending => halted += 1,
                    other => break other.unwrap().map(|found| format!("{found:?}")),
                }
            };
            let is_end = ours.is_none();
            let ours = ours.map(|found| format!("{found:?}"));
            assert_eq!(ours, theirs, "{}", file.display());
            if is_end {
                break;
            }
        }
    }
    assert!(halted > 1000, "it waited {halted} times");
}

#[test]
fn spans_cover_the_file_without_gaps() {
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        let mut reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
        let mut at = 9;
        while let Some(record) = reader.next_raw().unwrap() {
            // The EOF opcode itself belongs to no span; its checksum does.
            let is_end = record.kind == cairn_format::rdb::reader::RawKind::Opcode(255);
            assert_eq!(record.offset, at + u64::from(is_end), "{}", file.display());
            at = record.offset + record.bytes.len() as u64;
        }
        assert_eq!(at, bytes.len() as u64, "{}", file.display());
    }
}

#[test]
fn checksums_are_verified_or_known_to_be_off() {
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        let mut reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
        let has_sum = reader.dialect().has_checksum();
        let found = verify(&mut reader).unwrap();
        let mut counted = SliceReader::from_slice(&bytes, Options::deep()).unwrap();
        while counted.next().unwrap().is_some() {}
        assert_eq!(reader.records(), counted.records(), "{}", file.display());
        let off = file.to_string_lossy().contains("nochecksum");
        match found {
            Checksum::Verified(_) => assert!(has_sum && !off, "{}", file.display()),
            Checksum::Off => assert!(has_sum && off, "{}", file.display()),
            Checksum::None => assert!(!has_sum, "{}", file.display()),
            Checksum::Unchecked(_) | Checksum::Wrong { .. } => panic!("{}", file.display()),
        }
    }
}

#[test]
fn the_rest_of_a_pipe_is_handed_back() {
    let mut bytes = std::fs::read(testdata().join("rdb/redis-7.2.4/empty.rdb")).unwrap();
    let end = bytes.len() as u64;
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let options = Options {
        trailing: false,
        ..Options::deep()
    };
    let mut reader = StreamReader::from_read(&bytes[..], options).unwrap();
    let mut ended = None;
    while let Some(found) = reader.next().unwrap() {
        if matches!(found.event, Event::End(_)) {
            ended = Some(found.end);
        }
    }
    assert_eq!(ended, Some(end));
    let (mut rest, mut input) = reader.into_rest();
    std::io::Read::read_to_end(&mut input, &mut rest).unwrap();
    assert_eq!(rest, b"*1\r\n$4\r\nPING\r\n");
    let error = verify(&mut SliceReader::from_slice(&bytes, Options::deep()).unwrap()).unwrap_err();
    assert_eq!((error.kind.name(), error.offset), ("length", end));
}
