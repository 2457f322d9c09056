//! A part of a file is never taken for the whole, and a file that is something else is told what it is.

mod common;

use common::{code, golden, names, run, run_piped, stderr, stdout, testdata};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;

/// Files with something behind their snapshot of two keys: how many bytes, and what they are.
const BEHIND: [(&str, u64, &str); 7] = [
    ("trail-newline.rdb", 1, "blank"),
    ("trail-zeros.rdb", 4096, "zeros"),
    ("trail-eofmark.rdb", 40, "mark"),
    ("trail-eofmark-newlines.rdb", 43, "mark"),
    ("trail-second-rdb.rdb", 25, "snapshot"),
    ("trail-repl-stream.rdb", 44, "commands"),
    ("preamble-log.aof", 52, "commands"),
];

fn odd(name: &str) -> PathBuf {
    testdata().join("odd").join(name)
}

/// The tool over a file and over the same bytes from a pipe; both must end alike.
fn file_and_pipe(words: &[&str], name: &str) -> [Output; 2] {
    let path = odd(name);
    let of_file = run(&[words, &[path.to_str().unwrap()]].concat());
    let of_pipe = run_piped(&[words, &["-"]].concat(), &std::fs::read(&path).unwrap());
    assert_eq!(code(&of_file), code(&of_pipe), "{words:?} {name}");
    [of_file, of_pipe]
}

#[test]
fn verify_counts_and_names_what_follows_a_snapshot() {
    for (name, bytes, what) in BEHIND {
        for output in file_and_pipe(&["verify", "--json"], name) {
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(code(&output), 1, "{name}");
            let size = std::fs::metadata(odd(name)).unwrap().len();
            assert_eq!(found["offset"], size - bytes, "{name}: {found}");
            assert_eq!(found["bytes_behind"], bytes, "{name}: {found}");
            assert_eq!(found["behind"], what, "{name}: {found}");
            assert_eq!(found["keys_before"], 2, "{name}: {found}");
            let text = stderr(&output);
            assert!(text.contains("the snapshot is sound"), "{text}");
            let words = match what {
                "blank" => "line ends and spaces",
                "zeros" => "all zeros",
                "mark" => "the 40 hex digits that end a snapshot sent to a replica",
                "snapshot" => "a second snapshot",
                _ => "commands of a log",
            };
            assert!(text.contains(words), "{name}: {text}");
        }
    }
}

#[test]
fn no_command_takes_a_snapshot_with_something_behind_it_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let other = golden("redis-7.2.4/empty.rdb");
    let other = other.to_str().unwrap();
    let commands = [
        &["inspect"][..],
        &["dump", "--force", "-o", out],
        &["convert", "--force", "--to", "redis-6.2", "-o", out],
        &["convert", "--force", "--to", "jsonl", "-o", out],
        &["convert", "--force", "--to", "aof", "-o", out],
        &["diff", other],
    ];
    for (name, _, what) in BEHIND {
        for words in commands {
            for output in file_and_pipe(words, name) {
                let text = stderr(&output);
                assert_eq!(code(&output), 2, "{words:?} {name}: {text}");
                assert!(text.contains("ends here, and "), "{text}");
                let command = "`aof-tool rewrite --form snapshot -o whole.rdb ";
                assert_eq!(text.contains(command), what == "commands", "{text}");
                assert!(text.contains("--snapshot-only"), "{text}");
                assert!(names(folder.path()).is_empty(), "nothing is written");
            }
            let alone = [words, &["--snapshot-only"]].concat();
            for output in file_and_pipe(&alone, name) {
                let expected = i32::from(words[0] == "diff");
                assert_eq!(code(&output), expected, "{name}: {}", stderr(&output));
            }
            let _ = std::fs::remove_file(out);
        }
    }
}

#[test]
fn versions_of_the_future_are_read_when_asked_for() {
    for (name, version) in [
        ("ver-redis0016.rdb", "RDB version 16"),
        ("ver-redis0075.rdb", "RDB version 75"),
        ("ver-redis0987.rdb", "RDB version 987"),
    ] {
        for (words, refused) in [(&["verify"][..], 1), (&["dump"], 2), (&["inspect"], 2)] {
            for output in file_and_pipe(words, name) {
                assert_eq!(code(&output), refused, "{name}");
                assert!(stderr(&output).contains("hint: --try reads it"), "{name}");
            }
            for output in file_and_pipe(&[words, &["--try"]].concat(), name) {
                let text = stderr(&output);
                assert_eq!(code(&output), 0, "{name}: {text}");
                assert!(text.contains(&format!("{version} is unknown; it is read as ")));
                assert!(!stdout(&output).is_empty());
            }
        }
    }
}

#[test]
fn valkey_9_2_is_read_and_what_follows_it_when_asked_for() {
    for output in file_and_pipe(&["verify"], "ver-valkey081.rdb") {
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.rdb");
    std::fs::write(&path, b"VALKEY082\xfe\0\0\x01a\x011\xff\0\0\0\0\0\0\0\0").unwrap();
    let output = run(&["verify".as_ref(), path.as_os_str()]);
    assert!(stderr(&output).contains("hint: --try reads it"));
    let output = run(&["verify".as_ref(), "--try".as_ref(), path.as_os_str()]);
    assert_eq!(code(&output), 0);
    let told = "RDB version 82 (Valkey) is unknown; it is read as RDB version 81 (Valkey 9.2)";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
}

/// Version 75: two strings, then a key of a type that nobody knows, then another string.
fn with_a_new_type() -> Vec<u8> {
    [
        &b"REDIS0075\xfe\x00"[..],
        b"\x00\x01a\x011",
        b"\x00\x01b\x012",
        b"\x63\x01c\x03xyz",
        b"\x00\x01d\x014",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x00",
    ]
    .concat()
}

#[test]
fn what_a_new_version_has_and_we_do_not_know_is_told_and_nothing_is_made_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.rdb");
    std::fs::write(&path, with_a_new_type()).unwrap();
    let path = path.to_str().unwrap();
    let told =
        "hint: RDB version 75 is unknown: 2 keys before offset 21 were read, what follows was not";
    let output = run(&["dump", "--try", path]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 2);
    assert!(
        stderr(&output).contains("offset 21 (0x15): db 0, "),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    let output = run(&["inspect", "--try", "--json", path]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &found["keys"]), (1, &Value::from(2)));
    assert_eq!(found["complete"], false);
    let output = run(&["verify", "--try", path]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    let out = folder.path().join("out.rdb");
    let out = out.to_str().unwrap();
    for to in ["redis-7.2", "jsonl", "aof"] {
        let output = run(&["convert", "--force", "--try", "--to", to, "-o", out, path]);
        assert_eq!(code(&output), 2, "{to}");
        assert_eq!(names(folder.path()), ["new.rdb"], "{to}");
    }
    assert_eq!(code(&run(&["diff", "--try", path, path])), 2);
}

#[test]
fn the_wrong_kind_of_file_is_told_what_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = std::fs::read(odd("hash-field-expiry.rdb")).unwrap();
    let sent = [b"$255\r\n", &snapshot[..]].concat();
    let tar = [&b"dump.rdb"[..], &[0; 249], b"ustar\x0000", &[0; 1271]].concat();
    let files: [(&str, &[u8], &str); 7] = [
        ("a.aof", b"*1\r\n$4\r\nPING\r\n", "`aof-tool check "),
        ("c.xz", b"\xfd7zXZ\x00\x00\x00", "`xz -dc "),
        ("d.bz2", b"BZh91AY&SY", "`bzip2 -dc "),
        ("h.tar", &tar, "`tar -xOf "),
        ("e.sent", &sent, "`tail -c +7 "),
        ("f.empty", b"", "the file is empty"),
        (
            "g.jsonl",
            b"{\"db\":0,\"key\":\"a\"}\n",
            "`rdb-tool convert --from jsonl --to redis-7.2 -o dump.rdb ",
        ),
    ];
    for (name, bytes, advice) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        for words in [&["verify"][..], &["dump"], &["inspect"]] {
            let outputs = [
                run(&[words, &[path.to_str().unwrap()]].concat()),
                run_piped(&[words, &["-"]].concat(), bytes),
            ];
            for output in outputs {
                let text = stderr(&output);
                let damaged = if words == ["verify"] { 1 } else { 2 };
                let expected = if name == "f.empty" { damaged } else { 2 };
                assert_eq!(code(&output), expected, "{words:?} {name}");
                assert!(text.contains("rdb-tool: hint: "), "{text}");
                assert!(text.contains(advice), "{text}");
            }
        }
    }
    let tail = run_piped(&["verify", "-"], &sent[6..]);
    assert_eq!(code(&tail), 0, "the advice for e.sent works");
}

#[test]
fn a_folder_is_told_what_in_it_to_name() {
    let output = run(&["verify".as_ref(), odd("newer-valkey-9.1").as_os_str()]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("is a directory\n"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("`aof-tool check "),
        "{}",
        stderr(&output)
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dump.rdb"), b"REDIS").unwrap();
    let output = run(&["dump".as_ref(), folder.path().as_os_str()]);
    assert!(
        stderr(&output).contains("/dump.rdb\n"),
        "{}",
        stderr(&output)
    );
}
