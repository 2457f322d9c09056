//! The command line and the configuration file.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::support::process::{children_of, free_port};
use crate::support::{Folder, Setup};

/// Runs the program with these words and this standard input; it must end by itself.
fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-server"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn version_and_help_are_printed() {
    for flag in ["--version", "-v"] {
        let output = run(&[flag], "");
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text(&output.stdout).contains("v="),
            "{}",
            text(&output.stdout)
        );
        assert!(output.stderr.is_empty());
    }
    for flag in ["--help", "-h"] {
        let output = run(&[flag], "");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            said.contains("cairn-server") && said.contains("--port"),
            "{said}"
        );
    }
}

#[test]
fn an_unknown_directive_is_told_with_file_line_and_words() {
    let folder = Folder::new();
    let path = folder.path("bad.conf");
    std::fs::write(&path, "port 0\n\nno-such-thing yes\n").unwrap();
    let output = run(&[path.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for part in [
        path.to_str().unwrap(),
        "line 3",
        "no-such-thing yes",
        "Bad directive or wrong number of arguments",
    ] {
        assert!(said.contains(part), "`{part}` is missing in\n{said}");
    }
}

#[test]
fn what_guards_data_and_does_not_work_is_refused_by_name() {
    let refused = [
        ("user alice on +nosuch", "user"),
        ("loadmodule /tmp/module.so", "loadmodule"),
    ];
    for (line, name) in refused {
        let folder = Folder::new();
        let path = folder.path("refused.conf");
        std::fs::write(&path, format!("# a comment\n{line}\n")).unwrap();
        let output = run(
            &[path.to_str().unwrap(), "--port", &free_port().to_string()],
            "",
        );
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(
            said.contains(name) && said.contains("line 2"),
            "{line}: {said}"
        );
    }
}

#[test]
fn the_configuration_comes_from_standard_input() {
    let folder = Folder::new();
    let port = free_port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-server"))
        .args(["-", "--port", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = format!(
        "port 1\ndir {}\nsave ''\nmaxclients 77\n",
        folder.data().display()
    );
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let mut stream = None;
    crate::support::wait_until("a connection", || {
        stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let mut connection = crate::support::Connection::new(stream.unwrap());
    let found = connection.good("CONFIG GET maxclients");
    let pair: Vec<&[u8]> = found
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|value| value.as_bytes())
        .collect();
    assert_eq!(pair, [b"maxclients".as_slice(), b"77"]);
    connection.send(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_file_then_words_of_the_command_line() {
    let folder = Folder::new();
    let path = folder.path("server.conf");
    std::fs::write(
        &path,
        "# hello\nport 1\nmaxclients 50\nsave ''\n\nhash-max-ziplist-entries 7\n",
    )
    .unwrap();
    let server = Setup::cairn(&folder)
        .only(&format!("{} --maxclients 60", path.display()))
        .start();
    let mut connection = server.connect();
    let get = |connection: &mut crate::support::Connection, name: &str| {
        let found = connection.good(&format!("CONFIG GET {name}"));
        String::from_utf8_lossy(found.as_array().unwrap()[1].as_bytes().unwrap()).into_owned()
    };
    assert_eq!(get(&mut connection, "maxclients"), "60");
    assert_eq!(get(&mut connection, "hash-max-listpack-entries"), "7");
    connection.good("CONFIG SET maxclients 61");
    connection.good("CONFIG REWRITE");
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(
        after.starts_with("# hello\n") && after.contains("maxclients 61"),
        "{after}"
    );
    server.stop();
    let server = Setup::cairn(&folder).only(path.to_str().unwrap()).start();
    assert_eq!(get(&mut server.connect(), "maxclients"), "61");
}

#[test]
fn as_a_daemon_it_leaves_and_goes_on() {
    let folder = Folder::new();
    let (pidfile, log) = (folder.path("d.pid"), folder.path("d.log"));
    let port = free_port();
    let words = [
        "--port",
        &port.to_string(),
        "--daemonize",
        "yes",
        "--dir",
        folder.data().to_str().unwrap(),
        "--pidfile",
        pidfile.to_str().unwrap(),
        "--logfile",
        log.to_str().unwrap(),
        "--save",
        "",
    ]
    .map(String::from);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(run(&words, "").status.code(), Some(0));
    crate::support::wait_until("readiness", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("Ready to accept"))
    });
    let pid: u32 = std::fs::read_to_string(&pidfile)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(
        children_of(std::process::id())
            .iter()
            .all(|child| *child != pid),
        "it is nobody's child here"
    );
    let mut connection =
        crate::support::Connection::new(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert_eq!(connection.info("server")["process_id"], pid.to_string());
    connection.send(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(connection.read_to_end(), b"");
}
