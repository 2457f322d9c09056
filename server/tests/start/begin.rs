//! Lines of the log and their order, what is answered while loading, ports that are taken.

use cairn_format::resp::value::{Value, write_command};

use crate::support::process::Server;
use crate::support::{Connection, Folder, Setup, wait_until};

/// Where each of `texts` begins in the log; they must come in this order.
fn in_order(log: &str, texts: &[&str]) {
    let mut from = 0;
    for text in texts {
        match log[from..].find(text) {
            Some(at) => from += at + text.len(),
            None => panic!("`{text}` is missing behind byte {from} of\n{log}"),
        }
    }
}

/// Fills a folder with a snapshot of `keys` keys.
fn with_snapshot(keys: usize) -> Folder {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    let mut out = Vec::new();
    for i in 0..keys {
        write_command(&mut out, &["SET", &format!("key:{i}"), "value"]);
    }
    connection.send(&out);
    for _ in 0..keys {
        connection.read();
    }
    connection.good("SAVE");
    server.kill();
    folder
}

#[test]
fn the_log_tells_pid_start_load_and_readiness_in_this_order() {
    let folder = with_snapshot(10);
    let server = Setup::cairn(&folder).with("--always-show-logo yes").start();
    let pid = format!(" PID: {}\n", server.pid());
    in_order(
        &server.log(),
        &[
            &pid,
            "Server initialized",
            "Done loading RDB, keys loaded: 10, keys expired: 0.",
            "DB loaded from",
            "Ready to accept connections",
        ],
    );
    assert_eq!(server.log().matches("Ready to accept").count(), 1);
    let log = server.log();
    let first = log.lines().next().unwrap();
    assert!(!first.contains("already in use"), "{first}");
    // It says where it listens and where its data lives.
    assert!(log.contains(&server.port.to_string()), "{log}");
    assert!(log.contains(folder.data().to_str().unwrap()), "{log}");
}

#[test]
fn an_inline_ping_is_answered() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.send(b"PING\r\n");
    assert_eq!(connection.read(), Value::Simple(b"PONG".into()));
}

/// A client of a server that loads for a while; `None` if the load was over too soon to see.
fn loading(server: &Server) -> Connection {
    server.wait_for_log("Server initialized");
    let mut connection = None;
    wait_until("a connection", || {
        connection = server.try_connect().ok();
        connection.is_some()
    });
    connection.unwrap()
}

#[test]
fn while_loading_most_commands_are_put_off() {
    let folder = with_snapshot(1000);
    // A thousand keys, 5 ms each.
    let server = Setup::cairn(&folder).with("--key-load-delay 5000").launch();
    let mut connection = loading(&server);
    connection.send(b"PING\r\n");
    let loading = "LOADING Redis is loading the dataset in memory";
    assert_eq!(connection.read(), Value::Error(loading.into()));
    assert_eq!(connection.error("GET key:1"), loading);
    assert_eq!(connection.error("SET key:1 other"), loading);
    connection.good("SELECT 0");
    let info = connection.info("persistence");
    assert_eq!(info["loading"], "1");
    assert!(!server.log().contains("Ready to accept"));
    // What is set while loading holds for the rest of the load.
    connection.good("CONFIG SET key-load-delay 0");
    server.wait_for_log("Ready to accept connections");
    assert_eq!(connection.text("GET key:1"), "value");
    assert_eq!(connection.info("persistence")["loading"], "0");
    assert_eq!(connection.int("DBSIZE"), 1000);
    server.stop();
}

#[test]
fn a_signal_ends_the_server_while_it_loads() {
    let folder = with_snapshot(1000);
    let before = std::fs::read(folder.data().join("dump.rdb")).unwrap();
    let options = "--save 1 1 --key-load-delay 20000";
    let mut server = Setup::cairn(&folder).only(options).launch();
    let _connection = loading(&server);
    server.signal(libc::SIGTERM);
    let status = server.wait_end();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    // Half a data set must not replace the whole one.
    assert_eq!(
        std::fs::read(folder.data().join("dump.rdb")).unwrap(),
        before
    );
    assert!(!server.log().contains("Ready to accept"));
}

#[test]
fn a_port_in_use_is_told() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let other = Folder::new();
    let ended = Setup::cairn(&other).on_port(server.port).run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.log.contains("Failed listening on port"),
        "{}",
        ended.log
    );
    assert!(
        !ended.log.lines().next().unwrap().contains("already in use"),
        "{}",
        ended.log
    );
    assert!(!ended.log.contains("Server initialized"));
}

#[test]
fn a_second_start_in_the_same_folder_adds_to_the_log() {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder).with("--save 3600 1 --always-show-logo yes");
    setup.start().stop();
    let server = setup.start();
    wait_until("the second line", || {
        server.log().matches("Ready to accept connections").count() == 2
    });
    assert_eq!(server.log().matches(" PID: ").count(), 2);
}

#[test]
fn a_unix_socket_works_and_goes() {
    use std::io::{Read, Write};
    let folder = Folder::new();
    let path = folder.data().join("s.sock");
    let options = format!("--unixsocket {} --unixsocketperm 700", path.display());
    let server = Setup::cairn(&folder).with(&options).start();
    assert!(
        server.log().contains("Ready to accept connections unix"),
        "{}",
        server.log()
    );
    let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
    socket.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    socket.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
    server.stop();
    assert!(!path.exists());
}

#[test]
fn a_log_file_is_written_line_by_line() {
    let folder = Folder::new();
    let path = folder.path("own.log");
    std::fs::write(&path, "### earlier\n").unwrap();
    let server = Setup::cairn(&folder)
        .with(&format!("--logfile {}", path.display()))
        .launch();
    wait_until("readiness", || {
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("Ready to accept")
    });
    assert_eq!(server.log(), "", "all of it is in the file");
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("### earlier\n")
    );
    server.stop();
}

#[test]
fn a_pid_file_is_written_and_removed() {
    let folder = Folder::new();
    let path = folder.path("server.pid");
    let server = Setup::cairn(&folder)
        .with(&format!("--pidfile {}", path.display()))
        .start();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap().trim(),
        server.pid().to_string()
    );
    server.stop();
    assert!(!path.exists());
    // A place that cannot be written is no reason to stay down.
    let server = Setup::cairn(&folder)
        .with("--pidfile /proc/none/server.pid")
        .start();
    assert!(server.log().contains("Failed to write PID file"));
    server.stop();
}
