//! The commonest packed values, seen to be sound in one walk.
//!
//! It says only that nothing is wrong or odd. At anything else, and where it does not look closely enough to know, the full
//! check ([`super::check`]) goes over the value and says what it is.

use super::check::has_repeats;
use crate::encoding::listpack::{Entry, Listpack};
use crate::hash::hash_bytes;
use crate::text::number::parse_i64;

/// How near two scores may come that were not computed exactly.
const MARGIN: f64 = 1e-12;
/// Whole numbers below this are exact as doubles.
const EXACT_BELOW: u64 = 1 << 53;
/// Digits of a score that fit 64 bits.
const DIGITS_MAX: usize = 18;

/// What the entries of a listpack are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Members.
    Members,
    /// Fields and values.
    Fields,
    /// Members and scores, the lowest first.
    Scores,
}

/// Whether a listpack is sound, has entries, none of its names twice, and scores in order; `hashes` is room for work.
pub(super) fn is_sound(bytes: &[u8], holds: Holds, hashes: &mut Vec<u64>) -> bool {
    hashes.clear();
    let (mut is_name, mut fits) = (true, true);
    let mut last = Score {
        value: f64::NEG_INFINITY,
        is_exact: true,
    };
    let walked = Listpack::check_each(bytes, |entry| {
        if is_name {
            hashes.push(hash_of(entry));
        } else if holds == Holds::Scores {
            match Score::of(entry) {
                Some(score) => {
                    fits &= last.comes_before(score);
                    last = score;
                }
                None => fits = false,
            }
        }
        is_name = holds == Holds::Members || !is_name;
    });
    // After a whole pair a name is next.
    walked.is_ok() && fits && is_name && !hashes.is_empty() && !has_repeats(hashes)
}

/// Equal for equal texts, in whatever form they stand.
#[inline]
fn hash_of(entry: Entry<'_>) -> u64 {
    let number = match entry {
        Entry::Int(number) => Some(number),
        Entry::Str(text) => match text.first() {
            Some(b'0'..=b'9' | b'-') => parse_i64(text),
            _ => None,
        },
    };
    match (number, entry) {
        (Some(number), _) => hash_bytes(&number.to_le_bytes(), 1),
        (None, Entry::Str(text)) => hash_bytes(text, 0),
        (None, Entry::Int(_)) => 0,
    }
}

/// A score, or what is near it.
#[derive(Clone, Copy, Debug)]
struct Score {
    value: f64,
    is_exact: bool,
}

impl Score {
    /// `None` where more than digits and a point would have to be understood.
    #[inline]
    fn of(entry: Entry<'_>) -> Option<Score> {
        let text = match entry {
            Entry::Int(number) => {
                return Some(Score {
                    value: number as f64,
                    is_exact: true,
                });
            }
            Entry::Str(text) => text,
        };
        let (is_negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            body => (false, body),
        };
        if body.len() > DIGITS_MAX + 1 {
            return None;
        }
        let (mut digits, mut whole, mut scale, mut in_decimals) = (0_u64, 0, 1.0, false);
        for &byte in body {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                digits = digits * 10 + u64::from(digit);
                whole += 1;
                scale *= if in_decimals { 10.0 } else { 1.0 };
            } else if byte == b'.' && !in_decimals {
                in_decimals = true;
            } else {
                return None;
            }
        }
        if whole == 0 || whole > DIGITS_MAX {
            return None;
        }
        let value = digits as f64 / scale;
        Some(Score {
            value: if is_negative { -value } else { value },
            is_exact: digits < EXACT_BELOW,
        })
    }

    /// Whether this one is surely not above the next.
    #[inline]
    fn comes_before(self, next: Score) -> bool {
        if self.is_exact && next.is_exact {
            return self.value <= next.value;
        }
        let least = self.value.abs().max(next.value.abs()) * MARGIN;
        self.value == f64::NEG_INFINITY || next.value - self.value > least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listpack(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = crate::encoding::listpack::empty();
        for entry in entries {
            crate::encoding::listpack::push_back(&mut bytes, entry);
        }
        bytes
    }

    fn sound(holds: Holds, entries: &[&[u8]]) -> bool {
        is_sound(&listpack(entries), holds, &mut Vec::new())
    }

    #[test]
    fn names_must_differ_in_whatever_form() {
        use Holds::{Fields, Members};
        assert!(sound(Members, &[b"a", b"b", b"1", b"01", b"-1", b"-"]));
        assert!(!sound(Members, &[b"a", b"b", b"a"]));
        assert!(!sound(Members, &[]));
        assert!(sound(Fields, &[b"a", b"b", b"b", b"a"]));
        assert!(!sound(Fields, &[b"a", b"b", b"b"]));
        // The text 77 stored as a string, beside the number.
        let mut bytes = listpack(&[b"77", b"7x"]);
        let at = bytes.windows(2).position(|two| two == b"7x").unwrap();
        assert!(is_sound(&bytes, Members, &mut Vec::new()));
        bytes[at + 1] = b'7';
        assert!(!is_sound(&bytes, Members, &mut Vec::new()));
    }

    #[test]
    fn scores_must_surely_be_in_order() {
        use Holds::Scores;
        let one = |scores: [&str; 2]| {
            sound(
                Scores,
                &[b"a", scores[0].as_bytes(), b"b", scores[1].as_bytes()],
            )
        };
        for scores in [
            ["1", "1"],
            ["-2", "1.5"],
            ["0.1", "0.1"],
            ["3.14159265358979", "3.14159265358980"],
            ["123.45678901234567", "123.45678911234567"],
            ["-0.5", "-0.25"],
        ] {
            assert!(one(scores), "{scores:?}");
        }
        for scores in [
            ["2", "1"],
            ["nan", "1"],
            ["1", "inf"],
            ["1e3", "2e3"],
            ["1", ""],
            ["1", "."],
            ["1", "1.2.3"],
            ["123.45678901234568", "123.45678901234567"],
            ["123.45678901234567", "123.45678901234568"],
            ["1", "12345678901234567.25"],
        ] {
            assert!(!one(scores), "{scores:?}");
        }
    }

    /// Whatever is called sound here passes the full check.
    #[test]
    fn nothing_is_called_sound_that_is_not() {
        use super::super::check::Checker;
        use super::super::{Blob, Hash, Object, Set, Zset};
        let fields: [&[u8]; 8] = [b"a", b"1", b"name", b"1.5", b"12", b"22.75", b"b", b"300"];
        let whole = listpack(&fields);
        let (mut seed, mut sound, mut full) = (1_u64, 0, 0);
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for _ in 0..60_000 {
            let mut bytes = whole.clone();
            for _ in 0..next(3) {
                let at = next(bytes.len());
                bytes[at] = match next(3) {
                    0 => bytes[next(whole.len())],
                    1 => bytes[at] ^ 1 << next(8),
                    _ => bytes[at].wrapping_add(1),
                };
            }
            for holds in [Holds::Members, Holds::Fields, Holds::Scores] {
                let blob = Blob::unchecked(&bytes, 0, true);
                let mut object = match holds {
                    Holds::Members => Object::Set(Set::Listpack(blob)),
                    Holds::Fields => Object::Hash(Hash::Listpack(blob)),
                    Holds::Scores => Object::Zset(Zset::Listpack(blob)),
                };
                let passes = Checker::default().check_strictly(&mut object).is_ok();
                full += u32::from(passes);
                if is_sound(&bytes, holds, &mut Vec::new()) {
                    assert!(passes, "{holds:?} {bytes:x?}");
                    sound += 1;
                }
            }
        }
        assert!(
            sound > 60_000 && sound <= full && full < 180_000,
            "{sound} of {full}"
        );
    }
}
