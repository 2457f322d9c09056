//! `aof-tool rewrite`: the log played into an engine, and what is then there written as a new log.
//!
//! No server runs and no clock ticks: the whole log is replayed at the moment of the start, nothing
//! expires meanwhile, and a key whose time has come is written with its expiry, as servers do it.

use crate::convert::file_name;
use crate::divided::{Division, Played, join};
use crate::halves::Halves;
use crate::log::Log;
use crate::player::{PASSED_TOLD, Player};
use crate::raw::{mapped, unwritten};
use cairn_engine::commands::connection::REDIS_VERSION;
use cairn_engine::persist::rewrite::{RewriteError, rewrite};
use cairn_engine::persist::save::{self, SaveOptions, automatic_dialect, save};
use cairn_format::aof::manifest::{Part, PartType, base_name};
use cairn_format::aof::release::Release;
use cairn_format::rdb::Dialect;
use cairn_toolkit::folder::{Folder, PREFIX};
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::select::bytes;
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
  aof-tool rewrite --memory 1gb huge.aof -o compact.aof
  aof-tool rewrite old.aof -o - | redis-cli --pipe

Nothing is written if the log is damaged, or a command of it is unknown to the engine or refused by it; function libraries are carried through. A server takes the new log as its
appendonly.aof, or as the base of a folder.

Exit status: 0 written, 1 written, but commands that change no data were passed over, 2 not written.")]
pub struct RewriteArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// The new log: a file, - for standard output, or with --folder a folder
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Server that is to read it, as in redis-6.2; without, the oldest that the data allows from Redis 7.0 (commands) or 7.2
    /// (snapshot) on
    #[arg(long, value_name = "SERVER", value_parser = reader)]
    to: Option<Reader>,
    /// Play the log in parts, by key, so that its data takes no more memory than this: 1gb
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    #[command(flatten)]
    new: NewLog,
}

/// Reads a size of memory.
pub fn memory(text: &str) -> Result<u64, String> {
    let known = bytes(text).filter(|size| *size > 0);
    known.ok_or_else(|| "expected a size as in 1gb".to_owned())
}

#[derive(Args, Debug)]
#[allow(missing_docs, reason = "it would become the text about the commands")]
pub struct NewLog {
    /// Form of the new log
    #[arg(long, value_enum, default_value_t = NewForm::Commands)]
    form: NewForm,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Write a folder in parts, with the new log as its base
    #[arg(long)]
    folder: bool,
    /// What the files of the folder are called (appendfilename)
    #[arg(long, default_value = PREFIX, value_name = "NAME", value_parser = file_name)]
    name: String,
    /// Databases of the server
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub databases: u32,
}

/// Form of a new log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NewForm {
    /// The commands that make the data
    Commands,
    /// A snapshot; smaller and faster to load
    Snapshot,
}

/// Who is to read the new log, in either form.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    commands: Release,
    pub snapshot: Dialect,
}

/// Reads the name of a server.
pub fn reader(name: &str) -> Result<Reader, String> {
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
    snapshot_of(&player, None)
}

/// What `player` has, as a snapshot in a temporary file without a name.
pub fn snapshot_of(player: &Player, to: Option<Reader>) -> Result<fs::File, Failure> {
    let (file, _) = temporary(|out| write_data(player, out, NewForm::Snapshot, to))?;
    Ok(file)
}

/// What `write` writes, in a temporary file without a name, and what it gives.
pub fn temporary<T>(
    write: impl FnOnce(&mut BufWriter<fs::File>) -> Result<T, Failure>,
) -> Result<(fs::File, T), Failure> {
    let failed = |error: &io::Error| Failure::io("temporary file", error);
    let file = tempfile::tempfile().map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(file);
    let given = write(&mut out)?;
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Ok((file, given))
}

/// Rewrite the log that was named.
pub fn run(arguments: &RewriteArguments) -> Outcome {
    let (new, path) = (&arguments.new, &arguments.path);
    let log = Log::find_sound(path)?;
    log.refuse_as_output(&arguments.output)?;
    // It exists only under a temporary name until all is written, and is opened first so that a
    // folder that cannot be written is known before the work.
    let out = new.create(&arguments.output)?;
    if let Some(limit) = arguments.memory {
        return in_parts(arguments, &log, limit, out);
    }
    let make = || Player::new(new.databases as usize);
    if let Some(mut halves) = Halves::play(&log, &make) {
        let keys = new.finish_halves(out, &mut halves, arguments.to)?;
        let verdict = tell_of(path, &halves.played, keys);
        halves.leave();
        return Ok(verdict);
    }
    let mut player = make();
    player.play(&log)?;
    let keys = new.finish(out, &player, arguments.to)?;
    let verdict = tell(path, &player, keys);
    player.leave();
    Ok(verdict)
}

/// Plays one part after the other; the parts behind each other are the whole.
fn in_parts(arguments: &RewriteArguments, log: &Log, limit: u64, mut making: Making) -> Outcome {
    let (new, to) = (&arguments.new, arguments.to);
    let division = Division {
        path: &arguments.path,
        log,
        limit,
        make: &|| Player::new(new.databases as usize),
    };
    let Some(out) = &mut making.out else {
        return Ok(Verdict::Fine);
    };
    let (keys, played) = new.write_parts(&division, out, to, &mut |_| Ok(()))?;
    new.keep(making)?;
    Ok(tell_of(&arguments.path, &played, keys))
}

/// Says what became of the log.
pub fn tell(path: &Path, player: &Player, keys: u64) -> Verdict {
    let mut played = Played::default();
    played.add(player);
    tell_of(path, &played, keys)
}

/// The same of several players.
pub fn tell_of(path: &Path, played: &Played, keys: u64) -> Verdict {
    let passed = played.passed;
    let commands = plural(played.commands, "command", "commands");
    let keys = plural(keys, "key", "keys");
    note(&format!("{}: {commands} became {keys}", path.display()));
    if passed > PASSED_TOLD {
        note(&format!(
            "{} commands in all were passed over",
            count(passed)
        ));
    }
    Verdict::found_if(passed > 0)
}

/// A new log under way; one that is given up leaves nothing.
pub struct Making {
    /// The new log, or the base of a folder.
    pub out: Option<Output>,
    folder: Option<Folder>,
}

impl Drop for Making {
    fn drop(&mut self) {
        self.out = None;
        if let Some(folder) = &self.folder {
            folder.abandon();
        }
    }
}

impl NewLog {
    /// Opens the output.
    pub fn create(&self, output: &Path) -> Result<Making, Failure> {
        let mut making = Making {
            out: None,
            folder: None,
        };
        making.out = Some(match self.folder {
            false => {
                Output::refuse_existing(output, self.force)?;
                Output::create(output, &[])?
            }
            true => {
                let folder = making.folder.insert(Folder::create(output, &self.name)?);
                Output::create(&folder.part(&self.base()), &[])?
            }
        });
        Ok(making)
    }

    fn base(&self) -> Part {
        let is_snapshot = self.form == NewForm::Snapshot;
        Part::new(base_name(&self.name, 1, is_snapshot), 1, PartType::Base)
    }

    /// Writes what `player` has, and gives it its name; gives the number of keys.
    pub fn finish(
        &self,
        mut making: Making,
        player: &Player,
        to: Option<Reader>,
    ) -> Result<u64, Failure> {
        let Some(mut out) = making.out.take() else {
            return Ok(0);
        };
        let keys = write_data(player, &mut out, self.form, to)?;
        making.out = Some(out);
        self.keep(making)?;
        Ok(keys)
    }

    /// The same of two halves.
    pub fn finish_halves(
        &self,
        mut making: Making,
        halves: &mut Halves,
        to: Option<Reader>,
    ) -> Result<u64, Failure> {
        let Some(out) = &mut making.out else {
            return Ok(0);
        };
        let keys = match self.form {
            NewForm::Snapshot => halves.write_snapshot(out, to)?,
            NewForm::Commands => halves.write_commands(out, to)?,
        };
        self.keep(making)?;
        Ok(keys)
    }

    /// Writes a log that is played in parts, each of which `prepare` is handed before; gives the number of keys.
    pub fn write_parts(
        &self,
        division: &Division<'_>,
        out: &mut Output,
        to: Option<Reader>,
        prepare: &mut dyn FnMut(&mut Player) -> Result<(), Failure>,
    ) -> Result<(u64, Played), Failure> {
        if self.form == NewForm::Snapshot {
            let (snapshots, played) = division.snapshots(to, prepare)?;
            return Ok((join(&snapshots, out)?, played));
        }
        let mut keys = 0;
        let played = division.play(&mut |player| {
            prepare(player)?;
            keys += write_data(player, out, self.form, to)?;
            Ok(())
        })?;
        Ok((keys, played))
    }

    /// Gives what was written its name.
    pub fn keep(&self, mut making: Making) -> Result<(), Failure> {
        making.out.take().map_or(Ok(()), Output::finish)?;
        match &making.folder {
            Some(folder) => folder.finish(self.base()),
            None => Ok(()),
        }
    }
}

/// Write the data of `player` as a log; gives the number of keys.
pub fn write_data(
    player: &Player,
    out: &mut impl Write,
    form: NewForm,
    to: Option<Reader>,
) -> Result<u64, Failure> {
    let progress = Progress::line();
    let mut keys = 0;
    let mut told = |n: u64| {
        keys = n;
        say_keys(&progress, n);
    };
    match form {
        NewForm::Commands => {
            let target = to.map_or(Release::NEWEST, |reader| reader.commands);
            rewrite(&player.engine.ks, out, target, &mut told).map_err(rewrite_failure)?;
            player.raw.write_commands(out, target)?;
        }
        NewForm::Snapshot => {
            let dialect = to.map_or_else(
                || automatic_dialect(&player.engine.ks),
                |reader| reader.snapshot,
            );
            let options = save_options(dialect);
            if player.raw.is_empty() {
                save(&player.engine.ks, out, &options, false, &mut told).map_err(unwritten)?;
            } else {
                let file =
                    tempfile::tempfile().map_err(|error| Failure::io("temporary file", &error))?;
                let file = BufWriter::new(file);
                let file =
                    save(&player.engine.ks, file, &options, false, &mut told).map_err(unwritten)?;
                player.raw.write_behind(&mapped(file)?, out)?;
            }
        }
    }
    Ok(keys + player.raw.len())
}

/// How a snapshot is written that is the base of a log.
pub fn save_options(dialect: Dialect) -> SaveOptions {
    SaveOptions {
        part: save::Part::Everything,
        dialect,
        compress: true,
        checksum: true,
        aux: vec![
            ("redis-ver", REDIS_VERSION.to_string()),
            ("aof-base", "1".to_string()),
        ],
        idle: false,
        freq: false,
    }
}

/// Shows how many keys are written.
pub fn say_keys(progress: &Progress, keys: u64) {
    if progress.is_shown() {
        progress.say(format!("writing key {}", count(keys)));
    }
}

fn rewrite_failure(error: RewriteError) -> Failure {
    match error {
        RewriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()).hint("nothing was written"),
    }
}
