//! Base64 of bytes that become strings of JSON, most of which are short.
//!
//! ```text
//!   bytes     aaaaaaaa bbbbbbbb cccccccc        three bytes are four numbers of six bits,
//!   letters   aaaaaa aabbbb bbbbcc cccccc       each of which is a letter
//! ```
//!
//! Twenty-four bytes become 32 letters at once where the processor can work on so many (AVX2, Intel since 2013, AMD since 2015), six become
//! eight letters with a table elsewhere. The last ones are made with zeros behind them, and what is too much is cut off.
//! Strings of up to 48 bytes, with their quotes and what stands behind them, are made in room of a fixed size, so that one look whether there is
//! room is enough.
//!
//! Rules that keep the `unsafe` of this file sound:
//! - what is compiled for AVX2 is called only where the processor was asked for it; beyond that it is safe code,
//! - but for bytes that are taken for a register of as many, and back,
//! - and for the length of the output, which is raised only over bytes that were written.
#![allow(unsafe_code)]

use crate::start::Start;

/// What stands behind a string in JSON: a comma, a bracket.
#[derive(Debug)]
pub struct Behind {
    text: &'static str,
    #[cfg(target_arch = "x86_64")]
    ends: twenty_fours::Ends,
}

impl Behind {
    /// A text of at most five bytes.
    pub const fn new(text: &'static str) -> Behind {
        Behind {
            text,
            #[cfg(target_arch = "x86_64")]
            ends: twenty_fours::Ends::new(text),
        }
    }

    /// The text.
    pub fn text(&self) -> &'static str {
        self.text
    }
}

/// Appends the base64 of bytes.
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function was compiled for, which is all that it asks for.
        return unsafe { twenty_fours::put(out, bytes) };
    }
    sixes::put(out, bytes);
}

/// The same in quotes, with what stands behind them.
#[inline]
pub(crate) fn put_quoted(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { twenty_fours::put_quoted(out, bytes, behind) };
    }
    quote(out, bytes, behind);
}

/// The same for a text that is whole in its start; nothing for another.
#[inline]
pub(crate) fn put_quoted_start(out: &mut Vec<u8>, start: &Start, behind: &Behind) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { twenty_fours::put_quoted_start(out, start, behind) };
    }
    if let Some(bytes) = start.bytes().get(..start.text_len()) {
        quote(out, bytes, behind);
    }
}

fn quote(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
    out.push(b'"');
    put(out, bytes);
    out.push(b'"');
    out.extend_from_slice(behind.text.as_bytes());
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
mod twenty_fours {
    use super::Behind;
    use crate::start::Start;
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    /// Bytes that are loaded at once, twice for a step.
    const LOADED: usize = 16;
    /// So many of them become letters.
    const USED: usize = 12;
    /// Bytes of a step.
    const STEP: usize = 2 * USED;
    /// Letters of a step.
    const LETTERS: usize = STEP / 3 * 4;

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
        let begin = out.len();
        let mut rest = bytes;
        while let (Some(low), Some(high)) = (
            rest.first_chunk(),
            rest.get(USED..).and_then(<[u8]>::first_chunk),
        ) {
            out.extend_from_slice(&letters(load(low), load(high)));
            rest = &rest[STEP..];
        }
        if let Some(last) = bytes.last_chunk() {
            let last = load(last);
            while !rest.is_empty() {
                out.extend_from_slice(&letters(piece(rest, 0, last), piece(rest, USED, last)));
                rest = rest.get(STEP..).unwrap_or_default();
            }
        } else {
            out.extend_from_slice(&letters_of_start(&Start::of(bytes)));
        }
        super::cut(out, begin, bytes.len());
    }

    /// The longest string that is made in room of a fixed size.
    const MIDDLE: usize = 48;

    /// What stands behind the letters of a string, by its length.
    #[derive(Debug)]
    pub(super) struct Ends([End; MIDDLE + 1]);

    impl Ends {
        /// With this text behind the quote.
        pub const fn new(text: &str) -> Ends {
            assert!(
                text.len() <= End::ROOM - 3,
                "two = and a quote have room, too"
            );
            let mut ends = [const { End::new(0, "") }; MIDDLE + 1];
            let mut len = 0;
            while len < ends.len() {
                ends[len] = End::new(len, text);
                len += 1;
            }
            Ends(ends)
        }
    }

    /// What stands behind the letters of a string that stand for something: `=`, the quote, and what follows.
    #[derive(Debug)]
    struct End {
        text: [u8; End::ROOM],
        /// Where it stands, behind the quote in front and the letters.
        at: u8,
        /// How much of it is meant.
        len: u8,
    }

    impl End {
        /// Bytes that are written of it.
        const ROOM: usize = 8;

        /// Of a string of `len` bytes.
        const fn new(len: usize, behind: &str) -> End {
            let at = 1 + (len * 4).div_ceil(3);
            let mut text = [b' '; End::ROOM];
            let mut end = 0;
            while !(at - 1 + end).is_multiple_of(4) {
                text[end] = b'=';
                end += 1;
            }
            text[end] = b'"';
            end += 1;
            let mut next = 0;
            while next < behind.len() {
                text[end] = behind.as_bytes()[next];
                end += 1;
                next += 1;
            }
            End {
                text,
                at: at as u8,
                len: end as u8,
            }
        }

        /// Puts it down behind a quote and `written` letters, some of which it replaces; gives how long the whole is: of so many bytes each
        /// was written.
        #[inline]
        fn put(&self, room: &mut [MaybeUninit<u8>], written: usize) -> usize {
            let at = usize::from(self.at);
            assert!(at <= 1 + written, "nothing is left out");
            room[at..at + End::ROOM].write_copy_of_slice(&self.text);
            at + usize::from(self.len).min(End::ROOM)
        }
    }

    /// Room for a string of [`Start::ROOM`] bytes in quotes, and for all that is written of it.
    const SHORT_ROOM: usize = 1 + LETTERS + End::ROOM;
    /// The same for one of [`MIDDLE`] bytes.
    const MIDDLE_ROOM: usize = 1 + MIDDLE / STEP * LETTERS + End::ROOM;

    #[target_feature(enable = "avx2")]
    pub(super) fn put_quoted_start(out: &mut Vec<u8>, start: &Start, behind: &Behind) {
        if !start.is_whole() {
            return;
        }
        let Some(room) = out.spare_capacity_mut().first_chunk_mut::<SHORT_ROOM>() else {
            return put_quoted_start_grown(out, start, behind);
        };
        room[0].write(b'"');
        room[1..][..LETTERS].write_copy_of_slice(&letters_of_start(start));
        let more = behind.ends.0[start.text_len()].put(room, LETTERS);
        // SAFETY: so many bytes were written into the spare room.
        unsafe { out.set_len(out.len() + more) };
    }

    /// The same where there is no room yet. It is apart so that nothing has to be kept over a call where there is.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn put_quoted_start_grown(out: &mut Vec<u8>, start: &Start, behind: &Behind) {
        out.reserve(SHORT_ROOM);
        put_quoted_start(out, start, behind);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn put_quoted(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
        if bytes.len() <= Start::ROOM {
            put_quoted_short(out, bytes, behind);
        } else if bytes.len() <= MIDDLE {
            put_quoted_middle(out, bytes, behind);
        } else {
            super::quote(out, bytes, behind);
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn put_quoted_short(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
        put_quoted_start(out, &Start::of(bytes), behind);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn put_quoted_middle(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
        let Some(room) = out.spare_capacity_mut().first_chunk_mut::<MIDDLE_ROOM>() else {
            return put_quoted_middle_grown(out, bytes, behind);
        };
        let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
            return;
        };
        room[0].write(b'"');
        let last = load(last);
        let text = letters(load(first), piece(bytes, USED, last));
        room[1..][..LETTERS].write_copy_of_slice(&text);
        let mut written = LETTERS;
        if bytes.len() > STEP {
            let text = letters(piece(bytes, STEP, last), piece(bytes, STEP + USED, last));
            room[1 + LETTERS..][..LETTERS].write_copy_of_slice(&text);
            written += LETTERS;
        }
        let more = behind.ends.0[bytes.len()].put(room, written);
        // SAFETY: so many bytes were written into the spare room.
        unsafe { out.set_len(out.len() + more) };
    }

    /// The same where there is no room yet.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn put_quoted_middle_grown(out: &mut Vec<u8>, bytes: &[u8], behind: &Behind) {
        out.reserve(MIDDLE_ROOM);
        put_quoted_middle(out, bytes, behind);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; LOADED]) -> __m128i {
        // SAFETY: both are sixteen bytes, which may have any value.
        unsafe { std::mem::transmute(*bytes) }
    }

    /// The bytes from `from` on, zeros behind them; `last` are the last ones, of which there are enough if there are fewer behind `from`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn piece(bytes: &[u8], from: usize, last: __m128i) -> __m128i {
        match bytes.get(from..).and_then(<[u8]>::first_chunk) {
            Some(loaded) => load(loaded),
            None => moved(last, LOADED - bytes.len().saturating_sub(from)),
        }
    }

    /// The bytes moved down by some places, zeros behind them.
    #[inline]
    #[target_feature(enable = "avx2")]
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

    #[inline]
    #[target_feature(enable = "avx2")]
    fn letters_of_start(start: &Start) -> [u8; LETTERS] {
        // As below, of bytes whose first stands in the highest place of the first half; nothing behind the last.
        let low = _mm_setr_epi8(6, 7, 5, 6, 3, 4, 2, 3, 0, 1, 15, 0, 13, 14, 12, 13);
        let high = _mm_setr_epi8(10, 11, 9, 10, -1, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        let [head, next] = start.halves();
        let loaded = _mm256_broadcastsi128_si256(_mm_set_epi64x(next as i64, head as i64));
        letters_of(_mm256_shuffle_epi8(loaded, _mm256_set_m128i(high, low)))
    }

    /// The letters of the first twelve bytes of both.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn letters(low: __m128i, high: __m128i) -> [u8; LETTERS] {
        // Each three bytes a b c become b a c b: two 16-bit numbers, in each of which two numbers of six bits stand together.
        let spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
        let spread = _mm256_broadcastsi128_si256(spread);
        letters_of(_mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread))
    }

    /// The letters of bytes that are spread like that.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn letters_of(spread: __m256i) -> [u8; LETTERS] {
        // Brought to their places: the first and third six bits down, the second and fourth up (by multiplying, which is one step for both).
        let first = _mm256_and_si256(
            _mm256_srli_epi16(spread, 10),
            _mm256_set1_epi32(0x0000_003f),
        );
        let third = _mm256_and_si256(_mm256_srli_epi16(spread, 6), _mm256_set1_epi32(0x003f_0000));
        let others = _mm256_and_si256(spread, _mm256_set1_epi32(0x003f_03f0));
        let others = _mm256_mullo_epi16(others, _mm256_set1_epi32(0x0100_0010));
        let numbers = _mm256_or_si256(_mm256_or_si256(first, third), others);
        // What has to be added depends on the range: 0 to 25 (13 here), 26 to 51 (0), each of 52 to 61 (1 to 10), 62 (11), 63 (12).
        let range = _mm256_subs_epu8(numbers, _mm256_set1_epi8(51));
        let is_upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), numbers);
        let range = _mm256_or_si256(range, _mm256_and_si256(is_upper, _mm256_set1_epi8(13)));
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
        let added = _mm256_broadcastsi128_si256(added);
        let text = _mm256_add_epi8(numbers, _mm256_shuffle_epi8(added, range));
        // SAFETY: both are 32 bytes, which may have any value.
        unsafe { std::mem::transmute(text) }
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
                for behind in [&Behind::new(""), &Behind::new(","), &Behind::new("],[")] {
                    let mut quoted = b"before".to_vec();
                    put_quoted(&mut quoted, part, behind);
                    let wanted = format!("before\"{}\"{}", STANDARD.encode(part), behind.text());
                    assert_eq!(quoted, wanted.as_bytes());
                    quoted.truncate(6);
                    put_quoted_start(&mut quoted, &Start::of(part), behind);
                    let wanted_whole = if len > 16 { "before" } else { &wanted };
                    assert_eq!(quoted, wanted_whole.as_bytes());
                    quoted.truncate(6);
                    quote(&mut quoted, part, behind);
                    assert_eq!(quoted, wanted.as_bytes());
                }
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
