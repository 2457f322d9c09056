//! One walk over a snapshot, mapped or piped, for all commands.

use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::reader::{Options, Reader, SliceReader, Source, StreamReader};
use cairn_format::rdb::{Checksum, Dialect, Event, Located};
use cairn_toolkit::{Failure, Input, Progress, human};

/// Why a walk ended before the end of the file.
#[derive(Debug)]
pub enum Stop {
    /// The file is damaged; everything before `sound` decoded.
    Damage {
        /// What and where.
        error: Box<FormatError>,
        /// Offset behind the last event that was whole; `None` if not even the header was.
        sound: Option<u64>,
        /// Keys before that.
        keys: u64,
    },
    /// The visitor could not go on.
    Failed(Failure),
}

impl Stop {
    /// For commands that need the whole file: damage means that their work cannot be done.
    pub fn into_failure(self, name: &str) -> Failure {
        match self {
            Stop::Failed(failure) => failure,
            Stop::Damage { error, sound, keys } => {
                let failure = Failure::damage(name, &error);
                match sound_part(&error, sound, keys) {
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

/// What a whole walk knows at its end.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Family and version of the file.
    pub dialect: Dialect,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Bytes up to the end of the snapshot.
    pub bytes: u64,
    /// Keys of all databases.
    pub keys: u64,
}

/// What a visitor answers.
pub type Visit = Result<(), Stop>;

/// Calls `visit` for each event of `input`, in the order of the file.
pub fn walk(
    input: &Input,
    options: Options,
    label: &str,
    visit: &mut dyn FnMut(Dialect, &Located<'_>) -> Visit,
) -> Result<Walk, Stop> {
    let unopened = |error| Stop::Damage {
        error,
        sound: None,
        keys: 0,
    };
    let progress = Progress::bytes(label, input.len());
    match input.bytes() {
        Some(bytes) => each(
            SliceReader::from_slice(bytes, options).map_err(unopened)?,
            progress,
            visit,
        ),
        None => each(
            StreamReader::from_read(input.reader(), options).map_err(unopened)?,
            progress,
            visit,
        ),
    }
}

fn each<S: Source>(
    mut reader: Reader<S>,
    mut progress: Progress,
    visit: &mut dyn FnMut(Dialect, &Located<'_>) -> Visit,
) -> Result<Walk, Stop> {
    let dialect = reader.dialect();
    let mut walk = Walk {
        dialect,
        checksum: Checksum::None,
        bytes: reader.offset(),
        keys: 0,
    };
    loop {
        let located = match reader.next() {
            Ok(Some(located)) => located,
            Ok(None) => return Ok(walk),
            Err(error) => {
                return Err(Stop::Damage {
                    error,
                    sound: Some(walk.bytes),
                    keys: walk.keys,
                });
            }
        };
        match visit(dialect, &located) {
            // The visitor looked into a value and found damage there; it cannot know what came before.
            Err(Stop::Damage { error, .. }) => {
                return Err(Stop::Damage {
                    error,
                    sound: Some(walk.bytes),
                    keys: walk.keys,
                });
            }
            result => result?,
        }
        walk.bytes = located.end;
        progress.at(located.end);
        match located.event {
            Event::Record(_) => walk.keys += 1,
            Event::End(checksum) => walk.checksum = checksum,
            _ => {}
        }
    }
}

/// Turns damage inside a value into a stop that names database and key.
pub fn inside<T>(result: cairn_format::error::Result<T>, db: u64, key: &[u8]) -> Result<T, Stop> {
    result.map_err(|error| Stop::Damage {
        error: error.at_key(key).in_db(db),
        sound: None,
        keys: 0,
    })
}

/// How much of a damaged file is sound, for the line below the error.
pub fn sound_part(error: &FormatError, sound: Option<u64>, keys: u64) -> Option<String> {
    let keys = human::plural(keys, "key", "keys");
    match error.kind {
        // The system could not read: that says nothing about the file.
        Damage::Io => None,
        Damage::Checksum => Some(format!(
            "the structure of all {keys} is sound; which bytes changed cannot be told"
        )),
        _ => sound.map(|sound| format!("everything before offset {sound} decodes: {keys}")),
    }
}

/// What became of the checksum, as a person reads it.
pub fn checksum_text(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Verified(_) => "checksum right",
        Checksum::Off => "checksum off (eight zero bytes)",
        Checksum::None => "no checksum in this version",
        Checksum::Unchecked(_) => "checksum not compared",
    }
}

/// The same as one word for programs.
pub fn checksum_word(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Verified(_) => "verified",
        Checksum::Off => "off",
        Checksum::None => "none",
        Checksum::Unchecked(_) => "unchecked",
    }
}
