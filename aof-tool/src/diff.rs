//! `aof-tool diff`: in what the data differs that two logs make, whatever their commands.
//!
//! Each log is run in an engine, one after the other. What is kept of the first are its keys with 16 bytes for each value: a hash of the
//! commands that make it again, in which members and fields count in any order.

use crate::log::Log;
use crate::player::Player;
use crate::rewrite::DATABASES;
use cairn_engine::persist::rewrite::of_record;
use cairn_format::aof::reader::{Item, SliceReader};
use cairn_toolkit::human::plural;
use cairn_toolkit::json::{self, Bytes};
use cairn_toolkit::{Failure, Outcome, Output, Selection, Verdict, quoted, select};
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool diff appendonlydir backup/appendonlydir
  aof-tool diff --key 'user:*' before.aof after.aof
  aof-tool diff --json --examples 1000 a.aof b.aof

Compares what the logs make: type, value and expiry of each key, also of hash fields, groups of streams, function libraries. Memory: the data of one
log, and the keys of the first. `rdb-tool diff` compares elements, too, and writes the commands that turn one into the other.

Exit status: 0 equal, 1 different, 2 could not be compared.")]
pub struct DiffArguments {
    /// First log: file, folder, manifest, or - for standard input
    a: PathBuf,
    /// Second log
    b: PathBuf,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    /// How many keys of each kind of difference are named
    #[arg(long, default_value_t = 10, value_name = "N")]
    examples: usize,
    #[command(flatten)]
    selection: Selection,
}

/// What a key holds, as far as that can be compared.
#[derive(Clone, Copy, PartialEq)]
struct Entry {
    type_name: &'static str,
    expire_ms: Option<i64>,
    value: [u64; 2],
}

/// A key and its database, or the name of a function library, which has none.
type Place = (Option<u64>, Box<[u8]>);

/// Compare the logs that were named.
pub fn run(arguments: &DiffArguments) -> Outcome {
    if arguments.a == Path::new("-") && arguments.b == Path::new("-") {
        return Err(Failure::new("both logs cannot come from stdin"));
    }
    let hashes = [RandomState::new(), RandomState::new()];
    let mut first = HashMap::new();
    each_entry(&arguments.a, arguments, &hashes, |place, entry| {
        first.insert(place, entry);
    })?;
    let mut found = Findings::default();
    each_entry(
        &arguments.b,
        arguments,
        &hashes,
        |place, entry| match first.remove(&place) {
            None => found.only_b.push((place, entry)),
            Some(other) if other == entry => found.equal.add(&place),
            Some(other) => found.different.push((place, other, entry)),
        },
    )?;
    found.only_a = first.into_iter().collect();
    found.sort();
    let names = [&arguments.a, &arguments.b].map(|path| path.display().to_string());
    let mut out = Output::stdout();
    match arguments.json {
        true => json::write_pretty(&mut out, &found.json(&names, arguments.examples))?,
        false => found.text(&mut out, &names, arguments.examples)?,
    }
    out.finish()?;
    Ok(Verdict::found_if(!found.are_none()))
}

/// Runs a log, and hands over what is there at its end.
fn each_entry(
    path: &Path,
    arguments: &DiffArguments,
    hashes: &[RandomState; 2],
    mut each: impl FnMut(Place, Entry),
) -> Result<(), Failure> {
    let mut player = Player::new(DATABASES);
    player.play(&Log::find_sound(path)?)?;
    let ks = &player.engine.ks;
    for db in 0..ks.databases() {
        for record in ks.database(db).iter() {
            let commands = of_record(record);
            let entry = entry_of(&commands, record.expire(), hashes);
            let taken = arguments.selection.takes(&select::Item {
                key: record.key(),
                type_name: entry.type_name,
                db: db as u64,
                expire_ms: entry.expire_ms,
                bytes: commands.len() as u64,
                idle_s: None,
            });
            if taken {
                each((Some(db as u64), Box::from(record.key())), entry);
            }
        }
    }
    for (db, key, expire_ms, payload) in player.raw.each() {
        // Version and checksum of the payload are those of who wrote it.
        let value = payload
            .split_last_chunk::<10>()
            .map_or(payload, |(value, _)| value);
        let entry = Entry {
            type_name: "module",
            expire_ms,
            value: hashes.each_ref().map(|hash| hash.hash_one(value)),
        };
        let taken = arguments.selection.takes(&select::Item {
            key,
            type_name: entry.type_name,
            db,
            expire_ms,
            bytes: payload.len() as u64,
            idle_s: None,
        });
        if taken {
            each((Some(db), Box::from(key)), entry);
        }
    }
    if arguments.selection.takes_functions() {
        for (name, library) in player.engine.ks.libraries.iter() {
            let entry = Entry {
                type_name: select::FUNCTION,
                expire_ms: None,
                value: hashes.each_ref().map(|hash| hash.hash_one(&library.code)),
            };
            each((None, Box::from(name)), entry);
        }
    }
    Ok(())
}

/// Sums the commands that make a value.
fn entry_of(commands: &[u8], expire_ms: Option<i64>, hashes: &[RandomState; 2]) -> Entry {
    let mut reader = SliceReader::new(commands, 0);
    let mut entry = Entry {
        type_name: "stream",
        expire_ms,
        value: [0; 2],
    };
    let mut number = 0_u64;
    while let Ok(Some(item)) = reader.next_item() {
        number += 1;
        let name = item.arg(0).unwrap_or_default();
        let parts: Vec<&[u8]> = item.args().skip(2).collect();
        let mut add = |what: (u64, &[&[u8]])| {
            for (sum, hash) in entry.value.iter_mut().zip(hashes) {
                *sum = sum.wrapping_add(hash.hash_one(what));
            }
        };
        match name {
            b"PEXPIREAT" => {}
            b"SADD" => parts.chunks(1).for_each(|part| add((0, part))),
            b"ZADD" | b"HMSET" => parts.chunks(2).for_each(|part| add((0, part))),
            b"HPEXPIREAT" | b"XCLAIM" => add((0, &whole(&item))),
            _ => add((number, &whole(&item))),
        }
        entry.type_name = type_of(name).unwrap_or(entry.type_name);
    }
    entry
}

/// A command without its key, which is the place.
fn whole<'a>(item: &Item<'a>) -> Vec<&'a [u8]> {
    (0..item.argc())
        .filter(|at| *at != 1)
        .filter_map(|at| item.arg(at))
        .collect()
}

fn type_of(command: &[u8]) -> Option<&'static str> {
    match command {
        b"SET" => Some("string"),
        b"RPUSH" => Some("list"),
        b"SADD" => Some("set"),
        b"ZADD" => Some("zset"),
        b"HMSET" => Some("hash"),
        _ => None,
    }
}

/// What differs.
#[derive(Default)]
struct Findings {
    only_a: Vec<(Place, Entry)>,
    only_b: Vec<(Place, Entry)>,
    different: Vec<(Place, Entry, Entry)>,
    equal: Count,
}

/// How many keys, and how many function libraries.
#[derive(Default)]
struct Count {
    keys: u64,
    libraries: u64,
}

impl Count {
    fn of<'a>(places: impl Iterator<Item = &'a Place>) -> Count {
        let mut count = Count::default();
        places.for_each(|place| count.add(place));
        count
    }

    fn add(&mut self, place: &Place) {
        match place.0 {
            Some(_) => self.keys += 1,
            None => self.libraries += 1,
        }
    }

    fn text(&self) -> String {
        let keys = plural(self.keys, "key", "keys");
        match self.libraries {
            0 => keys,
            n => format!(
                "{keys} and {}",
                plural(n, "function library", "function libraries")
            ),
        }
    }
}

impl Findings {
    fn are_none(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.different.is_empty()
    }

    fn sort(&mut self) {
        self.only_a.sort_by(|a, b| a.0.cmp(&b.0));
        self.only_b.sort_by(|a, b| a.0.cmp(&b.0));
        self.different.sort_by(|a, b| a.0.cmp(&b.0));
    }

    fn text(&self, out: &mut Output, names: &[String; 2], most: usize) -> Result<(), Failure> {
        for (name, only) in names.iter().zip([&self.only_a, &self.only_b]) {
            let count = Count::of(only.iter().map(|(place, _)| place));
            writeln!(out, "only in {name}: {}", count.text())?;
            for (place, entry) in only.iter().take(most) {
                writeln!(out, "  {}: {}", place_text(place), entry.type_name)?;
            }
        }
        let count = Count::of(self.different.iter().map(|(place, ..)| place));
        writeln!(out, "different: {}", count.text())?;
        for (place, a, b) in self.different.iter().take(most) {
            writeln!(
                out,
                "  {}: {}",
                place_text(place),
                what_differs(a, b).join(", ")
            )?;
        }
        writeln!(out, "equal: {}", self.equal.text())?;
        Ok(())
    }

    fn json(&self, names: &[String; 2], most: usize) -> Value {
        let place = |place: &Place, entry: &Entry| {
            json!({
                "db": place.0,
                "key": Bytes::Text.value(&place.1),
                "type": entry.type_name,
            })
        };
        let only = |found: &[(Place, Entry)]| {
            let examples = found.iter().take(most);
            let examples: Vec<Value> = examples.map(|(at, entry)| place(at, entry)).collect();
            let count = Count::of(found.iter().map(|(place, _)| place));
            json!({ "keys": count.keys, "libraries": count.libraries, "examples": examples })
        };
        let differing = self.different.iter().take(most).map(|(at, a, b)| {
            let mut example = place(at, a);
            example["differs"] = json!(what_differs(a, b));
            example
        });
        let different = Count::of(self.different.iter().map(|(place, ..)| place));
        json!({
            "a": names[0],
            "b": names[1],
            "only_a": only(&self.only_a),
            "only_b": only(&self.only_b),
            "different": {
                "keys": different.keys,
                "libraries": different.libraries,
                "examples": differing.collect::<Vec<_>>(),
            },
            "equal": self.equal.keys,
            "equal_libraries": self.equal.libraries,
        })
    }
}

fn place_text((db, key): &Place) -> String {
    match db {
        None => format!("function library {}", quoted(key)),
        Some(db) => format!("db {db}, key {}", quoted(key)),
    }
}

fn what_differs(a: &Entry, b: &Entry) -> Vec<String> {
    let mut what = Vec::new();
    if a.type_name != b.type_name {
        what.push(format!("type, {} and {}", a.type_name, b.type_name));
    } else if a.value != b.value {
        what.push("value".to_owned());
    }
    if a.expire_ms != b.expire_ms {
        let text = |at: Option<i64>| at.map_or("none".to_owned(), |at| at.to_string());
        let (a, b) = (text(a.expire_ms), text(b.expire_ms));
        what.push(format!("expiry, {a} and {b}"));
    }
    what
}
