//! What rdb-tool makes of files of strangers: lines of JSON, damaged snapshots, keys in tables, words that choose keys.

use crate::rdb::DIALECTS;
use crate::steps::Steps;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::{Event, Head, Object, Record, Text, verify};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::json_line::JsonLine;
use cairn_toolkit::select::Item;
use cairn_toolkit::{Input, Selection};
use clap::{Args, Command, FromArgMatches};
use rdb_tool::{Column, Lines, csv_row, salvage_file, snapshot_of_lines};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use tempfile::TempDir;

/// Where files lie in memory, so that no disk is waited for.
const MEMORY: &str = "/dev/shm";

fn folder() -> TempDir {
    let folder = match Path::new(MEMORY).is_dir() {
        true => tempfile::tempdir_in(MEMORY),
        false => tempfile::tempdir(),
    };
    folder.expect("a temporary folder")
}

/// Any bytes are lines of JSON or an error with its place; what is taken makes a snapshot whose lines make the same again.
pub fn lines(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let form = match steps.flip() {
        true => Bytes::Text,
        false => Bytes::Base64,
    };
    let text = steps.rest();
    like_serde(text);
    let Some(snapshot) = back(text, form) else {
        return;
    };
    // What cannot be seen line by line, as a key that comes twice, is seen by whoever reads the snapshot.
    let Some(first) = forth(&snapshot, form) else {
        return;
    };
    let again = back(first.as_bytes(), form).expect("lines of ours are read");
    let second = forth(&again, form).expect("a snapshot of lines of ours is sound");
    assert_eq!(first, second);
}

fn back(text: &[u8], form: Bytes) -> Option<Vec<u8>> {
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(folder().path().join("lines"))
        .expect("a file");
    file.write_all(text).expect("room for the input");
    file.rewind().expect("a file");
    let input = Input::of_file(file, "lines").expect("a readable file");
    match snapshot_of_lines(&input, form) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("a readable file");
            Some(bytes)
        }
        Err(failure) => {
            let line = failure.line().expect("a failure says why");
            assert!(line.starts_with("lines: line "), "{line}");
            None
        }
    }
}

fn forth(snapshot: &[u8], form: Bytes) -> Option<String> {
    let options = Options {
        duplicate_keys: true,
        ..Options::sound()
    };
    let mut reader = SliceReader::from_slice(snapshot, options).expect("a head of ours");
    let (mut all, mut lines) = (Vec::new(), Lines::new(form));
    loop {
        match reader.next().ok()? {
            None => return String::from_utf8(all).ok(),
            Some(located) => match &located.event {
                Event::Record(record) => all.extend_from_slice(lines.record(record).ok()?),
                Event::Function(code) => {
                    all.extend_from_slice(lines.function(code.bytes(&mut I64Text::new())));
                }
                _ => {}
            },
        }
    }
}

/// What a JSON library takes is taken, and strings are the same.
fn like_serde(text: &[u8]) {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let ours = JsonLine::new(line).and_then(|mut at| {
        let span = at.skip()?;
        at.end()?;
        Ok((at.from(&span), span))
    });
    let theirs: Result<serde_json::Value, _> = serde_json::from_slice(line);
    match (ours, theirs) {
        (Ok((mut at, _)), Ok(serde_json::Value::String(text))) => {
            assert_eq!(at.string().expect("a string"), text);
        }
        (Err(wrong), Ok(value)) => panic!("{value} is refused: {wrong:?}"),
        (Err(wrong), Err(_)) => assert!(wrong.at <= line.len()),
        (Ok(_), _) => {}
    }
}

/// What is saved of any bytes is a sound snapshot with as many keys as were counted.
pub fn salvage(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let damaged = match DIALECTS.get(usize::from(steps.byte())) {
        Some(dialect) => [&dialect.magic()[..], steps.rest()].concat(),
        None => steps.rest().to_vec(),
    };
    let folder = folder();
    let [from, to] = ["damaged", "saved"].map(|name| folder.path().join(name));
    std::fs::write(&from, &damaged).expect("room for the input");
    let keys = match salvage_file(&from, &to) {
        Ok(keys) => keys,
        Err(failure) => {
            let line = failure.line().expect("a failure says why");
            assert!(!line.contains("cannot be read again"), "{line}");
            return assert!(!to.exists(), "a failure leaves nothing");
        }
    };
    let saved = std::fs::read(&to).expect("what was saved");
    let options = Options {
        duplicate_keys: true,
        trailing: false,
        ..Options::sound()
    };
    let mut reader = SliceReader::from_slice(&saved, options).expect("a sound head");
    verify(&mut reader).expect("a sound file");
    assert!(
        keys == 0 || reader.records() == keys,
        "{} keys, {keys} counted",
        reader.records()
    );
}

/// The columns that a reader must get back.
const COLUMNS: [Column; 6] = [
    Column::Db,
    Column::Key,
    Column::Slot,
    Column::KeyBase64,
    Column::ExpireMs,
    Column::Bytes,
];

/// A key of any bytes is a row that a reader of RFC 4180 takes apart into the same cells, and its text is that of no other key.
pub fn table(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let (db, size) = (steps.long(), steps.long());
    let expire_ms = steps.flip().then(|| steps.int());
    let key = steps.rest();
    let record = Record {
        db,
        head: Head {
            expire_ms,
            ..Head::new(key)
        },
        type_byte: 0,
        value: Object::String(Text::Bytes(b"value")),
        value_offset: 0,
        value_len: 0,
    };
    let row = csv_row(&COLUMNS, &record, size).expect("a value without damage");
    let row = String::from_utf8(row).expect("text");
    let cells = cells(row.strip_suffix("\r\n").expect("a line end"));
    assert_eq!(cells.len(), COLUMNS.len(), "{row}");
    assert_eq!(cells[0], db.to_string());
    assert_eq!(unescaped(&cells[1]), key, "{row}");
    assert!(
        cells[2].parse().is_ok_and(|slot: u16| slot < 16384),
        "{row}"
    );
    assert_eq!(STANDARD.decode(&cells[3]).as_deref(), Ok(key), "{row}");
    assert_eq!(
        cells[4],
        expire_ms.map_or(String::new(), |expire_ms| expire_ms.to_string())
    );
    assert_eq!(cells[5], size.to_string());
}

/// The cells of one row, as a reader of RFC 4180 sees them.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    let mut letters = row.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = cells.len() - 1;
        match (letter, is_quoted) {
            ('"', true) if letters.peek() == Some(&'"') => cells[last].extend(letters.next()),
            ('"', true) => {
                assert!(matches!(letters.peek(), None | Some(',')), "{row}");
                is_quoted = false;
            }
            ('"', false) => {
                assert!(cells[last].is_empty(), "a quote within a cell: {row}");
                is_quoted = true;
            }
            (',', false) => cells.push(String::new()),
            (letter, _) => cells[last].push(letter),
        }
    }
    assert!(!is_quoted, "{row}");
    cells
}

/// The bytes of a key that was escaped.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, behind) = match (byte, behind) {
            (b'\\', [b'x', digits @ ..]) => {
                let number = std::str::from_utf8(&digits[..2]).expect("digits");
                let byte = u8::from_str_radix(number, 16).expect("digits");
                (byte, &digits[2..])
            }
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', _) => panic!("an escape of no kind: {text}"),
            (byte, behind) => (byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

/// The options that take a word.
const OPTIONS: [&str; 8] = [
    "--key",
    "--key-regex",
    "--type",
    "--db",
    "--ttl",
    "--size",
    "--slot",
    "--idle",
];

/// Any words are a selection or an error; an option and its `--not-` choose the opposite.
pub fn selection(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let option = OPTIONS[steps.below(OPTIONS.len())];
    let item = Item {
        key: steps.take(40),
        type_name: "hash",
        db: steps.long() % 20,
        expire_ms: steps.flip().then(|| steps.int()),
        bytes: steps.long(),
        idle_s: steps.flip().then(|| steps.long()),
    };
    let word = String::from_utf8_lossy(steps.rest()).into_owned();
    let chosen = |option: &str| {
        let command = Selection::augment_args(Command::new("probe").no_binary_name(true));
        let matches = command
            .try_get_matches_from([format!("{option}={word}")])
            .ok()?;
        Selection::from_arg_matches(&matches).ok()
    };
    let not = option.replacen("--", "--not-", 1);
    match (chosen(option), chosen(&not)) {
        (Some(these), Some(others)) => {
            // The time goes on between the two; only a border could tell.
            if option != "--ttl" {
                assert_ne!(these.takes(&item), others.takes(&item), "{option} {word}");
            }
            assert!(!these.is_all() && !others.is_all());
        }
        (None, None) => {}
        (these, _) => panic!(
            "{option} {word}: {} alone is one",
            these.map_or(&not[..], |_| option)
        ),
    }
}
