//! Load: a crowd of clients, what they send and when, and what is counted.
//!
//! | module | question it answers |
//! |---|---|
//! | [`arrivals`] | when requests of an open loop fall due |
//! | [`budget`] | how many requests remain and when the measuring starts and ends |
//! | [`worker`] | one thread: an event loop over its clients |
//! | [`link`] | one connection: what it has sent, what it still waits for |
//! | [`skim`] | where replies end of which nothing else is to be known |
//! | [`stock`] | buffers that a thread's connections share |
//! | [`nodes`] | the nodes of a cluster |
//! | [`alarm`] | sleeping until a request is due |
//! | [`ring`] | reads and writes of all sockets with one call of the system |
//! | [`mender`] | connections made again |
//! | [`sink`], [`tally`], [`timeline`] | times, hits and errors counted, in all and by the second |
//! | [`steady`] | when the server has warmed up |
//! | [`sequence`] | commands in a given order |
//! | [`strain`] | whether this program was the limit |
//! | [`ending`] | whether all was done that was asked for |

mod alarm;
pub mod arrivals;
mod budget;
pub mod ending;
mod link;
mod mender;
mod nodes;
mod ring;
pub mod sequence;
mod sink;
pub mod skim;
mod steady;
mod stock;
pub mod strain;
pub mod tally;
pub mod timeline;
mod worker;

use crate::random::Random;
use crate::target::{Stream, Target};
use crate::workload::Workload;
use crate::workload::data::Pools;
use crate::workload::numbers::Counted;
use crate::workload::reading::Reading;
use crate::workload::template::{Filler, Template};
use arrivals::{Arrivals, Rate};
use budget::{Budget, Marks};
use cairn_toolkit::{Failure, map};
use ending::Ending;
use nodes::Nodes;
use sink::{Gauge, Place, Sink};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use steady::{Judgement, Steadiness, WINDOW_NS};
use strain::{Limit, Strain};
use tally::Tally;
use timeline::{Slice, Timeline};
pub use worker::Io;
use worker::Worker;

/// How often somebody looks whether the run should end, and how it is doing.
const LOOK: Duration = Duration::from_millis(50);
/// Requests on their way while data is prepared.
const FILL_PIPELINE: usize = 64;

/// How long the load lasts before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// So long.
    Time(Duration),
    /// Until it is steady.
    Steady,
}

/// A run, ready to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub target: Target,
    /// Whether it is a cluster whose nodes are all asked.
    pub is_cluster: bool,
    /// What.
    pub workload: Workload,
    /// Connections of all threads; of a cluster so many to each node.
    pub clients: usize,
    /// Requests that one client has on their way at most.
    pub pipeline: usize,
    /// Measured requests; `u64::MAX` if only time ends the run.
    pub requests: u64,
    /// Measured time.
    pub duration: Option<Duration>,
    /// Time before it.
    pub warmup: Warmup,
    /// The schedule of an open loop.
    pub rate: Option<Rate>,
    /// Whether requests of the schedule come by chance.
    pub poisson: bool,
    /// Event loops.
    pub threads: usize,
    /// Longest silence; `None` for ever.
    pub timeout: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether values follow from their keys and are compared when they are read.
    pub verify: bool,
    /// Whether connections that are lost are made again.
    pub reconnect: bool,
    /// What the bytes go through.
    pub io: Io,
}

impl Plan {
    /// Runs on the first request of the schedule.
    fn arrivals(&self) -> Result<Option<Arrivals>, Failure> {
        let Some(rate) = &self.rate else {
            return Ok(None);
        };
        let warmup = match (self.warmup, rate) {
            (Warmup::Time(warmup), _) => warmup,
            (Warmup::Steady, Rate::Constant(_)) => Duration::ZERO,
            (Warmup::Steady, _) => {
                return Err(Failure::new(format!(
                    "--rate {rate} changes, so that it is never steady"
                ))
                .hint("--warmup takes seconds, in which the first rate is sent"));
            }
        };
        Arrivals::new(rate, self.poisson, warmup, self.duration)
            .map(Some)
            .map_err(Failure::new)
    }

    /// The same for a workload that prepares data: in a closed loop, so many requests, nothing compared.
    fn filling(&self, workload: Workload, count: u64) -> Plan {
        Plan {
            workload,
            clients: self.clients.min(count as usize).max(1),
            threads: self.threads.min(count as usize).max(1),
            pipeline: self.pipeline.max(FILL_PIPELINE),
            requests: count,
            duration: None,
            warmup: Warmup::Time(Duration::ZERO),
            rate: None,
            ..self.clone()
        }
    }
}

/// What threads of a run have in common.
#[derive(Debug)]
pub struct Shared<'a> {
    workload: &'a Workload,
    /// Running sums of weights.
    sums: Vec<u64>,
    budget: &'a Budget,
    marks: &'a Marks,
    nodes: &'a Nodes,
    arrivals: Option<&'a Arrivals>,
    pipeline: usize,
    threads: usize,
    timeout: Option<Duration>,
    reconnect: bool,
    io: Io,
}

impl Shared<'_> {
    /// Which operation comes next.
    fn choose(&self, random: &mut Random) -> usize {
        match &self.sums[..] {
            [_] => 0,
            sums => {
                let pick = random.below(sums[sums.len() - 1]);
                sums.partition_point(|sum| *sum <= pick)
            }
        }
    }

    /// Chooses the next request: its operation, that one's template, and the numbers that go into it.
    #[inline]
    fn next_request(&self, random: &mut Random) -> (u32, &Template, Counted) {
        let operation = self.choose(random);
        let template = &self.workload.operations[operation].template;
        let mut counted = Counted::default();
        if template.counts() {
            counted.own = self.budget.next_seq();
        }
        counted.given = self.budget.seq_given();
        (operation as u32, template, counted)
    }
}

/// How a run is doing, for whoever looks on.
#[derive(Debug)]
pub struct Glance<'a> {
    /// Requests that were answered so far, the warm-up's too.
    pub answered: u64,
    /// Nanoseconds since the start, and the moment from which it is measured.
    pub now: u64,
    /// From when it is measured; `u64::MAX` if that is not known yet.
    pub measure_from: u64,
    timeline: &'a Timeline,
}

impl Glance<'_> {
    /// The last second that is over.
    pub fn newest(&self) -> Option<(u64, Slice)> {
        self.timeline.newest()
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct Measured {
    /// All that was counted.
    pub tally: Tally,
    /// The same by the second.
    pub timeline: Timeline,
    /// How it ended.
    pub ending: Ending,
    /// How busy each thread was.
    pub strains: Vec<Option<Strain>>,
    /// Who was the limit.
    pub limit: Limit,
    /// Seconds of load before it was measured.
    pub warmup_s: f64,
    /// Whether it was steady then; `None` if nobody asked.
    pub is_steady: Option<bool>,
    /// Somebody interrupted it.
    pub interrupted: bool,
    /// Whether the bytes went through a ring of the system.
    pub is_ringed: bool,
}

impl Measured {
    /// Requests answered a second.
    pub fn throughput(&self) -> f64 {
        match self.ending.period_s > 0.0 {
            true => self.tally.replies() as f64 / self.ending.period_s,
            false => 0.0,
        }
    }
}

/// Sends what the workload needs to be there; says how many requests that were.
///
/// # Errors
/// Connections fail, or the server refuses what it is sent.
pub fn fill(plan: &Plan) -> Result<u64, Failure> {
    let mut sent = 0;
    for (workload, count) in plan.workload.fill_steps() {
        let pools = plan.workload.pools();
        let measured = run_with(&plan.filling(workload, count), pools, &mut |_| {})?;
        if measured.interrupted {
            return Err(Failure::quiet(crate::INTERRUPTED));
        }
        sent += measured.tally.replies();
        let name = plan.target.name();
        if let Some((_, kind)) = measured.tally.errors.iter().next() {
            return Err(Failure::new(format!(
                "{name}: the data could not be prepared: {}",
                kind.example
            )));
        }
        if let Some((why, _)) = measured.tally.lost.iter().next() {
            return Err(Failure::new(format!(
                "{name}: the data could not be prepared: a connection ended: {why}"
            )));
        }
    }
    Ok(sent)
}

/// Connects, loads and counts. `look` is called several times a second.
///
/// # Errors
/// No connection, or the event loop fails.
pub fn run(plan: &Plan, look: &mut dyn FnMut(&Glance<'_>)) -> Result<Measured, Failure> {
    run_with(plan, plan.workload.pools(), look)
}

fn run_with(
    plan: &Plan,
    pools: Arc<Pools>,
    look: &mut dyn FnMut(&Glance<'_>),
) -> Result<Measured, Failure> {
    let arrivals = plan.arrivals()?;
    let nodes = match plan.is_cluster {
        true => Nodes::of_cluster(&plan.target)?,
        false => Nodes::single(&plan.target),
    };
    let mut connected = connect_all(&nodes, plan.clients)?;
    let budget = Budget::new(plan.requests);
    let marks = Marks::new(
        match plan.warmup {
            Warmup::Time(warmup) => Some(warmup),
            Warmup::Steady => None,
        },
        plan.duration,
    );
    let mut sum = 0;
    let sums = plan.workload.operations.iter().map(|operation| {
        sum += u64::from(operation.weight);
        sum
    });
    let shared = Shared {
        workload: &plan.workload,
        sums: sums.collect(),
        budget: &budget,
        marks: &marks,
        nodes: &nodes,
        arrivals: arrivals.as_ref(),
        pipeline: plan.pipeline,
        threads: plan.threads,
        timeout: plan.timeout,
        reconnect: plan.reconnect,
        io: plan.io,
    };
    let (timeline, gauge) = (Timeline::default(), Gauge::default());
    let readings: Vec<Reading> = plan
        .workload
        .operations
        .iter()
        .map(|operation| operation.template.reading())
        .collect();
    let place = Place {
        timeline: &timeline,
        marks: &marks,
        pools: &pools,
        gauge: &gauge,
        readings: &readings,
        verify: plan.verify,
    };
    let mut seeds = Random::new(plan.seed);
    let mut watch = Watch::new(plan, arrivals.is_some());
    let done = thread::scope(|scope| {
        let (tells, told) = channel::<()>();
        let mut workers = Vec::new();
        for index in 0..plan.threads {
            let share = connected.len().div_ceil(plan.threads - index);
            let share = connected.split_off(connected.len() - share);
            let filler = Filler::new(
                Random::new(seeds.next()),
                pools.clone(),
                plan.verify,
                plan.is_cluster,
            );
            let worker = Worker::new(&shared, index, share, filler, Random::new(seeds.next()));
            let tells = tells.clone();
            let operations = plan.workload.operations.len();
            let is_open = arrivals.is_some();
            workers.push(scope.spawn(move || {
                let mut tally = Tally::new(operations, is_open);
                let told = worker.run(&mut Sink::new(&mut tally, place));
                // Nobody listens once all are done.
                let _ = tells.send(());
                told.map(|told| (tally, told))
            }));
        }
        drop(tells);
        let mut running = plan.threads;
        while running > 0 {
            match told.recv_timeout(LOOK) {
                Ok(()) => running -= 1,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => watch.look(&place, &budget, look),
            }
        }
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect::<io::Result<Vec<_>>>()
    })
    .map_err(|error| Failure::io("event loop", &error))?;
    let mut tally = Tally::new(plan.workload.operations.len(), arrivals.is_some());
    for (theirs, _) in &done {
        tally.add(theirs);
    }
    let strains: Vec<_> = done.iter().map(|(_, told)| told.strain).collect();
    let ending = Ending::new(plan, arrivals.as_ref(), &tally, &marks, budget.is_stopped());
    let limit = Limit::judge(&strains, &tally);
    let (now, from) = (marks.now(), marks.measure_from());
    Ok(Measured {
        tally,
        timeline,
        ending,
        strains,
        limit,
        warmup_s: from.min(now) as f64 / 1e9,
        is_steady: watch.is_steady,
        interrupted: map::is_asked_to_end(),
        is_ringed: done.iter().all(|(_, told)| told.is_ringed),
    })
}

/// The connections of all clients, each to all nodes, made one after the other.
fn connect_all(nodes: &Nodes, clients: usize) -> Result<Vec<Vec<Stream>>, Failure> {
    let targets: Vec<Target> = (0..nodes.count()).map(|node| nodes.target(node)).collect();
    let client = |_| targets.iter().map(Target::connect).collect();
    (0..clients).map(client).collect()
}

/// What the main thread does while the others work.
struct Watch {
    steadiness: Option<Steadiness>,
    next_window: u64,
    is_steady: Option<bool>,
}

impl Watch {
    fn new(plan: &Plan, is_open: bool) -> Watch {
        Watch {
            steadiness: (plan.warmup == Warmup::Steady).then(|| Steadiness::new(is_open)),
            next_window: WINDOW_NS,
            is_steady: None,
        }
    }

    fn look(&mut self, place: &Place<'_>, budget: &Budget, look: &mut dyn FnMut(&Glance<'_>)) {
        if map::is_asked_to_end() {
            budget.stop();
        }
        let (now, answered) = (place.marks.now(), place.gauge.answered.load(Relaxed));
        if let Some(steadiness) = self.steadiness.as_mut().filter(|_| now >= self.next_window) {
            self.next_window += WINDOW_NS;
            let judgement = steadiness.window(answered, place.gauge.warm_ns.load(Relaxed));
            if judgement != Judgement::Wait {
                self.is_steady = Some(judgement == Judgement::Steady);
                self.steadiness = None;
                place.marks.measure(place.marks.now());
            }
        }
        look(&Glance {
            answered,
            now,
            measure_from: place.marks.measure_from(),
            timeline: place.timeline,
        });
    }
}
