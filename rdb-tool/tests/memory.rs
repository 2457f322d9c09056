//! What is predicted of servers' memory, against living ones.

mod common;

use common::real_server::{Program, RealServer};
use common::{code, golden, many_strings, run, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The most that a prediction for a file may be off.
const ERROR_MAX: f64 = 0.05;

/// Less than this is what one reply more or less takes.
const STILL: u64 = 8192;

/// Living servers, how they are named, and the allocator that they were built with.
const SERVERS: [(Program, &str, &str); 4] = [
    (Program::Redis7, "redis-7.0.15", "jemalloc-of-system"),
    (Program::Redis8, "redis-8.2.3", "jemalloc"),
    (Program::Valkey8, "valkey-8.1.8", "libc"),
    (Program::Valkey9, "valkey-9.1.2", "libc"),
];

/// What a server takes that has loaded what lies in a folder, once its tables have grown: until then an old one is counted, too.
fn used_memory(program: Program, folder: &Path, extra: &[&str]) -> u64 {
    let server = RealServer::start_program(program, folder, extra);
    let used = || -> u64 {
        let info = server.ask("INFO memory");
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().trim().parse().unwrap()
    };
    let (mut last, mut same) = (used(), 0);
    for _ in 0..200 {
        thread::sleep(Duration::from_millis(50));
        let now = used();
        same = if now.abs_diff(last) < STILL {
            same + 1
        } else {
            0
        };
        last = now;
        if same == 5 {
            return now;
        }
    }
    panic!("the memory of the server changes all the time, {last} bytes now");
}

fn predicted(words: &[&str], file: &Path) -> Value {
    let output = run(&[&["memory", "--json"], words, &[file.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn predictions_are_off_by_five_percent_at_most() {
    let mut table = String::new();
    for (program, name, allocator) in SERVERS {
        let empty = used_memory(program, tempfile::tempdir().unwrap().path(), &[]);
        let many = tempfile::tempdir().unwrap();
        fs::write(many.path().join("many.rdb"), many_strings(20_000)).unwrap();
        let mut files = vec![
            golden("redis-2.4.18/all.rdb"),
            golden("redis-5.0.14/all.rdb"),
            many.path().join("many.rdb"),
        ];
        if program != Program::Redis7 {
            files.extend([
                golden("redis-7.2.4/all.rdb"),
                golden("redis-7.2.4/bigcount.rdb"),
            ]);
        }
        for file in files {
            let folder = tempfile::tempdir().unwrap();
            fs::copy(&file, folder.path().join("dump.rdb")).unwrap();
            let real = used_memory(program, folder.path(), &[]) - empty;
            let words = ["--for", name, "--allocator", allocator];
            let found = predicted(&words, &file);
            assert_eq!(found["confirmed"], true);
            let told = found["bytes"].as_u64().unwrap();
            let error = told as f64 / real as f64 - 1.0;
            let shown = file
                .iter()
                .rev()
                .take(2)
                .map(|part| part.to_str().unwrap())
                .collect::<Vec<_>>();
            table.push_str(&format!(
                "{name} {shown:?}: {real} bytes, {told} predicted, off by {:.2} %\n",
                error * 100.0
            ));
            assert!(error.abs() <= ERROR_MAX, "{table}");
            let whole = found["used_memory"].as_u64().unwrap() as f64 / (real + empty) as f64 - 1.0;
            assert!(
                whole.abs() <= ERROR_MAX,
                "used_memory is off by {:.2} %\n{table}",
                whole * 100.0
            );
        }
    }
    println!("{table}");
}

#[test]
fn sums_are_those_of_the_keys() {
    let file = golden("redis-7.2.4/all.rdb");
    let found = predicted(
        &["--for", "redis-7.2", "--prefix", ":", "--top", "5"],
        &file,
    );
    assert_eq!(found["confirmed"], false, "no 7.2 was compared");
    let sum = |list: &Value, field: &str| -> u64 {
        list.as_array()
            .unwrap()
            .iter()
            .map(|part| part[field].as_u64().unwrap())
            .sum()
    };
    let keys = sum(&found["encodings"], "keys");
    assert_eq!(found["keys"], keys);
    let parts = sum(&found["encodings"], "bytes")
        + found["tables"].as_u64().unwrap()
        + found["libraries"].as_u64().unwrap();
    assert_eq!(found["bytes"], parts);
    let output = run(&[
        "memory",
        "--for",
        "redis-7.2",
        "--each",
        file.to_str().unwrap(),
    ]);
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, keys);
    let each: u64 = lines
        .iter()
        .map(|line| line["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(each, sum(&found["encodings"], "bytes"));
    let under: u64 = lines
        .iter()
        .filter(|line| {
            line["key"]
                .as_str()
                .is_some_and(|key| key.starts_with("str:"))
        })
        .map(|line| line["bytes"].as_u64().unwrap())
        .sum();
    let listed = found["prefixes"]["listed"].as_array().unwrap();
    assert_eq!(
        listed
            .iter()
            .find(|prefix| prefix["prefix"] == "str:")
            .unwrap()["bytes"],
        under
    );
    let most = lines
        .iter()
        .map(|line| line["bytes"].as_u64().unwrap())
        .max();
    assert_eq!(found["largest"][0]["bytes"].as_u64(), most);
    let text = stdout(&run(&[
        "memory",
        "--for",
        "redis-7.2",
        file.to_str().unwrap(),
    ]));
    assert!(
        text.contains("was not compared with a living server"),
        "{text}"
    );
}

#[test]
fn expired_keys_are_not_loaded() {
    let file = golden("redis-7.2.4/expired.rdb");
    let found = predicted(&["--for", "redis-7.0"], &file);
    assert_eq!(
        (found["keys"].as_u64(), found["expired"].as_u64()),
        (Some(1), Some(5)),
        "{found}"
    );
}

#[test]
fn verify_tells_what_does_not_fit() {
    let file = golden("redis-5.0.14/all.rdb");
    let file = file.to_str().unwrap();
    let servers = ["verify", "--for", "redis-7.0,valkey-9.1"];
    let output = run(&[&servers[..], &["--fits", "2gb", file]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("redis-7.0: used_memory of about 1."),
        "{}",
        stdout(&output)
    );
    let output = run(&[&servers[..], &["--fits", "1mb", file]].concat());
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert_eq!(text.matches(" where 1.0 MB fit").count(), 2, "{text}");
    let output = run(&[&servers[..], &["--json", "--fits", "1mb", file]].concat());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["for"][0]["loads"], false);
    assert!(found["for"][0]["used_memory"].as_u64() > Some(1 << 20));
    assert_eq!(
        code(&run(&["verify", "--fits", "1mb", file])),
        2,
        "it needs a server"
    );
    assert_eq!(
        code(&run(&["verify", "--for", "11", "--fits", "1mb", file])),
        2,
        "by its name"
    );
}

#[test]
fn whatif_agrees_with_memory_and_with_a_server() {
    let file = golden("redis-5.0.14/all.rdb");
    let words = [
        "whatif",
        "--json",
        "--for",
        "redis-7.0.15",
        "--allocator",
        "jemalloc-of-system",
    ];
    let limits = [
        "--hash-max-listpack-entries",
        "100000",
        "--hash-max-listpack-value",
        "100000",
    ];
    let output = run(&[&words[..], &limits, &[file.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = found["cases"].as_array().unwrap();
    let bytes = |case: usize| cases[case]["bytes"].as_u64().unwrap();
    assert_eq!(cases.len(), 4);
    let before = predicted(
        &["--for", "redis-7.0.15", "--allocator", "jemalloc-of-system"],
        &file,
    );
    assert_eq!(bytes(0), before["bytes"].as_u64().unwrap());
    assert!(bytes(3) < bytes(0), "packed hashes are smaller");
    assert_eq!(
        cases[3]["saved"].as_i64().unwrap(),
        (bytes(0) - bytes(3)) as i64
    );
    // A server with these limits saves as much.
    let used = |extra: &[&str]| -> u64 {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(&file, folder.path().join("dump.rdb")).unwrap();
        used_memory(Program::Redis7, folder.path(), extra)
    };
    let real = used(&[]) as i64
        - used(&[
            "--hash-max-listpack-entries",
            "100000",
            "--hash-max-listpack-value",
            "100000",
        ]) as i64;
    let saved = cases[3]["saved"].as_i64().unwrap();
    assert!(
        (saved - real).abs() < real / 10 + 2000,
        "{saved} predicted, {real} saved"
    );
}

#[test]
fn whatif_shortens_names_and_lets_idle_keys_go() {
    let file = golden("redis-7.2.4/lru.rdb");
    let found = |words: &[&str]| -> Value {
        let output = run(&[
            &["whatif", "--json", "--for", "valkey-9.1"],
            words,
            &[file.to_str().unwrap()],
        ]
        .concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let gone = found(&["--expire-after", "1s"]);
    let inspected: Value = serde_json::from_slice(
        &run(&["inspect", "--json", "--idle", ">1s", file.to_str().unwrap()]).stdout,
    )
    .unwrap();
    assert_eq!(gone["cases"][1]["keys_gone"], inspected["keys_selected"]);
    assert!(gone["cases"][1]["keys_gone"].as_u64() > Some(0), "{gone}");
    let file = golden("redis-7.2.4/all.rdb");
    let output = run(&[
        "whatif",
        "--json",
        "--for",
        "redis-7.0",
        "--field-names",
        "1",
        file.to_str().unwrap(),
    ]);
    let short: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(short["cases"][1]["saved"].as_i64() > Some(1000), "{short}");
    let output = run(&["whatif", "--for", "redis-7.0", file.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("nothing to be changed was named"),
        "{}",
        stderr(&output)
    );
}
