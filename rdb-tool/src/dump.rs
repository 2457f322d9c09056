//! `rdb-tool dump`: every key as a line of JSON.

use crate::line::Lines;
use crate::loss::{Loss, Losses};
use crate::snapshot::{Need, Reading, Stop, Visit, inside, read};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{Event, Located};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Outcome, Output};
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

/// What could hold what has no line.
const SNAPSHOT: &str = "a snapshot";

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
    /// Replace what is there
    #[arg(long)]
    force: bool,
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
    Output::refuse_existing(&arguments.output, arguments.force)?;
    let mut output = Output::create(&arguments.output, &[&input])?;
    let mut lines = LineWriter::new(arguments.bytes);
    let walk = read(
        &input,
        &arguments.reading,
        Need::AsFar,
        Options::shallow(),
        "dumping",
        &mut |_, located: &Located<'_>| lines.event(&located.event, &mut output),
    )?;
    output.finish()?;
    Ok(walk.verdict())
}

/// Writes keys and function libraries as lines. Counts what else a file holds, which has no line.
pub struct LineWriter {
    lines: Lines,
    losses: Losses,
}

impl LineWriter {
    /// No lines yet.
    pub fn new(bytes: Bytes) -> LineWriter {
        LineWriter {
            lines: Lines::new(bytes),
            losses: Losses::default(),
        }
    }

    /// Writes the line of an event, if it has one.
    pub fn event(&mut self, event: &Event<'_>, output: &mut dyn Write) -> Visit {
        let line = match event {
            Event::Record(record) => inside(self.lines.record(record), record.db, record.head.key)?,
            Event::Function(code) => self.lines.function(code.bytes(&mut I64Text::new())),
            Event::ModuleAux(_) => return self.lost(Lack::ModuleAux),
            Event::SlotImport(_) => return self.lost(Lack::SlotImport),
            _ => return Ok(()),
        };
        output
            .write_all(line.as_bytes())
            .map_err(|error| Stop::Failed(error.into()))
    }

    fn lost(&mut self, lack: Lack) -> Visit {
        self.losses.add(Loss::needing(lack, SNAPSHOT), None);
        Ok(())
    }

    /// What had no line.
    pub fn finish(self) -> Losses {
        self.losses
    }
}
