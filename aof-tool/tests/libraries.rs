//! `aof-tool rewrite` carries function libraries through, from commands and from snapshots, in both forms of the new log.

mod tool;

use cairn_engine::scripts::libraries::Libraries;
use cairn_format::aof::reader::SliceReader as Log;
use cairn_format::rdb::{Event, Options, SliceReader};
use cairn_format::resp::value::write_command;
use cairn_toolkit::json::Bytes;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tool::{golden, run, run_with_stdin};

fn base64(bytes: &[u8]) -> String {
    Bytes::Base64.value(bytes).as_str().unwrap().to_owned()
}

/// The code of the libraries that a recorded truth names.
fn truth(path: &str) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let libraries = lines.filter(|line| line["type"] == "function");
    let mut found: Vec<_> = libraries
        .map(|line| line["value"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    found
}

fn in_snapshot(bytes: &[u8]) -> Vec<String> {
    let mut reader = SliceReader::from_slice(bytes, Options::deep()).unwrap();
    let mut found = Vec::new();
    while let Some(located) = reader.next().unwrap() {
        if let Event::Function(code) = located.event {
            found.push(base64(&code.to_vec()));
        }
    }
    found.sort();
    found
}

fn in_commands(bytes: &[u8]) -> Vec<String> {
    let mut reader = Log::new(bytes, 0);
    let mut found = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if item.arg(0) == Some(b"FUNCTION") {
            assert_eq!(item.arg(1), Some(&b"LOAD"[..]));
            found.push(base64(item.arg(2).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn libraries_of_real_logs_are_carried_through() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let mut seen = 0;
    for server in [
        "redis-7.0.15",
        "redis-7.2.4",
        "redis-7.4.1",
        "redis-8.0-m01",
        "redis-8.6.3",
        "valkey-8.0.1",
    ] {
        for kind in ["multi", "plain"] {
            let log = golden(&format!("{server}/appendonlydir-{kind}"));
            let expected = format!("{log}.truth.jsonl");
            if !Path::new(&expected).exists() {
                continue;
            }
            let expected = truth(&expected);
            assert!(!expected.is_empty(), "{log}");
            for form in ["snapshot", "commands"] {
                let run = run(&["rewrite", "--force", "--form", form, &log, "-o", out]);
                if run.code == 2 {
                    assert!(!run.stderr.contains("function"), "{run:?}");
                    continue;
                }
                let bytes = fs::read(out).unwrap();
                let found = match form {
                    "snapshot" => in_snapshot(&bytes),
                    _ => in_commands(&bytes),
                };
                assert_eq!(found, expected, "{log} as {form}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn load_replace_delete_and_flush_are_understood() {
    let command = |words: &[&str]| {
        let args = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        format!("*{}\r\n{}", words.len(), args.collect::<String>())
    };
    let code = |name: &str, text: &str| {
        let function = format!("redis.register_function('{name}', function() return {text} end)");
        format!("#!lua name={name}\n{function}")
    };
    let log = [
        command(&["FUNCTION", "LOAD", &code("gone", "1")]),
        command(&["function", "flush", "async"]),
        command(&["FUNCTION", "LOAD", &code("b", "1")]),
        command(&["FUNCTION", "LOAD", "REPLACE", &code("b", "2")]),
        command(&["FUNCTION", "LOAD", &code("c", "3")]),
        command(&["FUNCTION", "DELETE", "c"]),
        command(&["SET", "k", "v"]),
    ]
    .concat();
    let rewritten = run_with_stdin(&["rewrite", "--force", "-", "-o", "-"], log.as_bytes());
    assert_eq!(rewritten.code, 0, "{rewritten:?}");
    assert!(
        rewritten.stderr.contains("7 commands became 1 key"),
        "{rewritten:?}"
    );
    assert_eq!(
        in_commands(rewritten.stdout.as_bytes()),
        [base64(code("b", "2").as_bytes())]
    );
    let old = run_with_stdin(
        &["rewrite", "--force", "--to", "redis-6.2", "-", "-o", "-"],
        log.as_bytes(),
    );
    assert_eq!((old.code, old.stdout.as_str()), (2, ""), "{old:?}");
    assert!(old.stderr.contains("needs Redis 7.0"), "{old:?}");
    // What is not there cannot be deleted, and what is no payload not restored.
    for words in [
        &["FUNCTION", "DELETE", "c"][..],
        &["FUNCTION", "RESTORE", "x"],
    ] {
        let refused = run_with_stdin(
            &["rewrite", "--force", "-", "-o", "-"],
            command(words).as_bytes(),
        );
        assert_eq!(refused.code, 2, "{refused:?}");
    }
}

/// FUNCTION RESTORE brings libraries as FUNCTION LOAD does.
#[test]
fn restored_libraries_are_carried_through() {
    let code = |name: &str| {
        format!("#!lua name={name}\nredis.register_function('{name}', function() return 1 end)")
    };
    let mut libraries = Libraries::default();
    for name in ["a", "b"] {
        let code = code(name);
        let loaded = libraries.load(code.as_bytes(), false, &mut Vec::new(), &mut || false);
        loaded.unwrap();
    }
    let payload = libraries.dump().unwrap();
    let restore = |how: &str| {
        let words = [&b"FUNCTION"[..], b"RESTORE", &payload, how.as_bytes()];
        let mut bytes = Vec::new();
        write_command(&mut bytes, &words);
        bytes
    };
    let load = |name: &str| {
        let code = code(name);
        let mut bytes = Vec::new();
        write_command(&mut bytes, &["FUNCTION", "LOAD", &code]);
        bytes
    };
    for (how, left) in [("FLUSH", &["a", "b"][..]), ("APPEND", &["a", "b", "c"])] {
        let log = [load("c"), restore(how)].concat();
        let rewritten = run_with_stdin(&["rewrite", "--force", "-", "-o", "-"], &log);
        assert_eq!(rewritten.code, 0, "{rewritten:?}");
        let mut expected: Vec<String> = left
            .iter()
            .map(|name| base64(code(name).as_bytes()))
            .collect();
        expected.sort();
        assert_eq!(in_commands(rewritten.stdout.as_bytes()), expected, "{how}");
    }
    let again = run_with_stdin(
        &["rewrite", "--force", "-", "-o", "-"],
        &[load("a"), restore("APPEND")].concat(),
    );
    assert_eq!((again.code, &again.stdout[..]), (2, ""), "{again:?}");
    assert!(again.stderr.contains("already exists"), "{again:?}");
}

/// In parts they are written once.
#[test]
fn libraries_of_a_log_in_parts_come_once() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (folder.path().join("log"), folder.path().join("out"));
    let code = "#!lua name=a\nredis.register_function('a', function() return 1 end)";
    let mut bytes = Vec::new();
    write_command(&mut bytes, &["FUNCTION", "LOAD", code]);
    for i in 0..20 {
        write_command(&mut bytes, &["SET", &format!("key:{i}"), "value"]);
    }
    fs::write(&log, bytes).unwrap();
    let (log, out) = (log.to_str().unwrap(), out.to_str().unwrap());
    for form in ["commands", "snapshot"] {
        let run = run(&[
            "rewrite", "--force", "--memory", "200", "--form", form, log, "-o", out,
        ]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(
            run.stderr.contains("20 keys") && run.stderr.contains("parts"),
            "{run:?}"
        );
        let bytes = fs::read(out).unwrap();
        let found = match form {
            "snapshot" => in_snapshot(&bytes),
            _ => in_commands(&bytes),
        };
        assert_eq!(found, [base64(code.as_bytes())], "{form}");
    }
}

/// What would be lost unsaid is refused by name.
#[test]
fn scripts_in_parts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, tool::log(&["SET a 1", "EVAL return 0"])).unwrap();
    let refused = run(&[
        "rewrite",
        "--force",
        log.to_str().unwrap(),
        "-o",
        "-",
        "--memory",
        "1kb",
    ]);
    assert_eq!((refused.code, &refused.stdout[..]), (2, ""), "{refused:?}");
    assert!(
        refused.stderr.contains("command 2, a script"),
        "{refused:?}"
    );
}
