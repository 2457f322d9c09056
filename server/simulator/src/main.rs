//! Runs many seeds and tells those that found something.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use cairn_simulator::{cluster, mesh, moves, run};
use clap::{Parser, ValueEnum};

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WorldKind {
    /// One server and many clients.
    Single,
    /// A primary, replicas, chains.
    Replication,
    /// Nodes of a cluster: the bus, slots, elections.
    Cluster,
    /// Whole nodes of a cluster, between which slots move with what is in them.
    Moves,
}

/// Runs whole servers on virtual sockets, disk and time, with random clients.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// What is simulated.
    #[arg(long, value_enum, default_value = "single")]
    world: WorldKind,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds are run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// In place of seeds: figures of a cluster of so many nodes.
    #[arg(long)]
    nodes: Option<usize>,
    /// How many run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Figures of all runs, by name.
type Sums = BTreeMap<&'static str, u64>;

/// Runs a seed.
fn one(world: WorldKind, seed: u64, with_logs: bool) -> Result<Sums, String> {
    match world {
        WorldKind::Single => run::run(seed).map(|summary| {
            let replies = ("replies judged", summary.replies);
            [("turns", summary.turns), replies].into()
        }),
        WorldKind::Cluster => mesh::run(seed, with_logs),
        WorldKind::Moves => moves::run(seed, with_logs),
        WorldKind::Replication => cluster::run(seed, with_logs).map(|figures| figures.named()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(nodes) = args.nodes {
        return match mesh::scale::measure(nodes, args.from) {
            Ok(figures) => {
                println!("{figures:?}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let is_one = args.seeds == 1;
    if !is_one {
        // A panic is told with its seed; run that seed alone to see where it is.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let next = AtomicU64::new(0);
    let all = Mutex::new((Sums::new(), Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= args.seeds {
                        return;
                    }
                    let outcome = one(args.world, args.from.wrapping_add(number), is_one);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(sums) => {
                            for (name, sum) in sums {
                                *all.0.entry(name).or_default() += sum;
                            }
                        }
                        Err(error) => all.1.push(error),
                    }
                }
            });
        }
    });
    let (sums, failures) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failure in failures.iter().take(20) {
        println!("{failure}");
    }
    let sums = sums.iter().map(|(name, sum)| format!("{sum} {name}, "));
    println!(
        "{} seeds, {}{} failures, {:.1} s",
        args.seeds,
        sums.collect::<String>(),
        failures.len(),
        began.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
