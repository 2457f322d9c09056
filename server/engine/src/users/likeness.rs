//! What a key has to have in common with one that is allowed, so that it is allowed as well: certain bytes at certain places, and a length.
//!
//! A pattern with two stars tells no such places by itself, but a key that fits does: programs make keys, and what was found behind five bytes
//! of one is behind five bytes of the next.

use super::front::{Front, Lengths};
use super::glob::Fit;
use super::places::{Places, Shape};
use crate::base::args::Args;

/// Arguments that have something in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Among the first sixteen bytes.
    Front(Front),
    /// Elsewhere.
    Places(Places),
}

impl Likeness {
    /// What a key has to have in common with this one, in which a pattern was found. None where that is too much to tell here.
    pub fn of(fit: &Fit, key: &[u8]) -> Option<Likeness> {
        let least = u32::try_from(fit.least).ok()?;
        let front_len = len_of(fit.front);
        if !fit.is_beyond && fit.back == 0 && front_len <= 16 {
            let lengths = Lengths::new(least, fit.is_exact);
            return Some(Likeness::Front(Front::new(
                part_of(key, 0, fit.front),
                lengths,
            )));
        }
        let shape = shape_of(fit)?;
        let texts = texts_of(shape, fit, key);
        Some(Likeness::Places(Places::new(
            shape,
            texts,
            least,
            fit.is_exact,
        )))
    }

    /// Whether argument `at` is one of them.
    pub fn has(&self, args: &Args, at: usize) -> bool {
        match self {
            Likeness::Front(front) => front.has_at(args, at),
            Likeness::Places(places) => {
                places.has_plainly(args, at) || places.has_further(args, at)
            }
        }
    }
}

/// The number of bytes up to the last of those that count.
fn len_of(bits: u64) -> usize {
    (u64::BITS - bits.leading_zeros()) as usize
}

/// The way to compare that is the shortest of those that tell all that has to be told, behind the first sixteen bytes.
fn shape_of(fit: &Fit) -> Option<Shape> {
    let (front, back) = (len_of(fit.front), len_of(fit.back));
    let until = front as u32;
    let is_plain = fit.least <= front && !fit.is_exact;
    let is_full = fit.front == low_bits(front);
    // Whether all that counts is among the first sixteen bytes and the sixteen up to the last.
    let is_two = || len_of(fit.front & low_bits(front - 16)) <= 16;
    Some(match () {
        () if fit.is_beyond => return None,
        () if back > 0 && front <= 8 && back <= 8 => Shape::Ends,
        () if back > 0 && front <= 16 && back <= 16 => Shape::Outer,
        () if back > 0 => return None,
        () if is_plain && is_full && front <= 32 => Shape::Wide(until),
        () if is_plain && is_two() => Shape::Pair(until),
        () if is_two() => Shape::Inner(until),
        () if is_plain && is_full => Shape::Long(until),
        () if is_full => Shape::Exact(until),
        () => return None,
    })
}

/// The bytes of a key that a shape compares, and which of their bits count where it asks for that.
fn texts_of(shape: Shape, fit: &Fit, key: &[u8]) -> [[u8; 16]; 4] {
    let back_from = |n: usize| {
        let bits = fit.back.reverse_bits() >> (64 - n);
        part_of(key, key.len() as isize - n as isize, bits)
    };
    let front_from = |at: usize| part_of(key, at as isize, fit.front >> at);
    let first = front_from(0);
    let beside = |(a, a_mask), (b, b_mask)| [a, b, a_mask, b_mask];
    match shape {
        Shape::Ends => {
            let (bytes, mask) = halves(first, back_from(8));
            beside((bytes, mask), ([0; 16], [0; 16]))
        }
        Shape::Outer => beside(first, back_from(16)),
        Shape::Wide(until) | Shape::Pair(until) | Shape::Inner(until) => {
            beside(first, front_from(until as usize - 16))
        }
        Shape::Long(until) | Shape::Exact(until) => {
            let until = until as usize;
            [0, 16, until - 32, until - 16].map(|at| front_from(at).0)
        }
    }
}

fn low_bits(n: usize) -> u64 {
    u64::MAX
        .checked_shl(n as u32)
        .map_or(u64::MAX, |above| !above)
}

/// The bytes that count of the sixteen from `begin` on, which may lie in front of the key, and the mask that tells them.
fn part_of(key: &[u8], begin: isize, bits: u64) -> ([u8; 16], [u8; 16]) {
    let (mut bytes, mut mask) = ([0; 16], [0; 16]);
    for at in (0..16).filter(|at| bits >> at & 1 == 1) {
        bytes[at] = key[begin.strict_add_unsigned(at) as usize];
        mask[at] = 0xff;
    }
    (bytes, mask)
}

/// The first halves of two parts side by side.
fn halves(
    (first, first_mask): ([u8; 16], [u8; 16]),
    (second, second_mask): ([u8; 16], [u8; 16]),
) -> ([u8; 16], [u8; 16]) {
    let beside =
        |a: [u8; 16], b: [u8; 16]| std::array::from_fn(|at| if at < 8 { a[at] } else { b[at - 8] });
    (beside(first, second), beside(first_mask, second_mask))
}
