//! Runs that somebody or something cuts short: Ctrl-C, connections that come back, bounds that are not kept.

use crate::responder::{Responder, ok};
use crate::run;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn interrupt(child: &std::process::Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// What was done until then is reported, and the status is that of an interrupted program.
#[test]
fn an_interrupted_run_reports_what_it_did() {
    let server = Responder::start(ok);
    for words in [
        &["--rate", "200", "-d", "60"][..],
        &["-d", "60"],
        &["--rate", "0.1", "-d", "60"],
    ] {
        // Where the tests run in the background of a shell, SIGINT is ignored by all that they start, unless it is made anew.
        let mut child = Command::new("env")
            .args([
                "--default-signal=INT",
                env!("CARGO_BIN_EXE_bench-tool"),
                "run",
                "-p",
                &server.port.to_string(),
                "-c",
                "2",
                "--command",
                "PING",
                "--json",
                "-",
            ])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(1200));
        let since = Instant::now();
        interrupt(&child);
        let status = child.wait().unwrap();
        // Other tests keep the processors busy; the run itself would take a minute.
        assert!(since.elapsed() < Duration::from_secs(20));
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            status.code(),
            Some(130),
            "{words:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&json["interrupted"], &json["ended_early"]),
            (&true.into(), &true.into()),
            "{json}"
        );
        assert!(json["replies"].as_u64().unwrap() > 0, "{json}");
    }
}

/// A server that closes each connection after 100 requests: with --reconnect all is sent, lost requests are counted, and it is told.
#[test]
fn connections_are_made_again() {
    let server = Responder::start(|n, _| (n % 100 != 99).then(|| b"+OK\r\n".to_vec()));
    let words = ["-n", "2000", "-c", "3", "--reconnect", "--command", "PING"];
    let (code, json, stderr) = run(server.port, &words);
    assert_eq!(code, 1, "{stderr}");
    let number = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(
        number("replies") + number("requests_unanswered"),
        2000,
        "{json}"
    );
    assert!((15..=21).contains(&number("connections_lost")), "{json}");
    assert!(
        number("connections_made_again") >= number("connections_lost") - 3,
        "{json}"
    );
    assert_eq!(json["ended_early"], false);
    let server = Responder::start(|n, _| (n % 50 != 49).then(|| b"+OK\r\n".to_vec()));
    let words = [
        "-d",
        "1.5",
        "--rate",
        "300",
        "-c",
        "2",
        "--reconnect",
        "--command",
        "PING",
    ];
    let (code, json, stderr) = run(server.port, &words);
    assert_eq!(code, 1, "{stderr}");
    let number = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(
        number("replies") + number("requests_unanswered"),
        450,
        "{json}"
    );
}

#[test]
fn bounds_that_are_not_kept_are_exit_1() {
    let slow = |_: u64, _: &[&[u8]]| {
        thread::sleep(Duration::from_millis(10));
        Some(b"+OK\r\n".to_vec())
    };
    let server = Responder::start(slow);
    let words = ["-n", "40", "-c", "2", "--command", "PING"];
    for (bounds, status, told) in [
        (&["--max-p99", "1s", "--min-rate", "10"][..], 0, ""),
        (&["--max-p99", "5ms"], 1, "PING: p99 is "),
        (&["--min-rate", "5000"], 1, "below --min-rate 5000"),
    ] {
        let (code, _, stderr) = run(server.port, &[&words[..], bounds].concat());
        assert_eq!(code, status, "{bounds:?} {stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
}

/// Values that were not written so, and replies of another type.
#[test]
fn verify_tells_values_that_are_not_what_was_written() {
    use std::collections::HashMap;
    use std::sync::Mutex;
    let store: Mutex<HashMap<Vec<u8>, Vec<u8>>> = Mutex::default();
    let server = Responder::start(move |n, words| {
        let mut store = store.lock().unwrap();
        Some(match words[0] {
            b"SET" => {
                store.insert(words[1].to_vec(), words[2].to_vec());
                b"+OK\r\n".to_vec()
            }
            _ if n % 50 == 0 => b":7\r\n".to_vec(),
            _ => match store.get(words[1]) {
                None => b"$-1\r\n".to_vec(),
                Some(value) => {
                    let mut value = value.clone();
                    // One of 20 keys has another value than the one that was written.
                    if words[1] == b"key:3" {
                        value[0] ^= 1;
                    }
                    [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat()
                }
            },
        })
    });
    let words = [
        "-n",
        "4000",
        "--keys",
        "20",
        "--command",
        "GET {key}",
        "--prefill",
        "SET {key:seq} {data:uniform:10:90}",
        "--verify",
    ];
    let (code, json, stderr) = run(server.port, &words);
    assert_eq!(code, 1, "{stderr}");
    let wrong = &json["wrong_by_kind"];
    let count = |kind: &str| wrong[kind]["count"].as_u64().unwrap();
    assert!(
        (140..260).contains(&count("not the value of its key")),
        "{json}"
    );
    assert!(
        (70..90).contains(&count("a reply of another type")),
        "{json}"
    );
    assert!(
        stderr.contains("values are not the value of its key"),
        "{stderr}"
    );
}
