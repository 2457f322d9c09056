//! Memory stays bounded whatever the size of a file, mapped pages included: of a large one most is left behind.

mod common;

use cairn_format::rdb::{Dialect, Head, WriteOptions, Writer};
use common::tool;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Megabytes of the file.
const SIZE: usize = 128;

/// Megabytes that a command may have resident: the program, what lies just behind the readers, a few tables of keys, and for each
/// thread the sections that are under way.
fn most_allowed() -> usize {
    let threads = std::thread::available_parallelism();
    36 + 8 * threads.map_or(1, |threads| threads.get().min(8))
}

/// Runs a program, and prints its exit status and the most kilobytes that it had resident.
const WATCH: &str = "
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
";

/// Exit status, and the most megabytes that were resident.
fn resident(words: &[&str], file: &Path) -> (i32, usize) {
    let mut python = Command::new("python3");
    let python = python.args(["-c", WATCH]).arg(tool().get_program());
    let said = python.args(words).arg(file).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let mut numbers = said.split_whitespace().map(|word| word.parse().unwrap());
    let (code, kilobytes): (i64, i64) = (numbers.next().unwrap(), numbers.next().unwrap());
    (code as i32, kilobytes as usize / 1024)
}

/// Bytes that do not compress.
fn noise(len: usize, seed: usize) -> Vec<u8> {
    let mut state = seed as u64 | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len / 8).flat_map(next).collect()
}

fn snapshot(folder: &Path, name: &str, strings: usize, len: usize) -> PathBuf {
    let path = folder.join(name);
    let out = BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut writer = Writer::new(out, WriteOptions::new(Dialect::REDIS_7_2)).unwrap();
    writer.select_db(0).unwrap();
    for number in 0..strings {
        let key = format!("key:{number}");
        let head = Head::new(key.as_bytes());
        writer.string(&head, &noise(len, number)).unwrap();
    }
    drop(writer.finish().unwrap());
    path
}

#[test]
fn what_lies_behind_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = snapshot(folder.path(), "dump.rdb", SIZE << 10, 1 << 10);
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let parts = folder.path().join("parts");
    let commands: [&[&str]; 9] = [
        &["verify"],
        &["inspect", "--prefix", ":", "--slots"],
        &["dump"],
        &["convert", "--to", "redis-6.2", "--force", "-o", out],
        &["convert", "--to", "jsonl", "--force", "-o", out],
        &["convert", "--to", "aof", "--force", "-o", out],
        &["salvage", "--force", "-o", out],
        &["filter", "--key", "key:*", "--force", "-o", out],
        &[
            "split",
            "--by",
            "parts",
            "--parts",
            "3",
            "-o",
            parts.to_str().unwrap(),
        ],
    ];
    for words in commands {
        let (code, most) = resident(words, &file);
        assert_eq!(code, 0, "{words:?}");
        assert!(most <= most_allowed(), "{words:?}: {most} MB of {SIZE}");
    }
}

/// The file has to be damaged for its parts to be looked for.
#[test]
fn a_damaged_file_does_not_stay_either() {
    let folder = tempfile::tempdir().unwrap();
    let file = snapshot(folder.path(), "dump.rdb", SIZE << 10, 1 << 10);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0xfd);
    std::fs::write(&file, &bytes).unwrap();
    let out = folder.path().join("out");
    for words in [
        &["verify"][..],
        &["salvage", "--force", "-o", out.to_str().unwrap()],
    ] {
        let (code, most) = resident(words, &file);
        assert_eq!(code, 1, "{words:?}");
        assert!(most <= most_allowed(), "{words:?}: {most} MB of {SIZE}");
    }
}

#[test]
fn a_large_string_is_in_memory_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = snapshot(folder.path(), "large.rdb", 1, SIZE << 20);
    let (code, most) = resident(&["dump"], &file);
    assert_eq!(code, 0);
    // The string, a fifth of it, and the program.
    assert!(most <= SIZE + SIZE / 5 + 20, "{most} MB for {SIZE}");
}
