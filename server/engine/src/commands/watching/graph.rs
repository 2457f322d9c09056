//! LATENCY GRAPH: the samples of an event as columns of characters, with the age of each beneath.
//!
//! ```text
//!   command - high 500 ms, low 300 ms (all time high 500 ms)
//!   --------------------------------------------------------------------------------
//!     #
//!    _#
//!   __#
//!
//!   210
//!   mmm
//! ```

use crate::call::watch::latency::{Sample, Series};

/// Columns of a graph; more samples go on in a next one below.
const WIDTH: usize = 80;
/// Lines of a graph.
const HEIGHT: usize = 4;
/// Fillings of one character, from little to all of it.
const FILLINGS: &[u8] = b"_o#";

/// Draws the samples. `now_s`: Unix seconds.
pub(super) fn draw(name: &str, series: &Series, now_s: i64) -> String {
    let times = || series.samples().map(|sample| sample.ms);
    let (high, low) = (times().max().unwrap_or(0), times().min().unwrap_or(0));
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(WIDTH)
    );
    let samples: Vec<Sample> = series.samples().copied().collect();
    for part in samples.chunks(WIDTH) {
        for line in 0..HEIGHT {
            let columns = part
                .iter()
                .map(|sample| filling(sample.ms, (low, high), HEIGHT - 1 - line));
            text.push_str(columns.collect::<String>().trim_end());
            text.push('\n');
        }
        text.push('\n');
        write_ages(part, now_s, &mut text);
    }
    text
}

/// The character of a value at a height, counted from the ground. The least of all shows a line on the ground.
fn filling(ms: u64, (low, high): (u64, u64), height: usize) -> char {
    let steps = FILLINGS.len() * HEIGHT;
    let range = (high - low).max(1);
    let top = 1 + (ms - low) as usize * (steps - 1) / range as usize;
    match top.saturating_sub(height * FILLINGS.len()) {
        0 => ' ',
        above => char::from(FILLINGS[above.min(FILLINGS.len()) - 1]),
    }
}

fn write_ages(samples: &[Sample], now_s: i64, text: &mut String) {
    let ages: Vec<Vec<char>> = samples
        .iter()
        .map(|sample| age(now_s - sample.at_s).chars().collect())
        .collect();
    let lines = ages.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..lines {
        let letters = ages.iter().map(|age| age.get(line).unwrap_or(&' '));
        text.push_str(letters.collect::<String>().trim_end());
        text.push('\n');
    }
}

/// `9s`, `3m`, `2h`, `1d`.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::watch::latency::{Latency, event};

    #[test]
    fn columns_rise_with_their_values() {
        let mut latency = Latency::default();
        latency.from_ms = Some(1);
        for (at_s, ms) in [(0, 300), (7000, 400), (7900, 500), (7990, 310)] {
            latency.note(event::COMMAND, ms * 1000, at_s);
        }
        let (name, series) = latency.event(b"command").unwrap();
        let expected = format!(
            "command - high 500 ms, low 300 ms (all time high 500 ms)\n{}\n  #\n  #\n ##\n_##_\n\n2111\nh6m0\n m s\n",
            "-".repeat(80)
        );
        assert_eq!(draw(name, series, 8000), expected);
    }
}
