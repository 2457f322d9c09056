//! Keys that are told by their first sixteen bytes and by their length.

use std::ops::Range;

use crate::base::args::Args;
use crate::structure::words::Sixteen;

/// Lengths from one on, or only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// The least one with its sign turned.
    less: u32,
    /// How much longer it may be.
    span: u32,
}

impl Lengths {
    /// No length that an argument has which stands behind a name.
    pub const NEVER: Lengths = Lengths {
        less: u32::MAX.wrapping_neg(),
        span: 0,
    };

    /// Those from `least` on, or only that.
    pub fn new(least: u32, is_exact: bool) -> Lengths {
        Lengths {
            less: least.wrapping_neg(),
            span: if is_exact { 0 } else { u32::MAX - least },
        }
    }

    /// Whether the length between these bounds is one of them.
    #[inline(always)]
    pub fn have(self, bounds: &Range<u32>) -> bool {
        self.above(bounds.end.wrapping_sub(bounds.start)) <= self.span
    }

    /// How much a length is above the least one. Very much, if it is less.
    #[inline(always)]
    fn above(self, len: u32) -> u32 {
        len.wrapping_add(self.less)
    }
}

/// Arguments with certain bytes among the first sixteen, of certain lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    /// What is compared, with zeros where bits do not count.
    bytes: Sixteen,
    /// Which bits count.
    mask: Sixteen,
    /// Long enough for all the bytes that count.
    lengths: Lengths,
}

impl Front {
    /// No arguments.
    pub const NONE: Front = Front {
        bytes: Sixteen([0xff; 16]),
        mask: Sixteen::ZERO,
        lengths: Lengths::NEVER,
    };

    /// Those with these bytes where bits of the mask are set. `lengths` must not reach below the last of these.
    pub fn new((bytes, mask): ([u8; 16], [u8; 16]), lengths: Lengths) -> Front {
        let last = mask.iter().rposition(|bits| *bits != 0);
        debug_assert!(last < Some(lengths.less.wrapping_neg() as usize) || last.is_none());
        Front {
            bytes: Sixteen(bytes),
            mask: Sixteen(mask),
            lengths,
        }
    }

    /// Whether an argument that begins with these bytes, or ends within them, is one of them.
    #[inline(always)]
    pub fn has(&self, (text, bounds): (&[u8; 16], &Range<u32>)) -> bool {
        self.lengths.have(bounds) && self.bytes.are(text, &self.mask)
    }

    /// Whether argument `at` is one of them.
    pub fn has_at(&self, args: &Args, at: usize) -> bool {
        if let Some(front) = args.front_at(at) {
            return self.has(front);
        }
        let front = args.front_at_end(at);
        front.is_some_and(|(text, bounds)| self.has((&text, bounds)))
    }
}

/// Two fronts, either of which will do.
#[derive(Clone, Copy, Debug)]
pub struct Fronts {
    first: Front,
    /// Its lengths are told by how much a length is above the least one of the first: so nobody has to keep the length.
    second: Front,
}

impl Fronts {
    /// No arguments.
    pub const NONE: Fronts = Fronts::new(Front::NONE, Front::NONE);

    const fn new(first: Front, mut second: Front) -> Fronts {
        second.lengths.less = second.lengths.less.wrapping_sub(first.lengths.less);
        Fronts { first, second }
    }

    /// Puts one in front of the first, which becomes the second, and hands out the second.
    pub fn push(&mut self, front: Front) -> Front {
        let gone = self.second();
        *self = Fronts::new(front, self.first);
        gone
    }

    fn second(&self) -> Front {
        let mut second = self.second;
        second.lengths.less = second.lengths.less.wrapping_add(self.first.lengths.less);
        second
    }

    /// Whether argument `at` is one of them, as far as that is told in a few instructions. False says nothing.
    #[inline(always)]
    pub fn has_plainly(&self, args: &Args, at: usize) -> bool {
        let Some((text, bounds)) = args.front_at(at) else {
            return false;
        };
        let Fronts { first, second } = self;
        let above = first.lengths.above(bounds.end.wrapping_sub(bounds.start));
        if above <= first.lengths.span && first.bytes.are(text, &first.mask) {
            return true;
        }
        second.lengths.above(above) <= second.lengths.span
            && second.bytes.are_too(text, &second.mask)
    }

    /// Whether argument `at` is one of them, if less than sixteen bytes are left where it begins.
    #[inline(always)]
    pub fn has_at_end(&self, args: &Args, at: usize) -> bool {
        let front = args.front_at_end(at);
        front.is_some_and(|(text, bounds)| {
            self.first.has((&text, bounds)) || self.second().has((&text, bounds))
        })
    }
}
