//! A run from connecting to its report.

use crate::budget::{Budget, Marks};
use crate::client::connect_all;
use crate::ending::Ending;
use crate::options::Plan;
use crate::random::Random;
use crate::report::Report;
use crate::tally::Tally;
use crate::template::{Filler, Template, data_pool};
use crate::worker::{Shared, Worker};
use cairn_toolkit::{Failure, Outcome, Output, Progress, Verdict, human, note};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// How often the progress line changes.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Connects, loads, reports. Found: the server answered with errors.
pub fn run(plan: Plan) -> Outcome {
    // The file is made first: a run of an hour must not end with a path that cannot be written.
    let json = plan
        .json
        .as_ref()
        .map(|path| Output::create(path, &[]))
        .transpose()?;
    let mut clients = connect_all(&plan.target, plan.clients)?;
    let templates: Vec<Template> = plan
        .commands
        .iter()
        .map(|(template, _)| template.clone())
        .collect();
    let mut seeds = Random::new(plan.seed);
    let pool = data_pool(&templates, &mut seeds);
    let shared = Shared {
        commands: with_sums(&plan),
        budget: Budget::new(plan.requests),
        replies: AtomicU64::new(0),
        pipeline: plan.pipeline,
        rate: plan.rate,
        threads: plan.threads,
        timeout: plan.timeout,
        marks: Marks::new(plan.warmup, plan.duration),
    };
    let tally = thread::scope(|scope| {
        let mut workers = Vec::new();
        for index in 0..plan.threads {
            let share = clients.len().div_ceil(plan.threads - index);
            let share = clients.split_off(clients.len() - share);
            let filler = Filler::new(Random::new(seeds.next()), pool.clone());
            let worker = Worker::new(&shared, index, share, filler);
            workers.push(scope.spawn(|| worker.run()));
        }
        watch(&workers, &shared, &plan);
        collect(workers, plan.commands.len())
    })
    .map_err(|error| Failure::io("event loop", &error))?;
    let stopped = shared.budget.stop.load(Relaxed);
    let ending = Ending::new(&plan, &tally, &shared.marks, stopped);
    let report = Report::new(&plan, &tally, &shared.marks, ending);
    report.write(json)?;
    verdict(&plan, &tally, ending)
}

fn with_sums(plan: &Plan) -> Vec<(Template, u64)> {
    let mut sum = 0;
    let add = |(template, weight): &(Template, u32)| {
        sum += u64::from(*weight);
        (template.clone(), sum)
    };
    plan.commands.iter().map(add).collect()
}

/// Shows the progress until all workers are done.
fn watch(workers: &[ScopedJoinHandle<'_, io::Result<Tally>>], shared: &Shared, plan: &Plan) {
    let progress = Progress::line();
    // Without a terminal there is nothing to do but wait, which joining does.
    if !progress.is_shown() {
        return;
    }
    let (mut last_count, mut last_time) = (0, shared.marks.now());
    while !workers.iter().all(ScopedJoinHandle::is_finished) {
        thread::sleep(PROGRESS_EVERY);
        let (count, time) = (shared.replies.load(Relaxed), shared.marks.now());
        let rate = (count - last_count) as f64 * 1e9 / (time - last_time).max(1) as f64;
        (last_count, last_time) = (count, time);
        let of = if plan.requests == u64::MAX {
            String::new()
        } else {
            format!(" of {}", human::count(plan.requests))
        };
        let phase = if time < shared.marks.measure_from {
            "warm-up: "
        } else {
            ""
        };
        let seconds = time as f64 / 1e9;
        progress.say(format!(
            "{phase}{}{of} replies, {} requests/s now, {seconds:.1} s",
            human::count(count),
            human::count(rate as u64)
        ));
    }
}

fn collect(
    workers: Vec<ScopedJoinHandle<'_, io::Result<Tally>>>,
    commands: usize,
) -> io::Result<Tally> {
    let mut all = Tally::new(commands);
    for worker in workers {
        match worker.join() {
            Ok(tally) => all.add(&tally?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(all)
}

fn verdict(plan: &Plan, tally: &Tally, ending: Ending) -> Outcome {
    for (why, count) in &tally.lost {
        note(&format!(
            "{}: {} of {} connections ended: {why}",
            plan.target.place,
            human::count(*count),
            human::count(plan.clients as u64)
        ));
    }
    match tally.lost_count() {
        0 => Ok(Verdict::found_if(tally.error_count() > 0)),
        _ => Err(Failure::new(format!(
            "{}: {} without a reply{}; the numbers are those of the others",
            plan.target.place,
            human::plural(tally.unanswered, "request stayed", "requests stayed"),
            match ending.unsent.filter(|unsent| *unsent > 0) {
                Some(unsent) => format!(" and {} never sent", human::plural(unsent, "was", "were")),
                None => String::new(),
            }
        ))),
    }
}
