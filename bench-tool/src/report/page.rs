//! One HTML file without scripts and without a network: a headline, a plot of the seconds, a plot of the percentiles, the table.
//!
//! Plots are drawn as SVG. Everything that is drawn has its numbers as attributes (`data-second`, `data-p99-us` ...), for programs and for the tests.

use super::{QUANTILES, Report, Run, time};
use crate::load::strain::Limit;
use crate::load::tally::Times;
use cairn_toolkit::human;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Size of a plot, and the room around it for axes, in pixels.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 64.0;
/// Seconds that are drawn; more are joined.
const POINTS_MAX: usize = 400;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1d2733}\
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #dde3ea}\
td:first-child,th:first-child{text-align:left;font-family:monospace}svg{background:#f7f9fb}.axis{stroke:#8a97a6;stroke-width:1}.grid{stroke:#dde3ea}\
text{font:12px system-ui,sans-serif;fill:#4b5968}.p50{stroke:#2f7d4f;fill:none;stroke-width:1.5}.p99{stroke:#c0392b;fill:none;stroke-width:1.5}\
.rate{stroke:#2b6cb0;fill:none;stroke-width:1.5}.service{stroke:#8a97a6;fill:none;stroke-width:1.5;stroke-dasharray:4 3}.warn{background:#fff4d6;padding:.5em .8em}";

/// Writes the page.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let title = match report.runs.first() {
        Some(run) => format!("bench-tool: {}", run.plan.target.place),
        None => "bench-tool".to_owned(),
    };
    let title = escaped(&title);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    )?;
    for (number, run) in report.runs.iter().enumerate() {
        // Of a set each run has names of its own.
        let suffix = report.suite.map_or(String::new(), |_| format!("-{number}"));
        out.write_all(section(report, run, &suffix).as_bytes())?;
    }
    out.write_all(b"</body></html>\n")
}

fn section(report: &Report<'_>, run: &Run, suffix: &str) -> String {
    let Run { plan, measured } = run;
    let tally = &measured.tally;
    let mut html = String::from("<section>\n");
    let mut put = |text: String| html.push_str(&text);
    if report.suite.is_some() {
        put(format!(
            "<h2>{}</h2>\n",
            escaped(&plan.workload.operations[0].name)
        ));
    }
    let how = match &plan.rate {
        Some(rate) => format!("open loop at {rate} requests/s, times from the scheduled moment"),
        None => "closed loop, times from the send".to_owned(),
    };
    put(format!(
        "<p class=\"headline\" data-replies=\"{}\" data-errors=\"{}\" data-rps=\"{:.3}\">{} replies in {:.2} s, {} requests/s, {} errors; {} clients, pipeline {}, {how}</p>\n",
        tally.replies(),
        tally.error_count(),
        measured.throughput(),
        human::count(tally.replies()),
        measured.ending.period_s,
        human::count(measured.throughput().round() as u64),
        human::count(tally.error_count()),
        plan.clients,
        plan.pipeline
    ));
    if let Limit::Here(why) = &measured.limit {
        put(format!(
            "<p class=\"warn\">This program was the limit, not the server: {}</p>\n",
            escaped(why)
        ));
    }
    if measured.ending.rates.is_some_and(|rates| !rates.are_held()) {
        put("<p class=\"warn\">The schedule was not held.</p>\n".to_owned());
    }
    put(seconds(run, suffix));
    put(percentiles(
        &tally.response(),
        tally.service().as_ref(),
        suffix,
    ));
    put(table(run, suffix));
    html.push_str("</section>\n");
    html
}

/// A second, or several that were joined: the worst of each number.
struct Point {
    second: u64,
    rate: f64,
    p50: u64,
    p99: u64,
}

fn points(run: &Run) -> Vec<Point> {
    let mut all: Vec<Point> = Vec::new();
    run.measured.timeline.each(|second, slice| {
        all.push(Point {
            second,
            rate: slice.times.len() as f64,
            p50: slice.times.value_at_quantile(0.5),
            p99: slice.times.value_at_quantile(0.99),
        });
    });
    // The last second is not whole, and would look like a fall of the rate.
    if all.len() > 2 {
        all.pop();
    }
    let step = all.len().div_ceil(POINTS_MAX).max(1);
    let joined = all.chunks(step).map(|some| Point {
        second: some[0].second,
        rate: some
            .iter()
            .map(|point| point.rate)
            .fold(f64::INFINITY, f64::min),
        p50: some.iter().map(|point| point.p50).max().unwrap_or(0),
        p99: some.iter().map(|point| point.p99).max().unwrap_or(0),
    });
    joined.collect()
}

/// Two plots over time: requests a second, and the times of the second.
fn seconds(run: &Run, suffix: &str) -> String {
    let points = points(run);
    let span = points
        .last()
        .map_or(1.0, |point| point.second as f64)
        .max(1.0);
    let x = |point: &Point| MARGIN + point.second as f64 / span * WIDTH;
    let most = points.iter().map(|point| point.rate).fold(1.0, f64::max);
    let slowest = points
        .iter()
        .map(|point| point.p99)
        .max()
        .unwrap_or(1)
        .max(1) as f64;
    let line = |class: &str, y: &dyn Fn(&Point) -> f64| {
        let places: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point), HEIGHT - y(point) * HEIGHT + 20.0))
            .collect();
        format!(
            "<polyline class=\"{class}\" points=\"{}\"/>",
            places.join(" ")
        )
    };
    let mut html = String::from("<h2>By the second</h2>\n");
    html.push_str(&frame(
        &format!("rate{suffix}"),
        &format!("requests a second, up to {}", human::count(most as u64)),
        &format!("{span:.0} s"),
    ));
    html.push_str(&line("rate", &|point| point.rate / most));
    html.push_str("</svg>\n");
    html.push_str(&frame(
        &format!("times{suffix}"),
        &format!("p50 (green) and p99 (red), up to {}", time(slowest as u64)),
        &format!("{span:.0} s"),
    ));
    html.push_str(&line("p50", &|point| point.p50 as f64 / slowest));
    html.push_str(&line("p99", &|point| point.p99 as f64 / slowest));
    for point in &points {
        let _ = write!(
            html,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.5\" fill=\"#c0392b\" data-second=\"{}\" data-rate=\"{}\" data-p50-us=\"{:.1}\" data-p99-us=\"{:.1}\"><title>{} s: {} requests, p99 {}</title></circle>",
            x(point),
            HEIGHT - point.p99 as f64 / slowest * HEIGHT + 20.0,
            point.second,
            point.rate,
            point.p50 as f64 / 1e3,
            point.p99 as f64 / 1e3,
            point.second,
            point.rate,
            time(point.p99)
        );
    }
    html.push_str("</svg>\n");
    html
}

/// Times over the share of requests that took longer, each step a tenth of the one before.
fn percentiles(response: &Times, service: Option<&Times>, suffix: &str) -> String {
    let count = response.len().max(10) as f64;
    let decades = count.log10().ceil().clamp(1.0, 7.0);
    let most = response.max().max(1) as f64;
    let mut html = String::from("<h2>By percentile</h2>\n");
    html.push_str(&frame(
        &format!("percentiles{suffix}"),
        &format!(
            "response time (red){}, up to {}",
            if service.is_some() {
                ", service time (grey)"
            } else {
                ""
            },
            time(most as u64)
        ),
        "",
    ));
    let steps = (decades * 20.0) as usize;
    let curve = |class: &str, times: &Times| {
        let places: Vec<String> = (0..=steps)
            .map(|step| {
                let nines = step as f64 / 20.0;
                let ns = times.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64;
                format!(
                    "{:.1},{:.1}",
                    MARGIN + nines / decades * WIDTH,
                    HEIGHT - (ns / most).min(1.0) * HEIGHT + 20.0
                )
            })
            .collect();
        format!(
            "<polyline class=\"{class}\" points=\"{}\"/>",
            places.join(" ")
        )
    };
    for nines in 0..=decades as usize {
        let x = MARGIN + nines as f64 / decades * WIDTH;
        let share = 100.0 * (1.0 - 10_f64.powi(-(nines as i32)));
        let _ = write!(
            html,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"20\" y2=\"{:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{share} %</text>",
            HEIGHT + 20.0,
            HEIGHT + 36.0
        );
    }
    html.push_str(&curve("p99", response));
    if let Some(service) = service {
        html.push_str(&curve("service", service));
    }
    html.push_str("</svg>\n");
    html
}

fn frame(id: &str, title: &str, right: &str) -> String {
    format!(
        "<svg id=\"{id}\" role=\"img\" width=\"{0:.0}\" height=\"{1:.0}\" viewBox=\"0 0 {0:.0} {1:.0}\"><text x=\"{MARGIN:.0}\" y=\"14\">{2}</text>\
         <line class=\"axis\" x1=\"{MARGIN:.0}\" x2=\"{3:.0}\" y1=\"{4:.0}\" y2=\"{4:.0}\"/><line class=\"axis\" x1=\"{MARGIN:.0}\" x2=\"{MARGIN:.0}\" y1=\"20\" y2=\"{4:.0}\"/>\
         <text x=\"{3:.0}\" y=\"{5:.0}\" text-anchor=\"end\">{6}</text>",
        WIDTH + 2.0 * MARGIN,
        HEIGHT + 48.0,
        escaped(title),
        WIDTH + MARGIN,
        HEIGHT + 20.0,
        HEIGHT + 36.0,
        escaped(right)
    )
}

fn table(run: &Run, suffix: &str) -> String {
    let heads = QUANTILES
        .map(|(name, _)| format!("<th>{name}</th>"))
        .concat();
    let mut html = format!(
        "<h2>By request</h2>\n<table id=\"requests{suffix}\"><tr><th>request</th><th>replies</th><th>errors</th>{heads}<th>max</th></tr>\n"
    );
    for (operation, series) in run
        .plan
        .workload
        .operations
        .iter()
        .zip(&run.measured.tally.series)
    {
        let times = QUANTILES
            .map(|(_, q)| format!("<td>{}</td>", time(series.response.value_at_quantile(q))))
            .concat();
        let _ = writeln!(
            html,
            "<tr data-replies=\"{}\"><td>{}</td><td>{}</td><td>{}</td>{times}<td>{}</td></tr>",
            series.response.len(),
            escaped(&operation.name),
            human::count(series.response.len()),
            human::count(series.errors),
            time(series.response.max())
        );
    }
    html.push_str("</table>\n");
    html
}

/// Text that no browser takes for anything else.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            c if c.is_control() => html.push('?'),
            c => html.push(c),
        }
    }
    html
}
