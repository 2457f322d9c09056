//! `aof-tool replay`: the commands of a log sent to a living server or cluster, as fast as they came, scaled, or as fast as it goes.
//!
//! ```text
//!   1. the whole log is read: damage, seconds and counts are known before anything is sent
//!   2. read again: each command when it is due, all that are due in one batch
//! ```

use crate::keys::{Keys, NO_TIMES};
use crate::log::Log;
use crate::part::Preamble;
use crate::schedule::{Clock, Real, Schedule, Second};
use crate::until::is_like;
use crate::walk::{Place, Step, Visitor, walk_file};
use cairn_format::resp::value::{Value, write_command};
use cairn_toolkit::arguments::Speed;
use cairn_toolkit::human::{self, count, plural};
use cairn_toolkit::remote::{Address, Fleet, Item};
use cairn_toolkit::{
    Failure, Input, Outcome, Output, Selection, Verdict, hint, json, note, quoted,
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The options of `aof-tool replay`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool replay --to redis://test:6379 appendonlydir
  aof-tool replay --to redis://test:6379 --speed max --on-error count appendonlydir
  aof-tool replay --to redis://node1:7000 --speed 10 --key 'user:*' --without FLUSHALL appendonly.aof

The original speed is that of the annotations of aof-timestamp-enabled; within a second commands are spread evenly. A snapshot in front is not sent:
`aof-tool restore --until command:0 --to` does that. In a cluster transactions are taken apart, DEL, UNLINK and MSET by key, and commands without keys go
to all nodes.

Exit status: 0 sent, 1 sent, but the server answered with errors, 2 not sent, or not all of it.")]
pub struct ReplayArguments {
    /// Log file, folder or manifest
    path: PathBuf,
    /// The server, or any node of a cluster: redis://user:password@host:port, rediss:// over TLS
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// How fast: original, max, or a factor as in 2 or 0.5
    #[arg(long, default_value = "original", value_name = "SPEED")]
    speed: Speed,
    /// What an error reply means
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    on_error: OnError,
    /// Leave out commands that are like that
    #[arg(long, value_name = "COMMAND GLOB")]
    without: Vec<String>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// What an error reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// The end
    Stop,
    /// One more of them
    Count,
}

/// Commands sent before their replies are read.
const BATCH: usize = 512;
/// And their bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Send the log that was named.
pub fn run(arguments: &ReplayArguments) -> Outcome {
    if arguments.selection.asks_for_time() {
        return Err(Failure::new(NO_TIMES));
    }
    let address = Address::parse(&arguments.to)?.ok_or_else(|| {
        Failure::new(format!("{}: is no address", arguments.to))
            .hint("--to redis://user:password@host:port")
    })?;
    let log = Log::find_sound(&arguments.path)?;
    let inputs = log.mapped()?;
    let fleet = Fleet::connect(&address)?;
    let mut look = Look {
        filter: Filter::new(arguments),
        seconds: Vec::new(),
        untimed: 0,
        is_cluster: fleet.is_cluster(),
        snapshot: 0,
    };
    let name = arguments.path.display();
    if each_file(&inputs, "looking", &mut look)? {
        return Err(Failure::new(format!("{name}: the log is damaged"))
            .hint("nothing was sent; `aof-tool fix` drops what is damaged"));
    }
    let seconds = look.seconds(arguments.speed)?;
    if look.snapshot > 0 {
        let keys = plural(look.snapshot, "key", "keys");
        note(&format!(
            "{name}: the snapshot of {keys} in front is not sent"
        ));
        hint("`aof-tool restore --until command:0 --to ADDRESS` sends it");
    }
    let mut sender = Sender {
        filter: Filter::new(arguments),
        stops: arguments.on_error == OnError::Stop,
        to: address.to_string(),
        fleet,
        schedule: Schedule::new(seconds, arguments.speed.0),
        clock: Real::start(),
        batch: Vec::new(),
        bytes: 0,
        db: None,
        sent: 0,
        errors: BTreeMap::new(),
        first_error: None,
        late: Duration::ZERO,
    };
    each_file(&inputs, "replaying", &mut sender)?;
    sender.flush()?;
    sender.report(arguments)
}

fn each_file(inputs: &[Input], label: &str, visitor: &mut impl Visitor) -> Result<bool, Failure> {
    let (mut place, mut found) = (Place::default(), false);
    for input in inputs {
        found |= walk_file(input, label, &mut place, visitor)?;
    }
    Ok(found)
}

/// Which commands are sent.
struct Filter<'a> {
    selection: &'a Selection,
    without: &'a [String],
    keys: Keys,
}

impl Filter<'_> {
    fn new(arguments: &ReplayArguments) -> Filter<'_> {
        Filter {
            selection: &arguments.selection,
            without: &arguments.without,
            keys: Keys::default(),
        }
    }

    /// Annotations and SELECT are none: they are sent as they are needed.
    fn takes(&mut self, step: &Step<'_>) -> bool {
        let item = step.item;
        let Some(name) = item.arg(0) else {
            return false;
        };
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("select")
            || self
                .without
                .iter()
                .any(|glob| is_like(item, glob.as_bytes()))
        {
            return false;
        }
        self.selection.is_all()
            || is("multi")
            || is("exec")
            || self.keys.are_taken(step, self.selection)
    }
}

/// Reads the log before anything is sent.
struct Look<'a> {
    filter: Filter<'a>,
    seconds: Vec<Second>,
    /// Commands before the first timestamp.
    untimed: u64,
    is_cluster: bool,
    snapshot: u64,
}

impl Visitor for Look<'_> {
    fn preamble(&mut self, _: &Input, preamble: Preamble) -> Result<(), Failure> {
        self.snapshot += preamble.keys;
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        if !self.filter.takes(step) {
            return Ok(());
        }
        if self.is_cluster && step.db != 0 {
            let (number, db) = (step.number, step.db);
            let line = format!("command {number}: db {db}: a cluster has database 0 alone");
            return Err(Failure::new(line).hint("nothing was sent; --db 0 takes only those keys"));
        }
        match (step.second, self.seconds.last_mut()) {
            (None, _) => self.untimed += 1,
            (Some(at), Some(last)) if last.at == at => last.commands += 1,
            (Some(at), _) => self.seconds.push(Second { at, commands: 1 }),
        }
        Ok(())
    }
}

impl Look<'_> {
    /// The seconds of all commands; those before any timestamp belong to the first.
    fn seconds(&mut self, speed: Speed) -> Result<Vec<Second>, Failure> {
        let mut seconds = std::mem::take(&mut self.seconds);
        match seconds.first_mut() {
            Some(first) => first.commands += self.untimed,
            None if self.untimed == 0 => {
                return Err(Failure::new("the log has no command that was asked for")
                    .hint("nothing was sent"));
            }
            None if speed.0.is_finite() => {
                return Err(Failure::new(
                    "the log has no timestamps, so its speed is not known",
                )
                .hint("--speed max sends it as fast as it goes; servers write timestamps with aof-timestamp-enabled yes"));
            }
            None => seconds.push(Second {
                at: 0,
                commands: self.untimed,
            }),
        }
        Ok(seconds)
    }
}

/// Sends the log.
struct Sender<'a> {
    filter: Filter<'a>,
    stops: bool,
    to: String,
    fleet: Fleet,
    schedule: Schedule,
    clock: Real,
    batch: Vec<(Item, u64)>,
    bytes: usize,
    /// What is selected there.
    db: Option<u64>,
    sent: u64,
    /// By their first word.
    errors: BTreeMap<String, u64>,
    first_error: Option<String>,
    late: Duration,
}

impl Visitor for Sender<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        if !self.filter.takes(step) {
            return Ok(());
        }
        let due = self.schedule.next();
        if due > self.clock.now() {
            self.flush()?;
            self.clock.sleep_until(due);
        }
        self.late = self.late.max(self.clock.now().saturating_sub(due));
        self.sent += 1;
        match self.fleet.is_cluster() {
            true => self.for_nodes(step)?,
            false => self.whole_command(step),
        }
        match self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }
}

impl Sender<'_> {
    fn push(&mut self, key: &[u8], command: Vec<u8>, number: u64) {
        self.bytes += command.len();
        let key = key.to_vec();
        self.batch.push((Item { key, command }, number));
    }

    /// As it stands in the log; the database is selected where it changes.
    fn whole_command(&mut self, step: &Step<'_>) {
        if self.db != Some(step.db) {
            self.db = Some(step.db);
            let mut select = Vec::new();
            write_command(&mut select, &["SELECT", &step.db.to_string()]);
            self.push(b"", select, step.number);
        }
        self.push(b"", step.item.raw.to_vec(), step.number);
    }

    /// To the node of its key, in parts if it has several that do not belong together.
    fn for_nodes(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        let item = step.item;
        let name = item.arg(0).unwrap_or_default();
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("multi") || is("exec") {
            return Ok(());
        }
        let width = match () {
            () if is("del") || is("unlink") => 1,
            () if is("mset") => 2,
            () => usize::MAX,
        };
        let args: Vec<&[u8]> = item.args().skip(1).collect();
        if width < args.len() {
            for part in args.chunks(width) {
                let mut command = Vec::new();
                write_command(&mut command, &[&[name], part].concat());
                self.push(part[0], command, step.number);
            }
            return Ok(());
        }
        let mut key = None;
        self.filter.keys.each(item, |found| {
            key.get_or_insert_with(|| found.to_vec());
        });
        match key {
            Some(key) => self.push(&key, item.raw.to_vec(), step.number),
            None => {
                self.flush()?;
                let mut replies = Vec::new();
                for client in self.fleet.masters()? {
                    client.send(item.raw)?;
                    replies.push(client.reply()?);
                }
                for reply in replies {
                    self.judge(&reply, step.number)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let (items, numbers): (Vec<Item>, Vec<u64>) =
            std::mem::take(&mut self.batch).into_iter().unzip();
        self.bytes = 0;
        let replies = self.fleet.send(&items).map_err(|failure| {
            failure.hint(format!("{} commands were sent before", count(self.sent)))
        })?;
        for (reply, number) in replies.iter().zip(numbers) {
            self.judge(reply, number)?;
        }
        Ok(())
    }

    /// Counts errors, those in the reply of a transaction, too.
    fn judge(&mut self, reply: &Value, number: u64) -> Result<(), Failure> {
        match reply {
            Value::Error(line) => {
                let line = String::from_utf8_lossy(line).into_owned();
                let word = line.split(' ').next().unwrap_or_default();
                *self.errors.entry(word.to_owned()).or_default() += 1;
                let place = format!("{}: command {number}: {}", self.to, quoted(line.as_bytes()));
                if self.stops {
                    return Err(Failure::new(place)
                        .hint(format!(
                            "{} commands were sent up to then",
                            count(self.sent)
                        ))
                        .hint("--on-error count goes on"));
                }
                self.first_error.get_or_insert(place);
                Ok(())
            }
            other => other
                .as_array()
                .unwrap_or_default()
                .iter()
                .try_for_each(|reply| self.judge(reply, number)),
        }
    }

    fn report(&self, arguments: &ReplayArguments) -> Outcome {
        let errors: u64 = self.errors.values().sum();
        let took = self.clock.now();
        if arguments.json {
            let mut out = Output::stdout();
            let document = json!({
                "to": self.to,
                "commands": self.sent,
                "elapsed_s": took.as_secs_f64(),
                "latest_s": self.late.as_secs_f64(),
                "errors": errors,
                "errors_by_word": self.errors,
                "first_error": self.first_error,
            });
            json::write_pretty(&mut out, &document)?;
            out.finish()?;
        }
        let commands = plural(self.sent, "command", "commands");
        let late = match arguments.speed.0.is_finite() {
            true => format!(", the latest by {}", human::duration(self.late)),
            false => String::new(),
        };
        note(&format!(
            "{}: {commands} sent in {}{late}",
            self.to,
            human::duration(took)
        ));
        if let Some(first) = &self.first_error {
            note(&format!(
                "{}, first {first}",
                plural(errors, "error", "errors")
            ));
        }
        Ok(Verdict::found_if(errors > 0))
    }
}
