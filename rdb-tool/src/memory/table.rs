//! What tables of so many entries take, beside the entries.

use super::server::{Generation, Model};

/// Entries of a bucket of Valkey, and its bytes.
const BUCKET_ENTRIES: u64 = 7;
const BUCKET_BYTES: u64 = 64;
/// A bucket that is more likely empty than one in a billion is not counted.
const RARE: f64 = 1e-9;

/// How a table refers to its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// An entry of 24 bytes for each: key, value, next.
    Entries,
    /// The key itself; 16 bytes more for those that share a place.
    Keys,
    /// Buckets of several.
    Buckets,
}

impl Model {
    /// How the table of all keys does, and the one of their expiries.
    pub(super) fn links_of_keys(&self) -> Links {
        match self.generation {
            Generation::Entries | Generation::Packed => Links::Entries,
            Generation::Together => Links::Keys,
            Generation::Chained | Generation::Buckets => Links::Buckets,
        }
    }

    /// How the table of a set does.
    pub(super) fn links_of_members(&self) -> Links {
        match self.generation {
            Generation::Entries => Links::Entries,
            Generation::Packed | Generation::Together => Links::Keys,
            Generation::Chained | Generation::Buckets => Links::Buckets,
        }
    }

    /// How that of a hash or sorted set does.
    pub(super) fn links_of_fields(&self) -> Links {
        match self.generation {
            Generation::Chained | Generation::Buckets => Links::Buckets,
            _ => Links::Entries,
        }
    }

    /// Bytes of a table with `entries`, what links them included, and not the entries themselves.
    pub(super) fn table(&self, links: Links, entries: u64) -> u64 {
        self.table_of(links, entries, entries)
    }

    /// The same with room for more.
    pub(super) fn table_of(&self, links: Links, entries: u64, room: u64) -> u64 {
        if entries == 0 {
            return 0;
        }
        let places = room.next_power_of_two().max(4);
        match links {
            Links::Entries => self.size(8 * places) + entries * self.size(24),
            Links::Keys => {
                self.size(8 * places) + (collisions(entries, places) * self.size(16) as f64) as u64
            }
            Links::Buckets => {
                let buckets = ((entries * 5 - 1) / 32 + 1).next_power_of_two();
                let more = children(entries, buckets) * self.size(BUCKET_BYTES) as f64;
                self.size(BUCKET_BYTES * buckets) + more as u64
            }
        }
    }
}

/// Entries that do not come first in their place, on average.
fn collisions(entries: u64, places: u64) -> f64 {
    let free = (1.0 - 1.0 / places as f64).powf(entries as f64);
    (entries as f64 - places as f64 * (1.0 - free)).max(0.0)
}

/// Buckets that others overflow into, on average. A bucket that overflows gives one of its places to the link.
fn children(entries: u64, buckets: u64) -> f64 {
    if buckets == 1 {
        return entries
            .saturating_sub(BUCKET_ENTRIES)
            .div_ceil(BUCKET_ENTRIES - 1) as f64;
    }
    let mean = entries as f64 / buckets as f64;
    let mut likely = (-mean).exp();
    let (mut children, mut count) = (0.0, 0_u64);
    while count <= BUCKET_ENTRIES || likely > RARE {
        if count > BUCKET_ENTRIES {
            children += likely * (count - BUCKET_ENTRIES).div_ceil(BUCKET_ENTRIES - 1) as f64;
        }
        count += 1;
        likely *= mean / count as f64;
    }
    children * buckets as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_grow_with_their_entries() {
        // As many entries as places: e to the minus one of them share one.
        assert!((collisions(1 << 16, 1 << 16) / 65_536.0 - 0.3679).abs() < 0.001);
        assert_eq!(children(7, 1), 0.0);
        assert_eq!(children(8, 1), 1.0);
        let (few, many) = (children(4096, 1024), children(6400, 1024));
        assert!(few > 0.0 && many > 3.0 * few, "{few} {many}");
        let model = Model::parse("redis-7.0").unwrap();
        assert_eq!(model.table(Links::Entries, 1024), 8 * 1024 + 24 * 1024);
        assert_eq!(model.table(Links::Entries, 0), 0);
    }
}
