//! Which keys a command is about: one language for all commands of all tools.
//!
//! ```text
//!   --key 'user:*' --key 'session:*' --type hash --not-ttl none --size '>1mb'
//!      any of these keys             and a hash   and it expires  and it is large
//! ```
//!
//! What one option is given several times is joined by "or", different options by "and", and whatever a `--not-` option matches
//! is left out. A function library is no key, so only `--type function` and `--not-type function` speak of it.

mod criterion;

use cairn_format::crc16::key_slot;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use criterion::Criterion;
pub use criterion::{bytes, milliseconds};
use std::time::{SystemTime, UNIX_EPOCH};

/// Above the options in every help.
const HEADING: &str =
    "Which keys (given twice: or; different ones: and; --not-key, --not-type ... leave out)";
/// The type name of function libraries, which are no keys.
pub const FUNCTION: &str = "function";

/// An option of the language, and the one that leaves out what it matches.
struct Choice {
    name: &'static str,
    not: &'static str,
    value: &'static str,
    help: &'static str,
    parse: fn(&std::ffi::OsStr) -> Result<Criterion, String>,
}

const CHOICES: [Choice; 8] = [
    Choice {
        name: "key",
        not: "not-key",
        value: "GLOB",
        help: "Keys that match a pattern, as KEYS takes it",
        parse: criterion::key,
    },
    Choice {
        name: "key-regex",
        not: "not-key-regex",
        value: "REGEX",
        help: "Keys in which a regular expression is found, byte by byte",
        parse: criterion::key_regex,
    },
    Choice {
        name: "type",
        not: "not-type",
        value: "TYPE",
        help: "string, list, set, zset, hash, stream, module, array; function for libraries",
        parse: criterion::type_name,
    },
    Choice {
        name: "db",
        not: "not-db",
        value: "N",
        help: "Databases: 3, 0-7, '>0'",
        parse: criterion::db,
    },
    Choice {
        name: "ttl",
        not: "not-ttl",
        value: "TTL",
        help: "Time to live from now: '<1h', '>=7d', 1h..2h, none, any, expired",
        parse: criterion::ttl,
    },
    Choice {
        name: "size",
        not: "not-size",
        value: "SIZE",
        help: "Bytes in the file, with the key: '>1mb', '<=100', 1kb..1mb (k is 1000, kb 1024)",
        parse: criterion::size,
    },
    Choice {
        name: "slot",
        not: "not-slot",
        value: "SLOT",
        help: "Cluster slots: 5, 0-100",
        parse: criterion::slot,
    },
    Choice {
        name: "idle",
        not: "not-idle",
        value: "IDLE",
        help: "Time since the last access, where the file has it: '>30d'",
        parse: criterion::idle,
    },
];

/// What is known of a key when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its type, as TYPE names it.
    pub type_name: &'a str,
    /// Its database.
    pub db: u64,
    /// Its expiry, Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Bytes that it takes, with the key.
    pub bytes: u64,
    /// Seconds since the last access.
    pub idle_s: Option<u64>,
}

/// The options of the language; `#[command(flatten)]` puts them into a command.
#[derive(Clone, Debug)]
pub struct Selection {
    /// By option: what was asked for. An option that was not given is not here.
    wanted: Vec<Vec<Criterion>>,
    /// What is left out.
    unwanted: Vec<Criterion>,
    now_ms: i64,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection {
            wanted: Vec::new(),
            unwanted: Vec::new(),
            now_ms: now_ms(),
        }
    }
}

impl Selection {
    /// Whether every key is meant.
    pub fn is_all(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether this key is meant.
    pub fn takes(&self, item: &Item<'_>) -> bool {
        let fits = |criterion: &Criterion| self.fits(criterion, item);
        self.wanted.iter().all(|any| any.iter().any(fits)) && !self.unwanted.iter().any(fits)
    }

    /// Whether anything is asked that only a key of a data set has: its expiry, its last access. Commands about keys have none.
    pub fn asks_for_time(&self) -> bool {
        let mut all = self.wanted.iter().flatten().chain(&self.unwanted);
        all.any(|criterion| matches!(criterion, Criterion::Ttl(_) | Criterion::Idle(_)))
    }

    /// Whether function libraries are meant.
    pub fn takes_functions(&self) -> bool {
        let is_type = |criterion: &Criterion| matches!(criterion, Criterion::Type(_));
        let is_function =
            |criterion: &Criterion| matches!(criterion, Criterion::Type(name) if name == FUNCTION);
        self.wanted
            .iter()
            .filter(|any| any.iter().any(is_type))
            .all(|any| any.iter().any(is_function))
            && !self.unwanted.iter().any(is_function)
    }

    /// Whether function libraries were asked for, and do not only come along with keys.
    pub fn asks_for_functions(&self) -> bool {
        let mut wanted = self.wanted.iter().flatten();
        wanted.any(|criterion| matches!(criterion, Criterion::Type(name) if name == FUNCTION))
    }

    fn fits(&self, criterion: &Criterion, item: &Item<'_>) -> bool {
        match criterion {
            Criterion::Key(pattern) => pattern.takes(item.key),
            Criterion::KeyRegex(regex) => regex.is_match(item.key),
            Criterion::Type(name) => name == item.type_name,
            Criterion::Db(range) => range.contains(&item.db),
            Criterion::Ttl(ttl) => ttl.takes(item.expire_ms, self.now_ms),
            Criterion::Size(range) => range.contains(&item.bytes),
            Criterion::Slot(range) => range.contains(&u64::from(key_slot(item.key))),
            Criterion::Idle(range) => item.idle_s.is_some_and(|idle| range.contains(&idle)),
        }
    }
}

/// Unix milliseconds.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}

fn option(name: &'static str, choice: &Choice) -> Arg {
    let parse = choice.parse;
    Arg::new(name)
        .long(name)
        .value_name(choice.value)
        .action(ArgAction::Append)
        .help_heading(HEADING)
        .allow_hyphen_values(false)
        .value_parser(OsStringValueParser::new().try_map(move |text| parse(&text)))
}

fn given(matches: &mut ArgMatches, name: &str) -> Vec<Criterion> {
    matches
        .remove_many(name)
        .map_or_else(Vec::new, Iterator::collect)
}

impl FromArgMatches for Selection {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Selection::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let mut selection = Selection::default();
        for choice in &CHOICES {
            let wanted = given(matches, choice.name);
            if !wanted.is_empty() {
                selection.wanted.push(wanted);
            }
            selection.unwanted.extend(given(matches, choice.not));
        }
        Ok(selection)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Selection::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Selection {
    fn augment_args(command: Command) -> Command {
        CHOICES.iter().fold(command, |command, choice| {
            let not = format!("Leave these out; see --{}", choice.name);
            command
                .arg(option(choice.name, choice).help(choice.help))
                .arg(option(choice.not, choice).help(not).hide_short_help(true))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Selection::augment_args(command)
    }
}

#[cfg(test)]
mod tests;
