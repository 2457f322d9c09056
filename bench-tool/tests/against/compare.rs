//! Two servers under the same load.

use crate::json;
use crate::responder::Responder;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// A server that takes so many milliseconds for each request.
fn taking(millis: u64) -> Responder {
    Responder::start(move |_, words| {
        if words[0] == b"INFO" {
            return Some(b"$16\r\nused_cpu_sys:0\r\n\r\n".to_vec());
        }
        if millis > 0 {
            thread::sleep(Duration::from_millis(millis));
        }
        Some(b"+OK\r\n".to_vec())
    })
}

fn verdicts(a: u16, b: u16, seconds: &str) -> (i32, serde_json::Value) {
    let (a, b) = (a.to_string(), b.to_string());
    let words = [
        "compare",
        &a,
        &b,
        "--command",
        "PING",
        "--block",
        "0.25",
        "--max-time",
        seconds,
        "--json",
        "-",
        "-c",
        "8",
    ];
    let (code, json, stderr) = json(&words);
    assert!(code < 2, "{stderr}");
    (code, json)
}

#[test]
fn a_delay_of_five_percent_is_found_and_none_is_not() {
    let (one, same, slower) = (taking(40), taking(40), taking(42));
    let (code, found) = verdicts(one.port, slower.port, "30");
    assert_eq!(
        (code, &found["figures"]["p50"]["verdict"]),
        (1, &"a".into()),
        "{found:#}"
    );
    let ratio = found["figures"]["p50"]["ratio"].as_f64().unwrap();
    assert!((1.03..1.08).contains(&ratio), "{found:#}");
    let (code, none) = verdicts(one.port, same.port, "10");
    assert_eq!(code, 0, "{none:#}");
}

/// A thread of load that shares its processor with a busy loop cannot tell how fast a server is, and says so.
#[test]
fn nobody_wins_where_the_generator_was_the_limit() {
    let server = taking(0);
    let mut busy = Command::new("taskset")
        .args(["-c", "0", "sh", "-c", "while :; do :; done"])
        .spawn()
        .unwrap();
    let pinned = |words: &[&str]| {
        let tool = env!("CARGO_BIN_EXE_bench-tool");
        Command::new("taskset")
            .args(["-c", "0", tool])
            .args(words)
            .output()
            .unwrap()
    };
    let port = server.port.to_string();
    let run = pinned(&[
        "run",
        "-p",
        &port,
        "-d",
        "1",
        "-c",
        "20",
        "-P",
        "20",
        "--command",
        "PING",
        "--json",
        "-",
    ]);
    let words = [
        "--command",
        "PING",
        "--block",
        "0.3",
        "--max-time",
        "3",
        "-c",
        "20",
        "-P",
        "20",
        "--json",
        "-",
    ];
    let compare = pinned(&[&["compare", &port, &port], &words[..]].concat());
    busy.kill().unwrap();
    busy.wait().unwrap();
    let run: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run["generator_was_limit"], true, "{run:#}");
    let compare: serde_json::Value = serde_json::from_slice(&compare.stdout).unwrap();
    assert_eq!(
        compare["figures"]["requests/s"]["verdict"], "generator was the limit",
        "{compare:#}"
    );
}
