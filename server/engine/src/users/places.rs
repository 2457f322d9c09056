//! Keys that are told by bytes further on than the first sixteen, or by the last ones.

use super::front::Lengths;
use crate::base::args::Args;
use crate::structure::words::{AtLeast, Sixteen, are_both, are_four, are_two};

/// Which bytes are compared, and how many stand in front of the end of the last of them (`until`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The first eight and the last eight, of keys that have so many bytes.
    Ends,
    /// The first sixteen and the last sixteen, of keys that have so many bytes.
    Outer,
    /// The first sixteen and those up to `until`, with all of their bits.
    Wide(u32),
    /// The first 32 and those up to `until`, with all of their bits.
    Long(u32),
    /// The first sixteen and those up to `until`.
    Pair(u32),
    /// As `Pair`, and the length.
    Inner(u32),
    /// As `Long`, and the length.
    Exact(u32),
}

/// Arguments with certain bytes at certain places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// What is compared; where not all bits count, which ones do stands in the last two.
    texts: [Sixteen; 4],
    // Each of these shapes has a length of its own, which is that of no argument for those that it is not: so there is no other question which
    // one it is.
    of_ends: AtLeast<8>,
    of_wide: AtLeast<16>,
    of_pair: AtLeast<16>,
    of_long: AtLeast<32>,
    /// Another shape.
    further: Option<Shape>,
    lengths: Lengths,
}

impl Places {
    /// No arguments.
    pub const NONE: Places = Places {
        texts: [Sixteen::ZERO; 4],
        of_ends: AtLeast::NEVER,
        of_wide: AtLeast::NEVER,
        of_pair: AtLeast::NEVER,
        of_long: AtLeast::NEVER,
        further: None,
        lengths: Lengths::NEVER,
    };

    /// Those with these bytes at the places of a shape, and with these lengths, of which a least one is asked for with each shape.
    pub fn new(shape: Shape, texts: [[u8; 16]; 4], least: u32, is_exact: bool) -> Places {
        let mut places = Places {
            texts: texts.map(Sixteen),
            lengths: Lengths::new(least, is_exact),
            ..Places::NONE
        };
        match shape {
            Shape::Ends => places.of_ends = AtLeast::new(least),
            Shape::Wide(until) => places.of_wide = AtLeast::new(until),
            Shape::Pair(until) => places.of_pair = AtLeast::new(until),
            Shape::Long(until) => places.of_long = AtLeast::new(until),
            Shape::Outer | Shape::Inner(_) | Shape::Exact(_) => places.further = Some(shape),
        }
        places
    }

    /// Whether argument `at` is one of them, as far as that is told in a few instructions. False says nothing.
    ///
    /// Every call of a user with such rules goes one of these ways, so each is as short as it can be, and none calls anything. More of them
    /// would take registers from all the rest of `dispatch`.
    #[inline(always)]
    pub fn has_plainly(&self, args: &Args, at: usize) -> bool {
        // Who is of one shape and told not to be one of them is asked the next as well: so each way ends with the jump of its comparison.
        let ends = args.ends_at(at, self.of_ends.get());
        if ends.is_some_and(|[first, last]| self.texts[0].are_halves(first, last, &self.texts[2])) {
            return true;
        }
        let wide = args.chunks_at(at, self.of_wide.get());
        if wide.is_some_and(|texts| are_two(texts, &self.texts)) {
            return true;
        }
        let pair = args.chunks_at(at, self.of_pair.get());
        if pair.is_some_and(|texts| are_both(texts, &self.texts)) {
            return true;
        }
        let long = args.chunks_at(at, self.of_long.get()).map(four_of);
        long.is_some_and(|texts| are_four(texts, &self.texts))
    }

    /// Whether argument `at` is one of them where [`Places::has_plainly`] did not say so.
    #[inline(always)]
    pub fn has_further(&self, args: &Args, at: usize) -> bool {
        let Some(shape) = self.further else {
            return false;
        };
        if !args
            .bounds(at)
            .is_some_and(|bounds| self.lengths.have(bounds))
        {
            return false;
        }
        match shape {
            Shape::Exact(until) => {
                let until = AtLeast::<32>::new(until);
                let exact = args.chunks_at(at, until.get()).map(four_of);
                exact.is_some_and(|texts| are_four(texts, &self.texts))
            }
            Shape::Inner(until) => {
                let until = AtLeast::<16>::new(until);
                let inner = args.chunks_at(at, until.get());
                inner.is_some_and(|texts| are_both(texts, &self.texts))
            }
            _ => {
                let outer = args.ends_at(at, 16);
                outer.is_some_and(|texts| are_both(texts, &self.texts))
            }
        }
    }
}

/// Twice 32 bytes as four times sixteen.
#[inline(always)]
fn four_of(texts: [&[u8; 32]; 2]) -> [&[u8; 16]; 4] {
    let [[a, b], [c, d]] = texts.map(|text| {
        let (first, second) = text.split_first_chunk().expect("it has 32");
        [first, second.first_chunk().expect("it has 32")]
    });
    [a, b, c, d]
}
