//! What a log takes in memory to be checked, mended, counted and searched: the same whatever its size.

mod tool;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use tool::{command, run_watched};

/// The bound.
const MOST: u64 = 64 << 20;
/// Bytes of the log: what does not give back what it has read is beyond the bound by far.
const SIZE: usize = 200 << 20;

/// A log of SIZE bytes: few keys, values of a kilobyte, a timestamp for each thousand.
fn written(path: &str) {
    let mut out = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let value = "v".repeat(1000);
    let (mut size, mut number) = (0, 0);
    while size < SIZE {
        let mut text = command(&format!("SET key:{} {value}", number % 5000));
        if number % 1000 == 0 {
            text += &format!("#TS:{}\r\n", 1_700_000_000 + number / 1000);
        }
        out.write_all(text.as_bytes()).unwrap();
        (size, number) = (size + text.len(), number + 1);
    }
    out.flush().unwrap();
}

#[test]
fn a_large_log_takes_no_more_memory_than_a_small_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log").to_str().unwrap().to_owned();
    written(&path);
    let checked = |words: &[&str], code: i32| {
        let (run, taken) = run_watched(&[words, &[&path]].concat());
        assert_eq!(run.code, code, "{words:?}: {run:?}");
        assert!(taken < MOST, "{words:?}: {taken}");
    };
    checked(&["check"], 0);
    checked(&["stats"], 0);
    checked(&["log", "key:17"], 0);
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    for part in [SIZE / 8, SIZE / 2, SIZE - SIZE / 8] {
        file.seek(SeekFrom::Start(part as u64)).unwrap();
        file.write_all(&[0xfd; 3000]).unwrap();
    }
    drop(file);
    checked(&["check"], 1);
    checked(&["fix", "--dry-run"], 1);
    checked(&["fix"], 1);
    checked(&["check"], 0);
}
