//! The figures as metrics, in the text form of Prometheus (0.0.4).
//!
//! A metric is one constant: name, help, type and source. Most sources are fields of INFO's sections, found by name when this is
//! compiled, so that both show the same; the others are read where INFO's lines are read. Names are those that redis_exporter
//! gives them; what it does not have begins with `cairn_`. Histograms are those of LATENCY HISTOGRAM.
//!
//! ```text
//! # HELP redis_connected_clients Clients that are connected.
//! # TYPE redis_connected_clients gauge
//! redis_connected_clients 3
//! ```

mod labelled;
mod replication;
mod table;
mod threads;

use std::fmt::{self, Write};

use super::{Field, View};

pub use table::METRICS;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only, until a restart or CONFIG RESETSTAT.
    Counter,
    /// Both ways.
    Gauge,
    /// How many values did not exceed each of some limits (`le`), with their number and sum.
    Histogram,
}

impl Kind {
    /// As the TYPE line has it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Where the value comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A field of INFO, and what its value is multiplied with.
    Field(fn(&View) -> String, f64),
    /// Any number of samples with labels, or one without.
    Samples(fn(&View, &mut Samples)),
}

/// One metric.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it tells, and in which unit.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    source: Source,
}

/// Where samples of one metric are written.
pub struct Samples<'a> {
    name: &'static str,
    labels: &'static [&'static str],
    out: &'a mut String,
}

impl Samples<'_> {
    /// Writes a sample; `values` are those of the labels, in their order.
    fn add(&mut self, values: &[&str], value: impl fmt::Display) {
        debug_assert_eq!(values.len(), self.labels.len(), "a value for each label");
        self.write("", values, value);
    }

    /// Writes a histogram: how many values did not exceed which limits, rising, and number and sum of all.
    fn histogram(&mut self, values: &[&str], steps: &[(u64, u64)], count: u64, sum: u64) {
        debug_assert_eq!(
            values.len() + 1,
            self.labels.len(),
            "the limit is the last label"
        );
        for (limit, below) in steps {
            self.write("_bucket", &[values, &[&limit.to_string()]].concat(), below);
        }
        debug_assert!(
            steps.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "a histogram that does not rise: {steps:?}"
        );
        debug_assert!(
            steps.last().is_none_or(|(_, below)| *below <= count),
            "{steps:?} of {count}"
        );
        self.write("_bucket", &[values, &["+Inf"]].concat(), count);
        self.write("_sum", values, sum);
        self.write("_count", values, count);
    }

    fn write(&mut self, suffix: &str, values: &[&str], value: impl fmt::Display) {
        debug_assert!(values.len() <= self.labels.len(), "a value without a label");
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        let mut before = '{';
        for (label, value) in self.labels.iter().zip(values) {
            self.out.push(before);
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(value, self.out);
            self.out.push('"');
            before = ',';
        }
        if !values.is_empty() {
            self.out.push('}');
        }
        // Writing into a string cannot fail.
        let _ = writeln!(self.out, " {value}");
    }
}

/// The value of a label, as it stands between quotes.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
}

/// A field of a section by its name; the build ends where there is none.
const fn field(section: &[Field], name: &str) -> fn(&View) -> String {
    let mut at = 0;
    while at < section.len() {
        if is_same(section[at].0, name) {
            return section[at].1;
        }
        at += 1;
    }
    panic!("no field of INFO has this name")
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The text of a field as a number: `ok` is 1, `err` is 0.
fn number(text: &str, factor: f64) -> Option<f64> {
    match text {
        "ok" => Some(1.0),
        "err" => Some(0.0),
        _ => Some(text.parse::<f64>().ok()? * factor),
    }
}

/// All metrics as they are now.
pub fn text(view: &View) -> String {
    let mut out = String::with_capacity(32 * 1024);
    for metric in METRICS {
        write(metric, view, &mut out);
        debug_assert!(
            out.ends_with('\n'),
            "{}: a line without its end",
            metric.name
        );
    }
    out
}

fn write(metric: &Metric, view: &View, out: &mut String) {
    for part in [
        "# HELP ",
        metric.name,
        " ",
        metric.help,
        "\n# TYPE ",
        metric.name,
        " ",
    ] {
        out.push_str(part);
    }
    out.push_str(metric.kind.word());
    out.push('\n');
    let mut samples = Samples {
        name: metric.name,
        labels: metric.labels,
        out,
    };
    match metric.source {
        Source::Field(value, factor) => {
            let value = number(&value(view), factor);
            debug_assert!(value.is_some(), "{}: no number", metric.name);
            if let Some(value) = value {
                samples.add(&[], value);
            }
        }
        Source::Samples(write) => write(view, &mut samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_as_prometheus_wants_them() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            let is_word = |word: &str| {
                let starts = word.starts_with(|c: char| c.is_ascii_lowercase());
                starts
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            assert!(is_word(metric.name), "{}", metric.name);
            assert!(
                metric.labels.iter().all(|label| is_word(label)),
                "{}",
                metric.name
            );
            let prefix = ["redis_", "cairn_"]
                .iter()
                .any(|p| metric.name.starts_with(p));
            assert!(prefix, "{}", metric.name);
            let clean = !metric.help.contains(['\n', '\\', '|']) && metric.help.ends_with('.');
            assert!(clean, "{}: {}", metric.name, metric.help);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut out = String::new();
        let mut samples = Samples {
            name: "a",
            labels: &["x", "y"],
            out: &mut out,
        };
        samples.add(&["q\"\\\n", "é"], 1.5);
        assert_eq!(out, "a{x=\"q\\\"\\\\\\n\",y=\"é\"} 1.5\n");
    }

    #[test]
    fn words_of_info_are_numbers() {
        assert_eq!(number("ok", 1.0), Some(1.0));
        assert_eq!(number("err", 1.0), Some(0.0));
        assert_eq!(number("-1", 1.0), Some(-1.0));
        assert_eq!(number("250", 1e-3), Some(0.25));
        assert_eq!(number("", 1.0), None);
    }
}
