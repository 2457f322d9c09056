//! `aof-tool dump`: the commands of a log, one a line.
//!
//! ```text
//!   file: offset TAB db TAB "SET" "key" "value"      text; the file only if there are several
//!   {"offset":93,"end":126,"db":0,"args":["SET","key","value"]}
//! ```

use crate::keys::{Keys, NO_TIMES};
use crate::log::Log;
use crate::part::Preamble;
use crate::walk::{Step, Visitor, walk};
use cairn_toolkit::escape::quoted_whole;
use cairn_toolkit::human::plural;
use cairn_toolkit::json::{self, Bytes};
use cairn_toolkit::{Failure, Input, Outcome, Output, Selection, Verdict};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// The options of `aof-tool dump`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool dump appendonlydir
  aof-tool dump --format jsonl --bytes base64 -o log.jsonl appendonly.aof
  aof-tool dump --key 'user:*' --type hash appendonlydir

Text lines are offset, database, and the quoted arguments, with tabs between; with several files the file's name comes first.
The snapshot in front of a log or in its base holds no commands: one line tells where it ends (rdb-tool dump reads it). With a selection only
commands are printed of which a key is taken; the type is that which the command works on, the size that of the command in the log.

Exit status: 0 all was printed, 1 the log is damaged (what comes before was printed), 2 it could not be read.")]
pub struct DumpArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// Form of the lines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How bytes stand in JSON
    #[arg(long, value_enum, default_value_t = Bytes::Text)]
    bytes: Bytes,
    /// Where to write
    #[arg(short, long, default_value = "-", value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

impl DumpArguments {
    fn format(&self) -> Format {
        if self.json {
            Format::Jsonl
        } else {
            self.format
        }
    }
}

/// Form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Offset, database, quoted arguments
    Text,
    /// One JSON object a line
    Jsonl,
}

/// Print the log that was named.
pub fn run(arguments: &DumpArguments) -> Outcome {
    if arguments.selection.asks_for_time() {
        return Err(Failure::new(NO_TIMES));
    }
    let log = Log::find(&arguments.path)?;
    log.refuse_as_output(&arguments.output)?;
    let first = log.files.first().map(|file| Input::open(&file.path));
    let out = match &first.transpose()? {
        Some(input) => Output::create(&arguments.output, &[input])?,
        None => Output::create(&arguments.output, &[])?,
    };
    let mut lines = Lines {
        out,
        style: Style {
            format: arguments.format(),
            bytes: arguments.bytes,
        },
        keys: Keys::default(),
        selection: &arguments.selection,
        name: None,
        line: String::new(),
    };
    let found = walk(&log, "reading", &mut lines)?;
    lines.out.finish()?;
    Ok(Verdict::found_if(found))
}

/// Prints what is taken.
struct Lines<'a> {
    out: Output,
    style: Style,
    keys: Keys,
    selection: &'a Selection,
    /// The file's name, if lines must tell it.
    name: Option<String>,
    line: String,
}

impl Visitor for Lines<'_> {
    fn file(&mut self, name: Option<&str>) {
        self.name = name.map(str::to_owned);
    }

    fn preamble(&mut self, _: &Input, preamble: Preamble) -> Result<(), Failure> {
        if !self.selection.is_all() {
            return Ok(());
        }
        let name = self.name.as_deref();
        self.style.preamble(&mut self.line, name, preamble);
        self.end_line()
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        if !self.selection.is_all() && !self.keys.are_taken(step, self.selection) {
            return Ok(());
        }
        self.style.step(&mut self.line, self.name.as_deref(), step);
        self.end_line()
    }
}

impl Lines<'_> {
    fn end_line(&mut self) -> Result<(), Failure> {
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

/// How a record becomes a line.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub format: Format,
    pub bytes: Bytes,
}

impl Style {
    /// Appends the line of a snapshot.
    pub fn preamble(self, line: &mut String, name: Option<&str>, preamble: Preamble) {
        let Preamble { end, keys } = preamble;
        match self.format {
            Format::Text => {
                start_text(line, name, 0);
                let keys = plural(keys, "key", "keys");
                line.push_str(&format!("-\t# snapshot of {keys}, {end} bytes\n"));
            }
            Format::Jsonl => {
                start_json(line, name, 0, end);
                line.push_str(&format!(",\"snapshot_keys\":{keys}}}\n"));
            }
        }
    }

    /// Appends the line of a record.
    pub fn step(self, line: &mut String, name: Option<&str>, step: &Step<'_>) {
        self.open_step(line, name, step);
        line.push_str(match self.format {
            Format::Text => "\n",
            Format::Jsonl => "}\n",
        });
    }

    /// The same without its end.
    pub fn open_step(self, line: &mut String, name: Option<&str>, step: &Step<'_>) {
        let item = step.item;
        match (self.format, item.annotation()) {
            (Format::Text, Some(text)) => {
                start_text(line, name, item.offset);
                let quoted = quoted_whole(text);
                line.push_str("-\t");
                line.push_str(&quoted[1..quoted.len() - 1]);
            }
            (Format::Text, None) => {
                start_text(line, name, item.offset);
                line.push_str(&format!("{}\t", step.db));
                append_words(line, item.args());
            }
            (Format::Jsonl, Some(text)) => {
                start_json(line, name, item.offset, item.end());
                line.push_str(",\"annotation\":");
                self.bytes.append(line, text);
            }
            (Format::Jsonl, None) => {
                start_json(line, name, item.offset, item.end());
                if let Some(second) = step.second {
                    line.push_str(&format!(",\"time\":{second}"));
                }
                line.push_str(&format!(",\"db\":{},\"args\":", step.db));
                self.append_args(line, item.args());
            }
        }
    }

    /// Appends arguments as an array.
    pub fn append_args<'a>(self, line: &mut String, args: impl Iterator<Item = &'a [u8]>) {
        line.push('[');
        for (index, arg) in args.enumerate() {
            if index > 0 {
                line.push(',');
            }
            self.bytes.append(line, arg);
        }
        line.push(']');
    }
}

/// Appends quoted arguments with blanks between.
pub fn append_words<'a>(line: &mut String, args: impl Iterator<Item = &'a [u8]>) {
    for (index, arg) in args.enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quoted_whole(arg));
    }
}

fn start_text(line: &mut String, name: Option<&str>, offset: u64) {
    if let Some(name) = name {
        line.push_str(name);
        line.push_str(": ");
    }
    line.push_str(&format!("{offset}\t"));
}

fn start_json(line: &mut String, name: Option<&str>, offset: u64, end: u64) {
    line.push('{');
    if let Some(name) = name {
        line.push_str("\"file\":");
        json::append_text(line, name);
        line.push(',');
    }
    line.push_str(&format!("\"offset\":{offset},\"end\":{end}"));
}
