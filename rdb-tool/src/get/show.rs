//! A key with all that the file has of it: as text, as JSON, as the bytes of the file.

use super::GetArguments;
use crate::line::Lines;
use crate::snapshot::{Stop, inside};
use cairn_format::rdb::{Located, Record};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::{Failure, Input, Output, human, json, quoted};
use serde_json::Value;
use std::io::{self, Write};

/// Bytes of a line of hexadecimal digits.
const HEX_LINE: usize = 16;

/// Shows keys on an output.
pub struct Show<'a> {
    arguments: &'a GetArguments,
    input: &'a Input,
    out: Output,
}

impl<'a> Show<'a> {
    /// On `out`; `input` is what offsets are in.
    pub fn new(arguments: &'a GetArguments, input: &'a Input, out: Output) -> Show<'a> {
        Show {
            arguments,
            input,
            out,
        }
    }

    /// Shows a key.
    pub fn record(&mut self, located: &Located<'_>, record: &Record<'_>) -> Result<(), Stop> {
        let form = match self.arguments.json {
            true => self.arguments.bytes,
            false => Bytes::Text,
        };
        let shown = match self.arguments.hex {
            true => self.title(located, record).and_then(|()| self.hex(located)),
            false => {
                let mut lines = Lines::new(form);
                let line = inside(lines.record(record), record.db, record.head.key)?;
                let mut value: Value = serde_json::from_slice(line).map_err(|error| {
                    Stop::Failed(Failure::new(format!("a line of JSON: {error}")))
                })?;
                match self.arguments.json {
                    true => {
                        value["offset"] = located.offset.into();
                        value["bytes"] = (located.end - located.offset).into();
                        json::write_line(&mut self.out, &value)
                    }
                    false => self
                        .title(located, record)
                        .and_then(|()| text(&mut self.out, &value)),
                }
            }
        };
        shown.map_err(|error| Stop::Failed(error.into()))
    }

    /// Hands everything on.
    pub fn finish(self) -> Result<(), Failure> {
        self.out.finish()
    }

    fn title(&mut self, located: &Located<'_>, record: &Record<'_>) -> io::Result<()> {
        let expiry = match record.head.expire_ms {
            None => "no expiry".to_owned(),
            Some(at) => format!("expires at {at} ms"),
        };
        let offset = located.offset;
        writeln!(
            self.out,
            "db {}, key {}: {} as {}, {} at offset {offset} ({offset:#x}), {expiry}",
            record.db,
            quoted(record.head.key),
            record.value.type_name(),
            record.value.encoding_name(),
            human::plural(located.end - offset, "byte", "bytes"),
        )
    }

    fn hex(&mut self, located: &Located<'_>) -> io::Result<()> {
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let (from, to) = (place(located.offset), place(located.end));
        let bytes = self.input.bytes().and_then(|bytes| bytes.get(from..to));
        for (line, at) in bytes
            .unwrap_or_default()
            .chunks(HEX_LINE)
            .zip((located.offset..).step_by(HEX_LINE))
        {
            let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = |byte: &u8| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            };
            let text: String = line.iter().map(shown).collect();
            let width = HEX_LINE * 3 - 1;
            writeln!(
                self.out,
                "{at:010x}  {:<width$}  |{text}|",
                digits.join(" ")
            )?;
        }
        Ok(())
    }
}

/// The value, an element a line, then what else the file has of the key.
fn text(out: &mut dyn Write, line: &Value) -> io::Result<()> {
    match &line["value"] {
        Value::Array(elements) => elements
            .iter()
            .try_for_each(|element| writeln!(out, "  {element}"))?,
        Value::Object(parts) if parts.contains_key("entries") => {
            for (name, part) in parts {
                writeln!(out, "  {name}: {part}")?;
            }
        }
        value => writeln!(out, "  {value}")?,
    }
    let told = ["db", "key", "type", "expire_ms", "encoding", "value"];
    let more = line.as_object().into_iter().flatten();
    for (name, value) in more.filter(|(name, _)| !told.contains(&name.as_str())) {
        writeln!(out, "  {name}: {value}")?;
    }
    Ok(())
}
