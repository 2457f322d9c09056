//! What the server asks of the system around it.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::support::process::{Program, run_program};
use crate::support::{Folder, PATIENCE, Setup, left_out};
use crate::{in_own_mounts, shown};

/// Names of checks with what was found, of the output of `--check-system`.
fn verdicts(text: &str) -> Vec<(String, String)> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]..."));
    lines
        .map(|(name, verdict)| (name.into(), verdict.into()))
        .collect()
}

#[test]
fn the_system_is_judged_as_by_the_reference() {
    let (ours, text) = run_program(env!("CARGO_BIN_EXE_cairn-server"), &["--check-system"]);
    let (theirs, expected) = run_program("/usr/bin/redis-server", &["--check-system"]);
    let (found, expected) = (verdicts(&text), verdicts(&expected));
    assert!(expected.len() >= 4);
    for verdict in expected {
        // How fast the clock is depends on who else is at work.
        if verdict.0 != "slow-clocksource" {
            assert!(found.contains(&verdict), "{verdict:?}: {text}");
        }
    }
    let warns = found.iter().any(|(_, verdict)| verdict == "WARNING:");
    assert_eq!(ours.code(), Some(i32::from(warns)), "{text}");
    if !text.contains("[slow-clocksource]...WARNING") {
        assert_eq!(ours.code(), theirs.code());
    }
}

#[test]
fn the_name_redis_server_works() {
    let folder = Folder::new();
    let link = folder.path("redis-server");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cairn-server"), &link).unwrap();
    let (status, text) = run_program(link.to_str().unwrap(), &["--version"]);
    assert!(status.success());
    let (_, reference) = run_program("/usr/bin/redis-server", &["--version"]);
    let names = |text: &str| {
        let words = text.split_whitespace();
        words
            .map(|word| word.split('=').next().unwrap_or(word).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&text), names(&reference));
    assert!(text.starts_with("Redis server v=7.2.4 sha="), "{text}");
    let sentinel = folder.path("redis-sentinel");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cairn-server"), &sentinel).unwrap();
    let (status, text) = run_program(sentinel.to_str().unwrap(), &["--port", "0"]);
    assert!(
        !status.success() && text.contains("there is no sentinel mode"),
        "{text}"
    );
}

#[test]
fn the_log_goes_to_the_system_as_well() {
    let folder = Folder::new();
    let devices = folder.path("devices");
    let socket = folder.path("log");
    std::fs::create_dir(&devices).unwrap();
    // A /dev with the few devices that the server needs and our own log.
    let script = format!(
        "mount --rbind /dev {devices}; mount -t tmpfs none /dev; for name in null urandom; do ln -s {devices}/$name /dev/$name; done; \
         ln -s {socket} /dev/log",
        devices = devices.display(),
        socket = socket.display(),
    );
    let Some(wrapper) = in_own_mounts("process::system", &script) else {
        return;
    };
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = Setup::cairn(&folder)
        .under(&wrapper)
        .with("--syslog-enabled yes --syslog-ident cache --syslog-facility local3")
        .start();
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &String| line.ends_with("Ready to accept connections tcp"))
    {
        let mut bytes = [0; 2000];
        let count = daemon.recv(&mut bytes).expect("a line");
        lines.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
    }
    // local3 is 19; 5 is a notice, 4 a warning.
    let pid = server.pid();
    let name = format!(" cache[{pid}]: ");
    for line in &lines {
        assert!(
            line.starts_with("<157>") || line.starts_with("<156>"),
            "{line}"
        );
        assert!(line.contains(&name), "{line}");
        let message = line.split_once(&name).unwrap().1;
        assert!(server.log().contains(&format!(" {message}\n")), "{line}");
    }
    drop(daemon);
    assert_eq!(
        server.connect().text("PING"),
        "PONG",
        "who takes no lines holds nothing up"
    );
    server.stop();
}

#[test]
fn a_system_without_a_log_and_a_facility_that_there_is_not_are_told() {
    let folder = Folder::new();
    let script =
        "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9";
    if let Some(wrapper) = in_own_mounts("process::system", script) {
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let server = Setup::cairn(&folder)
            .under(&wrapper)
            .with("--syslog-enabled yes")
            .start();
        let log = server.stop();
        assert!(
            log.contains("syslog-enabled: nobody takes lines for now: /dev/log: "),
            "{log}"
        );
    }
    let ended = Setup::cairn(&folder).with("--syslog-facility mail").run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("user, local0, local1"), "{}", ended.log);
}

#[test]
fn texts_are_sorted_by_the_locale() {
    let folder = Folder::new();
    let locales = folder.path("locales");
    std::fs::create_dir(&locales).unwrap();
    let made = Command::new("localedef")
        .args(["-i", "en_US", "-f", "UTF-8"])
        .arg(locales.join("en_US.UTF-8"))
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        return left_out(
            "process::system",
            "localedef makes no locale (package locales)",
        );
    }
    let variable = format!("LOCPATH={}", locales.display());
    let wrapper = [
        "env",
        "-u",
        "LC_ALL",
        "-u",
        "LANG",
        "-u",
        "LC_COLLATE",
        &variable,
    ];
    let server = Setup::cairn(&folder).under(&wrapper).start();
    let mut client = server.connect();
    client.good_call(&["RPUSH", "words", "b", "A", "B", "a", "\u{e4}"]);
    let sort = "SORT words ALPHA";
    let bytewise = shown(&client.good(sort));
    assert_eq!(bytewise, "A B a b \u{e4}");
    client.good("CONFIG SET locale-collate en_US.UTF-8");
    let by_language = shown(&client.good(sort));
    assert_eq!(by_language, "a A \u{e4} b B");
    assert_eq!(
        shown(&client.good("SORT words ALPHA DESC")),
        "B b \u{e4} A a"
    );
    client.good("MSET w_a 1 w_b A w_A a");
    assert_eq!(
        shown(&client.good("SORT words ALPHA BY w_*")),
        "B \u{e4} a A b"
    );
    // What is stored is in an order that all servers agree on.
    client.good("SORT words ALPHA STORE stored");
    assert_eq!(shown(&client.good("LRANGE stored 0 -1")), bytewise);
    let error = client.error("CONFIG SET locale-collate no_SUCH");
    assert!(
        error.ends_with("'locale-collate') - Invalid locale name"),
        "{error}"
    );
    client.good("CONFIG SET locale-collate C");
    assert_eq!(shown(&client.good("SORT words ALPHA")), bytewise);
    server.stop();
    let wrong = Setup::cairn(&folder).with("--locale-collate no_SUCH").run();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        wrong.log.contains("directive 'locale-collate'"),
        "{}",
        wrong.log
    );
    let by_environment = Setup::cairn(&folder)
        .under(&["env", "LC_ALL=en_US.UTF-8", &variable])
        .start();
    let mut client = by_environment.connect();
    client.good_call(&["RPUSH", "words", "b", "A", "B", "a", "\u{e4}"]);
    assert_eq!(shown(&client.good("SORT words ALPHA")), by_language);
    by_environment.stop();
}

#[test]
fn connections_to_others_come_from_the_address_that_is_named() {
    let folder = Folder::new();
    let server = Setup::new(Program::Cairn, &folder)
        .with("--bind-source-addr 127.0.0.9")
        .start();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let mut client = server.connect();
    client.good("SET a b");
    client.send(format!("MIGRATE 127.0.0.1 {port} a 0 5000\r\n").as_bytes());
    let (stream, from) = other.accept().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.9");
    drop(stream);
    server.kill();
}
