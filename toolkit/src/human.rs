//! Numbers with units, as sentences and tables show them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest decimal unit that leaves a digit before the point: `999 B`, `1.5 kB`, `2.0 GB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be printed as "1000.0".
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time with three significant digits or so: `950 us`, `1.25 ms`, `3.50 s`, `2 min 05 s`.
pub fn duration(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        _ if us < 999.5 => format!("{us:.0} us"),
        _ if us < 999_995.0 => format!("{:.2} ms", us / 1e3),
        _ if us < 59_995_000.0 => format!("{:.2} s", us / 1e6),
        _ => {
            let s = (us / 1e6).round() as u64;
            format!("{} min {:02} s", s / 60, s % 60)
        }
    }
}

/// `1 key`, `2 keys`: the count with its noun.
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A difference with its sign: `+1,234`, `-5`, `0`.
pub fn signed(n: i64) -> String {
    let sign = match n {
        0 => "",
        n if n < 0 => "-",
        _ => "+",
    };
    format!("{sign}{}", count(n.unsigned_abs()))
}

/// A part of a whole in percent: `12.3 %`.
pub fn share(part: u64, whole: u64) -> String {
    let percent = match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    };
    format!("{percent:.1} %")
}

/// A long time in its two largest units: `3 d 04 h`, `5 h 10 min`, `45 s`.
pub fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        86_400.. => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3600),
        3600.. => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        60.. => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_where_they_should() {
        assert_eq!(
            [count(0), count(999), count(1000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [bytes(999), bytes(1000), bytes(999_949), bytes(999_950)],
            ["999 B", "1.0 kB", "999.9 kB", "1.0 MB"]
        );
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(duration(Duration::from_micros(950)), "950 us");
        assert_eq!(duration(Duration::from_micros(1250)), "1.25 ms");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!([signed(-1234), signed(0), signed(5)], ["-1,234", "0", "+5"]);
        assert_eq!([share(1, 8), share(0, 0)], ["12.5 %", "0.0 %"]);
        let spans = [59, 61, 3600, 90_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["59 s", "1 min 01 s", "1 h 00 min", "1 d 01 h"]);
        assert_eq!(
            [plural(1, "key", "keys"), plural(2000, "key", "keys")],
            ["1 key", "2,000 keys"]
        );
    }
}
