//! A real server.

use crate::real_server::RealServer;
use crate::{bench, run};
use serde_json::Value;

#[test]
fn a_real_server_gets_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
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
    let socket = folder.path().join("sock");
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
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &["--requirepass", "secret"]);
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
