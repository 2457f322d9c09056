//! What a comparison found, and how it is told.

use super::again::Mark;
use super::elements::Changes;
use super::entry::{Entry, MODULE_DATA, Place};
use super::prefix::{Count, Prefixes};
use super::table::Judge;
use cairn_toolkit::select::FUNCTION;
use cairn_toolkit::{human, json};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

/// Database and name of an example, in the order in which they are told.
type Key = (Option<u64>, Box<[u8]>);

/// One key that is named.
#[derive(Debug)]
struct Example {
    hash: u128,
    kind: &'static str,
    what: Vec<String>,
}

/// How many there are of what is compared.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    keys: u64,
    /// Function libraries.
    libraries: u64,
    /// Module types with data outside the keys.
    modules: u64,
}

impl Amount {
    fn add(&mut self, kind: &str) {
        *match kind {
            FUNCTION => &mut self.libraries,
            MODULE_DATA => &mut self.modules,
            _ => &mut self.keys,
        } += 1;
    }

    fn total(&self) -> u64 {
        self.keys + self.libraries + self.modules
    }

    /// `3 keys and 1 function library`; what is no key only where there is any.
    fn text(&self) -> String {
        let mut text = human::plural(self.keys, "key", "keys");
        for (count, one, many) in [
            (self.libraries, "function library", "function libraries"),
            (self.modules, "module type's data", "module types' data"),
        ] {
            if count > 0 {
                text += &format!(" and {}", human::plural(count, one, many));
            }
        }
        text
    }
}

/// One kind of difference: how many, and the first of them by database and key.
#[derive(Debug)]
struct Found {
    count: Amount,
    wanted: usize,
    examples: BTreeMap<Key, Example>,
}

/// All of them.
pub struct Findings {
    same: Amount,
    only_a: Found,
    only_b: Found,
    different: Found,
    drift_ms: u64,
    /// By prefix, if that is wanted.
    pub prefixes: Option<Prefixes>,
    /// What differs of each key, if it will be looked at again.
    pub marks: Option<HashMap<u128, Mark>>,
}

impl Found {
    fn new(wanted: usize) -> Found {
        Found {
            count: Amount::default(),
            wanted,
            examples: BTreeMap::new(),
        }
    }

    fn add(
        &mut self,
        hash: u128,
        place: Place<'_>,
        kind: &'static str,
        what: impl FnOnce() -> Vec<String>,
    ) {
        self.count.add(kind);
        let last = self.examples.last_key_value();
        let is_behind = |(db, key): &Key| (*db, &key[..]) <= (place.db, place.key);
        let is_full = self.examples.len() >= self.wanted;
        if is_full && last.is_none_or(|(last, _)| is_behind(last)) {
            return;
        }
        let what = what();
        let example = Example { hash, kind, what };
        self.examples.insert((place.db, place.key.into()), example);
        if self.examples.len() > self.wanted {
            self.examples.pop_last();
        }
    }

    fn text(
        &self,
        out: &mut dyn Write,
        title: &str,
        elements: &HashMap<u128, Changes>,
    ) -> io::Result<()> {
        writeln!(out, "{title}: {}", self.count.text())?;
        for ((db, key), example) in &self.examples {
            let place = Place { db: *db, key };
            let what = example.what.join("; ");
            writeln!(out, "  {}: {what}", place.text(example.kind))?;
            if let Some(changes) = elements.get(&example.hash) {
                changes.text(out)?;
            }
        }
        match self.count.total() - self.examples.len() as u64 {
            more if more > 0 && !self.examples.is_empty() => {
                writeln!(out, "  and {} more", human::count(more))
            }
            _ => Ok(()),
        }
    }

    fn json(&self, elements: &HashMap<u128, Changes>) -> Value {
        let one = |((db, key), example): (&Key, &Example)| {
            let mut one = json!({
                "db": db,
                "key": json::Bytes::Text.value(key),
                "what": example.what,
            });
            if let Some(changes) = elements.get(&example.hash) {
                one["elements"] = changes.json();
            }
            one
        };
        json!({
            "count": self.count.keys,
            "libraries": self.count.libraries,
            "module_data": self.count.modules,
            "examples": self.examples.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

impl Findings {
    /// Nothing yet; so many examples of each kind.
    pub fn new(examples: usize, drift_ms: u64) -> Findings {
        Findings {
            same: Amount::default(),
            only_a: Found::new(examples),
            only_b: Found::new(examples),
            different: Found::new(examples),
            drift_ms,
            prefixes: None,
            marks: None,
        }
    }

    /// Whether all is equal.
    pub fn are_none(&self) -> bool {
        let all = [&self.only_a, &self.only_b, &self.different];
        all.iter().all(|found| found.count.total() == 0)
    }

    /// The hashes of the examples that differ, whose elements can be told.
    pub fn named(&self) -> HashSet<u128> {
        let examples = self.different.examples.values();
        examples.map(|example| example.hash).collect()
    }

    fn mark(&mut self, hash: u128, mark: Mark) {
        if let Some(marks) = &mut self.marks {
            marks.insert(hash, mark);
        }
    }

    /// Counts a key by its prefix, if that is wanted.
    fn count(&mut self, place: Place<'_>, which: impl FnOnce(&mut Count) -> &mut u64) {
        if let (Some(prefixes), Some(_)) = (&mut self.prefixes, place.db) {
            *which(prefixes.of(place)) += 1;
        }
    }

    /// For a person.
    pub fn text(
        &self,
        out: &mut dyn Write,
        [a, b]: [&str; 2],
        elements: &HashMap<u128, Changes>,
    ) -> io::Result<()> {
        self.only_a.text(out, &format!("only in {a}"), elements)?;
        self.only_b.text(out, &format!("only in {b}"), elements)?;
        self.different.text(out, "different", elements)?;
        writeln!(out, "equal: {}", self.same.text())?;
        match &self.prefixes {
            Some(prefixes) => prefixes.text(out),
            None => Ok(()),
        }
    }

    /// For programs.
    pub fn json(&self, [a, b]: [&str; 2], elements: &HashMap<u128, Changes>) -> Value {
        let mut all = json!({
            "a": a,
            "b": b,
            "equal": self.same.keys,
            "equal_libraries": self.same.libraries,
            "equal_module_data": self.same.modules,
            "only_in_a": self.only_a.json(elements),
            "only_in_b": self.only_b.json(elements),
            "different": self.different.json(elements),
        });
        if let Some(prefixes) = &self.prefixes {
            all["by_prefix"] = prefixes.json();
        }
        all
    }
}

impl Judge for Findings {
    fn only_a(&mut self, hash: u128, place: Place<'_>, entry: &Entry) {
        self.mark(hash, Mark::OnlyA);
        self.count(place, |count| &mut count.only_a);
        self.only_a
            .add(hash, place, entry.kind(), || vec![entry.describe()]);
    }

    fn only_b(&mut self, hash: u128, place: Place<'_>, entry: &Entry) {
        self.mark(hash, Mark::OnlyB);
        self.count(place, |count| &mut count.only_b);
        self.only_b
            .add(hash, place, entry.kind(), || vec![entry.describe()]);
    }

    fn both(&mut self, hash: u128, place: Place<'_>, a: &Entry, b: &Entry) {
        let differs = a.differs(b);
        if !differs && !a.expires_elsewhen(b, self.drift_ms) {
            self.same.add(a.kind());
            // Whoever loads the older file makes up the counters that it does not have.
            if a.canon.counters.is_some() != b.canon.counters.is_some() {
                self.mark(hash, Mark::Value);
            }
            self.count(place, |count| &mut count.equal);
            return;
        }
        self.mark(hash, if differs { Mark::Value } else { Mark::Expiry });
        self.count(place, |count| &mut count.different);
        let drift_ms = self.drift_ms;
        self.different
            .add(hash, place, b.kind(), || a.differences(b, drift_ms));
    }
}
