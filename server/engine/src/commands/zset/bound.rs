//! The ends of a range as clients write them: ranks, scores with `(`, members with `[` and `(`.

use std::ops::{Bound, Range};

use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::structure::ranked::LexBound;
use crate::value::{ValueRef, list_pack, zset};
use cairn_format::text::double::parse_f64;

/// What a range counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Positions.
    Rank,
    /// Scores.
    Score,
    /// Members of equal score.
    Lex,
}

/// Both ends of a range, understood.
#[derive(Clone, Copy, Debug)]
pub enum Ends<'a> {
    /// First and last position, negative from the end.
    Rank(i64, i64),
    /// Scores.
    Score(Bound<f64>, Bound<f64>),
    /// Members.
    Lex(LexBound<'a>, LexBound<'a>),
}

impl<'a> Ends<'a> {
    /// Reads the ends at arguments `min` and `max`.
    pub fn parse(args: &Args<'a>, by: By, min: usize, max: usize) -> Result<Ends<'a>, Error> {
        Ok(match by {
            By::Rank => Ends::Rank(args.int(min)?, args.int(max)?),
            By::Score => {
                let invalid = Error::new("ERR min or max is not a float");
                let end = |i: usize| parse_score(args.at(i)).ok_or(invalid.clone());
                Ends::Score(end(min)?, end(max)?)
            }
            By::Lex => {
                let invalid = Error::new("ERR min or max not valid string range item");
                let end = |i: usize| parse_lex(args.at(i)).ok_or(invalid.clone());
                Ends::Lex(end(min)?, end(max)?)
            }
        })
    }

    /// The ranks between the ends, counted from the lowest; `reverse` turns positions around.
    pub fn ranks(&self, value: ValueRef, reverse: bool) -> Range<usize> {
        match *self {
            Ends::Rank(start, stop) => {
                let len = value.count();
                let (first, count) = list_pack::resolve_range(start, stop, len);
                if reverse {
                    len - first - count..len - first
                } else {
                    first..first + count
                }
            }
            Ends::Score(min, max) => zset::ranks_by_score(value, min, max),
            Ends::Lex(min, max) => zset::ranks_by_lex(value, min, max, reverse),
        }
    }
}

fn parse_score(text: &[u8]) -> Option<Bound<f64>> {
    match text.strip_prefix(b"(") {
        Some(rest) => parse_number(rest).map(Bound::Excluded),
        None => parse_number(text).map(Bound::Included),
    }
}

/// Redis reads ends with C's `strtod` and looks only at where it stopped: nothing at all is 0, blanks in front and
/// numbers beyond the range of a double are fine.
fn parse_number(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+"));
    parse_f64(text).or_else(|| match digits.unwrap_or(text) {
        [b'0'..=b'9' | b'.', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    })
}

fn parse_lex(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        b"-" => Some(LexBound::Lowest),
        b"+" => Some(LexBound::Highest),
        [b'[', member @ ..] => Some(LexBound::Included(member)),
        [b'(', member @ ..] => Some(LexBound::Excluded(member)),
        _ => None,
    }
}

/// LIMIT: skips `offset` of a range and keeps `count`, in reading direction; a negative offset keeps nothing.
pub fn limit(ranks: Range<usize>, offset: i64, count: i64, reverse: bool) -> Range<usize> {
    let Ok(offset) = usize::try_from(offset) else {
        return 0..0;
    };
    let skip = offset.min(ranks.len());
    let keep = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(ranks.len() - skip);
    if reverse {
        let end = ranks.end - skip;
        end - keep..end
    } else {
        let start = ranks.start + skip;
        start..start + keep
    }
}

/// The two numbers behind LIMIT.
pub fn parse_limit(args: &Args, i: usize) -> Result<(i64, i64), Error> {
    if i + 2 >= args.len() {
        return Err(error::SYNTAX);
    }
    Ok((args.int(i + 1)?, args.int(i + 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_counts_in_reading_direction() {
        assert_eq!(limit(2..8, 1, 2, false), 3..5);
        assert_eq!(limit(2..8, 1, 2, true), 5..7);
        assert_eq!(limit(2..8, 1, -1, false), 3..8);
        assert_eq!(limit(2..8, 9, 2, false).len(), 0);
        assert_eq!(limit(2..8, -1, 2, false).len(), 0);
    }

    #[test]
    fn a_bound_needs_its_bracket() {
        assert!(parse_lex(b"a").is_none() && parse_lex(b"").is_none());
        assert_eq!(parse_score(b"(1.5"), Some(Bound::Excluded(1.5)));
        assert_eq!(parse_score(b"(nan"), None);
    }
}
