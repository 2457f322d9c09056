//! Walking a table: by SCAN's cursor while it changes, or straight through while it does not.
#![allow(unsafe_code)]

use super::{Entry, Slot, Table, chain, is_marked};
use crate::structure::fetch;
use crate::structure::mover::Mover;

impl<E: Entry> Table<E> {
    /// One step of a walk that may take as long as it likes while the table changes: calls back for every entry of
    /// the cursor's bucket and answers the cursor of the next step, 0 when the walk is over. It begins with 0. An entry
    /// that is in the table from the first step to the last is visited at least once; some may be visited again.
    ///
    /// The idea (found by Pieter Noordhuis for Redis): order the hashes by their bits read from the lowest on, as if
    /// mirrored. Then every bucket, at any size of the table, holds one unbroken range of this order, splitting a bucket
    /// halves its range, and merging joins two neighbours. The cursor is a point in this order (the mirrored number);
    /// everything before it was visited. A step visits the bucket whose range contains the point, and moves the point
    /// to the end of that range, which is adding 1 to the mirrored number above the bits that the bucket's number has.
    /// When the table has shrunk, the range may begin before the point: those entries come again.
    pub fn scan(&self, cursor: u64, visit: &mut dyn FnMut(&E)) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let (bucket, next) = self.scan_place(cursor);
        // SAFETY: the bucket is below N, and the table cannot change while it is borrowed here.
        unsafe { chain::for_each(self.block(bucket), |word| visit(word.cast::<E>().as_ref())) };
        next
    }

    /// One step of such a walk that moves blocks: those of the table itself with the first step, those behind the cursor's bucket, and
    /// what `renew` moves of each entry. It keeps keys and marks; slots stay valid.
    pub fn move_step(
        &mut self,
        cursor: u64,
        mover: &mut Mover,
        renew: &mut dyn FnMut(&mut E, &mut Mover),
    ) -> u64 {
        if cursor == 0 {
            self.segments.move_away(mover);
        }
        if self.is_empty() {
            return 0;
        }
        let (bucket, next) = self.scan_place(cursor);
        // SAFETY: the bucket is below N; the table is borrowed exclusively, so nobody else has a reference to its handles.
        unsafe {
            chain::move_blocks(self.block(bucket), mover);
            chain::for_each(self.block(bucket), |word| {
                let before = is_marked(word.read());
                renew(word.cast::<E>().as_mut(), mover);
                debug_assert_eq!(before, is_marked(word.read()), "the mark stays");
            });
        }
        next
    }

    /// The bucket of a cursor, and the next cursor; the table is not empty.
    fn scan_place(&self, cursor: u64) -> (usize, u64) {
        let wide = 2 * self.mask + 1;
        let mut bucket = cursor as usize & wide;
        // A bucket has L + 1 bits if it was split in this round or made by it, and L bits otherwise.
        let mut bits = wide;
        if bucket >= self.buckets {
            bucket &= self.mask;
            bits = self.mask;
        } else if bucket <= self.mask && bucket + self.mask + 1 >= self.buckets {
            bits = self.mask;
        }
        let point = (cursor | !(bits as u64)).reverse_bits();
        (bucket, point.wrapping_add(1).reverse_bits())
    }

    /// All entries, each once, in no order.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter {
            table: self,
            next: self.slot(0, 0),
            left: self.len(),
        }
    }
}

impl<'t, E: Entry> IntoIterator for &'t Table<E> {
    type Item = &'t E;
    type IntoIter = Iter<'t, E>;

    fn into_iter(self) -> Iter<'t, E> {
        self.iter()
    }
}

/// Iterator over all entries of a table.
#[derive(Debug)]
pub struct Iter<'t, E: Entry> {
    table: &'t Table<E>,
    next: Slot,
    left: usize,
}

impl<E: Entry> Iter<'_, E> {
    /// Entries of the bucket after the present one are fetched ahead: a walk over a large table waits for memory only.
    fn enter_bucket(&self) {
        let ahead = self.next.bucket as usize + 1;
        if ahead < self.table.buckets {
            // SAFETY: the bucket is below N.
            unsafe { chain::for_each(self.table.block(ahead), |word| fetch::line(word.read())) };
        }
    }
}

impl<'t, E: Entry> Iterator for Iter<'t, E> {
    type Item = &'t E;

    fn next(&mut self) -> Option<&'t E> {
        while self.left > 0 && (self.next.bucket as usize) < self.table.buckets {
            if self.next.index == 0 {
                self.enter_bucket();
            }
            // SAFETY: the bucket is below N; the word of a located index holds a handle of `E` for as long as the table
            // is borrowed.
            let found = unsafe {
                chain::word(
                    self.table.block(self.next.bucket as usize),
                    self.next.index as usize,
                )
                .map(|word| word.cast::<E>().as_ref())
            };
            match found {
                Some(entry) => {
                    self.next.index += 1;
                    self.left -= 1;
                    return Some(entry);
                }
                None => {
                    self.next.bucket += 1;
                    self.next.index = 0;
                }
            }
        }
        debug_assert_eq!(self.left, 0, "entries that are counted but in no bucket");
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E: Entry> ExactSizeIterator for Iter<'_, E> {}
