//! `aof-tool check` as a person runs it: stdout, stderr and exit codes on real and damaged files.

mod tool;

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tool::{Run, bad, golden, run, run_with_stdin};

fn expectations() -> Vec<Value> {
    let text = fs::read_to_string(bad("expect-aof.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The JSON line of the first damaged file, if any.
fn first_damage(run: &Run) -> Option<Value> {
    let lines = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.into_iter().find(|line| !line["damage"].is_null())
}

#[test]
fn every_damaged_file_and_folder_gives_its_kind_place_and_exit_code() {
    let all = expectations();
    assert_eq!(all.len(), 73);
    for expected in all {
        let path = bad(expected["file"].as_str().unwrap());
        let run = run(&["check", "--json", &path]);
        let damage = first_damage(&run);
        let good = expected["kind"] == "none";
        assert_eq!(run.code, if good { 0 } else { 1 }, "{expected}: {run:?}");
        assert_eq!(damage.is_none(), good, "{expected}: {run:?}");
        assert_eq!(run.stderr.is_empty(), good, "{expected}: {run:?}");
        let Some(line) = damage else { continue };
        assert_eq!(line["damage"]["kind"], expected["kind"], "{run:?}");
        if !expected["offset"].is_null() {
            assert_eq!(line["damage"]["offset"], expected["offset"], "{run:?}");
        }
        if line["role"] != "manifest" && !expected["valid_end"].is_null() {
            assert_eq!(line["valid_end"], expected["valid_end"], "{run:?}");
        }
        if let Some(file) = expected["damaged"].as_str() {
            assert!(
                line["file"].as_str().unwrap().ends_with(file),
                "{expected}: {run:?}"
            );
        }
    }
}

#[test]
fn a_pipe_gives_the_same_as_a_file() {
    for expected in expectations() {
        let name = expected["file"].as_str().unwrap();
        if !name.ends_with(".aof") {
            continue;
        }
        let file = run(&["check", "--json", &bad(name)]);
        let pipe = run_with_stdin(&["check", "--json", "-"], &fs::read(bad(name)).unwrap());
        assert_eq!(file.code, pipe.code, "{name}");
        let line = |run: &Run| serde_json::from_str::<Value>(&run.stdout).unwrap();
        for field in ["valid_end", "preamble_end", "commands", "damage", "cure"] {
            assert_eq!(line(&file)[field], line(&pipe)[field], "{name}: {field}");
        }
    }
}

#[test]
fn logs_of_real_servers_are_valid() {
    for name in [
        "redis-2.2.15/appendonly-rewritten.aof",
        "redis-2.6.17/appendonly.aof",
        "redis-4.0.14/appendonly-preamble.aof",
        "redis-6.2.16/appendonly-preamble.aof",
        "redis-7.0.15/appendonlydir-multi",
        "redis-7.2.4/appendonlydir",
        "redis-7.2.4/appendonlydir-plain/log with space.aof.manifest",
        "redis-8.6.3/appendonlydir-multi",
        "valkey-8.0.1/appendonlydir-plain",
    ] {
        let run = run(&["check", &golden(name)]);
        assert_eq!((run.code, &run.stderr[..]), (0, ""), "{run:?}");
        assert!(
            run.stdout.lines().all(|line| line.contains(": valid, ")),
            "{run:?}"
        );
    }
}

#[test]
fn the_lines_say_where_and_what() {
    let run = run(&["check", &bad("aof-multi-open-cut.aof")]);
    let name = bad("aof-multi-open-cut.aof");
    assert_eq!(run.code, 1);
    assert_eq!(
        run.stdout,
        format!(
            "{name}: damaged: aof-truncated at offset 135 (0x87); the first 93 of 158 bytes are valid, with 3 commands\n"
        )
    );
    assert_eq!(
        run.stderr,
        format!(
            "aof-tool: {name}: offset 135 (0x87), command 6: command: argument 3 of 3: the log ends in or before its length line\n\
             aof-tool: hint: `aof-tool check --fix` cuts off the torn end (65 bytes) and keeps a backup\n"
        )
    );
}

#[test]
fn rules_can_be_widened() {
    assert_eq!(
        run(&["check", "--databases", "100", &bad("aof-select-bad.aof")]).code,
        0
    );
    assert_eq!(
        run(&["check", "--any-command", &bad("aof-unknown-command.aof")]).code,
        0
    );
}

/// The lines that `check` proposes for parts without a manifest make a manifest with which it reads them.
#[test]
fn a_manifest_is_proposed_for_parts_that_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let from = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/field/logs/manifest-missing/appendonlydir"
    );
    for part in ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"] {
        fs::copy(format!("{from}/{part}"), folder.path().join(part)).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let refused = run(&["check", path]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let lines: Vec<&str> = refused
        .stderr
        .lines()
        .filter(|l| l.starts_with("file "))
        .collect();
    assert_eq!(lines.len(), 2, "{refused:?}");
    fs::write(
        folder.path().join("appendonly.aof.manifest"),
        lines.join("\n") + "\n",
    )
    .unwrap();
    let accepted = run(&["check", path]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
}

#[test]
fn what_cannot_be_read_is_exit_2() {
    let missing = run(&["check", "/no/such/file"]);
    assert_eq!((missing.code, &missing.stdout[..]), (2, ""));
    assert_eq!(
        missing.stderr,
        "aof-tool: /no/such/file: no such file or directory\n"
    );
    let server = run(&["check", "redis://ann:secret@db.example:7000"]);
    assert_eq!((server.code, &server.stdout[..]), (2, ""));
    assert!(
        server.stderr.starts_with(
            "aof-tool: redis://db.example:7000: this is a server, and logs are read from files\n\
             aof-tool: hint: `aof-tool archive --from "
        ),
        "{server:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let none = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(none.code, 2);
    assert!(
        none.stderr.contains("no manifest in this folder"),
        "{none:?}"
    );
    for name in ["a.manifest", "b.manifest"] {
        fs::write(folder.path().join(name), "file a seq 1 type i\n").unwrap();
    }
    let two = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(two.code, 2);
    assert!(two.stderr.contains("2 manifests"), "{two:?}");
    assert_eq!(run(&[]).code, 2);
    assert_eq!(run(&["check"]).code, 2);
    assert_eq!(run(&["nonsense"]).code, 2);
}

#[test]
fn help_and_version_are_data() {
    for words in [&["--help"][..], &["check", "--help"], &["dump", "--help"]] {
        let run = run(words);
        assert_eq!((run.code, &run.stderr[..]), (0, ""));
        assert!(run.stdout.contains("Examples:\n  aof-tool "), "{run:?}");
    }
    assert!(run(&["--version"]).stdout.starts_with("aof-tool "));
}

#[test]
fn a_data_folder_of_a_server_leads_to_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("appendonlydir");
    fs::create_dir(&below).unwrap();
    fs::write(
        below.join("a.aof.manifest"),
        "file a.aof.1.incr.aof seq 1 type i\n",
    )
    .unwrap();
    fs::write(below.join("temp-a.aof.manifest"), "half").unwrap();
    fs::write(below.join("a.aof.1.incr.aof"), "*1\r\n$4\r\nPING\r\n").unwrap();
    let run = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("no base and 1 increment\n"), "{run:?}");
}

#[test]
fn a_file_that_is_no_log_is_told_what_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let tar = [
        &b"appendonlydir/"[..],
        &[0; 243],
        b"ustar\x0000",
        &[0; 1271],
    ]
    .concat();
    for (name, bytes, advice) in [
        ("d.tar", &tar[..], "`tar -xOf "),
        ("a.xz", b"\xfd7zXZ\x00\x00\x00", "`xz -dc "),
        ("b.sent", b"$14\r\nREDIS0011\xfe\x00\xff", "`tail -c +6 "),
        (
            "c.jsonl",
            b"{\"offset\":0,\"end\":23}\n",
            "`rdb-tool convert --from jsonl --to redis-7.2 -o dump.rdb ",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        for words in [&["check"][..], &["dump"], &["rewrite", "-o", "-"]] {
            let runs = [
                run(&[words, &[path]].concat()),
                run_with_stdin(&[words, &["-"]].concat(), bytes),
            ];
            for run in runs {
                assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
                assert!(run.stderr.contains(": not a log: begins with "), "{run:?}");
                assert!(run.stderr.contains("aof-tool: hint: "), "{run:?}");
                assert!(run.stderr.contains(advice), "{run:?}");
            }
        }
    }
}

#[test]
fn a_compressed_log_is_read_and_never_cut() {
    let folder = tempfile::tempdir().unwrap();
    let testdata = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata"));
    let path = folder.path().join("log.gz");
    std::fs::copy(testdata.join("packed/aof-multi-open-cut.aof.gz"), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let path = path.to_str().unwrap();
    let plain = testdata.join("bad/aof-multi-open-cut.aof");
    assert_eq!(
        run(&["dump", path]).stdout,
        run(&["dump", plain.to_str().unwrap()]).stdout
    );
    for words in [&["check"][..], &["check", "--fix"]] {
        let run = run(&[words, &[path]].concat());
        assert_eq!(run.code, if words.len() == 1 { 1 } else { 2 }, "{run:?}");
        assert!(
            run.stdout.contains("the first 93 bytes are valid"),
            "{run:?}"
        );
    }
    assert_eq!(std::fs::read(path).unwrap(), before);
}

#[test]
fn a_part_that_cannot_be_read_does_not_end_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
    fs::write(folder.path().join("a.manifest"), manifest).unwrap();
    fs::create_dir(folder.path().join("a.1.incr.aof")).unwrap();
    fs::write(folder.path().join("a.2.incr.aof"), b"*1\r\n$4\r\nPI").unwrap();
    let run = run(&["check", "--fix", folder.path().to_str().unwrap()]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("a.1.incr.aof: "), "{run:?}");
    assert!(
        run.stdout.contains("a.2.incr.aof: damaged: aof-truncated"),
        "{run:?}"
    );
    // What is not known whole is not cut.
    assert_eq!(
        fs::read(folder.path().join("a.2.incr.aof")).unwrap().len(),
        10
    );
}

#[test]
fn the_hint_says_what_a_cut_would_lose() {
    let mut seen = [0; 2];
    for expected in expectations() {
        let path = bad(expected["file"].as_str().unwrap());
        let Some(line) = first_damage(&run(&["check", "--json", &path])) else {
            continue;
        };
        let hints = [
            ("cut", "cuts off the torn end"),
            ("cut-loses", "good commands behind the damage too"),
        ];
        let whole = line["role"] == "log" && line["valid_end"].as_u64() > Some(0);
        for (at, (cure, words)) in hints.into_iter().enumerate() {
            if whole && line["cure"] == cure {
                seen[at] += 1;
                let run = run(&["check", &path]);
                assert!(run.stderr.contains(words), "{run:?}");
            }
        }
    }
    assert!(seen[0] > 5 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_manifest_is_told_with_the_number_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = String::from("file a.1.base.aof seq 1 type b\n");
    fs::write(folder.path().join("a.1.base.aof"), "").unwrap();
    for seq in 1..=3 {
        manifest.push_str(&format!("file a.{seq}.incr.aof seq {seq} type i\n"));
        fs::write(folder.path().join(format!("a.{seq}.incr.aof")), "").unwrap();
    }
    fs::write(folder.path().join("a.manifest"), manifest).unwrap();
    let run = run(&["check", folder.path().to_str().unwrap()]);
    assert!(
        run.stdout
            .contains("a.manifest: valid, a base and 3 increments\n"),
        "{run:?}"
    );
}

/// What a rewrite that was cut off leaves, or somebody copied there.
#[test]
fn parts_that_the_manifest_does_not_list_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.manifest",
        "file a.2.incr.aof seq 2 type i\nfile a.1.incr.aof seq 1 type h\n",
    );
    for name in [
        "a.1.incr.aof",
        "a.2.incr.aof",
        "a.3.incr.aof",
        "b.4.incr.aof",
        "a.2.base.rdb",
    ] {
        write(name, "");
    }
    let path = folder.path().to_str().unwrap();
    let told = run(&["check", path]);
    assert_eq!((told.code, &told.stderr[..]), (0, ""), "{told:?}");
    for (name, count) in [
        ("a.2.base.rdb", 1),
        ("a.3.incr.aof", 1),
        ("a.1.incr.aof", 0),
        ("b.4", 0),
    ] {
        let line = format!(
            "a.manifest: does not list \"{name}\", which servers neither load nor remove\n"
        );
        assert_eq!(
            told.stdout.matches(&line).count(),
            count,
            "{name}: {told:?}"
        );
    }
    let json = run(&["check", "--json", path]);
    let line: Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        line["orphans"],
        serde_json::json!(["a.2.base.rdb", "a.3.incr.aof"])
    );
}

fn problems(run: &Run) -> Vec<(String, u64, u64)> {
    let line: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    let problems = line["problems"].as_array().unwrap().iter().map(|problem| {
        let number = |what: &str| problem[what].as_u64().unwrap();
        let name = problem["problem"].as_str().unwrap().to_owned();
        assert_eq!(problem["severity"], "ignored", "{problem}");
        (name, number("offset"), number("command"))
    });
    problems.collect()
}

/// What servers answer with an error when they load the log, told by running it.
#[test]
fn a_log_is_run_and_what_is_refused_is_told() {
    let lines = [
        "SELECT 0",
        "SET s 1",
        "LPUSH s x",
        "MULTI",
        "SET t 1",
        "SADD s y",
        "INCR t",
        "EXEC",
        "RENAME none t",
        "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
        "EVAL return 0",
        "EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 0",
        "FCALL f 0",
        "JSON.SET d $ 1",
        "SET u 2",
    ];
    let log = tool::log(&lines);
    let plain = run_with_stdin(&["check", "--json", "-"], log.as_bytes());
    assert_eq!(plain.code, 0, "{plain:?}");
    let run = run_with_stdin(&["check", "--json", "--semantic", "-"], log.as_bytes());
    assert_eq!(run.code, 1, "{run:?}");
    let at = |line: usize| tool::log(&lines[..line]).len() as u64;
    assert_eq!(
        problems(&run),
        [
            ("refused".to_owned(), at(2), 3),
            ("refused".to_owned(), at(5), 6),
            ("refused".to_owned(), at(8), 9),
            ("unknown-script".to_owned(), at(9), 10),
            ("unknown-script".to_owned(), at(12), 13),
        ],
        "{run:?}"
    );
    assert!(run.stderr.contains("not known here, first"), "{run:?}");
    let text = run_with_stdin(&["check", "--semantic", "-"], log.as_bytes());
    assert!(
        text.stderr.contains("LPUSH is answered with: WRONGTYPE"),
        "{text:?}"
    );
    let wrong = tool::run(&["check", "--semantic", &bad("aof-wrongtype.aof")]);
    assert!(
        wrong.code == 1 && wrong.stderr.contains("WRONGTYPE"),
        "{wrong:?}"
    );
    let damaged = tool::run(&["check", "--semantic", &bad("aof-zeros-mid.aof")]);
    assert!(
        damaged.stderr.contains("a damaged log is not run"),
        "{damaged:?}"
    );
}

/// What real servers wrote is refused nowhere; what the engine does not have goes unjudged.
#[test]
fn logs_of_servers_have_nothing_that_is_refused() {
    let mut ran = 0;
    for name in tool::goldens() {
        let run = tool::run(&["check", "--semantic", &name]);
        match run.code {
            0 => ran += 1,
            // A snapshot with values that the engine does not hold.
            _ => assert_eq!(run.code, 2, "{name}: {run:?}"),
        }
    }
    assert!(ran > 20, "{ran}");
}

#[test]
fn parts_without_a_manifest_are_checked_as_one_would_list_them() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden("redis-7.2.4/appendonlydir-multi");
    for entry in fs::read_dir(golden).unwrap().flatten() {
        if !entry.file_name().to_str().unwrap().ends_with(".manifest") {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().to_str().unwrap();
    let told = run(&["check", path]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stderr.contains("there is no manifest"), "{told:?}");
    assert!(
        told.stderr
            .contains("file appendonly.aof.2.base.rdb seq 2 type b"),
        "{told:?}"
    );
    assert!(
        told.stdout.contains("appendonly.aof.5.incr.aof: valid"),
        "{told:?}"
    );
    assert_eq!(run(&["check", "--fix", path]).code, 1);
    // Other commands do not guess.
    assert_eq!(run(&["dump", path]).code, 2);
}

#[test]
fn a_part_that_is_listed_twice_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.1.incr.aof", &tool::command("INCR n"));
    write(
        "a.manifest",
        "file a.1.incr.aof seq 1 type i\nfile a.1.incr.aof seq 2 type i\n",
    );
    let told = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.stderr
            .contains("lists \"a.1.incr.aof\" more than once"),
        "{told:?}"
    );
}

#[test]
fn what_lies_beside_a_log_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("appendonlydir")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "appendonlydir/a.manifest",
        "file a.1.incr.aof seq 1 type i\n",
    );
    write("appendonlydir/a.1.incr.aof", "");
    write("dump.rdb", "");
    let path = folder.path().join("appendonlydir");
    for path in [folder.path(), &path] {
        let told = run(&["check", path.to_str().unwrap()]);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(
            told.stdout.contains(
                "dump.rdb: lies beside the log: a server with `appendonly yes` loads the log"
            ),
            "{told:?}"
        );
        assert!(!told.stdout.contains("appendonly.aof: lies"), "{told:?}");
    }
}

/// A server writes the log while it is looked at: wherever that begins, its end is torn, and more comes before that is told.
#[test]
fn a_log_that_grows_is_told_from_a_torn_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appendonly.aof");
    let set = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    let torn = &set[..set.len() - 9];
    fs::write(&path, [&set.repeat(300_000), torn].concat()).unwrap();
    let over = AtomicBool::new(false);
    let growing = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = fs::File::options().append(true).open(&path).unwrap();
            while !over.load(Ordering::Relaxed) {
                let more = [&set[set.len() - 9..], torn].concat();
                log.write_all(&more).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let run = run(&["check", path.to_str().unwrap()]);
        over.store(true, Ordering::Relaxed);
        run
    });
    assert_eq!(growing.code, 1, "{growing:?}");
    assert!(
        growing.stderr.contains("it grew while it was read"),
        "{growing:?}"
    );
    assert!(!growing.stderr.contains("--fix"), "{growing:?}");
    let still = run(&["check", "--json", path.to_str().unwrap()]);
    let line: Value = serde_json::from_str(&still.stdout).unwrap();
    assert_eq!(
        (&line["grew"], &line["cure"]),
        (&false.into(), &"cut".into())
    );
}
