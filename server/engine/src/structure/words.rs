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

    /// As [`Sixteen::are_halves`], without vectors.
    #[inline(always)]
    pub fn are_words(&self, first: &[u8; 8], second: &[u8; 8], mask: &Sixteen) -> bool {
        let other = |text: &[u8; 8], at: usize| {
            let word = |bytes: &Sixteen| u64::from_le_bytes(bytes.0.as_chunks::<8>().0[at]);
            (u64::from_le_bytes(*text) ^ word(self)) & word(mask)
        };
        other(first, 0) | other(second, 1) == 0
    }

    /// Whether two texts side by side are these bytes, where the bits of `mask` count.
    #[inline(always)]
    pub fn are_halves(&self, first: &[u8; 8], second: &[u8; 8], mask: &Sixteen) -> bool {
        vector::are_by_ones(vector::of_halves(first, second), mask, self)
    }
}

/// Whether two texts are two others.
#[inline(always)]
pub fn are_both(texts: [&[u8; 16]; 2], bytes: &[Sixteen; 2]) -> bool {
    vector::are_both(texts.map(vector::of), bytes)
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
        _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_movemask_ps, _mm_set_epi64x, _mm_set_pd,
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

    /// The same in other instructions. Of two ways to compare in one function the compiler would make one that both jump to.
    #[inline(always)]
    pub(super) fn are_by_fours(text: __m128i, mask: &Sixteen, bytes: &Sixteen) -> bool {
        let (mask, bytes) = (of(&mask.0), of(&bytes.0));
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe {
            let equal = _mm_cmpeq_epi32(_mm_and_si128(text, mask), bytes);
            _mm_movemask_ps(_mm_castsi128_ps(equal)) == 0xf
        }
    }

    #[inline(always)]
    pub(super) fn are_both(texts: [__m128i; 2], bytes: &[Sixteen; 2]) -> bool {
        let [first, second] = [of(&bytes[0].0), of(&bytes[1].0)];
        // SAFETY: every processor of this kind has SSE2, and no memory is touched.
        unsafe {
            let first = _mm_cmpeq_epi32(texts[0], first);
            let second = _mm_cmpeq_epi32(texts[1], second);
            _mm_movemask_ps(_mm_castsi128_ps(_mm_and_si128(first, second))) == 0xf
        }
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

    pub(super) use are_by_ones as are_by_fours;

    #[inline(always)]
    pub(super) fn are_both(texts: [u128; 2], bytes: &[Sixteen; 2]) -> bool {
        texts == [of(&bytes[0].0), of(&bytes[1].0)]
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
        assert_eq!(bytes.are_words(&halves[0], &halves[1], mask), expected);
        assert_eq!(plain::are_by_fours(plain::of(text), mask, bytes), expected);
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
                    let pairs = [
                        ([&text, &text], true),
                        ([&other, &text], false),
                        ([&text, &other], false),
                    ];
                    for (texts, expected) in pairs {
                        let wanted = [Sixteen(text); 2];
                        assert_eq!(are_both(texts, &wanted), expected);
                        assert_eq!(plain::are_both(texts.map(plain::of), &wanted), expected);
                    }
                }
            }
        }
    }
}
