//! Where an item stands in a node: first by a number that is read at once, then, among equals, by the caller's closure.

/// Items of one number that are asked in turn before they are searched.
const NEAR: usize = 4;

/// An item that names its rough place in the order of its tree by a number.
pub trait Coarse: Copy {
    /// Never falls from one item to the next. Items of different numbers are told apart by them alone; the closures
    /// of the tree are asked about equal ones.
    fn coarse(&self) -> u64;
}

/// How many leading items are `less`, of which `coarse` is the number of the one sought.
#[inline]
pub(super) fn split_at<T: Coarse>(items: &[T], coarse: u64, less: impl FnMut(&T) -> bool) -> usize {
    debug_assert!(
        items.is_sorted_by_key(Coarse::coarse),
        "items of a node are in order"
    );
    // The closure is a comparison of two numbers, which the standard library searches without unpredictable branches.
    let at = items.partition_point(|item| item.coarse() < coarse);
    match items.get(at) {
        Some(item) if item.coarse() == coarse => at + among_equals(&items[at..], coarse, less),
        _ => at,
    }
}

/// How many leading items of this number are `less`. Mostly few or none are of the same number, so the first are asked
/// one by one.
#[inline]
fn among_equals<T: Coarse>(items: &[T], coarse: u64, mut less: impl FnMut(&T) -> bool) -> usize {
    let mut before = |item: &T| item.coarse() == coarse && less(item);
    let (near, far) = items.split_at(items.len().min(NEAR));
    match near.iter().position(|item| !before(item)) {
        Some(at) => at,
        None => near.len() + far.partition_point(before),
    }
}
