//! `rdb-tool dump`: every key as a line of JSON.

use crate::line::Lines;
use crate::loss::{Loss, Losses};
use crate::parts::{Parts, read_parts};
use crate::policy::{Policies, Policy};
use crate::snapshot::{Need, Reading, Stop, Visit, inside};
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{Dialect, Event, Located, Object, Record, Text};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::snapshot::again::plan;
use cairn_toolkit::{Input, Outcome, Output};
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

/// A string of so many bytes is no part of the lines of its section.
const LARGE: usize = 1 << 20;

/// Bytes of lines that a byte of a section becomes, at most as a rule: there is room for them before it grows.
const GROWTH: usize = 3;

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
    let (reading, options) = (&arguments.reading, Options::shallow());
    let lines = LineParts::new(arguments.bytes, &input);
    let mut losses = Losses::default();
    let walk = read_parts(
        &input,
        reading,
        Need::AsFar,
        options,
        "dumping",
        &lines,
        &mut |part| lines.write(part, &mut output, &mut losses),
    )?;
    output.finish()?;
    losses.report(
        input.name(),
        &Policies::default().or_all(Some(Policy::Drop)),
    );
    Ok(walk.verdict())
}

/// Makes lines of the sections of a file.
pub struct LineParts<'i> {
    form: Bytes,
    /// Where large strings can be looked up again.
    bytes: Option<&'i [u8]>,
    /// Bytes of text that there is room for in a section.
    room: usize,
}

/// The lines of a section.
pub struct LinePart {
    writer: LineWriter,
    text: Vec<u8>,
    /// After how many bytes of the text the line of a large string belongs, where its record stands, and its database.
    large: Vec<(usize, u64, u64)>,
}

impl<'i> LineParts<'i> {
    /// Lines of an input, with bytes in this form.
    pub fn new(form: Bytes, input: &'i Input) -> LineParts<'i> {
        LineParts {
            form,
            bytes: input.bytes(),
            room: GROWTH * plan().section,
        }
    }

    /// Lines of what is no more what stands in the file.
    pub fn changed(form: Bytes) -> LineParts<'i> {
        LineParts {
            form,
            bytes: None,
            room: GROWTH * plan().section,
        }
    }

    /// Writes the lines of a section, and adds up what had none.
    pub fn write(&self, part: LinePart, output: &mut Output, losses: &mut Losses) -> Visit {
        let mut written = 0;
        for (until, offset, db) in &part.large {
            put(output, &part.text[written..*until])?;
            written = *until;
            self.write_large(*offset, *db, output)?;
        }
        losses.append(part.writer.finish());
        put(output, &part.text[written..])
    }

    /// Writes the line of a large string, which is never in memory as a whole.
    fn write_large(&self, offset: u64, db: u64, output: &mut Output) -> Visit {
        let options = Options {
            checksum: false,
            any_version: true,
            ..Options::shallow()
        };
        let bytes = self.bytes.unwrap_or_default();
        let mut reader = SliceReader::from_slice(bytes, options).map_err(Stop::inside)?;
        reader.go_to(offset, db);
        if let Some(located) = reader.next().map_err(Stop::inside)?
            && let Event::Record(record) = &located.event
            && let Object::String(Text::Bytes(bytes)) = &record.value
        {
            let written = Lines::new(self.form).write_string(record, bytes, output);
            written.map_err(|error| Stop::Failed(error.into()))?;
        }
        Ok(())
    }
}

impl Parts for LineParts<'_> {
    type Part = LinePart;

    fn begin(&self, _: Dialect) -> LinePart {
        LinePart {
            writer: LineWriter::new(self.form),
            text: Vec::with_capacity(self.room),
            large: Vec::new(),
        }
    }

    fn event(&self, part: &mut LinePart, located: &Located<'_>) -> Visit {
        let can_wait = self.bytes.is_some() && self.form == Bytes::Base64;
        match &located.event {
            Event::Record(record) if can_wait && is_large(record) => {
                part.large
                    .push((part.text.len(), located.offset, record.db));
                Ok(())
            }
            event => part.writer.event(event, &mut part.text),
        }
    }
}

/// Whether a value is a string that should not be in memory as a line.
fn is_large(record: &Record<'_>) -> bool {
    matches!(&record.value, Object::String(Text::Bytes(bytes)) if bytes.len() >= LARGE)
}

fn put(output: &mut dyn Write, bytes: &[u8]) -> Visit {
    let written = output.write_all(bytes);
    written.map_err(|error| Stop::Failed(error.into()))
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
    pub fn event(&mut self, event: &Event<'_>, output: &mut Vec<u8>) -> Visit {
        match event {
            Event::Record(record) => {
                let appended = self.lines.append(record, output);
                inside(appended, record.db, record.head.key)?;
            }
            Event::Function(code) => {
                output.extend_from_slice(self.lines.function(code.bytes(&mut I64Text::new())));
            }
            Event::ModuleAux(_) => return self.lost(Lack::ModuleAux),
            Event::SlotImport(_) => return self.lost(Lack::SlotImport),
            Event::Command(_) => return self.lost(Lack::Command),
            _ => {}
        }
        Ok(())
    }

    /// What had no line.
    pub fn finish(self) -> Losses {
        self.losses
    }

    fn lost(&mut self, lack: Lack) -> Visit {
        self.losses.add(Loss::needing(lack, SNAPSHOT), None);
        Ok(())
    }
}
