//! A file whose compressed strings are shown to somebody while it is read.

use std::ops::Range;

use super::{SliceSource, Source};
use crate::error::Result;

/// A compressed string on its way past a [`Watched`] source.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// Absolute offset of the compressed bytes.
    pub offset: u64,
    /// The compressed bytes.
    pub bytes: &'a [u8],
    /// The length that is claimed for the string.
    pub len: u64,
}

/// A whole file in memory, each compressed string of which is shown to somebody.
#[derive(Debug)]
pub struct Watched<'a, F> {
    inner: SliceSource<'a>,
    watch: F,
}

impl<'a, F: FnMut(Packed<'a>)> Watched<'a, F> {
    pub(in super::super) fn new(bytes: &'a [u8], checksum: bool, watch: F) -> Self {
        Watched {
            inner: SliceSource::new(bytes, checksum),
            watch,
        }
    }
}

impl<'a, F: FnMut(Packed<'a>)> Source for Watched<'a, F> {
    fn have(&mut self, count: usize) -> Result<bool> {
        self.inner.have(count)
    }

    fn window(&self) -> &[u8] {
        self.inner.window()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn known_rest(&self) -> Option<u64> {
        self.inner.known_rest()
    }

    fn checksum(&mut self) -> u64 {
        self.inner.checksum()
    }

    fn can_reread(&self) -> bool {
        self.inner.can_reread()
    }

    fn reread(&self, offset: u64) -> &[u8] {
        self.inner.reread(offset)
    }

    fn checksum_before(&mut self, tail: usize) -> u64 {
        self.inner.checksum_before(tail)
    }

    fn packed(&mut self, place: Range<usize>, len: u64) {
        let at = self.inner.at;
        debug_assert!(
            place.start <= place.end && place.end <= self.window().len(),
            "passed without being there"
        );
        if let Some(bytes) = self.inner.bytes.get(at + place.start..at + place.end) {
            let offset = (at + place.start) as u64;
            (self.watch)(Packed { offset, bytes, len });
        }
    }
}
