//! Recorded sessions of a real Redis 7.2.4 replayed over sockets: against our server, and against the reference, so that
//! the replay itself is known to judge right. `testdata/transcripts/README.md` has the format; the engine's own replay of
//! the same files looks deeper (propagation), this one goes the whole way through sockets and the loop.
//!
//! A session is given up at the first command that our server does not have; these are counted and named. Against the
//! reference, which is 7.0.15, sessions with a step that 7.0.15 answers otherwise are left out, counted and named.

#[path = "../../engine/tests/transcripts/compare.rs"]
#[allow(dead_code)]
mod compare;
#[path = "../../engine/tests/transcripts/pattern.rs"]
mod pattern;
#[path = "../../engine/tests/transcripts/script.rs"]
#[allow(dead_code)]
mod script;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use script::{Action, Step};
use support::{Folder, Setup};

/// How long a reply may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time after which nothing is going to arrive.
const SILENCE: Duration = Duration::from_millis(60);
/// Mismatches shown.
const SHOWN: usize = 20;

/// A connection of a session: raw bytes, because replies are compared as bytes.
struct Client {
    stream: TcpStream,
    got: Vec<u8>,
    closed: bool,
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        Client {
            stream,
            got: Vec::new(),
            closed: false,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // A server that has hung up shows when the answer is missing.
        let _ = self.stream.write_all(bytes);
    }

    /// Reads once; false when nothing came in time or the server has hung up.
    fn fill(&mut self, wait: Duration) -> bool {
        self.stream
            .set_read_timeout(Some(wait))
            .expect("a timeout can be set");
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => {
                self.closed = true;
                false
            }
            Ok(count) => {
                self.got.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(_) => {
                self.closed = true;
                false
            }
        }
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = compare::frame_end(&self.got, 0) {
                return Some(self.got.drain(..end).collect());
            }
            if self.closed || Instant::now() >= end || !self.fill(PATIENCE) {
                return None;
            }
        }
    }

    fn frames(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            match self.frame() {
                Some(frame) => bytes.extend(frame),
                None => {
                    bytes.append(&mut self.got);
                    break;
                }
            }
        }
        bytes
    }

    fn until(&mut self, word: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(frame) = self.frame() {
            let found = frame
                .windows(word.len())
                .any(|w| w.eq_ignore_ascii_case(word));
            bytes.extend(frame);
            if found {
                break;
            }
        }
        bytes
    }

    fn everything(&mut self) -> Vec<u8> {
        while self.fill(SILENCE) {}
        std::mem::take(&mut self.got)
    }

    fn hangs_up(&mut self) -> bool {
        while !self.closed && self.fill(PATIENCE) {}
        self.closed
    }
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    cairn_format::resp::value::write_command(&mut bytes, words);
    bytes
}

/// What became of the steps.
#[derive(Default)]
struct Tally {
    passed: usize,
    mismatches: Vec<String>,
    absent: BTreeMap<String, usize>,
    left_out: usize,
}

fn replay(server: &support::process::Server, steps: &[Step], tally: &mut Tally) {
    let mut keeper = server.connect();
    for words in [
        &["FLUSHALL"][..],
        &["FUNCTION", "FLUSH"],
        &["SCRIPT", "FLUSH"],
        &["ACL", "DELUSER", "u", "lim"],
        &["ACL", "LOG", "RESET"],
    ] {
        keeper.call(words);
    }
    let mut clients: HashMap<String, Client> = HashMap::new();
    let mut before: Vec<(Vec<u8>, cairn_format::resp::value::Value)> = Vec::new();
    for step in steps {
        if let Action::Sleep(ms) = step.action {
            std::thread::sleep(Duration::from_millis(ms));
            continue;
        }
        let client = clients.entry(step.conn.clone()).or_insert_with(|| {
            let stream = server
                .connect()
                .stream()
                .try_clone()
                .expect("a socket can be shared");
            let mut client = Client::new(stream);
            if step.proto == 3 {
                client.send(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
                assert!(client.frame().is_some(), "HELLO 3 is answered");
            }
            client
        });
        if let [config, set, pairs @ ..] = step.command()
            && config.eq_ignore_ascii_case(b"config")
            && set.eq_ignore_ascii_case(b"set")
        {
            for name in pairs.iter().step_by(2) {
                before.push((
                    name.clone(),
                    keeper.call(&[b"CONFIG".as_slice(), b"GET", name]),
                ));
            }
        }
        match &step.action {
            Action::Command(words) => client.send(&encode(words)),
            Action::Raw(bytes) => client.send(bytes),
            Action::Read | Action::Sleep(_) => {}
        }
        let got = match (&step.until, compare::frames(&step.reply)) {
            (Some(word), _) => client.until(word),
            (None, 0) if matches!(step.action, Action::Read) => client.everything(),
            (None, count) => client.frames(count),
        };
        let unknown = |reply: &[u8]| {
            reply.starts_with(b"-ERR unknown command")
                || reply.starts_with(b"-ERR unknown subcommand")
        };
        if unknown(&got) && !unknown(&step.reply) {
            let name =
                String::from_utf8_lossy(&step.command().first().cloned().unwrap_or_default())
                    .to_ascii_uppercase();
            *tally.absent.entry(name).or_default() += 1;
            break;
        }
        let alike = compare::fits(step.matching.as_deref(), &step.reply, &got)
            || compare::same_payload(step, &got)
            || compare::is_newer(step)
            || compare::is_better(step);
        let fits = alike && (!step.eof || client.hangs_up());
        if fits {
            tally.passed += 1;
        } else {
            tally.mismatches.push(format!(
                "{} step {} proto {} {:?}\n    recorded {}\n    answered {}",
                step.session,
                step.number,
                step.proto,
                step.command()
                    .iter()
                    .map(|w| w.escape_ascii().to_string())
                    .collect::<Vec<_>>(),
                step.reply.escape_ascii(),
                got.escape_ascii()
            ));
        }
    }
    drop(clients);
    for (name, value) in before.into_iter().rev() {
        if let Some(value) = value
            .as_array()
            .and_then(|pair| pair.get(1))
            .and_then(|v| v.as_bytes())
        {
            keeper.call(&[b"CONFIG".as_slice(), b"SET", &name, value]);
        }
    }
}

fn replay_all(server: &support::process::Server, takes: impl Fn(&[Step]) -> bool) -> Tally {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/transcripts");
    let mut tally = Tally::default();
    for path in script::files(&folder) {
        for steps in script::sessions(&path) {
            if takes(&steps) {
                replay(server, &steps, &mut tally);
            } else {
                tally.left_out += 1;
            }
        }
    }
    println!(
        "{} steps as recorded, {} otherwise; sessions left out: {}; given up at absent commands: {:?}",
        tally.passed,
        tally.mismatches.len(),
        tally.left_out,
        tally.absent
    );
    tally
        .mismatches
        .iter()
        .take(SHOWN)
        .for_each(|m| println!("{m}"));
    tally
}

#[test]
fn our_server_answers_as_recorded() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let tally = replay_all(&server, |_| true);
    assert!(
        tally.passed > 5000,
        "only {} steps were judged",
        tally.passed
    );
    assert_eq!(tally.mismatches.len(), 0, "steps that differ");
}

#[test]
fn the_reference_answers_as_recorded() {
    let folder = Folder::new();
    let server = Setup::reference(&folder).start();
    let tally = replay_all(&server, |steps| steps.iter().all(|step| step.same_in_7_0));
    assert!(
        tally.passed > 5000,
        "only {} steps were judged",
        tally.passed
    );
    assert_eq!(tally.mismatches.len(), 0, "steps that differ");
}
