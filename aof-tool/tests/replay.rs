//! `aof-tool replay`: the commands of a log reach a living server or cluster, in their order and time.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::RealServer;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use tool::{bad, golden, log, run, run_with_stdin};

const LINES: [&str; 16] = [
    "#TS:1700000000",
    "SELECT 0",
    "SET a 1",
    "RPUSH l x y z",
    "#TS:1700000001",
    "MULTI",
    "INCR a",
    "HSET h f v",
    "EXEC",
    "SELECT 3",
    "SET b 2",
    "SELECT 0",
    "#TS:1700000003",
    "DEL l a none",
    "MSET c 1 d 2",
    "SADD s m",
];

fn digest(server: &RealServer) -> String {
    server.ask("DEBUG DIGEST")
}

fn start(extra: &[&str]) -> (tempfile::TempDir, RealServer, String) {
    let data = tempfile::tempdir().unwrap();
    let server = RealServer::start(data.path(), extra);
    let to = format!("redis://127.0.0.1:{}", server.port);
    (data, server, to)
}

#[test]
fn a_server_gets_the_data_in_the_time_that_it_took() {
    let (_one, server, to) = start(&[]);
    let (_other, expected, _) = start(&[]);
    let text = log(&LINES);
    let commands: Vec<&str> = LINES
        .iter()
        .filter(|line| !line.starts_with('#'))
        .copied()
        .collect();
    expected.send(log(&commands).as_bytes());
    let since = std::time::Instant::now();
    let sent = run_with_stdin(
        &["replay", "--json", "--speed", "10", "--to", &to, "-"],
        text.as_bytes(),
    );
    let took = since.elapsed().as_millis();
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(digest(&server), digest(&expected));
    let report: serde_json::Value = serde_json::from_str(&sent.stdout).unwrap();
    assert_eq!(report["commands"], 10);
    // Three seconds and two thirds of one at ten times the speed; a busy machine may take long, but nobody is faster.
    assert!((366..20_000).contains(&took), "{took} ms");
    let real = run_with_stdin(
        &["replay", "--speed", "max", "--to", &to, "-"],
        text.as_bytes(),
    );
    assert_eq!(real.code, 0, "{real:?}");
}

#[test]
fn errors_stop_or_are_counted() {
    let (_data, server, to) = start(&[]);
    let text = log(&[
        "SET s 1",
        "LPUSH s x",
        "MULTI",
        "INCR n",
        "SADD s y",
        "EXEC",
        "SET t 1",
    ]);
    let words = ["replay", "--speed", "max", "--to", &to, "-"];
    let stopped = run_with_stdin(&words, text.as_bytes());
    assert_eq!(stopped.code, 2, "{stopped:?}");
    assert!(
        stopped.stderr.contains("command 2: \"WRONGTYPE"),
        "{stopped:?}"
    );
    server.ask("FLUSHALL");
    let counted = run_with_stdin(
        &[&words[..], &["--on-error", "count", "--json"]].concat(),
        text.as_bytes(),
    );
    assert_eq!(counted.code, 1, "{counted:?}");
    let report: serde_json::Value = serde_json::from_str(&counted.stdout).unwrap();
    assert_eq!(report["errors_by_word"]["WRONGTYPE"], 2);
    assert!(server.ask("GET t").contains('1'));
}

#[test]
fn some_commands_and_a_log_that_cannot_be_sent() {
    let (_data, server, to) = start(&[]);
    let text = log(&LINES);
    let words = ["replay", "--speed", "max", "--to", &to];
    let some = run_with_stdin(
        &[&words[..], &["--key", "[abl]", "--without", "DEL", "-"]].concat(),
        text.as_bytes(),
    );
    assert_eq!(some.code, 0, "{some:?}");
    assert!(server.ask("DBSIZE").contains(":2"));
    assert!(server.ask("GET a").contains('2'));
    let nothing = run_with_stdin(
        &[
            &words[..],
            &[
                "--key",
                "nokey",
                "--without",
                "MULTI",
                "--without",
                "EXEC",
                "-",
            ],
        ]
        .concat(),
        text.as_bytes(),
    );
    assert!(
        nothing.code == 2 && nothing.stderr.contains("no command that was asked for"),
        "{nothing:?}"
    );
    server.ask("FLUSHALL");
    let untimed = run_with_stdin(&["replay", "--to", &to, "-"], log(&["SET a 1"]).as_bytes());
    assert!(
        untimed.code == 2 && untimed.stderr.contains("no timestamps"),
        "{untimed:?}"
    );
    let damaged = run(&[
        "replay",
        "--speed",
        "max",
        "--to",
        &to,
        &bad("aof-zeros-mid.aof"),
    ]);
    assert!(
        damaged.code == 2 && damaged.stderr.contains("is damaged"),
        "{damaged:?}"
    );
    assert!(server.ask("DBSIZE").contains(":0"));
    for to in ["redis://127.0.0.1:1", "nowhere"] {
        assert_eq!(run(&["replay", "--to", to, &bad("ok-base.aof")]).code, 2);
    }
    for speed in ["0", "-1", "fast"] {
        assert_eq!(
            run(&["replay", "--speed", speed, "--to", &to, &bad("ok-base.aof")]).code,
            2
        );
    }
    let folder = golden("redis-7.2.4/appendonlydir-multi");
    let sent = run(&[
        "replay",
        "--speed",
        "max",
        "--on-error",
        "count",
        "--to",
        &to,
        &folder,
    ]);
    assert!(
        sent.stderr
            .contains("snapshot of 15 keys in front is not sent"),
        "{sent:?}"
    );
}

#[test]
fn a_server_that_goes_away_is_told() {
    let (_data, server, to) = start(&[]);
    let text = log(&[
        "SET a 1",
        "CONFIG SET maxmemory 0",
        "SHUTDOWN NOSAVE",
        "SET b 1",
    ]);
    let gone = run_with_stdin(
        &["replay", "--speed", "max", "--to", &to, "-"],
        text.as_bytes(),
    );
    assert!(
        gone.code == 2 && gone.stderr.contains("commands were sent before"),
        "{gone:?}"
    );
    drop(server);
}

/// Three nodes; each command goes to the one that has its key.
#[test]
fn a_cluster_gets_each_command_where_its_key_is() {
    let nodes: Vec<_> = (0..3)
        .map(|_| start(&["--cluster-enabled", "yes"]))
        .collect();
    for (number, (_, node, _)) in nodes.iter().enumerate() {
        let (first, last) = (number * 5462, (number * 5462 + 5461).min(16_383));
        node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        node.ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].1.port));
    }
    for (_, node, _) in &nodes {
        while !node.ask("CLUSTER INFO").contains("cluster_state:ok")
            || node.ask("CLUSTER NODES").lines().count() < 4
        {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut lines = vec!["SET gone 1".to_owned(), "FLUSHALL".to_owned()];
    lines.extend((0..300).map(|i| format!("SET key:{i} {i}")));
    lines.extend(
        [
            "MULTI",
            "INCR key:7",
            "DEL key:1 key:2 key:3",
            "MSET a 1 b 2 c 3",
            "EXEC",
        ]
        .map(str::to_owned),
    );
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    fs::write(&path, log(&lines)).unwrap();
    let path = path.to_str().unwrap();
    let sent = run(&["replay", "--speed", "max", "--to", &nodes[1].2, path]);
    assert_eq!(sent.code, 0, "{sent:?}");
    let keys: u64 = nodes
        .iter()
        .map(|(_, node, _)| {
            let reply = node.ask("DBSIZE");
            reply.lines().next().unwrap()[1..]
                .trim()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(keys, 300);
    let other = folder.path().join("other");
    fs::write(&other, log(&["SELECT 1", "SET a 1"])).unwrap();
    let refused = run(&[
        "replay",
        "--speed",
        "max",
        "--to",
        &nodes[1].2,
        other.to_str().unwrap(),
    ]);
    assert!(
        refused.code == 2 && refused.stderr.contains("database 0 alone"),
        "{refused:?}"
    );
}

/// When a server got each SET, seconds by its own clock: what MONITOR tells.
fn arrivals(mut monitor: BufReader<TcpStream>, count: usize) -> std::thread::JoinHandle<Vec<f64>> {
    std::thread::spawn(move || {
        let (mut found, mut line) = (Vec::new(), String::new());
        while found.len() < count {
            line.clear();
            assert_ne!(monitor.read_line(&mut line).unwrap(), 0, "the server ended");
            if line.contains("\"SET\"") {
                let time = line[1..].split(' ').next().unwrap();
                found.push(time.parse().unwrap());
            }
        }
        found
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a server sees at original speed: seconds lie as far apart as in the log, to 1 %, and nothing comes early. A busy machine makes single
/// commands late, so it is the middle one of each second that is looked at.
#[test]
fn a_server_sees_the_spacing_of_the_log() {
    let (_data, server, to) = start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    // An idle second, a busy one, a break.
    let seconds = [(0, 41), (1, 5), (2, 201), (5, 41), (6, 41)];
    let mut lines = Vec::new();
    for (second, commands) in seconds {
        lines.push(format!("#TS:{}", 1_700_000_000 + second));
        lines.extend((0..commands).map(|i| format!("SET {second}:{i} v")));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let total = seconds.iter().map(|(_, commands)| commands).sum();
    let mut monitor = BufReader::new(stream);
    let mut ready = String::new();
    monitor.read_line(&mut ready).unwrap();
    assert_eq!(ready, "+OK\r\n");
    let seen = arrivals(monitor, total);
    let sent = run_with_stdin(&["replay", "--to", &to, "-"], log(&lines).as_bytes());
    assert_eq!(sent.code, 0, "{sent:?}");
    let seen = seen.join().unwrap();
    let begin = seen[0];
    let (mut at, mut late) = (0, Vec::new());
    for (second, commands) in seconds {
        let each = (0..commands).map(|i| {
            let due = f64::from(second) + i as f64 / commands as f64;
            seen[at + i] - begin - due
        });
        late.push((f64::from(second), median(each.collect())));
        at += commands;
    }
    for (earlier, (from, one)) in late.iter().enumerate() {
        for (to, other) in &late[earlier + 1..] {
            let wrong = (other - one).abs() / (to - from);
            assert!(wrong < 0.01, "{from} to {to}: {late:?}");
        }
    }
}
