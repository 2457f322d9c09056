//! What a log is made of (`stats`), what happened to a key (`log`), and in what the data of two logs differs (`diff`).

mod tool;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use tool::{bad, command, goldens, log, run, run_with_stdin, tangle};

fn json(run: &tool::Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// Every log of a real server: the same commands as `dump` has, by name, database and hour.
#[test]
fn stats_count_every_command_of_every_log_once() {
    for name in goldens() {
        let counted = run(&["stats", "--json", &name]);
        assert_eq!(counted.code, 0, "{name}: {counted:?}");
        let counted = json(&counted);
        let (mut names, mut dbs, mut hours) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut total, mut bytes) = (0, 0);
        for line in run(&["dump", "--json", &name]).stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let size = line["end"].as_u64().unwrap() - line["offset"].as_u64().unwrap();
            bytes += size;
            let Some(args) = line["args"].as_array() else {
                continue;
            };
            total += 1;
            let add = |(commands, bytes): &mut (u64, u64)| {
                *commands += 1;
                *bytes += size;
            };
            let word = args[0].as_str().unwrap().to_ascii_uppercase();
            add(names.entry(word).or_insert((0, 0)));
            add(dbs.entry(line["db"].to_string()).or_insert((0, 0)));
            let hour = line["time"].as_i64().map(|time| time - time % 3600);
            add(hours.entry(hour).or_insert((0, 0)));
        }
        assert_eq!(counted["total"]["commands"], total, "{name}");
        assert_eq!(counted["bytes"], bytes, "{name}");
        for (found, expected) in [(&counted["commands"], names), (&counted["databases"], dbs)] {
            assert_eq!(found.as_object().unwrap().len(), expected.len(), "{name}");
            for (key, (commands, bytes)) in expected {
                assert_eq!(found[&key]["commands"], commands, "{name} {key}");
                assert_eq!(found[&key]["bytes"], bytes, "{name} {key}");
            }
        }
        let found = counted["hours"].as_array().unwrap();
        let found = found.iter().map(|hour| {
            let uses = ["commands", "bytes"].map(|what| hour[what].as_u64().unwrap());
            (hour["hour"].as_i64(), (uses[0], uses[1]))
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), hours, "{name}");
    }
}

const MIXED: [&str; 13] = [
    "SELECT 0",
    "#TS:7200",
    "SET user:1:name a",
    "HSET user:1 f v",
    "#TS:10800",
    "MSET user:2:name b order:1 c",
    "ZUNIONSTORE sum 2 za zb",
    "EVAL script 1 order:2 x",
    "JSON.SET doc:1 $ 1",
    "XGROUP CREATE events:1 g 0",
    "SELECT 3",
    "DEL user:1:name order:1 lone",
    "FLUSHDB",
];

#[test]
fn stats_know_prefixes_hours_and_selections() {
    let mixed = log(&MIXED);
    let words = ["stats", "--json", "--depth", "2", "-"];
    let found = json(&run_with_stdin(&words, mixed.as_bytes()));
    let prefixes = found["prefixes"].as_array().unwrap();
    let uses = |wanted: &str| {
        let found = prefixes.iter().find(|found| found["prefix"] == wanted);
        found.map(|found| found["uses"].as_u64().unwrap())
    };
    assert_eq!(uses("user:"), Some(4));
    assert_eq!(uses("user:1:"), Some(2));
    assert_eq!(uses("order:"), Some(3));
    assert_eq!(uses("doc:"), Some(1));
    let flat = json(&run_with_stdin(&["stats", "--json", "-"], mixed.as_bytes()));
    assert_eq!(flat["prefixes"].as_array().unwrap().len(), 4);
    let hours = found["hours"].as_array().unwrap();
    let hours: Vec<_> = hours
        .iter()
        .map(|hour| (&hour["hour"], &hour["commands"]))
        .collect();
    assert_eq!(hours.len(), 3);
    assert_eq!((hours[1].0, hours[1].1), (&7200.into(), &2.into()));
    for (words, commands) in [
        (&["--key", "user:*"][..], 4),
        (&["--key", "user:*", "--db", "3"], 1),
        (&["--type", "hash"], 1),
        (&["--not-key", "*"], 0),
        (&["--key", "zb"], 1),
        (&["--key", "order:2"], 1),
        (&["--key", "events:*", "--type", "stream"], 1),
    ] {
        let words = [&["stats", "--json", "-"], words].concat();
        let found = json(&run_with_stdin(&words, mixed.as_bytes()));
        assert_eq!(found["total"]["commands"], commands, "{words:?}");
        let lines = [&["dump", "--json"], &words[2..]].concat();
        let lines = run_with_stdin(&lines, mixed.as_bytes());
        assert_eq!(lines.stdout.lines().count(), commands, "{lines:?}");
    }
    let text = run_with_stdin(&["stats", "-"], mixed.as_bytes()).stdout;
    assert!(text.contains("1970-01-01 03:00"), "{text}");
    for words in [["stats", "-"], ["dump", "-"]] {
        let refused = run(&[&words[..], &["--ttl", "none"]].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("--ttl and --idle"), "{refused:?}");
    }
    let damaged = run(&["stats", "--json", &bad("aof-truncated-060.aof")]);
    assert_eq!(
        (damaged.code, &json(&damaged)["total"]["commands"]),
        (1, &2.into())
    );
}

#[test]
fn stats_tell_what_a_rewrite_saves() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let grown: String = (0..500).map(|i| command(&format!("SET key {i}"))).collect();
    fs::write(path("log"), &grown).unwrap();
    let found = json(&run(&["stats", "--json", "--rewrite", &path("log")]));
    let written = run(&[
        "rewrite",
        "--force",
        "--form",
        "snapshot",
        &path("log"),
        "-o",
        &path("new"),
    ]);
    assert_eq!(written.code, 0, "{written:?}");
    let bytes = fs::metadata(path("new")).unwrap().len();
    assert_eq!(found["rewrite"]["bytes"], bytes);
    assert_eq!(found["rewrite"]["keys"], 1);
    assert_eq!(found["rewrite"]["saves"], grown.len() as u64 - bytes);
}

/// Type, elements and expiry of a key at the end of a log, told by the commands that make it.
fn told_by_rewrite(log: &str, until: u64, key: &str) -> Value {
    let until = format!("command:{until}");
    let made = run_with_stdin(
        &["restore", "--force", "--until", &until, "-", "-o", "-"],
        log.as_bytes(),
    );
    assert_eq!(made.code, 0, "{made:?}");
    let lines = run_with_stdin(
        &["dump", "--json", "--key", key, "-"],
        made.stdout.as_bytes(),
    );
    let mut state = Value::Null;
    for line in lines.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let args = line["args"].as_array().unwrap();
        match args[0].as_str().unwrap() {
            "SADD" => {
                state = serde_json::json!({"type": "set", "elements": args.len() - 2, "expire_ms": null});
            }
            "PEXPIREAT" => {
                state["expire_ms"] = args[2].as_str().unwrap().parse::<i64>().unwrap().into()
            }
            other => panic!("{other}"),
        }
    }
    state
}

#[test]
fn the_log_of_a_key_has_what_it_was_at_each_command() {
    for seed in [3, 4] {
        let lines = tangle(seed, 60);
        let text: String = lines.iter().map(|line| command(line)).collect();
        for key in ["0", "3"] {
            let told = run_with_stdin(&["log", "--json", key, "-"], text.as_bytes());
            assert_eq!(told.code, 0, "{told:?}");
            let mut last = Value::Null;
            for line in told.stdout.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["before"], last, "{line}");
                let number = line["command"].as_u64().unwrap();
                last = told_by_rewrite(&text, number, key);
                assert_eq!(line["after"], last, "seed {seed}: {line}");
            }
            assert_eq!(last, told_by_rewrite(&text, lines.len() as u64, key));
        }
    }
}

#[test]
fn the_log_of_a_key_begins_with_the_snapshot_and_says_what_went() {
    let folder = format!(
        "{}/../testdata/aof/redis-7.2.4/appendonlydir-multi",
        env!("CARGO_MANIFEST_DIR")
    );
    let told = run(&["log", "--json", "l", &folder]);
    let first: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["file"], "appendonly.aof.2.base.rdb");
    assert_eq!(first["after"]["type"], "list");

    let text = log(&[
        "SELECT 2",
        "#TS:9",
        "RPUSH q \u{1}x y",
        "SELECT 0",
        "RPUSH q 1",
        "SELECT 2",
        "DEL q",
    ]);
    let told = run_with_stdin(&["log", "--db", "2", "--was", "q", "-"], text.as_bytes());
    assert_eq!(
        told.stdout.lines().collect::<Vec<_>>()[1..],
        [
            "142\t2\t\"DEL\" \"q\"\t@9\tlist of 2 -> nothing\tcommand 6",
            "\twas: \"RPUSH\" \"q\" \"\\x01x\" \"y\"",
        ],
        "{told:?}"
    );
    // Quoted as redis-cli has it, and not there at all.
    assert_eq!(
        run_with_stdin(&["log", "\"\\x71\"", "-"], text.as_bytes()).code,
        0
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let swapped = run(&["log", file.path().to_str().unwrap(), "q"]);
    assert_eq!(
        (swapped.code, swapped.stderr.as_str()),
        (
            2,
            "aof-tool: q: no such file or directory\n\
             aof-tool: hint: the key comes first: `aof-tool log KEY LOG`\n"
        )
    );
    let none = run_with_stdin(&["log", "nokey", "-"], text.as_bytes());
    assert_eq!((none.code, &none.stdout[..]), (1, ""));
    assert!(
        none.stderr.contains("nothing about key \"nokey\""),
        "{none:?}"
    );
    // A command that cannot be run again: the lines go on without what it was.
    let text = log(&["SET k 1", "EVAL script 1 k", "SET k 2"]);
    let told = run_with_stdin(&["log", "k", "-"], text.as_bytes());
    assert_eq!(told.stdout.lines().count(), 3, "{told:?}");
}

/// A log and what `rewrite` makes of it have equal data; one command more is a difference.
#[test]
fn a_log_equals_its_rewrite_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut compared = 0;
    for name in goldens() {
        for form in ["commands", "snapshot"] {
            if run(&[
                "rewrite",
                "--force",
                "--form",
                form,
                &name,
                "-o",
                &path("new"),
            ])
            .code
                > 1
            {
                continue;
            }
            compared += 1;
            let same = run(&["diff", &name, &path("new")]);
            assert_eq!(same.code, 0, "{name}: {same:?}");
        }
    }
    assert!(compared > 30, "{compared}");

    let lines = [
        "SELECT 0",
        "RPUSH l a b",
        "SADD s a b",
        "HSET h f v g w",
        "ZADD z 1 a",
        "SET t x",
        "XADD x 1-1 f v",
        "XGROUP CREATE x g 0",
        "HPEXPIREAT h 4000000000000 FIELDS 1 f",
        "PEXPIREAT t 4000000000000",
    ];
    let base = log(&lines);
    fs::write(path("a"), &base).unwrap();
    for (more, kind, differs) in [
        ("LSET l 0 b", "different", "value"),
        ("SREM s a", "different", "value"),
        ("HSET h g x", "different", "value"),
        ("HPERSIST h FIELDS 1 f", "different", "value"),
        ("ZADD z 2 a", "different", "value"),
        ("PERSIST t", "different", "expiry, 4000000000000 and none"),
        ("XGROUP SETID x g 1-1", "different", "value"),
        ("RESTORE s 0 payload REPLACE", "", ""),
        ("DEL l", "only_a", ""),
        ("SET new 1", "only_b", ""),
        ("SADD s a", "equal", ""),
    ] {
        fs::write(path("b"), format!("{base}{}", command(more))).unwrap();
        let found = run(&["diff", "--json", &path("a"), &path("b")]);
        match kind {
            "" => assert_eq!(found.code, 2, "{found:?}"),
            "equal" => assert_eq!(found.code, 0, "{found:?}"),
            _ => {
                assert_eq!(found.code, 1, "{more}: {found:?}");
                let found = json(&found);
                assert_eq!(found[kind]["keys"], 1, "{more}: {found}");
                if !differs.is_empty() {
                    assert_eq!(found[kind]["examples"][0]["differs"][0], differs, "{more}");
                }
            }
        }
    }
    // The order of members is none.
    fs::write(
        path("b"),
        base.replace("a\r\n$1\r\nb\r\n*", "b\r\n$1\r\na\r\n*"),
    )
    .unwrap();
    let found = run(&["diff", "--key", "s", &path("a"), &path("b")]);
    assert_eq!(found.code, 0, "{found:?}");
    let found = run(&["diff", &path("a"), &path("b")]);
    assert!(found.stdout.contains("key \"l\": value"), "{found:?}");
}

/// A library has no database: the key of its name in database 0 is another thing.
#[test]
fn a_library_and_a_key_of_its_name_are_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let code = "#!lua name=same\nredis.register_function('f', function() end)";
    let load = format!(
        "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n${}\r\n{code}\r\n",
        code.len()
    );
    for (name, value) in [("a", "one"), ("b", "other")] {
        let text = log(&["SELECT 0", &format!("SET same {value}")]);
        fs::write(path(name), format!("{text}{load}")).unwrap();
    }
    let found = run(&["diff", &path("a"), &path("b")]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found
            .stdout
            .contains("different: 1 key\n  db 0, key \"same\": value\n"),
        "{found:?}"
    );
    assert!(
        found
            .stdout
            .ends_with("equal: 0 keys and 1 function library\n"),
        "{found:?}"
    );
    let found = json(&run(&["diff", "--json", &path("a"), &path("b")]));
    assert_eq!(found["equal_libraries"], 1, "{found}");
    assert_eq!(found["different"]["keys"], 1, "{found}");
}
