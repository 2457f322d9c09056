//! A whole file in memory as a source.

use super::{CRC_STEP, Source};
use crate::crc64::{Crc64, combine};
use crate::error::Result;

/// A whole file in memory.
#[derive(Debug)]
pub struct SliceSource<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    summed: usize,
    crc: Option<Crc64>,
    /// Where the bytes begin that `crc` has taken in, and the checksum of all before.
    since: (usize, u64),
}

impl<'a> SliceSource<'a> {
    pub(crate) fn new(bytes: &'a [u8], checksum: bool) -> Self {
        SliceSource {
            bytes,
            at: 0,
            summed: 0,
            crc: checksum.then(Crc64::new),
            since: (0, 0),
        }
    }

    /// Goes on at another place as if everything before it had been consumed, whose checksum somebody else found.
    pub(crate) fn jump(&mut self, at: usize, sum: u64) {
        self.at = at.min(self.bytes.len());
        self.summed = self.at;
        self.since = (self.at, sum);
        if let Some(crc) = &mut self.crc {
            *crc = Crc64::new();
        }
    }

    /// The same, with the checksum of the `len` bytes between here and there.
    pub(crate) fn join(&mut self, at: usize, sum: u64, len: u64) {
        let before = self.checksum();
        self.jump(at, combine(before, sum, len));
    }

    /// The checksum of what was consumed since the last jump.
    pub(crate) fn sum_since(&mut self) -> u64 {
        self.sum_up();
        self.crc.as_ref().map_or(0, Crc64::value)
    }

    /// An offset as a place in the slice.
    pub(crate) fn place(&self, offset: u64) -> usize {
        usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.bytes.len())
    }

    /// Takes in what was consumed; gives the place up to which it was.
    fn sum_up(&mut self) -> usize {
        // A reader that went back finds its bytes summed up already.
        let end = self.at.max(self.summed);
        if let Some(crc) = &mut self.crc {
            crc.update(&self.bytes[self.summed..end]);
        }
        self.summed = end;
        end
    }

    /// The checksum of all bytes that were consumed, from that of what was taken in last.
    fn whole_sum(&self, crc: &Crc64, end: usize) -> u64 {
        match self.since {
            (0, _) => crc.value(),
            (since, before) => combine(before, crc.value(), (end - since) as u64),
        }
    }

    /// Goes on at another place. What is passed over belongs to the checksum all the same, and nothing is added twice.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
    }

    /// All bytes.
    pub(crate) fn all(&self) -> &'a [u8] {
        self.bytes
    }
}

impl Source for SliceSource<'_> {
    #[inline]
    fn have(&mut self, count: usize) -> Result<bool> {
        Ok(count <= self.bytes.len() - self.at)
    }

    #[inline]
    fn window(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.at += count;
        debug_assert!(self.at <= self.bytes.len(), "consumed what was there");
        if self.at >= self.summed + CRC_STEP {
            self.sum_up();
        }
    }

    fn offset(&self) -> u64 {
        self.at as u64
    }

    fn known_rest(&self) -> Option<u64> {
        Some((self.bytes.len() - self.at) as u64)
    }

    fn checksum(&mut self) -> u64 {
        let end = self.sum_up();
        let crc = self.crc.as_ref();
        crc.map_or(0, |crc| self.whole_sum(crc, end))
    }

    fn can_reread(&self) -> bool {
        true
    }

    fn reread(&self, offset: u64) -> &[u8] {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or_default()
    }

    fn checksum_before(&mut self, tail: usize) -> u64 {
        let end = self
            .bytes
            .len()
            .saturating_sub(tail)
            .max(self.at)
            .max(self.summed);
        let fresh = &self.bytes[self.summed..end];
        // A copy is spent: whoever goes on behind the damage still needs the sum.
        self.crc.clone().map_or(0, |mut crc| {
            crc.update(fresh);
            self.whole_sum(&crc, end)
        })
    }
}
