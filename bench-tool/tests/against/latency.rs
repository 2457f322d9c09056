//! Whose stall it was.

use crate::json;
use crate::responder::Responder;
use std::thread;
use std::time::Duration;

#[test]
fn a_server_that_stalls_is_the_one_to_blame() {
    let server = Responder::start(|n, _| {
        if n % 200 == 150 {
            thread::sleep(Duration::from_millis(150));
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
        "140ms",
        "--json",
        "-",
    ];
    let (code, json, stderr) = json(&words);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let number = |name: &str| json[name].as_u64().unwrap();
    let machine = &json["machine"];
    let share =
        machine["total_us"].as_f64().unwrap() / 1e6 / machine["watched_s"].as_f64().unwrap();
    // On a machine that other work keeps busy nobody can say, and it is said.
    match share > 0.3 {
        true => assert_eq!(number("slow_by_machine"), 0, "{json:#}"),
        false => assert!(
            number("slow_by_server") > number("slow_by_machine"),
            "{json:#}"
        ),
    }
    assert!(
        json["machine"]["watched_s"].as_f64().unwrap() > 1.9,
        "{json:#}"
    );
}
