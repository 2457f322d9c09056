//! Results in other forms, each read by somebody else: HdrHistogram's log by its Python package, the page by Chromium.

use crate::browser::browse;
use crate::responder::{Responder, ok};
use crate::{bench, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What the package `hdrhistogram` makes of a log: a line for each interval, tag, count, p50, p99 and max.
fn read_log(log: &Path) -> Vec<Value> {
    let readers = target().join("readers");
    assert!(
        readers.join("hdrh").is_dir(),
        "{} is missing: scripts/setup installs it",
        readers.join("hdrh").display()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histogram_reader/read.py");
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(log)
        .env("PYTHONPATH", readers)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_form_tells_the_same() {
    let server = Responder::start(ok);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, csv, hdr, html) = (path("a.json"), path("a.csv"), path("a.hdr"), path("a.html"));
    let words = [
        "-d",
        "2.4",
        "--rate",
        "500",
        "-c",
        "4",
        "--command",
        "SET a<b>,\"c d\" {rand:10}",
        "--command",
        "PING",
    ];
    let files = [
        "--json", &json, "--csv", &csv, "--hdr", &hdr, "--html", &html,
    ];
    let output = bench(&[&["run", "-p", &server.port.to_string()], &words[..], &files].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(json["replies"], 1200);

    let intervals = read_log(Path::new(&hdr));
    let seconds = json["seconds"].as_array().unwrap();
    assert_eq!(intervals.len(), seconds.len());
    assert!((2..=4).contains(&seconds.len()), "{json}");
    for (interval, second) in intervals.iter().zip(seconds) {
        assert_eq!(interval["count"], second["replies"]);
        for (name, field) in [("p50", "p50_us"), ("p99", "p99_us"), ("max", "max_us")] {
            let (theirs, ours) = (
                interval[name].as_f64().unwrap() / 1e3,
                second[field].as_f64().unwrap(),
            );
            assert!(
                (theirs / ours - 1.0).abs() < 0.002,
                "{name}: {theirs} {ours}"
            );
        }
    }

    let csv = fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("command,replies,errors,hits,misses,requests_per_s,"),
        "{csv}"
    );
    assert!(
        lines[1].starts_with("\"SET a<b>,\"\"c d\"\" {rand:10}\","),
        "{csv}"
    );
    assert_eq!(lines.len(), 3);

    let seen = browse(Path::new(&html), &["--dump-dom"]);
    let (dom, complaints) = (&seen.dom, seen.complaints());
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(
        dom.contains("data-replies=\"1200\"") && dom.contains("SET a&lt;b&gt;"),
        "{dom}"
    );
    for id in ["rate", "times", "percentiles", "requests"] {
        assert!(dom.contains(&format!("id=\"{id}\"")), "{id} is missing");
    }
    let p99 = seconds[0]["p99_us"].as_f64().unwrap();
    assert!(
        dom.contains(&format!(
            "data-second=\"0\" data-rate=\"{}\"",
            seconds[0]["replies"]
        )),
        "{dom}"
    );
    assert!(dom.contains(&format!("data-p99-us=\"{p99:.1}\"")), "{p99}");
    // It is drawn: a picture of the page is no empty one.
    let picture = path("page.png");
    browse(
        Path::new(&html),
        &[
            &format!("--screenshot={picture}"),
            "--window-size=1100,1200",
        ],
    );
    assert!(fs::metadata(&picture).is_ok_and(|metadata| metadata.len() > 10_000));
}

#[test]
fn a_set_is_a_line_and_a_tag_for_each_request() {
    let server = Responder::start(|_, words| {
        Some(match words[0] {
            b"GET" => b"$1\r\nx\r\n".to_vec(),
            _ => b"+OK\r\n".to_vec(),
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let hdr = folder.path().join("a.hdr");
    let words = [
        "-n",
        "500",
        "--suite",
        "redis:SET,GET",
        "--keys",
        "50",
        "--hdr",
        hdr.to_str().unwrap(),
    ];
    let (code, json, stderr) = run(server.port, &words);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(json["suite"], "redis");
    let names: Vec<&str> = json["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["commands"][0]["command"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["SET", "GET"]);
    assert_eq!(
        (&json["runs"][1]["hits"], &json["runs"][1]["misses"]),
        (&500.into(), &0.into())
    );
    let tags: Vec<Value> = read_log(&hdr)
        .into_iter()
        .map(|interval| interval["tag"].clone())
        .collect();
    assert_eq!(tags, ["SET", "GET"]);
}

/// A disk without room: the table is told all the same, the file is not there, and the exit status says so.
#[test]
fn a_full_disk_is_told() {
    let server = Responder::start(ok);
    let output = bench(&[
        "run",
        "-p",
        &server.port.to_string(),
        "-n",
        "100",
        "--command",
        "PING",
        "--json",
        "/dev/full",
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("/dev/full: no space left on device"),
        "{stderr}"
    );
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("100 replies")
    );
}
