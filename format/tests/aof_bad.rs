//! Damaged logs and manifests, made from real ones and shown to real servers: each has its kind of
//! damage, the place of it, and the end of what is valid before it.

use cairn_format::aof::extent::{Cure, Extent, Rules, check, check_records};
use cairn_format::aof::manifest::{Manifest, PartType};
use cairn_format::aof::reader::StreamReader;
use cairn_format::aof::{Form, form};
use serde_json::Value;
use std::path::PathBuf;

fn bad(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/bad")).join(name)
}

fn expectations() -> Vec<Value> {
    let text = std::fs::read_to_string(bad("expect-aof.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The extent over the slice, after the stream has given the same.
fn extent_of(log: &[u8], base: u64) -> Extent {
    let extent = check(log, base, Rules::default());
    let streamed =
        check_records(&mut StreamReader::new(log, base), Rules::default(), |_| ()).unwrap();
    assert_eq!(format!("{extent:?}"), format!("{streamed:?}"));
    extent
}

fn compare(expected: &Value, extent: &Extent) {
    let kind = extent.damage.as_ref().map_or("none", |d| d.kind.name());
    assert_eq!(kind, expected["kind"], "{expected}: {extent:?}");
    assert_eq!(
        Some(extent.valid_end),
        expected["valid_end"].as_u64(),
        "{expected}: {extent:?}"
    );
    let offset = extent.damage.as_ref().map(|d| d.offset);
    assert_eq!(
        offset,
        expected["offset"].as_u64(),
        "{expected}: {extent:?}"
    );
}

#[test]
fn every_bad_log_has_its_kind_and_place() {
    let mut seen = 0;
    for expected in expectations() {
        let name = expected["file"].as_str().unwrap();
        if !name.ends_with(".aof") {
            continue;
        }
        let log = std::fs::read(bad(name)).unwrap();
        match (form(&log), expected["preamble_end"].as_u64()) {
            (Form::Commands, None) => compare(&expected, &extent_of(&log, 0)),
            // Damage within the preamble is the snapshot reader's to find.
            (Form::Preamble, Some(end)) if expected["kind"] != "checksum" => {
                compare(&expected, &extent_of(&log[end as usize..], end));
            }
            (Form::Preamble, _) => assert_eq!(expected["valid_end"], 0),
            other => panic!("{name}: {other:?}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 42);
}

#[test]
fn every_bad_manifest_has_the_words_of_redis() {
    let mut seen = 0;
    for expected in expectations() {
        let name = expected["file"].as_str().unwrap();
        if name.ends_with(".aof") {
            continue;
        }
        let folder = bad(name);
        let text = std::fs::read(folder.join("appendonly.aof.manifest")).unwrap();
        let at_manifest = expected["damaged"] == "appendonly.aof.manifest";
        match Manifest::parse_strict(&text) {
            Err(error) => {
                assert!(at_manifest, "{expected}: {error:?}");
                assert_eq!(error.kind.name(), "manifest");
                assert_eq!(
                    Some(error.offset),
                    expected["offset"].as_u64(),
                    "{expected}"
                );
                let server = expected["real_server"].as_str().unwrap();
                let words = error.what.rsplit(": ").next().unwrap();
                // The one that servers load all the same is refused only by the strict reading.
                let loads = Manifest::parse(&text).is_ok();
                assert_eq!(Some(loads), expected["loads"].as_bool(), "{expected}");
                assert!(loads || server.ends_with(words), "{expected}: {error:?}");
            }
            Ok(manifest) => {
                assert!(!at_manifest, "{expected}: {manifest:?}");
                check_parts(&expected, &manifest);
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 31);
}

/// The first part to load that is missing or damaged must be the one expected.
fn check_parts(expected: &Value, manifest: &Manifest) {
    for part in manifest.to_load() {
        let name = String::from_utf8(part.name.clone()).unwrap();
        let path = bad(expected["file"].as_str().unwrap()).join(&name);
        let Ok(log) = std::fs::read(path) else {
            assert_eq!(
                (&expected["kind"], &expected["damaged"]),
                (&"manifest".into(), &name.into())
            );
            return;
        };
        if form(&log) == Form::Preamble {
            assert_eq!(part.part_type, PartType::Base);
            continue;
        }
        let extent = extent_of(&log, 0);
        if extent.damage.is_some() {
            assert_eq!(expected["damaged"], name, "{extent:?}");
            return compare(expected, &extent);
        }
    }
    // A base cut in the middle is the snapshot reader's to find.
    assert!(
        expected["kind"] == "none" || expected["kind"] == "truncated",
        "{expected}"
    );
}

#[test]
fn the_cure_fits_the_damage() {
    let cure = |name: &str| extent_of(&std::fs::read(bad(name)).unwrap(), 0).cure;
    assert_eq!(cure("ok-base.aof"), None);
    assert_eq!(cure("aof-truncated-060.aof"), Some(Cure::Cut));
    assert_eq!(cure("aof-multi-open.aof"), Some(Cure::Cut));
    assert_eq!(cure("aof-zeros-mid.aof"), Some(Cure::CutLoses));
    assert_eq!(cure("aof-exec-alone.aof"), Some(Cure::CutLoses));
    assert_eq!(cure("aof-unknown-command.aof"), Some(Cure::Edit));
    assert_eq!(cure("aof-select-bad.aof"), Some(Cure::Edit));
}

#[test]
fn rules_can_allow_more_databases_and_any_command() {
    let rules = Rules {
        databases: 100,
        vocabulary: false,
    };
    for name in ["aof-select-bad.aof", "aof-unknown-command.aof"] {
        let log = std::fs::read(bad(name)).unwrap();
        let extent = check(&log, 0, rules);
        assert_eq!(
            (extent.valid_end, extent.damage),
            (log.len() as u64, None),
            "{name}"
        );
    }
}
