//! Finding where a record ends without decoding it.
//!
//! A [`Source`] shows the bytes from the current record on: all the rest of a slice, or as much of a
//! pipe as was asked for so far. [`Scan`] walks a record over it, asking for bytes before it looks at
//! them. So a pipe is read only as far as the record goes, one record is in memory at a time, and a
//! claimed length costs nothing until its bytes have arrived.

mod command;
mod slice;
mod template;
mod watched;

pub use slice::SliceSource;
pub use watched::{Packed, Watched};

use std::io::Read;
use std::ops::Range;

use super::length::{self, Fault, Parsed, Why};
use super::opcode::{Layout, TypeInfo};
use super::string::{self, Form, Stored, read_string};
use super::template::Templates;
use crate::crc64::Crc64;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

/// Bytes are added to the checksum in steps of this size, while they are still in the cache.
const CRC_STEP: usize = 64 * 1024;
/// Longer keys are not named in errors: next to damage, what looks like a key may be most of the file.
const NAMED_MAX: usize = 1 << 20;
/// A pipe is read in steps of at least this size.
const READ_STEP: usize = 128 * 1024;

/// Bytes that come one after the other.
pub trait Source {
    /// Whether `count` bytes are there from the current record on; reads them if need be. False: the end comes before.
    fn have(&mut self, count: usize) -> Result<bool>;
    /// What is there from the current record on.
    fn window(&self) -> &[u8];
    /// Ends the current record after `count` bytes; `window` then begins there.
    fn consume(&mut self, count: usize);
    /// Absolute offset of the window.
    fn offset(&self) -> u64;
    /// Bytes from the window to the end, if that is known.
    fn known_rest(&self) -> Option<u64>;
    /// The checksum of everything consumed so far.
    fn checksum(&mut self) -> u64;
    /// Whether bytes that were consumed can be looked at again.
    fn can_reread(&self) -> bool;
    /// The bytes from an absolute offset on; empty if they are gone.
    fn reread(&self, offset: u64) -> &[u8];
    /// Adds all but the last `tail` bytes of the window to the checksum; only for reporting damage, as the sum is then spent.
    fn checksum_before(&mut self, tail: usize) -> u64;
    /// Told of each compressed string as it is passed: where in the window its compressed bytes stand, and the length that
    /// it claims for the string. Most sources have nothing to do with it.
    #[inline]
    fn packed(&mut self, _place: Range<usize>, _len: u64) {}
}

/// Bytes that arrive through a pipe.
#[derive(Debug)]
pub struct StreamSource<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the current record begins in the buffer.
    start: usize,
    summed: usize,
    /// Absolute offset of the buffer.
    base: u64,
    ended: bool,
    crc: Option<Crc64>,
}

impl<R: Read> StreamSource<R> {
    pub(crate) fn new(input: R, checksum: bool) -> Self {
        let crc = checksum.then(Crc64::new);
        StreamSource {
            input,
            buffer: Vec::new(),
            start: 0,
            summed: 0,
            base: 0,
            ended: false,
            crc,
        }
    }

    /// Bytes read from the input and not consumed, and the input itself.
    pub(crate) fn into_parts(self) -> (Vec<u8>, R) {
        debug_assert!(self.start <= self.buffer.len(), "consumed what was there");
        let StreamSource {
            input,
            mut buffer,
            start,
            ..
        } = self;
        buffer.drain(..start);
        (buffer, input)
    }

    fn sum(&mut self, end: usize) -> u64 {
        debug_assert!(
            self.summed <= end && end <= self.start,
            "summed before it was consumed"
        );
        let fresh = &self.buffer[self.summed..end];
        self.summed = end;
        self.crc.as_mut().map_or(0, |crc| {
            crc.update(fresh);
            crc.value()
        })
    }

    /// Throws away what was consumed.
    fn compact(&mut self) {
        assert!(self.summed <= self.start && self.start <= self.buffer.len());
        self.sum(self.start);
        self.buffer.drain(..self.start);
        self.base += self.start as u64;
        self.summed = 0;
        self.start = 0;
    }

    /// Reads until `count` bytes follow `start`, or the end. Room grows with what has arrived, not with what was claimed.
    #[cold]
    fn fill(&mut self, count: usize) -> Result<bool> {
        self.compact();
        while self.buffer.len() < count && !self.ended {
            let old = self.buffer.len();
            let step = READ_STEP.max(old.min(count - old));
            debug_assert!(
                step <= READ_STEP.max(old),
                "room grows with what has arrived"
            );
            self.buffer.resize(old + step, 0);
            let read = self.input.read(&mut self.buffer[old..]);
            let got = *read.as_ref().unwrap_or(&0);
            self.buffer.truncate(old + got);
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let at = self.base + old as u64;
                    return Err(FormatError::new(Damage::Pending, at, "more is to come"));
                }
                Err(error) => {
                    return Err(FormatError::io(self.base + old as u64, "reading", &error));
                }
            }
        }
        Ok(self.buffer.len() >= count)
    }
}

impl<R: Read> Source for StreamSource<R> {
    #[inline]
    fn have(&mut self, count: usize) -> Result<bool> {
        if count <= self.buffer.len() - self.start {
            return Ok(true);
        }
        self.fill(count)
    }

    #[inline]
    fn window(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.buffer.len(), "consumed what was there");
        if self.start - self.summed >= CRC_STEP {
            self.sum(self.start);
        }
    }

    fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    fn known_rest(&self) -> Option<u64> {
        self.ended.then(|| (self.buffer.len() - self.start) as u64)
    }

    fn checksum(&mut self) -> u64 {
        self.sum(self.start)
    }

    fn can_reread(&self) -> bool {
        false
    }

    fn reread(&self, _offset: u64) -> &[u8] {
        &[]
    }

    fn checksum_before(&mut self, tail: usize) -> u64 {
        let end = self.buffer.len().saturating_sub(tail).max(self.start);
        let fresh = &self.buffer[self.summed..end];
        self.summed = self.start;
        self.crc.take().map_or(0, |mut crc| {
            crc.update(fresh);
            crc.value()
        })
    }
}

/// A walk over the current record.
pub(crate) struct Scan<'s, S> {
    source: &'s mut S,
    /// Bytes walked since the window's begin.
    pub at: usize,
    /// Whether the file has a checksum at its end, for telling a cut file from a wrong length.
    has_checksum: bool,
    /// Whether a length in a longer form than it needs is damage. It can be read, but no server writes it.
    strict: bool,
    /// What hashes may refer to.
    templates: Option<&'s Templates>,
}

impl<'s, S: Source> Scan<'s, S> {
    pub fn new(source: &'s mut S, at: usize, has_checksum: bool) -> Self {
        Scan {
            source,
            at,
            has_checksum,
            strict: false,
            templates: None,
        }
    }

    /// Hashes may refer to these templates.
    pub fn knowing(mut self, templates: &'s Templates) -> Self {
        self.templates = Some(templates);
        self
    }

    /// Lengths must have their shortest form.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    pub fn offset(&self) -> u64 {
        self.source.offset() + self.at as u64
    }

    pub fn error(&self, kind: Damage, what: impl Into<String>) -> Box<FormatError> {
        FormatError::new(kind, self.offset(), what)
    }

    pub fn error_at(&self, at: usize, kind: Damage, what: impl Into<String>) -> Box<FormatError> {
        FormatError::new(kind, self.source.offset() + at as u64, what)
    }

    /// Adds the key to an error, decoded as far as it can be.
    #[cold]
    pub fn name_key(&self, error: Box<FormatError>, key: &Range<usize>) -> Box<FormatError> {
        let bytes = &self.source.window()[key.clone()];
        if bytes.len() > NAMED_MAX {
            return error;
        }
        match read_string(&mut Cursor::new(bytes), "key").and_then(Stored::text) {
            Ok(key) => error.at_key(&key.to_vec()),
            Err(_) => error,
        }
    }

    /// The end comes before something that needs `wanted` bytes. If the file has a proper end, it was not cut: the length is wrong.
    #[cold]
    fn short(&mut self, wanted: u64, what: &str) -> Box<FormatError> {
        let at = self.offset();
        let remain = self.source.window().len().saturating_sub(self.at);
        let kind = if wanted > 1 << 48 || self.ends_properly() {
            Damage::Length
        } else {
            Damage::Truncated
        };
        FormatError::new(
            kind,
            at,
            format!("{what}: {wanted} bytes needed, {remain} remain"),
        )
    }

    /// Whether the bytes end as a whole file does: EOF and a checksum that is right or switched off.
    fn ends_properly(&mut self) -> bool {
        let window = self.source.window();
        if !self.has_checksum {
            return window.last() == Some(&super::opcode::EOF);
        }
        let Some((body, tail)) = window.split_last_chunk::<8>() else {
            return false;
        };
        let stored = u64::from_le_bytes(*tail);
        let is_eof = body.last() == Some(&super::opcode::EOF) && body.len() > self.at;
        is_eof && (stored == 0 || self.source.checksum_before(8) == stored)
    }

    #[inline]
    fn need(&mut self, count: usize, what: &str) -> Result<()> {
        match self.at.checked_add(count) {
            Some(end) if self.source.have(end)? => Ok(()),
            _ => Err(self.short(count as u64, what)),
        }
    }

    #[inline]
    pub fn byte(&mut self, what: &str) -> Result<u8> {
        self.need(1, what)?;
        let byte = self.source.window()[self.at];
        self.at += 1;
        Ok(byte)
    }

    /// The next bytes, copied: for numbers of fixed width.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        self.need(N, what)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.source.window()[self.at..self.at + N]);
        self.at += N;
        Ok(array)
    }

    #[inline]
    pub fn skip(&mut self, count: u64, what: &str) -> Result<()> {
        let Ok(count) = usize::try_from(count) else {
            return Err(self.short(count, what));
        };
        self.need(count, what)?;
        self.at += count;
        Ok(())
    }

    /// Reads with `parse` what stands here, asking for bytes as long as it needs more.
    #[inline]
    fn parsed<T>(
        &mut self,
        what: &str,
        parse: impl Fn(&[u8], usize, bool) -> Parsed<T>,
    ) -> Result<T> {
        loop {
            let fault = match parse(self.source.window(), self.at, self.strict) {
                Ok((found, end)) => {
                    debug_assert!(self.at < end, "whatever is read has bytes");
                    self.at = end;
                    return Ok(found);
                }
                Err(fault) => fault,
            };
            match fault.why {
                Why::Short(wanted) if self.source.have(fault.at + wanted)? => {}
                _ => return Err(self.refuse(&fault, what)),
            }
        }
    }

    /// The error for what cannot be read.
    #[cold]
    fn refuse(&mut self, fault: &Fault, what: &str) -> Box<FormatError> {
        self.at = fault.at;
        match fault.why {
            Why::Short(wanted) => self.short(wanted as u64, what),
            _ => self.error(fault.kind(), fault.text(what)),
        }
    }

    #[inline]
    pub fn len(&mut self, what: &str) -> Result<u64> {
        self.parsed(what, length::len)
    }

    /// A number of things that take at least `each` bytes; refused at once if the end is known to come before.
    fn count(&mut self, each: u64, what: &str) -> Result<u64> {
        let start = self.at;
        let count = self.len(what)?;
        let rest = self
            .source
            .known_rest()
            .map(|rest| rest.saturating_sub(self.at as u64));
        if rest.is_some_and(|rest| count.saturating_mul(each) > rest) {
            self.at = start;
            return Err(self.short(count.saturating_mul(each), what));
        }
        Ok(count)
    }

    #[inline]
    pub fn string(&mut self, what: &str) -> Result<()> {
        let start = self.at;
        let rest = self.source.window().get(start..).unwrap_or_default();
        if let Some((text, _)) = string::split_short(rest) {
            self.at += 1 + text.len();
            return Ok(());
        }
        let form = self.parsed(what, string::form)?;
        let from = self.at;
        self.sized(form.stored_len(), start, what)?;
        if let Form::Lzf { len, .. } = form {
            self.source.packed(from..self.at, len);
        }
        Ok(())
    }

    /// So many strings: runs of short ones at a glance, the others one by one.
    fn strings(&mut self, count: u64, what: &str) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let rest = self.source.window().get(self.at..).unwrap_or_default();
            let mut behind = rest;
            while left > 0
                && let Some((_, next)) = string::split_short(behind)
            {
                behind = next;
                left -= 1;
            }
            self.at += rest.len() - behind.len();
            if left > 0 {
                self.string(what)?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// Skips a string's bytes; if they are not there, the error points at its length.
    #[inline]
    fn sized(&mut self, len: u64, start: usize, what: &str) -> Result<()> {
        self.skip(len, what).map_err(|mut error| {
            if error.kind == Damage::Length {
                error.offset -= (self.at - start) as u64;
            }
            error
        })
    }

    /// Walks over a value.
    pub fn value(&mut self, info: &TypeInfo) -> Result<()> {
        match info.layout {
            Layout::String => self.string(info.name),
            Layout::Strings(each) => {
                let count = self.count(u64::from(each), "count")?;
                self.strings(count.saturating_mul(u64::from(each)), "element")
            }
            Layout::TextScores => self.repeat(2, |scan| {
                scan.string("member")?;
                let len = scan.byte("score")?;
                scan.skip(if len >= 253 { 0 } else { u64::from(len) }, "score")
            }),
            Layout::BinaryScores => self.repeat(9, |scan| {
                scan.string("member")?;
                scan.skip(8, "score")
            }),
            Layout::Nodes => self.repeat(2, |scan| {
                scan.len("container of a list node")?;
                scan.string("list node")
            }),
            Layout::Expiring { base } => {
                self.skip(if base { 8 } else { 0 }, "lowest expiry")?;
                self.repeat(3, |scan| {
                    scan.len("field expiry")?;
                    scan.string("field")?;
                    scan.string("value")
                })
            }
            Layout::ValkeyExpiring => self.repeat(10, |scan| {
                scan.string("field")?;
                scan.string("value")?;
                scan.skip(8, "field expiry")
            }),
            Layout::ExpiringPack { base } => {
                self.skip(if base { 8 } else { 0 }, "lowest expiry")?;
                self.string(info.name)
            }
            Layout::Stream(form) => self.stream(form),
            Layout::Module => {
                self.len("module id")?;
                self.module_values()
            }
            Layout::Array => self.sparse_array(),
            Layout::Template {
                by_reference,
                packed,
            } => self.template_hash(by_reference, packed),
        }
    }

    fn repeat(&mut self, each: u64, mut step: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        for _ in 0..self.count(each, "count")? {
            step(self)?;
        }
        Ok(())
    }

    fn lens(&mut self, count: u32, what: &str) -> Result<()> {
        (0..count).try_for_each(|_| self.len(what).map(|_| ()))
    }

    fn stream(&mut self, form: u8) -> Result<()> {
        self.repeat(2, |scan| {
            scan.string("stream node key")?;
            scan.string("stream node")
        })?;
        self.lens(if form >= 2 { 8 } else { 3 }, "stream counters")?;
        self.repeat(3, |scan| scan.group(form))?;
        if form >= 4 {
            self.lens(2, "token limits")?;
            self.repeat(2, |scan| {
                scan.string("producer")?;
                scan.repeat(3, |scan| {
                    scan.string("token")?;
                    scan.lens(2, "token id")
                })
            })?;
            self.lens(2, "token counters")?;
        }
        Ok(())
    }

    fn group(&mut self, form: u8) -> Result<()> {
        self.string("group name")?;
        self.lens(if form >= 2 { 3 } else { 2 }, "group counters")?;
        self.repeat(25, |scan| {
            scan.skip(24, "pending entry")?;
            scan.lens(1, "delivery count")
        })?;
        self.repeat(10, |scan| {
            scan.string("consumer name")?;
            scan.skip(if form >= 3 { 16 } else { 8 }, "consumer times")?;
            scan.repeat(16, |scan| scan.skip(16, "owned id"))
        })?;
        if form >= 5 {
            self.repeat(16, |scan| scan.skip(16, "nacked id"))?;
        }
        Ok(())
    }

    /// Module values up to and with their EOF.
    pub fn module_values(&mut self) -> Result<()> {
        loop {
            let start = self.at;
            match self.len("module opcode")? {
                0 => return Ok(()),
                1 | 2 => self.lens(1, "module integer")?,
                3 => self.skip(4, "module float")?,
                4 => self.skip(8, "module double")?,
                5 => self.string("module string")?,
                other => {
                    self.at = start;
                    return Err(
                        self.error(Damage::Encoding, format!("unknown module opcode {other}"))
                    );
                }
            }
        }
    }

    fn sparse_array(&mut self) -> Result<()> {
        let count = self.count(3, "count")?;
        if self.len("array flag")? == 1 {
            self.len("array insert index")?;
        }
        for _ in 0..count {
            self.len("array index")?;
            match self.len("array tag")? {
                0 | 3 => self.string("array element")?,
                1 | 2 => self.skip(8, "array element")?,
                other => {
                    return Err(self.error(
                        Damage::Encoding,
                        format!("array element with unknown tag {other}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Attributes of a record, and where its parts stand relative to its first byte.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub expire_ms: Option<i64>,
    pub idle_s: Option<u64>,
    pub freq: Option<u8>,
    pub meta: Option<Range<usize>>,
    pub key: Range<usize>,
    pub value: Range<usize>,
}

impl Parts {
    /// Whether an attribute was read.
    pub fn has_attributes(&self) -> bool {
        self.expire_ms.is_some()
            || self.idle_s.is_some()
            || self.freq.is_some()
            || self.meta.is_some()
    }
}
