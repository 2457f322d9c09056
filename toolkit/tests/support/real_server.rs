//! Debian's redis-server 7.0.15, for tests of the tools beside it. They name this file by its path.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server in a folder, on a port of its own and on the socket `sock` in the folder; ended with the test.
pub struct RealServer {
    child: Child,
    #[allow(dead_code, reason = "some tests only ask it")]
    pub port: u16,
}

impl RealServer {
    /// Starts it over what lies in `folder`, and waits until it answers: then that is loaded. With a password it answers, too.
    pub fn start(folder: &Path, extra: &[&str]) -> RealServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = Command::new("/usr/bin/redis-server")
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
            .expect("these tests need /usr/bin/redis-server (Debian: redis-server)");
        let server = RealServer { child, port };
        let since = Instant::now();
        let is_up = |reply: String| reply.starts_with("+PONG") || reply.starts_with("-NOAUTH");
        while !server.try_ask("PING").is_some_and(is_up) {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "redis-server does not come up over {}",
                folder.display()
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
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
