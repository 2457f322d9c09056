//! The result of runs, for people and for programs.
//!
//! | module | form |
//! |---|---|
//! | `text` | a table for a terminal |
//! | `json` | everything, as one document |
//! | `csv` | one line for each operation |
//! | `histogram_log` | a histogram for each second, as HdrHistogram's own tools read them |
//! | `page` | one HTML file with plots |

mod csv;
mod histogram_log;
mod json;
mod page;
pub mod text;

pub use json::latencies;

use crate::load::tally::Times;
use crate::load::{Measured, Plan};
use cairn_toolkit::{Failure, Output, json as writing};
use clap::Args;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Quantiles that are shown, with the names they have in JSON.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// Options that say where results go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Results")]
pub struct Files {
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write one line for each operation to this file, as comma-separated values
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also write a histogram for each second to this file, as HdrHistogram's tools read them
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Also write one page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// The files, ready to be written to.
#[derive(Debug)]
pub struct Outputs {
    json: Option<Output>,
    csv: Option<Output>,
    hdr: Option<Output>,
    html: Option<Output>,
}

impl Files {
    /// Makes the files.
    ///
    /// # Errors
    /// One cannot be made.
    pub fn open(&self) -> Result<Outputs, Failure> {
        let open = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| Output::create(path, &[]))
                .transpose()
        };
        Ok(Outputs {
            json: open(&self.json)?,
            csv: open(&self.csv)?,
            hdr: open(&self.hdr)?,
            html: open(&self.html)?,
        })
    }
}

/// A plan and what came of it.
#[derive(Debug)]
pub struct Run {
    /// What was to be done.
    pub plan: Plan,
    /// What was measured.
    pub measured: Measured,
}

/// Runs that belong together.
#[derive(Debug)]
pub struct Report<'a> {
    suite: Option<&'a str>,
    runs: &'a [Run],
}

impl<'a> Report<'a> {
    /// Of one run, or of the runs of a set with a name.
    pub fn new(suite: Option<&'a str>, runs: &'a [Run]) -> Report<'a> {
        Report { suite, runs }
    }

    /// Writes the table to stdout, and everything else to its file; a form that goes to stdout stands there alone. All are written, also if one
    /// fails.
    ///
    /// # Errors
    /// The first that could not be written.
    pub fn write(&self, outputs: Outputs) -> Result<(), Failure> {
        let Outputs {
            json,
            csv,
            hdr,
            html,
        } = outputs;
        let all = [&json, &csv, &hdr, &html];
        let alone = all
            .iter()
            .any(|output| output.as_ref().is_some_and(Output::is_stdout));
        let text = match alone {
            true => Ok(()),
            false => written(Some(Output::stdout()), |out| text::write(self, out)),
        };
        let json = written(json, |out| {
            writing::write_pretty(out, &json::document(self))
        });
        let csv = written(csv, |out| csv::write(self, out));
        let hdr = written(hdr, |out| histogram_log::write(self, out));
        let html = written(html, |out| page::write(self, out));
        text.and(json).and(csv).and(hdr).and(html)
    }
}

fn written(
    output: Option<Output>,
    write: impl FnOnce(&mut Output) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(mut output) = output else {
        return Ok(());
    };
    write(&mut output)?;
    output.finish()
}

/// `1.25 ms` of nanoseconds; below a millisecond with a digit behind the point.
fn time(ns: u64) -> String {
    match ns {
        ..100_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => cairn_toolkit::human::duration(Duration::from_nanos(ns)),
    }
}

/// The smallest time; 0 of none.
fn smallest(times: &Times) -> u64 {
    match times.is_empty() {
        true => 0,
        false => times.min(),
    }
}

/// Text of a server or a command line on one line, harmless to the terminal, without the quotes.
fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
