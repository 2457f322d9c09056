//! A log played into an engine: no server runs and no clock ticks, nothing expires.

use crate::ahead::Ahead;
use crate::convert::DAMAGED;
use crate::gauge::Gauge;
use crate::judge::Judge;
use crate::log::{File, Log};
use crate::part::{self, Commands, Head, Preamble, Problem};
use crate::partition::{Parts, Whose, own_keys, reaches_beyond};
use crate::raw::{RawKeys, Taken};
use crate::until::{Watch, is_like};
use crate::walk::Place;
use cairn_engine::Engine;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::persist::load::{self, LoadError, Loader};
use cairn_engine::replay::{Refused, Replay, Why};
use cairn_format::aof::reader::{Item, Records, SliceReader};
use cairn_format::error::{Damage, FormatError};
use cairn_format::resp::value::write_command;
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Progress};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The same seed each time, so that the same log gives the same bytes.
const SEED: [u64; 4] = [1, 2, 3, 4];
/// Keys loaded between two looks at the progress bar.
const LOAD_STEP: usize = 1024;
/// Commands passed over that are told one by one.
pub const PASSED_TOLD: u64 = 10;

/// An engine and what was played into it.
pub struct Player {
    pub engine: Engine,
    now: Now,
    /// The file that is played.
    name: String,
    /// Commands that were played.
    pub commands: u64,
    /// What there is to tell, each with the number of its command, where it is not told at once.
    pub notes: Option<Vec<(u64, String)>>,
    /// Commands that no server logs, and that change no data.
    pub passed: u64,
    /// The keys of modules.
    pub raw: RawKeys,
    /// Where the log ends for us.
    pub watch: Option<Watch>,
    /// Commands like these are left out.
    pub without: Vec<Vec<u8>>,
    /// How many were.
    pub left_out: u64,
    /// Only the keys of one part are played.
    pub parts: Option<Parts>,
    /// As soon as it is true, the play is of no use any more and ends with an error that nobody is told.
    pub is_useless: Option<Arc<AtomicBool>>,
    /// What it may take.
    pub gauge: Option<Gauge>,
    /// Hears of what is refused, where that is to end nothing.
    pub judge: Option<Judge>,
}

impl Player {
    /// Nothing yet.
    pub fn new(databases: usize) -> Player {
        let mut engine = Engine::new(databases, SEED, &[]);
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
            notes: None,
            passed: 0,
            raw: RawKeys::default(),
            watch: None,
            without: Vec::new(),
            left_out: 0,
            parts: None,
            is_useless: None,
            gauge: None,
            judge: None,
        }
    }

    /// Runs commands behind the log; what they answer is of no interest.
    pub fn run_all(&mut self, commands: &[Vec<Vec<u8>>]) {
        let mut bytes = Vec::new();
        for words in commands {
            write_command(&mut bytes, words);
        }
        let mut replay = Replay::begin(&mut self.engine, self.now, 0);
        let mut world = Alone::at(self.now);
        let mut reader = SliceReader::new(&bytes, 0);
        while let Ok(Some(item)) = reader.next_item() {
            let _ = replay.run(&mut self.engine, &mut world, &item);
        }
        replay.end(&mut self.engine);
    }

    /// The work is done and the process about to end: the system takes the memory back at once, where freeing value by value takes as long as a
    /// tenth of the work.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    fn is_at_the_moment(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_reached)
    }

    /// Whether a part took more memory than it may, and its play was ended there.
    pub fn is_over_limit(&self) -> bool {
        self.gauge.as_ref().is_some_and(Gauge::is_over)
    }

    fn refuse_over_limit(&mut self, item: &Item<'_>) -> Result<(), Failure> {
        let Some(gauge) = &mut self.gauge else {
            return Ok(());
        };
        let longest = item.args().map(<[u8]>::len).max().unwrap_or(0);
        match gauge.is_over_with(longest) || gauge.is_over_at(item.end()) {
            true => Err(over_limit()),
            false => Ok(()),
        }
    }

    /// Keys of other parts that came with those of this one go.
    fn drop_others(&mut self) {
        let Some(parts) = &self.parts else {
            return;
        };
        self.raw.retain(|_, key, _, _| parts.has(key));
        let ks = &mut self.engine.ks;
        for db in 0..ks.databases() {
            let others = ks
                .database(db)
                .iter()
                .filter(|record| !parts.has(record.key()));
            let others: Vec<Vec<u8>> = others.map(|record| record.key().to_vec()).collect();
            ks.select(db);
            for key in others {
                ks.delete(&key);
            }
        }
    }

    /// Play a log, as far as the moment that is watched for.
    pub fn play(&mut self, log: &Log) -> Result<(), Failure> {
        for file in &log.files {
            self.file(file)?;
            if self.is_at_the_moment() {
                break;
            }
        }
        self.drop_others();
        if let Some(gauge) = &mut self.gauge {
            gauge.look();
        }
        Ok(())
    }

    /// Play one file of the log: its snapshot, then its commands.
    fn file(&mut self, file: &File) -> Result<(), Failure> {
        // A snapshot with keys of modules is read twice.
        self.input(&Input::open(&file.path)?.into_mapped()?)
    }

    /// The same of one that is mapped.
    pub fn input(&mut self, input: &Input) -> Result<(), Failure> {
        self.name = input.name().to_owned();
        let is_first = self.parts.as_ref().is_none_or(Parts::is_first);
        let mut progress = match is_first || self.notes.is_none() {
            true => Progress::bytes("replaying", input.len()),
            // The other half shows how far it is.
            false => Progress::silent(),
        };
        match part::open(input, self, &mut progress) {
            Ok((_, commands)) => self.replay(input, commands, &mut progress),
            Err(Problem::Failed(failure)) => Err(failure),
            Err(Problem::Damaged(error)) => Err(Failure::damage(input.name(), &error)),
        }
    }

    fn replay(
        &mut self,
        input: &Input,
        commands: Commands<'_>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let name = input.name();
        let mut scene = Scene {
            replay: Replay::begin(&mut self.engine, self.now, commands.offset()),
            world: Alone::at(self.now),
            last: commands.offset(),
            taken: 0,
            place: Place::default(),
        };
        let mut ahead = Ahead::of(commands);
        let mut goes_on = true;
        while goes_on {
            let is_useless = self.is_useless.as_ref();
            if is_useless.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Err(Failure::new(format!("{name}: played in vain")));
            }
            let coming = ahead.next(&self.engine, scene.place.db, &mut self.parts);
            let coming = coming.map_err(|error| damaged(name, &error))?;
            goes_on = !coming.is_empty();
            for next in coming {
                progress.at(next.item.offset);
                if let Some(watch) = &mut self.watch
                    && watch.is_reached_before(&next.item)
                {
                    goes_on = false;
                    break;
                }
                scene.last = next.item.end();
                input.passed(next.item.offset);
                next.hint(&mut self.engine);
                self.record(&mut scene, &next.item, next.whose, progress)?;
            }
        }
        let Scene { replay, last, .. } = scene;
        if replay.is_inside_transaction() && !self.is_at_the_moment() {
            let what =
                format!("the log ends at offset {last} inside a transaction that began here");
            return Err(damaged(
                name,
                &FormatError::new(Damage::AofTruncated, replay.valid_end(), what),
            ));
        }
        self.commands += replay.commands() + scene.taken;
        replay.end(&mut self.engine);
        Ok(())
    }

    /// Plays a record, unless it is another's or left out.
    fn record(
        &mut self,
        scene: &mut Scene,
        item: &Item<'_>,
        whose: Whose,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        if let Some(judge) = &mut self.judge {
            judge.look_at(item, &self.engine.ks.libraries);
        }
        if self.judge.is_none()
            && self.parts.is_some()
            && let Some(what) = reaches_beyond(item)
        {
            return Err(self.unplayable(scene, item, what));
        }
        if item.argc() > 0 && self.without.iter().any(|pattern| is_like(item, pattern)) {
            self.left_out += 1;
            scene.taken += 1;
            return Ok(());
        }
        let Whose::Own { tells } = whose else {
            scene.taken += 1;
            return Ok(());
        };
        scene.place.take(item);
        self.refuse_over_limit(item)?;
        match self.raw.take(item, scene.place.db) {
            Taken::No => {}
            Taken::Done => {
                scene.taken += 1;
                return Ok(());
            }
            Taken::Refused(what) => return Err(self.unplayable(scene, item, &what)),
        }
        let passed = self.run(scene, item)?;
        if let Some(passed) = passed.filter(|_| tells) {
            self.passed += 1;
            if self.passed <= PASSED_TOLD {
                let line = format!("{0}: offset {1} ({1:#x}): {passed}", self.name, item.offset);
                match &mut self.notes {
                    None => progress.note(&line),
                    Some(notes) => notes.push((self.commands + scene.number(), line)),
                }
            }
        }
        Ok(())
    }

    /// A command that ends the play.
    fn unplayable(&self, scene: &Scene, item: &Item<'_>, what: &str) -> Failure {
        let (name, at, number) = (&self.name, item.offset, scene.number() + 1);
        let line = format!("{name}: offset {at} ({at:#x}): command {number}, {what}");
        Failure::new(line).hint("nothing was written")
    }

    /// Runs a command; gives what is to be told of it.
    fn run(&mut self, scene: &mut Scene, item: &Item<'_>) -> Result<Option<String>, Failure> {
        let answer = scene.replay.run(&mut self.engine, &mut scene.world, item);
        let answer = answer.map_err(|mut refused| {
            refused.number += scene.taken;
            refused
        });
        match answer {
            Ok(passed) => Ok(passed),
            // What built on a command that was left out may fail, as it would with a client.
            Err(Refused {
                why: Why::Answer(error),
                number,
                command,
                ..
            }) if self.left_out > 0 => Ok(Some(format!(
                "command {number}, {command}, is passed over: {error}"
            ))),
            Err(refused) if refused.why == Why::Unknown && administers(item) => Ok(Some(format!(
                "{} is passed over, which changes no data",
                refused.command
            ))),
            Err(refused) => match &mut self.judge {
                Some(judge) => {
                    judge.refused(refused, item.end());
                    Ok(None)
                }
                None => Err(refusal(&self.name, &refused)),
            },
        }
    }
}

/// A file that is played.
struct Scene {
    replay: Replay,
    world: Alone,
    /// Offset behind the last record.
    last: u64,
    /// Commands that the engine did not run.
    taken: u64,
    place: Place,
}

impl Scene {
    /// Commands of the file so far.
    fn number(&self) -> u64 {
        self.replay.commands() + self.taken
    }
}

/// A snapshot becomes keys of the engine.
impl Head for Player {
    fn slice(
        &mut self,
        log: &[u8],
        _input: &Input,
        progress: &mut Progress,
    ) -> Result<Preamble, Problem> {
        let parts = self.parts.as_mut();
        let own = parts.map(|parts| own_keys(log, parts)).transpose()?;
        let (bytes, end) = match &own {
            Some((own, end)) => (own.bytes().unwrap_or_default(), Some(*end)),
            None => (log, None),
        };
        let (found, end) = match self.load(bytes, progress) {
            Ok((found, _, _)) => (found, end.unwrap_or(found.end)),
            // A module's value: all of them go round the engine, which begins once more.
            Err(Unloaded::Error(LoadError::Unheld { key, .. }))
                if !key.is_empty() && self.commands == 0 =>
            {
                self.engine = Engine::new(self.engine.ks.databases(), SEED, &[]);
                self.engine.set_now(self.now);
                let without = self.raw.take_from(bytes).map_err(Problem::Failed)?;
                let loaded = self.load(without.0.reader(), progress);
                let (found, _, _) = loaded.map_err(|error| unloaded(&self.name, error))?;
                (found, end.unwrap_or(without.1))
            }
            Err(error) => return Err(unloaded(&self.name, error)),
        };
        Ok(Preamble {
            end,
            keys: found.keys + self.raw.len(),
        })
    }

    fn stream<R: Read>(
        &mut self,
        input: R,
        progress: &mut Progress,
    ) -> Result<(Preamble, Vec<u8>, R), Problem> {
        let loaded = self.load(input, progress);
        loaded.map_err(|error| unloaded(&self.name, error))
    }
}

impl Player {
    fn load<R: Read>(
        &mut self,
        input: R,
        progress: &mut Progress,
    ) -> Result<(Preamble, Vec<u8>, R), Unloaded> {
        let ks = &mut self.engine.ks;
        // The commands behind it may still need keys whose time has come: these are kept.
        let mut loader = Loader::new(input, ks.databases(), false, true)?;
        while loader.step(ks, LOAD_STEP)? != load::Progress::Done {
            progress.at(loader.offset());
            if let Some(gauge) = &mut self.gauge
                && gauge.is_over_at(loader.offset())
            {
                return Err(Unloaded::OverLimit);
            }
        }
        let end = loader.offset();
        let (report, ahead, rest) = loader.finish();
        let keys = report.keys;
        Ok((Preamble { end, keys }, ahead, rest))
    }
}

/// Whether it is a command of the server, and not of its data: old servers logged SAVE.
fn administers(item: &Item<'_>) -> bool {
    const COMMANDS: [&str; 10] = [
        "save",
        "bgsave",
        "bgrewriteaof",
        "lastsave",
        "config",
        "client",
        "info",
        "slowlog",
        "latency",
        "memory",
    ];
    let name = item.arg(0).unwrap_or_default();
    COMMANDS
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn damaged(name: &str, error: &FormatError) -> Failure {
    let failure = Failure::new(damage_line(name, error));
    match error.kind {
        Damage::Io => failure,
        _ => failure.hint(DAMAGED),
    }
}

/// Why a snapshot was not loaded.
enum Unloaded {
    Error(LoadError),
    OverLimit,
}

impl From<LoadError> for Unloaded {
    fn from(error: LoadError) -> Unloaded {
        Unloaded::Error(error)
    }
}

fn unloaded(name: &str, error: Unloaded) -> Problem {
    match error {
        Unloaded::Error(LoadError::Damaged(error)) => Problem::Damaged(error),
        Unloaded::Error(unheld) => Problem::Failed(Failure::new(format!("{name}: {unheld}"))),
        Unloaded::OverLimit => Problem::Failed(over_limit()),
    }
}

/// Ends the play of a part that is going to be divided; nobody is told.
fn over_limit() -> Failure {
    Failure::new("a part takes more than --memory")
}

fn refusal(name: &str, refused: &Refused) -> Failure {
    Failure::new(format!("{name}: {refused}")).hint("nothing was written")
}
