//! Sorted sets in either encoding: look-ups by member, score, rank and bytes, and the edits of a packed one.
//!
//! A packed sorted set is a listpack of member, score, member, score in rising order; its ranks are found by
//! walking. Ranges are always turned into ranges of ranks first, so that every command reads them the same way.

use std::ops::{Bound, Range};

use cairn_format::encoding::listpack::{self, Entry};
use cairn_format::text::double::write_f64;

use super::elements::pack;
use super::{Object, ValueRef};
use crate::structure::ranked::{LexBound, Ranked};
use crate::structure::table::Hasher;
use crate::value::NewValue;

/// The score of a member.
pub fn score(zset: ValueRef, member: &[u8]) -> Option<f64> {
    match zset {
        ValueRef::Packed(_, _, blob) => {
            let entries = pack(blob);
            let at = entries.find(member, 2)?;
            entries.at(entries.next_pos(at)?)?.as_f64()
        }
        ValueRef::Zset(ranked) => ranked.score(member),
        _ => None,
    }
}

/// Rank from the lowest (0) and score of a member.
pub fn rank(zset: ValueRef, member: &[u8]) -> Option<(usize, f64)> {
    match zset {
        ValueRef::Zset(ranked) => ranked.rank(member),
        packed => {
            let (mut rank, mut found) = (0, None);
            packed.each_scored(&mut |entry, score| {
                if found.is_none() && entry.eq_bytes(member) {
                    found = Some((rank, score));
                }
                rank += 1;
            });
            found
        }
    }
}

/// The ranks of the scores between two bounds.
pub fn ranks_by_score(zset: ValueRef, min: Bound<f64>, max: Bound<f64>) -> Range<usize> {
    match zset {
        ValueRef::Zset(ranked) => ranked.ranks_by_score(min, max),
        packed => {
            let below = |score: f64| match min {
                Bound::Included(min) => score < min,
                Bound::Excluded(min) => score <= min,
                Bound::Unbounded => false,
            };
            let within = |score: f64| match max {
                Bound::Included(max) => score <= max,
                Bound::Excluded(max) => score < max,
                Bound::Unbounded => true,
            };
            ranks_where(packed, |_, score| below(score), |_, score| within(score))
        }
    }
}

/// The ranks of the members between two bounds, for a set whose scores are all equal. Where they are not, a packed set
/// answers what Redis does: the run that begins with the first member (`reverse`: the last) that the bounds allow.
pub fn ranks_by_lex(zset: ValueRef, min: LexBound, max: LexBound, reverse: bool) -> Range<usize> {
    if let ValueRef::Zset(ranked) = zset {
        return ranked.ranks_by_lex(min, max);
    }
    let mut fits: Vec<(bool, bool)> = Vec::new();
    zset.each_scored(&mut |member, _| {
        let member = member.to_bytes();
        fits.push((!lex_below(&member, min), lex_within(&member, max)));
    });
    let (Some((_, true)), Some((true, _))) = (fits.first(), fits.last()) else {
        return 0..0;
    };
    if reverse {
        let end = fits.iter().rposition(|(_, within)| *within);
        let end = end.map_or(0, |last| last + 1);
        let run = fits[..end].iter().rev().take_while(|(above, _)| *above);
        end - run.count()..end
    } else {
        let start = fits.iter().position(|(above, _)| *above);
        let start = start.unwrap_or(fits.len());
        let run = fits[start..].iter().take_while(|(_, within)| *within);
        start..start + run.count()
    }
}

fn lex_below(member: &[u8], min: LexBound) -> bool {
    match min {
        LexBound::Lowest => false,
        LexBound::Highest => true,
        LexBound::Included(bound) => member < bound,
        LexBound::Excluded(bound) => member <= bound,
    }
}

fn lex_within(member: &[u8], max: LexBound) -> bool {
    match max {
        LexBound::Lowest => false,
        LexBound::Highest => true,
        LexBound::Included(bound) => member <= bound,
        LexBound::Excluded(bound) => member < bound,
    }
}

/// From the first element that is not below to the last one within, walking once.
fn ranks_where(
    packed: ValueRef,
    below: impl Fn(&[u8], f64) -> bool,
    within: impl Fn(&[u8], f64) -> bool,
) -> Range<usize> {
    let (mut start, mut end, mut rank) = (0, 0, 0);
    packed.each_scored(&mut |member, score| {
        let member = member.to_bytes();
        if below(&member, score) {
            start = rank + 1;
        }
        if within(&member, score) {
            end = rank + 1;
        }
        rank += 1;
    });
    start..end.max(start)
}

/// Shows the members of some ranks in rising order, or falling if `reverse`.
pub fn each_ranked(
    zset: ValueRef,
    ranks: Range<usize>,
    reverse: bool,
    see: &mut dyn FnMut(Entry, f64),
) {
    match zset {
        ValueRef::Zset(ranked) => {
            let range = ranked.range(ranks);
            if reverse {
                range
                    .rev()
                    .for_each(|(member, score)| see(Entry::Str(member), score));
            } else {
                range.for_each(|(member, score)| see(Entry::Str(member), score));
            }
        }
        ValueRef::Packed(_, _, blob) => {
            let entries = pack(blob);
            let Some(mut at) = entries.pos_of(
                2 * (if reverse {
                    ranks.end as i64 - 1
                } else {
                    ranks.start as i64
                }),
            ) else {
                return;
            };
            for left in (0..ranks.len()).rev() {
                let Some(behind) = entries.next_pos(at) else {
                    return;
                };
                let (Some(member), Some(score)) =
                    (entries.at(at), entries.at(behind).and_then(|s| s.as_f64()))
                else {
                    return;
                };
                see(member, score);
                if left == 0 {
                    return;
                }
                let next = if reverse {
                    entries.prev_pos(at).and_then(|p| entries.prev_pos(p))
                } else {
                    entries.next_pos(behind)
                };
                let Some(next) = next else { return };
                at = next;
            }
        }
        _ => {}
    }
}

/// Whether a blob from elsewhere keeps to the order that this module relies on: by score, then by member.
pub fn is_ordered(blob: &[u8]) -> bool {
    let mut entries = pack(blob).iter().map(|(_, entry)| entry);
    let mut last: Option<(f64, Entry)> = None;
    while let (Some(member), Some(score)) = (entries.next(), entries.next()) {
        let Some(score) = score.as_f64() else {
            return false;
        };
        let rises = last.is_none_or(|(before, other)| {
            before < score || before == score && other.to_bytes() < member.to_bytes()
        });
        if !rises {
            return false;
        }
        last = Some((score, member));
    }
    true
}

/// Inserts a member that is not in the packed set.
pub fn packed_insert(blob: &mut Vec<u8>, member: &[u8], score: f64) {
    let entries = pack(blob);
    let mut at = entries.first_pos();
    while let Some(pos) = at {
        let Some(behind) = entries.next_pos(pos) else {
            break;
        };
        let other = entries.at(behind).and_then(|s| s.as_f64()).unwrap_or(0.0);
        let goes_before = other > score
            || other == score
                && entries
                    .at(pos)
                    .is_some_and(|m| m.to_bytes().as_ref() > member);
        if goes_before {
            listpack::insert(blob, pos, member);
            let pos = pack(blob).next_pos(pos).unwrap_or(blob.len() - 1);
            insert_score(blob, pos, score);
            debug_assert!(is_ordered(blob), "by score, then by member");
            return;
        }
        at = entries.next_pos(behind);
    }
    listpack::push_back(blob, member);
    let end = pack(blob).end_pos();
    insert_score(blob, end, score);
    debug_assert!(is_ordered(blob), "by score, then by member");
}

/// A score is stored as an integer if it is one, else as its shortest text.
fn insert_score(blob: &mut Vec<u8>, at: usize, score: f64) {
    const EXACT: f64 = (1i64 << 53) as f64;
    debug_assert!(!score.is_nan(), "NaN has no place in an order");
    if score.fract() == 0.0 && score.abs() < EXACT {
        return listpack::insert_int(blob, at, score as i64);
    }
    let mut text = Vec::with_capacity(32);
    write_f64(&mut text, score);
    listpack::insert(blob, at, &text);
}

/// Removes a member of a packed set; whether it was there.
pub fn packed_remove(blob: &mut Vec<u8>, member: &[u8]) -> bool {
    match pack(blob).find(member, 2) {
        Some(at) => {
            let gone = listpack::remove(blob, at, 2);
            debug_assert_eq!(gone, 2, "a member has a score");
            true
        }
        None => false,
    }
}

/// Removes a range of ranks of a packed set.
pub fn packed_remove_range(blob: &mut Vec<u8>, ranks: Range<usize>) {
    if let Some(at) = pack(blob).pos_of(2 * ranks.start as i64) {
        let gone = listpack::remove(blob, at, 2 * ranks.len());
        debug_assert!(gone.is_multiple_of(2), "a member has a score");
    }
}

/// The same members with both indexes.
pub fn to_ranked(zset: ValueRef, hasher: Hasher) -> NewValue<'static> {
    let mut ranked = Ranked::new(hasher);
    zset.each_scored(&mut |member, score| {
        ranked.insert(&member.to_bytes(), score);
    });
    debug_assert_eq!(ranked.len(), zset.count(), "no member is lost");
    NewValue::object(Object::Zset(ranked))
}
