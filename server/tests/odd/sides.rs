//! Both servers, and what each makes of odd bytes.

use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, Setup};
use cairn_format::resp::value::Value;
use cairn_format::text::double::parse_f64;

/// What a server made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken; the digest of the data.
    Taken(String),
    /// It is not; the last lines that say why.
    Refused(String),
}

impl Verdict {
    /// Whether it is taken.
    pub fn is_taken(&self) -> bool {
        matches!(self, Verdict::Taken(_))
    }
}

/// One of the two.
pub struct Side {
    program: Program,
    folder: Folder,
    options: &'static str,
    running: Option<(Server, Connection)>,
}

impl Side {
    /// Not started yet.
    pub fn new(program: Program, options: &'static str) -> Side {
        Side {
            program,
            folder: Folder::new(),
            options,
            running: None,
        }
    }

    fn setup(&self) -> Setup {
        Setup::new(self.program, &self.folder).with(self.options)
    }

    /// The connection to the running server, which is started if need be.
    pub fn connection(&mut self) -> &mut Connection {
        if self.running.is_none() {
            let server = self.setup().start();
            let connection = server.connect();
            self.running = Some((server, connection));
        }
        let (_, connection) = self.running.as_mut().expect("it was started");
        connection
    }

    /// A reply; none if the server ended over it.
    pub fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Option<Value> {
        let reply = self.connection().try_call(args);
        if reply.is_err()
            && let Some((mut server, _)) = self.running.take()
        {
            server.wait_end();
        }
        reply.ok()
    }

    /// The keys of the first database with their types and digests; of sorted sets with their scores as numbers.
    pub fn data(&mut self) -> Vec<String> {
        let mut keys: Vec<Vec<u8>> = match self.ask(&["KEYS", "*"]) {
            Some(Value::Array(keys)) => keys
                .iter()
                .filter_map(|key| key.as_bytes().map(<[u8]>::to_vec))
                .collect(),
            other => return vec![format!("{other:?}")],
        };
        keys.sort();
        let mut all = Vec::new();
        for key in keys {
            let kind = self.ask(&[b"TYPE".as_slice(), &key]);
            let told = match &kind {
                Some(Value::Simple(name)) if name == b"zset" => {
                    let ranged =
                        self.ask(&[b"ZRANGE".as_slice(), &key, b"0", b"-1", b"WITHSCORES"]);
                    scored(ranged)
                }
                _ => format!(
                    "{:?}",
                    self.ask(&[b"DEBUG".as_slice(), b"DIGEST-VALUE", &key])
                ),
            };
            all.push(format!("{} {kind:?} {told}", key.escape_ascii()));
        }
        all
    }

    /// Starts with this snapshot.
    pub fn start_with(&mut self, snapshot: &[u8]) -> Verdict {
        std::fs::write(self.folder.data().join("dump.rdb"), snapshot).expect("a file");
        let mut server = self.setup().launch();
        if !server.wait_ready() {
            return Verdict::Refused(last_lines(&server.log()));
        }
        let verdict = digest(&mut server.connect());
        server.kill();
        verdict
    }

    /// Loads this log into the running server.
    pub fn load_log(&mut self, log: &[u8]) -> Verdict {
        self.connection();
        let file = self.folder.log_file(".incr.aof");
        std::fs::write(&file, log).expect("the log of the server");
        let before = self
            .running
            .as_ref()
            .map_or(0, |(server, _)| server.log().len());
        let (mut server, mut connection) = self.running.take().expect("it runs");
        match connection.try_call(&["DEBUG", "LOADAOF"]) {
            Ok(Value::Simple(_)) => {
                let verdict = digest(&mut connection);
                if verdict.is_taken() {
                    self.running = Some((server, connection));
                }
                verdict
            }
            _ => {
                drop(connection);
                server.signal(9);
                server.wait_end();
                let told = last_lines(&server.log()[before..]);
                // What it could not load it would not start with either.
                self.folder = Folder::new();
                Verdict::Refused(told)
            }
        }
    }
}

/// Members and scores; the scores as what they mean.
fn scored(reply: Option<Value>) -> String {
    let Some(Value::Array(items)) = reply else {
        return format!("{reply:?}");
    };
    let texts: Vec<&[u8]> = items.iter().filter_map(Value::as_bytes).collect();
    let pairs = texts.chunks_exact(2).map(|pair| {
        let score = parse_f64(pair[1]).map(|score| score + 0.0);
        format!("{} {score:?}", pair[0].escape_ascii())
    });
    pairs.collect::<Vec<_>>().join(", ")
}

fn digest(connection: &mut Connection) -> Verdict {
    match connection.try_call(&["DEBUG", "DIGEST"]) {
        Ok(Value::Simple(digest)) => Verdict::Taken(String::from_utf8_lossy(&digest).into_owned()),
        other => Verdict::Refused(format!("DEBUG DIGEST: {other:?}")),
    }
}

/// The lines of the end of a log that say what is wrong.
fn last_lines(log: &str) -> String {
    const USUAL: [&str; 5] = [
        "[additional info]",
        "Terminating server",
        "Fatal error",
        "[info]",
        "Ready to accept",
    ];
    let telling =
        |line: &&str| !line.trim().is_empty() && !USUAL.iter().any(|usual| line.contains(usual));
    let lines: Vec<&str> = log.lines().filter(telling).collect();
    lines[lines.len().saturating_sub(7)..].join("\n")
}
