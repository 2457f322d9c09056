//! All hashes of one kind, in memory or outside, and which of them occur twice.

use super::outside::{Beyond, Outside};
use super::part::Part;
use super::twice::Sieves;
use super::{BUCKETS, Buckets};
use std::collections::HashSet;
use std::io;
use std::panic::resume_unwind;
use std::thread;

/// Hashes of which some may occur twice.
#[derive(Debug, Default)]
pub struct Hashes {
    own: Buckets,
    parts: Vec<Part>,
    /// How many of them are in memory, without the blocks that are being filled.
    kept: usize,
    /// What memory may hold.
    beyond: Option<Beyond>,
    outside: Option<Outside>,
    failure: Option<io::Error>,
}

impl Hashes {
    /// None yet, and no more in memory than this says.
    pub fn within(beyond: Option<Beyond>) -> Hashes {
        Hashes {
            beyond,
            ..Hashes::default()
        }
    }

    /// Takes one.
    #[inline]
    pub fn push(&mut self, hash: u64) {
        if let Some(put_away) = self.own.push(hash) {
            self.grown(put_away);
        }
    }

    /// Takes those of a part.
    pub(super) fn absorb(&mut self, part: Part) {
        let count = part.len();
        self.parts.push(part);
        self.grown(count);
    }

    fn grown(&mut self, count: usize) {
        self.kept += count;
        let Some(beyond) = self.beyond else {
            return;
        };
        if self.kept > beyond.memory / size_of::<u64>() && self.failure.is_none() {
            // It is told at the end, as what was found until then may matter more.
            self.failure = self.move_out(beyond).err();
        }
    }

    fn move_out(&mut self, beyond: Beyond) -> io::Result<()> {
        let mut outside = match self.outside.take() {
            Some(outside) => outside,
            None => Outside::open(beyond)?,
        };
        outside.take(|bucket| self.in_memory(bucket))?;
        self.outside = Some(outside);
        (self.own, self.kept) = (Buckets::default(), 0);
        self.parts.clear();
        Ok(())
    }

    fn in_memory(&self, bucket: usize) -> impl Iterator<Item = &[u64]> {
        let parts = self.parts.iter().map(move |part| part.bucket(bucket));
        self.own.blocks(bucket).chain(parts)
    }

    /// Those that occur twice, looked for by so many threads.
    ///
    /// # Errors
    /// Those of the place beyond memory.
    pub fn repeated(&mut self, threads: usize) -> io::Result<HashSet<u64>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let hashes = &*self;
        let search = |thread: usize| {
            let (mut sieves, mut repeated) = (Sieves::default(), HashSet::new());
            for bucket in (thread..BUCKETS).step_by(threads) {
                let outside = match &hashes.outside {
                    Some(outside) => outside.bucket(bucket)?,
                    None => Vec::new(),
                };
                let in_memory = hashes.in_memory(bucket);
                let blocks: Vec<&[u64]> = in_memory.chain([&outside[..]]).collect();
                sieves.collect(&blocks, &mut repeated);
            }
            Ok(repeated)
        };
        if threads == 1 {
            return search(0);
        }
        let found: Vec<io::Result<HashSet<u64>>> = thread::scope(|scope| {
            let search = &search;
            let threads = (0..threads).map(|thread| scope.spawn(move || search(thread)));
            let threads: Vec<_> = threads.collect();
            let found = threads.into_iter().map(|one| one.join());
            found
                .map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        let mut all = HashSet::new();
        for repeated in found {
            all.extend(repeated?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::outside::Kept;
    use super::*;
    use crate::hash::hash_bytes;

    fn hashes() -> Vec<u64> {
        let numbers = 0..10_000_u64;
        numbers
            .map(|number| hash_bytes(&number.to_le_bytes(), 0))
            .collect()
    }

    /// With all in memory, and with less of it than each step brings.
    fn beyonds() -> [Option<Beyond>; 3] {
        let open = || Ok(Box::new(Kept::default()) as _);
        let within = |memory| Some(Beyond { memory, open });
        [None, within(9000), within(0)]
    }

    #[test]
    fn finds_the_repeated_among_many() {
        for beyond in beyonds() {
            let mut all = Hashes::within(beyond);
            hashes().iter().for_each(|hash| all.push(*hash));
            let twice = hashes()[77];
            all.push(twice);
            all.push(0);
            assert_eq!(all.repeated(1).unwrap(), HashSet::from([twice]));
        }
    }

    /// Once in a part and once elsewhere, or in two parts, or twice in one.
    #[test]
    fn finds_the_repeated_across_parts() {
        let hashes = hashes();
        let part =
            |from: usize, more: &[u64]| Part::of(&[&hashes[from..from + 1000], more].concat());
        for beyond in beyonds() {
            for threads in 1..4 {
                let mut all = Hashes::within(beyond);
                hashes[..1000].iter().for_each(|hash| all.push(*hash));
                all.push(0);
                all.absorb(part(1000, &[]));
                assert_eq!(all.repeated(threads).unwrap(), HashSet::new());
                all.absorb(part(2000, &[hashes[7], hashes[2500]]));
                all.absorb(part(3000, &[hashes[1500], 0]));
                let twice = HashSet::from([hashes[7], hashes[2500], hashes[1500], 0]);
                assert_eq!(
                    all.repeated(threads).unwrap(),
                    twice,
                    "{beyond:?} {threads}"
                );
            }
        }
    }

    #[test]
    fn a_place_that_fails_is_told() {
        let open = || Err(io::Error::other("no room"));
        let mut all = Hashes::within(Some(Beyond { memory: 0, open }));
        hashes().iter().for_each(|hash| all.push(*hash));
        assert_eq!(all.repeated(1).unwrap_err().to_string(), "no room");
    }

    #[test]
    fn crowded_hashes_are_found_by_sorting() {
        // All begin at one place of any table and in one bucket: step by step this would take minutes.
        let mut all = Hashes::default();
        for number in 0..1_000_000_u64 {
            all.push(number << 30);
        }
        all.push(77 << 30);
        assert_eq!(all.repeated(1).unwrap(), HashSet::from([77 << 30]));
    }
}
