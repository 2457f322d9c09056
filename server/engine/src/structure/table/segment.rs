//! The buckets of a table, in segments of 32 KB, so that nothing large is ever allocated, copied or unmapped at once.
//!
//! Invariants: bucket `b` lies in segment `b / 512` at place `b % 512`; every segment has 512 places, the last one
//! `last_places`; the first word of a place that no bucket uses is zero.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;

use super::chain::Block;
use crate::structure::fetch;
use crate::structure::mover::Mover;

/// Buckets of a segment.
const PLACES: usize = 512;
/// Words of a bucket: a cache line.
const WORDS: usize = 8;

struct Segment {
    words: NonNull<u64>,
    /// Marked entries in the chains of its buckets.
    marked: u32,
}

pub(super) struct Segments {
    segments: Vec<Segment>,
    last_places: usize,
}

fn layout(places: usize) -> Layout {
    Layout::from_size_align(places * WORDS * size_of::<u64>(), 64).expect("at most 32 KB")
}

impl Segments {
    pub const fn new() -> Segments {
        Segments {
            segments: Vec::new(),
            last_places: 0,
        }
    }

    /// Hints the processor to fetch where the first segments are.
    #[inline]
    pub fn prefetch(&self) {
        if let Some(first) = self.segments.first() {
            fetch::value(first);
        }
    }

    /// Address of a bucket that exists.
    #[inline]
    pub fn address(&self, bucket: usize) -> NonNull<u64> {
        debug_assert!(bucket < self.places(), "beyond the last segment");
        // SAFETY: the caller's bucket is below N, so its place is inside the segment.
        unsafe {
            self.segments[bucket / PLACES]
                .words
                .add(bucket % PLACES * WORDS)
        }
    }

    /// A bucket that exists.
    #[inline]
    pub fn block(&self, bucket: usize) -> Block {
        // SAFETY: places are zero (an empty bucket) or what the chain functions made of them.
        unsafe { Block::new(self.address(bucket)) }
    }

    #[inline]
    pub fn count_mark(&mut self, bucket: usize, change: i32) {
        let segment = &mut self.segments[bucket / PLACES];
        debug_assert!(
            change >= 0 || segment.marked > 0,
            "more marks taken than given"
        );
        segment.marked = segment.marked.wrapping_add_signed(change);
    }

    /// The segment that has marked entry number `nth`, in some order, and what is left of `nth` inside it: range of
    /// bucket numbers and index.
    pub fn with_marked(&self, mut nth: usize) -> Option<(std::ops::Range<usize>, usize)> {
        for (i, segment) in self.segments.iter().enumerate() {
            let marked = segment.marked as usize;
            if nth < marked {
                return Some((i * PLACES..(i + 1) * PLACES, nth));
            }
            nth -= marked;
        }
        None
    }

    /// Buckets that there is room for.
    fn places(&self) -> usize {
        self.segments.len().saturating_sub(1) * PLACES + self.last_places
    }

    /// Marked entries of all segments.
    pub fn marked(&self) -> usize {
        self.segments
            .iter()
            .map(|segment| segment.marked as usize)
            .sum()
    }

    /// Tests that the segment of a bucket counts at least its marks.
    pub fn check_marks(&self, bucket: usize, marked: usize) -> Result<(), String> {
        let counted = self.segments[bucket / PLACES].marked as usize;
        match counted < marked {
            true => Err(format!(
                "bucket {bucket}: {marked} marks, its segment has {counted}"
            )),
            false => Ok(()),
        }
    }

    pub fn mem_bytes(&self) -> usize {
        self.places() * WORDS * size_of::<u64>() + self.segments.capacity() * size_of::<Segment>()
    }

    /// Makes room for `buckets` buckets, at most one more than there is.
    pub fn extend_to(&mut self, buckets: usize) {
        let (count, places) = (buckets.div_ceil(PLACES), (buckets - 1) % PLACES + 1);
        assert!(
            count <= self.segments.len() + 1,
            "one bucket more at a time"
        );
        if count > self.segments.len() {
            if self.segments.capacity() == self.segments.len() {
                self.segments
                    .reserve_exact((self.segments.len() / 2).max(1));
            }
            self.segments.push(Segment {
                words: allocate(1),
                marked: 0,
            });
            self.last_places = 1;
        } else if places > self.last_places {
            self.resize_last((self.last_places + step(self.last_places)).min(PLACES));
        }
        assert!(buckets <= self.places(), "room for {buckets} buckets");
    }

    /// Gives back what is not needed for `buckets` buckets. Those beyond must be empty.
    pub fn shrink_to(&mut self, buckets: usize) {
        let count = buckets.div_ceil(PLACES);
        while self.segments.len() > count {
            if let Some(segment) = self.segments.pop() {
                // SAFETY: the segment was allocated with so many places, and is used no more.
                unsafe { dealloc(segment.words.as_ptr().cast(), layout(self.last_places)) };
            }
            self.last_places = PLACES;
        }
        if count == 0 {
            *self = Segments::new();
            return;
        }
        let places = (buckets - 1) % PLACES + 1;
        if places + places / 2 < self.last_places {
            self.resize_last(places);
        }
        if self.segments.capacity() > 2 * count + 2 {
            self.segments.shrink_to(count);
        }
        assert!(buckets <= self.places(), "room for {buckets} buckets");
    }

    /// Moves the list of segments and a last segment that is small, if they leave; all others are large.
    pub fn move_away(&mut self, mover: &mut Mover) {
        mover.list(&mut self.segments);
        let layout = layout(self.last_places);
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        if mover.takes(segment.words.as_ptr(), layout.size()) {
            let moved = allocate(self.last_places);
            // SAFETY: both have so many places, and are two; the old one is not used again.
            unsafe {
                moved.copy_from_nonoverlapping(segment.words, self.last_places * WORDS);
                dealloc(segment.words.as_ptr().cast(), layout);
            }
            segment.words = moved;
        }
    }

    fn resize_last(&mut self, places: usize) {
        let old = self.last_places;
        assert!(
            (1..=PLACES).contains(&places),
            "a segment of {places} places"
        );
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        // SAFETY: the segment was allocated with `old` places; new ones are cleared before anyone sees them.
        unsafe {
            let ptr = realloc(
                segment.words.as_ptr().cast(),
                layout(old),
                layout(places).size(),
            );
            segment.words =
                NonNull::new(ptr.cast()).unwrap_or_else(|| handle_alloc_error(layout(places)));
            if places > old {
                segment
                    .words
                    .add(old * WORDS)
                    .write_bytes(0, (places - old) * WORDS);
            }
        }
        self.last_places = places;
    }
}

fn allocate(places: usize) -> NonNull<u64> {
    // SAFETY: the size is not zero.
    let ptr = unsafe { alloc_zeroed(layout(places)) };
    NonNull::new(ptr.cast()).unwrap_or_else(|| handle_alloc_error(layout(places)))
}

/// By how much a segment of `places` grows: to the next size class of the allocator (four per doubling).
fn step(places: usize) -> usize {
    (1 << places.ilog2()).max(4) / 4
}
