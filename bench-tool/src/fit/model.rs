//! Which commands were sent, with which arguments.
//!
//! A **group** is a command by name and number of arguments. Each of its arguments is a key, a word that never changes, whole numbers, or data of some lengths. Times at which a key
//! expires are turned into how long it lives, from the time of the command: `PEXPIREAT k 1700000060000` at 1,700,000,000 is `PEXPIRE k 60000`.

use super::measure::{Popularity, Sample};
use crate::capture::{Recorded, is_left_out};
use crate::workload::data::seed_of;
use aof_tool::KeyFinder;
use cairn_format::text::number::parse_i64;
use std::collections::{BTreeMap, HashSet};

/// Groups that are kept; the rest is left out.
const GROUPS_MAX: usize = 40;
/// Arguments of a command that is modelled.
const ARGUMENTS_MAX: usize = 64;
/// Names of all commands beyond this are one unknown command.
const NAMES_MAX: usize = 2000;
/// Longest word that is kept as it is.
const WORD_MAX: usize = 16;

/// Commands that cannot be sent alone, or say nothing of keys.
const NOT_MODELLED: [&str; 19] = [
    "select",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "script",
    "function",
    "restore",
    "migrate",
    "xgroup",
    "xack",
    "xclaim",
];

/// Commands that say when a key expires, and those that say how long it lives.
const AT: [(&str, &str, i64); 4] = [
    ("expireat", "EXPIRE", 1_000_000),
    ("pexpireat", "PEXPIRE", 1_000),
    ("exat", "EX", 1_000_000),
    ("pxat", "PX", 1_000),
];

/// An argument of a group.
#[derive(Debug, Default)]
pub struct Argument {
    /// Of which type its keys are, if it is one.
    pub key_of: Option<&'static str>,
    /// The word that it always was.
    pub word: Option<Vec<u8>>,
    /// Whole numbers, if all were.
    pub numbers: Sample,
    /// Lengths.
    pub lengths: Sample,
}

/// A command by name and number of arguments.
#[derive(Debug)]
pub struct Group {
    /// How often.
    pub count: u64,
    /// All arguments behind the name.
    pub arguments: Vec<Argument>,
}

/// All that was seen.
#[derive(Default)]
pub struct Model {
    groups: BTreeMap<(String, usize), Group>,
    popularity: BTreeMap<&'static str, Popularity>,
    finder: KeyFinder,
    seconds: BTreeMap<i64, u64>,
    clients: HashSet<u64>,
    left_out: u64,
    modelled: u64,
}

impl Model {
    /// Takes a command.
    pub fn see(&mut self, recorded: &Recorded<'_>) {
        let name = String::from_utf8_lossy(recorded.words[0]).to_uppercase();
        if let Some(at_us) = recorded.at_us {
            *self.seconds.entry(at_us.div_euclid(1_000_000)).or_default() += 1;
        }
        if self.clients.len() < NAMES_MAX {
            self.clients.insert(recorded.client);
        }
        let is_none = NOT_MODELLED
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let type_name = self
            .finder
            .each(recorded.bytes, |key| keys.push(key.to_vec()));
        let too_many = recorded.words.len() > ARGUMENTS_MAX || self.groups.len() >= NAMES_MAX;
        if is_none || is_left_out(recorded.words[0]) || keys.is_empty() || too_many {
            self.left_out += 1;
            return;
        }
        let type_name = kind(&name, type_name);
        let popularity = self.popularity.entry(type_name).or_default();
        keys.iter().for_each(|key| popularity.see(seed_of(key)));
        let (name, words) = relative(name, recorded);
        self.modelled += 1;
        let group = self
            .groups
            .entry((name, words.len()))
            .or_insert_with(|| Group {
                count: 0,
                arguments: words.iter().map(|_| Argument::default()).collect(),
            });
        group.count += 1;
        let mut next_key = keys.iter().peekable();
        for (argument, word) in group.arguments.iter_mut().zip(&words) {
            let is_key = next_key.next_if(|key| *key == word).is_some();
            argument.see(word, is_key.then_some(type_name), group.count == 1);
        }
    }

    /// Whether nothing was modelled.
    pub fn is_empty(&self) -> bool {
        self.modelled == 0
    }

    /// Commands that are not in the profile.
    pub fn left_out(&self) -> u64 {
        let rare: u64 = self.modelled
            - self
                .groups()
                .iter()
                .map(|(_, group)| group.count)
                .sum::<u64>();
        self.left_out + rare
    }

    /// The most frequent groups, with their names.
    pub fn groups(&self) -> Vec<(&str, &Group)> {
        let mut groups: Vec<(&str, &Group)> = self
            .groups
            .iter()
            .map(|((name, _), group)| (name.as_str(), group))
            .collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        groups.truncate(GROUPS_MAX);
        groups
    }

    /// How popular the keys of each type are.
    pub fn popularity(&self) -> &BTreeMap<&'static str, Popularity> {
        &self.popularity
    }

    /// How many connections sent it.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Commands of each second, from the first on; nothing without times.
    pub fn by_second(&self) -> Vec<u64> {
        let (Some((first, _)), Some((last, _))) = (
            self.seconds.first_key_value(),
            self.seconds.last_key_value(),
        ) else {
            return Vec::new();
        };
        // More than a day is told as its mean by whoever joins seconds; a clock that jumped must not fill the memory.
        let span = last.saturating_sub(*first).clamp(0, 86_400);
        (0..=span)
            .map(|second| self.seconds.get(&(first + second)).copied().unwrap_or(0))
            .collect()
    }
}

impl Argument {
    fn see(&mut self, word: &[u8], key_of: Option<&'static str>, is_first: bool) {
        self.key_of = self.key_of.or(key_of);
        if is_first && word.len() <= WORD_MAX {
            self.word = Some(word.to_vec());
        } else if self.word.as_deref() != Some(word) {
            self.word = None;
        }
        if let Some(number) = parse_i64(word).and_then(|number| u64::try_from(number).ok()) {
            self.numbers.see(number);
        }
        self.lengths.see(word.len() as u64);
    }

    /// Whether all were whole numbers.
    pub fn is_number(&self) -> bool {
        !self.numbers.is_empty() && self.numbers.count() == self.lengths.count()
    }
}

/// Which keys a command shares with others: those of its type, but for strings that only some commands understand.
fn kind(name: &str, type_name: &'static str) -> &'static str {
    match type_name {
        "" => "any",
        _ if name.starts_with("INCR") || name.starts_with("DECR") => "counter",
        _ if name.starts_with("PF") => "hyperloglog",
        _ if name.starts_with("GEO") => "geo",
        type_name => type_name,
    }
}

/// The command with how long keys live in place of when they expire. Without a time of the command that is not known, and goes.
fn relative(name: String, recorded: &Recorded<'_>) -> (String, Vec<Vec<u8>>) {
    let mut words: Vec<Vec<u8>> = recorded.words[1..]
        .iter()
        .map(|word| word.to_vec())
        .collect();
    let lives = |word: &[u8], unit: i64| {
        let at = parse_i64(word)?.checked_mul(unit)?;
        let left = at.checked_sub(recorded.at_us?)? / unit;
        Some(left.max(1).to_string().into_bytes())
    };
    for (absolute, instead, unit) in AT {
        if name.eq_ignore_ascii_case(absolute) && words.len() >= 2 {
            return match lives(&words[1], unit) {
                Some(left) => {
                    words[1] = left;
                    (instead.to_owned(), words)
                }
                None => ("PERSIST".to_owned(), words[..1].to_vec()),
            };
        }
        let place = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(absolute.as_bytes()));
        if let Some(at) =
            place.filter(|&at| at >= 1 && at + 1 < words.len() && name.eq_ignore_ascii_case("set"))
        {
            match lives(&words[at + 1], unit) {
                Some(left) => (words[at], words[at + 1]) = (instead.as_bytes().to_vec(), left),
                None => drop(words.drain(at..at + 2)),
            }
        }
    }
    (name, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::resp::value::write_command;

    fn see(model: &mut Model, at_us: Option<i64>, words: &[&str]) {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        model.see(&Recorded {
            at_us,
            db: 0,
            client: 1,
            words: &words,
            bytes: &bytes,
        });
    }

    #[test]
    fn arguments_are_keys_words_numbers_or_data() {
        let mut model = Model::default();
        for n in 0..100 {
            let (key, data) = (format!("user:{}", n % 10), "x".repeat(n + 1));
            see(
                &mut model,
                Some(1_700_000_000_000_000),
                &["set", &key, &data, "PXAT", "1700000060000"],
            );
            see(
                &mut model,
                Some(1_700_000_001_000_000),
                &["HINCRBY", "h", "visits", &n.to_string()],
            );
        }
        see(&mut model, None, &["MULTI"]);
        see(&mut model, None, &["PING"]);
        assert_eq!(
            (model.left_out(), model.clients(), model.by_second()),
            (2, 1, vec![100, 100])
        );
        let groups = model.groups();
        let (name, set) = groups.iter().find(|(name, _)| *name == "SET").unwrap();
        assert_eq!((*name, set.count, set.arguments.len()), ("SET", 100, 4));
        assert_eq!(set.arguments[0].key_of, Some("string"));
        assert_eq!(
            (
                set.arguments[1].lengths.count(),
                set.arguments[1].is_number()
            ),
            (100, false)
        );
        assert_eq!(set.arguments[2].word.as_deref(), Some(&b"PX"[..]));
        assert_eq!(set.arguments[3].numbers.only(), Some(60_000));
        let (_, hash) = groups.iter().find(|(name, _)| *name == "HINCRBY").unwrap();
        assert_eq!(hash.arguments[1].word.as_deref(), Some(&b"visits"[..]));
        assert!(hash.arguments[2].is_number());
        assert_eq!(model.popularity()["string"].keys(), 10);
    }
}
