//! Whose stall it was.

use crate::json;
use crate::responder::Responder;
use std::thread;
use std::time::Duration;

#[test]
fn a_server_that_stalls_is_the_one_to_blame() {
    let server = Responder::start(|n, _| {
        if n % 200 == 150 {
            thread::sleep(Duration::from_millis(60));
        }
        Some(b"+PONG\r\n".to_vec())
    });
    let words = [
        "latency",
        "-p",
        &server.port.to_string(),
        "--duration",
        "2",
        "--slow",
        "50ms",
        "--json",
        "-",
    ];
    let (code, json, stderr) = json(&words);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let (slow, by_machine) = (
        json["slow"].as_u64().unwrap(),
        json["slow_by_machine"].as_u64().unwrap(),
    );
    assert!(slow >= 3 && slow > 2 * by_machine, "{json:#}");
    assert!(
        json["machine"]["watched_s"].as_f64().unwrap() > 1.9,
        "{json:#}"
    );
}
