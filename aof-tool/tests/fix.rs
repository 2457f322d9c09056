//! `aof-tool check --fix`: what is cut, what is kept, what is refused.

mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tool::{bad, run};

/// A copy of a damaged file or folder that may be changed.
fn copy(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let from = PathBuf::from(bad(name));
    let to = folder.path().join(name);
    if from.is_dir() {
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    } else {
        fs::copy(&from, &to).unwrap();
    }
    (folder, to)
}

fn with_bak(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.bak", path.display()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_torn_end_is_cut_and_the_whole_file_kept() {
    for (name, end) in [
        ("aof-truncated-060.aof", 50),
        ("aof-multi-open.aof", 93),
        ("aof-multi-open-cut.aof", 93),
        ("aof-ts-unterminated.aof", 93),
        ("aof-preamble-tail-cut.aof", 1028),
        ("aof-zeros.aof", 93),
        ("aof-exec-alone.aof", 93),
    ] {
        let (_folder, path) = copy(name);
        let before = fs::read(&path).unwrap();
        let run_fix = run(&["check", "--fix", text(&path)]);
        assert_eq!(run_fix.code, 0, "{run_fix:?}");
        assert!(run_fix.stderr.contains(".aof: cut to "), "{run_fix:?}");
        assert_eq!(fs::read(&path).unwrap(), before[..end], "{name}");
        assert_eq!(fs::read(with_bak(&path)).unwrap(), before, "{name}");
        assert_eq!(run(&["check", text(&path)]).code, 0);
    }
}

#[test]
fn line_ends_are_put_right_and_the_file_as_it_was_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loose.aof");
    let right = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$4\r\nPING\r\n";
    let loose = "*3\r\n$3\r\nSET??$1\r\na\r\n$1\r\n1\0\0*1\r\n$4\r\nPING$4";
    fs::write(&path, loose).unwrap();
    let told = run(&["check", text(&path)]);
    assert_eq!(told.code, 0, "servers load it: {told:?}");
    assert!(
        told.stderr
            .contains("behind 3 arguments, first at offset 11 (0xb)"),
        "{told:?}"
    );
    let fixed = run(&["check", "--fix", text(&path)]);
    assert_eq!(fixed.code, 0, "{fixed:?}");
    assert!(
        fixed.stderr.contains("loose.aof: 3 line ends put right; "),
        "{fixed:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), right.as_bytes());
    assert_eq!(fs::read(with_bak(&path)).unwrap(), loose.as_bytes());
    let again = run(&["check", "--fix", text(&path)]);
    assert_eq!((again.code, &again.stderr[..]), (0, ""));
}

/// A snapshot in front, a part that is not the last, and a transaction.
#[test]
fn line_ends_are_put_right_wherever_they_stand() {
    let (_folder, path) = copy("ok-manifest");
    let set = b"*1\r\n$5\r\nMULTI??*3\r\n$3\r\nSET\r\n$1\r\na\n\r$1\r\n1\r\n*1\r\n$4\r\nEXEC\r\n";
    let mut parts = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let part = entry.unwrap().path();
        let whole = fs::read(&part).unwrap();
        if text(&part).ends_with(".aof") {
            fs::write(&part, [&whole[..], set].concat()).unwrap();
            parts.push((part, whole.len()));
        }
    }
    assert!(!parts.is_empty());
    let fixed = run(&["check", "--fix", text(&path)]);
    assert_eq!(fixed.code, 0, "{fixed:?}");
    for (part, len) in parts {
        let now = fs::read(&part).unwrap();
        let right = String::from_utf8_lossy(set)
            .replace("??", "\r\n")
            .replace("a\n\r", "a\r\n");
        assert_eq!(now[len..], *right.as_bytes());
    }
}

#[test]
fn a_valid_log_is_left_alone() {
    let (_folder, path) = copy("ok-base.aof");
    let run = run(&["check", "--fix", text(&path)]);
    assert_eq!((run.code, &run.stderr[..]), (0, ""));
    assert!(!with_bak(&path).exists());
}

#[test]
fn the_last_part_of_a_folder_is_cut() {
    let (_folder, path) = copy("ok-manifest");
    let part = path.join("appendonly.aof.2.incr.aof");
    let whole = fs::read(&part).unwrap();
    fs::write(&part, [&whole[..], b"*2\r\n$3\r\nDEL"].concat()).unwrap();
    let run = run(&["check", "--fix", text(&path)]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(fs::read(&part).unwrap(), whole);
    assert_eq!(fs::read(with_bak(&part)).unwrap().len(), whole.len() + 11);
}

#[test]
fn what_would_lose_more_is_refused_and_nothing_changed() {
    for (name, reason) in [
        ("manifest-trunc-middle", "not the last file"),
        ("manifest-trunc-base", "not the last file"),
        ("manifest-trunc-last", "0 bytes would remain"),
        ("manifest-missing-incr", "not one of the log's end"),
        ("aof-lf-only.aof", "0 bytes would remain"),
        ("aof-unknown-command.aof", "one command in it is wrong"),
        ("aof-preamble-cut.aof", "the damage is in the snapshot"),
        ("aof-preamble-crc.aof", "the damage is in the snapshot"),
    ] {
        let (folder, path) = copy(name);
        let before = contents(folder.path());
        let run = run(&["check", "--fix", text(&path)]);
        assert_eq!(run.code, 2, "{name}: {run:?}");
        assert!(run.stderr.contains(reason), "{name}: {run:?}");
        assert!(run.stderr.contains("not cut: "), "{name}: {run:?}");
        assert_eq!(contents(folder.path()), before, "{name}");
    }
}

/// All files below a folder with their bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_base_as_the_last_file_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.aof.manifest"),
        "file a.aof.1.base.aof seq 1 type b\n",
    )
    .unwrap();
    let base = folder.path().join("a.aof.1.base.aof");
    fs::write(&base, "*1\r\n$4\r\nPING\r\n*1\r\n").unwrap();
    let run = run(&["check", "--fix", text(folder.path())]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("it is the base of the log"), "{run:?}");
    assert_eq!(fs::read(&base).unwrap().len(), 18);
}

#[test]
fn an_older_backup_is_never_overwritten() {
    let (_folder, path) = copy("aof-truncated-060.aof");
    fs::write(with_bak(&path), "older").unwrap();
    let run = run(&["check", "--fix", text(&path)]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("exists already"), "{run:?}");
    assert_eq!(fs::read(with_bak(&path)).unwrap(), b"older");
    assert_eq!(fs::read(&path).unwrap().len(), 60);
}

#[test]
fn a_pipe_cannot_be_cut() {
    let run = tool::run_with_stdin(&["check", "--fix", "-"], b"*1\r\n$4\r\nPING\r\n*1");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("it is no regular file"), "{run:?}");
}
