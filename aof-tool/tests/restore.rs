//! `aof-tool restore`: the data at any moment of a log is that of the log that ended there.

mod tool;

use cairn_format::aof::reader::SliceReader;
use std::fs;
use tool::{bad, command, run, run_with_stdin};

fn log() -> String {
    let lines = [
        "SELECT 0",
        "SET a 1",
        "#TS:100",
        "RPUSH l x y",
        "MULTI",
        "INCR a",
        "SELECT 3",
        "SET b 2",
        "EXEC",
        "#TS:200",
        "SADD s m",
        "DEL l",
        "#TS:300",
        "FLUSHALL ASYNC",
        "SET z 9",
    ];
    let bytes = lines.iter().map(|line| match line.starts_with('#') {
        true => format!("{line}\r\n"),
        false => command(line),
    });
    bytes.collect()
}

fn restore(until: &str) -> tool::Run {
    run_with_stdin(
        &["restore", "--until", until, "-", "-o", "-"],
        log().as_bytes(),
    )
}

#[test]
fn every_command_number_and_offset_is_a_moment() {
    let log = log();
    let mut reader = SliceReader::new(log.as_bytes(), 0);
    let (mut commands, mut whole) = (0, 0);
    let mut inside = false;
    while let Some(item) = reader.next_item().unwrap() {
        let is_command = item.annotation().is_none();
        commands += u64::from(is_command);
        inside |= item.arg(0) == Some(b"MULTI");
        inside &= item.arg(0) != Some(b"EXEC");
        if !inside {
            whole = item.end() as usize;
        }
        let expected = run_with_stdin(&["rewrite", "-", "-o", "-"], &log.as_bytes()[..whole]);
        assert_eq!(expected.code, 0, "{expected:?}");
        for until in [
            format!("command:{commands}"),
            format!("offset:{}", item.end()),
        ] {
            // The end of the log is no place before a record.
            if until.starts_with('o') && item.end() as usize == log.len() {
                continue;
            }
            let found = restore(&until);
            assert_eq!(
                (found.code, &found.stdout),
                (0, &expected.stdout),
                "{until}: {found:?}"
            );
        }
    }
    assert_eq!(commands, 12);
}

#[test]
fn a_time_and_what_comes_next_are_moments() {
    for (until, command) in [
        ("time:100", 8),
        ("time:199", 8),
        ("time:200", 10),
        ("time:299", 10),
        ("time:300", 12),
        ("time:999", 12),
        ("before:flushall", 10),
        ("before:FLUSHALL A*", 10),
        ("before:set b", 3),
        ("before:SADD ?", 8),
    ] {
        let (found, expected) = (restore(until), restore(&format!("command:{command}")));
        assert_eq!(found.code, 0, "{until}: {found:?}");
        assert_eq!(found.stdout, expected.stdout, "{until}");
    }
}

#[test]
fn a_moment_outside_the_log_is_refused() {
    for (until, told) in [
        ("command:13", "it ends behind command 12"),
        ("time:99", "its times are from 100"),
        ("before:SWAPDB", "none of its 12 commands"),
        ("offset:99999", "it ends behind command 12"),
        ("tomorrow", "expected command:N"),
    ] {
        let found = restore(until);
        assert_eq!(
            (found.code, found.stdout.as_str()),
            (2, ""),
            "{until}: {found:?}"
        );
        assert!(found.stderr.contains(told), "{until}: {found:?}");
    }
    let none = run(&[
        "restore",
        "--until",
        "time:5",
        &bad("ok-base.aof"),
        "-o",
        "-",
    ]);
    assert!(none.stderr.contains("it has no timestamps"), "{none:?}");
}

#[test]
fn commands_are_counted_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.manifest",
        "file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n",
    );
    write("a.1.incr.aof", &command("SET a 1"));
    write(
        "a.2.incr.aof",
        &[command("SET a 2"), command("SET a 3")].concat(),
    );
    let path = folder.path().to_str().unwrap();
    for (until, value) in [("command:1", "1"), ("command:2", "2"), ("command:3", "3")] {
        let found = run(&["restore", "--until", until, path, "-o", "-"]);
        assert!(
            found.stdout.ends_with(&command(&format!("SET a {value}"))),
            "{found:?}"
        );
    }
    let offset = run(&["restore", "--until", "offset:1", path, "-o", "-"]);
    assert_eq!(offset.code, 2, "{offset:?}");
}
