//! Base64 of bytes that become strings of JSON, most of which are short.
//!
//! ```text
//!   bytes     aaaaaaaa bbbbbbbb cccccccc        three bytes are four numbers of six bits,
//!   letters   aaaaaa aabbbb bbbbcc cccccc       each of which is a letter
//! ```
//!
//! Twelve bytes become sixteen letters at once where the processor can put bytes in another order (SSSE3, every 64-bit Intel and AMD
//! processor since 2011), six become eight letters with a table elsewhere. The last ones are made with zeros behind them, and what is too much is cut off.
//! Strings of up to 48 bytes, quotes and all, are made in room of a fixed size, so that one look whether there is room is enough.
//!
//! Rule that keeps the `unsafe` of this file sound:
//! - what is compiled for SSSE3 is called only where the processor was asked for it; beyond that it is safe code.
#![allow(unsafe_code)]

use crate::start::Start;

/// Appends the base64 of bytes.
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has what the function was compiled for, which is all that it asks for.
        return unsafe { twelves::put(out, bytes) };
    }
    sixes::put(out, bytes);
}

/// The same in quotes.
#[inline]
pub(crate) fn put_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: as above.
        return unsafe { twelves::put_quoted(out, bytes) };
    }
    quote(out, bytes);
}

/// The same for a text that is whole in its start; nothing for another.
#[inline]
pub(crate) fn put_quoted_start(out: &mut Vec<u8>, start: &Start) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: as above.
        return unsafe { twelves::put_quoted_start(out, start) };
    }
    if let Some(bytes) = start.bytes().get(..start.text_len()) {
        quote(out, bytes);
    }
}

fn quote(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    put(out, bytes);
    out.push(b'"');
}

/// Makes of the letters from `begin` on those of `len` bytes.
#[inline]
fn cut(out: &mut Vec<u8>, begin: usize, len: usize) {
    let threes = len.div_ceil(3);
    let end = begin + threes * 4;
    out.truncate(end);
    match threes * 3 - len {
        2 => out[end - 2..].fill(b'='),
        1 => out[end - 1] = b'=',
        _ => {}
    }
}

mod sixes {
    /// The two letters for twelve bits, the first in the lower byte.
    static LETTERS: [u16; 1 << 12] = {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut letters = [0; 1 << 12];
        let mut bits = 0;
        while bits < letters.len() {
            letters[bits] = u16::from_le_bytes([alphabet[bits >> 6], alphabet[bits & 63]]);
            bits += 1;
        }
        letters
    };

    pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
        let begin = out.len();
        let (sixes, rest) = bytes.as_chunks();
        for six in sixes {
            out.extend_from_slice(&letters(*six));
        }
        if !rest.is_empty() {
            let mut last = [0; 6];
            last[..rest.len()].copy_from_slice(rest);
            out.extend_from_slice(&letters(last));
        }
        super::cut(out, begin, bytes.len());
    }

    #[inline]
    fn letters([a, b, c, d, e, f]: [u8; 6]) -> [u8; 8] {
        let (high, low) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]));
        let bits = u64::from(high) << 16 | u64::from(low);
        let pair = |shift: u32| u64::from(LETTERS[(bits >> shift) as usize & 0xfff]);
        (pair(36) | pair(24) << 16 | pair(12) << 32 | pair(0) << 48).to_le_bytes()
    }
}

#[cfg(target_arch = "x86_64")]
mod twelves {
    use crate::start::Start;
    use std::arch::x86_64::*;

    /// As many bytes as are loaded at once.
    const LOADED: usize = 16;
    /// So many of them become letters.
    const USED: usize = 12;

    #[inline]
    #[target_feature(enable = "ssse3")]
    pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
        let begin = out.len();
        let mut rest = bytes;
        while let Some(loaded) = rest.first_chunk() {
            out.extend_from_slice(&letters(load(loaded)));
            rest = &rest[USED..];
        }
        if !rest.is_empty() {
            let last = match bytes.last_chunk() {
                Some(last) => moved(load(last), LOADED - rest.len()),
                None => load(&Start::of(rest).bytes()),
            };
            out.extend_from_slice(&letters(last));
            if rest.len() > USED {
                out.extend_from_slice(&letters(_mm_srli_si128(last, USED as i32)));
            }
        }
        super::cut(out, begin, bytes.len());
    }

    /// The longest string that is made in room of a fixed size, in steps of twelve bytes.
    const MIDDLE: usize = 48;
    /// Room for its letters in quotes.
    const MIDDLE_ROOM: usize = 1 + MIDDLE / 3 * 4 + TAIL;
    /// The same for a string of [`Start::ROOM`] bytes.
    const SHORT_ROOM: usize = 32;
    /// Bytes that are written behind the letters that stand for something.
    const TAIL: usize = 4;

    /// What stands behind those letters, by how many bytes there are above a multiple of three, and how much of it is meant.
    const TAILS: [([u8; TAIL], usize); 3] = [(*b"\"   ", 1), (*b"==\" ", 3), (*b"=\"  ", 2)];

    /// By the length of a string: where in quotes the tail stands, the tail, and how long the whole is.
    static ENDS: [(u8, [u8; TAIL], u8); MIDDLE + 1] = {
        let mut ends = [(0, [0; TAIL], 0); MIDDLE + 1];
        let mut len = 0;
        while len < ends.len() {
            let (at, (tail, more)) = (1 + (len * 4).div_ceil(3), TAILS[len % 3]);
            ends[len] = (at as u8, tail, (at + more) as u8);
            len += 1;
        }
        ends
    };

    #[target_feature(enable = "ssse3")]
    pub(super) fn put_quoted_start(out: &mut Vec<u8>, start: &Start) {
        if !start.is_whole() {
            return;
        }
        let begin = out.len();
        out.extend_from_slice(&[b'"'; SHORT_ROOM]);
        let Some(room) = out.last_chunk_mut::<SHORT_ROOM>() else {
            return;
        };
        let loaded = load(&start.bytes());
        room[1..][..LOADED].copy_from_slice(&letters(loaded));
        if start.text_len() > USED {
            let [a, b, c, d, e, f, ..] = letters(_mm_srli_si128(loaded, USED as i32));
            room[1 + LOADED..][..6].copy_from_slice(&[a, b, c, d, e, f]);
        }
        let end = put_end(room, start.text_len());
        out.truncate(begin + end);
    }

    #[target_feature(enable = "ssse3")]
    pub(super) fn put_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.len() <= Start::ROOM {
            put_quoted_short(out, bytes);
        } else if bytes.len() <= MIDDLE {
            put_quoted_middle(out, bytes);
        } else {
            super::quote(out, bytes);
        }
    }

    #[inline(never)]
    #[target_feature(enable = "ssse3")]
    fn put_quoted_short(out: &mut Vec<u8>, bytes: &[u8]) {
        put_quoted_start(out, &Start::of(bytes));
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn put_quoted_middle(out: &mut Vec<u8>, bytes: &[u8]) {
        let begin = out.len();
        out.extend_from_slice(&[b'"'; MIDDLE_ROOM]);
        let (Some(room), Some(last)) = (out.last_chunk_mut::<MIDDLE_ROOM>(), bytes.last_chunk())
        else {
            return;
        };
        let (pieces, mut rest) = (room[1..].as_chunks_mut::<LOADED>().0, bytes);
        for piece in pieces {
            match rest.first_chunk() {
                Some(loaded) => *piece = letters(load(loaded)),
                None => {
                    *piece = letters(moved(load(last), LOADED - rest.len()));
                    if rest.len() <= USED {
                        break;
                    }
                }
            }
            rest = &rest[USED..];
        }
        let end = put_end(room, bytes.len());
        out.truncate(begin + end);
    }

    /// Puts down what stands behind the letters of `len` bytes; gives how long the whole is.
    #[inline]
    fn put_end(room: &mut [u8], len: usize) -> usize {
        let (at, tail, end) = ENDS[len];
        if let Some(place) = room[usize::from(at)..].first_chunk_mut() {
            *place = tail;
        }
        usize::from(end)
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn load(bytes: &[u8; LOADED]) -> __m128i {
        let loaded = u128::from_le_bytes(*bytes);
        _mm_set_epi64x((loaded >> 64) as i64, loaded as i64)
    }

    /// The bytes moved down by some places, zeros behind them.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn moved(bytes: __m128i, places: usize) -> __m128i {
        // Which byte comes to each place; none where the highest bit is set.
        const PLACES: [u8; 2 * LOADED] = {
            let mut places = [0x80; 2 * LOADED];
            let mut at = 0;
            while at < LOADED {
                places[at] = at as u8;
                at += 1;
            }
            places
        };
        match PLACES[places..].first_chunk() {
            Some(order) => _mm_shuffle_epi8(bytes, load(order)),
            None => _mm_setzero_si128(),
        }
    }

    /// The letters of the first twelve bytes.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn letters(loaded: __m128i) -> [u8; 16] {
        // Each three bytes a b c become b a c b: two 16-bit numbers, in each of which two numbers of six bits stand together.
        let spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
        let spread = _mm_shuffle_epi8(loaded, spread);
        // Brought to their places: the first and third six bits down, the second and fourth up (by multiplying, which is one step for both).
        let first = _mm_and_si128(_mm_srli_epi16(spread, 10), _mm_set1_epi32(0x0000_003f));
        let third = _mm_and_si128(_mm_srli_epi16(spread, 6), _mm_set1_epi32(0x003f_0000));
        let others = _mm_and_si128(spread, _mm_set1_epi32(0x003f_03f0));
        let others = _mm_mullo_epi16(others, _mm_set1_epi32(0x0100_0010));
        let numbers = _mm_or_si128(_mm_or_si128(first, third), others);
        // What has to be added depends on the range: 0 to 25 (13 here), 26 to 51 (0), each of 52 to 61 (1 to 10), 62 (11), 63 (12).
        let range = _mm_subs_epu8(numbers, _mm_set1_epi8(51));
        let is_upper = _mm_cmpgt_epi8(_mm_set1_epi8(26), numbers);
        let range = _mm_or_si128(range, _mm_and_si128(is_upper, _mm_set1_epi8(13)));
        let (lower, digit, plus, slash, upper) = (
            b'a' as i8 - 26,
            b'0' as i8 - 52,
            b'+' as i8 - 62,
            b'/' as i8 - 63,
            b'A' as i8,
        );
        let added = _mm_setr_epi8(
            lower, digit, digit, digit, digit, digit, digit, digit, digit, digit, digit, plus,
            slash, upper, 0, 0,
        );
        let text = _mm_add_epi8(numbers, _mm_shuffle_epi8(added, range));
        let low = _mm_cvtsi128_si64(text) as u64;
        let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(text, text)) as u64;
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn letters_are_those_of_the_engine() {
        let bytes: Vec<u8> = (0..=255).rev().chain(0..64).collect();
        for begin in 0..64 {
            for len in 0..128 {
                let part = &bytes[begin * 3..][..len];
                let wanted = format!("before{}", STANDARD.encode(part));
                let mut quoted = Vec::new();
                put_quoted(&mut quoted, part);
                let wanted_quoted = format!("\"{}\"", STANDARD.encode(part));
                assert_eq!(quoted, wanted_quoted.as_bytes());
                quoted.clear();
                put_quoted_start(&mut quoted, &Start::of(part));
                let wanted_whole = if len > 16 { "" } else { &wanted_quoted };
                assert_eq!(quoted, wanted_whole.as_bytes());
                for put in [put, sixes::put] {
                    let mut text = b"before".to_vec();
                    put(&mut text, part);
                    assert_eq!(text, wanted.as_bytes());
                }
            }
        }
    }

    #[test]
    fn every_three_bytes_are_those_of_the_engine() {
        for high in 0..=255 {
            let bytes: Vec<u8> = (0..=u16::MAX)
                .flat_map(|low| [high, (low >> 8) as u8, low as u8])
                .collect();
            let mut text = Vec::new();
            put(&mut text, &bytes);
            assert_eq!(text, STANDARD.encode(&bytes).as_bytes());
        }
    }
}
