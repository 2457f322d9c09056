//! Recorded traffic: sent again, and made a profile of.

use crate::real_server::RealServer;
use crate::{bench, json};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

fn run(port: u16, words: &[&str]) -> Value {
    let (code, json, stderr) =
        json(&[&["run", "-p", &port.to_string(), "--json", "-"], words].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    json
}

/// A server with a log that has times, and traffic of several types in it.
fn with_log(folder: &Path) -> RealServer {
    let server = RealServer::start(
        folder,
        &["--appendonly", "yes", "--aof-timestamp-enabled", "yes"],
    );
    for words in [
        "SET {key:500} {data:uniform:5:200}",
        "HSET h:{rand:20} {field:50} {data:20}",
        "RPUSH list:{rand:5} {data:9}",
        "INCR n:{rand:3}",
    ] {
        run(server.port, &["-n", "1000", "-P", "4", "--command", words]);
    }
    run(
        server.port,
        &[
            "-n",
            "200",
            "--db",
            "2",
            "-c",
            "1",
            "--command",
            "SADD s:{rand:3} {member:1000}",
        ],
    );
    server
}

/// Sends a record to a server again: exit code, JSON, stderr.
fn replay(to: &RealServer, speed: &str, record: &Path) -> (i32, Value, String) {
    let (port, record) = (to.port.to_string(), record.to_str().unwrap());
    json(&[
        "replay", "-p", &port, "--speed", speed, "--json", "-", record,
    ])
}

#[test]
fn a_log_that_is_sent_again_ends_in_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_log(folder.path());
    let log = folder.path().join("appendonlydir");
    for speed in ["max", "4"] {
        let other = tempfile::tempdir().unwrap();
        let copy = RealServer::start(other.path(), &[]);
        let (code, json, stderr) = replay(&copy, speed, &log);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(json["errors"], 0);
        assert_eq!(json["replies"], json["commands"]);
        assert_eq!(
            copy.ask("DEBUG DIGEST"),
            source.ask("DEBUG DIGEST"),
            "{speed}"
        );
    }
}

/// What MONITOR prints while a workload runs.
fn captured(server: &RealServer, file: &Path, words: &[&str]) {
    let mut monitor = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    monitor
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    let mut reader = monitor.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let (mut all, mut chunk) = (Vec::new(), [0; 65536]);
        while let Ok(n @ 1..) = reader.read(&mut chunk) {
            all.extend_from_slice(&chunk[..n]);
        }
        all
    });
    run(server.port, words);
    let text = reading.join().unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn a_capture_is_sent_again_at_its_speed() {
    let folder = tempfile::tempdir().unwrap();
    let source = RealServer::start(folder.path(), &[]);
    let capture = folder.path().join("capture.txt");
    let words = [
        "--rate",
        "300",
        "-d",
        "2",
        "-c",
        "4",
        "--db",
        "1",
        "--command",
        "INCR {key:10}",
    ];
    captured(&source, &capture, &words);
    let other = tempfile::tempdir().unwrap();
    let copy = RealServer::start(other.path(), &[]);
    for (speed, low, high) in [("original", 1.9, 2.6), ("2", 0.95, 1.4), ("max", 0.0, 0.9)] {
        copy.ask("FLUSHALL");
        let (code, json, stderr) = replay(&copy, speed, &capture);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(json["by_command"]["INCR"]["replies"], 600, "{json:#}");
        let took = json["elapsed_s"].as_f64().unwrap();
        assert!((low..high).contains(&took), "{speed}: {took} s");
        assert_eq!(
            copy.ask("DEBUG DIGEST"),
            source.ask("DEBUG DIGEST"),
            "{speed}"
        );
    }
    fs::write(&capture, "1.000000 [0 a] \"SET\" \"k\" \"v\"\nnonsense\n").unwrap();
    let output = bench(&[
        "replay",
        "-p",
        &copy.port.to_string(),
        capture.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("capture.txt: line 2: expected [database address]"),
        "{stderr}"
    );
}

/// Keys by how often they were asked for, and lengths of values, of a capture.
fn figures(capture: &Path) -> (Vec<f64>, Vec<usize>, f64) {
    let text = fs::read_to_string(capture).unwrap();
    let mut keys: HashMap<&str, f64> = HashMap::new();
    let (mut lengths, mut gets, mut all) = (Vec::new(), 0.0, 0.0);
    for line in text.lines() {
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let (Some(name), Some(key)) = (words.first(), words.get(1)) else {
            continue;
        };
        match name.to_uppercase().as_str() {
            "GET" => gets += 1.0,
            "SET" => lengths.push(words[2].len()),
            _ => continue,
        }
        all += 1.0;
        *keys.entry(key).or_default() += 1.0;
    }
    let mut shares: Vec<f64> = keys.into_values().map(|n| n / all).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    lengths.sort_unstable();
    (shares, lengths, gets / all)
}

/// Mix, popularity and sizes of what a profile makes are those of what it was fitted to.
#[test]
fn a_profile_reproduces_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    let path = |name: &str| folder.path().join(name);
    let (first, second, profile) = (path("first.txt"), path("second.txt"), path("profile.toml"));
    let source = [
        "-n",
        "30000",
        "-P",
        "8",
        "--command",
        "GET {key:zipf:2000:1.1}",
        "--weight",
        "3",
        "--command",
        "SET {key:zipf:2000:1.1} {data:lognormal:80:0.7}",
        "--weight",
        "1",
    ];
    captured(&server, &first, &source);
    let output = bench(&[
        "fit",
        first.to_str().unwrap(),
        "-o",
        profile.to_str().unwrap(),
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        fs::metadata(&profile).unwrap().len() < 16 << 10,
        "a small profile"
    );
    assert!(
        !fs::read_to_string(&profile).unwrap().contains("key:"),
        "no keys of the source"
    );
    captured(
        &server,
        &second,
        &[
            "-n",
            "30000",
            "-P",
            "8",
            "--workload",
            profile.to_str().unwrap(),
            "--rate",
            "15000",
            "-d",
            "30",
        ],
    );
    let ((shares, lengths, gets), (other_shares, other_lengths, other_gets)) =
        (figures(&first), figures(&second));
    assert!((gets - other_gets).abs() < 0.02, "{gets} {other_gets}");
    let up_to = |shares: &[f64], n: usize| shares.iter().take(n).sum::<f64>();
    for n in [1, 3, 10, 30, 100, 500] {
        let (one, other) = (up_to(&shares, n), up_to(&other_shares, n));
        assert!((one - other).abs() < 0.03, "the first {n}: {one} {other}");
    }
    for share in [0.1, 0.25, 0.5, 0.75, 0.9] {
        let at = |lengths: &[usize]| lengths[(share * (lengths.len() - 1) as f64) as usize] as f64;
        assert!(
            (at(&other_lengths) / at(&lengths) - 1.0).abs() < 0.1,
            "{share}: {} {}",
            at(&lengths),
            at(&other_lengths)
        );
    }
}

/// A log and a snapshot are fitted, too, and what comes of it runs.
#[test]
fn profiles_of_logs_and_snapshots_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_log(folder.path());
    server.ask("EXPIRE key:1 1000");
    server.ask("SAVE");
    let other = tempfile::tempdir().unwrap();
    let empty = RealServer::start(other.path(), &[]);
    for source in ["appendonlydir", "dump.rdb"] {
        empty.ask("FLUSHALL");
        let (from, profile) = (
            folder.path().join(source),
            other.path().join("profile.toml"),
        );
        let output = bench(&[
            "fit",
            from.to_str().unwrap(),
            "-o",
            profile.to_str().unwrap(),
        ]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{source}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json = run(
            empty.port,
            &[
                "--workload",
                profile.to_str().unwrap(),
                "--prefill",
                "-n",
                "2000",
            ],
        );
        assert_eq!(
            (&json["replies"], &json["errors"]),
            (&2000.into(), &0.into()),
            "{source}: {json:#}"
        );
        assert!(
            json["misses"].as_u64().unwrap_or(0) < 200,
            "{source}: {json:#}"
        );
    }
    let output = bench(&["fit", "/dev/null"]);
    assert_eq!(output.status.code(), Some(2));
}
