//! Runs the binary against a small responder of the test's own, which can misbehave, and against a real server.

use cairn_format::resp::request::{Limits, RequestParser, Step};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// What the responder answers to its n-th request, counted over all connections; `None` closes the connection.
type Answer = dyn Fn(u64, &[&[u8]]) -> Option<Vec<u8>> + Send + Sync;

/// A server that answers each request as the test says, and counts them.
struct Responder {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl Responder {
    fn start(
        answer: impl Fn(u64, &[&[u8]]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Responder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicU64::new(0));
        let (answer, counter): (Arc<Answer>, _) = (Arc::new(answer), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counter) = (answer.clone(), counter.clone());
                thread::spawn(move || serve(stream.unwrap(), &*answer, &counter));
            }
        });
        Responder { port, requests }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, counter: &AtomicU64) {
    let (mut input, mut chunk) = (Vec::new(), [0; 65536]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(n) => input.extend_from_slice(&chunk[..n]),
        }
        let (mut start, mut parser, mut ranges, mut out) =
            (0, RequestParser::default(), Vec::new(), Vec::new());
        loop {
            ranges.clear();
            match parser.next(&input, start, &mut ranges, &Limits::default()) {
                Step::Command { end } => {
                    let words: Vec<&[u8]> = ranges
                        .iter()
                        .map(|r| &input[r.start as usize..r.end as usize])
                        .collect();
                    match answer(counter.fetch_add(1, SeqCst), &words) {
                        Some(reply) => out.extend_from_slice(&reply),
                        None => {
                            let _ = stream.write_all(&out);
                            return;
                        }
                    }
                    start = end;
                }
                Step::Incomplete { .. } => break,
                other => panic!("the tool sent something that is no command: {other:?}"),
            }
        }
        input.drain(..start);
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

/// A real server of Debian on a port of its own, ended with the test.
struct RealServer {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl RealServer {
    fn start(extra: &[&str]) -> RealServer {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("/usr/bin/redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--unixsocket",
                "sock",
                "--dir",
            ])
            .arg(folder.path())
            .args(extra)
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need /usr/bin/redis-server (Debian: redis-server)");
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(10),
                "redis-server does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        RealServer {
            child,
            folder,
            port,
        }
    }

    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-tool"))
        .args(words)
        .env_remove("REDISCLI_AUTH")
        .output()
        .unwrap()
}

/// `bench-tool run --port PORT --json - WORDS`: exit code, JSON, stderr.
fn run(port: u16, words: &[&str]) -> (i32, Value, String) {
    let port = port.to_string();
    let output = bench(&[&["run", "--port", &port, "--json", "-"], words].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, stderr)
}

fn ok(_: u64, _: &[&[u8]]) -> Option<Vec<u8>> {
    Some(b"+OK\r\n".to_vec())
}

#[test]
fn every_request_is_sent_once_and_answered() {
    let server = Responder::start(ok);
    for (clients, pipeline, threads) in [
        ("1", "1", "1"),
        ("7", "16", "1"),
        ("10", "3", "4"),
        ("3", "1000", "2"),
    ] {
        let before = server.requests.load(SeqCst);
        let words = [
            "-n",
            "5000",
            "-c",
            clients,
            "-P",
            pipeline,
            "--threads",
            threads,
            "--command",
            "SET k{seq} {data:10}",
        ];
        let (code, json, stderr) = run(server.port, &words);
        assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
        assert_eq!(json["replies"], 5000);
        assert_eq!(json["errors"], 0);
        assert_eq!(server.requests.load(SeqCst) - before, 5000);
        assert!(json["throughput_rps"].as_f64().unwrap() > 0.0);
        assert_eq!(json["latency_from"], "send");
    }
}

#[test]
fn the_table_goes_to_stdout_and_the_file_appears_whole() {
    let server = Responder::start(ok);
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("result.json");
    let words = [
        "run",
        "-p",
        &server.port.to_string(),
        "-n",
        "100",
        "-c",
        "2",
        "--command",
        "PING",
        "--json",
        file.to_str().unwrap(),
    ];
    let output = bench(&words);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "no progress line without a terminal"
    );
    for word in ["p50", "p99.9", "max", "requests/s", "closed loop", "PING"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["commands"][0]["command"], "PING");
}

#[test]
fn error_replies_are_counted_by_word_and_give_exit_1() {
    let server = Responder::start(|n, _| {
        Some(if n % 4 == 0 {
            b"-WRONGTYPE not that\r\n".to_vec()
        } else if n % 4 == 1 {
            b"!9\r\nERR short\r\n".to_vec()
        } else {
            b"+OK\r\n".to_vec()
        })
    });
    let (code, json, _) = run(
        server.port,
        &["-n", "1000", "-c", "5", "-P", "8", "--command", "PING"],
    );
    assert_eq!((code, &json["errors"]), (1, &Value::from(500)));
    assert_eq!(json["errors_by_word"]["WRONGTYPE"]["count"], 250);
    assert_eq!(json["errors_by_word"]["ERR"]["example"], "ERR short");
}

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
fn a_run_that_does_all_it_should_has_nothing_unsent() {
    for (words, unsent) in [
        (&["-n", "300"][..], Value::from(0)),
        (&["-d", "0.3", "--rate", "500"], Value::from(0)),
        (
            &["-d", "0.3", "--rate", "500", "-n", "40", "--warmup", "0.1"],
            Value::from(0),
        ),
        (&["-d", "0.3"], Value::Null),
    ] {
        let server = Responder::start(ok);
        let (code, json, stderr) = run(
            server.port,
            &[words, &["-c", "3", "--command", "PING"]].concat(),
        );
        assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
        assert_eq!(
            (&json["requests_unsent"], &json["ended_early"]),
            (&unsent, &false.into()),
            "{words:?}"
        );
    }
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
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (code, _, stderr) = run(port, &["-n", "10", "--command", "PING"]);
    assert_eq!(
        (code, stderr),
        (
            2,
            format!("bench-tool: 127.0.0.1:{port}: could not connect: connection refused\n")
        )
    );
}

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

#[test]
fn time_limits_and_warm_up() {
    let server = Responder::start(ok);
    let (code, json, _) = run(
        server.port,
        &[
            "--duration",
            "0.4",
            "--warmup",
            "0.4",
            "-c",
            "3",
            "--command",
            "PING",
        ],
    );
    let measured = json["replies"].as_u64().unwrap();
    assert_eq!(code, 0);
    assert!(
        measured > 0 && server.requests.load(SeqCst) > measured,
        "the warm-up is sent and not counted: {json}"
    );
    assert!(
        (0.2..1.5).contains(&json["elapsed_s"].as_f64().unwrap()),
        "{json}"
    );
}

#[test]
fn weights_mix_commands() {
    let server = Responder::start(|_, words| {
        Some(if words[0] == b"GET" {
            b"$-1\r\n".to_vec()
        } else {
            b"+OK\r\n".to_vec()
        })
    });
    let words = [
        "-n",
        "10000",
        "--command",
        "GET k",
        "--weight",
        "9",
        "--command",
        "SET k v",
        "--weight",
        "1",
    ];
    let (code, json, _) = run(server.port, &words);
    let gets = json["commands"][0]["replies"].as_u64().unwrap();
    assert_eq!(code, 0);
    assert!(
        (8_800..9_200).contains(&gets),
        "{gets} of 10,000 with weight 9 to 1"
    );
    assert_eq!(
        gets + json["commands"][1]["replies"].as_u64().unwrap(),
        10_000
    );
}

#[test]
fn large_replies_and_pushes_are_read() {
    let server = Responder::start(|n, words| match words[0] {
        b"HELLO" => Some(b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec()),
        _ if n % 3 == 0 => Some(b">2\r\n+message\r\n+x\r\n_\r\n".to_vec()),
        _ => Some([&b"$100000\r\n"[..], &[b'x'; 100_000], b"\r\n"].concat()),
    });
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "300",
            "-c",
            "3",
            "-P",
            "10",
            "--resp",
            "3",
            "--command",
            "GET k",
        ],
    );
    assert_eq!((code, &json["replies"]), (0, &Value::from(300)), "{stderr}");
}

#[test]
fn wrong_arguments_are_exit_2() {
    for words in [
        &["run"][..],
        &["run", "--command", ""],
        &["run", "--command", "GET {rand}"],
        &["run", "--command", "GET \"x"],
        &["run", "--command", "PING", "--clients", "0"],
        &["run", "--command", "PING", "--duration", "-1"],
        &["run", "--command", "PING", "--weight", "1", "--weight", "2"],
        &["walk"],
        &[],
    ] {
        let output = bench(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            output.stderr.starts_with(b"bench-tool: "),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }
    for words in [&["--help"][..], &["run", "--help"]] {
        let output = bench(words);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("Examples:\n  bench-tool run")
        );
    }
}

#[test]
fn a_real_server_gets_what_was_asked_for() {
    let server = RealServer::start(&[]);
    let (code, json, stderr) = run(
        server.port,
        &[
            "-n",
            "2000",
            "-P",
            "16",
            "--db",
            "3",
            "--command",
            "SET key:{seq} {data:64}",
        ],
    );
    assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
    assert!(
        server.ask("INFO keyspace").contains("db3:keys=2000,"),
        "{}",
        server.ask("INFO keyspace")
    );
    let (code, json, _) = run(
        server.port,
        &[
            "-n",
            "100",
            "--resp",
            "3",
            "--db",
            "3",
            "--command",
            "LPUSH key:{seq} x",
        ],
    );
    assert_eq!(
        (code, &json["errors_by_word"]["WRONGTYPE"]["count"]),
        (1, &Value::from(100))
    );
    let socket = server.folder.path().join("sock");
    let output = bench(&[
        "run",
        "-s",
        socket.to_str().unwrap(),
        "-n",
        "100",
        "--command",
        "PING",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_password_is_given_and_a_wrong_one_is_told() {
    let server = RealServer::start(&["--requirepass", "secret"]);
    for resp in ["2", "3"] {
        let (code, _, stderr) = run(
            server.port,
            &[
                "-n",
                "100",
                "-a",
                "secret",
                "--resp",
                resp,
                "--command",
                "PING",
            ],
        );
        assert_eq!((code, stderr.as_str()), (0, ""));
        let (code, _, stderr) = run(
            server.port,
            &[
                "-n",
                "100",
                "-a",
                "guess",
                "--resp",
                resp,
                "--command",
                "PING",
            ],
        );
        assert_eq!(code, 2);
        assert!(stderr.contains("was refused: WRONGPASS"), "{stderr}");
    }
    let (code, json, _) = run(server.port, &["-n", "10", "--command", "PING"]);
    assert_eq!(
        (code, &json["errors_by_word"]["NOAUTH"]["count"]),
        (1, &Value::from(10))
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let server = Responder::start(ok);
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench-tool"))
        .args([
            "run",
            "-p",
            &server.port.to_string(),
            "-n",
            "100",
            "--command",
            "PING",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
