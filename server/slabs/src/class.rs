//! The sizes of blocks, a class for each, and how many blocks a slab of each has.
//!
//! ```text
//!   class 1 .. 64     8, 16, 24 ... 512 bytes: steps of 8
//!   class 65 .. 120   520, 528 ... 3640, 4096: what 63, 62 ... 9, 8 blocks of a slab may have each, so that nothing is left behind the last
//! ```

/// Bytes of a slab. Smaller ones empty sooner when blocks are freed at random; larger ones leave less behind the last block
/// (half a block per slab: 0.4 % of 256-byte blocks).
pub const SLAB: usize = 32 << 10;
/// Bytes of the largest block.
pub const LARGEST: usize = 4096;
/// Alignment of every block, bytes; sizes are multiples of it.
pub const STEP: usize = 8;
/// Classes whose sizes are all the multiples of [`STEP`].
const STEPS: usize = 64;
/// Blocks of a slab of the largest class.
const FEWEST: usize = SLAB / LARGEST;
/// Classes are numbered from 1 to this.
pub(crate) const CLASSES: usize = STEPS + SLAB / (STEPS * STEP) - FEWEST;
/// Bytes of a page of the system's.
pub(crate) const PAGE: usize = 4096;

/// What is computed once for each class.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a block.
    pub size: u32,
    /// Blocks of a slab.
    pub blocks: u32,
    /// Words of 64 bits that have one bit for each block.
    pub words: u32,
    /// The largest class whose free blocks are taken when there is none of this one, rather than a new slab: an eighth larger at most.
    pub widest: u32,
    /// 2^32 over the size, rounded up: a place inside the slab times this, shifted by 32, is the number of its block.
    pub reciprocal: u32,
}

/// By class; number 0 is no class.
pub(crate) static SHAPES: [Shape; CLASSES + 1] = {
    let mut shapes = [Shape {
        size: 0,
        blocks: 0,
        words: 0,
        widest: 0,
        reciprocal: 0,
    }; CLASSES + 1];
    let mut class = 1;
    while class <= CLASSES {
        let size = size_of(class);
        let blocks = (SLAB / size) as u32;
        shapes[class] = Shape {
            size: size as u32,
            blocks,
            words: blocks.div_ceil(64),
            widest: widest(class) as u32,
            reciprocal: ((1u64 << 32).div_ceil(size as u64)) as u32,
        };
        class += 1;
    }
    shapes
};

/// The class of each number of steps; read above [`STEPS`] only.
static CLASS_OF: [u8; LARGEST / STEP + 1] = {
    let mut classes = [0; LARGEST / STEP + 1];
    let (mut steps, mut class) = (1, 1);
    while steps <= LARGEST / STEP {
        if steps * STEP > size_of(class) {
            class += 1;
        }
        classes[steps] = class as u8;
        steps += 1;
    }
    classes
};

/// Bytes of the blocks of a class.
const fn size_of(class: usize) -> usize {
    if class == 0 {
        return 0;
    }
    match class <= STEPS {
        true => class * STEP,
        false => SLAB / (STEPS + SLAB / (STEPS * STEP) - class) / STEP * STEP,
    }
}

/// See [`Shape::widest`].
const fn widest(class: usize) -> usize {
    let most = size_of(class) + size_of(class) / 8;
    let mut widest = class;
    while widest < CLASSES && size_of(widest + 1) <= most {
        widest += 1;
    }
    widest
}

/// The class whose blocks hold `size` bytes (1 to [`LARGEST`]).
#[inline(always)]
pub(crate) fn class_of(size: usize) -> usize {
    debug_assert!(size > 0 && size <= LARGEST);
    let steps = size.div_ceil(STEP);
    match steps <= STEPS {
        true => steps,
        false => usize::from(CLASS_OF[steps]),
    }
}

/// Bytes that a block for `size` bytes (1 to [`LARGEST`]) really has, if it lies in a slab of its class.
#[inline]
pub fn rounded(size: usize) -> usize {
    SHAPES[class_of(size)].size as usize
}

/// Whether a block for `old` bytes (1 to [`LARGEST`]) is as large as one for `new` bytes has to be.
#[inline]
pub fn fits(old: usize, new: usize) -> bool {
    new <= LARGEST && class_of(old) == class_of(new)
}

/// The number of the block that begins `inside` bytes behind the beginning of a slab of this class.
#[inline(always)]
pub(crate) fn block_at(class: usize, inside: usize) -> usize {
    debug_assert!(inside < SLAB && inside.is_multiple_of(SHAPES[class].size as usize));
    ((inside as u64 * u64::from(SHAPES[class].reciprocal)) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_every_class_is_found_by_its_place() {
        for class in 1..=CLASSES {
            let size = size_of(class);
            assert_eq!(class_of(size), class);
            assert_eq!(class_of(size_of(class - 1) + 1), class);
            assert_eq!(rounded(size_of(class - 1) + 1), size);
            for block in 0..SLAB / size {
                assert_eq!(block_at(class, block * size), block, "size {size}");
            }
        }
        assert_eq!((size_of(STEPS), size_of(CLASSES)), (512, LARGEST));
    }

    #[test]
    fn little_is_lost() {
        for size in 1..=LARGEST {
            let takes = SLAB / SHAPES[class_of(size)].blocks as usize;
            let most = match size {
                0..=512 => 7 + 512 / 64,
                _ => size / 7,
            };
            assert!(takes <= size + most, "{size} bytes take {takes}");
        }
    }
}
