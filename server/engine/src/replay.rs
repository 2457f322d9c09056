//! A log as the data set: its commands run again on a session of their own.
//!
//! A server logs a command because it changed the data, so every command of a sound log succeeds again. One that is
//! refused shows that something is missing or not understood: a record was lost before it, it has an option of a newer
//! server, a limit is lower here. What would come after it is not the data of the origin, so the replay ends there, with
//! the place and the reason.
//!
//! | a command that | |
//! |---|---|
//! | writes, or selects a database | is run; an error reply ends the replay |
//! | is unknown, or has too few or too many arguments | ends it before it is run, also between MULTI and EXEC |
//! | is MULTI within MULTI, or EXEC or DISCARD without it | is passed over and noted: old servers logged transactions within transactions, and the data is the same |
//! | changes no data (reads, channels, administration) | is not run, and noted: no server logs it, and a file must not configure or stop the server that reads it |
//! | changes what later commands mean, or reaches beyond the data (RESET, MIGRATE) | ends it |

use std::fmt;
use std::ops::Range;

use cairn_format::aof::reader::Item;
use cairn_format::aof::record::Kind;

use crate::base::args::Args;
use crate::base::error;
use crate::base::id::SessionId;
use crate::base::time::Now;
use crate::call::Instance;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags};
use crate::call::table::Entry;
use crate::engine::Engine;
use crate::keyspace::Expired;
use crate::session::Role;
use crate::session::transaction::Queued;

/// A replay under way. Commands between MULTI and EXEC wait in its queue, so that a log that ends inside a
/// transaction leaves no trace of it.
pub struct Replay {
    session: SessionId,
    /// Where the arguments of a command stand in its record.
    places: Vec<Range<u32>>,
    reply: Reply,
    /// The open transaction.
    open: Option<Vec<Waiting>>,
    /// Offset behind the last command that took effect as a whole.
    valid_end: u64,
    commands: u64,
}

/// A command between MULTI and EXEC.
struct Waiting {
    offset: u64,
    number: u64,
    command: Queued,
}

/// The first command of a log that cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Offset of its record in the file.
    pub offset: u64,
    /// The how many-th command of the file it is, from 1.
    pub number: u64,
    /// Its name as the log spells it, with its subcommand if it has one.
    pub command: String,
    /// The reason.
    pub why: Why,
}

/// Why a command cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Neither the command nor, if it has subcommands, this one is known.
    Unknown,
    /// A client would get this error.
    Answer(String),
    /// No server logs it, and to run it would do harm.
    Harm(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused {
            offset,
            number,
            command,
            why,
        } = self;
        write!(
            f,
            "offset {offset} ({offset:#x}): command {number}, {command}"
        )?;
        match why {
            Why::Unknown => f.write_str(", is unknown here"),
            Why::Answer(error) => write!(f, ", is refused: {error}"),
            Why::Harm(what) => write!(f, ", is not run: {what}"),
        }
    }
}

/// What becomes of a command in a log.
enum Deed {
    Run,
    Begin,
    Execute,
    Drop,
    PassOver,
    Refuse(&'static str),
}

fn deed(command: &Command) -> Deed {
    match command.name {
        "multi" => Deed::Begin,
        "exec" => Deed::Execute,
        "discard" => Deed::Drop,
        "select" => Deed::Run,
        "migrate" => Deed::Refuse("it would send keys to another server"),
        "reset" => Deed::Refuse("what follows would land in another database"),
        // PUBLISH may be sent to replicas, but is in no log.
        _ if command.flags.has(Flags::PUBSUB) => Deed::PassOver,
        _ if command.flags.has(Flags::WRITE) || command.flags.has(Flags::MAY_REPLICATE) => {
            Deed::Run
        }
        _ => Deed::PassOver,
    }
}

impl Replay {
    /// Begins at an offset of the log. Nothing expires and nothing is propagated until [`Replay::end`].
    pub fn begin(engine: &mut Engine, now: Now, start: u64) -> Replay {
        engine.set_now(now);
        engine.ks.expired = Expired::Stays;
        let session = engine.open_session(now);
        if let Some(state) = engine.shared.sessions.get_mut(session) {
            state.role = Role::Replay;
            state.authenticated = true;
        }
        Replay {
            session,
            places: Vec::new(),
            reply: Reply::default(),
            open: None,
            valid_end: start,
            commands: 0,
        }
    }

    /// Runs one record. What is passed over is no reason to stop: it is returned to be told.
    ///
    /// # Errors
    /// A command that cannot be replayed. The data is then that of the log up to it, or to the end of its transaction. Who wants to
    /// know what else is refused may go on.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        inst: &mut dyn Instance,
        item: &Item,
    ) -> Result<Option<String>, Refused> {
        debug_assert!(
            item.offset >= self.valid_end && item.end() > item.offset,
            "records follow each other"
        );
        if item.kind() == Kind::Annotation {
            if self.open.is_none() {
                self.valid_end = item.end();
            }
            return Ok(None);
        }
        if u32::try_from(item.raw.len()).is_err() {
            return Err(Refused {
                offset: item.offset,
                number: self.commands + 1,
                command: "of 4 GiB and more".into(),
                why: Why::Harm("its arguments cannot be addressed"),
            });
        }
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        // The record is shorter than 4 GiB.
        places.extend(
            item.places()
                .map(|place| place.start as u32..place.end as u32),
        );
        self.commands += 1;
        let args = Args::new(item.raw, &places, None);
        let answer = self.command(engine, inst, item.offset, &args);
        self.places = places;
        if answer.is_ok() && self.open.is_none() {
            self.valid_end = item.end();
        }
        answer
    }

    fn command(
        &mut self,
        engine: &mut Engine,
        inst: &mut dyn Instance,
        offset: u64,
        args: &Args,
    ) -> Result<Option<String>, Refused> {
        let number = self.commands;
        let refused = |engine: &Engine, why| Err(refuse(engine, offset, number, args, why));
        let Some(found) = look_up(engine, args) else {
            return refused(engine, Why::Unknown);
        };
        let command = found.spec;
        if !command.accepts(args.len()) {
            let error = error::wrong_arity(command.name).0.into_owned();
            return refused(engine, Why::Answer(error));
        }
        match (deed(command), &mut self.open) {
            (Deed::Refuse(what), _) => return refused(engine, Why::Harm(what)),
            (Deed::Begin, open @ None) => *open = Some(Vec::new()),
            (Deed::Drop, Some(_)) => self.open = None,
            (Deed::Execute, Some(queue)) => {
                debug_assert!(queue.is_sorted_by(|a, b| a.number < b.number), "as logged");
                let queue = std::mem::take(queue);
                self.open = None;
                return self.execute(engine, inst, queue).map(|()| None);
            }
            (Deed::Run, Some(queue)) => queue.push(Waiting {
                offset,
                number,
                command: Queued::new(found.id, args),
            }),
            (Deed::Run, None) => {
                if let Some(error) = self.answer(engine, inst, args) {
                    return refused(engine, Why::Answer(error));
                }
            }
            (Deed::Begin, Some(_)) => {
                return Ok(Some(passed_over(command, "inside a transaction")));
            }
            (Deed::Execute | Deed::Drop, None) => {
                return Ok(Some(passed_over(command, "outside of any transaction")));
            }
            (Deed::PassOver, _) => return Ok(Some(passed_over(command, "which changes no data"))),
        }
        Ok(None)
    }

    /// Runs a transaction. An error in it stops none of its commands, as with clients; the first is the one that is told.
    fn execute(
        &mut self,
        engine: &mut Engine,
        inst: &mut dyn Instance,
        queue: Vec<Waiting>,
    ) -> Result<(), Refused> {
        let mut first = Ok(());
        for waiting in queue {
            let args = waiting.command.args();
            if let Some(error) = self.answer(engine, inst, &args)
                && first.is_ok()
            {
                let (offset, number) = (waiting.offset, waiting.number);
                first = Err(refuse(engine, offset, number, &args, Why::Answer(error)));
            }
        }
        first
    }

    /// Runs a command; gives the error that it answers with.
    fn answer(
        &mut self,
        engine: &mut Engine,
        inst: &mut dyn Instance,
        args: &Args,
    ) -> Option<String> {
        debug_assert!(self.reply.is_empty() && engine.ks.expired == Expired::Stays);
        let goes_on = engine.call(self.session, args, &mut self.reply, inst);
        debug_assert!(goes_on, "a command of a log neither waits nor ends");
        let failed = std::mem::take(&mut self.reply.errors) > 0;
        let error = failed.then(|| {
            let mut lines = self.reply.buf.split(|b| *b == b'\n');
            let line = lines.find_map(|line| line.strip_prefix(b"-"));
            String::from_utf8_lossy(line.unwrap_or_default().trim_ascii_end()).into_owned()
        });
        self.reply.clear();
        error
    }

    /// Where the part of the log ends that took effect: the last whole command, or the start of an open transaction.
    pub fn valid_end(&self) -> u64 {
        self.valid_end
    }

    /// Whether a transaction is open.
    pub fn is_inside_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Commands read.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Ends the replay; an open transaction is dropped.
    pub fn end(self, engine: &mut Engine) {
        debug_assert!(
            engine.ks.expired == Expired::Stays,
            "until here nothing expires"
        );
        engine.close_session(self.session);
        engine.ks.expired = Expired::Goes;
    }
}

/// The command, or the subcommand where there are some.
fn look_up(engine: &Engine, args: &Args) -> Option<Entry> {
    let table = &engine.shared.table;
    table.part_of(table.find_logged(args.at(0))?, args)
}

fn refuse(engine: &Engine, offset: u64, number: u64, args: &Args, why: Why) -> Refused {
    /// Bytes of a name that are shown; no command has a longer one.
    const SHOWN: usize = 64;
    let found = engine.shared.table.find_logged(args.at(0));
    let has_sub = found.is_some_and(|found| !found.spec.subcommands.is_empty());
    let words = args.iter_from(0).take(1 + usize::from(has_sub));
    let shown = words.map(|word| word[..word.len().min(SHOWN)].escape_ascii().to_string());
    Refused {
        offset,
        number,
        command: shown.collect::<Vec<_>>().join(" "),
        why,
    }
}

fn passed_over(command: &Command, why: &str) -> String {
    format!("{} is passed over, {why}", command.name.to_uppercase())
}
