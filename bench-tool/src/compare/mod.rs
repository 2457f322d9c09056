//! `bench-tool compare A B`: two servers under the same load, in turn, until the intervals are tight or time is up.
//!
//! ```text
//!   A B | B A | A B | B A ...      blocks; a pair gives one ratio for each figure
//! ```
//!
//! What drifts on the machine is in both blocks of a pair. How an interval comes from pairs: [`crate::statistics`]. What is told of a figure: [`verdict`].

mod verdict;

use crate::load::strain::Limit;
use crate::load::{self, Measured, Plan, Warmup};
use crate::observed::Observed;
use crate::options::load::{Chosen, LoadArguments, WorkloadArguments};
use crate::options::server::MannerArguments;
use crate::options::{span, time};
use crate::target::Target;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Outcome, Output, Progress, Table, Verdict, json, map, note};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use verdict::{Figure, Finding, Said};

const EXAMPLES: &str = "\
Examples:
  bench-tool compare 6379 6380 --clients 1 --command \"GET key:{rand:1000}\" --prefill \"SET key:{seq} {data:64}\" --keys 1000
  bench-tool compare redis://old:6379 redis://new:6379 --rate 5000 --suite ycsb-b --prefill --max-time 5m
  bench-tool compare 6379 /run/cairn.sock --pipeline 16 --block 2 --tight 1 --json compare.json

A ratio is B to A: 1.05 of p99 is a p99 that is 5 % longer on B. A figure differs if its interval of 99.99 % lies beyond --margin; the interval that is shown is that of 95 %.
Where this program was the limit, nothing is said of throughput and times: fewer --clients, or --rate, or another machine tell more. A set (--suite redis) is not
compared: name one request.

Exit status: 0 no difference was found, 1 a figure differs, 2 the work could not be done, 130 it was interrupted.";

/// Blocks of each server before anything is judged.
const PAIRS_MIN: usize = 8;
/// Share of a block that is sent before it is measured.
const WARM: f64 = 0.2;
/// Confidence of the interval that is shown.
const SHOWN: f64 = 0.95;

/// The options of `bench-tool compare`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompareArguments {
    /// The first server: a port, host:port, redis://..., or the path of a socket
    a: String,
    /// The second server
    b: String,
    #[command(flatten)]
    manner: MannerArguments,
    #[command(flatten)]
    workload: WorkloadArguments,
    #[command(flatten)]
    load: LoadArguments,
    /// Length of one measurement of one server
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = span, help_heading = "Comparison")]
    block: Duration,
    /// Time after which it ends, however wide the intervals are
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = time, help_heading = "Comparison")]
    max_time: Duration,
    /// Ends when all intervals reach no further than so many percent to either side and nothing is in doubt
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 2.0,
        help_heading = "Comparison"
    )]
    tight: f64,
    /// Differences below so many percent are none
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 1.0,
        help_heading = "Comparison"
    )]
    margin: f64,
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<PathBuf>,
}

/// One server and what was measured of it.
struct Contender {
    plan: Plan,
    blocks: Vec<Block>,
    observed: Observed,
}

/// What one block gave.
#[derive(Clone, Copy)]
struct Block {
    throughput: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of the server's processors for each request.
    cpu: f64,
    was_limit: bool,
}

/// Compares.
///
/// # Errors
/// A server is not there, or a connection ends.
pub fn run(arguments: &CompareArguments) -> Outcome {
    let chosen = arguments.workload.choose()?;
    if chosen.workloads.len() != 1 {
        return Err(Failure::new(
            "a set of requests is not compared: name one, as in --suite redis:GET",
        ));
    }
    let json = arguments
        .json
        .as_ref()
        .map(|path| Output::create(path, &[]))
        .transpose()?;
    let mut sides = [
        side(arguments, &arguments.a, &chosen)?,
        side(arguments, &arguments.b, &chosen)?,
    ];
    map::ask_before_end();
    if chosen.fills {
        sides
            .iter()
            .try_for_each(|side| load::fill(&side.plan).map(|_| ()))?;
    }
    let since = Instant::now();
    let progress = Progress::line();
    let mut findings = Vec::new();
    while !map::is_asked_to_end() {
        // The order within pairs alternates.
        let first = sides[0].blocks.len() % 2;
        for which in [first, 1 - first] {
            let block = sides[which].block()?;
            sides[which].blocks.push(block);
            if map::is_asked_to_end() {
                break;
            }
        }
        findings = judge(arguments, &sides);
        let pairs = sides[0].blocks.len();
        progress.say(format!(
            "{pairs} pairs, {:.0} s",
            since.elapsed().as_secs_f64()
        ));
        let is_settled = findings
            .iter()
            .all(|finding| finding.is_settled(arguments.tight / 100.0));
        if (pairs >= PAIRS_MIN && is_settled) || since.elapsed() >= arguments.max_time {
            break;
        }
    }
    progress.clear();
    for side in &mut sides {
        side.observed = Observed::of(&side.plan.target)?;
    }
    report(arguments, &sides, &findings, json)?;
    match map::is_asked_to_end() {
        true => Err(Failure::quiet(crate::INTERRUPTED)),
        false => Ok(Verdict::found_if(findings.iter().any(Finding::differs))),
    }
}

fn side(
    arguments: &CompareArguments,
    address: &str,
    chosen: &Chosen,
) -> Result<Contender, Failure> {
    let target: Target = arguments.manner.at(address)?;
    let observed = Observed::of(&target)?;
    let plan = arguments
        .load
        .plan(target, false, chosen.workloads[0].clone(), chosen)?;
    Ok(Contender {
        plan: Plan {
            duration: Some(arguments.block),
            warmup: Warmup::Time(arguments.block.mul_f64(WARM)),
            requests: u64::MAX,
            ..plan
        },
        blocks: Vec::new(),
        observed,
    })
}

impl Contender {
    fn block(&self) -> Result<Block, Failure> {
        let before = Observed::of(&self.plan.target)?;
        let measured = load::run(&self.plan, &mut |_| {})?;
        let after = Observed::of(&self.plan.target)?;
        let name = self.plan.target.name();
        if let Some((why, _)) = measured.tally.lost.iter().next() {
            return Err(Failure::new(format!("{name}: a connection ended: {why}")));
        }
        if let Some((_, kind)) = measured.tally.errors.iter().next() {
            return Err(Failure::new(format!(
                "{name}: the server answers with errors: {}",
                kind.example
            ))
            .hint("two servers are compared by what they answer alike"));
        }
        Ok(Block::of(&measured, before.cpu_s.zip(after.cpu_s)))
    }
}

impl Block {
    fn of(measured: &Measured, cpu: Option<(f64, f64)>) -> Block {
        let response = measured.tally.response();
        let us = |q: f64| response.value_at_quantile(q) as f64 / 1e3;
        // The server worked for the warm-up, too.
        let all = measured.tally.replies() as f64 * (1.0 + WARM);
        Block {
            throughput: measured.throughput(),
            p50: us(0.5),
            p99: us(0.99),
            cpu: cpu.map_or(0.0, |(before, after)| (after - before) * 1e6 / all.max(1.0)),
            was_limit: matches!(measured.limit, Limit::Here(_)),
        }
    }
}

fn judge(arguments: &CompareArguments, sides: &[Contender; 2]) -> Vec<Finding> {
    let is_open = sides[0].plan.rate.is_some();
    let figures = Figure::ALL
        .iter()
        .filter(|figure| !(is_open && **figure == Figure::Throughput));
    let limited = |side: &Contender| side.blocks.iter().filter(|block| block.was_limit).count();
    let limited = limited(&sides[0]).max(limited(&sides[1]));
    figures
        .map(|figure| {
            let pairs: Vec<(f64, f64)> = sides[0]
                .blocks
                .iter()
                .zip(&sides[1].blocks)
                .map(|(a, b)| (figure.of(a), figure.of(b)))
                .collect();
            Finding::new(*figure, &pairs, limited, arguments.margin / 100.0)
        })
        .collect()
}

fn report(
    arguments: &CompareArguments,
    sides: &[Contender; 2],
    findings: &[Finding],
    out: Option<Output>,
) -> Result<(), Failure> {
    if !out.as_ref().is_some_and(Output::is_stdout) {
        let mut text = Output::stdout();
        as_text(arguments, sides, findings, &mut text)?;
        text.finish()?;
    }
    let Some(mut out) = out else {
        return Ok(());
    };
    json::write_pretty(&mut out, &as_json(arguments, sides, findings))?;
    out.finish()
}

fn as_text(
    arguments: &CompareArguments,
    sides: &[Contender; 2],
    findings: &[Finding],
    out: &mut dyn Write,
) -> io::Result<()> {
    for (letter, address, side) in [
        ("A", &arguments.a, &sides[0]),
        ("B", &arguments.b, &sides[1]),
    ] {
        writeln!(out, "{letter}: {address}, {}", side.observed.name)?;
    }
    let plan = &sides[0].plan;
    let how = plan.rate.as_ref().map_or("closed loop".to_owned(), |rate| {
        format!("open loop at {rate} requests/s")
    });
    writeln!(
        out,
        "{how}, {} clients, pipeline {}; {} pairs of {} s\n",
        plan.clients,
        plan.pipeline,
        sides[0].blocks.len(),
        arguments.block.as_secs_f64()
    )?;
    let columns = [
        ("A", Side::Right),
        ("B", Side::Right),
        ("B / A", Side::Right),
        ("95 %", Side::Left),
        ("", Side::Left),
    ];
    let mut table = Table::new(&[&[("", Side::Left)][..], &columns].concat());
    for finding in findings {
        table.row(finding.row());
    }
    let memory = [&sides[0], &sides[1]].map(|side| side.observed.memory_per_key());
    if let [Some(a), Some(b)] = memory {
        let cells = [
            "memory per key",
            &format!("{a:.1} B"),
            &format!("{b:.1} B"),
            &format!("{:.3}", b / a),
            "",
            "all that is in it, at the end",
        ];
        table.row(cells.map(str::to_owned).to_vec());
    }
    table.write_to(out, 0)?;
    if findings
        .iter()
        .any(|finding| matches!(finding.said, Said::Strained(_)))
    {
        note(
            "this program, or the machine under it, was the limit: no winner is named for what it limits",
        );
    }
    Ok(())
}

fn as_json(arguments: &CompareArguments, sides: &[Contender; 2], findings: &[Finding]) -> Value {
    let side = |address: &str, side: &Contender| {
        json!({
            "address": address,
            "server": side.observed.name,
            "memory_per_key": side.observed.memory_per_key(),
            "blocks_limited_by_generator": side.blocks.iter().filter(|block| block.was_limit).count(),
        })
    };
    json!({
        "a": side(&arguments.a, &sides[0]),
        "b": side(&arguments.b, &sides[1]),
        "pairs": sides[0].blocks.len(),
        "block_s": arguments.block.as_secs_f64(),
        "margin": arguments.margin / 100.0,
        "figures": findings.iter().map(|finding| (finding.figure.name().to_owned(), finding.json())).collect::<serde_json::Map<_, _>>(),
    })
}
