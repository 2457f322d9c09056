//! Doubles as Redis accepts and prints them.
//!
//! Redis 7.2 prints a score in three steps, which the recorded answers of a 7.2.4 confirm:
//!
//! 1. `inf`, `-inf`, `nan`, `0` and `-0` are words of their own.
//! 2. What is a whole number of at most half the 64-bit range is printed as an integer: 1e17 is `100000000000000000`.
//! 3. All else is printed from the few digits that Grisu2 finds (`text/grisu.rs`), value = digits times 10^k, n digits:
//!    - k >= 0 and the decimal exponent below n + 7: digits and k zeros;
//!    - k < 0 and (k > -7 or the decimal exponent is within 3 of zero): with a point, `0.` and zeros in front if needed;
//!    - otherwise `d.ddde+x`, exponent always with a sign and never padded: `1e+21`, `1e-7`, `5e-324`.
//!
//! Redis 7.0 and older print `%.17g` instead.

use std::io::Write;

use super::grisu::{Digits, shortest};
use super::number::write_i64;

/// Half of the signed 64-bit range: up to here Redis 7.2 prints a whole number as an integer.
const WHOLE_MAX: f64 = (i64::MAX / 2) as f64;

/// The double that Redis 7.2 takes `text` for where it wants a score or increment (`string2d`): all that C's `strtod` reads,
/// `inf`, `infinity` and hexadecimal too, in full, without a blank in front. Not a number, overflow and underflow to zero are refused.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (negative, body) = match text {
        [b'-', body @ ..] => (true, body),
        [b'+', body @ ..] => (false, body),
        body => (false, body),
    };
    let value = match parse_short(body) {
        Some(value) => value,
        None => parse_long(body)?,
    };
    Some(if negative { -value } else { value })
}

/// Powers of ten that fit in 64 bits.
const TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut at = 1;
    while at < tens.len() {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

/// So many digits always fit in 64 bits.
const SHORT_MAX: usize = 19;
/// Up to here a double holds every whole number, and every power of ten that fits in 64 bits below it.
const EXACT_MAX: u64 = 1 << 53;

/// Up to 19 digits, at most one point among them. `None` for everything else.
#[inline]
fn parse_short(body: &[u8]) -> Option<f64> {
    if body.len() > SHORT_MAX + 1 {
        return None;
    }
    let (whole, behind) = take_digits(0, body);
    let (digits, decimals) = match behind {
        [] => (whole, 0),
        [b'.', behind @ ..] => (append_decimals(whole, behind)?, behind.len()),
        _ => return None,
    };
    match (body.len() - usize::from(!behind.is_empty()), decimals) {
        (0 | 20.., _) => None,
        (_, 0) => Some(digits as f64),
        // Both are exact doubles, so that one division rounds correctly.
        (_, 1..=15) if digits <= EXACT_MAX => Some(digits as f64 / TENS[decimals] as f64),
        _ => Some(divide(digits, TENS[decimals])),
    }
}

/// A number with the digits appended that `text` begins with, and what stands behind them. More than nineteen run over.
#[inline]
fn take_digits(begin: u64, text: &[u8]) -> (u64, &[u8]) {
    let (mut value, mut rest) = (begin, text);
    while let [byte @ b'0'..=b'9', behind @ ..] = rest {
        value = (value.wrapping_mul(10)).wrapping_add(u64::from(byte - b'0'));
        rest = behind;
    }
    (value, rest)
}

/// A number with all digits of `text` appended, which are at most nineteen; `None` if it has anything else. More than nineteen in all run over.
#[inline]
fn append_decimals(begin: u64, text: &[u8]) -> Option<u64> {
    let (eights, rest) = text.as_chunks();
    let Some(last) = text.last_chunk().filter(|_| !eights.is_empty()) else {
        let (value, rest) = take_digits(begin, text);
        return rest.is_empty().then_some(value);
    };
    let mut value = begin;
    for eight in eights {
        value = append(value, EIGHT, read_eight(*eight, EIGHT)?);
    }
    // The last eight bytes, of which those that were read already are to be zeros.
    match rest.len() {
        0 => Some(value),
        more => Some(append(value, more, read_eight(*last, more)?)),
    }
}

/// Bytes that are read at once.
const EIGHT: usize = 8;

/// A number with `count` digits appended that are themselves one.
fn append(begin: u64, count: usize, digits: u64) -> u64 {
    begin.wrapping_mul(TENS[count]).wrapping_add(digits)
}

/// The number that the last `count` of eight digits are; `None` if there is anything else among all of them.
#[inline]
fn read_eight(text: [u8; EIGHT], count: usize) -> Option<u64> {
    debug_assert!((1..=EIGHT).contains(&count));
    // The first digit in the lowest byte. A digit is 0x30 to 0x39, so that neither it nor six more has another upper half.
    let text = u64::from_le_bytes(text);
    let upper = 0xf0f0_f0f0_f0f0_f0f0;
    let is_other = (text & upper) ^ 0x3030_3030_3030_3030
        | (text.wrapping_add(0x0606_0606_0606_0606) & upper) ^ 0x3030_3030_3030_3030;
    if is_other != 0 {
        return None;
    }
    let unread = 8 * (EIGHT - count);
    let digits = (text & !upper) >> unread << unread;
    // Neighbours become one number, three times: of two digits, of four, of eight.
    let twos = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// The double nearest to `dividend / divisor`, ties to even. Of numbers of 64 bits the quotient is never too small or too large for one.
fn divide(dividend: u64, divisor: u64) -> f64 {
    debug_assert!(divisor > 0, "a power of ten");
    if dividend == 0 {
        return 0.0;
    }
    // Both with their highest bit set: the quotient of the first, 63 zeros behind it, by the second has 63 or 64 bits.
    let (up, down) = (dividend.leading_zeros(), divisor.leading_zeros());
    let wide = u128::from(dividend << up) << 63;
    let by = u128::from(divisor << down);
    let quotient = wide / by;
    // What is left behind the point matters only to what would be a tie without it: the lowest bit is far below those that are kept.
    let marked = quotient as u64 | u64::from(quotient * by != wide);
    let scale = i64::from(down) - i64::from(up) - 63;
    marked as f64 * f64::from_bits(((1023 + scale) as u64) << 52)
}

fn parse_long(body: &[u8]) -> Option<f64> {
    Some(match body {
        [b'0', b'x' | b'X', hex @ ..] => parse_hex(hex)?,
        [b'0'..=b'9' | b'.', ..] => parse_decimal(body)?,
        _ if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") => {
            f64::INFINITY
        }
        _ => return None,
    })
}

/// Takes decimal digits, of which `whole_only` says whether one point may stand among them. Gives the length and whether one is not zero.
pub(super) fn scan_mantissa(body: &[u8], is_digit: fn(u8) -> bool) -> Option<(usize, bool)> {
    let (mut digits, mut point, mut nonzero) = (0usize, false, false);
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        if is_digit(byte) {
            digits += 1;
            nonzero |= byte != b'0';
        } else if byte == b'.' && !point {
            point = true;
        } else {
            break;
        }
        at += 1;
    }
    (digits > 0).then_some((at, nonzero))
}

/// A complete exponent after its letter: sign and digits to the end. Far beyond any double's range it stays at a bound.
pub(super) fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i32, |value, digit| {
        (value * 10 + i32::from(digit - b'0')).min(100_000_000)
    });
    Some(if negative { -value } else { value })
}

fn parse_decimal(body: &[u8]) -> Option<f64> {
    let (end, nonzero) = scan_mantissa(body, |byte| byte.is_ascii_digit())?;
    match body.get(end) {
        None => {}
        Some(b'e' | b'E') => {
            parse_exponent(&body[end + 1..])?;
        }
        Some(_) => return None,
    }
    let value: f64 = std::str::from_utf8(body).ok()?.parse().ok()?;
    (value.is_finite() && (value != 0.0 || !nonzero)).then_some(value)
}

fn hex_value(byte: u8) -> u128 {
    (byte as char).to_digit(16).map_or(0, u128::from)
}

/// What follows `0x`: digits, a point among them, and an optional binary exponent, as a significand and its power of two. Digits
/// beyond 120 bits only leave a mark in the lowest one, which is all that rounding can still want to know.
pub(super) fn read_hex(body: &[u8]) -> Option<(u128, i64)> {
    let (end, _) = scan_mantissa(body, |byte| byte.is_ascii_hexdigit())?;
    let exponent = match body.get(end) {
        None => 0,
        Some(b'p' | b'P') => parse_exponent(&body[end + 1..])?,
        Some(_) => return None,
    };
    let (mut mantissa, mut scale, mut after_point) = (0u128, i64::from(exponent), false);
    for &byte in &body[..end] {
        if byte == b'.' {
            after_point = true;
        } else if mantissa < 1 << 116 {
            mantissa = (mantissa << 4) | hex_value(byte);
            scale -= if after_point { 4 } else { 0 };
        } else {
            mantissa |= u128::from(byte != b'0');
            scale += if after_point { 0 } else { 4 };
        }
    }
    Some((mantissa, scale))
}

fn parse_hex(body: &[u8]) -> Option<f64> {
    match read_hex(body)? {
        (0, _) => Some(0.0),
        (mantissa, scale) => compose(mantissa, scale),
    }
}

/// The double nearest to `mantissa` times 2^`scale`; `None` if that is too large, or zero.
fn compose(mantissa: u128, scale: i64) -> Option<f64> {
    let bits = 128 - i64::from(mantissa.leading_zeros());
    // The exponent of the lowest bit that is kept: 53 bits in all, or what the smallest double leaves.
    let lowest = (scale + bits - 53).max(-1074);
    let shift = lowest - scale;
    let kept = match shift {
        ..=0 => mantissa << -shift,
        1..=127 => {
            let (floor, rest, half) = (
                mantissa >> shift,
                mantissa & ((1 << shift) - 1),
                1u128 << (shift - 1),
            );
            floor + u128::from(rest > half || (rest == half && floor & 1 == 1))
        }
        _ => 0,
    };
    // Powers of two within range are exact, and so is each product here, but for the overflow that is asked about.
    let value = kept as f64
        * two_to(lowest.min(2000) / 2)
        * two_to(lowest.min(2000) - lowest.min(2000) / 2);
    (value.is_finite() && value != 0.0).then_some(value)
}

fn two_to(exponent: i64) -> f64 {
    2f64.powi(exponent as i32)
}

/// Appends the text that Redis 7.2 gives a score or other double in a reply, and in a packed sorted set.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        });
    } else if value.abs() <= WHOLE_MAX && value.fract() == 0.0 {
        write_i64(out, value as i64);
    } else {
        if value < 0.0 {
            out.push(b'-');
        }
        write_digits(out, &shortest(value.abs()));
    }
}

/// The choice between plain and exponent form; see the head.
fn write_digits(out: &mut Vec<u8>, found: &Digits) {
    let digits = found.as_bytes();
    let (n, k) = (digits.len() as i32, found.exponent);
    let exponent = k + n - 1;
    if k >= 0 && exponent.abs() < n + 7 {
        out.extend_from_slice(digits);
        out.resize(out.len() + k as usize, b'0');
    } else if k < 0 && (k > -7 || exponent.abs() < 4) {
        if n + k <= 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-k - n) as usize, b'0');
            out.extend_from_slice(digits);
        } else {
            let (whole, rest) = digits.split_at((n + k) as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    } else {
        out.push(digits[0]);
        if n > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        write_i64(out, i64::from(exponent.abs()));
    }
}

/// Appends the `%.17g` text, as Redis up to 7.0 prints a score and as text scores stand in snapshots.
pub fn write_f64_17(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() || value == 0.0 {
        return write_f64(out, value);
    }
    // d.dddddddddddddddde[-]x, correctly rounded: the exponent decides which form it becomes.
    let mut room = [0u8; 32];
    let mut left = &mut room[..];
    write!(left, "{:.16e}", value.abs()).expect("a double in exponent form takes at most 24 bytes");
    let unused = left.len();
    let text = &room[..32 - unused];
    let letter = text
        .iter()
        .position(|&byte| byte == b'e')
        .expect("an exponent form has an exponent");
    let exponent = parse_exponent(&text[letter + 1..]).expect("an exponent form has an exponent");
    let mut digits = [0u8; 17];
    digits[0] = text[0];
    digits[1..].copy_from_slice(&text[2..18]);
    let kept = digits
        .iter()
        .rposition(|&byte| byte != b'0')
        .map_or(1, |last| last + 1);
    if value < 0.0 {
        out.push(b'-');
    }
    write_general(out, &digits[..kept], exponent);
}

/// `%g` at 17 digits: exponent form below 1e-4 and from 1e17, the exponent of at least two digits.
fn write_general(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if !(-4..17).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        write_i64(out, i64::from(exponent.abs()));
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-1 - exponent) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        if whole >= digits.len() {
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn text_17(value: f64) -> String {
        let mut out = Vec::new();
        write_f64_17(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prints_as_a_recorded_7_2_4_does() {
        for (value, printed) in [
            (1e-7, "1e-7"),
            (1e16, "10000000000000000"),
            (1e17, "100000000000000000"),
            (1e21, "1e+21"),
            (5e-324, "5e-324"),
            (1e-10, "1e-10"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (0.1, "0.1"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5474250491067253e26, "1.5474250491067253e+26"),
            (9007199254740992.0, "9007199254740992"),
            (0.30000000000000004, "0.30000000000000004"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), printed);
        }
    }

    #[test]
    fn plain_or_exponent_form_by_the_rule() {
        for (value, printed) in [
            (1e18, "1000000000000000000"),
            (4.6e18, "4600000000000000000"),
            (4.7e18, "4.7e+18"),
            (12345678901234567e3, "12345678901234567000"),
            (0.000001, "0.000001"),
            (0.0000123, "1.23e-5"),
            (0.00000123, "1.23e-6"),
            (123456.789, "123456.789"),
            (1.5e-9, "1.5e-9"),
            (0.001234567891, "0.001234567891"),
            (0.0001234567891, "1.234567891e-4"),
        ] {
            assert_eq!(text(value), printed);
        }
    }

    #[test]
    fn prints_seventeen_digits_as_c_does() {
        for (value, printed) in [
            (0.1, "0.10000000000000001"),
            (2.1, "2.1000000000000001"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (1e300, "1.0000000000000001e+300"),
            (5e-324, "4.9406564584124654e-324"),
            (-2.5, "-2.5"),
            (100.0, "100"),
            (f64::NEG_INFINITY, "-inf"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.5, "0.5"),
            (-0.0, "-0"),
        ] {
            assert_eq!(text_17(value), printed);
        }
    }

    #[test]
    fn reads_what_strtod_reads() {
        for (given, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("-1.5", -1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-0", -0.0),
            ("999999999999999", 999999999999999.0),
            ("9.9999999999999", 9.9999999999999),
            ("0.0000000000001", 1e-13),
            (".00000000000001", 1e-14),
            ("12345678901234567890", 12345678901234567890.0),
            ("4503599627370496.5", 4503599627370496.0),
            ("4503599627370497.5", 4503599627370498.0),
            ("4503599627370496.501", 4503599627370497.0),
            ("9007199254740993.0", 9007199254740992.0),
            (".0000000000000000001", 1e-19),
            ("0.0000000000000000000", 0.0),
            ("1844674407370955161.5", 1.8446744073709553e18),
            ("1e3", 1e3),
            ("1E+3", 1e3),
            ("inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("+Inf", f64::INFINITY),
            ("0x10", 16.0),
            ("0x1.8p1", 3.0),
            ("-0X.8", -0.5),
            ("0x1p-1074", 5e-324),
            ("007", 7.0),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7p0", 1.9999999999999998),
            ("4.9e-324", 5e-324),
            ("0e99999999999", 0.0),
            ("0x0p5", 0.0),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000001p0", 1.0000000000000002),
            ("0x10000000000000000000000", 2f64.powi(88)),
            ("0x1.fffffffffffffp1023", f64::MAX),
        ] {
            assert_eq!(parse_f64(given.as_bytes()), Some(value), "{given}");
        }
    }

    #[test]
    fn refuses_what_redis_refuses() {
        for given in [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "1.2.3",
            "1.23456789x",
            "1.2345678x9012",
            "1.1234567:",
            "1.1234567/",
            "1.12345678.1",
            "1.12345678901:2",
            "123456789012345:.5",
            "0.123456789\u{a0}",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "infi",
            "0x",
            "0xg",
            "0x1p",
            "1e400",
            "-1e400",
            "1e-400",
            "--1",
            "1_0",
            "1f",
            "0x1p1024",
            "0x1p-1076",
            "\u{a0}1",
            "1\0",
            "infinity1",
            "0x1p99999999999",
        ] {
            assert_eq!(parse_f64(given.as_bytes()), None, "{given:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_reads_back_as_the_same_double(bits in proptest::num::u64::ANY) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(value.is_finite());
            proptest::prop_assert_eq!(parse_f64(text(value).as_bytes()).map(f64::to_bits), Some(bits));
            proptest::prop_assert_eq!(parse_f64(text_17(value).as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn short_texts_round_as_the_standard_library_does(text in "[0-9]{0,12}[.]?[0-9]{0,12}") {
            proptest::prop_assert_eq!(
                parse_f64(text.as_bytes()).map(f64::to_bits),
                text.parse::<f64>().ok().map(f64::to_bits),
                "{}", text
            );
        }
    }
}
