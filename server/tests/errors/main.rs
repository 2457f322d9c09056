//! Every command of the data groups with wrong keys, counts, numbers and words: ours answers what the reference answers,
//! but for what `known` lists.
//!
//! The commands stand in `cases.txt`. There `@` means a key of each type and one that is missing, `{a|b}` each of these,
//! `<int>` and `<float>` each text that is no such number or does not fit. Each command runs on the same keys, made anew
//! before it. Commands that the reference does not know have their answers in `newer.txt`.

mod known;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use cairn_format::resp::value::{Value, write_command};
use cairn_format::text::words::{quote, split_words};
use serde_json::Value as Json;
use support::{Connection, Folder, Setup};

/// What `@` stands for.
const TYPES: &str = "{missing|str|int|list|set|iset|zset|hash|stream}";
/// Texts that are no 64 bit integer, as Redis reads them.
const INTEGERS: &str =
    "{x|1.5|\"\"|9223372036854775808|-9223372036854775809|\" 1\"|\"1 \"|+1|01|0x1}";
/// Texts that are no number, or one that C and Redis read differently.
const FLOATS: &str = "{x|\"\"|nan|1e|--1|\" 1\"|\"1 \"|1,5|0x1p2x}";

/// The keys, as lines of words.
const KEYS: &[&str] = &[
    "SET str abc",
    "SET int 10",
    "SET float 1.5",
    "SET max 9223372036854775807",
    "SET min -9223372036854775808",
    "SET spaced \"1 \"",
    "RPUSH list a b c",
    "SADD set a b c",
    "SADD iset 1 2 3",
    "ZADD zset 1 a 2 b 3 c",
    "ZADD zinf inf p",
    "HSET hash f v n 5 max 9223372036854775807 huge 1.7e308",
    "XADD stream 1-1 a 1",
    "XADD stream 2-2 b 2",
    "XGROUP CREATE stream g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS stream >",
    "XADD full 18446744073709551615-18446744073709551615 f v",
    "GEOADD geo 13.361389 38.115556 a 15.087269 37.502669 b",
    "PFADD hll a b c",
    "SET corrupt \"HYLL\\x07\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"",
    "SET short HYLL",
];

type Words = Vec<Vec<u8>>;

fn words(line: &str) -> Words {
    split_words(line.as_bytes()).unwrap_or_else(|_| panic!("the quotes of `{line}` are not closed"))
}

/// All lines that a line with alternatives stands for.
fn expand(line: &str) -> Vec<String> {
    let line = line
        .replace('@', TYPES)
        .replace("<float>", &FLOATS[1..FLOATS.len() - 1])
        .replace("<int>", &INTEGERS[1..INTEGERS.len() - 1]);
    let mut done = vec![String::new()];
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, behind) = after.split_once('}').expect("a bracket is closed");
        let parts: Vec<&str> = inside.split('|').collect();
        done = done
            .iter()
            .flat_map(|start| {
                parts
                    .iter()
                    .map(move |part| format!("{start}{before}{part}"))
            })
            .collect();
        rest = behind;
    }
    done.iter().map(|start| format!("{start}{rest}")).collect()
}

fn cases() -> Vec<String> {
    let lines = include_str!("cases.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(expand)
        .collect()
}

/// The data commands of Redis 7.2 with their arities, by the categories that only they have.
fn data_commands() -> Vec<(String, i64)> {
    const GROUPS: [&str; 11] = [
        "@string",
        "@list",
        "@set",
        "@sortedset",
        "@hash",
        "@stream",
        "@geo",
        "@bitmap",
        "@hyperloglog",
        "@keyspace",
        "@transaction",
    ];
    let text = include_str!("../../../testdata/commands-7.2.json");
    let all: Json = serde_json::from_str(text).expect("the golden file is JSON");
    let belongs = |command: &Json| {
        let categories = command["acl"].as_array().expect("categories");
        categories
            .iter()
            .any(|c| GROUPS.iter().any(|group| c == group))
    };
    let mut found = Vec::new();
    for command in all
        .as_array()
        .expect("a list")
        .iter()
        .filter(|c| belongs(c))
    {
        let name = command["name"].as_str().expect("a name").to_string();
        found.push((name, command["arity"].as_i64().expect("an arity")));
    }
    found
}

/// One server with its keys.
struct Side {
    connection: Connection,
    keys: Vec<u8>,
}

impl Side {
    fn new(mut connection: Connection) -> Side {
        let mut keys = Vec::new();
        write_command(&mut keys, &["FLUSHALL"]);
        for line in KEYS {
            write_command(&mut keys, &words(line));
        }
        connection.good("CONFIG SET list-compress-depth 0");
        Side { connection, keys }
    }

    /// Makes the keys anew and runs a command on them.
    fn answer(&mut self, command: &Words) -> Value {
        let mut bytes = self.keys.clone();
        write_command(&mut bytes, command);
        self.connection.send(&bytes);
        for line in std::iter::once(&"FLUSHALL").chain(KEYS) {
            let reply = self.connection.read();
            assert!(!reply.is_error(), "{line}: {reply:?}");
        }
        let reply = self.connection.read();
        if command[0].eq_ignore_ascii_case(b"select") || command[0].eq_ignore_ascii_case(b"swapdb")
        {
            self.connection.good("SELECT 0");
        }
        reply
    }
}

/// Compares one command. Answers what differs without a reason.
fn compare(
    ours: &mut Side,
    theirs: &mut Side,
    command: &Words,
    used: &mut BTreeSet<usize>,
) -> Option<String> {
    let (a, b) = (ours.answer(command), theirs.answer(command));
    if a == b {
        return None;
    }
    let shown: Vec<String> = command.iter().map(|word| quote(word)).collect();
    let line = shown.join(" ");
    match known::explain(command, &a, &b) {
        Some(row) => {
            used.insert(row);
            None
        }
        None => Some(format!("{line}\n   ours:   {a:?}\n   theirs: {b:?}")),
    }
}

#[test]
fn errors_are_those_of_the_reference() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let ours = Setup::cairn(&ours).start();
    let theirs = Setup::reference(&theirs).start();
    let (mut a, mut b) = (Side::new(ours.connect()), Side::new(theirs.connect()));
    let (mut used, mut findings, mut count) = (BTreeSet::new(), Vec::new(), 0);
    for line in cases() {
        findings.extend(compare(&mut a, &mut b, &words(&line), &mut used));
        count += 1;
    }
    // One argument too few, and one too many where the number is fixed.
    for (name, arity) in data_commands() {
        let fewer = arity.unsigned_abs() as usize - 1;
        let mut counts = vec![fewer];
        counts.extend((arity > 0).then_some(fewer + 2));
        for words in counts.into_iter().filter(|words| *words > 0) {
            let mut command = vec![name.clone().into_bytes()];
            command.resize(words, b"0".to_vec());
            findings.extend(compare(&mut a, &mut b, &command, &mut used));
            count += 1;
        }
    }
    println!("{count} commands compared");
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
    let unused: Vec<&str> = known::reasons()
        .enumerate()
        .filter(|(row, _)| !used.contains(row))
        .map(|(_, why)| why)
        .collect();
    assert!(
        unused.is_empty(),
        "known differences that do not show: {unused:?}"
    );
}

#[test]
fn every_data_command_has_its_cases() {
    let lines = cases();
    let first = |line: &str| words(line).first().map(|word| word.to_ascii_lowercase());
    let there: BTreeSet<Vec<u8>> = lines.iter().filter_map(|line| first(line)).collect();
    let lacking: Vec<String> = data_commands()
        .into_iter()
        .filter(|(name, _)| {
            !there.contains(name.as_bytes()) && !known::WITHOUT_CASES.contains(&name.as_str())
        })
        .map(|(name, _)| name)
        .collect();
    assert!(lacking.is_empty(), "no cases for {lacking:?}");
}

/// Lines of `newer.txt`: a command, and below it, indented, the answer.
#[test]
fn errors_of_newer_commands_are_those_recorded() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut side = Side::new(server.connect());
    let mut lines = include_str!("newer.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut count = 0;
    while let Some(line) = lines.next() {
        let want = lines
            .next()
            .and_then(|line| line.strip_prefix("    "))
            .expect("an answer follows");
        for command in expand(line) {
            let got = match side.answer(&words(&command)) {
                Value::Error(text) => String::from_utf8_lossy(&text).into_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(got, want, "{command}");
            count += 1;
        }
    }
    assert!(count > 50, "{count} commands");
}
