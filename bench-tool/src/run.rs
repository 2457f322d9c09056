//! `bench-tool run`: connect, prepare, load, report, judge.

use crate::load::{self, Glance, Measured, Plan};
use crate::options::load::{LoadArguments, WorkloadArguments};
use crate::options::server::ServerArguments;
use crate::options::time;
use crate::report::{Files, Report, Run};
use cairn_toolkit::human::{count, duration, plural};
use cairn_toolkit::{Failure, Outcome, Progress, Verdict, hint, map, note};
use clap::Args;
use std::time::Duration;

/// Shown below the help of the tool and of `run`.
pub const EXAMPLES: &str = "\
Examples:
  bench-tool run                                            the customary set of single commands, one after the other
  bench-tool run --port 6379 --clients 50 --pipeline 16 --requests 1000000 --command \"SET key:{rand:1000000} {data:64}\"
  bench-tool run --command \"GET {key:zipf:1000000}\" --weight 9 --command \"SET {key:zipf:1000000} {data:lognormal:100:1}\" --weight 1
  bench-tool run --command \"HSET user:{=id:rand:1000} id {=id}\"
  bench-tool run --rate 20000 --duration 30 --warmup steady --command \"GET key:{rand:1000}\" --json result.json --html result.html
  bench-tool run --suite ycsb-a --keys 1000000 --prefill --duration 60 --threads 2
  bench-tool run --workload shop.toml --max-p99 5ms --min-rate 10000

Places in a request:
  {int:NUMBERS}               a number
  {key:NUMBERS}               the same behind \"key:\"; also {member:...} and {field:...}; {key} is one of --keys
  {rand:N}, {seq}             short for {int:uniform:N} and {int:seq}
  {data:NUMBERS}              so many letters and digits; {data:100,compress=50} is half of it the same letter
  {=NAME:PLACE}, {=NAME}      a place whose value is kept; the same value again
  {{ and }}                   a brace
  NUMBERS: N or uniform:N, uniform:LOW:HIGH, zipf:N:SKEW, seq:N, normal:N:MEAN:SD, hot:N:KEYS%:SHARE%, insert:N, latest:N, lognormal:MEDIAN:SIGMA:MAX, @NAME
  Words are quoted as in redis-cli. Any other brace is refused.

Exit status: 0 all well; 1 the server answered with errors, a value was not what was written, a bound was not kept, or connections were made again; 2 the run could
not be done or connections were lost; 130 it was interrupted, and what was done until then is reported.";

/// The options of `bench-tool run`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArguments {
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    workload: WorkloadArguments,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    files: Files,
    /// Exit 1 if one of a hundred response times is longer
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Bounds")]
    max_p99: Option<Duration>,
    /// Exit 1 if fewer requests a second are answered
    #[arg(long, value_name = "PER_SECOND", help_heading = "Bounds")]
    min_rate: Option<f64>,
}

/// Does what was asked for.
///
/// # Errors
/// The run could not be done, or not all of it.
pub fn run(arguments: &RunArguments) -> Outcome {
    let chosen = arguments.workload.choose()?;
    let target = arguments.server.target()?;
    let plan = |workload| {
        arguments.load.plan(
            target.clone(),
            arguments.server.is_cluster(),
            workload,
            &chosen,
        )
    };
    let plans: Vec<Plan> = chosen
        .workloads
        .iter()
        .cloned()
        .map(plan)
        .collect::<Result<_, _>>()?;
    // The files are made first: a run of an hour must not end with a path that cannot be written.
    let files = arguments.files.open()?;
    map::ask_before_end();
    let mut runs = Vec::new();
    for plan in plans {
        if chosen.fills {
            load::fill(&plan)?;
        }
        let measured = watched(&plan)?;
        let ends = measured.interrupted || (measured.tally.lost_count() > 0 && !plan.reconnect);
        runs.push(Run { plan, measured });
        if ends {
            break;
        }
    }
    let failed = Report::new(chosen.name.as_deref(), &runs).write(files);
    let outcome = verdict(arguments, &runs);
    failed.and(outcome)
}

/// Runs with a line that tells how it goes.
///
/// # Errors
/// Those of the run.
pub fn watched(plan: &Plan) -> Result<Measured, Failure> {
    let progress = Progress::line();
    let mut last = (0, 0);
    load::run(plan, &mut |glance| {
        if progress.is_shown() {
            progress.say(live_line(plan, glance, last));
            last = (glance.answered, glance.now);
        }
    })
}

/// `12,000 of 100,000 requests, 48,000 a second now, p99 1.20 ms, 3 errors, 0.3 s`.
fn live_line(plan: &Plan, glance: &Glance<'_>, last: (u64, u64)) -> String {
    let rate = (glance.answered - last.0) as f64 * 1e9 / (glance.now - last.1).max(1) as f64;
    let phase = if glance.now < glance.measure_from {
        "warm-up: "
    } else {
        ""
    };
    let of = match plan.requests {
        u64::MAX => String::new(),
        requests => format!(" of {}", count(requests)),
    };
    let second = match glance.newest() {
        Some((_, slice)) => format!(
            ", p99 {}, {}",
            duration(Duration::from_nanos(slice.times.value_at_quantile(0.99))),
            plural(slice.errors, "error", "errors")
        ),
        None => String::new(),
    };
    let seconds = glance.now as f64 / 1e9;
    format!(
        "{phase}{}{of} requests, {} a second now{second}, {seconds:.1} s",
        count(glance.answered),
        count(rate as u64)
    )
}

fn verdict(arguments: &RunArguments, runs: &[Run]) -> Outcome {
    let mut found = false;
    let mut failure = None;
    for run in runs {
        found |= has_findings(run) | is_out_of_bounds(arguments, run);
        failure = lost(run).or(failure);
    }
    if runs.iter().any(|run| run.measured.interrupted) {
        return Err(Failure::quiet(crate::INTERRUPTED));
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Verdict::found_if(found)),
    }
}

fn has_findings(run: &Run) -> bool {
    let Run { plan, measured } = run;
    let tally = &measured.tally;
    if measured.is_steady == Some(false) {
        note(&format!(
            "{}: not steady after {:.0} s of warm-up; measured all the same",
            plan.target.place, measured.warmup_s
        ));
    }
    for (what, kind) in &tally.wrong {
        let times = plural(kind.count, "value is", "values are");
        note(&format!(
            "{}: {times} {what}, the first one {}",
            plan.target.place, kind.example
        ));
    }
    tally.error_count() > 0 || tally.wrong_count() > 0 || (plan.reconnect && tally.lost_count() > 0)
}

fn is_out_of_bounds(arguments: &RunArguments, run: &Run) -> bool {
    let Run { plan, measured } = run;
    let p99 = Duration::from_nanos(measured.tally.response().value_at_quantile(0.99));
    let name = match &plan.workload.operations[..] {
        [only] => format!("{}: ", only.name),
        _ => String::new(),
    };
    let mut is_out = false;
    if let Some(max) = arguments.max_p99.filter(|max| p99 > *max) {
        is_out = true;
        note(&format!(
            "{name}p99 is {}, above --max-p99 {}",
            duration(p99),
            duration(max)
        ));
    }
    if let Some(min) = arguments
        .min_rate
        .filter(|min| measured.throughput() < *min)
    {
        is_out = true;
        note(&format!(
            "{name}{:.1} requests a second, below --min-rate {min}",
            measured.throughput()
        ));
    }
    is_out
}

/// What has to be said of connections that ended, and the failure that it is.
fn lost(run: &Run) -> Option<Failure> {
    let Run { plan, measured } = run;
    let (tally, ending) = (&measured.tally, &measured.ending);
    for (why, times) in &tally.lost {
        note(&format!(
            "{}: {} of {} connections ended: {why}",
            plan.target.place,
            count(*times),
            count(plan.clients as u64)
        ));
    }
    if tally.lost_count() == 0 {
        return None;
    }
    let line = format!(
        "{}: {} without a reply{}; the numbers are those of the others",
        plan.target.place,
        plural(tally.unanswered, "request stayed", "requests stayed"),
        match ending.unsent.filter(|unsent| *unsent > 0) {
            Some(unsent) => format!(" and {} never sent", plural(unsent, "was", "were")),
            None => String::new(),
        }
    );
    if plan.reconnect {
        note(&line);
        return None;
    }
    if ending.early {
        hint("--reconnect makes lost connections again");
    }
    Some(Failure::new(line))
}
