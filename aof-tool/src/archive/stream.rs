//! The stream of a server as blocks of an increment.

use cairn_format::aof::block::Block;
use cairn_format::aof::record::{self, Failure as Unread};
use cairn_format::aof::writer::write_timestamp;
use cairn_replication::ReplId;
use cairn_toolkit::Failure;
use cairn_toolkit::select::now_ms;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// An increment that is written, and where in the stream it is.
pub struct Writing {
    pub file: File,
    pub path: PathBuf,
    pub id: ReplId,
    /// Of the last byte of the stream that is in it.
    pub offset: u64,
    /// Bytes of the file.
    pub size: u64,
    /// When it began, Unix milliseconds.
    pub since_ms: i64,
    /// The last timestamp in it.
    pub second: Option<i64>,
    /// Whether all of it is on the disk.
    pub is_synced: bool,
}

impl Writing {
    /// Whether it is time for a new folder.
    pub fn is_full(&self, size: Option<u64>, age_ms: Option<u64>) -> bool {
        let age = now_ms().saturating_sub(self.since_ms).max(0).unsigned_abs();
        size.is_some_and(|size| self.size >= size) || age_ms.is_some_and(|most| age >= most)
    }

    /// Appends a block of records that are `taken` bytes of the stream.
    pub fn block(&mut self, records: &[u8], taken: u64) -> Result<(), Failure> {
        let ms = now_ms().max(0);
        let mut bytes = Vec::with_capacity(records.len() + 128);
        let second = ms / 1000;
        if !records.is_empty() && self.second != Some(second) {
            write_timestamp(&mut bytes, second);
            self.second = Some(second);
        }
        bytes.extend_from_slice(records);
        self.offset += taken;
        let block = Block {
            id: self.id.as_bytes().to_vec(),
            offset: self.offset,
            ms: ms.unsigned_abs(),
            bytes: bytes.len() as u64,
            sum: 0,
        };
        let mut line = Vec::new();
        block.write(&mut line, &bytes);
        bytes.extend_from_slice(&line);
        let name = self.path.display().to_string();
        self.file
            .write_all(&bytes)
            .map_err(|error| Failure::io(&name, &error))?;
        self.size += bytes.len() as u64;
        self.is_synced = false;
        Ok(())
    }

    /// All of it is on the disk then.
    pub fn sync(&mut self) -> Result<(), Failure> {
        if !self.is_synced {
            let name = self.path.display().to_string();
            let synced = self.file.sync_data();
            synced.map_err(|error| Failure::io(&name, &error))?;
            self.is_synced = true;
        }
        Ok(())
    }
}

/// What keeps a stream from going on.
pub enum Wrong {
    /// The server sends what is no command.
    Stream(String),
    /// It cannot be written down.
    File(Failure),
}

/// Bytes that came and are not written yet.
pub struct Incoming {
    bytes: Vec<u8>,
}

impl Incoming {
    pub fn new(bytes: Vec<u8>) -> Incoming {
        Incoming { bytes }
    }

    /// Where more goes.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes all that is whole as one block, transactions only with their end; gives whether the server asked how far we are.
    pub fn write_whole(&mut self, writing: &mut Writing) -> Result<bool, Wrong> {
        let (mut args, mut records) = (Vec::new(), Vec::new());
        // What is whole, and where the stream has been understood to.
        let (mut at, mut whole, mut kept) = (0, 0, 0);
        let (mut counted, mut whole_counted) = (0_u64, 0_u64);
        let (mut inside, mut asked) = (false, false);
        while at < self.bytes.len() {
            // A sign of life, which is none of the stream.
            if self.bytes[at] == b'\n' {
                at += 1;
            } else {
                let found = match record::read(&self.bytes, at, 0, &mut args) {
                    Ok(found) => found,
                    Err(Unread::Short(_)) => break,
                    Err(Unread::Damaged(error)) => return Err(Wrong::Stream(error.what)),
                };
                let word = |index: usize, word: &str| {
                    let range = args.get(index).cloned().unwrap_or(0..0);
                    self.bytes[range].eq_ignore_ascii_case(word.as_bytes())
                };
                let is_question = word(0, "replconf") && word(1, "getack");
                asked |= is_question;
                inside = (inside || word(0, "multi")) && !word(0, "exec");
                // Only what changes data is kept; a log has no place for the rest.
                if !(word(0, "ping") || word(0, "replconf")) {
                    records.extend_from_slice(&self.bytes[at..found.end]);
                }
                counted += (found.end - at) as u64;
                at = found.end;
            }
            if !inside {
                (whole, kept, whole_counted) = (at, records.len(), counted);
            }
        }
        if whole_counted > 0 {
            let written = writing.block(&records[..kept], whole_counted);
            written.map_err(Wrong::File)?;
        }
        self.bytes.drain(..whole);
        Ok(asked)
    }
}
