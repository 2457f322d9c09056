//! A short list: the operations of the list commands on one listpack.
//!
//! Nothing here looks at limits. The caller asks [`ListLimits::outgrows`](super::list::ListLimits::outgrows) before it
//! adds, and goes on with [`List::from_pack`](super::list::List::from_pack) if the listpack would become too large.
//! Indexes count from 0; positions are offsets of entries in the blob. Blobs were made or checked by us.

use cairn_format::encoding::listpack::{self, Entry};
use std::ops::ControlFlow;

pub use super::elements::pack as view;

/// Number of elements.
pub fn len(blob: &[u8]) -> usize {
    view(blob).len()
}

/// Turns an index that may count from the end (-1 is the last) into one from the start, if the element exists.
pub fn resolve(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { len as i64 + index } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

/// Turns the start and stop of LRANGE and LTRIM into a first index and a count, 0 if nothing is inside.
pub fn resolve_range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let start = if start < 0 {
        start.saturating_add(len).max(0)
    } else {
        start
    };
    let stop = if stop < 0 {
        stop.saturating_add(len)
    } else {
        stop.min(len - 1)
    };
    if start > stop || start >= len {
        return (0, 0);
    }
    debug_assert!(0 <= start && stop < len, "inside");
    (start as usize, (stop - start + 1) as usize)
}

/// Position of the element at `index`, counted from 0, walking from the nearer end.
pub(super) fn position(blob: &[u8], index: usize) -> Option<usize> {
    view(blob).pos_of(i64::try_from(index).ok()?)
}

/// The element at `index`, negative from the end.
pub fn get(blob: &[u8], index: i64) -> Option<Entry<'_>> {
    view(blob).get(index)
}

/// Replaces the element at `index`; false if there is none.
pub fn set(blob: &mut Vec<u8>, index: i64, value: &[u8]) -> bool {
    let Some(pos) = view(blob).pos_of(index) else {
        return false;
    };
    listpack::replace(blob, pos, value);
    true
}

/// Inserts `value` before or after the first element equal to `pivot`; false if there is none.
pub fn insert(blob: &mut Vec<u8>, pivot: &[u8], after: bool, value: &[u8]) -> bool {
    let Some(pos) = view(blob).find(pivot, 1) else {
        return false;
    };
    insert_at(blob, pos, after, value);
    true
}

/// Inserts beside the element at position `pos`.
pub(super) fn insert_at(blob: &mut Vec<u8>, pos: usize, after: bool, value: &[u8]) {
    let at = if after {
        view(blob).next_pos(pos)
    } else {
        Some(pos)
    };
    match at {
        Some(at) => listpack::insert(blob, at, value),
        None => listpack::push_back(blob, value),
    }
}

/// Hands the first element to `take` and removes it.
pub fn pop_front<R>(blob: &mut Vec<u8>, take: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
    let taken = take(view(blob).get(0)?);
    let pos = view(blob).pos_of(0)?;
    let gone = listpack::remove(blob, pos, 1);
    debug_assert_eq!(gone, 1, "the one that was shown");
    Some(taken)
}

/// Hands the last element to `take` and removes it.
pub fn pop_back<R>(blob: &mut Vec<u8>, take: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
    let pos = view(blob).pos_of(-1)?;
    let taken = take(view(blob).at(pos)?);
    let gone = listpack::remove(blob, pos, 1);
    debug_assert_eq!(gone, 1, "the one that was shown");
    Some(taken)
}

/// Removes `count` elements from `start` on; what lies beyond the end is ignored.
pub fn remove_range(blob: &mut Vec<u8>, start: usize, count: usize) {
    let count = count.min(len(blob).saturating_sub(start));
    if count == 0 {
        return;
    }
    if let Some(pos) = position(blob, start) {
        let gone = listpack::remove(blob, pos, count);
        debug_assert_eq!(gone, count, "all of them were there");
    }
}

/// Keeps `count` elements from `start` on.
pub fn trim(blob: &mut Vec<u8>, start: usize, count: usize) {
    remove_range(blob, start.saturating_add(count), usize::MAX);
    remove_range(blob, 0, start);
}

/// Removes elements equal to `value` and returns how many: all if `count` is 0, at most `count` from the head, or at
/// most `-count` from the tail, as LREM counts.
pub fn remove_value(blob: &mut Vec<u8>, value: &[u8], count: i64) -> usize {
    let most = if count == 0 {
        usize::MAX
    } else {
        usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
    };
    if count < 0 {
        remove_value_back(blob, value, most)
    } else {
        remove_value_front(blob, value, most)
    }
}

pub(super) fn remove_value_front(blob: &mut Vec<u8>, value: &[u8], most: usize) -> usize {
    let mut removed = 0;
    let mut at = view(blob).pos_of(0);
    while let Some(pos) = at.filter(|_| removed < most) {
        let Some(entry) = view(blob).at(pos) else {
            break;
        };
        if entry.eq_bytes(value) {
            listpack::remove(blob, pos, 1);
            removed += 1;
        } else {
            at = view(blob).next_pos(pos);
        }
    }
    removed
}

pub(super) fn remove_value_back(blob: &mut Vec<u8>, value: &[u8], most: usize) -> usize {
    let mut removed = 0;
    let mut at = view(blob).pos_of(-1);
    while let Some(pos) = at.filter(|_| removed < most) {
        let before = view(blob).prev_pos(pos);
        if view(blob)
            .at(pos)
            .is_some_and(|entry| entry.eq_bytes(value))
        {
            listpack::remove(blob, pos, 1);
            removed += 1;
        }
        at = before;
    }
    removed
}

/// Shows `count` elements from index `start` on, in order, until `see` breaks off.
pub fn visit(
    blob: &[u8],
    start: usize,
    count: usize,
    see: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let pack = view(blob);
    let mut at = position(blob, start);
    for _ in 0..count {
        let Some((pos, entry)) = at.and_then(|pos| Some((pos, pack.at(pos)?))) else {
            break;
        };
        see(entry)?;
        at = pack.next_pos(pos);
    }
    ControlFlow::Continue(())
}

/// Shows `count` elements from index `last` downwards, until `see` breaks off.
pub fn visit_rev(
    blob: &[u8],
    last: usize,
    count: usize,
    see: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let pack = view(blob);
    let mut at = position(blob, last);
    for _ in 0..count {
        let Some((pos, entry)) = at.and_then(|pos| Some((pos, pack.at(pos)?))) else {
            break;
        };
        see(entry)?;
        at = pack.prev_pos(pos);
    }
    ControlFlow::Continue(())
}
