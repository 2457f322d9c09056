//! `aof-tool tail`: the end of a log, and what comes, across rewrites of a living server.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::{Program, RealServer};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tool::{bad, command, golden, run};

#[test]
fn the_last_lines_are_those_of_dump() {
    for name in [golden("redis-7.2.4/appendonlydir-multi"), bad("aof-ts.aof")] {
        for words in [&[][..], &["--key", "*1*"]] {
            let all = run(&[&["dump", &name], words].concat()).stdout;
            for lines in [0, 1, 3, 1000] {
                let last = run(&[&["tail", "-n", &lines.to_string(), &name], words].concat());
                let all: Vec<&str> = all
                    .lines()
                    .filter(|line| !line.contains("# snapshot"))
                    .collect();
                let expected = &all[all.len().saturating_sub(lines)..];
                assert_eq!(
                    last.stdout.lines().collect::<Vec<_>>(),
                    expected,
                    "{name} {words:?}"
                );
            }
        }
    }
    assert_eq!(run(&["tail", &bad("aof-truncated-060.aof")]).code, 1);
    assert_eq!(run(&["tail", "-"]).code, 2);
}

/// A follower whose lines arrive one by one.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(path: &str) -> Follower {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aof-tool"))
            .args(["tail", "-f", "-n", "1", path])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = to.send(line);
            }
        });
        Follower { child, lines }
    }

    fn next(&self) -> String {
        let line = self.lines.recv_timeout(Duration::from_secs(60));
        line.expect("the follower goes on")
            .rsplit('\t')
            .next()
            .unwrap()
            .to_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_is_followed_through_torn_writes_and_a_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, command("SET a 0")).unwrap();
    let follower = Follower::start(path.to_str().unwrap());
    assert_eq!(follower.next(), "\"SET\" \"a\" \"0\"");
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    let bytes = command("SET a 1");
    let (head, rest) = bytes.split_at(11);
    log.write_all(head.as_bytes()).unwrap();
    log.write_all(rest.as_bytes()).unwrap();
    assert_eq!(follower.next(), "\"SET\" \"a\" \"1\"");
    // As servers before 7.0 rewrite: another file takes the name.
    let new = folder.path().join("new");
    fs::write(&new, command("SET a 1")).unwrap();
    fs::rename(&new, &path).unwrap();
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    // What is written before the replacement is seen may count as rewritten; so until one comes.
    loop {
        log.write_all(command("SET b 2").as_bytes()).unwrap();
        if follower
            .lines
            .recv_timeout(Duration::from_millis(100))
            .is_ok()
        {
            break;
        }
    }
}

#[test]
fn a_server_is_followed_across_its_rewrites() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let server = RealServer::start_program(Program::Redis7, folder.path(), &options);
    server.ask("SET first 1");
    let path = folder.path().join("appendonlydir");
    let follower = Follower::start(path.to_str().unwrap());
    assert_eq!(follower.next(), "\"SET\" \"first\" \"1\"");
    for round in 0..4 {
        server.ask(&format!("SET k {round}\r\nBGREWRITEAOF\r\nSET l {round}"));
        while !server
            .ask("INFO persistence")
            .contains("aof_rewrite_in_progress:0")
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.ask(&format!("SET m {round}"));
        for key in ["k", "l", "m"] {
            let mut line = follower.next();
            while line.contains("SELECT") {
                line = follower.next();
            }
            assert_eq!(line, format!("\"SET\" \"{key}\" \"{round}\""));
        }
    }
}
