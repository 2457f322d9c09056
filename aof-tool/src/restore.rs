//! `aof-tool restore`: the data as it was at a moment of a log, all of it or some keys, as a new log, a snapshot, or into a living server.

use crate::archive;
use crate::divided::{Division, join};
use crate::halves::{Halves, both};
use crate::live::{self, Existing};
use crate::log::Log;
use crate::player::Player;
use crate::rewrite::{Making, NewLog, Reader, memory, reader, snapshot_of, tell, tell_of};
use crate::until::{Until, Watch};
use crate::walk::{Step, Visitor, walk};
use cairn_engine::keyspace::Expired;
use cairn_engine::persist::rewrite::of_record;
use cairn_format::aof::reader::SliceReader;
use cairn_format::rdb::object::TYPE_NAMES;
use cairn_format::text::number::parse_i64;
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::remote::Address;
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Outcome, Output, Selection, Verdict, note, select};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool restore`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool restore --range appendonlydir
  aof-tool restore --until before:FLUSHALL appendonlydir -o saved.aof
  aof-tool restore --until time:1795400892 --form snapshot appendonlydir -o dump.rdb
  aof-tool restore --until command:1200 --key 'user:*' --set-ttl shift --to redis://localhost appendonlydir
  aof-tool restore --without 'DEL user:*' appendonlydir -o undone.aof

The data as it was at that moment of the log, as `aof-tool rewrite` writes it. Commands are counted from 1 over all files; a time needs the annotations
of aof-timestamp-enabled; before:'SET user:*' matches words of commands as KEYS does, in any case, and what they begin with. A transaction that is
not whole at the moment is left out. --without leaves commands out that are like that; what builds on them and fails then is passed over.

Exit status: 0 written, 1 written, but commands were passed over, 2 not written: also where the moment is outside the log, or nothing is like what was
asked for.")]
pub struct RestoreArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// The new log: a file, - for standard output, or with --folder a folder
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Server that is to read it, as in redis-6.2, or the server or cluster that gets it: redis://user:password@host:port
    #[arg(long, value_name = "SERVER")]
    to: Option<String>,
    /// The moment: command:N, offset:N (of a log in one file), time:UNIX_SECONDS or before:'COMMAND GLOB'; without, the end
    #[arg(long, value_name = "MOMENT")]
    until: Option<Until>,
    /// Leave out commands that are like that
    #[arg(long, value_name = "COMMAND GLOB")]
    without: Vec<String>,
    /// What becomes of expiries: as they were, as much later as the moment is ago, or none
    #[arg(long, value_enum, default_value_t = SetTtl::Keep)]
    set_ttl: SetTtl,
    /// What becomes of keys that a living server has already
    #[arg(long, value_enum, default_value_t = Existing::Fail)]
    existing: Existing,
    /// Tell which moments can be restored
    #[arg(long, conflicts_with_all = ["output", "to", "until"])]
    range: bool,
    /// Play the log in parts, by key, so that its data takes no more memory than this: 1gb
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    #[command(flatten)]
    new: NewLog,
    #[command(flatten)]
    selection: Selection,
}

/// What becomes of expiries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SetTtl {
    /// As they were
    Keep,
    /// As much later as the moment is ago, so that what was left of each is left again
    Shift,
    /// None
    Drop,
}

/// Where the data goes.
enum Target<'a> {
    File(&'a Path, Option<Reader>),
    Server(Address),
}

/// Write the data of an earlier moment.
pub fn run(arguments: &RestoreArguments) -> Outcome {
    let of_time = match &arguments.until {
        Some(Until::Time(second)) => archive::of_time(&arguments.path, *second),
        _ => None,
    };
    let log = Log::find_sound(of_time.as_ref().unwrap_or(&arguments.path))?;
    if arguments.range {
        return range(&log, &arguments.path);
    }
    let path = arguments.path.display();
    if matches!(arguments.until, Some(Until::Offset(_))) && log.files.len() > 1 {
        return Err(Failure::new(format!("{path}: an offset in a log of several files"))
            .hint("command:N counts the commands of all of them; `aof-tool dump` shows where they are"));
    }
    let target = arguments.target()?;
    let making = match &target {
        Target::File(output, _) => {
            log.refuse_as_output(output)?;
            Some(arguments.new.create(output)?)
        }
        Target::Server(_) => None,
    };
    if let Some(limit) = arguments.memory {
        return arguments.in_parts(&log, limit, target, making);
    }
    if let Some(mut halves) = Halves::play(&log, &|| arguments.player()) {
        let verdict = arguments.keep_halves(&mut halves, target, making)?;
        halves.leave();
        return Ok(verdict);
    }
    let player = arguments.play(&log)?;
    let keys = match (target, making) {
        (Target::File(_, to), Some(making)) => arguments.new.finish(making, &player, to)?,
        (Target::Server(address), _) => {
            let snapshot = Input::of_file(snapshot_of(&player, None)?, "temporary file")?;
            live::send(&snapshot, &address, arguments.existing)?
        }
        (Target::File(..), None) => 0,
    };
    arguments.tell_left_out(player.left_out);
    let verdict = tell(&arguments.path, &player, keys);
    player.leave();
    Ok(verdict)
}

impl RestoreArguments {
    fn target(&self) -> Result<Target<'_>, Failure> {
        let address = self
            .to
            .as_deref()
            .map(Address::parse)
            .transpose()?
            .flatten();
        match (address, &self.output, &self.to) {
            (Some(_), Some(_), _) => Err(Failure::new(
                "--output and the address of a server: one of them",
            )),
            (Some(address), None, _) => Ok(Target::Server(address)),
            (None, None, _) => Err(
                Failure::new("expected --output OUT or --to redis://host:port")
                    .hint("--range tells which moments there are"),
            ),
            (None, Some(output), to) => {
                let to = to.as_deref().map(reader).transpose();
                let to = to.map_err(|error| Failure::new(format!("--to: {error}")))?;
                Ok(Target::File(output, to))
            }
        }
    }

    fn tell_left_out(&self, left_out: u64) {
        if left_out > 0 {
            let path = self.path.display();
            let commands = plural(left_out, "command was", "commands were");
            note(&format!("{path}: {commands} left out"));
        }
    }

    fn missing(&self, what: &str) -> Failure {
        let path = self.path.display();
        Failure::new(format!("{path}: {what}")).hint("nothing was written")
    }

    /// The data of the moment, with what is not wanted of it gone.
    fn play(&self, log: &Log) -> Result<Player, Failure> {
        let mut player = self.player();
        player.play(log)?;
        let found = self.prepare(&mut player)?;
        self.refuse_nothing(found)?;
        Ok(player)
    }

    /// The same in parts.
    fn in_parts(
        &self,
        log: &Log,
        limit: u64,
        target: Target<'_>,
        making: Option<Making>,
    ) -> Outcome {
        let division = Division {
            path: &self.path,
            log,
            limit,
            make: &|| self.player(),
        };
        let mut has_any = false;
        let mut prepare = |player: &mut Player| {
            has_any |= self.prepare(player)?;
            Ok(())
        };
        let (keys, played) = match (target, making) {
            (Target::File(_, to), Some(mut making)) => {
                let Some(out) = &mut making.out else {
                    return Ok(Verdict::Fine);
                };
                let written = self.new.write_parts(&division, out, to, &mut prepare)?;
                self.refuse_nothing(has_any)?;
                self.new.keep(making)?;
                written
            }
            (Target::Server(address), _) => {
                let (snapshots, played) = division.snapshots(None, &mut prepare)?;
                self.refuse_nothing(has_any)?;
                let whole = self.whole(|out| join(&snapshots, out))?;
                (live::send(&whole, &address, self.existing)?, played)
            }
            (Target::File(..), None) => return Ok(Verdict::Fine),
        };
        self.tell_left_out(played.left_out);
        Ok(tell_of(&self.path, &played, keys))
    }

    /// The data of two players to where it goes.
    fn keep_halves(
        &self,
        halves: &mut Halves,
        target: Target<'_>,
        making: Option<Making>,
    ) -> Outcome {
        let mut has_any = false;
        for found in both(&mut halves.players, |player| self.prepare(player)) {
            has_any |= found?;
        }
        self.refuse_nothing(has_any)?;
        let keys = match (target, making) {
            (Target::File(_, to), Some(making)) => self.new.finish_halves(making, halves, to)?,
            (Target::Server(address), _) => {
                let whole = self.whole(|out| halves.write_snapshot(out, None))?;
                live::send(&whole, &address, self.existing)?
            }
            (Target::File(..), None) => 0,
        };
        self.tell_left_out(halves.played.left_out);
        Ok(tell_of(&self.path, &halves.played, keys))
    }

    /// What `write` writes, to be sent.
    fn whole(
        &self,
        write: impl FnOnce(&mut Output) -> Result<u64, Failure>,
    ) -> Result<Input, Failure> {
        let mut whole = Output::temporary()?;
        write(&mut whole)?;
        let whole = whole.read_back()?;
        whole.ok_or_else(|| self.missing("its parts cannot be read again"))
    }

    fn player(&self) -> Player {
        let mut player = Player::new(self.new.databases as usize);
        let end = Until::Command(u64::MAX);
        player.watch = Some(Watch::new(self.until.clone().unwrap_or(end)));
        let without = self.without.iter();
        player.without = without.map(|glob| glob.clone().into_bytes()).collect();
        player
    }

    fn refuse_nothing(&self, found: bool) -> Result<(), Failure> {
        match found {
            true => Ok(()),
            false => Err(self.missing("at this moment there is no key that was asked for")),
        }
    }

    /// Removes what is not wanted of what was played; whether there is anything of what was asked for.
    fn prepare(&self, player: &mut Player) -> Result<bool, Failure> {
        let missed = player.watch.as_ref().and_then(Watch::missed);
        if let (Some(missed), true) = (missed, self.until.is_some()) {
            return Err(self.missing(&format!("the moment is not in this log: {missed}")));
        }
        if !self.without.is_empty() && player.left_out == 0 {
            return Err(self.missing("no command before the moment is like what --without says"));
        }
        let found = self.selection.is_all()
            || select_keys(player, &self.selection) > 0
            || self.selection.asks_for_functions() && !player.engine.ks.libraries.is_empty();
        match self.set_ttl {
            SetTtl::Keep => {}
            SetTtl::Drop => change_expiries(player, &|_| None),
            SetTtl::Shift => {
                let then = player.watch.as_ref().and_then(Watch::time);
                let then = then.ok_or_else(|| {
                    self.missing("--set-ttl shift: the log has no timestamp before the moment")
                })?;
                let shift = now_ms().saturating_sub(then.saturating_mul(1000));
                change_expiries(player, &|at| Some(at.saturating_add(shift)));
            }
        }
        Ok(found)
    }
}

/// Removes what was not asked for; gives how many keys are left.
fn select_keys(player: &mut Player, selection: &Selection) -> u64 {
    let ks = &mut player.engine.ks;
    let mut left = 0;
    for db in 0..ks.databases() {
        let mut unwanted = Vec::new();
        for record in ks.database(db).iter() {
            let commands = of_record(record);
            let kind = cairn_engine::value::kind_of(record.tag()).name();
            let taken = selection.takes(&select::Item {
                key: record.key(),
                type_name: TYPE_NAMES.iter().find(|name| **name == kind).unwrap_or(&""),
                db: db as u64,
                expire_ms: record.expire(),
                bytes: commands.len() as u64,
                idle_s: None,
            });
            match taken {
                true => left += 1,
                false => unwanted.push(record.key().to_vec()),
            }
        }
        ks.select(db);
        for key in unwanted {
            ks.delete(&key);
        }
    }
    player.raw.retain(|db, key, expire_ms, bytes| {
        let item = select::Item {
            key,
            type_name: "module",
            db,
            expire_ms,
            bytes,
            idle_s: None,
        };
        selection.takes(&item)
    });
    left += player.raw.len();
    if !selection.takes_functions() {
        player.engine.ks.libraries.flush();
    }
    left
}

/// Gives all keys and fields that expire another time, or none.
fn change_expiries(player: &mut Player, new: &dyn Fn(i64) -> Option<i64>) {
    player.raw.change_expiries(new);
    let ks = &mut player.engine.ks;
    // What had not expired at the moment has by now, perhaps.
    ks.expired = Expired::Stays;
    let mut fields = Vec::new();
    for db in 0..ks.databases() {
        let (mut keys, mut any_fields) = (Vec::new(), false);
        for record in ks.database(db).iter() {
            if let Some(at) = record.expire() {
                keys.push((record.key().to_vec(), at));
            }
            field_expiries(&of_record(record), |key, field, at| {
                if !any_fields {
                    fields.push(words(&["SELECT", &db.to_string()]));
                    any_fields = true;
                }
                fields.push(change_of_field(key, field, new(at)));
            });
        }
        ks.select(db);
        for (key, at) in keys {
            if let Some(slot) = ks.peek_quietly(&key) {
                ks.set_expire(slot, new(at));
            }
        }
    }
    player.run_all(&fields);
}

type Words = Vec<Vec<u8>>;

fn words(text: &[&str]) -> Words {
    text.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn change_of_field(key: &[u8], field: &[u8], at: Option<i64>) -> Words {
    let mut command = match at {
        Some(at) => vec![
            b"HPEXPIREAT".to_vec(),
            key.to_vec(),
            at.to_string().into_bytes(),
        ],
        None => vec![b"HPERSIST".to_vec(), key.to_vec()],
    };
    command.extend([b"FIELDS".to_vec(), b"1".to_vec(), field.to_vec()]);
    command
}

/// The expiries of fields among the commands that make a value.
fn field_expiries(commands: &[u8], mut each: impl FnMut(&[u8], &[u8], i64)) {
    let mut reader = SliceReader::new(commands, 0);
    while let Ok(Some(item)) = reader.next_item() {
        if item.arg(0) != Some(b"HPEXPIREAT") {
            continue;
        }
        if let (Some(key), Some(at), Some(field)) =
            (item.arg(1), item.arg(2).and_then(parse_i64), item.arg(5))
        {
            each(key, field, at);
        }
    }
}

/// Which moments there are.
#[derive(Default)]
struct Moments {
    keys: Option<u64>,
    commands: u64,
    first: Option<i64>,
    last: Option<i64>,
    end: u64,
}

impl Visitor for Moments {
    fn preamble(&mut self, _: &Input, preamble: crate::part::Preamble) -> Result<(), Failure> {
        self.keys = Some(preamble.keys);
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        self.commands = step.number;
        self.first = self.first.or(step.second);
        self.last = step.second.or(self.last);
        self.end = step.item.end();
        Ok(())
    }
}

fn range(log: &Log, path: &Path) -> Outcome {
    let mut moments = Moments::default();
    let found = walk(log, "looking", &mut moments)?;
    let mut out = Output::stdout();
    let name = path.display();
    let begin = match moments.keys {
        Some(keys) => format!("a snapshot of {}", plural(keys, "key", "keys")),
        None => "nothing".to_owned(),
    };
    writeln!(
        out,
        "{name}: command:0 ({begin}) to command:{}",
        moments.commands
    )?;
    if log.files.len() == 1 {
        writeln!(out, "{name}: offset:0 to offset:{}", moments.end)?;
    }
    match (moments.first, moments.last) {
        (Some(first), Some(last)) => writeln!(out, "{name}: time:{first} to time:{last}")?,
        _ => writeln!(
            out,
            "{name}: no times ({} commands)",
            count(moments.commands)
        )?,
    }
    out.finish()?;
    Ok(Verdict::found_if(found))
}
