//! `cairn.conf` has every directive once, with its default. It is written here: CAIRN_WRITE_DOCS=1 makes the test write it
//! instead of comparing it, as with the list in docs/configuration.md.

use cairn_server::config::{Directive, Effect, Kind, table};

use crate::listed::assert_listed;
use crate::packaged;
use crate::support::{Folder, Setup};

/// Columns that comments fill.
const WIDTH: usize = 80;

const HEAD: &str = "\
# Configuration of cairn-server. It reads the files of Redis 7.2 as they are; this
# one has every directive once, with its default. Lines with a # in front say what
# is so without them.
#
#   cairn-server /etc/cairn/cairn.conf
#   cairn-server /etc/cairn/cairn.conf --port 7000 --save \"\"
#
# A later line wins. Sizes take k, m and g (1000, 1000000 ...), kb, mb and gb (1024,
# 1048576 ...). Values may stand in \"double\" or 'single' quotes. Other files are
# read in place, so what stands behind them wins over them:
#
# include /etc/cairn/local.conf
#
# A command gets another name, or with \"\" none:
#
# rename-command CONFIG \"\"
#
# docs/configuration.md of the sources tells more.
";

/// Where a part begins: its first directive, its title, and what is good to know.
const PARTS: [(&str, &str, &str); 9] = [
    (
        "bind",
        "Network and connections",
        "As it stands the server listens on all addresses, and protected-mode lets only clients of this machine in until a password is set. \
         A server that others are to reach needs requirepass, and a bind to the addresses that they come by.",
    ),
    (
        "databases",
        "The process",
        "The log goes to standard output, where systemd and containers look for it. Whoever starts the server in the background \
         wants a logfile.",
    ),
    (
        "maxmemory",
        "Memory",
        "Without maxmemory the data grows until the system ends the server. A cache wants a maxmemory and a policy that evicts; a store wants \
         noeviction, and a maxmemory that leaves room for the child that saves.",
    ),
    (
        "hash-max-listpack-entries",
        "Small values",
        "Small collections are kept packed, which takes a fraction of the memory. Larger limits save more and take more time for each change.",
    ),
    (
        "dir",
        "Snapshots and the log",
        "A snapshot is the data of a moment; what came after the last one is lost with the process. The log (appendonly) has every change, and \
         appendfsync says how much of it the machine may lose with its power: always nothing, everysec about a second.",
    ),
    ("replicaof", "Replication", ""),
    ("cluster-enabled", "Cluster", ""),
    ("tls-port", "TLS", ""),
    ("rdb-key-save-delay", "For tests", ""),
];

/// A text as lines of comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

fn about(directive: &Directive) -> String {
    let words = match directive.kind {
        Kind::Choice(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!(" One of {}.", words.join(", "))
        }
        _ => String::new(),
    };
    let state = match directive.effect {
        Effect::Works => String::new(),
        Effect::Moot(why) => format!(" (It has no effect: {why}.)"),
    };
    let old = directive
        .alias
        .map_or(String::new(), |alias| format!(" Also called {alias}."));
    comment(&format!("{}{words}{old}{state}", directive.summary()))
}

/// The lines that say the default, commented out where there is nothing to say or nobody listens.
fn lines(directive: &Directive) -> String {
    let name = directive.name;
    let mark = match (directive.effect, directive.default) {
        (Effect::Works, default) if !default.is_empty() => "",
        _ => "# ",
    };
    match (directive.kind, directive.default) {
        (Kind::Limits, default) => {
            let words: Vec<&str> = default.split(' ').collect();
            let classes = words
                .chunks(4)
                .map(|class| format!("{mark}{name} {}\n", class.join(" ")));
            classes.collect()
        }
        (_, "") => format!("{mark}{name} \"\"\n"),
        (Kind::Text(_), default) if default.contains(' ') => {
            format!("{mark}{name} \"{default}\"\n")
        }
        (_, default) => format!("{mark}{name} {default}\n"),
    }
}

fn expected() -> String {
    let mut text = HEAD.to_string();
    for directive in table::all().filter(|directive| !directive.is_hidden()) {
        if let Some((_, title, what)) = PARTS.iter().find(|(first, ..)| *first == directive.name) {
            text.push_str(&format!("\n# ---- {title} ----\n"));
            if !what.is_empty() {
                text.push_str(&format!("#\n{}", comment(what)));
            }
        }
        text.push_str(&format!("\n{}{}", about(directive), lines(directive)));
    }
    text
}

#[test]
fn the_file_has_every_directive_once_with_its_default() {
    let text = expected();
    assert_listed("packaging/cairn.conf", None, &text);
    for directive in table::all() {
        let count = text.matches(&format!("\n{}", lines(directive))).count();
        assert_eq!(
            count,
            usize::from(!directive.is_hidden()),
            "{}",
            directive.name
        );
    }
    let names = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).collect();
    names.dedup();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each stands at one place");
    let firsts = PARTS
        .iter()
        .filter(|(first, ..)| table::all().any(|d| d.name == *first));
    assert_eq!(firsts.count(), PARTS.len());
}

#[test]
fn a_server_with_the_file_is_as_one_without() {
    let all = |setup: Setup| {
        let server = setup.start();
        let values = server.connect().good("CONFIG GET *");
        let log = server.stop();
        assert!(!log.contains("no effect"), "{log}");
        values
    };
    let folder = Folder::new();
    let file = packaged("cairn.conf");
    let port = crate::support::process::free_port();
    let with = Setup::cairn(&folder)
        .only(file.to_str().unwrap())
        .on_port(port);
    let without = Setup::cairn(&folder).only("").on_port(port);
    assert_eq!(all(with), all(without));
}
