//! Random elements as HRANDFIELD, SRANDMEMBER and ZRANDMEMBER choose them: so many different ones, or, for a negative
//! count, so many with repetition.

use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::base::random::Random;

/// The positions to answer, among `len` of them.
pub enum Choice {
    /// All, in the order of the collection.
    All,
    /// These, in this order.
    Some(Vec<usize>),
    /// So many times any position.
    Repeated(usize),
}

/// The count of such a command.
pub fn parse_count(args: &Args, i: usize) -> Result<i64, Error> {
    args.int_within(i, -i64::MAX, i64::MAX)
}

/// The count where each element is answered with its value or score.
pub fn parse_pair_count(args: &Args, i: usize) -> Result<i64, Error> {
    let count = parse_count(args, i)?;
    if count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    Ok(count)
}

/// Whether so few of `len` elements are wanted that it pays to draw one after the other, and again where one comes up
/// twice, instead of walking over all of them.
pub fn draws_one_by_one(count: i64, len: usize) -> bool {
    count < 0 || usize::try_from(count).is_ok_and(|wanted| wanted.saturating_mul(3) < len)
}

/// Chooses positions below `len`, which is not 0. Different ones come in a random order, too.
pub fn choose(random: &mut Random, count: i64, len: usize) -> Choice {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 && wanted >= len {
        return Choice::All;
    }
    if count < 0 {
        return Choice::Repeated(wanted);
    }
    // The first `wanted` steps of a shuffle; only what was moved is kept.
    let mut moved = std::collections::HashMap::new();
    let mut chosen = Vec::with_capacity(wanted);
    for i in 0..wanted {
        let j = i + random.index(len - i);
        let there = moved.get(&j).copied().unwrap_or(j);
        let here = moved.get(&i).copied().unwrap_or(i);
        moved.insert(j, here);
        chosen.push(there);
    }
    Choice::Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_positions_are_different_and_all_come_up() {
        let mut random = Random::new(7);
        let mut seen = [0; 5];
        for _ in 0..500 {
            let Choice::Some(mut chosen) = choose(&mut random, 3, 5) else {
                panic!("three of five are not all");
            };
            chosen.iter().for_each(|at| seen[*at] += 1);
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 3);
        }
        assert!(seen.iter().all(|n| (230..370).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_negative_count_repeats_and_a_large_one_is_all() {
        let mut random = Random::new(7);
        assert!(matches!(choose(&mut random, -9, 2), Choice::Repeated(9)));
        assert!(matches!(choose(&mut random, 2, 2), Choice::All));
    }
}
