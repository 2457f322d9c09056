//! Conversions keep everything or say what they cannot keep; a real server reads them.

mod common;

use common::real_server::RealServer;
use common::{all_golden, code, golden, names, run, run_piped, stderr, stdout};
use serde_json::Value;
use std::path::Path;

/// One for each version that can be written.
const TARGETS: [&str; 14] = [
    "redis-2.4",
    "5",
    "redis-2.6",
    "redis-3.2",
    "redis-4.0",
    "redis-6.2",
    "10",
    "valkey-8",
    "redis-7.4",
    "redis-8.6",
    "14",
    "15",
    "valkey-9.0",
    "81",
];

fn convert(to: &str, extra: &[&str], from: &Path, out: &Path) -> std::process::Output {
    let words = [
        &[
            "convert",
            "--force",
            "--to",
            to,
            "-o",
            out.to_str().unwrap(),
        ],
        extra,
        &[from.to_str().unwrap()],
    ]
    .concat();
    run(&words)
}

fn assert_equal(a: &Path, b: &Path) {
    assert_near(a, b, "0s");
}

/// Equal but for so much in the expiries of keys.
fn assert_near(a: &Path, b: &Path, drift: &str) {
    let words = ["diff", "--ttl-drift", drift].map(std::ffi::OsStr::new);
    let output = run(&[&words[..], &[a.as_os_str(), b.as_os_str()]].concat());
    assert_eq!(
        code(&output),
        0,
        "{} and {}: {}{}",
        a.display(),
        b.display(),
        stdout(&output),
        stderr(&output)
    );
}

#[test]
fn every_golden_snapshot_to_every_target() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let (mut kept, mut refused) = (0, 0);
    for path in all_golden() {
        for to in TARGETS {
            let output = convert(to, &[], &path, &out);
            if code(&output) == 0 {
                // Version 2 has full seconds.
                let drift = if to == "redis-2.4" { "1s" } else { "0s" };
                assert_near(&path, &out, drift);
                kept += 1;
            } else {
                assert_eq!(code(&output), 2, "{to}: {}", stderr(&output));
                assert!(
                    stderr(&output).contains(" cannot hold "),
                    "{to} {}: {}",
                    path.display(),
                    stderr(&output)
                );
                assert!(names(folder.path()).is_empty(), "nothing is written");
                let output = convert(to, &["--drop-unsupported"], &path, &out);
                assert_eq!(code(&output), 0, "{to}: {}", stderr(&output));
                assert!(
                    stderr(&output).contains(": dropped "),
                    "{}",
                    stderr(&output)
                );
                refused += 1;
            }
            assert_eq!(
                code(&run(&["verify".as_ref(), out.as_os_str()])),
                0,
                "{to} {}",
                path.display()
            );
            std::fs::remove_file(&out).unwrap();
        }
    }
    assert!(kept > 250 && refused > 50, "{kept} kept, {refused} refused");
}

#[test]
fn losses_are_counted_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let output = convert(
        "redis-4.0",
        &[],
        &golden("redis-7.4.1/small-nocompress.rdb"),
        &folder.path().join("out"),
    );
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(
        text.contains(
            "cannot hold a stream, which needs Redis 5.0 (version 9): 1, db 0, key \"st\"\n"
        ),
        "{text}"
    );
    assert!(text.contains("cannot hold a function library, which needs Redis 7.0 (version 10): 2, first outside the keys"), "{text}");
    assert!(
        text.contains("rdb-tool: hint: nothing was written; --drop-unsupported leaves these out and writes the rest\n"),
        "{text}"
    );
}

/// What `dump` says of the hash fields of a file, by key.
fn fields_of(path: &Path) -> Vec<(String, Vec<String>)> {
    let output = run(&["dump", "--bytes", "text", path.to_str().unwrap()]);
    let text = stdout(&output);
    let mut all: Vec<(String, Vec<String>)> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line.get("field_expire_ms").is_none(), "{line}");
            let pairs = line["value"].as_array().unwrap().iter();
            let names = pairs.map(|pair| pair[0].as_str().unwrap().to_owned());
            (line["key"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn hash_fields_that_expire_go_or_stay_as_the_user_says_and_the_words_say_which() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let from = common::testdata().join("odd/hash-field-expiry.rdb");
    let what = "hash fields that expire, which needs Redis 7.4 (version 12) or Valkey 9.0 (version 80): 3, first db 0, key \"all0\"\n";
    let output = convert("redis-7.2", &[], &from, &out);
    assert_eq!(code(&output), 2);
    let text = stderr(&output);
    assert!(text.contains(&format!("cannot hold {what}")), "{text}");
    assert!(text.contains("--expiring-fields drop leaves such fields out, --expiring-fields keep writes them without their expiry"), "{text}");
    assert!(names(folder.path()).is_empty());
    let dropped = vec![("sess".to_owned(), vec!["name".to_owned()])];
    for choice in [
        &["--drop-unsupported"][..],
        &["--expiring-fields", "drop"],
        &["--drop-unsupported", "--expiring-fields", "drop"],
    ] {
        let output = convert("redis-7.2", choice, &from, &out);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(
            stderr(&output).contains(&format!(": dropped {what}")),
            "{}",
            stderr(&output)
        );
        assert_eq!(fields_of(&out), dropped, "{choice:?}");
    }
    for choice in [
        &["--expiring-fields", "keep"][..],
        &["--drop-unsupported", "--expiring-fields", "keep"],
    ] {
        let output = convert("redis-7.2", choice, &from, &out);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let told = format!(": kept without their expiry: {what}");
        assert!(stderr(&output).contains(&told), "{}", stderr(&output));
        // The file is of the past, so which fields are alive depends on the day; the one that never expires always is.
        assert!(
            fields_of(&out)
                .iter()
                .any(|(key, names)| key == "sess" && names.contains(&"name".to_owned()))
        );
    }
}

#[test]
fn fields_whose_time_has_not_come_stay_for_ever_only_with_keep() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("in.rdb"), folder.path().join("out.rdb"));
    // Type 24: the lowest expiry, then for each field how much later it is, plus one (0: never), name, value.
    let far = 4_102_444_800_000_u64.to_le_bytes();
    let hash = [
        b"\x18\x01h",
        &far[..],
        b"\x02\x00\x04name\x03bob\x01\x05token\x03abc",
    ]
    .concat();
    std::fs::write(
        &from,
        [b"REDIS0012\xfe\x00", &hash[..], b"\xff\0\0\0\0\0\0\0\0"].concat(),
    )
    .unwrap();
    let fields = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        vec![("h".to_owned(), names)]
    };
    for (choice, left) in [
        ("keep", fields(&["name", "token"])),
        ("drop", fields(&["name"])),
    ] {
        let output = convert("redis-7.2", &["--expiring-fields", choice], &from, &out);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(fields_of(&out), left, "{choice}");
    }
}

/// A snapshot of version 12 with a string and one value of the module type `name`.
fn with_module(name: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let id = name.bytes().fold(0, |id: u64, byte| {
        id << 6 | LETTERS.iter().position(|letter| *letter == byte).unwrap() as u64
    }) << 10;
    [
        &b"REDIS0012\xfe\x00\x00\x01s\x011\x07\x01m\x81"[..],
        &id.to_be_bytes(),
        // One unsigned integer, and the end of the module's values.
        b"\x02\x05\x00",
        b"\xff\0\0\0\0\0\0\0\0",
    ]
    .concat()
}

#[test]
fn values_of_modules_go_only_to_targets_that_are_known_to_have_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("in.rdb"), folder.path().join("out.rdb"));
    for (module, needs, has) in [
        (
            "vectorset",
            "Redis 8.0",
            &["redis-8.0", "redis-8.6", "13"][..],
        ),
        ("MBbloom--", "a server with that module", &[]),
    ] {
        std::fs::write(&from, with_module(module)).unwrap();
        for to in [
            "redis-6.2",
            "redis-7.4",
            "12",
            "valkey-8",
            "valkey-9.0",
            "aof",
            "redis-8.0",
            "redis-8.6",
            "13",
        ] {
            let output = convert(to, &[], &from, &out);
            if has.contains(&to) {
                assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{to}");
                assert_equal(&from, &out);
                continue;
            }
            let text = stderr(&output);
            assert_eq!(code(&output), 2, "{to}: {text}");
            let line = format!(
                "values of the module type {module}, which needs {needs}: 1, db 0, key \"m\"\n"
            );
            assert!(
                text.contains(&format!(" cannot hold {line}")),
                "{to}: {text}"
            );
            assert!(text.contains("hint: --with-module TYPE "), "{to}: {text}");
            let output = convert(to, &["--drop-unsupported"], &from, &out);
            assert_eq!(code(&output), 0, "{to}");
            assert!(
                stderr(&output).contains(&format!(": dropped {line}")),
                "{}",
                stderr(&output)
            );
            if to != "aof" {
                let dumped = run(&["dump".as_ref(), out.as_os_str()]);
                assert_eq!(stdout(&dumped).lines().count(), 1, "{to}");
            }
            let output = convert(to, &["--with-module", module], &from, &out);
            assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{to}");
            if to != "aof" {
                assert_equal(&from, &out);
            }
        }
    }
}

#[test]
fn a_real_server_without_the_module_loads_what_is_left() {
    for (name, keys) in [("redis-7.2.4/module.rdb", None), ("odd", Some(":1\r\n"))] {
        let folder = tempfile::tempdir().unwrap();
        let from = match keys {
            None => golden(name),
            Some(_) => {
                let from = folder.path().join("in.rdb");
                std::fs::write(&from, with_module("vectorset")).unwrap();
                from
            }
        };
        let out = folder.path().join("dump.rdb");
        assert_eq!(
            code(&convert("redis-7.0", &["--drop-unsupported"], &from, &out)),
            0
        );
        let server = RealServer::start(folder.path(), &[]);
        let size = server.ask("DBSIZE");
        assert!(size.starts_with(keys.unwrap_or(":")), "{size}");
    }
}

#[test]
fn data_of_modules_and_metadata_of_keys_are_not_lost_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let from = common::testdata().join("bad/module-aux-unknown.rdb");
    for to in ["redis-7.2", "jsonl", "aof"] {
        let output = convert(to, &[], &from, &out);
        assert_eq!(code(&output), 2, "{to}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("outside the keys"),
            "{}",
            stderr(&output)
        );
        let output = convert(to, &["--drop-unsupported"], &from, &out);
        assert_eq!(code(&output), 0, "{to}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(": dropped "),
            "{}",
            stderr(&output)
        );
    }
    // Opcode 243: one class of metadata with an unsigned integer, then a string.
    let meta = b"REDIS0013\xfe\x00\xf3\x01abcd\x02\x05\x00\x00\x01k\x011\xff\0\0\0\0\0\0\0\0";
    let from = folder.path().join("meta.rdb");
    std::fs::write(&from, meta).unwrap();
    assert_eq!(code(&convert("redis-8.6", &[], &from, &out)), 0);
    for to in ["redis-8.0", "aof"] {
        let output = convert(to, &[], &from, &out);
        assert_eq!(code(&output), 2, "{to}");
        assert!(
            stderr(&output).contains("cannot hold key metadata"),
            "{}",
            stderr(&output)
        );
    }
    let lines = run(&["dump".as_ref(), from.as_os_str()]);
    assert!(
        stdout(&lines).contains("\"meta\":\"AWFiY2QCBQA=\""),
        "{}",
        stdout(&lines)
    );
}

#[test]
fn a_real_server_loads_version_10_and_saves_the_same() {
    for name in [
        "redis-7.2.4/all.rdb",
        "redis-5.0.14/all.rdb",
        "redis-2.4.18/all.rdb",
        "redis-7.0.15/cluster.rdb",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (
            folder.path().join("ours.rdb"),
            folder.path().join("theirs.rdb"),
        );
        assert_eq!(code(&convert("redis-7.0", &[], &golden(name), &ours)), 0);
        std::fs::copy(&ours, &theirs).unwrap();
        let server = RealServer::start(folder.path(), &["--dbfilename", "theirs.rdb"]);
        server.ask("SAVE");
        drop(server);
        assert_equal(&golden(name), &theirs);
    }
}

#[test]
fn a_real_server_replays_the_commands_to_the_same() {
    for (to, name) in [
        ("aof", "redis-7.2.4/all.rdb"),
        ("aof", "redis-5.0.14/all.rdb"),
        ("aof", "redis-2.4.18/all.rdb"),
        ("aof", "redis-6.2.16/lfu.rdb"),
        ("aof:redis-7.0", "redis-7.2.4/all.rdb"),
        ("aof:redis-6.2", "redis-6.2.16/lfu.rdb"),
        ("aof:redis-5.0", "redis-5.0.14/all.rdb"),
        ("aof:redis-5.0", "redis-6.2.16/lfu.rdb"),
        ("aof:redis-2.6", "redis-2.4.18/all.rdb"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            code(&convert(
                to,
                &[],
                &golden(name),
                &folder.path().join("appendonly.aof")
            )),
            0
        );
        let server = RealServer::start(
            folder.path(),
            &["--appendonly", "yes", "--dbfilename", "theirs.rdb"],
        );
        server.ask("SAVE");
        drop(server);
        assert_equal(&golden(name), &folder.path().join("theirs.rdb"));
    }
}

#[test]
fn what_the_reader_of_a_log_lacks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let from = golden("redis-8.6.3/all.rdb");
    let output = convert("aof:redis-7.2", &[], &from, &out);
    assert_eq!((code(&output), out.exists()), (2, false));
    let text = stderr(&output);
    assert!(
        text.contains("a command log for Redis 7.2 cannot hold hash fields that expire, which needs Redis 7.4 or Valkey 9.0: "),
        "{text}"
    );
    let output = convert("aof:redis-4.0", &["--drop-unsupported"], &from, &out);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.contains("dropped a stream, which needs Redis 5.0: "),
        "{text}"
    );
    let log = std::fs::read(&out).unwrap();
    for word in ["XADD", "HPEXPIREAT", "FUNCTION"] {
        let found = log.windows(word.len()).any(|w| w == word.as_bytes());
        assert!(!found, "{word}");
    }
}

#[test]
fn lines_are_those_of_dump() {
    let path = golden("redis-7.2.4/all.rdb");
    let dumped = run(&["dump".as_ref(), path.as_os_str()]);
    let converted = run(&[
        "convert",
        "--force",
        "--to",
        "jsonl",
        "-o",
        "-",
        path.to_str().unwrap(),
    ]);
    assert_eq!(
        (code(&converted), converted.stdout == dumped.stdout),
        (0, true)
    );
}

#[test]
fn pipes_at_both_ends_get_all_or_nothing() {
    let path = golden("redis-7.2.4/all.rdb");
    let bytes = std::fs::read(&path).unwrap();
    let output = run_piped(
        &["convert", "--force", "--to", "redis-7.0", "-o", "-", "-"],
        &bytes,
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    std::fs::write(&out, &output.stdout).unwrap();
    assert_equal(&path, &out);
    let output = run_piped(
        &["convert", "--force", "--to", "redis-4.0", "-o", "-", "-"],
        &bytes,
    );
    assert_eq!((code(&output), output.stdout.len()), (2, 0));
}

#[test]
fn damage_is_not_carried_on() {
    let folder = tempfile::tempdir().unwrap();
    for bad in [
        "lp-dup-hash.rdb",
        "is-unsorted.rdb",
        "flip-checksum.rdb",
        "truncated-0514.rdb",
    ] {
        let output = convert(
            "redis-7.2",
            &[],
            &common::testdata().join("bad").join(bad),
            &folder.path().join("out"),
        );
        assert_eq!(code(&output), 2, "{bad}");
        assert!(stderr(&output).contains(": offset "), "{}", stderr(&output));
        assert!(names(folder.path()).is_empty());
    }
}

/// What servers load though none writes it is no reason to refuse, and is not carried on.
#[test]
fn what_is_odd_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    for (name, keys) in [
        ("bad/empty-list.rdb", 1),
        ("bad/empty-set.rdb", 1),
        ("bad/empty-hash.rdb", 1),
        ("bad/empty-zset.rdb", 1),
        ("bad/empty-quicklist.rdb", 1),
        ("bad/lp-empty-hash.rdb", 1),
        ("bad/lp-zset-unsorted.rdb", 2),
        ("bad/ql2-empty-node.rdb", 2),
        ("bad/stream-len.rdb", 2),
        ("bad/double-expire.rdb", 1),
        ("bad/len-nonminimal.rdb", 1),
        ("odd/stream-len-more-t15.rdb", 2),
        ("odd/stream-len-less-t21.rdb", 2),
        ("odd/stream-len-zero-t21.rdb", 2),
    ] {
        let from = common::testdata().join(name);
        let output = run(&["verify".as_ref(), from.as_os_str()]);
        assert_eq!(code(&output), 1, "{name} is odd");
        for to in ["jsonl", "aof", "redis-7.2"] {
            let output = convert(to, &[], &from, &out);
            assert_eq!(code(&output), 0, "{name} {to}: {}", stderr(&output));
        }
        let output = run(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(code(&output), 0, "{name}: {found}");
        assert_eq!(found["keys"], keys, "{name}: {found}");
    }
}

#[test]
fn a_plan_tells_all_losses_and_writes_nothing() {
    let plan = |to: &str, file: &str| {
        let file = golden(file);
        let words = ["convert", "--force", "--dry-run", "--json", "--to", to];
        let output = run(&[&words[..], &[file.to_str().unwrap()]].concat());
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let losses: Vec<(String, String)> = plan["losses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|loss| {
                [&loss["class"], &loss["what"]].map(|text| text.as_str().unwrap().to_owned())
            })
            .map(|[class, what]| (class, what))
            .collect();
        assert_eq!(code(&output), i32::from(!losses.is_empty()), "{plan}");
        losses
    };
    let has = |losses: &[(String, String)], class: &str, what: &str| {
        let found = |loss: &(String, String)| loss.0 == class && loss.1.contains(what);
        assert!(losses.iter().any(found), "{class} {what}: {losses:?}");
    };
    assert_eq!(plan("redis-7.2", "redis-7.2.4/all.rdb"), []);
    let losses = plan("redis-6.2", "redis-8.6.3/all.rdb");
    has(&losses, "function", "function library");
    has(&losses, "field-expiry", "expire");
    has(&losses, "stream-counters", "counters of a stream");
    has(&losses, "consumer-times", "when a consumer was active");
    has(
        &plan("redis-4.0", "redis-7.0.15/lru.rdb"),
        "idle",
        "idle time",
    );
    has(
        &plan("redis-4.0", "redis-7.0.15/lfu.rdb"),
        "frequency",
        "frequency",
    );
    let file = golden("redis-8.6.3/all.rdb");
    let output = run(&[
        "convert",
        "--force",
        "--dry-run",
        "--to",
        "6",
        file.to_str().unwrap(),
    ]);
    assert!(
        stdout(&output).contains("cannot hold a stream, which needs "),
        "{}",
        stdout(&output)
    );
}

/// What a plan says: class, policy, count.
fn plan_of(words: &[&str], from: &Path) -> Vec<(String, String, u64)> {
    let all = [
        &["convert", "--force", "--dry-run", "--json"],
        words,
        &[from.to_str().unwrap()],
    ];
    let output = run(&all.concat());
    let plan: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{words:?}: {}", stderr(&output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let losses = plan["losses"].as_array().unwrap();
    let one = |loss: &Value| {
        let count = loss["count"].as_u64().unwrap();
        (text(&loss["class"]), text(&loss["policy"]), count)
    };
    losses.iter().map(one).collect()
}

#[test]
fn each_class_has_a_policy_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let from = golden("redis-8.6.3/all.rdb");
    let rules = ["--on", "function=drop", "--on", "field-expiry=degrade"];
    let plan = plan_of(&[&rules[..], &["--to", "redis-6.2"]].concat(), &from);
    let of = |class: &str| {
        plan.iter()
            .find(|loss| loss.0 == class)
            .unwrap_or_else(|| panic!("{class}: {plan:?}"))
    };
    assert_eq!(of("function").1, "drop");
    assert_eq!(of("field-expiry").1, "degrade");
    assert_eq!(of("stream-counters").1, "degrade");
    let output = convert("redis-6.2", &rules, &from, &out);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains(": dropped a function library"));
    assert!(stderr(&output).contains(": kept without their expiry: hash fields"));
    // One that is not named fails, and one that is silent fails when that is asked for.
    let output = convert("redis-6.2", &["--on", "function=drop"], &from, &out);
    assert_eq!(code(&output), 2);
    assert!(!stderr(&output).contains("a function library"));
    assert!(stderr(&output).contains("cannot hold hash fields"));
    let strict = ["--drop-unsupported", "--on", "consumer-times=fail"];
    let output = convert("redis-6.2", &strict, &from, &out);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("cannot hold when a consumer was active"));
    for wrong in ["stream=degrade", "strem=drop", "stream"] {
        assert_eq!(code(&convert("6", &["--on", wrong], &from, &out)), 2);
    }
    // The same report after the work.
    let json = ["--json", "--on", "all=drop"];
    let output = convert("redis-6.2", &json, &from, &out);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["dry_run"], false, "{report}");
    assert_eq!(report["losses"].as_array().unwrap().len(), plan.len());
}

/// A snapshot of version 12 whose hash `h` has a field that expires in 2100, and another one.
const FAR_MS: i64 = 4_102_444_800_000;
fn with_a_field_that_expires() -> Vec<u8> {
    [
        b"REDIS0012\xfa\x05ctime\xc2\x00\x00\x00\x60\xfe\x00\x18\x01h",
        &FAR_MS.to_le_bytes()[..],
        b"\x02\x00\x04name\x03bob\x01\x05token\x03abc",
        b"\xfc",
        &(FAR_MS + 5).to_le_bytes(),
        b"\x00\x06user:1\x01x",
        b"\x00\x06user:2\x01y",
        b"\xfe\x03\x00\x06user:3\x01z",
        b"\xff\0\0\0\0\0\0\0\0",
    ]
    .concat()
}

#[test]
fn expiries_of_fields_go_into_a_file_beside() {
    let folder = tempfile::tempdir().unwrap();
    let [from, out, side] = ["in.rdb", "out.rdb", "side.aof"].map(|name| folder.path().join(name));
    std::fs::write(&from, with_a_field_that_expires()).unwrap();
    let beside = ["--side", side.to_str().unwrap()];
    let output = convert("redis-7.2", &beside, &from, &out);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("kept without their expiry: hash fields"));
    let text = std::fs::read_to_string(&side).unwrap();
    let words: Vec<&str> = text
        .split("\r\n")
        .filter(|word| !word.starts_with(['*', '$']) && !word.is_empty())
        .collect();
    let at = FAR_MS.to_string();
    let command = ["HPEXPIREAT", "h", &at, "FIELDS", "1", "token"];
    assert_eq!(words, [&["SELECT", "0"][..], &command].concat());
    let dumped = stdout(&run(&["dump", "--bytes", "text", out.to_str().unwrap()]));
    assert!(dumped.contains("[\"token\",\"abc\"]"), "{dumped}");
    // Where fields can expire, there is nothing to say beside.
    assert_eq!(
        code(&convert("redis-7.4", &beside, &from, &out)),
        0,
        "nothing is lost"
    );
    assert_equal(&from, &out);
    assert_eq!(std::fs::read(&side).unwrap(), b"");
}

/// The lines of a file: database, key and expiry of the key.
fn keys_of(path: &Path) -> Vec<(u64, String, Option<i64>)> {
    let output = run(&["dump", "--bytes", "text", path.to_str().unwrap()]);
    let lines = stdout(&output);
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["key"].as_str().unwrap().to_owned();
        (
            line["db"].as_u64().unwrap(),
            key,
            line["expire_ms"].as_i64(),
        )
    };
    let mut all: Vec<_> = lines.lines().map(one).collect();
    all.sort();
    all
}

#[test]
fn names_databases_and_expiries_change_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let [from, out] = ["in.rdb", "out.rdb"].map(|name| folder.path().join(name));
    std::fs::write(&from, with_a_field_that_expires()).unwrap();
    let amended = |words: &[&str]| {
        let output = convert("redis-7.4", words, &from, &out);
        assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
        assert_eq!(code(&run(&["verify".as_ref(), out.as_os_str()])), 0);
        keys_of(&out)
    };
    let key = |db, name: &str, expiry| (db, name.to_owned(), expiry);
    let moved = amended(&["--map-db", "3=0", "--rename-prefix", "user:=u/"]);
    let expected = [
        key(0, "h", None),
        key(0, "u/1", Some(FAR_MS + 5)),
        key(0, "u/2", None),
        key(0, "u/3", None),
    ];
    assert_eq!(moved, expected);
    let of_user_1 = |keys: Vec<(u64, String, Option<i64>)>| keys[1].2;
    assert_eq!(of_user_1(amended(&["--set-ttl", "drop"])), None);
    let fields = run(&["dump", out.to_str().unwrap()]);
    assert!(!stdout(&fields).contains("field_expire_ms"));
    let shifted = amended(&["--set-ttl", "shift:-1h"]);
    assert_eq!(of_user_1(shifted), Some(FAR_MS + 5 - 3_600_000));
    let fields = stdout(&run(&["dump", out.to_str().unwrap()]));
    assert!(fields.contains(&format!("[null,{}]", FAR_MS - 3_600_000)));
    // By the age of the file, which was made in January 2021.
    let aged = of_user_1(amended(&["--set-ttl", "shift"])).unwrap() - FAR_MS;
    assert!(aged > 4 * 365 * 86_400_000, "{aged}");
    let all = amended(&["--set-ttl", "absolute:+1h"]);
    assert!(all.iter().all(|key| key.2 > Some(1_700_000_000_000)));
    let at = amended(&["--set-ttl", "absolute:1900000000000"]);
    assert!(at.iter().all(|key| key.2 == Some(1_900_000_000_000)));
    // As lines and commands, too.
    let words = ["--rename-prefix", "user:=u/", "--bytes", "text"];
    let output = convert("jsonl", &words, &from, &out);
    assert_eq!(code(&output), 0);
    assert!(std::fs::read_to_string(&out).unwrap().contains("\"u/3\""));
}

#[test]
fn two_keys_that_become_one_are_an_error_and_not_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let [from, out] = ["in.rdb", "out.rdb"].map(|name| folder.path().join(name));
    std::fs::write(
        &from,
        b"REDIS0009\xfe\0\0\x01a\x011\xfe\x01\0\x01a\x012\xff\0\0\0\0\0\0\0\0",
    )
    .unwrap();
    let output = convert("redis-7.2", &["--map-db", "1=0"], &from, &out);
    assert_eq!(code(&output), 2);
    let told = "with other names and databases, two keys become one: db 0, key \"a\"";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["in.rdb"]);
    // Without the age of the file nothing is guessed.
    std::fs::write(
        &from,
        b"REDIS0009\xfe\0\xfc\x01\0\0\0\0\0\0\0\0\x01a\x011\xff\0\0\0\0\0\0\0\0",
    )
    .unwrap();
    let output = convert("redis-7.2", &["--set-ttl", "shift"], &from, &out);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("does not say when it was made"));
}

/// Version 2 has seconds of 32 bits, no checksum and no integers of a byte in ziplists.
#[test]
fn what_goes_into_version_2() {
    let folder = tempfile::tempdir().unwrap();
    let [from, out] = ["in.rdb", "out.rdb"].map(|name| folder.path().join(name));
    std::fs::write(&from, with_a_field_that_expires()).unwrap();
    let plan = plan_of(&["--to", "redis-2.4"], &from);
    let late = ("late-expiry".to_owned(), "fail".to_owned(), 1);
    assert!(plan.contains(&late), "{plan:?}");
    let words = ["--to", "redis-2.4", "--set-ttl", "absolute:1900000000001"];
    let plan = plan_of(&words, &from);
    let silent = ("expiry-ms".to_owned(), "degrade".to_owned(), 4);
    assert!(plan.contains(&silent), "{plan:?}");
    let words = ["--set-ttl", "absolute:1900000000001", "--on", "all=drop"];
    assert_eq!(code(&convert("redis-2.4", &words, &from, &out)), 0);
    let seconds = 1_900_000_001_i32.to_le_bytes();
    let expected = [
        b"REDIS0002\xfe\x00\xfd",
        &seconds[..],
        b"\x04\x01h\x01\x04name\x03bob\xfd",
        &seconds,
        b"\x00\x06user:1\x01x\xfd",
        &seconds,
        b"\x00\x06user:2\x01y\xfe\x03\xfd",
        &seconds,
        b"\x00\x06user:3\x01z\xff",
    ]
    .concat();
    assert_eq!(std::fs::read(&out).unwrap(), expected);
}

/// An array and a stream with entries that nobody owns, as versions 14 and 15 are documented.
#[test]
fn what_came_with_version_14_stays_from_14_on() {
    let folder = tempfile::tempdir().unwrap();
    let [from, out] = ["in.rdb", "out.rdb"].map(|name| folder.path().join(name));
    let array = b"\x1c\x01a\x03\x01\x09\x00\x00\x02hi\x04\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x08\x02\0\0\0\0\0\0\xf8\x3f";
    let bytes = [&b"REDIS0014\xfe\x00"[..], array, b"\xff\0\0\0\0\0\0\0\0"].concat();
    std::fs::write(&from, bytes).unwrap();
    for to in ["14", "15", "redis-8.8", "redis-8.10"] {
        assert_eq!(code(&convert(to, &[], &from, &out)), 0, "{to}");
        assert_equal(&from, &out);
        let written = std::fs::read(&out).unwrap();
        assert!(written.windows(array.len()).any(|part| part == array));
    }
    let output = convert("redis-8.6", &[], &from, &out);
    assert!(stderr(&output).contains("cannot hold an array, which needs Redis 8.8 (version 14)"));
}

/// Hashes on a template, by reference and with their own, become plain ones for whoever does not know templates.
#[test]
fn hashes_on_templates_become_plain() {
    let folder = tempfile::tempdir().unwrap();
    let [from, plain, out] =
        ["in.rdb", "plain.rdb", "out.rdb"].map(|name| folder.path().join(name));
    let end = b"\xff\0\0\0\0\0\0\0\0";
    let template = b"\xf2\x07\x02\x01a\x02bb";
    let records = b"\x20\x01r\x07\x01x\x01y\x1f\x01o\x01\x02\x01a\x02bb\x01x\x01y";
    let head = &b"REDIS0015\xfe\x00"[..];
    std::fs::write(&from, [head, template, records, end].concat()).unwrap();
    let hash = b"\x02\x01a\x01x\x02bb\x01y";
    let records = [b"\x04\x01r", &hash[..], b"\x04\x01o", hash].concat();
    std::fs::write(&plain, [&b"REDIS0009\xfe\x00"[..], &records, end].concat()).unwrap();
    for to in ["redis-2.4", "redis-6.2", "redis-8.6", "15"] {
        assert_eq!(code(&convert(to, &[], &from, &out)), 0, "{to}");
        assert_equal(&plain, &out);
    }
    assert_equal(&plain, &from);
}
