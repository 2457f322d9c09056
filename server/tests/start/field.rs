//! Logs as people had them (`testdata/field/logs`), and what a start makes of them.

use std::path::{Path, PathBuf};

use crate::support::process::copy_tree;
use crate::support::{Folder, Setup};

fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/field/logs")
        .join(name)
}

fn folder_with(name: &str, to: &str) -> Folder {
    let folder = Folder::new();
    copy_tree(&given(name), &folder.data().join(to));
    folder
}

fn with_log(folder: &Folder) -> Setup {
    Setup::cairn(folder).with("--appendonly yes")
}

#[test]
fn a_single_log_whose_first_key_is_called_file_is_a_log() {
    for name in ["preamble.aof", "resp.aof"] {
        let name = format!("log-like-a-manifest/{name}");
        let folder = folder_with(&name, "appendonly.aof");
        let server = with_log(&folder).start();
        assert!(server.connect().int("DBSIZE") > 0, "{name}");
    }
}

#[test]
fn a_snapshot_without_checksum_may_head_a_log() {
    let folder = folder_with("preamble-without-checksum/zero-crc.aof", "appendonly.aof");
    let server = with_log(&folder).start();
    assert_eq!(server.connect().int("DBSIZE"), 6);
}

#[test]
fn zeros_behind_a_torn_command_are_cut_with_it() {
    let last = "appendonlydir/appendonly.aof.2.incr.aof";
    for (name, valid) in [("appendonlydir-half", 0x34), ("appendonlydir-bulk", 0x34)] {
        let name = format!("zeros-at-the-end/{name}");
        let folder = folder_with(&name, "appendonlydir");
        let before = std::fs::read(folder.data().join(last)).unwrap();
        // Not to be cut unless the configuration allows it.
        let ended = with_log(&folder).with("--aof-load-truncated no").run();
        assert_eq!(ended.status.code(), Some(1), "{name}: {}", ended.log);
        assert_eq!(std::fs::read(folder.data().join(last)).unwrap(), before);
        let server = with_log(&folder).start();
        assert_eq!(server.connect().text("GET k9"), "v9", "{name}");
        assert!(
            server.log().contains("zero bytes fill the file"),
            "{}",
            server.log()
        );
        server.kill();
        let after = std::fs::read(folder.data().join(last)).unwrap();
        assert_eq!(after, before[..valid], "{name}");
    }
}

/// As with 7.2.4. Cutting loses nothing here either, but it is for a person to say so.
#[test]
fn zeros_behind_a_whole_command_are_refused_untouched() {
    for name in ["appendonlydir", "appendonlydir-multi"] {
        let name = format!("zeros-at-the-end/{name}");
        let folder = folder_with(&name, "appendonlydir");
        let ended = with_log(&folder).run();
        assert_eq!(ended.status.code(), Some(1), "{name}: {}", ended.log);
        assert!(
            ended
                .log
                .contains("zero bytes where a command was expected")
        );
        for part in std::fs::read_dir(given(&name)).unwrap() {
            let part = part.unwrap();
            let now = folder.data().join("appendonlydir").join(part.file_name());
            assert_eq!(
                std::fs::read(now).unwrap(),
                std::fs::read(part.path()).unwrap()
            );
        }
    }
}

#[test]
fn parts_without_their_manifest_are_refused_untouched() {
    let folder = folder_with("manifest-missing/appendonlydir", "appendonlydir");
    let ended = with_log(&folder).run();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    for said in [
        "appendonly.aof.manifest is missing",
        "appendonly.aof.1.base.rdb (63 bytes)",
        "appendonly.aof.1.incr.aof (168 bytes)",
        "aof-tool",
    ] {
        assert!(ended.log.contains(said), "{said}: {}", ended.log);
    }
    for name in ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"] {
        let path = format!("manifest-missing/appendonlydir/{name}");
        let now = folder.data().join("appendonlydir").join(name);
        assert_eq!(
            std::fs::read(now).unwrap(),
            std::fs::read(given(&path)).unwrap()
        );
    }
    assert_eq!(folder.names().len(), 2);
}

/// A log that is switched on in a running server, or rewritten while it is off, takes numbers that no file has.
#[test]
fn parts_without_their_manifest_are_left_alone_by_a_running_server() {
    let folder = folder_with("manifest-missing/appendonlydir", "appendonlydir");
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("SET live 1");
    connection.good("BGREWRITEAOF");
    server.wait_for_log("Background AOF rewrite finished successfully");
    connection.good("CONFIG SET appendonly yes");
    crate::support::wait_until("the base", || {
        connection.info("persistence")["aof_rewrite_in_progress"] == "0"
    });
    connection.good("SET more 2");
    server.kill();
    for name in ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"] {
        let path = format!("manifest-missing/appendonlydir/{name}");
        let now = folder.data().join("appendonlydir").join(name);
        assert_eq!(
            std::fs::read(now).unwrap(),
            std::fs::read(given(&path)).unwrap()
        );
    }
    let server = with_log(&folder).start();
    assert_eq!(server.connect().int("DBSIZE"), 2);
    assert!(
        server
            .log()
            .contains("appendonly.aof.1.incr.aof (168 bytes) is not listed in the manifest"),
        "{}",
        server.log()
    );
}

#[test]
fn what_is_written_behind_a_cut_transaction_is_there_at_the_next_start() {
    for name in ["appendonlydir", "appendonlydir-ts"] {
        let folder = folder_with(&format!("cut-inside-a-transaction/{name}"), "appendonlydir");
        let server = with_log(&folder).start();
        server.connect().good("SET after1 x");
        server.kill();
        let server = with_log(&folder).start();
        assert_eq!(server.connect().text("GET after1"), "x", "{name}");
    }
}

#[test]
fn a_log_switched_on_in_the_configuration_begins_with_the_snapshot() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("SET hello world");
    connection.good("SAVE");
    server.kill();
    let server = with_log(&folder).start();
    assert_eq!(server.connect().text("GET hello"), "world");
    assert!(
        server.log().contains("its base will be made from dump.rdb"),
        "{}",
        server.log()
    );
}

#[test]
fn the_last_delivered_id_of_a_group_survives_a_restart() {
    let folder = Folder::new();
    let server = with_log(&folder).start();
    let mut connection = server.connect();
    connection.good("XGROUP CREATE st g $ MKSTREAM");
    connection.good("XADD st 1-0 a b");
    connection.good("XREADGROUP GROUP g c COUNT 1 BLOCK 100 STREAMS st >");
    connection.good("XACK st g 1-0");
    let mut waiting = server.connect();
    waiting.send(b"XREADGROUP GROUP g c BLOCK 0 STREAMS st >\r\n");
    crate::support::wait_until("the waiting client", || {
        connection.info("clients")["blocked_clients"] == "1"
    });
    connection.good("XADD st 9-0 a b");
    waiting.read();
    connection.good("XACK st g 9-0");
    server.kill();
    let server = with_log(&folder).start();
    let groups = format!("{:?}", server.connect().good("XINFO GROUPS st"));
    assert!(
        groups.contains(&format!("{:?}", b"9-0".to_vec())) || groups.contains("9-0"),
        "{groups}"
    );
}
