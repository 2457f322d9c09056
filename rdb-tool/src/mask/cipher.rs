//! Keyed pseudonyms: one-to-one, of the same size, and of the same kind.
//!
//! ```text
//!   text      letters become letters of the same case, digits digits, bytes of UTF-8 behind the first of a character others; the rest stays
//!   binary    each byte becomes any
//!   number    another of as many digits that needs as many bits in every encoding
//! ```
//!
//! All are permutations under the key: a Feistel network over the symbols that change, whose rounds add what SHA-256 of the key,
//! the pattern and the other half gives. A result that is not of the kind of its origin (a text that would be a number, bytes that
//! would be UTF-8) is permuted again until it is: so kinds keep apart, and different texts stay different.

use cairn_format::text::number::{I64Text, parse_i64};
use sha2::{Digest, Sha256};

/// Rounds for short texts, and for those of so many symbols that four are a strong permutation.
const ROUNDS: (u8, u8) = (8, 4);
const SHORT: usize = 16;

/// Numbers from which on a number has another size somewhere: digits, forms of packed values, forms of a snapshot's strings.
const SIZES: [i64; 6] = [13, 1 << 7, 1 << 12, 1 << 15, 1 << 23, 1 << 31];

/// Makes pseudonyms under one key.
#[derive(Clone, Debug)]
pub struct Cipher {
    keyed: Sha256,
    /// The lowest number of every class of equal sizes, ascending.
    classes: Vec<i64>,
}

/// The symbols that a place may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alphabet {
    first: u8,
    size: u16,
}

const BINARY: Alphabet = Alphabet {
    first: 0,
    size: 256,
};

/// The alphabet of a byte of a text; `None` if it stays.
fn alphabet(byte: u8) -> Option<Alphabet> {
    let (first, size) = match byte {
        b'a'..=b'z' => (b'a', 26),
        b'A'..=b'Z' => (b'A', 26),
        b'0'..=b'9' => (b'0', 10),
        0x80..=0xbf => (0x80, 64),
        _ => return None,
    };
    Some(Alphabet { first, size })
}

impl Cipher {
    /// A cipher with a key of any length.
    pub fn new(key: &[u8]) -> Cipher {
        let mut keyed = Sha256::new();
        // A whole block, so that its state is computed once.
        keyed.update(Sha256::digest(key));
        keyed.update([0x5a; 32]);
        Cipher {
            keyed,
            classes: classes(),
        }
    }

    /// 32 bytes that nobody can tell from random ones without the key.
    pub fn draw(&self, purpose: u8, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.keyed.clone();
        hash.update([purpose]);
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The pseudonym of a text.
    pub fn text(&self, text: &[u8]) -> Vec<u8> {
        if let Some(number) = parse_i64(text) {
            return I64Text::new().format(self.number(number)).to_vec();
        }
        let is_text = str::from_utf8(text).is_ok();
        let mut out = text.to_vec();
        loop {
            self.permute(&mut out, is_text);
            let is_same_kind = str::from_utf8(&out).is_ok() == is_text && parse_i64(&out).is_none();
            // A walk along a cycle comes back to its begin, which is of that kind.
            if is_same_kind {
                return out;
            }
        }
    }

    /// The pseudonym of a part of a key: as of a text, but a number becomes any text of digits.
    pub fn letters(&self, part: &[u8]) -> Vec<u8> {
        let mut out = part.to_vec();
        self.permute(&mut out, true);
        out
    }

    fn permute(&self, out: &mut [u8], is_text: bool) {
        let places = places(out, is_text);
        let pattern = self.pattern(out, &places);
        let (left, right) = places.split_at(places.len() / 2);
        if left.is_empty() {
            if let [(at, alphabet)] = right {
                out[*at] = self.one(out[*at], *alphabet, &pattern);
            }
            return;
        }
        let rounds = match places.len() < SHORT {
            true => ROUNDS.0,
            false => ROUNDS.1,
        };
        for round in 0..rounds {
            let (changed, other) = match round % 2 {
                0 => (left, right),
                _ => (right, left),
            };
            let seen: Vec<u8> = other.iter().map(|(at, _)| out[*at]).collect();
            let seed = self.draw(round, &[&pattern, &seen]);
            let mut stream = Stream::new(self, seed);
            for (at, alphabet) in changed {
                let symbol = u16::from(out[*at] - alphabet.first) + u16::from(stream.byte());
                out[*at] = alphabet.first + (symbol % alphabet.size) as u8;
            }
        }
    }

    /// What stays, and where what changes stands.
    fn pattern(&self, text: &[u8], places: &[(usize, Alphabet)]) -> [u8; 32] {
        let mut pattern = text.to_vec();
        for (at, alphabet) in places {
            pattern[*at] = alphabet.first;
        }
        self.draw(b'p', &[&pattern, &(places.len() as u64).to_le_bytes()])
    }

    /// A permutation of one symbol, from a shuffled alphabet.
    fn one(&self, byte: u8, alphabet: Alphabet, pattern: &[u8]) -> u8 {
        let mut symbols: Vec<u8> = (0..alphabet.size).map(|i| i as u8).collect();
        let mut stream = Stream::new(self, self.draw(b'1', &[pattern]));
        for i in (1..symbols.len()).rev() {
            let draw = usize::from(stream.byte()) << 8 | usize::from(stream.byte());
            symbols.swap(i, draw % (i + 1));
        }
        alphabet.first + symbols[usize::from(byte - alphabet.first)]
    }

    /// The pseudonym of a number.
    pub fn number(&self, number: i64) -> i64 {
        let class = self.classes.partition_point(|first| *first <= number) - 1;
        let low = self.classes[class];
        let size = match self.classes.get(class + 1) {
            Some(next) => next.wrapping_sub(low) as u64,
            None => (i64::MAX as u64) - low as u64 + 1,
        };
        let mut place = number.wrapping_sub(low) as u64;
        loop {
            place = self.mix(class as u8, size, place);
            if place < size {
                return low.wrapping_add(place as i64);
            }
        }
    }

    /// A permutation of the smallest power of four that is not below `size`.
    fn mix(&self, class: u8, size: u64, place: u64) -> u64 {
        let half = (u64::BITS - (size - 1).leading_zeros()).div_ceil(2).max(1);
        let mask = (1_u64 << half) - 1;
        let (mut left, mut right) = (place >> half & mask, place & mask);
        for round in 0..ROUNDS.0 {
            let draw = self.draw(b'n', &[&[class, round], &right.to_le_bytes()]);
            let draw = draw
                .first_chunk()
                .map_or(0, |chunk| u64::from_le_bytes(*chunk));
            (left, right) = (right, (left ^ draw) & mask);
        }
        left << half | right
    }
}

/// Bytes that change, by their places and alphabets.
fn places(text: &[u8], is_text: bool) -> Vec<(usize, Alphabet)> {
    let mut places = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        // Behind these the next byte is not free: it would make a form that UTF-8 forbids.
        let is_bound = at > 0 && matches!(text[at - 1], 0xe0 | 0xed | 0xf0 | 0xf4);
        let alphabet = match is_text {
            true => alphabet(*byte).filter(|_| !is_bound),
            false => Some(BINARY),
        };
        places.extend(alphabet.map(|alphabet| (at, alphabet)));
    }
    places
}

fn classes() -> Vec<i64> {
    let mut classes = vec![i64::MIN, 0];
    for digits in 1..=18 {
        let power = 10_i64.pow(digits);
        classes.extend([power, 1 - power]);
    }
    for size in SIZES {
        classes.extend([size, -size]);
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Bytes without end from a seed.
struct Stream<'c> {
    cipher: &'c Cipher,
    seed: [u8; 32],
    block: [u8; 32],
    at: usize,
    count: u64,
}

impl<'c> Stream<'c> {
    fn new(cipher: &'c Cipher, seed: [u8; 32]) -> Stream<'c> {
        Stream {
            cipher,
            seed,
            block: seed,
            at: 0,
            count: 0,
        }
    }

    fn byte(&mut self) -> u8 {
        if self.at == self.block.len() {
            self.count += 1;
            self.block = self
                .cipher
                .draw(b's', &[&self.seed, &self.count.to_le_bytes()]);
            self.at = 0;
        }
        self.at += 1;
        self.block[self.at - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::encoding::listpack;
    use std::collections::HashSet;

    fn cipher() -> Cipher {
        Cipher::new(b"a key of the tests")
    }

    #[test]
    fn numbers_keep_their_sizes_and_stay_apart() {
        let cipher = cipher();
        for range in [-200..20_000_i64, 8_388_000..8_389_000, -70_000..-60_000] {
            let made: HashSet<i64> = range.clone().map(|number| cipher.number(number)).collect();
            assert_eq!(made.len(), range.count());
        }
        let edges = SIZES
            .into_iter()
            .chain((1..19).map(|digits| 10_i64.pow(digits)));
        let near = edges.flat_map(|edge| [edge - 1, edge, 1 - edge, -edge, -edge - 1]);
        let mut moved = 0;
        for number in near.chain([i64::MIN, i64::MAX, 0]) {
            let made = cipher.number(number);
            let sizes = |number: i64| {
                let mut pack = listpack::empty();
                listpack::push_back_int(&mut pack, number);
                let fits = [
                    number == i64::from(number as i8),
                    number == i64::from(number as i16),
                    number == i64::from(number as i32),
                ];
                (
                    pack.len(),
                    number.to_string().len(),
                    fits,
                    (0..=12).contains(&number),
                )
            };
            assert_eq!(sizes(made), sizes(number), "{number} became {made}");
            moved += u32::from(made != number);
        }
        assert!(moved > 50, "{moved}");
    }

    #[test]
    fn texts_keep_their_kind_and_stay_apart() {
        let cipher = cipher();
        let all: HashSet<Vec<u8>> = (0..1000)
            .map(|i| cipher.text(format!("{i:03}x").as_bytes()))
            .collect();
        assert_eq!(all.len(), 1000);
        let padded: HashSet<Vec<u8>> = (0..100)
            .map(|i| cipher.text(format!("0{i:02}").as_bytes()))
            .collect();
        assert_eq!(padded.len(), 100);
        assert!(
            padded.iter().all(|text| parse_i64(text).is_none()),
            "no number was made"
        );
        let one: HashSet<Vec<u8>> = (0..=255).map(|byte| cipher.text(&[byte])).collect();
        assert_eq!(one.len(), 256);
        for text in [
            "",
            ":",
            "Ärger für 3 Ö",
            "\u{e000}ถ\u{d7ff}\u{10ffff}\u{800}",
            "user-17@example.org",
            "99999999999999999999",
        ] {
            let made = cipher.text(text.as_bytes());
            let made = String::from_utf8(made).unwrap();
            assert_eq!(made.len(), text.len());
            let kind = |c: char| {
                (
                    c.is_ascii_lowercase(),
                    c.is_ascii_uppercase(),
                    c.is_ascii_digit(),
                )
            };
            let ascii = |text: &str| {
                text.chars()
                    .filter(char::is_ascii)
                    .map(kind)
                    .collect::<Vec<_>>()
            };
            assert_eq!(ascii(&made), ascii(text));
        }
        let long = vec![b'a'; 100_000];
        let made = cipher.text(&long);
        assert!(made != long && made.iter().all(u8::is_ascii_lowercase));
    }

    #[test]
    fn another_key_makes_other_pseudonyms_and_a_change_goes_everywhere() {
        let (a, b) = (cipher(), Cipher::new(b"another"));
        assert_ne!(
            a.text(b"somebody@example.org"),
            b.text(b"somebody@example.org")
        );
        let (x, y) = (
            a.text(b"aaaaaaaaaaaaaaaaaaaaaaaa"),
            a.text(b"aaaaaaaaaaaaaaaaaaaaaaab"),
        );
        let same = x.iter().zip(&y).filter(|(x, y)| x == y).count();
        assert!(same < 8, "{same} of 24 letters are the same");
    }
}
