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
        &["restore", "--force", "--until", until, "-", "-o", "-"],
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
        let expected = run_with_stdin(
            &["rewrite", "--force", "-", "-o", "-"],
            &log.as_bytes()[..whole],
        );
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
        ("time:99", "its times begin at 100"),
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
        "--force",
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
        let found = run(&["restore", "--force", "--until", until, path, "-o", "-"]);
        assert!(
            found.stdout.ends_with(&command(&format!("SET a {value}"))),
            "{found:?}"
        );
    }
    let offset = run(&["restore", "--force", "--until", "offset:1", path, "-o", "-"]);
    assert_eq!(offset.code, 2, "{offset:?}");
}

fn restored(words: &[&str], log: &str) -> tool::Run {
    run_with_stdin(
        &[&["restore", "--force", "-o", "-"], words, &["-"]].concat(),
        log.as_bytes(),
    )
}

#[test]
fn the_range_of_moments_is_told() {
    let told = run_with_stdin(&["restore", "--force", "--range", "-"], log().as_bytes());
    let end = log().len();
    assert_eq!(
        (told.code, &told.stdout[..]),
        (
            0,
            &format!(
                "-: command:0 (nothing) to command:12\n-: offset:0 to offset:{end}\n-: time:100 to time:300\n"
            )[..]
        )
    );
    let folder = tool::golden("redis-7.2.4/appendonlydir-multi");
    let told = run(&["restore", "--force", "--range", &folder]);
    assert!(
        told.stdout
            .contains("command:0 (a snapshot of 15 keys) to command:158"),
        "{told:?}"
    );
    assert!(!told.stdout.contains("offset"), "{told:?}");
    // Each of them can be restored.
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("out");
    for until in ["command:0", "command:158"] {
        let words = [
            "restore",
            "--force",
            "--until",
            until,
            &folder,
            "-o",
            out.to_str().unwrap(),
        ];
        assert_eq!(run(&words).code, 0, "{until}");
    }
    assert_eq!(run(&["restore", "--force", &folder]).code, 2);
}

#[test]
fn some_keys_come_back_and_a_selection_of_nothing_is_told() {
    let until = ["--until", "command:8"];
    let some = restored(&[&until[..], &["--key", "[ab]"]].concat(), &log());
    assert_eq!(some.code, 0, "{some:?}");
    assert!(some.stdout.contains("$1\r\na\r\n") && some.stdout.contains("$1\r\nb\r\n"));
    assert!(!some.stdout.contains("RPUSH"), "{some:?}");
    let lists = restored(&[&until[..], &["--type", "list"]].concat(), &log());
    assert!(
        lists.stdout.contains("RPUSH") && !lists.stdout.contains("SET"),
        "{lists:?}"
    );
    for nothing in [
        &["--key", "nokey"][..],
        &["--db", "7"],
        &["--type", "stream"],
    ] {
        let told = restored(&[&until[..], nothing].concat(), &log());
        assert_eq!((told.code, &told.stdout[..]), (2, ""), "{told:?}");
        assert!(
            told.stderr.contains("no key that was asked for"),
            "{told:?}"
        );
    }
}

/// Libraries come along with keys that were asked for, and are not what was asked for.
#[test]
fn libraries_alone_are_a_selection_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.aof").to_str().unwrap().to_owned();
    let log = tool::golden("redis-7.0.15/appendonlydir-multi");
    let run = |words: &[&str]| {
        let run = tool::run(&[&["restore", "--force", "-o", &out], words, &[&log]].concat());
        (run.code, run.stderr.contains("no key that was asked for"))
    };
    assert_eq!(run(&["--key", "zzz"]), (2, true));
    assert_eq!(run(&["--type", "function"]), (0, false));
    assert_eq!(run(&["--key", "*"]), (0, false));
}

#[test]
fn commands_are_undone_one_by_one() {
    let undone = restored(&["--without", "FLUSHALL", "--without", "INCR a"], &log());
    assert_eq!(undone.code, 0, "{undone:?}");
    assert!(
        undone.stderr.contains("2 commands were left out"),
        "{undone:?}"
    );
    let expected = tool::log(&[
        "SELECT 0",
        "SET a 1",
        "RPUSH l x y",
        "SELECT 3",
        "SET b 2",
        "SADD s m",
        "SET z 9",
    ]);
    let rewritten = run_with_stdin(&["rewrite", "--force", "-", "-o", "-"], expected.as_bytes());
    assert_eq!(undone.stdout, rewritten.stdout);
    // What needs what is gone is passed over, and that is told.
    let lines = ["SELECT 0", "SET a 1", "RENAME a b", "SADD s 1"];
    let undone = restored(&["--without", "SET *"], &tool::log(&lines));
    assert_eq!(undone.code, 1, "{undone:?}");
    assert!(
        undone
            .stderr
            .contains("command 3, RENAME, is passed over: ERR no such key"),
        "{undone:?}"
    );
    let nothing = restored(&["--without", "HSET"], &log());
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(
        nothing.stderr.contains("no command before the moment"),
        "{nothing:?}"
    );
}

#[test]
fn expiries_stay_go_or_move_by_the_age_of_the_moment() {
    let lines = [
        "SELECT 2",
        "#TS:1700000000",
        "SET k 1",
        "PEXPIREAT k 1700000060000",
        "HSET h f v g w",
        "HPEXPIREAT h 1700000090000 FIELDS 1 f",
    ];
    let log = tool::log(&lines);
    let kept = restored(&[], &log).stdout;
    assert!(
        kept.contains("1700000060000") && kept.contains("1700000090000"),
        "{kept}"
    );
    assert_eq!(restored(&["--set-ttl", "keep"], &log).stdout, kept);
    let dropped = restored(&["--set-ttl", "drop"], &log).stdout;
    assert!(
        !dropped.contains("PEXPIREAT") && dropped.contains("HMSET"),
        "{dropped}"
    );
    let before = std::time::SystemTime::now();
    let shifted = restored(&["--set-ttl", "shift"], &log);
    assert_eq!(shifted.code, 0, "{shifted:?}");
    let times = shifted
        .stdout
        .lines()
        .filter_map(|line| line.parse::<u64>().ok());
    let times: Vec<u64> = times.filter(|time| *time > 1_700_000_000_000).collect();
    let ms = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64
    };
    let (low, high) = (ms(before), ms(std::time::SystemTime::now()));
    assert_eq!(times.len(), 2, "{shifted:?}");
    for (time, left) in times.iter().zip([90_000, 60_000]) {
        assert!(
            (low + left..=high + left).contains(time)
                || (low + 150_000 - left..=high + 150_000 - left).contains(time),
            "{times:?}"
        );
    }
    assert_eq!(times[0].abs_diff(times[1]), 30_000);
    let timeless = log.replace("#TS:1700000000\r\n", "");
    let refused = restored(&["--set-ttl", "shift"], &timeless);
    assert!(
        refused.code == 2 && refused.stderr.contains("no timestamp"),
        "{refused:?}"
    );
}

#[test]
fn a_folder_is_restored_and_none_is_left_behind_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("log"), log()).unwrap();
    for form in ["commands", "snapshot"] {
        let out = path(form);
        let words = [
            "restore",
            "--force",
            "--until",
            "command:10",
            "--form",
            form,
            "--folder",
            &path("log"),
            "-o",
            &out,
        ];
        assert_eq!(run(&words).code, 0);
        assert_eq!(run(&["check", &out]).code, 0);
        let words = [
            "restore",
            "--force",
            "--until",
            "command:10",
            &path("log"),
            "-o",
            &path("one"),
        ];
        assert_eq!(run(&words).code, 0);
        assert_eq!(run(&["diff", &out, &path("one")]).code, 0);
    }
    let failed = run(&[
        "restore",
        "--force",
        "--until",
        "command:99",
        "--folder",
        &path("log"),
        "-o",
        &path("new"),
    ]);
    assert_eq!(failed.code, 2);
    assert!(!folder.path().join("new").exists());
}
