//! Sixteen bytes compared at once: with a vector where the processor surely has them, as words elsewhere.
#![allow(unsafe_code)]

/// Sixteen bytes where a vector may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(16))]
pub struct Sixteen(pub [u8; 16]);

impl Sixteen {
    /// Zeros.
    pub const ZERO: Sixteen = Sixteen([0; 16]);

    /// Whether a text is these bytes, where the bits of `mask` count.
    #[inline(always)]
    pub fn are(&self, text: &[u8; 16], mask: &Sixteen) -> bool {
        vector::are_by_fours(vector::of(text), mask, self)
    }

    /// As [`Sixteen::are`], in other instructions. Of two ways to compare in one function the compiler would make one that both jump to.
    #[inline(always)]
    pub fn are_too(&self, text: &[u8; 16], mask: &Sixteen) -> bool {
        vector::are_by_twos(vector::of(text), mask, self)
    }

    /// Whether two texts side by side are these bytes, where the bits of `mask` count.
    #[inline(always)]
    pub fn are_halves(&self, first: &[u8; 8], second: &[u8; 8], mask: &Sixteen) -> bool {
        vector::are_by_ones(vector::of_halves(first, second), mask, self)
    }
}

/// Whether two texts are the first two of these.
#[inline(always)]
pub fn are_two(texts: [&[u8; 16]; 2], [first, second, ..]: &[Sixteen; 4]) -> bool {
    vector::are_two(texts, [first, second])
}

/// Whether four texts are these.
#[inline(always)]
pub fn are_four(texts: [&[u8; 16]; 4], bytes: &[Sixteen; 4]) -> bool {
    vector::are_four(texts, bytes)
}

/// Whether two texts are the first two of these, where the bits of the other two count.
#[inline(always)]
pub fn are_both(texts: [&[u8; 16]; 2], [first, second, masks @ ..]: &[Sixteen; 4]) -> bool {
    vector::are_both(texts.map(vector::of), masks, [first, second])
}

/// A length of `N` at the least, which the compiler knows: where a text is as long, it asks no more whether `N` bytes of it are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeast<const N: u32>(usize);

impl<const N: u32> AtLeast<N> {
    /// More than any argument has that stands behind a name.
    pub const NEVER: AtLeast<N> = AtLeast(u32::MAX as usize);

    /// This length, or `N` if it is less.
    pub fn new(length: u32) -> AtLeast<N> {
        AtLeast(length.max(N) as usize)
    }

    /// The length.
    #[inline(always)]
    pub fn get(self) -> usize {
        // SAFETY: the number is private, and both ways to make one take a `u32` and give it `N` at the least.
        unsafe { std::hint::assert_unchecked(self.0 >= N as usize && self.0 <= u32::MAX as usize) };
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use super::Sixteen;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_castpd_si128, _mm_castsi128_ps, _mm_cmpeq_epi8,
        _mm_cmpeq_epi16, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_movemask_ps, _mm_set_epi64x,
        _mm_set_pd,
    };

    #[inline(always)]
    pub(super) fn of(bytes: &[u8; 16]) -> __m128i {
        let (words, _) = bytes.as_chunks::<8>();
        let [low, high] = [words[0], words[1]].map(i64::from_le_bytes);
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_set_epi64x(high, low) }
    }

    #[inline(always)]
    pub(super) fn of_halves(first: &[u8; 8], second: &[u8; 8]) -> __m128i {
        // Two floating point numbers are loaded with an instruction less than two integers.
        let [low, high] = [first, second].map(|bytes| f64::from_le_bytes(*bytes));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_castpd_si128(_mm_set_pd(high, low)) }
    }

    #[inline(always)]
    pub(super) fn are_by_ones(text: __m128i, mask: &Sixteen, bytes: &Sixteen) -> bool {
        let (mask, bytes) = (of(&mask.0), of(&bytes.0));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(text, mask), bytes)) == 0xffff }
    }

    /// The same in other instructions ([`Sixteen::are_too`]).
    #[inline(always)]
    pub(super) fn are_by_twos(text: __m128i, mask: &Sixteen, bytes: &Sixteen) -> bool {
        let (mask, bytes) = (of(&mask.0), of(&bytes.0));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_and_si128(text, mask), bytes)) == 0xffff }
    }

    /// The same in other instructions.
    #[inline(always)]
    pub(super) fn are_by_fours(text: __m128i, mask: &Sixteen, bytes: &Sixteen) -> bool {
        let (mask, bytes) = (of(&mask.0), of(&bytes.0));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { is_full(_mm_cmpeq_epi32(_mm_and_si128(text, mask), bytes)) }
    }

    #[inline(always)]
    pub(super) fn are_both(
        [a, b]: [__m128i; 2],
        [a_mask, b_mask]: &[Sixteen; 2],
        [a_bytes, b_bytes]: [&Sixteen; 2],
    ) -> bool {
        let equal = |text: __m128i, mask: &Sixteen, bytes: &Sixteen| {
            let (mask, bytes) = (of(&mask.0), of(&bytes.0));
            // SAFETY: every processor of this kind has SSE2, and no memory is touched.
            unsafe { _mm_cmpeq_epi32(_mm_and_si128(text, mask), bytes) }
        };
        is_full(both(equal(a, a_mask, a_bytes), equal(b, b_mask, b_bytes)))
    }

    // Without iterators, which are not always inlined to their end.

    #[inline(always)]
    pub(super) fn are_two(texts: [&[u8; 16]; 2], [a, b]: [&Sixteen; 2]) -> bool {
        is_full(both(equal(texts[0], a), equal(texts[1], b)))
    }

    #[inline(always)]
    pub(super) fn are_four(texts: [&[u8; 16]; 4], [a, b, c, d]: &[Sixteen; 4]) -> bool {
        let first = both(equal(texts[0], a), equal(texts[1], b));
        let second = both(equal(texts[2], c), equal(texts[3], d));
        is_full(both(first, second))
    }

    #[inline(always)]
    fn equal(text: &[u8; 16], bytes: &Sixteen) -> __m128i {
        let (text, bytes) = (of(text), of(&bytes.0));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_cmpeq_epi32(text, bytes) }
    }

    #[inline(always)]
    fn both(first: __m128i, second: __m128i) -> __m128i {
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_and_si128(first, second) }
    }

    /// Whether four comparisons all say yes.
    #[inline(always)]
    fn is_full(equal: __m128i) -> bool {
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe { _mm_movemask_ps(_mm_castsi128_ps(equal)) == 0xf }
    }
}

#[cfg(not(target_arch = "x86_64"))]
use plain as vector;

#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    use super::Sixteen;

    #[inline(always)]
    pub(super) fn of(bytes: &[u8; 16]) -> u128 {
        u128::from_le_bytes(*bytes)
    }

    #[inline(always)]
    pub(super) fn of_halves(first: &[u8; 8], second: &[u8; 8]) -> u128 {
        let [low, high] = [first, second].map(|bytes| u128::from(u64::from_le_bytes(*bytes)));
        low | high << 64
    }

    #[inline(always)]
    pub(super) fn are_by_ones(text: u128, mask: &Sixteen, bytes: &Sixteen) -> bool {
        text & of(&mask.0) == of(&bytes.0)
    }

    pub(super) use are_by_ones as are_by_twos;
    pub(super) use are_by_ones as are_by_fours;

    #[inline(always)]
    pub(super) fn are_both(texts: [u128; 2], masks: &[Sixteen; 2], bytes: [&Sixteen; 2]) -> bool {
        (0..2).all(|at| are_by_ones(texts[at], &masks[at], bytes[at]))
    }

    #[inline(always)]
    pub(super) fn are_two(texts: [&[u8; 16]; 2], [a, b]: [&Sixteen; 2]) -> bool {
        *texts[0] == a.0 && *texts[1] == b.0
    }

    #[inline(always)]
    pub(super) fn are_four(texts: [&[u8; 16]; 4], bytes: &[Sixteen; 4]) -> bool {
        texts.map(|text| *text) == bytes.each_ref().map(|own| own.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a text is told alike by all the ways.
    fn told(text: &[u8; 16], mask: &Sixteen, bytes: &Sixteen) -> bool {
        let halves = text.as_chunks::<8>().0;
        let expected = (0..16).all(|at| text[at] & mask.0[at] == bytes.0[at]);
        assert_eq!(bytes.are(text, mask), expected);
        assert_eq!(bytes.are_halves(&halves[0], &halves[1], mask), expected);
        assert_eq!(bytes.are_too(text, mask), expected);
        assert_eq!(plain::are_by_fours(plain::of(text), mask, bytes), expected);
        assert_eq!(plain::are_by_twos(plain::of(text), mask, bytes), expected);
        let joined = plain::of_halves(&halves[0], &halves[1]);
        assert_eq!(joined, plain::of(text));
        expected
    }

    #[test]
    fn bytes_are_told_wherever_they_differ() {
        // Numbers that are none (NaN) among the halves as well.
        for fill in [0_u8, 1, 0x7f, 0xff] {
            let text: [u8; 16] = std::array::from_fn(|at| fill.wrapping_mul(at as u8 | 1));
            for at in 0..16 {
                for bit in 0..8 {
                    let mut other = text;
                    other[at] ^= 1 << bit;
                    let every = Sixteen([0xff; 16]);
                    assert!(told(&text, &every, &Sixteen(text)));
                    assert!(!told(&other, &every, &Sixteen(text)));
                    let mut but_one = every;
                    but_one.0[at] = 0;
                    let mut bytes = Sixteen(text);
                    bytes.0[at] = 0;
                    assert!(told(&other, &but_one, &bytes));
                    for place in 0..4 {
                        let mut texts = [&text; 4];
                        texts[place] = &other;
                        tell_all(texts, text, false);
                    }
                    tell_all([&text; 4], text, true);
                    let masks = [every, but_one];
                    let own = [Sixteen(text), bytes, masks[0], masks[1]];
                    for (texts, expected) in [([&text, &other], true), ([&other, &text], false)] {
                        assert_eq!(are_both(texts, &own), expected);
                        let texts = texts.map(plain::of);
                        assert_eq!(plain::are_both(texts, &masks, [&own[0], &own[1]]), expected);
                    }
                }
            }
        }
    }

    /// Whether texts are told alike to be all one, by both ways.
    fn tell_all(texts: [&[u8; 16]; 4], text: [u8; 16], expected: bool) {
        let own = [Sixteen(text); 4];
        assert_eq!(are_four(texts, &own), expected);
        assert_eq!(plain::are_four(texts, &own), expected);
        let [first, second, ..] = texts;
        let is_two = *first == text && *second == text;
        assert_eq!(are_two([first, second], &own), is_two);
        assert_eq!(plain::are_two([first, second], [&own[0]; 2]), is_two);
    }
}
