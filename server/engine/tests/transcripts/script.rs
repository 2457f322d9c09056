//! The recordings: JSON lines, one step each; all strings hold bytes as code points below 256.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// Sends a command as a multibulk.
    Command(Vec<Vec<u8>>),
    /// Sends bytes as they are.
    Raw(Vec<u8>),
    /// Only reads.
    Read,
    /// Waits, milliseconds.
    Sleep(u64),
}

/// An argument of a propagated command.
#[derive(Debug)]
pub enum Expected {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Whatever this pattern matches.
    Pattern(String),
}

/// One line of a recording.
#[derive(Debug)]
pub struct Step {
    /// Name of the session.
    pub session: String,
    /// 2 or 3.
    pub proto: u64,
    /// Number in the session.
    pub number: u64,
    /// Name of the connection.
    pub conn: String,
    /// What happens.
    pub action: Action,
    /// The recorded answer; empty: none comes.
    pub reply: Vec<u8>,
    /// How to compare; none: all bytes are equal.
    pub matching: Option<String>,
    /// Read until a frame holds this word.
    pub until: Option<Vec<u8>>,
    /// The server closes the connection after the answer.
    pub eof: bool,
    /// Redis 7.0.15 answers the same. Read by the replay over sockets only.
    #[allow(dead_code)]
    pub same_in_7_0: bool,
    /// What a replica receives.
    pub propagated: Option<Vec<Vec<Expected>>>,
}

/// The recordings of a folder, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    files
}

/// The sessions of a recording: runs of steps of one name and protocol.
pub fn sessions(path: &Path) -> Vec<Vec<Step>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut sessions: Vec<Vec<Step>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let json: Json = serde_json::from_str(line)
            .unwrap_or_else(|e| panic!("{}: {e}: {line}", path.display()));
        let step = Step::new(&json);
        match sessions.last_mut() {
            Some(steps) if steps[0].session == step.session && steps[0].proto == step.proto => {
                steps.push(step)
            }
            _ => sessions.push(vec![step]),
        }
    }
    sessions
}

impl Step {
    fn new(json: &Json) -> Step {
        let text = |field: &str| json[field].as_str();
        let action = match () {
            () if json["sleep"].is_number() => {
                Action::Sleep(json["sleep"].as_f64().unwrap_or(0.0).ceil() as u64)
            }
            () if json["cmd"].is_array() => {
                Action::Command(list(&json["cmd"]).iter().map(argument).collect())
            }
            () if json["raw"].is_string() => Action::Raw(argument(&json["raw"])),
            () => Action::Read,
        };
        Step {
            session: text("s").unwrap_or_default().to_string(),
            proto: json["proto"].as_u64().unwrap_or(2),
            number: json["n"].as_u64().unwrap_or(0),
            conn: text("conn").unwrap_or("a").to_string(),
            action,
            reply: bytes(text("expect").or(text("reply")).unwrap_or_default()),
            matching: text("match").map(str::to_string),
            until: text("until").map(bytes),
            eof: json["eof"].as_bool().unwrap_or(false),
            same_in_7_0: json["same70"].as_bool().unwrap_or(true),
            propagated: json["prop"]
                .as_array()
                .map(|commands| commands.iter().map(expected).collect()),
        }
    }

    /// The words of the command, if it is one.
    pub fn command(&self) -> &[Vec<u8>] {
        match &self.action {
            Action::Command(words) => words,
            _ => &[],
        }
    }
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn argument(json: &Json) -> Vec<u8> {
    bytes(json.as_str().expect("arguments are strings"))
}

fn expected(command: &Json) -> Vec<Expected> {
    let one = |json: &Json| match json["re"].as_str() {
        Some(pattern) => Expected::Pattern(pattern.to_string()),
        None => Expected::Bytes(argument(json)),
    };
    list(command).iter().map(one).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("code points below 256"))
        .collect()
}
