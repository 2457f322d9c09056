//! Differences by the first part of keys.

use super::entry::Place;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Table, human, json, quoted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Prefixes that are counted apart; the keys of all others are one.
const PREFIXES_MAX: usize = 10_000;

/// How many keys of a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Only in the first file.
    pub only_a: u64,
    /// Only in the second file.
    pub only_b: u64,
    /// In both, and different.
    pub different: u64,
    /// Equal.
    pub equal: u64,
}

impl Count {
    fn differing(&self) -> u64 {
        self.only_a + self.only_b + self.different
    }
}

/// All prefixes.
pub struct Prefixes {
    separator: Vec<u8>,
    counts: BTreeMap<Box<[u8]>, Count>,
    others: Count,
}

impl Prefixes {
    /// A prefix ends with the first `separator`; a key without one has the empty prefix.
    pub fn new(separator: &str) -> Prefixes {
        Prefixes {
            separator: separator.as_bytes().to_vec(),
            counts: BTreeMap::new(),
            others: Count::default(),
        }
    }

    /// The numbers of the prefix of a key.
    pub fn of(&mut self, place: Place<'_>) -> &mut Count {
        let (key, len) = (place.key, self.separator.len());
        let end = key
            .windows(len.max(1))
            .position(|part| part == self.separator)
            .map_or(0, |at| at + len);
        let prefix = &key[..end];
        if self.counts.len() >= PREFIXES_MAX && !self.counts.contains_key(prefix) {
            return &mut self.others;
        }
        self.counts.entry(prefix.into()).or_default()
    }

    /// Those with the most differences first.
    fn sorted(&self) -> Vec<(&[u8], Count)> {
        let all = self.counts.iter();
        let mut all: Vec<(&[u8], Count)> =
            all.map(|(prefix, count)| (&prefix[..], *count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(count.differing()));
        all
    }

    /// A table.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&[
            ("prefix", Side::Left),
            ("only in a", Side::Right),
            ("only in b", Side::Right),
            ("different", Side::Right),
            ("equal", Side::Right),
        ]);
        let mut row = |name: String, count: Count| {
            let numbers = [count.only_a, count.only_b, count.different, count.equal];
            let cells = numbers.iter().map(|number| human::count(*number));
            table.row([name].into_iter().chain(cells).collect());
        };
        for (prefix, count) in self.sorted() {
            row(quoted(prefix), count);
        }
        if self.others != Count::default() {
            row("all others".to_owned(), self.others);
        }
        table.write_to(out, 0)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let one = |prefix: Value, count: Count| {
            json!({
                "prefix": prefix,
                "only_in_a": count.only_a,
                "only_in_b": count.only_b,
                "different": count.different,
                "equal": count.equal,
            })
        };
        let named = self.sorted().into_iter();
        let mut all: Vec<Value> = named
            .map(|(prefix, count)| one(json::Bytes::Text.value(prefix), count))
            .collect();
        if self.others != Count::default() {
            all.push(one(Value::Null, self.others));
        }
        Value::Array(all)
    }
}
