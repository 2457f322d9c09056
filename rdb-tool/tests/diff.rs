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
