//! What a target cannot hold, counted by kind, each with its first example.

use cairn_toolkit::{Failure, human, note, quoted};
use std::collections::BTreeMap;

/// How often something had no place, and where first.
#[derive(Debug)]
struct Loss {
    count: u64,
    example: String,
}

/// All that has no place in a target.
#[derive(Debug, Default)]
pub struct Losses {
    /// By what it is and what could hold it.
    kinds: BTreeMap<(String, String), Loss>,
}

impl Losses {
    /// Counts one; `key` is `None` for what belongs to no key.
    pub fn add(&mut self, what: &str, needs: &str, place: Option<(u64, &[u8])>) {
        let example = || match place {
            Some((db, key)) => format!("db {db}, key {}", quoted(key)),
            None => "outside the keys".to_owned(),
        };
        let kind = (what.to_owned(), needs.to_owned());
        self.kinds
            .entry(kind)
            .or_insert_with(|| Loss {
                count: 0,
                example: example(),
            })
            .count += 1;
    }

    /// Whether everything had a place.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn lines(&self, verb: &str) -> impl Iterator<Item = String> {
        self.kinds.iter().map(move |((what, needs), loss)| {
            let count = human::count(loss.count);
            let needs = if needs.is_empty() {
                String::new()
            } else {
                format!(", which needs {needs}")
            };
            let first = if loss.count == 1 { "" } else { "first " };
            format!("{verb} {what}{needs}: {count}, {first}{}", loss.example)
        })
    }

    /// Tells what was left out.
    pub fn report_dropped(&self, name: &str) {
        self.lines("dropped")
            .for_each(|line| note(&format!("{name}: {line}")));
    }

    /// The end of a conversion that was to lose nothing.
    pub fn into_failure(self, name: &str, target: &str) -> Failure {
        let mut lines: Vec<String> = self
            .lines(&format!("{target} cannot hold"))
            .map(|line| format!("{name}: {line}"))
            .collect();
        let last = lines.pop().unwrap_or_default();
        lines.iter().for_each(|line| note(line));
        Failure::new(last)
            .hint("nothing was written; --drop-unsupported leaves these out and writes the rest")
    }
}
