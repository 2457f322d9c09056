//! `bench-tool latency`: how long replies take, and whose stall it was when one took long.
//!
//! Two threads. One does nothing but read the clock: where two readings lie further apart than that takes, the machine stood still for it (another
//! process had its processor, an interrupt, a hypervisor). The other asks the server at an even pace and waits for each reply. A slow reply in which the machine
//! stood still for half of its time or more, or whose own thread waited for a processor as long, was the machine's; any other was the server's, or the way's to it.
//!
//! ```text
//!   idle loop   ........|   stall   |...................|  stall |......
//!   requests    |-|  |------------------|  |-|  |--------------------|
//!                     the machine's                the server's: it took longer than the stall
//! ```

use crate::load::strain;
use crate::load::tally::{Times, no_times};
use crate::options::server::ServerArguments;
use crate::options::{span, time};
use cairn_toolkit::human::{count, duration, share};
use cairn_toolkit::remote::Client;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Outcome, Output, Table, Verdict, json, map};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Stalls of the machine that are kept; the longest of them.
const STALLS_MAX: usize = 100_000;
/// A gap between two readings of the clock is a stall from here on.
const STALL: Duration = Duration::from_micros(100);
/// Share of a reply's time that makes it the machine's.
const MACHINE: f64 = 0.5;
/// A machine that stood still for so much of the whole time is busy with other work: then its stalls are everywhere, and explain nothing.
const BUSY: f64 = 0.3;

const EXAMPLES: &str = "\
Examples:
  bench-tool latency --port 6379
  bench-tool latency --duration 60 --interval 10ms --slow 5ms --json latency.json

The idle loop takes a processor for itself while it lasts, as redis-cli --intrinsic-latency does.

Exit status: 0 no reply was slow, 1 replies were slow, 2 the work could not be done, 130 it was interrupted.";

/// The options of `bench-tool latency`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LatencyArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// How long it is watched
    #[arg(short, long, value_name = "TIME", default_value = "10", value_parser = span)]
    duration: Duration,
    /// Time between two requests
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = span)]
    interval: Duration,
    /// Replies that take longer are told one by one
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = time)]
    slow: Duration,
    /// How many of them, the slowest first
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    top: u32,
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A stretch of time, from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    length: Duration,
    from: Duration,
}

impl Stretch {
    /// How much of it lies in another.
    fn within(&self, other: &Stretch) -> Duration {
        let end = (self.from + self.length).min(other.from + other.length);
        end.saturating_sub(self.from.max(other.from))
    }
}

/// A reply that took long.
#[derive(Clone, Copy, Debug)]
struct Slow {
    took: Stretch,
    /// The thread that waits for replies was ready to run so long, and did not.
    own: Duration,
}

/// What the idle loop saw.
#[derive(Debug)]
struct Idle {
    stalls: Vec<Stretch>,
    total: Duration,
    longest: Duration,
    lasted: Duration,
}

/// What the requests saw.
struct Asked {
    times: Times,
    slow: Vec<Slow>,
}

/// Whose stall a slow reply was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Machine,
    Server,
    /// Nobody can say: the machine was busy all the time.
    Unclear,
}

impl Whose {
    /// For people, and for programs.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Whose::Machine => ("the machine's", "machine"),
            Whose::Server => ("the server's", "server"),
            Whose::Unclear => ("unclear, the machine is busy", "unclear"),
        }
    }
}

/// Watches.
///
/// # Errors
/// The server is not there, or goes away.
pub fn run(arguments: &LatencyArguments) -> Outcome {
    let json = arguments
        .json
        .as_ref()
        .map(|path| Output::create(path, &[]))
        .transpose()?;
    let mut client = arguments.server.target()?.client()?;
    map::ask_before_end();
    let (since, is_over) = (Instant::now(), AtomicBool::new(false));
    let (idle, asked) = thread::scope(|scope| {
        let idle = scope.spawn(|| idle(since, &is_over));
        let asked = ask(&mut client, arguments, since);
        is_over.store(true, Relaxed);
        let idle = idle
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (idle, asked)
    });
    let asked = asked?;
    report(arguments, &idle, &asked, json)?;
    match map::is_asked_to_end() {
        true => Err(Failure::quiet(crate::INTERRUPTED)),
        false => Ok(Verdict::found_if(!asked.slow.is_empty())),
    }
}

/// Reads the clock until it is over.
fn idle(since: Instant, is_over: &AtomicBool) -> Idle {
    let mut longest_first = BinaryHeap::new();
    let mut idle = Idle {
        stalls: Vec::new(),
        total: Duration::ZERO,
        longest: Duration::ZERO,
        lasted: Duration::ZERO,
    };
    let start = since.elapsed();
    let mut last = start;
    while !is_over.load(Relaxed) {
        let now = since.elapsed();
        let length = now - last;
        if length >= STALL {
            idle.total += length;
            idle.longest = idle.longest.max(length);
            longest_first.push(std::cmp::Reverse(Stretch { length, from: last }));
            if longest_first.len() > STALLS_MAX {
                longest_first.pop();
            }
        }
        last = now;
    }
    idle.lasted = last - start;
    idle.stalls = longest_first.into_iter().map(|stretch| stretch.0).collect();
    idle
}

/// Asks at an even pace.
fn ask(
    client: &mut Client,
    arguments: &LatencyArguments,
    since: Instant,
) -> Result<Asked, Failure> {
    let mut asked = Asked {
        times: no_times(),
        slow: Vec::new(),
    };
    let mut due = since.elapsed();
    let end = due + arguments.duration;
    let ready = || strain::of_this_thread().map_or(0, |(_, ready)| ready);
    let mut ready_before = ready();
    while due < end && !map::is_asked_to_end() {
        thread::sleep(due.saturating_sub(since.elapsed()));
        let from = since.elapsed();
        client.ask(&["PING"])?;
        let length = since.elapsed() - from;
        asked
            .times
            .saturating_record((length.as_nanos() as u64).max(1));
        // The file of the kernel is read only where it matters; what was waited before belongs to earlier replies.
        if length >= arguments.slow {
            let now = ready();
            let own = Duration::from_nanos(now.saturating_sub(ready_before));
            asked.slow.push(Slow {
                took: Stretch { length, from },
                own: own.min(length),
            });
            ready_before = now;
        } else {
            ready_before = ready();
        }
        // What fell due while a reply was waited for is not made up for: each reply is waited for alone.
        due = (due + arguments.interval).max(since.elapsed());
    }
    Ok(asked)
}

/// How long the machine stood still in a slow reply, and whose it was.
fn judge(slow: &Slow, idle: &Idle) -> (Duration, Whose) {
    let stood: Duration = idle
        .stalls
        .iter()
        .map(|stall| stall.within(&slow.took))
        .sum();
    let machine = stood.max(slow.own);
    let explains = machine.as_secs_f64() >= slow.took.length.as_secs_f64() * MACHINE;
    let is_busy = idle.total.as_secs_f64() > idle.lasted.as_secs_f64() * BUSY;
    let whose = match (explains, is_busy) {
        (true, false) => Whose::Machine,
        (true, true) => Whose::Unclear,
        (false, _) => Whose::Server,
    };
    (machine, whose)
}

fn report(
    arguments: &LatencyArguments,
    idle: &Idle,
    asked: &Asked,
    out: Option<Output>,
) -> Result<(), Failure> {
    let mut slow: Vec<(Slow, Duration, Whose)> = asked
        .slow
        .iter()
        .map(|slow| {
            let (machine, whose) = judge(slow, idle);
            (*slow, machine, whose)
        })
        .collect();
    slow.sort_by_key(|(slow, ..)| std::cmp::Reverse(slow.took));
    if !out.as_ref().is_some_and(Output::is_stdout) {
        let mut text = Output::stdout();
        as_text(arguments, idle, asked, &slow, &mut text)?;
        text.finish()?;
    }
    let Some(mut out) = out else {
        return Ok(());
    };
    json::write_pretty(&mut out, &as_json(arguments, idle, asked, &slow))?;
    out.finish()
}

fn count_of(slow: &[(Slow, Duration, Whose)], wanted: Whose) -> usize {
    slow.iter().filter(|(.., whose)| *whose == wanted).count()
}

fn as_text(
    arguments: &LatencyArguments,
    idle: &Idle,
    asked: &Asked,
    slow: &[(Slow, Duration, Whose)],
    out: &mut dyn Write,
) -> io::Result<()> {
    let time = |quantile: f64| {
        duration(Duration::from_nanos(
            asked.times.value_at_quantile(quantile),
        ))
    };
    writeln!(
        out,
        "{} replies: p50 {}, p99 {}, p99.9 {}, max {}",
        count(asked.times.len()),
        time(0.5),
        time(0.99),
        time(0.999),
        time(1.0)
    )?;
    writeln!(
        out,
        "the machine stood still {} times for {} or longer, {} at most, {} of the time",
        count(idle.stalls.len() as u64),
        duration(STALL),
        duration(idle.longest),
        share(
            idle.total.as_micros() as u64,
            idle.lasted.as_micros() as u64
        )
    )?;
    let limit = duration(arguments.slow);
    if slow.is_empty() {
        return writeln!(out, "no reply took {limit} or longer");
    }
    let of = |whose| count_of(slow, whose);
    writeln!(
        out,
        "{} replies took {limit} or longer: {} by the machine, {} by the server or the way to it, {} unclear\n",
        slow.len(),
        of(Whose::Machine),
        of(Whose::Server),
        of(Whose::Unclear)
    )?;
    let mut table = Table::new(&[
        ("at", Side::Right),
        ("took", Side::Right),
        ("machine stood still", Side::Right),
        ("whose", Side::Left),
    ]);
    for (slow, machine, whose) in slow.iter().take(arguments.top as usize) {
        table.row(vec![
            format!("{:.3} s", slow.took.from.as_secs_f64()),
            duration(slow.took.length),
            duration(*machine),
            whose.names().0.to_owned(),
        ]);
    }
    table.write_to(out, 0)
}

fn as_json(
    arguments: &LatencyArguments,
    idle: &Idle,
    asked: &Asked,
    slow: &[(Slow, Duration, Whose)],
) -> Value {
    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    let quantile = |q: f64| asked.times.value_at_quantile(q) as f64 / 1e3;
    let listed: Vec<Value> = slow
        .iter()
        .take(arguments.top as usize)
        .map(|(slow, machine, whose)| {
            json!({
                "at_s": slow.took.from.as_secs_f64(),
                "took_us": us(slow.took.length),
                "machine_us": us(*machine),
                "whose": whose.names().1,
            })
        })
        .collect();
    json!({
        "replies": asked.times.len(),
        "latency_us": { "p50": quantile(0.5), "p99": quantile(0.99), "p99.9": quantile(0.999), "max": quantile(1.0) },
        "machine": {
            "stalls": idle.stalls.len(),
            "longest_us": us(idle.longest),
            "total_us": us(idle.total),
            "watched_s": idle.lasted.as_secs_f64(),
        },
        "slow_from_us": us(arguments.slow),
        "slow": slow.len(),
        "slow_by_machine": count_of(slow, Whose::Machine),
        "slow_by_server": count_of(slow, Whose::Server),
        "slowest": listed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn stretch(from: u32, length: u32) -> Stretch {
        Stretch {
            from: MS * from,
            length: MS * length,
        }
    }

    #[test]
    fn a_stall_that_fills_half_of_a_reply_makes_it_the_machines() {
        let idle = Idle {
            stalls: vec![stretch(10, 6), stretch(100, 3)],
            total: MS * 9,
            longest: MS * 6,
            lasted: MS * 1000,
        };
        let judge = |from, length, own| {
            let (machine, whose) = judge(
                &Slow {
                    took: stretch(from, length),
                    own: MS * own,
                },
                &idle,
            );
            (machine.as_millis(), whose)
        };
        assert_eq!(judge(9, 10, 0), (6, Whose::Machine));
        assert_eq!(judge(14, 10, 0), (2, Whose::Server));
        assert_eq!(judge(90, 20, 0), (3, Whose::Server));
        assert_eq!(judge(90, 20, 12), (12, Whose::Machine));
        assert_eq!(judge(500, 20, 0), (0, Whose::Server));
    }
}
