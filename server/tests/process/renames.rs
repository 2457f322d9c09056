//! `rename-command`: clients reach a command by another name, or not at all; the log and COMMAND keep its own.

use std::process::Command;

use crate::shown;
use crate::support::process::Program;
use crate::support::{Folder, Setup};

const LINES: &str = "--rename-command get '' --rename-command config Secret --rename-command set store --rename-command del get";

#[test]
fn renamed_commands_answer_as_those_of_the_reference() {
    let mut said = Vec::new();
    for program in [Program::Cairn, Program::Reference] {
        let folder = Folder::new();
        let server = Setup::new(program, &folder).with(LINES).start();
        let mut client = server.connect();
        let mut replies = Vec::new();
        for line in [
            "CONFIG GET maxmemory",
            "secret get maxmemory",
            "SECRET GET",
            "secret nonsense",
            "set a b",
            "STORE a b",
            "store a",
            "get a",
            "get a b",
            "del a",
            "COMMAND INFO set",
            "COMMAND INFO config",
            "COMMAND GETKEYS store k v",
            "COMMAND GETKEYS set k v",
            "COMMAND LIST FILTERBY PATTERN set",
            "COMMAND LIST FILTERBY PATTERN store",
            "MULTI",
            "store x y",
            "set x y",
            "EXEC",
        ] {
            replies.push((line, client.line(line)));
        }
        let stats = client.text("INFO commandstats");
        assert!(
            stats.contains("cmdstat_set:calls=1") && !stats.contains("cmdstat_store"),
            "{stats}"
        );
        let help = shown(&client.good("SECRET HELP"));
        assert!(help.contains("SECRET <subcommand>"), "{help}");
        said.push(replies);
        server.stop();
    }
    for (ours, theirs) in said[0].iter().zip(&said[1]) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn what_is_taken_away_is_in_no_list_and_what_is_renamed_counts_once() {
    let count = |options: &str| {
        let folder = Folder::new();
        let server = Setup::cairn(&folder).with(options).start();
        let count = server.connect().int("COMMAND COUNT");
        server.stop();
        count
    };
    assert_eq!(count("") - 1, count(LINES));
}

#[test]
fn the_log_has_the_names_that_every_server_knows() {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder).with("--appendonly yes --rdb-save-version 10");
    let server = setup.clone().with(LINES).start();
    let mut client = server.connect();
    client.good("STORE a 1");
    client.good("STORE b 2");
    client.good("GET b");
    client.good("MULTI");
    client.good("Store c 3");
    client.good("EXEC");
    client.good("XGROUP CREATE s g $ MKSTREAM");
    server.stop();
    let log = std::fs::read_to_string(folder.log_file(".incr.aof")).unwrap();
    assert!(!log.to_lowercase().contains("store"), "{log}");
    assert_eq!(
        log.to_lowercase().matches("$3\r\nset\r\n").count(),
        3,
        "{log}"
    );
    // With other names, with the same ones, and in the reference.
    let same = setup.clone().with(LINES);
    for setup in [
        setup,
        same,
        Setup::reference(&folder).with("--appendonly yes"),
    ] {
        let server = setup.start();
        let mut client = server.connect();
        let values = shown(&client.good("MGET a b c"));
        assert_eq!(values, "1 Null 3");
        server.stop();
    }
}

#[test]
fn a_log_that_the_reference_wrote_by_new_names_is_read_with_them() {
    let folder = Folder::new();
    let server = Setup::reference(&folder)
        .with("--appendonly yes --rename-command set store")
        .start();
    server.connect().good("STORE a 1");
    server.stop();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --rename-command set store")
        .start();
    assert_eq!(server.connect().text("GET a"), "1");
    server.stop();
}

#[test]
fn lines_that_cannot_be_followed_end_the_start_with_their_number() {
    for (lines, number, why) in [
        (
            "port 0\nrename-command nosuch x",
            2,
            "No such command in rename-command",
        ),
        (
            "rename-command get set",
            1,
            "Target command name already exists",
        ),
        (
            "rename-command get GETSET",
            1,
            "Target command name already exists",
        ),
        (
            "rename-command get a\nrename-command get b",
            2,
            "No such command in rename-command",
        ),
        (
            "rename-command get",
            1,
            "Bad directive or wrong number of arguments",
        ),
    ] {
        let folder = Folder::new();
        let path = folder.path("server.conf");
        std::fs::write(&path, lines).unwrap();
        for program in [env!("CARGO_BIN_EXE_cairn-server"), "/usr/bin/redis-server"] {
            let output = Command::new(program).arg(&path).output().unwrap();
            let said =
                String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{program} {lines}: {said}");
            assert!(
                said.contains(&format!("at line {number}\n")),
                "{program} {lines}: {said}"
            );
            assert!(said.contains(why), "{program} {lines}: {said}");
        }
    }
}

/// The reference ends with a failed assertion here.
#[test]
fn a_subcommand_has_no_name_of_its_own_to_change() {
    let folder = Folder::new();
    let ended = Setup::cairn(&folder)
        .with("--rename-command config|get x")
        .run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.log.contains("No such command in rename-command"),
        "{}",
        ended.log
    );
}

#[test]
fn the_lines_stay_when_the_file_is_rewritten() {
    let folder = Folder::new();
    let path = folder.path("server.conf");
    std::fs::write(
        &path,
        "rename-command get fetch\nrename-command flushall \"\"\n",
    )
    .unwrap();
    for _ in 0..2 {
        let server = Setup::cairn(&folder).only(path.to_str().unwrap()).start();
        let mut client = server.connect();
        client.good("FETCH a");
        assert!(client.error("GET a").contains("unknown command"));
        assert!(client.error("FLUSHALL").contains("unknown command"));
        client.good("CONFIG REWRITE");
        server.stop();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("rename-command").count(), 2, "{text}");
}
