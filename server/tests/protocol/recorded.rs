//! The recorded answers of a real 7.2.4 to odd and broken requests, replayed byte for byte.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use cairn_format::resp::value::write_command;
use serde_json::Value as Json;

use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, Setup};

/// Bytes that are written as code points below 256.
fn latin(value: &Json) -> Vec<u8> {
    value
        .as_str()
        .unwrap()
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

fn request(step: &Json) -> Vec<u8> {
    match step.get("raw") {
        Some(raw) => latin(raw),
        None => {
            let args: Vec<Vec<u8>> = step["cmd"].as_array().unwrap().iter().map(latin).collect();
            let mut out = Vec::new();
            write_command(&mut out, &args);
            out
        }
    }
}

fn connect(server: &Server, proto: &Json) -> Connection {
    let mut connection = server.connect();
    if proto == 3 {
        connection.good("HELLO 3");
    }
    connection
}

/// Plays all sessions; answers how many steps there were and what was answered otherwise.
fn replay(server: &Server) -> (usize, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/transcripts/protocol.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut connections: BTreeMap<String, Connection> = BTreeMap::new();
    let (mut session, mut steps, mut wrong) = (String::new(), 0, Vec::new());
    for line in text.lines() {
        let step: Json = serde_json::from_str(line).unwrap();
        let name = format!("{} proto {}", step["s"].as_str().unwrap(), step["proto"]);
        if name != session {
            connections.clear();
            server.connect().good("FLUSHALL");
            session = name;
        }
        let connection = connections
            .entry(step["conn"].as_str().unwrap().to_string())
            .or_insert_with(|| connect(server, &step["proto"]));
        connection.send(&request(&step));
        let expected = latin(&step["reply"]);
        let mut got = vec![0; expected.len()];
        let stream = connection.stream();
        let outcome = stream.read_exact(&mut got);
        if outcome.is_err() || got != expected {
            wrong.push(format!(
                "{session} step {}: {} in place of {}",
                step["n"],
                got.escape_ascii(),
                expected.escape_ascii()
            ));
            connections.clear();
        } else if step["eof"] == true && stream.read(&mut [0; 16]).is_ok_and(|count| count > 0) {
            wrong.push(format!(
                "{session} step {}: more follows in place of the end",
                step["n"]
            ));
        }
        steps += 1;
    }
    (steps, wrong)
}

fn is_answered_as_recorded(program: Program) {
    let folder = Folder::new();
    let server = Setup::new(program, &folder).start();
    let (steps, wrong) = replay(&server);
    assert!(
        wrong.is_empty(),
        "{} of {steps} steps:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(steps > 250, "{steps} steps");
}

#[test]
fn ours_answers_as_recorded() {
    is_answered_as_recorded(Program::Cairn);
}

/// The recording is of 7.2.4; in these sessions 7.0.15 is the same, which shows that the replay itself is right.
#[test]
fn the_reference_answers_as_recorded() {
    is_answered_as_recorded(Program::Reference);
}
