//! `rdb-tool diff`: which keys differ between two snapshots.
//!
//! The first file becomes a table of its keys with 16 bytes per value ([`crate::canon`]); the second is read against it.
//! So both files are read once, in any form, and what is in memory is the keys of the first, not its values.

use crate::canon::{Canon, Canonizer};
use crate::snapshot::{Need, Reading, inside, read};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Located, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::select::milliseconds;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, human, json, quoted};
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Shown below the help of `diff`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool diff yesterday.rdb today.rdb
  rdb-tool diff --ttl-drift 5s dump.rdb redis://replica:6379
  rdb-tool diff --examples 1000 --json primary.rdb replica.rdb
  ssh replica cat /data/dump.rdb | rdb-tool diff primary.rdb -

Compares type, value and expiry of each key, also of hash fields, and function libraries. Order, encoding, idle times and
the times when consumers of streams were seen do not count. Exit status: 0 equal, 1 different, 2 could not be compared.
Memory: the keys of the first file and about 100 bytes for each; values are not kept.";

/// The options of `rdb-tool diff`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiffArguments {
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    /// How many keys of each kind of difference are named
    #[arg(long, default_value_t = 10)]
    examples: usize,
    /// Expiries of keys that differ by no more than this are equal: 5s, 250ms
    #[arg(long, value_name = "TIME", value_parser = drift, default_value = "0s")]
    ttl_drift: u64,
    #[command(flatten)]
    reading: Reading,
    /// First snapshot: a file, - or a server, as for the other commands
    a: PathBuf,
    /// Second snapshot
    b: PathBuf,
}

fn drift(text: &str) -> Result<u64, String> {
    milliseconds(text).ok_or_else(|| "expected a time as in 5s or 250ms".to_owned())
}

/// What is kept of a key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    canon: Canon,
    expire_ms: Option<i64>,
    type_name: &'static str,
    seen: bool,
}

/// Database and key; libraries have no database and come first.
type Place = (Option<u64>, Box<[u8]>);

/// One kind of difference.
#[derive(Debug, Default)]
struct Found {
    count: u64,
    examples: Vec<(Place, Vec<String>)>,
}

#[derive(Debug, Default)]
struct Findings {
    same: u64,
    only_a: Found,
    only_b: Found,
    different: Found,
}

/// Compares and reports.
pub fn diff(arguments: &DiffArguments) -> Outcome {
    if arguments.a == Path::new("-") && arguments.b == Path::new("-") {
        return Err(Failure::new("both snapshots cannot come from stdin"));
    }
    let reading = &arguments.reading;
    let (a, b) = (reading.open(&arguments.a)?, reading.open(&arguments.b)?);
    let findings = compare(&a, &b, arguments)?;
    let mut out = Output::stdout();
    match arguments.json {
        true => json::write_pretty(&mut out, &findings.json(a.name(), b.name()))?,
        false => findings.text(&mut out, a.name(), b.name())?,
    }
    out.finish()?;
    Ok(Verdict::found_if(!findings.are_none()))
}

fn compare(a: &Input, b: &Input, arguments: &DiffArguments) -> Result<Findings, Failure> {
    let (reading, examples) = (&arguments.reading, arguments.examples);
    let canonizer = Canonizer::new();
    let mut findings = Findings::default();
    let mut table: HashMap<Place, Entry> = HashMap::new();
    each_entry(a, reading, &canonizer, &mut |place, entry| {
        table.insert(place, entry);
    })?;
    each_entry(
        b,
        reading,
        &canonizer,
        &mut |place, entry| match table.get_mut(&place) {
            None => findings
                .only_b
                .add(examples, place, || vec![describe(&entry)]),
            Some(old) => {
                old.seen = true;
                match differences(old, &entry, arguments.ttl_drift) {
                    what if what.is_empty() => findings.same += 1,
                    what => findings.different.add(examples, place, || what),
                }
            }
        },
    )?;
    let mut only_a: Vec<(Place, Entry)> =
        table.into_iter().filter(|(_, entry)| !entry.seen).collect();
    // The table has no order; the same files must give the same report.
    only_a.sort_unstable_by(|x, y| x.0.cmp(&y.0));
    for (place, entry) in only_a {
        findings
            .only_a
            .add(examples, place, || vec![describe(&entry)]);
    }
    Ok(findings)
}

fn each_entry(
    input: &Input,
    reading: &Reading,
    canonizer: &Canonizer,
    visit: &mut dyn FnMut(Place, Entry),
) -> Result<(), Failure> {
    let label = format!("reading {}", input.name());
    let visit = &mut |_, located: &Located<'_>| {
        match &located.event {
            Event::Record(record) => {
                let canon = inside(canonizer.value(&record.value), record.db, record.head.key)?;
                let type_name = record.value.type_name();
                let entry = Entry {
                    canon,
                    expire_ms: record.head.expire_ms,
                    type_name,
                    seen: false,
                };
                visit((Some(record.db), record.head.key.into()), entry);
            }
            Event::Function(code) => {
                let mut scratch = I64Text::new();
                let code = code.bytes(&mut scratch);
                let name = library_name(code).unwrap_or_default().1;
                let entry = Entry {
                    canon: canonizer.bytes(code),
                    expire_ms: None,
                    type_name: "function",
                    seen: false,
                };
                visit((None, name.into_bytes().into()), entry);
            }
            _ => {}
        }
        Ok(())
    };
    read(input, reading, Need::All, Options::shallow(), &label, visit).map(|_| ())
}

fn differences(a: &Entry, b: &Entry, drift_ms: u64) -> Vec<String> {
    let mut what = Vec::new();
    if a.type_name != b.type_name {
        what.push(format!("type {} and {}", a.type_name, b.type_name));
    } else if a.canon.value != b.canon.value {
        what.push(match a.canon.count == b.canon.count {
            true => format!("value, {} on both sides", size(a)),
            false => format!("value, {} and {}", size(a), size(b)),
        });
    } else if a.canon.counters.is_some()
        && b.canon.counters.is_some()
        && a.canon.counters != b.canon.counters
    {
        what.push("entries added or highest deleted id of the stream".to_owned());
    }
    let is_near = match (a.expire_ms, b.expire_ms) {
        (Some(a), Some(b)) => a.abs_diff(b) <= drift_ms,
        (a, b) => a == b,
    };
    if !is_near {
        what.push(format!("expiry {} and {}", expiry(a), expiry(b)));
    }
    what
}

fn describe(entry: &Entry) -> String {
    format!("{} of {}", entry.type_name, size(entry))
}

fn size(entry: &Entry) -> String {
    let count = entry.canon.count;
    match entry.type_name {
        "string" | "function" => human::plural(count, "byte", "bytes"),
        "hash" => human::plural(count, "field", "fields"),
        "set" | "zset" => human::plural(count, "member", "members"),
        "stream" => human::plural(count, "entry", "entries"),
        "module" => human::plural(count, "value", "values"),
        _ => human::plural(count, "element", "elements"),
    }
}

fn expiry(entry: &Entry) -> String {
    entry
        .expire_ms
        .map_or("none".to_owned(), |ms| format!("{ms} ms"))
}

impl Found {
    fn add(&mut self, examples: usize, place: Place, what: impl FnOnce() -> Vec<String>) {
        self.count += 1;
        if self.examples.len() < examples {
            self.examples.push((place, what()));
        }
    }

    fn text(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        writeln!(out, "{title}: {}", human::plural(self.count, "key", "keys"))?;
        for ((db, key), what) in &self.examples {
            let place = match db {
                Some(db) => format!("db {db}, key {}", quoted(key)),
                None => format!("function library {}", quoted(key)),
            };
            writeln!(out, "  {place}: {}", what.join("; "))?;
        }
        match self.count - self.examples.len() as u64 {
            more if more > 0 && !self.examples.is_empty() => {
                writeln!(out, "  and {} more", human::count(more))
            }
            _ => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let example = |((db, key), what): &(Place, Vec<String>)| json!({ "db": db, "key": json::Bytes::Text.value(key), "what": what });
        json!({ "count": self.count, "examples": self.examples.iter().map(example).collect::<Vec<_>>() })
    }
}

impl Findings {
    fn are_none(&self) -> bool {
        self.only_a.count + self.only_b.count + self.different.count == 0
    }

    fn text(&self, out: &mut dyn Write, a: &str, b: &str) -> io::Result<()> {
        self.only_a.text(out, &format!("only in {a}"))?;
        self.only_b.text(out, &format!("only in {b}"))?;
        self.different.text(out, "different")?;
        writeln!(out, "equal: {}", human::plural(self.same, "key", "keys"))
    }

    fn json(&self, a: &str, b: &str) -> Value {
        json!({
            "a": a,
            "b": b,
            "equal": self.same,
            "only_in_a": self.only_a.json(),
            "only_in_b": self.only_b.json(),
            "different": self.different.json(),
        })
    }
}
