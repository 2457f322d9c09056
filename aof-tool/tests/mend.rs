//! `aof-tool fix`: what is dropped and kept, in which file, and what is refused; and that `check` tells all that is wrong.

mod tool;

use serde_json::Value;
use std::fs;
use std::path::Path;
use tool::{bad, golden, run};

fn command(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    text
}

fn log(lines: &[&str]) -> String {
    lines.iter().map(|line| command(line)).collect()
}

const LINES: [&str; 9] = [
    "SELECT 0", "SET a 1", "SET b 2", "MULTI", "SET c 3", "INCR d", "EXEC", "SET e 5", "SET f 6",
];

/// The log with one command and one transaction damaged.
fn damaged() -> Vec<u8> {
    let text = log(&LINES).replacen("$1\r\na", "$9\r\na", 1);
    text.replacen("INCR", "INC\0", 1).into_bytes()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_damaged_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aof");
    fs::write(&path, damaged()).unwrap();
    let dry = run(&["fix", "--dry-run", text(&path)]);
    assert_eq!(dry.code, 1, "{dry:?}");
    assert!(
        dry.stdout.ends_with(
            "a.aof: 4 commands kept, 3 commands that can be read and 104 bytes in 2 places dropped (nothing was changed)\n"
        ),
        "{dry:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), damaged());
    let json = run(&["fix", "--json", text(&path)]);
    assert_eq!(json.code, 1, "{json:?}");
    let line: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&line["kept"], &line["lost"]), (&4.into(), &3.into()));
    let problems = line["problems"].as_array().unwrap();
    let words: Vec<_> = problems
        .iter()
        .map(|p| p["problem"].as_str().unwrap())
        .collect();
    assert_eq!(
        words,
        ["no-record", "unknown-command", "broken-transaction"]
    );
    let left = log(&["SELECT 0", "SET b 2", "SET e 5", "SET f 6"]);
    assert_eq!(fs::read(&path).unwrap(), left.as_bytes());
    assert_eq!(
        fs::read(folder.path().join("a.aof.bak")).unwrap(),
        damaged()
    );
    let again = run(&["fix", text(&path)]);
    assert_eq!((again.code, &again.stderr[..]), (0, ""), "{again:?}");
    assert_eq!(run(&["check", text(&path)]).code, 0);
}

#[test]
fn check_tells_of_all_with_place_number_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aof");
    fs::write(&path, [b"#TS:1700000000\r\n", &damaged()[..]].concat()).unwrap();
    let told = run(&["check", text(&path)]);
    assert_eq!(told.code, 1, "{told:?}");
    for line in [
        "offset 52 (0x34), command 2, at 1700000000: command: argument 2 of 3",
        "offset 135 (0x87), command 6, at 1700000000: unknown command \"INC\\x00\"",
        "`aof-tool fix` drops only what is damaged, and keeps 4 commands",
    ] {
        assert!(told.stderr.contains(line), "{line}: {told:?}");
    }
    let json: Value = serde_json::from_str(&run(&["check", "--json", text(&path)]).stdout).unwrap();
    assert_eq!(json["problems_total"], 3);
    assert_eq!(json["problems"][1]["command"], 6);
    assert_eq!(json["problems"][1]["time"], 1_700_000_000);
    assert_eq!(json["problems"][1]["severity"], "damage");
    assert_eq!(json["kept_by_fix"], 4);
}

/// A part in the middle, and a base of commands, where a cut would leave a gap.
#[test]
fn any_file_of_the_log_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "file a.1.base.aof seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
    fs::write(folder.path().join("a.manifest"), manifest).unwrap();
    let part = |name: &str| folder.path().join(name);
    fs::write(part("a.1.base.aof"), damaged()).unwrap();
    fs::write(part("a.1.incr.aof"), damaged()).unwrap();
    fs::write(part("a.2.incr.aof"), "*2\r\n$3\r\nDEL").unwrap();
    let fixed = run(&["fix", text(folder.path())]);
    assert_eq!(fixed.code, 1, "{fixed:?}");
    let left = log(&["SELECT 0", "SET b 2", "SET e 5", "SET f 6"]);
    for name in ["a.1.base.aof", "a.1.incr.aof"] {
        assert_eq!(fs::read(part(name)).unwrap(), left.as_bytes());
    }
    assert_eq!(fs::read(part("a.2.incr.aof")).unwrap(), b"");
    assert_eq!(run(&["check", text(folder.path())]).code, 0);
}

#[test]
fn what_cannot_be_mended_is_refused_and_nothing_changed() {
    for (name, reason) in [
        ("aof-lf-only.aof", "no command would be left"),
        ("manifest-odd-tokens", "put the manifest right first"),
        ("manifest-missing-incr", "no such file"),
    ] {
        let refused = run(&["fix", &bad(name)]);
        assert_eq!(refused.code, 2, "{name}: {refused:?}");
        assert!(refused.stderr.contains(reason), "{name}: {refused:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aof");
    fs::write(&path, damaged()).unwrap();
    fs::write(folder.path().join("a.aof.bak"), "older").unwrap();
    let refused = run(&["fix", text(&path)]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), damaged());
    let pipe = tool::run_with_stdin(&["fix", "-"], &damaged());
    assert_eq!(pipe.code, 2, "{pipe:?}");
    assert!(pipe.stderr.contains("no regular file"), "{pipe:?}");
}

/// What the corpus calls damaged and can be mended is valid then; what it calls sound is left alone, and so are the logs of real servers.
#[test]
fn every_damaged_log_of_the_corpus_is_mended_or_refused() {
    let mut mended = 0;
    for line in fs::read_to_string(bad("expect-aof.jsonl")).unwrap().lines() {
        let expected: Value = serde_json::from_str(line).unwrap();
        let name = expected["file"].as_str().unwrap();
        if !name.ends_with(".aof") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::copy(bad(name), &path).unwrap();
        let before = fs::read(&path).unwrap();
        let fixed = run(&["fix", text(&path)]);
        match fixed.code {
            0 => assert_eq!(expected["kind"], "none", "{fixed:?}"),
            1 => {
                mended += 1;
                assert_ne!(expected["kind"], "none", "{fixed:?}");
                assert_eq!(run(&["check", text(&path)]).code, 0, "{name}");
                let end = expected["valid_end"].as_u64().unwrap() as usize;
                assert_eq!(fs::read(&path).unwrap()[..end], before[..end], "{name}");
            }
            _ => assert_eq!(fs::read(&path).unwrap(), before, "{name}"),
        }
    }
    assert!(mended > 25, "{mended}");
    for name in ["redis-7.2.4/appendonlydir", "redis-2.6.17/appendonly.aof"] {
        let sound = run(&["fix", "--dry-run", &golden(name)]);
        assert_eq!((sound.code, &sound.stderr[..]), (0, ""), "{sound:?}");
    }
}
