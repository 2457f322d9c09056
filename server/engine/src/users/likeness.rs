//! What a key has to have in common with one that is allowed, so that it is allowed as well: certain bytes at certain places, and a length.
//!
//! A pattern with two stars tells no such places by itself, but a key that fits does: programs make keys, and what was found behind five bytes
//! of one is behind five bytes of the next.

use super::glob::Fit;
use crate::base::args::Args;
use crate::structure::words::{AtLeast, Sixteen, are_both};

/// Which bytes are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// None: it is any argument.
    Every,
    /// The first sixteen.
    Front,
    /// The first eight and the last eight.
    Ends,
    /// The first eight, and eight further on.
    Far,
    /// The first sixteen and sixteen further on, with all of their bits.
    Wide,
    /// As `Wide`, the bits that count, and the length.
    Inner,
    /// The first sixteen and the last sixteen, and the length.
    Outer,
    /// The first sixteen, and the length.
    Exact,
    /// It is no argument.
    None,
}

/// Arguments that have certain bytes at certain places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// What is compared, with zeros where bits do not count.
    bytes: [Sixteen; 2],
    /// Which bits count.
    masks: [Sixteen; 2],
    /// The least length, and the greatest where it is asked for.
    least: u32,
    most: u32,
    /// The least length where it is `Ends`.
    of_ends: AtLeast<8>,
    /// Where the second bytes end, in `Wide` and in `Far`.
    of_wide: AtLeast<16>,
    of_far: AtLeast<8>,
    /// Where the second bytes end, in `Inner`.
    until: u32,
    kind: Kind,
    /// These two kinds have a place of their own each, so that it is one instruction to look there.
    is_every: bool,
    is_front: bool,
}

impl Likeness {
    /// No arguments.
    pub const NONE: Likeness = Likeness::all(Kind::None);
    /// All arguments.
    pub const EVERY: Likeness = Likeness::all(Kind::Every);

    const fn all(kind: Kind) -> Likeness {
        Likeness {
            bytes: [Sixteen::ZERO; 2],
            masks: [Sixteen::ZERO; 2],
            least: 0,
            most: u32::MAX,
            of_ends: AtLeast::NEVER,
            of_wide: AtLeast::NEVER,
            of_far: AtLeast::NEVER,
            until: 0,
            kind,
            is_every: matches!(kind, Kind::Every),
            is_front: matches!(kind, Kind::Front),
        }
    }

    /// What a key has to have in common with this one, in which a pattern was found. None where that is too much to tell here.
    pub fn of(fit: &Fit, key: &[u8]) -> Option<Likeness> {
        let kind = kind_of(fit)?;
        let least = u32::try_from(fit.least).ok()?;
        let front_len = len_of(fit.front);
        let second = match kind {
            Kind::Ends => key.len() as isize - 8,
            Kind::Outer => key.len() as isize - 16,
            Kind::Far => front_len as isize - 8,
            _ => front_len.saturating_sub(16) as isize,
        };
        let second_bits = match kind {
            Kind::Ends => fit.back.reverse_bits() >> 56,
            Kind::Outer => fit.back.reverse_bits() >> 48,
            _ => fit.front >> second,
        };
        let first = part_of(key, 0, fit.front);
        let second_part = part_of(key, second, second_bits);
        let parts = match kind {
            Kind::Ends | Kind::Far => [halves(first, second_part), part_of(key, 0, 0)],
            _ => [first, second_part],
        };
        let mut likeness = Likeness {
            bytes: parts.map(|(bytes, _)| Sixteen(bytes)),
            masks: parts.map(|(_, mask)| Sixteen(mask)),
            least,
            until: front_len as u32,
            ..Likeness::all(kind)
        };
        match kind {
            Kind::Ends => likeness.of_ends = AtLeast::new(least),
            Kind::Wide => likeness.of_wide = AtLeast::new(front_len as u32),
            Kind::Far => likeness.of_far = AtLeast::new(front_len as u32),
            _ if fit.is_exact => likeness.most = least,
            _ => {}
        }
        Some(likeness)
    }

    /// Whether argument `at` is one of them, as far as that is told in a few instructions. False says nothing.
    ///
    /// Every call of a user with rules goes one of these ways, so each is as short as it can be, and none calls anything. The length of what is
    /// of another kind is longer than any argument behind a name.
    #[inline(always)]
    pub fn has_plainly(&self, args: &Args, at: usize) -> bool {
        if self.is_every {
            return true;
        }
        // Who is of one kind and told not to be one of them is asked the next as well: so each way ends with the jump of its comparison.
        let (bytes, mask) = (&self.bytes[0], &self.masks[0]);
        if self.is_front {
            let front = args.front_at(at, self.least as usize);
            if front.is_some_and(|text| bytes.are(text, mask)) {
                return true;
            }
        }
        let ends = args.ends_at(at, self.of_ends.get());
        if ends.is_some_and(|[first, last]| bytes.are_halves(first, last, mask)) {
            return true;
        }
        let wide = args.chunks_at(at, self.of_wide.get());
        if wide.is_some_and(|texts| are_both(texts, &self.bytes)) {
            return true;
        }
        // Words, as the compiler makes one way of two that are alike.
        let far = args.chunks_at(at, self.of_far.get());
        far.is_some_and(|[first, second]| bytes.are_words(first, second, mask))
    }

    /// Whether argument `at` is one of them where [`Likeness::has_plainly`] did not say so.
    #[inline(always)]
    pub fn has_narrowly(&self, args: &Args, at: usize) -> bool {
        match self.kind {
            Kind::Front => {
                let front = args.front_at_end(at, self.least as usize);
                front.is_some_and(|text| self.part_is(0, &text))
            }
            Kind::Inner | Kind::Outer | Kind::Exact => self.has_with_length(args, at),
            _ => false,
        }
    }

    /// Whether argument `at` is one of them.
    pub fn has(&self, args: &Args, at: usize) -> bool {
        self.has_plainly(args, at) || self.has_narrowly(args, at)
    }

    /// Takes no argument any more.
    pub fn clear(&mut self) {
        self.is_every = false;
        self.is_front = false;
        self.of_ends = AtLeast::NEVER;
        self.of_wide = AtLeast::NEVER;
        self.of_far = AtLeast::NEVER;
        self.kind = Kind::None;
    }

    fn has_with_length(&self, args: &Args, at: usize) -> bool {
        let Some(text) = args.get(at) else {
            return false;
        };
        if text.len() < self.least as usize || text.len() > self.most as usize {
            return false;
        }
        match self.kind {
            Kind::Exact => match args.front_at(at, 0) {
                Some(front) => self.part_is(0, front),
                None => {
                    let front = args.front_at_end(at, 0);
                    front.is_some_and(|text| self.part_is(0, &text))
                }
            },
            Kind::Outer => {
                let (first, last) = (text.first_chunk(), text.last_chunk());
                first.is_some_and(|text| self.part_is(0, text))
                    && last.is_some_and(|text| self.part_is(1, text))
            }
            _ => {
                let chunks = args.chunks_at(at, self.until as usize);
                chunks.is_some_and(|[first, second]| {
                    self.part_is(0, first) && self.part_is(1, second)
                })
            }
        }
    }

    #[inline(always)]
    fn part_is(&self, number: usize, text: &[u8; 16]) -> bool {
        self.bytes[number].are(text, &self.masks[number])
    }
}

/// The number of bytes up to the last of those that count.
fn len_of(bits: u64) -> usize {
    (u64::BITS - bits.leading_zeros()) as usize
}

/// The way to compare that is the shortest of those that tell all that has to be told.
fn kind_of(fit: &Fit) -> Option<Kind> {
    let (front, back) = (len_of(fit.front), len_of(fit.back));
    // Whether all that counts is among the first `n` bytes and the `n` up to the last.
    let is_two = |n: usize| len_of(fit.front & low_bits(front - n)) <= n;
    let is_plain = fit.least <= front && !fit.is_exact;
    Some(match () {
        () if fit.is_beyond => return None,
        () if back > 0 && front <= 8 && back <= 8 => Kind::Ends,
        () if back > 0 && front <= 16 && back <= 16 => Kind::Outer,
        () if back > 0 => return None,
        () if front <= 16 && fit.is_exact => Kind::Exact,
        () if front <= 16 => Kind::Front,
        () if is_plain && is_two(8) => Kind::Far,
        () if is_plain && front <= 32 && fit.front == low_bits(front) => Kind::Wide,
        () if is_two(16) => Kind::Inner,
        () => return None,
    })
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
