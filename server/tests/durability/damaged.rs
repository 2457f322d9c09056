//! Damaged files end the start with a line that says where, and stay as they are; odd but good ones load.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::support::process::Ended;
use crate::support::{Folder, Setup};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/bad")
        .join(name)
}

fn expectations(name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(golden(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn refused(ended: &Ended, name: &str, file: &str) {
    assert_eq!(ended.status.code(), Some(1), "{name}:\n{}", ended.log);
    assert!(
        !ended.log.contains("Ready to accept"),
        "{name}:\n{}",
        ended.log
    );
    let told = ended
        .log
        .lines()
        .any(|line| line.contains(file) && line.contains("offset"));
    assert!(told, "{name}: no line with file and offset:\n{}", ended.log);
}

/// Snapshots that are damage for a reader of every version, or only for the server that the expectation is about; and
/// what ours cannot hold yet (streams), which is a refusal all the same.
fn must_be_refused(expectation: &Json) -> bool {
    expectation["kind"] != "none" && expectation["loads_sanitize"] == false
}

#[test]
fn damaged_snapshots_are_refused_with_file_and_offset() {
    let mut refusals = 0;
    for expectation in expectations("expect-rdb.jsonl")
        .iter()
        .filter(|e| must_be_refused(e))
    {
        let name = expectation["file"].as_str().unwrap();
        // Good files of other servers: newer versions and databases beyond the number configured.
        if ["version-12.rdb", "magic-valkey-80.rdb"].contains(&name) {
            continue;
        }
        let folder = Folder::new();
        folder.copy_in(&golden(name), "dump.rdb");
        let ended = Setup::cairn(&folder).run();
        refused(&ended, name, "dump.rdb");
        assert!(
            ended.log.contains("Fatal error loading"),
            "{name}:\n{}",
            ended.log
        );
        assert_eq!(
            std::fs::read(folder.data().join("dump.rdb")).unwrap(),
            std::fs::read(golden(name)).unwrap(),
            "{name}"
        );
        assert_eq!(folder.names(), ["dump.rdb"], "{name}");
        refusals += 1;
    }
    assert!(refusals > 90, "{refusals} files");
}

/// A score that is no number is 0 to 7.2.4, and damage to ours: nobody can know what it was.
const NO_SCORE: &str = "lp-zset-badscore.rdb";

#[test]
fn snapshots_that_the_reference_takes_load() {
    let mut loads = 0;
    for expectation in expectations("expect-rdb.jsonl")
        .iter()
        .filter(|e| e["loads_sanitize"] == true)
    {
        let name = expectation["file"].as_str().unwrap();
        let folder = Folder::new();
        folder.copy_in(&golden(name), "dump.rdb");
        if name == NO_SCORE {
            refused(&Setup::cairn(&folder).run(), name, "dump.rdb");
            continue;
        }
        let server = Setup::cairn(&folder).start();
        server.connect().good("PING");
        let loaded = format!("keys loaded: {},", expectation["keys_loaded"]);
        assert!(server.log().contains(&loaded), "{name}: {}", server.log());
        loads += 1;
    }
    assert!(loads >= 23, "{loads} files");
}

#[test]
fn the_line_names_the_key() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--rdbcompression no").start();
    let mut connection = server.connect();
    connection.good("HSET the-damaged-one field value");
    connection.good("SAVE");
    server.kill();
    let file = folder.data().join("dump.rdb");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes
        .windows(5)
        .position(|window| window == b"field")
        .unwrap();
    bytes[at - 1] = 0xff;
    std::fs::write(&file, &bytes).unwrap();
    let ended = Setup::cairn(&folder).run();
    refused(&ended, "a bent listpack", "dump.rdb");
    assert!(ended.log.contains("the-damaged-one"), "{}", ended.log);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

/// Logs that 7.2.4 takes although they are wrong: SELECT, MULTI and EXEC that answer an error.
fn is_lenient(expectation: &Json) -> bool {
    expectation["kind"] == "aof-format" && expectation["loads"] == true
}

/// A log with a command that a client would be refused. 7.2.4 takes it, without that command: ours does not start with
/// data that is not that of the origin.
const REFUSED_COMMAND: &str = "aof-wrongtype.aof";

#[test]
fn damaged_logs_are_refused_torn_ones_are_cut() {
    let (mut refusals, mut loads) = (0, 0);
    for expectation in expectations("expect-aof.jsonl") {
        let name = expectation["file"].as_str().unwrap();
        if !name.ends_with(".aof")
            || is_lenient(&expectation)
            || expectation["preamble_end"].is_number()
        {
            continue;
        }
        let folder = Folder::new();
        let logs = folder.data().join("appendonlydir");
        std::fs::create_dir(&logs).unwrap();
        let file = logs.join("appendonly.aof.1.incr.aof");
        std::fs::copy(golden(name), &file).unwrap();
        std::fs::write(
            logs.join("appendonly.aof.manifest"),
            "file appendonly.aof.1.incr.aof seq 1 type i\n",
        )
        .unwrap();
        let before = std::fs::read(&file).unwrap();
        if expectation["loads"] == true && name != REFUSED_COMMAND {
            let server = Setup::cairn(&folder).with("--appendonly yes").start();
            let valid = expectation["valid_end"].as_u64().unwrap();
            assert_eq!(
                std::fs::metadata(&file).unwrap().len(),
                valid,
                "{name}:\n{}",
                server.log()
            );
            loads += 1;
        } else {
            let ended = Setup::cairn(&folder).with("--appendonly yes").run();
            refused(&ended, name, "appendonly.aof.1.incr.aof");
            assert_eq!(std::fs::read(&file).unwrap(), before, "{name}");
            refusals += 1;
        }
    }
    assert!(
        refusals >= 14 && loads >= 14,
        "{refusals} refused, {loads} loaded"
    );
}

#[test]
fn manifests_are_taken_or_refused_as_the_reference_does() {
    let mut seen = 0;
    for expectation in expectations("expect-aof.jsonl") {
        let name = expectation["file"].as_str().unwrap();
        if !golden(name).is_dir() {
            continue;
        }
        let folder = Folder::new();
        folder.copy_in(&golden(name), "appendonlydir");
        let before = folder.names();
        let damaged = expectation["damaged"].as_str();
        // Line ends of another system: the check calls it damage, the reference takes it.
        if expectation["loads"] == true && name != "manifest-crlf" {
            let server = Setup::cairn(&folder).with("--appendonly yes").start();
            assert!(server.connect().int("DBSIZE") > 0, "{name}");
        } else if name != "manifest-crlf" {
            let ended = Setup::cairn(&folder).with("--appendonly yes").run();
            assert_eq!(ended.status.code(), Some(1), "{name}:\n{}", ended.log);
            let damaged = damaged.unwrap_or("appendonly.aof.manifest");
            assert!(
                ended.log.contains(damaged),
                "{name}: {damaged} is not named:\n{}",
                ended.log
            );
            assert_eq!(folder.names(), before, "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 28, "{seen} folders");
}
