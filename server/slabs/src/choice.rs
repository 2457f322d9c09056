//! What is counted of slabs to choose those that are to be emptied, and how far that is.

use crate::class::CLASSES;

/// Degrees of fullness that are told apart.
pub(crate) const DEGREES: usize = 16;
/// Slabs as full as this stay: 14 of 16.
const FULL_ENOUGH: usize = 14;

/// What was counted of the slabs of one class that are neither full nor the current one.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    /// Blocks, free ones with the others, by how full their slab is.
    pub blocks: [u64; DEGREES],
    /// Free blocks, and what is left of them when some slabs are marked.
    pub room: u64,
    /// Slabs below this degree leave.
    pub below: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Idle,
    /// Slabs seen so far.
    Counting(usize),
    /// Slabs not seen yet.
    Marking(usize),
    Chosen,
}

/// A choice that is being made, or was.
pub(crate) struct Choice {
    pub step: Step,
    pub classes: [Count; CLASSES + 1],
    /// Slabs marked.
    pub marked: usize,
}

impl Choice {
    pub const fn none() -> Choice {
        Choice {
            step: Step::Idle,
            classes: [Count {
                blocks: [0; DEGREES],
                room: 0,
                below: 0,
            }; CLASSES + 1],
            marked: 0,
        }
    }
}

impl Count {
    /// Finds the least degree below which there are as many slabs as the room allows to empty.
    ///
    /// A slab that leaves takes its own room along, and its blocks need as much elsewhere: together as much as it has blocks.
    pub fn settle(&mut self) {
        let mut leaving = 0;
        for (degree, blocks) in self.blocks[..FULL_ENOUGH].iter().enumerate() {
            if leaving >= self.room {
                break;
            }
            leaving += blocks;
            self.below = degree + 1;
        }
    }
}
