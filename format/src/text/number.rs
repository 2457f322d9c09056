//! Integers as Redis accepts and prints them; doubles stand in [`super::double`].

/// The longest text of an `i64`: a sign and nineteen digits.
const TEXT_MAX: usize = 20;

/// The integer that `text` is the canonical decimal of, as Redis's `string2ll` accepts it: an optional minus, no plus, no
/// leading zero, no blanks, no `-0`, within 64 bits.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() < TEXT_MAX => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits stay below 10^19, which is below 2^64.
        value = value * 10 + u64::from(digit);
    }
    match negative {
        false => i64::try_from(value).ok(),
        true if value <= 1 << 63 => Some((value as i64).wrapping_neg()),
        true => None,
    }
}

/// Appends the decimal text of `value`.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(I64Text::new().format(value));
}

/// Room on the stack for the decimal text of one integer.
#[derive(Clone, Debug)]
pub struct I64Text {
    bytes: [u8; TEXT_MAX],
}

/// The texts `00` to `99`, one after the other.
const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut at = 0;
    while at < 100 {
        pairs[2 * at] = b'0' + (at / 10) as u8;
        pairs[2 * at + 1] = b'0' + (at % 10) as u8;
        at += 1;
    }
    pairs
};

impl I64Text {
    /// Empty room.
    #[inline]
    pub fn new() -> Self {
        I64Text {
            bytes: [0; TEXT_MAX],
        }
    }

    /// The decimal text of `value`.
    #[inline]
    pub fn format(&mut self, value: i64) -> &[u8] {
        let mut at = self.put_digits(value.unsigned_abs());
        if value < 0 {
            at -= 1;
            self.bytes[at] = b'-';
        }
        debug_assert_eq!(parse_i64(&self.bytes[at..]), Some(value));
        &self.bytes[at..]
    }

    /// The decimal text of `value`, which may lie beyond the signed range.
    #[inline]
    pub fn format_u64(&mut self, value: u64) -> &[u8] {
        let at = self.put_digits(value);
        &self.bytes[at..]
    }

    /// Puts the digits at the end of the room and gives the place of the first: eight at once, and two a step where there are others.
    #[inline]
    fn put_digits(&mut self, value: u64) -> usize {
        let (mut left, mut at) = (value, TEXT_MAX);
        if left >= 100 {
            let digits = eight_digits((left % EIGHT) as u32);
            left /= EIGHT;
            at -= size_of_val(&digits);
            let text = digits | u64::from_le_bytes([b'0'; 8]);
            self.bytes[at..].copy_from_slice(&text.to_le_bytes());
            if left == 0 {
                return at + digits.trailing_zeros() as usize / 8;
            }
        }
        while left >= 100 {
            let pair = 2 * (left % 100) as usize;
            left /= 100;
            at -= 2;
            self.bytes[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
        }
        if left >= 10 {
            let pair = 2 * left as usize;
            at -= 2;
            self.bytes[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
        } else {
            at -= 1;
            self.bytes[at] = b'0' + left as u8;
        }
        at
    }
}

/// One more than eight digits can say.
const EIGHT: u64 = 100_000_000;

/// The eight digits of a number below [`EIGHT`], a byte each, the first in the lowest. A number is divided in all of its parts at once: two of four
/// digits, four of two, eight of one; each quotient is that of a multiplication, which is exact for so small numbers.
#[inline]
fn eight_digits(value: u32) -> u64 {
    debug_assert!(u64::from(value) < EIGHT);
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

/// The decimal text of a value in a number, its first byte in the highest place and zeros behind, and its length; `None` from sixteen digits
/// on. It is what [`I64Text`] writes, without a way through memory.
#[inline(always)]
pub fn short_text(value: i64) -> Option<(u128, usize)> {
    if let digit @ 0..=9 = value {
        return Some((u128::from(b'0' + digit as u8) << 120, 1));
    }
    let size = value.unsigned_abs();
    // One byte less is for the sign.
    if size >= EIGHT * EIGHT / 10 {
        return None;
    }
    let (high, low) = ((size / EIGHT) as u32, (size % EIGHT) as u32);
    let ascii = u64::from_le_bytes([b'0'; 8]);
    let last = eight_digits(low);
    let (mut text, mut len) = if high == 0 {
        let zeros = last.trailing_zeros() / 8;
        let text = (last | ascii).swap_bytes() << (8 * zeros);
        (u128::from(text) << 64, 8 - zeros as usize)
    } else if high < 10 {
        let behind = u128::from((last | ascii).swap_bytes()) << 56;
        (u128::from(b'0' + high as u8) << 120 | behind, 9)
    } else {
        let first = eight_digits(high);
        let zeros = first.trailing_zeros() / 8;
        let text = u128::from((first | ascii).swap_bytes()) << 64
            | u128::from((last | ascii).swap_bytes());
        (text << (8 * zeros), SHORT_TEXT - zeros as usize)
    };
    if value < 0 {
        text = text >> 8 | u128::from(b'-') << 120;
        len += 1;
    }
    Some((text, len))
}

/// Bytes that [`short_text`] has room for.
const SHORT_TEXT: usize = 16;

impl Default for I64Text {
    fn default() -> Self {
        I64Text::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let around = (0..20).flat_map(|power| {
            let ten = 10u64.pow(power);
            (0..300).flat_map(move |by| [ten.saturating_sub(by), ten.saturating_add(by)])
        });
        let fours = (0..10_000).flat_map(|four| [four, four * 10_000 + 9_999, four * EIGHT + four]);
        for value in around.chain(fours).chain([u64::MAX]) {
            assert_eq!(
                I64Text::new().format_u64(value),
                value.to_string().as_bytes()
            );
            short_text_is_that_of_the_standard_library(value as i64);
            short_text_is_that_of_the_standard_library((value as i64).wrapping_neg());
        }
    }

    fn short_text_is_that_of_the_standard_library(value: i64) {
        let wanted = value.to_string();
        let Some((text, len)) = short_text(value) else {
            assert!(wanted.len() >= SHORT_TEXT, "{value}");
            return;
        };
        let mut bytes = [0; SHORT_TEXT];
        bytes[..len].copy_from_slice(wanted.as_bytes());
        assert_eq!(text.to_be_bytes(), bytes, "{value}");
    }

    #[test]
    fn accepts_only_the_canonical_text() {
        for good in [
            "0",
            "1",
            "-1",
            "10",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(parse_i64(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "00",
            " 1",
            "1 ",
            "1a",
            "a",
            "0x1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "-99999999999999999999",
            "-01",
            "1\0",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_and_back(value in proptest::num::i64::ANY, shift in 0u32..64) {
            let value = value >> shift;
            let mut room = I64Text::new();
            let text = room.format(value);
            proptest::prop_assert_eq!(text.to_vec(), value.to_string().into_bytes());
            proptest::prop_assert_eq!(parse_i64(text), Some(value));
            short_text_is_that_of_the_standard_library(value);
            let unsigned = value as u64;
            proptest::prop_assert_eq!(room.format_u64(unsigned).to_vec(), unsigned.to_string().into_bytes());
        }
    }
}
