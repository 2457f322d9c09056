//! A table: one row for each key, with columns of one's choice (RFC 4180).

use crate::snapshot::{Stop, Visit, inside};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::crc16::key_slot;
use cairn_format::rdb::{Event, Record};
use cairn_toolkit::escape::quoted_whole;
use clap::ValueEnum;
use std::io::Write;

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Column {
    /// The database
    Db,
    /// The key; what is no printable text is escaped, as redis-cli shows it
    Key,
    /// The key as base64, exact
    KeyBase64,
    /// The type
    Type,
    /// The form in the file
    Encoding,
    /// When it expires, Unix milliseconds
    ExpireMs,
    /// Bytes in the file, with the key
    Bytes,
    /// Elements; 1 for strings
    Elements,
    /// Seconds since the last access
    IdleS,
    /// The access frequency
    Freq,
    /// The cluster slot
    Slot,
}

/// The columns if none are named.
pub const COLUMNS: &str = "db,key,type,encoding,expire_ms,bytes,elements";

/// Writes rows.
#[derive(Clone, Copy)]
pub struct Rows<'c> {
    columns: &'c [Column],
}

impl<'c> Rows<'c> {
    /// Writes the names of the columns.
    pub fn begin(columns: &'c [Column], out: &mut dyn Write) -> std::io::Result<Rows<'c>> {
        let names: Vec<String> = columns
            .iter()
            .filter_map(|column| column.to_possible_value())
            .map(|value| value.get_name().to_owned())
            .collect();
        write!(out, "{}\r\n", names.join(","))?;
        Ok(Rows { columns })
    }

    /// Appends the row of a key, which takes so many bytes in the file. Libraries and the like have none.
    pub fn event(&self, event: &Event<'_>, bytes: u64, out: &mut Vec<u8>) -> Visit {
        let Event::Record(record) = event else {
            return Ok(());
        };
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let text = cell(*column, record, bytes)?;
            append(out, &text);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// The row of a key whose record takes so many bytes, as `convert --to csv` writes it: for who reads rows back.
pub fn csv_row(columns: &[Column], record: &Record<'_>, bytes: u64) -> Option<Vec<u8>> {
    let mut row = Vec::new();
    let event = Event::Record(record.clone());
    Rows { columns }.event(&event, bytes, &mut row).ok()?;
    Some(row)
}

fn cell(column: Column, record: &Record<'_>, bytes: u64) -> Result<String, Stop> {
    let (head, key) = (&record.head, record.head.key);
    let optional = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
    Ok(match column {
        Column::Db => record.db.to_string(),
        Column::Key => {
            let text = quoted_whole(key);
            let inner = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            inner.unwrap_or(&text).replace("\\\"", "\"")
        }
        Column::KeyBase64 => STANDARD.encode(key),
        Column::Type => record.value.type_name().to_owned(),
        Column::Encoding => record.value.encoding_name().to_owned(),
        Column::ExpireMs => optional(head.expire_ms),
        Column::Bytes => bytes.to_string(),
        Column::Elements => inside(record.value.count(), record.db, key)?.to_string(),
        Column::IdleS => optional(head.idle_s.and_then(|idle| i64::try_from(idle).ok())),
        Column::Freq => optional(head.freq.map(i64::from)),
        Column::Slot => key_slot(key).to_string(),
    })
}

/// In quotes where a reader would stumble.
fn append(row: &mut Vec<u8>, text: &str) {
    if !text.contains([',', '"', '\r', '\n']) {
        row.extend_from_slice(text.as_bytes());
        return;
    }
    row.push(b'"');
    row.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    row.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut row = Vec::new();
        for text in ["plain", "a,b", "say \"hi\"", ""] {
            append(&mut row, text);
            row.push(b';');
        }
        assert_eq!(row, b"plain;\"a,b\";\"say \"\"hi\"\"\";;");
    }
}
