//! CONFIG GET and CONFIG SET against what Redis 7.2.4 answered.

use std::collections::BTreeMap;
use std::path::Path;

use cairn_server::config::{Caller, Config, Rejected, SetError, table};

const CALLER: Caller = Caller {
    local: true,
    loading: false,
};

fn set(config: &mut Config, args: &[&[u8]]) -> Result<(), SetError> {
    config.set_many(args, CALLER, &mut |_, _| Ok(()))
}

fn reply_of_get(config: &Config, patterns: &[&[u8]]) -> Vec<Vec<u8>> {
    config
        .matching(patterns)
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect()
}

/// The bulk strings of a RESP2 array.
fn array(reply: &[u8]) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    let mut rest = reply;
    let mut line = || {
        let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let line = &rest[..end];
        rest = &rest[end + 2..];
        line
    };
    let count: usize = std::str::from_utf8(&line()[1..]).unwrap().parse().unwrap();
    for _ in 0..count {
        line();
        items.push(line().to_vec());
    }
    items
}

fn pairs(items: &[Vec<u8>]) -> BTreeMap<&[u8], &[u8]> {
    items
        .chunks(2)
        .map(|pair| (pair[0].as_slice(), pair[1].as_slice()))
        .collect()
}

#[test]
fn recorded_replies_of_get_and_set_are_ours() {
    let data = include_str!("config_data/replies.jsonl");
    let mut config = Config::new(Path::new("/"));
    let mut session = String::new();
    let mut compared = 0;
    for line in data.lines() {
        let step: serde_json::Value = serde_json::from_str(line).unwrap();
        if step["session"] != session.as_str() {
            session = step["session"].as_str().unwrap().to_string();
            config = Config::new(Path::new("/"));
        }
        let words: Vec<&[u8]> = step["cmd"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().as_bytes())
            .collect();
        let wanted = step["reply"].as_str().unwrap().as_bytes();
        if words[1].eq_ignore_ascii_case(b"GET") {
            let ours = reply_of_get(&config, &words[2..]);
            assert_eq!(pairs(&ours), pairs(&array(wanted)), "{line}");
        } else {
            let ours = match set(&mut config, &words[2..]) {
                Ok(_) => b"+OK\r\n".to_vec(),
                Err(error) => [b"-", error.reply().as_slice(), b"\r\n"].concat(),
            };
            if step["match"] != "any" {
                assert_eq!(
                    String::from_utf8_lossy(&ours),
                    String::from_utf8_lossy(wanted),
                    "{line}"
                );
            }
        }
        compared += 1;
    }
    assert_eq!(compared, data.lines().count());
    assert!(compared > 200, "{compared} steps");
}

/// Directives that 7.2 does not have: our own, and Valkey's with its defaults.
const BEYOND: [(&str, &str); 14] = [
    ("cluster-slot-stats-enabled", "no"),
    ("script-cache-max", "500"),
    ("metrics-port", "0"),
    ("io-threads-min-load", "50"),
    ("repl-backlog-from-aof", "yes"),
    ("replica-accept-empty-primary", "no"),
    ("metrics-bind", "127.0.0.1 -::1"),
    ("rdb-save-version", "auto"),
    ("commandlog-execution-slower-than", "10000"),
    ("commandlog-slow-execution-max-len", "128"),
    ("commandlog-request-larger-than", "1048576"),
    ("commandlog-large-request-max-len", "128"),
    ("commandlog-reply-larger-than", "1048576"),
    ("commandlog-large-reply-max-len", "128"),
];

#[test]
fn all_names_have_the_defaults_of_7_2() {
    let config = Config::new(Path::new("/somewhere"));
    let ours = config.matching(&[b"*"]);
    let mut wanted: Vec<(String, String)> = BEYOND
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec();
    for line in include_str!("config_data/defaults-7.2.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('\t').unwrap_or((line, ""));
        let value = if name == "dir" { "/somewhere" } else { value };
        wanted.push((name.to_string(), value.to_string()));
    }
    wanted.sort();
    let ours: Vec<(String, String)> = ours
        .into_iter()
        .map(|(name, value)| {
            (
                String::from_utf8(name).unwrap(),
                String::from_utf8(value).unwrap(),
            )
        })
        .collect();
    assert_eq!(ours, wanted);
}

#[test]
fn hidden_directives_answer_to_their_exact_name_only() {
    let mut config = Config::new(Path::new("/"));
    assert_eq!(reply_of_get(&config, &[b"key-load-dela?"]).len(), 0);
    assert_eq!(reply_of_get(&config, &[b"key-load-delay"])[1], b"0");
    set(&mut config, &[b"key-load-delay", b"-50"]).unwrap();
    assert_eq!(config.get(table::KEY_LOAD_DELAY), -50);
    assert_eq!(
        reply_of_get(
            &config,
            &[
                b"loading-process-events-interval-bytes",
                b"cluster-ping-interval"
            ]
        ),
        [
            b"cluster-ping-interval".to_vec(),
            b"0".into(),
            b"loading-process-events-interval-bytes".into(),
            b"2097152".into()
        ]
    );
}

#[test]
fn every_parameter_takes_its_own_value() {
    let mut config = Config::new(Path::new("/"));
    let before = config.matching(&[b"*"]);
    let mut set_count = 0;
    for (name, value) in &before {
        match set(&mut config, &[name, value]) {
            Ok(()) => set_count += 1,
            Err(SetError::Failed { reason, .. }) => {
                let reason = reason.unwrap();
                assert!(
                    reason == "can't set immutable config"
                        || reason == "can't set protected config",
                    "{}: {reason}",
                    String::from_utf8_lossy(name)
                );
            }
            Err(other) => panic!("{}: {other}", String::from_utf8_lossy(name)),
        }
    }
    assert!(set_count > 140, "{set_count} were set");
    assert_eq!(config.matching(&[b"*"]), before);
    // Files are read anew by it.
    let anew = table::all().filter(|directive| directive.is_read_anew());
    assert_eq!(
        config.generation(),
        Config::new(Path::new("/")).generation() + anew.count() as u64
    );
}

/// Values and errors that 7.0.15 gave to the same commands.
#[test]
fn values_are_kept_as_redis_prints_them() {
    let mut config = Config::new(Path::new("/"));
    for (name, value, kept) in [
        ("notify-keyspace-events", "KEA", "AKE"),
        (
            "shutdown-on-sigint",
            "force now save default",
            "save now force",
        ),
        ("oom-score-adj", "relative", "yes"),
        (
            "latency-tracking-info-percentiles",
            "50 99.123456789 100 0.1 99.90",
            "50 99.123457 100 0.1 99.9",
        ),
        ("oom-score-adj-values", "3 2 1", "3 2 1"),
        ("hz", "0", "1"),
        ("hz", "1000", "500"),
        ("maxmemory-clients", "100%", "100%"),
        ("maxmemory", "18014398509481985k", "18014398509481985000"),
        ("bind", "127.0.0.1 ::1", "127.0.0.1 ::1"),
        ("bind", "", ""),
        (
            "bind",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        ),
        ("appendonly", "YES", "yes"),
        (
            "client-output-buffer-limit",
            "replica 1kb 2 3",
            "normal 0 0 0 slave 1024 2 3 pubsub 33554432 8388608 60",
        ),
    ] {
        set(&mut config, &[name.as_bytes(), value.as_bytes()])
            .unwrap_or_else(|e| panic!("{name} {value}: {e}"));
        let got = reply_of_get(&config, &[name.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&got[1]), kept, "{name} {value}");
    }
}

#[test]
fn errors_are_those_of_redis() {
    let mut config = Config::new(Path::new("/"));
    for (name, value, reason) in [
        ("save", " 10 1", "Invalid save parameters"),
        ("save", "10  1", "Invalid save parameters"),
        (
            "bind",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
            "Too many bind addresses specified.",
        ),
        (
            "shutdown-on-sigint",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        (
            "shutdown-on-sigint",
            "",
            "argument(s) must be one of the following: default, save, nosave, now, force",
        ),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        (
            "oom-score-adj-values",
            "1 2 x",
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        (
            "timeout",
            "+1",
            "argument couldn't be parsed into an integer",
        ),
        (
            "timeout",
            "01",
            "argument couldn't be parsed into an integer",
        ),
        (
            "maxmemory-clients",
            "-1",
            "argument must be a memory or percent value",
        ),
        (
            "client-output-buffer-limit",
            "normal 1 1 1x",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "master 1 1 1",
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            "list-max-listpack-size",
            "99999999999",
            "argument must be between -2147483648 and 2147483647 inclusive",
        ),
        (
            "proto-max-bulk-len",
            "1",
            "argument must be between 1048576 and 9223372036854775807 inclusive",
        ),
        (
            "repl-backlog-size",
            "99999999999999999999",
            "argument must be between 1 and 9223372036854775807 inclusive",
        ),
        (
            "maxclients",
            "4294967296",
            "argument must be between 1 and 4294967295 inclusive",
        ),
        (
            "cluster-announce-hostname",
            "a_b",
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        ("unixsocketperm", "700", "can't set immutable config"),
        ("dbfilename", "a", "can't set protected config"),
        (
            "Slave-Priority",
            "x",
            "argument couldn't be parsed into an integer",
        ),
    ] {
        let error = set(&mut config, &[name.as_bytes(), value.as_bytes()])
            .unwrap_err()
            .to_string();
        let name = if reason.starts_with("can't") {
            name.to_string()
        } else {
            name.to_lowercase()
        };
        let wanted =
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}");
        assert_eq!(error, wanted);
    }
    let loading = Caller {
        local: true,
        loading: true,
    };
    let error = config
        .set_many(&[b"appendonly", b"yes"], loading, &mut |_, _| Ok(()))
        .unwrap_err();
    assert_eq!(error, SetError::Loading);
}

#[test]
fn all_are_set_or_none() {
    let mut config = Config::new(Path::new("/"));
    let before = config.clone().matching(&[b"*"]);
    set(&mut config, &[b"timeout", b"5", b"hz", b"x"]).unwrap_err();
    assert_eq!(config.matching(&[b"*"]), before);

    // The hook sees the new values and the old ones; when it refuses, it is called again with the sides changed.
    let mut calls = Vec::new();
    let error = config
        .set_many(
            &[b"timeout", b"5", b"port", b"7000"],
            CALLER,
            &mut |config, changes| {
                calls.push((
                    config.get(table::PORT),
                    changes.len(),
                    changes.iter().any(|c| c.is(table::PORT)),
                ));
                Err(Rejected::of(
                    table::PORT,
                    "Unable to listen on this port. Check server logs.",
                ))
            },
        )
        .unwrap_err();
    assert_eq!(calls, [(7000, 2, true), (6379, 2, true)]);
    assert_eq!(
        error.to_string(),
        "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
    );
    assert_eq!(config.matching(&[b"*"]), before);

    let generation = config.generation();
    set(
        &mut config,
        &[
            b"maxmemory",
            b"1gb",
            b"activedefrag",
            b"yes",
            b"timeout",
            b"5",
        ],
    )
    .unwrap();
    assert_eq!(config.get(table::MAXMEMORY), 1 << 30);
    assert!(config.get(table::ACTIVEDEFRAG));
    assert!(config.generation() > generation);
}
