//! systemd and upstart: whoever started the server and waits for its word.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::status_of;
use crate::support::process::Server;
use crate::support::{Folder, PATIENCE, Setup, wait_until};

/// A socket as systemd has one, and how it is called in the environment.
fn manager(folder: &Folder, is_abstract: bool) -> (UnixDatagram, String) {
    let (socket, name) = if is_abstract {
        let name = format!("cairn-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        (
            UnixDatagram::bind_addr(&address).unwrap(),
            format!("@{name}"),
        )
    } else {
        let path = folder.path("notify");
        (
            UnixDatagram::bind(&path).unwrap(),
            path.display().to_string(),
        )
    };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, name)
}

fn hear(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 200];
    let count = socket.recv(&mut bytes).expect("news of the server");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn under_systemd(folder: &Folder, name: &str, options: &str) -> Server {
    let variable = format!("NOTIFY_SOCKET={name}");
    Setup::cairn(folder)
        .under(&["env", &variable])
        .with(options)
        .start()
}

#[test]
fn systemd_hears_of_the_load_the_readiness_and_the_end() {
    for (is_abstract, options) in [
        (false, "--supervised systemd"),
        (true, "--supervised auto"),
        // Who waits for this very process gets no other one.
        (true, "--supervised systemd --daemonize yes"),
    ] {
        let folder = Folder::new();
        let (socket, name) = manager(&folder, is_abstract);
        let mut server = under_systemd(&folder, &name, options);
        assert_eq!(hear(&socket), "STATUS=Loading the data...\n", "{options}");
        assert_eq!(
            hear(&socket),
            "STATUS=Ready to accept connections\nREADY=1\n"
        );
        assert_eq!(
            server.connect().info("server")["process_id"],
            server.pid().to_string()
        );
        server.signal(libc::SIGTERM);
        assert_eq!(hear(&socket), "STATUS=Shutting down...\nSTOPPING=1\n");
        assert_eq!(server.wait_end().code(), Some(0));
        assert!(
            server.log().contains("Supervised by systemd"),
            "{}",
            server.log()
        );
    }
}

#[test]
fn systemd_hears_of_an_end_that_does_not_come() {
    let folder = Folder::new();
    let (socket, name) = manager(&folder, false);
    let server = under_systemd(&folder, &name, "--supervised systemd --save 900 1");
    hear(&socket);
    hear(&socket);
    let mut client = server.connect();
    client.good("SET a b");
    // A folder is in the way of the snapshot.
    std::fs::create_dir_all(folder.data().join("dump.rdb/x")).unwrap();
    client.error("SHUTDOWN SAVE");
    assert_eq!(hear(&socket), "STATUS=Shutting down...\nSTOPPING=1\n");
    assert_eq!(
        hear(&socket),
        "STATUS=Could not shut down, still serving\nREADY=1\n"
    );
    assert_eq!(client.text("PING"), "PONG");
}

#[test]
fn a_manager_that_does_not_listen_is_told_of_once_and_changes_nothing() {
    for name in [
        "/no/such/socket",
        "not-absolute",
        "@cairn-nobody-listens-here",
    ] {
        let folder = Folder::new();
        let server = under_systemd(&folder, name, "--supervised systemd");
        assert_eq!(server.connect().text("PING"), "PONG");
        let log = server.stop();
        assert_eq!(log.matches("cannot be told").count(), 1, "{log}");
        assert!(log.contains(name), "{log}");
    }
}

#[test]
fn a_manager_that_is_not_there_is_told_of() {
    for (options, variable) in [
        ("--supervised systemd", "NOTIFY_SOCKET not found"),
        ("--supervised upstart", "UPSTART_JOB not found"),
    ] {
        let folder = Folder::new();
        let wrapper = ["env", "-u", "NOTIFY_SOCKET", "-u", "UPSTART_JOB"];
        let server = Setup::cairn(&folder).under(&wrapper).with(options).start();
        let log = server.stop();
        assert!(log.contains(variable), "{log}");
    }
}

#[test]
fn upstart_sees_the_process_stop_when_it_is_ready() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .under(&["env", "UPSTART_JOB=cairn"])
        .with("--supervised upstart")
        .start();
    wait_until("the process stands still", || {
        status_of(server.pid(), "State").starts_with('T')
    });
    server.signal(libc::SIGCONT);
    let mut client = server.connect();
    client
        .stream()
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(client.text("PING"), "PONG");
    server.stop();
}
