//! `rdb-tool dump`: every key as a line of JSON.

use crate::line::Lines;
use crate::loss::{Loss, Losses};
use crate::snapshot::{Need, Reading, Stop, Walk, inside, read};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Located};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Failure, Input, Outcome, Output};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// Shown below the help of `dump`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool dump dump.rdb
  rdb-tool dump --bytes text dump.rdb | grep '\"user:17\"'
  ssh host cat /var/lib/redis/dump.rdb | rdb-tool dump - -o keys.jsonl

Each line has db, key, type, expire_ms, encoding (the form in the file) and value; hashes with field
expiry also field_expire_ms, keys of an LRU or LFU server idle_s or freq. Function libraries have db null.";

/// The options of `rdb-tool dump`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DumpArguments {
    /// Form of the output
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Form,
    /// How bytes stand in JSON: base64 is exact for all bytes; text leaves UTF-8 readable and marks the rest
    #[arg(long, value_enum, default_value = "base64")]
    bytes: Bytes,
    /// Where the lines go; - is stdout
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One JSON object a line
    Jsonl,
}

/// Writes the lines.
pub fn dump(arguments: &DumpArguments) -> Outcome {
    let Form::Jsonl = arguments.format;
    let input = arguments.reading.open(&arguments.file)?;
    let mut output = Output::create(&arguments.output, &[&input])?;
    let reading = &arguments.reading;
    let (walk, _) = write_lines(&input, reading, Need::AsFar, &mut output, arguments.bytes)?;
    output.finish()?;
    Ok(walk.verdict())
}

/// Writes all keys and function libraries of `input` as lines. Says what else the file holds, which has no line.
pub fn write_lines(
    input: &Input,
    reading: &Reading,
    need: Need,
    output: &mut Output,
    bytes: Bytes,
) -> Result<(Walk, Losses), Failure> {
    let mut lines = Lines::new(bytes);
    let mut losses = Losses::default();
    let visit = &mut |_, located: &Located<'_>| {
        let line = match &located.event {
            Event::Record(record) => inside(lines.record(record), record.db, record.head.key)?,
            Event::Function(code) => lines.function(code.bytes(&mut I64Text::new())),
            Event::ModuleAux(_) => {
                losses.add(
                    Loss::dropped("module data outside the keys", "a snapshot"),
                    None,
                );
                return Ok(());
            }
            Event::SlotImport(_) => {
                losses.add(Loss::dropped("a slot import under way", "a snapshot"), None);
                return Ok(());
            }
            _ => return Ok(()),
        };
        output
            .write_all(line.as_bytes())
            .map_err(|error| Stop::Failed(error.into()))
    };
    let walk = read(input, reading, need, Options::shallow(), "dumping", visit)?;
    Ok((walk, losses))
}
