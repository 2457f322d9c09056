//! Living servers judge: they load what `rewrite` and `fix` wrote, and had at every command what `restore` says.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::{Program, RealServer};
use std::fs;
use std::path::Path;
use tool::{command, run};

/// Commands as one state after the other: a transaction is one. SELECT stands in each, as each is sent over a connection of its own.
const STATES: [&[&str]; 12] = [
    &["SELECT 0", "SET a 1"],
    &["SELECT 0", "RPUSH l x y z"],
    &["SELECT 3", "SET b 2", "PEXPIREAT b 4000000000000"],
    &["SELECT 0", "MULTI", "INCR a", "HSET h f v g w", "EXEC"],
    &["SELECT 0", "ZADD z 1.5 m 2 n"],
    &["SELECT 0", "XADD s 1-1 f v", "XADD s 2-1 f w"],
    &["SELECT 0", "XGROUP CREATE s g 0"],
    &["SELECT 0", "SADD t 1 2 3", "SADD t word"],
    &["SELECT 0", "LPOP l", "APPEND a 7"],
    &["SELECT 3", "RENAME b c"],
    &["SELECT 0", "DEL h"],
    &["SELECT 0", "SET last 1"],
];

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| command(line)).collect()
}

fn digest(server: &RealServer) -> String {
    let reply = server.ask("DEBUG DIGEST");
    reply.lines().next().unwrap_or_default().to_owned()
}

/// What a server that starts on this log has.
fn loaded(program: Program, log: &Path) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(log, folder.path().join("appendonly.aof")).unwrap();
    let server = RealServer::start_program(program, folder.path(), &["--appendonly", "yes"]);
    (digest(&server), server.ask("FUNCTION LIST WITHCODE"))
}

fn judges(program: Program, to: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let whole: String = STATES.iter().map(|lines| text(lines)).collect();
    let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    let load = format!(
        "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n${}\r\n{library}\r\n",
        library.len()
    );
    fs::write(path("log"), format!("{whole}{load}")).unwrap();

    // The state at every command that ends one, as the server had it then.
    let data = tempfile::tempdir().unwrap();
    let server = RealServer::start_program(program, data.path(), &[]);
    let mut digests = Vec::new();
    for lines in STATES {
        server.send(text(lines).as_bytes());
        digests.push(digest(&server));
    }
    let mut commands = 0;
    for (lines, expected) in STATES.iter().zip(&digests) {
        commands += lines.len();
        server.ask("FLUSHALL");
        let until = format!("command:{commands}");
        let restored = run(&[
            "restore",
            "--force",
            "--until",
            &until,
            "--to",
            to,
            &path("log"),
            "-o",
            &path("then"),
        ]);
        assert_eq!(restored.code, 0, "{restored:?}");
        server.send(&fs::read(path("then")).unwrap());
        assert_eq!(&digest(&server), expected, "{program:?} {until}");
    }
    drop(server);

    // The whole, in both forms.
    let end = digests.last().unwrap();
    for form in ["commands", "snapshot"] {
        let written = run(&[
            "rewrite",
            "--force",
            "--form",
            form,
            "--to",
            to,
            &path("log"),
            "-o",
            &path("new"),
        ]);
        assert_eq!(written.code, 0, "{written:?}");
        let (digest, libraries) = loaded(program, Path::new(&path("new")));
        assert_eq!(&digest, end, "{program:?} {form}");
        assert!(libraries.contains("register_function('f'"), "{libraries}");
    }

    // As a folder, converted and restored.
    let parts = |name: &str| {
        let data = tempfile::tempdir().unwrap();
        fs::rename(path(name), data.path().join("appendonlydir")).unwrap();
        let server = RealServer::start_program(program, data.path(), &["--appendonly", "yes"]);
        digest(&server)
    };
    let converted = run(&["convert", &path("log"), "-o", &path("parts")]);
    assert_eq!(converted.code, 0, "{converted:?}");
    assert_eq!(&parts("parts"), end, "{program:?} convert");
    for form in ["commands", "snapshot"] {
        let words = ["restore", "--force", "--folder", "--form", form, "--to", to];
        let restored = run(&[&words[..], &[&path("log"), "-o", &path(form)]].concat());
        assert_eq!(restored.code, 0, "{restored:?}");
        assert_eq!(&parts(form), end, "{program:?} restore {form}");
    }

    // One command damaged that is made good by none behind it: the server has the data without it.
    let without = whole.replace(&command("ZADD z 1.5 m 2 n"), "");
    let damaged = whole.replacen("ZADD", "Z\0DD", 1);
    fs::write(path("without"), without).unwrap();
    fs::write(path("damaged"), damaged).unwrap();
    assert_eq!(run(&["fix", &path("damaged")]).code, 1);
    let (fixed, _) = loaded(program, Path::new(&path("damaged")));
    assert_eq!(fixed, loaded(program, Path::new(&path("without"))).0);
    assert_ne!(&fixed, end);
}

#[test]
fn redis_7_0() {
    judges(Program::Redis7, "redis-7.0");
}

#[test]
fn redis_8_2() {
    judges(Program::Redis8, "redis-8.2");
}

#[test]
fn valkey_8_1() {
    judges(Program::Valkey8, "valkey-8.1");
}

#[test]
fn valkey_9_1() {
    judges(Program::Valkey9, "valkey-9.1");
}

/// A moment goes into a living server: its keys are there then, and those that it has are not touched unasked.
#[test]
fn a_moment_is_restored_into_a_server_and_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let whole: String = STATES.iter().map(|lines| text(lines)).collect();
    fs::write(&log, whole).unwrap();
    let log = log.to_str().unwrap();
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, expected) = (
        RealServer::start(ours.path(), &[]),
        RealServer::start(theirs.path(), &[]),
    );
    let to = format!("redis://127.0.0.1:{}", server.port);
    let sent = run(&[
        "restore",
        "--force",
        "--until",
        "before:DEL",
        "--to",
        &to,
        log,
    ]);
    assert_eq!(sent.code, 0, "{sent:?}");
    let before: Vec<&[&str]> = STATES[..10].to_vec();
    expected.send(
        before
            .iter()
            .map(|lines| text(lines))
            .collect::<String>()
            .as_bytes(),
    );
    assert_eq!(digest(&server), digest(&expected));
    server.ask("SET a mine");
    let refused = run(&["restore", "--force", "--key", "a", "--to", &to, log]);
    assert!(
        refused.code == 2 && refused.stderr.contains("is there already"),
        "{refused:?}"
    );
    assert!(server.ask("GET a").contains("mine"));
    let replaced = run(&[
        "restore",
        "--force",
        "--key",
        "a",
        "--existing",
        "replace",
        "--to",
        &to,
        log,
    ]);
    assert_eq!(replaced.code, 0, "{replaced:?}");
    assert!(server.ask("GET a").contains("27"));
    // A cluster has one database, and takes the keys of that.
    let data = tempfile::tempdir().unwrap();
    let cluster = RealServer::start(data.path(), &["--cluster-enabled", "yes"]);
    cluster.ask("CLUSTER ADDSLOTSRANGE 0 16383");
    while !cluster.ask("CLUSTER INFO").contains("cluster_state:ok") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let to = format!("redis://127.0.0.1:{}", cluster.port);
    assert_eq!(run(&["restore", "--force", "--to", &to, log]).code, 2);
    assert!(cluster.ask("DBSIZE").contains(":0"));
    assert_eq!(
        run(&["restore", "--force", "--db", "0", "--to", &to, log]).code,
        0
    );
    assert!(cluster.ask("GET last").contains('1'));
    // Nobody there, and an address and a file.
    assert_eq!(
        run(&["restore", "--force", "--to", "redis://127.0.0.1:1", log]).code,
        2
    );
    assert_eq!(
        run(&["restore", "--force", "--to", &to, log, "-o", "-"]).code,
        2
    );
}
