//! `daemonize` and pid files.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;

use crate::support::process::free_port;
use crate::support::{Connection, Folder, Setup, wait_until};
use crate::{in_own_mounts, proc_file};

fn connect(port: u16) -> Connection {
    Connection::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap())
}

/// Ends a server that is nobody's child.
fn end(mut client: Connection, pid: u32) {
    client.send(b"SHUTDOWN NOSAVE\r\n");
    client.read_to_end();
    wait_until("the process is gone", || {
        !PathBuf::from(format!("/proc/{pid}")).exists()
    });
}

#[test]
fn the_start_returns_when_the_server_listens_and_the_server_goes_on_alone() {
    let folder = Folder::new();
    let (pidfile, log) = (folder.path("server.pid"), folder.path("server.log"));
    let options = format!(
        "--daemonize yes --pidfile {} --logfile {}",
        pidfile.display(),
        log.display()
    );
    let port = free_port();
    let ended = Setup::cairn(&folder).with(&options).on_port(port).run();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(ended.log, "", "the log is a file");
    let mut client = connect(port);
    assert_eq!(client.text("PING"), "PONG");
    let pid: u32 = std::fs::read_to_string(&pidfile)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(client.info("server")["process_id"], pid.to_string());
    for standard in 0..3 {
        let file = std::fs::read_link(format!("/proc/{pid}/fd/{standard}")).unwrap();
        assert_eq!(file, PathBuf::from("/dev/null"));
    }
    let stat = proc_file(pid, "stat");
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3);
    assert_eq!(
        session,
        Some(pid.to_string().as_str()),
        "a session of its own"
    );
    end(client, pid);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains(&format!("{pid}:M ")) && !log.contains(&format!("{pid}:C ")),
        "{log}"
    );
    assert!(
        log.contains("Removing the pid file.") && !pidfile.exists(),
        "{log}"
    );
}

#[test]
fn a_start_that_fails_is_seen_where_it_was_started() {
    let folder = Folder::new();
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let no_log = format!(
        "--daemonize yes --logfile {}",
        folder.path("no/log").display()
    );
    for (setup, told) in [
        (
            Setup::cairn(&folder).with("--daemonize yes").on_port(port),
            "Failed listening on port",
        ),
        (Setup::cairn(&folder).with(&no_log), "logfile"),
        (
            Setup::cairn(&folder).with("--daemonize yes --rename-command nosuch x"),
            "No such command",
        ),
    ] {
        let ended = setup.run();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        assert!(ended.log.contains(told), "{told}: {}", ended.log);
    }
}

#[test]
fn in_the_background_without_a_log_it_is_said_that_lines_are_lost() {
    let folder = Folder::new();
    let port = free_port();
    let ended = Setup::cairn(&folder)
        .with("--daemonize yes")
        .on_port(port)
        .run();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("what it logs is lost"), "{}", ended.log);
    let mut client = connect(port);
    let pid = client.info("server")["process_id"].parse().unwrap();
    end(client, pid);
}

#[test]
fn without_a_pid_file_one_is_written_in_the_background_only() {
    let Some(wrapper) = in_own_mounts("process::background", "mount -t tmpfs none /run") else {
        return;
    };
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let folder = Folder::new();
    let port = free_port();
    let setup = Setup::cairn(&folder).under(&wrapper).on_port(port);
    let ended = setup.clone().with("--daemonize yes").run();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let mut client = connect(port);
    let pid: u32 = client.info("server")["process_id"].parse().unwrap();
    assert_eq!(proc_file(pid, "root/run/redis.pid"), format!("{pid}\n"));
    end(client, pid);
    let server = Setup::cairn(&folder).under(&wrapper).start();
    let names = std::fs::read_dir(format!("/proc/{}/root/run", server.pid())).unwrap();
    assert_eq!(names.count(), 0);
    server.stop();
}

#[test]
fn a_pid_file_that_cannot_be_written_is_told_with_its_path() {
    let folder = Folder::new();
    let path = folder.path("missing/server.pid");
    let server = Setup::cairn(&folder)
        .with(&format!("--pidfile {}", path.display()))
        .start();
    let log = server.stop();
    let line = format!(
        "Failed to write PID file: No such file or directory: {}",
        path.display()
    );
    assert!(log.contains(&line), "{log}");
}
