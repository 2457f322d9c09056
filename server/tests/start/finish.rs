//! Signals and SHUTDOWN.

use cairn_format::resp::value::Value;

use crate::support::{Folder, Setup};

#[test]
fn signals_save_as_configured_and_end_with_0() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder).only("--save 3600 1").start();
        server.connect().good("SET kept 1");
        server.signal(signal);
        assert_eq!(server.wait_end().code(), Some(0), "{}", server.log());
        assert!(
            server.log().contains("ready to exit, bye bye"),
            "{}",
            server.log()
        );
        assert_eq!(folder.names(), ["dump.rdb"]);
        let server = Setup::cairn(&folder).start();
        assert_eq!(server.connect().text("GET kept"), "1");
    }
}

#[test]
fn without_save_points_nothing_is_saved() {
    let folder = Folder::new();
    let mut server = Setup::cairn(&folder).start();
    server.connect().good("SET lost 1");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_end().code(), Some(0));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn the_signal_options_decide() {
    let folder = Folder::new();
    let options = "--save 3600 1 --shutdown-on-sigint nosave --shutdown-on-sigterm save";
    let mut server = Setup::cairn(&folder).only(options).start();
    server.connect().good("SET a 1");
    server.signal(libc::SIGINT);
    assert_eq!(server.wait_end().code(), Some(0));
    assert!(folder.names().is_empty());
    let mut server = Setup::cairn(&folder)
        .with("--shutdown-on-sigterm save")
        .start();
    server.connect().good("SET a 2");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_end().code(), Some(0));
    assert_eq!(folder.names(), ["dump.rdb"]);
}

#[test]
fn shutdown_ends_the_connection_without_a_reply() {
    for (words, names) in [
        ("SHUTDOWN NOSAVE", vec![]),
        ("SHUTDOWN SAVE", vec!["dump.rdb"]),
        ("SHUTDOWN", vec![]),
    ] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder).start();
        let mut connection = server.connect();
        connection.good("SET a 1");
        connection.send(format!("{words}\r\n").as_bytes());
        assert_eq!(connection.read_to_end(), b"", "{words}");
        assert_eq!(server.wait_end().code(), Some(0), "{words}");
        assert_eq!(folder.names(), names, "{words}");
    }
}

#[test]
fn a_save_that_fails_keeps_the_server_up_unless_forced() {
    let folder = Folder::new();
    // A folder of the file's name cannot be replaced by a file.
    std::fs::create_dir_all(folder.data().join("dump.rdb/inside")).unwrap();
    let options = "--save 3600 1 --enable-debug-command yes";
    // A folder is no snapshot to load either, so the name is set later.
    let mut server = Setup::cairn(&folder)
        .only(&format!(
            "{options} --dbfilename other.rdb --enable-protected-configs yes"
        ))
        .start();
    let mut connection = server.connect();
    connection.good("SET a 1");
    connection.good("CONFIG SET dbfilename dump.rdb");
    server.signal(libc::SIGTERM);
    server.wait_for_log("Errors trying to shut down");
    assert_eq!(connection.text("GET a"), "1");
    let refused = connection.line("SHUTDOWN");
    assert!(
        matches!(&refused, Value::Error(text) if text.starts_with(b"ERR Errors trying to SHUTDOWN")),
        "{refused:?}"
    );
    connection.send(b"SHUTDOWN FORCE\r\n");
    assert_eq!(server.wait_end().code(), Some(0));
    assert!(
        !folder.names().iter().any(|name| name.starts_with("temp-")),
        "{:?}",
        folder.names()
    );
}

#[test]
fn the_log_is_complete_when_the_process_ends() {
    let folder = Folder::new();
    let options = "--appendonly yes --appendfsync no";
    let mut server = Setup::cairn(&folder).with(options).start();
    let mut connection = server.connect();
    for i in 0..100 {
        connection.good(&format!("SET key:{i} {i}"));
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_end().code(), Some(0));
    let server = Setup::cairn(&folder).with(options).start();
    assert_eq!(server.connect().int("DBSIZE"), 100);
}

#[test]
fn a_save_under_way_is_ended_and_leaves_nothing() {
    let folder = Folder::new();
    let mut server = Setup::cairn(&folder)
        .with("--rdb-key-save-delay 100000")
        .start();
    let mut connection = server.connect();
    for i in 0..1000 {
        connection.good(&format!("SET key:{i} {i}"));
    }
    connection.good("BGSAVE");
    let children = crate::support::process::children_of(server.pid());
    assert_eq!(children.len(), 1);
    let temporary = format!("temp-{}.rdb", children[0]);
    crate::support::wait_until("the child's file", || folder.names().contains(&temporary));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_end().code(), Some(0), "{}", server.log());
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}
