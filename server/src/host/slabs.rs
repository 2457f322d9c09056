//! The small blocks of the allocator, as far as they can be moved together.

/// Slabs: pages of blocks of one size each, which go back to the system only as a whole.
///
/// A pass empties some of them: [`Slabs::choose`] begins it, [`Slabs::end`] ends it, and in between whoever owns a block that
/// [`Slabs::is_leaving`] names puts what is in it into another one and frees it. One pass at a time, on the thread of the data.
pub trait Slabs {
    /// Bytes in blocks that are in use.
    fn used(&self) -> u64;
    /// Bytes of the slabs in which there are such blocks.
    fn held(&self) -> u64;
    /// Begins a pass, with one call or more: of each size the sparsest slabs, whose blocks fit into the free room of the others, are to be
    /// emptied, and nothing is allocated in them until the end. `None` as long as not all have been looked at; then how many bytes of slabs
    /// these are; with 0 nothing has begun.
    fn choose(&self) -> Option<usize>;
    /// Whether a block lies in a slab that is to be emptied. `block` may be any address inside of a block, of any size.
    fn is_leaving(&self, block: *const u8) -> bool;
    /// Ends a pass, or the choosing for one: what could not be emptied is as it was.
    fn end(&self);
    /// Looks for pages that nobody has wanted since the last call; called ten times a second or so.
    fn age(&self);
    /// A slice of taking in what other threads freed, and of giving such pages back to the system; whether there is more to do.
    fn tidy(&self) -> bool;
}
