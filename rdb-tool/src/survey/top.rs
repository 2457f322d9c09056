//! The largest of many keys, by one measure.

use cairn_format::rdb::Record;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One of the largest keys. Ordered by its measure, then by its place in the file, so that the choice is the same every time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Large {
    /// What it is ranked by.
    pub measure: u64,
    /// Offset in the file, reversed: of equals the first counts as larger.
    pub offset: Reverse<u64>,
    /// Database.
    pub db: u64,
    /// Key.
    pub key: Vec<u8>,
    /// Type.
    pub type_name: &'static str,
    /// Form in the file.
    pub encoding: &'static str,
    /// Elements.
    pub elements: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

impl Large {
    /// A record at `offset`, ranked by `measure`.
    pub fn of(
        record: &Record<'_>,
        offset: u64,
        measure: u64,
        encoding: &'static str,
        elements: u64,
        bytes: u64,
    ) -> Large {
        Large {
            measure,
            offset: Reverse(offset),
            db: record.db,
            key: record.head.key.to_vec(),
            type_name: record.value.type_name(),
            encoding,
            elements,
            bytes,
        }
    }
}

/// As many of the largest keys as are wanted; memory for those, however many come.
#[derive(Debug, Default)]
pub struct Top {
    heap: BinaryHeap<Reverse<Large>>,
    wanted: usize,
}

impl Top {
    /// Keeps the `wanted` largest.
    pub fn new(wanted: usize) -> Top {
        Top {
            heap: BinaryHeap::new(),
            wanted,
        }
    }

    /// A key with this measure or less would not be kept.
    pub fn floor(&self) -> Option<u64> {
        match self.heap.peek() {
            _ if self.wanted == 0 => Some(u64::MAX),
            Some(Reverse(smallest)) if self.heap.len() == self.wanted => Some(smallest.measure),
            _ => None,
        }
    }

    /// Keeps a key, if it is among the largest. Keys come in the order of the file.
    pub fn offer(&mut self, measure: u64, make: impl FnOnce(u64) -> Large) {
        if self.floor().is_some_and(|floor| measure <= floor) {
            return;
        }
        self.push(make(measure));
    }

    /// Takes over the largest of what follows in the file.
    pub fn absorb(&mut self, next: Top) {
        next.heap
            .into_iter()
            .for_each(|Reverse(large)| self.push(large));
    }

    fn push(&mut self, large: Large) {
        self.heap.push(Reverse(large));
        if self.heap.len() > self.wanted {
            self.heap.pop();
        }
    }

    /// The keys, largest first.
    pub fn largest(&self) -> Vec<&Large> {
        let mut largest: Vec<&Large> = self.heap.iter().map(|Reverse(large)| large).collect();
        largest.sort_by(|a, b| b.cmp(a));
        largest
    }
}
