//! Moves live blocks out of slabs that are being emptied: a new block of the same size, the bytes, the owner's pointer, and the
//! old one is freed.
//!
//! Who owns a block hands it here; what is asked is only whether the block leaves, so that nothing is known of slabs. A new block
//! never lies where one may leave, as nothing is allocated there while a pass goes on: no block is moved twice.

use std::collections::VecDeque;

/// Blocks of more bytes never lie in slabs: they are not asked about, and their bytes are not touched.
pub const BLOCK_MAX: usize = 4096;

/// Moves blocks, and counts them.
pub struct Mover<'l> {
    leaves: &'l mut dyn FnMut(*const u8) -> bool,
    /// Blocks that were moved; an entry of an ordered map counts as one.
    pub hits: u64,
    /// Blocks that were asked about and stay.
    pub misses: u64,
}

impl<'l> Mover<'l> {
    /// `leaves` tells whether the block at an address, or around it, is to be moved.
    pub fn new(leaves: &'l mut dyn FnMut(*const u8) -> bool) -> Mover<'l> {
        Mover {
            leaves,
            hits: 0,
            misses: 0,
        }
    }

    /// Whether a block leaves; it is not counted.
    #[inline]
    pub fn is_leaving<T>(&mut self, block: *const T, bytes: usize) -> bool {
        bytes > 0 && bytes <= BLOCK_MAX && (self.leaves)(block.cast())
    }

    /// Whether the caller moves this block, which counts.
    #[inline]
    pub fn takes<T>(&mut self, block: *const T, bytes: usize) -> bool {
        if bytes == 0 || bytes > BLOCK_MAX {
            return false;
        }
        let leaves = (self.leaves)(block.cast());
        self.hits += u64::from(leaves);
        self.misses += u64::from(!leaves);
        leaves
    }

    /// A vector's block; it keeps its capacity.
    pub fn list<T>(&mut self, list: &mut Vec<T>) {
        if self.takes(list.as_ptr(), list.capacity() * size_of::<T>()) {
            let mut moved = Vec::with_capacity(list.capacity());
            moved.append(list);
            *list = moved;
        }
    }

    /// A ring buffer's block; it keeps its capacity.
    pub fn ring<T>(&mut self, ring: &mut VecDeque<T>) {
        let inside = ring.as_slices().0.as_ptr();
        if self.takes(inside, ring.capacity() * size_of::<T>()) {
            let mut moved = VecDeque::with_capacity(ring.capacity());
            moved.append(ring);
            *ring = moved;
        }
    }

    /// A box.
    pub fn boxed<T: Default>(&mut self, held: &mut Box<T>) {
        if self.takes(&raw const **held, size_of::<T>()) {
            let moved = Box::new(std::mem::take(&mut **held));
            drop(std::mem::replace(held, moved));
        }
    }

    /// A block of bytes.
    pub fn bytes(&mut self, bytes: &mut Box<[u8]>) {
        if self.takes(bytes.as_ptr(), bytes.len()) {
            *bytes = (**bytes).into();
        }
    }
}

/// Keys and values of ordered maps, as far as they have blocks of their own.
pub trait Blocks {
    /// Whether one of them leaves.
    fn is_leaving(&self, _mover: &mut Mover) -> bool {
        false
    }

    /// Moves those that leave.
    fn move_away(&mut self, _mover: &mut Mover) {}
}

impl Blocks for () {}
impl Blocks for (i64, u64) {}

impl Blocks for Box<[u8]> {
    fn is_leaving(&self, mover: &mut Mover) -> bool {
        mover.is_leaving(self.as_ptr(), self.len())
    }

    fn move_away(&mut self, mover: &mut Mover) {
        mover.bytes(self);
    }
}

impl Blocks for (i64, Box<[u8]>) {
    fn is_leaving(&self, mover: &mut Mover) -> bool {
        Blocks::is_leaving(&self.1, mover)
    }

    fn move_away(&mut self, mover: &mut Mover) {
        self.1.move_away(mover);
    }
}

impl Blocks for Vec<u8> {
    fn is_leaving(&self, mover: &mut Mover) -> bool {
        mover.is_leaving(self.as_ptr(), self.capacity())
    }

    fn move_away(&mut self, mover: &mut Mover) {
        mover.list(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_is_moved_and_keeps_its_capacity() {
        let mut all = |_: *const u8| true;
        let mut mover = Mover::new(&mut all);
        let mut list: Vec<u32> = Vec::with_capacity(17);
        list.extend([1, 2, 3]);
        let mut ring: VecDeque<u16> = VecDeque::with_capacity(9);
        ring.extend([1, 2, 3]);
        ring.rotate_left(2);
        let mut bytes: Box<[u8]> = (*b"name").into();
        let before = (list.as_ptr(), bytes.as_ptr());
        mover.list(&mut list);
        mover.ring(&mut ring);
        mover.bytes(&mut bytes);
        let mut boxed = Box::new(7_u64);
        mover.boxed(&mut boxed);
        assert_ne!((list.as_ptr(), bytes.as_ptr()), before);
        assert_eq!((list.len(), list.capacity(), *boxed), (3, 17, 7));
        assert_eq!((ring, &*bytes), (VecDeque::from([3, 1, 2]), &b"name"[..]));
        assert_eq!((mover.hits, mover.misses), (4, 0));
    }

    #[test]
    fn nobody_asks_about_large_blocks_and_about_none() {
        let mut asked = 0;
        let mut stays = |_: *const u8| {
            asked += 1;
            false
        };
        let mut mover = Mover::new(&mut stays);
        mover.list(&mut Vec::<u8>::new());
        mover.list(&mut vec![0_u8; BLOCK_MAX + 1]);
        mover.bytes(&mut Box::default());
        assert_eq!((mover.hits, mover.misses), (0, 0));
        mover.list(&mut vec![0_u8; BLOCK_MAX]);
        assert_eq!((mover.hits, mover.misses), (0, 1));
        assert_eq!(asked, 1);
    }
}
