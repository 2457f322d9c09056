//! Runs many seeds and tells those that found something.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use cairn_simulator::run::run;
use clap::Parser;

/// Runs a whole server on virtual sockets, disk and time, with random clients.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds are run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// How many run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.seeds > 1 {
        // A panic is told with its seed; run that seed alone to see where it is.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let (next, turns, replies) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= args.seeds {
                        return;
                    }
                    match run(args.from.wrapping_add(number)) {
                        Ok(summary) => {
                            turns.fetch_add(summary.turns, Relaxed);
                            replies.fetch_add(summary.replies, Relaxed);
                        }
                        Err(error) => {
                            if let Ok(mut failures) = failures.lock() {
                                failures.push(error);
                            }
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    for failure in failures.iter().take(20) {
        println!("{failure}");
    }
    println!(
        "{} seeds, {} turns, {} replies judged, {} failures, {:.1} s",
        args.seeds,
        turns.into_inner(),
        replies.into_inner(),
        failures.len(),
        began.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
