//! The same data from a file, a compressed file, a pipe and a server.

mod common;

use common::real_server::RealServer;
use common::{code, golden, run, run_piped, stderr, stdout, testdata};
use std::path::Path;
use std::process::Output;

fn packed(name: &str) -> String {
    testdata().join("packed").join(name).display().to_string()
}

/// What the tool says, without the name of the file.
fn without(output: &Output, name: &str) -> String {
    stdout(output).replace(name, "FILE")
}

#[test]
fn compressed_files_are_what_is_in_them() {
    let plain = testdata().join("bad/ok-base.rdb").display().to_string();
    for words in [&["verify"][..], &["inspect"], &["dump"]] {
        let expected = run(&[words, &[&plain]].concat());
        assert_eq!(code(&expected), 0);
        for name in ["ok-base.rdb.gz", "ok-base.rdb.zst", "ok-base.rdb.lz4"] {
            let path = packed(name);
            let output = run(&[words, &[&path]].concat());
            assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
            assert_eq!(without(&output, &path), without(&expected, &plain));
            let bytes = std::fs::read(&path).unwrap();
            let output = run_piped(&[words, &["-"]].concat(), &bytes);
            assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
            assert_eq!(without(&output, "stdin"), without(&expected, &plain));
        }
    }
    let output = run(&["diff", &plain, &packed("ok-base.rdb.zst")]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}

#[test]
fn what_is_compressed_and_no_snapshot_or_cut_is_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(packed("ok-base.rdb.gz")).unwrap();
    let cut = folder.path().join("cut.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = run(&["verify".as_ref(), cut.as_os_str()]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("cut.gz: incomplete deflate stream"));
    // `hello` by gzip -n.
    let other = folder.path().join("other.gz");
    let hello = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";
    std::fs::write(&other, hello).unwrap();
    let output = run(&["verify".as_ref(), other.as_os_str()]);
    let told = stderr(&output);
    assert_eq!(code(&output), 2, "{told}");
    assert!(told.contains("begins with \"hello\""), "{told}");
    assert!(
        told.contains("what is compressed in it is no snapshot"),
        "{told}"
    );
}

fn url(server: &RealServer, sign: &str) -> String {
    format!("redis://{sign}127.0.0.1:{}", server.port)
}

/// A server that has loaded a golden file.
fn loaded(folder: &Path, extra: &[&str]) -> RealServer {
    let file = golden("redis-7.0.15/lru.rdb");
    std::fs::copy(file, folder.join("dump.rdb")).unwrap();
    let soon = ["--repl-diskless-sync-delay", "0"];
    RealServer::start(folder, &[&soon[..], extra].concat())
}

#[test]
fn a_server_gives_its_data_as_to_a_replica_and_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path(), &[]);
    server.ask("SELECT 9\r\nSET later x EX 5000\r\nSAVE");
    let file = folder.path().join("dump.rdb").display().to_string();
    let url = url(&server, "");
    for way in [&[][..], &["--scan"]] {
        let output = run(&[&["diff", "--json", &file, &url], way].concat());
        let report = stdout(&output);
        assert_eq!(code(&output), 0, "{way:?}: {report}");
        let found: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert!(found["equal"].as_u64().unwrap() > 40, "{report}");
        let output = run(&[&["verify", &url], way].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    // One database, if the address says so.
    let output = run(&["dump", "--scan", "--bytes", "text", &format!("{url}/9")]);
    let lines = stdout(&output);
    let keys: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("\"db\":9"))
        .collect();
    assert!(
        keys.iter().any(|line| line.contains("\"later\"")),
        "{lines}"
    );
    assert!(!lines.contains("\"db\":0"), "{lines}");
}

#[test]
fn a_disk_and_no_disk_on_the_side_of_the_server() {
    for diskless in ["yes", "no"] {
        let folder = tempfile::tempdir().unwrap();
        let server = loaded(folder.path(), &["--repl-diskless-sync", diskless]);
        let file = folder.path().join("dump.rdb").display().to_string();
        let output = run(&["diff", &file, &url(&server, "")]);
        assert_eq!(code(&output), 0, "{diskless}: {}", stdout(&output));
    }
}

#[test]
fn a_server_that_is_not_there_or_says_no_is_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(
        folder.path(),
        &[
            "--requirepass",
            "secret",
            "--user",
            "spy",
            "on",
            ">pw",
            "~*",
            "+@all",
            "-sync",
            "-psync",
        ],
    );
    for (address, told) in [
        (url(&server, ""), "was refused: NOAUTH"),
        (url(&server, ":wrong@"), "AUTH was refused: WRONGPASS"),
        (
            "redis://127.0.0.1:1".to_owned(),
            "could not connect: connection refused",
        ),
        (
            "rediss://127.0.0.1:1".to_owned(),
            "could not connect: connection refused",
        ),
    ] {
        let output = run(&["inspect", &address]);
        assert_eq!(code(&output), 2, "{address}");
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
        assert!(!stderr(&output).contains("wrong@"), "{}", stderr(&output));
    }
    let spy = url(&server, "spy:pw@");
    let output = run(&["inspect", &spy]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("hint: --scan "),
        "{}",
        stderr(&output)
    );
    let output = run(&["inspect", "--scan", &spy]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = common::tool()
        .args(["inspect", &url(&server, "")])
        .env("REDISCLI_AUTH", "secret")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_log_in_parts_is_the_data_that_it_makes() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &["--appendonly", "yes"]);
    server.ask("RPUSH l a b c\r\nSET s 1\r\nSELECT 3\r\nHSET h f v\r\nBGREWRITEAOF");
    while server
        .ask("INFO persistence")
        .contains("aof_rewrite_in_progress:1")
    {}
    server.ask("LPOP l\r\nINCR s\r\nSAVE");
    drop(server);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let snapshot = path("dump.rdb");
    for log in [
        path(""),
        path("appendonlydir"),
        path("appendonlydir/appendonly.aof.manifest"),
    ] {
        let output = run(&["diff", &snapshot, &log]);
        assert_eq!(
            code(&output),
            0,
            "{log}: {} {}",
            stdout(&output),
            stderr(&output)
        );
        assert!(stdout(&output).contains("equal: 3 keys"));
        assert_eq!(code(&run(&["inspect", &log])), 0);
    }
    let out = path("out.rdb");
    let log = path("appendonlydir");
    let output = run(&["convert", "--force", "--to", "redis-6.2", "-o", &out, &log]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(code(&run(&["diff", &snapshot, &out])), 0);
    // Each part is checked by the tool for logs.
    let output = run(&["verify", &log]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("`aof-tool check "),
        "{}",
        stderr(&output)
    );
    std::fs::write(
        path("appendonlydir/appendonly.aof.manifest"),
        "file gone seq 1 type b\n",
    )
    .unwrap();
    let output = run(&["inspect", &log]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("gone: no such file"),
        "{}",
        stderr(&output)
    );
}
