//! A real server.

use crate::{bench, run};
use serde_json::Value;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A real server of Debian on a port of its own, ended with the test.
pub(crate) struct RealServer {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl RealServer {
    pub(crate) fn start(extra: &[&str]) -> RealServer {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("/usr/bin/redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--unixsocket",
                "sock",
                "--dir",
            ])
            .arg(folder.path())
            .args(extra)
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need /usr/bin/redis-server (Debian: redis-server)");
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(10),
                "redis-server does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        RealServer {
            child,
            folder,
            port,
        }
    }

    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_server_gets_what_was_asked_for() {
    let server = RealServer::start(&[]);
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "2000",
            "-P",
            "16",
            "--db",
            "3",
            "--command",
            "SET key:{seq} {data:64}",
        ],
    );
    assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
    assert!(
        server.ask("INFO keyspace").contains("db3:keys=2000,"),
        "{}",
        server.ask("INFO keyspace")
    );
    let (code, json, _) = run(
        server.port,
        &[
            "-n",
            "100",
            "--resp",
            "3",
            "--db",
            "3",
            "--command",
            "LPUSH key:{seq} x",
        ],
    );
    assert_eq!(
        (code, &json["errors_by_word"]["WRONGTYPE"]["count"]),
        (1, &Value::from(100))
    );
    let socket = server.folder.path().join("sock");
    let output = bench(&[
        "run",
        "-s",
        socket.to_str().unwrap(),
        "-n",
        "100",
        "--command",
        "PING",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_password_is_given_and_a_wrong_one_is_told() {
    let server = RealServer::start(&["--requirepass", "secret"]);
    for resp in ["2", "3"] {
        let (code, _, stderr) = run(
            server.port,
            &[
                "-n",
                "100",
                "-a",
                "secret",
                "--resp",
                resp,
                "--command",
                "PING",
            ],
        );
        assert_eq!((code, stderr.as_str()), (0, ""));
        let (code, _, stderr) = run(
            server.port,
            &[
                "-n",
                "100",
                "-a",
                "guess",
                "--resp",
                resp,
                "--command",
                "PING",
            ],
        );
        assert_eq!(code, 2);
        assert!(stderr.contains("was refused: WRONGPASS"), "{stderr}");
    }
    let (code, json, _) = run(server.port, &["-n", "10", "--command", "PING"]);
    assert_eq!(
        (code, &json["errors_by_word"]["NOAUTH"]["count"]),
        (1, &Value::from(10))
    );
}
