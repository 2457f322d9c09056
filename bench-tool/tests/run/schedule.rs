//! The schedule of an open loop against a real server: one that is frozen, and rates of every size.

use crate::real_server::RealServer;
use crate::run;
use serde_json::Value;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Frozen for 2 s of 10 at 1,000 requests a second: 2,000 of 10,000 fall due meanwhile and wait between 2 s and nothing. So a tenth of all waits for a
/// second or longer, and one of a hundred for 1.9 s; the service time, from the send, tells of the same stall, as there is room to send.
#[test]
fn a_frozen_server_shows_as_the_schedule_implies() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    let pid = server
        .ask("INFO server")
        .lines()
        .find_map(|line| line.strip_prefix("process_id:").map(str::to_owned))
        .unwrap();
    let signal = |name: &str| {
        assert!(
            Command::new("kill")
                .args([name, pid.trim()])
                .status()
                .unwrap()
                .success()
        )
    };
    let (code, json, stderr) = thread::scope(|scope| {
        let words = [
            "--rate",
            "1000",
            "-d",
            "10",
            "-c",
            "50",
            "-P",
            "100",
            "--command",
            "SET {key:1000} x",
        ];
        let run = scope.spawn(move || run(server.port, &words));
        thread::sleep(Duration::from_secs(4));
        signal("-STOP");
        thread::sleep(Duration::from_secs(2));
        signal("-CONT");
        run.join().unwrap()
    });
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(json["replies"], 10_000);
    for (name, implied) in [("p90", 1.0), ("p99", 1.9), ("max", 2.0)] {
        let seconds = json["latency_us"][name].as_f64().unwrap() / 1e6;
        assert!(
            (seconds / implied - 1.0).abs() < 0.1,
            "{name}: {seconds} s, {implied} s implied"
        );
    }
    assert_eq!(json["schedule_held"], true);
}

/// What is sent is what was asked for, to 1 %, from one every two seconds to as many as the machine can; where it cannot, it says so.
#[test]
fn rates_are_held_or_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    for (rate, seconds, must) in [
        ("0.5", "4", true),
        ("1", "3", true),
        ("7.5", "2", true),
        ("1000", "2", true),
        ("10000", "2", false),
        ("200000", "2", false),
    ] {
        let (code, json, stderr) = run(
            server.port,
            &[
                "--rate",
                rate,
                "-d",
                seconds,
                "-c",
                "16",
                "-P",
                "64",
                "--command",
                "SET {key:1000} x",
            ],
        );
        assert_eq!((code, stderr.as_str()), (0, ""), "{rate}");
        let (asked, sent) = (
            json["rate_asked_rps"].as_f64().unwrap(),
            json["rate_sent_rps"].as_f64().unwrap(),
        );
        let wanted: f64 = rate.parse().unwrap();
        assert!((asked / wanted - 1.0).abs() < 0.001, "{rate}: {asked}");
        let is_held = (sent / asked - 1.0).abs() <= 0.01;
        assert_eq!(
            json["schedule_held"],
            Value::from(is_held),
            "{rate}: {sent}"
        );
        assert!(is_held || !must, "{rate}: {sent}");
        if is_held {
            let throughput = json["throughput_rps"].as_f64().unwrap();
            assert!(
                (throughput / wanted - 1.0).abs() <= 0.02,
                "{rate}: {throughput}"
            );
        }
    }
}

/// A server that answers in 50 ms one after the other cannot hold 200 a second.
#[test]
fn a_rate_that_cannot_be_reached_is_told() {
    let server = crate::responder::Responder::start(|_, _| {
        thread::sleep(Duration::from_millis(50));
        Some(b"+OK\r\n".to_vec())
    });
    let words = [
        "run",
        "-p",
        &server.port.to_string(),
        "--rate",
        "200",
        "-n",
        "60",
        "-c",
        "1",
        "--command",
        "PING",
    ];
    let output = crate::bench(&words);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("schedule NOT held: ") && text.contains("of 200.00 asked for"),
        "{text}"
    );
}

/// Chance arrivals wait for each other in a server that takes as long for each; even ones below its limit do not.
#[test]
fn ramps_steps_and_chance_are_sent() {
    let server = crate::responder::Responder::start(crate::responder::ok);
    for (rate, extra, replies) in [
        ("100..300", &[][..], 400),
        ("100,300", &[], 400),
        ("200", &["--poisson"], 400),
    ] {
        let (code, json, stderr) = run(
            server.port,
            &[
                &["--rate", rate, "-d", "2", "-c", "4", "--command", "PING"],
                extra,
            ]
            .concat(),
        );
        assert_eq!((code, stderr.as_str()), (0, ""));
        let got = json["replies"].as_u64().unwrap() as i64;
        // Five standard deviations of a Poisson count; the others are exact.
        let off = if extra.is_empty() { 0 } else { 100 };
        assert!((got - replies).abs() <= off, "{rate}: {got}");
    }
}
