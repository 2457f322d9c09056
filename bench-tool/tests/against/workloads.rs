//! Known workloads and files against all servers that are at hand.

use crate::real_server::{Program, RealServer};
use crate::{bench, json};
use std::fs;

#[test]
fn known_workloads_run_on_all_servers() {
    for program in [
        Program::Redis7,
        Program::Redis8,
        Program::Valkey8,
        Program::Valkey9,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = RealServer::start_program(program, folder.path(), &[]);
        let port = server.port.to_string();
        let (code, suite, stderr) = json(&[
            "run", "-p", &port, "-n", "500", "--keys", "1000", "-P", "4", "--json", "-",
        ]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{program:?}");
        let runs = suite["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 19);
        for run in runs {
            assert_eq!(
                (&run["replies"], &run["errors"]),
                (&500.into(), &0.into()),
                "{program:?} {run:#}"
            );
        }
        let get = runs
            .iter()
            .find(|run| run["commands"][0]["command"] == "GET")
            .unwrap();
        assert_eq!(get["misses"], 0, "{get:#}");
        for letter in ["a", "b", "c", "d", "e", "f"] {
            server.ask("FLUSHALL");
            let words = [
                "run",
                "-p",
                &port,
                "--suite",
                &format!("ycsb-{letter}"),
                "--keys",
                "300",
                "--prefill",
                "-n",
                "1000",
                "--resp",
                "3",
                "--json",
                "-",
            ];
            let (code, json, stderr) = json(&words);
            assert_eq!((code, stderr.as_str()), (0, ""), "{program:?} {letter}");
            // What was inserted last may be read before it is there.
            let misses = json["misses"].as_u64().unwrap();
            assert!(
                misses <= if letter == "d" { 200 } else { 0 },
                "{letter}: {json:#}"
            );
            assert!(json["hits"].as_u64().unwrap() > 400, "{letter}: {json:#}");
        }
    }
}

#[test]
fn values_are_verified_on_a_real_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    let port = server.port.to_string();
    let read = [
        "run",
        "-p",
        &port,
        "--keys",
        "500",
        "-n",
        "5000",
        "-P",
        "8",
        "--command",
        "GET {key}",
        "--command",
        "SET {key} {data:uniform:1:300}",
        "--verify",
        "--json",
        "-",
    ];
    let (code, result, stderr) = json(&read);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(result["wrong_values"], 0);
    assert!(result["hits"].as_u64().unwrap() > 1000, "{result:#}");
    server.ask("SET key:7 other");
    let words = [
        "run",
        "-p",
        &port,
        "-n",
        "100",
        "--command",
        "GET key:7",
        "--prefill",
        "SET x {data:9}",
        "--keys",
        "1",
        "--verify",
        "--json",
        "-",
    ];
    let (code, result, _) = json(&words);
    assert_eq!(
        (code, &result["wrong_values"]),
        (1, &100.into()),
        "{result:#}"
    );
}

#[test]
fn a_file_says_what_is_wrong_with_it_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let path = file.to_str().unwrap();
    for (text, told) in [
        (
            "[[command]]\nrun = \"GET x\"\nweigth = 3\n",
            "shop.toml: line 3, column 1: unknown key \"weigth\"; there are run, weight, name",
        ),
        (
            "[[command]]\nrun = \"GET {kye}\"\n",
            "shop.toml: line 2, column 7: command \"GET {kye}\": {kye} is no place",
        ),
        ("[[command]]\nrun = \"GET x\n", "shop.toml: line 2, column "),
    ] {
        fs::write(&file, text).unwrap();
        let output = bench(&["run", "--workload", path]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    let output = bench(&["run", "--workload", path]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("shop.toml: byte 0: no UTF-8")
    );
}

#[test]
fn a_steady_server_is_warm_soon() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    let words = [
        "run",
        "-p",
        &server.port.to_string(),
        "--warmup",
        "steady",
        "--rate",
        "500",
        "-d",
        "1",
        "-c",
        "5",
        "--command",
        "SET {key} x",
        "--json",
        "-",
    ];
    let (code, json, stderr) = json(&words);
    assert_eq!(code, 0, "{stderr}");
    let warmup = json["warmup_s"].as_f64().unwrap();
    assert!((2.9..31.0).contains(&warmup), "{json:#}");
    assert_eq!(json["replies"], 500, "{json:#}");
    assert_eq!(
        json["warmup_steady"].as_bool(),
        Some(warmup < 29.9),
        "{json:#}"
    );
}
