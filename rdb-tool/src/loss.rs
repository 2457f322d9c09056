//! What a target cannot hold, counted by kind, each with its first example.

use cairn_toolkit::{Failure, Output, human, json, note, quoted};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Something that has no place in a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// What it is: "a stream".
    pub what: String,
    /// What could hold it.
    pub needs: String,
    /// What became of it, or what may become of it.
    pub fate: Fate,
}

/// What becomes of something that has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is left out, if that was asked for.
    Dropped,
    /// It is left out because it belongs to a module that the target is not known to have.
    DroppedModule,
    /// Hash fields that expire are left out.
    DroppedFields,
    /// Hash fields that expire stay, and expire no more.
    KeptFields,
    /// It goes, and nobody is asked: no data, but what a server knows of it.
    Silent,
}

impl Loss {
    /// What is left out whole.
    pub fn dropped(what: impl Into<String>, needs: impl Into<String>) -> Loss {
        Loss {
            what: what.into(),
            needs: needs.into(),
            fate: Fate::Dropped,
        }
    }
}

impl Loss {
    /// What goes without a refusal.
    pub fn silent(what: &str, needs: &str) -> Loss {
        Loss {
            fate: Fate::Silent,
            ..Loss::dropped(what, needs)
        }
    }
}

impl Fate {
    /// Whether nobody is asked.
    pub fn is_silent(self) -> bool {
        self == Fate::Silent
    }

    /// As one word for programs.
    fn word(self) -> &'static str {
        match self {
            Fate::Dropped => "dropped",
            Fate::DroppedModule => "module",
            Fate::DroppedFields => "fields-dropped",
            Fate::KeptFields => "fields-kept",
            Fate::Silent => "silent",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Fate::Dropped | Fate::DroppedModule | Fate::DroppedFields => "dropped",
            Fate::KeptFields => "kept without their expiry:",
            Fate::Silent => "goes",
        }
    }

    /// What can be done if it was not agreed to.
    fn hint(self) -> Option<&'static str> {
        match self {
            Fate::Dropped | Fate::Silent => None,
            Fate::DroppedModule => {
                Some("--with-module TYPE writes the values of a module that the target has")
            }
            Fate::DroppedFields | Fate::KeptFields => Some(
                "--expiring-fields drop leaves such fields out, --expiring-fields keep writes them without their expiry",
            ),
        }
    }
}

/// How often something had no place, and where first.
#[derive(Clone, Debug)]
struct Count {
    count: u64,
    example: String,
}

/// All that has no place in a target.
#[derive(Debug, Default)]
pub struct Losses {
    kinds: BTreeMap<Loss, Count>,
}

impl Losses {
    /// Counts one; `place` is `None` for what belongs to no key.
    pub fn add(&mut self, loss: Loss, place: Option<(u64, &[u8])>) {
        let example = || match place {
            Some((db, key)) => format!("db {db}, key {}", quoted(key)),
            None => "outside the keys".to_owned(),
        };
        self.kinds
            .entry(loss)
            .or_insert_with(|| Count {
                count: 0,
                example: example(),
            })
            .count += 1;
    }

    /// Takes out what `agreed` does not accept.
    pub fn refused(&mut self, agreed: impl Fn(Fate) -> bool) -> Losses {
        let (agreed, refused) = std::mem::take(&mut self.kinds)
            .into_iter()
            .partition(|(loss, _)| agreed(loss.fate));
        self.kinds = agreed;
        Losses { kinds: refused }
    }

    /// Whether everything had a place.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn lines(&self, verb: impl Fn(Fate) -> String) -> impl Iterator<Item = String> {
        self.kinds.iter().map(move |(loss, found)| {
            let needs = if loss.needs.is_empty() {
                String::new()
            } else {
                format!(", which needs {}", loss.needs)
            };
            let first = if found.count == 1 { "" } else { "first " };
            format!(
                "{} {}{needs}: {}, {first}{}",
                verb(loss.fate),
                loss.what,
                human::count(found.count),
                found.example
            )
        })
    }

    /// Tells what was left out.
    pub fn report(&self, name: &str) {
        let told = Losses {
            kinds: self
                .kinds
                .iter()
                .filter(|(loss, _)| loss.fate != Fate::Silent)
                .map(|(loss, count)| (loss.clone(), count.clone()))
                .collect(),
        };
        told.lines(|fate| fate.verb().to_owned())
            .for_each(|line| note(&format!("{name}: {line}")));
    }

    /// Tells on stdout what a conversion would lose.
    pub fn plan(&self, name: &str, target: &str, as_json: bool) -> Result<(), Failure> {
        let mut out = Output::stdout();
        if as_json {
            let one = |(loss, found): (&Loss, &Count)| {
                json!({
                    "what": loss.what,
                    "needs": loss.needs,
                    "class": loss.fate.word(),
                    "count": found.count,
                    "first": found.example,
                })
            };
            let losses: Vec<_> = self.kinds.iter().map(one).collect();
            let plan = json!({ "file": name, "target": target, "losses": losses });
            json::write_pretty(&mut out, &plan)?;
            return out.finish();
        }
        if self.is_empty() {
            writeln!(out, "{name}: {target} holds all of it")?;
        }
        for line in self.lines(|fate| match fate {
            Fate::Silent => format!("{target} has no place, and nobody is asked, for"),
            _ => format!("{target} cannot hold"),
        }) {
            writeln!(out, "{name}: {line}")?;
        }
        out.finish()
    }

    /// The end of a conversion that was not to lose these.
    pub fn into_failure(self, name: &str, target: &str) -> Failure {
        let mut lines: Vec<String> = self
            .lines(|_| format!("{target} cannot hold"))
            .map(|line| format!("{name}: {line}"))
            .collect();
        let last = lines.pop().unwrap_or_default();
        lines.iter().for_each(|line| note(line));
        let mut failure = Failure::new(last)
            .hint("nothing was written; --drop-unsupported leaves these out and writes the rest");
        let mut hints: Vec<&str> = self
            .kinds
            .keys()
            .filter_map(|loss| loss.fate.hint())
            .collect();
        hints.dedup();
        for hint in hints {
            failure = failure.hint(hint);
        }
        failure
    }
}
