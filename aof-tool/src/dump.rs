//! `aof-tool dump`: the commands of a log, one a line.
//!
//! ```text
//!   file: offset TAB db TAB "SET" "key" "value"      text; the file only if there are several
//!   {"offset":93,"end":126,"db":0,"args":["SET","key","value"]}
//! ```

use crate::log::{File, Log};
use crate::part::{self, Look, Preamble, Problem};
use cairn_format::aof::reader::{Item, Records};
use cairn_format::aof::record::timestamp;
use cairn_format::error::{Damage, FormatError};
use cairn_format::text::number::parse_i64;
use cairn_toolkit::escape::quoted_whole;
use cairn_toolkit::json::{self, Bytes};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Progress, Verdict, note};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// The options of `aof-tool dump`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool dump appendonlydir
  aof-tool dump --format jsonl --bytes base64 -o log.jsonl appendonly.aof

Text lines are offset, database, and the quoted arguments, with tabs between; with several files the file's name comes first.
The snapshot in front of a log or in its base holds no commands: one line tells where it ends (rdb-tool dump reads it).

Exit status: 0 all was printed, 1 the log is damaged (what comes before was printed), 2 it could not be read.")]
pub struct DumpArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// Form of the lines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value_t = Bytes::Text)]
    bytes: Bytes,
    /// Where to write
    #[arg(short, long, default_value = "-", value_name = "OUT")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Offset, database, quoted arguments
    Text,
    /// One JSON object a line
    Jsonl,
}

/// Print the log that was named.
pub fn run(arguments: &DumpArguments) -> Outcome {
    let log = Log::find(&arguments.path)?;
    if let Some((manifest, damage)) = log
        .manifest
        .as_ref()
        .and_then(|m| Some((m, m.damage.as_ref()?)))
    {
        note(&damage_line(&manifest.path.display().to_string(), damage));
        if log.files.is_empty() {
            return Ok(Verdict::Found);
        }
    }
    let mut found = log
        .manifest
        .as_ref()
        .is_some_and(|manifest| manifest.damage.is_some());
    log.refuse_as_output(&arguments.output)?;
    let mut out = None;
    for file in &log.files {
        let input = Input::open(&file.path)?;
        let out = match &mut out {
            Some(out) => out,
            None => out.insert(Output::create(&arguments.output, &[&input])?),
        };
        let mut lines = Lines::new(out, arguments, &log, file);
        if let Some(error) = dump_file(&input, &mut lines)? {
            note(&damage_line(input.name(), &error));
            found = true;
        }
    }
    match out {
        Some(out) => out.finish()?,
        None => Output::create(&arguments.output, &[])?.finish()?,
    }
    Ok(Verdict::found_if(found))
}

/// Print one file; gives the damage that ended it early.
fn dump_file(input: &Input, lines: &mut Lines<'_>) -> Result<Option<Box<FormatError>>, Failure> {
    let mut progress = Progress::bytes("reading", input.len());
    let (preamble, mut commands) = match part::open(input, &mut Look::Structure, &mut progress) {
        Ok(opened) => opened,
        Err(Problem::Damaged(error)) => return Ok(Some(error)),
        Err(Problem::Failed(failure)) => return Err(failure),
    };
    if let Some(preamble) = preamble {
        lines.preamble(preamble)?;
    }
    loop {
        match commands.next_item() {
            Ok(Some(item)) => lines.item(&item, &mut progress)?,
            Ok(None) => return Ok(None),
            Err(error) if error.kind == Damage::Io => {
                return Err(Failure::damage(input.name(), &error));
            }
            Err(error) => return Ok(Some(error)),
        }
    }
}

/// Makes the lines of one file.
struct Lines<'a> {
    out: &'a mut Output,
    format: Format,
    bytes: Bytes,
    /// The file's name, if lines must tell it.
    name: Option<String>,
    /// Database of the next command; servers begin each file with 0.
    db: u64,
    /// Unix time of the last timestamp annotation, in seconds.
    second: Option<i64>,
    line: String,
}

impl<'a> Lines<'a> {
    fn new(out: &'a mut Output, arguments: &DumpArguments, log: &Log, file: &File) -> Self {
        let name = log.manifest.as_ref().map(|_| {
            let name = file.path.file_name().unwrap_or(file.path.as_os_str());
            name.to_string_lossy().into_owned()
        });
        Lines {
            out,
            format: arguments.format,
            bytes: arguments.bytes,
            name,
            db: 0,
            second: None,
            line: String::new(),
        }
    }

    fn preamble(&mut self, preamble: Preamble) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                let (end, keys) = (preamble.end, preamble.keys);
                self.start_text(0);
                self.line
                    .push_str(&format!("-\t# snapshot of {keys} keys, {end} bytes"));
            }
            Format::Jsonl => {
                self.start_json(0, preamble.end);
                self.line
                    .push_str(&format!(",\"snapshot_keys\":{}}}", preamble.keys));
            }
        }
        self.end_line()
    }

    fn item(&mut self, item: &Item<'_>, progress: &mut Progress) -> Result<(), Failure> {
        progress.at(item.offset);
        match item.annotation() {
            Some(text) => {
                self.second = timestamp(text).or(self.second);
                self.annotation(item, text);
            }
            None => {
                if item
                    .arg(0)
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"select"))
                {
                    let db = item
                        .arg(1)
                        .and_then(parse_i64)
                        .and_then(|db| u64::try_from(db).ok());
                    self.db = db.unwrap_or(self.db);
                }
                self.command(item);
            }
        }
        self.end_line()
    }

    fn annotation(&mut self, item: &Item<'_>, text: &[u8]) {
        match self.format {
            Format::Text => {
                self.start_text(item.offset);
                let quoted = quoted_whole(text);
                self.line.push_str("-\t");
                self.line.push_str(&quoted[1..quoted.len() - 1]);
            }
            Format::Jsonl => {
                self.start_json(item.offset, item.end());
                self.line.push_str(",\"annotation\":");
                self.bytes.append(&mut self.line, text);
                self.line.push('}');
            }
        }
    }

    fn command(&mut self, item: &Item<'_>) {
        match self.format {
            Format::Text => {
                self.start_text(item.offset);
                self.line.push_str(&format!("{}\t", self.db));
                for (index, arg) in item.args().enumerate() {
                    if index > 0 {
                        self.line.push(' ');
                    }
                    self.line.push_str(&quoted_whole(arg));
                }
            }
            Format::Jsonl => {
                self.start_json(item.offset, item.end());
                if let Some(second) = self.second {
                    self.line.push_str(&format!(",\"time\":{second}"));
                }
                self.line
                    .push_str(&format!(",\"db\":{},\"args\":[", self.db));
                for (index, arg) in item.args().enumerate() {
                    if index > 0 {
                        self.line.push(',');
                    }
                    self.bytes.append(&mut self.line, arg);
                }
                self.line.push_str("]}");
            }
        }
    }

    fn start_text(&mut self, offset: u64) {
        if let Some(name) = &self.name {
            self.line.push_str(name);
            self.line.push_str(": ");
        }
        self.line.push_str(&format!("{offset}\t"));
    }

    fn start_json(&mut self, offset: u64, end: u64) {
        self.line.push('{');
        if let Some(name) = &self.name {
            self.line.push_str("\"file\":");
            json::append_text(&mut self.line, name);
            self.line.push(',');
        }
        self.line
            .push_str(&format!("\"offset\":{offset},\"end\":{end}"));
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}
