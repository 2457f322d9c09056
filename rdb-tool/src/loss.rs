//! What a target cannot hold, counted by kind, each with its first example.

use crate::policy::{Policies, Policy, is_silent};
use cairn_format::rdb::writer::Lack;
use cairn_toolkit::{Failure, Output, human, note, quoted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Something that has no place in a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// Its class.
    pub lack: Lack,
    /// What it is: "a stream".
    pub what: String,
    /// What could hold it; nothing where that is not the question.
    pub needs: String,
}

impl Loss {
    /// What no snapshot of this version can hold.
    pub fn new(lack: Lack) -> Loss {
        Loss::needing(lack, lack.needs())
    }

    /// The same where something else could hold it.
    pub fn needing(lack: Lack, needs: &str) -> Loss {
        Loss {
            lack,
            what: lack.what().to_owned(),
            needs: needs.to_owned(),
        }
    }
}

/// What can be done about a class that was not agreed to.
fn hint(lack: Lack) -> Option<&'static str> {
    match lack {
        Lack::Module | Lack::ModuleAux => {
            Some("--with-module TYPE writes the values of a module that the target has")
        }
        Lack::FieldExpiry => Some(
            "--expiring-fields drop leaves such fields out, --expiring-fields keep writes them without their expiry, and --side FILE the expiries as commands",
        ),
        _ => None,
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

    /// Takes over what was counted behind this.
    pub fn append(&mut self, others: Losses) {
        for (loss, found) in others.kinds {
            let count = self.kinds.entry(loss).or_insert_with(|| Count {
                count: 0,
                example: found.example,
            });
            count.count += found.count;
        }
    }

    /// Takes out what was not agreed to.
    pub fn refused(&mut self, policies: &Policies) -> Losses {
        let (agreed, refused) = std::mem::take(&mut self.kinds)
            .into_iter()
            .partition(|(loss, _)| policies.get(loss.lack) != Policy::Fail);
        self.kinds = agreed;
        Losses { kinds: refused }
    }

    /// Whether everything had a place.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn lines(&self, verb: impl Fn(&Loss) -> String) -> impl Iterator<Item = String> {
        self.kinds.iter().map(move |(loss, found)| {
            let first = if found.count == 1 { "" } else { "first " };
            let needs = match loss.needs.as_str() {
                "" => String::new(),
                needs => format!(", which needs {needs}"),
            };
            format!(
                "{} {}{needs}: {}, {first}{}",
                verb(loss),
                loss.what,
                human::count(found.count),
                found.example
            )
        })
    }

    /// Tells what was left out; what goes silently stands in the plan alone.
    pub fn report(&self, name: &str, policies: &Policies) {
        let kinds = self.kinds.iter();
        let told = Losses {
            kinds: kinds
                .filter(|(loss, _)| !is_silent(loss.lack))
                .map(|(loss, count)| (loss.clone(), count.clone()))
                .collect(),
        };
        told.lines(|loss| policies.verb(loss).to_owned())
            .for_each(|line| note(&format!("{name}: {line}")));
    }

    /// What had no place, for programs.
    pub fn json(&self, policies: &Policies) -> Value {
        let one = |(loss, found): (&Loss, &Count)| {
            json!({
                "class": loss.lack.word(),
                "policy": policies.get(loss.lack).word(),
                "silent": is_silent(loss.lack),
                "what": loss.what,
                "needs": loss.needs,
                "count": found.count,
                "first": found.example,
            })
        };
        self.kinds.iter().map(one).collect()
    }

    /// Tells on stdout what a conversion would lose.
    pub fn plan(&self, name: &str, target: &str) -> Result<(), Failure> {
        let mut out = Output::stdout();
        if self.is_empty() {
            writeln!(out, "{name}: {target} holds all of it")?;
        }
        for line in self.lines(|loss| match is_silent(loss.lack) {
            true => format!("{target} has no place, and nobody is asked, for"),
            false => format!("{target} cannot hold"),
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
            .filter_map(|loss| hint(loss.lack))
            .collect();
        hints.dedup();
        for hint in hints {
            failure = failure.hint(hint);
        }
        failure
    }
}
