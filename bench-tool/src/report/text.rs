//! The result as a table for a terminal.

use super::{QUANTILES, Report, Run, safe, time};
use crate::load::ending::{Ending, Rates};
use crate::load::strain::Limit;
use crate::load::tally::{Kinds, Series, Times, join, no_times};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Table, human};
use std::io::{self, Write};

/// Writes all of it.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    match report.suite {
        Some(_) => suite(report, out),
        None => report.runs.iter().try_for_each(|run| single(run, out)),
    }
}

fn single(run: &Run, out: &mut dyn Write) -> io::Result<()> {
    setting(run, out)?;
    headline(run, out)?;
    writeln!(out)?;
    let tally = &run.measured.tally;
    let names = run
        .plan
        .workload
        .operations
        .iter()
        .map(|operation| operation.name.as_str());
    operations(names.zip(&tally.series), out)?;
    kinds("error reply", "error replies", &tally.errors, out)?;
    kinds("wrong value", "wrong values", &tally.wrong, out)
}

/// A line for each operation, and one for all.
pub fn operations<'s>(
    all: impl Iterator<Item = (&'s str, &'s Series)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = table("command");
    let mut series = Vec::new();
    for (name, of) in all {
        row(&mut table, name, of);
        series.push(of);
    }
    if series.len() > 1 {
        row(&mut table, "all", &sum(&series));
    }
    table.write_to(out, 0)
}

/// A set: a line for each of its runs.
fn suite(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(first) = report.runs.first() else {
        return Ok(());
    };
    setting(first, out)?;
    writeln!(out)?;
    let mut table = Table::new(&columns("command", &["requests/s", "errors"]));
    for run in report.runs {
        let (name, tally) = (&run.plan.workload.operations[0].name, &run.measured.tally);
        let mut cells = vec![
            safe(name),
            human::count(run.measured.throughput().round() as u64),
            human::count(tally.error_count()),
        ];
        cells.extend(times(&tally.response()));
        table.row(cells);
    }
    table.write_to(out, 0)?;
    for run in report.runs {
        kinds(
            "error reply",
            "error replies",
            &run.measured.tally.errors,
            out,
        )?;
    }
    let strained = report
        .runs
        .iter()
        .filter(|run| matches!(run.measured.limit, Limit::Here(_)));
    let names: Vec<&str> = strained
        .map(|run| run.plan.workload.operations[0].name.as_str())
        .collect();
    if !names.is_empty() {
        writeln!(
            out,
            "\nthis program was the limit, and the server could do more: {}",
            names.join(", ")
        )?;
    }
    Ok(())
}

/// Who was asked, by whom and how.
fn setting(run: &Run, out: &mut dyn Write) -> io::Result<()> {
    let plan = &run.plan;
    let threads = human::plural(plan.threads as u64, "thread", "threads");
    let cluster = if plan.is_cluster {
        " to each node of the cluster"
    } else {
        ""
    };
    writeln!(
        out,
        "{}: {} clients{cluster}, pipeline {}, {threads}",
        plan.target.place, plan.clients, plan.pipeline
    )?;
    match &plan.rate {
        Some(rate) => {
            let how = if plan.poisson { ", by chance" } else { "" };
            writeln!(
                out,
                "open loop at {rate} requests/s{how}: latency counts from the scheduled time"
            )
        }
        None => writeln!(
            out,
            "closed loop: latency counts from the send, and a stall of the server delays what would have been sent"
        ),
    }
}

fn headline(run: &Run, out: &mut dyn Write) -> io::Result<()> {
    let measured = &run.measured;
    let (tally, ending) = (&measured.tally, &measured.ending);
    let mut line = format!(
        "{} in {:.2} s, {} requests/s",
        human::plural(tally.replies(), "reply", "replies"),
        ending.period_s,
        rate(measured.throughput())
    );
    if let Some((hits, misses)) = tally.hits() {
        let share = human::share(misses, hits + misses);
        line.push_str(&format!(
            ", {}, {} ({share})",
            human::plural(hits, "hit", "hits"),
            human::plural(misses, "miss", "misses")
        ));
    }
    line.push_str(&format!(
        ", {}",
        human::plural(tally.error_count(), "error", "errors")
    ));
    writeln!(out, "{line}")?;
    if let Some(rates) = &ending.rates {
        writeln!(out, "{}", schedule(rates, run))?;
    }
    if tally.moved + tally.asked > 0 {
        writeln!(
            out,
            "redirected: {} for good (MOVED), {} for once (ASK)",
            human::count(tally.moved),
            human::count(tally.asked)
        )?;
    }
    if run.plan.reconnect && tally.lost_count() > 0 {
        writeln!(
            out,
            "{} lost, {} made again",
            human::plural(tally.lost_count(), "connection", "connections"),
            human::count(tally.reconnected)
        )?;
    }
    if ending.early {
        writeln!(out, "{}", early(ending, run))?;
    }
    if let Limit::Here(why) = &measured.limit {
        writeln!(out, "this program was the limit, not the server: {why}")?;
    }
    if let Some(service) = tally.service() {
        let times = QUANTILES[..4]
            .iter()
            .map(|(name, q)| format!("{name} {}", time(service.value_at_quantile(*q))));
        writeln!(
            out,
            "service time, from the send: {}",
            times.collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(())
}

/// Whether the rate was reached, and whose fault it was if not.
fn schedule(rates: &Rates, run: &Run) -> String {
    let Rates { asked, sent } = *rates;
    if rates.are_held() {
        return format!(
            "schedule held: {} requests/s sent of {} asked for",
            rate(sent),
            rate(asked)
        );
    }
    let tally = &run.measured.tally;
    let held_back = human::share(tally.held_back, tally.replies() + tally.unanswered);
    format!(
        "schedule NOT held: {} requests/s sent of {} asked for; {held_back} of all had to wait for a client with room (more --clients or --pipeline, if the server can)",
        rate(sent),
        rate(asked)
    )
}

/// What a run that ended early did not do.
fn early(ending: &Ending, run: &Run) -> String {
    let of = match run.plan.duration {
        Some(duration) => format!(" of {}", duration.as_secs_f64()),
        None => String::new(),
    };
    let unsent = match ending.unsent {
        Some(unsent) => format!(
            "; {} never sent, and no time below tells of them",
            human::plural(unsent, "request was", "requests were")
        ),
        None => String::new(),
    };
    format!(
        "the run ended early, after {:.2}{of} s{unsent}",
        ending.after_s
    )
}

/// `12,345` or, of few, `1.25`.
fn rate(per_second: f64) -> String {
    match per_second < 1000.0 {
        true => format!("{per_second:.2}"),
        false => human::count(per_second.round() as u64),
    }
}

fn columns<'c>(first: &'c str, counts: &[&'c str]) -> Vec<(&'c str, Side)> {
    let times = ["p50", "p90", "p99", "p99.9", "max", "mean"];
    let numbers = counts
        .iter()
        .copied()
        .chain(times)
        .map(|name| (name, Side::Right));
    [(first, Side::Left)].into_iter().chain(numbers).collect()
}

fn table(first: &str) -> Table {
    Table::new(&columns(first, &["replies", "errors"]))
}

fn row(table: &mut Table, name: &str, series: &Series) {
    let mut cells = vec![
        safe(name),
        human::count(series.response.len()),
        human::count(series.errors),
    ];
    cells.extend(times(&series.response));
    table.row(cells);
}

fn times(of: &Times) -> Vec<String> {
    let quantiles = QUANTILES[..4]
        .iter()
        .map(|(_, q)| time(of.value_at_quantile(*q)));
    quantiles
        .chain([time(of.max()), time(of.mean() as u64)])
        .collect()
}

fn sum(all: &[&Series]) -> Series {
    let mut response = no_times();
    all.iter()
        .for_each(|series| join(&mut response, &series.response));
    Series {
        response,
        service: None,
        errors: all.iter().map(|series| series.errors).sum(),
        hits: 0,
        misses: 0,
    }
}

/// What went wrong, by reason.
pub fn kinds(one: &str, many: &str, kinds: &Kinds, out: &mut dyn Write) -> io::Result<()> {
    if kinds.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("what", Side::Left),
        ("count", Side::Right),
        ("first one", Side::Left),
    ]);
    for (word, kind) in kinds {
        table.row(vec![
            safe(word),
            human::count(kind.count),
            safe(&kind.example),
        ]);
    }
    let total = kinds.values().map(|kind| kind.count).sum();
    writeln!(out, "\n{}", human::plural(total, one, many))?;
    table.write_to(out, 2)
}
