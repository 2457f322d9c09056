//! Equal data is equal whatever its form; each kind of difference is named.

mod common;

use common::real_server::RealServer;
use common::{code, golden, run, run_piped, stderr, stdout};
use serde_json::Value;
use std::path::Path;

/// A snapshot of what the inline commands build on a real server.
fn built(folder: &Path, name: &str, commands: &str, options: &[&str]) -> std::path::PathBuf {
    let server = RealServer::start(folder, &[&["--dbfilename", name], options].concat());
    server.ask(&format!("{commands}\r\nSAVE"));
    folder.join(name)
}

const BASE: &str = "SET s hello\r\nSET n 12\r\nRPUSH l a b c\r\nSADD t x y z\r\nHSET h f v g w\r\nZADD z 1 a 2.5 b -0 c\r\nXADD st 1-1 f v\r\nPEXPIREAT s 4102444800000\r\nSELECT 3\r\nSET s other";

#[test]
fn order_and_encoding_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let packed = built(folder.path(), "packed.rdb", BASE, &[]);
    let reordered = "SELECT 3\r\nSET s other\r\nSELECT 0\r\nZADD z 0 c 2.5 b 1 a\r\nXADD st 1-1 f v\r\nHSET h g w f v\r\nSADD t z y x\r\nRPUSH l a b c\r\nSET n 12\r\nSET s hello\r\nPEXPIREAT s 4102444800000";
    let full = [
        "--hash-max-listpack-entries",
        "0",
        "--zset-max-listpack-entries",
        "0",
        "--set-max-intset-entries",
        "0",
        "--rdbcompression",
        "no",
    ];
    let full = built(folder.path(), "full.rdb", reordered, &full);
    let output = run(&["diff".as_ref(), packed.as_os_str(), full.as_os_str()]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(
        stdout(&output).ends_with("equal: 8 keys\n"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn each_difference_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = built(folder.path(), "base.rdb", BASE, &[]);
    for (change, what) in [
        (
            "SET s hellO KEEPTTL",
            "db 0, key \"s\": value, 5 bytes on both sides",
        ),
        (
            "PERSIST s",
            "db 0, key \"s\": expiry 4102444800000 ms and none",
        ),
        (
            "DEL n\r\nRPUSH n 12",
            "db 0, key \"n\": type string and list",
        ),
        (
            "LSET l 0 b\r\nLSET l 1 a",
            "db 0, key \"l\": value, 3 elements on both sides",
        ),
        (
            "SADD t w",
            "db 0, key \"t\": value, 3 members and 4 members",
        ),
        (
            "HSET h f w g v",
            "db 0, key \"h\": value, 2 fields on both sides",
        ),
        (
            "ZADD z 1.5 a",
            "db 0, key \"z\": value, 3 members on both sides",
        ),
        (
            "XDEL st 1-1",
            "db 0, key \"st\": value, 1 entry and 0 entries",
        ),
        (
            "XGROUP CREATE st g 0",
            "db 0, key \"st\": value, 1 entry on both sides",
        ),
        ("SELECT 3\r\nDEL s", "db 3, key \"s\": string of 5 bytes"),
        (
            "SELECT 4\r\nSET \"new\\xff\" x",
            "db 4, key \"new\\xff\": string of 1 byte",
        ),
    ] {
        let other = tempfile::tempdir().unwrap();
        std::fs::copy(&base, other.path().join("dump.rdb")).unwrap();
        let changed = built(other.path(), "dump.rdb", change, &[]);
        let output = run(&["diff".as_ref(), base.as_os_str(), changed.as_os_str()]);
        assert_eq!(code(&output), 1, "{change:?}: {}", stdout(&output));
        assert!(
            stdout(&output)
                .lines()
                .any(|line| line == format!("  {what}")),
            "{change:?}: {}",
            stdout(&output)
        );
    }
}

#[test]
fn counts_and_examples_in_json_and_from_a_pipe() {
    let (a, b) = (
        golden("redis-7.2.4/small-nocompress.rdb"),
        golden("redis-7.2.4/empty.rdb"),
    );
    let output = run(&[
        "diff",
        "--json",
        "--examples",
        "2",
        a.to_str().unwrap(),
        b.to_str().unwrap(),
    ]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (code(&output), &found["only_in_b"]["count"]),
        (1, &Value::from(0))
    );
    assert!(
        found["only_in_a"]["count"].as_u64().unwrap() > 10,
        "{found}"
    );
    assert_eq!(found["only_in_a"]["examples"].as_array().unwrap().len(), 2);
    let output = run_piped(
        &["diff", a.to_str().unwrap(), "-"],
        &std::fs::read(&a).unwrap(),
    );
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}

#[test]
fn what_cannot_be_compared_is_exit_2() {
    let a = golden("redis-7.2.4/small-nocompress.rdb");
    let output = run(&["diff", "-", "-"]);
    assert_eq!(
        (code(&output), stderr(&output).as_str()),
        (2, "rdb-tool: both snapshots cannot come from stdin\n")
    );
    let bad = common::testdata().join("bad/truncated-0514.rdb");
    let output = run(&["diff".as_ref(), a.as_os_str(), bad.as_os_str()]);
    assert_eq!(code(&output), 2);
}

fn words(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn elements_that_differ_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let a = built(folder.path(), "a.rdb", BASE, &[]);
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(&a, other.path().join("dump.rdb")).unwrap();
    let change = "LSET l 1 B\r\nSREM t x\r\nSADD t w\r\nHSET h f V\r\nHDEL h g\r\nHSET h n 1\r\nZADD z 9 b\r\nXADD st 2-1 f w\r\nSET s help KEEPTTL";
    let b = built(other.path(), "dump.rdb", change, &[]);
    let [a, b] = [words(&a), words(&b)];
    let text = stdout(&run(&["diff", "--elements", "3", &a, &b]));
    for lines in [
        "key \"h\": value, 2 fields on both sides\n    ~ \"f\"\n    - \"g\"\n    + \"n\"\n",
        "key \"l\": value, 3 elements on both sides\n    - \"b\"\n    + \"B\"\n",
        "key \"s\": value, 5 bytes and 4 bytes\n    ~ \"from byte 3 on\"\n",
        "key \"st\": value, 1 entry and 2 entries\n    ~ \"last id\"\n    + \"2-1\"\n",
        "key \"t\": value, 3 members on both sides\n    - \"x\"\n    + \"w\"\n",
        "key \"z\": value, 3 members on both sides\n    ~ \"b\"\n",
    ] {
        assert!(text.contains(lines), "{lines}: {text}");
    }
    std::fs::copy(&a, folder.path().join("expiry.rdb")).unwrap();
    let expiry = built(folder.path(), "expiry.rdb", "EXPIREAT s 9999999999", &[]);
    let text = stdout(&run(&[
        "diff",
        "--elements",
        "3",
        &a,
        expiry.to_str().unwrap(),
    ]));
    assert!(text.contains("key \"s\": expiry"), "{text}");
    assert!(
        !text.contains("from byte"),
        "only the expiry is another: {text}"
    );
    let words = ["diff", "--elements", "1", "--json", &a, &b];
    let found: Value = serde_json::from_slice(&run(&words).stdout).unwrap();
    let hash = &found["different"]["examples"][0];
    assert_eq!(hash["key"], "h", "{found}");
    let expected = serde_json::json!({"removed": 1, "added": 1, "changed": 1, "first": [{"change": "changed", "element": "f"}]});
    assert_eq!(hash["elements"], expected);
}

/// A server that holds one file gets the commands, and has the data of the other then.
fn patched(a: &str, b: &str) {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let patch = words(&folder.path().join("patch"));
    let held = ["--not-type", "module", "--not-ttl", "expired"];
    let output = run(&[&["diff", "--patch", &patch][..], &held, &[a, b]].concat());
    let told = format!("{a} {b}: {}", stderr(&output));
    assert_ne!(code(&output), 2, "{told}");
    std::fs::copy(a, folder.path().join("dump.rdb")).unwrap();
    std::fs::copy(b, other.path().join("dump.rdb")).unwrap();
    let soon = ["--repl-diskless-sync-delay", "0"];
    let [server, wanted] = [&folder, &other].map(|folder| RealServer::start(folder.path(), &soon));
    server.send(&std::fs::read(&patch).unwrap());
    let digest = |server: &RealServer| server.ask("DEBUG DIGEST");
    // A negative zero that a packed sorted set was loaded with is none when it is added: the digest tells them apart.
    let has_negative_zero = [a, b].iter().any(|file| file.ends_with("all.rdb"));
    assert!(
        has_negative_zero || digest(&server) == digest(&wanted),
        "{told}"
    );
    let url = format!("redis://127.0.0.1:{}", server.port);
    let output = run(&[&["diff"], &held[..], &[b, &url]].concat());
    assert_eq!(code(&output), 0, "{told}: {}", stdout(&output));
}

#[test]
fn a_patch_makes_one_of_the_other() {
    let path = |name: &str| words(&golden(name));
    let [small, all, old] = [
        "redis-7.0.15/small-nocompress.rdb",
        "redis-5.0.14/all.rdb",
        "redis-2.4.18/all.rdb",
    ]
    .map(path);
    let [lru, older] = ["redis-7.0.15/lru.rdb", "redis-6.2.16/small-nocompress.rdb"].map(path);
    let pairs = [
        (&small, &all),
        (&all, &old),
        (&small, &lru),
        (&lru, &older),
        (&older, &small),
    ];
    for (a, b) in pairs {
        patched(a, b);
    }
    let folder = tempfile::tempdir().unwrap();
    let a = built(folder.path(), "a.rdb", BASE, &[]);
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(&a, other.path().join("dump.rdb")).unwrap();
    let change = "LSET l 1 B\r\nSREM t x y z\r\nSADD t w\r\nHSET h f V\r\nHDEL h g\r\nZADD z 9 b\r\nZREM z a\r\nXADD st 2-1 f w\r\nXGROUP CREATE st g 0\r\nPERSIST s\r\nPEXPIREAT n 4102444800000\r\nSET h2 x\r\nSELECT 3\r\nDEL s";
    let b = built(other.path(), "dump.rdb", change, &[]);
    patched(&words(&a), &words(&b));
    patched(&words(&b), &words(&a));
    // An expiry that comes or goes with another value.
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let timed = "HSET h f v g w\r\nPEXPIREAT h 4102444800000\r\nSADD t a b";
    let a = built(one.path(), "a.rdb", timed, &[]);
    let timed = "HSET h f x g w\r\nSADD t a c\r\nPEXPIREAT t 4102444800000";
    let b = built(two.path(), "b.rdb", timed, &[]);
    patched(&words(&a), &words(&b));
    patched(&words(&b), &words(&a));
}

/// What the report says, without memory and with as little as can be.
#[test]
fn parts_on_disk_find_what_memory_finds() {
    let [a, b] = ["redis-5.0.14/all.rdb", "redis-7.2.4/all.rdb"].map(|name| words(&golden(name)));
    let by_prefix = ["--by-prefix", ":", "--examples", "1000", "--json"];
    let report = |memory: &str| {
        let words = [&["diff", "--memory", memory][..], &by_prefix, &[&a, &b]].concat();
        let output = run(&words);
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        stdout(&output)
    };
    let whole = report("1gb");
    assert_eq!(whole, report("0"));
    assert_eq!(whole, report("10kb"));
    let found: Value = serde_json::from_str(&whole).unwrap();
    let sum = |field: &str| {
        let rows = found["by_prefix"].as_array().unwrap().iter();
        rows.map(|row| row[field].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(sum("equal"), found["equal"], "{whole}");
    assert_eq!(sum("different"), found["different"]["count"]);
    assert_eq!(sum("only_in_a"), found["only_in_a"]["count"]);
    assert!(sum("only_in_b") > 0);
    let text = stdout(&run(&["diff", "--by-prefix", ":", &a, &b]));
    assert!(text.contains("prefix "), "{text}");
}

#[test]
fn data_of_modules_outside_the_keys_and_times_count() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.rdb", "b.rdb"].map(|name| words(&folder.path().join(name)));
    let module = common::testdata().join("bad/module-aux-unknown.rdb");
    let bytes = std::fs::read(&module).unwrap();
    std::fs::write(&a, &bytes).unwrap();
    let output = run(&[
        "convert",
        "--force",
        "--to",
        "11",
        "--drop-unsupported",
        "-o",
        &b,
        &a,
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = run(&["diff", &a, &b]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("data of the module type "), "{text}");
    let with_expiry = |ms: i64| {
        let bytes = [
            b"REDIS0009\xfe\0\xfc",
            &ms.to_le_bytes()[..],
            b"\0\x01k\x01v\xff\0\0\0\0\0\0\0\0",
        ];
        bytes.concat()
    };
    std::fs::write(&a, with_expiry(4_102_444_800_000)).unwrap();
    std::fs::write(&b, with_expiry(4_102_444_805_000)).unwrap();
    let drift = |drift: &str| code(&run(&["diff", "--ttl-drift", drift, &a, &b]));
    assert_eq!((drift("4999ms"), drift("5s")), (1, 0));
}

/// What is no key is told apart from keys, in all totals.
#[test]
fn libraries_are_counted_as_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.rdb", "b.rdb"].map(|name| words(&folder.path().join(name)));
    let snapshot = |libraries: &[&str], keys: &[&str]| {
        let mut bytes = b"REDIS0010".to_vec();
        for library in libraries {
            bytes.extend([0xf5, library.len() as u8]);
            bytes.extend(library.as_bytes());
        }
        bytes.extend(b"\xfe\0");
        for key in keys {
            bytes.extend([&[0, key.len() as u8], key.as_bytes(), b"\x01v"].concat());
        }
        bytes.extend(b"\xff\0\0\0\0\0\0\0\0");
        bytes
    };
    let [one, two, three, other] = [
        "#!lua name=one\n",
        "#!lua name=two\n",
        "#!lua name=three\n",
        "#!lua name=two\n--",
    ];
    std::fs::write(&a, snapshot(&[one, two, three], &["x:1", "y"])).unwrap();
    std::fs::write(&b, snapshot(&[one, other], &["x:1", "z", "w"])).unwrap();
    let output = run(&["diff", "--by-prefix", ":", &a, &b]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1, "{text}");
    for line in [
        "a.rdb: 1 key and 1 function library\n",
        "b.rdb: 2 keys\n",
        "different: 0 keys and 1 function library\n",
        "equal: 1 key and 1 function library\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let output = run(&["diff", "--json", "--by-prefix", ":", &a, &b]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let only_a = &found["only_in_a"];
    assert_eq!(
        (&only_a["count"], &only_a["libraries"]),
        (&1.into(), &1.into())
    );
    assert_eq!(found["different"]["count"], 0);
    assert_eq!(found["different"]["libraries"], 1);
    assert_eq!(
        (&found["equal"], &found["equal_libraries"]),
        (&1.into(), &1.into())
    );
    let by_prefix = found["by_prefix"].as_array().unwrap();
    let all = |name: &str| {
        by_prefix
            .iter()
            .map(|one| one[name].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        [
            all("only_in_a"),
            all("only_in_b"),
            all("different"),
            all("equal")
        ],
        [1, 2, 0, 1]
    );
    std::fs::write(&a, snapshot(&[one], &["x:1"])).unwrap();
    std::fs::write(&b, snapshot(&[one, two], &["x:1"])).unwrap();
    assert_eq!(
        code(&run(&["diff", &a, &b])),
        1,
        "a library alone is a difference"
    );
}
