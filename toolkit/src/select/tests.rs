//! The selection language, from the words on the command line to the keys taken.

use super::*;
use clap::{CommandFactory, Parser};

#[derive(Parser, Debug)]
struct Probe {
    #[command(flatten)]
    selection: Selection,
}

fn selection(words: &[&str]) -> Selection {
    let words = [&["probe"], words].concat();
    Probe::try_parse_from(&words)
        .unwrap_or_else(|error| panic!("{words:?}: {error}"))
        .selection
}

/// Key, type, database, time left, bytes, idle time.
type Row = (
    &'static str,
    &'static str,
    u64,
    Option<i64>,
    u64,
    Option<u64>,
);

/// Items as `key type db ttl_ms bytes idle`, and whether they are taken.
fn taken(words: &[&str]) -> String {
    let selection = selection(words);
    let now = selection.now_ms;
    let items: [Row; 4] = [
        ("a:1", "string", 0, None, 10, None),
        ("a:2", "hash", 0, Some(60_000), 2000, Some(5)),
        ("b:1", "list", 3, Some(-1), 1 << 20, Some(86_400)),
        ("{a:1}x", "string", 7, Some(7_200_000), (1 << 20) + 1, None),
    ];
    let takes = |(key, type_name, db, ttl, bytes, idle_s): &Row| {
        selection.takes(&Item {
            key: key.as_bytes(),
            type_name,
            db: *db,
            expire_ms: ttl.map(|left| now + left),
            bytes: *bytes,
            idle_s: *idle_s,
        })
    };
    let marks = items.iter().map(|item| if takes(item) { 'x' } else { '.' });
    marks.collect()
}

#[test]
fn each_option_takes_what_it_says() {
    for (words, expected) in [
        (&[][..], "xxxx"),
        (&["--key", "a:*"], "xx.."),
        (&["--key", "a:*", "--key", "b:*"], "xxx."),
        (&["--key", "a:*", "--type", "hash"], ".x.."),
        (&["--not-key", "a:*"], "..xx"),
        (&["--key-regex", "^[ab]:1$"], "x.x."),
        (&["--not-key-regex", "x$", "--not-type", "hash"], "x.x."),
        (&["--type", "string", "--type", "LIST"], "x.xx"),
        (&["--db", "0"], "xx.."),
        (&["--db", "1-7"], "..xx"),
        (&["--db", ">3"], "...x"),
        (&["--ttl", "none"], "x..."),
        (&["--ttl", "any"], ".xxx"),
        (&["--ttl", "expired"], "..x."),
        (&["--ttl", "<1h"], ".xx."),
        (&["--ttl", "1..1h"], ".x.."),
        (&["--not-ttl", ">=1h30m"], "xxx."),
        (&["--size", ">1mb"], "...x"),
        (&["--size", "2k..1mb"], ".xx."),
        (&["--size", "10"], "x..."),
        (&["--idle", ">=1d"], "..x."),
        (&["--idle", "<1d"], ".x.."),
        (&["--slot", "0-16383"], "xxxx"),
        (&["--slot", "8311"], "x..x"),
    ] {
        assert_eq!(taken(words), expected, "{words:?}");
    }
}

#[test]
fn libraries_are_spoken_of_by_type_alone() {
    for (words, expected) in [
        (&[][..], true),
        (&["--key", "a"], true),
        (&["--type", "hash"], false),
        (&["--type", "hash", "--type", "function"], true),
        (&["--not-type", "function"], false),
        (&["--not-type", "hash"], true),
    ] {
        assert_eq!(selection(words).takes_functions(), expected, "{words:?}");
    }
}

#[test]
fn what_is_no_word_of_the_language_is_refused() {
    for words in [
        ["--type", "sting"],
        ["--db", "x"],
        ["--db", "7-1"],
        ["--slot", "16384"],
        ["--ttl", "soon"],
        ["--ttl", "<0"],
        ["--size", ">1xb"],
        ["--size", ">99999999999999tb"],
        ["--idle", "5y"],
        ["--key-regex", "("],
    ] {
        let error = Probe::try_parse_from(["probe", words[0], words[1]]).expect_err(words[1]);
        assert!(error.to_string().contains(words[0]), "{error}");
    }
}

#[test]
fn the_help_has_one_section_for_it() {
    let help = Probe::command().render_long_help().to_string();
    let (_, section) = help.split_once("Which keys").expect("a section");
    for choice in &CHOICES {
        for name in [choice.name, choice.not] {
            assert!(section.contains(&format!("--{name} <{}>", choice.value)));
        }
    }
}
