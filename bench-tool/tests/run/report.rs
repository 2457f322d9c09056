//! What is sent and counted, and how it is told.

use crate::responder::{Responder, ok};
use crate::{bench, run};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

#[test]
fn every_request_is_sent_once_and_answered() {
    let server = Responder::start(ok);
    for (clients, pipeline, threads) in [
        ("1", "1", "1"),
        ("7", "16", "1"),
        ("10", "3", "4"),
        ("3", "1000", "2"),
    ] {
        let before = server.requests.load(SeqCst);
        let words = [
            "-n",
            "5000",
            "-c",
            clients,
            "-P",
            pipeline,
            "--threads",
            threads,
            "--command",
            "SET k{seq} {data:10}",
        ];
        let (code, json, stderr) = run(server.port, &words);
        assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
        assert_eq!(json["replies"], 5000);
        assert_eq!(json["errors"], 0);
        assert_eq!(server.requests.load(SeqCst) - before, 5000);
        assert!(json["throughput_rps"].as_f64().unwrap() > 0.0);
        assert_eq!(json["latency_from"], "send");
    }
}

#[test]
fn the_table_goes_to_stdout_and_the_file_appears_whole() {
    let server = Responder::start(ok);
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("result.json");
    let words = [
        "run",
        "-p",
        &server.port.to_string(),
        "-n",
        "100",
        "-c",
        "2",
        "--command",
        "PING",
        "--json",
        file.to_str().unwrap(),
    ];
    let output = bench(&words);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "no progress line without a terminal"
    );
    for word in [
        "p50",
        "p99.9",
        "max",
        "requests/s",
        "closed loop",
        "PING",
        "0 errors",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["commands"][0]["command"], "PING");
}

#[test]
fn error_replies_are_counted_by_word_and_give_exit_1() {
    let server = Responder::start(|n, _| {
        Some(if n % 4 == 0 {
            b"-WRONGTYPE not that\r\n".to_vec()
        } else if n % 4 == 1 {
            b"!9\r\nERR short\r\n".to_vec()
        } else {
            b"+OK\r\n".to_vec()
        })
    });
    let (code, json, _) = run(
        server.port,
        &["-n", "1000", "-c", "5", "-P", "8", "--command", "PING"],
    );
    assert_eq!((code, &json["errors"]), (1, &Value::from(500)));
    assert_eq!(json["errors_by_word"]["WRONGTYPE"]["count"], 250);
    assert_eq!(json["errors_by_word"]["ERR"]["example"], "ERR short");
}

#[test]
fn a_run_that_does_all_it_should_has_nothing_unsent() {
    for (words, unsent) in [
        (&["-n", "300"][..], Value::from(0)),
        (&["-d", "0.3", "--rate", "500"], Value::from(0)),
        (
            &["-d", "0.3", "--rate", "500", "-n", "40", "--warmup", "0.1"],
            Value::from(0),
        ),
        (&["-d", "0.3"], Value::Null),
    ] {
        let server = Responder::start(ok);
        let (code, json, stderr) = run(
            server.port,
            &[words, &["-c", "3", "--command", "PING"]].concat(),
        );
        assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
        assert_eq!(
            (&json["requests_unsent"], &json["ended_early"]),
            (&unsent, &false.into()),
            "{words:?}"
        );
    }
}

#[test]
fn time_limits_and_warm_up() {
    let server = Responder::start(ok);
    let (code, json, _) = run(
        server.port,
        &[
            "--duration",
            "0.4",
            "--warmup",
            "0.4",
            "-c",
            "3",
            "--command",
            "PING",
        ],
    );
    let measured = json["replies"].as_u64().unwrap();
    assert_eq!(code, 0);
    assert!(
        measured > 0 && server.requests.load(SeqCst) > measured,
        "the warm-up is sent and not counted: {json}"
    );
    assert!(
        (0.2..1.5).contains(&json["elapsed_s"].as_f64().unwrap()),
        "{json}"
    );
}

#[test]
fn weights_mix_commands() {
    let server = Responder::start(|_, words| {
        Some(if words[0] == b"GET" {
            b"$-1\r\n".to_vec()
        } else {
            b"+OK\r\n".to_vec()
        })
    });
    let words = [
        "-n",
        "10000",
        "--command",
        "GET k",
        "--weight",
        "9",
        "--command",
        "SET k v",
        "--weight",
        "1",
    ];
    let (code, json, _) = run(server.port, &words);
    let gets = json["commands"][0]["replies"].as_u64().unwrap();
    assert_eq!(code, 0);
    assert!(
        (8_800..9_200).contains(&gets),
        "{gets} of 10,000 with weight 9 to 1"
    );
    assert_eq!(
        gets + json["commands"][1]["replies"].as_u64().unwrap(),
        10_000
    );
}

#[test]
fn large_replies_and_pushes_are_read() {
    let server = Responder::start(|n, words| match words[0] {
        b"HELLO" => Some(b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec()),
        _ if n % 3 == 0 => Some(b">2\r\n+message\r\n+x\r\n_\r\n".to_vec()),
        _ => Some([&b"$100000\r\n"[..], &[b'x'; 100_000], b"\r\n"].concat()),
    });
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "300",
            "-c",
            "3",
            "-P",
            "10",
            "--resp",
            "3",
            "--command",
            "GET k",
        ],
    );
    assert_eq!((code, &json["replies"]), (0, &Value::from(300)), "{stderr}");
}

#[test]
fn wrong_arguments_are_exit_2() {
    for words in [
        &["run", "--command", ""][..],
        &["run", "--suite", "ycsb-g"],
        &["run", "--suite", "redis:GETT"],
        &["run", "--command", "SET k {dta:64}"],
        &["run", "--command", "GET {user}:1"],
        &["run", "--command", "PING", "--rate", "0"],
        &["run", "--command", "PING", "--rate", "10..20"],
        &["run", "--command", "PING", "--prefill"],
        &["run", "--command", "GET {key}", "--verify"],
        &["run", "--command", "PING", "--user", "ann"],
        &["run", "--workload", "/nowhere/x.toml"],
        &["run", "--command", "GET {rand}"],
        &["run", "--command", "GET \"x"],
        &["run", "--command", "PING", "--clients", "0"],
        &["run", "--command", "PING", "--io", "ring", "--reconnect"],
        &["run", "--command", "PING", "--duration", "-1"],
        &["run", "--command", "PING", "--weight", "1", "--weight", "2"],
        &["walk"],
        &[],
    ] {
        let output = bench(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            output.stderr.starts_with(b"bench-tool: "),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }
    for words in [&["--help"][..], &["run", "--help"]] {
        let output = bench(words);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("Examples:\n  bench-tool run")
        );
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let server = Responder::start(ok);
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench-tool"))
        .args([
            "run",
            "-p",
            &server.port.to_string(),
            "-n",
            "100",
            "--command",
            "PING",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

/// Requests that fall due go to the clients in turn, not all to the first that is free.
#[test]
fn every_client_gets_requests() {
    let by_connection: Arc<Mutex<HashMap<ThreadId, u64>>> = Arc::default();
    let counts = by_connection.clone();
    // Each connection has a thread of its own.
    let server = Responder::start(move |_, _| {
        *counts
            .lock()
            .unwrap()
            .entry(thread::current().id())
            .or_default() += 1;
        Some(b"+OK\r\n".to_vec())
    });
    let words = [
        "-c",
        "4",
        "-n",
        "200",
        "--rate",
        "2000",
        "--command",
        "PING",
    ];
    let (code, json, stderr) = run(server.port, &words);
    assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
    let counts = by_connection.lock().unwrap();
    assert_eq!((counts.len(), counts.values().sum::<u64>()), (4, 200));
    assert!(counts.values().all(|count| *count > 10), "{counts:?}");
}
