//! The load at start, in steps, so that clients get an answer (LOADING) meanwhile.
//!
//! A damaged snapshot is never half a data set: the process ends with file, offset, key and reason, the file untouched.
//! A log may end inside a record or transaction if it is the last file and `aof-load-truncated` says so: it is cut
//! back to its last whole record or transaction, and never into its base or preamble. An increment whose very first
//! record is torn held nothing whole and becomes empty, as with Redis 7.2.

use std::collections::VecDeque;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::keyspace::Expired;
use cairn_engine::persist::load::{
    DroppedKey, LoadError, LoadReport, Loader, Progress, StreamPlace,
};
use cairn_engine::persist::words;
use cairn_engine::replay::{Refused, Replay, Why};
use cairn_format::aof::reader::StreamReader;
use cairn_format::aof::{Form, form};
use cairn_format::error::Damage;

use super::Saving;
use super::TrailReader;
use super::child::KeyDelay;
use crate::config::table;
use crate::files::append_files::AppendFiles;
use crate::os::error_text;

/// Keys or commands between two looks at the clock.
const STEP: usize = 64;
/// Bytes that a log may be read ahead.
type Input = Box<dyn Read>;

/// A load under way.
pub struct Loading {
    queue: VecDeque<PathBuf>,
    current: Option<Current>,
    /// The files of the log, if it is on.
    files: Option<AppendFiles>,
    /// The files to load are those of the log, not a snapshot in its place.
    is_log: bool,
    started_us: u64,
    file_started_us: u64,
    report: LoadReport,
    /// Where the stream of replication is, as the log tells.
    trail: TrailReader,
}

struct Current {
    path: PathBuf,
    is_last: bool,
    source: Source,
    /// Keys or commands asked of it so far.
    taken: u64,
}

enum Source {
    Snapshot(Box<Loader<Input>>),
    Log {
        reader: Box<StreamReader<Input>>,
        replay: Replay,
        start: u64,
    },
}

/// What a step achieved.
enum Step {
    More,
    Ended,
}

impl Loading {
    /// Finds out what there is to load: the log if it is on, else the snapshot. Without any log, but with a snapshot
    /// beside it, the snapshot is loaded although the log is on: nobody who switches it on wants to lose the data.
    ///
    /// # Errors
    /// The line to end with.
    pub fn find(saving: &Saving) -> Result<Loading, String> {
        let disk = saving.host.disk();
        let mut loading = Loading::nothing(saving);
        if saving.config.get(table::APPENDONLY) {
            loading.take_log(saving)?;
        }
        let snapshot = saving.snapshot_path();
        if loading.queue.is_empty() && matches!(disk.size(&snapshot), Ok(Some(_))) {
            if loading.files.is_some() {
                saving.log.notice(format_args!(
                    "No append only file yet: its base will be made from {}",
                    snapshot.display()
                ));
            }
            loading.queue.push_back(snapshot);
        }
        Ok(loading)
    }

    /// There is nothing to load.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What there is to load of the log, whether it is on or not (DEBUG LOADAOF).
    ///
    /// # Errors
    /// The line to end with.
    pub(crate) fn of_log(saving: &Saving) -> Result<Loading, String> {
        let mut loading = Loading::nothing(saving);
        loading.take_log(saving)?;
        Ok(loading)
    }

    fn nothing(saving: &Saving) -> Loading {
        let started_us = saving.host.clock().monotonic_us();
        Loading {
            queue: VecDeque::new(),
            current: None,
            files: None,
            is_log: false,
            started_us,
            file_started_us: started_us,
            report: LoadReport::default(),
            trail: TrailReader::default(),
        }
    }

    /// Puts the files of the log into the queue. All must be there before the first one is read.
    fn take_log(&mut self, saving: &Saving) -> Result<(), String> {
        debug_assert!(
            self.queue.is_empty() && self.files.is_none(),
            "it would be loaded twice"
        );
        let disk = saving.host.disk();
        let files = AppendFiles::load(disk.clone(), saving.append_names(), saving.log)?;
        for path in files.to_load() {
            let reason = match disk.size(&path) {
                Ok(Some(_)) => continue,
                Ok(None) => "No such file or directory".into(),
                Err(error) => error_text(&error),
            };
            return Err(format!(
                "{}: the manifest lists this file\nUnable to obtain the AOF file {} length. stat: {reason}",
                path.display(),
                path.file_name().unwrap_or_default().display()
            ));
        }
        self.queue = files.to_load().into();
        self.is_log = !self.queue.is_empty();
        self.files = Some(files);
        Ok(())
    }

    /// Loads for about `budget`; true when all is loaded. What a log that is run again says to sessions stays in `world`.
    ///
    /// # Errors
    /// The lines to end with: where the data is damaged and why.
    pub fn step(
        &mut self,
        engine: &mut Engine,
        saving: &mut Saving,
        world: &mut Alone,
        budget: Duration,
    ) -> Result<bool, String> {
        assert!(
            !engine.ks.fx.feed_on,
            "what is loaded would be appended to the log"
        );
        world.now = saving.now();
        let end = saving.host.clock().monotonic_us() + budget.as_micros() as u64;
        // Ages and expiries are judged by the time of the load.
        engine.set_now(world.now);
        engine.ks.expired = Expired::Stays;
        loop {
            if self.current.is_none() {
                if !self.open_next(engine, saving)? {
                    engine.ks.expired = Expired::Goes;
                    return Ok(true);
                }
                // To open it took time, which the clock of commands must not go back behind.
                world.now = saving.now();
                engine.set_now(world.now);
            }
            let current = self.current.as_mut().ok_or("nothing is open")?;
            let trail = &mut self.trail;
            match current
                .step(engine, saving, world, trail)
                .map_err(usual_last)?
            {
                Step::More => {}
                Step::Ended => self.end_file(engine, saving, world.now)?,
            }
            if saving.host.clock().monotonic_us() >= end {
                return Ok(false);
            }
        }
    }

    fn open_next(&mut self, engine: &mut Engine, saving: &mut Saving) -> Result<bool, String> {
        debug_assert!(self.current.is_none(), "a file is not read to its end");
        let Some(path) = self.queue.pop_front() else {
            return Ok(false);
        };
        self.file_started_us = saving.host.clock().monotonic_us();
        let is_last = self.queue.is_empty();
        let source = open(&path, self.is_log, engine, saving)?;
        self.current = Some(Current {
            path,
            is_last,
            source,
            taken: 0,
        });
        Ok(true)
    }

    /// A file is loaded; behind a snapshot that heads a log the log goes on, at the time of this step.
    fn end_file(
        &mut self,
        engine: &mut Engine,
        saving: &mut Saving,
        now: Now,
    ) -> Result<(), String> {
        let Some(Current {
            path,
            is_last,
            source,
            taken,
        }) = self.current.take()
        else {
            return Ok(());
        };
        debug_assert!(
            self.is_log || self.queue.is_empty(),
            "a snapshot is loaded alone"
        );
        match source {
            Source::Snapshot(loader) => {
                let offset = loader.offset();
                let (report, ahead, rest) = loader.finish();
                tell_snapshot(saving, &report);
                self.report.keys += report.keys;
                self.report.expired += report.expired;
                self.report.stream = report.stream;
                self.report.dropped = report.dropped;
                if self.is_log {
                    let input: Input = Box::new(Cursor::new(ahead).chain(rest));
                    let source = start_log(input, offset, engine, now);
                    self.current = Some(Current {
                        path,
                        is_last,
                        source,
                        taken,
                    });
                    return Ok(());
                }
            }
            Source::Log { replay, .. } => replay.end(engine),
        }
        let seconds = (saving.host.clock().monotonic_us() - self.file_started_us) as f64 / 1e6;
        match self.is_log {
            false => saving
                .log
                .notice(format_args!("DB loaded from disk: {seconds:.3} seconds")),
            true => {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let sort = if name.contains(".base.") || !name.contains(".incr.") {
                    "base"
                } else {
                    "incr"
                };
                saving.log.notice(format_args!(
                    "DB loaded from {sort} file {name}: {seconds:.3} seconds"
                ));
            }
        }
        Ok(())
    }

    /// Where the stream of changes was at the end of what was loaded, if that tells, and the keys that have expired since.
    pub fn stream_place(&mut self) -> (StreamPlace, Vec<DroppedKey>) {
        match self.is_log {
            true => {
                let end = self.trail.end().map(|(id, offset, db)| StreamPlace {
                    db: Some(db as usize),
                    id: Some(id.to_vec()),
                    offset: Some(offset),
                });
                (end.unwrap_or_default(), Vec::new())
            }
            false => (
                self.report.stream.clone(),
                std::mem::take(&mut self.report.dropped),
            ),
        }
    }

    /// After the load: notes its figures and opens the log for appending.
    ///
    /// # Errors
    /// The line to end with.
    pub fn finish(self, engine: &mut Engine, saving: &mut Saving) -> Result<(), String> {
        assert!(
            self.queue.is_empty() && self.current.is_none(),
            "half of the data"
        );
        saving.keeper.last_load = (self.report.keys, self.report.expired);
        engine.shared.stats.reset();
        engine.ks.dirty = 0;
        engine.ks.select(0);
        if let Some(files) = self.files {
            let seconds = (saving.host.clock().monotonic_us() - self.started_us) as f64 / 1e6;
            saving.log.notice(format_args!(
                "DB loaded from append only file: {seconds:.3} seconds"
            ));
            saving.open_log(&mut engine.ks, files)?;
            if let Some(open) = &mut saving.keeper.append {
                open.trail = self.trail.into_trail();
            }
        }
        Ok(())
    }
}

/// Forgets the data and loads it again, in one go.
///
/// # Errors
/// The line to end with.
pub(crate) fn forget_and_load(
    engine: &mut Engine,
    saving: &mut Saving,
    world: &mut Alone,
    mut loading: Loading,
) -> Result<(), String> {
    engine.ks.begin_anew();
    assert_eq!(engine.ks.total_keys(), 0, "old keys among the new ones");
    engine.ks.fx.feed_on = false;
    while !loading.step(engine, saving, world, Duration::from_secs(1))? {}
    engine.ks.fx.feed_on = saving.journal.is_read();
    engine.ks.dirty = 0;
    engine.ks.select(0);
    Ok(())
}

fn open(path: &Path, log: bool, engine: &mut Engine, saving: &Saving) -> Result<Source, String> {
    let told = |error: std::io::Error| format!("{}: {}", path.display(), error_text(&error));
    let mut file = saving.host.disk().open(path).map_err(told)?;
    let mut first = [0; cairn_format::aof::FORM_BYTES];
    let got = read_up_to(&mut file, &mut first).map_err(told)?;
    let input: Input = Box::new(Cursor::new(first[..got].to_vec()).chain(file));
    if log && got == 0 && path.extension().is_some_and(|end| end == "rdb") {
        // Loaded as no data, as by Redis, though something is amiss: an empty snapshot has a head and an end.
        saving.log.warning(format_args!(
            "{} is empty, which no server writes for a snapshot: did it lose its content?",
            path.display()
        ));
    }
    if log && form(&first[..got]) == Form::Commands {
        return Ok(start_log(input, 0, engine, saving.now()));
    }
    saving
        .log
        .notice(format_args!("Loading DB in memory from {}", path.display()));
    // A replica keeps what has expired: its primary says what goes, and may have said otherwise since.
    let follows = engine.shared.gate.replica.is_some();
    let loader = Loader::new(
        input,
        engine.ks.databases(),
        !log && !follows,
        saving.config.get(table::RDBCHECKSUM),
    )
    .map_err(|error| refusal(path, &error))?;
    Ok(Source::Snapshot(Box::new(loader)))
}

fn read_up_to(file: &mut dyn Read, into: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < into.len() {
        match file.read(&mut into[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn start_log(input: Input, offset: u64, engine: &mut Engine, now: Now) -> Source {
    let replay = Replay::begin(engine, now, offset);
    Source::Log {
        reader: Box::new(StreamReader::new(input, offset)),
        replay,
        start: offset,
    }
}

/// Two lines about a snapshot that cannot be loaded: what is wrong, and the words for it that programs wait for.
pub(crate) fn unloadable(path: &Path, error: &LoadError) -> String {
    let usual = words::usual_of_load(error);
    format!("{}: {error}\n{usual}", path.display())
}

/// The lines that end a start with it.
fn refusal(path: &Path, error: &LoadError) -> String {
    format!(
        "{}\nTerminating server after rdb file reading failure.\nFatal error loading the DB, check server logs. Exiting.",
        unloadable(path, error)
    )
}

/// Programs that drive a server look for known words in the last line of its log, so our own go before them.
fn usual_last(lines: String) -> String {
    match lines.split_once('\n') {
        Some((usual, ours)) if usual.contains(READING_LOG) => format!("{ours}\n{usual}"),
        _ => lines,
    }
}

/// What all such lines about a log have in common.
const READING_LOG: &str = "reading the append only file";

impl Current {
    fn step(
        &mut self,
        engine: &mut Engine,
        saving: &mut Saving,
        world: &mut Alone,
        trail: &mut TrailReader,
    ) -> Result<Step, String> {
        let delay = KeyDelay::of_load(saving.config, saving.host);
        let count = if delay.is_on() { 1 } else { STEP };
        self.taken += count as u64;
        delay.wait(self.taken);
        match &mut self.source {
            Source::Snapshot(loader) => {
                let progress = loader
                    .step(&mut engine.ks, count)
                    .map_err(|error| refusal(&self.path, &error))?;
                saving.keeper.load_progress.0 = loader.offset();
                Ok(match progress {
                    Progress::Done => Step::Ended,
                    Progress::More | Progress::Waits => Step::More,
                })
            }
            Source::Log {
                reader,
                replay,
                start,
            } => {
                for _ in 0..count {
                    match reader.next_item() {
                        Ok(Some(item)) => {
                            match replay.run(engine, world, &item) {
                                Ok(None) => {}
                                Ok(Some(passed)) => saving.log.warning(format_args!(
                                    "{}: offset {}: {passed}",
                                    self.path.display(),
                                    item.offset
                                )),
                                Err(refused) => return Err(refused_line(&self.path, &refused)),
                            }
                            trail.take(&self.path, &item, !replay.is_inside_transaction());
                        }
                        Ok(None) if replay.is_inside_transaction() => {
                            let (valid, start) = (replay.valid_end(), *start);
                            return self.torn(
                                saving,
                                valid,
                                start,
                                "the log ends inside a transaction",
                            );
                        }
                        Ok(None) => return Ok(Step::Ended),
                        Err(error) if error.kind == Damage::AofTruncated => {
                            let (valid, start) = (replay.valid_end(), *start);
                            return self.torn(saving, valid, start, &error.to_string());
                        }
                        Err(error) => {
                            return Err(format!(
                                "Bad file format reading the append only file: make a backup of your AOF file, then use aof-tool check --fix <filename.manifest>\n{}: {error}",
                                self.path.display()
                            ));
                        }
                    }
                }
                debug_assert!(
                    (*start..=reader.offset()).contains(&replay.valid_end()),
                    "valid to {}, read from {start} to {}",
                    replay.valid_end(),
                    reader.offset()
                );
                saving.keeper.load_progress.0 = reader.offset();
                Ok(Step::More)
            }
        }
    }

    /// The log ends inside a record or transaction: cut if that is allowed and something remains.
    fn torn(
        &mut self,
        saving: &Saving,
        valid: u64,
        start: u64,
        reason: &str,
    ) -> Result<Step, String> {
        let name = self.path.display();
        if !self.is_last || !saving.config.get(table::AOF_LOAD_TRUNCATED) {
            return Err(format!(
                "Unexpected end of file reading the append only file. You can: 1) Make a backup of your AOF file, then use aof-tool check --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server.\n{name}: {reason}"
            ));
        }
        saving.log.warning(format_args!(
            "!!! Warning: short read while loading the AOF file {name} !!!"
        ));
        saving.log.warning(format_args!("{name}: {reason}"));
        debug_assert!(valid >= start);
        saving
            .log
            .warning(format_args!("Truncating the AOF {name} at offset {valid}"));
        let disk = saving.host.disk();
        disk.truncate(&self.path, valid).map_err(|error| {
            format!(
                "Error truncating the AOF file {name}: {}",
                error_text(&error)
            )
        })?;
        saving.log.warning(format_args!(
            "AOF {name} loaded anyway because aof-load-truncated is enabled"
        ));
        Ok(Step::Ended)
    }
}

fn refused_line(path: &Path, refused: &Refused) -> String {
    let name = path.display();
    let usual = match &refused.why {
        Why::Unknown => format!(
            "Unknown command '{}' reading the append only file {name}",
            refused.command
        ),
        _ => "Bad file format reading the append only file: make a backup of your AOF file, then use aof-tool check --fix <filename.manifest>".into(),
    };
    format!("{usual}\n{name}: {refused}")
}

impl Saving<'_> {
    /// Whether loads are slowed down so that they can be watched.
    pub(crate) fn load_is_slow(&self) -> bool {
        KeyDelay::of_load(self.config, self.host).is_on()
    }

    /// Slows a load down, behind the key of this number.
    pub(crate) fn wait_for_load(&self, keys: u64) {
        KeyDelay::of_load(self.config, self.host).wait(keys);
    }
}

/// Says what a snapshot brought, in lines that programs wait for.
pub(crate) fn tell_snapshot(saving: &Saving, report: &LoadReport) {
    if let Some(version) = &report.written_by {
        saving
            .log
            .notice(format_args!("Loading RDB produced by version {version}"));
    }
    if let Some(ctime) = report.ctime {
        let age = (saving.now().wall_ms() / 1000 - ctime).max(0);
        saving.log.notice(format_args!("RDB age {age} seconds"));
    }
    if let Some(bytes) = report.used_mem {
        saving.log.notice(format_args!(
            "RDB memory usage when created {:.2} Mb",
            bytes as f64 / (1024.0 * 1024.0)
        ));
    }
    for name in &report.empty_names {
        saving.log.notice(format_args!(
            "rdbLoadObject skipping empty key: {}",
            String::from_utf8_lossy(name)
        ));
    }
    for (name, said, found) in &report.miscounts {
        saving.log.warning(format_args!(
            "stream {} has {found} entries, the snapshot says {said}; loaded with {found}",
            cairn_format::text::words::quote(name)
        ));
    }
    assert!(report.miscounted >= report.miscounts.len() as u64);
    let more = report.miscounted - report.miscounts.len() as u64;
    if more > 0 {
        saving
            .log
            .warning(format_args!("so it is with {more} more streams"));
    }
    let LoadReport {
        keys,
        expired,
        empty,
        ..
    } = report;
    match empty {
        0 => saving.log.notice(format_args!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}.")),
        _ => saving.log.notice(format_args!(
            "Done loading RDB, keys loaded: {keys}, keys expired: {expired}, empty keys skipped: {empty}."
        )),
    }
}
