//! How many keys are how large, and how soon they expire.

/// Keys of one range, and their bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Keys.
    pub keys: u64,
    /// Their bytes in the file.
    pub bytes: u64,
}

impl Bin {
    fn add(&mut self, bytes: u64) {
        self.keys += 1;
        self.bytes += bytes;
    }

    /// Adds another up.
    pub fn absorb(&mut self, other: Bin) {
        self.keys += other.keys;
        self.bytes += other.bytes;
    }
}

/// Adds up the bins of the same ranges.
pub fn absorb_all(bins: &mut [Bin], others: &[Bin]) {
    let pairs = bins.iter_mut().zip(others);
    pairs.for_each(|(bin, other)| bin.absorb(*other));
}

/// Keys by a size, in ranges that begin at 0 and the powers of two.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// By the number of bits of the size.
    bins: [Bin; 65],
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            bins: [Bin::default(); 65],
        }
    }
}

impl Sizes {
    /// Counts a key of this size.
    pub fn add(&mut self, size: u64, bytes: u64) {
        self.bins[(u64::BITS - size.leading_zeros()) as usize].add(bytes);
    }

    /// Adds others up.
    pub fn absorb(&mut self, others: &Sizes) {
        absorb_all(&mut self.bins, &others.bins);
    }

    /// The ranges that have keys: first and last size, and what is in them.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64, Bin)> + '_ {
        let range = |bits: u32| match bits {
            0 => (0, 0),
            bits => (1 << (bits - 1), u64::MAX >> (u64::BITS - bits)),
        };
        (0..)
            .zip(&self.bins)
            .filter(|(_, bin)| bin.keys > 0)
            .map(move |(bits, bin)| (range(bits).0, range(bits).1, *bin))
    }
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Ranges of time left: their name, and where they end, in milliseconds.
const LEFT: [(&str, u64); 9] = [
    ("up to 1 minute", MINUTE),
    ("up to 10 minutes", 10 * MINUTE),
    ("up to 1 hour", HOUR),
    ("up to 6 hours", 6 * HOUR),
    ("up to 1 day", DAY),
    ("up to 7 days", 7 * DAY),
    ("up to 30 days", 30 * DAY),
    ("up to 365 days", 365 * DAY),
    ("more than 365 days", u64::MAX),
];

/// Keys by the time that is left to them.
#[derive(Clone, Debug, Default)]
pub struct Expiry {
    now_ms: i64,
    never: Bin,
    expired: Bin,
    left: [Bin; LEFT.len()],
}

impl Expiry {
    /// Time is counted from `now_ms`, Unix milliseconds.
    pub fn new(now_ms: i64) -> Expiry {
        Expiry {
            now_ms,
            ..Expiry::default()
        }
    }

    /// Counts a key.
    pub fn add(&mut self, expire_ms: Option<i64>, bytes: u64) {
        let bin = match expire_ms {
            None => &mut self.never,
            Some(at) if at <= self.now_ms => &mut self.expired,
            Some(at) => {
                let left = at.saturating_sub(self.now_ms).unsigned_abs();
                let place = LEFT.iter().position(|(_, end)| left <= *end);
                &mut self.left[place.unwrap_or(LEFT.len() - 1)]
            }
        };
        bin.add(bytes);
    }

    /// Adds others up.
    pub fn absorb(&mut self, others: &Expiry) {
        self.never.absorb(others.never);
        self.expired.absorb(others.expired);
        absorb_all(&mut self.left, &others.left);
    }

    /// All ranges by name, also empty ones: those that never expire, that have expired, then by time left.
    pub fn ranges(&self) -> impl Iterator<Item = (&'static str, Bin)> + '_ {
        let names = LEFT.iter().map(|(name, _)| *name);
        [("never", self.never), ("expired", self.expired)]
            .into_iter()
            .chain(names.zip(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_into_the_range_that_names_them() {
        let mut sizes = Sizes::default();
        for size in [0, 1, 2, 3, 4, 7, 8, u64::MAX] {
            sizes.add(size, 1);
        }
        let found = sizes.ranges().map(|(from, to, bin)| (from, to, bin.keys));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                (0, 0, 1),
                (1, 1, 1),
                (2, 3, 2),
                (4, 7, 2),
                (8, 15, 1),
                (1 << 63, u64::MAX, 1)
            ]
        );
    }

    #[test]
    fn the_last_moment_of_a_range_belongs_to_it() {
        let mut expiry = Expiry::new(1000);
        for at in [
            None,
            Some(1000),
            Some(1001),
            Some(61_000),
            Some(61_001),
            Some(i64::MAX),
        ] {
            expiry.add(at, 10);
        }
        let found: Vec<_> = expiry
            .ranges()
            .filter(|(_, bin)| bin.keys > 0)
            .map(|(name, bin)| (name, bin.keys))
            .collect();
        assert_eq!(
            found,
            [
                ("never", 1),
                ("expired", 1),
                ("up to 1 minute", 2),
                ("up to 10 minutes", 1),
                ("more than 365 days", 1)
            ]
        );
    }
}
