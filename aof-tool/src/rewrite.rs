//! `aof-tool rewrite`: the log played into an engine, and what is then there written as a new log.
//!
//! No server runs and no clock ticks: the whole log is replayed at the moment of the start, nothing
//! expires meanwhile, and a key whose time has come is written with its expiry, as servers do it.

use crate::libraries::mapped;
use crate::log::Log;
use crate::player::{PASSED_TOLD, Player};
use crate::until::{Until, Watch};
use cairn_engine::commands::connection::REDIS_VERSION;
use cairn_engine::persist::rewrite::{RewriteError, rewrite};
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use cairn_format::aof::release::Release;
use cairn_format::rdb::Dialect;
use cairn_format::rdb::writer::WriteError;
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::{Failure, Outcome, Output, Progress, Verdict, note};
use clap::{Args, ValueEnum};
use std::fs;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

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

/// Databases of a log that nobody has said anything about.
pub const DATABASES: usize = 16;

/// Bytes and keys of the log that a rewrite would write: the shorter form, as a snapshot.
pub fn measure(log: &Log) -> Result<(u64, u64), Failure> {
    let mut player = Player::new(DATABASES);
    player.play(log)?;
    let mut out = Counter(0);
    let keys = write_data(&player, &mut out, NewForm::Snapshot, None)?;
    Ok((out.0, keys))
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The data that a log makes, as a snapshot in a temporary file without a name.
///
/// # Errors
/// A log that is damaged, or has what no engine of ours holds.
pub fn data_set(path: &Path) -> Result<fs::File, Failure> {
    let log = Log::find_sound(path)?;
    let mut player = Player::new(DATABASES);
    player.play(&log)?;
    let failed = |error: &io::Error| Failure::io("temporary file", error);
    let file = tempfile::tempfile().map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(file);
    write_data(&player, &mut out, NewForm::Snapshot, None)?;
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Ok(file)
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
    let log = Log::find_sound(&arguments.path)?;
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
    player.play(&log)?;
    if let Some(missed) = player.watch.as_ref().and_then(Watch::missed) {
        return Err(
            Failure::new(format!("{path}: the moment is not in this log: {missed}"))
                .hint("nothing was written"),
        );
    }
    let keys = write_data(&player, &mut out, arguments.form, arguments.to)?;
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

/// Write the data of `player` as a log; gives the number of keys.
fn write_data(
    player: &Player,
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
            player.libraries.write_commands(out, target)?;
            rewrite(&player.engine.ks, out, target, &mut told).map_err(rewrite_failure)?
        }
        NewForm::Snapshot => {
            let options = SaveOptions {
                keys: true,
                dialect: to.map_or_else(
                    || automatic_dialect(&player.engine.ks),
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
            if player.libraries.is_empty() {
                save(&player.engine.ks, out, &options, false, &mut told).map_err(write_failure)?;
            } else {
                let file =
                    tempfile::tempfile().map_err(|error| Failure::io("temporary file", &error))?;
                let file = BufWriter::new(file);
                let file = save(&player.engine.ks, file, &options, false, &mut told)
                    .map_err(write_failure)?;
                player.libraries.write_into(&mapped(file)?, out)?;
            }
        }
    }
    Ok(keys)
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
