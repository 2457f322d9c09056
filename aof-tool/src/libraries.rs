//! Function libraries of a log. They go round the engine, which would have to run them: from commands and snapshots of the log to the head of the new one.

use crate::part::{Preamble, Problem};
use crate::raw::RawKeys;
use cairn_format::aof::reader::Item;
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::error::Result as FormatResult;
use cairn_format::rdb::writer::WriteError;
use cairn_format::rdb::{Event, Options, SliceReader, Text, WriteOptions, Writer, library_name};
use cairn_toolkit::{Failure, Input};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};

/// The libraries that there are at some place of a log: code by name.
#[derive(Debug, Default)]
pub struct Libraries(BTreeMap<Vec<u8>, Vec<u8>>);

impl Libraries {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Name and code of each.
    pub fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, code)| (&name[..], &code[..]))
    }

    /// Takes a command that changes libraries; `false` for all others, and for what is not understood, so that the engine refuses it.
    pub fn take(&mut self, item: &Item<'_>) -> bool {
        let is = |index: usize, word: &[u8]| {
            item.arg(index)
                .is_some_and(|arg| arg.eq_ignore_ascii_case(word))
        };
        if !is(0, b"function") {
            return false;
        }
        let last = item.arg(item.argc() - 1).unwrap_or_default();
        match item.argc() {
            3 if is(1, b"load") => self.load(last),
            4 if is(1, b"load") && is(2, b"replace") => self.load(last),
            3 if is(1, b"delete") => self.0.remove(last).is_some(),
            2 | 3 if is(1, b"flush") => {
                self.0.clear();
                true
            }
            _ => false,
        }
    }

    fn load(&mut self, code: &[u8]) -> bool {
        let name = library_name(code).map(|(_, name)| name.into_bytes());
        name.map(|name| self.0.insert(name, code.to_vec()))
            .is_some()
    }

    /// Takes those of a snapshot. If there are any, or it `is_divided`, gives the snapshot without them and with our keys alone, and where it
    /// ended.
    pub fn take_from(
        &mut self,
        snapshot: &[u8],
        is_divided: bool,
        is_ours: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<(Input, Preamble)>, Problem> {
        let has_any = self.read(snapshot).map_err(Problem::Damaged)?;
        if !has_any && !is_divided {
            return Ok(None);
        }
        let spool = |error: std::io::Error| Problem::Failed(Failure::io("temporary file", &error));
        let file = tempfile::tempfile().map_err(spool)?;
        let mut reader = SliceReader::from_slice(snapshot, options()).map_err(Problem::Damaged)?;
        let target = WriteOptions::new(reader.dialect());
        let failed = |error| Problem::Failed(unwritten(error));
        let mut writer = Writer::new(BufWriter::new(file), target).map_err(failed)?;
        let mut preamble = Preamble::default();
        while let Some(located) = reader.next().map_err(Problem::Damaged)? {
            preamble.end = located.end;
            let goes = match &located.event {
                // Hints at numbers of keys are those of the whole.
                Event::Function(_) | Event::Resize { .. } | Event::SlotInfo { .. } => false,
                Event::Record(record) => is_ours(record.head.key),
                _ => true,
            };
            if goes {
                writer.event(&located.event).map_err(failed)?;
            }
        }
        let out = writer.finish().map_err(failed)?;
        let input = mapped(out).map_err(Problem::Failed)?;
        Ok(Some((input, preamble)))
    }

    /// Libraries stand before the keys.
    fn read(&mut self, snapshot: &[u8]) -> FormatResult<bool> {
        let mut reader = SliceReader::from_slice(snapshot, options())?;
        let mut found = false;
        while let Some(located) = reader.next()? {
            match located.event {
                Event::Function(code) => {
                    self.load(&code.to_vec());
                    found = true;
                }
                Event::Record(_) => break,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Writes the commands that load them.
    pub fn write_commands(&self, out: &mut impl Write, target: Release) -> Result<(), Failure> {
        let mut to = Rewriter::new(target);
        for code in self.0.values() {
            let lost = to.event(&Event::Function(Text::Bytes(code)));
            if let Some((what, needs)) = lost.map_err(|error| Failure::new(error.to_string()))? {
                let what = what.what();
                let line = format!("{target} has no commands for {what}, which needs {needs}");
                return Err(Failure::new(line).hint("nothing was written"));
            }
        }
        Ok(out.write_all(to.bytes())?)
    }

    /// Writes a snapshot with them in front of its keys, and those of modules behind.
    pub fn write_into(
        &self,
        snapshot: &Input,
        raw: &RawKeys,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let damaged = |error| Failure::damage(snapshot.name(), &error);
        let bytes = snapshot.bytes().unwrap_or_default();
        let mut reader = SliceReader::from_slice(bytes, options()).map_err(|e| damaged(*e))?;
        let target = WriteOptions::new(reader.dialect());
        let mut writer = Writer::new(out, target).map_err(unwritten)?;
        let mut left = Some(&self.0);
        while let Some(located) = reader.next().map_err(|e| damaged(*e))? {
            if !matches!(located.event, Event::Aux { .. }) {
                for code in left.take().into_iter().flatten().map(|(_, code)| code) {
                    let library = Event::Function(Text::Bytes(code));
                    writer.event(&library).map_err(unwritten)?;
                }
            }
            if matches!(located.event, Event::End(_)) {
                raw.write_into(&mut writer).map_err(unwritten)?;
            } else {
                writer.event(&located.event).map_err(unwritten)?;
            }
        }
        writer.finish().map(drop).map_err(unwritten)
    }
}

/// Commands may follow the snapshot. What is written without libraries has a checksum of its own, so all is looked at here.
fn options() -> Options {
    Options {
        trailing: false,
        ..Options::sound()
    }
}

fn unwritten(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()).hint("nothing was written"),
    }
}

/// A temporary file that was written, to be read.
pub fn mapped(out: BufWriter<File>) -> Result<Input, Failure> {
    let failed = |error: &std::io::Error| Failure::io("temporary file", error);
    let mut file = out.into_inner().map_err(|error| failed(error.error()))?;
    file.rewind().map_err(|error| failed(&error))?;
    Input::of_file(file, "temporary file")
}
