//! Numbers as C's `strtod` reads them: decimal, hexadecimal, infinite and none, as long as there is something to read.

/// The number that the bytes begin with, and how many it takes.
pub(super) fn read_number(bytes: &[u8]) -> Option<(f64, usize)> {
    let sign_len = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let rest = &bytes[sign_len..];
    let (number, len) = hexadecimal(rest)
        .or_else(|| decimal(rest))
        .or_else(|| named(rest))?;
    let number = if bytes[0] == b'-' { -number } else { number };
    Some((number, sign_len + len))
}

fn count_digits(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit());
    end.unwrap_or(bytes.len())
}

/// Length of an exponent with this letter, sign and digits; 0 if there is none.
fn exponent_len(bytes: &[u8], letter: u8) -> usize {
    if bytes.first().map(u8::to_ascii_lowercase) != Some(letter) {
        return 0;
    }
    let sign = usize::from(matches!(bytes.get(1), Some(b'-' | b'+')));
    match count_digits(&bytes[1 + sign..]) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

fn decimal(bytes: &[u8]) -> Option<(f64, usize)> {
    let whole = count_digits(bytes);
    let mut len = whole;
    let mut digits = whole;
    if bytes.get(len) == Some(&b'.') {
        let fraction = count_digits(&bytes[len + 1..]);
        digits += fraction;
        len += 1 + fraction;
    }
    if digits == 0 {
        return None;
    }
    len += exponent_len(&bytes[len..], b'e');
    // Up to 15 digits are exact.
    if len == whole && len <= 15 {
        let append = |number: u64, digit: &u8| number * 10 + u64::from(digit - b'0');
        return Some((bytes[..len].iter().fold(0, append) as f64, len));
    }
    let text = std::str::from_utf8(&bytes[..len]).expect("digits");
    Some((text.parse().expect("a number of Rust"), len))
}

fn named(bytes: &[u8]) -> Option<(f64, usize)> {
    let begins = |word: &[u8]| {
        let begin = bytes.get(..word.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    };
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !begins(b"nan") {
        return None;
    }
    // Words in parentheses may follow.
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let words = match &bytes[3..] {
        [b'(', rest @ ..] => rest.iter().position(|byte| !is_word(byte)),
        _ => None,
    };
    let len = match words {
        Some(len) if bytes[4 + len] == b')' => 3 + len + 2,
        _ => 3,
    };
    Some((f64::NAN, len))
}

/// `0x`, digits with or without a point, and perhaps `p` and a power of two.
fn hexadecimal(bytes: &[u8]) -> Option<(f64, usize)> {
    let digits = match bytes {
        [b'0', b'x' | b'X', rest @ ..] => rest,
        _ => return None,
    };
    let mut mantissa = Mantissa::default();
    let mut len = 0;
    let mut count = 0;
    let mut has_point = false;
    while let Some(&byte) = digits.get(len) {
        if byte == b'.' && !has_point {
            has_point = true;
        } else if let Some(digit) = char::from(byte).to_digit(16) {
            mantissa.append(digit as u8, has_point);
            count += 1;
        } else {
            break;
        }
        len += 1;
    }
    if count == 0 {
        return None;
    }
    let exponent = exponent_len(&digits[len..], b'p');
    if exponent > 0 {
        let text = std::str::from_utf8(&digits[len + 1..len + exponent]).expect("digits");
        let is_negative = text.starts_with('-');
        let most = if is_negative {
            i64::MIN / 4
        } else {
            i64::MAX / 4
        };
        let power = text
            .parse::<i64>()
            .map_or(most, |power| power.clamp(i64::MIN / 4, i64::MAX / 4));
        mantissa.exponent += power;
    }
    Some((mantissa.to_f64(), 2 + len + exponent))
}

/// Bits with the power of two of the lowest. What does not fit is remembered in the lowest bit, which then only counts for rounding.
#[derive(Default)]
struct Mantissa {
    bits: u64,
    exponent: i64,
}

impl Mantissa {
    fn append(&mut self, digit: u8, is_fraction: bool) {
        if self.bits >> 60 == 0 {
            self.bits = self.bits << 4 | u64::from(digit);
            self.exponent -= if is_fraction { 4 } else { 0 };
        } else {
            self.bits |= u64::from(digit != 0);
            self.exponent += if is_fraction { 0 } else { 4 };
        }
    }

    /// Rounded to the nearest, to the even one of two.
    fn to_f64(&self) -> f64 {
        if self.bits == 0 {
            return 0.0;
        }
        let zeros = self.bits.leading_zeros();
        let bits = self.bits << zeros;
        let top = self.exponent - i64::from(zeros) + 63;
        if top > 1023 {
            return f64::INFINITY;
        }
        // 53 bits are kept, fewer below the smallest normal number.
        let kept = (53 - (-1022 - top).max(0)).max(-1);
        let (whole, rest_len) = match kept {
            ..0 => return 0.0,
            0 => (0, 64),
            kept => (bits >> (64 - kept), 64 - kept),
        };
        let half = 1u128 << (rest_len - 1);
        let rest = u128::from(bits) & ((1u128 << rest_len) - 1);
        let up = rest > half || rest == half && whole & 1 == 1;
        let lowest = top + 1 - kept;
        scale((whole + u64::from(up)) as f64, lowest)
    }
}

/// `number * 2^power`, where the product is exact or too large.
fn scale(number: f64, power: i64) -> f64 {
    let power_of_two = |power: i64| f64::from_bits(((power + 1023) as u64) << 52);
    let first = power.clamp(-1022, 1023);
    number * power_of_two(first) * power_of_two(power - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_strtod() {
        // What Python's `float` and `float.fromhex` say, which read as C does.
        for (text, number, len) in [
            ("1.5", 1.5, 3),
            ("-0", -0.0, 2),
            ("+1", 1.0, 2),
            ("1.", 1.0, 2),
            ("-.5", -0.5, 3),
            ("1e3x", 1000.0, 3),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("1e400", f64::INFINITY, 5),
            ("1e99999999999999999999", f64::INFINITY, 22),
            ("999999999999999", 999_999_999_999_999.0, 15),
            ("9007199254740993", 9_007_199_254_740_992.0, 16),
            ("12345678901234567890", 12_345_678_901_234_567_000.0, 20),
            ("infinit", f64::INFINITY, 3),
            ("-Infinity", f64::NEG_INFINITY, 9),
            ("0x10", 16.0, 4),
            ("-0X1f", -31.0, 5),
            ("0x", 0.0, 1),
            ("0x.", 0.0, 1),
            ("0x1p4", 16.0, 5),
            ("0x1.8p-1", 0.75, 8),
            ("0x1p", 1.0, 3),
            ("0x.8.8", 0.5, 4),
            ("0x1fffffffffffff8", 144_115_188_075_855_870.0, 17),
            (
                "0x20000000000001000000000000000001",
                f64::from_bits(0x47c0_0000_0000_0001),
                34,
            ),
            ("0x1.00000000000008p0", 1.0, 20),
            (
                "0x1.000000000000080000000000000001p0",
                1.000_000_000_000_000_2,
                36,
            ),
            ("0x1p-1074", 5e-324, 9),
            ("0x1p-1075", 0.0, 9),
            ("0x1.8p-1075", 5e-324, 11),
            ("0x3p-1076", 5e-324, 9),
            ("0x1.fffffffffffff8p1023", f64::INFINITY, 23),
            ("0x1.fffffffffffff7p1023", f64::MAX, 23),
            ("0x0p99999999999999999999", 0.0, 24),
            ("0x1p-99999999999999999999", 0.0, 25),
            ("0x0.0000000000000000000000001p100", 1.0, 33),
        ] {
            let read = read_number(text.as_bytes());
            let bits = read.map(|(number, len)| (number.to_bits(), len));
            assert_eq!(bits, Some((f64::to_bits(number), len)), "{text} {read:?}");
        }
        for text in ["", "-", ".", "+e5", "in", "na", "x", "-.e1"] {
            assert_eq!(read_number(text.as_bytes()), None, "{text}");
        }
        for (text, len) in [("nan", 3), ("NaN(a_1)x", 8), ("nan(a", 3), ("nan(-)", 3)] {
            let (number, read) = read_number(text.as_bytes()).expect(text);
            assert!(number.is_nan() && read == len, "{text} {read}");
        }
    }
}
