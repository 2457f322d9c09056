//! What was typed: options that several commands share, and what they mean.
//!
//! | module | options |
//! |---|---|
//! | [`server`] | which server, and as whom |
//! | [`load`] | what is sent, by how many clients, how fast, how long |

pub mod load;
pub mod server;

use std::time::Duration;

/// Times as people type them: `5` and `0.5` are seconds; with a unit `5ms`, `200us`, `2m`, `1h`. At most a year.
///
/// # Errors
/// What was expected.
pub fn time(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 5] = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let unit = UNITS.iter().find(|(unit, _)| {
        let number = text.strip_suffix(unit);
        number.is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit()))
    });
    let (number, factor) = unit.map_or((text, 1.0), |(unit, factor)| {
        (&text[..text.len() - unit.len()], *factor)
    });
    match number.parse::<f64>().map(|number| number * factor) {
        Ok(seconds) if (0.0..=31_536_000.0).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("expected a time, as in 5 or 0.5 (seconds), 200us, 5ms, 2m, 1h".to_owned()),
    }
}

/// The same where nothing would come of no time at all.
///
/// # Errors
/// What was expected.
pub fn span(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("a time above 0 is needed, as in 5 (seconds) or 200ms".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, micros) in [
            ("5", 5_000_000),
            ("0.5", 500_000),
            ("200us", 200),
            ("5ms", 5000),
            ("1.5s", 1_500_000),
            ("2m", 120_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "-1", "ms", "5 parsecs", "inf", "1e300", "nan"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_run_of_no_time_is_refused() {
        for text in ["0", "0.0", "0ms", "1e-20", "x"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(span("1us"), Ok(Duration::from_micros(1)));
    }
}
