//! The 80-bit numbers of INCRBYFLOAT, in software.
//!
//! Redis computes INCRBYFLOAT and HINCRBYFLOAT in C's `long double`, which on x86-64 has a 64-bit significand, and prints the
//! result with 17 decimals, trailing zeros cut. A 53-bit double would show other digits: 0.1 + 0.2 must print `0.3`. So here is that
//! arithmetic, as far as it is needed: read (correctly rounded), add, print.
//!
//! ```text
//!   value = significand * 2^exponent        significand: 64 bits, the top one set unless the value is zero or subnormal
//! ```
//!
//! Rounding is to nearest, ties to even, once per operation. The exponent ranges from -16445 to 16320, as in the hardware format.

use super::big::Big;
use super::double::{parse_exponent, read_hex, scan_mantissa};
use super::number::I64Text;

const EXPONENT_MIN: i32 = -16_445;
const EXPONENT_MAX: i32 = 16_320;
/// Redis refuses longer texts for such a number: its buffer has 5 KiB, the end included.
const TEXT_MAX: usize = 5 * 1024 - 1;
/// 10^17, for 17 decimals.
const DECIMALS: u128 = 100_000_000_000_000_000;
/// A number of this many decimal digits before the point is infinite, one with so many zeros behind it is zero.
const MAGNITUDE_MAX: i64 = 4_960;

/// An 80-bit extended number: finite, or one of the two infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    infinite: bool,
    significand: u64,
    exponent: i32,
}

impl LongDouble {
    /// Positive zero.
    pub const ZERO: LongDouble = LongDouble {
        negative: false,
        infinite: false,
        significand: 0,
        exponent: 0,
    };

    const INFINITY: LongDouble = LongDouble {
        negative: false,
        infinite: true,
        significand: 0,
        exponent: 0,
    };

    /// The number that Redis takes `text` for (`string2ld`): what C's `strtold` reads in full, without a blank in front, of at most
    /// 5,119 bytes. Not a number, overflow and underflow to zero are refused.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            [b'+', body @ ..] => (false, body),
            body => (false, body),
        };
        let magnitude = match body {
            [b'0', b'x' | b'X', hex @ ..] => parse_hex(hex)?,
            [b'0'..=b'9' | b'.', ..] => parse_decimal(body)?,
            _ if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") => {
                LongDouble::INFINITY
            }
            _ => return None,
        };
        Some(LongDouble {
            negative,
            ..magnitude
        })
    }

    /// The same number: a double always fits. Not a number becomes zero, which no caller lets in.
    fn from_f64(value: f64) -> LongDouble {
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            return LongDouble {
                negative,
                ..LongDouble::INFINITY
            };
        }
        if value.is_nan() || value == 0.0 {
            return LongDouble {
                negative,
                ..LongDouble::ZERO
            };
        }
        let bits = value.to_bits();
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
        let (significand, exponent) = if biased == 0 {
            (fraction, -1074)
        } else {
            (fraction | 1 << 52, biased - 1075)
        };
        round(negative, u128::from(significand), exponent, false)
    }

    /// Whether it is neither infinity.
    pub fn is_finite(&self) -> bool {
        !self.infinite
    }

    /// The sum. `None` for infinities of opposite sign, whose sum is not a number; an overflow gives an infinity.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        match (self.infinite, other.infinite) {
            (true, true) => return (self.negative == other.negative).then_some(self),
            (true, false) => return Some(self),
            (false, true) => return Some(other),
            (false, false) => {}
        }
        if self.significand == 0 && other.significand == 0 {
            return Some(LongDouble {
                negative: self.negative && other.negative,
                ..LongDouble::ZERO
            });
        }
        Some(add_finite(self, other))
    }

    /// Appends the text: 17 decimals, trailing zeros and a bare point cut, `-0` as `0`.
    pub fn write_human(&self, out: &mut Vec<u8>) {
        if self.infinite {
            out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
            return;
        }
        let (whole, decimals) = self.split();
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        let digits = out.len();
        whole.write(out);
        if decimals > 0 {
            out.push(b'.');
            let mut room = I64Text::new();
            // Ten to the 17th in front keeps the zeros after the point.
            let text = room.format(DECIMALS as i64 + decimals);
            let kept = text.iter().rposition(|&byte| byte != b'0').unwrap_or(0);
            out.extend_from_slice(&text[1..=kept]);
        } else if self.negative && out[digits..] == *b"0" {
            out.remove(start);
        }
    }

    /// The whole part, and the decimals as a number below 10^17, rounded.
    fn split(&self) -> (Big, i64) {
        let significand = u128::from(self.significand);
        if self.exponent >= 0 {
            let mut whole = Big::from(significand);
            whole.shift_left(self.exponent as usize);
            return (whole, 0);
        }
        let shift = self.exponent.unsigned_abs();
        let whole = significand.checked_shr(shift).unwrap_or(0);
        let fraction = significand - whole.checked_shl(shift).unwrap_or(0);
        // Below 2^64 times 10^17, so below 2^121: what is shifted out further than that is nothing.
        let product = fraction * DECIMALS;
        let decimals = if shift > 126 {
            0
        } else {
            round_shift(product, shift, false)
        };
        let carry = u128::from(decimals == DECIMALS);
        (
            Big::from(whole + carry),
            if carry == 1 { 0 } else { decimals as i64 },
        )
    }
}

/// Appends what Redis prints for a coordinate or other double "for people": 17 decimals, trailing zeros cut.
pub fn write_f64_human(out: &mut Vec<u8>, value: f64) {
    LongDouble::from_f64(value).write_human(out);
}

/// `value / 2^shift`, to nearest, ties to even; `sticky` says that a little more than `value` is meant.
fn round_shift(value: u128, shift: u32, sticky: bool) -> u128 {
    if shift == 0 {
        return value;
    }
    let (floor, rest, half) = (
        value >> shift,
        value & ((1 << shift) - 1),
        1u128 << (shift - 1),
    );
    floor + u128::from(rest > half || (rest == half && (sticky || floor & 1 == 1)))
}

/// The number nearest to `value * 2^exponent`. If `sticky`, a little more than `value` is meant, which then has more than 64 bits.
fn round(negative: bool, value: u128, exponent: i32, sticky: bool) -> LongDouble {
    if value == 0 {
        return LongDouble {
            negative,
            ..LongDouble::ZERO
        };
    }
    let bits = 128 - value.leading_zeros() as i32;
    let target = (exponent + bits - 64).max(EXPONENT_MIN);
    let shift = target - exponent;
    let (mut significand, mut target) = match shift {
        ..=0 => (value << -shift, target),
        1..=127 => (round_shift(value, shift as u32, sticky), target),
        _ => (0, target),
    };
    if significand >> 64 != 0 {
        significand >>= 1;
        target += 1;
    }
    if target > EXPONENT_MAX {
        return LongDouble {
            negative,
            ..LongDouble::INFINITY
        };
    }
    if significand == 0 {
        return LongDouble {
            negative,
            ..LongDouble::ZERO
        };
    }
    LongDouble {
        negative,
        infinite: false,
        significand: significand as u64,
        exponent: target,
    }
}

/// Adds with 63 bits to spare below the larger number; what of the smaller one lies deeper can only break a tie.
fn add_finite(a: LongDouble, b: LongDouble) -> LongDouble {
    let weight = |x: &LongDouble| {
        (
            x.significand != 0,
            i64::from(x.exponent) + 64 - i64::from(x.significand.leading_zeros()),
            x.exponent,
        )
    };
    let (large, small) = if weight(&a) >= weight(&b) {
        (a, b)
    } else {
        (b, a)
    };
    if small.significand == 0 {
        return large;
    }
    // Both shifted up so that the larger one's top bit is bit 126: one bit is left for a carry.
    let lift = 62 + large.significand.leading_zeros() as i32 + 1;
    let (high, exponent) = (u128::from(large.significand) << lift, large.exponent - lift);
    let distance = small.exponent - exponent;
    let (low, lost) = match distance {
        0.. => (u128::from(small.significand) << distance, false),
        -127..=-1 => {
            let low = u128::from(small.significand);
            (low >> -distance, low & ((1 << -distance) - 1) != 0)
        }
        _ => (0, true),
    };
    if large.negative == small.negative {
        return round(large.negative, high + low, exponent, lost);
    }
    match high.cmp(&low) {
        std::cmp::Ordering::Greater => round(
            large.negative,
            high - low - u128::from(lost),
            exponent,
            lost,
        ),
        std::cmp::Ordering::Less => round(small.negative, low - high, exponent, lost),
        std::cmp::Ordering::Equal => LongDouble::ZERO,
    }
}

fn parse_hex(body: &[u8]) -> Option<LongDouble> {
    let (mantissa, scale) = read_hex(body)?;
    // Far outside of the range any exponent is as good as another.
    let value = round(
        false,
        mantissa,
        scale.clamp(-1_000_000, 1_000_000) as i32,
        false,
    );
    (value.is_finite() && (mantissa == 0 || value.significand != 0)).then_some(value)
}

fn parse_decimal(body: &[u8]) -> Option<LongDouble> {
    let (end, nonzero) = scan_mantissa(body, |byte| byte.is_ascii_digit())?;
    let power = match body.get(end) {
        None => 0,
        Some(b'e' | b'E') => parse_exponent(&body[end + 1..])?,
        Some(_) => return None,
    };
    if !nonzero {
        return Some(LongDouble::ZERO);
    }
    let (mut digits, decimals, size) = read_digits(&body[..end]);
    let power = i64::from(power) - decimals as i64;
    if (size as i64 + power).abs() > MAGNITUDE_MAX {
        return None;
    }
    let value = if power >= 0 {
        digits.times_ten_to(power as usize);
        let drop = digits.bits().saturating_sub(100);
        let (top, lost) = digits.top(drop);
        round(false, top, drop as i32, lost)
    } else {
        let mut divisor = Big::from(1);
        divisor.times_ten_to(power.unsigned_abs() as usize);
        divide(digits, divisor)
    };
    (value.is_finite() && value.significand != 0).then_some(value)
}

/// The digits as one number, how many of them stand behind the point, and how many there are without leading zeros.
fn read_digits(text: &[u8]) -> (Big, usize, usize) {
    let decimals = text
        .iter()
        .position(|&byte| byte == b'.')
        .map_or(0, |point| text.len() - point - 1);
    let digits: Vec<u8> = text
        .iter()
        .filter(|&&byte| byte != b'.')
        .map(|byte| byte - b'0')
        .collect();
    let first = digits
        .iter()
        .position(|&digit| digit != 0)
        .unwrap_or(digits.len());
    let mut value = Big::from(0);
    for nine in digits[first..].chunks(9) {
        let group = nine
            .iter()
            .fold(0, |group, &digit| 10 * group + u32::from(digit));
        value.times_add(10u32.pow(nine.len() as u32), group);
    }
    (value, decimals, digits.len() - first)
}

/// The quotient of two whole numbers to 66 bits or more, then rounded: one bit a step, by comparing and subtracting.
fn divide(mut left: Big, mut divisor: Big) -> LongDouble {
    let lift = divisor.bits() as i32 - left.bits() as i32 + 67;
    if lift > 0 {
        left.shift_left(lift as usize);
    } else {
        divisor.shift_left(-lift as usize);
    }
    // Now the quotient has 67 or 68 bits. The divisor goes up by 67 and comes down again bit by bit.
    let mut quotient = 0u128;
    divisor.shift_left(68);
    for _ in 0..=68 {
        quotient <<= 1;
        if left.subtract_if_not_less(&divisor) {
            quotient |= 1;
        }
        divisor.halve();
    }
    round(false, quotient, -lift, !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let mut out = Vec::new();
        LongDouble::parse(a.as_bytes())
            .unwrap()
            .checked_add(LongDouble::parse(b.as_bytes()).unwrap())
            .unwrap()
            .write_human(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn adds_and_prints_as_redis_does() {
        for (a, b, printed) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-5", "-2"),
            ("1.5", "-1.5", "0"),
            ("-0.0", "0", "0"),
            ("99999999999999999.5", "0.1", "99999999999999999.6015625"),
            ("12345678901234567890", "1", "12345678901234567891"),
            ("1e20", "1", "100000000000000000000"),
            ("1e-18", "0", "0"),
            ("-1e-18", "0", "0"),
            ("1e-17", "0", "0.00000000000000001"),
            ("1e25", "-1e25", "0"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("0.999999999999999999", "0", "1"),
        ] {
            assert_eq!(sum(a, b), printed, "{a} + {b}");
        }
    }

    #[test]
    fn infinities_and_overflow() {
        let parse = |text: &str| LongDouble::parse(text.as_bytes());
        assert_eq!(
            parse("inf").unwrap().checked_add(parse("-inf").unwrap()),
            None
        );
        assert!(
            !parse("inf")
                .unwrap()
                .checked_add(parse("1").unwrap())
                .unwrap()
                .is_finite()
        );
        assert!(
            !parse("1e4932")
                .unwrap()
                .checked_add(parse("1e4932").unwrap())
                .unwrap()
                .is_finite()
        );
        let mut out = Vec::new();
        parse("-Infinity").unwrap().write_human(&mut out);
        assert_eq!(out, b"-inf");
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let long = "1".repeat(5120);
        for text in [
            "",
            "-",
            " 1",
            "1 ",
            "abc",
            "1e",
            "nan",
            "1e5000",
            "1e-5000",
            "1e99999999999",
            "1..2",
            "1.2.3",
            "--1",
            &long,
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert!(LongDouble::parse("1".repeat(4932).as_bytes()).is_some());
        assert_eq!(LongDouble::parse(b"0e99999999999"), Some(LongDouble::ZERO));
    }

    proptest::proptest! {
        #[test]
        fn a_double_prints_as_its_exact_decimals_do(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO, scale in -60i32..60) {
            // Kept within some powers of two, where all 17 decimals matter.
            let (significand, _) = (value.to_bits() & ((1 << 52) - 1) | 1 << 52, 0);
            let value = significand as f64 * 2f64.powi(scale - 52);
            let mut out = Vec::new();
            write_f64_human(&mut out, value);
            let exact = format!("{value:.17}");
            let exact = exact.trim_end_matches('0').trim_end_matches('.');
            proptest::prop_assert_eq!(String::from_utf8(out).unwrap(), exact);
        }

        #[test]
        fn a_double_reads_exactly(bits in proptest::num::u64::ANY) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(value.is_finite() && value != 0.0);
            let text = format!("{value:e}");
            let read = LongDouble::parse(text.as_bytes()).unwrap();
            let back = LongDouble::from_f64(value);
            let apart = read.checked_add(LongDouble { negative: !back.negative, ..back }).unwrap();
            // Shortest digits lie within half a unit of the double's last place, which is 2^11 units of ours.
            proptest::prop_assert!(apart.significand == 0 || apart.exponent + 64 - (apart.significand.leading_zeros() as i32) <= back.exponent + 11 || value.abs() < f64::MIN_POSITIVE);
        }

        #[test]
        fn reading_rounds_to_nearest(significand in 1u64 << 63..=u64::MAX, below in 1i32..63) {
            // 64 bits with a point among them are exact in decimal, so reading must give every bit back.
            let whole = significand >> below;
            let fraction = u128::from(significand - (whole << below));
            let mut text = format!("{whole}.");
            let mut rest = fraction;
            for _ in 0..below {
                rest *= 10;
                text.push(char::from(b'0' + (rest >> below) as u8));
                rest &= (1 << below) - 1;
            }
            let read = LongDouble::parse(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!((read.significand, read.exponent), (significand, -below));
        }
    }
}
