//! Lines of JSON, as `dump` writes them, back into a snapshot.
//!
//! ```text
//!   line -> the places of its fields -> type -> value, read where it stands -> Writer, the newest version
//! ```
//!
//! The snapshot is a temporary file that every command then reads like any other. One line is in memory at a time.

mod groups;
mod value;

use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Dialect, Head, WriteError, WriteOptions, Writer};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::json_line::{JsonLine, Wrong};
use cairn_toolkit::select::FUNCTION;
use cairn_toolkit::{Failure, Input, Progress};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::ops::Range;

/// What lines are read into: it holds every type.
const FORM: Dialect = Dialect::NEWEST_REDIS;
/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// Why a line cannot be taken.
#[derive(Debug)]
enum Fault {
    /// It does not say what it should.
    Line(Wrong),
    /// The temporary file cannot be written.
    Write(WriteError),
}

type Taken<T> = Result<T, Fault>;

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Fault {
        Fault::Line(wrong)
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Fault {
        Fault::Write(error)
    }
}

/// The data of lines as a snapshot in a temporary file without a name. `form` says how bytes stand in them.
pub fn snapshot_of_lines(input: &Input, form: Bytes) -> Result<File, Failure> {
    let failed = |error: &io::Error| Failure::io("temporary file", error);
    let file = tempfile::tempfile().map_err(|error| failed(&error))?;
    let out = BufWriter::with_capacity(BUFFER, file);
    let unwritten = |error: WriteError| match error {
        WriteError::Io(error) => failed(&error),
        other => Failure::new(other.to_string()),
    };
    let writer = Writer::new(out, WriteOptions::new(FORM)).map_err(unwritten)?;
    let mut back = Back {
        writer,
        form,
        db: None,
    };
    let mut lines = BufReader::with_capacity(BUFFER, input.reader());
    let mut progress = Progress::bytes("reading lines", input.len());
    let (mut line, mut number, mut at) = (Vec::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::io(input.name(), &error))?;
        if read == 0 {
            break;
        }
        number += 1;
        at += read as u64;
        progress.at(at);
        match back.line(&line) {
            Ok(()) => {}
            Err(Fault::Write(error)) => return Err(unwritten(error)),
            Err(Fault::Line(wrong)) => return Err(misread(input.name(), &line, number, &wrong)),
        }
    }
    let out = back.writer.finish().map_err(unwritten)?;
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Ok(file)
}

/// The place as people count it: from one, in characters.
fn misread(name: &str, line: &[u8], number: u64, wrong: &Wrong) -> Failure {
    let before = &line[..wrong.at.min(line.len())];
    let column = String::from_utf8_lossy(before).chars().count() + 1;
    let what = &wrong.what;
    Failure::new(format!("{name}: line {number}, column {column}: {what}"))
        .hint("lines are those that `rdb-tool dump` writes: --from jsonl has bytes as base64, --from jsonl-text as `--bytes text` writes them")
}

/// The snapshot under way.
struct Back<W: Write> {
    writer: Writer<W>,
    form: Bytes,
    db: Option<u64>,
}

/// Where the fields of a line stand.
struct Line<'a> {
    whole: JsonLine<'a>,
    fields: BTreeMap<String, Range<usize>>,
    form: Bytes,
}

impl<'a> Line<'a> {
    fn of(bytes: &'a [u8], form: Bytes) -> Taken<Line<'a>> {
        let whole = JsonLine::new(bytes)?;
        let mut fields = BTreeMap::new();
        let mut at = whole.clone();
        at.object(|line, name| {
            let span = line.skip()?;
            match fields.insert(name.to_owned(), span.clone()) {
                None => Ok(()),
                Some(_) => Err(JsonLine::wrong(
                    span.start,
                    format!("the field {name:?} comes twice"),
                )),
            }
        })?;
        at.end()?;
        Ok(Line {
            whole,
            fields,
            form,
        })
    }

    /// A field that must be there.
    fn field(&self, name: &str) -> Taken<JsonLine<'a>> {
        match self.fields.get(name) {
            Some(span) => Ok(self.whole.from(span)),
            None => Err(JsonLine::wrong(0, format!("the field {name:?} is missing")).into()),
        }
    }

    /// A field that may be missing or null.
    fn optional(&self, name: &str) -> Option<JsonLine<'a>> {
        let mut at = self.whole.from(self.fields.get(name)?);
        (!at.is_null()).then_some(at)
    }

    fn bytes(&self, at: &mut JsonLine<'a>) -> Result<Vec<u8>, Wrong> {
        value::bytes(at, self.form)
    }
}

impl<W: Write> Back<W> {
    fn line(&mut self, bytes: &[u8]) -> Taken<()> {
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let line = Line::of(bytes, self.form)?;
        let type_name = line.field("type")?.string()?.into_owned();
        if type_name == FUNCTION {
            let code = line.bytes(&mut line.field("value")?)?;
            self.writer.function(&code)?;
            return Ok(());
        }
        let db = line.field("db")?.number()?;
        let key = line.bytes(&mut line.field("key")?)?;
        let number = |name| line.optional(name);
        let meta = match line.optional("meta") {
            Some(mut at) => Some(value::base64(&mut at)?),
            None => None,
        };
        let head = Head {
            key: &key,
            expire_ms: number("expire_ms").map(|mut at| at.number()).transpose()?,
            idle_s: number("idle_s").map(|mut at| at.number()).transpose()?,
            freq: number("freq").map(|mut at| at.number()).transpose()?,
            meta: meta.as_deref(),
        };
        if self.db != Some(db) {
            self.writer.select_db(db)?;
            self.db = Some(db);
        }
        self.value(&line, &type_name, &head)
    }

    fn value(&mut self, line: &Line<'_>, type_name: &str, head: &Head<'_>) -> Taken<()> {
        let writer = &mut self.writer;
        match type_name {
            "string" => {
                let bytes = line.bytes(&mut line.field("value")?)?;
                written(writer.string(head, &bytes))
            }
            "list" => {
                let elements = value::all(line)?;
                writer.begin_list(head, elements.len() as u64)?;
                elements
                    .iter()
                    .try_for_each(|element| written(writer.element(element)))
            }
            "set" => {
                let members = value::all(line)?;
                value::distinct(line, members.iter())?;
                writer.begin_set(head, members.len() as u64)?;
                members
                    .iter()
                    .try_for_each(|member| written(writer.element(member)))
            }
            "zset" => {
                let pairs = value::scored(line)?;
                value::distinct(line, pairs.iter().map(|(member, _)| member))?;
                writer.begin_zset(head, pairs.len() as u64)?;
                pairs
                    .iter()
                    .try_for_each(|(member, score)| written(writer.member(member, *score)))
            }
            "hash" => self.hash(line, head),
            "stream" => self.stream(line, head),
            "module" | "array" => self.payload(line, head),
            other => {
                let at = line.fields.get("type").map_or(0, |span| span.start);
                Err(JsonLine::wrong(at, format!("{other:?} is no type")).into())
            }
        }
    }
}

fn written(result: WriteResult<()>) -> Taken<()> {
    Ok(result?)
}
