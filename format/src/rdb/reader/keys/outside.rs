//! Hashes that memory is not to hold: somewhere else, bucket by bucket.
//!
//! ```text
//!   place    [ bucket 0 | bucket 1 | ... | bucket 255 ][ bucket 0 | ... ]    a run each time that memory is full
//! ```

use super::BUCKETS;
use std::fmt::Debug;
use std::io;

/// A place for numbers.
pub trait Spill: Debug + Send + Sync {
    /// Appends these.
    ///
    /// # Errors
    /// Those of the place.
    fn append(&mut self, numbers: &[u64]) -> io::Result<()>;

    /// Reads as many numbers as fit from the one with this index on.
    ///
    /// # Errors
    /// Those of the place.
    fn read(&self, first: u64, numbers: &mut [u64]) -> io::Result<()>;
}

/// What memory may hold of the hashes of keys, and where the others go.
#[derive(Clone, Copy, Debug)]
pub struct Beyond {
    /// Bytes.
    pub memory: usize,
    /// Opens the place.
    pub open: fn() -> io::Result<Box<dyn Spill>>,
}

/// Where a bucket ends in a run, and where the run begins.
#[derive(Debug)]
struct Run {
    begin: u64,
    ends: Box<[u64; BUCKETS]>,
}

/// What was moved there.
#[derive(Debug)]
pub(super) struct Outside {
    place: Box<dyn Spill>,
    len: u64,
    runs: Vec<Run>,
}

impl Outside {
    /// Nothing yet.
    pub fn open(beyond: Beyond) -> io::Result<Outside> {
        Ok(Outside {
            place: (beyond.open)()?,
            len: 0,
            runs: Vec::new(),
        })
    }

    /// Takes the blocks of all buckets.
    pub fn take<'b, I: Iterator<Item = &'b [u64]>>(
        &mut self,
        blocks: impl Fn(usize) -> I,
    ) -> io::Result<()> {
        let begin = self.len;
        let mut ends = Box::new([0; BUCKETS]);
        for (bucket, end) in ends.iter_mut().enumerate() {
            for block in blocks(bucket) {
                self.place.append(block)?;
                self.len += block.len() as u64;
            }
            *end = self.len;
        }
        self.runs.push(Run { begin, ends });
        Ok(())
    }

    /// The hashes of a bucket.
    pub fn bucket(&self, bucket: usize) -> io::Result<Vec<u64>> {
        let mut hashes = Vec::new();
        for run in &self.runs {
            let before = bucket.checked_sub(1).map(|before| run.ends[before]);
            let begin = before.unwrap_or(run.begin);
            let count = usize::try_from(run.ends[bucket] - begin).unwrap_or(usize::MAX);
            let had = hashes.len();
            hashes.resize(had + count, 0);
            self.place.read(begin, &mut hashes[had..])?;
        }
        Ok(hashes)
    }
}

/// For tests: memory after all.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<u64>);

#[cfg(test)]
impl Spill for Kept {
    fn append(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.0.extend_from_slice(numbers);
        Ok(())
    }

    fn read(&self, first: u64, numbers: &mut [u64]) -> io::Result<()> {
        let first = first as usize;
        numbers.copy_from_slice(&self.0[first..first + numbers.len()]);
        Ok(())
    }
}
