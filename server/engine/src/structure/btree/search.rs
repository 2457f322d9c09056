//! Where an item stands in a node: first by a number that is read at once, then, among equals, by the caller's closure.

/// An item that names its rough place in the order of its tree by a number.
pub trait Coarse: Copy {
    /// Never falls from one item to the next. Items of different numbers are told apart by them alone; the closures
    /// of the tree are asked about equal ones.
    fn coarse(&self) -> u64;
}

/// How many leading items are `less`, of which `coarse` is the number of the one sought.
#[inline]
pub(super) fn split_at<T: Coarse>(items: &[T], coarse: u64, less: impl FnMut(&T) -> bool) -> usize {
    let at = lower(items, coarse);
    match items.get(at) {
        Some(item) if item.coarse() == coarse => at + among_equals(&items[at..], coarse, less),
        _ => at,
    }
}

/// Items of smaller numbers. Halves without a branch that depends on the data: which half it is cannot be predicted.
#[inline]
fn lower<T: Coarse>(items: &[T], coarse: u64) -> usize {
    let (mut from, mut left) = (0, items.len());
    while left > 1 {
        let half = left / 2;
        from += half * usize::from(items[from + half - 1].coarse() < coarse);
        left -= half;
    }
    from + usize::from(left == 1 && items[from].coarse() < coarse)
}

#[cold]
fn among_equals<T: Coarse>(items: &[T], coarse: u64, mut less: impl FnMut(&T) -> bool) -> usize {
    items.partition_point(|item| item.coarse() == coarse && less(item))
}
