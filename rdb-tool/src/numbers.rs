//! Numbers as JSON has them.

use cairn_format::text::number::{I64Text, short_text};
use cairn_toolkit::json::Text as _;
use std::io::Write;

/// Appends a number, or `null`.
pub fn append_number(text: &mut Vec<u8>, number: Option<impl Into<i128>>) {
    let Some(number) = number.map(Into::into) else {
        return text.put("null");
    };
    match i64::try_from(number) {
        Ok(number) => append_int(text, number),
        Err(_) => {
            let _ = write!(text, "{number}");
        }
    }
}

/// Appends an integer.
fn append_int(text: &mut Vec<u8>, value: i64) {
    match short_text(value) {
        Some((digits, len)) => {
            let end = text.len() + len;
            text.extend_from_slice(&digits.to_be_bytes());
            text.truncate(end);
        }
        None => text.extend_from_slice(I64Text::new().format(value)),
    }
}

/// Appends bytes, of which there are mostly 16 to 32: two pieces of fixed size, which overlap, are no call.
fn append_short(text: &mut Vec<u8>, bytes: &[u8]) {
    const PIECE: usize = 16;
    if bytes.len() <= 2 * PIECE
        && let (Some(first), Some(last)) =
            (bytes.first_chunk::<PIECE>(), bytes.last_chunk::<PIECE>())
    {
        let end = text.len() + bytes.len();
        text.extend_from_slice(first);
        text.truncate(end - PIECE);
        text.extend_from_slice(last);
    } else {
        text.extend_from_slice(bytes);
    }
}

/// Appends the shortest decimal that reads back to the same double, with a point or an exponent: `1.0`, `-0.0`, `1e+308`, `inf`.
pub fn append_score(text: &mut Vec<u8>, score: f64) {
    let size = score.abs();
    if !score.is_finite() {
        text.put(match score {
            _ if score.is_nan() => "nan",
            _ if score > 0.0 => "inf",
            _ => "-inf",
        });
    } else if size < 1e15
        && score as i64 as f64 == score
        && (size > 0.0 || score.is_sign_positive())
    {
        append_int(text, score as i64);
        text.put(".0");
    } else if size == 0.0 || (1e-4..1e16).contains(&size) {
        // Within these bounds it writes no exponent.
        append_short(text, zmij::Buffer::new().format_finite(score).as_bytes());
    } else {
        let scientific = format!("{score:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let _ = write!(text, "{digits}e{sign}{exponent:0>2}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_short_and_read_back() {
        for (score, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e308, "1e+308"),
            (5e-324, "5e-324"),
            (1.5e-5, "1.5e-05"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            // Where two of the shortest are as near, the even one.
            (3_052_330_315_508_409.0 / 4.0, "763082578877102.2"),
            (-7.0, "-7.0"),
            (999_999_999_999_999.0, "999999999999999.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.23456e-4, "0.000123456"),
            (-(1e-4f64.next_up()), "-0.00010000000000000002"),
            (1e-4, "0.0001"),
            (9.999999999999999e-5, "9.999999999999999e-05"),
            (0.0, "0.0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut shown = Vec::new();
            append_score(&mut shown, score);
            assert_eq!(shown, text.as_bytes());
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), score.to_bits());
        }
    }

    #[test]
    fn scores_are_as_short_as_the_standard_library_writes_them() {
        let mut state: u64 = 1;
        for _ in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let scale = 10f64.powi((state % 22) as i32 - 5);
            let score = (state >> 11) as f64 / (1u64 << 53) as f64 * scale;
            if !(1e-4..1e16).contains(&score) {
                continue;
            }
            let mut shown = Vec::new();
            append_score(&mut shown, score);
            let shown = String::from_utf8(shown).unwrap();
            assert_eq!(shown.parse(), Ok(score));
            assert_eq!(shown.len(), format!("{score:?}").len(), "{shown}");
        }
    }
}
