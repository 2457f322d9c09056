//! `rdb-tool merge`: several snapshots as one.
//!
//! A key that is in several of them is a conflict, whatever its values; so is a function library with another code, and
//! data of a module outside the keys with other bytes. Keys are known by 16 bytes ([`crate::canon`]), so memory is that and an expiry for each.

use crate::canon::Canonizer;
use crate::convert::LOOK;
use crate::making::{Making, Manner};
use crate::snapshot::{Need, Reading, Stop, read};
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::{Dialect, Event, Located, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::{Failure, Input, Outcome, Verdict, human, note, quoted};
use clap::{Args, ValueEnum};
use std::collections::HashMap;
use std::path::PathBuf;

/// Shown below the help of `merge`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool merge -o all.rdb shard-0.rdb shard-1.rdb shard-2.rdb
  rdb-tool merge --on-conflict last -o all.rdb base.rdb newer.rdb
  rdb-tool merge --on-conflict newest-ttl -o all.rdb a.rdb b.rdb

newest-ttl keeps the key that expires last; one that never expires counts as last of all, and of equals the first file's is kept.
Facts about the file are those of the first. The version is the newest of them, if its servers read all the others. Memory: about 50
bytes for each key; pipes and compressed files go through temporary files.";

/// The options of `rdb-tool merge`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MergeArguments {
    /// What becomes of a key that several files have
    #[arg(long, value_enum, default_value = "fail")]
    on_conflict: Policy,
    /// Where the snapshot goes; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    reading: Reading,
    /// Snapshots to read
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Which value of several is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// None: nothing is written
    Fail,
    /// That of the first file
    First,
    /// That of the last file
    Last,
    /// The one that expires last
    NewestTtl,
}

/// Where the value of a key that is kept stands.
#[derive(Clone, Copy, Debug)]
struct Kept {
    file: usize,
    /// `i64::MAX` if it never expires.
    expire_ms: i64,
}

/// Merges.
pub fn merge(arguments: &MergeArguments) -> Outcome {
    let inputs = arguments
        .files
        .iter()
        .map(|path| arguments.reading.open(path)?.into_mapped())
        .collect::<Result<Vec<Input>, Failure>>()?;
    let terms = arguments.manner.terms(newest(&inputs)?);
    let all: Vec<&Input> = inputs.iter().collect();
    let output = arguments.manner.open(&arguments.output, &all)?;
    let choice = Choice::among(arguments, &inputs)?;
    let mut making = Making::new(output, &terms)?;
    let mut common: HashMap<u128, ()> = HashMap::new();
    for (file, input) in inputs.iter().enumerate() {
        let visit = &mut |_, located: &Located<'_>| {
            let is_kept = match &located.event {
                Event::Aux { .. } => file == 0,
                event => match choice.place(event) {
                    None => true,
                    Some(place) if matches!(event, Event::Record(_)) => choice.keeps(place, file),
                    Some(place) => choice.keeps(place, file) && common.insert(place, ()).is_none(),
                },
            };
            match is_kept {
                true => making.event(&located.event),
                false => Ok(()),
            }
        };
        read(input, &arguments.reading, Need::All, LOOK, "merging", visit)?;
    }
    let made = making.finish(inputs[0].name())?;
    let keys = human::plural(made.keys, "key", "keys");
    made.keep()?;
    let conflicts = match choice.conflicts {
        0 => String::new(),
        conflicts => format!(", {} were in several", human::count(conflicts)),
    };
    let files = human::plural(inputs.len() as u64, "file", "files");
    note(&format!("{keys} of {files}{conflicts}"));
    Ok(Verdict::Fine)
}

/// The newest version among the inputs.
fn newest(inputs: &[Input]) -> Result<Dialect, Failure> {
    let dialects = inputs
        .iter()
        .map(|input| {
            let options = Options {
                any_version: true,
                ..Options::shallow()
            };
            let reader = SliceReader::from_slice(input.bytes().unwrap_or_default(), options);
            reader.map(|reader| reader.dialect()).map_err(|error| {
                crate::snapshot::unopened(input, input.bytes().unwrap_or_default(), error)
                    .into_failure(input.name())
            })
        })
        .collect::<Result<Vec<Dialect>, Failure>>()?;
    let reads_all = |newest: &&Dialect| dialects.iter().all(|other| newest.reads(*other));
    dialects.iter().find(reads_all).copied().ok_or_else(|| {
        let names: Vec<String> = dialects.iter().map(Dialect::to_string).collect();
        Failure::new(format!("no server reads all of {}", names.join(", ")))
            .hint("`rdb-tool convert` brings them to one version first")
    })
}

/// Which file's value is kept of every key.
struct Choice {
    canonizer: Canonizer,
    kept: HashMap<u128, Kept>,
    conflicts: u64,
}

impl Choice {
    fn among(arguments: &MergeArguments, inputs: &[Input]) -> Result<Choice, Failure> {
        let mut choice = Choice {
            canonizer: Canonizer::new(),
            kept: HashMap::new(),
            conflicts: 0,
        };
        // What belongs to no key is no conflict if it is the same.
        let mut contents: HashMap<u128, u128> = HashMap::new();
        for (file, input) in inputs.iter().enumerate() {
            let visit = &mut |_, located: &Located<'_>| {
                let Some(place) = choice.place(&located.event) else {
                    return Ok(());
                };
                let (expire_ms, what) = match &located.event {
                    Event::Record(record) => {
                        let what = || format!("db {}, key {}", record.db, quoted(record.head.key));
                        (record.head.expire_ms.unwrap_or(i64::MAX), what())
                    }
                    event => {
                        let content = choice.content(event);
                        if contents.insert(place, content) == Some(content) {
                            return Ok(());
                        }
                        (
                            i64::MAX,
                            "a function library or data of a module".to_owned(),
                        )
                    }
                };
                let new = Kept { file, expire_ms };
                let old = choice.kept.get(&place).copied();
                if let Some(old) = old {
                    choice.conflicts += 1;
                    if arguments.on_conflict == Policy::Fail {
                        let (a, b) = (inputs[old.file].name(), input.name());
                        return Err(conflict(a, b, &what));
                    }
                }
                let wins = old.is_none_or(|old| match arguments.on_conflict {
                    Policy::Fail | Policy::First => false,
                    Policy::Last => true,
                    Policy::NewestTtl => new.expire_ms > old.expire_ms,
                });
                if wins {
                    choice.kept.insert(place, new);
                }
                Ok(())
            };
            let options = Options::shallow();
            read(
                input,
                &arguments.reading,
                Need::All,
                options,
                "looking for conflicts",
                visit,
            )?;
        }
        Ok(choice)
    }

    fn keeps(&self, place: u128, file: usize) -> bool {
        self.kept.get(&place).is_some_and(|kept| kept.file == file)
    }

    /// What an event is known by; `None` if it is neither a key nor a library nor data of a module.
    fn place(&self, event: &Event<'_>) -> Option<u128> {
        let named = |kind: u8, number: u64, name: &[u8]| {
            let place = [&[kind][..], &number.to_le_bytes(), name].concat();
            Some(self.canonizer.bytes(&place).value)
        };
        match event {
            Event::Record(record) => named(b'k', record.db, record.head.key),
            Event::Function(code) => {
                let name = library_name(code.bytes(&mut I64Text::new())).unwrap_or_default();
                named(b'f', 0, name.1.as_bytes())
            }
            Event::ModuleAux(aux) => named(b'm', aux.when, &aux.module.id.to_le_bytes()),
            _ => None,
        }
    }

    fn content(&self, event: &Event<'_>) -> u128 {
        match event {
            Event::Function(code) => self.canonizer.bytes(code.bytes(&mut I64Text::new())).value,
            Event::ModuleAux(aux) => self.canonizer.bytes(aux.module.values).value,
            _ => 0,
        }
    }
}

fn conflict(a: &str, b: &str, what: &str) -> Stop {
    let line = format!("{b}: {what} is in {a}, too");
    let advice = "nothing was written; --on-conflict first, last or newest-ttl chooses one";
    Stop::Failed(Failure::new(line).hint(advice))
}
