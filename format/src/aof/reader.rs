//! The records of a log, one after the other, from a slice or from a stream.
//!
//! Both readers begin behind a snapshot preamble, if there is one: the caller reads that with the
//! snapshot reader, which tells where it ended, and hands over the rest with its absolute offset.

use super::record::{self, Failure, Kind, Record};
use crate::error::{Damage, FormatError, Result};
use std::io::{ErrorKind, Read};
use std::ops::Range;

/// One record and its place.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Absolute offset of the record's first byte.
    pub offset: u64,
    /// All bytes of the record with its line ends.
    pub raw: &'a [u8],
    /// Argument ranges within `raw`; empty for an annotation, never empty for a command.
    ranges: &'a [Range<usize>],
    shift: usize,
    loose: bool,
}

impl<'a> Item<'a> {
    /// Command or annotation.
    pub fn kind(&self) -> Kind {
        match self.ranges.is_empty() {
            true => Kind::Annotation,
            false => Kind::Command,
        }
    }

    /// Absolute offset just behind the record.
    pub fn end(&self) -> u64 {
        self.offset + self.raw.len() as u64
    }

    /// How many arguments the command has, its name included.
    pub fn argc(&self) -> usize {
        self.ranges.len()
    }

    /// Argument `index`; the name of the command is 0.
    pub fn arg(&self, index: usize) -> Option<&'a [u8]> {
        let range = self.ranges.get(index)?;
        debug_assert!(
            self.shift <= range.start && range.start <= range.end,
            "within the record"
        );
        self.raw
            .get(range.start - self.shift..range.end - self.shift)
    }

    /// Where the arguments stand in [`Item::raw`], in order.
    pub fn places(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let ranges = self.ranges.iter();
        ranges.map(|range| range.start - self.shift..range.end - self.shift)
    }

    /// All arguments in order.
    pub fn args(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        (0..self.ranges.len()).filter_map(|index| self.arg(index))
    }

    /// Whether there are any [`Item::loose_ends`].
    #[inline]
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    /// Absolute offsets behind arguments where other bytes than CRLF stand.
    pub fn loose_ends(&self) -> impl Iterator<Item = u64> + '_ {
        let ends = self.ranges.iter().map(|range| range.end - self.shift);
        ends.filter(|end| self.raw.get(*end..*end + 2) != Some(b"\r\n"))
            .map(|end| self.offset + end as u64)
    }

    /// The text of an annotation with its `#`, without its line end.
    pub fn annotation(&self) -> Option<&'a [u8]> {
        self.ranges.is_empty().then(|| self.raw.trim_ascii_end())
    }
}

/// What gives the records of a log one after the other, wherever its bytes come from.
pub trait Records {
    /// Absolute offset of the next record.
    fn offset(&self) -> u64;

    /// The next record, or nothing at the end. After an error the reader stays where it is.
    ///
    /// # Errors
    /// [`Damage::AofFormat`], [`Damage::AofTruncated`]; [`Damage::Io`] if the bytes could not be read.
    fn next_item(&mut self) -> Result<Option<Item<'_>>>;

    /// Whether, after an error, nothing but zeros is left: damage that cutting cures without loss.
    fn ends_in_zeros(&self) -> bool;
}

/// Reads a log that lies in memory.
#[derive(Debug)]
pub struct SliceReader<'a> {
    log: &'a [u8],
    at: usize,
    base: u64,
    args: Vec<Range<usize>>,
}

impl<'a> SliceReader<'a> {
    /// A reader of `log`, whose first byte has the absolute offset `base`.
    pub fn new(log: &'a [u8], base: u64) -> Self {
        SliceReader {
            log,
            at: 0,
            base,
            args: Vec::new(),
        }
    }

    /// Absolute offset of the next record.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next record, or nothing at the end. After an error the reader stays where it is.
    #[inline]
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>> {
        if self.at == self.log.len() {
            return Ok(None);
        }
        let start = self.at;
        let found = record::read_whole(self.log, start, self.base, &mut self.args)?;
        assert!(
            start < found.end && found.end <= self.log.len(),
            "a record has an end"
        );
        self.at = found.end;
        Ok(Some(self.item(start, found, &self.args)))
    }

    /// The record that was found at `start`, with its arguments in `args`.
    #[inline]
    fn item<'b>(&self, start: usize, found: Record, args: &'b [Range<usize>]) -> Item<'b>
    where
        'a: 'b,
    {
        Item {
            offset: self.base + start as u64,
            raw: &self.log[start..found.end],
            ranges: args,
            shift: start,
            loose: found.loose,
        }
    }

    /// Reads the next records at once, as many as a batch holds, in the place of those that were in it; none at the end.
    ///
    /// # Errors
    /// As [`SliceReader::next_item`], where the first of them is damaged. Damage behind it is told when its turn comes.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<()> {
        batch.len = 0;
        for entry in &mut batch.entries {
            if self.at == self.log.len() {
                break;
            }
            if entry.args.capacity() > ARGS_KEPT {
                entry.args = Vec::new();
            }
            match record::read_whole(self.log, self.at, self.base, &mut entry.args) {
                Ok(found) => (entry.start, entry.found) = (self.at, found),
                Err(error) if batch.len == 0 => return Err(error),
                Err(_) => break,
            }
            assert!(
                self.at < entry.found.end && entry.found.end <= self.log.len(),
                "a record has an end"
            );
            self.at = entry.found.end;
            batch.len += 1;
        }
        Ok(())
    }

    /// A record of the batch that this reader has filled last; `index` is below its length.
    #[inline]
    pub fn of_batch<'b>(&self, batch: &'b Batch, index: usize) -> Item<'b>
    where
        'a: 'b,
    {
        let entry = &batch.entries[..batch.len][index];
        self.item(entry.start, entry.found, &entry.args)
    }
}

/// Records of a batch: enough for memory to answer what is asked of it for one while others are run, and few enough for what it
/// has answered to be at hand still.
const BATCH: usize = 64;
/// Arguments that a batch keeps room for with each record.
const ARGS_KEPT: usize = 1024;

/// Records that are read before the first of them is used, for who prepares what they need.
#[derive(Debug)]
pub struct Batch {
    entries: [Entry; BATCH],
    len: usize,
}

#[derive(Debug)]
struct Entry {
    start: usize,
    found: Record,
    args: Vec<Range<usize>>,
}

impl Default for Batch {
    fn default() -> Batch {
        let nothing = Record {
            kind: Kind::Annotation,
            end: 0,
            loose: false,
        };
        let entries = std::array::from_fn(|_| Entry {
            start: 0,
            found: nothing,
            args: Vec::new(),
        });
        Batch { entries, len: 0 }
    }
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the log has ended.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Records for SliceReader<'_> {
    fn offset(&self) -> u64 {
        SliceReader::offset(self)
    }

    #[inline]
    fn next_item(&mut self) -> Result<Option<Item<'_>>> {
        SliceReader::next_item(self)
    }

    fn ends_in_zeros(&self) -> bool {
        record::zeros_from(self.log, self.at) == Some(self.at)
    }
}

impl<R: Read> Records for StreamReader<R> {
    fn offset(&self) -> u64 {
        StreamReader::offset(self)
    }

    fn next_item(&mut self) -> Result<Option<Item<'_>>> {
        StreamReader::next_item(self)
    }

    fn ends_in_zeros(&self) -> bool {
        debug_assert!(
            !self.only_zeros || self.failure.is_some(),
            "asked after an error"
        );
        self.only_zeros
    }
}

/// Bytes asked of a stream at once.
const CHUNK: usize = 64 * 1024;

/// Reads a log that comes from a stream, and holds no more than the largest record and one chunk.
#[derive(Debug)]
pub struct StreamReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Next record within the buffer.
    at: usize,
    /// Absolute offset of the buffer's first byte.
    base: u64,
    ended: bool,
    args: Vec<Range<usize>>,
    /// The damage that ended the reading: what follows it may be gone from the stream, so it is judged once.
    failure: Option<Box<FormatError>>,
    only_zeros: bool,
}

impl<R: Read> StreamReader<R> {
    /// A reader of `source`, whose next byte has the absolute offset `base`.
    pub fn new(source: R, base: u64) -> Self {
        StreamReader {
            source,
            buffer: Vec::new(),
            at: 0,
            base,
            ended: false,
            args: Vec::new(),
            failure: None,
            only_zeros: false,
        }
    }

    /// Absolute offset of the next record.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next record, or nothing at the end. After an error the reader stays where it is.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>> {
        let start = self.at;
        let found = record::read(&self.buffer, start, self.base, &mut self.args);
        let (start, found) = match found {
            Ok(found) => (start, found),
            Err(Failure::Damaged(error)) => return Err(self.damaged(error)?),
            Err(Failure::Short(missing)) => match self.read_on()? {
                Some(found) => {
                    debug_assert!(
                        self.buffer.len() as u64 >= missing.need,
                        "no record without the bytes that were missing"
                    );
                    (self.at, found)
                }
                None => return Ok(None),
            },
        };
        let end = found.end;
        assert!(
            start < end && end <= self.buffer.len(),
            "a record has an end"
        );
        self.at = end;
        Ok(Some(Item {
            offset: self.base + start as u64,
            raw: &self.buffer[start..end],
            ranges: &self.args,
            shift: start,
            loose: found.loose,
        }))
    }

    /// The buffer ends within a record: get more until it does not. Gives the record, or
    /// nothing when the log ends before it.
    fn read_on(&mut self) -> Result<Option<Record>> {
        let offset = self.offset();
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        assert_eq!(self.offset(), offset, "the place in the log stays");
        loop {
            // What is there is parsed again after each fill. Filling at least as much as is there
            // keeps the sum of all those passes below three times the record.
            let wanted = self.buffer.len().max(CHUNK);
            self.fill(wanted)?;
            match record::read(&self.buffer, 0, self.base, &mut self.args) {
                Ok(found) => return Ok(Some(found)),
                Err(Failure::Damaged(error)) => return Err(self.damaged(error)?),
                Err(Failure::Short(missing)) if self.ended => match self.buffer.is_empty() {
                    true => return Ok(None),
                    false => return missing.at_end(self.base).map(Some),
                },
                Err(Failure::Short(_)) => {}
            }
        }
    }

    /// The damage that ends the reading. Its message may show what follows, so some bytes behind it are read before; and
    /// if only zeros follow, it is a torn record.
    fn damaged(&mut self, error: Box<FormatError>) -> Result<Box<FormatError>> {
        if let Some(known) = &self.failure {
            return Ok(known.clone());
        }
        let error = self.judge(error)?;
        self.failure = Some(error.clone());
        Ok(error)
    }

    fn judge(&mut self, error: Box<FormatError>) -> Result<Box<FormatError>> {
        debug_assert!(error.offset >= self.offset(), "damage of the next record");
        let mut error = error;
        if !self.ended && self.buffer.len() - self.at < CHUNK {
            self.fill(CHUNK)?;
            if let Err(Failure::Damaged(seen)) =
                record::read(&self.buffer, self.at, self.base, &mut self.args)
            {
                error = seen;
            }
        }
        let Some(zeros) = record::zeros_from(&self.buffer, self.at) else {
            return Ok(error);
        };
        debug_assert!(self.at <= zeros && zeros < self.buffer.len());
        let torn = |beyond| record::before_zeros(&self.buffer, self.at, self.base, zeros, beyond);
        if torn(0).is_none() {
            return Ok(error);
        }
        let beyond = zeros_to_the_end(&mut self.source, self.base + self.buffer.len() as u64)?;
        self.only_zeros = beyond.is_some() && zeros == self.at;
        Ok(beyond.and_then(torn).unwrap_or(error))
    }

    /// Append up to `wanted` bytes; fewer mean the end of the stream.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let before = self.buffer.len();
        let read = self
            .source
            .by_ref()
            .take(wanted as u64)
            .read_to_end(&mut self.buffer);
        let after = self.buffer.len();
        debug_assert!(after - before <= wanted, "no more than was asked for");
        match read {
            Ok(_) => {
                self.ended = after - before < wanted;
                Ok(())
            }
            Err(error) => Err(unreadable(&error, self.base + after as u64)),
        }
    }
}

/// Reads the rest of a stream, whose next byte has the absolute offset `at`: how many bytes it has if all are zeros.
fn zeros_to_the_end<R: Read>(source: &mut R, at: u64) -> Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK];
    let mut count = 0;
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(Some(count)),
            Ok(got) if chunk[..got].iter().any(|b| *b != 0) => return Ok(None),
            Ok(got) => count += got as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error, at + count)),
        }
    }
}

fn unreadable(error: &std::io::Error, at: u64) -> Box<FormatError> {
    FormatError::new(Damage::Io, at, format!("reading the log: {error}"))
}
