//! Values of lines, but for streams.

use super::{Back, FORM, Fault, Line, Taken};
use crate::line::PAYLOAD;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::rdb::dump::Payload;
use cairn_format::rdb::{Check, Head};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::json_line::{JsonLine, Wrong};
use std::collections::HashSet;
use std::io::Write;

/// The field with the expiries of hash fields.
const FIELD_EXPIRY: &str = "field_expire_ms";

/// A name and a value.
type Pair = (Vec<u8>, Vec<u8>);

/// Bytes in either form.
pub fn bytes(at: &mut JsonLine<'_>, form: Bytes) -> Result<Vec<u8>, Wrong> {
    if form == Bytes::Base64 {
        return base64(at);
    }
    let mut ahead = at.clone();
    if ahead.string().is_ok() {
        return at.string().map(|text| text.into_owned().into_bytes());
    }
    let (start, mut found) = (at.place(), None);
    at.object(|at, name| match name {
        "base64" => {
            found = Some(base64(at)?);
            Ok(())
        }
        other => {
            let what = format!("expected base64, found {other:?}");
            Err(JsonLine::wrong(start, what))
        }
    })?;
    found.ok_or_else(|| JsonLine::wrong(start, "expected a string, or base64 in an object"))
}

/// A string that is base64.
pub fn base64(at: &mut JsonLine<'_>) -> Result<Vec<u8>, Wrong> {
    let start = at.place();
    let text = at.string()?;
    STANDARD
        .decode(text.as_bytes())
        .map_err(|error| JsonLine::wrong(start, format!("the string is no base64: {error}")))
}

/// The elements of an array of strings.
pub fn all(line: &Line<'_>) -> Taken<Vec<Vec<u8>>> {
    let mut elements = Vec::new();
    let mut at = line.field("value")?;
    at.array(|at| {
        elements.push(bytes(at, line.form)?);
        Ok(())
    })?;
    Ok(elements)
}

/// Members and their scores.
pub fn scored(line: &Line<'_>) -> Taken<Vec<(Vec<u8>, f64)>> {
    let mut pairs = Vec::new();
    let mut at = line.field("value")?;
    at.array(|at| {
        at.open()?;
        let member = bytes(at, line.form)?;
        at.comma()?;
        let start = at.place();
        let text = at.string()?;
        let score = text.parse().ok().filter(|score: &f64| !score.is_nan());
        let Some(score) = score else {
            return Err(JsonLine::wrong(start, format!("{text:?} is no score")));
        };
        pairs.push((member, score));
        at.close()
    })?;
    Ok(pairs)
}

/// No two may be the same.
pub fn distinct<'m>(line: &Line<'_>, members: impl Iterator<Item = &'m Vec<u8>>) -> Taken<()> {
    let mut seen = HashSet::new();
    for member in members {
        if !seen.insert(member) {
            let start = line.fields.get("value").map_or(0, |span| span.start);
            let what = format!("{} comes twice", cairn_toolkit::quoted(member));
            return Err(JsonLine::wrong(start, what).into());
        }
    }
    Ok(())
}

/// Names and values.
fn pairs(at: &mut JsonLine<'_>, form: Bytes) -> Result<Vec<Pair>, Wrong> {
    let mut pairs = Vec::new();
    at.array(|at| {
        pairs.push(pair(at, form)?);
        Ok(())
    })?;
    Ok(pairs)
}

/// A name and a value.
pub fn pair(at: &mut JsonLine<'_>, form: Bytes) -> Result<Pair, Wrong> {
    at.open()?;
    let name = bytes(at, form)?;
    at.comma()?;
    let value = bytes(at, form)?;
    at.close()?;
    Ok((name, value))
}

impl<W: Write> Back<W> {
    pub(super) fn hash(&mut self, line: &Line<'_>, head: &Head<'_>) -> Taken<()> {
        let fields = pairs(&mut line.field("value")?, line.form)?;
        distinct(line, fields.iter().map(|(name, _)| name))?;
        let mut times: Vec<Option<i64>> = Vec::new();
        if let Some(mut at) = line.optional(FIELD_EXPIRY) {
            let start = at.place();
            at.array(|at| {
                times.push(match at.is_null() {
                    true => None,
                    false => Some(at.number()?),
                });
                Ok(())
            })?;
            if times.len() != fields.len() {
                let what = format!("{} expiries for {} fields", times.len(), fields.len());
                return Err(JsonLine::wrong(start, what).into());
            }
            let is_time = |time: &i64| (1..=1 << 48).contains(time);
            if !times.iter().flatten().all(is_time) {
                let what = "an expiry is no time between 1 and 2^48 ms";
                return Err(JsonLine::wrong(start, what).into());
            }
        }
        let writer = &mut self.writer;
        let count = fields.len() as u64;
        let Some(lowest) = times.iter().flatten().min() else {
            writer.begin_hash(head, count)?;
            for (name, value) in &fields {
                writer.field(name, value)?;
            }
            return Ok(());
        };
        writer.begin_expiring_hash(head, count, *lowest)?;
        for ((name, value), time) in fields.iter().zip(&times) {
            writer.expiring_field(name, value, *time)?;
        }
        Ok(())
    }

    /// A value that is here byte by byte, as DUMP would give it.
    pub(super) fn payload(&mut self, line: &Line<'_>, head: &Head<'_>) -> Taken<()> {
        let mut at = line.field(PAYLOAD)?;
        let start = at.place();
        let bytes = base64(&mut at)?;
        let mut scratch = Vec::new();
        let value = Payload::open(&bytes, FORM)
            .and_then(|payload| payload.value(&mut scratch, Check::Sound))
            .map_err(|error| Fault::Line(JsonLine::wrong(start, error.to_string())))?;
        self.writer.object(head, &value)?;
        Ok(())
    }
}
