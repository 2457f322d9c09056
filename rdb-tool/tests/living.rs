//! Living servers judge what is written for them: they load it, and what they save is the same data.
//!
//! Each runs as a replica whose primary is not there: such a server keeps what has expired, as the files of the corpus have it.

mod common;

use common::real_server::{Program, RealServer};
use common::{all_golden, code, run, stderr, stdout};
use std::fs;
use std::path::Path;

/// Writable, and with the databases that files of the corpus use.
const OPTIONS: [&str; 8] = [
    "--replicaof",
    "127.0.0.1 1",
    "--replica-read-only",
    "no",
    "--databases",
    "200",
    "--rdbcompression",
    "yes",
];

fn ok(words: &[&str]) -> String {
    let output = run(words);
    let told = format!("{words:?}: {}{}", stdout(&output), stderr(&output));
    assert_eq!(code(&output), 0, "{told}");
    told
}

/// Converts `from`, has the server load it, and compares with what it saves then.
fn judge(server: &RealServer, folder: &Path, to: &str, from: &Path) {
    let (written, loaded) = (folder.join("written.rdb"), folder.join("dump.rdb"));
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    ok(&[
        "convert",
        "--force",
        "--to",
        to,
        "--drop-unsupported",
        "-o",
        &words(&written),
        &words(from),
    ]);
    fs::copy(&written, &loaded).unwrap();
    let context = || format!("{to} from {}", from.display());
    // Libraries are not part of the data that a reload clears.
    server.ask("FUNCTION FLUSH");
    let reply = server.ask("DEBUG RELOAD NOSAVE");
    assert!(reply.starts_with("+OK"), "{}: {reply}", context());
    let reply = server.ask("SAVE");
    assert!(reply.starts_with("+OK"), "{}: {reply}", context());
    ok(&["diff", &words(&written), &words(&loaded)]);
    ok(&["verify", &words(&loaded)]);
}

/// What the server says when it is asked for each key is the same, too.
fn judge_alive(server: &RealServer, folder: &Path) {
    let url = format!("redis://127.0.0.1:{}", server.port);
    let written = folder.join("written.rdb").to_str().unwrap().to_owned();
    ok(&["diff", "--scan", "--not-ttl", "expired", &written, &url]);
}

/// Every file of the corpus in the newest form for the server, and files of all ages in every older form.
fn judges(program: Program, newest: &str, older: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start_program(program, folder.path(), &OPTIONS);
    let files = all_golden();
    for from in &files {
        judge(&server, folder.path(), newest, from);
        judge_alive(&server, folder.path());
    }
    let whole: Vec<_> = files
        .iter()
        .filter(|path| path.ends_with("all.rdb") || path.ends_with("small-nocompress.rdb"))
        .collect();
    assert!(whole.len() >= 19, "{whole:?}");
    for to in older {
        for from in &whole {
            judge(&server, folder.path(), to, from);
        }
    }
}

/// Those which every server reads.
const COMMON: [&str; 5] = [
    "redis-2.6",
    "redis-3.2",
    "redis-4.0",
    "redis-6.2",
    "redis-7.0",
];

#[test]
fn redis_7_0_loads_what_is_written_for_it() {
    judges(Program::Redis7, "redis-7.0", &COMMON[..4]);
}

#[test]
fn redis_8_2_loads_what_is_written_for_it() {
    let older = [&COMMON[..], &["redis-7.2", "redis-7.4"]].concat();
    judges(Program::Redis8, "redis-8.2", &older);
}

#[test]
fn valkey_8_1_loads_what_is_written_for_it() {
    judges(Program::Valkey8, "valkey-8.1", &COMMON);
}

#[test]
fn valkey_9_1_loads_what_is_written_for_it() {
    let older = [&COMMON[..], &["valkey-8.1"]].concat();
    judges(Program::Valkey9, "valkey-9.1", &older);
}
