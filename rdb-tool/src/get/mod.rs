//! `rdb-tool get`: some keys of a snapshot with their values, through an index if there is one.

mod show;

use crate::index::file::{Bond, Index, beside, hash};
use crate::snapshot::{Need, Reading, Stop, read};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::error::FormatError;
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::{Event, Located, Record};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, hint, note, quoted};
use clap::Args;
use show::Show;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Shown below the help of `get`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool get dump.rdb user:17
  rdb-tool get --json dump.rdb user:17 user:18 | jq .value
  rdb-tool get --hex dump.rdb user:17
  rdb-tool get --base64 --db 3 dump.rdb dXNlcjoxNw==

Keys are taken byte by byte. Without an index (rdb-tool index) the whole snapshot is read. Exit status: 0 all keys are there, 1 one is not.";

/// The options of `rdb-tool get`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct GetArguments {
    /// One JSON object for each key, as `dump` writes it, with offset and bytes
    #[arg(long, conflicts_with = "hex")]
    json: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value = "base64")]
    bytes: Bytes,
    /// The bytes of the record as they stand in the file, with their offsets
    #[arg(long)]
    hex: bool,
    /// The keys are given as base64
    #[arg(long)]
    base64: bool,
    /// The index [default: beside the snapshot, if it is there]
    #[arg(long, value_name = "INDEX")]
    index: Option<PathBuf>,
    /// Read the snapshot and no index
    #[arg(long, conflicts_with = "index")]
    no_index: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
    /// Keys to show
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<OsString>,
}

/// Finds and shows.
pub fn get(arguments: &GetArguments) -> Outcome {
    let keys: Vec<Vec<u8>> = arguments
        .keys
        .iter()
        .map(|key| key_bytes(key, arguments.base64))
        .collect::<Result<_, _>>()?;
    let mut input = arguments.reading.open(&arguments.file)?;
    if arguments.hex {
        input = input.into_mapped()?;
    }
    let mut found: HashSet<Vec<u8>> = HashSet::new();
    let mut show = Show::new(arguments, &input, Output::stdout());
    let index = arguments.index(&input)?;
    let look = match index.as_ref().map(Input::bytes) {
        Some(Some(index)) => {
            through_index(arguments, &input, index, &keys, &mut |located, record| {
                found.insert(record.head.key.to_vec());
                show.record(located, record)
            })
        }
        _ => through_all(arguments, &input, &keys, &mut |located, record| {
            found.insert(record.head.key.to_vec());
            show.record(located, record)
        }),
    };
    look?;
    show.finish()?;
    let missing: Vec<&Vec<u8>> = keys.iter().filter(|key| !found.contains(*key)).collect();
    for key in &missing {
        note(&format!(
            "{}: key {} is not there",
            input.name(),
            quoted(key)
        ));
    }
    Ok(Verdict::found_if(!missing.is_empty()))
}

fn key_bytes(key: &OsStr, is_base64: bool) -> Result<Vec<u8>, Failure> {
    match is_base64 {
        false => Ok(key.as_bytes().to_vec()),
        true => STANDARD
            .decode(key.as_bytes())
            .map_err(|error| Failure::new(format!("key {key:?} is no base64: {error}"))),
    }
}

impl GetArguments {
    /// The index to use, opened; `None` if there is none, or one that is stale and was not asked for by name.
    fn index(&self, input: &Input) -> Result<Option<Input>, Failure> {
        let path = match &self.index {
            Some(path) => path.clone(),
            None => beside(&self.file),
        };
        let Some(bytes) = input
            .bytes()
            .filter(|_| !self.no_index && self.file.is_file())
        else {
            return Ok(None);
        };
        if self.index.is_none() && !path.is_file() {
            return Ok(None);
        }
        let opened = Input::open(&path)?;
        let now = Bond::of(&self.file, bytes).map_err(|error| Failure::io(input.name(), &error))?;
        let refused = match Index::decode(opened.bytes().unwrap_or_default()) {
            Ok(index) => index.bond().broken_by(now).map(str::to_owned),
            Err(what) => Some(what),
        };
        let Some(what) = refused else {
            return Ok(Some(opened));
        };
        let line = format!("{}: {what}", opened.name());
        let advice = format!("`rdb-tool index {}` makes it anew", input.name());
        if self.index.is_some() {
            return Err(Failure::new(line).hint(advice));
        }
        note(&format!("{line}; the whole snapshot is read"));
        hint(&advice);
        Ok(None)
    }
}

/// Sees a key that was asked for.
type Visit<'v> = dyn FnMut(&Located<'_>, &Record<'_>) -> Result<(), Stop> + 'v;

fn through_all(
    arguments: &GetArguments,
    input: &Input,
    keys: &[Vec<u8>],
    show: &mut Visit<'_>,
) -> Result<(), Failure> {
    let wanted: HashSet<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let visit = &mut |_, located: &Located<'_>| match &located.event {
        Event::Record(record) if wanted.contains(record.head.key) => show(located, record),
        _ => Ok(()),
    };
    let (reading, options) = (&arguments.reading, Options::shallow());
    read(input, reading, Need::AsFar, options, "searching", visit).map(|_| ())
}

fn through_index(
    arguments: &GetArguments,
    input: &Input,
    index: &[u8],
    keys: &[Vec<u8>],
    show: &mut Visit<'_>,
) -> Result<(), Failure> {
    let name = input.name();
    let of_index = |what| Failure::new(format!("the index of {name}: {what}"));
    let damage = |error: Box<FormatError>| Failure::damage(name, &error);
    let index = Index::decode(index).map_err(of_index)?;
    let options = Options {
        checksum: false,
        any_version: true,
        ..Options::shallow()
    };
    let mut reader =
        SliceReader::from_slice(input.bytes().unwrap_or_default(), options).map_err(damage)?;
    for key in keys {
        for entry in index.find(hash(key)).map_err(of_index)? {
            reader.go_to(entry.offset, u64::from(entry.db));
            while let Some(located) = reader.next().map_err(damage)? {
                let Event::Record(record) = &located.event else {
                    continue;
                };
                if record.head.key == key && arguments.reading.takes(&located) {
                    show(&located, record).map_err(|stop| stop.into_failure(name))?;
                }
                break;
            }
        }
    }
    Ok(())
}
