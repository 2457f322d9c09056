//! The result of a run, for people and for programs.

use crate::budget::Marks;
use crate::ending::Ending;
use crate::options::Plan;
use crate::tally::Tally;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Output, Table, human, json};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Quantiles that are shown, with the names they have in JSON.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// A run's numbers beside the plan that they belong to.
#[derive(Debug)]
pub struct Report<'a> {
    plan: &'a Plan,
    tally: &'a Tally,
    ending: Ending,
    seconds: f64,
}

impl<'a> Report<'a> {
    /// The time of a run goes from the end of the warm-up to the last reply.
    pub fn new(plan: &'a Plan, tally: &'a Tally, marks: &Marks, ending: Ending) -> Report<'a> {
        let seconds = tally.last_reply.saturating_sub(marks.measure_from) as f64 / 1e9;
        Report {
            plan,
            tally,
            ending,
            seconds,
        }
    }

    /// Writes the table to stdout, and JSON to `json` if there is one; JSON on stdout stands there alone.
    pub fn write(&self, json: Option<Output>) -> Result<(), Failure> {
        let alone = json.as_ref().is_some_and(Output::is_stdout);
        if !alone {
            let mut out = Output::stdout();
            self.text(&mut out)?;
            out.finish()?;
        }
        if let Some(mut out) = json {
            json::write_pretty(&mut out, &self.json())?;
            out.finish()?;
        }
        Ok(())
    }

    fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.tally.replies() as f64 / self.seconds
        } else {
            0.0
        }
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (plan, tally) = (self.plan, self.tally);
        let threads = human::plural(plan.threads as u64, "thread", "threads");
        writeln!(
            out,
            "{}: {} clients, pipeline {}, {threads}",
            plan.target.place, plan.clients, plan.pipeline
        )?;
        match plan.rate {
            Some(rate) => writeln!(
                out,
                "open loop at {} requests/s: latency counts from the scheduled time",
                human::count(rate)
            )?,
            None => writeln!(
                out,
                "closed loop: latency counts from the send, and a stall of the server delays what would have been sent"
            )?,
        }
        writeln!(
            out,
            "{} in {:.2} s, {} requests/s",
            human::plural(tally.replies(), "reply", "replies"),
            self.seconds,
            human::count(self.rate().round() as u64)
        )?;
        if self.ending.early {
            writeln!(out, "{}", self.early())?;
        }
        writeln!(out)?;
        self.table().write_to(out, 0)?;
        if tally.error_count() > 0 {
            writeln!(out)?;
            writeln!(
                out,
                "{}",
                human::plural(tally.error_count(), "error reply", "error replies")
            )?;
            self.errors().write_to(out, 2)?;
        }
        Ok(())
    }

    /// What a run that ended early did not do.
    fn early(&self) -> String {
        let Ending {
            after_s, unsent, ..
        } = self.ending;
        let of = match self.plan.duration {
            Some(duration) => format!(" of {}", duration.as_secs_f64()),
            None => String::new(),
        };
        let unsent = match unsent {
            Some(unsent) => format!(
                "; {} never sent, and no time below tells of them",
                human::plural(unsent, "request was", "requests were")
            ),
            None => String::new(),
        };
        format!("the run ended early, after {after_s:.2}{of} s{unsent}")
    }

    fn table(&self) -> Table {
        let columns = [
            "replies", "errors", "p50", "p90", "p99", "p99.9", "max", "mean",
        ]
        .map(|name| (name, Side::Right));
        let mut table = Table::new(&[&[("command", Side::Left)][..], &columns].concat());
        for ((template, _), series) in self.plan.commands.iter().zip(&self.tally.series) {
            table.row(row(template.text(), &series.latencies, series.errors));
        }
        if self.tally.series.len() > 1 {
            table.row(row("all", &self.tally.all(), self.tally.error_count()));
        }
        table
    }

    fn errors(&self) -> Table {
        let mut table = Table::new(&[
            ("error", Side::Left),
            ("count", Side::Right),
            ("first one", Side::Left),
        ]);
        for (word, kind) in &self.tally.errors {
            table.row(vec![
                safe(word),
                human::count(kind.count),
                safe(&kind.example),
            ]);
        }
        table
    }

    fn json(&self) -> Value {
        let (plan, tally) = (self.plan, self.tally);
        let errors: Map<String, Value> = tally
            .errors
            .iter()
            .map(|(word, kind)| {
                (
                    word.clone(),
                    json!({ "count": kind.count, "example": kind.example }),
                )
            })
            .collect();
        let commands: Vec<Value> = plan
            .commands
            .iter()
            .zip(&tally.series)
            .map(|((template, weight), series)| {
                json!({
                    "command": template.text(),
                    "weight": weight,
                    "replies": series.latencies.len(),
                    "errors": series.errors,
                    "latency_us": latencies(&series.latencies),
                })
            })
            .collect();
        json!({
            "target": plan.target.place.to_string(),
            "clients": plan.clients,
            "pipeline": plan.pipeline,
            "threads": plan.threads,
            "seed": plan.seed,
            "warmup_s": plan.warmup.as_secs_f64(),
            "loop": if plan.rate.is_some() { "open" } else { "closed" },
            "latency_from": if plan.rate.is_some() { "schedule" } else { "send" },
            "rate": plan.rate,
            "requests": (plan.requests != u64::MAX).then_some(plan.requests),
            "duration_s": plan.duration.map(|duration| duration.as_secs_f64()),
            "ended_early": self.ending.early,
            "ended_after_s": self.ending.after_s,
            "replies": tally.replies(),
            "elapsed_s": self.seconds,
            "throughput_rps": self.rate(),
            "latency_us": latencies(&tally.all()),
            "errors": tally.error_count(),
            "errors_by_word": errors,
            "connections_lost": tally.lost_count(),
            "requests_unanswered": tally.unanswered,
            "requests_unsent": self.ending.unsent,
            "commands": commands,
        })
    }
}

fn row(name: &str, latencies: &Histogram<u64>, errors: u64) -> Vec<String> {
    let time = |ns: f64| human::duration(std::time::Duration::from_nanos(ns as u64));
    let mut cells = vec![
        safe(name),
        human::count(latencies.len()),
        human::count(errors),
    ];
    cells.extend(
        QUANTILES
            .iter()
            .map(|(_, q)| time(latencies.value_at_quantile(*q) as f64)),
    );
    cells.extend([time(latencies.max() as f64), time(latencies.mean())]);
    cells
}

/// Microseconds with their fraction.
fn latencies(histogram: &Histogram<u64>) -> Value {
    let us = |ns: u64| ns as f64 / 1e3;
    let mut map = Map::new();
    map.insert(
        "min".to_owned(),
        json!(us(if histogram.is_empty() {
            0
        } else {
            histogram.min()
        })),
    );
    map.insert("mean".to_owned(), json!(histogram.mean() / 1e3));
    for (name, quantile) in QUANTILES {
        map.insert(
            name.to_owned(),
            json!(us(histogram.value_at_quantile(quantile))),
        );
    }
    map.insert("max".to_owned(), json!(us(histogram.max())));
    Value::Object(map)
}

/// Text of a server or a command line on one line, harmless to the terminal, without the quotes.
fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
