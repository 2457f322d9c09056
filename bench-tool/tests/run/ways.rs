//! What the bytes go through: whichever it is, the same comes out.

use crate::left_out::left_out;
use crate::responder::{Responder, ok};
use crate::run;
use serde_json::Value;
use std::sync::atomic::Ordering::SeqCst;

const POLL: &str = "poll";
const RING: &str = "ring";

/// The ways that there are here. `scripts/test` tells what could not run.
fn ways() -> Vec<&'static str> {
    let server = Responder::start(ok);
    let (code, _, stderr) = run(server.port, &["-n", "1", "--io", RING, "--command", "PING"]);
    if code == 0 {
        return vec![POLL, RING];
    }
    assert!(stderr.contains("--io ring: "), "{stderr}");
    left_out("bench-tool run::ways", &stderr);
    vec![POLL]
}

fn run_so(way: &str, port: u16, line: &str, command: &str) -> (i32, Value, String) {
    let mut words = vec!["--io", way];
    words.extend(line.split_whitespace());
    words.extend(["--command", command]);
    run(port, &words)
}

#[test]
fn every_request_is_sent_once_and_answered() {
    let server = Responder::start(ok);
    for way in ways() {
        for load in [
            "-c 1 -P 1",
            "-c 7 -P 16",
            "-c 10 -P 3 --threads 4",
            "-c 3 -P 1000 --threads 2",
            "-c 20 --rate 20000",
        ] {
            let before = server.requests.load(SeqCst);
            let line = format!("-n 5000 {load}");
            let (code, json, stderr) = run_so(way, server.port, &line, "SET k{seq} {data:10}");
            assert_eq!((code, stderr.as_str()), (0, ""), "{way} {load}: {json}");
            assert_eq!(
                (&json["replies"], &json["errors"]),
                (&5000.into(), &0.into())
            );
            assert_eq!(server.requests.load(SeqCst) - before, 5000, "{way} {load}");
            let named = match way {
                RING => "io_uring",
                _ => "epoll",
            };
            assert_eq!(json["io"], named);
        }
    }
}

#[test]
fn what_is_large_goes_and_comes_whole() {
    let large = |_: u64, words: &[&[u8]]| match words {
        [b"SET", _, value] => Some(format!(":{}\r\n", value.len()).into_bytes()),
        _ => Some([&b"$300000\r\n"[..], &[b'x'; 300_000], b"\r\n"].concat()),
    };
    let server = Responder::start(large);
    for way in ways() {
        for (command, load) in [
            ("SET k {data:3000000}", "-n 30 -c 2 -P 3"),
            ("GET k", "-n 300 -c 3 -P 10"),
            ("GET k", "-n 300 -c 3 --rate 1000"),
        ] {
            let (code, json, stderr) = run_so(way, server.port, load, command);
            assert_eq!((code, stderr.as_str()), (0, ""), "{way} {command}: {json}");
            assert_eq!(json["replies"], json["requests"], "{way} {command}");
        }
    }
}

#[test]
fn connections_that_end_are_told() {
    for way in ways() {
        let server = Responder::start(|n, _| (n != 500).then(|| b":1\r\n".to_vec()));
        let (code, json, stderr) = run_so(way, server.port, "-n 10000 -c 4 -P 10", "INCR k");
        assert_eq!(
            (code, &json["connections_lost"]),
            (2, &1.into()),
            "{stderr}"
        );
        let unanswered = json["requests_unanswered"].as_u64().unwrap();
        assert!((1..=10).contains(&unanswered), "{way}: {json}");
        assert_eq!(json["replies"].as_u64().unwrap() + unanswered, 10_000);
        let silent = Responder::start(|_, _| Some(Vec::new()));
        let (code, json, stderr) = run_so(way, silent.port, "-n 10 -c 2 --timeout 0.3", "PING");
        assert_eq!(
            (code, &json["connections_lost"]),
            (2, &2.into()),
            "{stderr}"
        );
        assert!(stderr.contains("no reply for 0.3 s"), "{way}: {stderr}");
        let other = Responder::start(|_, _| Some(b"HTTP/1.1 400 Bad Request\r\n".to_vec()));
        let (code, _, stderr) = run_so(way, other.port, "-n 10 -c 1", "PING");
        assert_eq!(code, 2);
        assert!(stderr.contains("reply byte 0"), "{way}: {stderr}");
    }
}
