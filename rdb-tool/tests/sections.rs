//! A file that is read in sections on several processors gives what it gives on one of them, and what the same bytes give from a
//! pipe: there it is read from front to back.

mod common;

use cairn_format::rdb::{Dialect, Head, WriteOptions, Writer};
use common::{run_piped, stderr, tool};
use std::path::Path;
use std::process::{Command, Output};

/// Some megabytes: strings, packed hashes and a string that is larger than a section, in two databases.
fn snapshot() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::REDIS_7_2)).unwrap();
    writer.aux(b"ctime", b"1700000000").unwrap();
    for number in 0..80_000_u32 {
        if number.is_multiple_of(50_000) {
            writer.select_db(u64::from(number / 50_000)).unwrap();
        }
        let key = format!("user:{}:{number}", number % 100);
        let head = Head {
            expire_ms: number.is_multiple_of(3).then_some(1_900_000_000_000),
            ..Head::new(key.as_bytes())
        };
        match number {
            30_000 => {
                let large: Vec<u8> = (0..3_000_000_u32)
                    .map(|n| (n.wrapping_mul(n) / 77) as u8)
                    .collect();
                writer.string(&head, &large).unwrap();
            }
            number if number.is_multiple_of(7) => {
                writer.begin_hash(&head, 3).unwrap();
                for field in ["name", "count", "text"] {
                    writer.field(field.as_bytes(), key.as_bytes()).unwrap();
                }
            }
            _ => {
                let value = format!("{:x}", u64::from(number) * 0x9e37_79b9_7f4a);
                writer.string(&head, value.as_bytes()).unwrap();
            }
        }
    }
    writer.finish().unwrap()
}

/// What a command says of a pipe, with the name of the file.
fn of_pipe(words: &[&str], file: &Path, bytes: &[u8]) -> Output {
    let words: Vec<&str> = words.iter().copied().chain(["-"]).collect();
    let mut said = run_piped(&words, bytes);
    if let Ok(text) = std::str::from_utf8(&said.stdout) {
        said.stdout = text.replace("stdin", file.to_str().unwrap()).into_bytes();
    }
    said
}

/// What it says of the file on one processor, where nothing is guessed.
fn on_one(words: &[&str], file: &Path) -> Output {
    let mut command = Command::new("taskset");
    let command = command.args(["--cpu-list", "0"]).arg(tool().get_program());
    command.args(words).arg(file).output().unwrap()
}

fn on_all(words: &[&str], file: &Path) -> Output {
    tool().args(words).arg(file).output().unwrap()
}

const COMMANDS: [&[&str]; 7] = [
    &["dump"],
    &["verify"],
    &["dump", "--type", "hash", "--bytes", "text"],
    &["inspect", "--json", "--prefix", ":", "--slots"],
    &["inspect", "--top", "3"],
    &["convert", "--to", "jsonl", "-o", "-"],
    &["convert", "--to", "redis-6.2", "-o", "-"],
];

#[test]
fn a_sound_file_gives_the_same_in_sections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    let bytes = snapshot();
    assert!(bytes.len() > 5 << 20, "{} bytes", bytes.len());
    std::fs::write(&file, &bytes).unwrap();
    for words in COMMANDS {
        let found = on_all(words, &file);
        assert!(found.status.success(), "{words:?}");
        for wanted in [on_one(words, &file), of_pipe(words, &file, &bytes)] {
            let sizes = (found.stdout.len(), wanted.stdout.len());
            assert!(found == wanted, "{words:?}: {sizes:?} bytes");
        }
    }
}

#[test]
fn a_damaged_file_gives_the_same_up_to_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    let whole = snapshot();
    for (place, with) in [(1.0 / 9.0, 0xfd), (0.5, 0x21), (0.95, 0x1f)] {
        let mut bytes = whole.clone();
        let at = (bytes.len() as f64 * place) as usize;
        bytes[at..at + 100].fill(with);
        std::fs::write(&file, &bytes).unwrap();
        for words in COMMANDS {
            let (found, wanted) = (on_all(words, &file), on_one(words, &file));
            assert!(!found.status.success(), "{words:?} at {at}");
            assert_eq!(found.status, wanted.status, "{words:?} at {at}");
            assert_eq!(stderr(&found), stderr(&wanted), "{words:?} at {at}");
            assert!(found.stdout == wanted.stdout, "{words:?} at {at}");
        }
    }
}
