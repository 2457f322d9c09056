//! Damaged snapshots: each gives its kind of damage and a place, from a slice and through a pipe.

mod rdb_support;

use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::{Dialect, Options, SliceReader, StreamReader, verify};
use rdb_support::*;

fn from_slice(bytes: &[u8], options: Options) -> Result<(), Box<FormatError>> {
    verify(&mut SliceReader::from_slice(bytes, options)?).map(|_| ())
}

fn from_pipe(bytes: &[u8], options: Options) -> Result<(), Box<FormatError>> {
    verify(&mut StreamReader::from_read(bytes, options)?).map(|_| ())
}

/// Good for a reader that knows no server: only a server's version, modules or number of databases make them bad.
const SERVER_ONLY: [&str; 5] = [
    "version-12.rdb",
    "magic-valkey-80.rdb",
    "db-99.rdb",
    "module-key-unknown.rdb",
    "module-aux-unknown.rdb",
];

/// Changed under a checksum that is switched off: nobody can know.
const UNKNOWABLE: &str = "zero-checksum.rdb";

/// The kind of damage that a file is expected to give.
fn kind_of(line: &serde_json::Value) -> &str {
    if line["file"] == UNKNOWABLE {
        "none"
    } else {
        line["kind"].as_str().unwrap()
    }
}

/// A flipped length after which the file makes sense again for a while: a pipe cannot look back to find it.
const NEEDS_LOOKING_BACK: &str = "flip-keylen.rdb";

#[test]
fn every_damaged_file_gives_its_kind() {
    let folder = testdata().join("bad");
    let expected = lines(&folder.join("expect-rdb.jsonl"));
    let mut wrong = Vec::new();
    for line in &expected {
        let file = line["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let results = [
            (
                "slice",
                from_slice(&bytes, Options::for_server(Dialect::REDIS_7_2)),
            ),
            (
                "pipe",
                from_pipe(&bytes, Options::for_server(Dialect::REDIS_7_2)),
            ),
        ];
        for (source, result) in results {
            if source == "pipe" && file == NEEDS_LOOKING_BACK {
                continue;
            }
            let kind = result
                .as_ref()
                .err()
                .map_or("none", |error| error.kind.name());
            if kind != kind_of(line) {
                wrong.push(format!(
                    "{file} ({source}): {} expected, {result:?}",
                    line["kind"]
                ));
            }
            if let Err(error) = result {
                assert!(error.offset <= bytes.len() as u64, "{file} {error}");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        expected.len(),
        wrong.join("\n")
    );
}

#[test]
fn without_a_server_in_mind_the_same_but_for_five() {
    let folder = testdata().join("bad");
    for line in lines(&folder.join("expect-rdb.jsonl")) {
        let file = line["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let kind = from_slice(&bytes, Options::deep())
            .err()
            .map_or("none", |error| error.kind.name());
        let expected = if SERVER_ONLY.contains(&file) {
            "none"
        } else {
            kind_of(&line)
        };
        assert_eq!(kind, expected, "{file}");
    }
}

#[test]
fn errors_name_database_key_and_place() {
    let bytes = std::fs::read(testdata().join("bad/lp-dup-hash.rdb")).unwrap();
    let error = from_slice(&bytes, Options::deep()).unwrap_err();
    assert_eq!(
        (error.kind, error.db, error.key.as_deref()),
        (Damage::Encoding, Some(0), Some(&b"k"[..])),
        "{error}"
    );
    assert!(
        error.what.starts_with("hash as listpack: field "),
        "{error}"
    );
    assert!(error.offset > 40, "{error}");
}

#[test]
fn a_shallow_reader_takes_what_a_server_takes() {
    let folder = testdata().join("bad");
    // The server converts these blocks as it loads and so looks into them; our engine does the same when it adopts one.
    let converted = [
        "zl-",
        "zm-",
        "is-",
        "lp-",
        "ql2-",
        "stream-",
        "dup-",
        "zset-",
        "lzf-",
        "flip-",
        "len-",
        "function-",
        "db-99",
    ];
    let mut compared = 0;
    for line in lines(&folder.join("expect-rdb.jsonl")) {
        let file = line["file"].as_str().unwrap();
        if converted.iter().any(|prefix| file.starts_with(prefix))
            || SERVER_ONLY.contains(&file)
            || file == "dup-key.rdb"
        {
            continue;
        }
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let loads = from_slice(&bytes, Options::shallow()).is_ok();
        assert_eq!(loads, line["loads"].as_bool().unwrap(), "{file}");
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
}
