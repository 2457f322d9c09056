//! One line for each operation of each run, as comma-separated values (RFC 4180); times in microseconds.

use super::{QUANTILES, Report, Run, smallest};
use std::io::{self, Write};

/// Writes a heading and the lines.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let quantiles = QUANTILES.map(|(name, _)| format!("{name}_us")).join(",");
    write!(
        out,
        "command,replies,errors,hits,misses,requests_per_s,min_us,mean_us,{quantiles},max_us\r\n"
    )?;
    report.runs.iter().try_for_each(|run| lines(run, out))
}

fn lines(run: &Run, out: &mut dyn Write) -> io::Result<()> {
    let Run { plan, measured } = run;
    for (operation, series) in plan.workload.operations.iter().zip(&measured.tally.series) {
        let times = &series.response;
        let us = |ns: u64| format!("{:.3}", ns as f64 / 1e3);
        let share = times.len() as f64 / measured.tally.replies().max(1) as f64;
        let mut cells = vec![
            quoted(&operation.name),
            times.len().to_string(),
            series.errors.to_string(),
            series.hits.to_string(),
            series.misses.to_string(),
            format!("{:.3}", measured.throughput() * share),
            us(smallest(times)),
            format!("{:.3}", times.mean() / 1e3),
        ];
        cells.extend(QUANTILES.map(|(_, q)| us(times.value_at_quantile(q))));
        cells.push(us(times.max()));
        write!(out, "{}\r\n", cells.join(","))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
