//! Connections that are lost, silent or not to be had.

use crate::real_server::free_port;
use crate::responder::Responder;
use crate::{bench, run};
use serde_json::Value;
use std::time::Duration;
use std::time::Instant;

#[test]
fn a_lost_connection_is_told_and_gives_exit_2() {
    let server = Responder::start(|n, _| {
        if n == 500 {
            None
        } else {
            Some(b":1\r\n".to_vec())
        }
    });
    let (code, json, stderr) = run(
        server.port,
        &["-n", "10000", "-c", "4", "-P", "10", "--command", "INCR k"],
    );
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(json["connections_lost"], 1);
    let unanswered = json["requests_unanswered"].as_u64().unwrap();
    assert!((1..=10).contains(&unanswered), "{json}");
    assert_eq!(json["replies"].as_u64().unwrap() + unanswered, 10_000);
    assert!(
        stderr.starts_with("bench-tool: 127.0.0.1:")
            && stderr.contains("1 of 4 connections ended: "),
        "{stderr}"
    );
}

/// Two connections, and the server closes both after 200 requests of a schedule that means 600.

#[test]
fn a_run_that_loses_all_connections_says_what_it_did_not_do() {
    let closing = |n: u64, _: &[&[u8]]| (n < 200).then(|| b"+OK\r\n".to_vec());
    let words = ["-c", "2", "-P", "1", "--command", "GET k"];
    let open = ["--rate", "200", "-d", "3"];
    let server = Responder::start(closing);
    let (code, json, stderr) = run(server.port, &[&words[..], &open].concat());
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(
        (&json["connections_lost"], &json["ended_early"]),
        (&2.into(), &true.into())
    );
    let number = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(number("replies"), 200);
    assert_eq!(number("requests_unanswered"), 2);
    assert_eq!(number("requests_unsent"), 398, "{json}");
    assert_eq!(json["duration_s"], 3.0);
    assert!(json["ended_after_s"].as_f64().unwrap() < 3.0, "{json}");
    assert!(
        stderr.contains("2 requests stayed without a reply and 398 were never sent"),
        "{stderr}"
    );
    let server = Responder::start(closing);
    let port = server.port.to_string();
    let text = bench(&[&["run", "--port", &port], &words[..], &open].concat()).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("the run ended early, after ")
            && text.contains(" of 3 s; 398 requests were never sent"),
        "{text}"
    );

    // A closed loop of so many requests knows what is missing; one of so many seconds does not, but that it ended early.
    let server = Responder::start(closing);
    let (_, json, _) = run(server.port, &[&words[..], &["-n", "1000"]].concat());
    assert_eq!(
        (&json["requests"], &json["requests_unsent"]),
        (&1000.into(), &798.into())
    );
    assert_eq!(
        (&json["ended_early"], &json["duration_s"]),
        (&true.into(), &Value::Null)
    );
    let server = Responder::start(closing);
    let (_, json, _) = run(server.port, &[&words[..], &["-d", "60"]].concat());
    assert_eq!(
        (&json["requests_unsent"], &json["ended_early"]),
        (&Value::Null, &true.into())
    );
}

#[test]
fn bytes_that_are_no_reply_and_silence_end_the_run() {
    let server = Responder::start(|_, _| Some(b"HTTP/1.1 400 Bad Request\r\n".to_vec()));
    let (code, _, stderr) = run(server.port, &["-n", "10", "-c", "1", "--command", "PING"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("reply byte 0"), "{stderr}");
    let server = Responder::start(|_, _| Some(Vec::new()));
    let since = Instant::now();
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "10",
            "-c",
            "2",
            "--timeout",
            "0.3",
            "--command",
            "PING",
        ],
    );
    assert_eq!(
        (code, &json["connections_lost"]),
        (2, &Value::from(2)),
        "{stderr}"
    );
    assert!(
        stderr.contains("no reply for 0.3 s") && since.elapsed() < Duration::from_secs(5),
        "{stderr}"
    );
}

#[test]
fn nobody_listening_is_exit_2_with_the_address() {
    let port = free_port();
    let (code, _, stderr) = run(port, &["-n", "10", "--command", "PING"]);
    assert_eq!(
        (code, stderr),
        (
            2,
            format!(
                "bench-tool: 127.0.0.1:{port}: could not connect: connection refused\n\
                 bench-tool: hint: a server has to listen there, and this machine has to be let through\n"
            )
        )
    );
}
