//! `aof-tool log KEY`: every command of a log that had to do with a key, what it was before and what it was then.
//!
//! ```text
//!   1. which keys flow into it       RENAME a b, SUNIONSTORE b a c ...: those too, until no more come
//!   2. those, and only those, are run in an engine, from the snapshot on; each command about the key is a line
//! ```

use crate::dump::{Format, Style, append_words};
use crate::keys::Keys;
use crate::log::Log;
use crate::part::Preamble;
use crate::partition::is_for_each_alone;
use crate::walk::{Place, Step, Visitor, name_of, walk_file};
use cairn_engine::Engine;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::persist::load::{self, Loader};
use cairn_engine::persist::rewrite::of_record;
use cairn_engine::replay::Replay;
use cairn_engine::structure::record::Record;
use cairn_engine::value::{Kind, Object, ValueRef};
use cairn_format::aof::reader::SliceReader;
use cairn_format::error::FormatError;
use cairn_format::rdb::{self, Event, Options, WriteOptions, Writer};
use cairn_format::text::words::split_words;
use cairn_toolkit::human::plural;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, note, quoted};
use clap::Args;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool log`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool log user:17 appendonlydir
  aof-tool log --db 3 --was 'user:17' appendonly.aof
  aof-tool log --json '\"\\x00\\x01\"' appendonlydir | jq 'select(.after == null)'

Each line is file, offset, database, the command, its time, what the key was before and is then, and its number for `restore --until command:N`. Commands that remove all keys are there too. In quotes
a key is read as redis-cli prints it. Keys that flow into it (RENAME, SUNIONSTORE) are followed.

Exit status: 0 the log has something about the key, 1 it has not, or is damaged (what comes before was printed), 2 it could not be read.")]
pub struct LogArguments {
    /// The key
    key: std::ffi::OsString,
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// Its database
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..65_536))]
    db: u32,
    /// Where it goes, the commands that would make it again
    #[arg(long)]
    was: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value_t = Bytes::Text)]
    bytes: Bytes,
}

/// Keys that may flow into the one that was asked for.
const RELATED_MAX: usize = 10_000;

/// Tell the history of a key.
pub fn run(arguments: &LogArguments) -> Outcome {
    let key = key_of(arguments)?;
    let log = Log::find_sound(&arguments.path).map_err(|failure| {
        let is_swapped = !arguments.path.exists() && Path::new(&arguments.key).exists();
        match is_swapped {
            true => failure.hint("the key comes first: `aof-tool log KEY LOG`"),
            false => failure,
        }
    })?;
    let inputs = log.mapped()?;
    let mut related = HashSet::from([key.clone()]);
    let is_known = related_keys(&inputs, &mut related)?;
    let mut history = History::new(arguments, key, related);
    if !is_known {
        history.lose("too many keys flow into it");
    }
    let mut place = Place::default();
    let mut found = false;
    for (file, input) in log.files.iter().zip(&inputs) {
        history.name = log.manifest.as_ref().map(|_| name_of(file));
        history.begin_file();
        found |= walk_file(input, "reading", &mut place, &mut history)?;
    }
    let lines = history.lines;
    history.out.finish()?;
    if lines == 0 {
        let key = quoted(&history.key);
        note(&format!(
            "db {}: the log has nothing about key {key}",
            arguments.db
        ));
    }
    Ok(Verdict::found_if(found || lines == 0))
}

/// A key as it was typed; in quotes any bytes.
fn key_of(arguments: &LogArguments) -> Result<Vec<u8>, Failure> {
    let text = std::os::unix::ffi::OsStrExt::as_bytes(arguments.key.as_os_str());
    let is_quoted = text.len() > 1 && text.starts_with(b"\"") && text.ends_with(b"\"");
    if !is_quoted {
        return Ok(text.to_vec());
    }
    match split_words(text) {
        Ok(words) if words.len() == 1 => Ok(words.into_iter().flatten().collect()),
        _ => Err(Failure::new(format!(
            "{}: not one quoted key",
            quoted(text)
        ))),
    }
}

/// Adds all keys that flow into these; `false` if they are too many.
fn related_keys(inputs: &[Input], related: &mut HashSet<Vec<u8>>) -> Result<bool, Failure> {
    loop {
        let mut links = Links {
            related: &mut *related,
            keys: Keys::default(),
            added: false,
        };
        let mut place = Place::default();
        for input in inputs {
            walk_file(input, "looking for the key", &mut place, &mut links)?;
        }
        match links.added {
            false => return Ok(true),
            true if related.len() > RELATED_MAX => return Ok(false),
            true => {}
        }
    }
}

/// Looks for commands that join keys.
struct Links<'a> {
    related: &'a mut HashSet<Vec<u8>>,
    keys: Keys,
    added: bool,
}

impl Visitor for Links<'_> {
    /// It is told at the second reading.
    fn damage(&mut self, _: &Input, _: &FormatError) {}

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let item = step.item;
        if item.argc() < 3 || self.related.len() > RELATED_MAX || !touches(self.related, step) {
            return Ok(());
        }
        if is_for_each_alone(item.arg(0).unwrap_or_default()) {
            return Ok(());
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        self.keys.each(item, |key| found.push(key.to_vec()));
        if found.iter().any(|key| self.related.contains(key)) {
            for key in found {
                self.added |= self.related.insert(key);
            }
        }
        Ok(())
    }
}

/// Whether an argument is one of the keys: most commands are of others, and that is seen so at once.
#[inline]
fn touches(related: &HashSet<Vec<u8>>, step: &Step<'_>) -> bool {
    let args = step.item.args().skip(1);
    match related.len() {
        1 => {
            let key = related.iter().next().map_or(&[][..], |key| key);
            args.into_iter().any(|arg| arg == key)
        }
        _ => args.into_iter().any(|arg| related.contains(arg)),
    }
}

fn is_one_of(name: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
}

/// Commands about whole databases.
const OF_DATABASES: [&str; 4] = ["flushall", "flushdb", "swapdb", "select"];
/// Commands that replace what a key was; others end in nothing or in what it was, changed.
const REPLACING: [&str; 4] = ["set", "restore", "mset", "rename"];
/// Elements up to which a value is written down before any command that might take it away.
const SMALL: usize = 64;

/// What the key is at some place of the log.
#[derive(Clone, Copy, PartialEq)]
struct State {
    kind: Kind,
    elements: usize,
    expire_ms: Option<i64>,
}

struct History {
    out: Output,
    style: Style,
    was: bool,
    name: Option<String>,
    key: Vec<u8>,
    db: u64,
    related: HashSet<Vec<u8>>,
    keys: Keys,
    engine: Engine,
    now: Now,
    replay: Option<Replay>,
    /// Whether what the key is can be told.
    is_known: bool,
    lines: u64,
    line: String,
}

impl History {
    fn new(arguments: &LogArguments, key: Vec<u8>, related: HashSet<Vec<u8>>) -> History {
        let databases = usize::try_from(arguments.db).unwrap_or(0) + 1;
        History {
            out: Output::stdout(),
            style: Style {
                format: if arguments.json {
                    Format::Jsonl
                } else {
                    Format::Text
                },
                bytes: arguments.bytes,
            },
            was: arguments.was,
            name: None,
            key,
            db: u64::from(arguments.db),
            related,
            keys: Keys::default(),
            engine: Engine::new(databases.max(16), [1, 2, 3, 4], &[]),
            now: Now {
                wall_us: cairn_toolkit::select::now_ms() * 1000,
                mono_us: 0,
            },
            replay: None,
            is_known: true,
            lines: 0,
            line: String::new(),
        }
    }

    /// Servers begin each file on a connection of its own.
    fn begin_file(&mut self) {
        if let Some(replay) = self.replay.take() {
            replay.end(&mut self.engine);
        }
        self.replay = Some(Replay::begin(&mut self.engine, self.now, 0));
    }

    fn lose(&mut self, why: &str) {
        if self.is_known {
            note(&format!(
                "what the key is cannot be told from here on: {why}"
            ));
        }
        self.is_known = false;
    }

    /// The key's record, if there is one.
    fn look<T>(&mut self, what: impl FnOnce(&Record<Object>) -> T) -> Option<T> {
        let ks = &mut self.engine.ks;
        let (selected, db) = (ks.selected(), usize::try_from(self.db).unwrap_or(0));
        ks.select(db);
        let slot = ks.peek_quietly(&self.key);
        let found = slot.map(|slot| what(ks.record(slot)));
        ks.select(selected);
        found
    }

    fn state(&mut self) -> Option<State> {
        self.look(|record| {
            let value = ValueRef::of(record.tag(), record.payload());
            State {
                kind: value.kind(),
                elements: elements(&value),
                expire_ms: record.expire(),
            }
        })
    }

    /// Runs a command; what it refuses is not known.
    fn play(&mut self, step: &Step<'_>) {
        let mut world = Alone::at(self.now);
        let Some(replay) = self.replay.as_mut().filter(|_| self.is_known) else {
            return;
        };
        if let Err(refused) = replay.run(&mut self.engine, &mut world, step.item) {
            self.lose(&refused.to_string());
        }
    }

    /// Whether the command is about the key itself, and whether about one that flows into it.
    fn concerns(&mut self, step: &Step<'_>) -> (bool, bool) {
        if is_one_of(step.item.arg(0).unwrap_or_default(), &OF_DATABASES) {
            return (self.is_of_our_database(step), true);
        }
        if !touches(&self.related, step) {
            return (false, false);
        }
        let (key, related) = (&self.key, &self.related);
        let (mut ours, mut theirs) = (false, false);
        self.keys.each(step.item, |found| {
            ours |= found == key;
            theirs |= related.contains(found);
        });
        // MOVE and COPY name the other database.
        let goes = is_one_of(step.item.arg(0).unwrap_or_default(), &["move", "copy"]);
        (ours && (step.db == self.db || goes), theirs)
    }

    fn is_of_our_database(&self, step: &Step<'_>) -> bool {
        let item = step.item;
        let name = item.arg(0).unwrap_or_default();
        let db = self.db.to_string();
        match () {
            () if name.eq_ignore_ascii_case(b"flushall") => true,
            () if name.eq_ignore_ascii_case(b"flushdb") => step.db == self.db,
            () if name.eq_ignore_ascii_case(b"swapdb") => {
                item.args().skip(1).any(|arg| arg == db.as_bytes())
            }
            () => false,
        }
    }

    fn tell(
        &mut self,
        step: &Step<'_>,
        before: Option<State>,
        after: Option<State>,
        was: &[u8],
    ) -> Result<(), Failure> {
        let name = self.name.as_deref();
        self.style.open_step(&mut self.line, name, step);
        match self.style.format {
            Format::Text => {
                if let Some(second) = step.second {
                    self.line.push_str(&format!("\t@{second}"));
                }
                if self.is_known {
                    let (before, after) = (text_of(before), text_of(after));
                    self.line.push_str(&format!("\t{before} -> {after}"));
                }
                self.line.push_str(&format!("\tcommand {}\n", step.number));
                for_each_command(was, |args| {
                    self.line.push_str("\twas: ");
                    append_words(&mut self.line, args.iter().copied());
                    self.line.push('\n');
                });
            }
            Format::Jsonl => {
                self.line.push_str(&format!(",\"command\":{}", step.number));
                if self.is_known {
                    let (before, after) = (json_of(before), json_of(after));
                    self.line
                        .push_str(&format!(",\"before\":{before},\"after\":{after}"));
                }
                if !was.is_empty() {
                    let (mut separator, style) = ("", self.style);
                    self.line.push_str(",\"was\":[");
                    for_each_command(was, |args| {
                        self.line.push_str(separator);
                        style.append_args(&mut self.line, args.iter().copied());
                        separator = ",";
                    });
                    self.line.push(']');
                }
                self.line.push_str("}\n");
            }
        }
        self.lines += 1;
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

impl Visitor for History {
    fn preamble(&mut self, input: &Input, preamble: Preamble) -> Result<(), Failure> {
        let bytes = input.bytes().unwrap_or_default();
        let end = usize::try_from(preamble.end).unwrap_or(usize::MAX);
        if let Err(why) = self.load(input, bytes.get(..end).unwrap_or(bytes)) {
            self.lose(&why);
        }
        let state = self.state();
        if self.is_known && state.is_some() {
            let state = match self.style.format {
                Format::Text => text_of(state),
                Format::Jsonl => json_of(state),
            };
            let name = self.name.as_ref();
            let line = match self.style.format {
                Format::Text => {
                    let name = name.map_or(String::new(), |name| format!("{name}: "));
                    format!("{name}0\t{}\t# the snapshot has it: {state}\n", self.db)
                }
                Format::Jsonl => {
                    let name = serde_json::json!(name);
                    format!(
                        "{{\"file\":{name},\"offset\":0,\"end\":{end},\"db\":{},\"after\":{state}}}\n",
                        self.db
                    )
                }
            };
            self.lines += 1;
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let (ours, theirs) = self.concerns(step);
        if !theirs {
            return Ok(());
        }
        if !ours {
            self.play(step);
            return Ok(());
        }
        let name = step.item.arg(0).unwrap_or_default();
        let before = self.state();
        let replaces = is_one_of(name, &REPLACING);
        let may_go =
            before.is_some_and(|state| state.elements <= SMALL) || replaces || is_taking_away(name);
        let was = if self.was && may_go {
            self.look(of_record).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.play(step);
        let after = self.state();
        if self.is_known && before.is_none() && after.is_none() && is_one_of(name, &OF_DATABASES) {
            return Ok(());
        }
        let gone = after.is_none() || replaces || before.map(|b| b.kind) != after.map(|a| a.kind);
        self.tell(step, before, after, if gone { &was } else { &[] })
    }
}

impl History {
    /// Loads the related keys of a snapshot.
    fn load(&mut self, input: &Input, snapshot: &[u8]) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let options = Options {
            trailing: false,
            ..Options::shallow()
        };
        let mut reader =
            rdb::SliceReader::from_slice(snapshot, options).map_err(|error| text(&error))?;
        let target = WriteOptions::new(reader.dialect());
        let mut writer = Writer::new(Vec::new(), target).map_err(|error| text(&error))?;
        while let Some(located) = reader.next().map_err(|error| text(&error))? {
            input.passed(located.end);
            if let Event::Record(record) = &located.event
                && self.related.contains(record.head.key)
            {
                writer.event(&located.event).map_err(|error| text(&error))?;
            }
        }
        let part = writer.finish().map_err(|error| text(&error))?;
        let ks = &mut self.engine.ks;
        let mut loader =
            Loader::new(&part[..], ks.databases(), false, true).map_err(|error| text(&error))?;
        while loader.step(ks, usize::MAX).map_err(|error| text(&error))? != load::Progress::Done {}
        Ok(())
    }
}

/// Commands that take a key away whatever it holds.
fn is_taking_away(name: &[u8]) -> bool {
    const TAKING: [&str; 10] = [
        "del",
        "unlink",
        "flushall",
        "flushdb",
        "swapdb",
        "move",
        "renamenx",
        "getdel",
        "pexpireat",
        "expireat",
    ];
    let stores = name.to_ascii_lowercase().ends_with(b"store");
    stores || is_one_of(name, &TAKING)
}

fn elements(value: &ValueRef<'_>) -> usize {
    match value {
        ValueRef::Str(bytes) => bytes.len(),
        ValueRef::Big(bytes) => bytes.len(),
        other => other.count(),
    }
}

fn text_of(state: Option<State>) -> String {
    let Some(state) = state else {
        return "nothing".to_owned();
    };
    let what = match state.kind {
        Kind::String => format!(
            "string of {}",
            plural(state.elements as u64, "byte", "bytes")
        ),
        kind => format!("{} of {}", kind.name(), state.elements),
    };
    match state.expire_ms {
        Some(at) => format!("{what}, expires at {at}"),
        None => what,
    }
}

fn json_of(state: Option<State>) -> String {
    let Some(state) = state else {
        return "null".to_owned();
    };
    let (kind, expire) = (state.kind.name(), state.expire_ms);
    serde_json::json!({ "type": kind, "elements": state.elements, "expire_ms": expire }).to_string()
}

/// Hands over the arguments of each of these commands.
fn for_each_command(commands: &[u8], mut each: impl FnMut(&[&[u8]])) {
    let mut reader = SliceReader::new(commands, 0);
    while let Ok(Some(item)) = reader.next_item() {
        let args: Vec<&[u8]> = item.args().collect();
        each(&args);
    }
}
