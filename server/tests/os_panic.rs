//! Panics: what is in the log afterwards, and how the process ends; in the server, in its threads and children. And that
//! nobody is brought down by printing where nobody reads.

#[path = "support/mod.rs"]
mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use cairn_server::host::{Child, ChildExit};
use cairn_server::os::crash;
use cairn_server::os::fork::spawn_child;
use support::process::free_port;
use support::{Connection, Folder, Setup, wait_until};

/// Whether all parts are in the text, in this order.
fn assert_parts(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part);
        let at =
            at.unwrap_or_else(|| panic!("`{part}` is missing, or not in its place, in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

const REST: [&str; 8] = [
    "------ INFO OUTPUT ------",
    "# Server\r\n",
    "redis_version:",
    "# Keyspace\r\ndb0:keys=1,",
    "------ CLIENT LIST OUTPUT ------",
    "name=bystander",
    "cmd=client|list",
    "=== REDIS BUG REPORT END",
];

#[test]
fn a_panic_is_reported_with_who_ran_what() {
    for (command, words) in [
        (
            "PANIC",
            [
                "Guru Meditation: called by user #server/src/admin/debug/process.rs:",
                "crashed by a panic",
            ],
        ),
        (
            "ASSERT",
            [
                "=== ASSERTION FAILED ===",
                "==> server/src/admin/debug/process.rs:",
            ],
        ),
    ] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder).start();
        server.connect().good("SET key value");
        let mut bystander = server.connect();
        bystander.good("CLIENT SETNAME bystander");
        let mut connection = server.connect();
        let own = connection.stream().local_addr().unwrap();
        connection.send(
            format!(
                "PING\r\n*2\r\n$5\r\nDEBUG\r\n${}\r\n{command}\r\n",
                command.len()
            )
            .as_bytes(),
        );
        assert_eq!(connection.read_to_end(), b"", "no reply leaves that turn");
        assert_eq!(server.wait_end().signal(), Some(libc::SIGABRT), "{command}");
        let log = server.log();
        let own = format!("addr={own}\n");
        let head = [
            "=== REDIS BUG REPORT START",
            words[0],
            words[1],
            "------ STACK TRACE ------",
            "cairn_server::admin::debug",
            "------ CURRENT CLIENT INFO ------",
            &own,
            "argc: '2'\nargv[0]: 'DEBUG'\n",
            &format!("argv[1]: '{command}'\n"),
        ];
        assert_parts(&log, &[&head[..], &REST].concat());
        assert_eq!(
            log.matches("BUG REPORT START").count(),
            1,
            "the end is no crash of its own"
        );
        assert!(bystander.read_to_end().is_empty());
    }
}

#[test]
fn a_signal_names_the_command_and_secrets_stay_out() {
    let folder = Folder::new();
    let mut server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.send(b"DEBUG SEGFAULT\r\n");
    connection.read_to_end();
    assert_eq!(server.wait_end().signal(), Some(libc::SIGSEGV));
    let parts = [
        "crashed by signal: 11",
        "CURRENT CLIENT INFO",
        "inline: 'DEBUG SEGFAULT\\r'",
        "STACK TRACE",
        "END",
    ];
    assert_parts(&server.log(), &parts);
}

#[test]
fn without_reports_the_message_is_left_and_the_end_is_the_same() {
    let folder = Folder::new();
    let file = folder.path("own.log");
    let options = format!("--crash-log-enabled no --logfile {}", file.display());
    let port = free_port();
    let mut server = Setup::cairn(&folder).with(&options).on_port(port).launch();
    wait_until("it is ready", || {
        std::fs::read_to_string(&file).is_ok_and(|log| log.contains("Ready to accept"))
    });
    server.connect().send(b"DEBUG PANIC\r\n");
    assert_eq!(server.wait_end().signal(), Some(libc::SIGABRT));
    let log = std::fs::read_to_string(&file).unwrap();
    assert!(log.contains("Guru Meditation: called by user"), "{log}");
    assert!(!log.contains("BUG REPORT"), "{log}");
    assert!(
        server.log().contains("Guru Meditation"),
        "and on standard error"
    );
}

const PART: &str = "CAIRN_TEST_PANIC";

/// Plays a part in a process of its own; answers what it printed and the signal that ended it.
fn play(part: &str) -> (String, Option<i32>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_part", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.signal())
}

#[test]
fn the_part() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    crash::install().unwrap();
    crash::catch_panics();
    match part.as_str() {
        "thread" => {
            let thread = std::thread::Builder::new().name("worker".into());
            let thread = thread.spawn(|| panic!("a thread's")).unwrap();
            let _ = thread.join();
        }
        "child" => {
            let mut child = spawn_child(&[], Box::new(|_| panic!("a child's"))).unwrap();
            let exit = child.wait();
            println!("the parent lives and sees {exit:?}");
            assert_eq!(exit, ChildExit::Signal(libc::SIGABRT));
            std::process::exit(0);
        }
        "last words" => {
            assert_eq!(crash::survive(|| 7), Some(7));
            assert!(crash::survive(|| panic!("first")).is_none());
            crash::finish(|| panic!("last words cannot be told"));
        }
        other => panic!("no part {other}"),
    }
}

#[test]
fn threads_and_children_report_their_own() {
    let (text, signal) = play("thread");
    assert_eq!(signal, Some(libc::SIGABRT));
    let parts = [
        "START",
        ":M # Guru Meditation: a thread's #",
        "thread 'worker'",
        "STACK TRACE",
        "END",
    ];
    assert_parts(&text, &parts);
    let (text, signal) = play("child");
    assert_eq!(signal, None);
    let parts = [
        "START",
        ":C # Guru Meditation: a child's #",
        "STACK TRACE",
        "END",
        "the parent lives",
    ];
    assert_parts(&text, &parts);
    let (text, signal) = play("last words");
    assert_eq!(signal, Some(libc::SIGABRT));
    assert_parts(
        &text,
        &["START", "Guru Meditation: first #", "STACK TRACE", "END"],
    );
    assert_eq!(text.matches("REPORT START").count(), 1, "{text}");
}

#[test]
fn printing_for_nobody_hurts_nobody() {
    let folder = Folder::new();
    let port = free_port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-server"))
        .args([
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--enable-debug-command",
            "yes",
        ])
        .arg("--dir")
        .arg(folder.data())
        .arg("--logfile")
        .arg(folder.path("log"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let mut stream = None;
    wait_until("it listens", || {
        stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let mut connection = Connection::new(stream.unwrap());
    connection.good("RPUSH l a b c");
    connection.good("HSET h a b");
    connection.good("DEBUG LISTPACK h");
    connection.good("DEBUG LISTPACK l");
    connection.good("CONFIG SET list-max-listpack-size 1");
    connection.good("RPUSH l d e f");
    connection.good("DEBUG QUICKLIST l 1");
    assert_eq!(connection.text("PING"), "PONG");
    child.kill().unwrap();
    child.wait().unwrap();
}
