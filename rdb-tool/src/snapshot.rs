//! One walk over a snapshot, mapped or piped, for all commands.

use crate::back::snapshot_of_lines;
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::reader::{Options, Reader, SliceReader, Source, StreamReader};
use cairn_format::rdb::{Checksum, Dialect, Event, Located};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::kind::{FileKind, KIND_BYTES, first_of};
use cairn_toolkit::outcome::{damage_line, tool_name};
use cairn_toolkit::remote::Way;
use cairn_toolkit::select::Item;
use cairn_toolkit::snapshot::behind::Behind;
use cairn_toolkit::snapshot::spill::BEYOND;
use cairn_toolkit::{Failure, Input, Progress, Selection, Verdict, hint, human, note};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// How an input is opened that may be a server.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Opening {
    /// Of a server (redis://...): ask for key after key with SCAN and DUMP, not for a snapshot as a replica does
    #[arg(long)]
    scan: bool,
}

impl Opening {
    /// Opens a file, a pipe or a server that should give a snapshot.
    pub fn open(self, path: &Path) -> Result<Input, Failure> {
        let way = if self.scan { Way::Scan } else { Way::Snapshot };
        Input::open_with(path, way).map_err(|failure| match folder_advice(path) {
            Some(advice) => failure.hint(advice),
            None => failure,
        })
    }
}

/// How files are taken that are not simply a snapshot of a known version.
#[derive(Args, Clone, Debug)]
pub struct Reading {
    /// Read a version that is not known as the newest known one, as far as that goes
    #[arg(long = "try")]
    try_version: bool,
    /// Take the snapshot alone where something follows it, as the commands of a log do
    #[arg(long)]
    snapshot_only: bool,
    /// Do not compare the checksum
    #[arg(long)]
    ignore_checksum: bool,
    /// What is read instead of a snapshot
    #[arg(long, value_enum, value_name = "FORM")]
    from: Option<Form>,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    selection: Selection,
}

/// What gives a data set and is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines of JSON as dump writes them, bytes as base64
    Jsonl,
    /// The same with --bytes text
    JsonlText,
    /// A log in one file, or other commands of the protocol: they are run
    Log,
}

impl Reading {
    /// Opens what gives a data set: a snapshot as a file, from a pipe or a server, lines of JSON, or a log, whose commands are run.
    pub fn open(&self, path: &Path) -> Result<Input, Failure> {
        let lines = |form| {
            let input = self.opening.open(path)?;
            Input::of_file(snapshot_of_lines(&input, form)?, input.name())
        };
        match self.from {
            Some(Form::Jsonl) => lines(Bytes::Base64),
            Some(Form::JsonlText) => lines(Bytes::Text),
            None if !is_log_in_parts(path) => self.opening.open(path),
            Some(Form::Log) | None => {
                Input::of_file(aof_tool::data_set(path)?, &path.display().to_string())
            }
        }
    }

    /// Whether all keys are meant.
    pub fn is_all(&self) -> bool {
        self.selection.is_all()
    }

    /// Whether an event is one that was asked for. Hints at numbers of keys go with the keys that they count.
    pub fn takes(&self, located: &Located<'_>) -> bool {
        match &located.event {
            Event::Record(record) => self.selection.takes(&Item {
                key: record.head.key,
                type_name: record.value.type_name(),
                db: record.db,
                expire_ms: record.head.expire_ms,
                bytes: located.end - located.offset,
                idle_s: record.head.idle_s,
            }),
            Event::Function(_) => self.selection.takes_functions(),
            Event::Resize { .. } | Event::SlotInfo { .. } => false,
            _ => true,
        }
    }
}

/// How much of a file of an unknown version a command can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Only all of it.
    All,
    /// As much as can be read.
    AsFar,
}

/// Why a walk ended before the end of the file.
#[derive(Debug)]
pub enum Stop {
    /// The file is damaged, or it is no snapshot.
    Damage {
        /// What and where.
        error: Box<FormatError>,
        /// What decoded before it; `None` if not even the header did.
        walked: Option<Walk>,
        /// What someone can do about it.
        advice: Option<String>,
    },
    /// The visitor could not go on.
    Failed(Failure),
}

impl Stop {
    /// Damage that a visitor found inside an event; the walk adds what came before.
    pub fn inside(error: Box<FormatError>) -> Stop {
        Stop::Damage {
            error,
            walked: None,
            advice: None,
        }
    }

    /// For commands that need the whole file: damage means that their work cannot be done.
    pub fn into_failure(self, name: &str) -> Failure {
        match self {
            Stop::Failed(failure) => failure,
            Stop::Damage {
                error,
                walked,
                advice,
            } => {
                let failure = Failure::damage(name, &error);
                match advice.or_else(|| sound_part(&error, walked.as_ref())) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// What a walk knows of what it has passed.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Family and version of the file.
    pub dialect: Dialect,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Bytes up to the end of the snapshot, or of what decoded.
    pub bytes: u64,
    /// Keys of all databases.
    pub keys: u64,
    /// What follows the snapshot.
    pub behind: Option<Behind>,
    /// Not all was read, because the version is unknown.
    pub is_cut: bool,
}

impl Walk {
    /// Whether what was read is all there is.
    pub fn verdict(&self) -> Verdict {
        Verdict::found_if(self.is_cut)
    }
}

/// What a visitor answers.
pub type Visit = Result<(), Stop>;

/// Names in a folder; none if it is no folder.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Whether the names in a folder are those of a log in parts, or of its folder.
fn are_of_log(names: &[String]) -> bool {
    names
        .iter()
        .any(|name| name == "appendonlydir" || name.ends_with(".manifest"))
}

/// Whether a path is that of a manifest or a folder with one.
fn is_log_in_parts(path: &Path) -> bool {
    if path.is_dir() {
        return are_of_log(&names_in(path));
    }
    let mut first = Vec::new();
    let file = path.is_file().then(|| File::open(path));
    let read = file.map(|file| file?.take(KIND_BYTES as u64).read_to_end(&mut first));
    read.is_some_and(|read| read.is_ok()) && FileKind::of(&first) == FileKind::Manifest
}

/// What to name instead of a folder that one may look into.
fn folder_advice(path: &Path) -> Option<String> {
    path.read_dir().ok()?;
    let names = names_in(path);
    let folder = path.display();
    if are_of_log(&names) {
        return Some(format!(
            "there is a log: `aof-tool check {folder}` looks at it, and `aof-tool rewrite --form snapshot -o whole.rdb {folder}` makes a snapshot of it"
        ));
    }
    Some(match names.iter().find(|name| name.ends_with(".rdb")) {
        Some(snapshot) => {
            let snapshot = path.join(snapshot);
            format!("name the snapshot, for instance {}", snapshot.display())
        }
        None => "name the snapshot itself: no name in this folder ends in .rdb".to_owned(),
    })
}

/// Walks over all of a file for a command that must not take a part of the data for the whole: bytes behind the snapshot
/// are refused unless `reading` says otherwise. `visit` sees what was asked for.
pub fn read(
    input: &Input,
    reading: &Reading,
    need: Need,
    options: Options,
    label: &str,
    visit: &mut dyn FnMut(Dialect, &Located<'_>) -> Visit,
) -> Result<Walk, Failure> {
    let is_all = reading.is_all();
    let visit = &mut |dialect, located: &Located<'_>| match is_all || reading.takes(located) {
        true => visit(dialect, located),
        false => Ok(()),
    };
    read_as(input, reading, need, options, |options| {
        walk(input, options, label, visit)
    })
}

/// The same with any walk over the file.
pub fn read_as(
    input: &Input,
    reading: &Reading,
    need: Need,
    options: Options,
    walk: impl FnOnce(Options) -> Result<Walk, Stop>,
) -> Result<Walk, Failure> {
    let name = input.name();
    let options = Options {
        any_version: reading.try_version,
        beyond: Some(BEYOND),
        checksum: !reading.ignore_checksum,
        trailing: false,
        ..options
    };
    match walk(options) {
        Ok(walk) => match walk.behind.filter(|_| !reading.snapshot_only) {
            None => Ok(walk),
            Some(behind) => {
                let mut failure = Failure::damage(name, &behind.damage(walk.keys));
                if let Some(advice) = behind.advice(name) {
                    failure = failure.hint(advice);
                }
                Err(failure.hint("--snapshot-only takes the snapshot without them"))
            }
        },
        Err(Stop::Damage {
            error,
            walked: Some(walk),
            ..
        }) if need == Need::AsFar && !walk.dialect.is_known() && error.kind != Damage::Io => {
            note(&damage_line(name, &error));
            hint(&unread(&walk));
            Ok(Walk {
                is_cut: true,
                ..walk
            })
        }
        Err(stop) => Err(stop.into_failure(name)),
    }
}

/// Calls `visit` for each event of `input`, in the order of the file.
pub fn walk(
    input: &Input,
    options: Options,
    label: &str,
    visit: &mut dyn FnMut(Dialect, &Located<'_>) -> Visit,
) -> Result<Walk, Stop> {
    let options = Options {
        trailing: false,
        ..options
    };
    let progress = Progress::bytes(label, input.len());
    let io = |error: std::io::Error| Stop::Failed(Failure::io(input.name(), &error));
    match input.bytes() {
        Some(bytes) => {
            let mut reader = SliceReader::from_slice(bytes, options)
                .map_err(|error| unopened(input, bytes, error))?;
            let passed = &mut |end| input.passed(end);
            let mut walk = each(&mut reader, input.name(), progress, passed, visit)?;
            let rest = usize::try_from(walk.bytes)
                .ok()
                .and_then(|end| bytes.get(end..));
            walk.behind = Behind::look(rest.unwrap_or_default(), walk.bytes).map_err(io)?;
            Ok(walk)
        }
        None => {
            let mut source = input.reader();
            let first = first_of(&mut source).map_err(io)?;
            let whole = Cursor::new(first.clone()).chain(source);
            let mut reader = StreamReader::from_read(whole, options)
                .map_err(|error| unopened(input, &first, error))?;
            let passed = &mut |_| {};
            let mut walk = each(&mut reader, input.name(), progress, passed, visit)?;
            let (ahead, rest) = reader.into_rest();
            walk.behind = Behind::look(Cursor::new(ahead).chain(rest), walk.bytes).map_err(io)?;
            Ok(walk)
        }
    }
}

/// A file whose header is not that of a snapshot that can be read. One that is something else is not a damaged snapshot.
pub fn unopened(input: &Input, first: &[u8], error: Box<FormatError>) -> Stop {
    let name = input.name();
    let kind = FileKind::of(&first[..first.len().min(KIND_BYTES)]);
    let advice = match error.kind {
        Damage::Version => {
            Some("--try reads it as the newest known version, as far as that goes".to_owned())
        }
        Damage::Io => None,
        _ => kind.advice(tool_name(), name),
    };
    if error.kind == Damage::Magic && kind.is_another() {
        return Stop::Failed(kind.refusal(name, &error.what));
    }
    if error.kind == Damage::Magic && input.is_packed() {
        let failure = Failure::new(format!("{name}: {}", error.what));
        return Stop::Failed(failure.hint("what is compressed in it is no snapshot"));
    }
    Stop::Damage {
        error,
        walked: None,
        advice,
    }
}

fn each<S: Source>(
    reader: &mut Reader<S>,
    name: &str,
    mut progress: Progress,
    passed: &mut dyn FnMut(u64),
    visit: &mut dyn FnMut(Dialect, &Located<'_>) -> Visit,
) -> Result<Walk, Stop> {
    let dialect = reader.dialect();
    tell_unknown(name, dialect);
    let mut walk = Walk {
        dialect,
        checksum: Checksum::None,
        bytes: reader.offset(),
        keys: 0,
        behind: None,
        is_cut: false,
    };
    let damaged = |error, walk| Stop::Damage {
        error,
        walked: Some(walk),
        advice: None,
    };
    loop {
        let located = match reader.next() {
            Ok(Some(located)) => located,
            Ok(None) => return Ok(walk),
            Err(error) => return Err(damaged(error, walk)),
        };
        match visit(dialect, &located) {
            // The visitor looked into a value and found damage there; it cannot know what came before.
            Err(Stop::Damage { error, .. }) => return Err(damaged(error, walk)),
            result => result?,
        }
        walk.bytes = located.end;
        progress.at(located.end);
        passed(located.end);
        match located.event {
            Event::Record(_) => walk.keys += 1,
            Event::End(checksum) => walk.checksum = checksum,
            _ => {}
        }
    }
}

/// Says how a file of an unknown version is read.
pub fn tell_unknown(name: &str, dialect: Dialect) {
    if !dialect.is_known() {
        let known = dialect.newest_known();
        note(&format!(
            "{name}: {dialect} is unknown; it is read as {known}"
        ));
    }
}

/// What became of the rest of a file of an unknown version.
pub fn unread(walk: &Walk) -> String {
    format!(
        "{} is unknown: {} before offset {} were read, what follows was not",
        walk.dialect,
        human::plural(walk.keys, "key", "keys"),
        walk.bytes
    )
}

/// For who has to know all of the data: a command between the keys would have to be run.
pub fn unrun(name: &str) -> Stop {
    let line = format!("{name}: there are commands between the keys, which only a server runs");
    Stop::Failed(Failure::new(line).hint("load it into a server of Valkey 9.2, and save it again"))
}

/// Turns damage inside a value into a stop that names database and key.
pub fn inside<T>(result: cairn_format::error::Result<T>, db: u64, key: &[u8]) -> Result<T, Stop> {
    result.map_err(|error| Stop::inside(error.at_key(key).in_db(db)))
}

/// How much of a damaged file is sound, for the line below the error.
fn sound_part(error: &FormatError, walked: Option<&Walk>) -> Option<String> {
    let keys = human::plural(walked.map_or(0, |walk| walk.keys), "key", "keys");
    match error.kind {
        // The system could not read: that says nothing about the file.
        Damage::Io => None,
        Damage::Checksum => Some(format!(
            "the structure of all {keys} is sound; which bytes changed cannot be told"
        )),
        _ => walked.map(|walk| format!("everything before offset {} decodes: {keys}", walk.bytes)),
    }
}

/// What became of the checksum, as a person reads it.
pub fn checksum_text(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Verified(_) => "checksum right",
        Checksum::Off => "checksum off (eight zero bytes)",
        Checksum::None => "no checksum in this version",
        Checksum::Unchecked(_) => "checksum not compared",
        Checksum::Wrong { .. } => "checksum wrong",
    }
}

/// The same as one word for programs.
pub fn checksum_word(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Verified(_) => "verified",
        Checksum::Off => "off",
        Checksum::None => "none",
        Checksum::Unchecked(_) => "unchecked",
        Checksum::Wrong { .. } => "wrong",
    }
}
