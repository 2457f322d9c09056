//! `aof-tool archive`: a living server's log is elsewhere too, and what was acknowledged to WAIT stays, whoever is killed.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::{Program, RealServer};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tool::run;

/// An archive that runs; ended as with kill -9.
struct Archive(Child);

impl Archive {
    fn start(server: &RealServer, folder: &Path, extra: &[&str]) -> Archive {
        let from = format!("redis://127.0.0.1:{}", server.port);
        let child = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
            .args(["archive", "--from", &from, "-o"])
            .arg(folder)
            .args(extra)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Archive(child)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes, and asks until the archive has it.
fn write_and_wait(server: &RealServer, command: &str) {
    let since = Instant::now();
    while !server
        .ask(&format!("{command}\r\nWAIT 1 2000"))
        .contains(":1\r\n+OK")
    {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{command} is never acknowledged"
        );
    }
}

fn folders(archive: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(archive)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

/// A key of the archive's data.
fn value_of(archive: &Path, key: &str) -> Option<String> {
    let made = run(&[
        "restore",
        "--key",
        key,
        archive.to_str().unwrap(),
        "-o",
        "-",
    ]);
    let mut lines = made.stdout.lines().skip_while(|line| *line != key);
    lines.nth(2).map(str::to_owned)
}

fn is_sound(archive: &Path) {
    for folder in folders(archive) {
        let checked = run(&["check", folder.to_str().unwrap()]);
        // The last block may be torn, and nothing else.
        let torn = checked.stderr.contains("the log ends") || checked.stderr.contains("remain");
        assert!(checked.code == 0 || torn, "{checked:?}");
    }
}

#[test]
fn what_is_acknowledged_is_there_when_the_archive_is_killed_and_it_goes_on() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = RealServer::start(data.path(), &["--repl-diskless-sync-delay", "0"]);
    server.ask("SET before 1\r\nSELECT 3\r\nSET there 3");
    for round in 0..6 {
        let archive = Archive::start(&server, folder.path(), &[]);
        for step in 0..20 {
            write_and_wait(&server, &format!("SET n {}", round * 100 + step));
        }
        server.ask("MULTI\r\nINCR other\r\nSET torn 1\r\nEXEC\r\nSET n lost");
        drop(archive);
        let last = value_of(folder.path(), "n");
        // What was not acknowledged may be there, too.
        assert!(
            last == Some((round * 100 + 19).to_string()) || last.as_deref() == Some("lost"),
            "{last:?}"
        );
        is_sound(folder.path());
    }
    // Each time it went on where it was.
    assert_eq!(folders(folder.path()).len(), 1);
    let archive = Archive::start(&server, folder.path(), &[]);
    write_and_wait(&server, "SET end 1");
    drop(archive);
    let (dump, digest) = (tempfile::tempdir().unwrap(), server.ask("DEBUG DIGEST"));
    fs::create_dir(dump.path().join("appendonlydir")).unwrap();
    for entry in fs::read_dir(&folders(folder.path())[0]).unwrap().flatten() {
        fs::copy(
            entry.path(),
            dump.path().join("appendonlydir").join(entry.file_name()),
        )
        .unwrap();
    }
    // A server loads the archive as it is.
    let loaded = RealServer::start_program(Program::Redis7, dump.path(), &["--appendonly", "yes"]);
    assert_eq!(loaded.ask("DEBUG DIGEST"), digest);
}

#[test]
fn what_is_acknowledged_is_there_when_the_server_is_killed_and_another_begins_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let begin = std::time::SystemTime::now();
    for round in 1..=3 {
        let data = tempfile::tempdir().unwrap();
        let server = RealServer::start(data.path(), &["--repl-diskless-sync-delay", "0"]);
        let archive = Archive::start(&server, folder.path(), &[]);
        for step in 0..10 {
            write_and_wait(&server, &format!("SET n {}", round * 100 + step));
        }
        // Killed without a word, and its data is gone.
        drop(server);
        drop(archive);
        assert_eq!(
            value_of(folder.path(), "n"),
            Some((round * 100 + 9).to_string())
        );
        assert_eq!(folders(folder.path()).len(), round);
        is_sound(folder.path());
    }
    // Each folder stays a log, and a time finds its own.
    let first = folders(folder.path())[0].clone();
    assert_eq!(value_of(&first, "n"), Some("109".to_owned()));
    let second = begin
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let early = run(&[
        "restore",
        "--until",
        &format!("time:{}", second + 100_000),
        folder.path().to_str().unwrap(),
        "-o",
        "-",
    ]);
    assert!(early.stdout.contains("309"), "{early:?}");
    let none = run(&[
        "restore",
        "--until",
        &format!("time:{}", second - 100_000),
        folder.path().to_str().unwrap(),
        "-o",
        "-",
    ]);
    assert_eq!(none.code, 2, "{none:?}");
}

#[test]
fn folders_are_rotated_and_pruned() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = RealServer::start(data.path(), &["--repl-diskless-sync-delay", "0"]);
    let archive = Archive::start(&server, folder.path(), &["--rotate", "2kb", "--keep", "2"]);
    let since = Instant::now();
    let mut step = 0;
    while folders(folder.path())
        .last()
        .is_none_or(|last| !last.ends_with("000005"))
    {
        assert!(since.elapsed() < Duration::from_secs(60));
        step += 1;
        write_and_wait(&server, &format!("SET n {step}"));
    }
    write_and_wait(&server, "SET n end");
    drop(archive);
    assert_eq!(value_of(folder.path(), "n"), Some("end".to_owned()));
    let logs = folders(folder.path());
    assert!((2..=3).contains(&logs.len()), "{logs:?}");
}

#[test]
fn a_changed_byte_is_told_and_nothing_is_appended_behind_it() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = RealServer::start(data.path(), &["--repl-diskless-sync-delay", "0"]);
    let archive = Archive::start(&server, folder.path(), &[]);
    for step in 0..5 {
        write_and_wait(&server, &format!("SET key value{step}"));
    }
    drop(archive);
    let incr = folders(folder.path())[0].join("appendonly.aof.1.incr.aof");
    let mut bytes = Vec::new();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&incr)
        .unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let at = bytes.windows(6).position(|part| part == b"value2").unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"V").unwrap();
    let told = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stderr.contains("another checksum"), "{told:?}");
    let mut refused = Archive::start(&server, folder.path(), &[]);
    assert_eq!(refused.0.wait().unwrap().code(), Some(2));
    for from in ["nowhere", "redis://127.0.0.1:1"] {
        let new = folder.path().join("new");
        assert_eq!(
            run(&["archive", "--from", from, "-o", new.to_str().unwrap()]).code,
            2
        );
    }
}

/// Newer servers are followed as well, and what they sent is a log for them.
#[test]
fn other_servers_are_archived() {
    for program in [Program::Redis8, Program::Valkey8, Program::Valkey9] {
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = ["--repl-diskless-sync-delay", "0"];
        let server = RealServer::start_program(program, data.path(), &options);
        server.ask("RPUSH l a b\r\nHSET h f v");
        let archive = Archive::start(&server, folder.path(), &[]);
        write_and_wait(&server, "SADD s 1 2 x");
        drop(archive);
        let archive = Archive::start(&server, folder.path(), &[]);
        write_and_wait(&server, "XADD x 1-1 f v");
        drop(archive);
        assert_eq!(folders(folder.path()).len(), 1, "{program:?}");
        let digest = server.ask("DEBUG DIGEST");
        drop(server);
        let again = tempfile::tempdir().unwrap();
        fs::rename(
            &folders(folder.path())[0],
            again.path().join("appendonlydir"),
        )
        .unwrap();
        let loaded = RealServer::start_program(program, again.path(), &["--appendonly", "yes"]);
        assert_eq!(loaded.ask("DEBUG DIGEST"), digest, "{program:?}");
    }
}

/// Writes to a key of its own, one value after the other, until `ends`; gives the last that the server acknowledged to be elsewhere.
fn write_until(port: u16, key: String, ends: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut acknowledged = 0;
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return acknowledged;
        };
        let mut replies = BufReader::new(stream.try_clone().unwrap());
        let mut writes = stream;
        let mut line = String::new();
        for value in 1.. {
            let command = format!("SET {key} {value}\r\nWAIT 1 200\r\n");
            if ends.load(SeqCst) || writes.write_all(command.as_bytes()).is_err() {
                break;
            }
            line.clear();
            let read = |replies: &mut BufReader<TcpStream>, line: &mut String| {
                replies.read_line(line).is_ok_and(|read| read > 0)
            };
            if !read(&mut replies, &mut line) || !read(&mut replies, &mut line) {
                break;
            }
            if line == "+OK\r\n:1\r\n" {
                acknowledged = value;
            }
        }
        acknowledged
    })
}

/// Four clients write while one of the two sides is killed, at a moment that nobody chose: what was acknowledged to a client is in the archive.
#[test]
fn nothing_acknowledged_is_lost_when_either_side_is_killed_amid_writes() {
    const CLIENTS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for round in 0..8_u64 {
        let data = tempfile::tempdir().unwrap();
        let server = RealServer::start(data.path(), &["--repl-diskless-sync-delay", "0"]);
        let archive = Archive::start(&server, folder.path(), &[]);
        // The server counts the first write, of before the stream, at once, and sends the stream when it has noticed that the snapshot is over.
        write_and_wait(&server, "SET begun 1");
        write_and_wait(&server, "SET begun 2");
        let ends = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|i| write_until(server.port, format!("round:{round}:{i}"), ends.clone()))
            .collect();
        // Another moment each time, within what some hundred writes take.
        std::thread::sleep(Duration::from_millis(150 + round * 97 % 211));
        match round % 2 {
            0 => drop(archive),
            _ => {
                drop(server);
                drop(archive);
            }
        }
        ends.store(true, SeqCst);
        for (i, client) in clients.into_iter().enumerate() {
            let acknowledged = client.join().unwrap();
            let kept = value_of(folder.path(), &format!("round:{round}:{i}"));
            let kept: u64 = kept.map_or(0, |value| value.parse().unwrap());
            assert!(
                kept >= acknowledged,
                "round {round}, client {i}: {kept} of {acknowledged}"
            );
            written += acknowledged;
        }
        is_sound(folder.path());
    }
    assert!(written > 200, "{written} were acknowledged");
}
