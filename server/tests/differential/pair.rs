//! Both servers, fed with the same commands, and what differs between them.

use cairn_format::resp::value::{Value, write_command};
use cairn_format::text::words::quote;

use super::grammar::{Command, Unit};
use super::known::{self, ENCODINGS};
use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, Setup};

/// Units that are sent before the states are compared.
const BATCH: usize = 25;

/// What the two disagree about.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The command, or the question about a key.
    pub about: String,
    /// What tells findings apart: the name of the command or the kind of state.
    pub kind: String,
    /// Our answer.
    pub ours: String,
    /// The reference's.
    pub theirs: String,
}

/// Limits under which a sequence runs: the usual ones, and some that every small value crosses.
const SETTINGS: [&str; 2] = [
    "hash-max-listpack-entries 128 hash-max-listpack-value 64 set-max-intset-entries 512 zset-max-listpack-entries 128 zset-max-listpack-value 64 list-max-listpack-size -2 list-compress-depth 0",
    "hash-max-listpack-entries 6 hash-max-listpack-value 20 set-max-intset-entries 6 zset-max-listpack-entries 6 zset-max-listpack-value 20 list-max-listpack-size 5 list-compress-depth 1",
];

/// A running server that is started again when it has died.
struct Side {
    folder: Folder,
    program: Program,
    running: Option<(Server, Connection)>,
}

impl Side {
    fn new(program: Program) -> Side {
        Side {
            folder: Folder::new(),
            program,
            running: None,
        }
    }

    fn connection(&mut self) -> &mut Connection {
        let Side {
            folder,
            program,
            running,
        } = self;
        let (_, connection) = running.get_or_insert_with(|| {
            let server = Setup::new(*program, folder).with("--appendonly no").start();
            let connection = server.connect();
            (server, connection)
        });
        connection
    }

    fn send(&mut self, commands: &[Command]) {
        let mut out = Vec::new();
        commands
            .iter()
            .for_each(|words| write_command(&mut out, words));
        // A server that has gone away shows when its reply is missing.
        let _ = self.connection().try_send(&out);
    }

    /// The replies; none if the server died over them.
    fn replies(&mut self, count: usize) -> Option<Vec<Value>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            match self.connection().try_read() {
                Ok(value) => all.push(value),
                Err(_) => {
                    if let Some((server, _)) = self.running.take() {
                        let log = server.log();
                        let lines: Vec<&str> = log.lines().collect();
                        let from = lines.len().saturating_sub(8);
                        println!("{:?} is gone:\n{}", self.program, lines[from..].join("\n"));
                    }
                    return None;
                }
            }
        }
        Some(all)
    }
}

/// The two.
pub struct Pair {
    ours: Side,
    theirs: Side,
    /// How often each row of the table was needed, by its reason.
    pub used: std::collections::BTreeMap<&'static str, usize>,
    /// Commands that were compared.
    pub compared: usize,
}

type Answers = (Vec<Value>, Vec<Value>);

impl Pair {
    /// Starts both.
    pub fn start() -> Pair {
        Pair {
            ours: Side::new(Program::Cairn),
            theirs: Side::new(Program::Reference),
            used: std::collections::BTreeMap::new(),
            compared: 0,
        }
    }

    /// Whether our server has a command.
    pub fn has(&mut self, name: &str) -> bool {
        let reply = self.ours.connection().call(&["COMMAND", "INFO", name]);
        !matches!(&reply, Value::Array(all) if matches!(all.as_slice(), [Value::Null]))
    }

    /// Runs a sequence on empty servers; `variant` chooses protocol and limits. Answers the first difference.
    pub fn run(&mut self, units: &[Unit], variant: u64) -> Option<Difference> {
        let setup = setup(variant);
        if let Err(difference) = self.ask(&setup) {
            return Some(difference);
        }
        for batch in units.chunks(BATCH) {
            let commands: Vec<Command> = batch.iter().flatten().cloned().collect();
            let found = self
                .compare(&commands)
                .err()
                .or_else(|| self.compare_states().err());
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn ask(&mut self, commands: &[Command]) -> Result<Answers, Difference> {
        self.ours.send(commands);
        self.theirs.send(commands);
        let theirs = self.theirs.replies(commands.len());
        let ours = self.ours.replies(commands.len());
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => Ok((ours, theirs)),
            (ours, theirs) => {
                let words = |there: bool| {
                    if there {
                        "answers"
                    } else {
                        "is gone or does not answer"
                    }
                };
                // Whatever came of it, both begin anew.
                (self.ours.running, self.theirs.running) = (None, None);
                Err(Difference {
                    about: "the process".into(),
                    kind: "the process".into(),
                    ours: words(ours.is_some()).into(),
                    theirs: words(theirs.is_some()).into(),
                })
            }
        }
    }

    fn compare(&mut self, commands: &[Command]) -> Result<(), Difference> {
        let (ours, theirs) = self.ask(commands)?;
        let mut queued: Vec<usize> = Vec::new();
        for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            self.compared += 1;
            if b.as_bytes() == Some(b"QUEUED") {
                queued.push(i);
            }
            let ends = commands[i][0].eq_ignore_ascii_case(b"exec");
            match (ends, a, b) {
                (true, Value::Array(a), Value::Array(b))
                    if a.len() == b.len() && b.len() == queued.len() =>
                {
                    for ((a, b), at) in a.iter().zip(b).zip(&queued) {
                        self.judge(&commands[*at], a, b)?;
                    }
                }
                _ => self.judge(&commands[i], a, b)?,
            }
            if ends || commands[i][0].eq_ignore_ascii_case(b"multi") {
                queued.clear();
            }
        }
        Ok(())
    }

    fn judge(&mut self, words: &Command, ours: &Value, theirs: &Value) -> Result<(), Difference> {
        if ours == theirs {
            return Ok(());
        }
        if let Some(row) = known::known(words, ours, theirs) {
            *self.used.entry(row.why).or_default() += 1;
            return Ok(());
        }
        Err(Difference {
            about: line(words),
            kind: String::from_utf8_lossy(&words[0]).to_ascii_uppercase(),
            ours: show(ours),
            theirs: show(theirs),
        })
    }

    /// Names, types, encodings, expiry times and digests of all keys in both databases.
    fn compare_states(&mut self) -> Result<(), Difference> {
        for db in ["1", "0"] {
            let (ours, theirs) = self.ask(&[words(&["SELECT", db]), words(&["KEYS", "*"])])?;
            let Value::Array(keys) = &theirs[1] else {
                return Err(state("KEYS", b"*", &ours[1], &theirs[1]));
            };
            if known::names(&ours[1]) != known::names(&theirs[1]) {
                return Err(state(
                    "keys of database",
                    db.as_bytes(),
                    &ours[1],
                    &theirs[1],
                ));
            }
            for key in keys.iter().filter_map(Value::as_bytes) {
                self.compare_key(key)?;
            }
        }
        Ok(())
    }

    fn compare_key(&mut self, key: &[u8]) -> Result<(), Difference> {
        let question = |names: &[&str]| -> Command {
            names
                .iter()
                .map(|n| n.as_bytes().to_vec())
                .chain([key.to_vec()])
                .collect()
        };
        let questions = [
            question(&["TYPE"]),
            question(&["OBJECT", "ENCODING"]),
            question(&["PTTL"]),
            question(&["DEBUG", "DIGEST-VALUE"]),
        ];
        let (ours, theirs) = self.ask(&questions)?;
        if ours[0] != theirs[0] {
            return Err(state("type of", key, &ours[0], &theirs[0]));
        }
        let kind = String::from_utf8_lossy(theirs[0].as_bytes().unwrap_or_default()).into_owned();
        self.judge_encoding(&kind, key, &ours[1], &theirs[1])?;
        self.judge(&questions[2], &ours[2], &theirs[2])?;
        if ours[3] == theirs[3] {
            return Ok(());
        }
        let whole = match kind.as_str() {
            "zset" => [
                words(&["ZRANGE"]),
                vec![key.to_vec()],
                words(&["0", "-1", "WITHSCORES"]),
            ]
            .concat(),
            "list" => [words(&["LRANGE"]), vec![key.to_vec()], words(&["0", "-1"])].concat(),
            "set" => question(&["SMEMBERS"]),
            "hash" => question(&["HGETALL"]),
            "stream" => [words(&["XRANGE"]), vec![key.to_vec()], words(&["-", "+"])].concat(),
            _ => question(&["GET"]),
        };
        let (ours, theirs) = self.ask(&[whole])?;
        if kind == "zset" && known::same_scores(&ours[0], &theirs[0]) {
            *self
                .used
                .entry("the digest of a sorted set is that of its printed scores")
                .or_default() += 1;
            return Ok(());
        }
        Err(state("value of", key, &ours[0], &theirs[0]))
    }

    fn judge_encoding(
        &mut self,
        kind: &str,
        key: &[u8],
        ours: &Value,
        theirs: &Value,
    ) -> Result<(), Difference> {
        if ours == theirs {
            return Ok(());
        }
        let is = |value: &Value, word: &str| value.as_bytes() == Some(word.as_bytes());
        let row = ENCODINGS
            .iter()
            .find(|row| row.0 == kind && is(ours, row.1) && is(theirs, row.2));
        match row {
            Some(row) => {
                *self.used.entry(row.3).or_default() += 1;
                Ok(())
            }
            None => Err(state(&format!("encoding of the {kind}"), key, ours, theirs)),
        }
    }
}

fn setup(variant: u64) -> Vec<Command> {
    let settings = SETTINGS[(variant % 2) as usize];
    let config: Vec<&str> = ["CONFIG", "SET"]
        .into_iter()
        .chain(settings.split(' '))
        .collect();
    vec![
        words(&["FLUSHALL"]),
        words(&["SELECT", "0"]),
        words(&[
            "HELLO",
            if (variant / 2).is_multiple_of(2) {
                "2"
            } else {
                "3"
            },
        ]),
        words(&config),
    ]
}

fn words(all: &[&str]) -> Command {
    all.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn state(what: &str, key: &[u8], ours: &Value, theirs: &Value) -> Difference {
    Difference {
        about: format!("{what} {}", quote(key)),
        kind: what.to_string(),
        ours: show(ours),
        theirs: show(theirs),
    }
}

/// A command as one line that can be read again.
pub fn line(words: &Command) -> String {
    let plain = |word: &[u8]| {
        !word.is_empty()
            && word
                .iter()
                .all(|b| b.is_ascii_graphic() && !b"\"'\\;".contains(b))
    };
    let word = |word: &Vec<u8>| {
        if plain(word) {
            String::from_utf8_lossy(word).into_owned()
        } else {
            quote(word)
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A reply in short: texts unquoted where they are plain.
fn show(value: &Value) -> String {
    let list = |all: &[Value]| all.iter().map(show).collect::<Vec<_>>().join(" ");
    let text = match value {
        Value::Simple(text) => format!("+{}", text.escape_ascii()),
        Value::Error(text) => format!("-{}", text.escape_ascii()),
        Value::Int(i) => format!(":{i}"),
        Value::Bulk(text) => format!("\"{}\"", text.escape_ascii()),
        Value::Null => "nil".into(),
        Value::Array(all) => format!("[{}]", list(all)),
        Value::Set(all) => format!("~[{}]", list(all)),
        other => format!("{other:?}"),
    };
    if text.len() > 1500 {
        format!("{}... ({} bytes)", &text[..1500], text.len())
    } else {
        text
    }
}
