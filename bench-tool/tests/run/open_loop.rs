//! The open loop: requests on a schedule, latencies from the due moment.

use crate::responder::{Responder, ok};
use crate::run;
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// A server that stalls once for half a second. A closed loop has one slow request per client; an open loop at 1,000 a second
/// must show the hundreds of requests that fell due during the stall.
#[test]
fn an_open_loop_does_not_hide_a_stall() {
    let stall = |n: u64, _: &[&[u8]]| {
        if n == 300 {
            thread::sleep(Duration::from_millis(500));
        }
        Some(b"+OK\r\n".to_vec())
    };
    let words = ["-n", "2000", "-c", "1", "-P", "1000", "--command", "PING"];
    let server = Responder::start(stall);
    let (code, open, _) = run(server.port, &[&words[..], &["--rate", "1000"]].concat());
    assert_eq!((code, &open["replies"]), (0, &Value::from(2000)));
    assert_eq!(
        (&open["loop"], &open["latency_from"]),
        (&Value::from("open"), &Value::from("schedule"))
    );
    // 500 of 2,000 requests fell due in the stall, so the slowest tenth waited for 300 ms and more.
    assert!(
        open["latency_us"]["p90"].as_f64().unwrap() > 200_000.0,
        "{open}"
    );
    let elapsed = open["elapsed_s"].as_f64().unwrap();
    assert!(
        (1.9..4.0).contains(&elapsed),
        "2,000 requests at 1,000 a second took {elapsed} s"
    );
    let server = Responder::start(stall);
    let (_, closed, _) = run(server.port, &["-n", "2000", "-c", "1", "--command", "PING"]);
    assert!(
        closed["latency_us"]["p99"].as_f64().unwrap() < 200_000.0,
        "{closed}"
    );
    assert!(
        closed["latency_us"]["max"].as_f64().unwrap() > 400_000.0,
        "{closed}"
    );
}

/// With one request on its way at a time nothing can be sent while the server stalls. What fell due meanwhile goes out late, and its time
/// runs from the moment when it was due: counted from the send, all but one of these requests would look fast.

#[test]
fn an_open_loop_counts_from_the_due_moment_also_where_nothing_could_be_sent() {
    let server = Responder::start(|n, _| {
        if n == 100 {
            thread::sleep(Duration::from_millis(600));
        }
        Some(b"+OK\r\n".to_vec())
    });
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "1000",
            "-c",
            "1",
            "-P",
            "1",
            "--rate",
            "1000",
            "--command",
            "PING",
        ],
    );
    assert_eq!(
        (code, &json["replies"]),
        (0, &Value::from(1000)),
        "{stderr}"
    );
    // 600 of 1,000 fell due in the stall, one a millisecond, and 300 of them waited for 300 ms and more.
    let latency = |name: &str| json["latency_us"][name].as_f64().unwrap();
    assert!(
        latency("p90") > 300_000.0 && latency("p50") > 50_000.0,
        "{json}"
    );
}

/// A slow schedule leaves pauses longer than the time that the server has for a reply; they are not its silence.

#[test]
fn pauses_of_the_schedule_are_no_silence() {
    let server = Responder::start(ok);
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "4",
            "--rate",
            "3",
            "--timeout",
            "0.1",
            "-c",
            "1",
            "--command",
            "PING",
        ],
    );
    assert_eq!(
        (code, &json["replies"], stderr.as_str()),
        (0, &Value::from(4), "")
    );
}
