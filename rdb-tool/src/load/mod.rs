//! `rdb-tool load`: the data of a snapshot into a living server or cluster.
//!
//! ```text
//!   look     all of the input is read and held against what the server can hold, before anything is sent
//!   load     RESTORE of each key, in batches; functions by FUNCTION LOAD to every master
//!   verify   each key is asked for again (DEBUG DIGEST-VALUE, DUMP) and compared
//! ```

mod journal;
mod verify;

use crate::carry::{Carrier, Terms, place};
use crate::convert::LOOK;
use crate::loss::{Loss, Losses};
use crate::policy::{Policies, Policy};
use crate::snapshot::{Need, Reading, Stop, Visit, read};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{
    Dialect, Event, ExpiringFields, Located, Record, WriteError, WriteOptions, dump,
};
use cairn_format::resp::value::{Value, write_command};
use cairn_format::text::number::I64Text;
use cairn_toolkit::remote::{Address, Fleet, Item};
use cairn_toolkit::select::{bytes, now_ms};
use cairn_toolkit::{Failure, Input, Outcome, Verdict, human, note, quoted};
use clap::{Args, ValueEnum};
use journal::Journal;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Shown below the help of `load`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool load --to redis://localhost dump.rdb
  rdb-tool load --to redis://:secret@node1:7000 --verify dump.rdb            a cluster: any of its nodes
  rdb-tool load --to redis://localhost --existing replace --key 'user:*' dump.rdb
  rdb-tool load --to redis://localhost --rate 20mb --journal load.journal dump.rdb

All of the input is read first: what the server cannot hold is told before anything is sent. A load that broke off goes on with the same --journal.
Exit status: 0 loaded, 1 loaded, but --verify found other data, 2 not loaded, or not all of it.";

/// Bytes that are sent before their replies are read.
const BATCH_BYTES: usize = 1 << 20;

/// The options of `rdb-tool load`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LoadArguments {
    /// The server, or any node of a cluster: redis://user:password@host:port, rediss:// over TLS
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// What becomes of keys that are there already
    #[arg(long, value_enum, default_value = "fail")]
    existing: Existing,
    /// Keys that are sent before their replies are read
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// Send no more than this in a second: 20mb
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<u64>,
    /// Keep here how far it has come, and go on from there if it is there
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Ask for each key again, and compare
    #[arg(long)]
    verify: bool,
    /// Leave out what the server cannot hold, and tell what it was
    #[arg(long)]
    drop_unsupported: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to load: a file, - or another server, as for the other commands
    file: PathBuf,
}

/// What becomes of keys that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Existing {
    /// The load ends at the first one
    Fail,
    /// They are replaced
    Replace,
    /// They stay
    Skip,
}

fn rate(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|rate| *rate > 0)
        .ok_or_else(|| "expected bytes in a second, as in 20mb".to_owned())
}

/// Looks, loads, verifies.
pub fn load(arguments: &LoadArguments) -> Outcome {
    let address = Address::parse(&arguments.to)?.ok_or_else(|| {
        Failure::new(format!("{}: is no address", arguments.to))
            .hint("--to redis://user:password@host:port")
    })?;
    // It is read twice and more.
    let input = arguments.reading.open(&arguments.file)?.into_mapped()?;
    let mut fleet = Fleet::connect(&address)?;
    let dialect = fleet.first().dialect()?;
    let losses = look(arguments, &input, &fleet, dialect)?;
    let mut work = Work {
        arguments,
        name: address.to_string(),
        dialect,
        journal: match &arguments.journal {
            Some(path) => Some(Journal::open(path, input.len().unwrap_or(0))?),
            None => None,
        },
        fleet,
        db: 0,
        batch: Vec::new(),
        batch_bytes: 0,
        end: 0,
        sent_bytes: 0,
        began: Instant::now(),
        loaded: 0,
        skipped: 0,
    };
    work.all(&input)?;
    losses.report(input.name(), &policies(arguments));
    let keys = human::plural(work.loaded, "key", "keys");
    match work.skipped {
        0 => note(&format!("{keys} loaded into {address}")),
        skipped => note(&format!(
            "{keys} loaded into {address}, {} were there already",
            human::count(skipped)
        )),
    }
    if let Some(journal) = work.journal.take() {
        journal.remove()?;
    }
    match arguments.verify {
        true => verify::verify(&input, &arguments.reading, &mut work.fleet, dialect),
        false => Ok(Verdict::Fine),
    }
}

fn policies(arguments: &LoadArguments) -> Policies {
    Policies::default().or_all(arguments.drop_unsupported.then_some(Policy::Drop))
}

/// Reads all of the input as if it were written for the server, and ends what would end in the middle.
fn look(
    arguments: &LoadArguments,
    input: &Input,
    fleet: &Fleet,
    dialect: Dialect,
) -> Result<Losses, Failure> {
    let terms = Terms {
        dialect,
        modules: None,
        compress: false,
        expiring_fields: arguments.drop_unsupported.then_some(ExpiringFields::Drop),
    };
    let mut carrier = Carrier::new(std::io::sink(), &terms)?;
    let mut unsaid = Losses::default();
    let is_cluster = fleet.is_cluster();
    let visit = &mut |_, located: &Located<'_>| {
        let event = &located.event;
        match event {
            Event::Record(record) if is_cluster && record.db != 0 => {
                let (db, key) = (record.db, quoted(record.head.key));
                let line = format!("db {db}, key {key}: a cluster has database 0 alone");
                return Err(Stop::Failed(Failure::new(line).hint(
                    "nothing was sent; `rdb-tool convert --map-db A=0` moves keys, --db 0 takes only those",
                )));
            }
            Event::Record(record) if record.head.meta.is_some() => {
                unsaid.add(Loss::needing(Lack::KeyMeta, SNAPSHOT), place(event));
            }
            Event::ModuleAux(_) => {
                unsaid.add(Loss::needing(Lack::ModuleAux, SNAPSHOT), None);
                return Ok(());
            }
            Event::SlotImport(_) => {
                unsaid.add(Loss::needing(Lack::SlotImport, SNAPSHOT), None);
                return Ok(());
            }
            Event::Command(_) => {
                unsaid.add(Loss::needing(Lack::Command, SNAPSHOT), None);
                return Ok(());
            }
            _ => {}
        }
        carrier.event(event)
    };
    read(input, &arguments.reading, Need::All, LOOK, "looking", visit)?;
    let mut losses = carrier.finish(input.name())?;
    losses.append(unsaid);
    let refused = losses.refused(&policies(arguments));
    match refused.is_empty() {
        true => Ok(losses),
        false => Err(refused.into_failure(
            input.name(),
            &format!("{dialect}, the newest of the server,"),
        )),
    }
}

/// What could hold what no command says.
const SNAPSHOT: &str = "a snapshot";

/// A load under way.
struct Work<'a> {
    arguments: &'a LoadArguments,
    /// The address without what is secret.
    name: String,
    dialect: Dialect,
    journal: Option<Journal>,
    fleet: Fleet,
    /// The database that is selected.
    db: u64,
    batch: Vec<Item>,
    batch_bytes: usize,
    /// Where the last event of the batch ends.
    end: u64,
    sent_bytes: u64,
    began: Instant,
    loaded: u64,
    skipped: u64,
}

impl Work<'_> {
    fn all(&mut self, input: &Input) -> Result<(), Failure> {
        let reading = &self.arguments.reading;
        let mut visit = |_: Dialect, located: &Located<'_>| self.event(located);
        let options = Options::shallow();
        read(input, reading, Need::All, options, "loading", &mut visit)?;
        self.flush()
    }

    fn event(&mut self, located: &Located<'_>) -> Visit {
        let done = self.journal.as_ref().map_or(0, |journal| journal.done);
        if located.end <= done {
            return Ok(());
        }
        match &located.event {
            Event::Record(record) => {
                if record.db != self.db {
                    self.flush()?;
                    let db = record.db.to_string();
                    self.fleet.first().ask(&["SELECT", &db])?;
                    self.db = record.db;
                }
                if let Some(item) = self.restore(record, located.end)? {
                    self.batch_bytes += item.command.len();
                    self.batch.push(item);
                }
            }
            Event::Function(code) if self.dialect.has_listpacks() => {
                let code = code.bytes(&mut I64Text::new()).to_vec();
                self.function(&code)?;
            }
            _ => {}
        }
        self.end = located.end;
        let is_full = self.batch.len() >= self.arguments.pipeline as usize;
        if is_full || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// A library goes to every node that has slots.
    fn function(&mut self, code: &[u8]) -> Result<(), Failure> {
        let existing = self.arguments.existing;
        for client in self.fleet.masters()? {
            let mut words = vec![&b"FUNCTION"[..], b"LOAD"];
            words.extend((existing == Existing::Replace).then_some(&b"REPLACE"[..]));
            words.push(code);
            match client.try_ask(&words)? {
                Value::Error(line) if existing == Existing::Skip && is_there(&line) => {}
                Value::Error(line) => {
                    let failure = client.refused("FUNCTION LOAD", &line);
                    return Err(advised(failure, self.loaded, &line));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The command of a key; none if nothing of it has a place.
    fn restore(&mut self, record: &Record<'_>, end: u64) -> Result<Option<Item>, Stop> {
        let options = WriteOptions {
            drop_parts: true,
            expiring_fields: Some(ExpiringFields::Drop),
            ..WriteOptions::new(self.dialect)
        };
        let payload = match dump::encode(options, &record.value) {
            Ok(payload) => payload,
            // The look at the input has told this.
            Err(WriteError::Unsupported(_)) => return Ok(None),
            Err(WriteError::Source(error)) => {
                return Err(Stop::inside(error.at_key(record.head.key).in_db(record.db)));
            }
            Err(error) => return Err(Stop::Failed(Failure::new(error.to_string()))),
        };
        // Of a hash nothing may be left.
        if payload.len() <= EMPTY_PAYLOAD {
            return Ok(None);
        }
        let head = &record.head;
        let has_absolute = self.dialect.has_streams();
        let ttl = match (head.expire_ms, has_absolute) {
            (None, _) => 0,
            (Some(at_ms), true) => at_ms.max(1),
            (Some(at_ms), false) => match at_ms.saturating_sub(now_ms()) {
                ..=0 => return Ok(None),
                left => left,
            },
        };
        let ttl = ttl.to_string();
        let (idle, freq) = (
            head.idle_s.map(|seconds| seconds.to_string()),
            head.freq.map(|frequency| frequency.to_string()),
        );
        let mut words = vec![&b"RESTORE"[..], head.key, ttl.as_bytes(), &payload];
        let was_sent = self
            .journal
            .as_ref()
            .is_some_and(|journal| end <= journal.sent);
        if self.arguments.existing == Existing::Replace || was_sent {
            words.push(b"REPLACE");
        }
        if has_absolute && head.expire_ms.is_some() {
            words.push(b"ABSTTL");
        }
        match (&idle, &freq) {
            (Some(idle), _) if has_absolute => words.extend([&b"IDLETIME"[..], idle.as_bytes()]),
            (_, Some(freq)) if has_absolute => words.extend([&b"FREQ"[..], freq.as_bytes()]),
            _ => {}
        }
        let mut command = Vec::with_capacity(payload.len() + 128);
        write_command(&mut command, &words);
        let key = head.key.to_vec();
        Ok(Some(Item { key, command }))
    }

    /// Sends what waits and looks at the replies.
    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(journal) = &mut self.journal {
            journal.sending(self.end)?;
        }
        let items = std::mem::take(&mut self.batch);
        self.sent_bytes += std::mem::take(&mut self.batch_bytes) as u64;
        let replies = self.fleet.send(&items)?;
        for (item, reply) in items.iter().zip(replies) {
            match reply {
                Value::Error(line)
                    if self.arguments.existing == Existing::Skip && is_there(&line) =>
                {
                    self.skipped += 1;
                }
                Value::Error(line) => return Err(self.refused(item, &line)),
                _ => self.loaded += 1,
            }
        }
        if let Some(journal) = &mut self.journal {
            journal.answered(self.end);
        }
        self.wait();
        Ok(())
    }

    fn refused(&self, item: &Item, line: &[u8]) -> Failure {
        let (to, db, key) = (&self.name, self.db, quoted(&item.key));
        let line = String::from_utf8_lossy(line);
        let failure = Failure::new(format!(
            "{to}: db {db}, key {key}: RESTORE was refused: {line}"
        ));
        advised(failure, self.loaded, line.as_bytes())
    }

    /// Until so much may have been sent.
    fn wait(&self) {
        let Some(rate) = self.arguments.rate else {
            return;
        };
        let due = Duration::from_secs_f64(self.sent_bytes as f64 / rate as f64);
        thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}

/// Bytes of a payload without a value: version and checksum.
const EMPTY_PAYLOAD: usize = 10;

/// Says how far a load had come that an error reply ended, and what to do about it.
fn advised(failure: Failure, loaded: u64, line: &[u8]) -> Failure {
    let loaded = human::plural(loaded, "key is", "keys are");
    let failure = failure.hint(format!("{loaded} loaded"));
    match line {
        line if is_there(line) => {
            failure.hint("--existing replace or skip says what becomes of what is there already")
        }
        line if line.starts_with(b"OOM") => failure.hint(
            "the server needs a larger maxmemory; `rdb-tool memory --for SERVER` tells what the data takes",
        ),
        line if line.starts_with(b"NOPERM") => {
            failure.hint("the user of the address needs the right to do that (ACL SETUSER)")
        }
        _ => failure,
    }
}

/// Whether an error says that a key or a library is there already.
fn is_there(line: &[u8]) -> bool {
    let has = |part: &[u8]| line.windows(part.len()).any(|window| window == part);
    line.starts_with(b"BUSYKEY") || has(b"already exists")
}
