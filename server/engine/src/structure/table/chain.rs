//! One bucket and the blocks behind it: where entries lie, whatever they are.
//!
//! ```text
//!   word     0                                1     2     3     4     5     6     7
//!   +-------+----+----+----+----+----+----+----+-----+-----+-----+-----+-----+-----+------------+
//!   | state | f0 | f1 | f2 | f3 | f4 | f5 | f6 | e0  | e1  | e2  | e3  | e4  | e5  | e6 or link |
//!   +-------+----+----+----+----+----+----+----+-----+-----+-----+-----+-----+-----+------------+
//!     bits 0..2  entries in this block                 e: handle of an entry; f: top byte of its hash
//!     bit  3     word 7 is the address of the next block
//!     bits 4, 5  words for entries: 0: seven, 1: three, 2: five
//!     bit  6     in a bucket: some entry of its chain carries the mark
//! ```
//! The first block of a chain is the bucket, a cache line of its own; those behind it are allocated with three, five or
//! seven places (32, 48 or 64 bytes), because most overflow by few entries: full lines would cost 1.7 bytes more per key at
//! a mean of 8 entries.
//!
//! Invariants:
//! - every block but the last of a chain holds six entries and a link; the last holds 2 to 7 (a bucket alone 0 to 7). So
//!   entry `k` of a chain is found by stepping over six per link;
//! - words of entries below the count hold handles; all others are never read.
//!
//! The functions are `unsafe` for one reason: a [`Block`] must be the live bucket of a chain with these invariants. Only
//! the table makes them.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;

use super::is_marked;
use crate::structure::mover::Mover;

/// Entries of a block without a link.
const FULL: usize = 7;
/// Entries of a block with a link.
const LINKED: usize = 6;
const COUNT: u64 = 7;
const LINK: u64 = 1 << 3;
const CLASS_SHIFT: u32 = 4;
const CLASS: u64 = 3 << CLASS_SHIFT;
const HINT: u64 = 1 << 6;
const LOW_BITS: u64 = 0x0001_0101_0101_0101;

/// An entry's handle and the top byte of its hash.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub fingerprint: u8,
    pub entry: NonNull<u8>,
}

/// A block: a pointer to its words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Block(NonNull<u64>);

impl Block {
    #[inline]
    pub unsafe fn new(words: NonNull<u64>) -> Block {
        Block(words)
    }

    #[inline]
    unsafe fn head(self) -> u64 {
        // SAFETY: word 0 of a live block.
        u64::from_le(unsafe { self.0.read() })
    }

    #[inline]
    unsafe fn set_head(self, head: u64) {
        // SAFETY: word 0 of a live block.
        unsafe { self.0.write(head.to_le()) }
    }

    #[inline]
    unsafe fn word(self, i: usize) -> NonNull<NonNull<u8>> {
        debug_assert!(i < FULL, "a block has so many words at most");
        // SAFETY: callers pass an index below the places of the block, so the address is inside it.
        unsafe { self.0.add(1 + i).cast() }
    }

    #[inline]
    unsafe fn link(self) -> Block {
        // SAFETY: the caller saw the link bit, so word 7 holds a block's address.
        unsafe {
            debug_assert!(self.head() & LINK != 0, "word 7 may be an entry");
            Block(self.word(LINKED).read().cast())
        }
    }

    #[inline]
    unsafe fn place(self, i: usize) -> Place {
        // SAFETY: the caller passes an index below the count.
        unsafe {
            debug_assert!(i < (self.head() & COUNT) as usize, "beyond the entries");
            Place {
                fingerprint: (self.head() >> (8 + 8 * i)) as u8,
                entry: self.word(i).read(),
            }
        }
    }

    #[inline]
    unsafe fn put(self, i: usize, place: Place) {
        // SAFETY: the caller passes an index below the block's places.
        unsafe {
            debug_assert!(i < places(self.head()), "beyond the places");
            let shift = 8 + 8 * i;
            let head = self.head() & !(0xff << shift) | u64::from(place.fingerprint) << shift;
            self.set_head(head);
            self.word(i).write(place.entry);
        }
    }

    #[inline]
    unsafe fn set_count(self, count: usize) {
        // SAFETY: word 0.
        unsafe {
            debug_assert!(count <= places(self.head()), "more entries than places");
            self.set_head(self.head() & !COUNT | count as u64);
        }
    }

    /// The last block of the chain and the one before it, if any, with how many blocks come before the last.
    #[inline]
    unsafe fn tail(self) -> (Block, Option<Block>, usize) {
        let (mut block, mut parent, mut depth) = (self, None, 0);
        // SAFETY: links lead to live blocks.
        unsafe {
            while block.head() & LINK != 0 {
                parent = Some(block);
                block = block.link();
                depth += 1;
            }
        }
        (block, parent, depth)
    }
}

#[inline]
fn places(head: u64) -> usize {
    match (head & CLASS) >> CLASS_SHIFT {
        0 => FULL,
        1 => 3,
        _ => 5,
    }
}

fn class(places: usize) -> u64 {
    debug_assert!(matches!(places, 3 | 5 | FULL), "{places} places");
    match places {
        FULL => 0,
        3 => 1 << CLASS_SHIFT,
        _ => 2 << CLASS_SHIFT,
    }
}

fn layout(places: usize) -> Layout {
    Layout::array::<u64>(1 + places).expect("eight words at most")
}

fn allocate(places: usize, spill: &mut usize) -> Block {
    *spill += layout(places).size();
    // SAFETY: the size is not zero.
    let ptr = unsafe { alloc(layout(places)) };
    Block(NonNull::new(ptr.cast()).unwrap_or_else(|| handle_alloc_error(layout(places))))
}

unsafe fn free(block: Block, spill: &mut usize) {
    // SAFETY: the class in the head tells the size that the block was allocated with.
    unsafe {
        let layout = layout(places(block.head()));
        assert!(*spill >= layout.size(), "more bytes freed than allocated");
        *spill -= layout.size();
        dealloc(block.0.as_ptr().cast(), layout);
    }
}

/// Gives the last block another number of places and tells its parent where it is now.
unsafe fn resize(block: Block, parent: Block, new: usize, spill: &mut usize) -> Block {
    // SAFETY: `block` was allocated with the places of its class; its parent's word 7 is its link.
    unsafe {
        let (old, to) = (layout(places(block.head())), layout(new));
        assert!(
            (block.head() & COUNT) as usize <= new,
            "entries would be cut off"
        );
        let ptr = realloc(block.0.as_ptr().cast(), old, to.size());
        let block = Block(NonNull::new(ptr.cast()).unwrap_or_else(|| handle_alloc_error(to)));
        *spill = *spill - old.size() + to.size();
        block.set_head(block.head() & !CLASS | class(new));
        parent.word(LINKED).write(block.0.cast());
        block
    }
}

/// Number of entries in the chain.
#[inline]
pub(super) unsafe fn len(bucket: Block) -> usize {
    // SAFETY: a live chain.
    unsafe {
        let (tail, _, depth) = bucket.tail();
        debug_assert!(
            depth == 0 || tail.head() & COUNT >= 2,
            "a block that should be gone"
        );
        depth * LINKED + (tail.head() & COUNT) as usize
    }
}

/// Adds an entry at the end; answers its index in the chain.
#[inline]
pub(super) unsafe fn push(bucket: Block, place: Place, spill: &mut usize) -> usize {
    // SAFETY: a live chain; blocks grow before a word beyond their places is written.
    unsafe {
        if is_marked(place.entry) {
            bucket.set_head(bucket.head() | HINT);
        }
        let (mut tail, parent, depth) = bucket.tail();
        let count = (tail.head() & COUNT) as usize;
        if count < places(tail.head()) {
            tail.put(count, place);
            tail.set_count(count + 1);
        } else if let Some(parent) = parent.filter(|_| count < FULL) {
            tail = resize(tail, parent, count + 2, spill);
            tail.put(count, place);
            tail.set_count(count + 1);
        } else {
            debug_assert_eq!(count, FULL, "there is a place left");
            let next = allocate(3, spill);
            next.set_head(class(3) | 2);
            next.put(0, tail.place(LINKED));
            next.put(1, place);
            tail.word(LINKED).write(next.0.cast());
            tail.set_head(tail.head() & !COUNT | LINKED as u64 | LINK);
        }
        depth * LINKED + count
    }
}

/// Takes the last entry off.
#[inline]
pub(super) unsafe fn pop(bucket: Block, spill: &mut usize) -> Option<Place> {
    // SAFETY: a live chain; a block that is left with one entry gives it to its parent and is freed.
    unsafe {
        let (tail, parent, _) = bucket.tail();
        let count = ((tail.head() & COUNT) as usize).checked_sub(1)?;
        let last = tail.place(count);
        tail.set_count(count);
        if let Some(parent) = parent {
            if count == 1 {
                let moved = tail.place(0);
                free(tail, spill);
                parent.set_head(parent.head() & !(COUNT | LINK) | FULL as u64);
                parent.put(LINKED, moved);
            } else if places(tail.head()) > 3 && count + 3 <= places(tail.head()) {
                let fewer = places(tail.head()) - 2;
                resize(tail, parent, fewer, spill);
            }
        }
        Some(last)
    }
}

/// The block and index within it of entry `k`, if the chain has so many.
#[inline]
pub(super) unsafe fn locate(bucket: Block, mut k: usize) -> Option<(Block, usize)> {
    let mut block = bucket;
    // SAFETY: links lead to live blocks.
    unsafe {
        while block.head() & LINK != 0 && k >= LINKED {
            k -= LINKED;
            block = block.link();
        }
        (k < (block.head() & COUNT) as usize).then_some((block, k))
    }
}

/// Entry `k` of the chain.
#[inline]
pub(super) unsafe fn get(bucket: Block, k: usize) -> Option<Place> {
    // SAFETY: `locate` answers an index below the count.
    unsafe { locate(bucket, k).map(|(block, i)| block.place(i)) }
}

/// The word that holds entry `k`, for as long as the chain stays as it is.
#[inline]
pub(super) unsafe fn word(bucket: Block, k: usize) -> Option<NonNull<NonNull<u8>>> {
    // SAFETY: as in `get`.
    unsafe { locate(bucket, k).map(|(block, i)| block.word(i)) }
}

/// Takes entry `k` out; the last entry takes its place.
pub(super) unsafe fn remove(bucket: Block, k: usize, spill: &mut usize) -> Option<Place> {
    // SAFETY: after the pop, entry `k` is either gone (it was the last) or still located.
    unsafe {
        let taken = get(bucket, k)?;
        let last = pop(bucket, spill)?;
        if let Some((block, i)) = locate(bucket, k) {
            block.put(i, last);
        }
        Some(taken)
    }
}

/// The entry with this fingerprint that `is` recognises: its index in the chain, and its word.
#[inline(always)]
pub(super) unsafe fn find(
    bucket: Block,
    fingerprint: u8,
    is: impl Fn(NonNull<NonNull<u8>>) -> bool,
) -> Option<(usize, NonNull<NonNull<u8>>)> {
    let pattern = LOW_BITS * u64::from(fingerprint);
    let (mut block, mut before) = (bucket, 0);
    // SAFETY: `matches` yields indices below the count; links lead to live blocks.
    unsafe {
        loop {
            let head = block.head();
            let mut found = matches(head, pattern);
            while found != 0 {
                let i = found.trailing_zeros() as usize / 8;
                if is(block.word(i)) {
                    return Some((before + i, block.word(i)));
                }
                found &= found - 1;
            }
            if head & LINK == 0 {
                return None;
            }
            block = block.link();
            before += LINKED;
        }
    }
}

/// Bit 7 of byte `i` is set for each entry `i` whose fingerprint is repeated in the pattern (and rarely for one above such,
/// which the comparison of keys sorts out).
#[inline]
fn matches(head: u64, pattern: u64) -> u64 {
    let differ = (head >> 8) ^ pattern;
    let zero = differ.wrapping_sub(LOW_BITS) & !differ & (LOW_BITS << 7);
    zero & ((1 << (8 * (head & COUNT))) - 1)
}

/// What looking for a fingerprint needs next.
pub(super) enum Next {
    /// The entry at this address may be the one.
    Entry(NonNull<u8>),
    /// None of this block may be; the chain goes on in this one.
    Block(Block),
    /// There is none.
    Nothing,
}

impl Block {
    /// Where it is.
    #[inline]
    pub fn address(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// What looking for this fingerprint needs behind this block, which is live.
    #[inline]
    pub unsafe fn next(self, fingerprint: u8) -> Next {
        // SAFETY: `matches` yields indices below the count; the link bit says that there is a link.
        unsafe {
            let head = self.head();
            let found = matches(head, LOW_BITS * u64::from(fingerprint));
            if found != 0 {
                return Next::Entry(self.word(found.trailing_zeros() as usize / 8).read());
            }
            match head & LINK != 0 {
                true => Next::Block(self.link()),
                false => Next::Nothing,
            }
        }
    }
}

/// Calls back for every entry of the chain.
#[inline]
pub(super) unsafe fn for_each(bucket: Block, mut visit: impl FnMut(NonNull<NonNull<u8>>)) {
    let mut block = bucket;
    // SAFETY: words below the count hold handles; links lead to live blocks.
    unsafe {
        loop {
            let head = block.head();
            for i in 0..(head & COUNT) as usize {
                visit(block.word(i));
            }
            if head & LINK == 0 {
                return;
            }
            block = block.link();
        }
    }
}

/// Moves the blocks behind the bucket that leave.
pub(super) unsafe fn move_blocks(bucket: Block, mover: &mut Mover) {
    let mut parent = bucket;
    // SAFETY: links lead to live blocks, which were allocated with the places of their class; a parent's word 7 is its link, and is
    // told where the block is now before the old one is freed.
    unsafe {
        while parent.head() & LINK != 0 {
            let mut block = parent.link();
            let layout = layout(places(block.head()));
            if mover.takes(block.0.as_ptr(), layout.size()) {
                let (old, moved) = (block.0, alloc(layout).cast::<u64>());
                let moved = NonNull::new(moved).unwrap_or_else(|| handle_alloc_error(layout));
                moved.copy_from_nonoverlapping(old, layout.size() / size_of::<u64>());
                block = Block(moved);
                parent.word(LINKED).write(moved.cast());
                dealloc(old.as_ptr().cast(), layout);
            }
            parent = block;
        }
    }
}

/// Frees the blocks behind the bucket; the bucket is empty then. Entries are the caller's to drop before.
pub(super) unsafe fn clear(bucket: Block, spill: &mut usize) {
    // SAFETY: each block is read before it is freed, and none twice.
    unsafe {
        let mut next = (bucket.head() & LINK != 0).then(|| bucket.link());
        while let Some(block) = next {
            next = (block.head() & LINK != 0).then(|| block.link());
            free(block, spill);
        }
        bucket.set_head(0);
    }
}

/// Whether some entry may carry the mark.
#[inline]
pub(super) unsafe fn hint(bucket: Block) -> bool {
    // SAFETY: word 0.
    unsafe { bucket.head() & HINT != 0 }
}

/// Looks through the chain again whether some entry carries the mark.
pub(super) unsafe fn refresh_hint(bucket: Block) {
    let mut some = false;
    // SAFETY: `for_each` hands out live words.
    unsafe {
        for_each(bucket, |word| some |= is_marked(word.read()));
        bucket.set_head(bucket.head() & !HINT | if some { HINT } else { 0 });
    }
}

/// What [`check`] has counted.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub len: usize,
    pub marked: usize,
    pub spill: usize,
}

/// Tests the invariants of a chain, and `belongs` of each entry; adds to the counts. Answers the chain's length.
pub(super) unsafe fn check(
    bucket: Block,
    sum: &mut Sum,
    belongs: impl Fn(Place) -> bool,
) -> Result<usize, String> {
    let (mut block, before, marks) = (bucket, sum.len, sum.marked);
    // SAFETY: a live chain: links lead to live blocks, entries below the count are handles.
    unsafe {
        loop {
            let head = block.head();
            let (count, linked) = ((head & COUNT) as usize, head & LINK != 0);
            let least = if block == bucket { 0 } else { 2 };
            if count > places(head) || count < least || (linked && count != LINKED) {
                return Err(format!("a block of {count} entries"));
            }
            for place in (0..count).map(|i| block.place(i)) {
                if !belongs(place) {
                    return Err("an entry that another hash leads to".into());
                }
                sum.marked += usize::from(is_marked(place.entry));
            }
            sum.len += count;
            if block != bucket {
                sum.spill += layout(places(head)).size();
            }
            if !linked {
                break;
            }
            block = block.link();
        }
        if hint(bucket) != (sum.marked > marks) {
            return Err("the hint is wrong about marks".into());
        }
    }
    Ok(sum.len - before)
}
