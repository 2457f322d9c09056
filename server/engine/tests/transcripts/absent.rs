//! Commands that the engine does not have, and what cannot be judged after them.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use serde_json::Value as Json;

use super::script::{Action, Step};
use super::stage::Stage;

/// What to do with a step.
pub enum Verdict {
    /// Run and judge it.
    Run,
    /// Its command is not there: its name.
    Lacking(String),
    /// It depends on what an absent command did.
    After,
}

/// What absent commands may have changed so far in a session.
#[derive(Default)]
pub struct Absent {
    /// Keys that they may have written.
    keys: BTreeSet<Vec<u8>>,
    /// Connections that wait for an absent command.
    waiting: BTreeSet<String>,
    /// Everything may be different.
    all: bool,
}

/// Commands that look at or touch the data set as a whole.
const WHOLE: &[&str] = &[
    "debug|digest",
    "dbsize",
    "keys",
    "scan",
    "randomkey",
    "swapdb",
    "exec",
    "info",
    "save",
];
/// Whether a rule of a user names a command that only a server has.
fn names_others(words: &[Vec<u8>]) -> bool {
    let is = |at: usize, word: &[u8]| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let mut rules = words.iter().skip(3);
    is(0, b"acl")
        && is(1, b"setuser")
        && rules.any(|rule| {
            rule.get(1..)
                .is_some_and(|rule| rule.starts_with(b"client|"))
        })
}

/// Commands of the server whose absence changes what follows.
const FATAL: &[&str] = &[
    "acl",
    "auth",
    "config|set",
    "client|reply",
    "client|pause",
    "client|kill",
    "client|tracking",
    "client|no-touch",
    "eval",
    "evalsha",
    "fcall",
    "function",
    "script",
    "monitor",
    "debug|set-active-expire",
    "debug|populate",
    "debug|quicklist-packed-threshold",
];

impl Absent {
    /// Decides before a step is run.
    pub fn judge(&mut self, stage: &Stage, step: &Step) -> Verdict {
        if self.all || self.waiting.contains(&step.conn) {
            return Verdict::After;
        }
        let words = step.command();
        let Some(first) = words.first() else {
            let raw = matches!(step.action, Action::Raw(_));
            return if self.keys.is_empty() || raw {
                Verdict::Run
            } else {
                Verdict::After
            };
        };
        if names_others(words) {
            return Verdict::Lacking(name_of(words));
        }
        if first.is_empty() || !known(words) || has(stage, words) {
            return self.depends(words, step);
        }
        Verdict::Lacking(self.note(stage, step))
    }

    fn depends(&mut self, words: &[Vec<u8>], step: &Step) -> Verdict {
        if self.keys.is_empty() {
            return Verdict::Run;
        }
        let name = name_of(words);
        if name == "swapdb" || name == "move" {
            // The same names mean other keys from here on.
            self.all = true;
            return Verdict::After;
        }
        let touched = words[1..].iter().any(|word| self.keys.contains(word));
        if touched {
            // What it would have written is not there either.
            self.keys.extend(keys_of(words));
            return Verdict::After;
        }
        if WHOLE.contains(&name.as_str()) || step.until.is_some() {
            return Verdict::After;
        }
        Verdict::Run
    }

    /// Notes what an absent command may have done. Answers its name.
    pub fn note(&mut self, stage: &Stage, step: &Step) -> String {
        let words = step.command();
        let name = name_of(words);
        let container = name.split('|').next().unwrap_or_default();
        if stage.in_multi(&step.conn) || step.eof {
            self.all = true;
        }
        if step.reply.is_empty() {
            self.waiting.insert(step.conn.clone());
        }
        if step.reply.starts_with(b"-") {
            return name;
        }
        if FATAL
            .iter()
            .any(|fatal| *fatal == name || *fatal == container)
        {
            self.all = true;
        } else if !is_read_only(words) {
            self.keys.extend(keys_of(words));
        }
        name
    }
}

fn has(stage: &Stage, words: &[Vec<u8>]) -> bool {
    let table = &stage.engine.shared.table;
    let Some(found) = table.find(&words[0]) else {
        return false;
    };
    match words.get(1) {
        Some(sub) if !found.spec.subcommands.is_empty() && known_sub(words) => {
            table.find_sub(found, sub).is_some()
        }
        _ => true,
    }
}

/// `get`, `config|set`; the second word of commands that are alike with their subcommands.
fn name_of(words: &[Vec<u8>]) -> String {
    let lower = |i: usize| {
        words
            .get(i)
            .map(|w| String::from_utf8_lossy(w).to_ascii_lowercase())
            .unwrap_or_default()
    };
    if known_sub(words) || lower(0) == "debug" {
        format!("{}|{}", lower(0), lower(1))
    } else {
        lower(0)
    }
}

/// Everything that a Redis 7.2 has, by name; subcommands as `config|set`.
fn catalogue() -> &'static HashMap<String, Json> {
    static CATALOGUE: OnceLock<HashMap<String, Json>> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/commands-7.2.json"
        );
        let bytes = std::fs::read(path).expect("the list of commands is there");
        let json: Json = serde_json::from_slice(&bytes).expect("and is JSON");
        let mut all = HashMap::new();
        for command in json.as_array().into_iter().flatten() {
            for sub in command["subcommands"].as_array().into_iter().flatten() {
                all.insert(
                    sub["name"].as_str().unwrap_or_default().to_string(),
                    sub.clone(),
                );
            }
            all.insert(
                command["name"].as_str().unwrap_or_default().to_string(),
                command.clone(),
            );
        }
        all
    })
}

fn known(words: &[Vec<u8>]) -> bool {
    catalogue().contains_key(&String::from_utf8_lossy(&words[0]).to_ascii_lowercase())
}

fn known_sub(words: &[Vec<u8>]) -> bool {
    let lower = |i: usize| {
        words
            .get(i)
            .map(|w| String::from_utf8_lossy(w).to_ascii_lowercase())
            .unwrap_or_default()
    };
    catalogue().contains_key(&format!("{}|{}", lower(0), lower(1)))
}

fn is_read_only(words: &[Vec<u8>]) -> bool {
    catalogue()
        .get(&name_of(words))
        .and_then(|c| c["flags"].as_array())
        .is_some_and(|flags| flags.iter().any(|f| f == "readonly"))
}

/// The keys of a command. Where they are found only by reading its options, all its arguments.
fn keys_of(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let Some(command) = catalogue().get(&name_of(words)) else {
        return Vec::new();
    };
    let number = |field: &str| command[field].as_i64().unwrap_or(0);
    let movable = command["flags"]
        .as_array()
        .is_some_and(|flags| flags.iter().any(|f| f == "movablekeys"));
    if movable {
        return words[1..].to_vec();
    }
    let (first, last, step) = (
        number("first_key"),
        number("last_key"),
        number("step").max(1),
    );
    if first == 0 {
        return Vec::new();
    }
    let last = if last < 0 {
        words.len() as i64 + last
    } else {
        last
    };
    (first..=last)
        .step_by(step as usize)
        .filter_map(|i| words.get(i as usize).cloned())
        .collect()
}
