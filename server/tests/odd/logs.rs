//! Logs with every command of the table: alone, in a transaction, with a word too few or too many.

use cairn_format::resp::value::{Value, write_command};

use super::grammar::{self, Command};
use super::templates::FAMILIES;
use crate::support::Dice;

/// What is there before.
const FIXTURE: [&str; 9] = [
    "SET s:1 text",
    "SET s:2 10",
    "RPUSH l:1 a b c",
    "SADD t:1 a b 3",
    "ZADD z:1 1 a 2 b",
    "HSET h:1 f v n 5",
    "XADD x:1 5-1 f v",
    "XGROUP CREATE x:1 g 0",
    "PFADD p:1 a",
];

/// How a command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Alone,
    /// Between MULTI and EXEC.
    Transaction,
    /// Without its last word.
    Shorter,
    /// With a word more.
    Longer,
}

/// A log, and what it was made of.
pub struct Case {
    /// How its commands stand in it.
    pub place: Place,
    /// The commands behind the fixture.
    pub commands: Vec<Command>,
}

fn fixture() -> Vec<Command> {
    let words = |line: &str| {
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    };
    FIXTURE.iter().map(|line| words(line)).collect()
}

/// Templates of commands that change data, each once, and commands that have none.
pub fn templates() -> Vec<&'static str> {
    let mut all: Vec<&str> = FAMILIES
        .iter()
        .flat_map(|family| family.templates.iter().copied())
        .filter(|template| !template.contains(';') && !template.contains("MULTI"))
        .collect();
    all.sort_unstable();
    all.dedup();
    all.extend(OTHERS);
    all
}

/// Commands that the templates do not have: of connections, channels and administration.
const OTHERS: &[&str] = &[
    "PING",
    "ECHO a",
    "SELECT 3",
    "SELECT 99",
    "AUTH x",
    "HELLO 3",
    "CLIENT ID",
    "CLIENT SETNAME a",
    "CONFIG GET maxmemory",
    "CONFIG SET maxmemory 0",
    "INFO",
    "COMMAND COUNT",
    "PUBLISH c m",
    "SUBSCRIBE c",
    "PSUBSCRIBE c",
    "UNSUBSCRIBE",
    "WATCH a",
    "UNWATCH",
    "TIME",
    "DBSIZE",
    "LASTSAVE",
    "ROLE",
    "SWAPDB 0 1",
    "FLUSHDB",
    "FLUSHALL",
    "NOSUCH a",
    "XGROUP NOSUCH a",
    "OBJECT NOSUCH a",
    "WAIT 0 0",
    "MEMORY USAGE s:1",
    "SET s:1 v IFEQ x",
    "DISCARD",
    "EXEC",
    "MULTI",
    "BLPOP l:1 0",
    "BLPOP none 0",
    "BZPOPMIN z:1 0",
    "BLMOVE l:1 l:2 LEFT RIGHT 0",
    "SETRANGE s:1 9223372036854775000 x",
    "SETBIT s:1 9223372036854775807 1",
    "RESTORE r 0 x",
];

/// The case of a seed.
pub fn case(templates: &[&str], seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    // Neighbouring seeds have neighbouring templates, so that a run of them tries all.
    let template = templates[(seed % templates.len() as u64) as usize];
    let mut commands = grammar::expand(template, &mut dice);
    let place = match dice.below(4) {
        0 => Place::Alone,
        1 => Place::Transaction,
        2 => Place::Shorter,
        _ => Place::Longer,
    };
    let last = commands.last_mut().expect("a command");
    match place {
        Place::Shorter => last.truncate(last.len().max(2) - 1),
        Place::Longer => last.push(b"more".to_vec()),
        _ => {}
    }
    Case { place, commands }
}

impl Case {
    /// The log.
    pub fn log(&self) -> Vec<u8> {
        let mut log = Vec::new();
        write_command(&mut log, &["SELECT", "0"]);
        for command in fixture() {
            write_command(&mut log, &command);
        }
        if self.place == Place::Transaction {
            write_command(&mut log, &["MULTI"]);
        }
        for command in &self.commands {
            write_command(&mut log, command);
        }
        if self.place == Place::Transaction {
            write_command(&mut log, &["EXEC"]);
        }
        write_command(&mut log, &["SET", "the:end", "1"]);
        log
    }

    /// The commands that a client sends to come to the same data.
    pub fn live(&self) -> Vec<Command> {
        let mut all = vec![vec![b"RESET".to_vec()], vec![b"FLUSHALL".to_vec()]];
        all.extend(fixture());
        all.extend(self.commands.clone());
        all
    }

    /// As one line.
    pub fn told(&self) -> String {
        let words = |command: &Command| {
            let words = command.iter().map(|word| word.escape_ascii().to_string());
            words.collect::<Vec<_>>().join(" ")
        };
        let all: Vec<String> = self.commands.iter().map(words).collect();
        format!("{:?}: {}", self.place, all.join(" ; "))
    }

    /// The name of its last command, upper case.
    pub fn name(&self) -> String {
        let last = self.commands.last().expect("a command");
        String::from_utf8_lossy(&last[0]).to_uppercase()
    }
}

/// A log of good commands in which any two bytes stand behind the arguments; in every third seed one of the two is missing
/// somewhere, or there is one too many.
pub fn loosely_ended(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let words = [b"??", b"\n\r", b"$1", b"*1", b"\0\0", b"\r\n"];
    let commands = fixture();
    let wrong = seed
        .is_multiple_of(3)
        .then(|| dice.below(commands.len() as u64) as usize);
    let mut log = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        log.extend(format!("*{}\r\n", command.len()).bytes());
        for arg in command {
            log.extend(format!("${}\r\n", arg.len()).bytes());
            log.extend(arg);
            log.extend(words[dice.below(words.len() as u64) as usize]);
        }
        match (wrong == Some(number), dice.below(2)) {
            (true, 0) => drop(log.pop()),
            (true, _) => log.push(b'?'),
            _ => {}
        }
    }
    log
}

/// Whether a reply is an error.
pub fn is_error(reply: &Value) -> bool {
    matches!(reply, Value::Error(_))
}
