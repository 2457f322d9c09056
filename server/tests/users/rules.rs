use crate::support::process::Server;
use crate::support::told;
use crate::support::{Connection, Dice, Folder, Setup};

const COMMANDS: &[&str] = &[
    "get",
    "SET",
    "mget",
    "config",
    "config|get",
    "Config|Set",
    "client|kill",
    "acl|whoami",
    "acl|LIST",
    "select",
    "select|0",
    "get|x",
    "set|y",
    "xgroup|create",
    "xgroup|nosuch",
    "eval",
    "publish",
    "subscribe",
    "psubscribe",
    "sort",
    "debug|object",
    "debug",
    "nosuch",
    "nosuch|x",
    "get|",
    "config|",
    "config|get|x",
    "set|a|b",
    "zunionstore",
    "memory|usage",
    "object|encoding",
    "copy",
    "flushall",
    "swapdb",
    "script|load",
    "georadius",
    "blpop",
    "xread",
    "auth",
    "hello",
    "ping",
];
const CATEGORIES: &[&str] = &[
    "all",
    "read",
    "WRITE",
    "admin",
    "slow",
    "fast",
    "stream",
    "dangerous",
    "nosuch",
    "keyspace",
    "string",
    "set",
    "sortedset",
    "list",
    "bitmap",
    "hyperloglog",
    "geo",
    "pubsub",
    "blocking",
    "connection",
    "transaction",
    "scripting",
    "",
];
const PATTERNS: &[&str] = &["*", "a", "a*", "", "[ab]", "k:*", "a?", "**", "\\*", "b"];
const ALONE: &[&str] = &[
    "allkeys",
    "resetkeys",
    "allchannels",
    "resetchannels",
    "allcommands",
    "nocommands",
    "nosuch",
    "ALLKEYS",
    "on",
    "off",
    "nopass",
    "resetpass",
    "reset",
    "clearselectors",
    "skip-sanitize-payload",
    ">pw",
    "<pw",
    ">",
    "<",
    "#ab",
];
const CALLS: &[&str] = &[
    "GET a",
    "GET ab",
    "SET a 1",
    "SET a 1 GET",
    "MGET a b",
    "COPY a b",
    "GETSET a 1",
    "EXISTS a",
    "STRLEN k:1",
    "CONFIG GET x",
    "CONFIG SET a b",
    "CLIENT KILL x",
    "ACL WHOAMI",
    "ACL LIST",
    "SELECT 0",
    "SELECT 1",
    "DEBUG OBJECT a",
    "XGROUP CREATE a g 0",
    "EVAL x 1 a",
    "EVAL x 0",
    "EVAL x 3 a",
    "PUBLISH a m",
    "PUBLISH zz m",
    "SUBSCRIBE a b",
    "PSUBSCRIBE a*",
    "PSUBSCRIBE a",
    "SPUBLISH a m",
    "SORT a STORE b",
    "SINTER a b",
    "ZUNIONSTORE a 2 b a",
    "MEMORY USAGE a",
    "OBJECT ENCODING a",
    "FLUSHALL",
    "SWAPDB 0 1",
    "SCRIPT LOAD x",
    "GEORADIUS a 0 0 1 m STORE b",
    "BLPOP a b 0",
    "XREAD STREAMS a b 0 0",
    "PFCOUNT a",
    "AUTH x",
    "HELLO",
    "PING",
    "KEYS *",
    "HSET a b c",
    "MSET a 1 b 2",
    "WATCH a",
    "BITFIELD a GET u8 0",
    "BITFIELD a SET u8 0 1",
];

fn pick<'w>(dice: &mut Dice, words: &[&'w str]) -> &'w str {
    words[dice.below(words.len() as u64) as usize]
}

fn word(dice: &mut Dice, inside: bool) -> String {
    let sign = pick(dice, &["+", "-"]);
    match dice.below(if inside { 9 } else { 11 }) {
        0..=3 => format!("{sign}{}", pick(dice, COMMANDS)),
        4 => format!("{sign}@{}", pick(dice, CATEGORIES)),
        5 => format!("~{}", pick(dice, PATTERNS)),
        6 => {
            // What `%RW~*` means is not the same.
            let letters = pick(dice, &["R", "W", "RW", "wr", "X", "RR", "r"]);
            match pick(dice, PATTERNS) {
                "*" => "%R~*".to_owned(),
                pattern => format!("%{letters}~{pattern}"),
            }
        }
        7 => format!("&{}", pick(dice, PATTERNS)),
        8 | 9 => pick(dice, ALONE).to_owned(),
        _ => {
            let words: Vec<String> = (0..dice.below(5)).map(|_| word(dice, true)).collect();
            format!("({})", words.join(" "))
        }
    }
}

/// A line of ACL LIST without its rules for commands and without `sanitize-payload`: 7.0 prints these otherwise.
fn without_commands(line: &str) -> String {
    let is_rule = |word: &&str| word.starts_with(['+', '-']) || *word == "sanitize-payload";
    let shorten = |word: &str| match word.strip_suffix(')') {
        Some(rest) if is_rule(&rest) => ")".to_owned(),
        _ => word.to_owned(),
    };
    let words = line.split(' ').map(shorten);
    words
        .filter(|word| !is_rule(&&**word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A verdict without the words that are others in 7.0: what is denied stands between quotes.
fn verdict(told: &str) -> String {
    match told.split_once("has no permissions to ") {
        Some((_, what)) => what.to_owned(),
        None => told.to_owned(),
    }
}

fn ask(connection: &mut Connection, words: &[&str]) -> String {
    told(&connection.call(words))
}

#[test]
fn random_rules_mean_what_they_mean_to_the_reference() {
    let folders = [Folder::new(), Folder::new()];
    let servers: [Server; 2] = [
        Setup::cairn(&folders[0]).start(),
        Setup::reference(&folders[1]).start(),
    ];
    let mut both = servers.each_ref().map(Server::connect);
    let mut dice = Dice::new(11);
    let (mut accepted, mut denied) = (0, 0);
    for _ in 0..150 {
        for connection in &mut both {
            ask(connection, &["ACL", "DELUSER", "u"]);
            ask(connection, &["ACL", "SETUSER", "u"]);
        }
        let mut history = Vec::new();
        for _ in 0..1 + dice.below(9) {
            history.push(word(&mut dice, false));
            let word = history.last().expect("just pushed");
            let [ours, theirs] = both
                .each_mut()
                .map(|connection| ask(connection, &["ACL", "SETUSER", "u", word]));
            assert_eq!(ours, theirs, "{history:?}");
            accepted += usize::from(!ours.starts_with('-'));
        }
        let [ours, theirs] = both.each_mut().map(|connection| {
            let list = connection.call(&["ACL", "LIST"]);
            let lines = list.as_array().expect("lines").iter();
            lines
                .map(|line| without_commands(&told(line)))
                .collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs, "{history:?}");
        for _ in 0..20 {
            let call = pick(&mut dice, CALLS);
            let words: Vec<&str> = ["ACL", "DRYRUN", "u"]
                .into_iter()
                .chain(call.split(' '))
                .collect();
            let [ours, theirs] = both
                .each_mut()
                .map(|connection| verdict(&ask(connection, &words)));
            assert_eq!(ours, theirs, "{call}: {history:?}");
            denied += usize::from(ours.contains('\''));
        }
    }
    assert!(
        accepted > 400 && denied > 1000,
        "{accepted} rules, {denied} denials"
    );
}
