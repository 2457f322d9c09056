//! `aof-tool rewrite`: the log played into an engine, and what is then there written as a new log.
//!
//! No server runs and no clock ticks: the whole log is replayed at the moment of the start, nothing
//! expires meanwhile, and a key whose time has come is written with its expiry, as servers do it.

use crate::libraries::{Libraries, mapped};
use crate::log::{File, Log};
use crate::part::{self, Head, Preamble, Problem};
use crate::until::{Until, Watch};
use cairn_engine::Engine;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::commands::connection::REDIS_VERSION;
use cairn_engine::persist::load::{self, LoadError, Loader};
use cairn_engine::persist::rewrite::{RewriteError, rewrite};
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use cairn_engine::replay::{Refused, Replay};
use cairn_format::aof::reader::Records;
use cairn_format::aof::release::Release;
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::Dialect;
use cairn_format::rdb::writer::WriteError;
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Progress, Verdict, note};
use clap::{Args, ValueEnum};
use std::fs;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The options of `aof-tool rewrite`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool rewrite appendonlydir -o compact.aof
  aof-tool rewrite --form snapshot old.aof -o base.aof
  aof-tool rewrite --to redis-6.2 appendonlydir -o old-server.aof
  aof-tool rewrite old.aof -o - | redis-cli --pipe

Nothing is written if the log is damaged, or a command of it is unknown to the engine or refused by it; function libraries are carried through. A server takes the new log as its
appendonly.aof, or as the base of a folder.

Exit status: 0 written, 1 written, but commands that change no data were passed over, 2 not written.")]
pub struct RewriteArguments {
    #[command(flatten)]
    new: NewLog,
}

/// The options of `aof-tool restore`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool restore --until before:FLUSHALL appendonlydir -o saved.aof
  aof-tool restore --until time:1795400892 --form snapshot appendonlydir -o dump.rdb
  aof-tool restore --until command:1200 appendonly.aof -o before.aof

The data as it was at that moment of the log, as `aof-tool rewrite` writes it. Commands are counted from 1 over all files; a time needs the annotations
of aof-timestamp-enabled; before:'SET user:*' matches words of commands as KEYS does, in any case, and what they begin with. A transaction that is
not whole at the moment is left out.

Exit status: 0 written, 1 written, but commands that change no data were passed over, 2 not written: also where the moment is outside the log.")]
pub struct RestoreArguments {
    #[command(flatten)]
    new: NewLog,
    /// The moment: command:N, offset:N (of a log in one file), time:UNIX_SECONDS or before:'COMMAND GLOB'
    #[arg(long, value_name = "MOMENT")]
    until: Until,
}

// No docstring: it would become the text about the commands.
#[derive(Args, Debug)]
struct NewLog {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// The new log: a file, or - for standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Form of the new log
    #[arg(long, value_enum, default_value_t = NewForm::Commands)]
    form: NewForm,
    /// Server that is to read it, as in redis-6.2; without, the oldest that the data allows from Redis 7.0 (commands) or 7.2
    /// (snapshot) on
    #[arg(long, value_name = "SERVER", value_parser = reader)]
    to: Option<Reader>,
    /// Databases of the server
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    databases: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NewForm {
    /// The commands that make the data
    Commands,
    /// A snapshot; smaller and faster to load
    Snapshot,
}

/// Who is to read the new log, in either form.
#[derive(Clone, Copy, Debug)]
struct Reader {
    commands: Release,
    snapshot: Dialect,
}

fn reader(name: &str) -> Result<Reader, String> {
    let known = Release::parse(name).zip(Dialect::parse(name));
    known
        .map(|(commands, snapshot)| Reader { commands, snapshot })
        .ok_or_else(|| "expected a server as in redis-6.2 or valkey-9.0, from redis-2.6 on".into())
}

/// Keys loaded between two looks at the progress bar.
const LOAD_STEP: usize = 1024;
/// Commands passed over that are told one by one.
const PASSED_TOLD: u64 = 10;

/// Databases of a log that nobody has said anything about.
const DATABASES: usize = 16;

/// The data that a log makes, as a snapshot in a temporary file without a name.
///
/// # Errors
/// A log that is damaged, or has what no engine of ours holds.
pub fn data_set(path: &Path) -> Result<fs::File, Failure> {
    let log = find(path)?;
    let mut player = Player::new(DATABASES);
    for file in &log.files {
        player.file(file)?;
    }
    let failed = |error: &io::Error| Failure::io("temporary file", error);
    let file = tempfile::tempfile().map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(file);
    player.write(&mut out, NewForm::Snapshot, None)?;
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Ok(file)
}

/// The files of a log whose manifest can be read.
fn find(path: &Path) -> Result<Log, Failure> {
    let log = Log::find(path)?;
    if let Some((manifest, damage)) = log
        .manifest
        .as_ref()
        .and_then(|m| Some((m, m.damage.as_ref()?)))
        && log.files.is_empty()
    {
        return Err(Failure::damage(
            &manifest.path.display().to_string(),
            damage,
        ));
    }
    Ok(log)
}

/// Rewrite the log that was named.
pub fn run(arguments: &RewriteArguments) -> Outcome {
    write(&arguments.new, None)
}

/// Write the data of an earlier moment.
pub fn restore(arguments: &RestoreArguments) -> Outcome {
    write(&arguments.new, Some(&arguments.until))
}

fn write(arguments: &NewLog, until: Option<&Until>) -> Outcome {
    let log = find(&arguments.path)?;
    let path = arguments.path.display();
    if matches!(until, Some(Until::Offset(_))) && log.files.len() > 1 {
        return Err(Failure::new(format!("{path}: an offset in a log of several files"))
            .hint("command:N counts the commands of all of them; `aof-tool dump` shows where they are"));
    }
    log.refuse_as_output(&arguments.output)?;
    // It exists only under a temporary name until all is written, and is opened first so that a
    // folder that cannot be written is known before the work.
    let mut out = Output::create(&arguments.output, &[])?;
    let mut player = Player::new(arguments.databases as usize);
    player.watch = until.cloned().map(Watch::new);
    for file in &log.files {
        player.file(file)?;
        if player.is_at_the_moment() {
            break;
        }
    }
    if let Some(missed) = player.watch.as_ref().and_then(Watch::missed) {
        return Err(
            Failure::new(format!("{path}: the moment is not in this log: {missed}"))
                .hint("nothing was written"),
        );
    }
    let keys = player.write(&mut out, arguments.form, arguments.to)?;
    out.finish()?;
    let commands = plural(player.commands, "command", "commands");
    note(&format!(
        "{}: {commands} became {}",
        arguments.path.display(),
        plural(keys, "key", "keys")
    ));
    if player.passed > PASSED_TOLD {
        note(&format!(
            "{} commands in all were passed over",
            count(player.passed)
        ));
    }
    Ok(Verdict::found_if(player.passed > 0))
}

/// An engine and what was played into it.
struct Player {
    engine: Engine,
    now: Now,
    /// The file that is played.
    name: String,
    commands: u64,
    /// Commands that no server logs, and that change no data.
    passed: u64,
    libraries: Libraries,
    /// Where the log ends for us.
    watch: Option<Watch>,
}

impl Player {
    fn new(databases: usize) -> Player {
        // The same seed each time, so that the same log gives the same bytes.
        let mut engine = Engine::new(databases, [1, 2, 3, 4], &[]);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = Now {
            wall_us: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            mono_us: 0,
        };
        engine.set_now(now);
        Player {
            engine,
            now,
            name: String::new(),
            commands: 0,
            passed: 0,
            libraries: Libraries::default(),
            watch: None,
        }
    }

    fn is_at_the_moment(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_reached)
    }

    /// Play one file of the log: its snapshot, then its commands.
    fn file(&mut self, file: &File) -> Result<(), Failure> {
        // A snapshot with libraries is read twice.
        let input = Input::open(&file.path)?.into_mapped()?;
        self.name = input.name().to_owned();
        let mut progress = Progress::bytes("replaying", input.len());
        match part::open(&input, self, &mut progress) {
            Ok((_, mut commands)) => self.replay(input.name(), &mut commands, &mut progress),
            Err(Problem::Failed(failure)) => Err(failure),
            Err(Problem::Damaged(error)) => Err(Failure::damage(input.name(), &error)),
        }
    }

    fn replay(
        &mut self,
        name: &str,
        reader: &mut impl Records,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let mut replay = Replay::begin(&mut self.engine, self.now, reader.offset());
        let mut world = Alone::at(self.now);
        let mut last = reader.offset();
        let mut taken = 0;
        while let Some(item) = reader.next_item().map_err(|e| damaged(name, &e))? {
            progress.at(item.offset);
            if let Some(watch) = &mut self.watch
                && watch.is_reached_before(&item)
            {
                break;
            }
            last = item.end();
            if self.libraries.take(&item) {
                taken += 1;
                continue;
            }
            let answer = replay.run(&mut self.engine, &mut world, &item);
            let answer = answer.map_err(|mut refused| {
                refused.number += taken;
                refusal(name, &refused)
            });
            if let Some(passed) = answer? {
                self.passed += 1;
                if self.passed <= PASSED_TOLD {
                    progress.note(&format!(
                        "{name}: offset {0} ({0:#x}): {passed}",
                        item.offset
                    ));
                }
            }
        }
        if replay.is_inside_transaction() && !self.is_at_the_moment() {
            let what =
                format!("the log ends at offset {last} inside a transaction that began here");
            return Err(damaged(
                name,
                &FormatError::new(Damage::AofTruncated, replay.valid_end(), what),
            ));
        }
        self.commands += replay.commands() + taken;
        replay.end(&mut self.engine);
        Ok(())
    }

    /// Write the data as a log; gives the number of keys.
    fn write(
        &mut self,
        out: &mut impl Write,
        form: NewForm,
        to: Option<Reader>,
    ) -> Result<u64, Failure> {
        let progress = Progress::line();
        let mut keys = 0;
        let mut told = |n: u64| {
            keys = n;
            if progress.is_shown() {
                progress.say(format!("writing key {}", count(n)));
            }
        };
        match form {
            NewForm::Commands => {
                let target = to.map_or(Release::NEWEST, |reader| reader.commands);
                self.libraries.write_commands(out, target)?;
                rewrite(&self.engine.ks, out, target, &mut told).map_err(rewrite_failure)?
            }
            NewForm::Snapshot => {
                let options = SaveOptions {
                    keys: true,
                    dialect: to.map_or_else(
                        || automatic_dialect(&self.engine.ks),
                        |reader| reader.snapshot,
                    ),
                    compress: true,
                    checksum: true,
                    aux: vec![
                        ("redis-ver", REDIS_VERSION.to_string()),
                        ("aof-base", "1".to_string()),
                    ],
                    idle: false,
                    freq: false,
                };
                if self.libraries.is_empty() {
                    save(&self.engine.ks, out, &options, false, &mut told)
                        .map_err(write_failure)?;
                } else {
                    let file = tempfile::tempfile()
                        .map_err(|error| Failure::io("temporary file", &error))?;
                    let file = BufWriter::new(file);
                    let file = save(&self.engine.ks, file, &options, false, &mut told)
                        .map_err(write_failure)?;
                    self.libraries.write_into(&mapped(file)?, out)?;
                }
            }
        }
        Ok(keys)
    }
}

/// A snapshot becomes keys of the engine.
impl Head for Player {
    fn slice(&mut self, log: &[u8], progress: &mut Progress) -> Result<Preamble, Problem> {
        match self.libraries.take_from(log)? {
            None => self.stream(log, progress).map(|(preamble, _, _)| preamble),
            Some((rest, preamble)) => {
                let (found, _, _) = self.stream(rest.reader(), progress)?;
                Ok(Preamble {
                    keys: found.keys,
                    ..preamble
                })
            }
        }
    }

    fn stream<R: Read>(
        &mut self,
        input: R,
        progress: &mut Progress,
    ) -> Result<(Preamble, Vec<u8>, R), Problem> {
        let ks = &mut self.engine.ks;
        // The commands behind it may still need keys whose time has come: these are kept.
        let failed = |error| unloaded(&self.name, error);
        let mut loader = Loader::new(input, ks.databases(), false, true).map_err(failed)?;
        while loader.step(ks, LOAD_STEP).map_err(failed)? != load::Progress::Done {
            progress.at(loader.offset());
        }
        let end = loader.offset();
        let (report, ahead, rest) = loader.finish();
        let keys = report.keys;
        Ok((Preamble { end, keys }, ahead, rest))
    }
}

fn damaged(name: &str, error: &FormatError) -> Failure {
    let failure = Failure::new(damage_line(name, error));
    match error.kind {
        Damage::Io => failure,
        _ => failure.hint(
            "nothing was written; `aof-tool check --fix` can cut a log where its valid part ends",
        ),
    }
}

fn unloaded(name: &str, error: LoadError) -> Problem {
    match error {
        LoadError::Damaged(error) => Problem::Damaged(error),
        unheld => Problem::Failed(Failure::new(format!("{name}: {unheld}"))),
    }
}

fn refusal(name: &str, refused: &Refused) -> Failure {
    Failure::new(format!("{name}: {refused}")).hint("nothing was written")
}

fn write_failure(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()).hint("nothing was written"),
    }
}

fn rewrite_failure(error: RewriteError) -> Failure {
    match error {
        RewriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()).hint("nothing was written"),
    }
}
