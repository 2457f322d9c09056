//! A server of our own, started, killed and started again.
//!
//! It leads a process group, so that a script around it ends with it; nothing of it is left when this is dropped.

use cairn_format::resp::reply::Protocol;
use cairn_format::resp::value::Value;
use cairn_toolkit::Failure;
use cairn_toolkit::outcome::plain;
use cairn_toolkit::remote::{Client, Place, Sign};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where a server's own words go, in its folder.
const WORDS_FILE: &str = "server-output.txt";
/// Time between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(2);
/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ports for it: below those that Linux gives to outgoing connections. Of the others one may be taken while the server is
/// down, even by the very connection that asks whether it is up again, which then talks to itself.
const PORTS: Range<u16> = 30_000..32_768;

/// One of them that nobody listens on; another process starts its search elsewhere.
fn free_port() -> Result<u16, Failure> {
    let count = PORTS.end - PORTS.start;
    let first = (std::process::id() % u32::from(count)) as u16;
    let mut ports = (0..count).map(|step| PORTS.start + (first + step) % count);
    ports
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .ok_or_else(|| Failure::new(format!("no port of {PORTS:?} is free for the server")))
}

/// A server that is killed by whoever drops it.
#[derive(Debug)]
pub struct Server {
    words: Vec<String>,
    folder: PathBuf,
    port: u16,
    patience: Duration,
    child: Option<Child>,
}

impl Server {
    /// A server that was not started yet, with its words filled in, on a port that is free now.
    ///
    /// # Errors
    /// No port is free.
    pub fn new(
        words: Vec<String>,
        folder: &Path,
        policy: &str,
        patience: Duration,
    ) -> Result<Server, Failure> {
        let port = free_port()?;
        let folder = folder.to_owned();
        let fill = |word: String| {
            word.replace("{port}", &port.to_string())
                .replace("{dir}", &folder.display().to_string())
                .replace("{policy}", policy)
        };
        Ok(Server {
            words: words.into_iter().map(fill).collect(),
            folder,
            port,
            patience,
            child: None,
        })
    }

    /// Starts it, and says how long it took until it answered.
    ///
    /// # Errors
    /// It does not start, or does not answer in time; with the last of its words.
    pub fn start(&mut self) -> Result<Duration, Failure> {
        self.kill();
        let name = self.words[0].clone();
        let failed = |error: std::io::Error| {
            Failure::new(format!("{name}: could not be started: {}", plain(&error)))
        };
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(WORDS_FILE))
            .map_err(failed)?;
        let errors: File = output.try_clone().map_err(failed)?;
        let since = Instant::now();
        let child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        self.child = Some(child);
        loop {
            if self.answers() {
                return Ok(since.elapsed());
            }
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(self.silent(&format!("ended with {status}")));
            }
            if since.elapsed() > self.patience {
                return Err(self.silent(&format!(
                    "does not answer after {} s",
                    self.patience.as_secs_f64()
                )));
            }
            thread::sleep(LOOK);
        }
    }

    fn silent(&self, what: &str) -> Failure {
        let words = std::fs::read(self.folder.join(WORDS_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&words);
        let last = text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        Failure::new(format!("{}: {what}", self.words[0])).hint(format!("its last words: {last}"))
    }

    /// Whether it has loaded its data.
    fn answers(&self) -> bool {
        let pong = self
            .client()
            .and_then(|mut client| client.try_ask(&["PING"]));
        matches!(pong, Ok(Value::Simple(_)))
    }

    /// A connection.
    ///
    /// # Errors
    /// It does not listen.
    pub fn client(&self) -> Result<Client, Failure> {
        let place = Place::Tcp("127.0.0.1".to_owned(), self.port);
        let sign = Sign {
            user: None,
            password: None,
            db: 0,
            protocol: Protocol::Resp2,
        };
        Client::open(&place, None, &sign, &self.words[0], PATIENCE)
    }

    /// SIGKILL, for it and all that it started.
    pub fn kill_group(&self) {
        let id = self
            .child
            .as_ref()
            .and_then(|child| i32::try_from(child.id()).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // A group that is gone already is what was wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn kill(&mut self) {
        self.kill_group();
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
