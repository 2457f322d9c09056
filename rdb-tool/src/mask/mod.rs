//! `rdb-tool mask`: a twin of a snapshot that can be shared, with keyed pseudonyms for all texts.

mod cipher;
mod keys;
mod values;

use crate::loss::{Loss, Losses};
use crate::making::{Job, Making, Manner, make};
use crate::policy::{Policies, Policy};
use crate::snapshot::{Reading, Stop, Visit};
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{Event, Head, Object};
use cairn_toolkit::{Failure, Outcome, Verdict, human, note, quoted};
use cipher::Cipher;
use clap::Args;
use keys::Keys;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use values::Values;

/// Shown below the help of `mask`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool mask --key-file secret -o twin.rdb dump.rdb
  RDB_MASK_KEY=... rdb-tool mask --type hash -o hashes.rdb dump.rdb

Keys, members, fields, values and names of consumers become others of the same size: letters letters, digits digits, numbers numbers. The same
text becomes the same everywhere, different ones stay different; encodings, expiries and slots stay, and so do scores, stream ids,
idle times, HyperLogLogs and function libraries (--not-type function leaves those out). Without the key nobody can tell what a text was, but what
is short can be guessed by how often it occurs. `head -c 32 /dev/urandom > secret` makes a key. Keys of fewer than three letters and digits stay as they are.";

/// The key, if no file has it.
const KEY_VARIABLE: &str = "RDB_MASK_KEY";
/// Shorter keys could be tried one after the other.
const KEY_MIN: usize = 16;

/// The options of `rdb-tool mask`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MaskArguments {
    /// A file whose bytes are the key, 16 or more [default: the variable RDB_MASK_KEY]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Leave out what only a module understands (its values, its data outside the keys, metadata of keys), and commands between the keys
    #[arg(long)]
    drop_modules: bool,
    /// Where the snapshot goes; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// Masks.
pub fn mask(arguments: &MaskArguments) -> Outcome {
    let (manner, reading) = (&arguments.manner, &arguments.reading);
    let cipher = Cipher::new(&key(arguments.key_file.as_deref())?);
    let input = reading.open(&arguments.file)?;
    let job = Job {
        input: &input,
        reading,
        output: &arguments.output,
        manner,
        label: "masking",
    };
    let terms = OnceLock::new();
    let begin = |making, dialect| Work {
        making,
        keys: Keys::new(&cipher),
        values: Values::new(&cipher, dialect),
        dropped: Losses::default(),
        drop_modules: arguments.drop_modules,
    };
    let Some((work, _)) = make(&job, &terms, begin, Work::event)? else {
        return Ok(Verdict::Fine);
    };
    let made = work.making.finish(input.name())?;
    let masked = human::plural(made.keys, "key", "keys");
    made.keep()?;
    work.dropped.report(
        input.name(),
        &Policies::default().or_all(Some(Policy::Drop)),
    );
    let told = [
        (work.keys.kept, "stayed as they are"),
        (work.keys.moved, "in another slot"),
    ];
    let more: String = told
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!(", {} {what}", human::count(*count)))
        .collect();
    note(&format!("{}: {masked} masked{more}", input.name()));
    Ok(Verdict::Fine)
}

fn key(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let key = match file {
        Some(path) => {
            std::fs::read(path).map_err(|error| Failure::io(&path.display().to_string(), &error))?
        }
        None => std::env::var_os(KEY_VARIABLE)
            .ok_or_else(|| {
                Failure::new("a key is needed: --key-file FILE, or the variable RDB_MASK_KEY")
                    .hint("`head -c 32 /dev/urandom > FILE` makes one")
            })?
            .into_encoded_bytes(),
    };
    match key.len() < KEY_MIN {
        true => Err(Failure::new(format!(
            "the key has {} bytes, and {KEY_MIN} are needed",
            key.len()
        ))),
        false => Ok(key),
    }
}

/// A masked snapshot under way.
struct Work<'t, 'c> {
    making: Making<'t>,
    keys: Keys<'c>,
    values: Values<'c>,
    dropped: Losses,
    drop_modules: bool,
}

impl Work<'_, '_> {
    fn event(&mut self, event: &Event<'_>) -> Visit {
        let record = match event {
            Event::Record(record) => record,
            Event::ModuleAux(_) => return self.drop(Lack::ModuleAux, Lack::ModuleAux.what(), None),
            Event::Command(_) => return self.drop(Lack::Command, Lack::Command.what(), None),
            event => return self.making.event(event),
        };
        let place = Some((record.db, record.head.key));
        match &record.value {
            Object::Module(module) => {
                let what = format!("values of the module type {}", module.name());
                return self.drop(Lack::Module, &what, place);
            }
            Object::Array(_) => return self.drop(Lack::Array, "arrays", place),
            _ => {}
        }
        if record.head.meta.is_some() {
            self.drop(Lack::KeyMeta, Lack::KeyMeta.what(), place)?;
        }
        let key = self.keys.key(record.db, record.head.key);
        let head = Head {
            key: &key,
            meta: None,
            ..record.head
        };
        let values = &self.values;
        self.making
            .instead(record, |writer| values.write(writer, &head, record))
    }

    /// Leaves something out that cannot be masked, if that was asked for.
    fn drop(&mut self, lack: Lack, what: &str, place: Option<(u64, &[u8])>) -> Visit {
        if self.drop_modules {
            let (what, needs) = (what.to_owned(), String::new());
            self.dropped.add(Loss { lack, what, needs }, place);
            return Ok(());
        }
        let place = place.map_or(String::new(), |(db, key)| {
            format!("db {db}, key {}: ", quoted(key))
        });
        let line = format!("{place}{what} cannot be masked");
        Err(Stop::Failed(Failure::new(line).hint(
            "nothing was written; --drop-modules leaves them out",
        )))
    }
}
