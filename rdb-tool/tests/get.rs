//! `get` finds what `dump` writes, with an index and without, and never through an index of another file.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{all_golden, code, golden, names, run, run_piped, stderr, stdout, testdata};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The keys of a snapshot as `dump` writes them, in its order.
fn dumped(file: &Path) -> Vec<Value> {
    let output = run(&["dump", "--snapshot-only", file.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| !line["db"].is_null()).collect()
}

/// What `get` says of all keys of `lines`, in any order, and its exit status.
fn got(words: &[&str], file: &Path, lines: &[Value]) -> (i32, Vec<Value>) {
    let mut all = vec!["get", "--json", "--base64", "--snapshot-only"];
    all.extend(words);
    all.push(file.to_str().unwrap());
    all.extend(lines.iter().map(|line| line["key"].as_str().unwrap()));
    let output = run(&all);
    assert!(
        stderr(&output).is_empty(),
        "{}: {}",
        file.display(),
        stderr(&output)
    );
    let text = stdout(&output);
    let found = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (code(&output), found.collect())
}

fn copied(file: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("dump.rdb");
    fs::copy(file, &copy).unwrap();
    copy
}

#[test]
fn all_keys_of_all_snapshots_are_found_with_an_index_and_without() {
    let mut files = all_golden();
    // An expiry that another opcode parts from its key.
    let odd = fs::read_dir(testdata().join("odd"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let odd: Vec<PathBuf> = odd
        .filter(|path| path.extension().is_some_and(|end| end == "rdb"))
        .collect();
    files.extend(odd.into_iter().filter(|path| {
        code(&run(&[
            "dump".as_ref(),
            "--snapshot-only".as_ref(),
            path.as_os_str(),
        ])) == 0
    }));
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let file = copied(&file, folder.path());
        let mut lines = dumped(&file);
        let bytes = fs::read(&file).unwrap();
        let output = run(&["index", "--snapshot-only", file.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(names(folder.path()), ["dump.rdb", "dump.rdb.idx"]);
        if lines.is_empty() {
            continue;
        }
        for words in [&[][..], &["--no-index"]] {
            let (status, mut found) = got(words, &file, &lines);
            assert_eq!(status, 0);
            for line in &mut found {
                let line = line.as_object_mut().unwrap();
                let from = line.remove("offset").unwrap().as_u64().unwrap() as usize;
                let len = line.remove("bytes").unwrap().as_u64().unwrap() as usize;
                assert!(bytes.len() > from + len, "{line:?}");
            }
            let order = |line: &Value| (line["key"].to_string(), line["db"].as_u64());
            found.sort_by_key(order);
            found.dedup();
            lines.sort_by_key(order);
            assert_eq!(found, lines, "{}", file.display());
        }
    }
}

#[test]
fn a_key_is_shown_as_text_and_as_the_bytes_of_the_file() {
    let file = golden("redis-7.2.4/all.rdb");
    let name = file.to_str().unwrap();
    let lines = dumped(&file);
    let ttl = lines
        .iter()
        .find(|line| line["expire_ms"].is_u64() && line["type"] == "list")
        .unwrap();
    let key = STANDARD.decode(ttl["key"].as_str().unwrap()).unwrap();
    let key = String::from_utf8(key).unwrap();
    let text = stdout(&run(&["get", name, &key]));
    let expected = format!("db {}, key \"{key}\": list as quicklist, ", ttl["db"]);
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.contains(&format!(", expires at {} ms\n  \"", ttl["expire_ms"])),
        "{text}"
    );
    let hex = stdout(&run(&["get", "--hex", name, &key]));
    let (_, found) = got(&[], &file, std::slice::from_ref(ttl));
    let [from, len] = ["offset", "bytes"].map(|name| found[0][name].as_u64().unwrap() as usize);
    let told: Vec<u8> = hex
        .lines()
        .skip(1)
        .flat_map(|line| line.split("  ").nth(1).unwrap().split_whitespace())
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect();
    let bytes = fs::read(&file).unwrap();
    assert_eq!(told, bytes[from..from + len]);
    let piped = run_piped(&["get", "--hex", "-", &key], &bytes);
    assert_eq!(stdout(&piped), hex, "a pipe has the same offsets");
    assert_eq!(
        code(&run(&["get", "--not-ttl", "any", name, &key])),
        1,
        "it is not asked for"
    );
}

#[test]
fn what_is_not_there_is_exit_1_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = copied(&golden("redis-7.2.4/all.rdb"), folder.path());
    let file = file.to_str().unwrap();
    for indexed in [false, true] {
        let output = run(&["get", file, "str:int:0", "no\nsuch"]);
        assert_eq!(code(&output), 1);
        let line = format!("rdb-tool: {file}: key \"no\\nsuch\" is not there\n");
        assert!(stderr(&output).ends_with(&line), "{}", stderr(&output));
        if !indexed {
            assert_eq!(code(&run(&["index", file])), 0);
        }
    }
    assert_eq!(code(&run(&["get", "--base64", file, "?"])), 2);
    assert_eq!(code(&run(&["get", file])), 2, "a key must be named");
}

#[test]
fn an_index_of_another_file_is_refused_and_what_is_no_index_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = copied(&golden("redis-7.2.4/all.rdb"), folder.path());
    let (name, index) = (file.to_str().unwrap(), folder.path().join("dump.rdb.idx"));
    let index = index.to_str().unwrap();
    fs::write(index, b"my notes").unwrap();
    let output = run(&["index", name]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("is no index\n"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read(index).unwrap(), b"my notes");
    assert_eq!(code(&run(&["index", "--force", name])), 0);
    assert_eq!(code(&run(&["index", name])), 0, "an index may be replaced");
    let key = "str:rand:16384";
    assert_eq!(stderr(&run(&["get", name, key])), "");
    let bytes = fs::read(&file).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let longer = [&bytes[..], b"\n"].concat();
    let cases = [
        (&bytes, "the snapshot was written since"),
        (&changed, "the snapshot has another checksum"),
        (&longer, "the snapshot has another size"),
    ];
    for (bytes, what) in cases {
        fs::write(&file, bytes).unwrap();
        let options = ["--snapshot-only", "--ignore-checksum"];
        let output = run(&[&["get"], &options[..], &[name, key]].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let line = format!("{index}: {what}; the whole snapshot is read\n");
        assert!(stderr(&output).contains(&line), "{}", stderr(&output));
        let output = run(&["get", "--index", index, name, key]);
        assert_eq!(code(&output), 2, "one that was named must be right");
        assert!(
            stderr(&output).contains("hint: `rdb-tool index "),
            "{}",
            stderr(&output)
        );
        let output = run(&[&["get", "--no-index"], &options[..], &[name, key]].concat());
        assert_eq!(stderr(&output), "");
    }
    let output = run_piped(&["index", "-"], &bytes);
    assert_eq!(code(&output), 2, "a pipe has no index");
}
