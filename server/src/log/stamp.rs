//! A moment as the log shows it.

use std::fmt;

/// Seconds since 1970 in local time, and milliseconds, printed as `23 Nov 2026 01:00:39.042`.
pub(super) struct Stamp(pub(super) i64, pub(super) i64);

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Stamp {
    /// Hour, minute and second of the day.
    fn time_of_day(&self) -> (i64, i64, i64) {
        let second = self.0.rem_euclid(86_400);
        (second / 3600, second / 60 % 60, second % 60)
    }

    /// As the system's log has it: `Nov  3 01:00:39`.
    pub(super) fn short(&self) -> String {
        let (_, month, day) = civil(self.0.div_euclid(86_400));
        let (hour, minute, second) = self.time_of_day();
        format!(
            "{} {day:2} {hour:02}:{minute:02}:{second:02}",
            MONTHS[month]
        )
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(86_400));
        let (hour, minute, second) = self.time_of_day();
        let month = MONTHS[month];
        write!(
            f,
            "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{:03}",
            self.1
        )
    }
}

/// Year, month (0 is January) and day of a day counted from 1 January 1970, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
fn civil(day: i64) -> (i64, usize, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let in_era = day.rem_euclid(146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    debug_assert!(
        (1..=31).contains(&day) && (0..12).contains(&month),
        "{day}. of {month}"
    );
    (era * 400 + year + i64::from(month < 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "01 Jan 1970 00:00:00.007"),
            (951_782_399, "28 Feb 2000 23:59:59.007"),
            (951_782_400, "29 Feb 2000 00:00:00.007"),
            (1_795_395_639, "23 Nov 2026 01:00:39.007"),
            (-1, "31 Dec 1969 23:59:59.007"),
        ] {
            assert_eq!(Stamp(seconds, 7).to_string(), text);
        }
        assert_eq!(Stamp(951_782_399, 7).short(), "Feb 28 23:59:59");
        assert_eq!(Stamp(0, 7).short(), "Jan  1 00:00:00");
    }
}
