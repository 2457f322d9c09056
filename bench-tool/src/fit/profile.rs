//! The profile: a workload file ([`crate::workload::file`]).

use super::measure::{Popularity, Sample};
use super::model::{Argument, Group, Model};
use std::fmt::Write as _;

/// Largest weight of a command.
const WEIGHT_MAX: u64 = 1_000_000;
/// Steps of a rate; more seconds are joined.
const STEPS_MAX: usize = 120;
/// Most clients that a profile asks for.
const CLIENTS_MAX: usize = 1000;

/// Commands that make a key of each type, the likeliest to be there first.
const MAKERS: [&str; 13] = [
    "SET", "SETEX", "HSET", "RPUSH", "LPUSH", "SADD", "ZADD", "XADD", "MSET", "INCR", "INCRBY",
    "PFADD", "GEOADD",
];

/// A file under way: what comes first, and what is described before it is used.
#[derive(Default)]
struct Profile {
    shapes: String,
    commands: String,
}

/// The profile of what was seen.
pub fn of_model(model: &Model) -> String {
    let mut profile = Profile::default();
    for (of, popularity) in model.popularity() {
        profile.ranks(&format!("keys_{of}"), popularity);
    }
    let groups = model.groups();
    let most = groups.first().map_or(1, |(_, group)| group.count);
    for (name, group) in &groups {
        let weight = (group.count.saturating_mul(WEIGHT_MAX.min(most)) / most).max(1);
        let words = profile.words(name, group, |of| format!("{of}:{{int:@keys_{of}}}"));
        let _ = write!(
            profile.commands,
            "\n[[command]]\nrun = {}\nweight = {weight}\n",
            quoted(&words)
        );
    }
    for (of, popularity) in model.popularity() {
        let makes = |name: &str, group: &Group| {
            MAKERS.contains(&name)
                && group
                    .arguments
                    .first()
                    .is_some_and(|argument| argument.key_of == Some(of))
        };
        if let Some((name, group)) = groups.iter().find(|(name, group)| makes(name, group)) {
            let words = profile.words(name, group, |of| format!("{of}:{{int:seq}}"));
            let _ = write!(
                profile.commands,
                "\n[[prefill]]\nrun = {}\ncount = {}\n",
                quoted(&words),
                popularity.keys()
            );
        }
    }
    let clients = model.clients().clamp(1, CLIENTS_MAX);
    format!(
        "\n[load]\nclients = {clients}\n{}{}{}",
        rate(&model.by_second()),
        profile.shapes,
        profile.commands
    )
}

/// Requests a second, as steps, and how long they last.
fn rate(seconds: &[u64]) -> String {
    if seconds.len() < 2 {
        return String::new();
    }
    // Steps of one length; what is left of the last one is as busy as the whole of it.
    let step = seconds.len().div_ceil(STEPS_MAX);
    let rates: Vec<String> = seconds
        .chunks(step)
        .map(|some| {
            format!(
                "{}",
                (some.iter().sum::<u64>() as f64 / some.len() as f64).max(0.01)
            )
        })
        .collect();
    format!(
        "rate = \"{}\"\npoisson = true\nduration = {}\n",
        rates.join(","),
        rates.len() * step
    )
}

impl Profile {
    fn ranks(&mut self, name: &str, popularity: &Popularity) {
        let pairs = popularity.ranks();
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(rank, share)| format!("[{rank}, {share:.7}]"))
            .collect();
        let _ = write!(
            self.shapes,
            "\n[distribution.{name}]\nranks = [{}]\n",
            pairs.join(", ")
        );
    }

    fn quantiles(&mut self, name: &str, sample: &Sample) {
        let pairs: Vec<String> = sample
            .quantiles()
            .iter()
            .map(|(share, number)| format!("[{share}, {number}]"))
            .collect();
        let _ = write!(
            self.shapes,
            "\n[distribution.{name}]\nquantiles = [{}]\n",
            pairs.join(", ")
        );
    }

    /// The words of a group; `key` writes a key of a type. Distributions that are described already are used again.
    fn words(&mut self, name: &str, group: &Group, key: impl Fn(&str) -> String) -> String {
        let mut words = vec![as_word(name.as_bytes())];
        for (at, argument) in group.arguments.iter().enumerate() {
            let shape = format!("{}_{}_{at}", plain(name), group.arguments.len());
            words.push(match argument {
                Argument {
                    key_of: Some(of), ..
                } => key(of),
                Argument {
                    word: Some(word), ..
                } => as_word(word),
                number if number.is_number() => self.place("int", &shape, &argument.numbers),
                _ => self.place("data", &shape, &argument.lengths),
            });
        }
        words.join(" ")
    }

    fn place(&mut self, kind: &str, shape: &str, sample: &Sample) -> String {
        match sample.only() {
            Some(only) if kind == "data" && only > 0 => return format!("{{data:{only}}}"),
            Some(only) => {
                return if kind == "int" {
                    only.to_string()
                } else {
                    "\"\"".to_owned()
                };
            }
            None => {}
        }
        if !self.shapes.contains(&format!("[distribution.{shape}]")) {
            self.quantiles(shape, sample);
        }
        format!("{{{kind}:@{shape}}}")
    }
}

/// A name that TOML takes without quotes.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// A word of a command, with its braces and quotes.
fn as_word(word: &[u8]) -> String {
    let text = cairn_format::text::words::quote(word);
    let text = text.replace('{', "{{").replace('}', "}}");
    let is_plain = word
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-+:*$<>=".contains(byte))
        && !word.is_empty();
    match is_plain {
        true => text.trim_matches('"').to_owned(),
        false => text,
    }
}

/// Text as TOML has it between quotes.
pub fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
