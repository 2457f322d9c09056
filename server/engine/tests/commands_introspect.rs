//! COMMAND against what a Redis 7.2.4 said of itself (`testdata/commands-7.2.json`), and its other subcommands.

mod support;

use cairn_format::resp::value::Value;
use support::{Bench, docs, golden};

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().expect("text")).into_owned()
}

#[test]
fn commands_describe_themselves_as_in_redis() {
    let mut bench = Bench::new();
    let found = golden::differences_from_redis(&mut bench);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let count = bench.value("COMMAND COUNT").as_int();
    assert!(count > Some(80), "only {count:?} commands");
}

#[test]
fn versions_groups_and_orders_are_those_of_redis() {
    let (compared, different) = docs::differences(&Bench::new());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared >= 200, "only {compared} commands");
}

#[test]
fn info_answers_nil_for_what_it_does_not_know() {
    let mut bench = Bench::new();
    for name in ["nosuch", "command|nosuch", "get|x"] {
        assert_eq!(bench.line(&format!("COMMAND INFO {name}")), "*1\r\n$-1\r\n");
    }
    let ping = "*1\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n*2\r\n+@fast\r\n+@connection\r\n*2\r\n$25\r\nrequest_policy:all_shards\r\n$29\r\nresponse_policy:all_succeeded\r\n*0\r\n*0\r\n";
    assert_eq!(bench.line("COMMAND INFO PING"), ping);
}

#[test]
fn info_has_sets_and_maps_in_resp3() {
    let get = "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n";
    assert_eq!(Bench::new().resp3().line("COMMAND INFO get"), get);
}

#[test]
fn getkeys_names_keys_and_says_why_not() {
    let mut bench = Bench::new();
    let cases = [
        ("GETKEYS GET a", "*1\r\n$1\r\na\r\n"),
        ("GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("GETKEYS OBJECT ENCODING k", "*1\r\n$1\r\nk\r\n"),
        (
            "GETKEYS SORT a LIMIT 0 STORE GET STORE STORE d",
            "*2\r\n$1\r\na\r\n$1\r\nd\r\n",
        ),
        ("GETKEYS SORT_RO a BY w* GET x*", "*1\r\n$1\r\na\r\n"),
        ("GETKEYS MIGRATE h 1 k 0 1 COPY", "*1\r\n$1\r\nk\r\n"),
        (
            "GETKEYS MIGRATE h 1 k 0 1 KEYS a",
            "-ERR Invalid arguments specified for command\r\n",
        ),
        (
            "GETKEYSANDFLAGS SORT a STORE d",
            "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nd\r\n*2\r\n+OW\r\n+update\r\n",
        ),
        // What is done counts, not which words are there.
        (
            "GETKEYS GEORADIUS k 0 0 1 m STORE a STOREDIST b",
            "*2\r\n$1\r\nk\r\n$1\r\nb\r\n",
        ),
        (
            "GETKEYS GEORADIUSBYMEMBER k m 1 m COUNT STORE STORE b",
            "*2\r\n$1\r\nk\r\n$1\r\nb\r\n",
        ),
        (
            "GETKEYS XREADGROUP COUNT 1 GROUP streams x STREAMS s >",
            "*1\r\n$1\r\ns\r\n",
        ),
        ("GETKEYS PING", "-ERR The command has no key arguments\r\n"),
        (
            "GETKEYS SPUBLISH c m",
            "-ERR The command has no key arguments\r\n",
        ),
        ("GETKEYS NOSUCH a", "-ERR Invalid command specified\r\n"),
        (
            "GETKEYS GET",
            "-ERR Invalid number of arguments specified for command\r\n",
        ),
        (
            "GETKEYSANDFLAGS SET a b",
            "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n",
        ),
        (
            "GETKEYSANDFLAGS SET a b GET",
            "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n",
        ),
        (
            "GETKEYSANDFLAGS DEL a",
            "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RM\r\n+delete\r\n",
        ),
    ];
    for (line, want) in cases {
        assert_eq!(bench.line(&format!("COMMAND {line}")), want, "{line}");
    }
    // Words that are arguments of an option are no options.
    let words = "COMMAND|GETKEYS|MIGRATE|h|1||0|1|AUTH|KEYS|KEYS|a|b";
    let words: Vec<&str> = words.split('|').collect();
    assert_eq!(bench.run(&words), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn list_filters_by_category_and_pattern() {
    let mut bench = Bench::new();
    let names = |value: Value| -> Vec<String> {
        value.as_array().expect("a list").iter().map(text).collect()
    };
    let all = names(bench.value("COMMAND LIST"));
    assert!(all.contains(&"get".into()) && all.contains(&"command|count".into()));
    let pattern = names(bench.value("COMMAND LIST FILTERBY PATTERN hm*"));
    assert_eq!(
        pattern,
        all.iter()
            .filter(|n| n.starts_with("hm"))
            .cloned()
            .collect::<Vec<_>>()
    );
    let hashes = names(bench.value("COMMAND LIST FILTERBY ACLCAT hash"));
    assert!(hashes.contains(&"hset".into()) && !hashes.contains(&"get".into()));
    assert_eq!(bench.line("COMMAND LIST FILTERBY ACLCAT nosuch"), "*0\r\n");
    assert_eq!(bench.line("COMMAND LIST FILTERBY MODULE x"), "*0\r\n");
    for wrong in [
        "FILTERBY FOO x",
        "FILTERBY PATTERN",
        "FILTERBY PATTERN a b",
        "foo",
    ] {
        assert_eq!(
            bench.line(&format!("COMMAND LIST {wrong}")),
            "-ERR syntax error\r\n",
            "{wrong}"
        );
    }
}

#[test]
fn docs_and_help_are_maps_and_lines() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("COMMAND DOCS nosuch"), "*0\r\n");
    let docs = bench.value("COMMAND DOCS get");
    let parts = docs.as_array().expect("name and map");
    assert_eq!((parts.len(), text(&parts[0])), (2, "get".into()));
    assert_eq!(text(&parts[1].as_array().expect("pairs")[0]), "summary");
    let help = bench.value("COMMAND HELP");
    assert_eq!(help.as_array().map(<[Value]>::len), Some(21));
    assert_eq!(
        bench.line("COMMAND FOO"),
        "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"
    );
    let count = bench.value("COMMAND COUNT").as_int().expect("a number");
    assert_eq!(
        bench.value("COMMAND INFO").as_array().map(<[Value]>::len),
        Some(count as usize)
    );
}

/// Most figures of the table are compared with those of 7.2; these are in no reply that was recorded, or of commands that came
/// later.
#[test]
fn every_command_says_what_it_does_and_costs() {
    let bench = Bench::new();
    let later = ["httl", "hpttl"];
    // Recorded from a Valkey 9.1.2.
    let of_valkey: [(&str, &[&str]); 4] = [
        (
            "msetex",
            &[
                "request_policy:multi_shard",
                "response_policy:all_succeeded",
            ],
        ),
        (
            "commandlog|get",
            &["request_policy:all_nodes", "nondeterministic_output"],
        ),
        (
            "commandlog|len",
            &[
                "request_policy:all_nodes",
                "response_policy:agg_sum",
                "nondeterministic_output",
            ],
        ),
        (
            "commandlog|reset",
            &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ),
    ];
    for command in bench.engine.shared.table.entries() {
        let name = command.name;
        assert!(!command.summary.is_empty(), "{name} has no summary");
        assert!(!command.complexity.is_empty(), "{name} has no complexity");
        assert!(command.since.contains('.'), "{name} has no version");
        if command.since > "7.2.4" {
            let recorded = of_valkey.iter().find(|(known, _)| *known == name);
            let tips: &[&str] = match recorded {
                Some((_, tips)) => tips,
                None if later.contains(&name) => &["nondeterministic_output"],
                None => &[],
            };
            assert_eq!(command.tips, tips, "{name}");
        }
    }
}
