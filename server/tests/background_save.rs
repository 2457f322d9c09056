//! What else happens while a background save is under way.

mod support;

use support::{Connection, Folder, Setup, wait_until};

fn persistence(c: &mut Connection, name: &str) -> String {
    c.info("persistence")[name].clone()
}

fn is_saving(c: &mut Connection) -> bool {
    persistence(c, "rdb_bgsave_in_progress") == "1"
}

/// Keys are written so slowly that no save ends by itself while a test looks.
const SLOW: &str = "CONFIG SET rdb-key-save-delay 10000000";

#[test]
fn flushall_ends_it_and_the_changes_stay_counted() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--save ").start();
    let mut c = server.connect();
    for i in 0..1000 {
        c.good(&format!("SET k{i} v"));
    }
    c.good(SLOW);
    c.good("BGSAVE");
    assert!(is_saving(&mut c));
    c.good("FLUSHALL");
    assert!(!is_saving(&mut c), "it ends before the reply");
    let changes: u64 = persistence(&mut c, "rdb_changes_since_last_save")
        .parse()
        .expect("a number");
    assert!(changes > 1999, "nothing was saved: {changes}");
    assert_eq!(persistence(&mut c, "rdb_last_bgsave_status"), "ok");
    c.good("SET x v");
    assert!(!folder.names().contains(&"dump.rdb".to_string()));
    assert_eq!(
        folder
            .names()
            .iter()
            .filter(|n| n.starts_with("temp-"))
            .count(),
        0
    );
    c.good("CONFIG SET rdb-key-save-delay 0");
    c.good("BGSAVE");
    c.wait_for_children();
    assert_eq!(persistence(&mut c, "rdb_changes_since_last_save"), "0");
}

/// As in Redis the empty data set is saved by FLUSHALL itself, so that a start cannot bring back what is gone.
#[test]
fn flushall_with_save_points_saves_and_is_logged() {
    let folder = Folder::new();
    let options = "--save 3600 1000 --appendonly yes";
    let server = Setup::cairn(&folder).with(options).start();
    let mut c = server.connect();
    c.good("SET k v");
    c.good("SAVE");
    let full = std::fs::metadata(folder.data().join("dump.rdb")).expect("it was saved");
    c.good("FLUSHALL");
    let empty = std::fs::metadata(folder.data().join("dump.rdb")).expect("it was saved");
    assert!(empty.len() < full.len());
    assert_eq!(persistence(&mut c, "rdb_changes_since_last_save"), "0");
    c.good("SET after v");
    server.kill();
    let server = Setup::cairn(&folder).with(options).start();
    let mut c = server.connect();
    assert_eq!(c.int("DBSIZE"), 1, "the log has the flush, too");
    assert_eq!(c.text("GET after"), "v");
}

#[test]
fn a_client_that_is_killed_meanwhile_is_gone_at_once() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--save ").start();
    let (mut c, mut other) = (server.connect(), server.connect());
    c.good("SET k v");
    c.good(SLOW);
    c.good("BGSAVE");
    let id = other.int("CLIENT ID");
    assert_eq!(c.int(&format!("CLIENT KILL ID {id}")), 1);
    // The child has no copy of the socket that would keep it open.
    assert!(other.read_to_end().is_empty());
    assert!(is_saving(&mut c));
    c.good("FLUSHALL");
    wait_until("the save ends", || !is_saving(&mut c));
}
