//! Damaged logs and manifests, made from real ones and shown to real servers: each has its kind of
//! damage, the place of it, and the end of what is valid before it.

use cairn_format::aof::extent::{Cure, Extent, Rules, check, check_records};
use cairn_format::aof::manifest::{Manifest, PartType};
use cairn_format::aof::reader::StreamReader;
use cairn_format::aof::{Form, form};
use cairn_format::error::Damage;
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

/// What 7.0.15 loads, and what it refuses, where the two bytes behind an argument are others: it skips them unseen.
#[test]
fn the_bytes_behind_an_argument_may_be_any_where_the_next_part_follows() {
    let set = "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n";
    let loose = "*3\r\n$3\r\nSET??$1\r\na!!$1\r\n1::";
    for (log, commands) in [
        (format!("{loose}{set}"), 2),
        (format!("{set}{loose}"), 2),
        (format!("{loose}#TS:1700000000\r\n{loose}"), 2),
        ("*1\r\n$4\r\nPING\0\0".to_owned(), 1),
    ] {
        let extent = extent_of(log.as_bytes(), 7);
        assert!(extent.damage.is_none(), "{log:?}: {extent:?}");
        assert_eq!(
            (extent.commands, extent.valid_end),
            (commands, 7 + log.len() as u64)
        );
    }
    // The length is wrong, or the end is missing: the place is that of the argument, or of the command that was cut.
    for (end, kind, place) in [
        ("*3\r\n$3\r\nSET\n$1\r\na\n$1\r\n1\n", Damage::AofFormat, 4),
        ("*3\r\n$3\r\nSET$1\r\na$1\r\n1", Damage::AofFormat, 4),
        ("*1\r\n$3\r\nPING\r\n*1", Damage::AofFormat, 4),
        ("*1\r\n$4\r\nPING?", Damage::AofTruncated, 0),
        ("*2\r\n$4\r\nECHO??", Damage::AofTruncated, 0),
    ] {
        let extent = extent_of(format!("{loose}{end}").as_bytes(), 0);
        let damage = extent.damage.unwrap();
        let begin = loose.len() as u64;
        assert_eq!(
            (damage.kind, damage.offset),
            (kind, begin + place),
            "{end:?}"
        );
        assert_eq!((extent.valid_end, extent.commands), (begin, 1), "{end:?}");
    }
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
    assert_eq!(cure("aof-zeros.aof"), Some(Cure::Cut));
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

/// A log of two commands, with a third one of which `torn` is there, then `zeros` zeros and `tail`.
fn zero_filled(torn: &[u8], zeros: usize, tail: &[u8]) -> (u64, Vec<u8>) {
    let whole = b"*1\r\n$4\r\nPING\r\n".repeat(2);
    let log = [&whole, torn, &vec![0; zeros], tail].concat();
    (whole.len() as u64, log)
}

#[test]
fn zeros_behind_a_torn_command_belong_to_the_tear() {
    let command = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$10\r\n0123456789\r\n";
    // Fewer than a reader has at hand, and more than it takes in at once.
    for zeros in [1, 600, 200_000] {
        for cut in 1..command.len() {
            let (end, log) = zero_filled(&command[..cut], zeros, b"");
            let extent = extent_of(&log, 0);
            if cut + zeros == command.len() && zeros <= 2 {
                // Only the line end was torn, whose two bytes may be any.
                assert_eq!((extent.valid_end, extent.damage), (log.len() as u64, None));
                continue;
            }
            let damage = extent.damage.unwrap();
            let case = format!("{cut} bytes, {zeros} zeros: {damage}");
            assert_eq!(damage.kind, Damage::AofTruncated, "{case}");
            assert_eq!(
                (extent.valid_end, extent.cure),
                (end, Some(Cure::Cut)),
                "{case}"
            );
        }
        let (end, log) = zero_filled(b"", zeros, b"");
        let extent = extent_of(&log, 0);
        assert_eq!((extent.valid_end, extent.cure), (end, Some(Cure::Cut)));
        let damage = extent.damage.unwrap();
        assert_eq!(damage.kind, Damage::AofFormat);
        let found = format!("{zeros} zero bytes where a command was expected");
        assert!(damage.what.contains(&found), "{damage}");
    }
}

#[test]
fn zeros_before_more_bytes_or_behind_other_damage_are_no_tear() {
    for (torn, zeros, tail) in [
        (&b"*3\r\n$3\r\nSE"[..], 600, &b"x"[..]),
        (b"*3\r\n$3\r\nSE", 200_000, b"*1\r\n$4\r\nPING\r\n"),
        (b"", 200_000, b"*1\r\n$4\r\nPING\r\n"),
        (b"*3\r\n$x\r\n", 600, b""),
        (b"nonsense", 200_000, b""),
    ] {
        let (end, log) = zero_filled(torn, zeros, tail);
        let extent = extent_of(&log, 0);
        let damage = extent.damage.unwrap();
        assert_eq!(damage.kind, Damage::AofFormat, "{damage}");
        assert_eq!((extent.valid_end, extent.cure), (end, Some(Cure::CutLoses)));
    }
}

#[test]
fn a_reader_says_the_same_damage_again() {
    let (_, log) = zero_filled(b"*3\r\n$3\r\nSE", 200_000, b"x");
    let mut reader = StreamReader::new(&log[..], 0);
    while let Ok(Some(_)) = reader.next_item() {}
    let first = reader.next_item().unwrap_err();
    assert_eq!(reader.next_item().unwrap_err(), first);
}
