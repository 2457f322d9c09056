//! What a salvage did not keep, one JSON object a line.
//!
//! ```text
//!   {"from":566,"to":609,"db":0,"key":"\"user:17\"","kind":"type","problem":"type","reason":"...","bytes":"base64"}
//! ```
//!
//! Long areas take several lines, one behind the other.

use crate::snapshot::examine::Piece;
use crate::{Failure, Input, Output, escape, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::error::FormatError;
use serde_json::json;
use std::path::Path;

/// Bytes of a line.
const LINE_BYTES: usize = 1 << 20;

/// The file, if one was asked for.
#[derive(Debug)]
pub struct Quarantine {
    output: Option<Output>,
}

impl Quarantine {
    /// Opens it.
    pub fn create(path: Option<&Path>, input: &Input) -> Result<Quarantine, Failure> {
        let output = path
            .map(|path| Output::create(path, &[input]))
            .transpose()?;
        Ok(Quarantine { output })
    }

    /// Notes a part of the file, and why it was not kept.
    pub fn add(&mut self, piece: &Piece, error: &FormatError, raw: &[u8]) -> Result<(), Failure> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let mut from = piece.from;
        for chunk in raw.chunks(LINE_BYTES) {
            let to = from + chunk.len() as u64;
            let line = json!({
                "from": from,
                "to": to,
                "db": piece.db,
                "key": error.key.as_deref().map(escape::quoted_whole),
                "kind": error.kind.name(),
                "problem": error.problem,
                "reason": error.what,
                "bytes": STANDARD.encode(chunk),
            });
            json::write_line(output, &line)?;
            from = to;
        }
        Ok(())
    }

    /// Notes the bytes that were put right, as they stood in the damaged file.
    pub fn fault(&mut self, from: u64, to: u64, raw: &[u8]) -> Result<(), Failure> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let line = json!({
            "from": from,
            "to": to,
            "problem": "repaired",
            "reason": "the checksum tells what stood here",
            "bytes": STANDARD.encode(raw),
        });
        json::write_line(output, &line)?;
        Ok(())
    }

    /// Makes it lasting.
    pub fn finish(self) -> Result<(), Failure> {
        self.output.map_or(Ok(()), Output::finish)
    }
}
