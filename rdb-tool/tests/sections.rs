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
    for part in [&mut said.stdout, &mut said.stderr] {
        if let Ok(text) = std::str::from_utf8(part) {
            *part = text.replace("stdin", file.to_str().unwrap()).into_bytes();
        }
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

/// `FILE` stands for the file itself.
const COMMANDS: [&[&str]; 19] = [
    &["dump"],
    &["verify"],
    &["dump", "--type", "hash", "--bytes", "text"],
    &["inspect", "--json", "--prefix", ":", "--slots"],
    &["inspect", "--top", "3"],
    &["memory", "--for", "redis-7.2", "--prefix", ":", "--json"],
    &["memory", "--for", "valkey-9.1", "--each"],
    &[
        "whatif",
        "--for",
        "redis-7.2",
        "--hash-max-listpack-value",
        "8",
        "--field-names",
        "2",
        "--json",
    ],
    &["report", "-o", "-"],
    &["diff", "FILE"],
    &["convert", "--to", "jsonl", "-o", "-"],
    &["convert", "--to", "redis-6.2", "-o", "-"],
    &["convert", "--to", "csv", "-o", "-"],
    &["convert", "--to", "aof", "-o", "-"],
    &[
        "convert",
        "--to",
        "7",
        "--set-ttl",
        "shift:+1h",
        "--map-db",
        "1=2",
        "-o",
        "-",
    ],
    &[
        "convert",
        "--to",
        "jsonl",
        "--rename-prefix",
        "user:=u:",
        "--set-ttl",
        "shift:+1h",
        "-o",
        "-",
    ],
    &[
        "convert", "--to", "aof", "--map-db", "0=1", "--type", "hash", "-o", "-",
    ],
    &["filter", "--not-type", "hash", "-o", "-"],
    &["filter", "--db", "1", "-o", "-"],
];

/// The words with the file in the place that stands for it.
fn with_file<'w>(words: &[&'w str], file: &'w Path) -> Vec<&'w str> {
    let name = file.to_str().unwrap();
    let word = |word: &&'w str| if *word == "FILE" { name } else { word };
    words.iter().map(word).collect()
}

#[test]
fn a_sound_file_gives_the_same_in_sections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    let bytes = snapshot();
    assert!(bytes.len() > 5 << 20, "{} bytes", bytes.len());
    std::fs::write(&file, &bytes).unwrap();
    for words in COMMANDS.map(|words| with_file(words, &file)) {
        let found = on_all(&words, &file);
        assert!(found.status.success(), "{words:?}: {}", stderr(&found));
        for wanted in [on_one(&words, &file), of_pipe(&words, &file, &bytes)] {
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
        for words in COMMANDS.map(|words| with_file(words, &file)) {
            let (found, wanted) = (on_all(&words, &file), on_one(&words, &file));
            assert!(!found.status.success(), "{words:?} at {at}");
            assert_eq!(found.status, wanted.status, "{words:?} at {at}");
            assert_eq!(stderr(&found), stderr(&wanted), "{words:?} at {at}");
            assert!(found.stdout == wanted.stdout, "{words:?} at {at}");
        }
    }
}

#[test]
fn parts_of_a_split_are_the_same_in_sections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.rdb");
    std::fs::write(&file, snapshot()).unwrap();
    for how in [
        &["--by", "slot", "--parts", "3"][..],
        &["--by", "db"],
        &["--by", "prefix"],
    ] {
        let [one, all] = ["one", "all"].map(|name| folder.path().join(name));
        let split = |run: fn(&[&str], &Path) -> Output, out: &Path| {
            let words = [&["split", "-o", out.to_str().unwrap()], how].concat();
            let told = run(&words, &file);
            assert!(told.status.success(), "{words:?}: {}", stderr(&told));
        };
        split(on_one, &one);
        split(on_all, &all);
        let mut names = 0;
        for part in std::fs::read_dir(&one).unwrap() {
            let part = part.unwrap();
            let (this, that) = (part.path(), all.join(part.file_name()));
            assert!(
                std::fs::read(&this).unwrap() == std::fs::read(&that).unwrap(),
                "{how:?}: {this:?}"
            );
            names += 1;
        }
        assert!(names > 0 && names == std::fs::read_dir(&all).unwrap().count());
        std::fs::remove_dir_all(&one).unwrap();
        std::fs::remove_dir_all(&all).unwrap();
    }
}
