//! Numbers as C has them: their texts and what becomes of them in whole types.

use std::io::Write;

/// Cut towards zero to 64 bits. What has no place there becomes the lowest number, as x86-64 does it.
pub(super) fn truncate(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    match (-END..END).contains(&number) {
        true => number as i64,
        false => i64::MIN,
    }
}

/// As [`truncate`], to 64 bits without a sign; the C compilers' way: the upper half is reached by taking 2^63 away.
pub(super) fn truncate_unsigned(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    match number >= HALF {
        true => truncate(number - HALF) as u64 ^ 1 << 63,
        false => truncate(number) as u64,
    }
}

/// Powers of ten up to the most digits that are asked for.
const POWERS: [f64; 15] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
];

/// Appends what C's `printf` writes for `%.{precision}g`: so many digits from 1 to 14, the number being finite or infinite.
pub(super) fn push_general(out: &mut Vec<u8>, number: f64, precision: usize) {
    debug_assert!((1..=14).contains(&precision) && !number.is_nan());
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let number = number.abs();
    if number.is_infinite() {
        out.extend_from_slice(b"inf");
    } else if number < POWERS[precision] && number.trunc() == number {
        push_whole(out, number as u64);
    } else {
        push_rounded(out, number, precision);
    }
}

/// Appends a whole number that has no more digits than are asked for.
fn push_whole(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_rounded(out: &mut Vec<u8>, number: f64, precision: usize) {
    let mut written = [0; 32];
    let mut rest = &mut written[..];
    write!(rest, "{:.*e}", precision - 1, number)
        .expect("a digit, a point, 13 digits, an exponent");
    let left = rest.len();
    let written = &written[..written.len() - left];
    let at = written.iter().position(|&byte| byte == b'e');
    let (mantissa, exponent) = written.split_at(at.expect("it has an exponent"));
    let exponent = std::str::from_utf8(&exponent[1..]).expect("digits");
    let exponent: i32 = exponent.parse().expect("digits");
    let mut digits = [b'0'; 14];
    let mut count = 0;
    for &digit in mantissa.iter().filter(|&&byte| byte != b'.') {
        digits[count] = digit;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    lay_out(out, &digits[..count], exponent, precision);
}

/// Sets digits, the first of which is worth `10^exponent`, as `%g` does: plain for exponents from -4 to below the precision.
fn lay_out(out: &mut Vec<u8>, digits: &[u8], exponent: i32, precision: usize) {
    if exponent < -4 || exponent >= precision as i32 {
        out.push(digits[0]);
        push_fraction(out, &digits[1..]);
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.unsigned_abs()).expect("memory takes all");
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((1..exponent.unsigned_abs()).map(|_| b'0'));
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend((0..whole).map(|n| digits.get(n).copied().unwrap_or(b'0')));
        push_fraction(out, digits.get(whole..).unwrap_or_default());
    }
}

fn push_fraction(out: &mut Vec<u8>, digits: &[u8]) {
    if !digits.is_empty() {
        out.push(b'.');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn general(number: f64, precision: usize) -> String {
        let mut out = Vec::new();
        push_general(&mut out, number, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_those_of_printf() {
        // Written by `'%.*g' % (precision, number)` of Python, which asks the same of itself as C's printf.
        for (number, precision, expected) in [
            (0.0, 14, "0"),
            (0.0, 1, "0"),
            (0.0, 3, "0"),
            (0.0, 9, "0"),
            (-0.0, 14, "-0"),
            (-0.0, 1, "-0"),
            (-0.0, 3, "-0"),
            (-0.0, 9, "-0"),
            (1.0, 14, "1"),
            (1.0, 1, "1"),
            (1.0, 3, "1"),
            (1.0, 9, "1"),
            (0.1, 14, "0.1"),
            (0.1, 1, "0.1"),
            (0.1, 3, "0.1"),
            (0.1, 9, "0.1"),
            (-0.1, 14, "-0.1"),
            (-0.1, 1, "-0.1"),
            (-0.1, 3, "-0.1"),
            (-0.1, 9, "-0.1"),
            (0.3333333333333333, 14, "0.33333333333333"),
            (0.3333333333333333, 1, "0.3"),
            (0.3333333333333333, 3, "0.333"),
            (0.3333333333333333, 9, "0.333333333"),
            (0.6666666666666666, 14, "0.66666666666667"),
            (0.6666666666666666, 1, "0.7"),
            (0.6666666666666666, 3, "0.667"),
            (0.6666666666666666, 9, "0.666666667"),
            (100000000000000.0, 14, "1e+14"),
            (100000000000000.0, 1, "1e+14"),
            (100000000000000.0, 3, "1e+14"),
            (100000000000000.0, 9, "1e+14"),
            (1000000000000000.0, 14, "1e+15"),
            (1000000000000000.0, 1, "1e+15"),
            (1000000000000000.0, 3, "1e+15"),
            (1000000000000000.0, 9, "1e+15"),
            (99999999999999.0, 14, "99999999999999"),
            (99999999999999.0, 1, "1e+14"),
            (99999999999999.0, 3, "1e+14"),
            (99999999999999.0, 9, "1e+14"),
            (99999999999999.5, 1, "1e+14"),
            (0.0001, 14, "0.0001"),
            (0.0001, 9, "0.0001"),
            (1e-05, 3, "1e-05"),
            (9.9999e-05, 1, "0.0001"),
            (0.00012345, 14, "0.00012345"),
            (0.00012345, 9, "0.00012345"),
            (123456789012345.0, 3, "1.23e+14"),
            (9007199254740992.0, 1, "9e+15"),
            (9.223372036854776e+18, 14, "9.2233720368548e+18"),
            (9.223372036854776e+18, 9, "9.22337204e+18"),
            (1e+100, 3, "1e+100"),
            (1e-300, 1, "1e-300"),
            (5e-324, 14, "4.9406564584125e-324"),
            (5e-324, 9, "4.94065646e-324"),
            (1.7976931348623157e+308, 3, "1.8e+308"),
            (0.5, 1, "0.5"),
            (1.5, 14, "1.5"),
            (1.5, 9, "1.5"),
            (2.5, 3, "2.5"),
            (3.5, 1, "4"),
            (12345.678, 14, "12345.678"),
            (12345.678, 9, "12345.678"),
            (999999.5, 3, "1e+06"),
            (9.5, 1, "1e+01"),
            (10.5, 14, "10.5"),
            (10.5, 9, "10.5"),
            (95.0, 3, "95"),
            (105.0, 1, "1e+02"),
            (1234.5, 14, "1234.5"),
            (1234.5, 9, "1234.5"),
            (-1e+22, 3, "-1e+22"),
            (0.0001, 1, "0.0001"),
            (99999999999999.98, 14, "1e+14"),
            (99999999999999.98, 9, "1e+14"),
            (10000000000000.0, 3, "1e+13"),
            (2.71234, 1, "3"),
            (100000.0, 14, "100000"),
            (100000.0, 9, "100000"),
            (123456.0, 3, "1.23e+05"),
            (3.018689460797075e-27, 14, "3.0186894607971e-27"),
            (-0.0009250086831160303, 7, "-0.0009250087"),
            (-7.523960777007088e-17, 11, "-7.523960777e-17"),
            (9.525102111858401e-29, 9, "9.52510211e-29"),
            (-3.830363517961313e+21, 11, "-3.830363518e+21"),
            (9.548893141911563e-28, 10, "9.548893142e-28"),
            (-3717056.5924641695, 8, "-3717056.6"),
            (-8.362899784084603e-12, 9, "-8.36289978e-12"),
            (-7.638684434900758e-05, 3, "-7.64e-05"),
            (529141.7324256263, 13, "529141.7324256"),
            (0.015979040856498438, 2, "0.016"),
            (-87866114480556.06, 5, "-8.7866e+13"),
            (7.740805844761836e-09, 1, "8e-09"),
            (-5.635844503606411e-13, 3, "-5.64e-13"),
            (-6.67267435056159e-06, 9, "-6.67267435e-06"),
            (4.127934189930038e-09, 11, "4.1279341899e-09"),
            (3.170333539446604e-31, 8, "3.1703335e-31"),
            (69181924.60020722, 10, "69181924.6"),
            (3.0993292743265744e+16, 1, "3e+16"),
            (1.1854348171321893e-06, 7, "1.185435e-06"),
        ] {
            assert_eq!(
                general(number, precision),
                expected,
                "{number:e} {precision}"
            );
        }
        assert_eq!(general(f64::NEG_INFINITY, 14), "-inf");
    }

    #[test]
    fn whole_types_are_those_of_the_machine() {
        assert_eq!(truncate(-1.9), -1);
        assert_eq!(truncate(f64::NAN), i64::MIN);
        assert_eq!(truncate(9.3e18), i64::MIN);
        assert_eq!(truncate(-9.3e18), i64::MIN);
        assert_eq!(truncate_unsigned(-1.0), u64::MAX);
        assert_eq!(truncate_unsigned(1.5e19), 15_000_000_000_000_000_000);
        assert_eq!(truncate_unsigned(f64::NAN), 1 << 63);
        assert_eq!(truncate_unsigned(1.8446744073709552e19), 0);
    }
}
