//! A part of the stream of replication, read from the files of the append log.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use cairn_format::aof::place::{Holds, Note};
use cairn_format::aof::reader::StreamReader;

use crate::host::{Disk, DiskFile};

/// Bytes read of a file at once.
const READ_BYTES: usize = 256 * 1024;

/// Where the log is the stream: from a place in a file on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: Arc<Path>,
    /// Where the mark stands in it that says so.
    pub at: u64,
    /// Offset of the last byte of the stream before it.
    pub offset: u64,
}

/// The bytes of the stream, annotations taken in and left out.
pub struct LogStream {
    files: VecDeque<Box<dyn DiskFile>>,
    reader: StreamReader<BufReader<Box<dyn DiskFile>>>,
    /// What is understood and not handed out.
    ready: Vec<u8>,
    given: usize,
    /// Bytes before those that are wanted.
    skip: u64,
}

impl LogStream {
    /// What follows `from` (the offset of its first byte) in `segments`, which lie behind each other in the log; `from` is in the
    /// first.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: &dyn Disk, segments: &[Segment], from: u64) -> io::Result<LogStream> {
        let first = segments.first().ok_or(io::ErrorKind::NotFound)?;
        assert!(first.offset < from, "it begins behind what is wanted");
        let mut file = disk.open(&first.path)?;
        file.seek(first.at)?;
        let mut files = VecDeque::new();
        for pair in segments.windows(2) {
            if pair[0].path != pair[1].path {
                files.push_back(disk.open(&pair[1].path)?);
            }
        }
        Ok(LogStream {
            files,
            reader: reader(file, first.at),
            ready: Vec::new(),
            given: 0,
            skip: from - 1 - first.offset,
        })
    }

    /// Understands the next record; false at the end of the files.
    fn next(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.given = 0;
        let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let item = self.reader.next_item();
        let Some(item) = item.map_err(|error| damaged(error.to_string()))? else {
            let Some(file) = self.files.pop_front() else {
                return Ok(false);
            };
            self.reader = reader(file, 0);
            return Ok(true);
        };
        match item.annotation() {
            None => self.ready.extend_from_slice(item.raw),
            Some(text) => match Note::parse(text) {
                Some(Note::Bytes(bytes)) => self.ready = bytes,
                Some(Note::Gap(count)) => {
                    return Err(damaged(format!(
                        "{count} bytes of the stream were not kept"
                    )));
                }
                Some(Note::Mark(mark)) if matches!(mark.holds, Holds::At | Holds::Ends) => {
                    return Err(damaged("the log is not the stream any more".to_owned()));
                }
                Some(Note::Mark(_)) | None => {}
            },
        }
        let skipped = self.skip.min(self.ready.len() as u64);
        self.skip -= skipped;
        self.given = skipped as usize;
        Ok(true)
    }
}

fn reader(file: Box<dyn DiskFile>, at: u64) -> StreamReader<BufReader<Box<dyn DiskFile>>> {
    StreamReader::new(BufReader::with_capacity(READ_BYTES, file), at)
}

impl Read for LogStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let count = into.len().min(self.ready.len() - self.given);
        into[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
